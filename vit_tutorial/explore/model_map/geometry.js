// Where things lie in the pictures of the model map, in CSS pixels.

import { within } from "../numbers.js";

const SHOWN = { width: 430, height: 230, names: 120, rows: 26 };
const BAR = 22; // from one bar to the next, where there is room for it
const NUMBER = 50; // at the end of a bar
const CAPTION = 16; // under a box, belongs to it too

/** The key of the box under a point of the map, or null. */
export function boxUnder(x, y, keys, places) {
  const under = (key) => {
    const [left, top, wide, high] = places[key];
    return x >= left && x <= left + wide && y >= top && y <= top + high + CAPTION;
  };
  return keys.find(under) ?? null;
}

/**
 * How many times as wide as usual the map is whose letters are `letters` times as large: no wider than its texts need,
 * each given as [its width in these letters, the room that it usually has].
 */
export const widened = (texts, letters) => within(Math.max(...texts.map(([width, room]) => width / room)), 1, letters);

/**
 * The sheet of what leaves a box, with room for so many bars: its size, and of its width what names of bars take, and
 * those of rows. `letters` says how many times as large as usual these are.
 */
export function shownLayout(bars, letters = 1) {
  const { width, height, names, rows } = SHOWN;
  return {
    ...{ width, letters, rows: rows * letters },
    height: Math.max(height, Math.min(height, bars * BAR) * letters),
    names: Math.min(names * letters, width / 2),
  };
}

/** Each patch of a picture, spread out on a sheet: [x, y] in the picture, [x, y] on the sheet, and its size there. */
export function patchPlaces(height, width, patch, sheet) {
  const [rows, columns] = [height / patch, width / patch];
  const space = rows > 20 ? 1 : 3;
  const size = Math.min((sheet.height + space) / rows, (sheet.width + space) / columns) - space;
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    return [[column * patch, row * patch], [column * (size + space), row * (size + space)], size];
  });
}

/** Where the bars of some numbers lie on a sheet, names on the left and room for a number at the end of each. */
export function barsIn(values, sheet) {
  const [least, most] = [Math.min(0, ...values), Math.max(0, ...values)];
  const room = sheet.width - sheet.names - NUMBER * sheet.letters;
  const zero = sheet.names + (-least / (most - least || 1)) * room;
  const step = Math.min(BAR * sheet.letters, sheet.height / values.length);
  return values.map((value, i) => {
    const [middle, long] = [(i + 0.5) * step, (value / (most - least || 1)) * room];
    return {
      left: Math.min(zero, zero + long),
      top: middle - step * 0.35,
      long: Math.max(1, Math.abs(long)),
      tall: step * 0.7,
      middle,
      end: Math.max(zero, zero + long),
    };
  });
}
