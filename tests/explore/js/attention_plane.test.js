// Attention in the plane: attention against PyTorch's numbers, its words, and where axes, arrows and names lie.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  attentionOf,
  movedTo,
  shareOf,
  TOKENS,
  vectorOf,
  wordsOf,
} from "../../../vit_tutorial/explore/attention_plane/arithmetic.js";
import {
  arrowOutline,
  axesOf,
  coveredBy,
  labelsOf,
  numbersOf,
  overlap,
  PLANE,
  placesOf,
  planeIn,
  planesSize,
  pointAt,
  ringArea,
  shadowOf,
  spotOf,
} from "../../../vit_tutorial/explore/attention_plane/geometry.js";
import { nextOf } from "../../../vit_tutorial/explore/numbers.js";

const CORNERS = [
  [1, 0],
  [0, 1],
  [1, 1],
];
const LINE = [
  [10, 0],
  [0, 10],
  [5, 5],
];
const HAND = { q: CORNERS, k: CORNERS, v: LINE, scaled: true, temperature: 1, mask: "none", query: 0, chosen: "q0" };
const says = (changes = {}, lead = "Query") => {
  const choices = { ...HAND, ...changes };
  return wordsOf({ ...choices, ...attentionOf(choices) }, lead);
};
const [WIDE, NARROW] = [planeIn(912), planeIn(440)];
const near = (some, others) => some.every((number, i) => Math.abs(number - others[i]) < 1e-12);

test("of a masked key an output takes nothing, and of a far one a little", () => {
  const shares = (changes) => TOKENS.map((key) => shareOf(attentionOf({ ...HAND, ...changes }), 0, key));
  assert.deepEqual(shares({ mask: "causal" }), ["100.0%", "0.0%", "0.0%"]);
  const far = [[8, 0], CORNERS[1], CORNERS[2]];
  assert.deepEqual(shares({ q: far, k: far, mask: "padding" }), ["100.0%", "<0.001%", "0.0%"]);
});

test("outputs are those of PyTorch's scaled_dot_product_attention", () => {
  const q = [
    [1.5, -0.5],
    [0, 1],
    [-2, 1],
  ];
  const k = [
    [1, 0.5],
    [0.25, -1],
    [1, 1],
  ];
  const v = [
    [10, 0],
    [0, 10],
    [5, -5],
  ];
  const expected = {
    none: [5.447056676677368, 1.3362369254285933, 6.179947903427121, -1.320529348523155, 5, 0.8409184628843726],
    causal: [10, 0, 7.42816684773193, 2.5718331522680704, 5, 0.8409184628843726],
    padding: [5.659055472018155, 4.3409445279818435, 7.42816684773193, 2.5718331522680704, 5, 5],
  };
  for (const [mask, numbers] of Object.entries(expected)) {
    assert.ok(near(attentionOf({ ...HAND, q, k, v, mask }).outputs.flat(), numbers), mask);
  }
  const { outputs, divisor } = attentionOf({ ...HAND, q, k, v, scaled: false, temperature: 0.5, mask: "causal" });
  assert.equal(divisor, 0.5);
  assert.ok(near(outputs[1], [9.525741268224333, 0.4742587317756679]));
});

test("a masked key has a weight of 0", () => {
  const { divided, weights } = attentionOf({ ...HAND, mask: "causal" });
  assert.deepEqual(weights[0], [1, 0, 0]);
  assert.deepEqual(divided[1].map(Number.isFinite), [true, true, false]);
});

test("the words are those of Python", () => {
  assert.equal(
    says({ chosen: "k1" }),
    "Query 0, (1.00, 0.00), looks most at keys 0 and 2, with 40.1% each (key 1: 19.8%): as if spread evenly over " +
      "2.87 keys. Scores 1.00, 0.00, 1.00; divided by 1.41: 0.71, 0.00, 0.71. Output 0 is (6.02, 3.98). The arrow keys " +
      "move k1, (0.00, 1.00).",
  );
  const equal = says({ k: [CORNERS[2], CORNERS[2], CORNERS[2]], scaled: false });
  assert.ok(equal.includes("looks at all three keys alike, with 33.3% each: as if spread evenly over 3.00 keys."));
  const masked = says({ mask: "causal" }, "With the causal mask, query");
  assert.ok(masked.startsWith("With the causal mask, query 0, (1.00, 0.00), can look only at key 0, with 100.0%:"));
  assert.ok(masked.includes("; keys 1 and 2 are masked. Output 0 is (10.00, 0.00)."));
  assert.ok(says({ mask: "causal", query: 1 }).includes("with 67.0% (key 0: 33.0%)"));
});

