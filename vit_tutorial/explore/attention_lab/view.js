// Attention lab: where a token looks, in one layer and head and in all of them, drawn and computed in the browser.

import {
  behindMore,
  button,
  enlarged,
  frame,
  greyPlane,
  group,
  labelled,
  legend,
  live,
  make,
  mark,
  note,
  numberTable,
  onKeys,
  painter,
  panel,
  pen,
  plane,
  pointing,
  readout,
  resize,
  roomFor,
  roomIn,
  set,
  sharpness,
  sheet,
  slider,
  speak,
} from "../common.js";
import {
  arrows,
  bytesOf,
  cellUnder,
  count,
  decimals,
  finePercent,
  fitted,
  oneOrTwoDecimals,
  pages,
  pixelOf,
  unpackHalf,
  unpackPictures,
  within,
} from "../numbers.js";
import { namesOf, rangeOf, readingOf, rowsOf, softmax, summary, wordsOf } from "./arithmetic.js";
import { smallLayout, WIDTH } from "./geometry.js";

const TOP = 5;
const RING = 0.34; // radius of the mark on a key, in patches
const SIDE = 420;
const SMALLER = 280; // of the maps behind More
const BAR = 60; // the longest bar, in CSS pixels
const NO_KEY = "No key is marked: point at a patch in a map.";

