// Attention in the plane: vectors that can be moved, and each step of attention, computed and drawn in the browser.

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
  panel,
  pen,
  pointer,
  readout,
  resize,
  roomFor,
  roomIn,
  set,
  sheet,
  sideways,
  slider,
  speak,
} from "../common.js";
import { decimals, nextOf, oneOrTwoDecimals, pages, within } from "../numbers.js";
import { attentionOf, KINDS, movedTo, samePoints, shareOf, TOKENS, VECTORS, vectorOf, wordsOf } from "./arithmetic.js";
import {
  arrowOutline,
  axesOf,
  coveredBy,
  labelsOf,
  numbersOf,
  PLANE,
  placesOf,
  planeIn,
  planesSize,
  pointAt,
  ringArea,
  shadowOf,
  spotOf,
} from "./geometry.js";

const NEAR = 13;
const BESIDE_ARROW = 4; // how far from its middle a number of the axes keeps
const BESIDE_POINT = 8;
const ON_WHITE = ["#0072b2", "#d55e00", "#007a5a"];
const ON_BLACK = ["#56b4e9", "#ff9142", "#3fd6a6"];
const STEPS = { q: 0.1, k: 0.1, v: 0.5 };
const OWN = "your own";

const HINT =
  "move queries, keys and values of three tokens, and change scaling, temperature and mask. All scores, weights and " +
  "outputs follow at once.";
const KEYS =
  "Dotted: the shadow of each key on the line of the query that is followed; times the length of the query it is the " +
  "score. Drag the tip of an arrow, or a value. Where two lie on one another, click once more for the other one. " +
  "Keys: q, k, v and 0, 1, 2 choose a vector, the arrow keys move it, ten times as far with Shift; Page Up and Page Down " +
  "choose the query to follow, whose row is bold; s scaling, x mask, + and - temperature, b another beginning.";
const SPREAD =
  "As if spread evenly over n keys: n is 3 for three equal weights, and 1 if one key takes all. It is e to the " +
  "entropy of the weights.";

