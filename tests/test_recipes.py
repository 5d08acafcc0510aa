"""Recipes: each builds, and the recorded ones are the trainings of which data/results holds the records."""

import json
import runpy
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from training.examples import make_data

from vit_tutorial import recipes
from vit_tutorial.datasets import READERS
from vit_tutorial.recipes import PRESETS, RECIPES, RECORDED, build_model
from vit_tutorial.support.paths import DATA_FOLDER, RESULTS, RUNS
from vit_tutorial.training import TrainingConfig

GPU = "vit_cifar10_gpu"  # the record of a preset: made on a card, by tests/benchmarks/gpu_proof.py


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_build_models_that_fit_their_data(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.data in READERS
    shape = (3, 32, 32) if recipe.data == "cifar10" else (1, 28, 28)
    images = torch.zeros(2, *shape, dtype=torch.uint8)
    data = replace(make_data(), train_images=images, class_names=tuple("abcdefghij"), mean=(0.5,) * 3, std=(0.2,) * 3)
    model = recipe.build(data)
    assert model(images / 255).shape == (2, 10)
    assert (model.card.class_names, model.card.mean, model.card.std) == (data.class_names, data.mean, data.std)


def test_one_seed_builds_one_model():
    shape = {"patch_size": 4, "dim": 8, "num_heads": 2}
    first, again, other = (build_model(make_data(), shape, seed) for seed in (1, 1, 2))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_recipe_is_what_its_record_says(name):
    recipe, record = RECORDED[name], json.loads((RESULTS / f"{name}.json").read_text())
    assert recipe.recorded
    of = f"{len(recipe.classes)} classes of " if recipe.classes else ""
    assert record["what"] == f"a ViT trained on {of}{recipe.data}"
    now, at_rest = (json.loads(json.dumps(asdict(config))) for config in (recipe.training, TrainingConfig()))
    assert {key: now[key] for key in record["config"]} == record["config"]  # settings that came later are at rest:
    assert all(now[key] == at_rest[key] for key in now.keys() - record["config"].keys())
    assert {key: record["model"][key] for key in recipe.model} == recipe.model
    assert recipe.out == RUNS / name
    assert recipe.weights in (None, DATA_FOLDER / f"{name}.safetensors")


def test_the_large_preset_is_what_its_record_says():
    recipe, record = PRESETS["cifar10-gpu"], json.loads((RESULTS / f"{GPU}.json").read_text())
    assert recipe.result == record["name"] == GPU
    assert record["config"] == json.loads(json.dumps(asdict(replace(recipe.training, compile=True))))
    assert {key: record["model"][key] for key in recipe.model} == recipe.model
    assert f"--recipe {recipe.name} --compile" in record["command"]
    tries = [json.loads(line) for line in (RESULTS / "cifar10_tries.jsonl").read_text().splitlines()]
    (whole,) = (line for line in tries if line["ended"] == "done")  # the one of which the record is
    assert (whole["seconds"], whole["epochs_done"]) == (record["total_seconds"], record["config"]["epochs"])
    assert whole["validation"] == record["validation_accuracy"][-1]


def test_every_record_of_a_training_has_its_recipe():
    commands = {path.stem: json.loads(path.read_text()).get("command", "") for path in RESULTS.glob("*.json")}
    assert {name for name, command in commands.items() if "vit_tutorial.train " in command} == {*RECORDED, GPU}
    assert all(recipe.weights is None or recipe.weights.exists() for recipe in RECORDED.values())
    kept = {f"epoch_{epoch:03}.safetensors" for epoch in RECORDED["vit_cifar10"].keep}
    assert {path.name for path in RECORDED["vit_cifar10"].keep_in.iterdir()} == kept


def test_the_list_says_how_to_run_each_how_long_it_takes_and_what_comes_out(capsys):
    recipes.main()
    printed = capsys.readouterr().out
    for name, recipe in RECIPES.items():
        assert f"{name}: {recipe.what}\n    python -m vit_tutorial.train --recipe {name}" in printed
    record = json.loads((RESULTS / "vit_cifar10.json").read_text())
    assert f"24 epochs of cifar10 in {record['total_seconds'] / 60:.0f} min on AMD EPYC, 2 cores" in printed
    assert f"test accuracy {record['test']['accuracy']:.1%}\n" in printed
    assert "(mean of 3 seeds)" in printed  # of the preset for a CPU
    assert "140 epochs of cifar10 in 4 min on NVIDIA H200; test accuracy" in printed
    assert printed.count("there is no record") == len(PRESETS) - 2


def test_make_can_read_the_names_of_the_recorded_ones(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipes", "--recorded"])
    runpy.run_path(recipes.__file__, run_name="__main__")
    assert capsys.readouterr().out.split() == list(RECORDED)


def test_a_wrong_word_is_told_the_command_and_no_path_of_this_machine(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", [recipes.__file__, "nope"])
    with pytest.raises(SystemExit):
        runpy.run_path(recipes.__file__, run_name="__main__")
    told = capsys.readouterr().err
    assert "python -m vit_tutorial.recipes --help" in told
    assert str(Path(recipes.__file__).parent) not in told