function render({ model, el }) {
  const sent = model.get("_sent");
  const [picture] = unpackPictures(sent);
  const { prefix } = sent;
  const [rows, columns] = sent.grid;
  const [layers, heads, tokens] = sent.sizes;
  const patches = rows * columns;
  const maps = unpackHalf(bytesOf(sent.maps));
  const scores = new Float32Array(bytesOf(sent.scores).buffer);
  const hasScores = scores.length > 0;
  const [viridis, diverging] = [bytesOf(sent.viridis), bytesOf(sent.diverging)];
  const { patchName, tokenName } = namesOf(prefix, columns);
  const rowOf = rowsOf(sent.sizes);

  /** The weights that token `query` gives to all tokens: the maps, or softmax of the scores at another temperature. */
  function weightsOf(layer, head, query, temperature) {
    if (temperature === 1) return rowOf(maps, layer, head, query);
    return rowOf(scores, layer, head, query, (row) => softmax(row, temperature));
  }

  const root = frame(
    el,
    "Attention lab",
    "pick who looks, the query, in the picture, and choose a layer and a head. The brighter the yellow, the more it looks there.",
    "What you can do",
  );

  // Controls
  const choose = (changes) => set(model, changes);
  const [layerOut, headOut, overlayOut, heatOut] = Array.from({ length: 4 }, readout);
  const layerSlider = slider(0, layers - 1, (layer) => choose({ layer }));
  const headSlider = slider(-1, heads - 1, (head) => choose({ head }));
  const overlaySlider = slider(0, 100, (overlay) => choose({ overlay }));
  const tenths = sent.temperatures.map((temperature) => Math.round(temperature * 10));
  const heatSlider = slider(...tenths, (tenth) => choose({ temperature: tenth / 10 }));
  const takeClass = () => choose({ query: 0 });
  const classButton = button("Class token looks (c)", takeClass);
  if (sent.says) root.append(make("p", { className: "vit-says", textContent: sent.says }));
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Layer", layerSlider, layerOut),
      labelled("Head", headSlider, headOut),
      ...(prefix ? [group("Query", classButton)] : []),
    ),
  );

  // The picture, the scores and the weights
  const [wide, high] = fitted(picture, SIDE);
  const [cellWidth, cellHeight] = [wide / columns, high / rows];
  const original = plane(picture.width, picture.height, pixelOf(picture));
  const grey = greyPlane(picture);
  const pictureSheet = sheet(wide, high, { tabIndex: 0, role: "application", className: "vit-touch" });
  const heatSheet = sheet(wide, high, { role: "img" });
  const scoreSheet = sheet(wide, high, { role: "img" });
  const smaller = (SMALLER / SIDE) * wide;
  for (const map of [heatSheet, scoreSheet]) map.style.width = `${smaller}px`;
  const say = (textContent) => make("span", { textContent });
  const [most, mostHere, least, highest] = Array.from({ length: 4 }, () => make("span"));
  const scoreNote = note("");
  scoreNote.style.maxWidth = `${smaller}px`;
  const scoreNoteOf = (largest, smallest, mean, ofClass) =>
    `Of all ${count(tokens)} tokens: largest ${largest}, smallest ${smallest}, mean ${mean}.` +
    `${prefix ? ` Class token: ${ofClass}.` : ""}`;
  const scoreNoteBox = roomFor(scoreNote, [scoreNoteOf(...Array(4).fill("-10.00"))]);
  const scorePanel = panel("", scoreSheet, legend(diverging, smaller, least, say("0"), highest), scoreNoteBox);
  const [scoreTitle, scoreTitles] = [scorePanel.firstChild, ["Scores before the softmax", "Scores, mean of the heads"]];
  roomFor(scoreTitle, scoreTitles);
  const keys =
    `Click a patch or use the arrow keys${prefix ? "; c: class token" : ""}` +
    `; Page Up, Page Down: layer${hasScores ? "; + and -: temperature" : ""}. With Shift the arrow keys mark a key ` +
    "(the ring), Escape takes it away.";
  const numbers = numberTable([
    ["who", "who looks"],
    ...(prefix ? [["class", "weight on the class token"]] : []),
    ["patches", "weight on all patches"],
    ["entropy", "entropy in nats: 0 if one takes all"],
    ["spread", `as if spread evenly over, of ${count(tokens)} tokens`],
  ]);
  const spreadNote = note(
    `This is e to the entropy: ${count(tokens)} if all weights are equal, 1 if one token takes all.`,
  );
  spreadNote.style.maxWidth = "calc(190 * var(--vit-px))";
  const readOut = make("p", { className: "vit-reading" });
  const longest = readingOf(tokenName(tokens - 1), hasScores ? -10 : null, 0);
  const answer = make("p", { className: "vit-answer" });
  const atPatch = make("p");
  const atPatchOf = (query, patch) => `of what ${tokenName(query)} takes comes from ${patchName(patch)}.`;
  const everyone = [0, tokens - 1]; // a patch of a large number stands for all patches
  const atPatchBox = roomFor(
    atPatch,
    everyone.map((query) => atPatchOf(query, patches - 1)),
  );
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      panel("Choose who looks, and see where", pictureSheet, legend(viridis, wide, say("0%"), mostHere)),
      make("section", { className: "vit-beside" }, answer, atPatchBox, note(keys)),
    ),
  );

  // All heads at once, and the patches that get most
  const smallNow = () => smallLayout(layers, heads, rows, columns, roomIn(root, WIDTH), enlarged(root));
  let small = smallNow();
  const allSheet = sheet(small.width, small.height, {
    role: "img",
    className: "vit-pointing",
    "aria-label": "The map of every layer and head for this query, small",
  });
  const top = Array.from({ length: Math.min(TOP, patches) }, () => {
    const bar = make("span", { className: "vit-bar" });
    const [name, share] = [make("td"), make("td")];
    return { bar, name, share, line: make("tr", {}, name, share, make("td", {}, bar)) };
  });
  const table = make("table", { className: "vit-top" }, make("tbody", {}, ...top.map(({ line }) => line)));
  const words = make("p", { className: "vit-words" });
  const inside = [
    make(
      "div",
      { className: "vit-controls" },
      labelled("Colour over the picture", overlaySlider, overlayOut),
      ...(hasScores ? [labelled("Temperature", heatSlider, heatOut)] : []),
    ),
    make(
      "div",
      { className: "vit-panels" },
      ...(hasScores ? [scorePanel] : []),
      panel("Where it looks (point at a patch)", heatSheet, legend(viridis, smaller, say("0%"), most)),
      panel("In numbers", numbers.list, spreadNote),
    ),
    roomFor(readOut, [NO_KEY, `${longest}.`]),
    make(
      "div",
      { className: "vit-panels vit-below" },
      panel("All maps of this query: a layer per line, a head per column (click one)", allSheet),
      panel(prefix ? "Of the patches, it looks most at" : "It looks most at", table),
    ),
  ];
  behindMore(model, root, `${hasScores ? "scores, " : ""}numbers, all maps at once`, inside, words);

  const paintHeat = painter(columns, rows, viridis);
  const paintVeil = painter(columns, rows, viridis);
  const paintScores = painter(columns, rows, diverging);
  /** Where the weight of a patch lies between 0 and the largest. */
  const shareOf = (row, largest) => (patch) => (largest > 0 ? row[prefix + patch] / largest : 0);

  const smallLayer = make("canvas");
  let painted = "";
  /** All small maps; painted again only when the query, the temperature, the room or the zoom changes. */
  function paintSmall(query, temperature) {
    const now = `${query} ${temperature} ${small.width} ${small.height} ${sharpness()}`;
    if (painted === now) return;
    painted = now;
    resize(smallLayer, small.width, small.height);
    const context = pen(smallLayer);
    for (let layer = 0; layer < layers; layer++) {
      for (let head = 0; head < heads; head++) {
        const row = weightsOf(layer, head, query, temperature);
        let largest = 0;
        for (let i = prefix; i < tokens; i++) largest = Math.max(largest, row[i]);
        const map = paintHeat(shareOf(row, largest));
        context.drawImage(map, ...small.cornerOf(layer, head), small.mapWidth, small.mapHeight);
      }
    }
  }

  function drawSmall({ layer, head, query, temperature }) {
    small = smallNow();
    paintSmall(query, temperature);
    resize(allSheet, small.width, small.height);
    const context = pen(allSheet);
    const style = getComputedStyle(root);
    context.drawImage(smallLayer, 0, 0, small.width, small.height);
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    const fontOf = (size, isBold) => `${isBold ? 700 : 400} ${size}px ${style.fontFamily}`;
    context.font = fontOf(11 * enlarged(root), true);
    const share = Math.min(1, (small.step - 2) / context.measureText(String(heads - 1)).width);
    const size = 11 * enlarged(root) * share;
    for (let i = 0; i < Math.max(heads, layers); i++) {
      const [x, y] = small.cornerOf(i, i);
      context.font = fontOf(size, i === head);
      context.textAlign = "center";
      if (i < heads) context.fillText(String(i), x + small.mapWidth / 2, 0.4 * small.top);
      context.font = fontOf(size, i === layer);
      context.textAlign = "right";
      if (i < layers) context.fillText(String(i), small.left - 10, y + small.mapHeight / 2);
    }
    context.strokeStyle = style.color;
    context.lineWidth = head < 0 ? 1.5 : 2.5;
    for (let one = 0; one < heads; one++) {
      if (head >= 0 && one !== head) continue;
      const [x, y] = small.cornerOf(layer, one);
      context.strokeRect(x - 2, y - 2, small.mapWidth + 4, small.mapHeight + 4);
    }
  }

  /** The scores behind the weights: a map, its colours, and the numbers in words. */
  function drawScores(head, row) {
    const context = pen(scoreSheet);
    let limit = 0;
    for (let i = prefix; i < tokens; i++) limit = Math.max(limit, Math.abs(row[i]));
    const map = paintScores((patch) => (limit > 0 ? (row[prefix + patch] / limit + 1) / 2 : 0.5));
    context.drawImage(map, 0, 0, wide, high);
    const { largest, smallest, mean } = rangeOf(row);
    least.textContent = decimals(-limit);
    highest.textContent = decimals(limit);
    scoreTitle.textContent = scoreTitles[head < 0 ? 1 : 0];
    scoreNote.textContent = scoreNoteOf(largest, smallest, mean, decimals(row[0]));
    const label = `Scores of the ${count(patches)} patches: red is positive, blue negative, up to ${decimals(limit)}`;
    scoreSheet.setAttribute("aria-label", label);
    return context;
  }

  const cornerOf = (patch) => [(patch % columns) * cellWidth, Math.floor(patch / columns) * cellHeight];

  /** A ring around the key that is read out, seen on every background. */
  function ring(context, patch) {
    const [x, y] = cornerOf(patch);
    const radii = [RING * cellWidth, RING * cellHeight];
    for (const [style, line] of [
      ["#000000", 4],
      ["#ffffff", 2],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.ellipse(x + cellWidth / 2, y + cellHeight / 2, ...radii, 0, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function drawControls({ layer, head, query, overlay, temperature }) {
    layerSlider.value = layer;
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    headSlider.value = head;
    headOut.textContent = head < 0 ? "mean of all" : `${head} (0 to ${heads - 1})`;
    headSlider.setAttribute("aria-valuetext", head < 0 ? "mean of all heads" : `head ${head}`);
    overlaySlider.value = overlay;
    overlayOut.textContent = `${overlay}%`;
    overlaySlider.setAttribute("aria-valuetext", overlayOut.textContent);
    heatSlider.value = Math.round(temperature * 10);
    heatOut.textContent = oneOrTwoDecimals(temperature);
    heatSlider.setAttribute("aria-valuetext", oneOrTwoDecimals(temperature));
    classButton.setAttribute("aria-pressed", String(query < prefix));
  }

  let best = prefix; // the patch that gets most
  let lastPatch = prefix + Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  function draw() {
    const names = ["layer", "head", "query", "key", "overlay", "temperature"];
    const now = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const { layer, head, query, key, overlay, temperature } = now;
    if (query >= prefix) lastPatch = query;
    const row = weightsOf(layer, head, query, temperature);
    const before = hasScores ? rowOf(scores, layer, head, query) : null;
    const sums = summary(row, prefix);
    const { largest, onPatches, entropy, order } = sums;
    best = prefix + order[0];
    drawControls(now);

    const share = shareOf(row, largest);
    const context = pen(pictureSheet, wide / picture.width < 3);
    context.drawImage(overlay ? grey : original, 0, 0, wide, high);
    context.imageSmoothingEnabled = false;
    // The smaller the weight, the more the picture shows through.
    const veil = paintVeil(share, (patch) => (overlay / 100) * (0.25 + 0.75 * share(patch)));
    if (overlay) context.drawImage(veil, 0, 0, wide, high);
    const large = pen(heatSheet);
    large.drawImage(paintHeat(share), 0, 0, wide, high);
    const drawn = [context, large, ...(hasScores ? [drawScores(head, before)] : [])];
    if (key !== null && key >= prefix) for (const one of drawn) ring(one, key - prefix);
    if (query >= prefix) {
      const [x, y] = cornerOf(query - prefix);
      for (const one of drawn) mark(one, x + 2, y + 2, cellWidth - 4, cellHeight - 4);
    }
    drawSmall(now);

    most.textContent = mostHere.textContent = finePercent(largest);
    answer.textContent = finePercent(largest);
    atPatch.textContent = atPatchOf(query, order[0]);
    numbers.show("who", query >= prefix ? `patch ${count(query - prefix)}` : tokenName(query).replace("the ", ""));
    if (prefix) numbers.show("class", finePercent(row[0]));
    numbers.show("patches", finePercent(onPatches));
    numbers.show("entropy", decimals(entropy));
    numbers.show("spread", decimals(Math.exp(entropy), 1));
    top.forEach(({ bar, name, share: text }, i) => {
      name.textContent = patchName(order[i]);
      text.textContent = finePercent(row[prefix + order[i]]);
      bar.style.width = `${BAR * share(order[i])}px`;
    });
    const reading = key === null ? "" : readingOf(tokenName(key), before?.[key] ?? null, row[key]);
    const said = reading && `${reading[0].toUpperCase()}${reading.slice(1)}.`;
    readOut.textContent = said || NO_KEY;
    const text = wordsOf({ ...now, ...sums, row, scores: before, prefix, columns, reading });
    speak(words, text);
    pictureSheet.setAttribute("aria-label", text);
    heatSheet.setAttribute(
      "aria-label",
      `Map of the weights on the ${count(patches)} patches, from 0% to ${finePercent(largest)}`,
    );
  }

  // Pointing and keys
  const under = (x, y) => prefix + cellUnder(x, y, wide, high, rows, columns);
  pointing(pictureSheet, (x, y) => choose({ query: under(x, y) }));
  for (const map of [heatSheet, scoreSheet]) pointing(map, (x, y) => choose({ key: under(x, y) }), "always");
  pointing(allSheet, (x, y) => choose(small.mapAt(x, y) ?? {}), "never");
  onKeys(root, (event) => {
    const [layer, temperature] = [model.get("layer"), model.get("temperature")];
    const moved = event.shiftKey ? "key" : "query";
    const patch = (model.get(moved) ?? -1) - prefix;
    const start = event.shiftKey ? best : lastPatch; // where the first arrow key goes
    const go = (cell) => choose({ [moved]: patch < 0 ? start : prefix + cell });
    const warmer = (by) => choose({ temperature: within(Math.round(temperature * 10) + by, ...tenths) / 10 });
    return {
      ...arrows(Math.max(0, patch), rows, columns, go),
      Escape: () => choose({ key: null }),
      Home: () => choose({ query: prefix }),
      End: () => choose({ query: tokens - 1 }),
      ...pages((by) => choose({ layer: within(layer + by, 0, layers - 1) })),
      ...(hasScores ? { "+": () => warmer(1), "-": () => warmer(-1) } : {}),
      ...(prefix ? { c: takeClass } : {}),
    };
  });
  return live(model, root, draw);
}

export default { render };
