"""Pictures and attention maps for the tests of the explorers: the same random numbers each time."""

import numpy as np
import torch


def picture(height=12, width=12, channels=3, seed=0):
    """A picture of noise, uint8 [channels, height, width]."""
    return np.random.default_rng(seed).integers(0, 256, (channels, height, width), dtype=np.uint8)


def random_maps(layers=2, heads=3, tokens=10, seed=0):
    """Attention maps [layers, heads, tokens, tokens] whose rows sum to 1."""
    logits = torch.randn(layers, heads, tokens, tokens, generator=torch.Generator().manual_seed(seed))
    return logits.softmax(-1).numpy()
