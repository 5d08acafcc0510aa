// The numbers of the signal lab in the browser: measured in numbers.py once for every setting, looked up and told here.

import { bytesOf, decimals, within } from "../numbers.js";

/** A function from a setting [depth, norm, residual, scale] to its rows: rows[block][quantity], blocks from 0. */
export function rowsFrom({ signals, norms, depths, scales, quantities }) {
  const numbers = new Float64Array(bytesOf(signals).buffer);
  const most = Math.max(...depths);
  const size = quantities.length;
  return ([depth, norm, residual, scale]) => {
    let place = norms.findIndex(([name]) => name === norm) * 2 + (residual ? 1 : 0);
    place = place * scales.length + scales.indexOf(scale);
    place = (place * depths.length + depths.indexOf(depth)) * most;
    return Array.from({ length: depth }, (_, block) =>
      numbers.subarray((place + block) * size, (place + block + 1) * size),
    );
  };
}

/** A number for the eye: 3.14159 -> "3.14", 0.000000234 -> "2.3e-7". */
export function say(number) {
  const size = Math.abs(number);
  if (number === 0 || (size >= 0.01 && size < 1000)) return decimals(number);
  return Number.isFinite(number) ? number.toExponential(1).replace("+", "") : "overflow";
}

/** A function that puts a setting into words. */
export function namerOf(norms) {
  const normNames = Object.fromEntries(norms);
  return ([depth, norm, residual, scale]) =>
    `${depth} blocks, norm ${normNames[norm]}, ${residual ? "with" : "without"} residuals, initial scale ${scale}`;
}

/** What the lab shows, in a few sentences, as `words` in numbers.py; `name` and `heldName` are settings in words. */
export function wordsOf({ name, heldName, rows, block, quantities }) {
  const here = quantities.map((quantity, i) => `${quantity} ${say(rows[block - 1][i])}`).join(", ");
  const ends = ["stream", "gradient", "likeness"].map((quantity) => {
    const column = quantities.indexOf(quantity);
    return `${quantity} ${say(rows[0][column])} to ${say(rows[rows.length - 1][column])}`;
  });
  return (
    `${name}. Block ${block}: ${here}. From block 1 to ${rows.length}: ${ends.join(", ")}.` +
    (heldName ? ` Held, dashed: ${heldName}.` : "")
  );
}

/** The power of ten of a number, between those of the two ends; 0 has that of the first. */
export const powerOf = (number, ends) => Math.log10(within(number, ...ends));

/** 1 if a number lies above the scale, or is none; -1 if it lies below; 0 if it is on it. */
export const offScale = (number, [least, most]) => (number < least ? -1 : number <= most ? 0 : 1);

/** The powers of ten between which there is room for these columns of all rows: at least from 0.1 to 10. */
export function axisEnds(allRows, columns, ends) {
  const powers = allRows.flat().flatMap((row) => columns.map((column) => powerOf(row[column], ends)));
  return [Math.min(-1, Math.floor(Math.min(...powers))), Math.max(1, Math.ceil(Math.max(...powers)))];
}

/** The powers of ten at which lines are drawn, at most seven, and what is written beside one. */
export function powerSteps(low, high) {
  const all = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return all.filter((power) => power % Math.ceil((high - low) / 6) === 0);
}
export const powerName = (power) => (Math.abs(power) <= 3 ? String(Number(`1e${power}`)) : `1e${power}`);

/** The choice `step` places further, not beyond the ends. */
export const stepOf = (choices, current, step) =>
  choices[within(choices.indexOf(current) + step, 0, choices.length - 1)];
