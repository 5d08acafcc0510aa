// Where the patches of the patch lab lie on the page, in CSS pixels.

import { fitted, within } from "../numbers.js";

const MOST_GAPS = 4096; // with more patches than these, there is no gap between them

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

/** The first of `shown` places of a sequence, so that `token` stands in their middle as long as there are enough. */
export const firstShown = (token, shown, tokens) => within(token - Math.floor(shown / 2), 0, tokens - shown);

/** The cell of a finer or coarser grid over the middle of a cell. */
export function sameSpot(cell, columns, patch, newColumns, newPatch) {
  const row = Math.floor(((Math.floor(cell / columns) + 0.5) * patch) / newPatch);
  return row * newColumns + Math.floor((((cell % columns) + 0.5) * patch) / newPatch);
}
