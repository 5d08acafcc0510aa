// The sketch lab: what brushes, filling and centring do to pixels, in which words, and what lies where.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  adviceOf,
  answerWords,
  brushWords,
  centred,
  cover,
  filled,
  insideWords,
  outlineOf,
  painted,
  pixelsIn,
  textOf,
} from "../../../vit_tutorial/explore/sketch_lab/arithmetic.js";
import { canvasLayout, cutLayout, mapSize } from "../../../vit_tutorial/explore/sketch_lab/geometry.js";

/** Pixels of a drawing in letters: "." is black, "#" white, a digit that many times 25. */
const from = (...lines) =>
  Uint8Array.from(lines.join(""), (letter) => (letter === "." ? 0 : letter === "#" ? 255 : 25 * letter));

const covered = (from, to, brush, columns = 5, rows = 5) => {
  const shares = new Float32Array(columns * rows);
  cover(shares, columns, from, to, brush);
  return shares;
};

test("pixels travel as text and come back", () => {
  const pixels = Uint8Array.from({ length: 784 }, (_, i) => (i * 37) % 256);
  assert.deepEqual(pixelsIn(textOf(pixels)), pixels);
  assert.equal(textOf(Uint8Array.of(0, 1, 254, 255)), "AAH+/w==");
});

test("a brush of one pixel on the middle of a pixel covers that pixel alone, a wider one softly those around it", () => {
  assert.deepEqual(
    [...covered([2.5, 1.5], [2.5, 1.5], 1)].flatMap((share, i) => (share ? [[i, share]] : [])),
    [[7, 1]],
  );
  const wide = covered([2.5, 2.5], [2.5, 2.5], 2);
  assert.deepEqual([wide[12], wide[7], wide[13]], [1, 0.5, 0.5]);
  assert.ok(Math.abs(wide[6] - (1.5 - Math.SQRT2)) < 1e-6);
  assert.equal(wide[2], 0);
});

test("a stroke covers all on its way, as far as its ends and no further, and stays on the canvas", () => {
  const along = covered([1.5, 2.5], [3.5, 2.5], 1);
  assert.deepEqual([...along.subarray(10, 15)], [0, 1, 1, 1, 0]);
  assert.equal(
    along.reduce((sum, one) => sum + one),
    3,
  );
  const slanted = covered([0.5, 0.5], [4.5, 4.5], 1);
  for (let i = 0; i < 5; i++) assert.equal(slanted[6 * i], 1);
  assert.deepEqual(covered([-9, -9], [-7, -9], 2), new Float32Array(25));
  assert.equal(covered([-3, 2.5], [9, 2.5], 1).filter((share) => share === 1).length, 5);
});

test("passing twice covers no more than once", () => {
  const shares = covered([1, 1], [4, 4], 3);
  const once = shares.slice();
  cover(shares, 5, [4, 4], [1, 1], 3);
  shares.forEach((share, i) => {
    assert.ok(Math.abs(share - once[i]) < 1e-6);
  });
});

test("what is covered gets the grey, what is half covered goes half the way, also back to black", () => {
  assert.deepEqual(painted(Uint8Array.of(0, 100, 200), Float32Array.of(0, 0.5, 1), 255), Uint8Array.of(0, 178, 255));
  assert.deepEqual(painted(Uint8Array.of(0, 100, 200), Float32Array.of(1, 0.5, 1), 0), Uint8Array.of(0, 50, 0));
});

test("filling fills what is closed, leaves what is open, and keeps the outer edge soft", () => {
  const ring = from(".3###.", ".3#..#", ".3#.9#", "..####");
  assert.deepEqual(filled(ring, 6, 255), from(".3###.", ".3####", ".3####", "..####"));
  const grey = filled(ring, 6, 100);
  assert.deepEqual(grey, from(".3###.", ".3#44#", ".3#49#", "..####"));
  const open = from(".####.", ".#....", ".#..#.", ".####.");
  assert.deepEqual(filled(open, 6, 255), open);
  assert.deepEqual(filled(new Uint8Array(24), 6, 255), new Uint8Array(24));
});

test("a way out leads sideways, not across a corner, and the frame closes nothing", () => {
  assert.equal(filled(from(".#.", "#.#", ".#."), 3, 255)[4], 255);
  assert.equal(filled(from("###", "#.#", "#.#"), 3, 255)[7], 0);
  const dark = from(".2.", "2.2", ".2.");
  assert.equal(filled(dark, 3, 200)[4], 200);
});

test("centring fills the longer side, keeps the shape, and lies in the middle", () => {
  const small = from("......", ".##...", ".##...", ".##...", "......", "......");
  const large = centred(small, 6);
  assert.deepEqual(large, from(".####.", ".####.", ".####.", ".####.", ".####.", ".####."));
  assert.deepEqual(centred(large, 6), large);
  assert.deepEqual(centred(new Uint8Array(36), 6), new Uint8Array(36));
  assert.deepEqual(centred(from("#...", "....", "....", "...."), 4), from("####", "####", "####", "####"));
});

