// The attention lab: rows, softmax at a temperature, sums of a row in words, and where the small maps lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  namesOf,
  rangeOf,
  readingOf,
  rowsOf,
  softmax,
  summary,
  wordsOf,
} from "../../../vit_tutorial/explore/attention_lab/arithmetic.js";
import { smallLayout } from "../../../vit_tutorial/explore/attention_lab/geometry.js";

const near = (some, others) => some.every((number, i) => Math.abs(number - others[i]) < 1e-12);

test("softmax divides by the temperature, and large scores do not overflow", () => {
  assert.ok(near(softmax([0, Math.log(3)], 1), [0.25, 0.75]));
  assert.ok(near(softmax([0, Math.log(9)], 2), [0.25, 0.75]));
  assert.ok(near(softmax([5000, 5000], 0.1), [0.5, 0.5]));
});

test("a row is found by layer, head and query, and head -1 is the mean of all", () => {
  const numbers = Float32Array.from({ length: 2 * 2 * 3 * 3 }, (_, i) => i); // [2 layers, 2 heads, 3 tokens, 3 tokens]
  const rowOf = rowsOf([2, 2, 3]);
  assert.deepEqual([...rowOf(numbers, 1, 0, 2)], [24, 25, 26]);
  assert.deepEqual([...rowOf(numbers, 0, -1, 1)], [7.5, 8.5, 9.5]);
  assert.deepEqual([...rowOf(numbers, 0, -1, 1, (row) => row.map((one) => 2 * one))], [15, 17, 19]);
});

test("equal weights are listed from the first patch, and nothing is spread over the prefix", () => {
  const { largest, onPatches, entropy, order } = summary(Float64Array.of(0.5, 0.125, 0.25, 0.125, 0), 1);
  assert.deepEqual([largest, onPatches, order], [0.25, 0.5, [1, 0, 2, 3]]);
  assert.ok(Math.abs(entropy - 1.75 * Math.log(2)) < 1e-12);
});

test("the words are those of Python", () => {
  const row = Float64Array.of(0.125, 0.125, 0.125, 0.5, 0.125);
  const shown = { layer: 0, head: 1, temperature: 1, query: 2, row, prefix: 1, columns: 2, scores: null, reading: "" };
  assert.equal(
    wordsOf({ ...shown, ...summary(row, 1) }),
    "Layer 0, head 1: patch 1 (row 0, column 1) looks, of the patches, most at patch 2 (row 1, column 0), " +
      "with 50.0%; 12.5% goes to the class token. Entropy 1.39 nats, as if spread evenly over 4.0 of 5 tokens.",
  );
  const { tokenName } = namesOf(3, 2);
  assert.deepEqual([0, 2, 3].map(tokenName), ["the class token", "token 2", "patch 0 (row 0, column 0)"]);
  assert.equal(readingOf("token 2", -0.8125, 0.0004), "token 2: score -0.81, weight 0.040%");
  assert.equal(readingOf("token 2", null, 0), "token 2: weight <0.001%");
  assert.deepEqual(rangeOf([3, 0, -1]), { largest: "3.00", smallest: "-1.00", mean: "0.67" });
});

test("each small map is found under its own middle, and nothing outside", () => {
  for (const [layers, heads] of [
    [3, 4],
    [12, 12],
    [1, 40],
  ]) {
    const { cornerOf, mapAt, mapWidth, mapHeight, width, height } = smallLayout(layers, heads, 7, 7);
    for (const [layer, head] of [
      [0, 0],
      [layers - 1, heads - 1],
    ]) {
      const [x, y] = cornerOf(layer, head);
      assert.deepEqual(mapAt(x + mapWidth / 2, y + mapHeight / 2), { layer, head });
      assert.ok(x + mapWidth <= width && y + mapHeight <= height);
    }
    assert.equal(mapAt(5, 50), null);
    assert.equal(mapAt(50, 5), null);
  }
});

test("many heads find room on a phone, and larger numbers theirs beside and above the maps", () => {
  for (const [heads, letters] of [
    [12, 1],
    [4, 1.5],
    [12, 1.5],
  ]) {
    const { width, step, left, top, cornerOf } = smallLayout(12, heads, 14, 14, 310, letters);
    assert.ok(width <= 310);
    assert.deepEqual([left, top, cornerOf(0, 0)], [28 * letters, 20 * letters, [left, top]]);
    assert.ok(step >= 20);
  }
  assert.equal(smallLayout(12, 12, 14, 14).step, 35);
});
