// What lies where in the reach lab: a large picture, and a small one for each stage.

import { cellUnder, fitted } from "../numbers.js";

export const LARGE = 420; // the longer side of the large picture, in CSS pixels
export const SMALL = 108;

/** The size of a picture, what a box of pixels covers on it, and the patch under a point. */
export function layoutOf(picture, grid, side) {
  const [width, height] = fitted(picture, side);
  const [across, down] = [width / picture.width, height / picture.height];
  return {
    width,
    height,
    rectOf: ([top, left, bottom, right]) => [left * across, top * down, (right - left) * across, (bottom - top) * down],
    placeAt: (x, y) => cellUnder(x, y, width, height, ...grid),
  };
}
