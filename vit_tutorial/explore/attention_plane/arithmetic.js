// The numbers of attention in the plane in the browser: the same as in numbers.py.

import { decimals, finePercent, within } from "../numbers.js";

export const KINDS = ["q", "k", "v"];
export const TOKENS = [0, 1, 2];
export const VECTORS = KINDS.flatMap((kind) => TOKENS.map((token) => `${kind}${token}`));

/** Where a query may look at a key. */
const maySee = { none: () => true, causal: (query, key) => key <= query, padding: (_, key) => key !== 2 };

/** Each step from the vectors to the outputs; rows are queries, columns keys, and -Infinity stands for a masked one. */
export function attentionOf({ q, k, v, scaled, temperature, mask }) {
  const scores = q.map(([x, y]) => k.map(([a, b]) => x * a + y * b));
  const divisor = (scaled ? Math.SQRT2 : 1) * temperature;
  const divided = scores.map((row, i) => row.map((score, j) => (maySee[mask](i, j) ? score / divisor : -Infinity)));
  const weights = divided.map((row) => {
    const top = Math.max(...row);
    const raised = row.map((score) => Math.exp(score - top));
    const sum = raised.reduce((total, one) => total + one, 0);
    return raised.map((one) => one / sum);
  });
  const outputs = weights.map((row) =>
    [0, 1].map((axis) => row.reduce((total, weight, j) => total + weight * v[j][axis], 0)),
  );
  return { scores, divisor, divided, weights, outputs };
}

/** How much of a value an output takes, in words: of a masked key exactly nothing. */
export const shareOf = ({ divided, weights }, query, key) =>
  divided[query][key] === -Infinity ? "0.0%" : finePercent(weights[query][key]);

/** The vector with a name such as "k1". */
export const vectorOf = (vectors, name) => vectors[name[0]][Number(name[1])];

/** The vectors of a kind with one of them put elsewhere: to two decimals, and not farther out than `farthest`. */
export function movedTo(points, token, point, farthest) {
  const inside = point.map((number) => within(Math.round(number * 100) / 100 + 0, -farthest, farthest));
  return points.map((one, i) => (i === token ? inside : one));
}

export const samePoints = (one, other) => JSON.stringify(one) === JSON.stringify(other);

const place = (point) => `(${point.map((number) => decimals(number)).join(", ")})`;

function listed(keys) {
  return keys.length === TOKENS.length ? "all three keys" : `key${keys.length > 1 ? "s" : ""} ${keys.join(" and ")}`;
}

/** Where one query looks, from its scores and weights: two sentences without their subject. */
function looks(scores, divided, weights, divisor) {
  const shares = weights.map(finePercent);
  const isOpen = (key) => divided[key] !== -Infinity;
  const open = TOKENS.filter(isOpen);
  const hidden = TOKENS.filter((key) => !isOpen(key));
  const best = open.reduce((one, key) => (weights[key] > weights[one] ? key : one));
  const top = open.filter((key) => shares[key] === shares[best]);
  const rest = open.filter((key) => !top.includes(key)).map((key) => `key ${key}: ${shares[key]}`);
  let text = `looks most at ${listed(top)}, with ${shares[best]}${top.length > 1 ? " each" : ""} (${rest.join(", ")})`;
  if (open.length === 1) text = `can look only at ${listed(top)}, with ${shares[best]}`;
  else if (rest.length === 0) text = `looks at ${listed(top)} alike, with ${shares[best]} each`;
  const entropy = -weights.reduce((sum, weight) => (weight > 0 ? sum + weight * Math.log(weight) : sum), 0);
  const inWords = (numbers) => numbers.map((number) => decimals(number)).join(", ");
  text += `: as if spread evenly over ${decimals(Math.exp(entropy))} keys. Scores ${inWords(scores)}`;
  if (divisor !== 1) text += `; divided by ${decimals(divisor)}: ${inWords(scores.map((score) => score / divisor))}`;
  if (hidden.length > 0) text += `; ${listed(hidden)} ${hidden.length > 1 ? "are" : "is"} masked`;
  return `${text}.`;
}

/** What the explorer shows, in a few sentences, as `words` in numbers.py; `lead` begins them. */
export function wordsOf(shown, lead) {
  const { q, query, chosen, scores, divided, divisor, weights, outputs } = shown;
  return (
    `${lead} ${query}, ${place(q[query])}, ${looks(scores[query], divided[query], weights[query], divisor)} ` +
    `Output ${query} is ${place(outputs[query])}. The arrow keys move ${chosen}, ${place(vectorOf(shown, chosen))}.`
  );
}
