// The numbers of the training timeline in the browser, looked up as in numbers.py, and the same words.

import { bytesOf, decimals, largestOf, patchName, percent, unpackHalf } from "../numbers.js";

/** The validation accuracy after so many epochs; null before training, or if there are no accuracies. */
export const accuracyAfter = (accuracy, epoch) => (accuracy.length && epoch ? accuracy[epoch - 1] : null);

/** "before training", "after 1 epoch", "after 2 epochs". */
export const momentName = (epoch) => (epoch ? `after ${epoch} epoch${epoch > 1 ? "s" : ""}` : "before training");

/** Whoever speaks for the whole picture, and what it does. */
export const wholeName = (prefix) => (prefix ? "the class token" : "all patches together");
export const wholeLooks = (prefix) => `${wholeName(prefix)} look${prefix ? "s" : ""}`;

/** "Bag with 93.1%": the most probable class. */
export function says(probabilities, classes) {
  const best = largestOf(probabilities);
  return `${classes[best]} with ${percent(probabilities[best])}`;
}

/** What the view reads off the numbers that data.py computed: all that is shown of one moment, and the ends of colours. */
export function lookupsOf(sent) {
  const { epochs, names, classes, layers, prefix } = sent;
  const [rows, columns] = sent.grid;
  const patches = rows * columns;
  const reals = (name) => new Float32Array(bytesOf(sent[name]).buffer);
  const [probabilities, alike, near] = ["probabilities", "alike", "near"].map(reals);
  const attention = unpackHalf(bytesOf(sent.attention));
  const row = (numbers, size, at) => numbers.subarray(size * at, size * (at + 1));
  const isItself = (i) => Math.floor(i / patches) % patches === i % patches;
  const alikeTop = alike.reduce((top, value, i) => (isItself(i) ? top : Math.max(top, Math.abs(value))), 0);
  /** Of every moment: how probable the classes of a picture are. */
  const answersOf = (which) => epochs.map((_, at) => row(probabilities, classes.length, at * names.length + which));
  /** Of every moment: what someone gives to the patches; looker 0 speaks for the whole picture, looker 1 is patch 0. */
  const seenBy = (which, layer, looker) =>
    epochs.map((_, at) =>
      row(attention, patches, ((at * names.length + which) * layers + layer) * (patches + 1) + looker),
    );

  function stateOf({ epoch, picture, layer, token }) {
    const moment = epochs.indexOf(epoch);
    const which = names.indexOf(picture);
    const chosen = token === null || token < prefix ? null : token - prefix;
    const patch = chosen ?? Math.floor(rows / 2) * columns + Math.floor(columns / 2);
    const answers = answersOf(which);
    const seen = seenBy(which, layer, chosen === null ? 0 : chosen + 1);
    return {
      ...{ epoch, picture, layer, moment, which, chosen, patch, answers },
      probabilities: answers[moment],
      seen: seen[moment],
      seenTop: Math.max(...seen.map((weights) => weights[largestOf(weights)])),
      alike: row(alike, patches, moment * patches + patch),
      near: row(near, 2, moment * patches + patch),
    };
  }
  return { alikeTop, stateOf };
}

/** What the model says of a picture, when it is most sure, and its accuracy. */
function wordsOfAnswer({ epoch, picture, moment, answers }, { epochs, accuracy, classes }) {
  const sureness = answers.map((probabilities) => probabilities[largestOf(probabilities)]);
  const surest = largestOf(sureness);
  const most =
    sureness[moment] === sureness[surest]
      ? "at no other moment is it more sure"
      : `it is most sure ${momentName(epochs[surest])}: ${says(answers[surest], classes)}`;
  const share = accuracyAfter(accuracy, epoch);
  const measured = share === null ? "" : ` Its validation accuracy is ${percent(share)}.`;
  return `${picture}: ${momentName(epoch)} the model says ${says(answers[moment], classes)}; ${most}.${measured}`;
}

/** Where someone looks most in a layer. */
export function wordsOfAttention({ layer, chosen, seen }, { prefix, grid }) {
  const who = chosen === null ? wholeLooks(prefix) : `${patchName(chosen, grid[1])} looks`;
  const best = largestOf(seen);
  return `In layer ${layer} ${who} most at ${patchName(best, grid[1])}, with ${percent(seen[best])}.`;
}

/** How alike a position is to others. */
export function wordsOfPosition({ patch, near }, { grid }) {
  const [close, far] = Array.from(near, (mean) => decimals(mean));
  return (
    `The position of ${patchName(patch, grid[1])}: mean cosine similarity ${close} to its neighbours, ` +
    `${far} to the others.`
  );
}

/** What the timeline shows, in a few sentences, as `words` in numbers.py. */
export const wordsOf = (state, sent) =>
  [wordsOfAnswer, wordsOfAttention, wordsOfPosition].map((about) => about(state, sent)).join(" ");