function render({ model, el }) {
  const { presets, masks, temperatures, reaches, farthest } = model.get("_sent");
  const maskNames = masks.map(([mask]) => mask);
  const leads = Object.fromEntries(masks.map(([mask, , lead]) => [mask, lead]));
  const root = frame(el, "Attention in the plane", HINT, "What you can do");

  function now() {
    const names = [...KINDS, "scaled", "temperature", "mask", "query", "chosen"];
    const choices = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    return { ...choices, ...attentionOf(choices) };
  }

  // What the learner can change
  const take = (changes) => set(model, changes);
  /** Take one vector as the one to move; a query is also the one to follow. */
  function choose(name) {
    if (name !== model.get("chosen")) take({ chosen: name, ...(name[0] === "q" ? { query: Number(name[1]) } : {}) });
  }
  /** Put a vector in a place, within what the picture holds. */
  function put(name, point) {
    const [kind, token] = name;
    const points = movedTo(model.get(kind), Number(token), point, farthest[kind]);
    if (!samePoints(points, model.get(kind))) take({ [kind]: points });
  }
  function presetNow() {
    const points = KINDS.map((kind) => model.get(kind));
    return presets.find(([, q, k, v]) => samePoints([q, k, v], points))?.[0] ?? OWN;
  }
  function takePreset(name) {
    const found = presets.find(([known]) => known === name);
    if (!found) return draw();
    const [, q, k, v, query] = found;
    take({ q, k, v, query, chosen: `q${query}`, scaled: true, temperature: 1, mask: "none" });
  }
  const heat = (temperature) => take({ temperature: within(Math.round(temperature * 10) / 10, ...temperatures) });

  // Controls
  const choosePreset = chooser([...presets.map(([name]) => [name, name]), [OWN, OWN]], takePreset);
  const scaling = checkbox("divide by √d = 1.41", (scaled) => take({ scaled }));
  const tenths = temperatures.map((temperature) => Math.round(temperature * 10));
  const heatSlider = slider(...tenths, (tenth) => heat(tenth / 10));
  const heatOut = readout();
  heatOut.style.minWidth = "2.5em";
  const chooseMask = chooser(masks, (mask) => take({ mask }));
  /** Buttons of which one is pressed; `pressed(value)` says which. */
  function picks(title, values, textOf, onPick) {
    const all = values.map((value) => button(textOf(value), () => onPick(value)));
    const field = group(title, ...all);
    field.lastChild.className = "vit-picks";
    const pressed = (value) => {
      for (const [i, one] of all.entries()) one.setAttribute("aria-pressed", String(values[i] === value));
    };
    return { field, pressed };
  }
  const followed = picks(
    "Follow",
    TOKENS,
    (query) => `query ${query}`,
    (query) => take({ query }),
  );
  const moved = picks(
    "Move with the arrow keys",
    VECTORS,
    (name) => name,
    (name) => {
      choose(name);
      canvas.focus({ preventScroll: true });
    },
  );
  const beyond = make("p", { className: "vit-note", role: "status" });
  const inputs = [0, 1].map((axis) => {
    const input = make("input", { type: "number", step: 0.1 });
    input.addEventListener("change", () => {
      const name = model.get("chosen");
      const point = [...vectorOf(now(), name)];
      if (input.value !== "" && Number.isFinite(Number(input.value))) point[axis] = Number(input.value);
      put(name, point);
      draw();
      const [given, kept] = [point[axis], vectorOf(now(), name)[axis]];
      const most = farthest[name[0]];
      beyond.textContent =
        Math.abs(given) <= most ? "" : `${name} reaches from ${-most} to ${most}; ${given} became ${kept}.`;
    });
    return input;
  });
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Begin with", choosePreset),
      followed.field,
      group("Scaling", scaling.label),
      labelled("Temperature", heatSlider, heatOut),
      labelled("Mask", chooseMask),
    ),
  );

  // The two planes
  const canvas = sheet(PLANE.across, PLANE.high, { tabIndex: 0, role: "application", className: "vit-touch" });
  const shares = make("p", { className: "vit-answer" });
  shares.style.fontSize = "calc(26 * var(--vit-px))"; // all of it in one line where there is room for both planes
  const sharesBox = roomFor(shares, ["Output 2 = <0.001% of v0 + <0.001% of v1 + 100.0% of v2"]);
  sharesBox.style.marginTop = "10px";
  root.append(canvas, sharesBox);

  let drag = null;
  const planeNow = () => planeIn(roomIn(root, PLANE.wide), enlarged(root));
  /** The axes keep still while something is dragged. */
  const axesNow = (state) => drag?.axes ?? axesOf(state, reaches, planeNow());
  const planeOf = (name) => (name[0] === "v" ? 1 : 0);

  /** Title, lines and numbers of a plane, these where they meet none of the areas; what follows is drawn inside it only. */
  function drawPlane(context, axes, title, style, areas) {
    const { left, top, across, high, x, y, unit, step, letters } = axes;
    context.fillStyle = context.strokeStyle = style.color;
    const titleFont = (size) => `600 ${size}px ${style.fontFamily}`;
    context.font = titleFont(13 * letters);
    context.font = titleFont(13 * letters * Math.min(1, across / context.measureText(title).width));
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(title, left, top - 13 * letters);
    context.save();
    context.beginPath();
    context.rect(left, top, across, high);
    context.clip();
    context.lineWidth = 1;
    const most = Math.ceil(across / unit / step);
    for (let i = -most; i <= most; i++) {
      const at = i * step * unit;
      context.globalAlpha = i === 0 ? 0.6 : 0.12;
      polyline(context, [x + at, top], [x + at, top + high]);
      polyline(context, [left, y - at], [left + across, y - at]);
    }
    context.font = `${10 * letters}px ${style.fontFamily}`;
    context.textAlign = "center";
    context.globalAlpha = 0.75;
    for (const { text, middle } of numbersOf(axes, (one) => context.measureText(one).width, areas)) {
      context.fillText(text, ...middle);
    }
    context.globalAlpha = 1;
  }

  const fontOf = ({ first }, { letters }, style) => `${first ? 700 : 400} ${11 * letters}px ${style.fontFamily}`;
  const roomOf = ({ across }) => across - 4; // for all points in one place
  /** Names and numbers with their places beside their points, where there is room. */
  function placed(context, axes, entries, style, arrows = false) {
    const labels = labelsOf(entries);
    const widthOf = (label) => {
      context.font = fontOf(label, axes, style);
      return Math.min(context.measureText(label.text).width, roomOf(axes));
    };
    const places = placesOf(labels, axes, widthOf, arrows);
    return labels.map((label, i) => ({ ...label, ...places[i] }));
  }
  /** Write the labels on a ground of their own: no line is to be taken for a part of a number. */
  function writeLabels(context, axes, labels, style) {
    context.fillStyle = style.backgroundColor;
    for (const { area } of labels) context.fillRect(area[0], area[1], area[2] - area[0], area[3] - area[1]);
    context.fillStyle = style.color;
    context.textAlign = "center";
    for (const label of labels) {
      context.font = fontOf(label, axes, style);
      context.fillText(label.text, ...label.middle, roomOf(axes));
    }
  }
  const areasOf = (labels, ringed) => [...labels.map(({ area }) => area), ...ringed.map(ringArea)];
  const entriesOf = (kind, points, chosen) =>
    points.map((point, i) => [`${kind}${i}`, point, `${kind}${i}` === chosen]);

  /** A frame around the tip of the vector to move: round for a query, square for a key or a value. */
  function ring(context, [x, y], kind, style) {
    context.strokeStyle = style.color;
    context.lineWidth = 1.5;
    context.beginPath();
    if (kind === "q") context.arc(x, y, 11, 0, 2 * Math.PI);
    else context.rect(x - 10, y - 10, 20, 20);
    context.stroke();
  }

  function drawVectors(context, axes, state, colours, style) {
    const { q, k, query, chosen } = state;
    const ringed = planeOf(chosen) === 0 ? [spotOf(axes, vectorOf(state, chosen))] : [];
    const labels = placed(context, axes, [...entriesOf("q", q, chosen), ...entriesOf("k", k, chosen)], style, true);
    const arrows = coveredBy(axes, [...q, ...k], BESIDE_ARROW, true);
    drawPlane(context, axes, "Queries (thin) and keys (broad)", style, [...areasOf(labels, ringed), ...arrows]);
    const origin = spotOf(axes, [0, 0]);
    context.strokeStyle = style.color;
    context.globalAlpha = 0.5;
    context.lineWidth = 1;
    context.setLineDash([2, 4]);
    for (const key of k) {
      const foot = shadowOf(key, q[query]);
      if (foot) polyline(context, spotOf(axes, key), spotOf(axes, foot), origin);
    }
    context.setLineDash([]);
    context.lineWidth = 2;
    for (const token of TOKENS) {
      context.fillStyle = context.strokeStyle = colours[token];
      context.globalAlpha = 0.4;
      arrow(context, origin, spotOf(axes, k[token]), 8, 17);
      context.globalAlpha = 1;
      context.stroke(); // the outline stands out from the ground as the pale fill does not
    }
    for (const token of TOKENS) {
      context.fillStyle = colours[token];
      arrow(context, origin, spotOf(axes, q[token]), ...(token === query ? [3.5, 13] : [2, 10]));
    }
    for (const spot of ringed) ring(context, spot, chosen[0], style);
    writeLabels(context, axes, labels, style);
    context.restore();
  }

  function drawMixtures(context, axes, state, colours, style) {
    const { v, outputs, weights, query, chosen } = state;
    const ringed = planeOf(chosen) === 1 ? [spotOf(axes, vectorOf(state, chosen))] : [];
    const mixed = outputs.map((point, i) => [`out ${i}`, point, i === query]);
    const labels = placed(context, axes, [...mixed, ...entriesOf("v", v, chosen)], style);
    const points = coveredBy(axes, [...v, ...outputs], BESIDE_POINT, false);
    drawPlane(context, axes, "Values (squares) and outputs (dots)", style, [...areasOf(labels, ringed), ...points]);
    const corners = v.map((point) => spotOf(axes, point));
    context.fillStyle = context.strokeStyle = style.color;
    context.globalAlpha = 0.08;
    trace(context, corners);
    context.closePath();
    context.fill();
    context.globalAlpha = 0.3;
    context.lineWidth = 1;
    context.stroke();
    context.globalAlpha = 0.8; // 3 to 1 against the ground
    corners.forEach((corner, key) => {
      const weight = weights[query][key];
      if (9 * weight < 0.1) return;
      context.strokeStyle = colours[key];
      context.lineWidth = 9 * weight;
      polyline(context, corner, spotOf(axes, outputs[query]));
    });
    context.globalAlpha = 1;
    corners.forEach(([x, y], token) => {
      context.fillStyle = colours[token];
      context.fillRect(x - 5.5, y - 5.5, 11, 11);
    });
    outputs.forEach((output, token) => {
      context.fillStyle = colours[token];
      context.strokeStyle = style.color;
      context.lineWidth = token === query ? 2 : 1;
      context.beginPath();
      context.arc(...spotOf(axes, output), token === query ? 7 : 5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    });
    for (const spot of ringed) ring(context, spot, "v", style);
    writeLabels(context, axes, labels, style);
    context.restore();
  }

  // The tables
  function matrix(title, columns) {
    const { table, rows } = headedTable("vit-matrix", columns, TOKENS.length);
    for (const [query, { name, line }] of rows.entries()) {
      name.textContent = `q${query}`;
      line.className = "vit-pointing";
      line.addEventListener("click", () => take({ query }));
    }
    return { rows, box: panel(title, sideways(table)) };
  }
  const keys = TOKENS.map((key) => `k${key}`);
  const tables = [
    matrix("1. Scores q · k", keys),
    matrix("", keys),
    matrix("3. Weights: softmax of each row", keys),
    matrix("4. Outputs", ["x", "y"]),
  ];
  const division = tables[1].box.firstChild; // the heading
  roomFor(division, ["2. Divided by 10.00, masked"]);
  const words = make("p", { className: "vit-words" });
  const inside = [
    make(
      "div",
      { className: "vit-controls" },
      moved.field,
      labelled("Its first number", inputs[0]),
      labelled("Its second number", inputs[1]),
      beyond,
    ),
    make("div", { className: "vit-panels" }, ...tables.map(({ box }) => box)),
    note(KEYS, { className: "vit-note vit-wide" }),
    note(SPREAD, { className: "vit-note vit-wide" }),
  ];
  behindMore(model, root, "the four tables, numbers to type, the keys", inside, words);

  /** Fill a table; `textOf` and `groundOf` say what stands in a cell, and on which colour. */
  function fillTable({ rows }, numbers, query, textOf, groundOf) {
    rows.forEach(({ line, cells }, i) => {
      line.classList.toggle("vit-chosen", i === query);
      cells.forEach((cell, j) => {
        cell.textContent = textOf(numbers[i][j], i, j);
        if (groundOf) cell.style.background = groundOf(numbers[i][j]);
      });
    });
  }
  /** Red for positive numbers and blue for negative ones, the stronger the larger; none for a masked one. */
  function twoSigned(numbers) {
    const most = Math.max(...numbers.flat().filter(Number.isFinite).map(Math.abs));
    return (number) => {
      if (number === -Infinity) return "none";
      return `rgba(${number > 0 ? "178, 24, 43" : "33, 102, 172"}, ${most > 0 ? (0.55 * Math.abs(number)) / most : 0})`;
    };
  }
  function fillTables(state) {
    const { scores, divided, divisor, weights, outputs, query, mask } = state;
    const divisionTitle = divisor === 1 ? "Not divided" : `Divided by ${decimals(divisor)}`;
    division.textContent = `2. ${divisionTitle}${mask === "none" ? "" : ", masked"}`;
    const number = (one) => (one === -Infinity ? "-inf" : decimals(one));
    const share = (_, i, j) => shareOf(state, i, j);
    fillTable(tables[0], scores, query, number, twoSigned(scores));
    fillTable(tables[1], divided, query, number, twoSigned(divided));
    fillTable(tables[2], weights, query, share, (weight) => `rgba(230, 159, 0, ${0.45 * weight})`);
    fillTable(tables[3], outputs, query, number);
  }

  function draw() {
    const state = now();
    const { scaled, temperature, mask, query, chosen } = state;
    choosePreset.value = presetNow();
    scaling.box.checked = scaled;
    heatSlider.value = Math.round(temperature * 10);
    heatSlider.setAttribute("aria-valuetext", oneOrTwoDecimals(temperature));
    heatOut.textContent = oneOrTwoDecimals(temperature);
    chooseMask.value = mask;
    followed.pressed(query);
    moved.pressed(chosen);
    const point = vectorOf(state, chosen);
    inputs.forEach((input, axis) => {
      const shown = String(Math.round(point[axis] * 100) / 100);
      if (input.value !== shown) input.value = shown;
    });
    const style = getComputedStyle(root);
    const colours = document.body.dataset.jpThemeLight === "false" ? ON_BLACK : ON_WHITE;
    resize(canvas, ...planesSize(planeNow()));
    const context = pen(canvas);
    const [left, right] = axesNow(state);
    drawVectors(context, left, state, colours, style);
    drawMixtures(context, right, state, colours, style);
    fillTables(state);
    const taken = TOKENS.map((key) => `${shareOf(state, query, key)} of v${key}`);
    shares.textContent = `Output ${query} = ${taken.join(" + ")}`;
    const text = wordsOf(state, leads[mask]);
    speak(words, text);
    canvas.setAttribute("aria-label", text);
  }

  // Pointing and keys
  /** The vectors whose tips lie under the pointer, the nearest first. */
  function under(event) {
    const [x, y] = pointer(canvas, event);
    const state = now();
    const axes = axesNow(state);
    const distances = VECTORS.map((name) => {
      const [a, b] = spotOf(axes[planeOf(name)], vectorOf(state, name));
      return [name, Math.hypot(a - x, b - y)];
    });
    const near = distances.filter(([, distance]) => distance <= NEAR).sort((one, other) => one[1] - other[1]);
    return near.map(([name]) => name);
  }
  const stay = (event) => under(event.touches[0]).length && event.preventDefault(); // a finger on a tip drags it
  canvas.addEventListener("touchstart", stay, { passive: false });
  canvas.addEventListener("pointerdown", (event) => {
    const found = event.button === 0 ? under(event) : [];
    if (found.length === 0) return;
    const chosen = model.get("chosen");
    const name = found.includes(chosen) ? chosen : found[0];
    const again = name === chosen && found.length > 1 ? nextOf(found, name) : null; // if it stays a click
    drag = { name, again, axes: axesNow(now()), start: pointer(canvas, event), isMoving: false };
    canvas.setPointerCapture(event.pointerId);
    choose(name);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) {
      canvas.style.cursor = under(event).length ? "grab" : "";
      return;
    }
    const [x, y] = pointer(canvas, event);
    drag.isMoving ||= Math.hypot(x - drag.start[0], y - drag.start[1]) >= 3;
    if (!drag.isMoving) return;
    canvas.style.cursor = "grabbing";
    const step = STEPS[drag.name[0]];
    const point = pointAt(drag.axes[planeOf(drag.name)], [x, y]);
    put(
      drag.name,
      point.map((number) => Math.round(number / step) * step),
    );
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, () => {
      if (!drag) return;
      const { again, isMoving } = drag;
      drag = null;
      canvas.style.cursor = "";
      if (again && !isMoving) choose(again);
      else draw();
    });
  }
  onKeys(root, (event) => {
    const { chosen, query, scaled, temperature, mask } = now();
    const [kind, token] = chosen;
    const step = STEPS[kind] * (event.shiftKey ? 10 : 1);
    const [x, y] = vectorOf(now(), chosen);
    const move = (dx, dy) => () => put(chosen, [x + dx * step, y + dy * step]);
    const presetNames = presets.map(([name]) => name);
    return {
      ArrowLeft: move(-1, 0),
      ArrowRight: move(1, 0),
      ArrowUp: move(0, 1),
      ArrowDown: move(0, -1),
      Home: () => choose(VECTORS[0]),
      End: () => choose(VECTORS[VECTORS.length - 1]),
      ...pages((by) => take({ query: within(query + by, 0, TOKENS.length - 1) })),
      s: () => take({ scaled: !scaled }),
      x: () => take({ mask: nextOf(maskNames, mask) }),
      b: () => takePreset(nextOf(presetNames, presetNow())),
      "+": () => heat(temperature + 0.1),
      "-": () => heat(temperature - 0.1),
      ...Object.fromEntries(KINDS.map((other) => [other, () => choose(`${other}${token}`)])),
      ...Object.fromEntries(TOKENS.map((other) => [other, () => choose(`${kind}${other}`)])),
    };
  });
  return live(model, root, draw);
}

/** Begin a path through points. */
function trace(context, points) {
  context.beginPath();
  for (const point of points) context.lineTo(...point);
}

function polyline(context, ...points) {
  trace(context, points);
  context.stroke();
}

/** A filled arrow, or a dot where it would have no length. */
function arrow(context, from, to, width, head) {
  const outline = arrowOutline(from, to, width, head);
  if (outline) trace(context, outline);
  else {
    context.beginPath();
    context.arc(...to, width + 1.5, 0, 2 * Math.PI);
  }
  context.fill();
}

export default { render };
