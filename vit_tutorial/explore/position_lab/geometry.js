// Where the four maps of the position lab lie on their sheet.

import { within } from "../numbers.js";

export const MAPS = { side: 214, step: 232.6, top: 22, width: 912 };

/** The position under a point of the sheet, on a grid of so many rows and columns; null between the maps. */
export function positionUnder(x, y, grid, maps) {
  const map = within(Math.floor(x / MAPS.step), 0, maps - 1);
  const column = Math.floor(((x - map * MAPS.step) / MAPS.side) * grid);
  const row = Math.floor(((y - MAPS.top) / MAPS.side) * grid);
  return column >= 0 && column < grid && row >= 0 && row < grid ? row * grid + column : null;
}
