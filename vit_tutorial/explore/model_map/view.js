// Model map: everything is computed in numbers.py; here the map is drawn, and the chosen box opened.

import {
  behindMore,
  enlarged,
  frame,
  labelled,
  live,
  make,
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
  sheet,
  sideways,
  slider,
  speak,
} from "../common.js";
import { bytesOf, decimals, percent, pixelOf, unpackPictures, within } from "../numbers.js";
import { barsIn, boxUnder, patchPlaces, shownLayout, widened } from "./geometry.js";

const LEAST = 760; // CSS pixels that the map keeps: where there is less room it is moved sideways
const INSIDE = 6; // between a box and what is written in it, both sides together

/** What stands below the picture of what leaves a box. */
function legendOf(box) {
  if (box.kind !== "table") return box.says;
  const rows =
    box.key === "feature_map"
      ? "channels side by side"
      : box.class_token
        ? "a row for each token, cls is the class token"
        : box.size[0] > 1
          ? "a row for each patch"
          : "one row";
  return `${box.says} · ${rows}: blue ${decimals(-box.limit, 1)} · white 0 · red ${decimals(box.limit, 1)}`;
}
const whereOf = (box) => `Its code: ${box.where}`;

function render({ model, el }) {
  const { boxes, places, arcs, sizes, ...sent } = model.get("_sent");
  const { wide, high, arc, gap, depth, patch } = sizes;
  const tables = bytesOf(sent.tables);
  const diverging = bytesOf(sent.diverging);
  const [picture] = unpackPictures(sent);
  const { height, width } = picture;
  const photo = plane(width, height, pixelOf(picture));
  let start = 0;
  const starts = new Map();
  for (const box of boxes) {
    starts.set(box, start);
    start += box.size[0] * box.size[1];
  }

  const root = frame(
    el,
    "Model map",
    "walk from the picture to the probabilities: where does the shape change, and where not? Which boxes let a token " +
      "learn about another? The blue bar at the foot of a box is its share of all parameters; a box without a bar has " +
      "none.",
  );

  const openBlock = () => model.get("block");
  const walk = () => boxes.filter((box) => box.block === 0 || box.block === openBlock());
  const chosen = () => walk().find((box) => box.key === model.get("box"));
  const isInside = (box) => box.block > 0 && box.key !== "block";

  // Controls, map and details

  const blockOut = readout();
  const blockSlider = slider(1, depth, (block) => set(model, { block }));
  root.append(make("div", { className: "vit-controls" }, labelled("Open block", blockSlider, blockOut)));
  const map = sheet(wide, high, { tabIndex: 0, role: "application", className: "vit-pointing" });
  const around = sideways(map, LEAST);
  const does = make("p");
  const textsOf = (part) => boxes.map((box) => box[part]);
  const mostBars = Math.max(...boxes.map(({ bars }) => bars.length));
  const { width: shownWidth, height: shownHeight } = shownLayout(mostBars);
  const shown = sheet(shownWidth, shownHeight, { role: "img" });
  const legend = note("");
  legend.style.maxWidth = `${shownWidth}px`; // a longer caption takes another line and moves nothing beside it
  const numbers = numberTable([
    ["given", "in"],
    ["made", "out"],
    ["held", "parameters"],
    ["share", "of all parameters"],
  ]);
  const heading = make("div", { className: "vit-heading" });
  const where = make("div", { className: "vit-heading" });
  const code = make("pre", { className: "vit-code", tabIndex: 0, role: "region", "aria-label": "Code of this box" });
  const words = make("p", { className: "vit-heard" }); // all of it stands above
  root.append(
    around,
    note(
      "Click a box, or use the left and right arrow keys; up and down open the block before or after; Home and End: the " +
        "picture and the probabilities. Under each box stands the shape that leaves it.",
      { className: "vit-note vit-wide" },
    ),
    make(
      "section",
      { className: "vit-panel vit-below" },
      roomFor(heading, textsOf("heading")),
      roomFor(does, textsOf("does")),
    ),
  );
  const inside = [
    make(
      "div",
      { className: "vit-panels" },
      panel("What leaves it", shown, roomFor(legend, boxes.map(legendOf))),
      panel("Shapes and parameters", numbers.list),
    ),
    make("section", { className: "vit-panel" }, roomFor(where, boxes.map(whereOf)), code),
  ];
  behindMore(model, root, "what leaves it, its parameters, its code", inside, words);

  // Drawing

  function arrow(context, fromX, fromY, toX, toY) {
    const angle = Math.atan2(toY - fromY, toX - fromX);
    context.beginPath();
    context.moveTo(fromX, fromY);
    context.lineTo(toX, toY);
    for (const turn of [2.6, -2.6]) {
      context.moveTo(toX, toY);
      context.lineTo(toX + 6 * Math.cos(angle + turn), toY + 6 * Math.sin(angle + turn));
    }
    context.stroke();
  }

  function lineOf(context, points) {
    context.beginPath();
    points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x, y));
    context.stroke();
  }

  const labelFont = ({ label }, weight, { fontFamily }) =>
    `${weight} ${(label[0] === "+" ? 18 : 11.5) * grown.letters}px ${fontFamily}`;
  const madeFont = ({ fontFamily }) => `${12 * grown.letters}px ${fontFamily}`;
  /** How wide what stands under a box may be: not up to its neighbour's, and inside the map. */
  function roomUnder(box) {
    const [x, , w] = places[box.key];
    return Math.min(w + (isInside(box) ? gap : 11), 2 * x + w, 2 * (wide - x) - w);
  }

  let grown = { letters: 0, across: 1 }; // how many times as large as usual letters and heights of the map are, and widths
  /** Let the map grow with the letters. */
  function grow(style) {
    const letters = enlarged(root);
    if (letters === grown.letters) return;
    grown = { letters, across: 1 };
    const context = map.getContext("2d");
    const widthOf = (text, font) => {
      context.font = font;
      return context.measureText(text).width;
    };
    const texts = boxes.flatMap((box) => {
      const [, , w] = places[box.key];
      const labels = box.label.map((text) => [widthOf(text, labelFont(box, 700, style)), w - INSIDE]);
      return [...labels, [widthOf(box.made, madeFont(style)), roomUnder(box)]];
    });
    grown.across = widened(texts, letters);
    resize(map, wide * grown.across, high * letters);
    map.style.minWidth = `${LEAST * grown.across}px`;
  }
  /** Where a box lies on the map as it is now. */
  function placeOf({ key }) {
    const { letters, across } = grown;
    const [x, y, w, h] = places[key];
    return [x * across, y * letters, w * across, h * letters];
  }

  function drawMap(now, style, accent, paper) {
    grow(style);
    const { letters, across } = grown;
    const [above, below, apart] = [arc * letters, high * letters - 4, gap * across];
    const caption = 16 * letters;
    const context = pen(map);
    const way = walk();
    const rows = [way.filter((box) => !isInside(box)), way.filter(isInside)];
    context.strokeStyle = context.fillStyle = style.color;
    context.lineWidth = 1.2;
    for (const row of rows) {
      for (let i = 1; i < row.length; i++) {
        const [x, y, w, h] = placeOf(row[i - 1]);
        arrow(context, x + w, y + h / 2, placeOf(row[i])[0], y + h / 2);
      }
    }
    if (rows[1].length) {
      const [x, y, w, h] = placeOf({ key: "block" });
      const [first, last] = [rows[1][0], rows[1].at(-1)].map(placeOf);
      const [left, right] = [first[0] - apart, last[0] + last[2] + apart];
      const middle = first[1] + first[3] / 2;
      context.globalAlpha = 0.5;
      lineOf(context, [
        [x, y + h + caption],
        [left, above - caption],
        [left, below],
        [right, below],
        [right, above - caption],
        [x + w, y + h + caption],
      ]);
      lineOf(context, [
        [left, above - caption],
        [right, above - caption],
      ]);
      context.globalAlpha = 1;
      arrow(context, left, middle, first[0], middle);
      arrow(context, last[0] + last[2], middle, right, middle);
      for (const [from, to] of arcs.map((ends) => ends.map((x) => x * across))) {
        lineOf(context, [
          [from, middle],
          [from, above],
          [to, above],
        ]);
        arrow(context, to, above, to, first[1]);
      }
    }
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (const box of way) {
      const [x, y, w, h] = placeOf(box);
      const here = box === now;
      const rectangle = (left, top) => {
        context.fillStyle = paper;
        context.fillRect(left, top, w, h);
        context.strokeRect(left, top, w, h);
      };
      context.strokeStyle = style.color;
      context.lineWidth = 1;
      if (box.key === "block" && depth > 1) [6, 3].forEach((step) => rectangle(x + step, y - step));
      rectangle(x, y);
      context.fillStyle = accent;
      context.fillRect(x, y + h - 5, box.bar * across, 5);
      if (here) {
        context.globalAlpha = 0.16;
        context.fillRect(x, y, w, h);
        context.globalAlpha = 1;
        context.strokeStyle = accent;
        context.lineWidth = 3;
        context.strokeRect(x, y, w, h);
      }
      context.fillStyle = style.color;
      context.font = labelFont(box, here ? 700 : 500, style);
      box.label.forEach((text, i) =>
        context.fillText(text, x + w / 2, y + h / 2 - 2 + (i - (box.label.length - 1) / 2) * 14 * letters),
      );
      context.font = madeFont(style);
      context.fillText(box.made, x + w / 2, y + h + 10 * letters, roomUnder(box) * across);
    }
  }

  const painted = new Map();
  /** A table of numbers as a small picture, painted once. */
  function tableOf(box) {
    if (!painted.has(box)) {
      const [down, across] = box.size;
      const levels = tables.subarray(starts.get(box), starts.get(box) + down * across);
      painted.set(
        box,
        plane(across, down, (i, into, at) => into.set(diverging.subarray(3 * levels[i], 3 * levels[i] + 3), at)),
      );
    }
    return painted.get(box);
  }

  function drawShown(box, style, accent) {
    const layout = shownLayout(mostBars, enlarged(root));
    const { letters, names } = layout;
    resize(shown, layout.width, layout.height);
    const context = pen(shown, box.kind === "image" && height > layout.height);
    const whole = Math.min(layout.height / height, layout.width / width);
    if (box.kind === "image") context.drawImage(photo, 0, 0, width * whole, height * whole);
    else if (box.kind === "patches") {
      for (const [from, to, size] of patchPlaces(height, width, patch, layout)) {
        context.drawImage(photo, ...from, patch, patch, ...to, size, size);
      }
    } else if (box.kind === "table") {
      const [down, across] = box.size;
      if (box.key === "feature_map") {
        const scale = Math.min(layout.height / down, layout.width / across);
        context.drawImage(tableOf(box), 0, 0, across * scale, down * scale);
      } else {
        const left = box.class_token ? layout.rows : 0;
        context.drawImage(tableOf(box), left, 0, layout.width - left, down === 1 ? 24 * letters : layout.height);
        context.font = `${13 * letters}px ${style.fontFamily}`; // on a phone the picture is smaller
        context.textBaseline = "top";
        context.fillStyle = style.color;
        if (left) context.fillText("cls", 0, 0);
      }
    } else {
      context.font = `${12 * letters}px ${style.fontFamily}`;
      context.textBaseline = "middle";
      const values = box.bars.map(([, value]) => value);
      barsIn(values, layout).forEach(({ left, top, long, tall, middle, end }, i) => {
        context.fillStyle = accent;
        context.fillRect(left, top, long, tall);
        context.fillStyle = style.color;
        context.textAlign = "right";
        context.fillText(box.bars[i][0], names - 6, middle, names - 8);
        context.textAlign = "left";
        context.fillText(box.key === "softmax" ? percent(values[i]) : decimals(values[i]), end + 5, middle);
      });
    }
  }

  function draw() {
    const now = chosen();
    const style = getComputedStyle(root);
    const accent = style.getPropertyValue("--jp-brand-color1").trim() || "#0b5cad";
    const text = `${now.sentence} Block ${openBlock()} of ${depth} is open.`;
    blockSlider.value = openBlock();
    blockOut.textContent = `${openBlock()} of ${depth}`;
    blockSlider.setAttribute("aria-valuetext", blockOut.textContent);
    heading.textContent = now.heading;
    does.textContent = now.does;
    numbers.show("given", now.given);
    numbers.show("made", now.made);
    numbers.show("held", now.held);
    numbers.show("share", now.part);
    where.textContent = whereOf(now);
    if (code.textContent !== now.code) code.textContent = now.code;
    legend.textContent = legendOf(now);
    drawMap(now, style, accent, style.backgroundColor);
    drawShown(now, style, accent);
    shown.setAttribute("aria-label", `What leaves the box: ${now.heading}`);
    speak(words, text);
    map.setAttribute("aria-label", text);
    const [x, , w] = places[now.key];
    around.scrollLeft = ((x + w / 2) / wide) * around.scrollWidth - around.clientWidth / 2; // where there is no room
  }

  // Pointing and keys
  const boxAt = (x, y) => {
    const keys = walk().map(({ key }) => key);
    return boxUnder(x / grown.across, y / grown.letters, keys, places);
  };
  const show = (box) => box && set(model, { box });
  pointing(map, (x, y) => show(boxAt(x, y)), "never");
  onKeys(root, () => {
    const way = walk();
    const at = way.indexOf(chosen());
    const go = (place) => set(model, { box: way[within(place, 0, way.length - 1)].key });
    const open = (block) => set(model, { block: within(block, 1, depth) });
    return {
      ArrowLeft: () => go(at - 1),
      ArrowRight: () => go(at + 1),
      ArrowUp: () => open(openBlock() - 1),
      ArrowDown: () => open(openBlock() + 1),
      Home: () => go(0),
      End: () => go(way.length - 1),
    };
  });
  return live(model, root, draw);
}

export default { render };
