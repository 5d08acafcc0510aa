"""How fast the sketch lab answers a stroke, in headless Chromium: the work that a browser does in one frame.

    python tests/benchmarks/bench_sketch.py

moves the mouse over the canvas with its button down, and prints the median and the 95th percentile of the milliseconds
that a frame takes: painting, the whole model, and everything drawn again. It returns 1 if a median is above 16 ms.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from lab import chromium, why_no_browser
from page import ExplorerPage, ExplorerWindow

from vit_tutorial import load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import SketchLab

LIMIT_MS = 16
FRAMES, FIRST = 160, 20  # the first ones, in which the browser compiles, are not counted
CANVAS = "canvas[role=application]"
CASES = {
    "the canvas and the answer": {},
    "with more": {"more": True},
    "with more, two heads off": {"more": True, "off": [(0, 1), (3, 2)]},
}
WATCH = """() => {
    window.vitTimes = [];
    const ask = window.requestAnimationFrame.bind(window);
    window.requestAnimationFrame = (draw) => ask((now) => {
        const began = performance.now();
        draw(now);
        window.vitTimes.push(performance.now() - began);
    });
}"""


def measure(lab: ExplorerPage) -> np.ndarray:
    """Draw a zigzag, and return the milliseconds of each frame."""
    page = lab.page
    page.evaluate(WATCH)
    box = page.locator(CANVAS).bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    for i in range(1, FRAMES + 1):
        across, down = 0.02 + 0.96 * (i * 0.617 % 1), 0.02 + 0.96 * i / FRAMES
        page.mouse.move(box["x"] + box["width"] * across, box["y"] + box["height"] * down)
        page.wait_for_function("frames => window.vitTimes.length >= frames", arg=i)
    page.mouse.up()
    return np.array(page.evaluate("() => window.vitTimes"))[FIRST:]


def main() -> int:
    """Return 0 if every median is within the limit, 2 without a browser."""
    if missing := why_no_browser():
        print(missing, file=sys.stderr)
        return 2
    model = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    data = load("fashion_mnist")
    late = False
    print(f"{'one frame of a stroke':30} {'median':>10} {'95%':>10}")
    with chromium() as browser:
        window = ExplorerWindow(browser)
        for name, choices in CASES.items():
            page = ExplorerPage(window, SketchLab(model, learned_from=data.train_images, **choices))
            times = measure(page)
            page.close()
            late |= bool(np.median(times) > LIMIT_MS)
            print(f"{name:30} {np.median(times):7.1f} ms {np.quantile(times, 0.95):7.1f} ms", flush=True)
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
