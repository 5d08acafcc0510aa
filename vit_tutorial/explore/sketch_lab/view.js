// Sketch lab: one draws, and the browser runs the whole model at each stroke.

import {
  behindMore,
  button,
  frame,
  group,
  labelled,
  live,
  make,
  mark,
  newId,
  note,
  onKeys,
  painter,
  panel,
  pen,
  pointer,
  pointing,
  readout,
  roomFor,
  set,
  sheet,
  slider,
  speak,
  thumbnail,
} from "../common.js";
import { goneIn, namesIn, offWords, onPatches, withGone, without } from "../heads_gallery/arithmetic.js";
import {
  arrows,
  bytesOf,
  cellUnder,
  count,
  largestOf,
  longestOf,
  nextOf,
  pages,
  percent,
  shownClasses,
  unpackPictures,
  within,
} from "../numbers.js";
import { answerOf, embed, forward, passOf, probabilitiesOf, vitOf } from "../vit.js";
import {
  adviceOf,
  answerWords,
  brushWords,
  centred,
  cover,
  filled,
  insideWords,
  outlineOf,
  painted,
  pixelsIn,
  textOf,
} from "./arithmetic.js";
import { canvasLayout, cutLayout, mapSize } from "./geometry.js";

const REST = 600; // milliseconds without a change, until a screen reader hears the answer
const THUMB = 44;
const GREY_STEP = 32; // of the keys that make the brush darker and lighter
const UNDONE = 200; // strokes that can be taken back

