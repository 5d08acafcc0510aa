// Signal lab: the numbers of a stack of blocks in three charts, looked up and drawn in the browser.

import {
  behindMore,
  button,
  checkbox,
  chooser,
  enlarged,
  frame,
  group,
  headedTable,
  labelled,
  live,
  make,
  note,
  onKeys,
  pen,
  pointing,
  resize,
  roomIn,
  set,
  sheet,
  sideways,
  speak,
} from "../common.js";
import { nextOf, pages, within } from "../numbers.js";
import {
  axisEnds,
  namerOf,
  offScale,
  powerName,
  powerOf,
  powerSteps,
  rowsFrom,
  say,
  stepOf,
  wordsOf,
} from "./arithmetic.js";
import { chartsLayout, WIDTH } from "./geometry.js";

const MARKERS = ["circle", "square", "triangle"];
const HELD = "dashed: held";
const MARK = 3.5; // half of what a mark on a line takes
const BESIDE = 16; // between what stands side by side above a chart
const ON_WHITE = ["#1a1a1a", "#0072b2", "#d55e00"];
const ON_BLACK = ["#f2f2f2", "#56b4e9", "#e69f00"];
const DASHES = [6, 4];

const HINT =
  "hold pre-norm, then choose post-norm: which stream grows? Then open More: which gradient is larger in the last " +
  "block, and what becomes of the likeness of the tokens without residuals? Take the norms away as well, and go deeper.";
const KEYS =
  "Point at a block, or use the left and right arrow keys; up and down change the initial scale, that of all " +
  "matrices, Page Up and Page Down the number of blocks, n the norm, r the residuals; h holds, and lets go. Size is " +
  "the root of the mean square; likeness the mean cosine between two tokens of an image. Size and gradient are drawn " +
  "by powers of ten; a hollow triangle stands for a number off the scale.";

