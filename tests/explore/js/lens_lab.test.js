// The lens lab: which tokens are exchanged, that the browser says what PyTorch says, in which words, and what lies where.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  blockName,
  exchangedTokens,
  lensOf,
  patchWords,
  tokenName,
  wordsOf,
} from "../../../vit_tutorial/explore/lens_lab/arithmetic.js";
import {
  barsOf,
  firstLines,
  linesOf,
  pictureLayout,
  shortened,
  stripLayout,
  wrapped,
} from "../../../vit_tutorial/explore/lens_lab/geometry.js";
import { vitOf } from "../../../vit_tutorial/explore/vit.js";

const cases = JSON.parse(readFileSync(new URL("vit.json", import.meta.url))); // test_vit.py sees that it is PyTorch's
const PICTURES = ["one", "two"];

/** The lens lab on a case: its model, whose numbers are a wave as in test_vit.py, and a function from choices to state. */
function labOf({ sizes, count }) {
  const numbers = Float32Array.from({ length: count }, (_, i) => 0.6 * Math.sin(1.7 * i + 0.3));
  const vit = vitOf({ ...sizes, numbers: new DataView(numbers.buffer) });
  const asked = [];
  const stateOf = lensOf(vit, (name) => {
    asked.push(name);
    const which = PICTURES.indexOf(name);
    return Uint8Array.from({ length: sizes.channels * 24 }, (_, i) => (i * (37 + 64 * which)) % 256);
  });
  const of = (changes) =>
    stateOf({ picture: "one", other: "two", block: 0, token: 0, exchange: "nothing", ...changes });
  return { vit, asked, of };
}

function assertNear(some, others) {
  assert.equal(some.length, others.length);
  some.forEach((number, i) => {
    assert.ok(Math.abs(number - others[i]) < 1e-5, `${number} is not ${others[i]} at ${i}`);
  });
}

const flat = (lens) => lens.flatMap((tokens) => tokens.flatMap((said) => [...said]));
const softmaxOf = (logits) => {
  const powers = logits.map(Math.exp);
  return powers.map((power) => power / powers.reduce((sum, one) => sum + one));
};

for (const [name, expected] of Object.entries(cases)) {
  test(`${name}: what every token says after every block is PyTorch's`, () => {
    const { lens, answer, untouched, exchanged } = labOf(expected).of({ block: 2 });
    assertNear(flat(lens), expected.lens);
    assertNear([...answer], softmaxOf(expected.logits));
    assert.equal(untouched.lens, lens);
    assert.deepEqual(exchanged, []);
  });

  test(`${name}: so is the answer with tokens of the other picture, after any block, in any order`, () => {
    const { of } = labOf(expected);
    const { outputs } = expected.sizes;
    for (const block of [3, 0, 2, 1, 2]) {
      const { answer, untouched } = of({ block, exchange: "all patches" });
      assertNear([...answer], expected.exchanged.slice(block * outputs, (block + 1) * outputs));
      assertNear([...untouched.answer], softmaxOf(expected.logits));
    }
    const one = of({ block: 1, token: expected.token, exchange: "this token" });
    assertNear([...one.answer], softmaxOf(expected.replaced));
    assertNear(flat([one.lens[0]]), expected.lens.slice(0, one.lens[0].length * outputs));
    assertNear([...one.lens[1][expected.token]], [...one.lender.lens[1][expected.token]]);
    assertNear(flat(of({ block: 1 }).lens), expected.lens);
  });
}

test("a picture is read once, and an exchange with itself changes nothing", () => {
  const [expected] = Object.values(cases);
  const { asked, of } = labOf(expected);
  const { answer, lens } = of({ other: "one", exchange: "all patches", block: 2 });
  assertNear([...answer], softmaxOf(expected.logits));
  assertNear(flat(lens), expected.lens);
  assert.equal(of({ other: "one", exchange: "all patches", block: 2, token: 4 }).lens, lens);
  assert.deepEqual(asked, ["one"]);
});

test("which tokens come from the other picture", () => {
  assert.deepEqual(exchangedTokens({ prefix: 1, tokens: 4 }, 2, "nothing"), []);
  assert.deepEqual(exchangedTokens({ prefix: 1, tokens: 4 }, 2, "this token"), [2]);
  assert.deepEqual(exchangedTokens({ prefix: 1, tokens: 4 }, 2, "all patches"), [1, 2, 3]);
  assert.deepEqual(exchangedTokens({ prefix: 0, tokens: 3 }, 2, "all patches"), [0, 1, 2]);
});