function render({ model, el }) {
  const sent = model.get("_sent");
  const { classes, usual, empty, widest } = sent;
  const vit = vitOf(sent.vit);
  const { layers, heads, prefix, tokens, patch } = vit;
  const [rows, columns] = vit.grid;
  const [height, width] = [rows * patch, columns * patch];
  const pictures = unpackPictures(sent);
  const starts = new Map([[empty, new Uint8Array(width * height)]]);
  for (const picture of pictures) starts.set(picture.name, picture.pixels);
  const pass = passOf(vit);

  const root = frame(
    el,
    "Sketch lab",
    "draw a piece of clothing on the black square, with the mouse, a finger or the keys, or start from a test picture. " +
      "The model answers while you draw.",
    "What you can do",
  );
  const choose = (changes) => set(model, changes);

  // Strokes. One is one step to take back; its pixels are those before it, mixed with the grey where it has passed.
  const past = []; // drawings to go back to
  let stroke = null;
  let waiting = null; // the frame that will draw what the pointer has done

  function keep(drawing) {
    past.push(drawing);
    if (past.length > UNDONE) past.shift();
  }

  const pixelsNow = (drawing) => starts.get(drawing) ?? pixelsIn(drawing);

  function begin(at) {
    const before = model.get("drawing");
    stroke = { before, base: pixelsNow(before), covered: new Float32Array(width * height), at, kept: false };
    move(at);
  }

  function move(to) {
    cover(stroke.covered, width, stroke.at, to, model.get("brush"));
    stroke.at = to;
  }

  /** Put what the stroke has covered on the canvas, together with other changes. */
  function show(changes = {}) {
    const drawing = textOf(painted(stroke.base, stroke.covered, model.get("grey")));
    if (!stroke.kept && drawing !== stroke.before) {
      keep(stroke.before);
      stroke.kept = true;
    }
    choose({ drawing, ...changes });
  }

  function showPointer() {
    cancelAnimationFrame(waiting);
    waiting = null;
    show({ cursor: layout.pixelAt(stroke.at) });
  }

  function lift() {
    if (waiting !== null) showPointer();
    const wasDown = isDown;
    [stroke, isDown] = [null, false];
    if (wasDown) drawCanvas();
    downButton.setAttribute("aria-pressed", "false");
  }

  /** Put another drawing on the canvas, as one step. */
  function put(drawing) {
    lift();
    if (drawing === model.get("drawing")) return;
    keep(model.get("drawing"));
    choose({ drawing });
  }

  function putPixels(of) {
    const before = pixelsNow(model.get("drawing"));
    const after = of(before, width);
    if (after.some((pixel, i) => pixel !== before[i])) put(textOf(after));
  }

  const fill = () => putPixels((before) => filled(before, width, model.get("grey") || lastGrey));

  function undo() {
    lift();
    if (past.length) choose({ drawing: past.pop() });
  }

  // The brush
  let isDown = false; // whether the keys have put the brush down for good
  let lastGrey = 255; // that is not black
  const change = (changes) => {
    lift();
    choose(changes);
  };
  const setBrush = (brush) => change({ brush: within(brush, 1, widest) });
  const setGrey = (grey) => change({ grey: within(grey, 0, 255) });
  const toggleEraser = () => setGrey(model.get("grey") ? 0 : lastGrey);

  function toggleDown() {
    if (isDown) {
      lift();
      say("Brush up.");
      return;
    }
    begin(layout.middleOf(model.get("cursor")));
    isDown = true;
    downButton.setAttribute("aria-pressed", "true");
    say("Brush down.");
    show();
  }

  function go(cursor) {
    if (!stroke) return choose({ cursor });
    move(layout.middleOf(cursor));
    show({ cursor });
  }

  const layout = canvasLayout(height, width);
  const canvas = sheet(layout.width, layout.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const brushOut = readout();
  const greyOut = readout();
  const brushSlider = slider(1, widest, setBrush);
  const greySlider = slider(0, 255, setGrey);
  const eraser = button("Eraser (e)", toggleEraser);
  const downButton = button("Brush down (p)", toggleDown, { "aria-pressed": "false" });
  const undoButton = button("Undo (z)", undo);
  const keys = make(
    "details",
    { className: "vit-note" },
    make("summary", { textContent: "Keys" }),
    make("p", {
      id: newId("keys"),
      textContent: [
        `Arrow keys: move the brush; with Shift: ${patch} pixels; Home, End: to the first and the last pixel.`,
        "Space: paint; hold it to paint on the way. p: leave the brush down, or lift it.",
        "e: eraser. Minus, Plus: brush width. Comma, Full stop: darker, lighter.",
        "z: undo. x: clear. f: fill. c: centre and scale. n: the next test picture. m: more.",
        `q: the patch under the brush looks${prefix ? "; t: the class token" : ""}. Page Up, Page Down: layer.`,
        `0 to ${Math.min(9, heads - 1)}: switch a head off or on; a: all heads on.`,
      ].join("\n"),
    }),
  );

  canvas.setAttribute("aria-describedby", keys.lastChild.id);

  // The answer
  const answer = make("p", { className: "vit-answer" });
  const answerParts = (name, probability) => [name, make("span", { textContent: percent(probability) })];
  const shownRows = Math.min(sent.bars, classes.length);
  const lines = Array.from({ length: shownRows }, (_, i) => {
    const [name, share, bar] = [make("span"), make("td"), make("span", { className: "vit-bar" })];
    const head = make("th", { scope: "row" }, roomFor(name, namesIn(classes, shownRows, i)));
    return { name, share, bar, line: make("tr", {}, head, make("td", { className: "vit-bars" }, bar), share) };
  });
  const titles = ["class", "bar", "probability"].map((textContent) =>
    make("th", { scope: "col" }, make("span", { className: "vit-heard", textContent })),
  );
  const table = make(
    "table",
    { className: "vit-top vit-answers", "aria-label": "All classes" },
    make("thead", {}, make("tr", {}, ...titles)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  const rated = (answers, first, last) => {
    const box = make("div", { className: "vit-rated" }, answers);
    box.style.setProperty("--vit-first", first);
    box.style.setProperty("--vit-last", last);
    return box;
  };
  const advice = make("p", { className: "vit-advice vit-drawn" });
  const farthest = { filled: 0, long: Math.max(width, height) - 1, off: Math.max(width, height) / 2 }; // has most to hear
  const allAdvice = [null, farthest].map((one) => adviceOf(one, usual, classes.length, false));
  const heard = make("p", { className: "vit-heard" });
  const tool = make("p", { className: "vit-heard", role: "status" });
  const say = (text) => {
    tool.textContent = text;
  };
  /** What a key does to the brush, which is neither in the words nor where the keys are. */
  const aloud = (act) => () => {
    act();
    say(`Brush: ${brushOut.textContent}, ${greyOut.textContent}.`);
  };
  const thumbs = [{ name: empty, channels: 1, height, width, pixels: starts.get(empty) }, ...pictures].map(
    (picture) => ({
      name: picture.name,
      thumb: thumbnail(picture, THUMB, () => put(picture.name)),
    }),
  );
  const startGroup = group("Start from (n: the next one)", ...thumbs.map(({ thumb }) => thumb));
  startGroup.lastChild.className = "vit-picks";
  // The inside
  const inside = (changes) => change({ more: true, ...changes });
  const goLayer = (layer) => inside({ layer: within(layer, 0, layers - 1) });
  const putOff = (off) => inside(String(off) === String(model.get("off")) ? {} : { off });
  const gone = () => goneIn(model.get("off"), model.get("layer"));
  const putGone = (some) => putOff(withGone(model.get("off"), model.get("layer"), some));
  const toggle = (one) => putGone(gone().includes(one) ? gone().filter((other) => other !== one) : [...gone(), one]);
  const layerOut = readout();
  const layerSlider = slider(0, layers - 1, goLayer);
  const classButton = button("Class token (t)", () => inside({ query: 0 }));
  const cut = cutLayout(rows, columns);
  const cutSheet = sheet(cut.width, cut.height, { role: "img", className: "vit-pointing", "aria-label": "Patches" });
  const cutNote = note("");
  const [mapWidth, mapHeight] = mapSize(rows, columns);
  const cards = without(heads).map((one) => {
    const map = sheet(mapWidth, mapHeight, { role: "img", className: "vit-pointing", "aria-label": `Head ${one}` });
    const onOff = button(`Head ${one}`, () => toggle(one));
    const most = note("");
    const box = make("div", {}, onOff, make("div", { className: "vit-map" }, map), most);
    box.style.width = `max(${mapWidth}px, 7em)`; // with room for the words on the button
    return { head: one, map, onOff, most, box };
  });
  const mapsPanel = panel("", make("div", { className: "vit-panels" }, ...cards.map(({ box }) => box)));
  const saidAtMost = classes.map((name) => `${name} ${percent(1)}`);
  const stepNames = ["before 1", ...without(layers).map((block) => `after ${block + 1}`)];
  const steps = stepNames.map((textContent) => {
    const [bar, said] = [make("span", { className: "vit-bar" }), make("span")];
    const name = make("th", { scope: "row", textContent });
    const cell = make("td", {}, roomFor(said, saidAtMost));
    return { bar, said, line: make("tr", {}, name, make("td", { className: "vit-bars" }, bar), cell) };
  });
  const stepsTable = make("table", { className: "vit-top vit-answers" }, ...steps.map(({ line }) => line));
  const cutPanel = panel(`The ${rows * columns} patches it cuts`, cutSheet, cutNote);
  cutPanel.style.width = `${cut.width}px`;
  const stepsPanel = panel(
    "The answer, if it were read after so many blocks",
    rated(stepsTable, 2 + longestOf(stepNames), longestOf(saidAtMost)),
  );
  stepsPanel.style.flex = "0 1 560px";
  const insideParts = [
    make(
      "div",
      { className: "vit-controls" },
      labelled("Layer", layerSlider, layerOut),
      ...(prefix ? [group("Who looks", classButton)] : []),
      group(
        "Switches",
        button("All heads on (a)", () => putOff([])),
      ),
    ),
    make("div", { className: "vit-panels" }, cutPanel, mapsPanel, stepsPanel),
    note(
      "Each map has its own brightest colour. A head that is off adds nothing: its numbers are zero before the output " +
        "projection. An answer before the last block is read through the model's last norm and head.",
      { className: "vit-note vit-wide" },
    ),
  ];

  const warning =
    "A confident answer is not a right one: the bars sum to 100% whatever one draws, and there is no bar for “something " +
    "else”. The model knows what it learned from; a drawing made here is not one of these.";
  const parts = {
    answer: [
      roomFor(
        answer,
        classes.map((name) => answerParts(name, 1)),
      ),
    ],
    canvas: [canvas],
    tools: [
      make(
        "div",
        { className: "vit-controls" },
        labelled("Brush", brushSlider, brushOut),
        labelled("Grey", greySlider, greyOut),
      ),
      make(
        "div",
        { className: "vit-tools" },
        ...[eraser, undoButton, button("Clear (x)", () => put(empty)), button("Fill (f)", fill)],
        ...[button("Centre and scale (c)", () => putPixels(centred)), downButton],
      ),
      keys,
    ],
    bars: [
      rated(table, longestOf(classes) + 1, percent(1).length),
      make("p", { className: "vit-advice", textContent: warning }),
      startGroup,
      roomFor(advice, allAdvice),
    ],
  };
  const sections = Object.entries(parts).map(([area, inside]) => {
    const section = make("section", {}, ...inside);
    section.style.gridArea = area;
    return section;
  });
  root.append(make("div", { className: "vit-sketching" }, make("div", { className: "vit-sketch" }, ...sections)));
  behindMore(model, root, "where it looks, block by block", insideParts, heard);
  root.append(tool);

  // Drawing
  const grey = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));
  const paintPixels = painter(width, height, grey);
  const paintMap = painter(columns, rows, bytesOf(sent.viridis));
  let known = null; // the drawing whose pixels and tokens are there
  let pixels, start, outline, plane;
  let isOver = false; // the pointer

  function markQuery(context, query, across, down) {
    const at = query - prefix;
    if (at >= 0) mark(context, (at % columns) * across + 1, Math.floor(at / columns) * down + 1, across - 2, down - 2);
  }

  function drawCanvas() {
    const context = pen(canvas);
    context.drawImage(plane, 0, 0, layout.width, layout.height);
    const { cell } = layout;
    if (model.get("more")) {
      context.strokeStyle = "rgba(128, 128, 128, 0.55)";
      context.lineWidth = 1;
      context.beginPath();
      for (let row = 1; row < rows; row++) {
        context.moveTo(0, row * patch * cell);
        context.lineTo(layout.width, row * patch * cell);
      }
      for (let column = 1; column < columns; column++) {
        context.moveTo(column * patch * cell, 0);
        context.lineTo(column * patch * cell, layout.height);
      }
      context.stroke();
      markQuery(context, model.get("query"), patch * cell, patch * cell);
    }
    if (!isOver && document.activeElement !== canvas) return;
    const [x, y] = layout.middleOf(model.get("cursor"));
    for (const [style, line] of [
      ["#000000", isDown ? 6 : 4],
      ["#ffffff", isDown ? 3 : 1.5],
    ]) {
      context.strokeStyle = style;
      context.lineWidth = line;
      context.beginPath();
      context.arc(x * cell, y * cell, (model.get("brush") / 2) * cell, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  function drawControls({ drawing, brush, grey: ink }) {
    brushSlider.value = brush;
    brushSlider.setAttribute("aria-valuetext", `${brush} pixel${brush > 1 ? "s" : ""} wide`);
    brushOut.textContent = `${brush} pixel${brush > 1 ? "s" : ""}`;
    greySlider.value = ink;
    greyOut.textContent = ink === 255 ? "white" : ink ? `grey ${ink}` : "black";
    greySlider.setAttribute("aria-valuetext", greyOut.textContent);
    eraser.setAttribute("aria-pressed", String(ink === 0));
    undoButton.classList.toggle("vit-idle", past.length === 0);
    undoButton.setAttribute("aria-disabled", String(past.length === 0));
    for (const { name, thumb } of thumbs) thumb.setAttribute("aria-pressed", String(name === drawing));
  }

  function drawAnswer({ probabilities }) {
    const best = largestOf(probabilities);
    answer.replaceChildren(...answerParts(classes[best], probabilities[best]));
    shownClasses(probabilities, lines.length).forEach((index, i) => {
      const { name, share, bar, line } = lines[i];
      name.textContent = classes[index];
      share.textContent = percent(probabilities[index]);
      bar.style.width = `${100 * probabilities[index]}%`;
      line.className = index === best ? "vit-best" : "";
    });
  }

  function drawInside({ layer, query, seen, isOff, lens }) {
    layerSlider.value = layer;
    layerSlider.setAttribute("aria-valuetext", `layer ${layer}`);
    layerOut.textContent = `${layer} (0 to ${layers - 1})`;
    classButton.setAttribute("aria-pressed", String(query < prefix));
    const who = query < prefix ? "the class token" : `patch ${count(query - prefix)}`;
    mapsPanel.firstChild.textContent = `Layer ${layer}: where ${who} looks, head by head`;
    cutNote.textContent = `Click one, or press q: who looks is ${who}.`;
    cutSheet.setAttribute("aria-label", `The picture in ${rows} rows of ${columns} patches; ${who} looks`);
    const cutContext = pen(cutSheet);
    for (let at = 0; at < rows * columns; at++) {
      const [fromX, fromY] = [(at % columns) * patch, Math.floor(at / columns) * patch];
      cutContext.drawImage(plane, fromX, fromY, patch, patch, ...cut.boxOf(at));
    }
    markQuery(cutContext, query, cut.width / columns, cut.height / rows);
    for (const { head: one, map, onOff, most } of cards) {
      const context = pen(map);
      const weights = seen[one];
      const best = largestOf(weights);
      const off = isOff(one);
      context.drawImage(plane, 0, 0, mapWidth, mapHeight);
      context.globalAlpha = off ? 0.4 : 0.7;
      const colours = paintMap((at) => (weights[best] > 0 ? weights[at] / weights[best] : 0));
      context.drawImage(colours, 0, 0, mapWidth, mapHeight);
      context.globalAlpha = 1;
      markQuery(context, query, mapWidth / columns, mapHeight / rows);
      onOff.textContent = `Head ${one}: ${off ? "off" : "on"}`;
      onOff.setAttribute("aria-pressed", String(!off));
      most.textContent = `up to ${percent(weights[best])}`;
      map.setAttribute("aria-label", `Head ${one}, ${off ? "off" : "on"}: most at patch ${count(best)}`);
    }
    steps.forEach(({ bar, said, line }, block) => {
      const best = largestOf(lens[block]);
      bar.style.width = `${100 * lens[block][best]}%`;
      said.textContent = `${classes[best]} ${percent(lens[block][best])}`;
      line.className = best === largestOf(lens[layers]) ? "vit-best" : "";
    });
  }

  let timer = null;
  function draw() {
    const names = ["drawing", "cursor", "brush", "grey", "more", "layer", "query", "off"];
    const now = Object.fromEntries(names.map((name) => [name, model.get(name)]));
    const { drawing, more, layer, query, off } = now;
    if (now.grey) lastGrey = now.grey;
    if (drawing !== known) {
      known = drawing;
      pixels = pixelsNow(drawing);
      plane = paintPixels((i) => pixels[i] / 255);
      start = embed(vit, pixels);
      outline = outlineOf(pixels, width);
    }
    forward(vit, pass, start, off);
    const named = starts.has(drawing) && drawing !== empty;
    Object.assign(now, { outline, named, classes, probabilities: probabilitiesOf(pass.logits) });
    if (more) {
      Object.assign(now, {
        ...{ prefix, grid: vit.grid, gone: offWords(off, heads) },
        isOff: (one) => goneIn(off, layer).includes(one),
        seen: without(heads).map((one) => onPatches(pass.maps[layer], tokens, prefix, one, query)),
        lens: pass.tokens.map((after) => answerOf(vit, after)),
      });
    }
    drawControls(now);
    drawCanvas();
    drawAnswer(now);
    if (more) drawInside(now);
    const help = adviceOf(outline, usual, classes.length, named);
    const text = answerWords(now) + help + insideWords(now);
    canvas.setAttribute("aria-label", text + brushWords(now.cursor, width));
    clearTimeout(timer);
    const rest = () => {
      advice.textContent = help.trim();
      speak(heard, text);
    };
    if (heard.textContent) timer = setTimeout(rest, REST);
    else rest();
  }

  // Pointing and keys
  const pointOf = (event) => layout.pointAt(...pointer(canvas, event));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    lift();
    canvas.setPointerCapture(event.pointerId);
    begin(pointOf(event));
    show({ cursor: layout.pixelAt(stroke.at) });
  });
  canvas.addEventListener("pointermove", (event) => {
    isOver = event.pointerType === "mouse";
    if (!canvas.hasPointerCapture(event.pointerId) || !stroke) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    for (const one of passed.length ? passed : [event]) move(pointOf(one));
    waiting ??= requestAnimationFrame(showPointer);
  });
  for (const type of ["pointerup", "pointercancel"]) canvas.addEventListener(type, lift);
  canvas.addEventListener("pointerleave", () => {
    isOver = false;
    drawCanvas();
  });
  canvas.addEventListener("focus", drawCanvas);
  canvas.addEventListener("blur", () => {
    lift();
    drawCanvas();
  });
  root.addEventListener("keyup", (event) => event.key === " " && !isDown && lift());
  for (const target of [cutSheet, ...cards.map(({ map }) => map)]) {
    const patchAt = (x, y) => cellUnder(x, y, target.vitWidth, target.vitHeight, rows, columns);
    pointing(target, (x, y) => inside({ query: prefix + patchAt(x, y) }), "never");
  }
  root.addEventListener("keydown", (event) => {
    if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== "z") return;
    undo();
    event.preventDefault();
  });
  onKeys(root, (event) => {
    const {
      cursor,
      brush,
      grey: ink,
      layer,
    } = Object.fromEntries(["cursor", "brush", "grey", "layer"].map((name) => [name, model.get(name)]));
    const far = event.shiftKey ? patch : 1;
    const steps = arrows(cursor, height, width, (next) => {
      const [along, down] = [(next % width) - (cursor % width), Math.floor(next / width) - Math.floor(cursor / width)];
      go(layout.pixelAt([(cursor % width) + far * along, Math.floor(cursor / width) + far * down]));
    });
    const [column, row] = [Math.floor((cursor % width) / patch), Math.floor(cursor / width / patch)];
    const digit = Number(/^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1] ?? heads);
    return {
      ...steps,
      " ": () => {
        if (stroke) return;
        begin(layout.middleOf(cursor));
        show();
      },
      Home: () => go(0),
      End: () => go(width * height - 1),
      p: toggleDown,
      e: aloud(toggleEraser),
      "-": aloud(() => setBrush(brush - 1)),
      "+": aloud(() => setBrush(brush + 1)),
      "=": aloud(() => setBrush(brush + 1)),
      ",": aloud(() => setGrey(ink - GREY_STEP)),
      ".": aloud(() => setGrey(ink + GREY_STEP)),
      z: undo,
      x: () => put(empty),
      f: fill,
      c: () => putPixels(centred),
      n: () => put(nextOf([...starts.keys()], starts.has(known) ? known : empty)),
      q: () => inside({ query: prefix + row * columns + column }),
      ...(prefix ? { t: () => inside({ query: 0 }) } : {}),
      ...pages((by) => goLayer(layer + by)),
      a: () => putOff([]),
      ...(digit < heads ? { [event.key.toLowerCase()]: () => toggle(digit) } : {}),
    };
  });
  return live(model, root, draw);
}

export default { render };
