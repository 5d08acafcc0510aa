// Training timeline: every moment was computed in data.py; here it is looked up and drawn.

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
  onKeys,
  painter,
  panel,
  pen,
  pointer,
  pointing,
  readout,
  resize,
  roomFor,
  roomIn,
  set,
  sheet,
  slider,
  speak,
  thumbnail,
} from "../common.js";
import {
  arrows,
  bytesOf,
  cellUnder,
  count,
  decimals,
  fitted,
  inkOn,
  largestOf,
  longestOf,
  pages,
  patchName,
  percent,
  unpackPictures,
  within,
} from "../numbers.js";
import {
  accuracyAfter,
  lookupsOf,
  momentName,
  says,
  wholeLooks,
  wholeName,
  wordsOf,
  wordsOfAttention,
  wordsOfPosition,
} from "./arithmetic.js";
import { curveLayout, WIDTH } from "./geometry.js";

const MAP_SIDE = 280;
const THUMB = 60;
const RIM = 3; // of the paper's colour around a dot
const WRITTEN = 30; // from this width on, a patch has room for its number
const ONE_SCALE = "One scale for all moments.";

function render({ model, el }) {
  const sent = model.get("_sent");
  const { epochs, accuracy, names, classes, prefix, layers } = sent;
  const [rows, columns] = sent.grid;
  const { alikeTop, stateOf } = lookupsOf(sent);
  const [viridis, diverging] = [bytesOf(sent.viridis), bytesOf(sent.diverging)];
  const pictures = unpackPictures(sent);
  const greys = pictures.map(greyPlane);

  const root = frame(
    el,
    "Training timeline",
    "slide from the untrained model to the trained one. When does the answer settle, and when does attention stop being " +
      "spread evenly? Then open More: when do neighbouring positions become alike?",
  );

  let hovered = null; // the token under the mouse, which is shown while it is there
  function now() {
    const [epoch, picture, layer, token] = ["epoch", "picture", "layer", "token"].map((name) => model.get(name));
    return stateOf({ epoch, picture, layer, token: hovered ?? token });
  }

  // Controls
  const choose = (changes) => set(model, changes);
  const go = (moment) => choose({ epoch: epochs[within(moment, 0, epochs.length - 1)] });
  const choosePicture = (which) => choose({ picture: names[within(which, 0, names.length - 1)] });
  const chooseLayer = (layer) => choose({ layer: within(layer, 0, layers - 1) });
  let lastPatch = now().patch;
  const toggleWhole = () => choose({ token: now().chosen === null ? prefix + lastPatch : null });
  const [momentOut, layerOut] = [readout(), readout()];
  const momentSlider = slider(0, epochs.length - 1, go);
  const layerSlider = slider(0, layers - 1, chooseLayer);
  const whole = wholeName(prefix);
  const wholeButton = button(`${whole[0].toUpperCase()}${whole.slice(1)} (c)`, toggleWhole);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Moment of the training", momentSlider, roomFor(momentOut, epochs.map(momentName))),
      labelled("Layer", layerSlider, layerOut),
      group("Who looks", wholeButton),
    ),
  );

  // The curve
  let layout = curveLayout(epochs, accuracy, classes.length);
  const curve = sheet(layout.width, layout.height, { tabIndex: 0, role: "application", className: "vit-pointing" });
  root.append(
    panel(
      accuracy.length
        ? "Validation accuracy after each epoch; a dot where the model was kept (hollow: not measured)"
        : "The moments at which the model was kept",
      curve,
    ),
  );

  function drawCurve(chosen) {
    const style = getComputedStyle(root);
    const letters = enlarged(root);
    const fontOf = (weight, size = 12) => `${weight} ${size * letters}px ${style.fontFamily}`;
    layout = curveLayout(epochs, accuracy, classes.length, roomIn(root, WIDTH), letters);
    resize(curve, layout.width, layout.height);
    const context = pen(curve);
    const { left, right, floor, guessing, xOf, yOf } = layout;
    const accent = style.getPropertyValue("--jp-brand-color1") || "#0b5cad";
    const line = (...points) => {
      context.beginPath();
      for (const [x, y] of points) context.lineTo(x, y);
      context.stroke();
    };
    const level = (y) => line([left, y], [right, y]);
    context.fillStyle = context.strokeStyle = style.color;
    context.textBaseline = "middle";
    context.lineWidth = 1;
    context.font = fontOf(400);
    if (accuracy.length) {
      context.textAlign = "right";
      for (const share of layout.levels) {
        context.globalAlpha = share ? 0.18 : 0.6;
        level(yOf(share));
        context.globalAlpha = 1;
        context.fillText(`${Math.round(100 * share)}%`, left - 8, yOf(share));
      }
      context.setLineDash([4, 4]);
      context.globalAlpha = 0.7;
      level(yOf(guessing));
      context.setLineDash([]);
      context.globalAlpha = 1;
      context.fillText(
        `guessing: ${percent(guessing)}`,
        right - 10,
        Math.max(8 * letters, yOf(guessing) - 9 * letters),
      );
      context.strokeStyle = accent;
      context.lineWidth = 2;
      line(...accuracy.map((share, i) => [xOf(i + 1), yOf(share)]));
    } else level(layout.dotOf(null));
    context.strokeStyle = accent;
    context.lineWidth = 1.5;
    line([xOf(chosen), layout.top], [xOf(chosen), floor]);
    context.lineWidth = 2;
    for (const epoch of [...epochs.filter((one) => one !== chosen), chosen]) {
      const radius = epoch === chosen ? 8 : 4.5;
      const share = accuracyAfter(accuracy, epoch);
      const circle = (radius) => {
        context.beginPath();
        context.arc(xOf(epoch), layout.dotOf(share), radius, 0, 2 * Math.PI);
        context.fill();
      };
      context.fillStyle = style.backgroundColor;
      circle(radius + RIM);
      if (share !== null || !accuracy.length) context.fillStyle = accent; // hollow: not measured
      circle(radius);
      context.stroke();
    }
    /** A text so far below the curve, in its middle, or as near to that as the edges let it be. */
    const writeBelow = (text, x, down) => {
      const half = context.measureText(text).width / 2;
      context.fillText(text, within(x, half, layout.width - half), floor + down * letters);
    };
    context.fillStyle = style.color;
    context.textAlign = "center";
    for (const epoch of layout.written(chosen)) {
      context.font = fontOf(epoch === chosen ? 700 : 400);
      writeBelow(String(epoch), xOf(epoch), 13);
    }
    const axis = layout.isToScale ? "finished epochs" : "finished epochs, not to scale";
    context.font = fontOf(400);
    context.font = fontOf(400, 12 * Math.min(1, layout.width / context.measureText(axis).width));
    writeBelow(axis, (left + right) / 2, 29);
  }

  // Pictures, answer, attention, positions
  const thumbs = pictures.map((picture, which) => thumbnail(picture, THUMB, () => choosePicture(which)));
  const lines = sent.bars[0].map((_, i) => {
    const [name, number, bar] = [make("span"), make("td"), make("span", { className: "vit-bar" })];
    const possible = sent.bars.map((shown) => classes[shown[i]]);
    const head = make("th", { scope: "row" }, roomFor(name, possible));
    return { name, number, bar, line: make("tr", {}, head, make("td", { className: "vit-bars" }, bar), number) };
  });
  const table = make("tbody", {}, ...lines.map(({ line }) => line));
  const verdict = make("p", { className: "vit-answer" });
  const answerPanel = panel("All classes", make("table", { className: "vit-top vit-answers" }, table));
  answerPanel.classList.add("vit-rated");
  answerPanel.style.setProperty("--vit-first", longestOf(classes));
  answerPanel.style.setProperty("--vit-last", percent(1).length);
  answerPanel.style.width = `calc(${WIDTH - 2 * (MAP_SIDE + 22)} * var(--vit-px))`; // however long a name is

  const [mapWidth, mapHeight] = fitted({ width: columns, height: rows }, MAP_SIDE);
  const [cellWidth, cellHeight] = [mapWidth / columns, mapHeight / rows];
  const span = (textContent) => make("span", { textContent });
  /** A map with its title, its colours and what stands below it. */
  function mapPanel(palette, ...ends) {
    const canvas = sheet(mapWidth, mapHeight, { role: "img", className: "vit-touch" });
    const below = note("");
    const box = panel("", canvas, legend(palette, mapWidth, ...ends), below);
    box.style.width = `${mapWidth}px`;
    return { canvas, below, box, title: box.firstChild, paint: painter(columns, rows, palette) };
  }
  const mostSeen = span("");
  const attentionMap = mapPanel(viridis, span("0%"), mostSeen);
  const alikeMap = mapPanel(diverging, span(decimals(-alikeTop)), span(`${decimals(alikeTop)} and more`));
  const words = make("p", { className: "vit-words" });
  root.append(
    make("div", { className: "vit-thumbs", role: "group", "aria-label": "Pictures" }, ...thumbs),
    make(
      "div",
      { className: "vit-panels" },
      attentionMap.box,
      make(
        "section",
        { className: "vit-beside" },
        make("div", { className: "vit-heading", textContent: "The model says" }),
        verdict,
        note(
          "Left and right arrow: another moment; Home and End: the first and the last. Up and down: another picture. " +
            `Page Up, Page Down: layer. Shift with an arrow: another patch; c: ${whole}. The mouse works too: click a ` +
            "dot, a picture, a patch.",
        ),
      ),
    ),
  );
  behindMore(
    model,
    root,
    "like positions, all classes",
    [make("div", { className: "vit-panels" }, alikeMap.box, answerPanel)],
    words,
  );

  // What changes has the room of the most that it can say; a patch of a large number stands for all patches
  const attentionTitleOf = (layer, chosen) => {
    const who = chosen === null ? wholeLooks(prefix).replace(" together", "") : `patch ${count(chosen)} looks`;
    return `Layer ${layer}: where ${who}`;
  };
  const alikeTitleOf = (patch) => `Positions like that of patch ${count(patch)}`;
  const even = percent(1 / (rows * columns + prefix));
  const attentionNoteOf = (best, share) =>
    `Now most at ${patchName(best, columns)}: ${percent(share)}. Spread evenly, each would get ${even}. ${ONE_SCALE}`;
  const alikeNoteOf = ([near, others], chosen) => {
    const middle = chosen === null ? "No patch is chosen: this is one in the middle. " : "";
    return `Mean: neighbours ${decimals(near)}, all others ${decimals(others)}. ${middle}${ONE_SCALE}`;
  };
  const last = rows * columns - 1;
  roomFor(
    verdict,
    classes.map((name) => `${name} with 100.0%`),
  );
  roomFor(
    attentionMap.title,
    [null, last].map((chosen) => attentionTitleOf(layers - 1, chosen)),
  );
  roomFor(attentionMap.below, [attentionNoteOf(last, 1)]);
  roomFor(alikeMap.title, [alikeTitleOf(last)]);
  roomFor(alikeMap.below, [alikeNoteOf([-1, -1], null)]);

  function markPatch(context, patch) {
    const [x, y] = [(patch % columns) * cellWidth, Math.floor(patch / columns) * cellHeight];
    mark(context, x + 2, y + 2, cellWidth - 4, cellHeight - 4);
  }

  function drawControls({ epoch, which, layer, moment, chosen }) {
    momentSlider.value = moment;
    momentOut.textContent = momentName(epoch);
    momentSlider.setAttribute("aria-valuetext", momentName(epoch));
    layerSlider.value = layer;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    wholeButton.setAttribute("aria-pressed", String(chosen === null));
    thumbs.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(i === which)));
  }

  function drawBars({ which, probabilities }) {
    const best = largestOf(probabilities);
    verdict.textContent = says(probabilities, classes);
    sent.bars[which].forEach((index, i) => {
      const { name, number, bar, line } = lines[i];
      name.textContent = classes[index];
      number.textContent = percent(probabilities[index]);
      bar.style.width = `${100 * probabilities[index]}%`;
      line.className = index === best ? "vit-best" : "";
    });
  }

  function drawAttention(state) {
    const { which, layer, chosen, seen, seenTop } = state;
    const { canvas, below, title, paint } = attentionMap;
    const context = pen(canvas);
    context.drawImage(greys[which], 0, 0, mapWidth, mapHeight);
    context.globalAlpha = 0.7;
    const heat = paint((patch) => seen[patch] / seenTop);
    context.drawImage(heat, 0, 0, mapWidth, mapHeight);
    context.globalAlpha = 1;
    if (chosen !== null) markPatch(context, chosen);
    title.textContent = attentionTitleOf(layer, chosen);
    mostSeen.textContent = percent(seenTop);
    const best = largestOf(seen);
    below.textContent = attentionNoteOf(best, seen[best]);
    canvas.setAttribute("aria-label", `Attention. ${wordsOfAttention(state, sent)}`);
  }

  function drawAlike(state) {
    const { patch, chosen, alike, near } = state;
    const { canvas, below, title, paint } = alikeMap;
    const context = pen(canvas);
    const shareOf = (value) => (value / alikeTop + 1) / 2;
    const colours = paint((other) => shareOf(alike[other]));
    context.drawImage(colours, 0, 0, mapWidth, mapHeight);
    if (cellWidth >= WRITTEN) {
      const fontOf = (size) => `${size}px ${getComputedStyle(root).fontFamily}`;
      const size = 10 * enlarged(root);
      context.font = fontOf(size);
      context.font = fontOf(size * Math.min(1, (cellWidth - 4) / context.measureText("-0.00").width));
      context.textAlign = "center";
      context.textBaseline = "middle";
      alike.forEach((value, i) => {
        const level = 3 * within(Math.round(shareOf(value) * 255), 0, 255); // as `paint` rounds it
        context.fillStyle = inkOn(diverging.subarray(level, level + 3));
        const [x, y] = [((i % columns) + 0.5) * cellWidth, (Math.floor(i / columns) + 0.5) * cellHeight];
        context.fillText(decimals(value), x, y);
      });
    }
    markPatch(context, patch);
    title.textContent = alikeTitleOf(patch);
    below.textContent = alikeNoteOf(near, chosen);
    canvas.setAttribute("aria-label", `Similarity. ${wordsOfPosition(state, sent)}`);
  }

  function draw() {
    const state = now();
    if (state.chosen !== null) lastPatch = state.chosen;
    drawControls(state);
    drawCurve(state.epoch);
    drawBars(state);
    drawAttention(state);
    drawAlike(state);
    const text = wordsOf(state, sent);
    speak(words, text);
    curve.setAttribute("aria-label", text);
  }

  // Pointing and keys
  pointing(curve, (x) => go(layout.momentAt(x)));
  for (const { canvas } of [attentionMap, alikeMap]) {
    const tokenAt = (x, y) => prefix + cellUnder(x, y, mapWidth, mapHeight, rows, columns);
    const hover = (token) => {
      if (token === hovered) return;
      hovered = token;
      draw();
    };
    pointing(canvas, (x, y) => choose({ token: tokenAt(x, y) }));
    canvas.addEventListener("pointermove", (event) => hover(tokenAt(...pointer(canvas, event))));
    canvas.addEventListener("pointerleave", () => hover(null));
    canvas.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      curve.focus({ preventScroll: true }); // so that the keys go on working
    });
  }
  onKeys(root, (event) => {
    hovered = null;
    const { moment, which, layer, chosen } = now();
    if (event.shiftKey) {
      const goTo = (patch) => choose({ token: prefix + (chosen === null ? lastPatch : patch) });
      return arrows(chosen ?? 0, rows, columns, goTo);
    }
    return {
      ArrowLeft: () => go(moment - 1),
      ArrowRight: () => go(moment + 1),
      ArrowUp: () => choosePicture(which - 1),
      ArrowDown: () => choosePicture(which + 1),
      Home: () => go(0),
      End: () => go(epochs.length - 1),
      ...pages((by) => chooseLayer(layer + by)),
      c: toggleWhole,
    };
  });
  return live(model, root, draw);
}

export default { render };
