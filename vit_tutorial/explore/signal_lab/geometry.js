// Where the charts of the signal lab and what is drawn in them lie, in CSS pixels.

export const WIDTH = 912;
const HIGH = 208; // the inside of a chart
const AROUND = { top: 42, bottom: 34, left: 44, right: 6 }; // it: what is written there
const GAP = 16;
const NARROW = 560; // below, one chart lies below the other

/**
 * Charts side by side, or below one another where it is narrow: the size of all together, that of one and of its inside,
 * where it starts and how far down, where its inside lies in it, the middle of a block, the block under an x, and the
 * height of a level on an axis. `letters` says how many times as large as usual these are.
 */
export function chartsLayout(charts, width = WIDTH, letters = 1) {
  const [top, bottom, left, right] = ["top", "bottom", "left", "right"].map((side) => AROUND[side] * letters);
  const across = width < NARROW * letters ? 1 : charts;
  const step = (width + GAP) / across;
  const [wide, high] = [step - GAP, top + HIGH + bottom];
  const [inner, floor] = [wide - left - right, top + HIGH];
  const startOf = (chart) => (chart % across) * step + left;
  const topOf = (chart) => Math.floor(chart / across) * (high + GAP);
  const middleOf = (chart, block, blocks) => startOf(chart) + ((block - 0.5) / blocks) * inner;
  /** The block, counted from 1, in whose column of a chart of so many blocks a point lies; null beside the charts. */
  function blockAt(x, blocks) {
    const along = x - startOf(Math.floor(x / step));
    return along >= 0 && along < inner ? Math.floor((along / inner) * blocks) + 1 : null;
  }
  const heightOf = (level, [low, most]) => floor - ((level - low) / (most - low)) * HIGH;
  const height = topOf(charts - 1) + high;
  return { width, height, letters, wide, inner, left, top, floor, startOf, topOf, middleOf, blockAt, heightOf };
}
