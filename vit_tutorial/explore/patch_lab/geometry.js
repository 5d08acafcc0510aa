// Where the patches of the patch lab lie on the page, in CSS pixels.

import { fitted, within } from "../numbers.js";

const MOST_GAPS = 4096; // with more patches than these, there is no gap between them
const STRIP = { width: 912, bar: 12, top: 24, below: 6, shown: 20, gap: 3.6 };

/** The cut picture, its longer side `side` long: sizes, the corner of a cell, and the cell under a point. */
export function cutLayout(picture, rows, columns, gap, side) {
  const [width, height] = fitted(picture, side);
  const space = rows * columns > MOST_GAPS ? 0 : Math.min(gap, width / columns / 2);
  const cellWidth = (width - (columns - 1) * space) / columns;
  const cellHeight = (height - (rows - 1) * space) / rows;
  const cornerOf = (cell) => [
    (cell % columns) * (cellWidth + space),
    Math.floor(cell / columns) * (cellHeight + space),
  ];
  const cellAt = (x, y) => {
    const column = within(Math.floor((x + space / 2) / (cellWidth + space)), 0, columns - 1);
    return within(Math.floor((y + space / 2) / (cellHeight + space)), 0, rows - 1) * columns + column;
  };
  return { width, height, space, cellWidth, cellHeight, cornerOf, cellAt };
}

/** How large the number of a cell is written in it, of so many digits; `letters`: how many times as large as usual. */
export const numberSize = (cellWidth, digits, letters = 1) => Math.min(14 * letters, cellWidth / (0.62 * digits + 0.4));

/**
 * The sequence: a bar of all patches, and below it some of them, as many as have room side by side. Where letters are
 * `letters` times as large as usual, these patches are larger, and fewer.
 */
export function stripLayout(letters = 1) {
  const { width, bar, top, below, gap } = STRIP;
  const shown = Math.max(1, Math.floor(STRIP.shown / letters));
  const step = width / shown;
  const thumb = step - gap;
  return { width, height: top + thumb + below, bar, top, shown, step, thumb };
}

/** The first of `shown` places of a sequence, so that `token` stands in their middle as long as there are enough. */
export const firstShown = (token, shown, tokens) => within(token - Math.floor(shown / 2), 0, tokens - shown);

/** The cell of a finer or coarser grid over the middle of a cell. */
export function sameSpot(cell, columns, patch, newColumns, newPatch) {
  const row = Math.floor(((Math.floor(cell / columns) + 0.5) * patch) / newPatch);
  return row * newColumns + Math.floor((((cell % columns) + 0.5) * patch) / newPatch);
}
