// The numbers of the position lab in the browser: the same as in numbers.py.

import { count, decimals, percent } from "../numbers.js";

export const SHOWS = ["cosine similarity", "one of the D numbers"];

/** The matrix [next, old] that stretches a line of `old` numbers; all of them lie one after the other. */
export function stretchMatrix(stretches, old, next) {
  let start = 0;
  for (let grid = old; grid < next; grid++) start += grid * old;
  return stretches.subarray(start, start + next * old);
}

/** A table of positions [old * old, dim] on another grid, and its rows at length 1. */
export function stretched(table, matrix, old, grid, dim) {
  const wide = new Float64Array(old * grid * dim);
  for (let r = 0; r < old; r++)
    for (let x = 0; x < grid; x++)
      for (let c = 0; c < old; c++)
        add(wide, (r * grid + x) * dim, matrix[x * old + c], table, (r * old + c) * dim, dim);
  const values = new Float64Array(grid * grid * dim);
  for (let y = 0; y < grid; y++)
    for (let r = 0; r < old; r++) add(values, y * grid * dim, matrix[y * old + r], wide, r * grid * dim, grid * dim);
  const units = Float64Array.from(values);
  for (let at = 0; at < units.length; at += dim) {
    const row = units.subarray(at, at + dim);
    const length = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    for (let d = 0; d < dim; d++) row[d] /= length;
  }
  return { values, units };
}

/** Add so many numbers from a place in one array, times a share, to those at a place in another. */
function add(into, at, share, from, start, length) {
  if (share === 0) return;
  for (let d = 0; d < length; d++) into[at + d] += share * from[start + d];
}

/** The cosine similarity of one position to all of them, from rows of length 1. */
export function similarityTo(units, position, dim) {
  const found = new Float64Array(units.length / dim);
  const start = position * dim;
  for (let i = 0; i < found.length; i++)
    for (let d = 0; d < dim; d++) found[i] += units[i * dim + d] * units[start + d];
  return found;
}

/** The mean of a map left and right of a position, above and below it, and far from it. */
export function neighbourhood(values, position, grid) {
  const sums = [0, 0, 0];
  const counts = [0, 0, 0];
  values.forEach((value, i) => {
    const down = Math.abs(Math.floor(i / grid) - Math.floor(position / grid));
    const along = Math.abs((i % grid) - (position % grid));
    [down === 0 && along === 1, down === 1 && along === 0, 2 * (down + along) > grid].forEach((there, which) => {
      if (!there) return;
      sums[which] += value;
      counts[which] += 1;
    });
  });
  return sums.map((sum, which) => sum / counts[which]);
}

/** The lowest and the highest number of the colours of each map: its own, or one for all. */
export function endsOf(maps, similar, own) {
  if (similar) return maps.map((values) => [own ? values.reduce((low, one) => Math.min(low, one)) : -1, 1]);
  const tops = maps.map((values) => values.reduce((top, one) => Math.max(top, Math.abs(one)), 0));
  return tops.map((top) => (own ? top : Math.max(...tops))).map((top) => [-top, top]);
}

/** The lines below a map: what it holds, unless the colours reach just as far, and what the colours stand for. */
export function belowMap(values, ends) {
  const [held, coloured] = [[Math.min(...values), Math.max(...values)], ends].map((pair) =>
    pair.map((one) => decimals(one)),
  );
  const colours = `dark ${coloured[0]}, yellow ${coloured[1]}`;
  const same = held.every((one, i) => one === coloured[i]);
  return same ? [colours] : [`lowest ${held[0]}, highest ${held[1]}`, colours];
}

/** Where a position lies on another grid, if it stays at the same place of the picture. */
export function samePlace(place, grid) {
  return Math.floor(place[0] * grid) * grid + Math.floor(place[1] * grid);
}

/** The middle of a position, as shares of the picture's height and width. */
export function placeOf(position, grid) {
  return [(Math.floor(position / grid) + 0.5) / grid, ((position % grid) + 0.5) / grid];
}

/** What shuffled patches changed: weights taken home, and the largest changes of a weight and of a probability. */
export function shuffleChange(order, weights, straight, probabilities, straightProbabilities) {
  const home = new Float64Array(weights.length);
  order.forEach((from, to) => {
    home[from] = weights[to];
  });
  const apart = (one, other) => one.reduce((largest, value, i) => Math.max(largest, Math.abs(value - other[i])), 0);
  return { home, change: [apart(home, straight), apart(probabilities, straightProbabilities)] };
}

/** A difference of two shares in percentage points, with one decimal. */
export const points = (share) => percent(share).slice(0, -1);

export const orderName = (order) => (order === 0 ? "in order" : `shuffle ${order}`);

export const placeName = (position, grid) =>
  `position ${count(position)} (row ${Math.floor(position / grid)}, column ${position % grid})`;

/** What the four maps show, in a few sentences. */
export function wordsOfPositions({ grid, position, show, number, patch, kinds, maps, near }) {
  const side = grid * patch;
  const text = `${count(side)} × ${count(side)} pixels: ${grid} × ${grid} positions. `;
  const place = placeName(position, grid);
  if (show === SHOWS[0]) {
    const parts = kinds.map((kind, i) => `${kind} ${near[i].map((value) => decimals(value)).join(", ")}`);
    return (
      `${text}Similarity of ${place} to those left and right, above and below, and over half a side away: ` +
      `${parts.join("; ")}.`
    );
  }
  return `${text}Number ${count(number)} of ${place}: ${kinds.map((kind, i) => `${kind} ${decimals(maps[i][position])}`).join("; ")}.`;
}

/** What the shuffle changed, in a sentence: the largest changes of a weight and of a probability, without and with. */
export function wordsOfShuffle(order, changes) {
  if (order === 0) return "The patches are in order: choose a shuffle.";
  const name = orderName(order);
  const [blind, seeing] = changes.map((change) => change.map(points));
  return (
    `${name[0].toUpperCase()}${name.slice(1)} changes, without positions, weights by at most ${blind[0]} and ` +
    `probabilities by at most ${blind[1]} percentage points; with positions, by ${seeing[0]} and ${seeing[1]}.`
  );
}
