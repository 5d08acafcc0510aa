// The training timeline: what is looked up, what is said of it, and where the curve lies.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  accuracyAfter,
  lookupsOf,
  momentName,
  says,
  wholeLooks,
  wordsOf,
  wordsOfAttention,
} from "../../../vit_tutorial/explore/training_timeline/arithmetic.js";
import { curveLayout, stretched } from "../../../vit_tutorial/explore/training_timeline/geometry.js";

const reals = (...numbers) => new DataView(Float32Array.from(numbers).buffer);
const HALVES = [0x0000, 0x3000, 0x3400, 0x3800, 0x3a00]; // 0, 1/8, 1/4, 1/2, 3/4

/** Two moments, two pictures, two layers, a class token and 2 x 2 patches: attention [2, 2, 2, 1 + 4, 4]. */
function sentOf(changes = {}) {
  const attention = Uint16Array.from({ length: 2 * 2 * 2 * 5 * 4 }, () => HALVES[1]);
  // moment 1, picture 1, layer 1: the class token looks at patch 2, patch 3 at patch 0; at moment 0 it looks there more
  const start = (moment, looker) => (((moment * 2 + 1) * 2 + 1) * 5 + looker) * 4;
  attention[start(1, 0) + 2] = HALVES[3];
  attention[start(1, 4)] = HALVES[2];
  attention[start(0, 4)] = HALVES[4];
  const alike = Float32Array.from({ length: 2 * 4 * 4 }, (_, i) => ((i % 16) % 5 === 0 ? 1 : 0.25));
  alike[16 + 4 * 3 + 1] = -0.5; // moment 1, patch 3 to patch 1
  return {
    ...{ epochs: [0, 2], accuracy: [0.25, 0.5], names: ["one", "two"], classes: ["cat", "dog"] },
    ...{ grid: [2, 2], prefix: 1, layers: 2 },
    probabilities: reals(0.5, 0.5, 0.125, 0.875, 0.75, 0.25, 0.625, 0.375), // [2 moments, 2 pictures, 2 classes]
    attention: new DataView(attention.buffer),
    alike: new DataView(alike.buffer),
    near: reals(...Array.from({ length: 16 }, (_, i) => i / 16)),
    ...changes,
  };
}

const CHOICES = { epoch: 2, picture: "two", layer: 1, token: 4 };

test("the numbers of a moment are found", () => {
  const { alikeTop, stateOf } = lookupsOf(sentOf());
  const state = stateOf(CHOICES);
  assert.equal(alikeTop, 0.5);
  assert.deepEqual([state.chosen, state.patch, state.moment, state.which], [3, 3, 1, 1]);
  assert.deepEqual([...state.probabilities], [0.625, 0.375]);
  assert.deepEqual([...state.seen], [0.25, 0.125, 0.125, 0.125]);
  assert.equal(state.seenTop, 0.75, "one scale for all moments");
  assert.deepEqual([...state.alike], [0.25, -0.5, 0.25, 1]);
  assert.deepEqual([...state.near], [14 / 16, 15 / 16]);
});

test("the class token speaks for the whole picture, and a patch in the middle stands for it", () => {
  const { stateOf } = lookupsOf(sentOf());
  for (const token of [null, 0]) {
    const state = stateOf({ ...CHOICES, token });
    assert.deepEqual([state.chosen, state.patch], [null, 3]);
    assert.deepEqual([...state.seen], [0.125, 0.125, 0.5, 0.125]);
  }
  assert.equal(lookupsOf(sentOf({ prefix: 0 })).stateOf({ ...CHOICES, token: 0 }).chosen, 0);
});

test("the words are those of Python", () => {
  const sent = sentOf();
  const { stateOf } = lookupsOf(sent);
  assert.equal(
    wordsOf(stateOf(CHOICES), sent),
    "two: after 2 epochs the model says cat with 62.5%; it is most sure before training: dog with 87.5%. " +
      "Its validation accuracy is 50.0%. In layer 1 patch 3 (row 1, column 1) looks most at " +
      "patch 0 (row 0, column 0), with 25.0%. The position of patch 3 (row 1, column 1): " +
      "mean cosine similarity 0.88 to its neighbours, 0.94 to the others.",
  );
  const start = stateOf({ epoch: 0, picture: "two", layer: 1, token: null });
  assert.ok(
    wordsOf(start, sent).startsWith(
      "two: before training the model says dog with 87.5%; at no other moment is it more sure. In layer 1 the class",
    ),
  );
  assert.ok(wordsOfAttention(start, { ...sent, prefix: 0 }).startsWith("In layer 1 all patches together look most at"));
});

test("moments, accuracies and lookers have names", () => {
  assert.deepEqual([0, 1, 2].map(momentName), ["before training", "after 1 epoch", "after 2 epochs"]);
  assert.deepEqual(
    [0, 1, 2].map((epoch) => accuracyAfter([0.25, 0.5], epoch)),
    [null, 0.25, 0.5],
  );
  assert.equal(accuracyAfter([], 2), null);
  assert.deepEqual([0, 1].map(wholeLooks), ["all patches together look", "the class token looks"]);
  assert.equal(says([0.25, 0.75], ["cat", "dog"]), "dog with 75.0%");
});

