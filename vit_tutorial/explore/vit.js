// A Vision Transformer in the browser: the numbers that vit.py packs, and the forward pass of vit_tutorial.ViT.
//
// Tokens [N, D], maps [h, N, N] and pictures [C, H, W] are typed arrays, row by row. All room is made beforehand, by
// `vitOf` and `passOf`, and each loop fills room that is there.

import { bytesOf, unpackHalf } from "./numbers.js";

/** erf to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}

const GELU = {
  exact: (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2)),
  tanh: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
};

/**
 * Rows [n, inputs] times a matrix stored as [outputs, inputs], plus a bias. Two rows meet four outputs at a time, so that
 * each number is read once for many products; beyond the last row and the last output, the last one is done again.
 */
function linear(x, n, { weight, bias }, out) {
  const outputs = bias.length;
  const inputs = weight.length / outputs;
  for (let o0 = 0; o0 < outputs; o0 += 4) {
    const o1 = Math.min(o0 + 1, outputs - 1);
    const o2 = Math.min(o0 + 2, outputs - 1);
    const o3 = Math.min(o0 + 3, outputs - 1);
    for (let row = 0; row < n; row += 2) {
      const below = Math.min(row + 1, n - 1);
      let a0 = bias[o0];
      let a1 = bias[o1];
      let a2 = bias[o2];
      let a3 = bias[o3];
      let b0 = a0;
      let b1 = a1;
      let b2 = a2;
      let b3 = a3;
      for (let i = 0; i < inputs; i++) {
        const a = x[row * inputs + i];
        const b = x[below * inputs + i];
        const w0 = weight[o0 * inputs + i];
        const w1 = weight[o1 * inputs + i];
        const w2 = weight[o2 * inputs + i];
        const w3 = weight[o3 * inputs + i];
        a0 += a * w0;
        a1 += a * w1;
        a2 += a * w2;
        a3 += a * w3;
        b0 += b * w0;
        b1 += b * w1;
        b2 += b * w2;
        b3 += b * w3;
      }
      out[row * outputs + o0] = a0;
      out[row * outputs + o1] = a1;
      out[row * outputs + o2] = a2;
      out[row * outputs + o3] = a3;
      out[below * outputs + o0] = b0;
      out[below * outputs + o1] = b1;
      out[below * outputs + o2] = b2;
      out[below * outputs + o3] = b3;
    }
  }
}

