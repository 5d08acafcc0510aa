// The numbers of the patch lab in the browser: the same as in numbers.py.

import { count, decimals, pixelOf } from "../numbers.js";

export const ORDERS = ["row by row", "column by column", "shuffled"];
export const REASSEMBLIES = ["each in its own place", "row by row"];
export const SEEDS = 10000;
export const MODEL = { name: "ViT-B", depth: 12, heads: 12, dim: 768 }; // the costs shown are its

/** All patch sizes that divide both sides, smallest first. */
export function patchSizes({ height, width }) {
  const sizes = Array.from({ length: Math.min(height, width) }, (_, i) => i + 1);
  return sizes.filter((size) => height % size === 0 && width % size === 0);
}

/** The largest patch size of a picture that is not larger than this one. */
export const nearestSize = (picture, patch) => patchSizes(picture).findLast((size) => size <= patch);

/** For each place in the sequence, which cell of the grid stands there. */
export function sequenceOrder(rows, columns, order, seed) {
  const cells = Array.from({ length: rows * columns }, (_, i) => i);
  if (order === "column by column") return cells.map((i) => (i % rows) * columns + Math.floor(i / rows));
  if (order === "shuffled") {
    let state = seed >>> 0;
    for (let last = cells.length - 1; last > 0; last--) {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      const other = Math.floor((state * (last + 1)) / 4294967296);
      [cells[last], cells[other]] = [cells[other], cells[last]];
    }
  }
  return cells;
}

/** The place of each cell in the sequence. */
export function inverse(places) {
  const placeOf = new Uint32Array(places.length);
  places.forEach((cell, place) => {
    placeOf[cell] = place;
  });
  return placeOf;
}

/** The pixels of the picture with each cell of the grid filled by the cell that `source` names. */
export function rearranged(picture, patch, columns, source) {
  const { pixels, channels, height, width } = picture;
  const moved = new Uint8Array(pixels.length);
  let difference = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = source[Math.floor(y / patch) * columns + Math.floor(x / patch)];
      const at = (Math.floor(from / columns) * patch + (y % patch)) * width + (from % columns) * patch + (x % patch);
      for (let c = 0; c < channels; c++) {
        const into = c * height * width + y * width + x;
        moved[into] = pixels[c * height * width + at];
        difference = Math.max(difference, Math.abs(moved[into] - pixels[into]));
      }
    }
  }
  return { pixels: moved, difference };
}

/** Number `k` of a cell's row in the matrix: within a patch (row, column, channel). */
export function numberOf({ pixels, channels, height, width }, patch, columns, cell, k) {
  const pixel = Math.floor(k / channels);
  const y = Math.floor(cell / columns) * patch + Math.floor(pixel / patch);
  return pixels[((k % channels) * height + y) * width + (cell % columns) * patch + (pixel % patch)];
}

/** The mean colour of each cell, three numbers a cell. */
export function meanColours(picture, patch, columns, cells) {
  const sums = new Float64Array(cells * 3);
  const colour = [0, 0, 0];
  const write = pixelOf(picture);
  for (let i = 0; i < picture.width * picture.height; i++) {
    const cell = Math.floor(Math.floor(i / picture.width) / patch) * columns + Math.floor((i % picture.width) / patch);
    write(i, colour, 0);
    for (let c = 0; c < 3; c++) sums[3 * cell + c] += colour[c];
  }
  return sums.map((sum) => sum / (patch * patch));
}

/** A matrix as at most `wide` x `high` levels, each the mean of the numbers that it covers. */
export function levels(rows, columns, wide, high, numberAt) {
  const [width, height] = [Math.min(columns, wide), Math.min(rows, high)];
  const sums = new Float64Array(width * height);
  const counts = new Uint32Array(width * height);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = Math.floor((row * height) / rows) * width + Math.floor((column * width) / columns);
      sums[at] += numberAt(row, column);
      counts[at]++;
    }
  }
  return { width, height, means: sums.map((sum, i) => sum / counts[i]) };
}

/** Three digits and a prefix, ready for a unit: 1416167424 -> "1.42 G". */
export function withPrefix(number) {
  let step = 0;
  let left = number;
  for (; left >= 999.5 && step < 5; step++) left /= 1000;
  const digits = step === 0 || left >= 99.95 ? 0 : left >= 9.995 ? 1 : 2;
  return `${decimals(left, digits)} ${["", "k", "M", "G", "T", "P"][step]}`;
}

/** What the N x N part of attention costs ViT-B: all layers' FLOPs, and the tables of one layer. */
export function attentionCost(tokens) {
  const flops = `${withPrefix(4 * tokens ** 2 * MODEL.dim * MODEL.depth)}FLOP`;
  return { flops, bytes: `${withPrefix(4 * tokens ** 2 * MODEL.heads)}B` };
}

/** What the lab shows, in a few sentences: as `words` in numbers.py. */
export function wordsOf({ patch, rows, columns, each, order, token, cell, first, reassembly, difference }) {
  const { flops, bytes } = attentionCost(rows * columns);
  return (
    `Patch size ${patch}: ${count(rows)} rows and ${count(columns)} columns give ${count(rows * columns)} patches of ` +
    `${count(each)} number${each > 1 ? "s" : ""}; in ${MODEL.name} the N·N part of attention takes ` +
    `${flops}, and its tables ${bytes} a layer. Order: ${order}. ` +
    `Token ${count(token)} is the patch in row ${count(Math.floor(cell / columns))}, column ${count(cell % columns)}; ` +
    `its first numbers are ${first.slice(0, 3).join(", ")}. ` +
    `Put back (${reassembly}): the largest difference to the picture is ${difference}.`
  );
}
