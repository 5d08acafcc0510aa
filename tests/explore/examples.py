"""What the tests of the explorers share: pictures and maps of the same random numbers each time, and a common check."""

import base64
import copy
import html
import io
import re

import numpy as np
import torch
from PIL import Image
from references import randomize

from vit_tutorial import ModelCard, ViT, ViTConfig


def picture(height=12, width=12, channels=3, seed=0):
    """A picture of noise, uint8 [channels, height, width]."""
    return np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)


def random_maps(layers=2, heads=3, tokens=10, seed=0):
    """Attention maps [layers, heads, tokens, tokens] whose rows sum to 1."""
    logits = torch.randn(layers, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    return logits.softmax(-1).numpy()


def check_still_picture(lab):
    """Check that a picture stands behind the widget where it does not run, with what it shows as its alt text."""
    data, _ = lab._repr_mimebundle_()
    assert data["text/plain"] == repr(lab)
    assert "application/vnd.jupyter.widget-view+json" in data
    alt, source = re.search(r'<img alt="([^"]+)" src="data:image/png;base64,([^"]+)">', data["text/html"]).groups()
    assert html.unescape(alt) == lab.words()
    image = Image.open(io.BytesIO(base64.b64decode(source)))
    assert 900 <= image.width <= 1000
    assert np.asarray(image.convert("L")).std() > 20
    assert len(source) < 300_000


# A model in which heads are switched off

SIZE = {"image_size": 12, "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 8, "depth": 3, "num_heads": 2}
OFF = [(0, 1), (2, 0), (2, 1)]
NAMES = ("cat", "dog", "owl")


def model(swap=None, **options):
    vit = randomize(ViT(ViTConfig(**(SIZE | options)), **(swap or {}))).double()
    vit.card = ModelCard(NAMES, (0.3,), (0.4,))
    return vit.eval()


def pictures():
    return {name: picture(12, 12, 1, seed) for seed, name in enumerate(("one", "two"))}


def normalized(image):
    return (torch.from_numpy(image)[None].double() / 255 - 0.3) / 0.4


def without_rows(vit, off):
    """The same model with these heads' rows of W_O set to zero: what a head says does not get out."""
    cut, width = copy.deepcopy(vit), vit.config.dim // vit.config.num_heads
    for layer, head in off:
        cut.blocks[layer].attn.proj.weight.data[:, head * width : (head + 1) * width] = 0
    return cut
