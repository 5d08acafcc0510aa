// Reach lab: a place slides over the picture, and every stage of both models shows what it can see there, and what it saw.

import {
  behindMore,
  button,
  frame,
  greyPlane,
  group,
  labelled,
  legend,
  live,
  make,
  mark,
  note,
  onKeys,
  painter,
  panel,
  pen,
  pointing,
  readout,
  roomFor,
  set,
  sheet,
  slider,
  speak,
  thumbnail,
} from "../common.js";
import { arrows, bytesOf, decimals, nextOf, pages, percent, unpackPictures, within } from "../numbers.js";
import { boxOf, distancesOf, overGrey, reachOf, wordsOf } from "./arithmetic.js";
import { LARGE, layoutOf, SMALL } from "./geometry.js";

const THUMB = 44;
const SHADE = 0.55; // how dark it is where a place cannot see

const titleOf = ({ of, name }) => `${of} ${name}`;
const largeTitleOf = (stage) => `What ${titleOf(stage)} sees`;
const seesOf = (stage) => `${titleOf(stage)} can see here`;
const answerOf = (down, across) => `${down} × ${across} pixels`;
const farOf = (far) => `${decimals(far, 1)} pixels far`;
const reachesOf = (share, far) =>
  `${percent(share)} of the picture. On average it looks ${decimals(far, 1)} pixels far.`;

