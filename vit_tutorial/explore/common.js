// What the views of all explorers are drawn with: elements, canvases, keys, and the way to the model.

import { fitted, pixelOf, within } from "./numbers.js";

/** Make an element: make("label", { className: "x", textContent: "y" }, child, ...). */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-") || name === "role" || name === "for") element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

let lastId = 0;

/** A name that no other element of the page has. */
export const newId = (kind) => `vit-${kind}-${++lastId}-${Math.random().toString(36).slice(2, 8)}`;

/** A control with its label above it, tied together so that a screen reader names it. */
export function labelled(text, control, ...after) {
  control.id = newId("control");
  return make(
    "div",
    { className: "vit-field" },
    make("label", { for: control.id, textContent: text }),
    make("span", {}, control, ...after),
  );
}

/** Buttons or choices under a title that names all of them. */
export function group(title, ...controls) {
  const heading = make("span", { className: "vit-title", textContent: title, id: newId("title") });
  const named = { className: "vit-field", role: "group", "aria-labelledby": heading.id };
  return make("div", named, heading, make("span", {}, ...controls));
}

/** A button. */
export function button(text, onClick, properties = {}) {
  const element = make("button", { type: "button", textContent: text, ...properties });
  element.addEventListener("click", onClick);
  return element;
}

/** A button that shows a picture, its longer side so many CSS pixels, with its name below. */
export function thumbnail(picture, side, onClick) {
  const [width, height] = fitted(picture, side);
  const canvas = sheet(width, height, { "aria-hidden": "true" });
  pen(canvas).drawImage(plane(picture.width, picture.height, pixelOf(picture)), 0, 0, width, height);
  const element = button("", onClick, { className: "vit-thumb" });
  element.append(canvas, make("span", { textContent: picture.name }));
  return element;
}

/** A list to choose from; a choice is a text, or [value, text]. */
export function chooser(choices, onChoose) {
  const select = make("select");
  fill(select, choices);
  select.addEventListener("change", () => onChoose(select.value));
  return select;
}

/** Put the choices, texts or [value, text], into a list, and leave the list alone if it has them already. */
export function fill(select, choices) {
  const key = JSON.stringify(choices);
  if (select.dataset.key === key) return;
  select.dataset.key = key;
  const options = choices.map((choice) => (typeof choice === "string" ? [choice, choice] : choice));
  select.replaceChildren(...options.map(([value, text]) => make("option", { value, textContent: text })));
}

/** A slider over whole numbers. */
export function slider(least, most, onSlide) {
  const input = make("input", { type: "range", min: least, max: most, step: 1 });
  input.addEventListener("input", () => onSlide(Number(input.value)));
  return input;
}

/** What a slider stands at, beside it: the slider says it to a screen reader. */
export const readout = () => make("output", { "aria-live": "off" });

/** A box to tick with its text beside it. */
export function checkbox(text, onTick) {
  const box = make("input", { type: "checkbox" });
  box.addEventListener("change", () => onTick(box.checked));
  return { box, label: make("label", { className: "vit-tick" }, box, text) };
}

/** The outer box of an explorer; keys pressed inside it stay inside it, and a click anywhere in it brings them there. */
export function frame(el, name, lookFor, lead = "What to look for") {
  const root = make("div", {
    className: "vit-lab",
    role: "group",
    tabIndex: -1,
    "aria-label": name,
    "data-lm-suppress-shortcuts": "true",
  });
  root.addEventListener("keydown", (event) => event.stopPropagation());
  root.append(make("p", { className: "vit-look" }, make("strong", { textContent: `${lead}: ` }), lookFor));
  el.append(root);
  return root;
}

/** A canvas of width x height CSS pixels, sharp on any screen. */
export function sheet(width, height, properties = {}) {
  const canvas = make("canvas", properties);
  resize(canvas, width, height);
  return canvas;
}

/** How many pixels of the screen a CSS pixel is wide, at least 1: more where the page is zoomed. */
export const sharpness = () => Math.max(1, window.devicePixelRatio || 1);

