// The token table: rows, parts and answers found in what Python sends, its words, and where rows and numbers lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cosines,
  nearestOf,
  plus,
  shapesOf,
  stateFrom,
  wordsOf,
} from "../../../vit_tutorial/explore/token_table/arithmetic.js";
import {
  firstShown,
  mapLayout,
  stripsLayout,
  tableLayout,
} from "../../../vit_tutorial/explore/token_table/geometry.js";

// 2 pictures, 8 ways, 2 stages, a class token and 2 patches, 2 numbers a token, 2 classes; each number names its place.
const sizes = [2, 8, 2, 3, 2];
const count = (shape) => shape.reduce((product, size) => product * size);
const rising = (shape) => Float32Array.from({ length: count(shape) }, (_, i) => i);
const at = (shape, ...place) => place.reduce((index, one, axis) => index * shape[axis] + one, 0);
const readsShape = [2, 8, 2, 4, 2];
const probabilities = new Float32Array(count(readsShape)).fill(0.25);
const sent = { names: ["one", "two"], classes: ["cat", "dog"], sizes, tokens: rising(sizes), probabilities };
const stateOf = stateFrom({ ...sent, embeddings: rising([2, 3, 2]), positions: rising([3, 2]) });
const FULL = {
  ...{ picture: "one", stage: 0, token: 0, number: 0, reads: "row 0" },
  ...{ patches: true, class_token: true, positions: true },
};

test("rows are found by picture, switches and stage", () => {
  const { rows, first, token } = stateOf({ ...FULL, picture: "two", stage: 1, positions: false, token: 2 });
  const start = at(sizes, 1, 1, 1, 0, 0);
  const numbers = rows.map((row) => [...row]);
  assert.deepEqual(
    numbers,
    [0, 2, 4].map((more) => [start + more, start + more + 1]),
  );
  assert.deepEqual([first, token], [0, 2]);
});

test("without the class token, token 0 stands for patch 0 in row 0", () => {
  const { rows, first, token } = stateOf({ ...FULL, patches: false, class_token: false });
  assert.deepEqual([first, token, rows.length], [1, 1, 2]);
  assert.deepEqual([...rows[0]], [at(sizes, 0, 6, 0, 1, 0), at(sizes, 0, 6, 0, 1, 1)]);
});

test("the parts of a row", () => {
  const partsOf = (changes) => stateOf({ ...FULL, picture: "two", ...changes }).parts.map((part) => [...part]);
  const own = at(sizes, 1, 0, 0, 1, 0);
  assert.deepEqual(partsOf({ token: 1 }), [
    [8, 9],
    [2, 3],
    [own, own + 1],
  ]);
  assert.deepEqual(partsOf({ token: 1, patches: false, positions: false }).slice(0, 2), [
    [0, 0],
    [0, 0],
  ]);
  assert.deepEqual(partsOf({ token: 0, patches: false })[0], [6, 7], "the class token is no patch");
  const later = at(sizes, 1, 0, 1, 1, 0);
  assert.deepEqual(partsOf({ token: 1, stage: 1 }), [
    [own, own + 1],
    [6, 6],
    [later, later + 1],
  ]);
  assert.deepEqual(stateOf({ ...FULL, stage: 1 }).partNames, ["at the start", "from 1 block", "token"]);
});

test("the head reads row 0, the mean of the patches, or the chosen row", () => {
  const answers = { "row 0": 0, "the mean of the patches": 3, "the chosen row": 2 };
  for (const [reads, row] of Object.entries(answers)) {
    const place = at(readsShape, 0, 1, 0, row, 1);
    probabilities[place] = 0.75;
    const { here, atTheEnd } = stateOf({ ...FULL, positions: false, token: 2, reads });
    probabilities[place] = 0.25;
    assert.deepEqual(
      [here, atTheEnd],
      [
        ["dog", 0.75],
        ["cat", 0.25],
      ],
      reads,
    );
  }
  const place = at(readsShape, 0, 0, 1, 0, 1);
  probabilities[place] = 0.5;
  assert.deepEqual(stateOf({ ...FULL, patches: false }).allOn, ["dog", 0.5]);
  probabilities[place] = 0.25;
});

