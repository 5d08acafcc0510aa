// Position lab: the same numbers as position_lab_state in position_lab.py, computed and drawn in the browser.

import {
  chooser,
  frame,
  labelled,
  live,
  make,
  mark,
  paletteStrip,
  panel,
  pen,
  plane,
  pointer,
  set,
  sheet,
  slider,
} from "./common.js";
import { bytesOf, decimals, percent, pixelOf } from "./numbers.js";

const SHOWS = ["cosine similarity", "one of the D numbers"];
const COLOURS = ["own for each map", "one for all maps"];
const SAME = 1e-5;
const MAPS = { side: 214, step: 232.6, top: 22, width: 912 };
const SMALL = 162;

/** The numbers of a trait that holds 4-byte real numbers. */
const reals = (view) => new Float32Array(bytesOf(view).buffer);

/** A difference of two shares in percentage points, with one decimal. */
const points = (share) => percent(share).slice(0, -1);

function render({ model, el }) {
  const kinds = model.get("_kinds");
  const [dim, old, patch, channels] = ["_dim", "_old", "_patch", "_channels"].map((name) => model.get(name));
  const tables = reals(model.get("_tables"));
  const stretches = reals(model.get("_stretches"));
  const names = model.get("_names");
  const classes = model.get("_classes");
  const pixels = bytesOf(model.get("_pixels"));
  const orders = new Uint16Array(bytesOf(model.get("_orders")).buffer);
  const attention = reals(model.get("_attention"));
  const chances = reals(model.get("_chances"));
  const colours = bytesOf(model.get("_colours"));
  const places = old * old;
  const numOrders = orders.length / places;
  const side = old * patch;

  const root = frame(
    el,
    "Position lab",
    "move over the maps. Is a position more like its neighbours than like far ones, and in which of the four tables? Make the picture larger: does the pattern stay? Then shuffle the patches.",
  );

  // The tables on the chosen grid, and each row at length 1; computed once a grid.
  let stretched = null;
  function tablesOn(grid) {
    if (stretched?.grid === grid) return stretched;
    let start = 0;
    for (let g = old; g < grid; g++) start += g * old;
    const matrix = stretches.subarray(start, start + grid * old);
    const all = kinds.map((_, kind) => {
      const table = tables.subarray(kind * places * dim, (kind + 1) * places * dim);
      const wide = new Float64Array(old * grid * dim);
      for (let r = 0; r < old; r++)
        for (let x = 0; x < grid; x++)
          for (let c = 0; c < old; c++) {
            const share = matrix[x * old + c];
            if (share === 0) continue;
            const [into, from] = [(r * grid + x) * dim, (r * old + c) * dim];
            for (let d = 0; d < dim; d++) wide[into + d] += share * table[from + d];
          }
      const values = new Float64Array(grid * grid * dim);
      for (let y = 0; y < grid; y++)
        for (let r = 0; r < old; r++) {
          const share = matrix[y * old + r];
          if (share === 0) continue;
          const [into, from, length] = [y * grid * dim, r * grid * dim, grid * dim];
          for (let d = 0; d < length; d++) values[into + d] += share * wide[from + d];
        }
      const units = Float64Array.from(values);
      for (let at = 0; at < units.length; at += dim) {
        let sum = 0;
        for (let d = 0; d < dim; d++) sum += units[at + d] ** 2;
        const length = Math.sqrt(sum);
        for (let d = 0; d < dim; d++) units[at + d] /= length;
      }
      return { values, units };
    });
    stretched = { grid, all };
    return stretched;
  }

  /** The cosine similarity of one position to all of them. */
  function similarityTo(units, position, grid) {
    const found = new Float64Array(grid * grid);
    const start = position * dim;
    for (let i = 0; i < found.length; i++)
      for (let d = 0; d < dim; d++) found[i] += units[i * dim + d] * units[start + d];
    return found;
  }

  /** The mean of a map left and right of a position, above and below it, and far from it. */
  function neighbourhood(values, position, grid) {
    const sums = [0, 0, 0];
    const counts = [0, 0, 0];
    values.forEach((value, i) => {
      const down = Math.abs(Math.floor(i / grid) - Math.floor(position / grid));
      const along = Math.abs((i % grid) - (position % grid));
      [down === 0 && along === 1, down === 1 && along === 0, 2 * (down + along) > grid].forEach((there, which) => {
        if (!there) return;
        sums[which] += value;
        counts[which] += 1;
      });
    });
    return sums.map((sum, which) => sum / counts[which]);
  }

  // Controls
  const now = () => {
    const grid = Math.min(2 * old, Math.max(old, model.get("grid")));
    return {
      grid,
      position: Math.min(grid * grid - 1, model.get("position")),
      show: model.get("show"),
      number: Math.min(dim - 1, model.get("number")),
      picture: Math.max(0, names.indexOf(model.get("picture"))),
      order: Math.min(numOrders - 1, model.get("order")),
    };
  };
  /** Take another grid, and stay at the same place of the picture, however many sizes are passed on the way. */
  let stays = null;
  function regrid(next) {
    const { grid, position } = now();
    if (next === grid || next < old || next > 2 * old) return;
    const here = stays?.grid === grid && stays.position === position;
    const [down, along] = here
      ? stays.place
      : [(Math.floor(position / grid) + 0.5) / grid, ((position % grid) + 0.5) / grid];
    const moved = Math.floor(down * next) * next + Math.floor(along * next);
    stays = { grid: next, position: moved, place: [down, along] };
    set(model, { grid: next, position: moved });
  }
  const gridOut = make("output");
  const gridSlider = slider(old, 2 * old, regrid);
  const chooseShow = chooser(
    SHOWS.map((text) => [text, text]),
    (show) => set(model, { show }),
  );
  const numberOut = make("output");
  const numberSlider = slider(0, dim - 1, (number) => set(model, { number, show: SHOWS[1] }));
  const chooseColours = chooser(
    COLOURS.map((text) => [text, text]),
    (choice) => set(model, { colours: choice }),
  );
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Image size", gridSlider, gridOut),
      labelled("Show", chooseShow),
      labelled("Which number", numberSlider, numberOut),
      labelled("Range of colours", chooseColours),
    ),
  );

  // The four maps, in one sheet
  const mapSheet = sheet(MAPS.width, MAPS.top + MAPS.side + 16, {
    tabIndex: 0,
    role: "application",
    className: "vit-touch",
  });
  const heads = kinds.map((kind) => make("th", { scope: "col", textContent: kind }));
  const lines = model.get("_near_and_far").map((name) => {
    const cells = kinds.map(() => make("td"));
    return { cells, line: make("tr", {}, make("th", { scope: "row", textContent: name }), ...cells) };
  });
  const chosen = make("th", { scope: "col" });
  const near = make(
    "table",
    { className: "vit-near" },
    make("thead", {}, make("tr", {}, chosen, ...heads)),
    make("tbody", {}, ...lines.map(({ line }) => line)),
  );
  const scale = sheet(120, 10, { "aria-hidden": "true" });
  pen(scale, true).drawImage(paletteStrip(colours), 0, 0, 120, 10);
  const help =
    "Point at a position in any map, or click and use the arrow keys; Page Up and Page Down change the image size, s shuffles.";
  root.append(
    mapSheet,
    make(
      "div",
      { className: "vit-key" },
      make("span", { textContent: "lowest" }),
      scale,
      make("span", { textContent: "highest" }),
    ),
    make("p", { className: "vit-note vit-help", textContent: help }),
    near,
  );

  // The shuffled patches
  const choosePicture = chooser(
    names.map((name) => [name, name]),
    (picture) => set(model, { picture }),
  );
  const orderName = (order) => (order === 0 ? "in order" : `shuffle ${order}`);
  const chooseOrder = chooser(
    Array.from({ length: numOrders }, (_, order) => [order, orderName(order)]),
    (order) => set(model, { order: Number(order) }),
  );
  const nextShuffle = () => set(model, { order: (now().order % (numOrders - 1)) + 1 });
  const shuffleButton = make("button", { type: "button", textContent: "Shuffle (s)" });
  shuffleButton.addEventListener("click", nextShuffle);
  root.append(
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
  );
  const givenSheet = sheet(SMALL, SMALL, { role: "img" });
  const modes = ["without positions", "with positions"].map((name) => {
    const lying = sheet(SMALL, SMALL, { role: "img" });
    const home = sheet(SMALL, SMALL, { role: "img" });
    const says = make("p", { className: "vit-note" });
    const verdict = make("p", { className: "vit-verdict" });
    const maps = make(
      "div",
      { className: "vit-pair" },
      panel("as the patches lie", lying),
      panel("patches taken home", home),
    );
    return { name, lying, home, says, verdict, box: panel(name[0].toUpperCase() + name.slice(1), maps, says, verdict) };
  });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      panel(
        "Given to the model",
        make("div", { className: "vit-pair" }, panel(`${side} × ${side} pixels`, givenSheet)),
      ),
      ...modes.map(({ box }) => box),
    ),
  );
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
  root.append(words);

  /** A small canvas with one pixel a place, coloured from `low` to `high`. */
  function coloured(values, grid, low, high) {
    return plane(grid, grid, (i, into, at) => {
      const level = high > low ? Math.max(0, Math.min(255, Math.round(((values[i] - low) / (high - low)) * 255))) : 0;
      into.set(colours.subarray(3 * level, 3 * level + 3), at);
    });
  }

  function drawMap(context, kind, values, grid, position, [low, high]) {
    const style = getComputedStyle(root);
    const left = kind * MAPS.step;
    const cell = MAPS.side / grid;
    context.fillStyle = style.color;
    context.textBaseline = "middle";
    context.textAlign = "left";
    context.font = `600 13px ${style.fontFamily}`;
    context.fillText(kinds[kind], left, 9);
    context.font = `12px ${style.fontFamily}`;
    context.fillText(`lowest ${decimals(low)}, highest ${decimals(high)}`, left, MAPS.top + MAPS.side + 9);
    context.drawImage(coloured(values, grid, low, high), left, MAPS.top, MAPS.side, MAPS.side);
    if (cell >= 30) {
      context.font = `10px ${style.fontFamily}`;
      context.textAlign = "center";
      values.forEach((value, i) => {
        context.fillStyle = (value - low) / (high - low) > 0.55 ? "#000000" : "#ffffff";
        context.fillText(
          decimals(value),
          left + ((i % grid) + 0.5) * cell,
          MAPS.top + (Math.floor(i / grid) + 0.5) * cell,
        );
      });
    }
    mark(
      context,
      left + (position % grid) * cell + 1,
      MAPS.top + Math.floor(position / grid) * cell + 1,
      cell - 2,
      cell - 2,
    );
  }

  function drawMaps(state, alike) {
    const { grid, position, show, number } = state;
    const own = model.get("colours") === COLOURS[0];
    const similar = show === SHOWS[0];
    const maps = similar
      ? alike
      : tablesOn(grid).all.map(({ values }) =>
          Float64Array.from({ length: grid * grid }, (_, i) => values[i * dim + number]),
        );
    const tops = maps.map((values) => values.reduce((top, value) => Math.max(top, Math.abs(value)), 0));
    const context = pen(mapSheet);
    maps.forEach((values, kind) => {
      const top = own ? tops[kind] : Math.max(...tops);
      const ends = similar ? [own ? values.reduce((low, value) => Math.min(low, value)) : -1, 1] : [-top, top];
      drawMap(context, kind, values, grid, position, ends);
    });
    return maps;
  }

  const placeName = ({ grid, position }) =>
    `position ${position} (row ${Math.floor(position / grid)}, column ${position % grid})`;
  function wordsOfPositions(state, maps, around) {
    const { grid, show, number, position } = state;
    const text = `${grid * patch} × ${grid * patch} pixels: ${grid} × ${grid} positions. `;
    if (show === SHOWS[0]) {
      const parts = kinds.map((kind, i) => `${kind} ${around[i].map((value) => decimals(value)).join(", ")}`);
      return `${text}Similarity of ${placeName(state)} to those left and right, above and below, and over half a side away: ${parts.join("; ")}.`;
    }
    return `${text}Number ${number} of ${placeName(state)}: ${kinds.map((kind, i) => `${kind} ${decimals(maps[i][position])}`).join("; ")}.`;
  }

  // The lower half changes only with the picture and the order.
  let shuffled = null;
  function drawShuffled({ picture, order }) {
    const key = `${picture} ${order}`;
    if (shuffled?.key === key) return shuffled.text;
    const all = channels * side * side;
    const source = { pixels: pixels.subarray(picture * all, (picture + 1) * all), channels, height: side, width: side };
    const image = plane(side, side, pixelOf(source));
    const taken = orders.subarray(order * places, (order + 1) * places);
    const context = pen(givenSheet);
    const cell = SMALL / old;
    taken.forEach((from, to) => {
      context.drawImage(
        image,
        (from % old) * patch,
        Math.floor(from / old) * patch,
        patch,
        patch,
        (to % old) * cell,
        Math.floor(to / old) * cell,
        cell,
        cell,
      );
    });
    givenSheet.setAttribute("aria-label", `The picture ${names[picture]}, patches ${orderName(order)}`);
    const changes = modes.map(({ name, lying, home, says, verdict }, mode) => {
      const rowOf = (array, length, which) =>
        array.subarray(((picture * 2 + mode) * numOrders + which) * length).subarray(0, length);
      const straight = rowOf(attention, places, 0);
      const weights = rowOf(attention, places, order);
      const back = new Float64Array(places);
      taken.forEach((from, to) => (back[from] = weights[to]));
      const most = Math.max(...weights);
      pen(lying).drawImage(coloured(weights, old, 0, most), 0, 0, SMALL, SMALL);
      pen(home).drawImage(coloured(back, old, 0, most), 0, 0, SMALL, SMALL);
      lying.setAttribute("aria-label", `Attention ${name}, as the patches lie, from 0 to ${percent(most)}`);
      home.setAttribute("aria-label", `Attention ${name}, patches taken home, from 0 to ${percent(most)}`);
      const [before, after] = [rowOf(chances, classes.length, 0), rowOf(chances, classes.length, order)];
      const best = (row) => {
        const index = row.indexOf(Math.max(...row));
        return `${classes[index]} ${percent(row[index])}`;
      };
      says.textContent = `Dark is 0, yellow ${percent(most)}. In order the model says ${best(before)}; as given, ${best(after)}.`;
      const apart = (one, other) => one.reduce((largest, value, i) => Math.max(largest, Math.abs(value - other[i])), 0);
      const change = [apart(back, straight), apart(after, before)];
      verdict.textContent =
        order === 0
          ? "Press Shuffle, above."
          : change.every((one) => one < SAME)
            ? "Taken home, the attention is the same, and so is the prediction: this model cannot tell."
            : `Taken home, weights differ by up to ${points(change[0])} percentage points, probabilities by up to ${points(change[1])}: this model notices.`;
      return change.map(points);
    });
    const name = orderName(order);
    const [blind, seeing] = changes;
    const text =
      order === 0
        ? "The patches are in order: choose a shuffle."
        : `${name[0].toUpperCase()}${name.slice(1)} changes, without positions, weights by at most ${blind[0]} and probabilities ` +
          `by at most ${blind[1]} percentage points; with positions, by ${seeing[0]} and ${seeing[1]}.`;
    shuffled = { key, text };
    return text;
  }

  function draw() {
    const state = now();
    const { grid, position, show, number } = state;
    const alike = tablesOn(grid).all.map(({ units }) => similarityTo(units, position, grid));
    const around = alike.map((values) => neighbourhood(values, position, grid));
    gridSlider.value = grid;
    gridOut.textContent = `${grid * patch} pixels: ${grid} × ${grid}`;
    gridSlider.setAttribute("aria-valuetext", `${grid * patch} by ${grid * patch} pixels`);
    chooseShow.value = show;
    numberSlider.value = number;
    numberOut.textContent = `${number} (0 to ${dim - 1})`;
    numberOut.parentElement.parentElement.classList.toggle("vit-idle", show === SHOWS[0]);
    chooseColours.value = model.get("colours");
    choosePicture.value = names[state.picture];
    chooseOrder.value = state.order;
    const maps = drawMaps(state, alike);
    chosen.textContent = `Similarity of ${placeName(state)} to those`;
    lines.forEach(({ cells }, line) =>
      cells.forEach((cell, kind) => (cell.textContent = decimals(around[kind][line]))),
    );
    const text = `${wordsOfPositions(state, maps, around)} ${drawShuffled(state)}`;
    words.textContent = text;
    mapSheet.setAttribute("aria-label", text);
  }

  // Pointing and keys
  const choose = (position) => position !== now().position && set(model, { position });
  const point = (event) => {
    const { grid } = now();
    const [x, y] = pointer(mapSheet, event);
    const kind = Math.min(kinds.length - 1, Math.max(0, Math.floor(x / MAPS.step)));
    const column = Math.floor(((x - kind * MAPS.step) / MAPS.side) * grid);
    const row = Math.floor(((y - MAPS.top) / MAPS.side) * grid);
    if (column >= 0 && column < grid && row >= 0 && row < grid) choose(row * grid + column);
  };
  for (const type of ["pointermove", "pointerdown"]) mapSheet.addEventListener(type, point);
  mapSheet.addEventListener("keydown", (event) => {
    const { grid, position } = now();
    const [row, column] = [Math.floor(position / grid), position % grid];
    const steps = {
      ArrowLeft: () => column > 0 && choose(position - 1),
      ArrowRight: () => column < grid - 1 && choose(position + 1),
      ArrowUp: () => row > 0 && choose(position - grid),
      ArrowDown: () => row < grid - 1 && choose(position + grid),
      Home: () => choose(0),
      End: () => choose(grid * grid - 1),
      PageUp: () => regrid(grid + 1),
      PageDown: () => regrid(grid - 1),
      s: nextShuffle,
    };
    if (!(event.key in steps) || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    steps[event.key]();
  });
  return live(model, root, draw);
}

export default { render };
