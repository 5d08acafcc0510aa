// Where the small maps of all layers and heads lie, in CSS pixels: a layer per line, a head per column.

export const WIDTH = 900;
const HIGH = 420; // of all maps, where there is room for such large ones
const GAP = 6;
const MARGIN = { left: 28, top: 20, right: 4 }; // left and top for numbers

/**
 * Sizes of the sheet and of one map, the corner of a map, and the map under a point (null between and outside them), in
 * so much room. `letters` says how many times as large as usual these are.
 */
export function smallLayout(layers, heads, rows, columns, room = WIDTH, letters = 1) {
  const [left, top] = [MARGIN.left * letters, MARGIN.top * letters];
  const [wide, high] = [(room - left - MARGIN.right) / heads, HIGH / layers].map((one) => Math.floor(one) - GAP);
  const side = Math.max(14, Math.min(44, wide, high));
  const step = side + GAP;
  const cornerOf = (layer, head) => [left + head * step, top + layer * step];
  const mapAt = (x, y) => {
    const [layer, head] = [Math.floor((y - top) / step), Math.floor((x - left) / step)];
    return head >= 0 && head < heads && layer >= 0 && layer < layers ? { layer, head } : null;
  };
  return {
    ...{ left, top, step },
    width: left + heads * step + MARGIN.right,
    height: top + layers * step,
    mapWidth: Math.round((side * columns) / Math.max(rows, columns)),
    mapHeight: Math.round((side * rows) / Math.max(rows, columns)),
    cornerOf,
    mapAt,
  };
}
