// Attention in the plane: the same numbers as attention_plane_state in attention_plane.py, computed in the browser.

import { chooser, frame, labelled, live, make, pen, pointer, resize, set, sheet, slider } from "./common.js";
import { decimals, finePercent } from "./numbers.js";

const PLANE = { across: 440, high: 344, title: 22, gap: 32 };
const KINDS = ["q", "k", "v"];
const TOKENS = 3;
const NEAR = 13;
const ON_WHITE = ["#0072b2", "#d55e00", "#007a5a"];
const ON_BLACK = ["#56b4e9", "#ff9142", "#3fd6a6"];
const STEPS = { q: 0.1, k: 0.1, v: 0.5 };
const each = (make) => Array.from({ length: TOKENS }, (_, i) => make(i));

function render({ model, el }) {
  const presets = model.get("_presets");
  const masks = model.get("_masks");
  const [coldest, hottest] = model.get("_temperatures");
  const reaches = model.get("_reaches");
  const farthest = model.get("_farthest");
  const names = KINDS.flatMap((kind) => each((token) => `${kind}${token}`));

  const root = frame(
    el,
    "Attention in the plane",
    "move queries, keys and values of three tokens, and change scaling, temperature and mask. All scores, weights and outputs follow at once.",
    "What you can do",
  );

  // The numbers

  function now() {
    const [q, k, v, scaled, temperature, mask, query, chosen] = [
      ...KINDS,
      "scaled",
      "temperature",
      "mask",
      "query",
      "chosen",
    ].map((name) => model.get(name));
    const seen = each((i) => each((j) => (mask === "causal" ? j <= i : mask === "padding" ? j !== 2 : true)));
    const scores = q.map(([x, y]) => k.map(([a, b]) => x * a + y * b));
    const divisor = (scaled ? Math.SQRT2 : 1) * temperature;
    const divided = scores.map((row, i) => row.map((score, j) => (seen[i][j] ? score / divisor : -Infinity)));
    const weights = divided.map((row) => {
      const top = Math.max(...row);
      const raised = row.map((score) => Math.exp(score - top));
      const sum = raised.reduce((total, one) => total + one, 0);
      return raised.map((one) => one / sum);
    });
    const outputs = weights.map((row) =>
      [0, 1].map((axis) => row.reduce((total, weight, j) => total + weight * v[j][axis], 0)),
    );
    return { q, k, v, scaled, temperature, mask, query, chosen, seen, scores, divisor, divided, weights, outputs };
  }

  const place = ([x, y]) => `(${decimals(x)}, ${decimals(y)})`;
  const listed = (keys) =>
    keys.length === TOKENS ? "all three keys" : `key${keys.length > 1 ? "s" : ""} ${keys.join(" and ")}`;

  function wordsOf(state) {
    const { query, chosen, seen, scores, divisor, weights, outputs, q, mask } = state;
    const lead = masks.find(([name]) => name === mask)[2];
    const row = weights[query];
    const shares = row.map(finePercent);
    const open = [0, 1, 2].filter((key) => seen[query][key]);
    const best = open.reduce((best, key) => (row[key] > row[best] ? key : best), open[0]);
    const top = open.filter((key) => shares[key] === shares[best]);
    const rest = open.filter((key) => !top.includes(key));
    const hidden = [0, 1, 2].filter((key) => !seen[query][key]);
    const looks =
      open.length === 1
        ? `can look only at ${listed(top)}, with ${shares[best]}`
        : rest.length === 0
          ? `looks at ${listed(top)} alike, with ${shares[best]} each`
          : `looks most at ${listed(top)}, with ${shares[best]}${top.length > 1 ? " each" : ""} (${rest.map((key) => `key ${key}: ${shares[key]}`).join(", ")})`;
    const masked = hidden.length ? `; ${listed(hidden)} ${hidden.length > 1 ? "are" : "is"} masked` : "";
    const spread = Math.exp(-row.reduce((total, weight) => total + (weight > 0 ? weight * Math.log(weight) : 0), 0));
    const numbers = scores[query].map((score) => decimals(score)).join(", ");
    const after =
      divisor === 1
        ? ""
        : `; divided by ${decimals(divisor)}: ${scores[query].map((score) => decimals(score / divisor)).join(", ")}`;
    return (
      `${lead} ${query}, ${place(q[query])}, ${looks}: as if spread evenly over ${decimals(spread)} keys. ` +
      `Scores ${numbers}${after}${masked}. Output ${query} is ${place(outputs[query])}. ` +
      `The arrow keys move ${chosen}, ${place(state[chosen[0]][Number(chosen[1])])}.`
    );
  }

  // What the learner can change

  /** Take one vector as the one to move; a query is also the one to follow. */
  function choose(name) {
    if (name !== model.get("chosen"))
      set(model, { chosen: name, ...(name[0] === "q" ? { query: Number(name[1]) } : {}) });
  }
  /** Put a vector in a place, within what the picture holds. */
  function put(name, point) {
    const kind = name[0];
    const token = Number(name[1]);
    const old = model.get(kind);
    const inside = point.map((number) =>
      Math.max(-farthest[kind], Math.min(farthest[kind], Math.round(number * 100) / 100 + 0)),
    );
    if (inside.every((number, axis) => number === old[token][axis])) return;
    set(model, { [kind]: old.map((one, i) => (i === token ? inside : one)) });
  }
  const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);
  const OWN = "your own";
  const presetNow = () =>
    presets.find(([, q, k, v]) =>
      same(
        [q, k, v],
        KINDS.map((kind) => model.get(kind)),
      ),
    )?.[0] ?? OWN;
  function usePreset(name) {
    const found = presets.find(([known]) => known === name);
    if (!found) return draw();
    const [, q, k, v, query] = found;
    set(model, { q, k, v, query, chosen: `q${query}` });
  }
  const heat = (temperature) =>
    set(model, { temperature: Math.max(coldest, Math.min(hottest, Math.round(temperature * 10) / 10)) });

  // Controls

  const choosePreset = chooser([...presets.map(([name]) => [name, name]), [OWN, OWN]], usePreset);
  const box = make("input", { type: "checkbox" });
  box.addEventListener("change", () => set(model, { scaled: box.checked }));
  const heatSlider = slider(Math.round(coldest * 10), Math.round(hottest * 10), (tenths) => heat(tenths / 10));
  const heatOut = make("output");
  const chooseMask = chooser(
    masks.map(([mask, text]) => [mask, text]),
    (mask) => set(model, { mask }),
  );
  const buttons = (wanted, label, onClick) => {
    const all = wanted.map(([value, text]) => {
      const button = make("button", { type: "button", textContent: text });
      button.addEventListener("click", () => onClick(value));
      return [value, button];
    });
    const title = make("span", { className: "vit-title", textContent: label });
    return [
      all,
      make(
        "div",
        { className: "vit-field", role: "group", "aria-label": label },
        title,
        make("span", { className: "vit-picks" }, ...all.map(([, button]) => button)),
      ),
    ];
  };
  const [followed, followField] = buttons(
    each((i) => [i, `query ${i}`]),
    "Follow",
    (query) => set(model, { query }),
  );
  const [moved, moveField] = buttons(
    names.map((name) => [name, name]),
    "Move with the arrow keys",
    (name) => {
      choose(name);
      canvas.focus({ preventScroll: true });
    },
  );
  const inputs = [0, 1].map((axis) => {
    const input = make("input", { type: "number", step: 0.1 });
    input.addEventListener("change", () => {
      const name = model.get("chosen");
      const point = [...model.get(name[0])[Number(name[1])]];
      if (input.value !== "" && Number.isFinite(Number(input.value))) point[axis] = Number(input.value);
      put(name, point);
      draw();
    });
    return input;
  });
  const tick = make("label", { className: "vit-tick" }, box, "divide by √d = 1.41");
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Begin with", choosePreset),
      followField,
      make(
        "div",
        { className: "vit-field" },
        make("span", { className: "vit-title", textContent: "Scaling" }),
        make("span", {}, tick),
      ),
      labelled("Temperature", heatSlider, heatOut),
      labelled("Mask", chooseMask),
      moveField,
      labelled("Its first number", inputs[0]),
      labelled("Its second number", inputs[1]),
    ),
  );
  heatOut.style.minWidth = "2.5em";

  // The two planes

  const canvas = sheet(PLANE.across, PLANE.high, { tabIndex: 0, role: "application", className: "vit-touch" });
  root.append(
    canvas,
    make("p", {
      className: "vit-note vit-wide",
      textContent:
        "Dotted: the shadow of each key on the line of the query that is followed; times the length of the query it is the score. " +
        "Drag the tip of an arrow, or a value. Where two lie on one another, click once more for the other one. Keys: q, k, v and 0, 1, 2 choose a vector, the arrow keys move it, " +
        "ten times as far with Shift; Page Up and Page Down choose the query to follow, whose row is bold; s scaling, m mask, + and - temperature, b another beginning.",
    }),
  );

  let drag = null;
  /** Where there is little room, one plane lies below the other. */
  const narrow = () => root.clientWidth > 0 && root.clientWidth < 700;
  /** How far the axes go; they keep still while something is dragged. */
  function axesNow({ q, k, v }) {
    if (drag) return drag.axes;
    const far = Math.max(...[...q, ...k].flat().map(Math.abs));
    const reach = reaches.find((reach) => far <= reach);
    const least = Math.min(...v.flat()) >= -2 ? -2 : -12;
    const middle = (least + 12) / 2;
    const [unit, small] = [PLANE.high / (2.1 * reach), PLANE.high / (1.05 * (12 - least))];
    const [left, top] = narrow() ? [0, PLANE.high + 2 * PLANE.title] : [PLANE.across + PLANE.gap, PLANE.title];
    const [x, y] = [PLANE.across / 2, PLANE.high / 2];
    return [
      { left: 0, top: PLANE.title, x, y: PLANE.title + y, unit, step: reach / 4, named: reach / 2 },
      {
        left,
        top,
        x: left + x - middle * small,
        y: top + y + middle * small,
        unit: small,
        step: 2,
        named: least < -2 ? 6 : 4,
      },
    ];
  }
  const spot = ({ x, y, unit }, point) => [x + unit * point[0], y - unit * point[1]];
  const planeOf = (name) => (name[0] === "v" ? 1 : 0);
  const short = (number) => String(Number(decimals(number)));

  function drawPlane(context, axes, title, style) {
    const { left, top, x, y, unit, step, named } = axes;
    const [right, bottom] = [left + PLANE.across, top + PLANE.high];
    context.fillStyle = context.strokeStyle = style.color;
    context.font = `600 13px ${style.fontFamily}`;
    context.textAlign = "left";
    context.textBaseline = "middle";
    context.fillText(title, left, top - 13);
    context.save();
    context.beginPath();
    context.rect(left, top, PLANE.across, PLANE.high);
    context.clip();
    context.lineWidth = 1;
    context.font = `10px ${style.fontFamily}`;
    const line = (...ends) => {
      context.beginPath();
      context.moveTo(ends[0], ends[1]);
      context.lineTo(ends[2], ends[3]);
      context.stroke();
    };
    const most = Math.ceil(PLANE.across / unit / step);
    for (let i = -most; i <= most; i++) {
      context.globalAlpha = i === 0 ? 0.6 : 0.12;
      line(x + i * step * unit, top, x + i * step * unit, bottom);
      line(left, y - i * step * unit, right, y - i * step * unit);
      context.globalAlpha = 0.75;
      if (i === 0 || (i * step) % named !== 0) continue;
      context.textAlign = "center";
      context.fillText(String(i * step), x + i * step * unit, y + 9);
      context.textAlign = "right";
      context.fillText(String(i * step), x - 5, y - i * step * unit);
    }
    context.globalAlpha = 1;
  }

  function arrow(context, from, to, width, head) {
    const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    const long = Math.hypot(dx, dy);
    if (long < 1) {
      context.beginPath();
      context.arc(to[0], to[1], width + 1.5, 0, 2 * Math.PI);
      context.fill();
      return;
    }
    const [ux, uy] = [dx / long, dy / long];
    const size = Math.min(head, long);
    const neck = [to[0] - size * ux, to[1] - size * uy];
    const at = (along, aside) => [along[0] - aside * uy, along[1] + aside * ux];
    context.beginPath();
    const outline = [
      at(from, width / 2),
      at(neck, width / 2),
      at(neck, size / 2),
      to,
      at(neck, -size / 2),
      at(neck, -width / 2),
      at(from, -width / 2),
    ];
    outline.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...point));
    context.closePath();
    context.fill();
  }

  /** Write names and numbers beside their points, where there is room; points in one place share a line. */
  function write(context, axes, entries, style, arrows = false) {
    const together = new Map();
    for (const [name, point, first] of entries) {
      const numbers = point.map(short).join(", ");
      const group = together.get(numbers) ?? { names: [], at: spot(axes, point), first: false };
      group.names[first ? "unshift" : "push"](name);
      group.first ||= first;
      together.set(numbers, group);
    }
    const groups = [...together].map(([numbers, group]) => ({
      ...group,
      text: `${group.names.join(" = ")} (${numbers})`,
    }));
    const [low, high] = [axes.left + 2, axes.left + PLANE.across - 2];
    const parts = arrows ? [0, 0.2, 0.4, 0.6, 0.8, 1] : [1];
    const taken = groups
      .flatMap(({ at }) => parts.map((part) => [axes.x + part * (at[0] - axes.x), axes.y + part * (at[1] - axes.y)]))
      .map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]);
    context.textAlign = "center";
    context.lineJoin = "round";
    for (const group of groups.sort((a, b) => b.first - a.first)) {
      context.font = `${group.first ? 700 : 400} 11px ${style.fontFamily}`;
      const half = context.measureText(group.text).width / 2;
      const [x, y] = group.at;
      const [side, up] = [x < axes.x ? -1 : 1, y > axes.y ? 1 : -1];
      const places = [];
      for (const [dx, dy] of [
        [1, 0.6],
        [1, -0.6],
        [0, 1.5],
        [-1, 0.6],
        [0, -1.5],
        [-1, -0.6],
        [1, 1.7],
        [1, -1.7],
        [-1, 1.7],
        [-1, -1.7],
        [0, 2.7],
        [0, -2.7],
      ]) {
        const middle = [
          Math.max(low + half, Math.min(high - half, x + side * dx * (half + 14))),
          Math.max(axes.top + 8, Math.min(axes.top + PLANE.high - 8, y + up * dy * 11)),
        ];
        const area = [middle[0] - half - 2, middle[1] - 7, middle[0] + half + 2, middle[1] + 7];
        const overlap = taken.reduce(
          (sum, [a, b, c, d]) =>
            sum +
            Math.max(0, Math.min(c, area[2]) - Math.max(a, area[0])) *
              Math.max(0, Math.min(d, area[3]) - Math.max(b, area[1])),
          0,
        );
        places.push({ middle, area, overlap });
      }
      const best = places.reduce((best, one) => (one.overlap < best.overlap - 1 ? one : best));
      taken.push(best.area);
      context.strokeStyle = style.backgroundColor;
      context.lineWidth = 4;
      context.strokeText(group.text, ...best.middle);
      context.fillStyle = style.color;
      context.fillText(group.text, ...best.middle);
    }
  }

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
    drawPlane(context, axes, "Queries (thin arrows) and keys (broad ones)", style);
    const { q, k, query, chosen } = state;
    const origin = spot(axes, [0, 0]);
    const square = q[query][0] ** 2 + q[query][1] ** 2;
    if (square > 0) {
      context.strokeStyle = style.color;
      context.globalAlpha = 0.5;
      context.lineWidth = 1;
      context.setLineDash([2, 4]);
      k.forEach((key) => {
        const along = (key[0] * q[query][0] + key[1] * q[query][1]) / square;
        const foot = spot(
          axes,
          q[query].map((number) => along * number),
        );
        context.beginPath();
        context.moveTo(...spot(axes, key));
        context.lineTo(...foot);
        context.lineTo(...origin);
        context.stroke();
      });
      context.setLineDash([]);
    }
    each((token) => {
      context.fillStyle = colours[token];
      context.globalAlpha = 0.4;
      arrow(context, origin, spot(axes, k[token]), 8, 17);
    });
    context.globalAlpha = 1;
    each((token) => {
      context.fillStyle = colours[token];
      arrow(context, origin, spot(axes, q[token]), token === query ? 3.5 : 2, token === query ? 13 : 10);
    });
    if (planeOf(chosen) === 0) ring(context, spot(axes, state[chosen[0]][Number(chosen[1])]), chosen[0], style);
    write(
      context,
      axes,
      [
        ...q.map((point, i) => [`q${i}`, point, `q${i}` === chosen]),
        ...k.map((point, i) => [`k${i}`, point, `k${i}` === chosen]),
      ],
      style,
      true,
    );
    context.restore();
  }

  function drawMixtures(context, axes, state, colours, style) {
    drawPlane(context, axes, "Values (squares) and outputs (dots)", style);
    const { v, outputs, weights, query, chosen } = state;
    const corners = v.map((point) => spot(axes, point));
    context.beginPath();
    corners.forEach((corner, i) => context[i ? "lineTo" : "moveTo"](...corner));
    context.closePath();
    context.fillStyle = context.strokeStyle = style.color;
    context.globalAlpha = 0.08;
    context.fill();
    context.globalAlpha = 0.3;
    context.lineWidth = 1;
    context.stroke();
    const middle = spot(axes, outputs[query]);
    corners.forEach((corner, key) => {
      context.strokeStyle = colours[key];
      context.globalAlpha = 0.45;
      context.lineWidth = 9 * weights[query][key];
      if (context.lineWidth < 0.1 || weights[query][key] < 0.005) return;
      context.beginPath();
      context.moveTo(...corner);
      context.lineTo(...middle);
      context.stroke();
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
      context.arc(...spot(axes, output), token === query ? 7 : 5, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    });
    if (planeOf(chosen) === 1) ring(context, corners[Number(chosen[1])], "v", style);
    write(
      context,
      axes,
      [
        ...outputs.map((point, i) => [`out ${i}`, point, i === query]),
        ...v.map((point, i) => [`v${i}`, point, `v${i}` === chosen]),
      ],
      style,
    );
    context.restore();
  }

  // The tables

  function matrix(title, columns) {
    const heading = make("div", { className: "vit-heading", textContent: title });
    const lines = each((query) => {
      const cells = columns.map(() => make("td"));
      const line = make(
        "tr",
        { className: "vit-pointing" },
        make("th", { scope: "row", textContent: `q${query}` }),
        ...cells,
      );
      line.addEventListener("click", () => set(model, { query }));
      return { line, cells };
    });
    const heads = columns.map((name) => make("th", { scope: "col", textContent: name }));
    const table = make(
      "table",
      { className: "vit-matrix" },
      make("thead", {}, make("tr", {}, make("td"), ...heads)),
      make("tbody", {}, ...lines.map(({ line }) => line)),
    );
    return { heading, lines, box: make("section", { className: "vit-panel" }, heading, table) };
  }
  const keys = each((key) => `k${key}`);
  const tables = [
    matrix("1. Scores q · k", keys),
    matrix("", keys),
    matrix("3. Weights: softmax of each row", keys),
    matrix("4. Outputs", ["x", "y"]),
  ];
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  const spreadNote = make("p", {
    className: "vit-note vit-wide",
    textContent:
      "As if spread evenly over n keys: n is 3 for three equal weights, and 1 if one key takes all. It is e to the entropy of the weights.",
  });
  root.append(make("div", { className: "vit-panels vit-below" }, ...tables.map(({ box }) => box)), words, spreadNote);

  const twoSigned = (number, most) =>
    `rgba(${number > 0 ? "178, 24, 43" : "33, 102, 172"}, ${most > 0 ? (0.55 * Math.abs(number)) / most : 0})`;
  function fillTables({ scores, divided, divisor, weights, outputs, query, mask }) {
    const sizes = [scores, divided].map((rows) => Math.max(...rows.flat().filter(Number.isFinite).map(Math.abs)));
    tables[1].heading.textContent = `2. ${divisor === 1 ? "Not divided" : `Divided by ${decimals(divisor)}`}${mask === "none" ? "" : ", masked"}`;
    [scores, divided, weights, outputs].forEach((rows, which) => {
      rows.forEach((row, i) => {
        const { line, cells } = tables[which].lines[i];
        line.classList.toggle("vit-chosen", i === query);
        row.forEach((number, j) => {
          cells[j].textContent =
            which === 2
              ? divided[i][j] === -Infinity
                ? "0.0%"
                : finePercent(number)
              : Number.isFinite(number)
                ? decimals(number)
                : "-inf";
          if (which < 2) cells[j].style.background = Number.isFinite(number) ? twoSigned(number, sizes[which]) : "none";
          if (which === 2) cells[j].style.background = `rgba(230, 159, 0, ${0.6 * number})`;
        });
      });
    });
  }

  function draw() {
    const state = now();
    const { scaled, temperature, mask, query, chosen } = state;
    choosePreset.value = presetNow();
    box.checked = scaled;
    heatSlider.value = Math.round(temperature * 10);
    heatSlider.setAttribute("aria-valuetext", decimals(temperature, 1));
    heatOut.textContent = decimals(temperature, 1);
    chooseMask.value = mask;
    for (const [value, button] of followed) button.setAttribute("aria-pressed", String(value === query));
    for (const [value, button] of moved) button.setAttribute("aria-pressed", String(value === chosen));
    const point = state[chosen[0]][Number(chosen[1])];
    inputs.forEach((input, axis) => {
      if (input.value !== String(point[axis])) input.value = point[axis];
    });
    const style = getComputedStyle(root);
    const colours = document.body.dataset.jpThemeLight === "false" ? ON_BLACK : ON_WHITE;
    resize(
      canvas,
      ...(narrow()
        ? [PLANE.across, 2 * (PLANE.high + PLANE.title)]
        : [2 * PLANE.across + PLANE.gap, PLANE.high + PLANE.title]),
    );
    const context = pen(canvas);
    const [left, right] = axesNow(state);
    drawVectors(context, left, state, colours, style);
    drawMixtures(context, right, state, colours, style);
    fillTables(state);
    const text = wordsOf(state);
    words.textContent = text;
    canvas.setAttribute("aria-label", text);
  }

  // Pointing and keys

  /** The vectors whose tips lie under the pointer, the nearest first. */
  function under(event) {
    const [x, y] = pointer(canvas, event);
    const state = now();
    const axes = axesNow(state);
    return names
      .map((name) => {
        const [a, b] = spot(axes[planeOf(name)], state[name[0]][Number(name[1])]);
        return [name, Math.hypot(a - x, b - y)];
      })
      .filter(([, distance]) => distance <= NEAR)
      .sort((one, other) => one[1] - other[1])
      .map(([name]) => name);
  }
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const found = under(event);
    if (!found.length) return;
    const held = found.includes(model.get("chosen")) ? model.get("chosen") : found[0];
    const again = held === model.get("chosen") && found.length > 1 && found[(found.indexOf(held) + 1) % found.length];
    drag = { name: held, axes: axesNow(now()), start: pointer(canvas, event), again };
    canvas.setPointerCapture(event.pointerId);
    choose(held);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!drag) {
      canvas.style.cursor = under(event).length ? "grab" : "";
      return;
    }
    const [x, y] = pointer(canvas, event);
    if (drag.again !== null && Math.hypot(x - drag.start[0], y - drag.start[1]) < 3) return;
    drag.again = null;
    canvas.style.cursor = "grabbing";
    const axes = drag.axes[planeOf(drag.name)];
    const step = STEPS[drag.name[0]];
    put(
      drag.name,
      [(x - axes.x) / axes.unit, (axes.y - y) / axes.unit].map((number) => Math.round(number / step) * step),
    );
  });
  for (const type of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(type, () => {
      if (!drag) return;
      const { again } = drag;
      drag = null;
      canvas.style.cursor = "";
      if (again) choose(again);
      else draw();
    });
  }
  const next = (choices, current, by = 1) => choices[(choices.indexOf(current) + by + choices.length) % choices.length];
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { chosen, query, scaled, temperature, mask } = now();
    const token = Number(chosen[1]);
    const step = STEPS[chosen[0]] * (event.shiftKey ? 10 : 1);
    const move = (dx, dy) => () =>
      put(chosen, [model.get(chosen[0])[token][0] + dx * step, model.get(chosen[0])[token][1] + dy * step]);
    const tokens = [0, 1, 2];
    const steps = {
      ArrowLeft: move(-1, 0),
      ArrowRight: move(1, 0),
      ArrowUp: move(0, 1),
      ArrowDown: move(0, -1),
      Home: () => choose(names[0]),
      End: () => choose(names[names.length - 1]),
      PageUp: () => set(model, { query: next(tokens, query, -1) }),
      PageDown: () => set(model, { query: next(tokens, query) }),
      s: () => set(model, { scaled: !scaled }),
      m: () =>
        set(model, {
          mask: next(
            masks.map(([name]) => name),
            mask,
          ),
        }),
      b: () =>
        usePreset(
          next(
            presets.map(([name]) => name),
            presetNow(),
          ),
        ),
      "+": () => heat(temperature + 0.1),
      "-": () => heat(temperature - 0.1),
      ...Object.fromEntries(KINDS.map((kind) => [kind, () => choose(`${kind}${token}`)])),
      ...Object.fromEntries(tokens.map((one) => [one, () => choose(`${chosen[0]}${one}`)])),
    };
    if (!(event.key in steps)) return;
    event.preventDefault();
    steps[event.key]();
  });
  return live(model, root, draw);
}

export default { render };
