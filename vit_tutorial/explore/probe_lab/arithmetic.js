// The numbers of the probe lab in the browser: the same as in numbers.py.

import { bytesOf, percent } from "../numbers.js";

/** What the kernel sent, as arrays: places [S][2n], near [S][asked*most], and a picture by its number. */
export function unpacked(sent) {
  const { stages, labels, labelled, most, shape } = sent;
  const [places, near] = [new Float32Array(bytesOf(sent.places).buffer), new Uint16Array(bytesOf(sent.near).buffer)];
  const [all, asked] = [labels.length, labels.length - labelled];
  const pixels = bytesOf(sent.pixels);
  const [channels, height, width] = shape;
  const size = channels * height * width;
  return {
    ...sent,
    asked,
    places: stages.map((_, i) => places.subarray(2 * all * i, 2 * all * (i + 1))),
    near: stages.map((_, i) => near.subarray(asked * most * i, asked * most * (i + 1))),
    pictureOf: (i) => ({ name: "", channels, height, width, pixels: pixels.subarray(size * i, size * (i + 1)) }),
  };
}

/** The labelled pictures nearest to one that is asked, the nearest first. */
const nearTo = ({ near, most }, stage, picture, neighbours) =>
  Array.from(near[stage].subarray(most * picture, most * picture + neighbours));

/** The votes of some labelled pictures for each class. */
function votesOf({ labels, classes }, near) {
  const votes = classes.map(() => 0);
  for (const i of near) votes[labels[i]] += 1;
  return votes;
}

/** The class with most votes; of equal ones, that of the nearest picture. */
export function answerOf(data, near) {
  const votes = votesOf(data, near);
  const most = Math.max(...votes);
  return data.labels[near.find((i) => votes[data.labels[i]] === most)];
}

/** What the neighbours answer for every picture that is asked. */
export const answersOf = (data, stage, neighbours) =>
  Array.from({ length: data.asked }, (_, picture) => answerOf(data, nearTo(data, stage, picture, neighbours)));

/** A function from choices to what is shown; what all pictures are answered is computed once for each number of them. */
export function stateOf(data) {
  const kept = new Map();
  return ({ stage, picture, neighbours }) => {
    if (!kept.has(neighbours)) {
      kept.set(
        neighbours,
        data.stages.map((_, i) => answersOf(data, i, neighbours)),
      );
    }
    const which = data.stages.indexOf(stage);
    const truth = data.labels.slice(data.labelled);
    const right = kept.get(neighbours).map((answers) => answers.filter((answer, i) => answer === truth[i]).length);
    const near = nearTo(data, which, picture, neighbours);
    return {
      ...{ stage, picture, neighbours, which, near },
      votes: votesOf(data, near),
      answers: kept.get(neighbours)[which],
      answer: kept.get(neighbours)[which][picture],
      label: truth[picture],
      accuracies: right.map((number) => number / data.asked),
      share: data.shares[which],
    };
  };
}

/** The next picture after this one, round and round, that is answered wrongly; this one if there is none. */
export function nextWrong({ labels, labelled, asked }, answers, picture) {
  for (let step = 1; step <= asked; step++) {
    const next = (picture + step) % asked;
    if (answers[next] !== labels[labelled + next]) return next;
  }
  return picture;
}

/** The votes, most first: "Sneaker 3 times, Ankle boot 2 times". */
export function votesInWords(votes, classes) {
  const heard = classes.map((_, i) => i).filter((i) => votes[i]);
  heard.sort((a, b) => votes[b] - votes[a] || a - b);
  return heard.map((i) => `${classes[i]} ${votes[i]} time${votes[i] > 1 ? "s" : ""}`).join(", ");
}

/** What as many neighbours as can vote say of each picture at each stage: fewer name no more classes. */
export const votesAtMost = (data) =>
  data.stages.flatMap((_, stage) =>
    Array.from({ length: data.asked }, (_, picture) =>
      votesInWords(votesOf(data, nearTo(data, stage, picture, data.most)), data.classes),
    ),
  );

/** What the lab shows, in a few sentences, as `words` in numbers.py. */
export function wordsOf({ stage, picture, neighbours, votes, answer, label, which, accuracies, share }, data) {
  const { classes, asked } = data;
  const who = neighbours > 1 ? `Its ${neighbours} nearest labelled pictures say` : "The nearest labelled picture says";
  return (
    `${stage}: picture ${picture}, ${classes[label]}. ${who} ${votesInWords(votes, classes)}: ${classes[answer]}, ` +
    `${answer === label ? "right" : "wrong"}. So ${percent(accuracies[which])} of ${asked} pictures are answered ` +
    `rightly. The map holds ${percent(share)} of the spread of the features.`
  );
}
