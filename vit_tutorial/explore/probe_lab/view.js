// The probe lab: a map of features at several stages; point at a picture, and its nearest labelled pictures vote.

import {
  behindMore,
  button,
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
  roomIn,
  set,
  sheet,
  slider,
} from "../common.js";
import { fitted, pages, percent, pixelOf, within } from "../numbers.js";
import { nextWrong, stateOf, unpacked, votesInWords, wordsOf } from "./arithmetic.js";
import { BAR, DOT, dotBeside, dotsOf, dotUnder, paintOrder, SIDE, stageAt } from "./geometry.js";

const LARGE = 112; // CSS pixels of the picture
const SMALL = 56; // of a neighbour

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
  stageOut.style.minWidth = "11em";
  const stageSlider = slider(0, stages.length - 1, goTo);
  const neighboursSlider = slider(1, most, (neighbours) => choose({ neighbours }));
  root.append(
    make(
      "div",
      { className: "vit-controls" },
      labelled("Stage", stageSlider, stageOut),
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
      return make("span", {}, swatch, ` ${name}`);
    }),
    make("span", { textContent: "■ labelled" }),
    make("span", { textContent: "○ answered wrongly" }),
  );
  const mapPanel = panel("", map, legend);
  const [across, down] = fitted(data.pictureOf(0), LARGE);
  const picture = sheet(across, down, { "aria-hidden": "true" });
  const verdict = make("p", { className: "vit-says" });
  const votes = make("p");
  const [wide, high] = fitted(data.pictureOf(0), SMALL);
  const neighbours = Array.from({ length: most }, () => {
    const canvas = sheet(wide, high, { "aria-hidden": "true" });
    const name = make("span");
    const box = make("div", { className: "vit-neighbour" }, canvas, name);
    return { canvas, name, box };
  });
  const row = make("div", { className: "vit-neighbours" }, ...neighbours.map(({ box }) => box));
  const bars = sheet(BAR.width, BAR.line * stages.length, { role: "img", className: "vit-pointing" });
  const picturePanel = panel("", make("div", { className: "vit-row" }, picture, make("div", {}, verdict, votes)));
  const words = make("p", { className: "vit-words", "aria-live": "polite" });
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
      panel("Its nearest labelled pictures, the nearest first", row),
      panel(`Right answers, of ${asked} pictures`, bars),
    ),
  ];
  behindMore(model, root, "the neighbours, and right answers stage by stage", inside, words);

  function drawControls({ stage, which, neighbours }) {
    stageSlider.value = which;
    stageSlider.setAttribute("aria-valuetext", stage);
    stageOut.textContent = stage;
    neighboursSlider.value = neighbours;
    neighboursOut.textContent = `${neighbours} (1 to ${most})`;
    mapPanel.firstChild.textContent = `Features, ${stage}`;
  }

  function drawMap({ which, picture, near, answers }) {
    resize(map, roomIn(root, SIDE), roomIn(root, SIDE));
    const context = pen(map);
    const ink = getComputedStyle(root).color;
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
      context.fillStyle = "#ffffff";
      context.fillRect(x - DOT - 1, y - DOT - 1, 2 * DOT + 2, 2 * DOT + 2);
      context.fillStyle = colours[labels[i]];
      context.fillRect(x - DOT, y - DOT, 2 * DOT, 2 * DOT);
    }
    const isRight = (i) => answers[i - known] === labels[i];
    for (const i of paintOrder(known, dots.length, isRight, known + picture)) {
      circle(...dots[i], DOT);
      context.fillStyle = colours[labels[i]];
      context.fill();
      if (isRight(i)) continue;
      context.lineWidth = 1.5;
      circle(...dots[i], DOT + 1.5);
      context.stroke();
    }
    context.lineWidth = 2.5;
    circle(x0, y0, DOT + 5);
    context.stroke();
  }

  function drawPicture({ picture: number, near, votes: counts, answer, label }) {
    picturePanel.firstChild.textContent = `Picture ${number}: ${classes[label]}`;
    pen(picture).drawImage(planes[known + number], 0, 0, across, down);
    verdict.textContent = `${classes[answer]}, ${answer === label ? "right" : "wrong"}`;
    votes.textContent = votesInWords(counts, classes);
    neighbours.forEach(({ canvas, name, box }, i) => {
      box.hidden = i >= near.length;
      if (box.hidden) return;
      pen(canvas).drawImage(planes[near[i]], 0, 0, wide, high);
      name.textContent = classes[labels[near[i]]];
      box.style.borderColor = colours[labels[near[i]]];
    });
  }

  function drawBars({ which, accuracies }) {
    resize(bars, roomIn(root, BAR.width), BAR.line * stages.length);
    const context = pen(bars);
    const style = getComputedStyle(root);
    const longest = bars.vitWidth - BAR.name - BAR.number;
    context.textBaseline = "middle";
    context.fillStyle = style.color;
    accuracies.forEach((accuracy, i) => {
      const middle = BAR.line * (i + 0.5);
      context.font = `${i === which ? 700 : 400} 12px ${style.fontFamily}`;
      context.fillText(stages[i], 0, middle, BAR.name - 8);
      context.fillText(percent(accuracy), BAR.name, middle);
      context.globalAlpha = i === which ? 0.95 : 0.55;
      context.fillRect(BAR.name + BAR.number, middle - 6, Math.max(1, longest * accuracy), 12);
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
    words.textContent = text;
    map.setAttribute("aria-label", text);
  }

  // Pointing and keys
  const dotsNow = () => dotsOf(data.places[chosenStage()], map.vitWidth);
  const showDot = (dot) => dot !== null && show(dot);
  pointing(map, (x, y) => showDot(dotUnder(dotsNow(), known, x, y)), "always");
  pointing(bars, (_, y) => goTo(stageAt(y, stages.length)), "never");
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
