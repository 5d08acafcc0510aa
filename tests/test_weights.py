"""Weights in and out: what is saved comes back, what does not fit is named, and no damaged file counts as a model."""

import hashlib
import json
import os
import pickle
import random
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import shapes
import torch
from references import assert_same, exactly, randomize
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

from vit_tutorial import (
    MLP,
    ModelCard,
    MultiHeadAttention,
    PositionEmbedding,
    ViT,
    ViTConfig,
    interpolate_positions,
    load_model,
    load_weights,
    save_model,
)
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.weights.files import read
from vit_tutorial.weights.metadata import unusual_parts

SMALL = {"image_size": 12, "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 2, "num_heads": 4}
CARD = ModelCard(("cat", "dog", "fish", "bird", "cow"), (0.5, 0.4, 0.3), (0.2, 0.25, 0.3), "animals.json")


def small_model(seed=1, **options):
    return randomize(ViT(ViTConfig(**(SMALL | options))).eval(), seed)


def small_images():
    return torch.randn(2, 3, 12, 12)


def rewrite(path, **metadata):
    """Change the metadata of a saved model; None takes an entry out."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() | metadata
    save_file(load_file(path), path, metadata={key: value for key, value in metadata.items() if value is not None})


# ---------------------------------------------------------------------------------------------- there and back


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"image_size": (8, 12), "pool": "mean", "position": "sincos", "norm": "post", "gelu": "tanh"},
        {"representation_size": 6, "qkv_bias": False, "position": "none", "dropout": 0.1, "drop_path": 0.1},
    ],
)
def test_a_saved_model_comes_back_the_same(tmp_path, options):
    model = small_model(**options).train()
    path = save_model(model, tmp_path / "model.safetensors", CARD)
    back = load_model(path)
    assert back.config == model.config
    assert back.card == CARD
    assert not back.training
    assert list(back.state_dict()) == list(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value), name
    images = torch.randn(2, 3, *back.patch_embed.image_size)
    assert torch.equal(back(images), model.eval()(images))


def test_saving_gives_the_path_makes_its_folders_and_leaves_nothing_else(tmp_path):
    path = save_model(small_model(), str(tmp_path / "deep" / "er" / "model.safetensors"))
    assert path == tmp_path / "deep" / "er" / "model.safetensors"
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]
    save_model(small_model(2), path)
    assert [file.name for file in path.parent.iterdir()] == ["model.safetensors"]
    assert torch.equal(load_model(path).head.bias, small_model(2).head.bias)


def test_the_card_travels_with_the_model(tmp_path):
    path = tmp_path / "model.safetensors"
    assert load_model(save_model(small_model(), path)).card == ModelCard()
    again = load_model(save_model(small_model(), path, CARD))
    assert load_model(save_model(again, path)).card == CARD
    other = ModelCard(("a", "b", "c", "d", "e"))
    assert load_model(save_model(again, path, other)).card == other
    assert small_model().card is None


@shapes.not_while_checking
def test_a_card_of_numbers_of_numpy_and_pytorch_is_saved(tmp_path):
    mean, std = np.array([0.5, 0.25, 0.75], dtype=np.float32), torch.tensor([0.5, 0.25, 0.125])
    card = ModelCard(list(CARD.class_names), mean, std, crop=np.float32(0.5))
    assert card == ModelCard(CARD.class_names, (0.5, 0.25, 0.75), (0.5, 0.25, 0.125), crop=0.5)
    assert load_model(save_model(small_model(), tmp_path / "model.safetensors", card)).card == card


def test_a_card_that_cannot_be_used_is_not_made():
    with pytest.raises(
        ValueError, match="the card has 1 mean and 3 std; give one of both for each channel, or neither"
    ):
        ModelCard(mean=(0.5,), std=CARD.std)


def test_the_card_normalises_pixels():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    out = CARD.normalize(images)
    assert out.dtype == torch.float32
    assert out[0].flatten().tolist() == pytest.approx([-0.5 / 0.2, -0.4 / 0.25, -0.3 / 0.3])
    assert out[1].flatten().tolist() == pytest.approx([0.5 / 0.2, 0.6 / 0.25, 0.7 / 0.3])
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(CARD.normalize(images), out)
    finally:
        torch.set_default_dtype(torch.float32)


def test_the_card_normalises_one_picture_as_it_does_many():
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    assert torch.equal(CARD.normalize(images[1]), CARD.normalize(images)[1])


def test_the_card_refuses_pixels_that_it_would_spoil():
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"a model of images of shape \[B,3,H,W\], got \[2, 1, 4, 4\]"):
        CARD.normalize(images[:, :1])
    with pytest.raises(ValueError, match=r"uint8 pixels from 0 to 255, got torch\.float32; pass the images unscaled"):
        CARD.normalize(images / 255)
    with pytest.raises(ValueError, match="the card has no mean and std, so it is not known how pixels become"):
        ModelCard().normalize(images)


def test_the_file_can_be_read_without_this_package(tmp_path):
    """It holds timm's names, plain JSON and nothing else."""
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    with safe_open(path, framework="pt") as file:
        assert {"cls_token", "pos_embed", "blocks.1.attn.qkv.weight"} < set(file.keys())
        metadata = file.metadata()
    assert set(metadata) == {"format", "config", "card", "sha256"}
    assert json.loads(metadata["config"])["depth"] == 2
    assert json.loads(metadata["card"])["class_names"] == list(CARD.class_names)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_weights_can_be_stored_smaller(tmp_path, dtype):
    model = small_model()
    whole = save_model(model, tmp_path / "whole.safetensors")
    half = save_model(model, tmp_path / "half.safetensors", dtype=dtype)
    assert half.stat().st_size < 0.6 * whole.stat().st_size
    back = load_model(half)
    assert {parameter.dtype for parameter in back.parameters()} == {torch.float32}
    for name, value in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], value.to(dtype).float()), name
    assert model.head.weight.dtype == torch.float32, "the model itself is not changed"


