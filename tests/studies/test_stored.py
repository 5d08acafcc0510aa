"""The stored studies are whole, agree with themselves and with the code, and can be repeated."""

import re
from dataclasses import asdict
from statistics import fmean

import pytest
import torch

from vit_tutorial import studies
from vit_tutorial.datasets import DATA_FOLDER
from vit_tutorial.evidence import FALSE, FEWEST_SEEDS, NOT_SHOWN, TRUE, compare, compare_each
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.recipes import PRESETS
from vit_tutorial.studies import EXPERIMENTS, load_study, make_data, make_model
from vit_tutorial.studies.variants import Recipe, run_once, train
from vit_tutorial.training.history import LATER

pytestmark = pytest.mark.slow


@pytest.fixture(params=EXPERIMENTS)
def stored(request):
    """Load a stored study; this alone compares its settings with those of the code."""
    return load_study(request.param), EXPERIMENTS[request.param]


@pytest.fixture(params=[name for name, experiment in EXPERIMENTS.items() if experiment.job is train])
def training(request):
    """Load a stored study that trains ViTs."""
    return load_study(request.param), EXPERIMENTS[request.param]


def test_a_stored_study_is_whole(stored):
    study, experiment = stored
    assert study.claim == experiment.claim
    assert study.seeds == list(experiment.seeds)
    assert len(study.seeds) >= FEWEST_SEEDS, "so few seeds show nothing (evidence.compare); take more"
    assert study.command == f"python -m vit_tutorial.studies {study.name}"
    expected = [(variant, seed) for variant in experiment.variants for seed in experiment.seeds]
    assert [(run["variant"], run["seed"]) for run in study.runs] == expected
    assert study.paper == experiment.paper
    assert all(study.environment[key] for key in ("hardware", "python", "torch", "vit_tutorial"))
    searched = study.search["runs"] if study.search else []
    assert study.seconds >= sum(run["seconds"] for run in study.runs) - 0.1
    assert bool(searched) == bool(experiment.search)


def test_the_figures_of_a_stored_study_agree_with_each_other(training):
    study, experiment = training
    for run in study.runs:
        own = study.variants[run["variant"]]
        curve = run["curve"]
        epochs = study.training(run["variant"])["epochs"]
        assert len(curve["train_loss"]) == len(curve["validation_accuracy"]) == epochs
        assert curve["validation_accuracy"][-1] == pytest.approx(run["validation_accuracy"], abs=1e-4)
        assert run["parameters"] == own["parameters"]
        assert 0 < run["processor_seconds"] < 1.1 * run["seconds"] + 0.1
        for key, images in (("test_accuracy", study.data["test"]), ("validation_accuracy", study.data["validation"])):
            assert 0 < run[key] <= 1
            assert run[key] * images == pytest.approx(round(run[key] * images), abs=1e-6)
    if not experiment.search:
        assert study.seconds == pytest.approx(sum(run["seconds"] for run in study.runs), abs=0.1)


def test_the_sizes_in_a_stored_study_are_those_of_the_models(training):
    study, experiment = training
    pictures = {its_recipe.task: its_recipe for its_recipe in experiment.variants.values()}
    pictures = {task: make_data(its_recipe) for task, its_recipe in pictures.items()}
    for name, own in study.variants.items():
        data = pictures[experiment.variants[name].task]
        model = make_model(experiment.variants[name], data, seed=0)
        assert own["parameters"] == sum(parameter.numel() for parameter in model.parameters())
        assert own["flops"] == flops_per_image(model.config)
        with torch.no_grad():
            assert own["tokens"] == model.forward_intermediates(data.normalize(data.test_images[:1]))["norm"].shape[1]


def test_each_variant_has_the_time_of_its_own_epochs():
    study = load_study("ingredients")
    times = study.seconds_per_image()
    for name, epochs in (("the preset", 36), ("half the epochs", 18)):
        fastest = min(run["processor_seconds"] for run in study.runs if run["variant"] == name)
        assert times[name] == pytest.approx(fastest / epochs / 9000)


