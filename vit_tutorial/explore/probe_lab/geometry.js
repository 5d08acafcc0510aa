// Where things lie in the probe lab, in CSS pixels.

import { within } from "../numbers.js";

export const SIDE = 440; // of the map
export const RIM = 14; // between the farthest dot and the edge
export const DOT = 4.5; // radius of a dot
const REACH = 14; // how far from a dot the pointer may be

/** Where each picture lies on a map of so many CSS pixels: [x, y] by its number. Up is up. */
export function dotsOf(places, side) {
  const half = side / 2;
  const scale = half - RIM;
  return Array.from({ length: places.length / 2 }, (_, i) => [
    half + scale * places[2 * i],
    half - scale * places[2 * i + 1],
  ]);
}

/** In which order the dots from number `first` to before `end` are painted: right ones, wrong ones, the chosen one. */
export function paintOrder(first, end, isRight, chosen) {
  const others = Array.from({ length: end - first }, (_, i) => first + i).filter((i) => i !== chosen);
  return [...others.filter(isRight), ...others.filter((i) => !isRight(i)), chosen];
}

/** The dot nearest to a point, among those from number `first` on, counted from there; null if none is near. */
export function dotUnder(dots, first, x, y) {
  let [best, nearest] = [null, REACH];
  for (let i = first; i < dots.length; i++) {
    const distance = Math.hypot(dots[i][0] - x, dots[i][1] - y);
    if (distance < nearest) [best, nearest] = [i - first, distance];
  }
  return best;
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The dot that an arrow key leads to: of those that lie rather in its direction than across, the nearest; the same dot
 * where there is none. Counted from number `first` on.
 */
export function dotBeside(dots, first, current, key) {
  const [right, down] = STEPS[key];
  const [x, y] = dots[first + current];
  let [best, nearest] = [current, Number.POSITIVE_INFINITY];
  for (let i = first; i < dots.length; i++) {
    const [dx, dy] = [dots[i][0] - x, dots[i][1] - y];
    const [along, across] = [dx * right + dy * down, Math.abs(dx * down + dy * right)];
    const distance = Math.hypot(dx, dy);
    if (along > 0 && across <= along && distance < nearest) [best, nearest] = [i - first, distance];
  }
  return best;
}

export const BARS = 420; // the width of the bars of all stages, where there is room
const SHORTEST = 60; // of a bar of 100%

/**
 * The bars of so many stages below one another: how wide and high they are, how long one of 100% is, where name, number
 * and bar of a stage begin, each at the middle of its height, and the stage at a point. `widest` is the width of the
 * widest name; where there is no room for it before its bar, it stands above. `letters` says how many times as large as
 * usual these are.
 */
export function barsLayout(width, stages, widest, letters = 1) {
  const number = 52 * letters;
  const isAbove = widest + 12 + number + SHORTEST > width;
  const start = isAbove ? 0 : widest + 12;
  const line = (isAbove ? 40 : 24) * letters;
  return {
    ...{ width, height: line * stages, longest: width - start - number },
    lineOf(stage) {
      const middle = line * (stage + (isAbove ? 0.7 : 0.5));
      const name = [0, line * (stage + (isAbove ? 0.28 : 0.5))];
      return { name, number: [start, middle], bar: [start + number, middle], thick: 12 * letters };
    },
    stageAt: (y) => within(Math.floor(y / line), 0, stages - 1),
  };
}
