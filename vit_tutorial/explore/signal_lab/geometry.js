// Where the charts of the signal lab and what is drawn in them lie, in CSS pixels.

export const AREA = { width: 912, height: 284, top: 42, bottom: 34, left: 44, right: 6, gap: 16 };
export const BOTTOM = AREA.height - AREA.bottom;
const NARROW = 560; // below, one chart lies below the other

/**
 * Charts side by side, or below one another where it is narrow: how high all are together, how wide the inside of one is,
 * where it starts and how far down, the middle of a block, and the block under an x.
 */
export function chartsLayout(charts, width = AREA.width) {
  const across = width < NARROW ? 1 : charts;
  const step = (width + AREA.gap) / across;
  const inner = step - AREA.gap - AREA.left - AREA.right;
  const startOf = (chart) => (chart % across) * step + AREA.left;
  const topOf = (chart) => Math.floor(chart / across) * (AREA.height + AREA.gap);
  const middleOf = (chart, block, blocks) => startOf(chart) + ((block - 0.5) / blocks) * inner;
  /** The block, counted from 1, in whose column of a chart of so many blocks a point lies; null beside the charts. */
  function blockAt(x, blocks) {
    const along = x - startOf(Math.floor(x / step));
    return along >= 0 && along < inner ? Math.floor((along / inner) * blocks) + 1 : null;
  }
  return { height: topOf(charts - 1) + AREA.height, inner, startOf, topOf, middleOf, blockAt };
}

/** The height of a level on an axis from low to high. */
export const heightOf = (level, [low, high]) => BOTTOM - ((level - low) / (high - low)) * (BOTTOM - AREA.top);
