// Token table: the same numbers as token_table_state in token_table.py, computed and drawn in the browser.

import {
  chooser,
  frame,
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
  set,
  sheet,
  slider,
} from "./common.js";
import { bytesOf, decimals, fitted, percent, pixelOf, unpackHalf } from "./numbers.js";

const TABLE = { margin: 62, wide: 384, high: 360, gap: 8, similarity: 18 };
const SIDE = 188;
const STRIP = { margin: 176, wide: 736, high: 22 };
const NUMBERS_SHOWN = 8;
const READS = ["row 0", "the mean of the patches", "the chosen row"];

function render({ model, el }) {
  const [channels, height, width] = model.get("_shape");
  const [rows, columns] = model.get("_grid");
  const [, ways, stages, tokens, dim] = model.get("_tokens_shape");
  const names = model.get("_names");
  const classNames = model.get("_class_names");
  const limits = model.get("_limits");
  const values = unpackHalf(bytesOf(model.get("_tokens")));
  const embeddings = unpackHalf(bytesOf(model.get("_embeddings")));
  const positions = unpackHalf(bytesOf(model.get("_positions")));
  const chances = unpackHalf(bytesOf(model.get("_chances")));
  const colours = bytesOf(model.get("_colours"));
  const pixels = bytesOf(model.get("_pixels"));
  const pictures = names.map((_, i) => {
    const picture = { pixels: pixels.subarray(i * channels * height * width), channels, height, width };
    return plane(width, height, pixelOf(picture));
  });
  const [wide, high] = fitted({ width, height }, SIDE);
  const [cellWidth, cellHeight] = [wide / columns, high / rows];
  const [stepX, stepY] = [TABLE.wide / dim, TABLE.high / tokens];
  const stepStrip = STRIP.wide / dim;

  const root = frame(
    el,
    "Token table",
    "after the embedding, which rows change with the picture, and which one never does? Move on block by block: when does the row " +
      "of the class token fill? Switch one part off at a time, and read what the head says then.",
  );

  // The numbers

  const rowOf = (picture, way, stage, token) =>
    values.subarray((((picture * ways + way) * stages + stage) * tokens + token) * dim).subarray(0, dim);

  /** What the head says of one row at one stage: the class it names and its probability. */
  function headSays(picture, way, stage, read) {
    const start = (((picture * ways + way) * stages + stage) * (tokens + 1) + read) * classNames.length;
    let best = 0;
    for (let i = 1; i < classNames.length; i++) if (chances[start + i] > chances[start + best]) best = i;
    return [classNames[best], chances[start + best]];
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += a[i] * b[i];
    return sum;
  }

  /** Everything that the explorer shows now. */
  function stateNow() {
    const on = {
      patches: model.get("patches"),
      class_token: model.get("class_token"),
      positions: model.get("positions"),
    };
    const way = (on.patches ? 0 : 4) + (on.class_token ? 0 : 2) + (on.positions ? 0 : 1);
    const picture = Math.max(0, names.indexOf(model.get("picture")));
    const stage = Math.min(model.get("stage"), stages - 1);
    const first = on.class_token ? 0 : 1;
    const token = Math.max(first, Math.min(model.get("token"), tokens - 1));
    const number = Math.min(model.get("number"), dim - 1);
    const reads = model.get("reads");
    const row = rowOf(picture, way, stage, token);
    let parts, partNames;
    if (stage === 0) {
      const own = token === 0 || on.patches;
      const start = (picture * tokens + token) * dim;
      parts = [
        Float64Array.from({ length: dim }, (_, i) => (own ? embeddings[start + i] : 0)),
        Float64Array.from({ length: dim }, (_, i) => (on.positions ? positions[token * dim + i] : 0)),
        row,
      ];
      partNames = [token === 0 ? "class token" : "patch embedding", "position", "token"];
    } else {
      const start = rowOf(picture, way, 0, token);
      parts = [start, Float64Array.from(row, (value, i) => value - start[i]), row];
      partNames = ["at the start", `from ${stage} block${stage > 1 ? "s" : ""}`, "token"];
    }
    const similarity = [];
    let nearest = -1;
    const own = Math.sqrt(dot(row, row));
    for (let other = first; other < tokens; other++) {
      const one = rowOf(picture, way, stage, other);
      const lengths = Math.sqrt(dot(one, one)) * own;
      similarity.push(lengths > 0 ? dot(one, row) / lengths : 0);
      const rounded = (at) => Math.floor(similarity[at] * 1e4 + 0.5);
      if (other !== token && (nearest < 0 || rounded(other - first) > rounded(nearest))) nearest = other - first;
    }
    const says = (way, stage, first) => headSays(picture, way, stage, [first, tokens, token][READS.indexOf(reads)]);
    return {
      ...{ on, way, picture, stage, first, token, number, reads, parts, partNames, similarity, nearest },
      ...{ here: says(way, stage, first), atTheEnd: says(way, stages - 1, first), allOn: says(0, stages - 1, 0) },
    };
  }

  const who = (token) => (token ? `patch ${token - 1}` : "the class token");
  const where = (stage) => (stage === 0 ? "after the embedding" : `after block ${stage}`);
  const says = ([name, chance]) => `${name} ${percent(chance)}`;
  const plus = (number) =>
    decimals(number).startsWith("-") ? `- ${decimals(number).slice(1)}` : `+ ${decimals(number)}`;

  function shapesOf({ on, first, reads }) {
    const shape = `[${tokens - first}, ${dim}]`;
    return [
      [on.patches ? "patch embeddings" : "patches set to 0", `[${tokens - 1}, ${dim}]`],
      [on.class_token ? "class token in front" : "no class token", shape],
      [on.positions ? "positions added" : "no positions", shape],
      [`${stages - 1} blocks`, shape],
      [`read ${reads}`, `[${dim}]`],
      ["head", `[${classNames.length}]`],
    ];
  }

  function wordsOf({
    on,
    picture,
    stage,
    first,
    token,
    number,
    reads,
    parts,
    partNames,
    similarity,
    nearest,
    here,
    atTheEnd,
  }) {
    const switched = [
      ["patches", on.patches],
      ["class token", on.class_token],
      ["positions", on.positions],
    ];
    const place = token
      ? ` (row ${Math.floor((token - 1) / columns)}, column ${(token - 1) % columns} of the picture)`
      : "";
    return (
      `${names[picture]}, ${where(stage)}: [${tokens - first}, ${dim}], ${switched.map(([part, yes]) => `${part} ${yes ? "on" : "off"}`).join(", ")}. ` +
      `Row ${token - first} is ${who(token)}${place}. ` +
      `Its number ${number}: ${decimals(parts[0][number])} (${partNames[0]}) ${plus(parts[1][number])} (${partNames[1]}) = ${decimals(parts[2][number])}. ` +
      `Most like it is row ${nearest}, ${who(nearest + first)}, with cosine ${decimals(similarity[nearest])}. ` +
      `The head, reading ${reads === READS[0] ? `row 0, ${who(first)}` : reads}, says ${says(here)} here, and ${says(atTheEnd)} after the last block.`
    );
  }

  // Controls

  const choosePicture = chooser(
    names.map((name) => [name, name]),
    (picture) => set(model, { picture }),
  );
  const stageOut = make("output");
  const stageSlider = slider(0, stages - 1, (stage) => set(model, { stage }));
  stageSlider.style.width = "90px";
  const chooseReads = chooser(
    READS.map((way) => [way, way]),
    (reads) => set(model, { reads }),
  );
  const boxes = { patches: "Patch embeddings", class_token: "Class token", positions: "Positions" };
  const ticks = Object.entries(boxes).map(([name, text]) => {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => set(model, { [name]: box.checked }));
    return [name, box, make("label", { className: "vit-tick" }, box, text)];
  });
  const parts = make("span", { role: "group", "aria-label": "Parts" }, ...ticks.map(([, , label]) => label));
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(names.length > 1 ? [labelled("Picture", choosePicture)] : []),
      make(
        "div",
        { className: "vit-field" },
        make("span", { className: "vit-title", textContent: "Parts of the sequence" }),
        parts,
      ),
      labelled("Look", stageSlider, stageOut),
      labelled("The head reads", chooseReads),
    ),
  );
  const chain = shapesOf(stateNow()).map(() => ({ name: make("span"), shape: make("strong") }));
  root.append(
    make(
      "ol",
      { className: "vit-chain", "aria-label": "Shapes" },
      ...chain.map(({ name, shape }) => make("li", {}, name, shape)),
    ),
  );

  // Table, picture, similarity and numbers

  const tableTitle = make("span");
  const tableSheet = sheet(TABLE.margin + TABLE.wide + TABLE.gap + TABLE.similarity + 4, TABLE.high + 22, {
    tabIndex: 0,
    role: "application",
    className: "vit-touch",
  });
  const pictureSheet = sheet(wide, high, { role: "img", className: "vit-pointing" });
  const mapSheet = sheet(wide, high + 22, { role: "img", className: "vit-pointing" });
  const bar = paletteStrip(colours);
  const legend = (across, least, most) => {
    const canvas = sheet(across, 10, { "aria-hidden": "true" });
    pen(canvas, true).drawImage(bar, 0, 0, across, 10);
    const scale = make("div", { className: "vit-scale" }, canvas, least, make("span", { textContent: "0" }), most);
    scale.style.maxWidth = `${across}px`;
    return scale;
  };
  const [least, most] = [make("span"), make("span")];
  const tableScale = legend(TABLE.wide, least, most);
  tableScale.style.marginLeft = `${TABLE.margin}px`;
  const mapScale = legend(wide, make("span", { textContent: "-1" }), make("span", { textContent: "1" }));
  const numbers = numberTable([
    ["here", "if it reads at this stage"],
    ["end", "after the last block"],
    ["all", "... with every part on"],
  ]);
  const reader = make("span");
  const tablePanel = panel(
    "",
    tableSheet,
    tableScale,
    make("p", {
      className: "vit-note",
      textContent:
        "Click a row, or use the arrow keys; Home, End: first and last row; Page Up, Page Down: one block back or on.",
    }),
  );
  tablePanel.firstChild.append(tableTitle);
  const headPanel = panel("", numbers.list);
  headPanel.firstChild.append(reader);
  headPanel.classList.add("vit-narrow");
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      tablePanel,
      panel("Its patch (click another)", pictureSheet, make("div", { className: "vit-below" }, headPanel)),
      panel(
        "Similarity with this row",
        mapSheet,
        mapScale,
        make("p", {
          className: "vit-note vit-narrow",
          textContent: "Cosine of the angle between two rows: 1 same direction, 0 nothing in common, -1 opposite.",
        }),
      ),
    ),
  );
  const stripSheet = sheet(STRIP.margin + STRIP.wide, 3 * (STRIP.high + 3), { role: "img", className: "vit-pointing" });
  const stripTitle = make("span");
  const heads = Array.from({ length: NUMBERS_SHOWN }, () => make("th", { scope: "col" }));
  const sums = Array.from({ length: 3 }, () => {
    const cells = heads.map(() => make("td"));
    const name = make("th", { scope: "row" });
    return { name, cells, line: make("tr", {}, name, ...cells) };
  });
  const sumTable = make(
    "table",
    { className: "vit-sums" },
    make("thead", {}, make("tr", {}, make("td"), ...heads)),
    make("tbody", {}, ...sums.map(({ line }) => line)),
  );
  const stripPanel = panel(
    "",
    stripSheet,
    sumTable,
    make("p", { className: "vit-note", textContent: "Rounded to two decimals, so a sum may be off by 0.01." }),
  );
  stripPanel.firstChild.append(stripTitle);
  stripPanel.classList.add("vit-below");
  root.append(stripPanel);
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(words);

  const levelOf = (value, limit) => 3 * Math.max(0, Math.min(255, Math.round((value / limit + 1) * 127.5)));
  const paint = (across, down, valueAt, limit) => {
    return plane(across, down, (i, into, at) => {
      const level = levelOf(valueAt(i), limit);
      into.set(colours.subarray(level, level + 3), at);
    });
  };

  let heat = null;
  /** The table as a small picture, painted again only when another table is shown. */
  function heatOf({ picture, way, stage, first }) {
    const key = [picture, way, stage].join();
    if (heat?.key !== key) {
      const table = values.subarray((((picture * ways + way) * stages + stage) * tokens + first) * dim);
      heat = { key, canvas: paint(dim, tokens - first, (i) => table[i], limits[stage]) };
    }
    return heat.canvas;
  }

  function drawTable(now, style) {
    const { first, token, number, similarity } = now;
    const count = tokens - first;
    const context = pen(tableSheet);
    const top = 14;
    context.drawImage(heatOf(now), TABLE.margin, top, TABLE.wide, count * stepY);
    const right = TABLE.margin + TABLE.wide + TABLE.gap;
    context.drawImage(
      paint(1, count, (i) => similarity[i], 1),
      right,
      top,
      TABLE.similarity,
      count * stepY,
    );
    context.fillStyle = style.color;
    context.font = `10px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    for (let row = 0; row < count; row++) {
      const at = row + first;
      const shown = at === 0 || ((at - 1) % columns === 0 && (row === 0 || row > 2));
      if (shown && Math.abs(row - (token - first)) * stepY >= 11)
        context.fillText(at ? `patch ${at - 1}` : "class token", TABLE.margin - 5, top + (row + 0.5) * stepY);
    }
    context.font = `700 10px ${style.fontFamily}`;
    const y = top + (token - first) * stepY;
    context.fillText(token ? `patch ${token - 1}` : "class token", TABLE.margin - 5, y + stepY / 2);
    context.textAlign = "center";
    context.fillText(String(number), TABLE.margin + (number + 0.5) * stepX, 6);
    for (const [x, across] of [
      [TABLE.margin, TABLE.wide],
      [right, TABLE.similarity],
    ])
      mark(context, x, y, across, stepY, 1.5);
    mark(context, TABLE.margin + number * stepX, y, stepX, stepY, 1.5);
  }

  function drawPictures(now) {
    const { picture, first, token, similarity } = now;
    const shown = pen(pictureSheet, wide / width < 3);
    shown.drawImage(pictures[picture], 0, 0, wide, high);
    const map = pen(mapSheet);
    map.drawImage(
      paint(columns, rows, (i) => similarity[i + 1 - first], 1),
      0,
      22,
      wide,
      high,
    );
    const style = getComputedStyle(root);
    map.font = `11px ${style.fontFamily}`;
    map.fillStyle = style.color;
    map.textBaseline = "middle";
    if (first === 0) {
      map.drawImage(
        paint(1, 1, () => similarity[0], 1),
        0,
        0,
        cellWidth,
        17,
      );
      map.fillText(`class token: ${decimals(similarity[0])}`, cellWidth + 6, 9);
    } else map.fillText("no class token", 0, 9);
    if (token) {
      const [x, y] = [((token - 1) % columns) * cellWidth, Math.floor((token - 1) / columns) * cellHeight];
      mark(shown, x + 1, y + 1, cellWidth - 2, cellHeight - 2);
      mark(map, x + 1, y + 23, cellWidth - 2, cellHeight - 2);
    } else mark(map, 2, 2, cellWidth - 4, 13);
  }

  function drawStrips({ parts, partNames, stage, number }, style) {
    const context = pen(stripSheet);
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    parts.forEach((part, i) => {
      const top = i * (STRIP.high + 3);
      context.font = `12px ${style.fontFamily}`;
      context.fillText(`${["", "+ ", "= "][i]}${partNames[i]}`, 0, top + STRIP.high / 2);
      context.drawImage(
        paint(dim, 1, (j) => part[j], limits[stage]),
        STRIP.margin,
        top,
        STRIP.wide,
        STRIP.high,
      );
    });
    mark(context, STRIP.margin + number * stepStrip, 1.5, stepStrip, 3 * (STRIP.high + 3) - 6, 1.5);
    const start = Math.max(0, Math.min(dim - NUMBERS_SHOWN, Math.floor(number / NUMBERS_SHOWN) * NUMBERS_SHOWN));
    heads.forEach((cell, i) => {
      cell.textContent = start + i < dim ? String(start + i) : "";
      cell.classList.toggle("vit-chosen", start + i === number);
    });
    sums.forEach(({ name, cells }, i) => {
      name.textContent = `${["", "+ ", "= "][i]}${partNames[i]}`;
      cells.forEach((cell, j) => {
        cell.textContent = start + j < dim ? decimals(parts[i][start + j]) : "";
        cell.classList.toggle("vit-chosen", start + j === number);
      });
    });
  }

  function draw() {
    const now = stateNow();
    const { on, picture, stage, first, token, reads, here, atTheEnd, allOn } = now;
    choosePicture.value = names[picture];
    stageSlider.value = stage;
    stageOut.textContent = where(stage);
    stageSlider.setAttribute("aria-valuetext", where(stage));
    chooseReads.value = reads;
    for (const [name, box] of ticks) box.checked = on[name];
    shapesOf(now).forEach(([name, shape], i) => {
      chain[i].name.textContent = name;
      chain[i].shape.textContent = shape;
    });
    tableTitle.textContent = `The sequence ${where(stage)}: [${tokens - first}, ${dim}]`;
    least.textContent = decimals(-limits[stage], 1);
    most.textContent = decimals(limits[stage], 1);
    reader.textContent = reads === READS[0] ? `The head on row 0, ${who(first)}` : `The head on ${reads}`;
    numbers.show("here", says(here));
    numbers.show("end", says(atTheEnd));
    numbers.show("all", says(allOn));
    stripTitle.textContent = `Row ${token - first}, ${who(token)}: its ${dim} numbers`;
    const style = getComputedStyle(root);
    drawTable(now, style);
    drawPictures(now);
    drawStrips(now, style);
    const text = wordsOf(now);
    words.textContent = text;
    tableSheet.setAttribute("aria-label", text);
    pictureSheet.setAttribute(
      "aria-label",
      token ? `The picture, with ${who(token)} framed` : "The picture; the class token is no part of it",
    );
    mapSheet.setAttribute(
      "aria-label",
      `Similarity of the patches with row ${token - first}, laid out as in the picture`,
    );
    stripSheet.setAttribute(
      "aria-label",
      `The ${dim} numbers of row ${token - first} in three strips: ${now.partNames.join(", ")}`,
    );
  }

  // Pointing and keys

  const choose = (changes) =>
    Object.entries(changes).some(([name, value]) => model.get(name) !== value) && set(model, changes);
  const within = (number, end) => Math.min(end, Math.max(0, Math.floor(number)));
  const pointing = (canvas, pick) => {
    for (const type of ["pointerdown", "pointermove"]) {
      canvas.addEventListener(type, (event) => {
        if (type === "pointerdown" || event.buttons & 1) pick(...pointer(canvas, event));
      });
    }
  };
  pointing(tableSheet, (x, y) => {
    const first = model.get("class_token") ? 0 : 1;
    const token = first + within((y - 14) / stepY, tokens - 1 - first);
    const number = within((x - TABLE.margin) / stepX, dim - 1);
    choose(x >= TABLE.margin && x < TABLE.margin + TABLE.wide ? { token, number } : { token });
  });
  const pickPatch = (x, y) =>
    choose({ token: 1 + within(y / cellHeight, rows - 1) * columns + within(x / cellWidth, columns - 1) });
  pointing(pictureSheet, pickPatch);
  pointing(mapSheet, (x, y) => (y >= 22 ? pickPatch(x, y - 22) : model.get("class_token") && choose({ token: 0 })));
  pointing(stripSheet, (x) => x >= STRIP.margin && choose({ number: within((x - STRIP.margin) / stepStrip, dim - 1) }));
  tableSheet.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { first, token, number, stage } = stateNow();
    const steps = {
      ArrowUp: { token: Math.max(first, token - 1) },
      ArrowDown: { token: Math.min(tokens - 1, token + 1) },
      ArrowLeft: { number: Math.max(0, number - 1) },
      ArrowRight: { number: Math.min(dim - 1, number + 1) },
      Home: { token: first },
      End: { token: tokens - 1 },
      PageUp: { stage: Math.max(0, stage - 1) },
      PageDown: { stage: Math.min(stages - 1, stage + 1) },
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    choose(steps[event.key]);
  });
  return live(model, root, draw);
}

export default { render };
