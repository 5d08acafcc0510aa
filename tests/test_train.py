"""The command line from end to end, on a data set small enough to train in a second."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import fields, replace

import pytest
import torch
from training.test_loop import make_data

from vit_tutorial import ViTConfig, load_model, train
from vit_tutorial.datasets import DataError
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.training import History, TrainingConfig, evaluate

SMALL = "--patch-size=4 --dim=8 --depth=2 --num-heads=2 --epochs=2 --batch-size=16 --learning-rate=0.002 --device=cpu"


@pytest.fixture
def data(monkeypatch):
    data = make_data()
    monkeypatch.setattr(train, "load", lambda name, root=None: data)
    return data


def command(folder, *options):
    train.main([*shlex.split(SMALL), "--out", str(folder), "--records", str(folder / "records"), *options])


def test_a_run_leaves_weights_history_and_record(data, tmp_path, capsys):
    command(tmp_path, "--record", "tiny", "--seed", "3")
    model = load_model(tmp_path / "model.safetensors")
    assert model.card.class_names == data.class_names
    assert model.card.record == "tiny.json"
    history = History.from_json(tmp_path / "history.json")
    assert history.epochs == 2
    assert history.config["seed"] == 3

    record = json.loads((tmp_path / "records" / "tiny.json").read_text())
    test = evaluate(model, data.test_images, data.test_labels)
    assert record["name"] == "tiny"
    options = f"{SMALL} --out {tmp_path} --records {tmp_path}/records --record tiny --seed 3"
    assert record["command"] == f"python -m vit_tutorial.train {options}"
    assert record["test"]["images"] == 8
    assert record["test"]["accuracy"] == round(test.accuracy, 5)
    assert record["test"]["confusion"] == test.confusion.tolist()
    assert record["model"] == history.model
    assert record["config"] == history.config
    assert record["train_loss"] == pytest.approx(history.train_loss, rel=1e-4)
    assert {"hardware", "torch", "python", "git_revision", "threads"} <= record["environment"].keys()
    assert record["total_seconds"] == pytest.approx(sum(history.seconds), abs=0.1)
    assert record["images_per_second"] > 0

    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("record in")
    assert f"validation accuracy {history.validation_accuracy[-1]:.2%}" in printed
    assert printed.count("test accuracy") == 1
    assert printed.index("epoch 2/2") < printed.index("validation accuracy") < printed.index("test accuracy")


def test_the_record_says_how_much_of_the_device_was_used(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(train, "matrix_rate", lambda device, precision: 2e9)
    command(tmp_path, "--record", "tiny", "--validation-fraction", "0")
    record = json.loads((tmp_path / "records" / "tiny.json").read_text())
    flops = flops_per_image(load_model(tmp_path / "model.safetensors").config)
    assert (record["flops_per_image"], record["matrix_rate"]) == (flops, 2e9)
    seconds = sum(History.from_json(tmp_path / "history.json").training_seconds)
    assert record["mfu"] == pytest.approx(3 * flops * 2 * 64 / seconds / 2e9, abs=0.001)
    assert f"{record['mfu']:.0%} of the 0.002 TFLOP/s that matrix products reach here (MFU)" in capsys.readouterr().out


def test_the_record_also_scores_the_part_that_comes_with_the_course(data, tmp_path, monkeypatch):
    part = replace(data, test_images=data.train_images[20:30], test_labels=data.train_labels[20:30])
    monkeypatch.setattr(train, "EMBEDDED", {data.name: "part"})
    monkeypatch.setattr(train, "load", lambda name, root=None: part if name == "part" else data)
    command(tmp_path, "--record", "tiny")
    test = evaluate(load_model(tmp_path / "model.safetensors"), part.test_images, part.test_labels)
    record = json.loads((tmp_path / "records" / "tiny.json").read_text())
    assert record["embedded_test"] == {"images": 10, "accuracy": round(test.accuracy, 5)}


def test_a_model_that_learned_from_mirror_images_is_also_asked_about_them(data, tmp_path, monkeypatch, capsys):
    data = replace(data, test_images=data.train_images, test_labels=data.train_labels)
    monkeypatch.setattr(train, "load", lambda name, root=None: data)
    command(tmp_path, "--record", "tiny", "--flip")
    model = load_model(tmp_path / "model.safetensors")
    plain, both = (evaluate(model, data.test_images, data.test_labels, mirrored=m).accuracy for m in (False, True))
    assert plain != both
    record = json.loads((tmp_path / "records" / "tiny.json").read_text())
    assert record["test"]["accuracy"] == round(plain, 5)
    assert record["mirrored_test"] == {"images": 64, "accuracy": round(both, 5)}
    assert f"averaged with the mirror image of each {both:.2%}" in capsys.readouterr().out


def test_weights_in_half_the_bytes(data, tmp_path):
    command(tmp_path, "--float16", str(tmp_path / "small.safetensors"), "--record", "tiny")
    whole, small = (load_model(tmp_path / name) for name in ("model.safetensors", "small.safetensors"))
    assert small.card == whole.card
    for a, b in zip(whole.state_dict().values(), small.state_dict().values(), strict=True):
        assert torch.equal(a.half().float(), b)
    sizes = [(tmp_path / name).stat().st_size for name in ("model.safetensors", "small.safetensors")]
    saved = 2 * sum(p.numel() for p in whole.parameters())
    assert abs(sizes[0] - sizes[1] - saved) < 64  # the file's header is padded


def test_nothing_is_known_of_the_test_images_until_training_is_over(data, tmp_path, monkeypatch):
    order = []
    for name in ("fit", "evaluate"):
        original = getattr(train, name)
        monkeypatch.setattr(
            train, name, lambda *a, name=name, original=original, **k: (order.append(name), original(*a, **k))[1]
        )
    command(tmp_path, "--quiet")
    assert order == ["fit", "evaluate"]


def test_the_same_command_goes_on_where_it_was_stopped(data, tmp_path, capsys, monkeypatch):
    command(tmp_path / "whole")
    capsys.readouterr()

    def ctrl_c(history):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(train, "print_epoch", ctrl_c)
        with pytest.raises(SystemExit, match="the same command goes on from the last checkpoint"):
            command(tmp_path / "stopped")
    assert not (tmp_path / "stopped" / "model.safetensors").exists()
    command(tmp_path / "stopped")
    printed = capsys.readouterr().out
    assert "epoch 1/2" not in printed
    assert "epoch 2/2" in printed
    whole, resumed = (load_model(tmp_path / name / "model.safetensors").state_dict() for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_another_config_in_the_same_folder_ends_with_a_sentence(data, tmp_path):
    command(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, "--learning-rate", "0.5")
    assert "error: " in ended.value.code
    assert "learning_rate was 0.002 and is 0.5; use another folder" in ended.value.code
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--num-heads", "3"], "error: dim 8 does not divide into 3 heads"),
        (["--patch-size", "5"], "error: image height 8 is not a multiple of patch_size 5"),
        (["--epochs", "0"], "error: epochs is 0; it must be 1 or more"),
        (["--pool", "max"], "error: pool is 'max'; it must be one of 'cls', 'mean'"),
    ],
)
def test_a_wrong_option_ends_with_a_sentence(data, tmp_path, options, sentence):
    with pytest.raises(SystemExit, match=sentence):
        command(tmp_path, *options)


def test_missing_data_end_with_a_sentence(tmp_path, monkeypatch):
    def missing(name, root=None):
        raise DataError(f"{name} was not found")

    monkeypatch.setattr(train, "load", missing)
    with pytest.raises(SystemExit, match="error: fashion_mnist was not found"):
        command(tmp_path)


def test_every_field_has_an_option_with_its_comment_and_the_presets_values():
    options = train.parse(["--preset", "cifar10-gpu", "--out", "x", "--no-flip", "--clip-norm", "none", "--dim", "192"])
    assert (options.data, options.depth, options.pool, options.batch_size) == ("cifar10", 7, "mean", 1024)
    assert (options.flip, options.clip_norm, options.dim) == (False, None, 192)
    assert options.representation_size is None
    names = {f.name for config in (ViTConfig, TrainingConfig) for f in fields(config)} - set(train.FROM_DATA)
    assert names <= vars(options).keys()
    assert train.field_comments(TrainingConfig)["batch_size"] == "images per step"
    assert train.field_comments(ViTConfig)["num_heads"] == "h, must divide dim"
    assert "qkv_bias" not in train.field_comments(ViTConfig)  # it has no comment, and must not borrow the next one's


@pytest.mark.parametrize("name", train.PRESETS)
def test_presets_build_models_that_fit_their_data(name):
    preset = train.PRESETS[name]
    shape = (3, 32, 32) if preset.data == "cifar10" else (1, 28, 28)
    images = torch.zeros(2, *shape, dtype=torch.uint8)
    data = replace(make_data(), train_images=images, class_names=tuple("abcdefghij"), mean=(0.5,) * 3, std=(0.2,) * 3)
    assert preset.build(data)(images / 255).shape == (2, 10)


def test_one_seed_builds_one_model(data):
    first, again, other = (train.build_model(data, {"patch_size": 4, "dim": 8, "num_heads": 2}, s) for s in (1, 1, 2))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_help_names_every_option():
    shown = subprocess.run(
        [sys.executable, "-m", "vit_tutorial.train", "--help"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"COLUMNS": "200"},
    ).stdout
    for words in (
        "--preset {cpu,cifar10-small-gpu,cifar10-gpu}",
        "--label-smoothing FLOAT",
        "images per step (default: ",
        "--no-flip",
    ):
        assert words in shown


def weights_of(path):
    return load_model(path).state_dict()


def test_weights_are_kept_along_the_way(data, tmp_path):
    command(tmp_path, "--keep", "1", "2", "--average", "0.9")
    assert sorted(path.name for path in (tmp_path / "epochs").iterdir()) == [
        "epoch_001.safetensors",
        "epoch_002.safetensors",
    ]
    first, last = (weights_of(tmp_path / "epochs" / f"epoch_00{n}.safetensors") for n in (1, 2))
    end = weights_of(tmp_path / "model.safetensors")
    assert all(torch.equal(last[name], end[name].half().float()) for name in end)  # the average, as at the end
    assert not torch.equal(first["head.weight"], last["head.weight"])
    card = load_model(tmp_path / "epochs" / "epoch_001.safetensors").card
    assert (card.class_names, card.mean, card.std) == (data.class_names, data.mean, data.std)


def test_a_run_killed_before_it_kept_its_weights_keeps_them_when_it_goes_on(data, tmp_path, monkeypatch):
    class Killed(Exception):
        pass

    def killed(*_, **__):
        raise Killed

    elsewhere = tmp_path / "elsewhere"
    with monkeypatch.context() as power_cut:
        power_cut.setattr(train, "save_model", killed)
        with pytest.raises(Killed):
            command(tmp_path, "--keep", "1", "--keep-in", str(elsewhere))
    assert not elsewhere.exists()
    command(tmp_path, "--keep", "1", "--keep-in", str(elsewhere))
    command(tmp_path / "whole", "--keep", "1")
    kept, whole = (folder / "epoch_001.safetensors" for folder in (elsewhere, tmp_path / "whole" / "epochs"))
    kept, whole = weights_of(kept), weights_of(whole)
    assert all(torch.equal(kept[name], whole[name]) for name in whole)
    assert [path.name for path in elsewhere.iterdir()] == ["epoch_001.safetensors"]