test("centring puts the mean of its neighbours between two pixels", () => {
  const [row] = [centred(from("..", "8."), 2)];
  assert.deepEqual(row, from("88", "88"));
  const wide = centred(Uint8Array.of(0, 0, 0, 0, 40, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), 4);
  assert.deepEqual([...wide.subarray(4, 8)], [40, 50, 70, 80]);
});

test("an outline is measured between its edges, by its longer side, and from the centre", () => {
  const ring = from("......", "..###.", "..#.#.", "..###.", "......", "......");
  assert.deepEqual(outlineOf(ring, 6), { filled: 8 / 9, long: 3, off: 0.5 });
  assert.deepEqual(outlineOf(from("1.....", "......"), 6), { filled: 1, long: 1, off: 2.5 });
  assert.deepEqual(outlineOf(from("#.", "..", ".#"), 2), { filled: 1, long: 3, off: 0 });
  assert.equal(outlineOf(new Uint8Array(36), 6), null);
});

const USUAL = { filled: 0.7, long: 28, off: 0.5, near: 1, of_100: 98 };

test("advice is given where a drawing is unlike the training pictures, and only there", () => {
  const good = { filled: 0.7, long: 27, off: 1.5 };
  assert.equal(adviceOf(good, USUAL, 10, false), "");
  assert.equal(adviceOf({ filled: 0.1, long: 3, off: 9 }, USUAL, 10, true), "");
  assert.equal(adviceOf({ filled: 0.1, long: 3, off: 9 }, null, 10, false), "");
  assert.equal(
    adviceOf({ ...good, filled: 0.512 }, USUAL, 10, false),
    " This is an outline: 51.2% of what lies between its edges is lit; in 98 of 100 training pictures it is 70.0% or more. " +
      "Fill (f) fills what is closed.",
  );
  for (const other of [{ long: 26 }, { off: 2 }]) {
    const { long, off } = { ...good, ...other };
    assert.equal(
      adviceOf({ ...good, ...other }, USUAL, 10, false),
      ` It is ${long} pixels long and ${off.toFixed(1)} off the centre; 98 of 100 training pictures are 28 long and at ` +
        "most 0.5 off. Centre and scale (c) does to it what was done to them.",
    );
  }
  assert.equal(
    adviceOf(null, null, 10, false),
    " Nothing is drawn, and still it answers: it has 10 answers, and none of them is “nothing”.",
  );
});

test("the words name what is drawn and the two best answers", () => {
  const said = { classes: ["cat", "dog", "owl"], probabilities: [0.3, 0.1, 0.6] };
  const end = "The model says owl 60.0%, then cat 30.0%.";
  assert.equal(answerWords({ ...said, drawing: "boot", named: true, outline: {} }), `boot, a test picture. ${end}`);
  assert.equal(answerWords({ ...said, drawing: "AA==", named: false, outline: {} }), `A drawing. ${end}`);
  assert.equal(answerWords({ ...said, drawing: "nothing", named: false, outline: null }), `An empty canvas. ${end}`);
  assert.equal(brushWords(30, 28), " The brush is at row 1, column 2.");
});

test("the words of the inside are there where it is shown", () => {
  const shown = {
    ...{ more: true, layer: 1, query: 0, prefix: 1, grid: [1, 2], gone: "layer 1 head 1", classes: ["cat", "dog"] },
    ...{ seen: [Float32Array.of(0.25, 0.5), Float32Array.of(0.75, 0.125)], isOff: (head) => head === 1 },
    lens: [
      [0.2, 0.8],
      [0.6, 0.4],
    ],
  };
  assert.equal(
    insideWords(shown),
    " Layer 1: the class token looks most at: head 0 patch 1 (50.0%), head 1 (off) patch 0 (75.0%). " +
      "Switched off: layer 1 head 1. Read after 0 to 1 blocks, the answer is dog, cat.",
  );
  assert.match(insideWords({ ...shown, query: 2 }), /: patch 1 \(row 0, column 1\) looks most at/);
  assert.equal(insideWords({ ...shown, more: false }), "");
});

test("points on the canvas are places in pixels, and those outside belong to the edge", () => {
  const layout = canvasLayout(28, 28);
  assert.equal(layout.width, layout.height);
  assert.deepEqual(layout.pointAt(layout.width, layout.cell), [28, 1]);
  assert.deepEqual(layout.middleOf(30), [2.5, 1.5]);
  assert.equal(layout.pixelAt([2.5, 1.5]), 30);
  assert.deepEqual([layout.pixelAt([-4, -1]), layout.pixelAt([28, 40])], [0, 783]);
});

test("patches lie apart on the cut picture, and keep a shape that is not square", () => {
  const cut = cutLayout(2, 4);
  assert.equal(cut.width, 2 * cut.height);
  const [x, y, width, height] = cut.boxOf(5);
  const [nextX] = cut.boxOf(6);
  assert.ok(nextX > x + width + 1);
  assert.ok(y > cut.boxOf(1)[1] + height + 1);
  const [mapWidth, mapHeight] = mapSize(2, 4);
  assert.equal(mapWidth, 2 * mapHeight);
});
