// The numbers of the sketch lab in the browser: what a brush does to pixels, and the same words as in numbers.py. The
// model itself runs in ../vit.js. Pixels are a Uint8Array, row by row; black is nothing, white is cloth.

import { count, decimals, largestOf, patchName, percent, within } from "../numbers.js";

const SIDES = [
  [-1, 0],
  [1, 0],
  [0, -1],
  [0, 1],
];

/** The text of a drawing, as it travels: its pixels in base 64. */
export const textOf = (pixels) => btoa(String.fromCharCode(...pixels));

/** The pixels of such a text. */
export const pixelsIn = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/** How much of each pixel a stroke covers, 0 to 1, once a brush so many pixels wide has gone from one point to another. */
export function cover(covered, columns, [fromX, fromY], [toX, toY], brush) {
  const rows = covered.length / columns;
  const reach = brush / 2 + 0.5;
  const [alongX, alongY] = [toX - fromX, toY - fromY];
  const length = alongX ** 2 + alongY ** 2;
  const first = (a, b) => Math.max(0, Math.floor(Math.min(a, b) - reach));
  const end = (a, b, side) => Math.min(side, Math.ceil(Math.max(a, b) + reach));
  for (let y = first(fromY, toY); y < end(fromY, toY, rows); y++) {
    for (let x = first(fromX, toX); x < end(fromX, toX, columns); x++) {
      const [dx, dy] = [x + 0.5 - fromX, y + 0.5 - fromY];
      const share = length ? within((dx * alongX + dy * alongY) / length, 0, 1) : 0;
      const away = Math.hypot(dx - share * alongX, dy - share * alongY);
      const at = y * columns + x;
      covered[at] = Math.max(covered[at], within(reach - away, 0, 1));
    }
  }
}

/** The pixels after a stroke of one grey. */
export const painted = (pixels, covered, grey) =>
  pixels.map((pixel, i) => Math.round(pixel + (grey - pixel) * covered[i]));

/**
 * The pixels with at least one grey wherever a line shuts them in. A line is brighter than half of the brightest pixel;
 * ways lead up, down and sideways. The outer edge of a line stays as soft as it is.
 */
export function filled(pixels, columns, grey) {
  const half = pixels[largestOf(pixels)] / 2;
  const rows = pixels.length / columns;
  const outside = new Uint8Array((rows + 2) * (columns + 2)); // with a margin of one pixel, from which all ways begin
  const placeOf = (row, column) => (row + 1) * (columns + 2) + column + 1;
  const found = [[-1, -1]];
  outside[0] = 1;
  while (found.length) {
    const [row, column] = found.pop();
    for (const [down, along] of SIDES) {
      const [y, x] = [row + down, column + along];
      if (y < -1 || x < -1 || y > rows || x > columns || outside[placeOf(y, x)]) continue;
      if (y >= 0 && x >= 0 && y < rows && x < columns && pixels[y * columns + x] > half) continue;
      outside[placeOf(y, x)] = 1;
      found.push([y, x]);
    }
  }
  return pixels.map((pixel, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const isEdge = [[0, 0], ...SIDES].some(([down, along]) => outside[placeOf(row + down, column + along)]);
    return isEdge ? pixel : Math.max(pixel, grey);
  });
}

/** The rows and columns in which something is lit, ends not included; null if nothing is. */
function boxOf(pixels, columns) {
  let [top, left, bottom, right] = [pixels.length, columns, 0, 0];
  for (let i = 0; i < pixels.length; i++) {
    if (!pixels[i]) continue;
    const [row, column] = [Math.floor(i / columns), i % columns];
    [top, bottom] = [Math.min(top, row), Math.max(bottom, row + 1)];
    [left, right] = [Math.min(left, column), Math.max(right, column + 1)];
  }
  return right ? { top, left, bottom, right } : null;
}

