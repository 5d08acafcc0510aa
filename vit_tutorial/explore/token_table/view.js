// Token table: a sequence row by row, its parts switched on and off, and what the head says, drawn in the browser.

import {
  behindMore,
  bringIntoSight,
  checkbox,
  chooser,
  enlarged,
  frame,
  group,
  headedTable,
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
  set,
  sheet,
  sideways,
  slider,
  speak,
} from "../common.js";
import {
  bytesOf,
  cellUnder,
  count,
  decimals,
  fitted,
  pages,
  pixelOf,
  unpackHalf,
  unpackPictures,
  within,
} from "../numbers.js";
import { answerOf, nameOf, READS, shapesOf, stageName, stateFrom, wordsOf } from "./arithmetic.js";
import { firstShown, mapLayout, NUMBERS_SHOWN, stripsLayout, tableLayout } from "./geometry.js";

const SIDE = 188;
const SWATCH = 27; // the colour of the class token is at most so wide
const SIGNS = ["", "+ ", "= "];

const HINT =
  "after the embedding, which rows change with the picture, and which one never does? Move on block by block: when " +
  "does the row of the class token fill? Switch one part off at a time, and read what the head says then.";
const KEYS =
  "Click a row, or use the arrow keys; Home, End: first and last row; Page Up, Page Down: one block on or back.";
const readerOf = (reads, first) => (reads === READS[0] ? `row 0, ${nameOf(first)}` : reads);
const saysOf = (reader, stage) => `The head on ${reader}, ${stageName(stage)}, says`;
const tableTitleOf = (stage, tokens, dim) => `The sequence ${stageName(stage)}: [${tokens}, ${dim}]`;
const COSINE = "Cosine of the angle between two rows: 1 same direction, 0 nothing in common, -1 opposite.";

