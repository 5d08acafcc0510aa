"""The benchmark of the models of lesson 9: its record is of the models of today, and of one run."""

import json
import sys
from pathlib import Path

import pytest
import torch

from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.introspection import count_parameters, flops_per_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench():
    """Import the script as Python finds it when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent / "benchmarks"))
        import bench_models
    return bench_models


def test_every_model_takes_its_turn(bench, monkeypatch):
    monkeypatch.setattr(bench, "MODELS", {name: bench.MODELS[name] for name in ("small ViT", "small CNN")})
    ticks = iter(range(1000))
    speed = bench.time_models(rounds=2, clock=lambda: next(ticks))
    assert speed == {"small ViT": 100, "small CNN": 100}  # a tick each, for 100 pictures


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_what_the_pictures_take_and_not_the_weights(bench):
    stem = 4 * 100 * 8 * 28 * 28  # bytes that come out of the small CNN's stem: three maps are held at a time, or more
    assert 2 * stem < bench.peak_memory("small CNN") < 30 * stem


def test_the_record_is_of_the_models_of_today(bench):
    record = json.loads((DATA_FOLDER / "results" / "benchmark_models.json").read_text(encoding="utf-8"))
    assert [row["model"] for row in record["rows"]] == list(bench.MODELS)
    for row in record["rows"]:
        batch, build = bench.MODELS[row["model"]]
        with torch.device("meta"):
            model = build()
        assert (row["batch"], row["parameters"]) == (batch, count_parameters(model))
        assert row["flops"] == flops_per_image(model.config)
        assert row["weight_bytes"] == 4 * row["parameters"]
        assert row["images_per_second"] > 0
        assert row["peak_bytes"] > 0
    assert record["environment"]["threads"] == 1
    assert record["command"].split()[1] == "tests/benchmarks/bench_models.py"


def test_the_large_models_have_the_figures_of_their_papers(bench):
    with torch.device("meta"):
        models = {name: build() for name, (_, build) in bench.MODELS.items()}
    assert count_parameters(models["ViT-B/16"]) == pytest.approx(86.6e6, rel=1e-3)  # Touvron et al. 2021, table 1: 86M
    assert count_parameters(models["ViT-S/16"]) == pytest.approx(22.05e6, rel=1e-3)  # 22M
    assert flops_per_image(models["ResNet-50"].config) / 2e9 == pytest.approx(4.09, abs=0.01)
