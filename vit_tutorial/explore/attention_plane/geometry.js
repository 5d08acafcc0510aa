// Where the two planes lie, their axes, and where names find room, in CSS pixels.

import { within } from "../numbers.js";

export const PLANE = { wide: 912, across: 440, high: 344, title: 22, gap: 32 };
const NARROW = 668; // of the room: below, one plane lies below the other; larger letters need more
const RING = 12; // half of what the mark on a vector to move takes; the head of an arrow takes no more
const POINT = 6; // half of what a point takes, or an arrow across its way
const HEAD = 9; // from the tip of an arrow to the middle of its head

const ON_NAME = 4; // how much worse it is to cover a name than anything else
// Where names are tried, two numbers a place: across and above, away from the axes where positive.
const TRIED = [
  ...[1, 0.6, 1, -0.6, 0, 1.5, -1, 0.6, 0, -1.5, -1, -0.6],
  ...[1, 1.7, 1, -1.7, -1, 1.7, -1, -1.7, 0, 2.7, 0, -2.7, -1.3, 0.6],
  ...[1.3, 0, 1, 2.7, 1, -2.7, -1, 2.7, -1, -2.7, 0, 3.8, 0, -3.8],
];

/**
 * How large a plane is drawn in so much room, so that nothing on it is drawn smaller, and where the second one lies.
 * `letters` says how many times as large as usual these are.
 */
export function planeIn(room, letters = 1) {
  const isNarrow = room < Math.min(NARROW * letters, PLANE.wide);
  const across = Math.min(PLANE.across, Math.floor(isNarrow ? room : (room - PLANE.gap) / 2));
  return { across, high: Math.min(PLANE.high, across), isNarrow, letters, title: PLANE.title * letters };
}

/** The axes of both planes: how far they go, where their origin lies, and which lines and numbers are drawn. */
export function axesOf({ q, k, v }, reaches, { across, high, isNarrow, letters, title }) {
  const far = Math.max(...[...q, ...k].flat().map(Math.abs));
  const reach = reaches.find((one) => far <= one);
  const least = Math.min(...v.flat()) >= -2 ? -2 : -12;
  const middle = (least + 12) / 2;
  const unitFor = (span) => (high - 2 * RING) / span; // a mark has room at all sides
  const [unit, small] = [unitFor(2 * reach), unitFor(12 - least)];
  const [left, top] = isNarrow ? [0, high + 2 * title] : [across + PLANE.gap, title];
  const [x, y] = [across / 2, high / 2];
  const vectors = { left: 0, top: title, x, y: title + y, unit, step: reach / 4, named: reach / 2 };
  const origin = { x: left + x - middle * small, y: top + y + middle * small };
  const values = { left, top, ...origin, unit: small, step: 2, named: least < -2 ? 6 : 4 };
  return [vectors, values].map((axes) => ({ ...axes, across, high, letters }));
}

/** Width and height of the canvas that holds both planes. */
export function planesSize({ across, high, isNarrow, title }) {
  const tall = high + title;
  return isNarrow ? [across, 2 * tall] : [2 * across + PLANE.gap, tall];
}

/** Where a point lies on the canvas, and the point that lies there. */
export const spotOf = ({ x, y, unit }, point) => [x + unit * point[0], y - unit * point[1]];
export const pointAt = (axes, [x, y]) => [(x - axes.x) / axes.unit, (axes.y - y) / axes.unit];

/** The point of the line through the origin and `query` that lies nearest to `key`; null if the query is the origin. */
export function shadowOf(key, query) {
  const square = query[0] ** 2 + query[1] ** 2;
  return square > 0 ? query.map((number) => ((key[0] * query[0] + key[1] * query[1]) / square) * number) : null;
}

/** The outline of an arrow; null where it would be shorter than a pixel. */
export function arrowOutline(from, to, width, head) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const long = Math.hypot(dx, dy);
  if (long < 1) return null;
  const [ux, uy] = [dx / long, dy / long];
  const size = Math.min(head, long);
  const neck = [to[0] - size * ux, to[1] - size * uy];
  const at = (along, aside) => [along[0] - aside * uy, along[1] + aside * ux];
  const side = (sign) => [at(from, (sign * width) / 2), at(neck, (sign * width) / 2), at(neck, (sign * size) / 2)];
  return [...side(1), to, ...side(-1).reverse()];
}