function layerNorm(x, n, { weight, bias }, eps, out) {
  const dim = weight.length;
  for (let from = 0; from < n * dim; from += dim) {
    let mean = 0;
    for (let i = 0; i < dim; i++) mean += x[from + i];
    mean /= dim;
    let variance = 0;
    for (let i = 0; i < dim; i++) variance += (x[from + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / dim + eps);
    for (let i = 0; i < dim; i++) out[from + i] = (x[from + i] - mean) * scale * weight[i] + bias[i];
  }
}

/** Softmax of `count` numbers in place. */
function softmaxAt(numbers, start, count) {
  let largest = -Infinity;
  for (let i = start; i < start + count; i++) largest = Math.max(largest, numbers[i]);
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += numbers[i] = Math.exp(numbers[i] - largest);
  for (let i = start; i < start + count; i++) numbers[i] /= sum;
}

/** A model as vit.py packs it: its sizes, its parts by their names in PyTorch, and room to compute in. */
export function vitOf({ numbers, half, ...sizes }) {
  const { channels, patch, grid, prefix, layers, heads, dim, hidden, outputs } = sizes;
  const patches = grid[0] * grid[1];
  const tokens = prefix + patches;
  const each = channels * patch * patch;
  const width = dim / heads;
  const all = half ? unpackHalf(bytesOf(numbers)) : new Float32Array(bytesOf(numbers).buffer);
  let at = 0;
  const take = (size) => {
    at += size;
    return all.subarray(at - size, at);
  };
  const pair = (outputs, inputs = 1) => ({ weight: take(outputs * inputs), bias: take(outputs) });
  return {
    ...sizes,
    ...{ patches, tokens, gelu: GELU[sizes.gelu] },
    patchEmbed: pair(dim, each),
    classToken: take(prefix * dim),
    position: take(tokens * dim),
    blocks: Array.from({ length: layers }, () => ({
      norm1: pair(dim),
      qkv: pair(3 * dim, dim),
      proj: pair(dim, dim),
      norm2: pair(dim),
      fc1: pair(hidden, dim),
      fc2: pair(dim, hidden),
    })),
    norm: pair(dim),
    head: pair(outputs, dim),
    room: {
      cut: new Float32Array(patches * each),
      normed: new Float32Array(tokens * dim),
      qkv: new Float32Array(tokens * 3 * dim),
      query: new Float32Array(tokens * width),
      key: { weight: new Float32Array(tokens * width), bias: new Float32Array(tokens) },
      value: { weight: new Float32Array(tokens * width), bias: new Float32Array(width) },
      head: new Float32Array(tokens * width),
      added: new Float32Array(tokens * dim),
      wide: new Float32Array(tokens * hidden),
      off: new Uint8Array(layers * heads),
    },
  };
}

/** The tokens in front of the first block, of a picture's pixels, 0 to 255. */
export function embed(vit, pixels) {
  const { channels, patch, grid, prefix, dim, mean, std, room } = vit;
  const [height, width] = [grid[0] * patch, grid[1] * patch];
  let into = 0;
  for (let cell = 0; cell < vit.patches; cell++) {
    const [top, left] = [Math.floor(cell / grid[1]) * patch, (cell % grid[1]) * patch];
    for (let c = 0; c < channels; c++) {
      for (let y = top; y < top + patch; y++) {
        for (let x = left; x < left + patch; x++) {
          room.cut[into++] = (pixels[(c * height + y) * width + x] / 255 - mean[c]) / std[c];
        }
      }
    }
  }
  const tokens = new Float32Array(vit.tokens * dim);
  tokens.set(vit.classToken);
  linear(room.cut, vit.patches, vit.patchEmbed, tokens.subarray(prefix * dim));
  for (let i = 0; i < tokens.length; i++) tokens[i] += vit.position[i];
  return tokens;
}

/**
 * Room for one way through the model. After `forward` it holds `tokens[i]`, those in front of block i, and after the last
 * one at the end; `maps[i]`, the attention of block i; and `logits`.
 */
export function passOf({ layers, heads, tokens, dim, outputs }) {
  const rooms = (size) => Array.from({ length: layers }, () => new Float32Array(size));
  const maps = rooms(heads * tokens * tokens);
  const each = tokens * tokens;
  return {
    tokens: new Array(layers + 1),
    maps,
    mapOf: maps.map((all) => Array.from({ length: heads }, (_, i) => all.subarray(i * each, (i + 1) * each))),
    logits: new Float32Array(outputs),
    said: rooms(tokens * dim), // by all heads, side by side
    made: rooms(tokens * dim), // by each block: what comes after it, unless it is replaced
    off: new Uint8Array(layers * heads), // 1 for a head that is off
  };
}

/** The maps of a block, and what its heads say. */
function attend(vit, pass, layer) {
  const { heads, tokens, dim, room } = vit;
  const { qkv, query, key, value, head: out } = room;
  const said = pass.said[layer];
  const width = dim / heads;
  const shrink = 1 / Math.sqrt(width);
  layerNorm(pass.tokens[layer], tokens, vit.blocks[layer].norm1, vit.eps, room.normed);
  linear(room.normed, tokens, vit.blocks[layer].qkv, qkv);
  for (let head = 0; head < heads; head++) {
    for (let token = 0; token < tokens; token++) {
      const from = token * 3 * dim + head * width;
      for (let i = 0; i < width; i++) {
        query[token * width + i] = qkv[from + i] * shrink;
        key.weight[token * width + i] = qkv[from + dim + i];
        value.weight[i * tokens + token] = qkv[from + 2 * dim + i];
      }
    }
    const map = pass.mapOf[layer][head];
    linear(query, tokens, key, map); // Q K^T
    for (let token = 0; token < tokens; token++) softmaxAt(map, token * tokens, tokens);
    linear(map, tokens, value, out); // A V
    for (let token = 0; token < tokens; token++) {
      for (let i = 0; i < width; i++) said[token * dim + head * width + i] = out[token * width + i];
    }
  }
}

/** The tokens after a block: what the heads say that are on, mixed and added, and then the MLP. */
function finish(vit, pass, layer) {
  const { heads, tokens, dim, gelu, room } = vit;
  const { proj, norm2, fc1, fc2 } = vit.blocks[layer];
  const { normed, added, wide } = room;
  const [before, said, out] = [pass.tokens[layer], pass.said[layer], pass.made[layer]];
  const width = dim / heads;
  for (let i = 0; i < said.length; i++) {
    normed[i] = pass.off[layer * heads + Math.floor((i % dim) / width)] ? 0 : said[i];
  }
  linear(normed, tokens, proj, added);
  for (let i = 0; i < out.length; i++) out[i] = before[i] + added[i];
  layerNorm(out, tokens, norm2, vit.eps, normed);
  linear(normed, tokens, fc1, wide);
  for (let i = 0; i < wide.length; i++) wide[i] = gelu(wide[i]);
  linear(wide, tokens, fc2, added);
  for (let i = 0; i < out.length; i++) out[i] += added[i];
}

/** Read the logits off tokens [N, D], as the model does after its last block. */
function classify(vit, tokens, logits) {
  const { dim, pool, room } = vit;
  layerNorm(tokens, vit.tokens, vit.norm, vit.eps, room.normed);
  const read = room.added.subarray(0, dim);
  for (let i = 0; i < dim; i++) {
    let sum = 0;
    for (let token = 0; token < vit.tokens; token++) sum += room.normed[token * dim + i];
    read[i] = pool === "mean" ? sum / vit.tokens : room.normed[i];
  }
  linear(read, 1, vit.head, logits);
}

/**
 * Bring a pass from the tokens in front of the first block to the logits. The heads of `off`, pairs [layer, head], add
 * nothing: their numbers are zero before the output projection. Where `replaced[i]` is set, these tokens stand in the
 * place of those after block i. Only what differs from the last time is computed again: tokens count as the same as long
 * as they are the same array, so give new numbers in a new one.
 */
export function forward(vit, pass, start, off = [], replaced = []) {
  const { layers, heads, room } = vit;
  room.off.fill(0);
  for (const [layer, head] of off) room.off[layer * heads + head] = 1;
  let changed = pass.tokens[0] !== start;
  pass.tokens[0] = start;
  for (let layer = 0; layer < layers; layer++) {
    if (changed) attend(vit, pass, layer);
    for (let at = layer * heads; at < (layer + 1) * heads; at++) {
      changed ||= pass.off[at] !== room.off[at];
      pass.off[at] = room.off[at];
    }
    if (changed) finish(vit, pass, layer);
    const next = replaced[layer] ?? pass.made[layer];
    changed = next !== pass.tokens[layer + 1] || (changed && next === pass.made[layer]);
    pass.tokens[layer + 1] = next;
  }
  if (changed) classify(vit, pass.tokens[layers], pass.logits);
  return pass;
}

/** What each of the tokens [N, D] says if it is read as the answer: probabilities of the classes, token by token. */
export function readTokens(vit, tokens) {
  const { outputs, room } = vit;
  layerNorm(tokens, vit.tokens, vit.norm, vit.eps, room.normed);
  const said = new Float64Array(vit.tokens * outputs);
  linear(room.normed, vit.tokens, vit.head, said);
  return Array.from({ length: vit.tokens }, (_, token) => {
    softmaxAt(said, token * outputs, outputs);
    return said.subarray(token * outputs, (token + 1) * outputs);
  });
}

/** The probabilities of the classes if these tokens [N, D] were those after the last block. */
export function answerOf(vit, tokens) {
  const logits = new Float32Array(vit.outputs);
  classify(vit, tokens, logits);
  return probabilitiesOf(logits);
}

/** The probabilities of the classes. */
export function probabilitiesOf(logits) {
  const probabilities = Float64Array.from(logits);
  softmaxAt(probabilities, 0, probabilities.length);
  return probabilities;
}
