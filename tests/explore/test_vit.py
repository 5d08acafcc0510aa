"""What a browser needs to run a model: that it is all there, and the numbers of PyTorch that `js/vit.test.js` repeats.

    python tests/explore/test_vit.py

writes these numbers to `js/vit.json`, from tests/ on the path.
"""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from vit_tutorial import ModelCard, ViT, ViTConfig, attention_maps
from vit_tutorial.explore.heads_gallery.numbers import heads_off
from vit_tutorial.explore.vit import packed_vit
from vit_tutorial.introspection import logit_lens, patch_tokens, token_stages

STORED = Path(__file__).parent / "js" / "vit.json"
SIZE = {"image_size": (4, 6), "patch_size": 2, "num_classes": 3, "dim": 8, "depth": 3, "num_heads": 2}
CASES = {
    "class token, three channels": {"in_channels": 3},
    "mean, tanh, grey, odd sizes": {"in_channels": 1, "pool": "mean", "gelu": "tanh", "dim": 6, "mlp_ratio": 1.5},
}
BARE = {"in_channels": 1, "qkv_bias": False, "position": "none", "num_classes": 5}
OFF = [[0, 1], [2, 0]]
TOKEN = 0  # that comes from the other picture, after block 0


def wave(model):
    """Set all numbers of a model to a wave that JavaScript can make too; returns how many there are."""
    at = 0
    with torch.no_grad():
        for part in parts(model):
            numbers = [0.6 * math.sin(1.7 * (at + i) + 0.3) for i in range(part.numel())]
            part.copy_(torch.tensor(numbers, dtype=torch.float32).reshape(part.shape))
            at += part.numel()
    return model.double().eval()


def parts(model):
    """The parameters in the order in which they travel."""
    yield from model.patch_embed.parameters()
    yield from model.class_token.parameters()
    yield from model.position.parameters()
    for block in model.blocks:
        for layer in (block.norm1, block.attn.qkv, block.attn.proj, block.norm2, block.mlp.fc1, block.mlp.fc2):
            yield from layer.parameters()
    yield from model.norm.parameters()
    yield from model.head.parameters()


def wave_model(options):
    model = ViT(ViTConfig(**(SIZE | options)))
    channels = model.config.in_channels
    model.card = ModelCard(tuple("abcde"[: model.config.num_classes]), (0.25,) * channels, (0.5,) * channels)
    return wave(model)


def pixels(model, which):
    """A picture that JavaScript can make too."""
    shape = (1, model.config.in_channels, 4, 6)
    return (torch.arange(math.prod(shape)) * (37 + 64 * which) % 256).reshape(shape).to(torch.uint8)


@torch.no_grad()
def expected(options):
    """What PyTorch says of a case, in double precision, as plain numbers."""
    model = wave_model(options)
    one, two = (model.card.normalize(pixels(model, which)).double() for which in (0, 1))
    stages, other = model.forward_intermediates(one), model.forward_intermediates(two)
    with heads_off(model, OFF):
        off = model.forward_intermediates(one)
    mixed = stages["blocks.0"].clone()
    mixed[:, TOKEN] = other["blocks.0"][:, TOKEN]
    replaced = model.classify(model.norm(model.blocks[2](model.blocks[1](mixed))))
    patches = slice(model.num_prefix_tokens, None)
    found = {
        "lens": logit_lens(model, one).softmax(-1),
        "answers": torch.cat([model.classify(model.norm(tokens)) for tokens in token_stages(model, one)]).softmax(-1),
        "exchanged": torch.cat([patch_tokens(model, one, block, patches, two) for block in range(4)]).softmax(-1),
        "front": stages["position"],
        "after": torch.cat([stages[f"blocks.{i}"] for i in range(3)]),
        "map": attention_maps(model, one)[1],
        "logits": stages["logits"],
        "off": off["logits"],
        "off_after_1": off["blocks.1"],
        "replaced": replaced,
    }
    packed = {name: value for name, value in packed_vit(model).items() if name != "numbers"}
    rounded = {name: [round(number, 7) for number in values.flatten().tolist()] for name, values in found.items()}
    count = {"count": len(packed_vit(model)["numbers"]) // 4}
    return {"sizes": packed, "off_heads": OFF, "token": TOKEN} | count | rounded


@pytest.mark.parametrize("name", CASES)
def test_the_numbers_that_javascript_repeats_are_those_of_pytorch(name):
    stored, found = json.loads(STORED.read_text(encoding="utf-8"))[name], expected(CASES[name])
    assert stored.keys() == found.keys()
    for key, value in found.items():
        if key in ("sizes", "count", "off_heads", "token"):
            assert stored[key] == value
        else:
            np.testing.assert_allclose(stored[key], value, atol=1e-6)


def test_what_travels_to_the_browser_is_the_model():
    model = wave_model(BARE)
    numbers = np.frombuffer(packed_vit(model)["numbers"], np.float32)
    front, table, norm = 4 * 8 + 8 + 8, 7 * 8, 2 * 8
    assert np.array_equal(numbers[:32], model.patch_embed.proj.weight.detach().flatten().float())
    assert (numbers[front : front + table] == 0).all()  # the positions that this model has not
    qkv = front + table + norm
    assert np.array_equal(numbers[qkv : qkv + 192], model.blocks[0].attn.qkv.weight.detach().flatten().float())
    assert (numbers[qkv + 192 : qkv + 192 + 24] == 0).all()  # nor the bias
    assert np.array_equal(numbers[-5:], model.head.bias.detach().float())


def test_numbers_that_float16_holds_travel_as_float16():
    model = wave_model(BARE).float()
    whole = packed_vit(model)
    assert not whole["half"]
    rounded = packed_vit(model.half().float())
    assert rounded["half"]
    assert len(rounded["numbers"]) * 2 == len(whole["numbers"])
    halves, numbers = np.frombuffer(rounded["numbers"], np.float16), np.frombuffer(whole["numbers"], np.float32)
    np.testing.assert_array_equal(halves, numbers.astype(np.float16))


def test_without_a_card_pixels_are_0_to_1():
    model = wave_model(CASES["class token, three channels"])
    assert (packed_vit(model)["mean"], packed_vit(model)["std"]) == ([0.25] * 3, [0.5] * 3)
    model.card = None
    assert (packed_vit(model)["mean"], packed_vit(model)["std"]) == ([0.0] * 3, [1.0] * 3)


if __name__ == "__main__":
    found = {name: expected(options) for name, options in CASES.items()}
    STORED.write_text(json.dumps(found), encoding="utf-8")
