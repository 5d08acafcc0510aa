// The curve of the training timeline in CSS pixels: epochs from left to right, accuracy from the floor up.

import { largestOf } from "../numbers.js";

export const WIDTH = 912;
const MARGIN = { left: 46, right: 16, top: 14, bottom: 38 };
const ROOM = 22; // that the number of an epoch needs

/** Sizes, the place of an epoch and of a share, the moment nearest to an x, and the epochs that there is room to write. */
export function curveLayout(epochs, accuracy, classes, width = WIDTH) {
  const height = accuracy.length ? 160 : 76;
  const [left, right, floor] = [MARGIN.left, width - MARGIN.right, height - MARGIN.bottom];
  const last = Math.max(...epochs, accuracy.length);
  const guessing = 1 / classes;
  const ceiling = Math.min(1, Math.ceil(Math.max(guessing, ...accuracy) * 5 + 0.01) / 5);
  const xOf = (epoch) => left + (epoch / last) * (right - left);
  const yOf = (share) => floor - (share / ceiling) * (floor - MARGIN.top);
  return {
    ...{ width, height, left, right, floor, top: MARGIN.top - 8, guessing, ceiling, xOf, yOf },
    levels: Array.from({ length: Math.round(ceiling * 5) + 1 }, (_, i) => i / 5),
    dotOf: (share) => (accuracy.length ? yOf(share ?? guessing) : floor - 14),
    momentAt: (x) => largestOf(epochs.map((epoch) => -Math.abs(xOf(epoch) - x))),
    /** The chosen epoch is always written, the others where there is room. */
    written(chosen) {
      const found = [];
      for (const epoch of [chosen, ...epochs]) {
        if (found.every((other) => Math.abs(xOf(other) - xOf(epoch)) >= ROOM)) found.push(epoch);
      }
      return found;
    },
  };
}