test("cosines know the angle and survive zeros; the first of the nearest rows is named", () => {
  const rows = [
    [1, 0],
    [2, 0],
    [0, 3],
    [-1, 0],
    [0, 0],
  ];
  assert.deepEqual(
    cosines(rows, 0).map((one) => one + 0),
    [1, 1, 0, -1, 0],
  );
  assert.deepEqual(cosines(rows, 4), [0, 0, 0, 0, 0]);
  assert.deepEqual([nearestOf([1, 0.5, 0.50001], 0), nearestOf([0.2, 1, 0.9], 1)], [1, 2]);
});

test("the words are those of Python", () => {
  const state = stateOf({ ...FULL, token: 2, number: 1, positions: false });
  assert.equal(
    wordsOf(state, 2),
    "one, after the embedding: [3, 2], patches on, class token on, positions off. Row 2 is patch 1 (row 0, column 1 " +
      "of the picture). Its number 1: 5.00 (patch embedding) + 0.00 (position) = 17.00. Most like it is row 0, the " +
      "class token, with cosine 1.00. The head, reading row 0, the class token, says cat 25.0% here, and cat 25.0% " +
      "after the last block.",
  );
  const other = wordsOf(stateOf({ ...FULL, stage: 1, class_token: false, reads: "the chosen row" }), 2);
  assert.ok(
    other.startsWith("one, after block 1: [2, 2], patches on, class token off, positions on. Row 0 is patch 0"),
  );
  assert.ok(other.includes("The head, reading the chosen row, says cat 25.0% here"));
  const nothing = wordsOf({ ...state, parts: Array(3).fill([0, 0]) }, 2);
  assert.ok(nothing.includes(" = 0.00. All its numbers are 0: no cosine tells which row is most like it. The head,"));
  assert.deepEqual([0.5, -0.126, -0.001].map(plus), ["+ 0.50", "- 0.13", "+ 0.00"]);
  const shapes = shapesOf(state, 2, 2).map(([, shape]) => shape);
  assert.deepEqual(shapes, ["[2, 2]", "[3, 2]", "[3, 2]", "[3, 2]", "[2]", "[2]"]);
});

test("rows and numbers are found under their own middle", () => {
  for (const letters of [1, 1.5, 2]) {
    const { width, margin, top, wide, right, similarity, stepX, stepY, ...table } = tableLayout(50, 24, 7, letters);
    for (const row of [0, 20, 49]) assert.equal(table.rowAt(top + (row + 0.5) * stepY, 50), row);
    assert.deepEqual([table.rowAt(0, 50), table.rowAt(999, 49)], [0, 48]);
    for (const number of [0, 11, 23]) assert.equal(table.numberAt(margin + (number + 0.5) * stepX), number);
    assert.deepEqual([table.numberAt(margin - 1), table.numberAt(margin + wide + 1)], [null, null]);
    assert.deepEqual([width, right + similarity <= width], [594, true], "names take their room from the numbers");
    const strips = stripsLayout(24, letters);
    assert.equal(strips.margin + strips.wide, 912);
    assert.deepEqual([strips.numberAt(strips.margin - 1), strips.numberAt(912)], [null, 23]);
    assert.equal(strips.numberAt(strips.margin + (5.5 * strips.wide) / 24), 5);
  }
});

test("where lines of letters would meet, fewer are written", () => {
  for (const [rows, columns, letters] of [
    [7, 7, 1.5],
    [14, 14, 2],
    [32, 32, 1],
    [32, 32, 1.5],
    [64, 64, 2],
  ]) {
    const { stepY, line, every } = tableLayout(rows * columns + 1, 24, columns, letters);
    assert.equal(line, 12 * letters);
    assert.ok(every * columns * stepY >= line && (every - 1) * columns * stepY < line);
  }
  assert.equal(tableLayout(197, 24, 14).every, 1);
});

test("the similarity of the class token has its room above the patches", () => {
  assert.deepEqual(mapLayout(188), { width: 188, above: 22, tall: 17 });
  assert.deepEqual(mapLayout(188, 2), { width: 264, above: 44, tall: 34 });
});

test("numbers move on eight by eight, and the last ones stand at the end", () => {
  assert.deepEqual(
    [0, 7, 8, 19, 20].map((number) => firstShown(number, 20)),
    [0, 0, 8, 12, 12],
  );
  assert.equal(firstShown(3, 5), 0);
});