def test_saving_does_not_change_the_random_numbers_or_the_mode(tmp_path):
    model = small_model().train()
    state = torch.get_rng_state()
    save_model(model, tmp_path / "model.safetensors")
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training


# ---------------------------------------------------------------------------------------------- a write that fails


def test_a_write_that_fails_half_way_keeps_the_old_file(tmp_path, monkeypatch):
    path = save_model(small_model(1), tmp_path / "model.safetensors")
    before = path.read_bytes()

    def full_disk(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)  # the bytes lie in the unfinished file by then
    with pytest.raises(OSError, match="No space left"):
        save_model(small_model(2), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_a_move_that_fails_keeps_the_old_file(tmp_path, monkeypatch):
    path = save_model(small_model(1), tmp_path / "model.safetensors")
    before = path.read_bytes()

    def refused(*_):
        raise PermissionError("no")

    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(PermissionError):
        save_model(small_model(2), path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


# ---------------------------------------------------------------------------------------------- files that are no model


def test_a_missing_file_is_named(tmp_path):
    path = tmp_path / "nothing.safetensors"
    for load in (load_model, lambda path: load_weights(small_model(), path)):
        with pytest.raises(FileNotFoundError, match=exactly(f"there is no file {path}; check the path, or train")):
            load(path)
    with pytest.raises(FileNotFoundError, match=exactly(f"there is no file {tmp_path}")):
        load_model(tmp_path)


@pytest.mark.parametrize("kept", [0, 4, 8, 100, -1])
def test_a_truncated_file_is_refused(tmp_path, kept):
    path = save_model(small_model(), tmp_path / "model.safetensors")
    path.write_bytes(path.read_bytes()[:kept])
    message = f"{path} ({path.stat().st_size} bytes) is not a whole .safetensors file"
    with pytest.raises(ValueError, match=exactly(message)):
        load_model(path)
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(small_model(), path)


def test_a_checkpoint_of_a_run_is_not_called_damaged(tmp_path):
    path, content = tmp_path / "checkpoint.bin", save(small_model().state_dict())
    for first in (b"\x00", b"\x80", b"P"):  # as files of other kinds begin
        path.write_bytes(first + b"K" + bytes(30) + content)
        for load in (load_model, lambda path: load_weights(small_model(), path)):
            with pytest.raises(ValueError, match=exactly(f"{path} is the checkpoint of a run, from which only that")):
                load(path)


@pytest.mark.parametrize("content", [b"<!DOCTYPE html><html>404 not found</html>", b"\x00" * 64, b"\xff" * 64])
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not a whole \.safetensors file.*; copy it again"):
        load_model(path)


class Bomb:
    """What a malicious pickle does: a command of its own, run by whoever loads it."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("write", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
def test_a_pickle_is_refused_and_not_run(tmp_path, write):
    path, marker = tmp_path / "model.safetensors", tmp_path / "marker"
    write(Bomb(marker), path)
    with pytest.raises(ValueError, match=r"is not a whole \.safetensors file"):
        load_model(path)
    assert not marker.exists()


@pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
def test_weights_of_others_are_no_model_of_ours(tmp_path, metadata):
    path = tmp_path / "theirs.safetensors"
    save_file(small_model().state_dict(), path, metadata=metadata)
    message = f"{path} holds weights but no vit_tutorial config; build the model with ViT(config) and use load_weights"
    with pytest.raises(ValueError, match=exactly(message)):
        load_model(path)
    load_weights(small_model(2), path)


@pytest.mark.parametrize(
    "metadata",
    [
        {"config": None},
        {"config": "{"},
        {"config": "[]"},
        {"config": json.dumps({"invented": 1})},
        {"config": json.dumps(asdict(ViTConfig()) | {"dim": "wide"})},
        {"card": None},
        {"card": "no json"},
        {"card": "{}"},
        {"card": "[]"},
        {"card": json.dumps({name: value for name, value in asdict(CARD).items() if name != "class_names"})},
    ],
    ids=lambda metadata: " ".join(f"{key}={str(value)[:12]}" for key, value in metadata.items()),
)
def test_damaged_metadata_are_refused(tmp_path, metadata):
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    rewrite(path, **metadata)
    with pytest.raises(ValueError, match=exactly(f"{path} ") + ".*config or card"):
        load_model(path)


def test_a_config_that_does_not_fit_the_weights_is_refused(tmp_path):
    path = save_model(small_model(), tmp_path / "model.safetensors")
    rewrite(path, config=json.dumps(asdict(ViTConfig(**(SMALL | {"depth": 3})))))
    with pytest.raises(ValueError, match=exactly("the weights do not fit the model (missing blocks.2.norm1.weight;")):
        load_model(path)


# ---------------------------------------------------------------------------------------------- load_weights


def test_load_weights_gives_the_model_and_leaves_the_source_alone():
    model, source = small_model(1), small_model(2).state_dict()
    names = list(source)
    assert load_weights(model, source) is model
    assert list(source) == names
    images = small_images()
    assert torch.equal(model(images), small_model(2)(images))
    source["head.bias"].zero_()
    assert model.head.bias.any(), "the numbers are copied"


@pytest.mark.parametrize("kind", [str, Path])
def test_load_weights_reads_files(tmp_path, kind):
    path = save_model(small_model(2), tmp_path / "model.safetensors")
    model = load_weights(small_model(1), kind(path))
    assert torch.equal(model.head.weight, small_model(2).head.weight)


def test_load_weights_keeps_the_precision_of_the_model():
    model = load_weights(small_model(1).double(), small_model(2).half().state_dict())
    assert_same(model.head.weight, small_model(2).half().double().head.weight)


UNFIT = {
    "missing": (
        lambda w: w.pop("norm.weight"),
        "the weights do not fit the model (missing norm.weight); nothing was loaded: compare its config (dim, depth, "
        "patch_size, image_size, num_classes) with that of the weights",
    ),
    "unknown": (
        lambda w: w.update(invented=torch.zeros(1)),
        "the weights do not fit the model (unknown invented); nothing was loaded",
    ),
    "misshapen": (
        lambda w: w.update({"head.weight": torch.zeros(7, 16), "head.bias": torch.zeros(7)}),
        "(head.weight is [7, 16] and should be [5, 16]; head.bias is [7] and should be [5]); nothing was loaded",
    ),
    "transposed": (
        lambda w: w.update({"pos_embed": w["pos_embed"][:, :9]}),
        "(pos_embed is [1, 9, 16] and should be [1, 10, 16]); nothing was loaded",
    ),
    "many": (
        lambda w: [w.pop(key) for key in list(w) if key.startswith("blocks.0.")],
        "(missing blocks.0.norm1.weight; missing blocks.0.norm1.bias; missing blocks.0.attn.qkv.weight; "
        "missing blocks.0.attn.qkv.bias, and 8 more); nothing was loaded",
    ),
}


@pytest.mark.parametrize(("spoil", "message"), UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("from_file", [False, True])
def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(tmp_path, spoil, message, from_file):
    model, source = small_model(1), small_model(2).state_dict()
    spoil(source)
    if from_file:
        source = {key: value.contiguous() for key, value in source.items()}
        save_file(source, tmp_path / "weights.safetensors")
        source = tmp_path / "weights.safetensors"
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(model, source)
    for name, value in small_model(1).state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


def test_a_saved_model_can_be_read_by_others(tmp_path):
    assert save_model(small_model(), tmp_path / "model.safetensors").stat().st_mode & 0o777 == 0o644


# ---------------------------------------------------------------------------------------------- silently another model


class MyAttention(MultiHeadAttention):
    """Names and shapes are the course's; what it computes is not."""

    def forward(self, x, return_weights=False):
        return 2 * super().forward(x, return_weights)


def with_another_norm():
    model = small_model()
    model.norm.eps = 1e-3
    return model


def other_heads():
    model = small_model()
    model.blocks[1].attn.num_heads = 2
    return model


def table_of_its_own():
    return ViT(ViTConfig(**SMALL), position=partial(PositionEmbedding, table=torch.randn(10, 16)))


def changed_table():
    model = small_model(position="sincos")
    model.position.pos_embed.add_(1)
    return model.half()


def without_a_block():
    model = small_model()
    del model.blocks[1]
    return model


class MyViT(ViT):
    """Another model, for all that anybody knows."""


def of_a_class_of_its_own():
    return MyViT(ViTConfig(**SMALL))


OWN_PARTS = {
    "attention": (
        lambda: ViT(ViTConfig(**SMALL), attention=MyAttention),
        "blocks.0.attn is MyAttention(num_heads=4); blocks.1.attn is MyAttention(num_heads=4)",
    ),
    "mlp with a setting": (
        lambda: ViT(ViTConfig(**SMALL), mlp=partial(MLP, gelu="tanh")),
        "blocks.0.mlp.act is GELU(approximate='tanh'); blocks.1.mlp.act is GELU(approximate='tanh')",
    ),
    "heads": (other_heads, "blocks.1.attn is MultiHeadAttention(num_heads=2)"),
    "norm": (with_another_norm, "norm is LayerNorm((16,), eps=0.001"),
    "positions": (table_of_its_own, "position is PositionEmbedding(10, 16, fixed)"),
    "changed positions": (changed_table, "position is PositionEmbedding(10, 16, fixed)"),
    "fewer blocks": (without_a_block, "blocks.1 is not there"),
    "the model": (of_a_class_of_its_own, "the model is MyViT"),
}


@pytest.mark.parametrize(("make", "what"), OWN_PARTS.values(), ids=OWN_PARTS)
def test_a_model_with_parts_of_its_own_is_not_loaded_as_if_it_had_the_courses(tmp_path, make, what):
    path = save_model(make(), tmp_path / "model.safetensors")
    message = f"{path} is of a model with parts of its own ({what}"
    with pytest.raises(ValueError, match=exactly(message) + ".*build it as it was, .*and load_weights"):
        load_model(path)
    with pytest.raises(ValueError, match="nothing was loaded"):
        load_weights(small_model(), path)


def test_what_a_part_of_its_own_does_not_have_inside_is_not_told():
    model = ViT(ViTConfig(**SMALL), mlp=lambda dim, hidden_dim: torch.nn.Identity())
    assert unusual_parts(model) == {"blocks.0.mlp": "Identity", "blocks.1.mlp": "Identity"}


def test_weights_of_parts_of_its_own_load_into_a_model_that_has_them(tmp_path):
    model = ViT(ViTConfig(**SMALL), attention=MyAttention).eval()
    path = save_model(model, tmp_path / "model.safetensors")
    other = load_weights(ViT(ViTConfig(**SMALL), attention=MyAttention).eval(), path)
    images = small_images()
    assert torch.equal(other(images), model(images))
    assert not torch.equal(small_model()(images), model(images))
    with pytest.raises(ValueError, match=exactly("parts of their own: none for the weights, blocks.0.attn is MyAtt")):
        load_weights(other, save_model(small_model(), tmp_path / "other.safetensors"))


@pytest.mark.parametrize(
    "options",
    [
        {"num_heads": 2},
        {"gelu": "tanh", "norm": "post", "pool": "mean"},
        {"position": "sincos", "dropout": 0.3, "drop_path": 0.2},
        {"representation_size": 4, "position": "none"},
        {"image_size": 32, "patch_size": 16, "stem": "hybrid", "stem_layers": (1, 1, 1)},
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_no_model_of_the_courses_parts_has_parts_of_its_own(tmp_path, options, dtype):
    model = ViT(ViTConfig(**(SMALL | options))).to(dtype).train()
    with safe_open(save_model(model, tmp_path / "model.safetensors"), framework="pt") as file:
        assert set(file.metadata()) == {"format", "config", "card", "sha256"}


@pytest.mark.parametrize(
    ("options", "others", "message"),
    [
        ({}, {"num_heads": 2}, "num_heads is 4 for the weights and 2 for the model"),
        ({"gelu": "tanh"}, {}, "gelu is 'tanh' for the weights and 'exact' for the model"),
        ({"position": "sincos"}, {"position": "none"}, "position is 'sincos' for the weights and 'none' for the model"),
    ],
)
def test_a_config_that_no_shape_shows_is_compared(tmp_path, options, others, message):
    path = save_model(small_model(**options), tmp_path / "model.safetensors")
    model = small_model(2, **others)
    before = model.head.bias.clone()
    with pytest.raises(ValueError, match=exactly(f"the model would not compute what the file's does ({message})")):
        load_weights(model, path)
    assert torch.equal(model.head.bias, before)
    load_weights(model, load_file(path))


@pytest.mark.parametrize("size", [(8, 32), (16, 16), (32, 8), (12, 24), 32])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_our_own_file_knows_its_grid(tmp_path, size, pool):
    """Patches of 2x8 are as many as of 4x4 and 8x2."""
    source = small_model(image_size=(8, 32), pool=pool)
    model = load_weights(small_model(2, image_size=size, pool=pool), save_model(source, tmp_path / "m.safetensors"))
    expected = interpolate_positions(source.position.pos_embed, (2, 8), model.grid_size, model.num_prefix_tokens)
    assert torch.equal(model.position.pos_embed, expected)


def test_what_is_assumed_of_the_grid_of_others_is_said(recwarn):
    weights = small_model(image_size=16).state_dict()
    wide = small_model(image_size=(8, 32))
    with pytest.warns(UserWarning, match=exactly("how their 16 positions lie; they are taken for a grid of 2x8")):
        load_weights(wide, weights)
    assert torch.equal(wide.position.pos_embed, weights["pos_embed"])
    with pytest.warns(UserWarning, match=exactly("how their 16 positions lie; they are taken for a grid of 4x4")):
        load_weights(small_model(image_size=(8, 12)), weights)
    recwarn.clear()
    load_weights(wide, weights, grid_size=4)
    assert torch.equal(wide.position.pos_embed, interpolate_positions(weights["pos_embed"], 4, (2, 8)))
    load_weights(small_model(image_size=20), weights)
    assert not recwarn.list, "squares of one size and of another are what everybody has"
    message = (
        "the weights have 17 positions, and a grid of 3x5 patches with 1 class tokens takes 16; pass the grid_size"
    )
    with pytest.raises(ValueError, match=exactly(message)):
        load_weights(wide, weights, grid_size=(3, 5))
    with pytest.raises(ValueError, match=exactly("a side of the size is 0; it must be 1 or more")):
        load_weights(wide, weights, grid_size=0)


def test_positions_that_are_no_square_take_their_grid():
    source = small_model(image_size=(8, 12))
    model = small_model(2, image_size=16)
    with pytest.raises(ValueError, match=exactly("the weights have 7 positions and the model 17; say how they lie")):
        load_weights(model, source.state_dict())
    load_weights(model, source.state_dict(), grid_size=(2, 3))
    assert torch.equal(model.position.pos_embed, interpolate_positions(source.position.pos_embed, (2, 3), 4))


# ---------------------------------------------------------------------------------------------- damaged, bit by bit


def test_no_single_bit_can_change_unseen(tmp_path):
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    generator = random.Random(0)
    places = [generator.randrange(header) for _ in range(300)] + [generator.randrange(len(whole)) for _ in range(200)]
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << generator.randrange(8)
        path.write_bytes(flipped)
        for load in (load_model, partial(load_weights, small_model(2))):
            with pytest.raises(
                ValueError, match=r"is damaged|is not a whole|config or card|do not fit|no vit_tutorial"
            ):
                load(path)


STRANGERS = {
    "compressed.npz": np.savez_compressed,
    "plain.npz": np.savez,
    "zipped.pth": lambda path, **arrays: torch.save({key: torch.from_numpy(a) for key, a in arrays.items()}, path),
}


@pytest.mark.parametrize(("name", "write"), STRANGERS.items(), ids=STRANGERS)
def test_a_damaged_file_of_others_loads_or_gets_a_sentence(tmp_path, name, write):
    path, refused = tmp_path / name, 0
    write(path, **{key: value[:4].numpy() for key, value in small_model(depth=1).state_dict().items()})
    whole, generator = path.read_bytes(), random.Random(0)
    for place in [*range(0, len(whole), 47), *range(len(whole) - 100, len(whole))]:
        damaged = bytearray(whole)
        damaged[place] ^= generator.randrange(1, 256)
        path.write_bytes(damaged)
        try:
            read(path)
        except ValueError as error:
            refused += str(path) in str(error)
    assert refused > 50


def test_a_file_from_before_there_were_checksums_loads(tmp_path):
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    rewrite(path, sha256=None)
    assert torch.equal(load_model(path)(small_images() * 0), small_model()(small_images() * 0))


def test_the_same_model_gives_the_same_bytes(tmp_path):
    files = {save_model(small_model(), tmp_path / f"{i}.safetensors", CARD).read_bytes() for i in range(8)}
    assert len(files) == 1
    other = small_model()
    other.head.bias.data[0] += 1
    assert save_model(other, tmp_path / "other.safetensors", CARD).read_bytes() not in files


def test_the_checksum_can_be_computed_by_others(tmp_path):
    """sha256 of the other metadata as JSON, then of each tensor by name: name, dtype and shape as JSON, and bytes."""
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    with safe_open(path, framework="np") as file:
        metadata = file.metadata()
        digest = hashlib.sha256(json.dumps(metadata | {"sha256": None}, sort_keys=True).encode())
        for name in sorted(file.keys()):
            array = file.get_tensor(name)
            digest.update(json.dumps([name, f"torch.{array.dtype}", list(array.shape)]).encode() + array.tobytes())
    assert digest.hexdigest() == metadata["sha256"]


NO_NUMBERS = {
    "NaN": (lambda value: value.fill_(torch.nan), "holds NaN or infinity in 16 of 16 numbers; nothing was loaded"),
    "infinity": (lambda value: value.index_fill(0, torch.tensor(3), torch.inf), "holds NaN or infinity in 1 of 16"),
    "integers": (
        lambda value: value.long(),
        "is a tensor of torch.int64; nothing was loaded: weights are real numbers",
    ),
    "booleans": (lambda value: value > 0, "is a tensor of torch.bool; nothing was loaded: weights are real numbers"),
}


@pytest.mark.parametrize(("spoil", "message"), NO_NUMBERS.values(), ids=NO_NUMBERS)
@pytest.mark.parametrize("kind", ["dict", "safetensors", "pth"])
def test_weights_are_finite_real_numbers(tmp_path, spoil, message, kind):
    weights, model = {key: value.clone() for key, value in small_model(2).state_dict().items()}, small_model(1)
    weights["norm.bias"] = spoil(weights["norm.bias"])
    source = weights if kind == "dict" else tmp_path / f"weights.{kind}"
    if kind == "safetensors":
        save_file(weights, source)
    elif kind == "pth":
        torch.save(weights, source)
    with pytest.raises(ValueError, match=exactly(f"norm.bias {message}")):
        load_weights(model, source)
    for name, value in small_model(1).state_dict().items():
        assert torch.equal(model.state_dict()[name], value), name


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")  # by torch.load
def test_a_sparse_tensor_in_a_file_is_named(tmp_path):
    torch.save({"norm.bias": torch.eye(4).to_sparse()}, tmp_path / "weights.pth")
    with pytest.raises(ValueError, match=exactly("norm.bias is a sparse tensor; nothing was loaded: pass dense")):
        load_weights(small_model(), tmp_path / "weights.pth")


@pytest.mark.filterwarnings("ignore:`torch.jit")
def test_a_compiled_program_is_no_file_of_weights(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(torch.nn.Linear(2, 2), torch.ones(2)).save(str(path))
    for load in (load_model, lambda path: load_weights(small_model(), path)):
        with pytest.raises(
            ValueError, match=exactly(f"{path} is a program of torch.jit.save, and reading it could run")
        ):
            load(path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    path = save_model(small_model(1), tmp_path / "model.safetensors")
    before, model = path.read_bytes(), small_model(2)
    model.norm.bias.data[3] = 1e6
    with pytest.raises(ValueError, match=exactly("norm.bias holds NaN or infinity as torch.float16; nothing was wri")):
        save_model(model, path, dtype=torch.float16)
    with torch.device("meta"):
        empty = ViT(ViTConfig(**SMALL))
    with pytest.raises(
        ValueError, match=r"patch_embed\.proj\.weight is on the device meta and has no numbers; nothing was written"
    ):
        save_model(empty, path)
    assert path.read_bytes() == before


@pytest.mark.filterwarnings("ignore")  # of torch.ao, which moves
def test_a_quantized_model_is_not_saved(tmp_path):
    quantized = torch.ao.quantization.quantize_dynamic(small_model(), {torch.nn.Linear})
    with pytest.raises(
        ValueError, match="is no tensor of real numbers; nothing was written: save the model it was made"
    ):
        save_model(quantized, tmp_path / "model.safetensors")


def test_how_much_is_dropped_while_training_makes_no_other_model(tmp_path):
    model = small_model()
    model.dropout.p, model.blocks[1].mlp.drop.p, model.blocks[0].drop_path.rate = 0.1, 0.2, 0.3
    path = save_model(model, tmp_path / "model.safetensors")
    images = small_images()
    for again in (load_model(path), load_weights(small_model(2), path)):
        assert torch.equal(again(images), model(images))
    load_weights(model, save_model(small_model(2), path))
    model.dropout = torch.nn.Identity()
    with pytest.raises(ValueError, match=exactly("parts of its own (dropout is Identity)")):
        load_model(save_model(model, path))


def test_a_model_with_tied_layers_is_saved_and_not_taken_for_one_without(tmp_path):
    model = small_model()
    model.blocks[1].mlp = model.blocks[0].mlp
    path = save_model(model, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=exactly("parts of its own (blocks.1.mlp is not there)")):
        load_model(path)
    assert torch.equal(load_weights(small_model(2), load_file(path))(small_images() * 0), model(small_images() * 0))


CARDS = {
    "names": ({"class_names": ("a",)}, "the card has 1 class_names for 5 classes; give 5, or none"),
    "no text": ({"class_names": (1, 2, 3, 4, 5)}, "the card has class_names that are no text"),
    "mean": ({"mean": (0.5,), "std": (0.5,)}, "the card has 1 mean for 3 channels; give 3, or none"),
    "std": (
        {"mean": (0.5,) * 3, "std": (0.5,) * 4},
        "the card has 3 mean and 4 std; give one of both for each channel",
    ),
    "one of the two": ({"mean": (0.5,) * 3}, "the card has 3 mean and 0 std; give one of both for each channel"),
    "no numbers": (
        {"mean": ("a",), "std": (0.5,)},
        "the card has mean ('a',); give real numbers, one for each channel",
    ),
    "one number": ({"mean": 0.5, "std": 0.5}, "the card has mean 0.5; give real numbers, one for each channel"),
    "a number's text": (
        {"mean": "123", "std": "123"},
        "the card has mean '123'; give real numbers, one for each channel",
    ),
    "no names": ({"class_names": 5}, "the card has class_names that are no text; give one word for each class"),
    "one word": ({"class_names": "abcde"}, "the card has class_names that are no text; give one word for each class"),
    "record": ({"record": 3}, "the card has record 3; give the name of a file as text"),
    "interpolation": ({"interpolation": "cubic"}, "the card has interpolation 'cubic'; it must be one of nearest, box"),
    "zero": ({"mean": (0.5,) * 3, "std": (0.5, 0.0, 0.5)}, "they must be finite, and std above 0"),
    "below zero": ({"mean": (0.5,) * 3, "std": (0.5, -1.0, 0.5)}, "they must be finite, and std above 0"),
    "infinity": ({"mean": (0.5,) * 3, "std": (0.5, float("inf"), 0.5)}, "they must be finite, and std above 0"),
    "text for crop": ({"crop": "0.9"}, "the card has crop ('0.9',); give one above 0, and 1 at most"),
    "crop": ({"crop": 0.0}, "the card has crop 0.0; it must be a number above 0, and 1 at most"),
    "NaN": ({"mean": (0.5, float("nan"), 0.5), "std": (0.5,) * 3}, "they must be finite, and std above 0"),
}


@pytest.mark.parametrize(("card", "message"), CARDS.values(), ids=CARDS)
def test_a_card_fits_its_model(tmp_path, card, message):
    path = tmp_path / "model.safetensors"
    with pytest.raises(ValueError, match=exactly(message)):
        save_model(small_model(), path, ModelCard(**card))
    assert not path.exists()
    save_model(small_model(), path, CARD)
    rewrite(path, card=json.dumps(asdict(ModelCard()) | card), sha256=None)
    with pytest.raises(ValueError, match="config or card that cannot be read .*" + exactly(message)):
        load_model(path)


# ---------------------------------------------------------------------------------------------- files of strangers


BOMBS = {
    "depth": {"depth": 100_000},
    "dim": {"dim": 10**9},
    "dim that overflows": {"dim": 10**30},
    "hidden": {"mlp_ratio": 1e12},
    "classes": {"num_classes": 10**12},
    "channels": {"in_channels": 10**12},
    "tanh head": {"representation_size": 10**12},
    "heads": {"num_heads": 10**12},
    "positions": {"image_size": 4 * 10**6},
    "fixed positions": {"image_size": 4 * 10**6, "position": "sincos"},
    "no positions": {"image_size": 4 * 10**9, "position": "none"},
    "stages": {"image_size": 64, "patch_size": 16, "stem": "hybrid", "stem_layers": (10**9, 1, 1)},
    "patch": {"image_size": 10**9, "patch_size": 10**9},
}


@pytest.mark.parametrize("sizes", BOMBS.values(), ids=BOMBS)
def test_a_config_that_asks_for_more_than_the_file_holds_is_refused_before_it_is_built(tmp_path, sizes):
    path = save_model(small_model(), tmp_path / "model.safetensors")
    rewrite(path, config=json.dumps(asdict(small_model().config) | sizes), sha256=None)
    with pytest.raises(ValueError, match=r"config or card that cannot be read|do not fit the model"):
        load_model(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 5000, '{"dim": ' + "1" * 5000 + "}", "NaN"])
@pytest.mark.parametrize("entry", ["config", "card"])
def test_odd_json_is_refused_in_one_short_sentence(tmp_path, entry, text):
    path = save_model(small_model(), tmp_path / "model.safetensors")
    rewrite(path, sha256=None, **{entry: text})
    with pytest.raises(ValueError, match="has a config or card that cannot be read") as caught:
        load_model(path)
    assert len(str(caught.value)) < 500


def test_sizes_are_looked_at_before_numbers(tmp_path):
    """Weights of a model with one block more or fewer are refused by names and shapes."""
    path = save_model(small_model(), tmp_path / "model.safetensors")
    rewrite(path, config=json.dumps(asdict(small_model(depth=1).config)), sha256=None)
    with pytest.raises(ValueError, match=exactly("the weights do not fit the model (unknown blocks.1.attn.proj.bias;")):
        load_model(path)
    rewrite(path, config=json.dumps(asdict(small_model(image_size=16).config)))
    with pytest.raises(
        ValueError, match=exactly("(pos_embed is [1, 10, 16] and should be [1, 17, 16]); nothing was l")
    ):
        load_model(path)


def test_loading_does_not_change_the_random_numbers(tmp_path):
    path = save_model(small_model(), tmp_path / "model.safetensors")
    state = torch.get_rng_state()
    load_model(path)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("my.pth", torch.save),
        ("old.pth", partial(torch.save, _use_new_zipfile_serialization=False)),
        ("google.npz", lambda weights, path: np.savez(path, **{key: value.numpy() for key, value in weights.items()})),
        ("my.safetensors", torch.save),
    ],
)
def test_good_files_of_other_kinds_are_for_load_weights(tmp_path, name, write):
    path = tmp_path / name
    write(small_model(2).state_dict(), path)
    with pytest.raises(ValueError, match=r"does: build the model with ViT\(config\) and use load_weights$"):
        load_model(path)
    assert torch.equal(load_weights(small_model(), path).head.bias, small_model(2).head.bias)


ADDRESSES = {
    "https://host.example/vit.safetensors": "addresses are not followed; download it first, or ViT.from_pretrained",
    "hf-hub:timm/vit_base_patch16_224": "addresses are not followed; download it first, or ViT.from_pretrained",
    "google/vit-base-patch16-224": "names of a hub are not known here: ViT.from_pretrained('ViT-B/16') fetches",
}


@pytest.mark.parametrize(("address", "message"), ADDRESSES.items())
@pytest.mark.parametrize("load", [load_model, partial(load_weights, small_model())])
def test_addresses_and_names_of_a_hub_are_no_files(address, message, load):
    with pytest.raises(FileNotFoundError, match=exactly(f"there is no file {address}") + ".*" + exactly(message)):
        load(address)


def test_a_folder_with_weights_in_it_is_named(tmp_path):
    save_model(small_model(), tmp_path / "model.safetensors")
    with pytest.raises(FileNotFoundError, match=exactly(f"is a folder; pass {tmp_path / 'model.safetensors'}")):
        load_model(tmp_path)


def test_a_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert save_model(small_model(), "~/model.safetensors") == tmp_path / "model.safetensors"
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]
    assert load_model("~/model.safetensors").config == small_model().config


# ---------------------------------------------------------------------------------------------- models that are wrapped


class Around(torch.nn.Module):
    """What DistributedDataParallel looks like from outside."""

    def __init__(self, module):
        super().__init__()
        self.module = module


WRAPPERS = {
    "distributed": Around,
    "compiled": torch.compile,
    "compiled around distributed": lambda model: torch.compile(Around(model)),
    "distributed around compiled": lambda model: Around(torch.compile(model)),
    "averaged": torch.optim.swa_utils.AveragedModel,
}


@shapes.not_while_checking
@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS)
def test_models_in_wrappers_are_saved_and_filled(tmp_path, wrap):
    """`fit` itself makes the third of them, with config.compile on several GPUs."""
    source, images = small_model(2), small_images()
    weights = wrap(small_model(2)).state_dict()
    assert torch.equal(load_weights(small_model(), weights)(images), source(images))
    torch.save(weights, tmp_path / "weights.pth")
    assert torch.equal(load_weights(small_model(), tmp_path / "weights.pth")(images), source(images))
    model = small_model()
    wrapped = wrap(model)
    assert load_weights(wrapped, source.state_dict()) is wrapped
    filled = wrapped.module if isinstance(wrapped, torch.optim.swa_utils.AveragedModel) else model
    assert torch.equal(filled(images), source(images))
    assert torch.equal(load_model(save_model(wrapped, tmp_path / "model.safetensors"))(images), source(images))


def test_a_model_without_memory_is_refused():
    with torch.device("meta"):
        empty = ViT(ViTConfig(**SMALL))
    with pytest.raises(
        ValueError, match=exactly("(patch_embed.proj.weight is on the device meta); give it memory first")
    ):
        load_weights(empty, small_model().state_dict())
    images = small_images()
    filled = load_weights(empty.to_empty(device="cpu"), small_model().state_dict()).eval()
    assert torch.equal(filled(images), small_model()(images))


def test_names_are_text():
    with pytest.raises(ValueError, match=exactly("0 is no name of a tensor; nothing was loaded")):
        load_weights(small_model(), {0: torch.zeros(1)})


@pytest.mark.parametrize("dtype", [torch.int8, torch.int32, torch.bool, torch.complex64])
def test_weights_are_not_written_as_what_is_no_real_number(tmp_path, dtype):
    path = save_model(small_model(1), tmp_path / "model.safetensors")
    before = path.read_bytes()
    with pytest.raises(ValueError, match=f"dtype is {dtype}; nothing was written: weights are real numbers"):
        save_model(small_model(2), path, dtype=dtype)
    assert path.read_bytes() == before


def test_another_network_has_no_file_of_ours(tmp_path):
    cnn, path = CNN(CNNConfig(12, layers=(1,), width=8)), tmp_path / "model.safetensors"
    message = (
        "model must be a ViT; got CNN; another network keeps its numbers with torch.save(model.state_dict(), path)"
    )
    with pytest.raises(TypeError, match=exactly(message)):
        save_model(cnn, path)
    assert not path.exists()
    with pytest.raises(TypeError, match=exactly("model must be a ViT; got CNN")):
        load_weights(cnn, cnn.state_dict())


def test_a_card_and_a_type_given_as_text_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    with pytest.raises(TypeError, match=exactly("card must be a ModelCard; got str")):
        save_model(small_model(), path, "clothes")
    with pytest.raises(ValueError, match=exactly("dtype is float16; nothing was written: weights are real numbers")):
        save_model(small_model(), path, dtype="float16")


@pytest.mark.parametrize("file", [False, True])
def test_numbers_that_the_model_cannot_hold_are_refused(tmp_path, file):
    wide = small_model(1).double()
    with torch.no_grad():
        wide.head.bias[0] = 1e300
    path = save_model(wide, tmp_path / "wide.safetensors")
    narrow = small_model(2)
    before = {name: tensor.clone() for name, tensor in narrow.state_dict().items()}
    with pytest.raises(ValueError, match=r"head.bias holds 1e\+300, more than torch.float32 can hold; nothing"):
        load_model(path) if file else load_weights(narrow, wide.state_dict())
    assert all(torch.equal(tensor, before[name]) for name, tensor in narrow.state_dict().items())
    half = small_model(2).half()
    with pytest.raises(ValueError, match=r"more than torch\.float16 can hold"):
        load_weights(half, {name: 1e6 * tensor for name, tensor in small_model(1).state_dict().items()})


def test_floats_of_eight_bits_go_in_and_out(tmp_path):
    model = small_model(1)
    path = save_model(model, tmp_path / "small.safetensors", dtype=torch.float8_e4m3fn)
    for name, tensor in load_model(path).state_dict().items():
        torch.testing.assert_close(tensor, model.state_dict()[name].to(torch.float8_e4m3fn).float(), rtol=0, atol=0)
