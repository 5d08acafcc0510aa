// Heads gallery: the browser runs the model itself, so that any heads can be switched off, and draws what they do.

import {
  behindMore,
  button,
  chooser,
  enlarged,
  frame,
  greyPlane,
  group,
  labelled,
  live,
  make,
  mark,
  note,
  onKeys,
  painter,
  panel,
  pen,
  plane,
  pointing,
  readout,
  resize,
  roomFor,
  set,
  sheet,
  slider,
  speak,
} from "../common.js";
import {
  arrows,
  bestClass,
  bytesOf,
  cellUnder,
  count,
  largestOf,
  longestOf,
  pages,
  percent,
  pixelOf,
  shownClasses,
  unpackPictures,
  within,
} from "../numbers.js";
import { embed, forward, passOf, probabilitiesOf, vitOf } from "../vit.js";
import { goneIn, namesIn, offWords, onPatches, withGone, without, wordsOf } from "./arithmetic.js";
import { largeLayout, smallLayout } from "./geometry.js";

const LARGE = 60; // from this width on, a map has room for thick lines

const onOffOf = (head, off) => `Head ${head}: ${off ? "off" : "on"}`;
const SAME = "The same answer as with all heads on.";
const otherOf = (answer) => `With all heads on it was ${answer}.`;

