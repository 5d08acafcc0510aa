"""How long each preset would take here, by a clock that is made up, and which one a lesson takes."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from vit_tutorial import recipes
from vit_tutorial.recipes import PRESETS, Forecast, Recipe, choose_preset, forecast_presets, minutes
from vit_tutorial.training import TrainingConfig, loop

TINY = {"patch_size": 14, "dim": 8, "depth": 1, "num_heads": 2}


def recipe(name, epochs, **options):
    config = TrainingConfig(epochs=epochs, batch_size=100, device="cpu", validation_fraction=0.1, **options)
    return Recipe(name, "to try", "fashion_mnist", TINY, config)


@pytest.fixture
def clock(monkeypatch):
    """A clock on which every step takes a tenth of a second, and a machine that is very fast at matrix products."""
    ticks = itertools.count()
    monkeypatch.setattr(loop.time, "perf_counter", lambda: next(ticks) / 10)
    monkeypatch.setattr(recipes, "matrix_rate", lambda device, precision: 1e15)


def test_the_largest_preset_below_fifteen_minutes_is_taken(clock):
    """90 steps an epoch of a tenth of a second, and for the validation images 1/27 more: 9.33 s an epoch."""
    presets = {str(epochs): recipe(str(epochs), epochs) for epochs in (3, 96, 97)}
    forecasts = forecast_presets(presets)
    for forecast, epochs in zip(forecasts, (3, 96, 97), strict=True):
        assert forecast.measured
        assert forecast.seconds == pytest.approx(epochs * 9.0 * (1 + 1 / 27))
    assert choose_preset(forecasts).name == "96"  # 14.9 minutes; the next one takes 15.1
    assert choose_preset(forecasts, longest=60).name == "3"
    assert choose_preset(forecasts, longest=1e9).name == "97"
    with pytest.raises(ValueError, match=r"^there are 0 forecasts; pass the list that forecast_presets"):
        choose_preset([])
    assert [str(forecast) for forecast in forecasts] == [
        "3                 about 0.5 minutes here",
        "96                about 15 minutes here",
        "97                about 15 minutes here",
    ]


def test_a_preset_that_is_out_of_the_question_is_not_tried(monkeypatch):
    """On a CPU one step of the largest preset takes a minute."""
    monkeypatch.setattr(recipes, "matrix_rate", lambda device, precision: 1e11)
    tried = []
    monkeypatch.setattr(recipes, "predict_seconds", lambda model, data, config: tried.append(data.name) or 80.0)
    forecasts = forecast_presets()
    assert tried == ["fashion_mnist"]
    assert [forecast.measured for forecast in forecasts] == [True, False, False]
    assert choose_preset(forecasts).name == "cpu"
    assert str(forecasts[0]) == "cpu               about 1.3 minutes here"
    work = 3 * recipes.flops_per_image(PRESETS["cifar10-gpu"].build(recipes._made_up("cifar10")).config) * 48_000 * 140
    assert forecasts[2].seconds == pytest.approx(work / 1e11)
    assert str(forecasts[2]) == f"cifar10-gpu       more than {work / 1e11 / 60:,.0f} minutes here"


def test_on_a_fast_card_the_largest_preset_is_taken(monkeypatch):
    monkeypatch.setattr(recipes, "matrix_rate", lambda device, precision: 8e14)
    seconds = {"cpu": 9.0, "cifar10-small-gpu": 50.0, "cifar10-gpu": 200.0}
    named = {id(preset.training): name for name, preset in PRESETS.items()}
    monkeypatch.setattr(recipes, "predict_seconds", lambda model, data, config: seconds[named[id(config)]])
    forecasts = forecast_presets()
    assert [forecast.seconds for forecast in forecasts] == list(seconds.values())
    assert choose_preset(forecasts).name == "cifar10-gpu"


def test_a_card_with_too_little_memory_takes_a_smaller_preset(clock, monkeypatch):
    def predict(model, data, config):
        if config.epochs == 50:
            raise torch.OutOfMemoryError("out of memory")
        return 30.0

    monkeypatch.setattr(recipes, "predict_seconds", predict)
    forecasts = forecast_presets({"small": recipe("small", 3), "large": recipe("large", 50)})
    assert math.isinf(forecasts[1].seconds)
    assert str(forecasts[1]) == "large             does not fit the memory of this card"
    assert choose_preset(forecasts).name == "small"


def test_where_all_take_too_long_the_quickest_is_taken():
    forecasts = [Forecast(recipe("a", 2), 2000.0), Forecast(recipe("b", 1), 1000.0), Forecast(recipe("c", 9), math.inf)]
    assert choose_preset(forecasts).name == "b"
    unmeasured = [forecasts[0], replace(forecasts[1], seconds=800.0, measured=False)]  # it takes longer than that
    assert choose_preset(unmeasured, longest=900).name == "b"


def test_times_are_said_in_minutes():
    assert [minutes(seconds) for seconds in (4, 83, 599, 600, 3600 * 100)] == [
        "0.1 minutes", "1.4 minutes", "10.0 minutes", "10 minutes", "6,000 minutes"
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted({preset.data for preset in PRESETS.values()}))
def test_made_up_pictures_are_as_many_and_as_large_and_take_no_memory(name):
    data = recipes._made_up(name)
    count, channels, side = {"fashion_mnist": (10_000, 1, 28), "cifar10": (50_000, 3, 32)}[name]
    assert data.train_images.shape == (count, channels, side, side)
    assert data.train_images.untyped_storage().nbytes() == channels * side * side
    assert data.train_labels.bincount().tolist() == [count // 10] * 10
