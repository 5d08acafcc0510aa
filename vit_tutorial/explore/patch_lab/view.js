// Patch lab: a picture in patches, their sequence and their matrix, drawn and computed in the browser.

import {
  behindMore,
  bringIntoSight,
  chooser,
  enlarged,
  fill,
  frame,
  labelled,
  live,
  make,
  mark,
  note,
  numberTable,
  onKeys,
  panel,
  pen,
  plane,
  pointing,
  readout,
  resize,
  roomFor,
  set,
  sharpness,
  sheet,
  sideways,
  slider,
  speak,
  tag,
} from "../common.js";
import { arrows, count, fitted, pages, pixelOf, unpackPictures, within } from "../numbers.js";
import {
  attentionCost,
  inverse,
  levels,
  MODEL,
  meanColours,
  nearestSize,
  numberOf,
  ORDERS,
  patchSizes,
  REASSEMBLIES,
  rearranged,
  SEEDS,
  sequenceOrder,
  wordsOf,
} from "./arithmetic.js";
import { cutLayout, firstShown, numberSize, sameSpot, stripLayout } from "./geometry.js";

const SIDE = 420;
const MATRIX = { width: 336, height: 168, margin: 12 };
const ROW = { width: 520, height: 14 };
const PATCH_SIDE = 96;
const PIXELS_SHOWN = 8;

const HINT =
  "halve the patch size and watch the tokens grow fourfold. Then open More: the cost of attention grows sixteenfold. " +
  "Shuffle, and put the patches back: the error stays 0 as long as somebody remembers the order.";
const KEYS =
  "Point at a patch, or click and use the arrow keys; Page Up: the next token of the sequence; Page Down: the one before.";

const sizeOf = (patch) => `${patch} × ${patch}`;
const sumOf = ({ rows, columns }) => {
  const tokens = rows * columns;
  return `${count(rows)} × ${count(columns)} = ${count(tokens)} token${tokens > 1 ? "s" : ""}`;
};
const numbersOf = (each) => `${count(each)} number${each > 1 ? "s" : ""}`;
const ofEachOf = ({ picture, patch, each }) =>
  `Each is a patch of ${sizeOf(patch)} pixels${picture.channels > 1 ? ` × ${picture.channels} colours` : ""}: ` +
  `${numbersOf(each)}.`;
const matrixTitleOf = ({ rows, columns, each }) => `The matrix of patches [${count(rows * columns)} × ${count(each)}]`;
const rowTitleOf = ({ each }, token) =>
  `Row ${count(token)} of the matrix: ${each === 1 ? "its one number" : `all its ${numbersOf(each)}`}`;
const partTitleOf = ({ picture, patch }) => {
  const pixels = patch * patch;
  const part = pixels > PIXELS_SHOWN ? `the first ${PIXELS_SHOWN} of its ${count(pixels)} pixels` : "its pixels";
  return `The same patch as a square, and ${part}${picture.channels === 3 ? ", each red green blue" : ""}:`;
};
const VERDICTS = [
  "Not one pixel has changed.",
  "Not the picture: each patch lies where its place in the sequence says.",
];

/** A picture cut into patches of a size: how many, and how many numbers are in each. */
const cutOf = (picture, patch) => ({
  ...{ picture, patch, rows: picture.height / patch, columns: picture.width / patch },
  each: patch * patch * picture.channels,
});

/** A box for a canvas, at any width as high as the highest that the pictures need. */
function roomForPictures(canvas, pictures) {
  const shapes = pictures.map((picture) => sheet(...fitted(picture, SIDE), { "aria-hidden": "true" }));
  return make("div", { className: "vit-room" }, canvas, ...shapes);
}

