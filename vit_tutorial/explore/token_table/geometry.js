// Where rows, numbers and patches of the token table lie, in CSS pixels.

import { within } from "../numbers.js";

export const TABLE = { margin: 84, top: 16, wide: 480, high: 400, gap: 8, similarity: 18 };
export const STRIP = { margin: 176, wide: 736, high: 22, step: 25 };
export const NUMBERS_SHOWN = 8;

/** The table of tokens with the similarities at its right: sizes, and the row or the number under a point. */
export function tableLayout(tokens, dim) {
  const [stepX, stepY] = [TABLE.wide / dim, TABLE.high / tokens];
  const rowAt = (y, rows) => within(Math.floor((y - TABLE.top) / stepY), 0, rows - 1);
  /** Null beside the numbers. */
  const numberAt = (x) => {
    const number = Math.floor((x - TABLE.margin) / stepX);
    return number >= 0 && number < dim ? number : null;
  };
  const width = TABLE.margin + TABLE.wide + TABLE.gap + TABLE.similarity + 4;
  return { width, height: TABLE.high + TABLE.top + 4, stepX, stepY, rowAt, numberAt };
}

/** The number under a point of the three strips; null at their left. */
export function numberInStrips(x, dim) {
  return x < STRIP.margin ? null : within(Math.floor(((x - STRIP.margin) / STRIP.wide) * dim), 0, dim - 1);
}

/** The first of the numbers of a row that are written side by side; they move on by as many as are shown. */
export const firstShown = (number, dim) =>
  Math.max(0, Math.min(dim - NUMBERS_SHOWN, number - (number % NUMBERS_SHOWN)));