def test_the_number_of_heads_and_the_divisor_change_no_size():
    for name in ("heads", "scale"):
        sizes = {(row["parameters"], row["flops"], row["tokens"]) for row in load_study(name).variants.values()}
        assert len(sizes) == 1


def test_every_hybrid_stands_beside_a_pure_model_of_as_many_blocks_and_tokens():
    variants = load_study("hybrid").variants
    hybrids = [name for name in variants if name.startswith("hybrid")]
    assert len(hybrids) == 3
    for name in hybrids:
        hybrid, pure = variants[name], variants[name.replace("hybrid", "pure")]
        assert hybrid["tokens"] == pure["tokens"]
        assert hybrid["settings"]["model"]["depth"] == pure["settings"]["model"]["depth"]
        assert hybrid["settings"].keys() == pure["settings"].keys() == {"model"}  # the training is one for all
        assert hybrid["flops"] > pure["flops"]
    largest = max(row["flops"] for name, row in variants.items() if name.startswith("pure"))
    assert largest > max(variants[name]["flops"] for name in hybrids)  # so equal costs can be compared too


def test_each_ingredient_is_one_change_of_the_preset():
    variants = {name: one.model | one.training for name, one in EXPERIMENTS["ingredients"].variants.items()}
    base, preset = variants.pop("the preset"), PRESETS["cpu"]
    expected = preset.model | asdict(preset.training) | {"precision": "float32", "device": "cpu"}
    del expected["seed"]
    assert {key: base[key] for key in expected} == expected
    for name, settings in variants.items():
        changed = {key for key in settings if settings[key] != base[key]}
        assert len(changed - {"plain_epochs"}) == 1, name  # epochs without mixing are part of mixing


def test_lesson_11_says_what_the_record_of_three_tricks_shows():
    study = load_study("tricks")
    recipes = {name: study.scores(name) for name in study.variants}
    assert not any(scores.rate.is_at_an_end for scores in recipes.values())
    preset, others = recipes["the preset"], ("bfloat16", "batches of 512", "no augmentation")
    findings = compare_each({name: (recipes[name], preset) for name in others}, "it is better", holds="if")
    assert findings.verdict == NOT_SHOWN
    lost = (preset - recipes["no augmentation"]).by_seed.values()
    assert [round(100 * points) for points in sorted(lost)] == [2, 2, 3]
    assert recipes["no augmentation"].rate.value > preset.rate.value
    at_one_rate = load_study("ingredients")
    assert fmean(lost) < fmean(
        (at_one_rate.scores("the preset") - at_one_rate.scores("no augmentation")).by_seed.values()
    )


def test_lesson_1_says_what_the_record_of_patch_sizes_shows():
    study = load_study("patch_size")
    assert compare(study.scores("P = 4"), study.scores("P = 28")).verdict == FALSE
    losses = [fmean(curve["train_loss"][-1] for curve in curves) for curves in study.values("curve").values()]
    assert losses == sorted(losses)
    assert losses[2] > losses[1] + 0.01 > losses[0]  # the two finest fit less well, the others about alike
    at_an_end = {name: study.scores(name).rate.value for name in study.variants if study.scores(name).rate.is_at_an_end}
    assert at_an_end == {"P = 28": 0.001}
    assert max(study.variants, key=lambda name: study.variants[name]["parameters"]) == "P = 28"


def test_lesson_3_says_what_the_record_of_positions_shows():
    study = load_study("positions")
    one, two = (study.scores(f"learned {kind}") for kind in ("1-D", "2-D"))
    first, second = (study.tried(scores.name) for scores in (one, two))
    assert first[0.003][0] > second[0.003][0] + 0.03  # at the one rate it is far ahead
    assert first[0.01][0] == pytest.approx(second[0.01][0], abs=0.005)  # at the other they are level
    found = compare(one, two, at_least=-0.01)
    assert found.verdict == NOT_SHOWN
    assert (found.high - found.low) / 2 > 0.01  # the interval is wider than the margin
    others = {name: (study.scores(name), study.scores("none")) for name in study.variants if name != "none"}
    assert compare_each(others, "each kind of positions beats none").verdict == TRUE


