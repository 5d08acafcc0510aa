// The model map: which box lies under a point, where patches and bars lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  barsIn,
  boxUnder,
  patchPlaces,
  shownLayout,
  widened,
} from "../../../vit_tutorial/explore/model_map/geometry.js";

test("a box and the line under it belong together, and between boxes there is nothing", () => {
  const places = { image: [2, 12, 80, 50], softmax: [100, 12, 80, 50] };
  const keys = Object.keys(places);
  assert.equal(boxUnder(40, 30, keys, places), "image");
  assert.equal(boxUnder(140, 75, keys, places), "softmax");
  assert.equal(boxUnder(90, 30, keys, places), null);
  assert.equal(boxUnder(140, 90, keys, places), null);
  assert.equal(boxUnder(140, 30, ["image"], places), null);
});

test("patches are spread out in reading order, and fill the sheet in one direction", () => {
  const sheet = { width: 430, height: 230 };
  const found = patchPlaces(28, 14, 7, sheet);
  assert.equal(found.length, 8);
  assert.deepEqual(
    found.slice(0, 3).map(([from]) => from),
    [
      [0, 0],
      [7, 0],
      [0, 7],
    ],
  );
  const [, [x, y], size] = found[7];
  assert.ok(Math.abs(y + size - sheet.height) < 1e-9);
  assert.ok(x + size <= sheet.width);
  assert.ok(Math.abs(found[1][1][0] - size - 3) < 1e-9);
});

test("bars start at zero, to the right and to the left, and the longest take the whole room", () => {
  const sheet = { width: 430, height: 230, names: 120, letters: 1 };
  const [positive, negative, none] = barsIn([3, -1, 0], sheet);
  assert.equal(positive.left, 120 + 260 / 4);
  assert.equal(positive.long, (260 * 3) / 4);
  assert.equal(negative.left, 120);
  assert.equal(negative.long, 260 / 4);
  assert.equal(none.long, 1);
  assert.equal(positive.end, 380);
  assert.equal(negative.end, positive.left);
  assert.equal(barsIn([0, 0], sheet)[0].left, 120);
});

test("with larger letters the map is as wide as its texts need, and never narrower than usual", () => {
  const texts = [
    [60, 80],
    [90, 75],
  ];
  assert.equal(widened(texts, 1.5), 1.2);
  assert.equal(widened([[60, 80]], 1.5), 1);
  assert.equal(widened(texts, 1), 1, "usual letters are pressed together instead");
});

test("larger letters have room beside and between the bars", () => {
  const usual = shownLayout(10);
  assert.deepEqual(usual, { width: 430, letters: 1, rows: 26, height: 230, names: 120 });
  for (const letters of [1.25, 1.5, 2, 3]) {
    const sheet = shownLayout(10, letters);
    assert.equal(sheet.width, usual.width);
    assert.ok(sheet.names >= Math.min(120 * letters, 215));
    const bars = barsIn(Array(10).fill(1), sheet);
    assert.ok(bars[1].middle - bars[0].middle >= 22 * letters - 1e-9);
    assert.ok(bars[9].top + bars[9].tall <= sheet.height);
    assert.ok(bars[0].long > 60 && bars[0].end + 50 * letters <= sheet.width);
  }
  assert.equal(shownLayout(3, 1.5).height, 230, "three bars have room as it is");
});
