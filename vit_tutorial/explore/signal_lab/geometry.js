// Where the charts of the signal lab and what is drawn in them lie, in CSS pixels.

export const AREA = { width: 912, height: 284, top: 42, bottom: 34, left: 44, right: 6, gap: 16 };
export const BOTTOM = AREA.height - AREA.bottom;

/** Charts side by side: how wide the inside of one is, where it starts, the middle of a block, the block under an x. */
export function chartsLayout(charts) {
  const step = (AREA.width + AREA.gap) / charts;
  const inner = step - AREA.gap - AREA.left - AREA.right;
  const startOf = (chart) => chart * step + AREA.left;
  const middleOf = (chart, block, blocks) => startOf(chart) + ((block - 0.5) / blocks) * inner;
  /** The block, counted from 1, in whose column of a chart of so many blocks a point lies; null beside the charts. */
  function blockAt(x, blocks) {
    const along = x - startOf(Math.floor(x / step));
    return along >= 0 && along < inner ? Math.floor((along / inner) * blocks) + 1 : null;
  }
  return { inner, startOf, middleOf, blockAt };
}

/** The height of a level on an axis from low to high. */
export const heightOf = (level, [low, high]) => BOTTOM - ((level - low) / (high - low)) * (BOTTOM - AREA.top);
