// Where rows, numbers and patches of the token table lie, in CSS pixels.

import { within } from "../numbers.js";

const TABLE = { width: 594, margin: 84, top: 16, high: 400, gap: 8, similarity: 18, edge: 4 };
const STRIPS = { width: 912, margin: 176, step: 25, gap: 3 };
const MAP = { least: 132, above: 22, tall: 17 };
const LINE = 12; // what a line of letters takes
export const NUMBERS_SHOWN = 8;

/**
 * The table of tokens with the similarities at its right: sizes, after how many lines of patches one is named, and the
 * row or the number under a point. `letters` says how many times as large as usual these are.
 */
export function tableLayout(tokens, dim, columns, letters = 1) {
  const { width, high, gap, similarity, edge } = TABLE;
  const [margin, top, line] = [TABLE.margin, TABLE.top, LINE].map((size) => size * letters);
  const wide = width - margin - gap - similarity - edge;
  const [stepX, stepY] = [wide / dim, high / tokens];
  const rowAt = (y, rows) => within(Math.floor((y - top) / stepY), 0, rows - 1);
  /** Null beside the numbers. */
  const numberAt = (x) => {
    const number = Math.floor((x - margin) / stepX);
    return number >= 0 && number < dim ? number : null;
  };
  return {
    ...{ width, height: top + high + edge, margin, top, line, wide, right: margin + wide + gap, similarity },
    ...{ stepX, stepY, every: Math.ceil(line / stepY / columns), rowAt, numberAt },
  };
}

/** The three strips of a row: sizes, how far apart they begin, and the number under a point, null at their left. */
export function stripsLayout(dim, letters = 1) {
  const { width, gap } = STRIPS;
  const [margin, step] = [STRIPS.margin * letters, STRIPS.step * letters];
  const wide = width - margin;
  const numberAt = (x) => (x < margin ? null : within(Math.floor(((x - margin) / wide) * dim), 0, dim - 1));
  return { width, height: 3 * step, margin, wide, step, high: step - gap, numberAt };
}

/** The map of similar patches, so wide, and above it the colour and the number of the class token. */
export function mapLayout(wide, letters = 1) {
  const [least, above, tall] = [MAP.least, MAP.above, MAP.tall].map((size) => size * letters);
  return { width: Math.max(wide, least), above, tall };
}

/** The first of the numbers of a row that are written side by side; they move on by as many as are shown. */
export const firstShown = (number, dim) =>
  Math.max(0, Math.min(dim - NUMBERS_SHOWN, number - (number % NUMBERS_SHOWN)));
