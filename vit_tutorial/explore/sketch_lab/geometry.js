// Where things lie in the sketch lab, in CSS pixels.

import { fitted, within } from "../numbers.js";

const SIDE = 406; // of the canvas that one draws on
const CUT = 176; // of the picture in patches
const MAP = 122; // of a head's map
const GAP = 3; // between patches

/** The canvas: its size, and that of a pixel; the point of a place on it in pixels, and the pixel at a point. */
export function canvasLayout(rows, columns) {
  const [width, height] = fitted({ width: columns, height: rows }, SIDE);
  const cell = width / columns;
  return {
    ...{ width, height, cell },
    pointAt: (x, y) => [x / cell, y / cell],
    middleOf: (pixel) => [(pixel % columns) + 0.5, Math.floor(pixel / columns) + 0.5],
    pixelAt: ([x, y]) => within(Math.floor(y), 0, rows - 1) * columns + within(Math.floor(x), 0, columns - 1),
  };
}

/** The picture cut into patches, with gaps: its size, and the box of a patch. */
export function cutLayout(rows, columns) {
  const [width, height] = fitted({ width: columns, height: rows }, CUT);
  const [across, down] = [width / columns, height / rows];
  return {
    ...{ width, height },
    boxOf: (patch) => [
      (patch % columns) * across + GAP / 2,
      Math.floor(patch / columns) * down + GAP / 2,
      across - GAP,
      down - GAP,
    ],
  };
}

/** The size of a head's map. */
export function mapSize(rows, columns) {
  return fitted({ width: columns, height: rows }, MAP);
}
