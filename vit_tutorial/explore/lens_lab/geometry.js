// Where things lie in the lens lab, in CSS pixels.

import { cellUnder, fitted, within } from "../numbers.js";

export const SIDE = 420; // of the picture
export const STRIP = 550; // the width of the columns of all blocks
const BAR = 82; // the longest bar in a column
const CLASS = { height: 38, gap: 8 };

/**
 * The class token's box, if there is one, above the patches: sizes, the box of a token, and the token at a point. The
 * longer side of the patches takes `most`; `letters` says how many times as large as usual these are.
 */
export function pictureLayout({ prefix, grid: [rows, columns] }, most = SIDE, letters = 1) {
  const [width, side] = fitted({ width: columns, height: rows }, most);
  const high = CLASS.height * letters;
  const top = prefix ? high + CLASS.gap : 0;
  const [across, down] = [width / columns, side / rows];
  return {
    ...{ width, side, top, height: top + side },
    boxOf(token) {
      if (token < prefix) return [0, 0, width, high];
      const patch = token - prefix;
      return [(patch % columns) * across, top + Math.floor(patch / columns) * down, across, down];
    },
    tokenAt: (x, y) =>
      prefix && y < top - CLASS.gap / 2 ? 0 : prefix + cellUnder(x, y - top, width, side, rows, columns),
  };
}

/**
 * A column for each number of blocks that are done: its width, its left edge, and the column at a point; the longest bar,
 * where bars end, where lines of a name are written, how far apart they are, and the height of all for so many of them.
 */
export function stripLayout(width, layers, lines = 1, letters = 1) {
  const step = width / (layers + 1);
  const [line, floor] = [13 * letters, BAR + 24 * letters];
  return {
    ...{ step, line, floor, bar: BAR, names: floor + 12 * letters, height: floor + 32 * letters + line * lines },
    leftOf: (block) => block * step,
    blockAt: (x) => within(Math.floor(x / step), 0, layers),
  };
}

/**
 * From where to where the bars of a column go, in shares of its width: the wide one, and, while tokens are exchanged, a
 * thin one beside it that shows what was said without. The number above the wide one does not reach the thin one.
 */
export const barsOf = (both) => (both ? { wide: [0.32, 0.86], thin: [0.04, 0.19] } : { wide: [0.23, 0.77] });

/** The words of a text in as few lines as possible; `fits(line)` says whether one has room. */
export function wrapped(text, fits) {
  const lines = [];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length && fits(longer)) lines[lines.length - 1] = longer;
    else lines.push(word);
  }
  return lines;
}

/** The name of a class in two lines if it has two words: "Ankle boot", "T-shirt/top". */
export const linesOf = (name) => name.split(/(?<=\/)| /);

/** The lines, or of more than `most` the first. */
export const firstLines = (lines, most) =>
  lines.length <= most ? lines : [...lines.slice(0, most - 1), `${lines[most - 1]}…`];

/** The text, or of a longer one what `fits` of its beginning. */
export function shortened(text, fits) {
  let shown = text;
  for (let length = text.length - 1; length && !fits(shown); length--) shown = `${text.slice(0, length)}…`;
  return shown;
}
