// What all views compute with.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  arrows,
  bestClass,
  bytesOf,
  cellUnder,
  count,
  decimals,
  finePercent,
  fitted,
  inkOn,
  largestOf,
  neighbour,
  oneOrTwoDecimals,
  patchName,
  percent,
  pixelOf,
  shownClasses,
  unpackHalf,
  unpackPictures,
  within,
} from "../../../vit_tutorial/explore/numbers.js";

test("of many classes the most probable are shown", () => {
  assert.deepEqual(shownClasses([0.2, 0.3, 0.5], 10), [0, 1, 2]);
  assert.deepEqual(shownClasses([0.1, 0.3, 0.1, 0.5], 3), [0, 1, 3]);
});

test("numbers are written as Python writes them", () => {
  assert.equal(bestClass([0.25, 0.375, 0.375], ["bag", "boot", "coat"]), "boot 37.5%");
  assert.equal(patchName(9, 7), "patch 9 (row 1, column 2)");
  assert.equal(count(38416), "38,416");
  assert.equal(percent(0.0625), "6.3%");
  assert.deepEqual([0.0625, 0.0004, 1e-6].map(finePercent), ["6.3%", "0.040%", "<0.001%"]);
  assert.deepEqual([decimals(0.125), decimals(2.25, 1)], ["0.13", "2.3"]);
  assert.deepEqual([0.1 + 0.2, 0.25, 5, 10].map(oneOrTwoDecimals), ["0.3", "0.25", "5.0", "10.0"]);
  assert.equal(patchName(3135, 56), "patch 3,135 (row 55, column 55)");
  assert.deepEqual(
    [999.994, 999.996, -1234567.5].map((one) => decimals(one)),
    ["999.99", "1,000.00", "-1,234,567.50"],
  );
});

test("half-precision numbers are read: normal, small, negative, zero", () => {
  const halves = new Uint16Array([0x3c00, 0xc000, 0x0001, 0x7bff, 0x0000]);
  assert.deepEqual([...unpackHalf(new Uint8Array(halves.buffer))], [1, -2, 2 ** -24, 65504, 0]);
});

test("bytes of a trait start on an even address of their own", () => {
  const view = new DataView(new Uint8Array([9, 1, 2, 3]).buffer, 1, 2);
  assert.deepEqual([...bytesOf(view)], [1, 2]);
  assert.equal(bytesOf(view).byteOffset, 0);
});

test("a grey pixel gets three equal channels, a coloured one its own", () => {
  const into = [];
  pixelOf({ pixels: [5, 6], channels: 1, height: 1, width: 2 })(1, into, 0);
  pixelOf({ pixels: [1, 2, 3, 4, 5, 6], channels: 3, height: 1, width: 2 })(0, into, 3);
  assert.deepEqual(into, [6, 6, 6, 1, 3, 5]);
});

test("pictures of several sizes are cut out of one row of bytes", () => {
  const pixels = new DataView(new Uint8Array([1, 2, 3, 4, 5]).buffer);
  const shapes = [
    [1, 1, 2],
    [3, 1, 1],
  ];
  const [one, two] = unpackPictures({ names: ["a", "b"], shapes, pixels });
  assert.deepEqual([one.name, one.width, [...one.pixels]], ["a", 2, [1, 2]]);
  assert.deepEqual([two.name, two.channels, [...two.pixels]], ["b", 3, [3, 4, 5]]);
});

test("of equal numbers the first is the largest", () => {
  assert.equal(largestOf([1, 3, 3]), 1);
  assert.equal(largestOf(Float32Array.of(-2, -1)), 1);
});

test("the longer side of a picture fits", () => {
  assert.deepEqual(fitted({ width: 100, height: 50 }, 336), [336, 168]);
  assert.deepEqual(fitted({ width: 28, height: 56 }, 336), [168, 336]);
});

test("arrow keys stay in the grid", () => {
  const from = (cell) => ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].map((key) => neighbour(key, cell, 2, 3));
  assert.deepEqual(from(0), [0, 1, 0, 3]);
  assert.deepEqual(from(4), [3, 5, 1, 4]);
  assert.deepEqual(from(5), [4, 5, 2, 5]);
  const went = [];
  arrows(4, 2, 3, (cell) => went.push(cell)).ArrowUp();
  assert.deepEqual(went, [1]);
});

test("a point belongs to a cell, one outside to the nearest", () => {
  assert.equal(cellUnder(70, 10, 90, 40, 2, 3), 2);
  assert.equal(cellUnder(29.9, 20, 90, 40, 2, 3), 3);
  assert.equal(cellUnder(-5, 99, 90, 40, 2, 3), 3);
  assert.deepEqual([within(-1, 0, 4), within(9, 0, 4), within(2, 0, 4)], [0, 4, 2]);
});

test("black or white stands out on every colour, 4.5 to 1 or better", () => {
  const lightOf = (colour) =>
    colour
      .map((level) => (level / 255 <= 0.03928 ? level / 255 / 12.92 : ((level / 255 + 0.055) / 1.055) ** 2.4))
      .reduce((sum, light, i) => sum + light * [0.2126, 0.7152, 0.0722][i], 0);
  for (let i = 0; i < 4096; i++) {
    const colour = [i >> 8, (i >> 4) & 15, i & 15].map((level) => 17 * level);
    const light = lightOf(colour);
    const apart = inkOn(colour) === "#000000" ? (light + 0.05) / 0.05 : 1.05 / (light + 0.05);
    assert.ok(apart >= 4.5, colour.join(" "));
  }
});
