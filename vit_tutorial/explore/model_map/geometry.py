"""Where the boxes of the model map lie, in CSS pixels: the way through the model above, the open block below."""

from __future__ import annotations

PARTS_OF_BLOCK = ("norm1", "attn", "norm2", "mlp")
INSIDE = {
    "pre": ("norm1", "attn", "residual1", "norm2", "mlp", "residual2"),
    "post": ("attn", "residual1", "norm1", "mlp", "residual2", "norm2"),
}
WIDE, HIGH = 912, 232  # of the map, in CSS pixels
TOP, INNER, TALL = 12, 146, 50  # upper edges of both rows, height of a box
EDGE, GAP, INNER_GAP = 2, 13, 34
PART, PLUS = 112, 44  # widths inside a block
ARC = 126  # where the residual connections run
LEAST_BAR = 3.0  # of a box with parameters


def layout(keys: list[str]) -> tuple[dict[str, list[float]], list[list[float]]]:
    """Lay out the boxes: [x, y, width, height] of each, and [from x, to x] of each residual connection."""
    outside = [key for key in keys if key not in INSIDE["pre"]]
    inside = [key for key in keys if key in INSIDE["pre"]]
    width = (WIDE - 2 * EDGE - GAP * (len(outside) - 1)) / len(outside)
    places = {key: [EDGE + i * (width + GAP), TOP, width, TALL] for i, key in enumerate(outside)}
    widths = [PLUS if key.startswith("residual") else PART for key in inside]
    x = (WIDE - sum(widths) - INNER_GAP * (len(inside) - 1)) / 2
    arcs, start = [], x - INNER_GAP / 2
    for place, (key, wide) in enumerate(zip(inside, widths, strict=True)):
        places[key] = [x, INNER, wide, TALL]
        if key.startswith("residual"):
            arcs.append([start, x + wide / 2])
            after = x + wide + INNER_GAP / 2
            follows_norm = inside[(place + 1) % len(inside)].startswith("norm") and inside[0] == "attn"
            start = after + PART + INNER_GAP if follows_norm else after  # post-norm: the stream goes through the norm
        x += wide + INNER_GAP
    return places, arcs


def bar_length(share: float, width: float) -> float:
    """How long the bar is that shows a share of the parameters, in pixels: seen wherever there are any."""
    return max(LEAST_BAR, width * share) if share else 0.0
