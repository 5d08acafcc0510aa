"""How fast the explorers answer a key: from the key event to the redrawn picture, in headless Chromium.

    python tests/benchmarks/bench_explorers.py

prints, for each explorer, the median and the 95th percentile of two times in milliseconds: until the canvas is redrawn,
and until the browser has put the next frame on the screen; and how many of the keys were drawn. It returns 1 if a
median until the redraw is above 16 ms or a key is lost. Keys follow one another as fast as the browser takes them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from lab import chromium, why_no_browser
from page import ExplorerPage, ExplorerWindow

from vit_tutorial import ViT, ViTConfig, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import (
    AttentionLab,
    AttentionPlane,
    HeadsGallery,
    LensLab,
    ModelMap,
    PatchLab,
    PositionLab,
    ProbeLab,
    ReachLab,
    SignalLab,
    SketchLab,
    TokenTable,
    TrainingTimeline,
)
from vit_tutorial.studies import versus

LIMIT_MS = 16
KEYS = 120
RANDOM = np.random.default_rng(0)


def picture(channels, side):
    return RANDOM.integers(0, 256, (channels, side, side), dtype=np.uint8)


def trained():
    return load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")


def maps(layers, heads, tokens):
    weights = np.exp(RANDOM.normal(size=(layers, heads, tokens, tokens)))
    return weights / weights.sum(-1, keepdims=True)


def with_scores(image, maps, grid, **choices):
    return AttentionLab(image, maps, grid, scores=np.log(maps), **choices)


def timeline():
    images = torch.from_numpy(np.stack([picture(1, 28) for _ in range(5)]))
    return TrainingTimeline({epoch: trained() for epoch in (0, 1, 2, 5, 12, 24)}, images, "abcde", [0.5] * 24)


def contestants():
    settings = versus.contests("fashion_mnist", (1,), (500,))
    data = load("fashion_mnist")
    return tuple(
        versus.make_contestant(settings[versus.name_of(name, 500, 1)], data, seed=0) for name in ("CNN", "ViT")
    )


def probes():
    random = np.random.default_rng(0)
    features = {f"stage {i}": random.normal(size=(200, 64)) for i in range(6)}
    pictures = np.stack([picture(1, 28) for _ in range(200)])
    return ProbeLab(features, pictures, random.integers(0, 4, 200), 80, "abcd")


def of_a_thousand_classes():
    return ViT(ViTConfig(image_size=28, patch_size=7, in_channels=1, num_classes=1000, dim=16, depth=2, num_heads=2))


CASES = {
    "patch lab, 224x224 colour, 196 patches": lambda: PatchLab(picture(3, 224), 16),
    "patch lab, 224x224 colour, 50,176 patches": lambda: PatchLab(picture(3, 224), 1),
    "patch lab, 28x28 grey, 49 patches": lambda: PatchLab(picture(1, 28), 4),
    "token table, 50 tokens of 64 numbers, 7 stages": lambda: TokenTable(trained(), picture(1, 28)),
    "position lab, 49 positions, D = 64": lambda: PositionLab(trained(), {"noise": picture(1, 28)}),
    "position lab, 196 positions, D = 64": lambda: PositionLab(trained(), {"noise": picture(1, 28)}, grid=14),
    "heads gallery, 6 layers of 4 heads, 50 tokens": lambda: HeadsGallery(trained(), picture(1, 28)),
    "heads gallery, switching heads of layer 0": lambda: HeadsGallery(trained(), picture(1, 28)),
    "lens lab, 6 blocks, 50 tokens": lambda: LensLab(trained(), {"a": picture(1, 28), "b": picture(1, 28)}),
    "lens lab, exchanging after each block": lambda: LensLab(
        trained(), {"a": picture(1, 28), "b": picture(1, 28)}, exchange="all patches"
    ),
    "lens lab, 1,000 classes, 17 tokens": lambda: LensLab(of_a_thousand_classes(), picture(1, 28)),
    "reach lab, 4 stages and 3": lambda: ReachLab(contestants(), picture(1, 28)),
    "probe lab, 6 stages, 200 pictures": probes,
    "signal lab, 12 blocks": lambda: SignalLab(depth=12),
    "sketch lab, moving the brush": lambda: SketchLab(trained(), {"a": picture(1, 28)}),
    "sketch lab, painting": lambda: SketchLab(trained(), {"a": picture(1, 28)}),
    "sketch lab, painting, with more": lambda: SketchLab(trained(), {"a": picture(1, 28)}, more=True),
    "model map, 6 blocks, D = 64": lambda: ModelMap(trained(), picture(1, 28)),
    "attention lab, 6 layers of 4 heads, 50 tokens": lambda: AttentionLab(picture(1, 28), maps(6, 4, 50), 7),
    "attention lab, 12 layers of 12 heads, 197 tokens": lambda: AttentionLab(picture(3, 224), maps(12, 12, 197), 14),
    "attention lab with scores, 6 layers, 50 tokens": lambda: with_scores(picture(1, 28), maps(6, 4, 50), 7),
    "attention lab, 12 x 12, 197 tokens, warmer": lambda: with_scores(
        picture(3, 224), maps(12, 12, 197), 14, temperature=2
    ),
    "attention in the plane": lambda: AttentionPlane(),
    "training timeline, 6 moments, 50 tokens": lambda: timeline(),
}
MOVES = ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowLeft", "ArrowUp")
PAINTING = (" ", "Shift+ArrowRight", " ", "ArrowDown", " ", "Shift+ArrowLeft", " ", "ArrowDown")
OTHER_KEYS = {  # most of them run the model, or most of it
    "sketch lab, painting": PAINTING,
    "sketch lab, painting, with more": PAINTING,
    "heads gallery, switching heads of layer 0": tuple("01230123"),
    "lens lab, exchanging after each block": tuple("01230123"),
}
CANVAS = "canvas[role=application]"
WATCH = """canvas => {
    const element = document.querySelector(canvas);
    const times = (window.vitTimes = { drawn: [], shown: [] });
    let start = 0;
    window.addEventListener("keydown", (event) => {
        if (event.key === "Shift") return;
        const began = (start = event.timeStamp);
        requestAnimationFrame(() => {
            const channel = new MessageChannel();
            channel.port1.onmessage = () => times.shown.push(performance.now() - began);
            channel.port2.postMessage(0);
        });
    }, true);
    new MutationObserver(() => times.drawn.push(performance.now() - start))
        .observe(element, { attributes: true, attributeFilter: ["aria-label"] });
}"""


def measure(lab: ExplorerPage, keys: tuple[str, ...] = MOVES) -> tuple[np.ndarray, np.ndarray]:
    """Press the keys, and return the milliseconds until each redraw and until each frame."""
    page = lab.page
    page.locator(CANVAS).scroll_into_view_if_needed()
    page.locator(CANVAS).focus()
    page.keyboard.press("Home")
    page.evaluate(WATCH, CANVAS)
    for key in keys * (KEYS // len(keys)):
        page.keyboard.press(key)
    page.wait_for_function("keys => window.vitTimes.shown.length === keys", arg=KEYS)
    times = page.evaluate("() => window.vitTimes")
    return np.array(times["drawn"]), np.array(times["shown"])


def main() -> int:
    """Return 0 if every explorer redraws within the limit and loses no key, 2 without a browser."""
    if missing := why_no_browser():
        print(missing, file=sys.stderr)
        return 2
    late = False
    print(f"{'explorer':50} {'redrawn: median':>16} {'95%':>6} {'on screen: median':>19} {'95%':>6} {'keys drawn':>12}")
    with chromium() as browser:
        window = ExplorerWindow(browser)
        for name, make in CASES.items():
            lab = ExplorerPage(window, make())
            drawn, shown = measure(lab, OTHER_KEYS.get(name, MOVES))
            lab.close()
            late |= bool(np.median(drawn) > LIMIT_MS) or len(drawn) < KEYS
            print(
                f"{name:50} {np.median(drawn):13.1f} ms {np.quantile(drawn, 0.95):6.1f} "
                f"{np.median(shown):16.1f} ms {np.quantile(shown, 0.95):6.1f} {len(drawn):5} of {KEYS}",
                flush=True,
            )
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