test("a vector is moved to two decimals and not out of the picture", () => {
  assert.deepEqual(movedTo(CORNERS, 1, [0.1 + 0.2, -9], 8), [[1, 0], [0.3, -8], CORNERS[2]]);
  assert.ok(Object.is(movedTo(CORNERS, 0, [-0.001, 0], 8)[0][0], 0), "no negative zero");
  assert.deepEqual(vectorOf(HAND, "v2"), [5, 5]);
  assert.deepEqual([nextOf([0, 1, 2], 2), nextOf([0, 1, 2], 0, -1), nextOf(["a", "b"], "other")], [0, 2, "a"]);
});

test("axes hold what is shown, and points are found again", () => {
  const reaches = [2, 4, 8];
  const [vectors, values] = axesOf(HAND, reaches, WIDE);
  for (const axes of [vectors, values]) assert.ok(near(pointAt(axes, spotOf(axes, [1.5, -0.5])), [1.5, -0.5]));
  assert.ok(near(spotOf(vectors, [0, 2]), [PLANE.across / 2, PLANE.title + 12]), "a reach of 2 and room for a mark");
  assert.equal(values.named, 4);
  const wide = axesOf({ ...HAND, q: [[2.1, 0], ...CORNERS], v: [[0, -2.5], ...LINE] }, reaches, WIDE);
  assert.deepEqual([wide[0].step, wide[1].named], [1, 6]);
  assert.ok(near(spotOf(wide[1], [0, 0]), [PLANE.across * 1.5 + PLANE.gap, PLANE.title + PLANE.high / 2]));
  assert.deepEqual(planesSize(WIDE), [912, 366]);
  assert.deepEqual(planesSize(NARROW), [440, 732]);
  assert.ok(near(spotOf(axesOf(HAND, reaches, NARROW)[1], [5, 5]), [220, 388 + 172]), "one plane below the other");
});

test("the shadow of a key lies on the line of the query", () => {
  assert.deepEqual(shadowOf([1, 1], [2, 0]), [1, 0]);
  assert.deepEqual(shadowOf([0, 1], [2, 0]), [0, 0]);
  assert.equal(shadowOf([0, 1], [0, 0]), null);
});

test("an arrow ends in its tip, and is none without a length", () => {
  const outline = arrowOutline([0, 0], [20, 0], 2, 10);
  assert.deepEqual(outline[3], [20, 0]);
  assert.deepEqual(outline[0], [0, 1]);
  assert.deepEqual(outline[6], [0, -1]);
  assert.deepEqual(
    [outline[2], outline[4]],
    [
      [10, 5],
      [10, -5],
    ].map((point) => point.map((number) => number + 0)),
  );
  assert.equal(arrowOutline([0, 0], [0.5, 0], 2, 10), null);
});

test("points in one place share a text, which the chosen one leads", () => {
  const labels = labelsOf([
    ["q0", [1, 0.5], false],
    ["q1", [0, 1], false],
    ["k0", [1, 0.5], true],
  ]);
  const texts = labels.map(({ text, first }) => [text, first]);
  assert.deepEqual(texts, [
    ["k0 = q0 (1, 0.5)", true],
    ["q1 (0, 1)", false],
  ]);
});

test("names do not cover one another and stay in the plane", () => {
  const [axes] = axesOf(HAND, [2, 4, 8], WIDE);
  const crowd = CORNERS.flatMap(([x, y], i) => [
    [`q${i}`, [x, y], i === 2],
    [`k${i}`, [x + 0.1, y + 0.1], false],
  ]);
  const widthOf = ({ text }) => 6 * text.length;
  const labels = labelsOf(crowd);
  const areas = placesOf(labels, axes, widthOf, true).map(({ middle: [x, y] }, i) => {
    const half = widthOf(labels[i]) / 2;
    return [x - half, y - 5, x + half, y + 5];
  });
  for (const [i, one] of areas.entries()) {
    assert.ok(one[0] >= axes.left && one[2] <= axes.left + PLANE.across);
    for (const other of areas.slice(i + 1)) assert.equal(overlap(one, other), 0);
  }
  assert.equal(overlap([0, 0, 4, 4], [2, 1, 9, 9]), 6);
});

