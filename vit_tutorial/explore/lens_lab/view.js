// Lens lab: the browser runs the model, reads every token after every block, and exchanges tokens of two pictures.

import {
  behindMore,
  bringIntoSight,
  button,
  enlarged,
  frame,
  greyPlane,
  group,
  headedTable,
  labelled,
  live,
  make,
  mark,
  note,
  onKeys,
  panel,
  pen,
  pointing,
  readout,
  resize,
  roomFor,
  roomIn,
  set,
  sheet,
  sideways,
  slider,
  speak,
  tag,
  tagFont,
  thumbnail,
} from "../common.js";
import {
  arrows,
  bestClass,
  count,
  largestOf,
  nextOf,
  pages,
  percent,
  shownClasses,
  unpackPictures,
  within,
} from "../numbers.js";
import { vitOf } from "../vit.js";
import { blockName, lensOf, tokenName, verdictOf, wordsOf } from "./arithmetic.js";
import {
  barsOf,
  firstLines,
  linesOf,
  pictureLayout,
  SIDE,
  STRIP,
  shortened,
  stripLayout,
  wrapped,
} from "./geometry.js";

const OWN = "#2a7de1"; // the answer to the picture
const OTHER = "#d26f00"; // the answer to the other one
const NEITHER = "#8a8a8a";
const DARK = "#222222"; // what lies over a patch that says something else
const THUMB = 44;
const WRITTEN = 36; // from this width on, a patch has room for what it says
const INSIDE = 6; // what the frame of the chosen patch takes from its width and height, and some room
const NARROW = 60; // below this width, a column of the strip has smaller letters
const SMALLEST = 10; // letters of a name below a bar
const LEAST = 9; // letters on a patch; what is too long for them is shortened
const DEEPEST = 4; // lines of a name below a bar
const COLUMN = 40; // the width of a column of the strip that has no room for all: it is moved sideways
const PRESSED = 1.05; // how much wider than its column a line may be, and be pressed together
const HOLLOW = 2; // the line around a bar that is not filled
const ANSWERS = ["the model's answer", "the answer (thin: without)"];

