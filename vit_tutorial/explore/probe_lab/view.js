// The probe lab: a map of features at several stages; point at a picture, and its nearest labelled pictures vote.

import {
  behindMore,
  button,
  enlarged,
  frame,
  group,
  labelled,
  live,
  make,
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
  sheet,
  slider,
  speak,
} from "../common.js";
import { fitted, pages, percent, pixelOf, within } from "../numbers.js";
import { nextWrong, stateOf, unpacked, votesAtMost, votesInWords, wordsOf } from "./arithmetic.js";
import { BARS, barsLayout, DOT, dotBeside, dotsOf, dotUnder, paintOrder, SIDE } from "./geometry.js";

const LARGE = 112; // CSS pixels of the picture
const SMALL = 56; // of a neighbour
const EDGE = 1.25; // of a dot: its own colour and that of letters in equal parts, so that it stands out from any ground

const edgeOf = (colour) => `color-mix(in srgb, ${colour}, var(--jp-ui-font-color1, #1f1f1f))`;

function render({ model, el }) {
  const data = unpacked(model.get("_sent"));
  const { stages, classes, colours, labels, labelled: known, asked, most } = data;
  const shownOf = stateOf(data);
  const planes = labels.map((_, i) => {
    const picture = data.pictureOf(i);
    return plane(picture.width, picture.height, pixelOf(picture));
  });
  const root = frame(
    el,
    "Probe lab",
    "go through the stages. When do the kinds part, the labelled ones and the others? " +
      "Then find dots that are answered wrongly: who are their neighbours?",
    "What you can do",
  );

  // Controls
  const choose = (changes) => set(model, changes);
  const chosenStage = () => stages.indexOf(model.get("stage"));
  const goTo = (stage) => choose({ stage: stages[within(stage, 0, stages.length - 1)] });
  const show = (picture) => choose({ picture });
  const wrongOne = () => {
    const { answers } = shownOf(choices());
    show(nextWrong(data, answers, model.get("picture")));
  };
  const choices = () => Object.fromEntries(["stage", "picture", "neighbours"].map((name) => [name, model.get(name)]));
  const [stageOut, neighboursOut] = [readout(), readout()];
  const stageSlider = slider(0, stages.length - 1, goTo);
  const neighboursSlider = slider(1, most, (neighbours) => choose({ neighbours }));
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Stage", stageSlider, roomFor(stageOut, stages)),
      group("Picture", button("Next wrong one (w)", wrongOne)),
    ),
  );

  // The map; the picture and its neighbours; the bars of the stages
  const map = sheet(SIDE, SIDE, { tabIndex: 0, role: "application", className: "vit-touch" });
  const legend = make("div", { className: "vit-key" });
  legend.append(
    ...classes.map((name, i) => {
      const swatch = make("span", { textContent: "●" });
      swatch.style.color = colours[i];
      swatch.style.webkitTextStroke = `1px ${edgeOf(colours[i])}`;
      return make("span", {}, swatch, ` ${name}`);
    }),
    make("span", { textContent: "■ labelled" }),
    make("span", { textContent: "○ answered wrongly" }),
  );
  const mapPanel = panel("", map, legend);
  mapPanel.style.width = `${SIDE}px`; // however long a name is
  const [across, down] = fitted(data.pictureOf(0), LARGE);
  const picture = sheet(across, down, { "aria-hidden": "true" });
  const verdict = make("p", { className: "vit-says" });
  const votes = make("p");
  const [wide, high] = fitted(data.pictureOf(0), SMALL);
  const neighbours = Array.from({ length: most }, () => {
    const canvas = sheet(wide, high, { "aria-hidden": "true" });
    const name = make("span");
    const box = make("div", { className: "vit-neighbour" }, canvas, roomFor(name, classes));
    return { canvas, name, box };
  });
  const row = make("div", { className: "vit-neighbours" }, ...neighbours.map(({ box }) => box));
  const bars = sheet(BARS, BARS, { role: "img", className: "vit-pointing" });
  let layout = null; // of the bars
  const picturePanel = panel("", make("div", { className: "vit-row" }, picture, make("div", {}, verdict, votes)));
  const words = make("p", { className: "vit-words" });
  root.append(
    make(
      "div",
      { className: "vit-panels" },
      mapPanel,
      make(
        "section",
        { className: "vit-beside" },
        picturePanel,
        note(
          "Lines lead to its nearest labelled pictures, which vote. They are found among all numbers of the features, by " +
            "the angle; the map only shows the plane in which these spread most.",
        ),
        note(
          "Point at a dot, or go to the next one with the arrow keys. Page Up, Page Down: the stage; + and −: how many " +
            "neighbours vote; w: the next picture that is answered wrongly.",
        ),
      ),
    ),
  );
  const inside = [
    make("div", { className: "vit-controls" }, labelled("Neighbours that vote", neighboursSlider, neighboursOut)),
    make(
      "div",
      { className: "vit-panels vit-probed" },
      panel(`Right answers, of ${asked} pictures`, bars),
      panel("Its nearest labelled pictures, the nearest first", row), // the last: more of them need more room
    ),
  ];
  behindMore(model, root, "the neighbours, and right answers stage by stage", inside, words);

  // What changes has the room of the most that it can say
  const [mapTitle, pictureTitle] = [mapPanel, picturePanel].map((one) => one.firstChild);
  const mapTitleOf = (stage) => `Features, ${stage}`;
  const pictureTitleOf = (picture, name) => `Picture ${picture}: ${name}`;
  const verdictOf = (name, isRight) => `${name}, ${isRight ? "right" : "wrong"}`;
  roomFor(mapTitle, stages.map(mapTitleOf));
  roomFor(
    pictureTitle,
    classes.map((name) => pictureTitleOf(asked - 1, name)),
  );
  roomFor(
    verdict,
    classes.map((name) => verdictOf(name, false)),
  );
  roomFor(votes, votesAtMost(data));

  function drawControls({ stage, which, neighbours }) {
    stageSlider.value = which;
    stageSlider.setAttribute("aria-valuetext", stage);
    stageOut.textContent = stage;
    neighboursSlider.value = neighbours;
    neighboursOut.textContent = `${neighbours} (1 to ${most})`;
    mapTitle.textContent = mapTitleOf(stage);
  }

  function drawMap({ which, picture, near, answers }) {
    resize(map, roomIn(root, SIDE), roomIn(root, SIDE));
    const context = pen(map);
    const { color: ink, backgroundColor: ground } = getComputedStyle(root);
    const dots = dotsOf(data.places[which], map.vitWidth);
    const [x0, y0] = dots[known + picture];
    context.strokeStyle = ink;
    context.lineWidth = 1;
    for (const i of near) {
      context.beginPath();
      context.moveTo(x0, y0);
      context.lineTo(...dots[i]);
      context.stroke();
    }
    const circle = (x, y, radius) => {
      context.beginPath();
      context.arc(x, y, radius, 0, 2 * Math.PI);
    };
    for (let i = 0; i < known; i++) {
      const [x, y] = dots[i];
      context.fillStyle = ground;
      context.fillRect(x - DOT - 1, y - DOT - 1, 2 * DOT + 2, 2 * DOT + 2);
      context.fillStyle = colours[labels[i]];
      context.fillRect(x - DOT, y - DOT, 2 * DOT, 2 * DOT);
      context.lineWidth = EDGE;
      context.globalAlpha = 0.5;
      context.strokeRect(x - DOT + EDGE / 2, y - DOT + EDGE / 2, 2 * DOT - EDGE, 2 * DOT - EDGE);
      context.globalAlpha = 1;
    }
    const isRight = (i) => answers[i - known] === labels[i];
    for (const i of paintOrder(known, dots.length, isRight, known + picture)) {
      circle(...dots[i], DOT);
      context.fillStyle = colours[labels[i]];
      context.fill();
      context.lineWidth = EDGE;
      context.globalAlpha = 0.5;
      circle(...dots[i], DOT - EDGE / 2);
      context.stroke();
      context.globalAlpha = 1;
      if (isRight(i)) continue;
      context.lineWidth = 1.5;
      circle(...dots[i], DOT + 2.5);
      context.stroke();
    }
    context.lineWidth = 2.5;
    circle(x0, y0, DOT + 5);
    context.stroke();
  }

  function drawPicture({ picture: number, near, votes: counts, answer, label }) {
    pictureTitle.textContent = pictureTitleOf(number, classes[label]);
    pen(picture).drawImage(planes[known + number], 0, 0, across, down);
    verdict.textContent = verdictOf(classes[answer], answer === label);
    votes.textContent = votesInWords(counts, classes);
    neighbours.forEach(({ canvas, name, box }, i) => {
      box.hidden = i >= near.length;
      if (box.hidden) return;
      pen(canvas).drawImage(planes[near[i]], 0, 0, wide, high);
      name.textContent = classes[labels[near[i]]];
      const colour = colours[labels[near[i]]];
      box.style.borderColor = colour;
      box.style.boxShadow = `0 -1px ${edgeOf(colour)}, inset 0 1px ${edgeOf(colour)}`;
    });
  }

  function drawBars({ which, accuracies }) {
    const [style, letters] = [getComputedStyle(root), enlarged(root)];
    const fontOf = (isChosen) => `${isChosen ? 700 : 400} ${12 * letters}px ${style.fontFamily}`;
    const measure = pen(bars);
    measure.font = fontOf(true);
    const widest = Math.max(...stages.map((stage) => measure.measureText(stage).width));
    layout = barsLayout(roomIn(root, BARS), stages.length, widest, letters);
    resize(bars, layout.width, layout.height);
    const context = pen(bars);
    context.textBaseline = "middle";
    context.fillStyle = style.color;
    accuracies.forEach((accuracy, i) => {
      const { name, number, bar, thick } = layout.lineOf(i);
      context.font = fontOf(i === which);
      context.fillText(stages[i], ...name, layout.width);
      context.fillText(percent(accuracy), ...number);
      context.globalAlpha = i === which ? 0.95 : 0.55;
      context.fillRect(bar[0], bar[1] - thick / 2, Math.max(1, layout.longest * accuracy), thick);
      context.globalAlpha = 1;
    });
    const said = accuracies.map((accuracy, i) => `${stages[i]} ${percent(accuracy)}`).join(", ");
    bars.setAttribute("aria-label", `Right answers at each stage: ${said}`);
  }

  function draw() {
    const shown = shownOf(choices());
    drawControls(shown);
    drawMap(shown);
    drawPicture(shown);
    drawBars(shown);
    const text = wordsOf(shown, data);
    speak(words, text);
    map.setAttribute("aria-label", text);
  }

  // Pointing and keys
  const dotsNow = () => dotsOf(data.places[chosenStage()], map.vitWidth);
  const showDot = (dot) => dot !== null && show(dot);
  pointing(map, (x, y) => showDot(dotUnder(dotsNow(), known, x, y)), "always");
  pointing(bars, (_, y) => goTo(layout.stageAt(y)), "never");
  bars.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    map.focus({ preventScroll: true }); // so that the keys go on working
  });
  onKeys(root, () => {
    const move = (key) => () => show(dotBeside(dotsNow(), known, model.get("picture"), key));
    const vote = (by) => () => choose({ neighbours: within(model.get("neighbours") + by, 1, most) });
    return {
      ...Object.fromEntries(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"].map((key) => [key, move(key)])),
      Home: () => show(0),
      End: () => show(asked - 1),
      ...pages((by) => goTo(chosenStage() + by)),
      "+": vote(1),
      "-": vote(-1),
      w: wrongOne,
    };
  });
  return live(model, root, draw);
}

export default { render };
