// Where things lie in the lens lab, in CSS pixels.

import { cellUnder, fitted, within } from "../numbers.js";

export const SIDE = 420; // of the picture
export const STRIP = { width: 550, height: 150, floor: 106, bar: 82 };
const CLASS = { height: 38, gap: 8 };

/** The class token's box, if there is one, above the patches: sizes, the box of a token, and the token at a point. */
export function pictureLayout({ prefix, grid: [rows, columns] }) {
  const [width, side] = fitted({ width: columns, height: rows }, SIDE);
  const top = prefix ? CLASS.height + CLASS.gap : 0;
  const [across, down] = [width / columns, side / rows];
  return {
    ...{ width, side, top, height: top + side },
    boxOf(token) {
      if (token < prefix) return [0, 0, width, CLASS.height];
      const patch = token - prefix;
      return [(patch % columns) * across, top + Math.floor(patch / columns) * down, across, down];
    },
    tokenAt: (x, y) =>
      prefix && y < top - CLASS.gap / 2 ? 0 : prefix + cellUnder(x, y - top, width, side, rows, columns),
  };
}

/** A column for each number of blocks that are done: its width, its left edge, and the column at a point. */
export function stripLayout(width, layers) {
  const step = width / (layers + 1);
  return { step, leftOf: (block) => block * step, blockAt: (x) => within(Math.floor(x / step), 0, layers) };
}

/** The name of a class in two lines if it has two words: "Ankle boot", "T-shirt/top". */
export const linesOf = (name) => name.split(/(?<=\/)| /);
