// The patch lab: orders, patches put back, costs, and where the patches lie on the page.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attentionCost,
  inverse,
  levels,
  meanColours,
  nearestSize,
  numberOf,
  patchSizes,
  rearranged,
  sequenceOrder,
  withPrefix,
} from "../../../vit_tutorial/explore/patch_lab/arithmetic.js";
import {
  cutLayout,
  firstShown,
  numberSize,
  sameSpot,
  stripLayout,
} from "../../../vit_tutorial/explore/patch_lab/geometry.js";

const picture = { channels: 1, height: 4, width: 4, pixels: Uint8Array.from({ length: 16 }, (_, i) => i) };

test("the orders are those of Python", () => {
  assert.deepEqual(sequenceOrder(2, 3, "row by row", 0), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(sequenceOrder(2, 3, "column by column", 0), [0, 3, 1, 4, 2, 5]);
  assert.deepEqual(sequenceOrder(2, 3, "shuffled", 0), [4, 0, 2, 3, 5, 1]);
  assert.deepEqual([...inverse([4, 0, 2, 3, 5, 1])], [1, 5, 2, 3, 0, 4]);
});

test("patch sizes divide both sides, and the nearest one is not larger", () => {
  assert.deepEqual(patchSizes({ height: 12, width: 8 }), [1, 2, 4]);
  assert.deepEqual(
    [3, 4, 99].map((size) => nearestSize({ height: 12, width: 8 }, size)),
    [2, 4, 4],
  );
});

test("patches put back in their own places give the picture, in others the largest difference", () => {
  assert.deepEqual(rearranged(picture, 2, 2, [0, 1, 2, 3]), { pixels: picture.pixels, difference: 0 });
  const { pixels, difference } = rearranged(picture, 2, 2, [3, 1, 2, 0]);
  assert.deepEqual([...pixels.slice(0, 4), pixels[15], difference], [10, 11, 2, 3, 5, 10]);
});

test("a row of the matrix is a patch: row, column, channel", () => {
  assert.deepEqual(
    [0, 1, 2, 3].map((k) => numberOf(picture, 2, 2, 3, k)),
    [10, 11, 14, 15],
  );
  const colour = { channels: 3, height: 1, width: 2, pixels: [1, 2, 3, 4, 5, 6] };
  assert.deepEqual(
    [0, 1, 2].map((k) => numberOf(colour, 1, 2, 1, k)),
    [2, 4, 6],
  );
  assert.deepEqual([...meanColours(picture, 2, 2, 4)].slice(9), [12.5, 12.5, 12.5]);
});

test("levels are means of what they cover", () => {
  const { width, height, means } = levels(2, 4, 2, 9, (row, column) => 10 * row + column);
  assert.deepEqual([width, height, [...means]], [2, 2, [0.5, 2.5, 10.5, 12.5]]);
});

test("large numbers have three digits and a prefix", () => {
  const numbers = [0, 999, 1000, 9_995, 99_950, 999_500, 1_416_167_424];
  assert.deepEqual(numbers.map(withPrefix), ["0 ", "999 ", "1.00 k", "10.0 k", "100 k", "1.00 M", "1.42 G"]);
  assert.deepEqual(attentionCost(196), { flops: "1.42 GFLOP", bytes: "1.84 MB" });
});

test("every corner lies in its own cell, with and without a gap", () => {
  for (const [rows, columns, gap] of [
    [4, 4, 2],
    [2, 4, 0],
    [100, 100, 8],
  ]) {
    const layout = cutLayout({ width: 10 * columns, height: 10 * rows }, rows, columns, gap, 336);
    for (const cell of [0, columns - 1, columns, rows * columns - 1]) {
      const [x, y] = layout.cornerOf(cell);
      assert.equal(layout.cellAt(x + layout.cellWidth / 2, y + layout.cellHeight / 2), cell);
    }
    const [x, y] = layout.cornerOf(rows * columns - 1);
    assert.ok(Math.abs(x + layout.cellWidth - layout.width) < 1e-9);
    assert.ok(Math.abs(y + layout.cellHeight - layout.height) < 1e-9);
    assert.equal(layout.cellAt(-9, 1e4), (rows - 1) * columns);
  }
  assert.equal(cutLayout({ width: 100, height: 100 }, 100, 100, 8, 336).space, 0);
});

test("larger letters are written in the cells as far as these have room", () => {
  assert.equal(numberSize(60, 2), 14);
  assert.equal(numberSize(60, 2, 1.5), 21);
  assert.equal(numberSize(20, 3), numberSize(20, 3, 1.5));
});

test("in the sequence larger letters have larger patches, and fewer", () => {
  const usual = stripLayout();
  assert.deepEqual([usual.shown, usual.thumb, usual.height], [20, 42, 72]);
  for (const letters of [1.25, 1.5, 2, 25]) {
    const { width, height, top, shown, step, thumb } = stripLayout(letters);
    assert.ok(shown >= 1 && thumb >= Math.min(42 * letters, 900) && top + thumb < height);
    assert.ok(Math.abs(shown * step - width) < 1e-9 && width === usual.width);
  }
});

test("the chosen token stands in the middle of the places shown", () => {
  assert.deepEqual(
    [0, 30, 48].map((token) => firstShown(token, 20, 49)),
    [0, 20, 29],
  );
});

test("another patch size stays on the same spot of the picture", () => {
  assert.equal(sameSpot(6, 4, 8, 8, 4), 3 * 8 + 5); // of 32 pixels: row 1, column 2, whose middle is at (12, 20)
  assert.equal(sameSpot(63, 8, 4, 2, 16), 3);
});
