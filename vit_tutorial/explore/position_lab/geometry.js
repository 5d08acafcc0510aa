// Where the four maps of the position lab lie on their sheet, in CSS pixels.

import { within } from "../numbers.js";

export const WIDTH = 912;
const NARROW = 560; // below, two maps lie below the other two
const GAP = 18;
const TOP = 22; // above a map, for its name
const LINE = 16; // below it

/**
 * The height of the sheet, the side of a map, its upper left corner, where a line below it is written, and the position
 * under a point. `lines` is how many there are, `letters` how many times as large as usual they are.
 */
export function mapsLayout(width, maps, lines = 2, letters = 1) {
  const [above, line] = [TOP * letters, LINE * letters];
  const across = width < NARROW ? 2 : maps;
  const side = (width - (across - 1) * GAP) / across;
  const [right, down] = [side + GAP, above + side + lines * line + GAP];
  return {
    ...{ width, side, height: Math.ceil(maps / across) * down - GAP },
    cornerOf: (map) => [(map % across) * right, Math.floor(map / across) * down + above],
    /** The middle of its height, below the upper edge of the map. */
    lineBelow: (number) => side + line * (number + 0.5) + 1,
    /** On a grid of so many rows and columns; null between the maps. */
    positionUnder(x, y, grid) {
      const [column, row] = [within(Math.floor(x / right), 0, across - 1), Math.max(0, Math.floor(y / down))];
      const [inRow, inColumn] = [y - row * down - above, x - column * right].map((one) =>
        Math.floor((one / side) * grid),
      );
      const isInside = [inRow, inColumn].every((one) => one >= 0 && one < grid);
      return isInside && row * across + column < maps ? inRow * grid + inColumn : null;
    },
  };
}
