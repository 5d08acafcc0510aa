// Training timeline: every moment was computed in training_timeline.py; here it is looked up and drawn.

import {
  frame,
  greyPlane,
  labelled,
  live,
  make,
  mark,
  paletteStrip,
  panel,
  pen,
  plane,
  pointer,
  set,
  sheet,
  slider,
} from "./common.js";
import { bytesOf, decimals, fitted, percent, pixelOf, unpackHalf } from "./numbers.js";

const CURVE = { width: 912, height: 160, left: 46, right: 16, top: 14, bottom: 38 };
const MAP_SIDE = 280;
const THUMB = 60;
const BAR = 150;

function render({ model, el }) {
  const epochs = model.get("_epochs");
  const accuracy = model.get("_accuracy");
  const names = model.get("_names");
  const classes = model.get("_classes");
  const { shape, grid, prefix, layers } = model.get("_sizes");
  const [channels, height, width] = shape;
  const [rows, columns] = grid;
  const patches = rows * columns;
  const reals = (name) => new Float32Array(bytesOf(model.get(name)).buffer);
  const [chances, alike, near] = ["_chances", "_alike", "_near"].map(reals);
  const attention = unpackHalf(bytesOf(model.get("_attention")));
  const [colours, diverging] = ["_colours", "_diverging"].map((name) => bytesOf(model.get(name)));
  const pixels = bytesOf(model.get("_pixels"));
  const pictures = names.map((_, i) => ({
    pixels: pixels.subarray(i * channels * height * width),
    channels,
    height,
    width,
  }));
  const originals = pictures.map((picture) => plane(width, height, pixelOf(picture)));
  const greys = pictures.map(greyPlane);

  const root = frame(
    el,
    "Training timeline",
    "slide from the untrained model to the trained one. When does the answer settle? When does attention stop being spread evenly? When do neighbouring positions become alike?",
  );

  // The numbers

  const largestOf = (numbers) => numbers.reduce((best, value, i) => (value > numbers[best] ? i : best), 0);
  const chancesAt = (moment, picture) =>
    chances.subarray((moment * names.length + picture) * classes.length).subarray(0, classes.length);
  /** The weights that someone gives to the patches; looker 0 speaks for the whole picture, looker 1 is patch 0. */
  const seenAt = (moment, picture, layer, looker) =>
    attention
      .subarray((((moment * names.length + picture) * layers + layer) * (patches + 1) + looker) * patches)
      .subarray(0, patches);
  const alikeAt = (moment, patch) => alike.subarray((moment * patches + patch) * patches).subarray(0, patches);
  // one scale for all moments: the largest similarity of two different positions
  const alikeTop = alike.reduce(
    (top, value, i) => (Math.floor(i / patches) % patches === i % patches ? top : Math.max(top, Math.abs(value))),
    0,
  );
  const accuracyAfter = (epoch) => (accuracy.length && epoch ? accuracy[epoch - 1] : null);

  let hovered = null; // the token under the mouse, which is shown while it is there
  function now() {
    const token = hovered ?? model.get("token");
    const looker = token === null ? 0 : token + 1 - prefix;
    const picture = Math.max(0, names.indexOf(model.get("picture")));
    const moment = Math.max(0, epochs.indexOf(model.get("epoch")));
    const layer = model.get("layer");
    const all = epochs.map((_, at) => seenAt(at, picture, layer, looker));
    return {
      moment,
      epoch: epochs[moment],
      picture,
      layer,
      looker,
      patch: looker ? looker - 1 : Math.floor(rows / 2) * columns + Math.floor(columns / 2),
      chances: chancesAt(moment, picture),
      seen: all[moment],
      seenTop: Math.max(...all.map((seen) => seen[largestOf(seen)])),
    };
  }

  const momentName = (epoch) => (epoch ? `after ${epoch} epoch${epoch > 1 ? "s" : ""}` : "before training");
  const placeName = (patch) => `patch ${patch} (row ${Math.floor(patch / columns)}, column ${patch % columns})`;
  const wholeName = prefix ? "the class token" : "all patches together";
  const wholeLooks = `${wholeName} look${prefix ? "s" : ""}`;
  const says = (numbers) => `${classes[largestOf(numbers)]} with ${percent(numbers[largestOf(numbers)])}`;
  const capital = (text) => text[0].toUpperCase() + text.slice(1);
  function wordsOfAnswer({ moment, epoch, picture, chances: here }) {
    const sureness = epochs.map((_, at) => Math.max(...chancesAt(at, picture)));
    const surest = largestOf(sureness);
    const most =
      sureness[moment] === sureness[surest]
        ? "at no other moment is it more sure"
        : `it is most sure ${momentName(epochs[surest])}: ${says(chancesAt(surest, picture))}`;
    const measured =
      accuracyAfter(epoch) === null ? "" : ` Its validation accuracy is ${percent(accuracyAfter(epoch))}.`;
    return `${names[picture]}: ${momentName(epoch)} the model says ${says(here)}; ${most}.${measured}`;
  }
  function wordsOfAttention({ layer, looker, seen }) {
    const who = looker ? `${placeName(looker - 1)} looks` : wholeLooks;
    const best = largestOf(seen);
    return `In layer ${layer} ${who} most at ${placeName(best)}, with ${percent(seen[best])}.`;
  }
  function wordsOfPosition({ moment, patch }) {
    const [close, far] = near.subarray(2 * (moment * patches + patch));
    return `The position of ${placeName(patch)}: mean cosine similarity ${decimals(close)} to its neighbours, ${decimals(far)} to the others.`;
  }

  // Controls

  const go = (moment) =>
    moment >= 0 &&
    moment < epochs.length &&
    epochs[moment] !== model.get("epoch") &&
    set(model, { epoch: epochs[moment] });
  const choosePicture = (picture) =>
    picture >= 0 &&
    picture < names.length &&
    names[picture] !== model.get("picture") &&
    set(model, { picture: names[picture] });
  const chooseLayer = (layer) => layer >= 0 && layer < layers && layer !== model.get("layer") && set(model, { layer });
  const chooseToken = (token) => token !== model.get("token") && set(model, { token });
  let lastPatch = now().patch;
  const toggleWhole = () => chooseToken(now().looker ? null : lastPatch + prefix);

  const momentOut = make("output");
  const momentSlider = slider(0, epochs.length - 1, go);
  const layerOut = make("output");
  const layerSlider = slider(0, layers - 1, chooseLayer);
  const wholeButton = make("button", { type: "button", textContent: `${capital(wholeName)} (c)` });
  wholeButton.addEventListener("click", toggleWhole);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Moment of the training", momentSlider, momentOut),
      labelled("Layer", layerSlider, layerOut),
      make(
        "div",
        { className: "vit-field" },
        make("span", { className: "vit-title", textContent: "Who looks" }),
        make("span", {}, wholeButton),
      ),
    ),
  );

  // The curve

  const curve = sheet(CURVE.width, accuracy.length ? CURVE.height : 76, {
    tabIndex: 0,
    role: "application",
    className: "vit-pointing",
  });
  const lastEpoch = Math.max(epochs[epochs.length - 1], accuracy.length);
  const xOf = (epoch) => CURVE.left + (epoch / lastEpoch) * (CURVE.width - CURVE.left - CURVE.right);
  const guessing = 1 / classes.length;
  const ceiling = Math.min(1, Math.ceil(Math.max(guessing, ...accuracy) * 5 + 0.01) / 5);
  const floor = curve.vitHeight - CURVE.bottom;
  const yOf = (share) => floor - (share / ceiling) * (floor - CURVE.top);
  const dotOf = (epoch) => (accuracy.length ? yOf(accuracyAfter(epoch) ?? guessing) : floor - 14);
  const keys =
    "Left and right arrow: another moment; Home and End: the first and the last. Up and down: another picture. Page Up, Page Down: layer. " +
    `Shift with an arrow: another patch; c: ${wholeName}. The mouse works too: click a dot, a picture, a patch.`;
  root.append(
    panel(
      accuracy.length
        ? "Validation accuracy after each epoch; a dot where the model was kept (hollow: not measured)"
        : "The moments at which the model was kept",
      curve,
    ),
  );

  function drawCurve({ moment, epoch: chosen }, style) {
    const context = pen(curve);
    const accent = style.getPropertyValue("--jp-brand-color1") || "#0b5cad";
    const line = (x, y, toX, toY) => {
      context.beginPath();
      context.moveTo(x, y);
      context.lineTo(toX, toY);
      context.stroke();
    };
    const font = (weight) => (context.font = `${weight} 12px ${style.fontFamily}`);
    context.fillStyle = context.strokeStyle = style.color;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    font(400);
    if (accuracy.length) {
      context.textAlign = "right";
      for (let level = 0; level <= ceiling + 1e-6; level += 0.2) {
        context.globalAlpha = level ? 0.18 : 0.6;
        line(CURVE.left, yOf(level), CURVE.width - CURVE.right, yOf(level));
        context.globalAlpha = 1;
        context.fillText(`${Math.round(100 * level)}%`, CURVE.left - 8, yOf(level));
      }
      context.setLineDash([4, 4]);
      context.globalAlpha = 0.7;
      line(CURVE.left, yOf(guessing), CURVE.width - CURVE.right, yOf(guessing));
      context.setLineDash([]);
      context.globalAlpha = 1;
      context.fillText(`guessing: ${percent(guessing)}`, CURVE.width - CURVE.right - 10, yOf(guessing) - 9);
      context.strokeStyle = accent;
      context.lineWidth = 2;
      context.beginPath();
      accuracy.forEach((share, i) => context[i ? "lineTo" : "moveTo"](xOf(i + 1), yOf(share)));
      context.stroke();
    } else line(CURVE.left, dotOf(0), CURVE.width - CURVE.right, dotOf(0));
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    line(xOf(chosen), CURVE.top - 8, xOf(chosen), floor);
    const paper = style.backgroundColor;
    for (const epoch of epochs) {
      context.fillStyle = accuracyAfter(epoch) === null && accuracy.length ? paper : accent; // hollow: not measured
      context.lineWidth = 2;
      context.beginPath();
      context.arc(xOf(epoch), dotOf(epoch), epoch === chosen ? 8 : 4.5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
    // the chosen epoch is always written, the others where there is room
    context.fillStyle = style.color;
    context.textAlign = "center";
    const written = [];
    for (const epoch of [chosen, ...epochs]) {
      if (written.some((x) => Math.abs(x - xOf(epoch)) < 22)) continue;
      written.push(xOf(epoch));
      font(epoch === chosen ? 700 : 400);
      context.fillText(String(epoch), xOf(epoch), floor + 13);
    }
    font(400);
    context.fillText("finished epochs", (CURVE.left + CURVE.width - CURVE.right) / 2, floor + 29);
    momentSlider.value = moment;
  }

  // Pictures, answer, attention, positions

  const thumbs = names.map((name, i) => {
    const [wide, high] = fitted({ width, height }, THUMB);
    const canvas = sheet(wide, high, { "aria-hidden": "true" });
    pen(canvas).drawImage(originals[i], 0, 0, wide, high);
    const button = make(
      "button",
      { type: "button", className: "vit-thumb" },
      canvas,
      make("span", { textContent: name }),
    );
    button.addEventListener("click", () => choosePicture(i));
    return button;
  });
  const lines = model.get("_bars")[0].map(() => {
    const [name, number, bar] = [make("th", { scope: "row" }), make("td"), make("span", { className: "vit-bar" })];
    const cell = make("td", {}, bar);
    cell.style.width = `${BAR}px`;
    return { name, number, bar, line: make("tr", {}, name, number, cell) };
  });
  const verdict = make("p", { className: "vit-says" });
  const [mapWide, mapHigh] = fitted({ width: columns, height: rows }, MAP_SIDE);
  const [attentionSheet, alikeSheet] = [0, 1].map(() =>
    sheet(mapWide, mapHigh, { role: "img", className: "vit-touch" }),
  );
  const [attentionTitle, alikeTitle] = [make("span"), make("span")];
  const [attentionNote, alikeNote] = [make("p", { className: "vit-note" }), make("p", { className: "vit-note" })];
  /** A strip of colours between the numbers at its ends. */
  const scale = (from, to, palette) => {
    const strip = sheet(110, 10, { "aria-hidden": "true" });
    pen(strip, true).drawImage(paletteStrip(palette), 0, 0, 110, 10);
    return make("div", { className: "vit-key" }, from, strip, to);
  };
  const mostSeen = make("span");
  const oneScale = "One scale for all moments.";
  const attentionPanel = panel("", attentionSheet, scale("0%", mostSeen, colours), attentionNote);
  const alikePanel = panel(
    "",
    alikeSheet,
    scale(decimals(-alikeTop), `${decimals(alikeTop)} and more`, diverging),
    alikeNote,
  );
  attentionPanel.firstChild.append(attentionTitle);
  alikePanel.firstChild.append(alikeTitle);
  for (const box of [attentionPanel, alikePanel]) box.style.width = `${mapWide}px`;
  const answerPanel = panel(
    "What the model says",
    verdict,
    make("table", { className: "vit-top vit-chances" }, make("tbody", {}, ...lines.map(({ line }) => line))),
  );
  answerPanel.style.width = `${CURVE.width - 2 * (MAP_SIDE + 22)}px`; // always the same, so that the maps stay where they are
  for (const note of [attentionNote, alikeNote]) note.style.minHeight = "52px";
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(
    make("div", { className: "vit-thumbs", role: "group", "aria-label": "Pictures" }, ...thumbs),
    make("div", { className: "vit-panels" }, answerPanel, attentionPanel, alikePanel),
    make("p", { className: "vit-note vit-wide", textContent: keys }),
    words,
  );

  const markPatch = (context, patch) => {
    const [across, down] = [mapWide / columns, mapHigh / rows];
    mark(context, (patch % columns) * across + 1, Math.floor(patch / columns) * down + 1, across - 2, down - 2);
  };
  /** Numbers as a small picture of colours; `levelOf` says which share of the palette a number takes. */
  const coloured = (values, palette, levelOf) =>
    plane(columns, rows, (i, into, at) => {
      const level = 3 * Math.round(255 * Math.max(0, Math.min(1, levelOf(values[i]))));
      into.set(palette.subarray(level, level + 3), at);
    });

  function drawBars({ picture, chances: here }) {
    const best = largestOf(here);
    verdict.textContent = says(here);
    model.get("_bars")[picture].forEach((index, i) => {
      const { name, number, bar, line } = lines[i];
      name.textContent = classes[index];
      number.textContent = percent(here[index]);
      bar.style.width = `${BAR * here[index]}px`;
      line.className = index === best ? "vit-best" : "";
    });
  }
  function drawAttention(state) {
    const { picture, seen, seenTop, looker } = state;
    const context = pen(attentionSheet);
    context.drawImage(greys[picture], 0, 0, mapWide, mapHigh);
    context.globalAlpha = 0.7;
    context.drawImage(
      coloured(seen, colours, (value) => value / seenTop),
      0,
      0,
      mapWide,
      mapHigh,
    );
    context.globalAlpha = 1;
    if (looker) markPatch(context, looker - 1);
    attentionTitle.textContent = `Layer ${state.layer}: where ${looker ? `patch ${looker - 1} looks` : wholeLooks.replace(" together", "")}`;
    mostSeen.textContent = percent(seenTop);
    const best = largestOf(seen);
    attentionNote.textContent = `Now most at ${placeName(best)}: ${percent(seen[best])}. Spread evenly, each would get ${percent(1 / (patches + prefix))}. ${oneScale}`;
    attentionSheet.setAttribute("aria-label", `Attention. ${wordsOfAttention(state)}`);
  }
  function drawAlike(state, style) {
    const { moment, patch, looker } = state;
    const values = alikeAt(moment, patch);
    const context = pen(alikeSheet);
    context.drawImage(
      coloured(values, diverging, (value) => (value / alikeTop + 1) / 2),
      0,
      0,
      mapWide,
      mapHigh,
    );
    const cell = mapWide / columns;
    if (cell >= 30) {
      context.font = `10px ${style.fontFamily}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      values.forEach((value, i) => {
        context.fillStyle = Math.abs(value) / alikeTop > 0.6 ? "#ffffff" : "#000000";
        context.fillText(decimals(value), ((i % columns) + 0.5) * cell, (Math.floor(i / columns) + 0.5) * cell);
      });
    }
    markPatch(context, patch);
    alikeTitle.textContent = `Positions like that of patch ${patch}`;
    const [close, far] = near.subarray(2 * (moment * patches + patch));
    alikeNote.textContent = `Mean: neighbours ${decimals(close)}, all others ${decimals(far)}. ${looker ? "" : "No patch is chosen: this is one in the middle. "}${oneScale}`;
    alikeSheet.setAttribute("aria-label", `Similarity. ${wordsOfPosition(state)}`);
  }

  function draw() {
    const state = now();
    const { epoch, picture, layer, looker } = state;
    if (looker) lastPatch = looker - 1;
    const style = getComputedStyle(root);
    momentOut.textContent = momentName(epoch);
    momentSlider.setAttribute("aria-valuetext", momentName(epoch));
    layerSlider.value = layer;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    wholeButton.setAttribute("aria-pressed", String(!looker));
    thumbs.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(i === picture)));
    drawCurve(state, style);
    drawBars(state);
    drawAttention(state);
    drawAlike(state, style);
    const text = `${wordsOfAnswer(state)} ${wordsOfAttention(state)} ${wordsOfPosition(state)}`;
    words.textContent = text;
    curve.setAttribute("aria-label", text);
  }

  // Pointing and keys

  for (const type of ["pointerdown", "pointermove"]) {
    curve.addEventListener(type, (event) => {
      if (type === "pointermove" && !(event.buttons & 1)) return;
      const distances = epochs.map((epoch) => -Math.abs(xOf(epoch) - pointer(curve, event)[0]));
      go(largestOf(distances));
    });
  }
  for (const canvas of [attentionSheet, alikeSheet]) {
    const tokenAt = (event) => {
      const [x, y] = pointer(canvas, event);
      const within = (share, end) => Math.min(end - 1, Math.max(0, Math.floor(share * end)));
      return prefix + within(y / canvas.vitHeight, rows) * columns + within(x / canvas.vitWidth, columns);
    };
    const hover = (token) => {
      if (token === hovered) return;
      hovered = token;
      draw();
    };
    canvas.addEventListener("pointermove", (event) => {
      hover(tokenAt(event));
      if (event.buttons & 1) chooseToken(hovered);
    });
    canvas.addEventListener("pointerleave", () => hover(null));
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      curve.focus({ preventScroll: true }); // so that the keys go on working
      chooseToken(tokenAt(event));
    });
  }
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.tagName === "INPUT") return;
    hovered = null;
    const { moment, picture, layer, looker } = now();
    const [row, column] = [Math.floor((looker - 1) / columns), (looker - 1) % columns];
    const move = (allowed, step) =>
      looker ? allowed && chooseToken(prefix + looker - 1 + step) : chooseToken(prefix + lastPatch);
    const steps = event.shiftKey
      ? {
          ArrowLeft: () => move(column > 0, -1),
          ArrowRight: () => move(column < columns - 1, 1),
          ArrowUp: () => move(row > 0, -columns),
          ArrowDown: () => move(row < rows - 1, columns),
        }
      : {
          ArrowLeft: () => go(moment - 1),
          ArrowRight: () => go(moment + 1),
          ArrowUp: () => choosePicture(picture - 1),
          ArrowDown: () => choosePicture(picture + 1),
          Home: () => go(0),
          End: () => go(epochs.length - 1),
          PageUp: () => chooseLayer(layer - 1),
          PageDown: () => chooseLayer(layer + 1),
          c: toggleWhole,
        };
    if (!(event.key in steps)) return;
    event.preventDefault();
    steps[event.key]();
  });
  return live(model, root, draw);
}

export default { render };