function render({ model, el }) {
  const root = frame(el, "Patch lab", HINT);
  const pictures = new Map();
  for (const picture of unpackPictures(model.get("_sent"))) {
    const canvas = plane(picture.width, picture.height, pixelOf(picture));
    pictures.set(picture.name, { ...picture, canvas });
  }

  // What depends on the picture and the cut, and not on the chosen token, is computed once a change.
  let cut = null;
  function cutNow() {
    const names = ["picture", "patch_size", "order", "seed", "gap", "reassembly"];
    const [name, patch, order, seed, gap, reassembly] = names.map((trait) => model.get(trait));
    const key = JSON.stringify([name, patch, order, seed, gap, reassembly]);
    if (cut?.key === key) return cut;
    const picture = pictures.get(name);
    const whole = cutOf(picture, patch);
    const { rows, columns } = whole;
    const places = sequenceOrder(rows, columns, order, seed);
    const ownPlaces = reassembly === REASSEMBLIES[0];
    cut = {
      ...whole,
      ...{ key, order, seed, gap, reassembly, ownPlaces, places },
      ...cutLayout(picture, rows, columns, gap, SIDE),
      placeOf: inverse(places),
      back: rearranged(picture, patch, columns, ownPlaces ? places.map((_, i) => i) : places),
      numberAt: (place, k) => numberOf(picture, patch, columns, places[place], k),
    };
    return cut;
  }

  // Controls
  const choosePicture = chooser([...pictures.keys()], (picture) => {
    const patch = nearestSize(pictures.get(picture), model.get("patch_size"));
    set(model, { picture, patch_size: patch, token: 0 });
  });
  const choosePatch = chooser([], (text) => {
    const { picture, columns, patch, places, order, seed } = cutNow();
    const size = Number(text);
    const [newRows, newColumns] = [picture.height / size, picture.width / size];
    const cell = sameSpot(places[model.get("token")], columns, patch, newColumns, size);
    set(model, { patch_size: size, token: sequenceOrder(newRows, newColumns, order, seed).indexOf(cell) });
  });
  /** Change the order and stay on the same patch of the picture. */
  function reorder(changes) {
    const { rows, columns, places, order, seed } = cutNow();
    const next = { order, seed, ...changes };
    const cell = places[model.get("token")];
    set(model, { ...changes, token: sequenceOrder(rows, columns, next.order, next.seed).indexOf(cell) });
  }
  function shuffle() {
    const [order, seed] = [model.get("order"), model.get("seed")];
    reorder({ order: "shuffled", seed: order === "shuffled" ? (seed + 1) % SEEDS : seed });
  }
  const chooseOrder = chooser(ORDERS, (order) => reorder({ order }));
  const chooseSeed = make("input", { type: "number", min: 0, max: SEEDS - 1, step: 1 });
  chooseSeed.addEventListener("input", () => {
    const seed = Math.floor(Number(chooseSeed.value));
    if (chooseSeed.value !== "" && seed >= 0 && seed < SEEDS) reorder({ seed });
  });
  const chooseBack = chooser(REASSEMBLIES, (reassembly) => set(model, { reassembly }));
  const chooseGap = slider(0, 8, (gap) => set(model, { gap }));
  const gapOut = readout();
  const seedField = labelled("Seed", chooseSeed);
  const patchField = labelled("Patch size P", choosePatch);
  const allPictures = [...pictures.values()];
  const allCuts = allPictures.flatMap((picture) => patchSizes(picture).map((patch) => cutOf(picture, patch)));
  roomFor(
    choosePatch,
    allCuts.map(({ patch }) => [make("option", { textContent: sizeOf(patch) })]),
  );
  const shuffleButton = make("button", { type: "button", textContent: "Shuffle (s)" });
  shuffleButton.addEventListener("click", shuffle);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(pictures.size > 1 ? [labelled("Picture", choosePicture)] : []),
      patchField,
      labelled("Order of the sequence", chooseOrder, shuffleButton),
    ),
  );

  // Pictures and numbers
  const cutSheet = sheet(SIDE, SIDE, { tabIndex: 0, role: "application", className: "vit-touch" });
  const sum = make("p", { className: "vit-answer" });
  const ofEach = make("p");
  const backSheet = sheet(SIDE, SIDE, { role: "img" });
  const numbers = numberTable([
    ["grid", "grid, rows × columns"],
    ["tokens", "tokens N"],
    ["each", "numbers per patch P·P·C"],
    ["pairs", "pairs in attention N·N"],
    ["flops", `FLOPs of attention in ${MODEL.name}`],
    ["bytes", "memory of its tables, a layer"],
    ["difference", "error after putting back"],
  ]);
  const verdict = make("p", { className: "vit-verdict vit-wrong" }); // bold: the room is that of the widest letters
  let strip = stripLayout();
  const stripSheet = sheet(strip.width, strip.height, { role: "img", className: "vit-pointing" });
  const patchSheet = sheet(PATCH_SIDE, PATCH_SIDE, { role: "img" });
  const matrixWidth = MATRIX.width + 2 * MATRIX.margin;
  const matrixSheet = sheet(matrixWidth, MATRIX.height, { role: "img", className: "vit-pointing" });
  const matrixNote = "A line is a patch, a grey level is a number from 0 to 255. Click a line.";
  const matrixPanel = panel("", matrixSheet, note(matrixNote));
  const rowSheet = sheet(ROW.width, ROW.height, { role: "img" });
  const partTitle = note("");
  const groups = Array.from({ length: PIXELS_SHOWN }, () => {
    const swatch = make("span", { className: "vit-swatch" });
    const text = make("span");
    return { swatch, text, box: make("span", { className: "vit-pixel" }, swatch, text) };
  });
  const row = make("div", { className: "vit-pixels" }, ...groups.map((group) => group.box));
  const rowPanel = panel(
    "",
    rowSheet,
    make("div", { className: "vit-row" }, patchSheet, make("div", {}, partTitle, row)),
  );
  rowPanel.classList.add("vit-one");
  const inColours = allPictures.some(({ channels }) => channels === 3);
  row.classList.toggle("vit-colour", inColours);
  const widest = () => make("span", { textContent: inColours ? "255 255 255" : "255" });
  const allPixels = groups.map(({ swatch }) => make("span", { className: "vit-pixel" }, swatch.cloneNode(), widest()));
  const words = make("p", { className: "vit-words" });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      panel("The picture, cut", roomForPictures(cutSheet, allPictures)),
      make(
        "section",
        { className: "vit-beside" },
        roomFor(sum, allCuts.map(sumOf)),
        roomFor(ofEach, allCuts.map(ofEachOf)),
        note(KEYS),
      ),
    ),
    panel("The sequence", sideways(stripSheet, 760)),
  );
  const fields = [seedField, labelled("Gap", chooseGap, gapOut), labelled("Put the patches back", chooseBack)];
  const inside = [
    make("div", { className: "vit-controls" }, ...fields),
    make(
      "div",
      { className: "vit-panels" },
      panel("Put back together", roomForPictures(backSheet, allPictures), roomFor(verdict, VERDICTS)),
      panel("In numbers", numbers.list),
    ),
    make("div", { className: "vit-panels vit-below" }, matrixPanel, rowPanel),
  ];
  const [matrixTitle, rowTitle] = [matrixPanel.firstChild, rowPanel.firstChild];
  roomFor(matrixTitle, allCuts.map(matrixTitleOf));
  roomFor(
    rowTitle,
    allCuts.map((one) => rowTitleOf(one, one.rows * one.columns - 1)),
  );
  roomFor(partTitle, allCuts.map(partTitleOf));
  roomFor(row, [allPixels]);
  behindMore(model, root, "what it costs, put back together, the matrix", inside, words);

  const cutLayer = make("canvas");
  const backLayer = make("canvas");
  /** Paint what stays the same while the chosen token moves. */
  function paintLayers(now) {
    const { picture, patch, places, columns, cellWidth, cellHeight, width, height } = now;
    const smooth = width / picture.width < 3;
    resize(cutLayer, width, height);
    const context = pen(cutLayer, smooth);
    if (now.space === 0) context.drawImage(picture.canvas, 0, 0, width, height);
    else {
      for (let cell = 0; cell < places.length; cell++) {
        const [x, y] = now.cornerOf(cell);
        const [fromX, fromY] = [(cell % columns) * patch, Math.floor(cell / columns) * patch];
        context.drawImage(picture.canvas, fromX, fromY, patch, patch, x, y, cellWidth, cellHeight);
      }
    }
    const size = numberSize(cellWidth, count(places.length - 1).length, enlarged(root));
    if (size >= 7) {
      places.forEach((cell, place) => {
        const [x, y] = now.cornerOf(cell);
        tag(context, count(place), x + cellWidth / 2, y + cellHeight / 2, size);
      });
    }
    const moved = plane(picture.width, picture.height, pixelOf({ ...picture, pixels: now.back.pixels }));
    resize(backLayer, width, height);
    pen(backLayer, smooth).drawImage(moved, 0, 0, width, height);
    now.matrix = greysOf(levels(places.length, now.each, MATRIX.width, MATRIX.height, now.numberAt));
    const means = meanColours(picture, patch, columns, places.length);
    now.bar = plane(places.length, 1, (place, into, at) => {
      for (let c = 0; c < 3; c++) into[at + c] = means[3 * places[place] + c];
    });
  }

  /** What changes with the picture and the cut, and not with the token. */
  function drawFresh(now) {
    const { picture, patch, rows, columns, places, each, order, back } = now;
    const tokens = places.length;
    paintLayers(now);
    resize(cutSheet, now.width, now.height);
    resize(backSheet, now.width, now.height);
    choosePicture.value = picture.name;
    fill(
      choosePatch,
      patchSizes(picture).map((size) => [size, sizeOf(size)]),
    );
    choosePatch.value = patch;
    chooseOrder.value = order;
    if (document.activeElement !== chooseSeed) chooseSeed.value = now.seed;
    seedField.classList.toggle("vit-idle", order !== "shuffled");
    chooseSeed.disabled = order !== "shuffled";
    chooseGap.value = now.gap;
    gapOut.textContent = `${now.gap} pixel${now.gap === 1 ? "" : "s"}`;
    chooseGap.setAttribute("aria-valuetext", gapOut.textContent);
    chooseBack.value = now.reassembly;
    sum.textContent = sumOf(now);
    ofEach.textContent = ofEachOf(now);
    numbers.show("grid", `${count(rows)} × ${count(columns)}`);
    numbers.show("tokens", count(tokens));
    numbers.show("each", count(each));
    numbers.show("pairs", count(tokens ** 2));
    numbers.show("flops", attentionCost(tokens).flops);
    numbers.show("bytes", attentionCost(tokens).bytes);
    numbers.show("difference", String(back.difference));
    matrixTitle.textContent = matrixTitleOf(now);
    verdict.textContent = VERDICTS[back.difference === 0 ? 0 : 1];
    verdict.classList.toggle("vit-wrong", back.difference !== 0);
  }

  function drawStrip(now, token) {
    const letters = enlarged(root);
    strip = stripLayout(letters);
    resize(stripSheet, strip.width, strip.height);
    const context = pen(stripSheet);
    const { width, bar, top, step, thumb } = strip;
    const { places, picture, patch, columns } = now;
    const tokens = places.length;
    const shown = Math.min(strip.shown, tokens);
    now.first = firstShown(token, shown, tokens);
    context.imageSmoothingEnabled = tokens > width;
    context.drawImage(now.bar, 0, 0, width, bar);
    context.imageSmoothingEnabled = thumb / patch < 3;
    const part = Math.max(2, (shown / tokens) * width);
    mark(context, (now.first / tokens) * width, 1.5, part, bar - 3, 1.5);
    bringIntoSight(stripSheet, (token - now.first + 0.5) * step);
    for (let place = now.first; place < now.first + shown; place++) {
      const x = 1.5 + (place - now.first) * step;
      const [fromX, fromY] = [(places[place] % columns) * patch, Math.floor(places[place] / columns) * patch];
      context.drawImage(picture.canvas, fromX, fromY, patch, patch, x, top, thumb, thumb);
      tag(context, count(place), x + thumb / 2, top + thumb - 9 * letters, 11 * letters);
      if (place === token) mark(context, x + 0.5, top + 0.5, thumb - 1, thumb - 1);
    }
  }

  function drawMatrix(now, token) {
    const context = pen(matrixSheet);
    context.drawImage(now.matrix, MATRIX.margin, 0, MATRIX.width, MATRIX.height);
    const line = MATRIX.height / now.places.length;
    const high = Math.max(2, line);
    const y = within((token + 0.5) * line - high / 2, 0, MATRIX.height - high);
    mark(context, MATRIX.margin + 1.5, y + 1, MATRIX.width - 3, Math.max(1, high - 2), 1.5);
    // Two arrows in the margin, since a thin frame is hard to find among the lines of the matrix.
    context.fillStyle = getComputedStyle(root).color;
    const right = MATRIX.margin + MATRIX.width;
    for (const [tip, back] of [
      [MATRIX.margin - 2, 0],
      [right + 2, right + MATRIX.margin],
    ]) {
      context.beginPath();
      context.moveTo(tip, y + high / 2);
      context.lineTo(back, y + high / 2 - 6);
      context.lineTo(back, y + high / 2 + 6);
      context.fill();
    }
  }

  /** The row of the chosen token; returns its first numbers. */
  function drawRow(now, token) {
    const { picture, patch, columns, places, each } = now;
    const { channels } = picture;
    const [fromX, fromY] = [(places[token] % columns) * patch, Math.floor(places[token] / columns) * patch];
    pen(patchSheet).drawImage(picture.canvas, fromX, fromY, patch, patch, 0, 0, PATCH_SIDE, PATCH_SIDE);
    const first = [];
    groups.forEach(({ swatch, text, box }, pixel) => {
      box.hidden = pixel >= patch * patch;
      if (box.hidden) return;
      const values = Array.from({ length: channels }, (_, c) => now.numberAt(token, pixel * channels + c));
      first.push(...values);
      swatch.style.background = `rgb(${channels === 1 ? [values[0], values[0], values[0]] : values})`;
      text.textContent = values.join(" ");
    });
    const greys = greysOf(levels(1, each, ROW.width, 1, (_, k) => now.numberAt(token, k)));
    pen(rowSheet).drawImage(greys, 0, 0, ROW.width, ROW.height);
    rowTitle.textContent = rowTitleOf(now, token);
    partTitle.textContent = partTitleOf(now);
    row.classList.toggle("vit-colour", channels === 3);
    return first;
  }

  function outline(canvas, layer, [x, y], cellWidth, cellHeight) {
    const context = pen(canvas);
    context.drawImage(layer, 0, 0, canvas.vitWidth, canvas.vitHeight);
    mark(context, x + 1, y + 1, Math.max(2, cellWidth - 2), Math.max(2, cellHeight - 2));
  }

  function draw() {
    const now = cutNow();
    const token = model.get("token");
    const { rows, columns, places, ownPlaces, reassembly } = now;
    const { difference } = now.back;
    const look = `${sharpness()} ${enlarged(root)}`;
    if (now.look !== look) {
      now.look = look;
      drawFresh(now);
    }
    const cell = places[token];
    outline(cutSheet, cutLayer, now.cornerOf(cell), now.cellWidth, now.cellHeight);
    const landed = ownPlaces ? cell : token;
    const [wide, high] = [now.width / columns, now.height / rows];
    outline(backSheet, backLayer, [(landed % columns) * wide, Math.floor(landed / columns) * high], wide, high);
    drawStrip(now, token);
    drawMatrix(now, token);
    const text = wordsOf({ ...now, token, cell, first: drawRow(now, token), difference });
    speak(words, text);
    cutSheet.setAttribute("aria-label", text);
    backSheet.setAttribute("aria-label", `The picture put back ${reassembly}; largest difference ${difference}`);
    stripSheet.setAttribute(
      "aria-label",
      `The sequence of ${count(places.length)} patches around token ${count(token)}`,
    );
    const lines = `The matrix of ${count(places.length)} rows as grey levels, row ${count(token)} framed`;
    matrixSheet.setAttribute("aria-label", lines);
    rowSheet.setAttribute("aria-label", `The numbers of row ${count(token)} as grey levels`);
    patchSheet.setAttribute("aria-label", `The patch of token ${count(token)}, enlarged`);
  }

  // Pointing and keys
  const choose = (token) => set(model, { token });
  const chooseAt = ({ placeOf, cellAt }, x, y) => choose(placeOf[cellAt(x, y)]);
  pointing(cutSheet, (x, y) => chooseAt(cutNow(), x, y), "always");
  pointing(matrixSheet, (_, y) => {
    const tokens = cutNow().places.length;
    choose(within(Math.floor((y / MATRIX.height) * tokens), 0, tokens - 1));
  });
  const chooseInStrip = (x, y) => {
    const { places, first } = cutNow();
    const inBar = y < strip.bar + 6;
    const place = inBar ? Math.floor((x / strip.width) * places.length) : first + Math.floor(x / strip.step);
    choose(within(place, 0, places.length - 1));
  };
  pointing(stripSheet, chooseInStrip, "never");
  onKeys(root, () => {
    const { rows, columns, places, placeOf } = cutNow();
    const [token, last] = [model.get("token"), places.length - 1];
    return {
      ...arrows(places[token], rows, columns, (cell) => choose(placeOf[cell])),
      Home: () => choose(0),
      End: () => choose(last),
      ...pages((by) => choose(within(token + by, 0, last))),
      s: shuffle,
    };
  });
  return live(model, root, draw);
}

/** Levels as grey pixels. */
function greysOf({ width, height, means }) {
  return plane(width, height, (i, into, at) => into.fill(means[i], at, at + 3));
}

export default { render };
