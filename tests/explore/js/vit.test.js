// The model in the browser: it says what PyTorch says, and computes only what a change reaches.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  answerOf,
  embed,
  forward,
  passOf,
  probabilitiesOf,
  readTokens,
  vitOf,
} from "../../../vit_tutorial/explore/vit.js";

const cases = JSON.parse(readFileSync(new URL("vit.json", import.meta.url))); // test_vit.py sees that it is PyTorch's

/** A model whose numbers are a wave, as in test_vit.py. */
function modelOf({ sizes, count }) {
  const numbers = Float32Array.from({ length: count }, (_, i) => 0.6 * Math.sin(1.7 * i + 0.3));
  return vitOf({ ...sizes, numbers: new DataView(numbers.buffer) });
}

const pixelsOf = ({ sizes }, which) =>
  Uint8Array.from({ length: sizes.channels * 24 }, (_, i) => (i * (37 + 64 * which)) % 256);

function assertNear(some, others, message) {
  assert.equal(some.length, others.length, message);
  some.forEach((number, i) => {
    assert.ok(Math.abs(number - others[i]) < 1e-5, `${message}: ${number} is not ${others[i]} at ${i}`);
  });
}

for (const [name, expected] of Object.entries(cases)) {
  const vit = modelOf(expected);
  const start = embed(vit, pixelsOf(expected, 0));

  test(`${name}: tokens, maps and logits are PyTorch's`, () => {
    const { tokens, maps, logits } = forward(vit, passOf(vit), start);
    assertNear(start, expected.front, "in front");
    assertNear([...tokens[1], ...tokens[2], ...tokens[3]], expected.after, "after the blocks");
    assertNear(maps[1], expected.map, "map");
    assertNear(logits, expected.logits, "logits");
    assertNear(
      tokens.flatMap((after) => readTokens(vit, after).flatMap((said) => [...said])),
      expected.lens,
      "read",
    );
    assertNear(
      tokens.flatMap((after) => [...answerOf(vit, after)]),
      expected.answers,
      "answers",
    );
  });

  test(`${name}: a head that is off adds nothing, until it is on again`, () => {
    const pass = passOf(vit);
    forward(vit, pass, start);
    forward(vit, pass, start, expected.off_heads);
    assertNear(pass.tokens[2], expected.off_after_1, "after block 1");
    assertNear(pass.logits, expected.off, "off");
    assertNear(forward(vit, pass, start).logits, expected.logits, "on again");
  });

  test(`${name}: tokens after a block can be replaced, and put back`, () => {
    const pass = passOf(vit);
    const { dim } = expected.sizes;
    const other = forward(vit, passOf(vit), embed(vit, pixelsOf(expected, 1))).tokens[1];
    const mixed = forward(vit, pass, start).tokens[1].slice();
    const at = expected.token * dim;
    mixed.set(other.subarray(at, at + dim), at);
    assertNear(forward(vit, pass, start, [], [mixed]).logits, expected.replaced, "replaced");
    forward(vit, pass, start, [[0, 0]], [mixed]);
    assertNear(pass.logits, expected.replaced, "a head before the tokens that are given does not reach the end");
    assertNear(forward(vit, pass, start).logits, expected.logits, "put back");
  });
}

test("numbers may travel in half precision", () => {
  const [{ sizes, count }] = Object.values(cases);
  const halves = Uint16Array.from({ length: count }, (_, i) => (i % 2 ? 0x3c00 : 0xb800)); // 1 and -0.5
  const numbers = Float32Array.from(halves, (half) => (half === 0x3c00 ? 1 : -0.5));
  const [half, whole] = [
    [halves, true],
    [numbers, false],
  ].map(([sent, isHalf]) => vitOf({ ...sizes, half: isHalf, numbers: new DataView(sent.buffer) }));
  assert.deepEqual([...half.head.weight, ...half.head.bias], [...whole.head.weight, ...whole.head.bias]);
  assert.deepEqual(half.blocks, whole.blocks);
});

test("only what a change reaches is computed again", () => {
  const [expected] = Object.values(cases);
  const vit = modelOf(expected);
  const start = embed(vit, pixelsOf(expected, 0));
  const pass = forward(vit, passOf(vit), start);
  const spoil = () => {
    for (const one of [...pass.maps, ...pass.made, pass.logits]) one.fill(7);
  };
  const isSpoilt = (numbers) => numbers.every((number) => number === 7);
  spoil();
  forward(vit, pass, start);
  assert.ok([...pass.maps, ...pass.made, pass.logits].every(isSpoilt), "nothing has changed");
  forward(vit, passOf(vit), start);
  forward(vit, pass, start, [[1, 0]]);
  assert.deepEqual(pass.maps.map(isSpoilt), [true, true, false], "a switch leaves the maps of its own block");
  assert.deepEqual([...pass.made.map(isSpoilt), isSpoilt(pass.logits)], [true, false, false, false]);
  spoil();
  const given = pass.tokens[2].slice();
  forward(vit, pass, start, [[1, 0]], [undefined, given]);
  assert.deepEqual([...pass.made.map(isSpoilt), isSpoilt(pass.logits)], [true, true, false, false]);
  assert.equal(pass.tokens[2], given);
  spoil();
  forward(vit, pass, start, [], [undefined, given]);
  assert.deepEqual([...pass.made.map(isSpoilt), isSpoilt(pass.logits)], [true, false, true, true]);
});

test("probabilities sum to 1, however large the logits", () => {
  assert.deepEqual([...probabilitiesOf(Float32Array.of(1000, 1000))], [0.5, 0.5]);
  assert.deepEqual(
    [...probabilitiesOf([0, Math.log(3)])].map((one) => Math.round(100 * one)),
    [25, 75],
  );
});