/** Names and numbers of points given as [name, point, first]; points in one place share a text, the first leads it. */
export function labelsOf(entries) {
  const together = new Map();
  for (const [name, point, first] of entries) {
    const numbers = point.map((number) => String(Math.floor(number * 100 + 0.5) / 100)).join(", ");
    const label = together.get(numbers) ?? { names: [], point, first: false };
    label.names[first ? "unshift" : "push"](name);
    label.first ||= first;
    together.set(numbers, label);
  }
  const labels = [...together].map(([numbers, { names, point, first }]) => {
    return { text: `${names.join(" = ")} (${numbers})`, point, first };
  });
  return labels.sort((one, other) => other.first - one.first);
}

/** The area that two rectangles [left, top, right, bottom] share. */
export function overlap(one, other) {
  const across = Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0]));
  return across * Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));
}

/** What the mark on a vector to move covers. */
export const ringArea = ([x, y]) => [x - RING, y - RING, x + RING, y + RING];

/** What points cover, and with `arrows` the ways to them from the origin, in squares that reach so far to each side. */
export function coveredBy(axes, points, reach, arrows) {
  return points.flatMap((point) => {
    const [x, y] = spotOf(axes, point);
    const steps = arrows ? Math.max(1, Math.ceil(Math.hypot(x - axes.x, y - axes.y) / (2 * reach))) : 0;
    return Array.from({ length: steps + 1 }, (_, step) => {
      const rest = steps ? 1 - step / steps : 0;
      const [a, b] = [x + rest * (axes.x - x), y + rest * (axes.y - y)];
      return [a - reach, b - reach, a + reach, b + reach];
    });
  });
}

/**
 * The middle of each label and the area that it covers, beside its point where that covers least; the first labels choose
 * first. `widthOf(label)` is that of its text; with `arrows` the way from the origin to a point is kept free too.
 */
export function placesOf(labels, axes, widthOf, arrows) {
  const { letters } = axes;
  const [low, high] = [axes.left + 2, axes.left + axes.across - 2];
  const points = labels.map(({ point }) => point);
  const taken = coveredBy(axes, points, POINT, arrows);
  for (const { point, first } of labels) {
    const [x, y] = spotOf(axes, point);
    const part = 1 - Math.min(1, HEAD / Math.hypot(x - axes.x, y - axes.y));
    if (arrows) taken.push(ringArea([axes.x + part * (x - axes.x), axes.y + part * (y - axes.y)]));
    if (first) taken.push(ringArea([x, y]));
  }
  const named = [];
  return labels.map((label) => {
    const half = widthOf(label) / 2;
    const [x, y] = spotOf(axes, label.point);
    const [side, up] = [x < axes.x ? -1 : 1, y > axes.y ? 1 : -1];
    let best = { covered: Infinity };
    for (let i = 0; i < TRIED.length; i += 2) {
      const middle = [
        within(x + side * TRIED[i] * (half + 14), low + half, high - half),
        within(y + up * TRIED[i + 1] * 11 * letters, axes.top + 8 * letters, axes.top + axes.high - 8 * letters),
      ];
      const area = [middle[0] - half - 2, middle[1] - 7 * letters, middle[0] + half + 2, middle[1] + 7 * letters];
      const covers = (areas) => areas.reduce((sum, other) => sum + overlap(area, other), 0);
      const covered = covers(taken) + ON_NAME * covers(named);
      if (covered < best.covered - 1) best = { middle, area, covered };
    }
    named.push(best.area);
    return best;
  });
}

/** The numbers beside the axes and the middle of each; where one would meet one of the areas or an edge, it is left out. */
export function numbersOf(axes, widthOf, areas) {
  const { left, top, across, high, x, y, unit, step, named, letters } = axes;
  const most = Math.ceil(across / unit / step);
  const found = [];
  for (let i = -most; i <= most; i++) {
    if (i === 0 || (i * step) % named !== 0) continue;
    const text = String(i * step);
    const half = widthOf(text) / 2;
    for (const [a, b] of [
      [x + i * step * unit, y + 4 + 5 * letters],
      [x - 5 - half, y - i * step * unit],
    ]) {
      const area = [a - half, b - 5 * letters, a + half, b + 5 * letters];
      const isInside = area[0] >= left && area[1] >= top && area[2] <= left + across && area[3] <= top + high;
      if (isInside && areas.every((other) => overlap(area, other) === 0)) found.push({ text, middle: [a, b] });
    }
  }
  return found;
}
