// Position lab: four tables of positions as maps, and what shuffled patches change, drawn in the browser.

import {
  behindMore,
  button,
  chooser,
  enlarged,
  frame,
  labelled,
  legend,
  live,
  make,
  mark,
  note,
  onKeys,
  panel,
  pen,
  plane,
  pointing,
  readout,
  resize,
  roomFor,
  roomIn,
  set,
  sharpness,
  sheet,
  sideways,
  slider,
  speak,
} from "../common.js";
import {
  arrows,
  bestClass,
  bytesOf,
  count,
  decimals,
  inkOn,
  pages,
  percent,
  pixelOf,
  unpackPictures,
  within,
} from "../numbers.js";
import {
  belowMap,
  endsOf,
  neighbourhood,
  orderName,
  placeName,
  placeOf,
  points,
  SHOWS,
  samePlace,
  shuffleChange,
  similarityTo,
  stretched,
  stretchMatrix,
  wordsOfPositions,
  wordsOfShuffle,
} from "./arithmetic.js";
import { mapsLayout, WIDTH } from "./geometry.js";

const COLOURS = ["own for each map", "one for all maps"];
const SAME = 1e-5;
const SMALL = 162;
const WRITTEN = 30; // from this width on, a position has room for its number

const IN_ORDER = "Press Shuffle, above.";
const SAME_TEXT = "Taken home, the attention is the same, and so is the prediction: this model cannot tell.";
const changeText = ([weight, probability]) =>
  `Taken home, weights differ by up to ${points(weight)} percentage points, probabilities by up to ` +
  `${points(probability)}: this model notices.`;
const saysText = (most, inOrder, asGiven) =>
  `Dark is 0%, yellow ${percent(most)}. In order the model says ${inOrder}; as given, ${asGiven}.`;

/** The numbers of bytes that hold 4-byte real numbers. */
const reals = (view) => new Float32Array(bytesOf(view).buffer);

