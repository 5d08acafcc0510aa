// The numbers of the lens lab in the browser: the same as in numbers.py. The model itself runs in ../vit.js.

import { bestClass, largestOf, patchName } from "../numbers.js";
import { embed, forward, passOf, probabilitiesOf, readTokens } from "../vit.js";

/** "before the first block", "after 1 block", "after 2 blocks". */
export const blockName = (block) => (block ? `after ${block} block${block > 1 ? "s" : ""}` : "before the first block");

/** The tokens that come from the other picture. */
export function exchangedTokens({ prefix, tokens }, token, exchange) {
  if (exchange === "nothing") return [];
  return exchange === "this token" ? [token] : Array.from({ length: tokens - prefix }, (_, patch) => prefix + patch);
}

/** The tokens [N, D] with some of them taken from others. */
function mixed(own, others, exchanged, dim) {
  const tokens = own.slice();
  for (const token of exchanged) tokens.set(others.subarray(token * dim, (token + 1) * dim), token * dim);
  return tokens;
}

/**
 * A function from choices to what the model says; `pixelsOf(name)` gives a picture. `lens[k][token]` is what a token says
 * after k blocks, and `answer` what the model says, both with the exchange; `untouched` holds them without it, and
 * `lender` those of the other picture.
 */
export function lensOf(vit, pixelsOf) {
  const known = new Map();
  const read = ({ tokens, logits }) => ({
    lens: tokens.map((after) => readTokens(vit, after)),
    answer: probabilitiesOf(logits),
  });
  function without(name) {
    if (!known.has(name)) {
      const pass = forward(vit, passOf(vit), embed(vit, pixelsOf(name)));
      known.set(name, { tokens: pass.tokens, ...read(pass) });
    }
    return known.get(name);
  }
  const pass = passOf(vit);
  let last = null; // the exchange that was computed last

  return ({ picture, other, block, token, exchange }) => {
    const [untouched, lender] = [without(picture), without(other)];
    const exchanged = exchangedTokens(vit, token, exchange);
    if (!exchanged.length) return { ...untouched, untouched, lender, exchanged };
    const key = [picture, other, block, ...exchanged].join("\n");
    if (last?.key !== key) {
      const replaced = new Array(vit.layers);
      const put = mixed(untouched.tokens[block], lender.tokens[block], exchanged, vit.dim);
      if (block) replaced[block - 1] = put;
      last = { key, ...read(forward(vit, pass, block ? untouched.tokens[0] : put, [], replaced)) };
    }
    return { ...last, untouched, lender, exchanged };
  };
}

/** Which classes the patches say, the commonest first: "Bag 30 times, Coat 19 times". */
export function patchWords(said, classes) {
  const counts = classes.map(() => 0);
  for (const probabilities of said) counts[largestOf(probabilities)] += 1;
  const heard = classes.map((_, i) => i).filter((i) => counts[i]);
  heard.sort((a, b) => counts[b] - counts[a] || a - b);
  return heard.map((i) => `${classes[i]} ${counts[i]} time${counts[i] > 1 ? "s" : ""}`).join(", ");
}

/** "the class token" or "patch 9 (row 1, column 1)". */
export const tokenName = (token, { prefix, grid }) =>
  token < prefix ? "the class token" : patchName(token - prefix, grid[1]);

/** What the model answers, and what it answered without the exchange. */
export function verdictOf({ exchanged, answer, untouched }, classes) {
  const instead = exchanged.length ? ` instead of ${bestClass(untouched.answer, classes)}` : "";
  return `The model answers ${bestClass(answer, classes)}${instead}.`;
}

/** What the lab shows, in a few sentences, as `words` in numbers.py. */
export function wordsOf(shown, sent) {
  const { picture, other, block, token, exchange, lens } = shown;
  const { vit, classes } = sent;
  const who = tokenName(token, vit);
  const whose = exchange === "this token" ? `${who} for that` : "all patches for those";
  const taken = exchange === "nothing" ? "" : ` Exchanged: ${whose} of ${other}.`;
  const course = lens.map((said) => classes[largestOf(said[token])]);
  return (
    `${picture}, ${blockName(block)}: ${who} says ${bestClass(lens[block][token], classes)}. ` +
    `Block by block, from before the first one, it says ${course.join(", ")}. ` +
    `The patches say ${patchWords(lens[block].slice(vit.prefix), classes)}.${taken} ${verdictOf(shown, classes)}`
  );
}
