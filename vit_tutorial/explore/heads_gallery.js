// Heads gallery: the browser runs the model's blocks itself, so that any heads can be switched off; the numbers are

import {
  chooser,
  frame,
  greyPlane,
  labelled,
  live,
  make,
  mark,
  panel,
  pen,
  plane,
  pointer,
  set,
  sheet,
  slider,
} from "./common.js";
import { bytesOf, fitted, percent, pixelOf } from "./numbers.js";

// those of heads_gallery_state in heads_gallery.py.

const PICTURE_SIDE = 176;
const BAR = 130;

/** erf to 1.5e-7: Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26. */
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-x * x);
  return x < 0 ? tail - 1 : 1 - tail;
}

/** x W^T + b: rows [n, inputs] times a matrix stored as [outputs, inputs], four outputs at a time. */
function linear(x, n, { weight, bias }) {
  const outputs = bias.length;
  const inputs = weight.length / outputs;
  const out = new Float32Array(n * outputs);
  for (let row = 0; row < n; row++) {
    const from = row * inputs;
    let o = 0;
    for (; o + 3 < outputs; o += 4) {
      const [w0, w1, w2, w3] = [o * inputs, (o + 1) * inputs, (o + 2) * inputs, (o + 3) * inputs];
      let [a, b, c, d] = [bias[o], bias[o + 1], bias[o + 2], bias[o + 3]];
      for (let i = 0; i < inputs; i++) {
        const value = x[from + i];
        a += value * weight[w0 + i];
        b += value * weight[w1 + i];
        c += value * weight[w2 + i];
        d += value * weight[w3 + i];
      }
      out[row * outputs + o] = a;
      out[row * outputs + o + 1] = b;
      out[row * outputs + o + 2] = c;
      out[row * outputs + o + 3] = d;
    }
    for (; o < outputs; o++) {
      let sum = bias[o];
      for (let i = 0; i < inputs; i++) sum += x[from + i] * weight[o * inputs + i];
      out[row * outputs + o] = sum;
    }
  }
  return out;
}

function layerNorm(x, n, { weight, bias }, eps) {
  const dim = weight.length;
  const out = new Float32Array(n * dim);
  for (let row = 0; row < n; row++) {
    const from = row * dim;
    let mean = 0;
    for (let i = 0; i < dim; i++) mean += x[from + i];
    mean /= dim;
    let variance = 0;
    for (let i = 0; i < dim; i++) variance += (x[from + i] - mean) ** 2;
    const scale = 1 / Math.sqrt(variance / dim + eps);
    for (let i = 0; i < dim; i++) out[from + i] = (x[from + i] - mean) * scale * weight[i] + bias[i];
  }
  return out;
}

/** Softmax of `count` numbers in place. */
function softmax(numbers, start, count) {
  let largest = -Infinity;
  for (let i = start; i < start + count; i++) largest = Math.max(largest, numbers[i]);
  let sum = 0;
  for (let i = start; i < start + count; i++) sum += numbers[i] = Math.exp(numbers[i] - largest);
  for (let i = start; i < start + count; i++) numbers[i] /= sum;
}

