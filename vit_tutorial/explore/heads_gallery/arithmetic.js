// The numbers of the heads gallery in the browser: the same as in numbers.py. The model itself runs in ../vit.js.

import { bestClass, count, largestOf, patchName, percent } from "../numbers.js";

/** The names that may stand in line i of so many: one where every class has its line. */
export const namesIn = (classes, lines, i) => (lines === classes.length ? [classes[i]] : classes);

/** The heads of one layer that are off. */
export const goneIn = (off, layer) => off.filter(([where]) => where === layer).map(([, head]) => head);

/** The heads that are off if those of one layer are `gone`, in order. */
export function withGone(off, layer, gone) {
  const others = off.filter(([where]) => where !== layer);
  return [...others, ...gone.map((head) => [layer, head])].sort(([a, b], [c, d]) => a - c || b - d);
}

/** All heads but those of `gone`. */
export const without = (heads, ...gone) => Array.from({ length: heads }, (_, i) => i).filter((i) => !gone.includes(i));

/** The weights that a query gives to the patches in one head, of maps [h, N, N] after one another. */
export function onPatches(maps, tokens, prefix, head, query) {
  const start = (head * tokens + query) * tokens;
  return maps.subarray(start + prefix, start + tokens);
}

/** Which heads are off: "layer 0 head 1; layer 3 all heads", or "nothing". */
export function offWords(off, heads) {
  const parts = [...new Set(off.map(([layer]) => layer))].map((layer) => {
    const gone = goneIn(off, layer);
    const some = `head${gone.length > 1 ? "s" : ""} ${gone.join(" and ")}`;
    return `layer ${layer} ${gone.length === heads ? "all heads" : some}`;
  });
  return parts.join("; ") || "nothing";
}

/** What the gallery shows, in a few sentences, as `words` in numbers.py; `seen[head]` is what each head gives to patches. */
export function wordsOf({ name, layer, query, off, seen, probabilities, allOn, label, classes, prefix, columns }) {
  const patch = query - prefix;
  const who = patch >= 0 ? patchName(patch, columns).replace("p", "P") : "The class token";
  const gone = goneIn(off, layer);
  const most = seen.map((weights, head) => {
    const best = largestOf(weights);
    return `head ${head}${gone.includes(head) ? " (off)" : ""} patch ${count(best)} (${percent(weights[best])})`;
  });
  const truth = label === null ? "" : ` The label is ${classes[label]}.`;
  return (
    `${name}, layer ${layer}. ${who} looks most at: ${most.join(", ")}. Switched off: ${offWords(off, seen.length)}. ` +
    `The model says ${bestClass(probabilities, classes)}; with all heads on, ${bestClass(allOn, classes)}.${truth}`
  );
}
