// The heads gallery: which heads are off, what is said, and where the maps lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  goneIn,
  offWords,
  onPatches,
  withGone,
  without,
  wordsOf,
} from "../../../vit_tutorial/explore/heads_gallery/arithmetic.js";
import { largeLayout, smallLayout } from "../../../vit_tutorial/explore/heads_gallery/geometry.js";

const OFF = [
  [0, 1],
  [2, 0],
  [2, 1],
];

test("heads of one layer are switched, and those of the others stay; all in order", () => {
  assert.deepEqual(goneIn(OFF, 2), [0, 1]);
  assert.deepEqual(goneIn(OFF, 1), []);
  assert.deepEqual(withGone(OFF, 2, [1]), OFF.toSpliced(1, 1));
  assert.deepEqual(withGone(OFF, 1, [1, 0]), OFF.toSpliced(1, 0, [1, 0], [1, 1]));
  assert.deepEqual(withGone([], 11, [10, 9]), [
    [11, 9],
    [11, 10],
  ]);
  assert.deepEqual(without(4), [0, 1, 2, 3]);
  assert.deepEqual(without(4, 1, 2), [0, 3]);
});

test("which heads are off, in words", () => {
  assert.equal(offWords([], 4), "nothing");
  assert.equal(offWords(OFF, 2), "layer 0 head 1; layer 2 all heads");
  const some = [
    [1, 0],
    [1, 2],
    [3, 3],
  ];
  assert.equal(offWords(some, 4), "layer 1 heads 0 and 2; layer 3 head 3");
});

test("a query's weights on the patches are found by head and query", () => {
  const maps = Float32Array.from({ length: 2 * 3 * 3 }, (_, i) => i); // [2 heads, 3 tokens, 3 tokens]
  assert.deepEqual([...onPatches(maps, 3, 1, 1, 2)], [16, 17]);
  assert.deepEqual([...onPatches(maps, 3, 0, 0, 1)], [3, 4, 5]);
});

test("the words are those of Python", () => {
  const shown = {
    ...{ name: "one", layer: 2, query: 5, off: OFF, seen: [Float32Array.of(0.25, 0.5), Float32Array.of(0.125, 0)] },
    ...{ probabilities: [0.25, 0.75], allOn: [0.5, 0.5], label: 1, classes: ["cat", "dog"], prefix: 1, columns: 3 },
  };
  assert.equal(
    wordsOf(shown),
    "one, layer 2. Patch 4 (row 1, column 1) looks most at: head 0 (off) patch 1 (50.0%), " +
      "head 1 (off) patch 0 (12.5%). Switched off: layer 0 head 1; layer 2 all heads. " +
      "The model says dog 75.0%; with all heads on, cat 50.0%. The label is dog.",
  );
  const unknown = wordsOf({ ...shown, query: 0, layer: 1, label: null });
  assert.ok(unknown.startsWith("one, layer 1. The class token looks most at: head 0 patch 1 (50.0%), head 1 patch 0"));
  assert.ok(unknown.endsWith("with all heads on, cat 50.0%."));
});

test("each small map is inside, and its layer is found under it, but none above or below them", () => {
  for (const [layers, heads, letters] of [
    [6, 4, 1],
    [12, 12, 1],
    [12, 12, 1.5],
    [1, 1, 2],
  ]) {
    const layout = smallLayout({ width: 28, height: 28 }, layers, heads, letters);
    assert.deepEqual([layout.left, layout.top], [26 * letters, 20 * letters]);
    assert.ok(layout.width <= 404, "larger letters take their room from the maps");
    for (let layer = 0; layer < layers; layer++) {
      const [x, y] = layout.cornerOf(layer, heads - 1);
      assert.ok(x + layout.mapWidth <= layout.width && y + layout.mapHeight <= layout.height);
      for (const at of [y - 2, y, y + layout.mapHeight + 2]) assert.equal(layout.layerAt(at), layer);
    }
    assert.equal(layout.layerAt(5), null);
    assert.equal(layout.layerAt(layout.height + 5), null);
  }
});

test("the picture and a line of maps fit side by side", () => {
  for (const heads of [1, 4, 5, 12]) {
    const { width, mapWidth, lineWidth } = largeLayout({ width: 28, height: 28 }, heads);
    assert.equal(width, 176);
    assert.ok(mapWidth >= 90 && width + lineWidth <= 912);
  }
  assert.deepEqual(
    [largeLayout({ width: 20, height: 40 }, 4)].map(({ mapWidth, mapHeight }) => mapHeight / mapWidth),
    [2],
  );
});
