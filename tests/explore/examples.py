"""What the tests of the explorers share: pictures and maps of the same random numbers each time, and a common check."""

import base64
import html
import io
import re

import numpy as np
import torch
from PIL import Image


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
