// The position lab: stretching, similarity, neighbours, the shuffle, and where the maps lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  belowMap,
  endsOf,
  neighbourhood,
  placeOf,
  samePlace,
  shuffleChange,
  similarityTo,
  stretched,
  stretchMatrix,
  wordsOfPositions,
  wordsOfShuffle,
} from "../../../vit_tutorial/explore/position_lab/arithmetic.js";
import { mapsLayout, WIDTH } from "../../../vit_tutorial/explore/position_lab/geometry.js";

const near = (some, others) => some.every((number, i) => Math.abs(number - others[i]) < 1e-12);

test("a table is stretched along columns and along rows, and its rows get length 1", () => {
  const matrix = Float64Array.of(1, 0, 0.5, 0.5, 0, 1); // 2 -> 3
  const { values, units } = stretched(Float64Array.of(0, 3, 2, 1, 4, 1, 6, 1), matrix, 2, 3, 2);
  const first = Array.from({ length: 9 }, (_, i) => values[2 * i]);
  assert.ok(near(first, [0, 1, 2, 2, 3, 4, 4, 5, 6]));
  for (let i = 0; i < 9; i++) assert.ok(Math.abs(Math.hypot(units[2 * i], units[2 * i + 1]) - 1) < 1e-12);
});

test("the matrices lie one after the other, the one of the own grid first", () => {
  const all = Float32Array.from({ length: 2 * 2 + 3 * 2 + 4 * 2 }, (_, i) => i);
  assert.deepEqual([...stretchMatrix(all, 2, 2)], [0, 1, 2, 3]);
  assert.deepEqual([...stretchMatrix(all, 2, 4)], [10, 11, 12, 13, 14, 15, 16, 17]);
});

test("similarity is the cosine with rows of length 1", () => {
  assert.ok(near(similarityTo(Float64Array.of(1, 0, 0, 1, 0.6, 0.8), 2, 2), [0.6, 0.8, 1]));
});

test("neighbours are beside and above, and far is more than half a side away", () => {
  const values = Float64Array.from({ length: 49 }, (_, i) => i);
  assert.deepEqual(neighbourhood(values, 24, 7).slice(0, 2), [24, 24]);
  assert.deepEqual(neighbourhood(values, 0, 7).slice(0, 2), [1, 7]);
  const far = values.map((_, i) => Number(Math.abs(Math.floor(i / 7) - 3) + Math.abs((i % 7) - 3) >= 4));
  assert.equal(neighbourhood(far, 24, 7)[2], 1);
  const threeAway = Float64Array.of(0, 0, 0, 1, 0, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1); // on 4 x 4; two steps are half a side
  assert.equal(neighbourhood(threeAway, 0, 4)[2], 1);
});

test("colours reach from the lowest number to 1, or as far to both sides; own or one for all", () => {
  const maps = [Float64Array.of(0.5, 1), Float64Array.of(-0.25, 2)];
  assert.deepEqual(endsOf(maps, true, true), [
    [0.5, 1],
    [-0.25, 1],
  ]);
  assert.deepEqual(endsOf(maps, true, false), [
    [-1, 1],
    [-1, 1],
  ]);
  assert.deepEqual(endsOf(maps, false, true), [
    [-1, 1],
    [-2, 2],
  ]);
  assert.deepEqual(endsOf(maps, false, false), [
    [-2, 2],
    [-2, 2],
  ]);
});

test("what a map holds stands below it only where the colours reach further", () => {
  const values = Float64Array.of(0.25, 0.996);
  assert.deepEqual(belowMap(values, [0.25, 1]), ["dark 0.25, yellow 1.00"]);
  assert.deepEqual(belowMap(values, [-1, 1]), ["lowest 0.25, highest 1.00", "dark -1.00, yellow 1.00"]);
});

test("a position stays at its place of the picture on every grid", () => {
  for (let position = 0; position < 49; position++) {
    assert.equal(samePlace(placeOf(position, 7), 7), position);
    const finer = samePlace(placeOf(position, 7), 14);
    assert.equal(Math.floor(finer / 28) * 7 + Math.floor((finer % 14) / 2), position);
  }
});