function render({ model, el }) {
  const sent = model.get("_sent");
  const { names, stages, grid, patch } = sent;
  const [rows, columns] = grid;
  const palette = bytesOf(sent.viridis);
  const pictures = unpackPictures(sent);
  const greys = pictures.map(greyPlane);
  const { width, height } = pictures[0];
  const seenBy = reachOf(sent);
  const paint = painter(width, height, palette);
  const last = stages.length - 1;

  const root = frame(
    el,
    "Reach lab",
    "slide the place over the picture, and go through the stages. What can each see of it, and what did it look at? " +
      "Where does the window of the CNN end, and where does the ViT's light go?",
    "What you can do",
  );

  // Controls
  const choose = (changes) => set(model, changes);
  const goTo = (stage) => choose({ stage: within(stage, 0, last) });
  const thumbs = pictures.map((picture) => thumbnail(picture, THUMB, () => choose({ picture: picture.name })));
  const shownGroup = group("Picture (n: the next one)", ...thumbs);
  shownGroup.lastChild.className = "vit-picks";
  const weightButtons = sent.weights.map((weights) => button(weights, () => choose({ weights })));
  const stageOut = readout();
  const stageSlider = slider(0, last, goTo);
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      shownGroup,
      ...(weightButtons.length > 1 ? [group("Models (t: the other)", ...weightButtons)] : []),
      labelled("Stage", stageSlider, roomFor(stageOut, stages.map(titleOf))),
    ),
  );

  // The chosen stage large; all stages small
  const large = layoutOf(pictures[0], grid, LARGE);
  const small = layoutOf(pictures[0], grid, SMALL);
  const pictureSheet = sheet(large.width, large.height, { tabIndex: 0, role: "application", className: "vit-touch" });
  const farthest = Math.hypot(height, width);
  const cards = stages.map((one, stage) => {
    const canvas = sheet(small.width, small.height, { role: "img", className: "vit-pointing" });
    const title = note(titleOf(one));
    const far = note("");
    title.style.fontWeight = "700";
    const box = make("div", {}, roomFor(title, [titleOf(one)]), canvas, roomFor(far, [farOf(farthest)]));
    box.style.width = `max(${small.width + 8}px, 6.3em)`; // with room for the longest word
    canvas.addEventListener("click", () => goTo(stage));
    return { canvas, title, far, box };
  });
  const largePanel = panel("", pictureSheet, legend(overGrey(palette), large.width, note("nothing"), note("most")));
  largePanel.style.width = `${large.width}px`;
  const largeTitle = largePanel.firstChild;
  roomFor(largeTitle, stages.map(largeTitleOf));
  const rowOf = (of) =>
    panel(`What each stage of the ${of} sees`, make("div", { className: "vit-panels vit-level" }, ...cardsOf(of)));
  const cardsOf = (of) => cards.filter((_, i) => stages[i].of === of).map(({ box }) => box);
  const sees = make("div", { className: "vit-heading" });
  const answer = make("p", { className: "vit-answer" });
  const reaches = make("p");
  const words = make("p", { className: "vit-words" });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      largePanel,
      make(
        "section",
        { className: "vit-beside" },
        roomFor(sees, stages.map(seesOf)),
        roomFor(answer, [answerOf(height, width)]),
        roomFor(reaches, [reachesOf(1, farthest)]),
        note(
          "Dashed frame: what the place can see, by count; dark: what it cannot. Colour: how strongly it answers to a " +
            "pixel, by gradient; each map has its own brightest colour. Solid frame: the patch.",
        ),
        note(
          "Click a place, or use the arrow keys; Home, End: the first and the last. Page Up, Page Down, or 0 to " +
            `${Math.min(9, last)}: the stage.`,
        ),
      ),
    ),
  );
  behindMore(model, root, "all stages of both models at once", [rowOf("CNN"), rowOf("ViT")], words);

  function drawOn(canvas, layout, { box, inside }, picture, place) {
    const context = pen(canvas);
    context.drawImage(greys[picture], 0, 0, layout.width, layout.height);
    const [x, y, across, down] = layout.rectOf(box);
    context.fillStyle = `rgba(0, 0, 0, ${SHADE})`;
    context.fillRect(0, 0, layout.width, y);
    context.fillRect(0, y + down, layout.width, layout.height - y - down);
    context.fillRect(0, y, x, down);
    context.fillRect(x + across, y, layout.width - x - across, down);
    const [top, left, bottom, right] = box;
    const levelAt = (i) => {
      const [row, column] = [Math.floor(i / width), i % width];
      if (row < top || row >= bottom || column < left || column >= right) return 0;
      return inside[(row - top) * (right - left) + column - left] / 255;
    };
    context.drawImage(paint(levelAt, levelAt), 0, 0, layout.width, layout.height);
    context.lineWidth = 1;
    for (const [style, dashes] of [
      ["#000000", []],
      ["#ffffff", [3, 3]],
    ]) {
      context.strokeStyle = style;
      context.setLineDash(dashes);
      context.strokeRect(x + 0.5, y + 0.5, across - 1, down - 1);
    }
    context.setLineDash([]);
    mark(context, ...layout.rectOf(boxOf({ sees: "patch" }, place, { grid, patch })), 1.5);
  }

  function draw() {
    const choices = Object.fromEntries(["picture", "weights", "stage", "place"].map((name) => [name, model.get(name)]));
    const { stage, place } = choices;
    const picture = names.indexOf(choices.picture);
    const weights = sent.weights.indexOf(choices.weights);
    const distances = distancesOf(sent, weights, picture, place);
    const seen = stages.map((_, i) => seenBy(weights, picture, i, place));
    thumbs.forEach((thumb, i) => thumb.setAttribute("aria-pressed", String(i === picture)));
    weightButtons.forEach((one, i) => one.setAttribute("aria-pressed", String(i === weights)));
    const title = titleOf(stages[stage]);
    stageSlider.value = stage;
    stageSlider.setAttribute("aria-valuetext", title);
    stageOut.textContent = title;
    largeTitle.textContent = largeTitleOf(stages[stage]);
    const [top, left, bottom, right] = seen[stage].box;
    const [across, down] = [right - left, bottom - top];
    sees.textContent = seesOf(stages[stage]);
    answer.textContent = answerOf(down, across);
    reaches.textContent = reachesOf((down * across) / (width * height), distances[stage]);
    drawOn(pictureSheet, large, seen[stage], picture, place);
    cards.forEach(({ canvas, title, far }, i) => {
      drawOn(canvas, small, seen[i], picture, place);
      title.style.fontWeight = i === stage ? "700" : "400";
      far.textContent = farOf(distances[i]);
      canvas.setAttribute("aria-label", `${title.textContent}, ${far.textContent}`);
    });
    const text = wordsOf({ ...choices, box: seen[stage].box, distances }, sent);
    speak(words, text);
    pictureSheet.setAttribute("aria-label", text);
  }

  // Pointing and keys
  pointing(pictureSheet, (x, y) => choose({ place: large.placeAt(x, y) }));
  onKeys(root, () => {
    const stage = model.get("stage");
    return {
      ...arrows(model.get("place"), rows, columns, (place) => choose({ place })),
      Home: () => choose({ place: 0 }),
      End: () => choose({ place: rows * columns - 1 }),
      ...pages((by) => goTo(stage + by)),
      n: () => choose({ picture: nextOf(names, model.get("picture")) }),
      t: () => choose({ weights: nextOf(sent.weights, model.get("weights")) }),
      ...Object.fromEntries(Array.from({ length: Math.min(10, last + 1) }, (_, digit) => [digit, () => goTo(digit)])),
    };
  });
  return live(model, root, draw);
}

export default { render };
