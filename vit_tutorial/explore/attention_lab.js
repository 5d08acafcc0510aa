// Attention lab: the same numbers as attention_lab_state in attention_lab.py, computed and drawn in the browser.

import {
  frame,
  greyPlane,
  labelled,
  live,
  make,
  mark,
  numberTable,
  paletteStrip,
  panel,
  pen,
  plane,
  pointer,
  resize,
  set,
  sheet,
  slider,
} from "./common.js";
import { bytesOf, decimals, finePercent, fitted, pixelOf, unpackHalf } from "./numbers.js";

const TOP = 5;
const RING = 0.34; // radius of the mark on a key, in patches

function render({ model, el }) {
  const [channels, height, width] = model.get("_shape");
  const [rows, columns] = model.get("_grid");
  const [layers, heads, tokens] = model.get("_maps_shape");
  const prefix = model.get("_prefix");
  const patches = rows * columns;
  const pixels = bytesOf(model.get("_pixels"));
  const maps = unpackHalf(bytesOf(model.get("_maps")));
  const scores = new Float32Array(bytesOf(model.get("_scores")).buffer);
  const hasScores = scores.length > 0;
  const [coldest, hottest] = model.get("_temperatures");
  const colours = bytesOf(model.get("_colours"));
  const signs = bytesOf(model.get("_signs"));
  const picture = { pixels, channels, height, width };
  const original = plane(width, height, pixelOf(picture));
  const grey = greyPlane(picture);
  const [wide, high] = fitted(picture, hasScores ? 214 : 336);
  const [cellWidth, cellHeight] = [wide / columns, high / rows];
  const smooth = wide / width < 3;

  const root = frame(
    el,
    "Attention lab",
    "pick who looks, the query, in the picture. Choose a layer and a head with the sliders, or click one of the small maps. " +
      `Point at a map, or press Shift and an arrow key in the picture, to read off the ${hasScores ? "score and the weight" : "weight"} of one patch.`,
    "What you can do",
  );

  /** One row of `numbers` (the maps or the scores); head -1 is the mean of all heads, each changed by `change` before. */
  function rowOf(numbers, layer, head, query, change = (row) => row) {
    const row = new Float64Array(tokens);
    for (let one = Math.max(head, 0); one < (head < 0 ? heads : head + 1); one++) {
      const start = ((layer * heads + one) * tokens + query) * tokens;
      const its = change(numbers.subarray(start, start + tokens));
      for (let i = 0; i < tokens; i++) row[i] += its[i];
    }
    if (head < 0) for (let i = 0; i < tokens; i++) row[i] /= heads;
    return row;
  }

  /** The weights that token `query` gives to all tokens: the maps, or softmax of the scores at another temperature. */
  function weightsOf(layer, head, query, temperature) {
    if (temperature === 1) return rowOf(maps, layer, head, query);
    return rowOf(scores, layer, head, query, (its) => {
      const divided = Float64Array.from(its, (score) => score / temperature);
      const top = divided.reduce((most, one) => Math.max(most, one));
      let sum = 0;
      for (let i = 0; i < tokens; i++) sum += divided[i] = Math.exp(divided[i] - top);
      return divided.map((one) => one / sum);
    });
  }

  const layerOut = make("output");
  const headOut = make("output");
  const overlayOut = make("output");
  const layerSlider = slider(0, layers - 1, (layer) => set(model, { layer }));
  const headSlider = slider(-1, heads - 1, (head) => set(model, { head }));
  const overlaySlider = slider(0, 100, (overlay) => set(model, { overlay }));
  if (hasScores) for (const input of [layerSlider, headSlider, overlaySlider]) input.style.width = "100px";
  const classButton = make("button", { type: "button", textContent: "Class token looks (c)" });
  let best = prefix; // the patch that gets most
  let lastPatch = prefix + Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  const takeClass = () => choose({ query: 0 });
  classButton.addEventListener("click", takeClass);
  const controls = make(
    "div",
    { className: "vit-controls" },
    labelled("Layer", layerSlider, layerOut),
    labelled("Head", headSlider, headOut),
    labelled("Colour over the picture", overlaySlider, overlayOut),
  );
  const heatSlider = slider(Math.round(coldest * 10), Math.round(hottest * 10), (tenths) =>
    set(model, { temperature: tenths / 10 }),
  );
  const heatOut = make("output");
  heatOut.style.minWidth = "2em";
  heatSlider.style.width = "100px";
  if (hasScores) controls.append(labelled("Temperature", heatSlider, heatOut));
  if (prefix) {
    const title = make("span", { className: "vit-title", textContent: "Query" });
    controls.append(make("div", { className: "vit-field" }, title, make("span", {}, classButton)));
  }
  if (model.get("_says")) root.append(make("p", { className: "vit-says", textContent: model.get("_says") }));
  root.append(controls);

  const pictureSheet = sheet(wide, high, { tabIndex: 0, role: "application", className: "vit-touch" });
  const heatSheet = sheet(wide, high, { role: "img" });
  const scoreSheet = sheet(wide, high, { role: "img" });
  const scaleOf = (colours) => {
    const scale = sheet(wide, 10, { "aria-hidden": "true" });
    pen(scale, true).drawImage(paletteStrip(colours), 0, 0, wide, 10);
    return scale;
  };
  const legend = (colours, ...texts) => {
    const scale = make("div", { className: "vit-scale" }, scaleOf(colours), ...texts);
    scale.style.maxWidth = `${wide}px`;
    return scale;
  };
  const note = (text) => {
    const line = make("p", { className: "vit-note", textContent: text });
    line.style.maxWidth = `${wide}px`;
    return line;
  };
  const most = make("span");
  const [least, highest] = [make("span"), make("span")];
  const scoreTitle = make("span");
  const scoreNote = note("");
  const numbers = numberTable([
    ["who", "who looks"],
    ...(prefix ? [["class", "weight on the class token"]] : []),
    ["patches", "weight on all patches"],
    ["entropy", "entropy in nats: 0 if one takes all"],
    ["spread", `as if spread evenly over, of ${tokens} tokens`],
  ]);
  const spreadNote = note(`This is e to the entropy: ${tokens} if all weights are equal, 1 if one token takes all.`);
  spreadNote.style.maxWidth = "190px";
  const scorePanel = panel(
    "",
    scoreSheet,
    legend(signs, least, make("span", { textContent: "0" }), highest),
    scoreNote,
  );
  scorePanel.firstChild.append(scoreTitle);
  const top = Array.from({ length: Math.min(TOP, patches) }, () => {
    const bar = make("span", { className: "vit-bar" });
    const name = make("td");
    const share = make("td");
    return { bar, name, share, line: make("tr", {}, name, share, make("td", {}, bar)) };
  });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      panel(
        "The picture: choose who looks",
        pictureSheet,
        note(
          `Click a patch or use the arrow keys${prefix ? "; c: class token" : ""}${hasScores ? "; + and -: temperature" : ""}. With Shift the arrow keys mark a key (the ring), Escape takes it away.`,
        ),
      ),
      ...(hasScores ? [scorePanel] : []),
      panel("Where it looks", heatSheet, legend(colours, make("span", { textContent: "0" }), most)),
      panel("In numbers", numbers.list, spreadNote),
    ),
  );
  const readOut = make("p", { className: "vit-reading" });
  root.append(readOut);

  // All heads at once: one small map for each layer (a line) and head (a column).
  const small = Math.max(14, Math.min(44, Math.floor(868 / heads) - 6, Math.floor(420 / layers) - 6));
  const step = small + 6;
  const margin = 28;
  const smallWide = Math.round((small * columns) / Math.max(rows, columns));
  const smallHigh = Math.round((small * rows) / Math.max(rows, columns));
  const allSheet = sheet(margin + heads * step + 4, 20 + layers * step, {
    role: "img",
    className: "vit-pointing",
    "aria-label": "The map of every layer and head for this query, small",
  });
  root.append(
    make(
      "div",
      { className: "vit-panels vit-below" },
      panel("All maps of this query: a layer per line, a head per column (click one)", allSheet),
      panel(
        prefix ? "Of the patches, it looks most at" : "It looks most at",
        make("table", { className: "vit-top" }, make("tbody", {}, ...top.map(({ line }) => line))),
      ),
    ),
  );
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(words);

  const heat = make("canvas", { width: columns, height: rows });
  const heatPixels = new ImageData(columns, rows);
  /** Colour the weights on the patches into a small canvas, from 0 to `largest`. */
  function colour(row, largest) {
    for (let patch = 0; patch < patches; patch++) {
      const level = largest > 0 ? Math.min(255, Math.round((row[prefix + patch] / largest) * 255)) : 0;
      for (let c = 0; c < 3; c++) heatPixels.data[4 * patch + c] = colours[3 * level + c];
      heatPixels.data[4 * patch + 3] = 255;
    }
    heat.getContext("2d").putImageData(heatPixels, 0, 0);
    return heat;
  }

  const veil = make("canvas", { width: columns, height: rows });
  /** The colours of `heat`, the clearer the smaller the weight, so that the picture shows through. */
  function paintVeil(row, largest, strength) {
    const pixels = new ImageData(new Uint8ClampedArray(heatPixels.data), columns, rows);
    for (let patch = 0; patch < patches; patch++) {
      const level = largest > 0 ? row[prefix + patch] / largest : 0;
      pixels.data[4 * patch + 3] = 255 * strength * (0.25 + 0.75 * level);
    }
    veil.getContext("2d").putImageData(pixels, 0, 0);
    return veil;
  }

  let smallLayer = null;
  let smallNow = "";
  /** All small maps; painted again only when the query or the temperature changes. */
  function paintSmall(query, temperature) {
    smallLayer ??= make("canvas");
    resize(smallLayer, allSheet.vitWidth, allSheet.vitHeight);
    const context = pen(smallLayer);
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const row = weightsOf(layer, head, query, temperature);
        let largest = 0;
        for (let i = prefix; i < tokens; i++) largest = Math.max(largest, row[i]);
        context.drawImage(colour(row, largest), margin + head * step, 20 + layer * step, smallWide, smallHigh);
      }
    }
  }

  function drawSmall(layer, head, query, temperature) {
    if (smallNow !== `${query} ${temperature}`) {
      smallNow = `${query} ${temperature}`;
      paintSmall(query, temperature);
    }
    const context = pen(allSheet);
    const style = getComputedStyle(root);
    context.drawImage(smallLayer, 0, 0, allSheet.vitWidth, allSheet.vitHeight);
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    for (let i = 0; i < Math.max(heads, layers); i++) {
      context.font = `${i === head ? "700 " : ""}11px ${style.fontFamily}`;
      context.textAlign = "center";
      if (i < heads) context.fillText(String(i), margin + i * step + smallWide / 2, 8);
      context.font = `${i === layer ? "700 " : ""}11px ${style.fontFamily}`;
      context.textAlign = "right";
      if (i < layers) context.fillText(String(i), margin - 10, 20 + i * step + smallHigh / 2);
    }
    for (let one = 0; one < heads; one++) {
      if (head >= 0 && one !== head) continue;
      context.strokeStyle = style.color;
      context.lineWidth = head < 0 ? 1.5 : 2.5;
      context.strokeRect(margin + one * step - 2, 18 + layer * step, smallWide + 4, smallHigh + 4);
    }
  }

  /** The scores behind the weights: a map, its colours, and the numbers in words. */
  function drawScores(layer, head, query) {
    const row = rowOf(scores, layer, head, query);
    let limit = 0;
    for (let i = prefix; i < tokens; i++) limit = Math.max(limit, Math.abs(row[i]));
    const map = plane(columns, rows, (i, into, at) => {
      const level = 3 * Math.max(0, Math.min(255, Math.round((limit > 0 ? row[prefix + i] / limit + 1 : 1) * 127.5)));
      into.set(signs.subarray(level, level + 3), at);
    });
    const context = pen(scoreSheet);
    context.drawImage(map, 0, 0, wide, high);
    const [largest, smallest] = [
      row.reduce((one, other) => Math.max(one, other)),
      row.reduce((one, other) => Math.min(one, other)),
    ].map((score) => decimals(score));
    const mean = decimals(row.reduce((sum, score) => sum + score, 0) / tokens);
    least.textContent = decimals(-limit);
    highest.textContent = decimals(limit);
    scoreTitle.textContent = head < 0 ? "Scores, mean of the heads" : "Scores before the softmax";
    scoreNote.textContent = `Of all ${tokens} tokens: largest ${largest}, smallest ${smallest}, mean ${mean}.${prefix ? ` Class token: ${decimals(row[0])}.` : ""}`;
    scoreSheet.setAttribute(
      "aria-label",
      `Scores of the ${patches} patches: red is positive, blue negative, up to ${decimals(limit)}`,
    );
    return {
      context,
      row,
      text: ` Scores from ${smallest} to ${largest}, mean ${mean}${prefix ? `; ${decimals(row[0])} for the class token` : ""}.`,
    };
  }

  const patchName = (patch) => `patch ${patch} (row ${Math.floor(patch / columns)}, column ${patch % columns})`;
  const tokenName = (token) =>
    token >= prefix ? patchName(token - prefix) : token === 0 ? "the class token" : `token ${token}`;
  const upper = (text) => text[0].toUpperCase() + text.slice(1);

  /** A ring around the key that is read out, seen on every background. */
  function ring(context, patch) {
    for (const [style, line] of [
      ["#000000", 4],
      ["#ffffff", 2],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.ellipse(
        ((patch % columns) + 0.5) * cellWidth,
        (Math.floor(patch / columns) + 0.5) * cellHeight,
        RING * cellWidth,
        RING * cellHeight,
        0,
        0,
        2 * Math.PI,
      );
      context.stroke();
    }
  }

  function draw() {
    const layer = Math.min(model.get("layer"), layers - 1);
    const head = Math.min(model.get("head"), heads - 1);
    const query = Math.min(model.get("query"), tokens - 1);
    const key = model.get("key") === null ? null : Math.min(model.get("key"), tokens - 1);
    const overlay = model.get("overlay");
    const temperature = model.get("temperature");
    if (query >= prefix) lastPatch = query;
    const row = weightsOf(layer, head, query, temperature);
    let largest = 0;
    let onPatches = 0;
    let entropy = 0;
    for (let i = 0; i < tokens; i++) {
      if (row[i] > 0) entropy -= row[i] * Math.log(row[i]);
      if (i < prefix) continue;
      onPatches += row[i];
      largest = Math.max(largest, row[i]);
    }
    const order = Array.from({ length: patches }, (_, patch) => patch).sort(
      (a, b) => row[prefix + b] - row[prefix + a] || a - b,
    );
    best = prefix + order[0];

    layerSlider.value = layer;
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    headSlider.value = head;
    headOut.textContent = head < 0 ? "mean of all" : `${head} (0 to ${heads - 1})`;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    headSlider.setAttribute("aria-valuetext", head < 0 ? "mean of all heads" : `head ${head}`);
    overlaySlider.value = overlay;
    overlayOut.textContent = `${overlay}%`;
    heatSlider.value = Math.round(temperature * 10);
    heatOut.textContent = decimals(temperature, 1);
    heatSlider.setAttribute("aria-valuetext", decimals(temperature, 1));
    classButton.setAttribute("aria-pressed", String(query < prefix));

    colour(row, largest);
    const context = pen(pictureSheet, smooth);
    context.drawImage(overlay ? grey : original, 0, 0, wide, high);
    context.imageSmoothingEnabled = false;
    if (overlay) context.drawImage(paintVeil(row, largest, overlay / 100), 0, 0, wide, high);
    const large = pen(heatSheet);
    large.drawImage(heat, 0, 0, wide, high);
    const before = hasScores ? drawScores(layer, head, query) : { text: "" };
    const drawn = [context, large, ...(hasScores ? [before.context] : [])];
    if (key !== null && key >= prefix) for (const one of drawn) ring(one, key - prefix);
    if (query >= prefix) {
      const [x, y] = [((query - prefix) % columns) * cellWidth, Math.floor((query - prefix) / columns) * cellHeight];
      for (const one of drawn) mark(one, x + 1, y + 1, cellWidth - 2, cellHeight - 2);
    }
    drawSmall(layer, head, query, temperature);

    most.textContent = finePercent(largest);
    const who = query >= prefix ? `patch ${query - prefix}` : query === 0 ? "class token" : `token ${query}`;
    numbers.show("who", who);
    if (prefix) numbers.show("class", finePercent(row[0]));
    numbers.show("patches", finePercent(onPatches));
    numbers.show("entropy", decimals(entropy));
    numbers.show("spread", decimals(Math.exp(entropy), 1));
    top.forEach(({ bar, name, share }, i) => {
      name.textContent = patchName(order[i]);
      share.textContent = finePercent(row[prefix + order[i]]);
      bar.style.width = `${largest > 0 ? (60 * row[prefix + order[i]]) / largest : 0}px`;
    });
    const reading =
      key === null
        ? ""
        : `${tokenName(key)}: ${hasScores ? `score ${decimals(before.row[key])}, ` : ""}weight ${finePercent(row[key])}`;
    readOut.textContent = reading ? `${upper(reading)}.` : "No key is marked: point at a patch in a map.";
    const text =
      `Layer ${layer}, ${head < 0 ? "mean of all heads" : `head ${head}`}${temperature === 1 ? "" : `, temperature ${decimals(temperature, 1)}`}: ${tokenName(query)} looks${prefix ? ", of the patches," : ""} most at ${patchName(order[0])}, ` +
      `with ${finePercent(row[prefix + order[0]])}${prefix ? `; ${finePercent(row[0])} goes to the class token` : ""}. ` +
      `Entropy ${decimals(entropy)} nats, as if spread evenly over ${decimals(Math.exp(entropy), 1)} of ${tokens} tokens.${before.text}${reading && ` Marked key, ${reading}.`}`;
    words.textContent = text;
    pictureSheet.setAttribute("aria-label", text);
    heatSheet.setAttribute(
      "aria-label",
      `Map of the weights on the ${patches} patches, from 0 to ${finePercent(largest)}`,
    );
  }

  const choose = (changes) =>
    Object.entries(changes).some(([name, value]) => model.get(name) !== value) && set(model, changes);
  /** The token whose patch lies under the pointer. */
  const under = (canvas, event) => {
    const [x, y] = pointer(canvas, event);
    const column = Math.min(columns - 1, Math.max(0, Math.floor(x / cellWidth)));
    return prefix + Math.min(rows - 1, Math.max(0, Math.floor(y / cellHeight))) * columns + column;
  };
  for (const type of ["pointerdown", "pointermove"]) {
    pictureSheet.addEventListener(type, (event) => {
      if (type === "pointerdown" || event.buttons & 1) choose({ query: under(pictureSheet, event) });
    });
    for (const map of [heatSheet, scoreSheet])
      map.addEventListener(type, (event) => choose({ key: under(map, event) }));
  }
  allSheet.addEventListener("pointerdown", (event) => {
    const [x, y] = pointer(allSheet, event);
    const head = Math.floor((x - margin) / step);
    const layer = Math.floor((y - 20) / step);
    if (head >= 0 && head < heads && layer >= 0 && layer < layers) choose({ layer, head });
  });
  pictureSheet.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const warmer = (by) => () =>
      choose({
        temperature: Math.max(coldest, Math.min(hottest, Math.round(model.get("temperature") * 10 + by) / 10)),
      });
    const moved = event.shiftKey ? "key" : "query";
    const patch = (model.get(moved) ?? -1) - prefix;
    const [row, column] = [Math.floor(patch / columns), patch % columns];
    const steps = {
      ArrowLeft: () => column > 0 && { [moved]: prefix + patch - 1 },
      ArrowRight: () => column < columns - 1 && { [moved]: prefix + patch + 1 },
      ArrowUp: () => row > 0 && { [moved]: prefix + patch - columns },
      ArrowDown: () => row < rows - 1 && { [moved]: prefix + patch + columns },
      Escape: () => ({ key: null }),
      Home: () => ({ query: prefix }),
      End: () => ({ query: tokens - 1 }),
      PageUp: () => ({ layer: Math.max(0, model.get("layer") - 1) }),
      PageDown: () => ({ layer: Math.min(layers - 1, model.get("layer") + 1) }),
      ...(hasScores ? { "+": warmer(1), "-": warmer(-1) } : {}),
    };
    if (prefix && event.key.toLowerCase() === "c") takeClass();
    else if (event.key.startsWith("Arrow") && patch < 0) choose({ [moved]: event.shiftKey ? best : lastPatch });
    else if (event.key in steps) {
      const next = steps[event.key]();
      if (next) choose(next);
    } else return;
    event.preventDefault();
  });
  return live(model, root, draw);
}

export default { render };
