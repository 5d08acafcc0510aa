// The curve of the training timeline in CSS pixels: epochs from left to right, accuracy from the floor up.

import { largestOf, within } from "../numbers.js";

export const WIDTH = 912;
const MARGIN = { left: 46, right: 16, top: 14, bottom: 38 }; // left and bottom for letters
const HIGH = 108; // the inside, where there is a curve
const LOW = 24; // where there is none
const ROOM = 22; // that the number of an epoch needs
const APART = 24; // of neighbouring moments: room for a finger

/** Lengths of the same sum, none below its least one: the long ones give. Where even these have no room, they shrink. */
export function stretched(lengths, leasts) {
  const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);
  const [total, needed] = [sum(lengths), sum(leasts)];
  const least = leasts.map((length) => length * Math.min(1, total / needed));
  const held = new Set();
  for (;;) {
    const free = lengths.map((_, i) => i).filter((i) => !held.has(i));
    const scale = (total - sum([...held].map((i) => least[i]))) / sum(free.map((i) => lengths[i]));
    const short = free.filter((i) => lengths[i] * scale < least[i]);
    if (!short.length) return lengths.map((length, i) => (held.has(i) ? least[i] : length * scale));
    for (const i of short) held.add(i);
  }
}

/**
 * Sizes, the place of an epoch and of a share, the moment nearest to an x, and the epochs that there is room to write.
 * `letters` says how many times as large as usual these are.
 */
export function curveLayout(epochs, accuracy, classes, width = WIDTH, letters = 1) {
  const floor = MARGIN.top + (accuracy.length ? HIGH : LOW);
  const height = floor + MARGIN.bottom * letters;
  const [left, right] = [MARGIN.left * letters, width - MARGIN.right];
  const last = Math.max(...epochs, accuracy.length);
  const guessing = 1 / classes;
  const ceiling = Math.min(1, Math.ceil(Math.max(guessing, ...accuracy) * 5 + 0.01) / 5);
  const knots = [...new Set([0, ...epochs, last])].sort((one, other) => one - other);
  const exact = knots.slice(1).map((knot, i) => ((knot - knots[i]) / last) * (right - left));
  const steps = stretched(
    exact,
    exact.map((_, i) => (epochs.includes(knots[i]) && epochs.includes(knots[i + 1]) ? APART : 0)),
  );
  /** To scale, but for moments that would lie too near to one another. */
  function xOf(epoch) {
    let x = left;
    steps.forEach((step, i) => {
      x += step * within((epoch - knots[i]) / (knots[i + 1] - knots[i]), 0, 1);
    });
    return x;
  }
  const yOf = (share) => floor - (share / ceiling) * (floor - MARGIN.top);
  return {
    ...{ width, height, left, right, floor, top: MARGIN.top - 8, guessing, ceiling, xOf, yOf },
    isToScale: steps.every((step, i) => Math.abs(step - exact[i]) < 0.5),
    levels: Array.from({ length: Math.round(ceiling * 5) + 1 }, (_, i) => i / 5),
    dotOf: (share) => (accuracy.length ? yOf(share ?? guessing) : floor - 14),
    momentAt: (x) => largestOf(epochs.map((epoch) => -Math.abs(xOf(epoch) - x))),
    /** The chosen epoch is always written, the others where there is room. */
    written(chosen) {
      const found = [];
      for (const epoch of [chosen, ...epochs]) {
        if (found.every((other) => Math.abs(xOf(other) - xOf(epoch)) >= ROOM * letters)) found.push(epoch);
      }
      return found;
    },
  };
}