def test_lesson_6_says_what_the_record_of_norms_shows():
    study = load_study("norm")
    learned = {name: [right[0] > 0.5 for right in study.tried(name).values()] for name in study.variants}
    guesses = {name: min(right[0] for right in study.tried(name).values()) < 0.2 for name in study.variants}
    for name, at in learned.items():
        assert all(at) == (not guesses[name]) == name.startswith("pre"), name
    for words in ("with", "no"):
        shallow, deep = (f"post-norm, {depth} blocks, {words} warm-up" for depth in (12, 24))
        assert sum(learned[deep]) < sum(learned[shallow])
        assert study.scores(deep).rate.value < study.scores(shallow).rate.value
    pairs = {name: (study.scores(name), study.scores(name.replace("pre", "post"))) for name in learned if "pre" in name}
    assert compare_each(pairs, "pre-norm is more accurate").verdict == TRUE
    for norm in ("pre", "post"):
        kinds = {
            depth: [f"{norm}-norm, {depth} blocks, {words} warm-up" for words in ("with", "no")] for depth in (12, 24)
        }
        pairs = {f"{depth} blocks": tuple(study.scores(kind) for kind in both) for depth, both in kinds.items()}
        assert compare_each(pairs, "warm-up helps", holds="if").verdict == NOT_SHOWN
        assert all(fmean(warm.by_seed.values()) > fmean(cold.by_seed.values()) for warm, cold in pairs.values())


def test_lesson_6_says_what_the_record_of_batches_shows():
    study, ahead = load_study("norm_batch"), {}
    for size in (8, 32, 128):
        pre, post = (study.scores(f"{norm}-norm, batches of {size}") for norm in ("pre", "post"))
        assert compare(pre, post).verdict == TRUE
        assert not pre.rate.is_at_an_end or size == 128
        ahead[size] = pre - post
    assert compare(ahead[8], ahead[128]).verdict == NOT_SHOWN
    means = [fmean(lead.by_seed.values()) for lead in ahead.values()]
    assert max(means) - min(means) < 0.04  # by about as much


def test_a_stored_study_is_described(stored):
    study, _ = stored
    rows = (DATA_FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    row = next((row for row in rows if f"`results/study_{study.name}.json`" in row), "")
    assert f"`{study.command}`" in row, (
        f"data/README.md has no row with results/study_{study.name}.json and its command"
    )
    assert re.search(rf"^    {study.name} ", studies.__doc__, re.MULTILINE), (
        f"the docstring of studies/__init__.py, which --help shows, has no line about {study.name}"
    )


def test_the_figures_for_large_images_are_those_in_torchvision():
    from torchvision.models import ViT_B_16_Weights, ViT_B_32_Weights

    weights = {"P = 32": ViT_B_32_Weights.IMAGENET1K_V1, "P = 16": ViT_B_16_Weights.IMAGENET1K_V1}
    measured = {name: row.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100 for name, row in weights.items()}
    assert EXPERIMENTS["patch_size"].paper["accuracy"] == pytest.approx(measured)


def test_a_stored_training_can_be_repeated():
    """Another machine or PyTorch rounds differently: it begins alike, then goes another way, and gets about as far."""
    study = load_study("jigsaw")
    threads = torch.get_num_threads()
    rate = study.scores("learned 1-D").rate.value
    again = run_once(Recipe(**EXPERIMENTS["jigsaw"].settings("learned 1-D", rate)), seed=0)
    torch.set_num_threads(threads)
    kept = next(run for run in study.runs if (run["variant"], run["seed"]) == ("learned 1-D", 0))
    here, there = again["environment"], study.environment
    tolerance = 2e-4 if here["torch"] == there["torch"] else 1e-3
    assert again["curve"]["train_loss"][0] == pytest.approx(kept["curve"]["train_loss"][0], abs=tolerance)
    alike = here["hardware"] == there["hardware"]
    assert again["test_accuracy"] == pytest.approx(kept["test_accuracy"], abs=0.02 if alike else 0.04)
    assert {name: value for name, value in again["data"].items() if name not in LATER} == study.data