function render({ model, el }) {
  const sent = model.get("_sent");
  const { names, classes } = sent;
  const vit = vitOf(sent.vit);
  const { layers, heads, prefix, tokens } = vit;
  const [rows, columns] = vit.grid;
  const pictures = new Map();
  unpackPictures(sent).forEach((picture, i) => {
    const original = plane(picture.width, picture.height, pixelOf(picture));
    pictures.set(picture.name, { ...picture, original, grey: greyPlane(picture), label: sent.labels[i] });
  });
  const pass = passOf(vit);

  const root = frame(
    el,
    "Heads gallery",
    "choose who looks, a patch or the class token, and a layer. Switch heads off and on: what does the model answer " +
      "without them?",
    "What you can do",
  );

  // Switches
  const choose = (changes) => set(model, changes);
  const gone = () => goneIn(model.get("off"), model.get("layer"));
  const putOff = (off) => String(off) !== String(model.get("off")) && choose({ off });
  const putGone = (heads) => putOff(withGone(model.get("off"), model.get("layer"), heads));
  const toggle = (head) => putGone(gone().includes(head) ? gone().filter((one) => one !== head) : [...gone(), head]);
  const only = (head) => putGone(without(heads, head));
  const toggleLayer = () => putGone(without(heads, ...gone()).length ? without(heads) : []);
  const allHeadsOn = () => putOff([]);

  // Controls
  let lastPatch = prefix + Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  const toggleClass = () => choose({ query: model.get("query") < prefix ? lastPatch : 0 });
  const choosePicture = chooser(names, (picture) => choose({ picture }));
  const layerOut = readout();
  const layerSlider = slider(0, layers - 1, (layer) => choose({ layer }));
  const classButton = button("Class token (c)", toggleClass);
  const layerButton = button("Layer off (l)", toggleLayer);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(names.length > 1 ? [labelled("Picture", choosePicture)] : []),
      labelled("Layer", layerSlider, layerOut),
      ...(prefix ? [group("Who looks", classButton)] : []),
      group("Switches", layerButton, button("All heads on (a)", allHeadsOn)),
    ),
  );

  // The picture, and one map a head
  const [first] = pictures.values();
  const large = largeLayout(first, heads);
  const pictureSheet = sheet(large.width, large.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const cards = without(heads).map((head) => {
    const canvas = sheet(large.mapWidth, large.mapHeight, { role: "img", className: "vit-pointing" });
    const onOff = button("", () => toggle(head));
    const alone = button("only", () => only(head), { "aria-label": `Only head ${head} of this layer` });
    const most = note("");
    const keys = make("div", { className: "vit-key" }, onOff, alone);
    keys.style.margin = "0";
    for (const one of [onOff, alone]) one.style.padding = "2px 6px";
    roomFor(onOff, [onOffOf(head, true)]);
    const below = make("div", { className: "vit-below" }, canvas);
    below.style.marginTop = "6px";
    const box = make("div", {}, keys, below, most);
    box.style.width = `${large.mapWidth}px`;
    return { head, canvas, onOff, most, box };
  });
  const verdict = make("p", { className: "vit-answer vit-below" });
  const comparison = make("p");
  const answers = classes.map((name) => `${name} ${percent(1)}`);
  const mapsPanel = panel("", make("div", { className: "vit-panels" }, ...cards.map(({ box }) => box)));
  Object.assign(mapsPanel.lastChild.style, { maxWidth: `${large.lineWidth}px`, columnGap: "10px" }); // two on a phone
  const mapsTitle = mapsPanel.firstChild;
  const mapsTitleOf = (layer, who) => `Layer ${layer}: where ${who} looks, head by head`;
  roomFor(
    mapsTitle,
    ["the class token", `patch ${count(tokens - 1)}`].map((who) => mapsTitleOf(layers - 1, who)),
  );
  root.append(
    make("div", { className: "vit-panels" }, panel("The picture: choose who looks", pictureSheet), mapsPanel),
    roomFor(verdict, answers),
    roomFor(comparison, [SAME, ...answers.map(otherOf)]),
  );

  // What the model and all layers
  const shownRows = Math.min(sent.bars, classes.length);
  const lines = Array.from({ length: shownRows }, (_, i) => {
    const [name, now, before] = [make("span"), make("td"), make("td")];
    const head = make("th", { scope: "row" }, roomFor(name, namesIn(classes, shownRows, i)));
    const [thick, thin] = [make("span", { className: "vit-bar" }), make("span", { className: "vit-bar" })];
    Object.assign(thin.style, { height: "3px", opacity: "0.7", marginTop: "1px" });
    const bars = make("td", { className: "vit-bars" }, thick, thin);
    return { name, now, before, thick, thin, line: make("tr", {}, head, now, before, bars) };
  });
  const classTitle = sent.labels.some((label) => label !== null) ? "class (bold: label)" : "class";
  const titles = [classTitle, "now", "all on", "thick: now, thin: all on"].map((textContent) =>
    make("th", { scope: "col", textContent }),
  );
  titles[3].className = "vit-bars";
  const table = make(
    "table",
    { className: "vit-top" },
    make("thead", {}, make("tr", {}, ...titles)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  let small = smallLayout(first, layers, heads);
  const allSheet = sheet(small.width, small.height, { role: "img", className: "vit-pointing" });
  const allPanel = panel("All layers: a layer per line, a head per column (click a layer)", allSheet);
  allPanel.style.maxWidth = "400px";
  const words = make("p", { className: "vit-words" });
  const help = note(
    `Click a patch, or use the arrow keys${prefix ? "; c: the class token" : ""}. Page Up, Page Down: layer. ` +
      `0 to ${Math.min(9, heads - 1)}: switch a head off or on; with Shift: only this head of the layer; ` +
      "l: the whole layer; a: all heads on. Each map has its own brightest colour. A head that is off still has its " +
      "map, but adds nothing: its numbers are set to zero before the output projection. The bias of that layer stays.",
    { className: "vit-note vit-wide" },
  );
  const classPanel = panel("All classes", table);
  classPanel.classList.add("vit-rated", "vit-both");
  classPanel.style.setProperty("--vit-first", longestOf(classes));
  const inside = [help, make("div", { className: "vit-panels vit-below" }, classPanel, allPanel)];
  behindMore(model, root, "all classes, all layers, the keys", inside, words);

  /** A cross in the upper right corner of a map, small enough to leave the map to be read. */
  function cross(context, x, y, width, thick) {
    const size = Math.max(8, Math.round(0.12 * width));
    const [left, top] = [x + width - size - 4, y + 4];
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

  const paint = painter(columns, rows, bytesOf(sent.viridis));

  /** A map over the grey picture; that of a head that is off is paler, with a cross in its corner. */
  function drawMap(context, grey, weights, isOff, x, y, width, height) {
    const largest = weights[largestOf(weights)];
    context.drawImage(grey, x, y, width, height);
    context.globalAlpha = isOff ? 0.4 : 0.7;
    context.drawImage(
      paint((patch) => (largest > 0 ? weights[patch] / largest : 0)),
      x,
      y,
      width,
      height,
    );
    context.globalAlpha = 1;
    if (isOff) cross(context, x, y, width, width > LARGE ? 3 : 2);
  }

  function markQuery(context, query, width, height) {
    if (query < prefix) return;
    const [across, down] = [width / columns, height / rows];
    const [x, y] = [((query - prefix) % columns) * across, Math.floor((query - prefix) / columns) * down];
    mark(context, x + 1, y + 1, across - 2, down - 2, width > LARGE ? 2 : 1);
  }

  function drawControls({ picture, layer, query, isOff }) {
    choosePicture.value = picture.name;
    layerSlider.value = layer;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    classButton.setAttribute("aria-pressed", String(query < prefix));
    const emptied = without(heads).every((head) => isOff(layer, head));
    layerButton.setAttribute("aria-pressed", String(emptied));
    const who = query < prefix ? "the class token" : `patch ${count(query - prefix)}`;
    mapsTitle.textContent = mapsTitleOf(layer, who);
  }

  function drawCards({ picture, layer, query, isOff, seen }) {
    const context = pen(pictureSheet, large.width / picture.width < 3);
    context.drawImage(picture.original, 0, 0, large.width, large.height);
    markQuery(context, query, large.width, large.height);
    for (const { head, canvas, onOff, most } of cards) {
      const off = isOff(layer, head);
      const map = pen(canvas);
      drawMap(map, picture.grey, seen[head], off, 0, 0, large.mapWidth, large.mapHeight);
      markQuery(map, query, large.mapWidth, large.mapHeight);
      onOff.textContent = onOffOf(head, off);
      onOff.setAttribute("aria-pressed", String(!off));
      const best = largestOf(seen[head]);
      const onClass = prefix ? onPatches(pass.maps[layer], tokens, 0, head, query)[0] : 0;
      const text = `up to ${percent(seen[head][best])}${prefix ? `; class token ${percent(onClass)}` : ""}`;
      most.textContent = text;
      canvas.setAttribute("aria-label", `Head ${head}, ${off ? "off" : "on"}: most at patch ${count(best)}, ${text}`);
    }
  }

  function drawAll({ picture, layer: chosen, query, off, isOff }) {
    const letters = enlarged(root);
    small = smallLayout(first, layers, heads, letters);
    resize(allSheet, small.width, small.height);
    const context = pen(allSheet);
    const style = getComputedStyle(root);
    const fontOf = (size, isBold) => `${isBold ? "700 " : ""}${size}px ${style.fontFamily}`;
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    context.font = fontOf(12 * letters, true);
    const across = (small.step - 2) / context.measureText(String(heads - 1)).width;
    const size = Math.min(12 * letters * Math.min(1, across), small.step);
    for (let head = 0; head < heads; head++) {
      context.font = fontOf(size);
      context.textAlign = "center";
      context.fillText(String(head), small.cornerOf(0, head)[0] + small.mapWidth / 2, 0.4 * small.top);
      for (let layer = 0; layer < layers; layer++) {
        const weights = onPatches(pass.maps[layer], tokens, prefix, head, query);
        const corner = small.cornerOf(layer, head);
        drawMap(context, picture.grey, weights, isOff(layer, head), ...corner, small.mapWidth, small.mapHeight);
      }
    }
    context.textAlign = "right";
    for (let layer = 0; layer < layers; layer++) {
      const [x, y] = small.cornerOf(layer, 0);
      context.font = fontOf(size, layer === chosen);
      context.fillText(String(layer), x - 10, y + small.mapHeight / 2);
    }
    context.strokeStyle = style.color;
    context.lineWidth = 2;
    const [x, y] = small.cornerOf(chosen, 0);
    context.strokeRect(x - 3, y - 3, small.lineWidth, small.mapHeight + 6);
    const label = `The maps of all ${layers} layers and ${heads} heads, small; switched off: ${offWords(off, heads)}`;
    allSheet.setAttribute("aria-label", label);
  }

  function drawBars({ label, probabilities, allOn }) {
    const shown = shownClasses(allOn, lines.length);
    lines.forEach(({ name, now, before, thick, thin }, i) => {
      const index = shown[i];
      const heard = index === label ? [make("span", { className: "vit-heard", textContent: " (label)" })] : [];
      name.replaceChildren(classes[index], ...heard);
      name.style.fontWeight = index === label ? "700" : "400";
      now.textContent = percent(probabilities[index]);
      before.textContent = percent(allOn[index]);
      thick.style.width = `${100 * probabilities[index]}%`;
      thin.style.width = `${100 * allOn[index]}%`;
    });
    const isSame = largestOf(probabilities) === largestOf(allOn);
    verdict.textContent = bestClass(probabilities, classes);
    comparison.textContent = isSame ? SAME : otherOf(bestClass(allOn, classes));
  }

  function draw() {
    const [name, layer, query, off] = ["picture", "layer", "query", "off"].map((trait) => model.get(trait));
    if (query >= prefix) lastPatch = query;
    const picture = pictures.get(name);
    picture.start ??= embed(vit, picture.pixels);
    picture.allOn ??= probabilitiesOf(forward(vit, pass, picture.start).logits);
    forward(vit, pass, picture.start, off);
    const now = {
      ...{ name, picture, layer, query, off, label: picture.label, allOn: picture.allOn, classes, prefix, columns },
      probabilities: probabilitiesOf(pass.logits),
      seen: without(heads).map((head) => onPatches(pass.maps[layer], tokens, prefix, head, query)),
      isOff: (where, head) => goneIn(off, where).includes(head),
    };
    drawControls(now);
    drawCards(now);
    drawBars(now);
    drawAll(now);
    const text = wordsOf(now);
    speak(words, text);
    pictureSheet.setAttribute("aria-label", text);
  }

  // Pointing and keys
  for (const canvas of [pictureSheet, ...cards.map(({ canvas }) => canvas)]) {
    const patchAt = (x, y) => cellUnder(x, y, canvas.vitWidth, canvas.vitHeight, rows, columns);
    pointing(canvas, (x, y) => choose({ query: prefix + patchAt(x, y) }));
  }
  const chooseLayer = (layer) => layer !== null && choose({ layer });
  pointing(allSheet, (_, y) => chooseLayer(small.layerAt(y)), "never");
  onKeys(root, (event) => {
    const [layer, patch] = [model.get("layer"), model.get("query") - prefix];
    const go = (cell) => choose({ query: patch < 0 ? lastPatch : prefix + cell });
    const digit = Number(/^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1] ?? heads); // what Shift makes of it differs
    return {
      ...arrows(Math.max(0, patch), rows, columns, go),
      Home: () => choose({ query: prefix }),
      End: () => choose({ query: tokens - 1 }),
      ...pages((by) => choose({ layer: within(layer + by, 0, layers - 1) })),
      ...(prefix ? { c: toggleClass } : {}),
      l: toggleLayer,
      a: allHeadsOn,
      ...(digit < heads ? { [event.key.toLowerCase()]: () => (event.shiftKey ? only : toggle)(digit) } : {}),
    };
  });
  return live(model, root, draw);
}

export default { render };