test("weights are taken home, and the largest changes are found", () => {
  const found = shuffleChange([2, 0, 1], [0.5, 0.25, 0.25], [0.25, 0.25, 0.5], [0.75, 0.25], [0.5, 0.5]);
  assert.deepEqual([...found.home], [0.25, 0.25, 0.5]);
  assert.deepEqual(found.change, [0, 0.25]);
});

test("the words are those of Python", () => {
  const shown = { grid: 3, position: 4, number: 1, patch: 4, kinds: ["learned"], maps: [[0, 0, 0, 0, 1]] };
  const near = [[0.5, 0.25, 0]];
  assert.equal(
    wordsOfPositions({ ...shown, show: "cosine similarity", near }),
    "12 × 12 pixels: 3 × 3 positions. Similarity of position 4 (row 1, column 1) to those left and right, above and " +
      "below, and over half a side away: learned 0.50, 0.25, 0.00.",
  );
  assert.equal(
    wordsOfPositions({ ...shown, show: "one of the D numbers", near }),
    "12 × 12 pixels: 3 × 3 positions. Number 1 of position 4 (row 1, column 1): learned 1.00.",
  );
  assert.equal(wordsOfShuffle(0, []), "The patches are in order: choose a shuffle.");
  const changes = [
    [0, 0],
    [0.0625, 0.5],
  ];
  assert.equal(
    wordsOfShuffle(3, changes),
    "Shuffle 3 changes, without positions, weights by at most 0.0 and probabilities by at most 0.0 percentage points; " +
      "with positions, by 6.3 and 50.0.",
  );
});

test("a point belongs to the position under it, in each of the maps, and to none between them", () => {
  for (const width of [WIDTH, 330]) {
    const { side, cornerOf, positionUnder, height } = mapsLayout(width, 4);
    const middle = (map, row, column) => {
      const [left, top] = cornerOf(map);
      return [left + (side * (column + 0.5)) / 7, top + (side * (row + 0.5)) / 7];
    };
    for (let map = 0; map < 4; map++) assert.equal(positionUnder(...middle(map, 6, 0), 7), 42);
    const [left, top] = cornerOf(0);
    assert.equal(positionUnder(left + side + 5, top + 5, 7), null);
    assert.equal(positionUnder(5, 5, 7), null);
    assert.equal(positionUnder(-5, top + 5, 7), null);
    assert.equal(positionUnder(left + 5, height + 20, 7), null);
  }
});

test("where it is narrow, two maps lie below the other two", () => {
  const [wide, narrow] = [WIDTH, 330].map((width) => mapsLayout(width, 4));
  assert.deepEqual(
    [0, 1, 2, 3].map((map) => wide.cornerOf(map)[1]),
    [22, 22, 22, 22],
  );
  assert.ok(Math.abs(wide.cornerOf(3)[0] + wide.side - WIDTH) < 1e-9);
  assert.deepEqual(narrow.cornerOf(2), [0, narrow.cornerOf(1)[1] + narrow.side + 72]);
  assert.ok(narrow.side > 150 && narrow.cornerOf(3)[0] + narrow.side <= 330);
  assert.ok(narrow.cornerOf(3)[1] + narrow.side + 32 <= narrow.height);
});

test("larger letters and more lines below a map have their room", () => {
  for (const [width, lines, letters] of [
    [WIDTH, 2, 1],
    [WIDTH, 4, 1.5],
    [310, 4, 1.5],
  ]) {
    const { side, cornerOf, lineBelow, height } = mapsLayout(width, 4, lines, letters);
    assert.equal(cornerOf(0)[1], 22 * letters);
    assert.ok(lineBelow(0) - side >= 6 * letters && lineBelow(1) - lineBelow(0) === 16 * letters);
    const last = lineBelow(lines - 1) + 6 * letters;
    assert.ok(cornerOf(3)[1] + last <= height);
    if (cornerOf(2)[0] === 0) assert.ok(cornerOf(0)[1] + last < cornerOf(2)[1] - cornerOf(0)[1]);
  }
});
