"""Weights in and out: what is saved comes back, what does not fit is named, and no damaged file counts as a model."""

import json
import os
import pickle
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from references import assert_same, exactly, randomize
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from vit_tutorial import ModelCard, ViT, ViTConfig, load_model, load_weights, save_model

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
    assert load_model(save_model(again, path, ModelCard(("a", "b")))).card == ModelCard(("a", "b"))
    assert small_model().card is None


def test_the_card_normalises_pixels():
    images = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 1, 1)
    out = CARD.normalize(images)
    assert out.dtype == torch.float32
    assert out[0].flatten().tolist() == pytest.approx([-0.5 / 0.2, -0.4 / 0.25, -0.3 / 0.3])
    assert out[1].flatten().tolist() == pytest.approx([0.5 / 0.2, 0.6 / 0.25, 0.7 / 0.3])


def test_the_file_can_be_read_without_this_package(tmp_path):
    """It holds timm's names, plain JSON and nothing else."""
    path = save_model(small_model(), tmp_path / "model.safetensors", CARD)
    with safe_open(path, framework="pt") as file:
        assert {"cls_token", "pos_embed", "blocks.1.attn.qkv.weight"} < set(file.keys())
        metadata = file.metadata()
    assert set(metadata) == {"format", "config", "card"}
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
