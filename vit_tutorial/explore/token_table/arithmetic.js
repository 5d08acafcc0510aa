// The numbers of the token table in the browser: the same as in numbers.py.

import { count, decimals, percent } from "../numbers.js";

export const READS = ["row 0", "the mean of the patches", "the chosen row"];

export const nameOf = (token) => (token ? `patch ${count(token - 1)}` : "the class token");
export const stageName = (stage) => (stage === 0 ? "after the embedding" : `after block ${stage}`);
export const answerOf = ([name, probability]) => `${name} ${percent(probability)}`;

/** A number as the second part of a sum: "+ 0.25" or "- 0.25". */
export const plus = (number) =>
  decimals(number).startsWith("-") ? decimals(number).replace("-", "- ") : `+ ${decimals(number)}`;

function dot(one, other) {
  let sum = 0;
  for (let i = 0; i < one.length; i++) sum += one[i] * other[i];
  return sum;
}

/** The cosine of every row with one of them; 0 where either holds nothing but zeros. */
export function cosines(rows, row) {
  const norms = rows.map((one) => Math.sqrt(dot(one, one)));
  return rows.map((one, i) => (norms[i] * norms[row] > 0 ? dot(one, rows[row]) / (norms[i] * norms[row]) : 0));
}

/** The row other than `row` with the largest cosine to four decimals, the first of several. */
export function nearestOf(similarity, row) {
  const rounded = similarity.map((one, i) => (i === row ? -Infinity : Math.floor(one * 1e4 + 0.5)));
  return rounded.indexOf(Math.max(...rounded));
}

/**
 * A function from the choices to what the table shows. Shapes: `sizes` is [pictures, 8 ways, stages, tokens, numbers],
 * that of `tokens`; embeddings [pictures, tokens, numbers]; positions [tokens, numbers]; probabilities [pictures, 8
 * ways, stages, tokens and the mean of the patches, classes].
 */
export function stateFrom({ names, classes, sizes, tokens, embeddings, positions, probabilities }) {
  const [, ways, numStages, numTokens, dim] = sizes;
  const partOf = (numbers, row, size) => numbers.subarray(row * size, (row + 1) * size);
  const zeros = new Float32Array(dim);

  /** What the head says of one row at one stage: the class it names and its probability. */
  function headSays(table, read) {
    const row = partOf(probabilities, table * (numTokens + 1) + read, classes.length);
    const largest = Math.max(...row);
    return [classes[row.indexOf(largest)], largest];
  }

  return (choices) => {
    const { picture, stage, patches, class_token, positions: hasPositions, reads } = choices;
    const way = (patches ? 0 : 4) + (class_token ? 0 : 2) + (hasPositions ? 0 : 1);
    const first = class_token ? 0 : 1; // the token that stands in row 0
    const token = Math.max(first, choices.token);
    const index = names.indexOf(picture);
    const tableOf = (oneWay, oneStage) => (index * ways + oneWay) * numStages + oneStage;
    const rowOf = (table, one) => partOf(tokens, table * numTokens + one, dim);
    const table = tableOf(way, stage);
    const rows = Array.from({ length: numTokens - first }, (_, i) => rowOf(table, i + first));
    const row = rows[token - first];
    let [start, added] = [rowOf(tableOf(way, 0), token), null];
    let partNames = ["at the start", `from ${stage} block${stage > 1 ? "s" : ""}`, "token"];
    if (stage === 0) {
      start = token === 0 || patches ? partOf(embeddings, index * numTokens + token, dim) : zeros;
      added = hasPositions ? partOf(positions, token, dim) : zeros;
      partNames = [token === 0 ? "class token" : "patch embedding", "position", "token"];
    }
    added ??= Float64Array.from(row, (value, i) => value - start[i]);
    const similarity = cosines(rows, token - first);
    const says = (oneWay, oneStage, one) =>
      headSays(tableOf(oneWay, oneStage), [one, numTokens, token][READS.indexOf(reads)]);
    return {
      ...choices,
      ...{ first, token, rows, table, parts: [start, added, row], partNames, similarity },
      nearest: nearestOf(similarity, token - first),
      here: says(way, stage, first),
      atTheEnd: says(way, numStages - 1, first),
      allOn: says(0, numStages - 1, 0),
    };
  };
}

/** What happens to the sequence, and its shape then. */
export function shapesOf({ patches, class_token, positions, reads, rows, first }, stages, classes) {
  const [tokens, dim] = [rows.length, rows[0].length];
  const shape = `[${tokens}, ${dim}]`;
  return [
    [patches ? "patch embeddings" : "patches set to 0", `[${tokens + first - 1}, ${dim}]`],
    [class_token ? "class token in front" : "no class token", shape],
    [positions ? "positions added" : "no positions", shape],
    [`${stages - 1} blocks`, shape],
    [`read ${reads}`, `[${dim}]`],
    ["head", `[${classes}]`],
  ];
}

/** What the table shows, in a few sentences, as `words` in numbers.py; the grid of patches has so many columns. */
export function wordsOf(state, columns) {
  const { picture, stage, first, token, number, reads, rows, parts, partNames, similarity, nearest } = state;
  const [patch, row] = [token - 1, token - first];
  const partsOn = { patches: state.patches, "class token": state.class_token, positions: state.positions };
  const switched = Object.entries(partsOn).map(([part, on]) => `${part} ${on ? "on" : "off"}`);
  const place = token ? ` (row ${Math.floor(patch / columns)}, column ${patch % columns} of the picture)` : "";
  const [start, added, sum] = parts.map((part) => part[number]);
  const likest = parts[2].some((one) => one !== 0)
    ? `Most like it is row ${count(nearest)}, ${nameOf(nearest + first)}, with cosine ${decimals(similarity[nearest])}.`
    : "All its numbers are 0: no cosine tells which row is most like it.";
  return (
    `${picture}, ${stageName(stage)}: [${rows.length}, ${rows[0].length}], ${switched.join(", ")}. ` +
    `Row ${count(row)} is ${nameOf(token)}${place}. ` +
    `Its number ${count(number)}: ${decimals(start)} (${partNames[0]}) ${plus(added)} (${partNames[1]}) = ${decimals(sum)}. ` +
    `${likest} The head, reading ${reads === READS[0] ? `row 0, ${nameOf(first)}` : reads}, ` +
    `says ${answerOf(state.here)} here, and ${answerOf(state.atTheEnd)} after the last block.`
  );
}
