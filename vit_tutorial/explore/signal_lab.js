// Signal lab: the numbers are measured in signal_lab.py, once for every setting; here they are looked up and drawn.

import { chooser, frame, labelled, live, make, pen, pointer, set, sheet } from "./common.js";
import { bytesOf, decimals } from "./numbers.js";

const AREA = { width: 912, height: 284, top: 42, bottom: 34, left: 44, right: 6, gap: 16 };
const MARKERS = ["circle", "square", "triangle"];
const ON_WHITE = ["#1a1a1a", "#0072b2", "#d55e00"];
const ON_BLACK = ["#f2f2f2", "#56b4e9", "#e69f00"];
const DASHES = [6, 4];

function render({ model, el }) {
  const norms = model.get("_norms");
  const depths = model.get("_depths");
  const scales = model.get("_scales");
  const quantities = model.get("_quantities");
  const charts = model.get("_charts");
  const [ground, ceiling] = model.get("_ends");
  const grid = new Float64Array(bytesOf(model.get("_grid")).buffer);
  const most = Math.max(...depths);
  const normName = Object.fromEntries(norms);
  const LIKENESS = quantities.indexOf("likeness");
  const GRADIENT = quantities.indexOf("gradient");

  const root = frame(
    el,
    "Signal lab",
    "hold pre-norm, then choose post-norm: which stream grows, which gradient is larger in the last block? Switch the residuals off: what " +
      "becomes of the likeness of the tokens? Then take the norms away as well, and go deeper.",
  );

  // The numbers

  /** The rows of one setting [depth, norm, residual, scale]: rows[block][quantity], blocks from 0. */
  function rowsOf([depth, norm, residual, scale]) {
    const which = norms.findIndex(([name]) => name === norm);
    let place = which * 2 + (residual ? 1 : 0);
    place = place * scales.length + scales.indexOf(scale);
    place = place * depths.length + depths.indexOf(depth);
    const size = quantities.length;
    return Array.from({ length: depth }, (_, block) =>
      grid.subarray((place * most + block) * size, (place * most + block + 1) * size),
    );
  }

  /** 3.14159 -> "3.14", 0.000000234 -> "2.3e-7". */
  function say(number) {
    const size = Math.abs(number);
    if (number === 0 || (size >= 0.01 && size < 1000)) return decimals(number);
    return Number.isFinite(number) ? number.toExponential(1).replace("+", "") : "overflow";
  }

  function now() {
    const setting = ["depth", "norm", "residual", "scale"].map((name) => model.get(name));
    const held = model.get("_held");
    return {
      setting,
      rows: rowsOf(setting),
      block: Math.min(model.get("block"), setting[0]),
      held: held.length ? held : null,
    };
  }

  const nameOf = ([depth, norm, residual, scale]) =>
    `${depth} blocks, norm ${normName[norm]}, ${residual ? "with" : "without"} residuals, initial scale ${scale}`;

  function wordsOf({ setting, rows, block, held }) {
    const [first, last] = [rows[0], rows[rows.length - 1]];
    const fromTo = (column) => `${say(first[column])} to ${say(last[column])}`;
    return (
      `${nameOf(setting)}. Block ${block}: ${quantities.map((name, i) => `${name} ${say(rows[block - 1][i])}`).join(", ")}. ` +
      `From block 1 to ${rows.length}: stream ${fromTo(0)}, gradient ${fromTo(GRADIENT)}, likeness ${fromTo(LIKENESS)}.` +
      (held ? ` Held, dashed: ${nameOf(held)}.` : "")
    );
  }

  // Controls

  const chooseNorm = chooser(norms, (norm) => set(model, { norm }));
  const chooseDepth = chooser(
    depths.map((depth) => [depth, String(depth)]),
    (depth) => set(model, { depth: Number(depth) }),
  );
  const chooseScale = chooser(
    scales.map((scale) => [scale, `${scale} times the usual`]),
    (scale) => set(model, { scale: Number(scale) }),
  );
  const box = make("input", { type: "checkbox" });
  box.addEventListener("change", () => set(model, { residual: box.checked }));
  const holdButton = make("button", { type: "button" });
  const hold = () => set(model, { _held: model.get("_held").length ? [] : now().setting });
  holdButton.addEventListener("click", hold);
  const tick = make("label", { className: "vit-tick" }, box, "x + branch(x)");
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Norm", chooseNorm),
      labelled("Blocks", chooseDepth),
      make(
        "div",
        { className: "vit-field" },
        make("span", { className: "vit-title", textContent: "Residuals" }),
        make("span", {}, tick),
      ),
      labelled("Matrices at the start", chooseScale),
      make(
        "div",
        { className: "vit-field" },
        make("span", { className: "vit-title", textContent: "To compare" }),
        make("span", {}, holdButton),
      ),
    ),
  );

  // Charts and numbers

  const canvas = sheet(AREA.width, AREA.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const heads = quantities.map((name) => make("th", { scope: "col", textContent: name }));
  const lines = ["here", "held"].map((key) => {
    const cells = quantities.map(() => make("td"));
    const name = make("th", { scope: "row" });
    return { key, name, cells, line: make("tr", {}, name, ...cells) };
  });
  const table = make(
    "table",
    { className: "vit-sums" },
    make("thead", {}, make("tr", {}, make("td"), ...heads)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(
    canvas,
    make("p", {
      className: "vit-note vit-wide",
      textContent:
        "Point at a block, or use the left and right arrow keys; up and down change the matrices, Page Up and Page Down the number of blocks, n the norm, r the residuals, and h holds. " +
        "Size is the root of the mean square; likeness the mean cosine between two tokens of an image. Size and gradient are drawn by powers of ten.",
    }),
    table,
    words,
  );

  const chartWidth = (AREA.width - AREA.gap * (charts.length - 1)) / charts.length;
  const innerWidth = chartWidth - AREA.left - AREA.right;
  const bottom = AREA.height - AREA.bottom;
  const startOf = (chart) => chart * (chartWidth + AREA.gap) + AREA.left;

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

  /** The powers of ten between which there is room for these rows: at least from 0.1 to 10. */
  function endsOf(allRows, columns) {
    const powers = allRows.flatMap((rows) =>
      rows.flatMap((row) => columns.map((column) => Math.log10(Math.min(ceiling, Math.max(ground, row[column]))))),
    );
    return [Math.min(-1, Math.floor(Math.min(...powers))), Math.max(1, Math.ceil(Math.max(...powers)))];
  }

  function drawChart(context, chart, state, colours, style) {
    const [title, columns] = charts[chart];
    const { rows, block, held } = state;
    const drawn = held ? [rowsOf(held), rows] : [rows];
    const longest = Math.max(...drawn.map((some) => some.length));
    const left = startOf(chart);
    const isLikeness = columns[0] === LIKENESS;
    const [low, high] = isLikeness ? [0, 1] : endsOf(drawn, columns);
    const x = (at) => left + ((at + 0.5) / longest) * innerWidth;
    const y = (value) => {
      const level = isLikeness
        ? Math.max(0, Math.min(1, value))
        : Math.log10(Math.min(ceiling, Math.max(ground, value)));
      return bottom - ((level - low) / (high - low)) * (bottom - AREA.top);
    };
    context.fillStyle = style.color;
    context.strokeStyle = style.color;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = `600 13px ${style.fontFamily}`;
    context.fillText(title, left - AREA.left, 9);
    context.font = `11px ${style.fontFamily}`;
    context.textAlign = "right";
    const steps = isLikeness
      ? [0, 0.5, 1]
      : Array.from({ length: high - low + 1 }, (_, i) => low + i).filter(
          (power) => power % Math.ceil((high - low) / 6) === 0,
        );
    for (const step of steps) {
      const level = bottom - ((step - low) / (high - low)) * (bottom - AREA.top);
      context.globalAlpha = 0.25;
      context.lineWidth = 1;
      context.beginPath();
      context.moveTo(left, level);
      context.lineTo(left + innerWidth, level);
      context.stroke();
      context.globalAlpha = 1;
      context.fillText(
        isLikeness ? String(step) : Math.abs(step) <= 3 ? String(Number(`1e${step}`)) : `1e${step}`,
        left - 5,
        level,
      );
    }
    context.textAlign = "center";
    const every = longest <= 6 ? 1 : longest <= 12 ? 2 : 4;
    for (let at = 0; at < longest; at++)
      if (at === 0 || (at + 1) % every === 0) context.fillText(String(at + 1), x(at), bottom + 11);
    context.fillText("block", left + innerWidth / 2, bottom + 26);
    context.globalAlpha = 0.14;
    context.fillRect(
      x(block - 1) - innerWidth / longest / 2,
      AREA.top - 6,
      innerWidth / longest,
      bottom - AREA.top + 12,
    );
    context.globalAlpha = 1;
    columns.forEach((column, i) => {
      drawn.forEach((some) => {
        const dashed = held && some === drawn[0];
        context.strokeStyle = context.fillStyle = colours[i];
        context.lineWidth = dashed ? 1.5 : 2;
        context.setLineDash(dashed ? DASHES : []);
        context.beginPath();
        some.forEach((row, at) => context[at ? "lineTo" : "moveTo"](x(at), y(row[column])));
        context.stroke();
        context.setLineDash([]);
        if (!dashed)
          some.forEach((row, at) => marker(context, MARKERS[i], x(at), y(row[column]), longest > 12 ? 2.4 : 3.5));
      });
      if (columns.length > 1) {
        const [keyX, keyY] = [left + 6 + [0, 70, 152][i], 26];
        marker(context, MARKERS[i], keyX, keyY, 3.5);
        context.textAlign = "left";
        context.fillStyle = style.color;
        context.fillText(quantities[column].replace(" branch", ""), keyX + 8, keyY);
      }
    });
  }

  function draw() {
    const state = now();
    const { setting, rows, block, held } = state;
    const [depth, norm, residual, scale] = setting;
    chooseNorm.value = norm;
    chooseDepth.value = depth;
    chooseScale.value = scale;
    box.checked = residual;
    holdButton.textContent = held ? "Let go (h)" : "Hold this (h)";
    holdButton.setAttribute("aria-pressed", String(Boolean(held)));
    const style = getComputedStyle(root);
    const dark = document.body.dataset.jpThemeLight === "false";
    const context = pen(canvas);
    charts.forEach((_, chart) => drawChart(context, chart, state, dark ? ON_BLACK : ON_WHITE, style));
    for (const { key, name, cells, line } of lines) {
      const some = key === "here" ? rows : held && rowsOf(held);
      line.hidden = !some;
      if (!some) continue;
      const at = Math.min(block, some.length);
      name.textContent = key === "here" ? `block ${at} of ${depth}` : `held: block ${at} of ${some.length}`;
      cells.forEach((cell, i) => (cell.textContent = say(some[at - 1][i])));
    }
    const text = wordsOf(state);
    words.textContent = text;
    canvas.setAttribute("aria-label", text);
  }

  // Pointing and keys

  const choose = (block) => block >= 1 && block <= model.get("depth") && block !== now().block && set(model, { block });
  for (const type of ["pointermove", "pointerdown"]) {
    canvas.addEventListener(type, (event) => {
      const [x] = pointer(canvas, event);
      const { rows, held } = now();
      const longest = Math.max(rows.length, held ? held[0] : 0);
      charts.forEach((_, chart) => {
        const at = Math.floor(((x - startOf(chart)) / innerWidth) * longest);
        if (x >= startOf(chart) && at < longest) choose(at + 1);
      });
    });
  }
  const next = (choices, current) => choices[(choices.indexOf(current) + 1) % choices.length];
  const within = (choices, current, step) =>
    choices[Math.min(choices.length - 1, Math.max(0, choices.indexOf(current) + step))];
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { setting, block } = now();
    const [depth, norm, residual, scale] = setting;
    const steps = {
      ArrowLeft: () => choose(block - 1),
      ArrowRight: () => choose(block + 1),
      ArrowUp: () => set(model, { scale: within(scales, scale, 1) }),
      ArrowDown: () => set(model, { scale: within(scales, scale, -1) }),
      Home: () => choose(1),
      End: () => choose(depth),
      PageUp: () => set(model, { depth: within(depths, depth, 1) }),
      PageDown: () => set(model, { depth: within(depths, depth, -1) }),
      n: () =>
        set(model, {
          norm: next(
            norms.map(([name]) => name),
            norm,
          ),
        }),
      r: () => set(model, { residual: !residual }),
      h: hold,
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    steps[event.key]();
  });
  return live(model, root, draw);
}

export default { render };