function render({ model, el }) {
  const { norms, depths, scales, quantities, charts, ends, ...rest } = model.get("_sent");
  const rowsOf = rowsFrom({ norms, depths, scales, quantities, ...rest });
  const nameOf = namerOf(norms);
  const LIKENESS = quantities.indexOf("likeness");
  const shownCharts = () => (model.get("more") ? charts : charts.slice(0, 1));
  let layout = chartsLayout(1);
  const root = frame(el, "Signal lab", HINT);

  function now() {
    const setting = ["depth", "norm", "residual", "scale"].map((name) => model.get(name));
    const held = model.get("held");
    const rows = rowsOf(setting);
    const heldRows = held.length ? rowsOf(held) : null;
    const longest = Math.max(rows.length, held[0] ?? 0);
    return { setting, rows, held, heldRows, longest, block: model.get("block"), quantities };
  }

  // Controls
  const take = (changes) => set(model, changes);
  const takeDepth = (depth) => take({ depth, block: Math.min(depth, model.get("block")) });
  const hold = () => take({ held: model.get("held").length ? [] : now().setting });
  const depthTexts = depths.map((depth) => [depth, String(depth)]);
  const scaleTexts = scales.map((scale) => [scale, `${scale} times the usual`]);
  const chooseNorm = chooser(norms, (norm) => take({ norm }));
  const chooseDepth = chooser(depthTexts, (depth) => takeDepth(Number(depth)));
  const chooseScale = chooser(scaleTexts, (scale) => take({ scale: Number(scale) }));
  const residuals = checkbox("x + branch(x)", (residual) => take({ residual }));
  const holdButton = button("Hold this (h)", hold);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Norm", chooseNorm),
      labelled("Blocks", chooseDepth),
      group("Residuals", residuals.label),
      labelled("Initial scale", chooseScale),
      group("To compare", holdButton),
    ),
  );

  // Charts and numbers
  const canvas = sheet(WIDTH, WIDTH, { tabIndex: 0, role: "application", className: "vit-touch" });
  const { table, rows: lines } = headedTable("vit-sums", quantities, 2, { "aria-label": "In numbers" });
  const words = make("p", { className: "vit-words" });
  root.append(canvas);
  const inside = [sideways(table), note(KEYS, { className: "vit-note vit-wide" })];
  behindMore(model, root, "gradient, likeness, numbers, the keys", inside, words);

  const lineName = (column) => quantities[column].replace(" branch", "");
  const hasKey = ([, columns]) => columns.length > 1; // its lines are named, and dashes are explained

  /** Fonts for titles, the key, and all else: as large as letters are, or as there is room for. */
  function fontsOf(context, { fontFamily }) {
    const { letters, wide } = layout;
    const fontOf = (size, weight = 400) => `${weight} ${size * letters}px ${fontFamily}`;
    const widthOf = (text, size, weight) => {
      context.font = fontOf(size, weight);
      return context.measureText(text).width;
    };
    const shares = shownCharts().map(([title, columns]) => {
      if (!hasKey([title, columns])) return [wide / widthOf(title, 13, 600), 1];
      const names = columns.reduce((sum, column) => sum + widthOf(lineName(column), 11), 0);
      const marks = columns.length * (2 * MARK + 4) + (columns.length - 1) * BESIDE;
      return [(wide - BESIDE) / (widthOf(title, 13, 600) + widthOf(HELD, 11)), (wide - marks) / names];
    });
    const [title, key] = [0, 1].map((which) => Math.min(1, ...shares.map((share) => share[which])));
    return { title: fontOf(13 * title, 600), held: fontOf(11 * title), key: fontOf(11 * key), rest: fontOf(11) };
  }

  /** The axes of a chart: title, what dashes are, lines of equal level, numbers of blocks, the chosen block's band. */
  function drawAxes(context, chart, { heldRows, longest, block }, axis, style, fonts) {
    const [title, columns] = charts[chart];
    const { letters, inner, top, floor, heightOf, middleOf } = layout;
    const left = layout.startOf(chart);
    const isLikeness = columns[0] === LIKENESS;
    context.fillStyle = style.color;
    context.strokeStyle = style.color;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = fonts.title;
    context.fillText(title, left - layout.left, 9 * letters);
    const beside = left - layout.left + context.measureText(title).width + BESIDE;
    context.font = fonts.held;
    if (heldRows && hasKey(charts[chart])) context.fillText(HELD, beside, 9 * letters);
    context.font = fonts.rest;
    context.textAlign = "right";
    context.lineWidth = 1;
    for (const step of isLikeness ? [0, 0.5, 1] : powerSteps(...axis)) {
      const y = heightOf(step, axis);
      context.globalAlpha = 0.25;
      context.beginPath();
      context.moveTo(left, y);
      context.lineTo(left + inner, y);
      context.stroke();
      context.globalAlpha = 1;
      context.fillText(isLikeness ? String(step) : powerName(step), left - 5, y);
    }
    context.textAlign = "center";
    const every = longest <= 6 ? 1 : longest <= 12 ? 2 : 4;
    for (let at = 1; at <= longest; at++) {
      if (at === 1 || at % every === 0)
        context.fillText(String(at), middleOf(chart, at, longest), floor + 11 * letters);
    }
    context.fillText("block", left + inner / 2, floor + 26 * letters);
    const band = inner / longest;
    const around = [middleOf(chart, block, longest) - band / 2, top - 6, band, floor - top + 9];
    context.globalAlpha = 0.14;
    context.fillRect(...around);
    context.globalAlpha = 0.6; // its edge stands out 3 to 1
    context.strokeRect(...around);
    context.globalAlpha = 1;
  }

  function drawChart(context, chart, state, colours, style, fonts) {
    const [, columns] = charts[chart];
    const { rows, heldRows, longest } = state;
    const drawn = heldRows ? [heldRows, rows] : [rows];
    const isLikeness = columns[0] === LIKENESS;
    const axis = isLikeness ? [0, 1] : axisEnds(drawn, columns, ends);
    const levelOf = (value) => (isLikeness ? within(value, 0, 1) : powerOf(value, ends));
    drawAxes(context, chart, state, axis, style, fonts);
    let keyAt = layout.startOf(chart) - layout.left + MARK;
    columns.forEach((column, i) => {
      context.strokeStyle = context.fillStyle = colours[i];
      for (const some of drawn) {
        const points = some.map((row, at) => [
          layout.middleOf(chart, at + 1, longest),
          layout.heightOf(levelOf(row[column]), axis),
        ]);
        const dashed = some === heldRows;
        context.lineWidth = dashed ? 1.5 : 2;
        context.setLineDash(dashed ? DASHES : []);
        context.beginPath();
        for (const point of points) context.lineTo(...point);
        context.stroke();
        context.setLineDash([]);
        points.forEach((point, at) => {
          const off = offScale(some[at][column], isLikeness ? [0, 1] : ends);
          if (off) offMark(context, off, ...point);
          else if (!dashed) marker(context, MARKERS[i], ...point, longest > 12 ? 2.4 : MARK);
        });
      }
      if (hasKey(charts[chart])) {
        const y = 26 * layout.letters;
        marker(context, MARKERS[i], keyAt, y, MARK);
        context.font = fonts.key;
        context.textAlign = "left";
        context.fillStyle = style.color;
        context.fillText(lineName(column), keyAt + MARK + 4, y);
        keyAt += context.measureText(lineName(column)).width + 2 * MARK + 4 + BESIDE;
      }
    });
  }

  function fillLine({ name, cells, line }, rows, block, text) {
    line.style.visibility = rows ? "visible" : "hidden"; // its room stays
    const last = rows?.length ?? 99;
    const at = Math.min(block, last);
    name.textContent = text(at, last);
    cells.forEach((cell, i) => {
      cell.textContent = rows ? say(rows[at - 1][i]) : "";
    });
  }

  function draw() {
    const state = now();
    const { setting, rows, held, heldRows, block } = state;
    const [depth, norm, residual, scale] = setting;
    chooseNorm.value = norm;
    chooseDepth.value = depth;
    chooseScale.value = scale;
    residuals.box.checked = residual;
    holdButton.setAttribute("aria-pressed", String(Boolean(heldRows)));
    const style = getComputedStyle(root);
    const colours = document.body.dataset.jpThemeLight === "false" ? ON_BLACK : ON_WHITE;
    layout = chartsLayout(shownCharts().length, roomIn(root, WIDTH), enlarged(root));
    resize(canvas, layout.width, layout.height);
    for (const { name } of lines) name.style.whiteSpace = layout.width < WIDTH ? "normal" : "nowrap"; // or it moves sideways
    const context = pen(canvas);
    const fonts = fontsOf(context, style);
    shownCharts().forEach((_, chart) => {
      context.save();
      context.translate(0, layout.topOf(chart));
      drawChart(context, chart, state, colours, style, fonts);
      context.restore();
    });
    fillLine(lines[0], rows, block, (at, last) => `block ${at} of ${last}`);
    fillLine(lines[1], heldRows, block, (at, last) => `held: block ${at} of ${last}`);
    const text = wordsOf({ ...state, name: nameOf(setting), heldName: heldRows && nameOf(held) });
    speak(words, text);
    canvas.setAttribute("aria-label", text);
  }

  // Pointing and keys
  const takeAt = (x) => {
    const { rows, longest } = now();
    const block = layout.blockAt(x, longest);
    if (block !== null && block <= rows.length) take({ block });
  };
  pointing(canvas, takeAt, "always");
  onKeys(root, () => {
    const { setting, block } = now();
    const [depth, norm, residual, scale] = setting;
    const normNames = norms.map(([name]) => name);
    return {
      ArrowLeft: () => take({ block: Math.max(1, block - 1) }),
      ArrowRight: () => take({ block: Math.min(depth, block + 1) }),
      ArrowUp: () => take({ scale: stepOf(scales, scale, 1) }),
      ArrowDown: () => take({ scale: stepOf(scales, scale, -1) }),
      Home: () => take({ block: 1 }),
      End: () => take({ block: depth }),
      ...pages((by) => takeDepth(stepOf(depths, depth, by))),
      n: () => take({ norm: nextOf(normNames, norm) }),
      r: () => take({ residual: !residual }),
      h: hold,
    };
  });
  return live(model, root, draw);
}

/** A hollow triangle that points to where a number would lie, 1 above the chart, -1 below it. */
function offMark(context, off, x, y) {
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(x, y - 6 * off);
  context.lineTo(x + 5, y + 3 * off);
  context.lineTo(x - 5, y + 3 * off);
  context.closePath();
  context.stroke();
}

/** A filled mark on a line. */
function marker(context, kind, x, y, size) {
  context.beginPath();
  if (kind === "circle") context.arc(x, y, size, 0, 2 * Math.PI);
  else if (kind === "square") context.rect(x - size, y - size, 2 * size, 2 * size);
  else {
    context.moveTo(x, y - 1.3 * size);
    context.lineTo(x + 1.2 * size, y + size);
    context.lineTo(x - 1.2 * size, y + size);
    context.closePath();
  }
  context.fill();
}

export default { render };