/** The pixels as large as the frame lets them be, and in its middle; what lies between four pixels is their mean. */
export function centred(pixels, columns) {
  const box = boxOf(pixels, columns);
  if (!box) return pixels;
  const rows = pixels.length / columns;
  const [height, width] = [box.bottom - box.top, box.right - box.left];
  const scale = Math.min(rows / height, columns / width);
  const [newHeight, newWidth] = [Math.round(height * scale), Math.round(width * scale)];
  const [top, left] = [Math.floor((rows - newHeight) / 2), Math.floor((columns - newWidth) / 2)];
  const out = new Uint8Array(pixels.length);
  for (let y = 0; y < newHeight; y++) {
    const fromY = box.top + within(((y + 0.5) * height) / newHeight - 0.5, 0, height - 1);
    const above = Math.floor(fromY);
    const below = Math.min(above + 1, rows - 1);
    for (let x = 0; x < newWidth; x++) {
      const fromX = box.left + within(((x + 0.5) * width) / newWidth - 0.5, 0, width - 1);
      const before = Math.floor(fromX);
      const after = Math.min(before + 1, columns - 1);
      const [down, along] = [fromY - above, fromX - before];
      const mixOf = (row) => pixels[row * columns + before] * (1 - along) + pixels[row * columns + after] * along;
      out[(top + y) * columns + left + x] = Math.round(mixOf(above) * (1 - down) + mixOf(below) * down);
    }
  }
  return out;
}

/** How a picture lies in its frame, as `Outline` in numbers.py; null if all of it is black. */
export function outlineOf(pixels, columns) {
  const box = boxOf(pixels, columns);
  if (!box) return null;
  const rows = pixels.length / columns;
  let [lit, between] = [0, 0];
  for (let row = box.top; row < box.bottom; row++) {
    let [first, last] = [-1, -1];
    for (let column = box.left; column < box.right; column++) {
      if (!pixels[row * columns + column]) continue;
      lit++;
      if (first < 0) first = column;
      last = column + 1;
    }
    between += last - first;
  }
  return {
    filled: lit / between,
    long: Math.max(box.bottom - box.top, box.right - box.left),
    off: Math.max(Math.abs(box.top + box.bottom - rows), Math.abs(box.left + box.right - columns)) / 2,
  };
}

/** How a drawing differs from the pictures that the model learned from: sentences, each after a space, or nothing. */
export function adviceOf(outline, usual, answers, named) {
  if (!outline) {
    return ` Nothing is drawn, and still it answers: it has ${answers} answers, and none of them is “nothing”.`;
  }
  if (!usual || named) return "";
  let said = "";
  if (outline.filled < usual.filled) {
    said +=
      ` This is an outline: ${percent(outline.filled)} of what lies between its edges is lit; in ${usual.of_100} of 100 ` +
      `training pictures it is ${percent(usual.filled)} or more. Fill (f) fills what is closed.`;
  }
  if (outline.long < usual.long - usual.near || outline.off > usual.off + usual.near) {
    said +=
      ` It is ${outline.long} pixel${outline.long > 1 ? "s" : ""} long and ${decimals(outline.off, 1)} off the centre; ${usual.of_100} of 100 training ` +
      `pictures are ${usual.long} long and at most ${decimals(usual.off, 1)} off. Centre and scale (c) does to it ` +
      "what was done to them.";
  }
  return said;
}

/** What is on the canvas, and the two answers that are most probable. */
export function answerWords({ drawing, named, outline, probabilities, classes }) {
  const subject = named ? `${drawing}, a test picture` : outline ? "A drawing" : "An empty canvas";
  const order = Array.from(probabilities, (_, i) => i).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const said = order.slice(0, 2).map((i) => `${classes[i]} ${percent(probabilities[i])}`);
  return `${subject}. The model says ${said.join(", then ")}.`;
}

/** Where one layer looks and what would be answered block by block; a sentence after a space, or nothing if not shown. */
export function insideWords({ more, layer, query, seen, isOff, gone, lens, classes, prefix, grid }) {
  if (!more) return "";
  const who = query < prefix ? "the class token" : patchName(query - prefix, grid[1]);
  const most = seen.map((weights, head) => {
    const best = largestOf(weights);
    return `head ${head}${isOff(head) ? " (off)" : ""} patch ${count(best)} (${percent(weights[best])})`;
  });
  const read = lens.map((probabilities) => classes[largestOf(probabilities)]);
  return (
    ` Layer ${layer}: ${who} looks most at: ${most.join(", ")}. Switched off: ${gone}. ` +
    `Read after 0 to ${lens.length - 1} blocks, the answer is ${read.join(", ")}.`
  );
}

/** Where the brush is. */
export const brushWords = (cursor, columns) =>
  ` The brush is at row ${Math.floor(cursor / columns)}, column ${cursor % columns}.`;
