// The numbers of the attention lab in the browser: the same as in numbers.py.

import { count, decimals, finePercent, oneOrTwoDecimals, patchName } from "../numbers.js";

/** The weights that scores give at a temperature. */
export function softmax(scores, temperature) {
  const weights = new Float64Array(scores.length);
  let top = -Infinity;
  for (const score of scores) top = Math.max(top, score / temperature);
  let sum = 0;
  for (let i = 0; i < scores.length; i++) {
    weights[i] = Math.exp(scores[i] / temperature - top);
    sum += weights[i];
  }
  for (let i = 0; i < weights.length; i++) weights[i] /= sum;
  return weights;
}

/** Rows of [layers, heads, tokens, tokens] numbers: `rowOf(numbers, layer, head, query)`; head -1 is the mean of all. */
export function rowsOf([, heads, tokens]) {
  return (numbers, layer, head, query, change = (row) => row) => {
    const row = new Float64Array(tokens);
    const [first, last] = head < 0 ? [0, heads - 1] : [head, head];
    for (let one = first; one <= last; one++) {
      const start = ((layer * heads + one) * tokens + query) * tokens;
      const its = change(numbers.subarray(start, start + tokens));
      for (let i = 0; i < tokens; i++) row[i] += its[i];
    }
    return head < 0 ? row.map((sum) => sum / heads) : row;
  };
}

/** The largest weight on a patch, the sum on all of them, the entropy in nats, and the patches from most to least. */
export function summary(row, prefix) {
  const patches = row.subarray(prefix);
  const entropy = -row.reduce((sum, weight) => (weight > 0 ? sum + weight * Math.log(weight) : sum), 0);
  const order = Array.from(patches, (_, patch) => patch).sort((a, b) => patches[b] - patches[a] || a - b);
  return { largest: patches[order[0]], onPatches: patches.reduce((sum, one) => sum + one, 0), entropy, order };
}

/** The largest and the smallest score, and the mean, in words. */
export function rangeOf(row) {
  const mean = row.reduce((sum, score) => sum + score, 0) / row.length;
  return { largest: decimals(Math.max(...row)), smallest: decimals(Math.min(...row)), mean: decimals(mean) };
}

/** Names of tokens on a grid of so many columns. */
export function namesOf(prefix, columns) {
  const nameOf = (patch) => patchName(patch, columns);
  const prefixName = (token) => (token === 0 ? "the class token" : `token ${token}`);
  return { patchName: nameOf, tokenName: (token) => (token < prefix ? prefixName(token) : nameOf(token - prefix)) };
}

/** What is said of one key: its score, if there is one, and its weight. */
export function readingOf(name, score, weight) {
  return `${name}: ${score === null ? "" : `score ${decimals(score)}, `}weight ${finePercent(weight)}`;
}

/** What the lab shows, in a few sentences, as `words` in numbers.py: of the choices, the summary of a row, and the rest. */
export function wordsOf(shown) {
  const { layer, head, temperature, query, row, largest, entropy, order, scores, prefix, columns, reading } = shown;
  const { patchName, tokenName } = namesOf(prefix, columns);
  const warm = temperature === 1 ? "" : `, temperature ${oneOrTwoDecimals(temperature)}`;
  const place = `Layer ${layer}, ${head < 0 ? "mean of all heads" : `head ${head}`}${warm}`;
  let text =
    `${place}: ${tokenName(query)} looks${prefix ? ", of the patches," : ""} most at ${patchName(order[0])}, ` +
    `with ${finePercent(largest)}${prefix ? `; ${finePercent(row[0])} goes to the class token` : ""}. ` +
    `Entropy ${decimals(entropy)} nats, as if spread evenly over ${decimals(Math.exp(entropy), 1)} ` +
    `of ${count(row.length)} tokens.`;
  if (scores) {
    const range = rangeOf(scores);
    text += ` Scores from ${range.smallest} to ${range.largest}, mean ${range.mean}`;
    text += prefix ? `; ${decimals(scores[0])} for the class token.` : ".";
  }
  return reading ? `${text} Marked key, ${reading}.` : text;
}