test("the words are those of Python", () => {
  const vit = { prefix: 1, grid: [1, 2] };
  const classes = ["cat", "dog", "owl"];
  const [cat, dog, owl] = [
    [0.5, 0.25, 0.25],
    [0.25, 0.5, 0.25],
    [0.125, 0.125, 0.75],
  ];
  const shown = {
    ...{ picture: "one", other: "two", block: 1, token: 0, exchange: "nothing", exchanged: [], answer: owl },
    lens: [
      [cat, dog, dog],
      [dog, owl, cat],
    ],
    untouched: { answer: cat },
  };
  assert.equal(
    wordsOf(shown, { vit, classes }),
    "one, after 1 block: the class token says dog 50.0%. Block by block, from before the first one, it says cat, dog. " +
      "The patches say cat 1 time, owl 1 time. The model answers owl 75.0%.",
  );
  assert.ok(
    wordsOf({ ...shown, exchange: "this token", token: 2, exchanged: [2] }, { vit, classes }).endsWith(
      " Exchanged: patch 1 (row 0, column 1) for that of two. The model answers owl 75.0% instead of cat 50.0%.",
    ),
  );
  assert.ok(
    wordsOf({ ...shown, exchange: "all patches", exchanged: [1, 2] }, { vit, classes }).endsWith(
      " Exchanged: all patches for those of two. The model answers owl 75.0% instead of cat 50.0%.",
    ),
  );
  assert.equal(patchWords([dog, owl, dog, cat], classes), "dog 2 times, cat 1 time, owl 1 time");
  assert.deepEqual([0, 1, 2].map(blockName), ["before the first block", "after 1 block", "after 2 blocks"]);
  assert.equal(tokenName(0, { prefix: 0, grid: [2, 2] }), "patch 0 (row 0, column 0)");
});

test("each token is found in its box, and each block under its column", () => {
  for (const [prefix, grid] of [
    [1, [7, 7]],
    [0, [8, 8]],
    [1, [2, 3]],
  ]) {
    const { width, height, boxOf, tokenAt } = pictureLayout({ prefix, grid });
    for (let token = 0; token < prefix + grid[0] * grid[1]; token++) {
      const [x, y, across, down] = boxOf(token);
      for (const share of [0.05, 0.5, 0.95]) assert.equal(tokenAt(x + share * across, y + share * down), token);
      assert.ok(x + across <= width + 1e-9 && y + down <= height + 1e-9);
    }
    assert.equal(tokenAt(-5, -5), 0);
    assert.equal(tokenAt(width + 5, height + 5), prefix + grid[0] * grid[1] - 1);
  }
  const { step, leftOf, blockAt } = stripLayout(550, 6);
  const [usual, larger] = [1, 1.5].map((letters) => stripLayout(550, 6, 2, letters));
  assert.deepEqual([usual.floor, usual.bar, usual.names, usual.line, usual.height], [106, 82, 118, 13, 164]);
  assert.equal(larger.bar, 82);
  assert.ok(larger.floor - larger.bar === 36 && larger.height - larger.names === 1.5 * (usual.height - usual.names));
  for (let block = 0; block <= 6; block++) assert.equal(blockAt(leftOf(block) + step / 2), block);
  assert.deepEqual([blockAt(-1), blockAt(551)], [0, 6]);
  assert.deepEqual(["Ankle boot", "T-shirt/top", "Bag"].map(linesOf), [
    ["Ankle", "boot"],
    ["T-shirt/", "top"],
    ["Bag"],
  ]);
});

test("a wide bar and a thin one lie beside each other in their column, and a number above the wide one has room", () => {
  const number = 36; // CSS pixels of "58.2%"
  for (const [both, step] of [
    [false, 47],
    [true, 47],
    [true, 78],
  ]) {
    const { wide, thin = [0, 0] } = barsOf(both);
    const middle = (step * (wide[0] + wide[1])) / 2;
    assert.ok(thin[1] < wide[0] && wide[1] < 1);
    assert.ok(middle - number / 2 >= thin[1] * step && middle + number / 2 <= step);
  }
});

test("words go into as few lines as fit", () => {
  const fits = (line) => line.length <= 8;
  assert.deepEqual(wrapped("of trouser", fits), ["of", "trouser"]);
  assert.deepEqual(wrapped("of ankle boot", fits), ["of ankle", "boot"]);
  assert.deepEqual(wrapped("of a bag", fits), ["of a bag"]);
  assert.deepEqual(wrapped("something", fits), ["something"], "a word is not cut");
});

test("a text that is too long for its place is shortened, and never to nothing", () => {
  const most = (letters) => (text) => text.length <= letters;
  assert.deepEqual(
    [9, 8, 7, 3, 1].map((letters) => shortened("Pullover", most(letters))),
    ["Pullover", "Pullover", "Pullov…", "Pu…", "P…"],
  );
  assert.equal(shortened("A", most(0)), "A");
});

test("the class token's box grows with letters, and the patches take the room that there is", () => {
  const { width, height, boxOf } = pictureLayout({ prefix: 1, grid: [7, 7] }, 310, 1.5);
  assert.deepEqual([width, boxOf(0)], [310, [0, 0, 310, 57]]);
  assert.deepEqual([boxOf(1)[1], height], [65, 375]);
});

test("of a name of many words the first lines are shown", () => {
  assert.deepEqual(firstLines(["Ankle", "boot"], 2), ["Ankle", "boot"]);
  assert.deepEqual(firstLines(linesOf("a very long name"), 3), ["a", "very", "long…"]);
  assert.deepEqual(firstLines(["a", "b"], 1), ["a…"]);
});