function render({ model, el }) {
  const sent = model.get("_sent");
  const { kinds, dim, old, patch, classes } = sent;
  const [tables, stretches] = [reals(sent.tables), reals(sent.stretches)];
  const [attention, probabilities] = [reals(sent.attention), reals(sent.probabilities)];
  const pictures = unpackPictures(sent);
  const names = pictures.map(({ name }) => name);
  const orders = new Uint16Array(bytesOf(sent.orders).buffer);
  const viridis = bytesOf(sent.viridis);
  const places = old * old;
  const numOrders = orders.length / places;
  const side = old * patch;

  const root = frame(
    el,
    "Position lab",
    "move over the maps. Is a position more like its neighbours than like far ones, and in which of the four tables? Make the picture larger: does the pattern stay?",
  );

  // The tables on the chosen grid, and each row at length 1; computed once a grid.
  let onGrid = null;
  function tablesOn(grid) {
    if (onGrid?.grid === grid) return onGrid.all;
    const matrix = stretchMatrix(stretches, old, grid);
    const all = kinds.map((_, kind) => {
      const table = tables.subarray(kind * places * dim, (kind + 1) * places * dim);
      return stretched(table, matrix, old, grid, dim);
    });
    onGrid = { grid, all };
    return all;
  }

  // Controls
  const choices = ["grid", "position", "show", "number", "colours", "picture", "order"];
  const now = () => Object.fromEntries(choices.map((name) => [name, model.get(name)]));
  /** Take another grid, and stay at the same place of the picture, however many sizes are passed on the way. */
  let stays = null;
  function regrid(next) {
    const { grid, position } = now();
    const size = within(next, old, 2 * old);
    if (size === grid) return;
    const place = stays?.grid === grid && stays.position === position ? stays.place : placeOf(position, grid);
    stays = { grid: size, position: samePlace(place, size), place };
    set(model, { grid: size, position: stays.position });
  }
  const gridText = (grid) => `${count(grid * patch)} pixels: ${grid} × ${grid}`;
  const numberText = (number) => `${count(number)} (0 to ${count(dim - 1)})`;
  const gridOut = readout();
  const gridSlider = slider(old, 2 * old, regrid);
  const chooseShow = chooser(SHOWS, (show) => set(model, { show }));
  const numberOut = readout();
  const numberSlider = slider(0, dim - 1, (number) => set(model, { number, show: SHOWS[1] }));
  const chooseColours = chooser(COLOURS, (choice) => set(model, { colours: choice }));
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Image size", gridSlider, roomFor(gridOut, [gridText(2 * old)])),
      labelled("Show", chooseShow),
      labelled("Which number", numberSlider, roomFor(numberOut, [numberText(dim - 1)])),
      labelled("Range of colours", chooseColours),
    ),
  );

  // The four maps, in one sheet
  let layout = mapsLayout(WIDTH, kinds.length);
  const mapSheet = sheet(layout.width, layout.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const heads = kinds.map((kind) => make("th", { scope: "col", textContent: kind }));
  const lines = sent.near_and_far.map((name) => {
    const cells = kinds.map(() => make("td"));
    return { cells, line: make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells) };
  });
  const chosen = make("span");
  const chosenText = (position, grid) => `Similarity of ${placeName(position, grid)} to those`;
  const corner = make("th", { scope: "col" }, roomFor(chosen, [chosenText(4 * places - 1, 2 * old)]));
  corner.style.minWidth = "9em"; // the table rather moves sideways
  const near = make(
    "table",
    { className: "vit-near", "aria-label": "Similarity of neighbours" },
    make("thead", {}, make("tr", {}, corner, ...heads)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  const help =
    "Point at a position in any map, or click and use the arrow keys; Page Up, Page Down: a larger or smaller image.";
  const ends = ["dark", "yellow"].map((textContent) => make("span", { textContent }));
  root.append(mapSheet, legend(viridis, 120, ...ends), note(help, { className: "vit-note vit-help" }));

  // The shuffled patches
  const choosePicture = chooser(names, (picture) => set(model, { picture }));
  const chooseOrder = chooser(
    Array.from({ length: numOrders }, (_, order) => [order, orderName(order)]),
    (order) => set(model, { order: Number(order) }),
  );
  const nextShuffle = () => set(model, { order: (now().order % (numOrders - 1)) + 1 });
  const shuffleButton = button("Shuffle (s)", nextShuffle);
  const givenSheet = sheet(SMALL, SMALL, { role: "img" });
  const longest = `${classes.reduce((one, other) => (other.length > one.length ? other : one))} 100.0%`;
  const modes = ["without positions", "with positions"].map((name) => {
    const lying = sheet(SMALL, SMALL, { role: "img" });
    const home = sheet(SMALL, SMALL, { role: "img" });
    const [says, verdict] = ["vit-note", "vit-verdict"].map((className) => make("p", { className }));
    const boxes = [
      roomFor(says, [saysText(1, longest, longest)]),
      roomFor(verdict, [IN_ORDER, SAME_TEXT, changeText([1, 1])]),
    ];
    const maps = make(
      "div",
      { className: "vit-pair" },
      panel("as the patches lie", lying),
      panel("patches taken home", home),
    );
    return { name, lying, home, says, verdict, box: panel(name[0].toUpperCase() + name.slice(1), maps, ...boxes) };
  });
  const given = make("div", { className: "vit-pair" }, panel(`${count(side)} × ${count(side)} pixels`, givenSheet));
  const inside = [
    sideways(near),
    make("div", {
      className: "vit-heading vit-below",
      textContent: "What shuffled patches change: where the class token looks in the last layer",
    }),
    make(
      "div",
      { className: "vit-controls" },
      ...(names.length > 1 ? [labelled("Picture", choosePicture)] : []),
      labelled("Order of the patches", chooseOrder, shuffleButton),
    ),
    make("div", { className: "vit-panels" }, panel("Given to the model", given), ...modes.map(({ box }) => box)),
  ];
  const words = make("p", { className: "vit-words" });
  behindMore(model, root, "the similarity of neighbours, and shuffled patches in the model", inside, words);

  /** The colour of a value from `low` to `high`. */
  function colourOf(value, low, high) {
    const level = high > low ? within(Math.round(((value - low) / (high - low)) * 255), 0, 255) : 0;
    return viridis.subarray(3 * level, 3 * level + 3);
  }

  /** A small canvas with one pixel a place, coloured from `low` to `high`. */
  const coloured = (values, grid, low, high) =>
    plane(grid, grid, (i, into, at) => into.set(colourOf(values[i], low, high), at));

  function drawMap(context, kind, values, grid, position, [low, high], { fontFor, isSplit }) {
    const { side } = layout;
    const [left, top] = layout.cornerOf(kind);
    const cell = side / grid;
    context.fillStyle = getComputedStyle(root).color;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = fontFor(13, kinds, side, 600);
    context.fillText(kinds[kind], left, top - 13 * enlarged(root));
    context.font = fontFor(12);
    const said = belowMap(values, [low, high]).flatMap((text) => (isSplit ? text.split(/(?<=,) /) : [text]));
    for (const [line, text] of said.entries()) context.fillText(text, left, top + layout.lineBelow(line), side);
    context.drawImage(coloured(values, grid, low, high), left, top, side, side);
    if (cell >= WRITTEN) {
      context.font = fontFor(10, ["-0.00"], cell - 3);
      context.textAlign = "center";
      values.forEach((value, i) => {
        context.fillStyle = inkOn(colourOf(value, low, high));
        context.fillText(decimals(value), left + ((i % grid) + 0.5) * cell, top + (Math.floor(i / grid) + 0.5) * cell);
      });
    }
    const [column, row] = [position % grid, Math.floor(position / grid)];
    mark(context, left + column * cell + 2, top + row * cell + 2, cell - 4, cell - 4);
  }

  function drawMaps({ grid, position, show, number, colours }, alike) {
    const similar = show === SHOWS[0];
    const column = ({ values }) => Float64Array.from({ length: grid * grid }, (_, i) => values[i * dim + number]);
    const maps = similar ? alike : tablesOn(grid).map(column);
    const [letters, { fontFamily }] = [enlarged(root), getComputedStyle(root)];
    const width = roomIn(root, WIDTH);
    const measure = pen(mapSheet);
    const widest = (font, texts) => {
      measure.font = font;
      return Math.max(...texts.map((text) => measure.measureText(text).width));
    };
    /** Letters of a size and, where these texts have no room for it, smaller ones. */
    const fontFor = (size, texts = [], most = 0, weight = 400) => {
      const fontOf = (one) => `${weight} ${one}px ${fontFamily}`;
      const needed = texts.length ? widest(fontOf(size * letters), texts) : 0;
      return fontOf(size * letters * (needed > most ? most / needed : 1));
    };
    layout = mapsLayout(width, kinds.length, 2, letters);
    const isSplit = widest(fontFor(12), ["lowest -0.00, highest -0.00"]) > layout.side; // each line in two
    if (isSplit) layout = mapsLayout(width, kinds.length, 4, letters);
    resize(mapSheet, layout.width, layout.height);
    const context = pen(mapSheet);
    endsOf(maps, similar, colours === COLOURS[0]).forEach((range, kind) => {
      drawMap(context, kind, maps[kind], grid, position, range, { fontFor, isSplit });
    });
    return maps;
  }

  // The lower half changes only with the picture, the order and the zoom.
  let shuffled = null;
  function drawShuffled({ picture, order }) {
    const key = `${picture} ${order} ${sharpness()}`;
    if (shuffled?.key === key) return shuffled.changes;
    const which = names.indexOf(picture);
    const image = plane(side, side, pixelOf(pictures[which]));
    const taken = orders.subarray(order * places, (order + 1) * places);
    const context = pen(givenSheet);
    const cell = SMALL / old;
    taken.forEach((from, to) => {
      const corner = [(from % old) * patch, Math.floor(from / old) * patch];
      context.drawImage(image, ...corner, patch, patch, (to % old) * cell, Math.floor(to / old) * cell, cell, cell);
    });
    givenSheet.setAttribute("aria-label", `The picture ${picture}, patches ${orderName(order)}`);
    const changes = modes.map(({ name, lying, home, says, verdict }, mode) => {
      const rowOf = (array, length, one) =>
        array.subarray(((which * 2 + mode) * numOrders + one) * length).subarray(0, length);
      const [straight, weights] = [0, order].map((one) => rowOf(attention, places, one));
      const [before, after] = [0, order].map((one) => rowOf(probabilities, classes.length, one));
      const found = shuffleChange(taken, weights, straight, after, before);
      const most = Math.max(...weights);
      pen(lying).drawImage(coloured(weights, old, 0, most), 0, 0, SMALL, SMALL);
      pen(home).drawImage(coloured(found.home, old, 0, most), 0, 0, SMALL, SMALL);
      lying.setAttribute("aria-label", `Attention ${name}, as the patches lie, from 0% to ${percent(most)}`);
      home.setAttribute("aria-label", `Attention ${name}, patches taken home, from 0% to ${percent(most)}`);
      const [inOrder, asGiven] = [before, after].map((row) => bestClass(row, classes));
      says.textContent = saysText(most, inOrder, asGiven);
      const isSame = found.change.every((one) => one < SAME);
      verdict.textContent = order === 0 ? IN_ORDER : isSame ? SAME_TEXT : changeText(found.change);
      return found.change;
    });
    shuffled = { key, changes };
    return changes;
  }

  function draw() {
    const shown = now();
    const { grid, position, show, number, colours, picture, order } = shown;
    const alike = tablesOn(grid).map(({ units }) => similarityTo(units, position, dim));
    const around = alike.map((values) => neighbourhood(values, position, grid));
    gridSlider.value = grid;
    gridOut.textContent = gridText(grid);
    gridSlider.setAttribute("aria-valuetext", `${count(grid * patch)} by ${count(grid * patch)} pixels`);
    chooseShow.value = show;
    numberSlider.value = number;
    numberOut.textContent = numberText(number);
    numberOut.closest(".vit-field").classList.toggle("vit-idle", show === SHOWS[0]);
    chooseColours.value = colours;
    choosePicture.value = picture;
    chooseOrder.value = order;
    const maps = drawMaps(shown, alike);
    chosen.textContent = chosenText(position, grid);
    lines.forEach(({ cells }, line) => {
      cells.forEach((cell, kind) => {
        cell.textContent = decimals(around[kind][line]);
      });
    });
    const changes = drawShuffled(shown);
    const text = `${wordsOfPositions({ ...shown, patch, kinds, maps, near: around })} ${wordsOfShuffle(order, changes)}`;
    speak(words, text);
    mapSheet.setAttribute("aria-label", text);
  }

  // Pointing and keys
  const choose = (position) => set(model, { position });
  const point = (x, y) => {
    const found = layout.positionUnder(x, y, now().grid);
    if (found !== null) choose(found);
  };
  pointing(mapSheet, point, "always");
  onKeys(root, () => {
    const { grid, position } = now();
    return {
      ...arrows(position, grid, grid, choose),
      Home: () => choose(0),
      End: () => choose(grid * grid - 1),
      ...pages((by) => regrid(grid + by)),
      s: nextShuffle,
    };
  });
  return live(model, root, draw);
}

export default { render };
