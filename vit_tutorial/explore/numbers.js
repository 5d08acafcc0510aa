// What the views of all explorers compute with: bytes, pixels, cells of a grid, and numbers in words. No page is needed.

/** The bytes of a trait, copied so that they start on an even address. */
export function bytesOf(view) {
  return new Uint8Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

/** Half-precision numbers as ordinary ones. */
export function unpackHalf(bytes) {
  const halves = new Uint16Array(bytes.buffer);
  const numbers = new Float32Array(halves.length);
  for (let i = 0; i < halves.length; i++) {
    const exponent = (halves[i] >> 10) & 31;
    const fraction = halves[i] & 1023;
    const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
    numbers[i] = halves[i] & 32768 ? -size : size;
  }
  return numbers;
}

/** Write pixel i of a picture stored channel by channel; a grey one gets three equal channels. */
export function pixelOf(picture) {
  const { pixels, channels, height, width } = picture;
  const next = channels === 1 ? 0 : height * width;
  return (i, into, at) => {
    into[at] = pixels[i];
    into[at + 1] = pixels[i + next];
    into[at + 2] = pixels[i + 2 * next];
  };
}

/** Width and height of a picture whose longer side is `side` CSS pixels. */
export function fitted(picture, side) {
  const scale = side / Math.max(picture.width, picture.height);
  return [Math.round(picture.width * scale), Math.round(picture.height * scale)];
}

/** 38416 -> "38,416". */
export const count = (number) => number.toLocaleString("en-US");

/** 0.0625 -> "6.3%". */
export const percent = (share) => `${(Math.floor(share * 1000 + 0.5) / 10).toFixed(1)}%`;

/** Like percent, but a small share keeps two digits: 0.000012 -> "0.0012%"; "<0.001%" below that. */
export const finePercent = (share) =>
  share >= 0.0005 ? percent(share) : share < 1e-5 ? "<0.001%" : `${(100 * share).toPrecision(2)}%`;

/** 2.345 -> "2.35", 1234.5 -> "1,234.50". */
export function decimals(number, digits = 2) {
  const rounded = Math.floor(number * 10 ** digits + 0.5) / 10 ** digits;
  if (Math.abs(rounded) < 1000) return rounded.toFixed(digits);
  return rounded.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** 0.5 -> "0.5", 0.25 -> "0.25": a second decimal only where it is needed. */
export const oneOrTwoDecimals = (number) => decimals(number).replace(/0$/, "");

/** Black or white on a colour, its red, green and blue from 0 to 255: the one that stands out more, 4.5 to 1 or better. */
export function inkOn(colour) {
  const [red, green, blue] = Array.from(colour, (level) =>
    level <= 10 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4,
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? "#000000" : "#ffffff"; // luminance after WCAG 2
}

/** The number, or the end of the range that it is beyond. */
export const within = (number, least, most) => Math.min(most, Math.max(least, number));

/** Where the largest of some numbers stands, the first of equal ones. */
export const largestOf = (numbers) => numbers.reduce((best, value, i) => (value > numbers[best] ? i : best), 0);

/** How many letters the longest of some names has. */
export const longestOf = (names) => Math.max(...names.map((name) => name.length));

/** The most probable class: "Sneaker 92.0%". */
export function bestClass(probabilities, classes) {
  const best = largestOf(probabilities);
  return `${classes[best]} ${percent(probabilities[best])}`;
}

/** The classes whose bars are shown: all, in their order, or the most probable ones. */
export function shownClasses(probabilities, bars) {
  const order = Array.from(probabilities, (_, i) => i);
  if (order.length > bars) order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  return order.slice(0, bars).sort((a, b) => a - b);
}

/** The choice after the current one, or `by` places on, round and round. */
export const nextOf = (choices, current, by = 1) =>
  choices[(choices.indexOf(current) + by + choices.length) % choices.length];

/** "patch 9 (row 1, column 1)", on a grid of so many columns. */
export const patchName = (patch, columns) =>
  `patch ${count(patch)} (row ${Math.floor(patch / columns)}, column ${patch % columns})`;

const DIRECTIONS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** The cell beside `cell` in the direction of an arrow key, or `cell` itself at the edge; cells count row by row. */
export function neighbour(key, cell, rows, columns) {
  const [down, along] = DIRECTIONS[key];
  const row = within(Math.floor(cell / columns) + down, 0, rows - 1);
  return row * columns + within((cell % columns) + along, 0, columns - 1);
}

/** What the four arrow keys do if each moves to the cell beside. */
export function arrows(cell, rows, columns, go) {
  return Object.fromEntries(Object.keys(DIRECTIONS).map((key) => [key, () => go(neighbour(key, cell, rows, columns))]));
}

/** What Page Up and Page Down do: one more, and one less. */
export const pages = (step) => ({ PageUp: () => step(1), PageDown: () => step(-1) });

/** The cell of a grid of width x height under a point; a point outside belongs to the cell nearest to it. */
export function cellUnder(x, y, width, height, rows, columns) {
  const row = within(Math.floor((y / height) * rows), 0, rows - 1);
  return row * columns + within(Math.floor((x / width) * columns), 0, columns - 1);
}

/** Pictures as pictures.py packs them: each with its name, channels, height, width and pixels. */
export function unpackPictures({ names, shapes, pixels }) {
  const all = bytesOf(pixels);
  let start = 0;
  return names.map((name, i) => {
    const [channels, height, width] = shapes[i];
    const end = start + channels * height * width;
    const picture = { name, channels, height, width, pixels: all.subarray(start, end) };
    start = end;
    return picture;
  });
}
