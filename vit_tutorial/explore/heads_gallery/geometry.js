// Where the maps of the heads gallery lie, in CSS pixels.

import { fitted } from "../numbers.js";

const PANEL = { width: 912, padding: 22, picture: 176, gap: 24 };
const SPACE = { width: 380, height: 330 };
const MARGIN = { left: 26, top: 20 };
const GAP = 6;

/** The picture, and the maps of the heads of one layer: sizes, maps in a line, and the width of a line. */
export function largeLayout(picture, heads) {
  const perLine = heads <= 4 ? heads : 6;
  const side = Math.min(148, Math.floor((PANEL.width - PANEL.picture - PANEL.gap * perLine) / perLine));
  const [mapWidth, mapHeight] = fitted(picture, side);
  const [width, height] = fitted(picture, PANEL.picture);
  return { width, height, mapWidth, mapHeight, lineWidth: perLine * (mapWidth + PANEL.padding) };
}

/**
 * All maps, a layer per line, a head per column: sizes, the corner of a map, and the layer at a height (or null).
 * `letters` says how many times as large as usual these are: they have more room, and the maps less.
 */
export function smallLayout(picture, layers, heads, letters = 1) {
  const [left, top] = [MARGIN.left * letters, MARGIN.top * letters];
  const room = SPACE.width + MARGIN.left - left;
  const fits = Math.min(Math.floor(room / heads) - GAP, Math.floor(SPACE.height / layers) - GAP);
  const side = Math.max(12, Math.min(40, fits));
  const step = side + GAP;
  const [mapWidth, mapHeight] = fitted(picture, side);
  return {
    ...{ left, top, step, mapWidth, mapHeight },
    width: left + heads * step + 4,
    height: top + layers * step,
    lineWidth: heads * step,
    cornerOf: (layer, head) => [left + head * step, top + layer * step],
    layerAt(y) {
      const layer = Math.floor((y - top + GAP / 2) / step);
      return layer >= 0 && layer < layers ? layer : null;
    },
  };
}
