// Patch lab: the same numbers as patch_lab_state in patch_lab.py, computed and drawn in the browser.

const SIDE = 336;
const STRIP = { width: 912, shown: 20, thumb: 42, step: 45.6 };
const MATRIX = { width: 336, height: 168, margin: 12 };
const ROW = { width: 520, height: 14 };
const PIXELS_SHOWN = 8;
const MODEL = { name: "ViT-B", depth: 12, heads: 12, dim: 768 };
const ORDERS = ["row by row", "column by column", "shuffled"];
const REASSEMBLIES = ["each in its own place", "row by row"];

/** For each place in the sequence, which cell of the grid stands there. */
function sequenceOrder(rows, columns, order, seed) {
  const cells = Array.from({ length: rows * columns }, (_, i) => i);
  if (order === "column by column") return cells.map((i) => (i % rows) * columns + Math.floor(i / rows));
  if (order === "shuffled") {
    let state = seed >>> 0;
    for (let last = cells.length - 1; last > 0; last--) {
      state = (Math.imul(1664525, state) + 1013904223) >>> 0;
      const other = Math.floor((state * (last + 1)) / 4294967296);
      [cells[last], cells[other]] = [cells[other], cells[last]];
    }
  }
  return cells;
}

function patchSizes(picture) {
  const sizes = [];
  for (let size = 1; size <= Math.min(picture.height, picture.width); size++) {
    if (picture.height % size === 0 && picture.width % size === 0) sizes.push(size);
  }
  return sizes;
}

/** The pixels of the picture with each cell of the grid filled by the cell that `source` names. */
function rearranged(picture, patch, columns, source) {
  const { pixels, channels, height, width } = picture;
  const moved = new Uint8Array(pixels.length);
  let difference = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = source[Math.floor(y / patch) * columns + Math.floor(x / patch)];
      const at = (Math.floor(from / columns) * patch + (y % patch)) * width + (from % columns) * patch + (x % patch);
      for (let c = 0; c < channels; c++) {
        const into = c * height * width + y * width + x;
        moved[into] = pixels[c * height * width + at];
        difference = Math.max(difference, Math.abs(moved[into] - pixels[into]));
      }
    }
  }
  return { pixels: moved, difference };
}

/** The mean colour of each cell, three numbers a cell. */
function meanColours(picture, patch, columns, cells) {
  const sums = new Float64Array(cells * 3);
  const colour = [0, 0, 0];
  const write = pixelOf(picture);
  for (let i = 0; i < picture.width * picture.height; i++) {
    const cell = Math.floor(Math.floor(i / picture.width) / patch) * columns + Math.floor((i % picture.width) / patch);
    write(i, colour, 0);
    for (let c = 0; c < 3; c++) sums[3 * cell + c] += colour[c];
  }
  return sums.map((sum) => sum / (patch * patch));
}

/** Three digits and a prefix: 1416167424 -> "1.42 G". */
function withPrefix(number) {
  let step = 0;
  while (number >= 999.5 && step < 5) [number, step] = [number / 1000, step + 1];
  const digits = step === 0 ? 0 : number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return `${decimals(number, digits)} ${["", "k", "M", "G", "T", "P"][step]}`;
}

/** A matrix of numbers 0 to 255 as grey levels, in at most `wide` x `high` pixels: each the mean of the numbers it covers. */
function greyLevels(rows, columns, wide, high, numberAt) {
  const [w, h] = [Math.min(columns, wide), Math.min(rows, high)];
  const sums = new Float64Array(w * h);
  const counts = new Uint32Array(w * h);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const at = Math.floor((row * h) / rows) * w + Math.floor((column * w) / columns);
      sums[at] += numberAt(row, column);
      counts[at]++;
    }
  }
  return plane(w, h, (i, into, at) => into.fill(sums[i] / counts[i], at, at + 3));
}

