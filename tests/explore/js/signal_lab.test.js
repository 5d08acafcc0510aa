// The signal lab: measured numbers found again and put into words, axes, and where the charts lie on the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import { nextOf } from "../../../vit_tutorial/explore/numbers.js";
import {
  axisEnds,
  namerOf,
  offScale,
  powerName,
  powerOf,
  powerSteps,
  rowsFrom,
  say,
  stepOf,
  wordsOf,
} from "../../../vit_tutorial/explore/signal_lab/arithmetic.js";
import { chartsLayout, WIDTH } from "../../../vit_tutorial/explore/signal_lab/geometry.js";

const norms = [
  ["pre", "before"],
  ["post", "after"],
];
const quantities = ["stream", "attention branch", "MLP branch", "gradient", "likeness"];
const GROUND_AND_CEILING = [1e-12, 1e12];

test("each setting is found in its place", () => {
  const shape = [2, 2, 3, 2, 4, 5]; // norms, residual, scales, depths, blocks, quantities
  const all = Float64Array.from({ length: shape.reduce((product, size) => product * size) }, (_, i) => i);
  const signals = new DataView(all.buffer);
  const rowsOf = rowsFrom({ signals, norms, depths: [2, 4], scales: [0.5, 1, 2], quantities });
  const indexOf = (...place) => place.reduce((index, one, axis) => index * shape[axis] + one, 0);
  assert.equal(rowsOf([2, "pre", false, 0.5]).length, 2);
  assert.deepEqual([...rowsOf([2, "pre", false, 0.5])[1]], [5, 6, 7, 8, 9]);
  assert.equal(rowsOf([4, "post", true, 2])[3][4], all.length - 1);
  assert.equal(rowsOf([4, "post", false, 1])[2][3], indexOf(1, 0, 1, 1, 2, 3));
});

test("numbers are written as Python writes them", () => {
  assert.deepEqual([0, 0.01, 3.456, 999.4].map(say), ["0.00", "0.01", "3.46", "999.40"]);
  assert.deepEqual([0.0099, 2.34e-7, 1000, 2.51e23].map(say), ["9.9e-3", "2.3e-7", "1.0e3", "2.5e23"]);
  assert.equal(say(Infinity), "overflow");
});

test("the words are those of Python", () => {
  const nameOf = namerOf(norms);
  assert.equal(nameOf([2, "post", false, 0.5]), "2 blocks, norm after, without residuals, initial scale 0.5");
  const rows = [
    [1, 0.5, 0.25, 1e-5, 0],
    [2, 0.75, 0.125, 3, 1],
  ];
  const shown = { name: nameOf([2, "pre", true, 1]), rows, block: 2, quantities, heldName: null };
  const words =
    "2 blocks, norm before, with residuals, initial scale 1. Block 2: stream 2.00, attention branch 0.75, " +
    "MLP branch 0.13, gradient 3.00, likeness 1.00. From block 1 to 2: stream 1.00 to 2.00, " +
    "gradient 1.0e-5 to 3.00, likeness 0.00 to 1.00.";
  assert.equal(wordsOf(shown), words);
  assert.equal(wordsOf({ ...shown, heldName: "another" }), `${words} Held, dashed: another.`);
});

test("a number off the scale is below it, above it, or none at all", () => {
  const signs = [0, 1e-13, 1e-12, 1, 1e12, 1e13, Infinity, NaN].map((number) => offScale(number, GROUND_AND_CEILING));
  assert.deepEqual(signs, [-1, -1, 0, 0, 0, 1, 1, 1]);
});

test("axes have room and end", () => {
  const endsOf = (...sets) => axisEnds(sets, [0], GROUND_AND_CEILING);
  assert.deepEqual(endsOf([[0.5], [2]]), [-1, 1]);
  assert.deepEqual(endsOf([[0.5]], [[2000]]), [-1, 4]);
  assert.deepEqual(endsOf([[0], [1e40]]), [-12, 12]);
  assert.equal(powerOf(0, GROUND_AND_CEILING), -12);
  assert.deepEqual(powerSteps(-1, 4), [-1, 0, 1, 2, 3, 4]);
  assert.deepEqual(powerSteps(-12, 12), [-12, -8, -4, 0, 4, 8, 12]);
  assert.deepEqual([-3, 0, 4].map(powerName), ["0.001", "1", "1e4"]);
});

test("choices go round, or end", () => {
  assert.deepEqual([nextOf(["a", "b"], "a"), nextOf(["a", "b"], "b")], ["b", "a"]);
  assert.deepEqual([stepOf([2, 6, 12], 6, 1), stepOf([2, 6, 12], 12, 1), stepOf([2, 6, 12], 2, -1)], [12, 12, 2]);
});

test("each block is found under its own middle, and nothing beside the charts", () => {
  const { inner, startOf, middleOf, blockAt } = chartsLayout(3);
  for (const chart of [0, 1, 2]) {
    for (const block of [1, 5, 24]) assert.equal(blockAt(middleOf(chart, block, 24), 24), block);
    assert.equal(blockAt(startOf(chart) - 1, 24), null);
    assert.equal(blockAt(startOf(chart) + inner + 1, 24), null);
  }
  assert.ok(Math.abs(startOf(2) + inner + 6 - WIDTH) < 1e-9);
  const narrow = chartsLayout(3, 330);
  assert.deepEqual([0, 1, 2].map(narrow.topOf), [0, 300, 600]);
  assert.deepEqual([narrow.startOf(2), narrow.height], [narrow.startOf(0), 600 + 284]);
  assert.equal(narrow.blockAt(narrow.middleOf(2, 5, 24), 24), 5);
  assert.deepEqual(
    [0, 1, 0.5].map((level) => narrow.heightOf(level, [0, 1])),
    [250, 42, 146],
  );
  const larger = chartsLayout(3, 330, 1.5);
  assert.deepEqual([larger.left, larger.top, larger.floor, larger.startOf(0)], [66, 63, 271, 66]);
  assert.equal(larger.height, 3 * (271 + 51) + 2 * 16);
});
