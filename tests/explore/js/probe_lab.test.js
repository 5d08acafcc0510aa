// The probe lab: that the browser says what Python says, and which dot lies under a pointer and beside another one.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import {
  answerOf,
  nextWrong,
  stateOf,
  unpacked,
  votesAtMost,
  votesInWords,
  wordsOf,
} from "../../../vit_tutorial/explore/probe_lab/arithmetic.js";
import {
  barsLayout,
  dotBeside,
  dotsOf,
  dotUnder,
  paintOrder,
  RIM,
} from "../../../vit_tutorial/explore/probe_lab/geometry.js";

// test_probe_lab.py sees that these are Python's
const { sent, states } = JSON.parse(readFileSync(new URL("probe_lab.json", import.meta.url)));
const view = (bytes) => new DataView(Uint8Array.from(bytes).buffer);

function labOf(changes = {}) {
  return unpacked({ ...sent, near: view(sent.near), places: view([]), pixels: view([]), ...changes });
}

test("every choice says what Python says", () => {
  const data = labOf();
  const of = stateOf(data);
  assert.equal(states.length, 24);
  for (const { stage, picture, neighbours, words, votes, answers } of states) {
    const shown = of({ stage, picture, neighbours });
    assert.equal(wordsOf(shown, data), words);
    assert.deepEqual(shown.votes, votes);
    assert.deepEqual(shown.answers, answers);
  }
});

test("of equal votes the nearest wins", () => {
  const data = labOf();
  assert.equal(answerOf(data, [3, 2]), 2);
  assert.equal(answerOf(data, [2, 3]), 1);
  assert.equal(answerOf(data, [3, 2, 1]), 1);
});

test("the next wrong one is found round and round, or is the same if none is wrong", () => {
  const data = labOf();
  const truth = data.labels.slice(data.labelled);
  assert.equal(nextWrong(data, truth, 1), 1);
  const wrong = truth.map((label, i) => (i === 1 ? label : (label + 1) % 3));
  assert.equal(nextWrong(data, wrong, 0), 2);
  assert.equal(nextWrong(data, wrong, 2), 0);
});

test("pictures and places are cut from what is sent", () => {
  const places = new Float32Array(Array.from({ length: 28 }, (_, i) => i));
  const pixels = view(Array.from({ length: 7 * 64 }, (_, i) => i % 256));
  const data = labOf({ places: new DataView(places.buffer), pixels });
  assert.deepEqual([...data.places[1].subarray(0, 2)], [14, 15]);
  assert.deepEqual([...data.pictureOf(2).pixels.subarray(0, 3)], [128, 129, 130]);
  assert.equal(data.pictureOf(6).pixels.length, 64);
  assert.equal(data.asked, 3);
});

test("the farthest dot lies at the rim, and up is up", () => {
  const dots = dotsOf(new Float32Array([0, 1, 1, 0, 0, 0]), 200);
  assert.deepEqual(dots, [
    [100, RIM],
    [200 - RIM, 100],
    [100, 100],
  ]);
});

test("the pointer finds the nearest dot that is asked, if one is near", () => {
  const dots = [
    [50, 50], // labelled
    [60, 50],
    [72, 50],
  ];
  assert.equal(dotUnder(dots, 1, 51, 50), 0);
  assert.equal(dotUnder(dots, 1, 67, 50), 1);
  assert.equal(dotUnder(dots, 1, 100, 50), null);
});

test("an arrow key leads to the nearest dot that lies rather in its direction than across", () => {
  const dots = [
    [0, 0], // labelled: never reached
    [50, 50],
    [60, 45],
    [55, 70],
    [52, 20],
    [90, 50],
  ];
  const from = (current, key) => dotBeside(dots, 1, current, key);
  assert.equal(from(0, "ArrowRight"), 1);
  assert.equal(from(0, "ArrowDown"), 2);
  assert.equal(from(0, "ArrowUp"), 3);
  assert.equal(from(0, "ArrowLeft"), 0, "the edge");
  assert.equal(from(1, "ArrowRight"), 4);
  assert.equal(from(1, "ArrowLeft"), 0);
});

test("a stage is the line under a point, and outside the first or the last", () => {
  const { stageAt, height } = barsLayout(420, 4, 150);
  const line = height / 4;
  assert.deepEqual([-3, 0, line + 1, 99 * line].map(stageAt), [0, 0, 1, 3]);
});

test("names, numbers and bars of the stages have room, however large the letters", () => {
  for (const [width, widest, letters] of [
    [420, 175, 1],
    [310, 175, 1],
    [420, 262, 1.5],
    [310, 262, 1.5],
  ]) {
    const { lineOf, longest, height } = barsLayout(width, 6, widest, letters);
    const [{ name, number, bar }, next] = [lineOf(0), lineOf(1)];
    assert.ok(longest >= 60 && bar[0] + longest <= width);
    assert.ok(bar[0] - number[0] >= 50 * letters);
    if (name[1] === number[1]) assert.ok(number[0] >= widest + 12);
    else assert.ok(number[1] - name[1] >= 14 * letters && next.name[1] - number[1] >= 14 * letters);
    assert.ok(widest <= width && lineOf(5).bar[1] + 6 * letters <= height);
  }
});

test("the room for votes is that of the longest: as many neighbours as can vote", () => {
  const data = labOf();
  const of = stateOf(data);
  const texts = votesAtMost(data);
  const { most } = sent;
  for (const { stage, picture } of states) {
    assert.ok(texts.includes(votesInWords(of({ stage, picture, neighbours: most }).votes, data.classes)));
  }
  assert.equal(texts.length, data.stages.length * data.asked);
});

test("wrong dots are painted over right ones, and the chosen one over all", () => {
  const isRight = (i) => i !== 5 && i !== 7;
  assert.deepEqual(paintOrder(4, 9, isRight, 6), [4, 8, 5, 7, 6]);
  assert.deepEqual(paintOrder(4, 9, isRight, 5), [4, 6, 8, 7, 5]);
});