/** A model's blocks, last norm and head, from their numbers one after the other. */
function blocksOf(numbers, { layers, heads, dim, hidden, mean, tanh, eps }, classes, tokens) {
  let at = 0;
  const take = (size) => {
    at += size;
    return numbers.subarray(at - size, at);
  };
  const pair = (outputs, inputs = 1) => ({ weight: take(outputs * inputs), bias: take(outputs) });
  const blocks = Array.from({ length: layers }, () => ({
    norm1: pair(dim),
    qkv: pair(3 * dim, dim),
    proj: pair(dim, dim),
    norm2: pair(dim),
    fc1: pair(hidden, dim),
    fc2: pair(dim, hidden),
  }));
  const norm = pair(dim);
  const head = pair(classes, dim);
  const width = dim / heads;
  const shrink = 1 / Math.sqrt(width);
  const gelu = tanh
    ? (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
    : (x) => 0.5 * x * (1 + erf(x * Math.SQRT1_2));

  /** What attention adds, and the maps [h, N, N]; the heads of `off` add nothing, and have their maps all the same. */
  function attention(block, x, off) {
    const qkv = linear(layerNorm(x, tokens, block.norm1, eps), tokens, block.qkv);
    const maps = new Float32Array(heads * tokens * tokens);
    const merged = new Float32Array(tokens * dim);
    const step = 3 * dim;
    for (let head = 0; head < heads; head++) {
      for (let query = 0; query < tokens; query++) {
        const start = (head * tokens + query) * tokens;
        const q = query * step + head * width;
        for (let key = 0; key < tokens; key++) {
          const k = key * step + dim + head * width;
          let score = 0;
          for (let i = 0; i < width; i++) score += qkv[q + i] * qkv[k + i];
          maps[start + key] = score * shrink;
        }
        softmax(maps, start, tokens);
        if (off.has(head)) continue;
        const into = query * dim + head * width;
        for (let key = 0; key < tokens; key++) {
          const weight = maps[start + key];
          const v = key * step + 2 * dim + head * width;
          for (let i = 0; i < width; i++) merged[into + i] += weight * qkv[v + i];
        }
      }
    }
    return { maps, said: linear(merged, tokens, block.proj) };
  }

  /** One block: tokens in, tokens out, and the maps. */
  function run(layer, x, off) {
    const block = blocks[layer];
    const { maps, said } = attention(block, x, off);
    const out = x.map((value, i) => value + said[i]);
    const wide = linear(layerNorm(out, tokens, block.norm2, eps), tokens, block.fc1);
    for (let i = 0; i < wide.length; i++) wide[i] = gelu(wide[i]);
    const added = linear(wide, tokens, block.fc2);
    for (let i = 0; i < out.length; i++) out[i] += added[i];
    return { maps, out };
  }

  /** The probabilities of the classes, read off the last tokens. */
  function classify(x) {
    const last = layerNorm(x, tokens, norm, eps);
    const read = last.slice(0, dim);
    if (mean) {
      for (let i = 0; i < dim; i++) {
        let sum = 0;
        for (let token = 0; token < tokens; token++) sum += last[token * dim + i];
        read[i] = sum / tokens;
      }
    }
    const chances = linear(read, 1, head);
    softmax(chances, 0, classes);
    return chances;
  }
  return { run, classify };
}

function render({ model, el }) {
  const [channels, height, width] = model.get("_shape");
  const sizes = model.get("_sizes");
  const { layers, heads, prefix, dim } = sizes;
  const [rows, columns] = sizes.grid;
  const patches = rows * columns;
  const tokens = patches + prefix;
  const names = model.get("_names");
  const classNames = model.get("_class_names");
  const labels = model.get("_labels");
  const colours = bytesOf(model.get("_colours"));
  const allPixels = bytesOf(model.get("_pixels"));
  const starts = new Float32Array(bytesOf(model.get("_tokens")).buffer);
  const blocks = blocksOf(new Float32Array(bytesOf(model.get("_weights")).buffer), sizes, classNames.length, tokens);
  const pictures = names.map((_, i) => ({
    pixels: allPixels.subarray(i * channels * height * width),
    channels,
    height,
    width,
  }));
  const originals = pictures.map((picture) => plane(width, height, pixelOf(picture)));
  const greys = pictures.map(greyPlane);
  const [wide, high] = fitted({ width, height }, PICTURE_SIDE);

  const root = frame(
    el,
    "Heads gallery",
    "choose who looks, a patch or the class token, and a layer. Switch heads off and on: the bars say what the model answers without them.",
    "What you can do",
  );

  // The numbers

  const kept = [];
  /** Maps of all layers, and the probabilities; only what a change reaches is computed again. */
  function forward(picture, off) {
    let key = String(picture);
    let x = starts.subarray(picture * tokens * dim, (picture + 1) * tokens * dim);
    for (let layer = 0; layer < layers; layer++) {
      const gone = off.filter(([where]) => where === layer).map(([, head]) => head);
      key += `/${gone}`;
      if (kept[layer]?.key !== key) kept[layer] = { key, ...blocks.run(layer, x, new Set(gone)) };
      x = kept[layer].out;
    }
    if (kept[layers]?.key !== key) kept[layers] = { key, chances: blocks.classify(x) };
    return { maps: kept.slice(0, layers).map(({ maps }) => maps), chances: kept[layers].chances };
  }
  const whole = new Map();
  function allOnOf(picture) {
    if (!whole.has(picture)) whole.set(picture, forward(picture, []).chances);
    return whole.get(picture);
  }
  const largestOf = (numbers) => numbers.reduce((best, value, i) => (value > numbers[best] ? i : best), 0);

  function stateNow() {
    const picture = Math.max(0, names.indexOf(model.get("picture")));
    const layer = Math.min(model.get("layer"), layers - 1);
    const query = Math.min(model.get("query"), tokens - 1);
    const off = model.get("off");
    const allOn = allOnOf(picture);
    const { maps, chances } = forward(picture, off);
    return {
      picture,
      layer,
      query,
      off,
      maps,
      chances,
      allOn,
      isOff: (where, head) => off.some(([l, h]) => l === where && h === head),
    };
  }
  /** The weights that the query gives to the patches in one head. */
  const onPatches = ({ maps, query }, layer, head) => {
    const start = (head * tokens + query) * tokens;
    return maps[layer].subarray(start + prefix, start + tokens);
  };
  const onClass = ({ maps, query }, layer, head) => maps[layer][(head * tokens + query) * tokens];

  function offWords(off) {
    const byLayer = new Map();
    for (const [layer, head] of off) byLayer.set(layer, [...(byLayer.get(layer) ?? []), head]);
    const parts = Array.from(
      byLayer,
      ([layer, gone]) =>
        `layer ${layer} ${gone.length === heads ? "all heads" : `head${gone.length > 1 ? "s" : ""} ${gone.join(" and ")}`}`,
    );
    return parts.join("; ") || "nothing";
  }
  const says = (chances) => `${classNames[largestOf(chances)]} ${percent(chances[largestOf(chances)])}`;
  function wordsOf(state) {
    const { picture, layer, query, off, chances, allOn, isOff } = state;
    const patch = query - prefix;
    const who =
      patch >= 0 ? `Patch ${patch} (row ${Math.floor(patch / columns)}, column ${patch % columns})` : "The class token";
    const most = Array.from({ length: heads }, (_, head) => {
      const weights = onPatches(state, layer, head);
      const best = largestOf(weights);
      return `head ${head}${isOff(layer, head) ? " (off)" : ""} patch ${best} (${percent(weights[best])})`;
    });
    const truth = labels[picture] === null ? "" : ` The label is ${classNames[labels[picture]]}.`;
    return (
      `${names[picture]}, layer ${layer}. ${who} looks most at: ${most.join(", ")}. Switched off: ${offWords(off)}. ` +
      `The model says ${says(chances)}; with all heads on, ${says(allOn)}.${truth}`
    );
  }

  // Switches

  const everyHead = Array.from({ length: heads }, (_, head) => head);
  const put = (off) => set(model, { off: off.sort(([a, b], [c, d]) => a - c || b - d) });
  /** Switch heads of the layer shown: those of `gone` off, its others on. */
  const putLayer = (gone) => {
    const layer = model.get("layer");
    put([...model.get("off").filter(([where]) => where !== layer), ...gone.map((head) => [layer, head])]);
  };
  const goneHere = () =>
    model
      .get("off")
      .filter(([where]) => where === model.get("layer"))
      .map(([, head]) => head);
  const toggle = (head) =>
    putLayer(goneHere().includes(head) ? goneHere().filter((one) => one !== head) : [...goneHere(), head]);
  const only = (head) => putLayer(everyHead.filter((one) => one !== head));
  const toggleLayer = () => putLayer(goneHere().length === heads ? [] : everyHead);

  // Controls

  const choosePicture = chooser(
    names.map((name) => [name, name]),
    (picture) => set(model, { picture }),
  );
  const layerOut = make("output");
  const layerSlider = slider(0, layers - 1, (layer) => set(model, { layer }));
  const classButton = make("button", { type: "button", textContent: "Class token (c)" });
  let lastPatch = prefix + Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  const toggleClass = () => prefix && set(model, { query: model.get("query") < prefix ? lastPatch : 0 });
  classButton.addEventListener("click", toggleClass);
  const layerButton = make("button", { type: "button" });
  layerButton.addEventListener("click", toggleLayer);
  const allButton = make("button", { type: "button", textContent: "All heads on (a)" });
  allButton.addEventListener("click", () => put([]));
  const field = (title, ...inside) =>
    make(
      "div",
      { className: "vit-field" },
      make("span", { className: "vit-title", textContent: title }),
      make("span", {}, ...inside),
    );
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(names.length > 1 ? [labelled("Picture", choosePicture)] : []),
      labelled("Layer", layerSlider, layerOut),
      ...(prefix ? [field("Who looks", classButton)] : []),
      field("Switches", layerButton, allButton),
    ),
  );

  // Picture, and one map a head

  const perRow = heads <= 4 ? heads : 6;
  const side = Math.min(148, Math.floor((912 - PICTURE_SIDE - 24 * perRow) / perRow));
  const [mapWide, mapHigh] = fitted({ width, height }, side);
  const pictureSheet = sheet(wide, high, { tabIndex: 0, role: "application", className: "vit-touch" });
  const cards = everyHead.map((head) => {
    const canvas = sheet(mapWide, mapHigh, { role: "img", className: "vit-pointing" });
    const button = make("button", { type: "button" });
    button.addEventListener("click", () => toggle(head));
    const alone = make("button", {
      type: "button",
      textContent: "only",
      "aria-label": `Only head ${head} of this layer`,
    });
    alone.addEventListener("click", () => only(head));
    const most = make("p", { className: "vit-note" });
    const box = make(
      "div",
      {},
      make("div", { className: "vit-key" }, button, alone),
      make("div", { className: "vit-below" }, canvas),
      most,
    );
    box.firstChild.style.margin = "0";
    box.children[1].style.marginTop = "6px";
    box.style.width = `${mapWide}px`;
    for (const one of [button, alone]) one.style.padding = "2px 6px";
    return { head, canvas, button, most, box };
  });
  const mapsTitle = make("span");
  const mapsPanel = panel("", make("div", { className: "vit-panels" }, ...cards.map(({ box }) => box)));
  mapsPanel.firstChild.append(mapsTitle);
  mapsPanel.lastChild.style.maxWidth = `${perRow * (mapWide + 22)}px`;
  root.append(
    make("div", { className: "vit-panels" }, panel("The picture: choose who looks", pictureSheet), mapsPanel),
    make("p", {
      className: "vit-note vit-wide",
      textContent:
        `Click a patch, or use the arrow keys${prefix ? "; c: the class token" : ""}. Page Up, Page Down: layer. 0 to ${Math.min(9, heads - 1)}: switch a head off or on; with Shift: only this head of the layer; ` +
        "l: the whole layer; a: all heads on. Each map has its own brightest colour. A head that is off still has its map, but adds nothing: its numbers are set to zero before the output projection. The bias of that layer stays.",
    }),
  );

  // What the model says, and all layers

  const bars = Math.min(sizes.bars, classNames.length);
  const lines = Array.from({ length: bars }, () => {
    const [name, now, before] = [make("th", { scope: "row" }), make("td"), make("td")];
    const [thick, thin] = [make("span", { className: "vit-bar" }), make("span", { className: "vit-bar" })];
    Object.assign(thin.style, { height: "3px", opacity: "0.45", marginTop: "1px" });
    const cell = make("td", {}, thick, thin);
    cell.style.width = `${BAR + 10}px`;
    return { name, now, before, thick, thin, line: make("tr", {}, name, now, before, cell) };
  });
  const head = (text) => make("th", { scope: "col", textContent: text });
  const table = make(
    "table",
    { className: "vit-top" },
    make("thead", {}, make("tr", {}, head("class"), head("now"), head("all on"), head(""))),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  for (const cell of table.querySelectorAll("th"))
    Object.assign(cell.style, { textAlign: "left", fontWeight: "400", fontSize: "12px", padding: "1px 10px 1px 0" });
  const verdict = make("p", { className: "vit-says" });
  const small = Math.max(12, Math.min(40, Math.floor(380 / heads) - 6, Math.floor(330 / layers) - 6));
  const [smallWide, smallHigh] = fitted({ width, height }, small);
  const step = small + 6;
  const margin = 26;
  const allSheet = sheet(margin + heads * step + 4, 20 + layers * step, { role: "img", className: "vit-pointing" });
  const allPanel = panel("All layers: a layer per line, a head per column (click a layer)", allSheet);
  allPanel.style.maxWidth = "400px";
  root.append(
    make("div", { className: "vit-panels vit-below" }, panel("What the model says", verdict, table), allPanel),
  );
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(words);

  /** The weights as a small picture of colours, from 0 to the largest. */
  function heatOf(weights) {
    const largest = weights[largestOf(weights)];
    return plane(columns, rows, (i, into, at) => {
      const level = largest > 0 ? 3 * Math.min(255, Math.round((weights[i] / largest) * 255)) : 0;
      into.set(colours.subarray(level, level + 3), at);
    });
  }
  /** A cross in the upper right corner of a map, small enough to leave the map to be read. */
  function cross(context, x, y, across, thick) {
    const size = Math.max(8, Math.round(0.12 * across));
    const [left, top] = [x + across - size - 4, y + 4];
    for (const [style, line] of [
      ["#000000", thick + 2],
      ["#ffffff", thick],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.moveTo(left, top);
      context.lineTo(left + size, top + size);
      context.moveTo(left + size, top);
      context.lineTo(left, top + size);
      context.stroke();
    }
  }
  /** A map over the grey picture; that of a head that is off is paler, with a cross in its corner. */
  function drawMap(context, state, layer, head, x, y, across, down) {
    const gone = state.isOff(layer, head);
    context.drawImage(greys[state.picture], x, y, across, down);
    context.globalAlpha = gone ? 0.4 : 0.7;
    context.drawImage(heatOf(onPatches(state, layer, head)), x, y, across, down);
    context.globalAlpha = 1;
    if (gone) cross(context, x, y, across, across > 60 ? 3 : 2);
  }
  function markQuery(context, query, across, down) {
    if (query < prefix) return;
    const [cellWidth, cellHeight] = [across / columns, down / rows];
    const patch = query - prefix;
    mark(
      context,
      (patch % columns) * cellWidth + 1,
      Math.floor(patch / columns) * cellHeight + 1,
      cellWidth - 2,
      cellHeight - 2,
      across > 60 ? 2 : 1,
    );
  }

  function drawAll(state, style) {
    const context = pen(allSheet);
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    for (let head = 0; head < heads; head++) {
      context.font = `11px ${style.fontFamily}`;
      context.textAlign = "center";
      context.fillText(String(head), margin + head * step + smallWide / 2, 8);
      for (let layer = 0; layer < layers; layer++)
        drawMap(context, state, layer, head, margin + head * step, 20 + layer * step, smallWide, smallHigh);
    }
    context.textAlign = "right";
    for (let layer = 0; layer < layers; layer++) {
      context.font = `${layer === state.layer ? "700 " : ""}11px ${style.fontFamily}`;
      context.fillText(String(layer), margin - 10, 20 + layer * step + smallHigh / 2);
    }
    context.strokeStyle = style.color;
    context.lineWidth = 2;
    context.strokeRect(margin - 3, 17 + state.layer * step, heads * step, smallHigh + 6);
  }

  function drawBars({ picture, chances, allOn }) {
    const order = Array.from(allOn, (_, i) => i);
    if (classNames.length > bars) order.sort((a, b) => allOn[b] - allOn[a] || a - b);
    const shown = order.slice(0, bars).sort((a, b) => a - b);
    lines.forEach(({ name, now, before, thick, thin }, i) => {
      const index = shown[i];
      name.textContent = classNames[index] + (index === labels[picture] ? " (label)" : "");
      name.style.fontWeight = index === labels[picture] ? "700" : "400";
      now.textContent = percent(chances[index]);
      before.textContent = percent(allOn[index]);
      thick.style.width = `${BAR * chances[index]}px`;
      thin.style.width = `${BAR * allOn[index]}px`;
    });
    const [here, there] = [largestOf(chances), largestOf(allOn)];
    verdict.textContent =
      here === there
        ? `${says(chances)}: the same answer as with all heads on`
        : `${says(chances)}: with all heads on it was ${says(allOn)}`;
  }

  function draw() {
    const state = stateNow();
    const { picture, layer, query, off, isOff } = state;
    if (query >= prefix) lastPatch = query;
    choosePicture.value = names[picture];
    layerSlider.value = layer;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    classButton.setAttribute("aria-pressed", String(query < prefix));
    const emptied = everyHead.every((head) => isOff(layer, head));
    layerButton.textContent = emptied ? "Layer on (l)" : "Layer off (l)";
    layerButton.setAttribute("aria-pressed", String(emptied));
    mapsTitle.textContent = `Layer ${layer}: where ${query < prefix ? "the class token" : `patch ${query - prefix}`} looks, head by head`;
    const context = pen(pictureSheet, wide / width < 3);
    context.drawImage(originals[picture], 0, 0, wide, high);
    markQuery(context, query, wide, high);
    for (const { head, canvas, button, most } of cards) {
      const gone = isOff(layer, head);
      const map = pen(canvas);
      drawMap(map, state, layer, head, 0, 0, mapWide, mapHigh);
      markQuery(map, query, mapWide, mapHigh);
      const weights = onPatches(state, layer, head);
      const best = largestOf(weights);
      button.textContent = `Head ${head}: ${gone ? "off" : "on"}`;
      button.setAttribute("aria-pressed", String(!gone));
      most.textContent = `up to ${percent(weights[best])}${prefix ? `; class token ${percent(onClass(state, layer, head))}` : ""}`;
      canvas.setAttribute(
        "aria-label",
        `Head ${head}, ${gone ? "off" : "on"}: most at patch ${best}, ${most.textContent}`,
      );
    }
    drawBars(state);
    drawAll(state, getComputedStyle(root));
    const text = wordsOf(state);
    words.textContent = text;
    pictureSheet.setAttribute("aria-label", text);
    allSheet.setAttribute(
      "aria-label",
      `The maps of all ${layers} layers and ${heads} heads, small; switched off: ${offWords(off)}`,
    );
  }

  // Pointing and keys

  const choose = (changes) =>
    Object.entries(changes).some(([name, value]) => model.get(name) !== value) && set(model, changes);
  const within = (number, end) => Math.min(end, Math.max(0, Math.floor(number)));
  for (const canvas of [pictureSheet, ...cards.map(({ canvas }) => canvas)]) {
    for (const type of ["pointerdown", "pointermove"]) {
      canvas.addEventListener(type, (event) => {
        if (type === "pointermove" && !(event.buttons & 1)) return;
        const [x, y] = pointer(canvas, event);
        choose({
          query:
            prefix +
            within((y / canvas.vitHeight) * rows, rows - 1) * columns +
            within((x / canvas.vitWidth) * columns, columns - 1),
        });
      });
    }
  }
  allSheet.addEventListener("pointerdown", (event) => {
    const layer = Math.floor((pointer(allSheet, event)[1] - 17) / step);
    if (layer >= 0 && layer < layers) choose({ layer });
  });
  pictureSheet.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const patch = model.get("query") - prefix;
    const [row, column] = [Math.floor(patch / columns), patch % columns];
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
    const move = (allowed, next) => () =>
      choose({ query: patch < 0 ? lastPatch : allowed ? prefix + next : prefix + patch });
    const steps = {
      ArrowLeft: move(column > 0, patch - 1),
      ArrowRight: move(column < columns - 1, patch + 1),
      ArrowUp: move(row > 0, patch - columns),
      ArrowDown: move(row < rows - 1, patch + columns),
      Home: () => choose({ query: prefix }),
      End: () => choose({ query: tokens - 1 }),
      PageUp: () => choose({ layer: Math.max(0, model.get("layer") - 1) }),
      PageDown: () => choose({ layer: Math.min(layers - 1, model.get("layer") + 1) }),
      c: toggleClass,
      l: toggleLayer,
      a: () => put([]),
    };
    if (digit && Number(digit[1]) < heads) (event.shiftKey ? only : toggle)(Number(digit[1]));
    else if (event.key in steps) steps[event.key]();
    else return;
    event.preventDefault();
  });
  return live(model, root, draw);
}

export default { render };