function render({ model, el }) {
  const root = frame(el, "Patch lab", "halve the patch size and watch the tokens grow fourfold, the cost of attention sixteenfold. Then shuffle, and put the patches back: the error stays 0 as long as each patch knows its place.");
  const pictures = new Map();
  const all = bytesOf(model.get("_pixels"));
  let start = 0;
  model.get("_names").forEach((name, i) => {
    const [channels, height, width] = model.get("_shapes")[i];
    const pixels = all.subarray(start, (start += channels * height * width));
    const picture = { pixels, channels, height, width };
    pictures.set(name, { ...picture, canvas: plane(width, height, pixelOf(picture)) });
  });

  // What depends on the picture and the cut, and not on the chosen token, is computed once a change.
  let cut = null;
  function cutNow() {
    const picture = pictures.get(model.get("picture"));
    const [patch, order, seed, gap] = ["patch_size", "order", "seed", "gap"].map((name) => model.get(name));
    const reassembly = model.get("reassembly");
    const key = JSON.stringify([model.get("picture"), patch, order, seed, gap, reassembly]);
    if (cut?.key === key) return cut;
    const rows = picture.height / patch;
    const columns = picture.width / patch;
    const places = sequenceOrder(rows, columns, order, seed);
    const placeOf = new Uint32Array(places.length);
    places.forEach((cell, place) => (placeOf[cell] = place));
    const identity = places.map((_, i) => i);
    const back = rearranged(picture, patch, columns, reassembly === REASSEMBLIES[0] ? identity : places);
    const [width, height] = fitted(picture, SIDE);
    const space = places.length > 4096 ? 0 : Math.min(gap, width / columns / 2);
    const cellWidth = (width - (columns - 1) * space) / columns;
    const cellHeight = (height - (rows - 1) * space) / rows;
    cut = { key, picture, patch, rows, columns, places, placeOf, back, width, height, cellWidth, cellHeight, fresh: true };
    /** Number `k` of the row at this place of the sequence: within a patch (row, column, channel). */
    cut.numberAt = (place, k) => {
      const pixel = Math.floor(k / picture.channels);
      const y = Math.floor(places[place] / columns) * patch + Math.floor(pixel / patch);
      return picture.pixels[((k % picture.channels) * picture.height + y) * picture.width + (places[place] % columns) * patch + (pixel % patch)];
    };
    cut.cornerOf = (cell) => [(cell % columns) * (cellWidth + space), Math.floor(cell / columns) * (cellHeight + space)];
    cut.cellAt = (x, y) => {
      const column = Math.min(columns - 1, Math.max(0, Math.floor((x + space / 2) / (cellWidth + space))));
      return Math.min(rows - 1, Math.max(0, Math.floor((y + space / 2) / (cellHeight + space)))) * columns + column;
    };
    return cut;
  }

  const chosenToken = (now) => Math.min(model.get("token"), now.places.length - 1);

  // Controls
  const choosePicture = chooser([...pictures.keys()].map((name) => [name, name]), (name) => {
    const sizes = patchSizes(pictures.get(name));
    const patch = sizes.filter((size) => size <= model.get("patch_size")).pop();
    set(model, { picture: name, patch_size: patch, token: 0 });
  });
  const choosePatch = chooser([], (text) => {
    const now = cutNow();
    const cell = now.places[chosenToken(now)];
    const patch = Number(text);
    const columns = now.picture.width / patch;
    const row = Math.floor(((Math.floor(cell / now.columns) + 0.5) * now.patch) / patch);
    const column = Math.floor((((cell % now.columns) + 0.5) * now.patch) / patch);
    const places = sequenceOrder(now.picture.height / patch, columns, model.get("order"), model.get("seed"));
    set(model, { patch_size: patch, token: places.indexOf(row * columns + column) });
  });
  /** Change the order and stay on the same patch of the picture. */
  function reorder(changes) {
    const now = cutNow();
    const cell = now.places[chosenToken(now)];
    const { order, seed } = { order: model.get("order"), seed: model.get("seed"), ...changes };
    set(model, { ...changes, token: sequenceOrder(now.rows, now.columns, order, seed).indexOf(cell) });
  }
  const shuffle = () => reorder({ order: "shuffled", seed: model.get("order") === "shuffled" ? (model.get("seed") + 1) % 10000 : model.get("seed") });
  const chooseOrder = chooser(ORDERS.map((order) => [order, order]), (order) => reorder({ order }));
  const chooseSeed = make("input", { type: "number", min: 0, max: 9999, step: 1 });
  chooseSeed.addEventListener("input", () => {
    const seed = Math.floor(Number(chooseSeed.value));
    if (chooseSeed.value !== "" && seed >= 0 && seed <= 9999) reorder({ seed });
  });
  const chooseBack = chooser(REASSEMBLIES.map((way) => [way, way]), (reassembly) => set(model, { reassembly }));
  const chooseGap = slider(0, 8, (gap) => set(model, { gap }));
  chooseGap.style.width = "80px"; // so that all controls stand in one line
  const seedField = labelled("Seed", chooseSeed);
  const shuffleButton = make("button", { type: "button", textContent: "Shuffle (s)" });
  shuffleButton.addEventListener("click", shuffle);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(pictures.size > 1 ? [labelled("Picture", choosePicture)] : []),
      labelled("Patch size P", choosePatch),
      labelled("Order of the sequence", chooseOrder, shuffleButton),
      seedField,
      labelled("Gap", chooseGap),
      labelled("Put the patches back", chooseBack),
    ),
  );

  // Pictures and numbers
  const cutSheet = sheet(SIDE, SIDE, { tabIndex: 0, role: "application", className: "vit-touch" });
  const backSheet = sheet(SIDE, SIDE, { role: "img" });
  const numbers = numberTable([
    ["grid", "grid, rows × columns"],
    ["tokens", "tokens N"],
    ["each", "numbers per token P·P·C"],
    ["pairs", "pairs in attention N·N"],
    ["flops", `FLOPs of attention in ${MODEL.name}`],
    ["bytes", "memory of its tables, a layer"],
    ["difference", "error after putting back"],
  ]);
  const difference = make("p", { className: "vit-verdict" });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      panel("The picture, cut", cutSheet, make("p", { className: "vit-note", textContent: "Point at a patch, or click and use the arrow keys; Page Up and Page Down follow the sequence." })),
      panel("Put back together", backSheet, difference),
      panel("In numbers", numbers.list),
    ),
  );
  const stripSheet = sheet(STRIP.width, 72, { role: "img", className: "vit-pointing" });
  root.append(panel("The sequence", stripSheet));
  const patchSheet = sheet(96, 96, { role: "img" });
  const matrixTitle = make("span");
  const matrixSheet = sheet(MATRIX.width + 2 * MATRIX.margin, MATRIX.height, { role: "img", className: "vit-pointing" });
  const matrixPanel = panel("", matrixSheet, make("p", { className: "vit-note", textContent: "A line is a patch, a grey level is a number from 0 to 255. Click a line." }));
  matrixPanel.firstChild.append(matrixTitle);
  const rowTitle = make("div", { className: "vit-heading" });
  const rowSheet = sheet(ROW.width, ROW.height, { role: "img" });
  const partTitle = make("p", { className: "vit-note" });
  const groups = Array.from({ length: PIXELS_SHOWN }, () => {
    const swatch = make("span", { className: "vit-swatch" });
    const text = make("span");
    return { swatch, text, box: make("span", { className: "vit-pixel" }, swatch, text) };
  });
  const row = make("div", { className: "vit-pixels" }, ...groups.map((group) => group.box));
  root.append(
    make(
      "div",
      { className: "vit-panels vit-below" },
      matrixPanel,
      make(
        "section",
        { className: "vit-panel vit-one" },
        rowTitle,
        rowSheet,
        make("div", { className: "vit-row" }, patchSheet, make("div", {}, partTitle, row)),
      ),
    ),
  );
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(words);

  const cutLayer = make("canvas");
  const backLayer = make("canvas");
  /** Paint what stays the same while the chosen token moves. */
  function paintLayers(now) {
    const { picture, patch, places, cellWidth, cellHeight, width, height } = now;
    const smooth = width / picture.width < 3;
    resize(cutLayer, width, height);
    const context = pen(cutLayer, smooth);
    if (places.length > 4096 || model.get("gap") === 0) context.drawImage(picture.canvas, 0, 0, width, height);
    else {
      for (let cell = 0; cell < places.length; cell++) {
        const [x, y] = now.cornerOf(cell);
        const [fromX, fromY] = [(cell % now.columns) * patch, Math.floor(cell / now.columns) * patch];
        context.drawImage(picture.canvas, fromX, fromY, patch, patch, x, y, cellWidth, cellHeight);
      }
    }
    const size = Math.min(14, cellWidth / (0.62 * String(places.length - 1).length + 0.4));
    if (size >= 7) {
      places.forEach((cell, place) => {
        const [x, y] = now.cornerOf(cell);
        tag(context, String(place), x + cellWidth / 2, y + cellHeight / 2, size);
      });
    }
    const moved = { ...picture, pixels: now.back.pixels };
    resize(backLayer, width, height);
    pen(backLayer, smooth).drawImage(plane(picture.width, picture.height, pixelOf(moved)), 0, 0, width, height);
    const means = meanColours(picture, patch, now.columns, places.length);
    now.matrix = greyLevels(places.length, patch * patch * picture.channels, MATRIX.width, MATRIX.height, now.numberAt);
    now.bar = plane(places.length, 1, (place, into, at) => {
      for (let c = 0; c < 3; c++) into[at + c] = means[3 * places[place] + c];
    });
  }

  function drawStrip(now, token) {
    const context = pen(stripSheet);
    const { places, picture, patch } = now;
    const shown = Math.min(STRIP.shown, places.length);
    const first = Math.min(Math.max(0, token - Math.floor(shown / 2)), places.length - shown);
    now.first = first;
    context.imageSmoothingEnabled = places.length > STRIP.width;
    context.drawImage(now.bar, 0, 0, STRIP.width, 12);
    context.imageSmoothingEnabled = STRIP.thumb / patch < 3;
    mark(context, (first / places.length) * STRIP.width, 1.5, Math.max(2, (shown / places.length) * STRIP.width), 9, 1.5);
    for (let place = first; place < first + shown; place++) {
      const x = 1.5 + (place - first) * STRIP.step;
      const cell = places[place];
      context.drawImage(picture.canvas, (cell % now.columns) * patch, Math.floor(cell / now.columns) * patch, patch, patch, x, 24, STRIP.thumb, STRIP.thumb);
      tag(context, String(place), x + STRIP.thumb / 2, 24 + STRIP.thumb - 9, 11);
      if (place === token) mark(context, x + 0.5, 24.5, STRIP.thumb - 1, STRIP.thumb - 1);
    }
  }

  function drawMatrix(now, token) {
    const context = pen(matrixSheet);
    context.drawImage(now.matrix, MATRIX.margin, 0, MATRIX.width, MATRIX.height);
    const line = MATRIX.height / now.places.length;
    const high = Math.max(2, line);
    const y = Math.min(MATRIX.height - high, Math.max(0, (token + 0.5) * line - high / 2));
    mark(context, MATRIX.margin + 1.5, y + 1, MATRIX.width - 3, Math.max(1, high - 2), 1.5);
    // Two arrows in the margin, since a thin frame is hard to find among the lines of the matrix.
    context.fillStyle = getComputedStyle(root).color;
    for (const [tip, back] of [[MATRIX.margin - 2, 0], [MATRIX.margin + MATRIX.width + 2, 2 * MATRIX.margin + MATRIX.width]]) {
      context.beginPath();
      context.moveTo(tip, y + high / 2);
      context.lineTo(back, y + high / 2 - 6);
      context.lineTo(back, y + high / 2 + 6);
      context.fill();
    }
  }

  function drawRow(now, token) {
    const { picture, patch, columns, places } = now;
    const { pixels, channels, width, height } = picture;
    const [fromX, fromY] = [(places[token] % columns) * patch, Math.floor(places[token] / columns) * patch];
    pen(patchSheet).drawImage(picture.canvas, fromX, fromY, patch, patch, 0, 0, 96, 96);
    const first = [];
    groups.forEach(({ swatch, text, box }, i) => {
      box.hidden = i >= patch * patch;
      if (box.hidden) return;
      const at = (fromY + Math.floor(i / patch)) * width + fromX + (i % patch);
      const values = Array.from({ length: channels }, (_, c) => pixels[c * height * width + at]);
      first.push(...values);
      swatch.style.background = `rgb(${channels === 1 ? [values[0], values[0], values[0]] : values})`;
      text.textContent = values.join(" ");
    });
    const each = patch * patch * channels;
    const shown = Math.min(PIXELS_SHOWN, patch * patch);
    const part = shown < patch * patch ? `the first ${shown} of its ${count(patch * patch)} pixels` : "its pixels";
    pen(rowSheet).drawImage(greyLevels(1, each, ROW.width, 1, (_, k) => now.numberAt(token, k)), 0, 0, ROW.width, ROW.height);
    rowTitle.textContent = `Row ${token} of the matrix: ${each === 1 ? "its one number" : `all its ${count(each)} numbers`}`;
    partTitle.textContent = `The same patch as a square, and ${part}${channels === 3 ? ", each red green blue" : ""}:`;
    row.classList.toggle("vit-colour", channels === 3);
    return first;
  }

  function draw() {
    const now = cutNow();
    const token = chosenToken(now);
    const { picture, patch, rows, columns, places, cellWidth, cellHeight, width, height, back } = now;
    const reassembly = model.get("reassembly");
    if (now.fresh) {
      now.fresh = false;
      paintLayers(now);
      resize(cutSheet, width, height);
      resize(backSheet, width, height);
      choosePicture.value = model.get("picture");
      fill(choosePatch, patchSizes(picture).map((size) => [size, `${size} × ${size}`]));
      choosePatch.value = patch;
      chooseOrder.value = model.get("order");
      if (document.activeElement !== chooseSeed) chooseSeed.value = model.get("seed");
      seedField.classList.toggle("vit-idle", model.get("order") !== "shuffled");
      chooseSeed.disabled = model.get("order") !== "shuffled";
      chooseGap.value = model.get("gap");
      chooseBack.value = reassembly;
      numbers.show("grid", `${rows} × ${columns}`);
      numbers.show("tokens", count(places.length));
      numbers.show("each", count(patch * patch * picture.channels));
      numbers.show("pairs", count(places.length ** 2));
      numbers.show("flops", `${withPrefix(4 * places.length ** 2 * MODEL.dim * MODEL.depth)}FLOP`);
      numbers.show("bytes", `${withPrefix(4 * places.length ** 2 * MODEL.heads)}B`);
      matrixTitle.textContent = `The matrix of patches [${count(places.length)} × ${count(patch * patch * picture.channels)}]`;
      numbers.show("difference", String(back.difference));
      difference.textContent = back.difference === 0 ? "Not one pixel has changed." : "Not the picture: each patch lies where its place in the sequence says.";
      difference.classList.toggle("vit-wrong", back.difference !== 0);
    }
    const cell = places[token];
    const outline = (canvas, layer, corner, w, h) => {
      const context = pen(canvas);
      context.drawImage(layer, 0, 0, width, height);
      mark(context, corner[0] + 1, corner[1] + 1, Math.max(2, w - 2), Math.max(2, h - 2));
    };
    outline(cutSheet, cutLayer, now.cornerOf(cell), cellWidth, cellHeight);
    const landed = reassembly === REASSEMBLIES[0] ? cell : token;
    const [w, h] = [width / columns, height / rows];
    outline(backSheet, backLayer, [(landed % columns) * w, Math.floor(landed / columns) * h], w, h);
    drawStrip(now, token);
    drawMatrix(now, token);
    const first = drawRow(now, token);
    const row = Math.floor(cell / columns);
    const text =
      `Patch size ${patch}: ${rows} rows and ${columns} columns give ${count(places.length)} tokens of ` +
      `${count(patch * patch * picture.channels)} number${patch * patch * picture.channels > 1 ? "s" : ""}; in ${MODEL.name} the N·N part of attention takes ` +
      `${withPrefix(4 * places.length ** 2 * MODEL.dim * MODEL.depth)}FLOP, and its tables ${withPrefix(4 * places.length ** 2 * MODEL.heads)}B a layer. ` +
      `Order: ${model.get("order")}. Token ${token} is the patch in row ${row}, column ${cell % columns}; ` +
      `its first numbers are ${first.slice(0, 3).join(", ")}. ` +
      `Put back (${reassembly}): the largest difference to the picture is ${back.difference}.`;
    words.textContent = text;
    cutSheet.setAttribute("aria-label", text);
    backSheet.setAttribute("aria-label", `The picture put back ${reassembly}; largest difference ${back.difference}`);
    stripSheet.setAttribute("aria-label", `The sequence of ${count(places.length)} patches around token ${token}`);
    matrixSheet.setAttribute("aria-label", `The matrix of ${count(places.length)} rows as grey levels, row ${token} framed`);
    rowSheet.setAttribute("aria-label", `The numbers of row ${token} as grey levels`);
    patchSheet.setAttribute("aria-label", `The patch of token ${token}, enlarged`);
  }

  // Pointing and keys
  const choose = (token) => token !== model.get("token") && set(model, { token });
  const point = (event) => {
    const now = cutNow();
    choose(now.placeOf[now.cellAt(...pointer(cutSheet, event))]);
  };
  cutSheet.addEventListener("pointermove", point);
  cutSheet.addEventListener("pointerdown", point);
  stripSheet.addEventListener("pointerdown", (event) => {
    const now = cutNow();
    const [x, y] = pointer(stripSheet, event);
    const place = y < 18 ? Math.floor((x / STRIP.width) * now.places.length) : now.first + Math.floor(x / STRIP.step);
    choose(Math.min(now.places.length - 1, Math.max(0, place)));
  });
  const pointMatrix = (event) => {
    if (event.type === "pointermove" && !(event.buttons & 1)) return;
    const { places } = cutNow();
    const [, y] = pointer(matrixSheet, event);
    choose(Math.min(places.length - 1, Math.max(0, Math.floor((y / MATRIX.height) * places.length))));
  };
  for (const type of ["pointerdown", "pointermove"]) matrixSheet.addEventListener(type, pointMatrix);
  cutSheet.addEventListener("keydown", (event) => {
    const now = cutNow();
    const token = chosenToken(now);
    const last = now.places.length - 1;
    const cell = now.places[token];
    const [row, column] = [Math.floor(cell / now.columns), cell % now.columns];
    const steps = {
      ArrowLeft: () => column > 0 && now.placeOf[cell - 1],
      ArrowRight: () => column < now.columns - 1 && now.placeOf[cell + 1],
      ArrowUp: () => row > 0 && now.placeOf[cell - now.columns],
      ArrowDown: () => row < now.rows - 1 && now.placeOf[cell + now.columns],
      Home: () => 0,
      End: () => last,
      PageUp: () => Math.max(0, token - 1),
      PageDown: () => Math.min(last, token + 1),
    };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key.toLowerCase() === "s") shuffle();
    else if (event.key in steps) {
      const next = steps[event.key]();
      if (next !== false) choose(next);
    } else return;
    event.preventDefault();
  });
  return live(model, root, draw);
}

export default { render };
