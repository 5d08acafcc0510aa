// The numbers of the reach lab in the browser: the same as in numbers.py, from what the kernel has measured.

import { bytesOf, decimals, patchName, percent } from "../numbers.js";

/** The place on the grid of a stage that holds the middle of a patch, and its first pixel. */
const middleOf = (cell, patch, step) => Math.floor((cell * patch + Math.floor(patch / 2)) / step) * step;

/** Which pixels the place at a patch can see: first row, first column, and those after the last. */
export function boxOf(stage, place, { grid, patch, size }) {
  const cells = [Math.floor(place / grid[1]), place % grid[1]];
  if (stage.sees === "all") return [0, 0, ...size];
  if (stage.sees === "patch") return [...cells.map((cell) => cell * patch), ...cells.map((cell) => (cell + 1) * patch)];
  const middle = cells.map((cell) => middleOf(cell, patch, stage.step));
  const half = Math.floor(stage.width / 2);
  return [...middle.map((at) => Math.max(0, at - half)), ...middle.map((at, i) => Math.min(size[i], at + half + 1))];
}

/**
 * A function from (weights, picture, stage, place), all counted from 0, to the box of what can be seen there and the
 * brightness of each pixel inside it, 0 to 255.
 */
export function reachOf({ levels, stages, names, shapes, grid, patch }) {
  const all = bytesOf(levels);
  const lab = { grid, patch, size: shapes[0].slice(1) };
  const places = grid[0] * grid[1];
  const starts = [];
  let length = 0;
  const boxes = stages.map((stage) =>
    Array.from({ length: places }, (_, place) => {
      const box = boxOf(stage, place, lab);
      starts.push(length);
      length += (box[2] - box[0]) * (box[3] - box[1]);
      return box;
    }),
  );
  return (weights, picture, stage, place) => {
    const box = boxes[stage][place];
    const start = (weights * names.length + picture) * length + starts[stage * places + place];
    return { box, inside: all.subarray(start, start + (box[2] - box[0]) * (box[3] - box[1])) };
  };
}

/** How far each stage looks on average, in pixels, at one place. */
export const distancesOf = ({ distances, names }, weights, picture, place) =>
  distances[weights * names.length + picture].map((row) => row[place]);

const GREY = 128;

/** The colours of a palette as they lie on a grey pixel: the weaker it is answered, the more of the grey is left. */
export const overGrey = (palette) =>
  palette.map((value, i) => Math.round(GREY + (Math.floor(i / 3) / 255) * (value - GREY)));

/** What the lab shows, in words. */
export function wordsOf({ picture, weights, stage, place, box, distances }, { stages, grid, shapes }) {
  const [top, left, bottom, right] = box;
  const [, height, width] = shapes[0];
  const share = ((bottom - top) * (right - left)) / (height * width);
  const far = (of) =>
    distances
      .filter((_, i) => stages[i].of === of)
      .map((one) => decimals(one, 1))
      .join(", ");
  const { of, name } = stages[stage];
  return (
    `${picture}, models ${weights}, ${patchName(place, grid[1])}. ` +
    `${of} ${name} can see ${bottom - top} by ${right - left} pixels here, ${percent(share)} of the picture. ` +
    `On average it looks ${decimals(distances[stage], 1)} pixels far. ` +
    `Stage by stage, the CNN looks ${far("CNN")} pixels far, and the ViT ${far("ViT")}.`
  );
}