/** Give a canvas a size in CSS pixels, and let its drawing units be CSS pixels. */
export function resize(canvas, width, height) {
  const sharp = sharpness();
  if (canvas.vitWidth === width && canvas.vitHeight === height && canvas.vitSharp === sharp) return;
  Object.assign(canvas, { vitWidth: width, vitHeight: height, vitSharp: sharp });
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.width = `${width}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
}

/** The context of a cleared canvas, in CSS pixels; `smooth` blurs enlarged pixels. */
export function pen(canvas, smooth = false) {
  resize(canvas, canvas.vitWidth, canvas.vitHeight); // for a page that was zoomed
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.setTransform(canvas.vitSharp, 0, 0, canvas.vitSharp, 0, 0);
  context.imageSmoothingEnabled = smooth;
  context.imageSmoothingQuality = "high";
  return context;
}

/**
 * A box in which a canvas, or a table, is moved sideways where there is less room than it takes, or `least` CSS pixels:
 * with the arrow keys too, unless what is in it has keys of its own.
 */
export function sideways(wide, least = 0) {
  wide.style.minWidth = `${least}px`;
  const box = make("div", { className: "vit-sideways", role: "group", "aria-label": "moves sideways" }, wide);
  new ResizeObserver(() => {
    const isReached = box.scrollWidth > box.clientWidth && !box.querySelector("[tabindex]");
    if (isReached) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }).observe(box);
  return box;
}

/** Move the box of a canvas, where there is too little room, until this `x` is in sight; once for each `x` and width. */
export function bringIntoSight(canvas, x) {
  const box = canvas.parentElement;
  const sought = `${x} ${box.clientWidth}`;
  if (canvas.vitSought === sought) return;
  canvas.vitSought = sought;
  const at = (x / canvas.vitWidth) * canvas.clientWidth - box.scrollLeft;
  if (at < 0 || at > box.clientWidth) box.scrollLeft += at - box.clientWidth / 2;
}

/** How many CSS pixels wide a canvas may be that lies across an explorer: `most`, or what room there is. */
export const roomIn = (root, most) => (root.clientWidth ? Math.min(most, root.clientWidth - 32) : most);

/** How many times as large as usual the letters of an explorer are: those on its canvases grow with them. */
export const enlarged = (root) => (Number.parseFloat(getComputedStyle(root).fontSize) || 13) / 13;

/** What a drawing depends on beside the state: how wide an explorer is, its letters' size, and the zoom. */
const surroundings = (root) => `${root.clientWidth} ${enlarged(root)} ${sharpness()}`;

/** Where the pointer is, in the canvas' own CSS pixels. */
export function pointer(canvas, event) {
  const box = canvas.getBoundingClientRect();
  return [
    ((event.clientX - box.left) * canvas.vitWidth) / box.width,
    ((event.clientY - box.top) * canvas.vitHeight) / box.height,
  ];
}

const TAP = 10; // CSS pixels that a finger may move and still point at one place

/**
 * Take places on a canvas: `take(x, y)`, in its own CSS pixels, where a mouse or a pen is pressed, and `along` its way:
 * while it is "pressed", "always", or "never". A finger may want to scroll the page. So it takes a place where it is
 * lifted and has not moved, and its way only where it goes sideways, if the page does not.
 */
export function pointing(canvas, take, along = "pressed") {
  const here = (event) => take(...pointer(canvas, event));
  let finger = null; // where it came down, until it is lifted or the page moves
  canvas.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") here(event);
    else finger = { x: event.clientX, y: event.clientY, isMoving: false };
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") {
      if (along === "always" || (along === "pressed" && event.buttons & 1)) here(event);
    } else if (finger && along !== "never") {
      const [across, down] = [event.clientX - finger.x, event.clientY - finger.y].map(Math.abs);
      finger.isMoving ||= across > TAP && across > down;
      if (finger.isMoving) here(event);
    }
  });
  canvas.addEventListener("pointerup", (event) => {
    const isTap = finger && Math.hypot(event.clientX - finger.x, event.clientY - finger.y) <= TAP;
    if (isTap && !finger.isMoving) here(event);
    finger = null;
  });
  canvas.addEventListener("pointercancel", () => {
    finger = null;
  });
}

/** A frame that is seen on every background: dark outside, light inside. */
export function mark(context, x, y, width, height, thick = 2) {
  context.lineJoin = "miter";
  for (const [style, line, out] of [
    ["#000000", thick + 2, 0],
    ["#ffffff", thick, 0],
  ]) {
    context.strokeStyle = style;
    context.lineWidth = line;
    context.strokeRect(x - out, y - out, width + 2 * out, height + 2 * out);
  }
}

/** The font of `tag`. */
export const tagFont = (size) => `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;

/** A short text that is read on every background; pressed together if it is wider than `most`. */
export function tag(context, text, x, y, size, most) {
  context.font = tagFont(size);
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = Math.max(2, size / 4);
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.fillStyle = "#ffffff";
  context.strokeText(text, x, y, most);
  context.fillText(text, x, y, most);
}

/** A canvas that holds a picture pixel by pixel; `colourAt(i)` writes pixel i into the array. */
export function plane(width, height, colourAt) {
  const canvas = make("canvas", { width, height });
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    colourAt(i, image.data, 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** A canvas that holds the 256 colours of a palette side by side. */
function paletteStrip(palette) {
  return plane(256, 1, (i, into, at) => into.set(palette.subarray(3 * i, 3 * i + 3), at));
}

/** The 256 colours of a palette as a bar with texts below it. */
export function legend(palette, width, ...texts) {
  const scale = sheet(width, 10, { "aria-hidden": "true" });
  pen(scale, true).drawImage(paletteStrip(palette), 0, 0, width, 10);
  const element = make("div", { className: "vit-scale" }, scale, ...texts);
  element.style.maxWidth = `${width}px`;
  return element;
}

/**
 * A function that colours a small canvas, always the same one: `shareAt(i)` places pixel i between the ends of the
 * palette, 0 to 1, and `alphaAt(i)` says how opaque it is.
 */
export function painter(columns, rows, palette) {
  const canvas = make("canvas", { width: columns, height: rows });
  const image = new ImageData(columns, rows);
  return (shareAt, alphaAt = () => 1) => {
    for (let i = 0; i < columns * rows; i++) {
      const level = 3 * within(Math.round(shareAt(i) * 255), 0, 255);
      image.data.set(palette.subarray(level, level + 3), 4 * i);
      image.data[4 * i + 3] = 255 * alphaAt(i);
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    return canvas;
  };
}

/** A canvas that holds a picture without its colours. */
export function greyPlane(picture) {
  const write = pixelOf(picture);
  return plane(picture.width, picture.height, (i, into, at) => {
    write(i, into, at);
    into.fill((into[at] + into[at + 1] + into[at + 2]) / 3, at, at + 3);
  });
}

/** Pairs of a name and a number that can be changed in place: table.show("tokens", "196"). */
export function numberTable(names) {
  const list = make("dl", { className: "vit-numbers" });
  const cells = {};
  for (const [key, text] of names) {
    cells[key] = make("dd");
    list.append(make("dt", { textContent: text }), cells[key]);
  }
  const show = (key, text) => {
    if (cells[key].textContent !== text) cells[key].textContent = text;
  };
  return { list, show };
}

/** A table whose headings and cells can be changed in place: a heading for each column and each of so many lines. */
export function headedTable(className, columns, lines, properties = {}) {
  const heads = columns.map((textContent) => make("th", { scope: "col", textContent }));
  const rows = Array.from({ length: lines }, () => {
    const name = make("th", { scope: "row" });
    const cells = heads.map(() => make("td"));
    return { name, cells, line: make("tr", {}, name, ...cells) };
  });
  const head = make("thead", {}, make("tr", {}, make("td"), ...heads));
  const table = make("table", { className, ...properties }, head, make("tbody", {}, ...rows.map(({ line }) => line)));
  return { table, heads, rows };
}

const TWINS = 12; // of many texts the longest

/**
 * A box for `shown`, at any width as high as it would be with the highest of these texts, so that nothing below it moves.
 * A text is a string, or an array of elements; the others are in the box too, unseen and unheard. Of many the longest
 * stand for all.
 */
export function roomFor(shown, texts) {
  const lengthOf = (text) => [text].flat().reduce((sum, part) => sum + (part.textContent ?? part).length, 0);
  const longest = [...new Set(texts)].sort((one, other) => lengthOf(other) - lengthOf(one)).slice(0, TWINS);
  const twins = longest.map((text) => {
    const twin = shown.cloneNode();
    twin.removeAttribute("id");
    twin.append(...[text].flat());
    return twin;
  });
  const box = make("div", { className: "vit-room" });
  shown.replaceWith(box); // if it is somewhere already
  box.append(shown, ...twins);
  return box;
}

/** A small line of text below a picture. */
export const note = (text, changes = {}) => make("p", { className: "vit-note", textContent: text, ...changes });

/** A titled part of an explorer; a table in it that has no name of its own is called by the title. */
export function panel(title, ...children) {
  const heading = make("div", { className: "vit-heading", textContent: title, id: newId("heading") });
  const section = make("section", { className: "vit-panel" }, heading, ...children);
  section.querySelector("table:not([aria-label])")?.setAttribute("aria-labelledby", heading.id);
  return section;
}

// What a control does itself with the keys that are pressed on it.
const OWN_KEYS = [
  ["select, input[type=number]", /./],
  ["input[type=range], pre, .vit-sideways", /^(Arrow|Home|End|Page)/],
  ["button, summary, input[type=checkbox]", /^( |Enter)$/],
];

/**
 * Answer keys pressed anywhere in an explorer. `actionsOf(event)` gives an action for each key it knows, letters in lower
 * case; a key with Ctrl, Alt or Meta, without an action, or that the control under it needs, is left to the page.
 */
export function onKeys(root, actionsOf) {
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (OWN_KEYS.some(([controls, keys]) => event.target.matches(controls) && keys.test(event.key))) return;
    const action = actionsOf(event)[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    action();
    event.preventDefault();
  });
}

/**
 * Write what an explorer shows in words, a sentence an element: a screen reader reads out those that change, and nothing
 * of what an explorer opens on, or is drawn again for another theme.
 */
export function speak(words, text) {
  const sentences = text.split(/(?<=[.:] )/);
  sentences.forEach((sentence, i) => {
    const said = words.children[i] ?? words.appendChild(make("span"));
    if (said.textContent !== sentence) said.textContent = sentence;
  });
  while (words.children.length > sentences.length) words.lastChild.remove();
  words.setAttribute("aria-live", "polite");
}

const openers = new WeakMap(); // by the outer box of an explorer: what shows whether its "More" is open

/**
 * Put the parts that an explorer does not open on behind one button, "More: the matrix (m)" if `what` is "the matrix".
 * The trait `more` says whether they are shown. The words stand below them; a screen reader has these either way.
 */
export function behindMore(model, root, what, parts, words) {
  const inside = make("div", { className: "vit-more", id: newId("more") }, ...parts);
  const toggle = () => set(model, { more: !model.get("more") });
  const opener = button(`More: ${what} (m)`, toggle, { className: "vit-opener", "aria-controls": inside.id });
  root.append(make("div", { className: "vit-below" }, opener), inside, words);
  onKeys(root, () => ({ m: toggle }));
  let roomy = ""; // the surroundings for which the words keep the room that they have taken
  openers.set(root, () => {
    const more = model.get("more");
    opener.setAttribute("aria-expanded", String(more));
    if (!more && inside.contains(document.activeElement)) opener.focus(); // what is hidden loses the keys
    inside.hidden = !more;
    if (!words.classList.contains("vit-words")) return;
    words.classList.toggle("vit-heard", !more);
    if (!more) return;
    const found = surroundings(root);
    words.style.setProperty("--vit-kept", found === roomy ? `${words.getBoundingClientRect().height}px` : 0);
    roomy = found;
  });
}

const changing = new WeakSet(); // models between the first and the last of the traits that change together
const views = new WeakMap(); // what draws each model

/** Draw now, and whenever the surroundings, the state or the theme change; returns the way to stop. */
export function live(model, root, drawAll) {
  function draw() {
    openers.get(root)?.();
    drawAll();
  }
  draw();
  let drawnFor = "";
  function look() {
    const found = surroundings(root);
    if (found !== drawnFor) draw();
    drawnFor = found;
  }
  const size = new ResizeObserver(look);
  size.observe(root);
  addEventListener("resize", look); // a zoom may leave an explorer as many CSS pixels as before
  const follow = () => changing.has(model) || draw();
  model.on("change", follow);
  views.set(model, draw);
  const theme = new MutationObserver(draw);
  theme.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-name", "data-jp-theme-light"] });
  return () => {
    model.off("change", follow);
    views.delete(model);
    theme.disconnect();
    size.disconnect();
    removeEventListener("resize", look);
  };
}

/** Change traits together, draw once, and tell the kernel; nothing happens where nothing would change. */
export function set(model, changes) {
  const changed = Object.entries(changes).filter(([name, value]) => model.get(name) !== value);
  if (changed.length === 0) return;
  changing.add(model);
  for (const [name, value] of changed) model.set(name, value);
  changing.delete(model);
  views.get(model)?.();
  model.save_changes();
}
