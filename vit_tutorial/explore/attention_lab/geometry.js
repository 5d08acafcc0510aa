// Where the small maps of all layers and heads lie, in CSS pixels: a layer per line, a head per column.

const SPACE = { width: 868, height: 420 };
const GAP = 6;
const MARGIN = { left: 28, top: 20 };

/** Sizes of the sheet and of one map, the corner of a map, and the map under a point (null between and outside them). */
export function smallLayout(layers, heads, rows, columns) {
  const fits = Math.min(44, Math.floor(SPACE.width / heads) - GAP, Math.floor(SPACE.height / layers) - GAP);
  const side = Math.max(14, fits);
  const step = side + GAP;
  const cornerOf = (layer, head) => [MARGIN.left + head * step, MARGIN.top + layer * step];
  const mapAt = (x, y) => {
    const [layer, head] = [Math.floor((y - MARGIN.top) / step), Math.floor((x - MARGIN.left) / step)];
    return head >= 0 && head < heads && layer >= 0 && layer < layers ? { layer, head } : null;
  };
  return {
    width: MARGIN.left + heads * step + 4,
    height: MARGIN.top + layers * step,
    mapWidth: Math.round((side * columns) / Math.max(rows, columns)),
    mapHeight: Math.round((side * rows) / Math.max(rows, columns)),
    cornerOf,
    mapAt,
  };
}