test("the curve fills the sheet, and each dot is found under itself", () => {
  const epochs = [0, 1, 2, 5, 12, 24];
  const accuracy = Array.from({ length: 24 }, (_, i) => 0.9 - 0.5 / (i + 2));
  const layout = curveLayout(epochs, accuracy, 10);
  assert.equal(layout.ceiling, 1);
  assert.deepEqual(layout.levels, [0, 0.2, 0.4, 0.6, 0.8, 1]);
  assert.deepEqual([layout.xOf(0), layout.xOf(24)], [layout.left, layout.right]);
  assert.equal(layout.yOf(0), layout.floor);
  assert.ok(layout.yOf(1) < layout.yOf(0.5) && layout.yOf(1) > layout.top);
  assert.equal(layout.dotOf(null), layout.yOf(0.1), "a model before training guesses");
  assert.deepEqual(
    epochs.map((epoch) => layout.momentAt(layout.xOf(epoch))),
    [0, 1, 2, 3, 4, 5],
  );
  assert.deepEqual([layout.momentAt(-50), layout.momentAt(layout.xOf(17)), layout.momentAt(2000)], [0, 4, 5]);
  const narrow = curveLayout(epochs, accuracy, 10, 330);
  assert.deepEqual([narrow.width, narrow.xOf(24)], [330, narrow.right]);
  assert.ok(narrow.right < 330);
});

test("neighbouring moments lie apart where there is little room, and to scale where there is enough", () => {
  const epochs = [0, 1, 2, 5, 12, 24];
  const accuracy = Array.from({ length: 30 }, () => 0.5);
  const wide = curveLayout(epochs, [], 10);
  assert.ok(wide.isToScale);
  assert.ok(Math.abs(wide.xOf(12) - (wide.left + wide.right) / 2) < 1e-9);
  for (const shares of [[], accuracy]) {
    const narrow = curveLayout(epochs, shares, 10, 326);
    assert.ok(!narrow.isToScale);
    const places = epochs.map(narrow.xOf);
    places.slice(1).forEach((x, i) => {
      assert.ok(x - places[i] >= 22);
      assert.equal(narrow.momentAt(x - 11), i + 1, "half way it is the nearer one");
    });
    assert.equal(narrow.xOf(0), narrow.left);
    assert.ok(Math.abs(narrow.xOf(shares.length || 24) - narrow.right) < 1e-9);
    assert.ok(narrow.xOf(7) > narrow.xOf(6), "between moments it goes on");
  }
  const late = curveLayout([20, 21], accuracy, 10, 326);
  assert.ok(late.xOf(1) > late.left && late.xOf(21) - late.xOf(20) >= 22);
});

test("long lengths give to short ones, and where there is no room for all they shrink", () => {
  const rounded = (...given) => stretched(...given).map((length) => Math.round(length * 1e9) / 1e9);
  assert.deepEqual(
    rounded([10, 30, 80], [20, 0, 0]),
    [20, 300 / 11, 800 / 11].map((one) => Math.round(one * 1e9) / 1e9),
  );
  assert.deepEqual(rounded([1, 9, 90], [20, 20, 20]), [20, 20, 60]);
  assert.deepEqual(rounded([1, 21, 98], [20, 20, 20]), [20, 20, 80], "what has given too much is held too");
  assert.deepEqual(rounded([10, 20, 30], [100, 100, 100]), [20, 20, 20]);
  assert.deepEqual(rounded([10, 20], [5, 5]), [10, 20]);
});

test("a scale ends above its largest share, and one far below 1 is not wasted", () => {
  assert.equal(curveLayout([0, 1], [0.41], 10).ceiling, 0.6);
  assert.equal(curveLayout([0, 1], [0.02], 2).ceiling, 0.6, "guessing is on the scale too");
});

test("the chosen epoch is written, the others where there is room", () => {
  const layout = curveLayout([0, 1, 2, 50, 100], [], 10);
  assert.deepEqual([layout.height, layout.dotOf(null)], [76, layout.floor - 14]);
  assert.deepEqual(layout.written(1), [1, 0, 2, 50, 100]);
  const many = Array.from({ length: 101 }, (_, epoch) => epoch);
  const crowded = curveLayout(many, [], 10, 330).written(50);
  assert.equal(crowded[0], 50);
  assert.ok(crowded.length > 5 && crowded.length < 20);
});

test("the curve keeps its height, and larger letters have their room beside it and below it", () => {
  const epochs = [0, 1, 2, 3, 24];
  const [usual, larger] = [1, 1.5].map((letters) => curveLayout(epochs, Array(24).fill(0.5), 10, 310, letters));
  assert.deepEqual([usual.floor, usual.height, usual.left], [122, 160, 46]);
  assert.deepEqual([larger.floor, larger.height, larger.left], [122, 179, 69]);
  assert.deepEqual(curveLayout(epochs, [], 10, 310).height, 76);
  for (const { xOf, written, left, right } of [usual, larger]) {
    const places = written(24)
      .map(xOf)
      .sort((one, other) => one - other);
    assert.ok(places[0] >= left && places.at(-1) <= right);
    const room = left === 69 ? 33 : 22;
    places.slice(1).forEach((place, i) => assert.ok(place - places[i] >= room));
  }
});