test("planes take the room that there is, and a mark on a tip stays inside", () => {
  assert.deepEqual(planeIn(340), { across: 340, high: 340, isNarrow: true, letters: 1, title: 22 });
  assert.deepEqual(planeIn(700), { across: 334, high: 334, isNarrow: false, letters: 1, title: 22 });
  const [larger, narrower] = [planeIn(912, 1.5), planeIn(700, 1.5)];
  assert.deepEqual([larger.isNarrow, larger.title, narrower.isNarrow], [false, 33, true]);
  assert.deepEqual(planesSize(planeIn(340)), [340, 724]);
  for (const room of [300, 340, 440, 700, 912]) {
    const plane = planeIn(room);
    assert.ok(planesSize(plane)[0] <= room);
    const [vectors, values] = axesOf(HAND, [2, 4, 8], plane);
    for (const [axes, tips] of [
      [vectors, [-2, 2]],
      [values, [-2, 12]],
    ]) {
      for (const tip of tips) {
        const [left, top, right, bottom] = ringArea(spotOf(axes, [tip, tip]));
        assert.ok(left > axes.left - 1e-9 && right < axes.left + axes.across + 1e-9, `${room}: ${tip}`);
        assert.ok(top > axes.top - 1e-9 && bottom < axes.top + axes.high + 1e-9, `${room}: ${tip}`);
      }
    }
  }
});

test("a name covers neither the mark on its tip nor the head of an arrow", () => {
  const [axes] = axesOf(HAND, [2, 4, 8], planeIn(340));
  const labels = labelsOf([
    ["q2", [2, 0], true],
    ["k1", [2, 2], false],
  ]);
  const [marked, cornered] = placesOf(labels, axes, ({ text }) => 6 * text.length, true);
  assert.equal(overlap(marked.area, ringArea(spotOf(axes, [2, 0]))), 0);
  const [x, y] = spotOf(axes, [2, 2]);
  assert.equal(overlap(cornered.area, [x - 16, y, x, y + 16]), 0);
});

test("a name lies on no name and on no arrow, its own neither, however large the letters", () => {
  const q = [
    [1, 1],
    [-1.5, -1],
    [0, -1],
  ];
  const k = [
    [-2, -2],
    [-1, -1.5],
    [1, 0.5],
  ];
  for (const letters of [1, 1.5]) {
    const [axes] = axesOf({ ...HAND, q, k }, [2, 4, 8], planeIn(912, letters));
    const named = (kind, points) => points.map((point, i) => [kind + i, point, kind + i === "q0"]);
    const labels = labelsOf([...named("q", q), ...named("k", k)]);
    const areas = placesOf(labels, axes, ({ text }) => 6 * letters * text.length, true).map(({ area }) => area);
    const arrows = coveredBy(axes, [...q, ...k], 3, true);
    for (const [i, area] of areas.entries()) {
      assert.ok(area[3] - area[1] >= 14 * letters - 1e-9);
      for (const other of [...arrows, ...areas.slice(i + 1)]) assert.equal(overlap(area, other), 0, labels[i].text);
    }
  }
});

test("what an arrow covers has no gaps, and of a point without one only its place", () => {
  const [axes] = axesOf(HAND, [2, 4, 8], WIDE);
  const squares = coveredBy(axes, [[2, 0]], 5, true);
  for (let x = axes.x; x <= spotOf(axes, [2, 0])[0]; x += 1) {
    assert.ok(squares.some(([left, , right]) => left <= x && x <= right));
  }
  const [x, y] = spotOf(axes, [2, 0]);
  assert.deepEqual(coveredBy(axes, [[2, 0]], 5, false), [[x - 5, y - 5, x + 5, y + 5]]);
  assert.equal(coveredBy(axes, [[0, 0]], 5, true).length, 2);
});

test("a number beside an axis is left out where it would meet a name, a mark or an edge", () => {
  const [axes] = axesOf(HAND, [2, 4, 8], WIDE);
  const widthOf = (text) => 6 * text.length;
  const said = (areas) => numbersOf(axes, widthOf, areas).map(({ text }) => text);
  assert.deepEqual(said([]), ["-2", "-2", "-1", "-1", "1", "1", "2", "2"]);
  assert.deepEqual(said([ringArea(spotOf(axes, [2, 0]))]), ["-2", "-2", "-1", "-1", "1", "1", "2"]);
  const [x, y] = spotOf(axes, [0, -1]);
  assert.deepEqual(said([[x - 40, y - 7, x - 4, y + 7]]), ["-2", "-2", "-1", "1", "1", "2", "2"]);
  const values = axesOf(HAND, [2, 4, 8], WIDE)[1];
  for (const { text, middle } of numbersOf(values, widthOf, [])) {
    assert.ok(middle[0] - widthOf(text) / 2 >= values.left && middle[0] + widthOf(text) / 2 <= values.left + 440, text);
  }
});