function render({ model, el }) {
  const sent = model.get("_sent");
  const { names, classes, limits } = sent;
  const [rows, columns] = sent.grid;
  const [, , stages, tokens, dim] = sent.sizes;
  const halves = ["tokens", "embeddings", "positions", "probabilities"];
  const numbersSent = Object.fromEntries(halves.map((name) => [name, unpackHalf(bytesOf(sent[name]))]));
  const stateOf = stateFrom({ ...sent, ...numbersSent });
  const palette = bytesOf(sent.diverging);
  const pictures = unpackPictures(sent);
  const canvases = new Map(pictures.map((one) => [one.name, plane(one.width, one.height, pixelOf(one))]));
  const [wide, high] = fitted(pictures[0], SIDE);
  const [cellWidth, cellHeight] = [wide / columns, high / rows];
  const swatch = Math.min(cellWidth, SWATCH);
  const layoutsFor = (letters) => ({
    table: tableLayout(tokens, dim, columns, letters),
    map: mapLayout(wide, letters),
    strips: stripsLayout(dim, letters),
  });
  let layouts = layoutsFor(1);

  function now() {
    const choices = ["picture", "stage", "patches", "class_token", "positions", "token", "number", "reads"];
    return stateOf(Object.fromEntries(choices.map((name) => [name, model.get(name)])));
  }

  const root = frame(el, "Token table", HINT);

  // Controls
  const take = (changes) => set(model, changes);
  const choosePicture = chooser(names, (picture) => take({ picture }));
  const stageOut = readout();
  const stageSlider = slider(0, stages - 1, (stage) => take({ stage }));
  const chooseReads = chooser(READS, (reads) => take({ reads }));
  const ticks = {
    patches: checkbox("Patch embeddings", (patches) => take({ patches })),
    class_token: checkbox("Class token", (class_token) => take({ class_token })),
    positions: checkbox("Positions", (positions) => take({ positions })),
  };
  const parts = group("Parts of the sequence", ...Object.values(ticks).map(({ label }) => label));
  parts.lastChild.setAttribute("role", "group");
  parts.lastChild.setAttribute("aria-label", "Parts");
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      ...(names.length > 1 ? [labelled("Picture", choosePicture)] : []),
      parts,
      labelled("Look", stageSlider, roomFor(stageOut, [0, stages - 1].map(stageName))),
    ),
  );
  const chain = shapesOf(now(), stages, classes.length).map(() => ({ name: make("span"), shape: make("strong") }));
  const chains = [true, false].flatMap((on) =>
    READS.map((reads) => {
      const switched = { patches: on, class_token: on, positions: on, reads };
      return shapesOf({ ...now(), ...switched }, stages, classes.length);
    }),
  );
  const links = chain.map(({ name, shape }, i) => {
    const names = chains.map((shapes) => shapes[i][0]);
    return make("li", {}, roomFor(name, names), shape);
  });

  // Table, picture, similarity and numbers
  const looks = { tabIndex: 0, role: "application", className: "vit-touch" };
  const tableSheet = sheet(layouts.table.width, layouts.table.height, looks);
  const pictureSheet = sheet(wide, high, { role: "img", className: "vit-pointing" });
  const mapSheet = sheet(layouts.map.width, layouts.map.above + high, { role: "img", className: "vit-pointing" });
  const say = (textContent) => make("span", { textContent });
  const [least, most] = [say(""), say("")];
  const tableScale = legend(palette, layouts.table.wide, least, say("0"), most);
  const mapScale = legend(palette, wide, say("-1"), say("0"), say("1"));
  const numbers = numberTable([
    ["end", "after the last block"],
    ["all", "... with every part on"],
  ]);
  const tablePanel = panel("", sideways(tableSheet, 500), tableScale, note(KEYS));
  const tableTitle = tablePanel.firstChild;
  roomFor(
    tableTitle,
    [0, stages - 1].map((stage) => tableTitleOf(stage, tokens, dim)),
  );
  const answer = make("p", { className: "vit-answer" });
  const reader = make("div", { className: "vit-heading" });
  const readers = READS.flatMap((reads) => [0, 1].map((first) => readerOf(reads, first)));
  const reading = make(
    "section",
    { className: "vit-panel vit-narrow vit-below" },
    roomFor(
      reader,
      readers.flatMap((one) => [0, stages - 1].map((stage) => saysOf(one, stage))),
    ),
    roomFor(
      answer,
      classes.map((name) => answerOf([name, 1])),
    ),
  );
  const picturePanel = panel("Its patch (click another)", pictureSheet, reading);
  const mapNote = note(COSINE, { className: "vit-note vit-narrow" });
  const mapPanel = panel("Similarity with this row", mapSheet, mapScale, mapNote);
  const stripSheet = sheet(layouts.strips.width, layouts.strips.height, { role: "img", className: "vit-pointing" });
  const sums = headedTable("vit-sums", Array(NUMBERS_SHOWN).fill(""), SIGNS.length);
  for (const { name } of sums.rows) name.style.whiteSpace = "nowrap"; // the numbers beside it take more room or less
  const stripPanel = panel(
    "",
    sideways(stripSheet, 760),
    sideways(sums.table),
    note("Rounded to two decimals, so a sum may be off by 0.01."),
  );
  stripPanel.classList.add("vit-below");
  const readsPanel = panel("What else it may read", labelled("The head reads", chooseReads), numbers.list);
  const words = make("p", { className: "vit-words" });
  root.append(make("div", { className: "vit-panels" }, tablePanel, picturePanel));
  const inside = [
    make("ol", { className: "vit-chain", "aria-label": "Shapes" }, ...links),
    make("div", { className: "vit-panels" }, mapPanel, readsPanel),
    stripPanel,
  ];
  behindMore(model, root, "similar rows, other readings, the numbers of this row", inside, words);

  /** Where a number lies between the ends of the palette. */
  const shareOf = (number, limit) => (number / limit + 1) / 2;
  const paintTables = [0, 1].map((first) => painter(dim, tokens - first, palette)); // with and without the class token
  const paintColumns = [0, 1].map((first) => painter(1, tokens - first, palette));
  const paintMap = painter(columns, rows, palette);
  const paintOne = painter(1, 1, palette);
  const paintStrip = painter(dim, 1, palette);

  let heat = null;
  /** The table as a small picture, painted again only when another table is shown. */
  function heatOf({ table, rows: shown, first, stage }) {
    if (heat?.table !== table) {
      const shareAt = (i) => shareOf(shown[Math.floor(i / dim)][i % dim], limits[stage]);
      heat = { table, canvas: paintTables[first](shareAt) };
    }
    return heat.canvas;
  }

  const shortName = (token) => (token ? nameOf(token) : "class token");
  function drawTable(state, style) {
    const { first, token, number, similarity } = state;
    const { margin, top, line, wide, right, similarity: beside, stepX, stepY, every } = layouts.table;
    const letters = enlarged(root);
    const context = pen(tableSheet);
    bringIntoSight(tableSheet, margin + (number + 0.5) * stepX);
    const shown = similarity.length;
    context.drawImage(heatOf(state), margin, top, wide, shown * stepY);
    const column = paintColumns[first]((i) => shareOf(similarity[i], 1));
    context.drawImage(column, right, top, beside, shown * stepY);
    context.fillStyle = style.color;
    context.font = `${11 * letters}px ${style.fontFamily}`;
    context.textBaseline = "middle";
    context.textAlign = "right";
    const chosen = token - first;
    for (let row = 0; row < shown; row++) {
      const at = row + first;
      const isNamed = at === 0 || ((at - 1) % (columns * every) === 0 && (row === 0 || row > 2));
      if (!isNamed || Math.abs(row - chosen) * stepY < line) continue;
      context.fillText(shortName(at), margin - 5, top + (row + 0.5) * stepY);
    }
    context.font = `700 ${11 * letters}px ${style.fontFamily}`;
    const y = top + chosen * stepY;
    context.fillText(shortName(token), margin - 5, y + stepY / 2);
    context.textAlign = "center";
    context.fillText(count(number), margin + (number + 0.5) * stepX, line / 2);
    mark(context, margin, y, wide, stepY, 1.5);
    mark(context, right, y, beside, stepY, 1.5);
    mark(context, margin + number * stepX, y, stepX, stepY, 1.5);
  }

  function drawPictures({ picture, first, token, similarity }, style) {
    const shown = pen(pictureSheet, wide / pictures[0].width < 3);
    shown.drawImage(canvases.get(picture), 0, 0, wide, high);
    const letters = enlarged(root);
    const { above, tall } = layouts.map;
    const map = pen(mapSheet);
    const painted = paintMap((patch) => shareOf(similarity[patch + 1 - first], 1));
    map.drawImage(painted, 0, above, wide, high);
    map.font = `${11 * letters}px ${style.fontFamily}`;
    map.fillStyle = style.color;
    map.textBaseline = "middle";
    if (first === 0) {
      const one = paintOne(() => shareOf(similarity[0], 1));
      map.drawImage(one, 0, 0, swatch, tall);
      map.fillText(`class token: ${decimals(similarity[0])}`, swatch + 6, 9 * letters);
    } else map.fillText("no class token", 0, 9 * letters);
    if (token === 0) {
      mark(map, 2, 2, swatch - 4, tall - 4);
      return;
    }
    const [x, y] = [((token - 1) % columns) * cellWidth, Math.floor((token - 1) / columns) * cellHeight];
    mark(shown, x + 1, y + 1, cellWidth - 2, cellHeight - 2);
    mark(map, x + 1, y + above + 1, cellWidth - 2, cellHeight - 2);
  }

  /** The parts of the row and their sum: as strips of colour, and some of their numbers. */
  function drawSum({ parts: shownParts, partNames, stage, number }, style) {
    const { margin, wide, step: down, high } = layouts.strips;
    const context = pen(stripSheet);
    bringIntoSight(stripSheet, margin + ((number + 0.5) / dim) * wide);
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    const start = firstShown(number, dim);
    const textOf = (part, i) => (start + i < dim ? decimals(part[start + i]) : "");
    const show = (cell, i, text) => {
      cell.textContent = text;
      cell.classList.toggle("vit-chosen", start + i === number);
    };
    sums.heads.forEach((cell, i) => {
      show(cell, i, start + i < dim ? count(start + i) : "");
    });
    shownParts.forEach((part, line) => {
      const top = line * down;
      const name = `${SIGNS[line]}${partNames[line]}`;
      context.font = `${12 * enlarged(root)}px ${style.fontFamily}`;
      context.fillText(name, 0, top + high / 2);
      const strip = paintStrip((i) => shareOf(part[i], limits[stage]));
      context.drawImage(strip, margin, top, wide, high);
      sums.rows[line].name.textContent = name;
      sums.rows[line].cells.forEach((cell, i) => {
        show(cell, i, textOf(part, i));
      });
    });
    const step = wide / dim;
    mark(context, margin + number * step, 1.5, step, 3 * down - 6, 1.5);
  }

  function draw() {
    const state = now();
    const { picture, stage, first, token, reads, here, atTheEnd, allOn } = state;
    const [row, who, where] = [token - first, nameOf(token), stageName(stage)];
    choosePicture.value = picture;
    stageSlider.value = stage;
    stageOut.textContent = where;
    stageSlider.setAttribute("aria-valuetext", where);
    chooseReads.value = reads;
    for (const [name, { box }] of Object.entries(ticks)) box.checked = state[name];
    shapesOf(state, stages, classes.length).forEach(([name, shape], i) => {
      chain[i].name.textContent = name;
      chain[i].shape.textContent = shape;
    });
    tableTitle.textContent = tableTitleOf(stage, tokens - first, dim);
    least.textContent = decimals(-limits[stage], 1);
    most.textContent = decimals(limits[stage], 1);
    reader.textContent = saysOf(readerOf(reads, first), stage);
    answer.textContent = answerOf(here);
    numbers.show("end", answerOf(atTheEnd));
    numbers.show("all", answerOf(allOn));
    stripPanel.firstChild.textContent = `Row ${count(row)}, ${who}: its ${count(dim)} numbers`;
    layouts = layoutsFor(enlarged(root));
    resize(tableSheet, layouts.table.width, layouts.table.height);
    resize(mapSheet, layouts.map.width, layouts.map.above + high);
    resize(stripSheet, layouts.strips.width, layouts.strips.height);
    tableScale.style.maxWidth = `${layouts.table.wide}px`;
    tableScale.style.marginLeft = `${layouts.table.margin}px`;
    const style = getComputedStyle(root);
    drawTable(state, style);
    drawPictures(state, style);
    drawSum(state, style);
    const text = wordsOf(state, columns);
    speak(words, text);
    tableSheet.setAttribute("aria-label", text);
    const framed = token ? `The picture, with ${who} framed` : "The picture; the class token is no part of it";
    pictureSheet.setAttribute("aria-label", framed);
    const alike = `Similarity of the patches with row ${count(row)}, laid out as in the picture`;
    mapSheet.setAttribute("aria-label", alike);
    const strips = `The ${count(dim)} numbers of row ${count(row)} in three strips: ${state.partNames.join(", ")}`;
    stripSheet.setAttribute("aria-label", strips);
  }

  // Pointing and keys
  const numberIf = (number) => (number === null ? {} : { number });
  const patchAt = (x, y) => ({ token: 1 + cellUnder(x, y, wide, high, rows, columns) });
  const rowAt = (y, { first }) => ({ token: first + layouts.table.rowAt(y, tokens - first) });
  const above = () => (model.get("class_token") ? { token: 0 } : {});
  pointing(tableSheet, (x, y) => take({ ...rowAt(y, now()), ...numberIf(layouts.table.numberAt(x)) }));
  pointing(pictureSheet, (x, y) => take(patchAt(x, y)));
  pointing(mapSheet, (x, y) => take(y >= layouts.map.above ? patchAt(x, y - layouts.map.above) : above()));
  pointing(stripSheet, (x) => take(numberIf(layouts.strips.numberAt(x))));
  onKeys(root, () => {
    const { first, token, number, stage } = now();
    return {
      ArrowUp: () => take({ token: Math.max(first, token - 1) }),
      ArrowDown: () => take({ token: Math.min(tokens - 1, token + 1) }),
      ArrowLeft: () => take({ number: Math.max(0, number - 1) }),
      ArrowRight: () => take({ number: Math.min(dim - 1, number + 1) }),
      Home: () => take({ token: first }),
      End: () => take({ token: tokens - 1 }),
      ...pages((by) => take({ stage: within(stage + by, 0, stages - 1) })),
    };
  });
  return live(model, root, draw);
}

export default { render };
