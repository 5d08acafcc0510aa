// The reach lab: which pixels a place can see, where its levels lie in what is sent, its words, and what lies where.

import assert from "node:assert/strict";
import { test } from "node:test";
import { boxOf, distancesOf, overGrey, reachOf, wordsOf } from "../../../vit_tutorial/explore/reach_lab/arithmetic.js";
import { layoutOf } from "../../../vit_tutorial/explore/reach_lab/geometry.js";

const LAB = { grid: [3, 4], patch: 4, size: [12, 16] };
const STAGES = [
  { of: "CNN", name: "stem", sees: "window", width: 3, step: 1 },
  { of: "CNN", name: "layer2.0", sees: "window", width: 13, step: 2 },
  { of: "ViT", name: "patch_embed", sees: "patch", width: 0, step: 1 },
  { of: "ViT", name: "blocks.0", sees: "all", width: 0, step: 1 },
];

test("a window lies around the middle of the patch, and ends at the border", () => {
  assert.deepEqual(boxOf(STAGES[0], 6, LAB), [5, 9, 8, 12]);
  assert.deepEqual(boxOf(STAGES[1], 0, LAB), [0, 0, 9, 9]);
  assert.deepEqual(boxOf(STAGES[1], 11, LAB), [4, 8, 12, 16]);
  assert.deepEqual(boxOf({ ...STAGES[0], step: 4 }, 6, LAB), [3, 7, 6, 10]);
});

test("a patch sees itself, and a block all", () => {
  assert.deepEqual(boxOf(STAGES[2], 6, LAB), [4, 8, 8, 12]);
  assert.deepEqual(boxOf(STAGES[3], 6, LAB), [0, 0, 12, 16]);
});

test("the key shows colours as they lie on a grey pixel: of nothing, grey", () => {
  const key = overGrey(new Uint8Array(3 * 256).map((_, i) => [253, 231, 37][i % 3]));
  assert.deepEqual([...key.subarray(0, 3)], [128, 128, 128]);
  assert.deepEqual([...key.subarray(3 * 51, 3 * 52)], [153, 149, 110]);
  assert.deepEqual([...key.subarray(3 * 255)], [253, 231, 37]);
});

/** What is sent for two pictures and two pairs of models; every level says to which of the four it belongs. */
function sentOf() {
  const boxes = STAGES.flatMap((stage) => Array.from({ length: 12 }, (_, place) => boxOf(stage, place, LAB)));
  const sizes = boxes.map(([top, left, bottom, right]) => (bottom - top) * (right - left));
  const levels = [0, 1, 2, 3].flatMap((which) =>
    sizes.flatMap((size, i) => Array.from({ length: size }, () => 60 * which + i)),
  );
  return {
    levels: new DataView(Uint8Array.from(levels).buffer),
    stages: STAGES,
    names: ["one", "two"],
    weights: ["trained", "untrained"],
    shapes: [
      [1, 12, 16],
      [1, 12, 16],
    ],
    grid: LAB.grid,
    patch: LAB.patch,
    distances: [0, 1, 2, 3].map((which) =>
      STAGES.map((_, stage) => Array.from({ length: 12 }, () => which + stage / 4)),
    ),
  };
}

test("the levels of each stage and place are found", () => {
  const reach = reachOf(sentOf());
  for (const weights of [0, 1])
    for (const picture of [0, 1])
      for (const [stage, place] of [
        [0, 0],
        [1, 7],
        [2, 11],
        [3, 5],
      ]) {
        const { box, inside } = reach(weights, picture, stage, place);
        assert.deepEqual(box, boxOf(STAGES[stage], place, LAB));
        assert.equal(inside.length, (box[2] - box[0]) * (box[3] - box[1]));
        assert.deepEqual(new Set(inside), new Set([60 * (2 * weights + picture) + 12 * stage + place]));
      }
});

test("the words are those of Python", () => {
  const sent = sentOf();
  const distances = distancesOf(sent, 1, 0, 6);
  assert.deepEqual(distances, [2, 2.25, 2.5, 2.75]);
  const chosen = { picture: "one", weights: "untrained", stage: 1, place: 6, box: [0, 4, 12, 16], distances };
  assert.equal(
    wordsOf(chosen, sent),
    "one, models untrained, patch 6 (row 1, column 2). CNN layer2.0 can see 12 by 12 pixels here, 75.0% of the picture. " +
      "On average it looks 2.3 pixels far. Stage by stage, the CNN looks 2.0, 2.3 pixels far, and the ViT 2.5, 2.8.",
  );
});

test("boxes and patches lie where the picture is drawn", () => {
  const layout = layoutOf({ width: 16, height: 12 }, LAB.grid, 160);
  assert.deepEqual([layout.width, layout.height], [160, 120]);
  assert.deepEqual(layout.rectOf([4, 8, 8, 12]), [80, 40, 40, 40]);
  assert.equal(layout.placeAt(85, 45), 6);
  assert.equal(layout.placeAt(-5, 500), 8);
});