function render({ model, el }) {
  const sent = model.get("_sent");
  const { names, classes, exchanges } = sent;
  const hasOthers = names.length > 1;
  const vit = vitOf(sent.vit);
  const { layers, prefix, tokens } = vit;
  const [rows, columns] = vit.grid;
  const pictures = unpackPictures(sent);
  const greys = new Map(pictures.map((picture) => [picture.name, greyPlane(picture)]));
  const stateOf = lensOf(vit, (name) => pictures[names.indexOf(name)].pixels);

  const whoKnows = prefix ? "the class token know the answer, and when do the patches" : "each patch know the answer";
  const root = frame(
    el,
    "Lens lab",
    `go through the blocks. When does ${whoKnows}?${
      hasOthers ? " Then open More, and exchange tokens for another picture's: whose answer does the model give?" : ""
    }`,
    "What you can do",
  );

  // Controls
  const choose = (changes) => set(model, changes);
  const goTo = (block) => choose({ block: within(block, 0, layers) });
  let lastPatch = prefix + Math.floor(rows / 2) * columns + Math.floor(columns / 2);
  const toggleClass = () => choose({ token: model.get("token") < prefix ? lastPatch : 0 });
  const toggleExchange = (exchange) => choose({ exchange: model.get("exchange") === exchange ? "nothing" : exchange });
  const blockOut = readout();
  const blockSlider = slider(0, layers, goTo);
  const classButton = button("Class token (c)", toggleClass);
  const show = (picture) => choose({ picture });
  const lend = (other) => {
    const exchange = model.get("exchange");
    choose({ other, exchange: exchange === "nothing" ? "this token" : exchange });
  };
  const [thumbs, others] = [show, lend].map((take) =>
    pictures.map((picture) => thumbnail(picture, THUMB, () => take(picture.name))),
  );
  const exchangeButtons = exchanges.map((exchange) => button("", () => choose({ exchange })));
  const exchangeGroup = group("", ...exchangeButtons);
  const lenders = group("for another picture's (o: the next one)", ...others);
  const shownGroup = group(hasOthers ? "Picture (n: the next one)" : "Picture", ...thumbs);
  for (const one of [shownGroup, lenders]) one.lastChild.className = "vit-picks";
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      shownGroup,
      labelled("Blocks done", blockSlider, blockOut),
      ...(prefix ? [group("Who speaks", classButton)] : []),
    ),
  );

  // The picture with what each token says; the chosen token block by block; all classes
  let layout = pictureLayout(vit);
  const classLines = classes.flatMap(linesOf);
  const deepest = Math.min(DEEPEST, Math.max(...classes.map((name) => linesOf(name).length)));
  const pictureSheet = sheet(layout.width, layout.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const strip = sheet(STRIP, STRIP, { role: "img", className: "vit-pointing" });
  let columnsOf = stripLayout(STRIP, layers);
  const verdict = make("p", { className: "vit-reading" });
  const sayer = make("div", { className: "vit-heading" });
  const said = make("p", { className: "vit-answer" });
  const {
    table,
    heads,
    rows: lines,
  } = headedTable("vit-top vit-lens", ["", ""], Math.min(sent.bars, classes.length), {
    "aria-label": "All classes",
  });
  const [speaker, answerTitle] = heads.map((head) => head.appendChild(make("span")));
  const bars = lines.map(({ cells }) =>
    cells.map((cell) => {
      const [number, thick, thin] = ["span", "span", "span"].map((tagName) => make(tagName));
      thick.className = thin.className = "vit-bar";
      cell.append(number, make("div", {}, thick, thin));
      return { number, thick, thin };
    }),
  );
  const hollow = note("Hollow bars: without the exchange.");
  const legend = make("div", { className: "vit-key" });
  const picturePanel = panel("", pictureSheet, legend);
  picturePanel.style.width = `${layout.width}px`;
  const stripPanel = panel("", sideways(strip), hollow, make("div", { className: "vit-lensed" }, table));
  stripPanel.style.width = `calc(${STRIP} * var(--vit-px))`;
  const [pictureTitle, stripTitle, exchangeTitle] = [picturePanel, stripPanel, exchangeGroup].map(
    (one) => one.firstChild,
  );
  const words = make("p", { className: "vit-words" });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      picturePanel,
      make(
        "section",
        { className: "vit-beside" },
        ...[sayer, said, verdict],
        note(
          `Click a token, or use the arrow keys; Home, End: the first and the last${prefix ? "; c: the class token" : ""}. ` +
            `Page Up, Page Down, or 0 to ${Math.min(9, layers)}: blocks done. A token says a class as the answer is made: ` +
            "through the model's last norm and head.",
        ),
      ),
    ),
  );
  const toExchange = [
    make("div", { className: "vit-controls" }, exchangeGroup, lenders),
    note("x: exchange this token; p: all patches.", { className: "vit-note vit-help" }),
  ];
  const inside = [...(hasOthers ? toExchange : []), stripPanel];
  behindMore(model, root, `${hasOthers ? "exchange tokens, " : ""}block by block, all classes`, inside, words);

  // What changes has the room of the most that it can say
  const shortName = (token) => (token < prefix ? "class token" : `patch ${count(token - prefix)}`);
  const pictureTitleOf = (when) => `What each token says ${when}`;
  const exchangeTitleOf = (when) => `Exchange ${when}`;
  const stripTitleOf = (token) => {
    const who = tokenName(token, vit);
    return `${who[0].toUpperCase()}${who.slice(1)} after each block: the class that it says`;
  };
  const entryOf = (colour, answer, picture) => {
    const swatch = make("span", { textContent: "■" });
    swatch.style.color = colour;
    return make("span", {}, swatch, ` ${answer}, the answer to ${picture}`);
  };
  const whens = Array.from({ length: layers + 1 }, (_, block) => blockName(block));
  const longest = classes.reduce((one, other) => (other.length > one.length ? other : one));
  const everyone = [...(prefix ? [0] : []), tokens - 1]; // a patch of a large number stands for all patches
  const everySaying = (sayingOf) => whens.flatMap((when) => everyone.map((token) => sayingOf(shortName(token), when)));
  roomFor(pictureTitle, whens.map(pictureTitleOf));
  roomFor(exchangeTitle, whens.map(exchangeTitleOf));
  roomFor(stripTitle, everyone.map(stripTitleOf));
  roomFor(
    sayer,
    everySaying((who, when) => `${who} ${when} says`),
  );
  roomFor(
    said,
    classes.map((name) => `${name} 100.0%`),
  );
  roomFor(
    verdict,
    classes.map((name) => `The model answers ${name} 100.0% instead of ${name} 100.0%.`),
  );
  roomFor(
    legend,
    names.map((name) => [OWN, OTHER].slice(0, names.length).map((colour) => entryOf(colour, longest, name))),
  );
  roomFor(
    speaker,
    everySaying((who, when) => `${who}, ${when}`),
  );
  roomFor(answerTitle, ANSWERS);

  /** The colour of a class: that of the answer, or of the answer to the other picture; all others have none. */
  function colourOf(index, { untouched, lender, exchange }) {
    if (index === largestOf(untouched.answer)) return OWN;
    return exchange !== "nothing" && index === largestOf(lender.answer) ? OTHER : null;
  }

  function drawControls({ picture, other, block, token, exchange }) {
    thumbs.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(names[i] === picture)));
    lenders.classList.toggle("vit-idle", exchange === "nothing");
    others.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(names[i] === other)));
    blockSlider.value = block;
    blockSlider.setAttribute("aria-valuetext", blockName(block));
    blockOut.textContent = `${block} (0 to ${layers})`;
    classButton.setAttribute("aria-pressed", String(token < prefix));
    exchangeTitle.textContent = exchangeTitleOf(blockName(block));
    const short = shortName(token);
    const texts = ["nothing", `${short} (x)`, "all patches (p)"];
    exchangeButtons.forEach((one, i) => {
      one.textContent = texts[i];
      one.setAttribute("aria-pressed", String(exchanges[i] === exchange));
    });
    sayer.textContent = `${short} ${blockName(block)} says`;
    pictureTitle.textContent = pictureTitleOf(blockName(block));
    stripTitle.textContent = stripTitleOf(token);
    speaker.textContent = `${short}, ${blockName(block)}`;
    answerTitle.textContent = ANSWERS[exchange === "nothing" ? 0 : 1];
    hollow.style.visibility = exchange === "nothing" ? "hidden" : "visible"; // its room stays
  }

  function drawLegend({ picture, other, exchange, untouched, lender }) {
    const [own, others] = [untouched, lender].map(({ answer }) => largestOf(answer));
    legend.replaceChildren(
      entryOf(OWN, classes[own], picture),
      ...(exchange !== "nothing" && own !== others ? [entryOf(OTHER, classes[others], other)] : []),
    );
  }

  function drawPicture(shown) {
    const { picture, other, block, token: chosen, lens, exchanged } = shown;
    const letters = enlarged(root);
    layout = pictureLayout(vit, roomIn(root, SIDE), letters);
    resize(pictureSheet, layout.width, layout.height);
    const context = pen(pictureSheet);
    const { width, side, top, boxOf } = layout;
    const sizeFor = (...given) => sizeIn(context, tagFont, ...given);
    const nameSize = Math.max(LEAST, sizeFor(classLines, 10 * letters, boxOf(prefix)[2] - INSIDE));
    const lineHeight = 1.2 * nameSize;
    context.drawImage(greys.get(picture), 0, top, width, side);
    for (let token = 0; token < tokens; token++) {
      const said = lens[block][token];
      const best = largestOf(said);
      const colour = colourOf(best, shown);
      const [x, y, across, down] = boxOf(token);
      const lent = exchanged.includes(token);
      if (token < prefix) {
        context.fillStyle = DARK;
        context.fillRect(x, y, across, down);
      } else if (lent) {
        const grey = greys.get(other);
        const [wide, high] = [grey.width / columns, grey.height / rows];
        const patch = token - prefix;
        const corner = [(patch % columns) * wide, Math.floor(patch / columns) * high];
        context.drawImage(grey, ...corner, wide, high, x, y, across, down);
      }
      const veil = [DARK, colour ? 0.25 : 0.65]; // so dark that white letters are read on a white patch
      for (const [style, alpha] of colour ? [veil, [colour, 0.4 + 0.5 * said[best]]] : [veil]) {
        context.globalAlpha = alpha;
        context.fillStyle = style;
        context.fillRect(x + 0.5, y + 0.5, across - 1, down - 1);
      }
      context.globalAlpha = 1;
      const middle = [x + across / 2, y + down / 2];
      if (token < prefix) {
        const textOf = (name, share) => `class token${lent ? ` of ${other}` : ""}: ${name} ${percent(share)}`;
        const size = Math.max(LEAST, sizeFor([textOf(longest, 1)], 15 * letters, across - 8));
        context.font = tagFont(size);
        const name = shortened(classes[best], (text) => context.measureText(textOf(text, 1)).width <= across - 8);
        tag(context, textOf(name, said[best]), ...middle, size, across - 8);
      } else if (across >= WRITTEN) {
        context.font = tagFont(nameSize);
        const room = across - (token === chosen ? INSIDE : 2);
        const fits = (line) => context.measureText(line).width <= room;
        const whose = exchanged.length === 1 && lent ? wrapped(`of ${other}`, fits) : [];
        const most = Math.max(1, Math.floor((down - INSIDE) / nameSize));
        const lines = firstLines([...whose, ...linesOf(classes[best])], most);
        const apart = Math.min(lineHeight, (down - INSIDE) / lines.length);
        lines.forEach((line, i) => {
          tag(context, shortened(line, fits), middle[0], middle[1] + apart * (i - (lines.length - 1) / 2), nameSize);
        });
      }
    }
    const [x, y, across, down] = boxOf(chosen);
    const [left, above] = [Math.max(2, x - 1), Math.max(2, y - 1)]; // around it, where the edge leaves room
    const [right, below] = [Math.min(width - 2, x + across + 1), Math.min(layout.height - 2, y + down + 1)];
    mark(context, left, above, right - left, below - above);
  }

  const widths = new Map(); // of the widest of some texts, by font: to measure 1,000 takes longer than to draw
  function widestIn(context, texts) {
    const key = `${context.font} ${texts.length} ${texts[0]}`;
    if (!widths.has(key)) widths.set(key, Math.max(...texts.map((text) => context.measureText(text).width)));
    return widths.get(key);
  }

  /** A size of letters, made smaller where the widest of some texts has less room. */
  function sizeIn(context, fontOf, texts, size, room) {
    context.font = fontOf(size);
    return size * Math.min(1, room / widestIn(context, texts));
  }

  /** A bar that is not filled, on whole pixels so that its line is as dark as it can be. */
  function drawHollow(context, x, width, floor, height, colour) {
    const [left, right, top] = [x, x + width, floor - height].map(Math.round);
    const half = HOLLOW / 2;
    context.strokeStyle = colour;
    context.lineWidth = HOLLOW;
    context.strokeRect(left + half, top + half, right - left - HOLLOW, floor - top - half);
  }

  function drawStrip(shown) {
    const { block: chosen, token, exchange, lens, untouched } = shown;
    const letters = enlarged(root);
    const room = Math.max(roomIn(root, STRIP * letters), COLUMN * (layers + 1));
    columnsOf = stripLayout(room, layers, deepest, letters);
    const { step, leftOf, floor, bar: longest, line: lineHeight, names: under, height } = columnsOf;
    resize(strip, room, height);
    strip.style.minWidth = `${room}px`;
    bringIntoSight(strip, leftOf(chosen) + step / 2);
    const context = pen(strip);
    const style = getComputedStyle(root);
    const weight = step < NARROW * letters ? 400 : 600;
    const fontOf = (size, weight = 400) => `${weight} ${size}px ${style.fontFamily}`;
    const sizeFor = (...given) => sizeIn(context, (size) => fontOf(size, weight), ...given);
    const largest = (step < NARROW * letters ? 11 : 12) * letters;
    const nameSize = within(sizeFor(classLines, largest, step - 4), SMALLEST, largest);
    const size = within(sizeFor(["100.0%"], largest, step - 2), SMALLEST, largest);
    context.textAlign = "center";
    context.textBaseline = "middle";
    for (let block = 0; block <= layers; block++) {
      const [left, middle] = [leftOf(block), leftOf(block) + step / 2];
      if (block === chosen) {
        context.fillStyle = style.color;
        context.globalAlpha = 0.06; // bars stand out from it 3 to 1
        context.fillRect(left + 1, 0, step - 2, height);
        context.globalAlpha = 1;
      }
      const said = lens[block][token];
      const best = largestOf(said);
      const differs = exchange !== "nothing" && block >= chosen;
      const { wide, thin } = barsOf(differs);
      const [above, high] = [left + (step * (wide[0] + wide[1])) / 2, longest * said[best]];
      context.fillStyle = colourOf(best, shown) ?? NEITHER;
      context.fillRect(left + wide[0] * step, floor - high, (wide[1] - wide[0]) * step, high);
      if (differs) {
        const before = untouched.lens[block][token];
        const was = largestOf(before);
        const colour = colourOf(was, shown) ?? NEITHER;
        drawHollow(context, left + thin[0] * step, (thin[1] - thin[0]) * step, floor, longest * before[was], colour);
      }
      context.fillStyle = style.color;
      context.font = fontOf(size);
      context.fillText(percent(said[best]), above, floor - high - 9 * letters, step - 2);
      context.font = fontOf(nameSize, weight);
      const fits = (line) => context.measureText(line).width <= PRESSED * (step - 2);
      firstLines(linesOf(classes[best]), deepest).forEach((line, i) => {
        context.fillText(shortened(line, fits), middle, under + lineHeight * i, step - 2);
      });
      context.font = fontOf(Math.min(12 * letters, size * 1.1), block === chosen ? 700 : 400);
      context.fillText(block ? String(block) : "start", middle, height - 12 * letters);
    }
    context.fillStyle = style.color;
    context.globalAlpha = 0.5;
    context.fillRect(0, floor, strip.vitWidth, 1);
    context.globalAlpha = 1;
    const course = lens.map((said, block) => `${block} ${bestClass(said[token], classes)}`);
    strip.setAttribute("aria-label", `After so many blocks: ${course.join(", ")}`);
  }

  function drawBars(shown) {
    const { block, token, exchange, lens, answer, untouched, lender } = shown;
    const most = untouched.answer.map((share, i) => Math.max(share, lender.answer[i]));
    const indices = shownClasses(most, lines.length);
    lines.forEach(({ name }, line) => {
      name.textContent = classes[indices[line]];
    });
    const changed = exchange !== "nothing";
    const pairs = [
      [lens[block][token], null],
      [answer, changed ? untouched.answer : null],
    ];
    pairs.forEach(([now, before], column) => {
      const best = largestOf(now);
      bars.forEach((cells, line) => {
        const i = indices[line];
        const { number, thick, thin } = cells[column];
        number.textContent = percent(now[i]);
        number.style.fontWeight = i === best ? "700" : "400";
        thick.style.width = `${100 * now[i]}%`;
        thin.style.width = before ? `${100 * before[i]}%` : "0";
        thick.style.background = thin.style.background = colourOf(i, shown) ?? NEITHER;
      });
    });
    said.textContent = bestClass(lens[block][token], classes);
    verdict.textContent = verdictOf(shown, classes);
  }

  function draw() {
    const traits = ["picture", "other", "block", "token", "exchange"];
    const choices = Object.fromEntries(traits.map((trait) => [trait, model.get(trait)]));
    if (choices.token >= prefix) lastPatch = choices.token;
    const shown = { ...choices, ...stateOf(choices) };
    drawControls(shown);
    drawLegend(shown);
    drawPicture(shown);
    drawStrip(shown);
    drawBars(shown);
    const text = wordsOf(shown, { vit, classes });
    speak(words, text);
    pictureSheet.setAttribute("aria-label", text);
  }

  // Pointing and keys
  pointing(pictureSheet, (x, y) => choose({ token: layout.tokenAt(x, y) }));
  pointing(strip, (x) => goTo(columnsOf.blockAt(x)));
  strip.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    pictureSheet.focus({ preventScroll: true }); // so that the keys go on working
  });
  const exchangeKeys = {
    n: () => show(nextOf(names, model.get("picture"))),
    o: () => lend(nextOf(names, model.get("other"))),
    x: () => toggleExchange("this token"),
    p: () => toggleExchange("all patches"),
  };
  onKeys(root, () => {
    const [block, patch] = [model.get("block"), model.get("token") - prefix];
    const go = (cell) => choose({ token: patch < 0 ? lastPatch : prefix + cell });
    return {
      ...arrows(Math.max(0, patch), rows, columns, go),
      ...(prefix && patch < columns ? { ArrowUp: () => choose({ token: 0 }) } : {}),
      Home: () => choose({ token: 0 }),
      End: () => choose({ token: tokens - 1 }),
      ...pages((by) => goTo(block + by)),
      ...(prefix ? { c: toggleClass } : {}),
      ...(hasOthers ? exchangeKeys : {}),
      ...Object.fromEntries(Array.from({ length: Math.min(10, layers + 1) }, (_, digit) => [digit, () => goTo(digit)])),
    };
  });
  return live(model, root, draw);
}

export default { render };
