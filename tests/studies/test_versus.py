"""The fair comparison: equal costs, equal pictures, equal augmentation, own rates; and what its record says."""

from collections import Counter
from dataclasses import replace
from itertools import product
from math import prod
from statistics import fmean
from types import SimpleNamespace

import pytest
import torch
from training.examples import make_data

from vit_tutorial.datasets import load
from vit_tutorial.evidence import FALSE, NOT_SHOWN, TRUE, Rate, best_rate, compare, compare_each
from vit_tutorial.inductive_bias import permute_patches, permute_positions
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.studies import EXPERIMENTS, Experiment, Search, load_study, versus
from vit_tutorial.studies.__main__ import main
from vit_tutorial.studies.leads import at_cost, cells, lead
from vit_tutorial.studies.record import make_study
from vit_tutorial.studies.runner import Job, carry_out, make_order
from vit_tutorial.studies.versus import RATES, SIZES, UNIT, compete, contests, draw_pictures, name_of
from vit_tutorial.training import TrainingConfig, fit
from vit_tutorial.weights.card import ModelCard

pytestmark = pytest.mark.slow
NAMES = ("ViT", "hybrid", "CNN")
PHOTOS = SimpleNamespace(image_size=32, in_channels=3, num_classes=10)  # the photographs may not be on the disk


@pytest.fixture(autouse=True)
def threads():
    """Give back the threads that a training takes away when it runs in this process."""
    number = torch.get_num_threads()
    yield
    torch.set_num_threads(number)


@pytest.fixture
def small(monkeypatch):
    """Small pictures in place of the clothes, and a small unit of the budget."""
    data = replace(make_data(per_class=20, size=8), name="small")
    monkeypatch.setattr(versus, "load", lambda name: data)
    monkeypatch.setitem(UNIT, "fashion_mnist", 48)
    monkeypatch.setitem(SIZES, "fashion_mnist", (16, 40))
    return data


# --- What is compared ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", SIZES)
def test_every_cell_has_all_three_models(task):
    names = [name_of(*cell) for cell in ((m, n, b) for b in (1, 4, 16) for n in SIZES[task] for m in NAMES)]
    assert list(contests(task, (1, 4, 16))) == names
    assert list(contests(task, (4,), (2_000,))) == [name_of(model, 2_000, 4) for model in NAMES]


@pytest.mark.parametrize(("task", "size", "channels"), [("fashion_mnist", 28, 1), ("cifar10", 32, 3)])
def test_the_three_models_cost_the_same_to_five_in_a_hundred(task, size, channels):
    data = make_data(size=size)
    data = replace(data, train_images=data.train_images.expand(-1, channels, -1, -1))
    costs = {
        row["model"]["name"]: flops_per_image(versus.make_config(row, data)) for row in contests(task, (1,)).values()
    }
    assert max(costs.values()) < 1.05 * min(costs.values()), costs


@pytest.mark.parametrize("task", SIZES)
def test_what_trains_is_the_same_for_all_but_the_budget(task):
    for budget in (1, 4, 16):
        trainings = [row["training"] for row in contests(task, (budget,)).values()]
        assert all(training == trainings[0] for training in trainings)
        assert (trainings[0]["epochs"], trainings[0]["warmup_epochs"]) == (budget, budget / 10)
        assert trainings[0]["validation_fraction"] == 0  # the pictures that validate are held back before


def test_a_budget_of_one_is_a_pass_over_all_pictures_there_are_to_learn_from():
    assert UNIT == {"fashion_mnist": 9_000, "cifar10": 45_000}
    learn, _ = draw_pictures(load("fashion_mnist").train_labels, 9_000, 9_000, seed=0)
    assert len(learn.unique()) == 9_000


# --- The pictures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("images", "seen"), [(500, 9_000), (2_000, 9_000), (7, 20)])
def test_each_picture_comes_equally_often_to_within_one(images, seen):
    rows, _ = draw_pictures(load("fashion_mnist").train_labels, images, seen, seed=3)
    counts = Counter(rows.tolist())
    assert (len(rows), len(counts)) == (seen, images)
    assert max(counts.values()) - min(counts.values()) == (seen % images > 0)


def test_nobody_learns_from_what_validates_and_the_fewer_are_among_the_more():
    labels = load("fashion_mnist").train_labels
    few, validate = draw_pictures(labels, 500, 500, seed=0)
    more, same = draw_pictures(labels, 2_000, 2_000, seed=0)
    other, still = draw_pictures(labels, 500, 500, seed=1)
    assert len(validate) == 1_000
    assert torch.equal(validate, same)
    assert torch.equal(validate, still)
    assert set(few.tolist()) < set(more.tolist())
    assert len(set(few.tolist()) & set(other.tolist())) < 100  # of 500: another seed, other pictures
    for rows in (few, more, other):
        assert not set(rows.tolist()) & set(validate.tolist())


def test_more_pictures_than_there_are_is_refused():
    with pytest.raises(ValueError, match="there are 9,000 pictures to learn from, and 9,001 are asked for"):
        draw_pictures(load("fashion_mnist").train_labels, 9_001, 9_001, seed=0)


# --- One training ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", NAMES)
def test_a_training_says_what_it_saw_and_what_it_cost(small, model, monkeypatch):
    settings = contests("fashion_mnist", (2,))[name_of(model, 16, 2)]
    passed, worked = iter([100.0, 107.5] * 2), iter([50.0, 53.25] * 2)  # the clocks, each time they are asked
    clocks = SimpleNamespace(perf_counter=lambda: next(passed), process_time=lambda: next(worked))
    monkeypatch.setattr(versus, "time", clocks)
    result = compete(settings, seed=1)
    flops = flops_per_image(versus.make_config(settings, small))
    assert result["images_seen"] == 96
    assert (result["flops"], result["training_flops"]) == (flops, 3 * 96 * flops)
    assert result["data"] == {"name": "small", "validation": 8, "test": 8}
    assert (result["seconds"], result["processor_seconds"]) == (7.5, 3.25)
    assert all(result[key] * 8 % 1 == 0 for key in ("validation_accuracy", "test_accuracy"))
    assert compete(settings, seed=1) == result


def test_the_test_chooses_nothing_and_the_seed_decides_all_else(small, monkeypatch):
    settings = contests("fashion_mnist", (2,))[name_of("CNN", 40, 2)]
    before = compete(settings, seed=1)
    swapped = replace(small, test_labels=small.test_labels.flip(0))
    monkeypatch.setattr(versus, "load", lambda name: swapped)
    after = compete(settings, seed=1)
    for key in ("validation_accuracy", "train_accuracy"):
        assert after[key] == before[key]
    first, other = (versus.make_contestant(settings, small, seed).state_dict() for seed in (1, 2))
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])


# --- Scrambled pictures ----------------------------------------------------------------------------------------------


def test_all_pictures_are_scrambled_in_one_order_and_keep_their_pixels(small):
    for order in ("patches", "pixels"):
        other = versus.scrambled(small, order)
        assert not torch.equal(other.train_images, small.train_images)
        for before, after in ((small.train_images, other.train_images), (small.test_images, other.test_images)):
            assert torch.equal(before.flatten(1).sort().values, after.flatten(1).sort().values)
        assert torch.equal(other.test_images, other.train_images[:8])  # as they were alike before
        assert torch.equal(other.train_labels, small.train_labels)
        assert other.name == f"small, {order} permuted"
        assert torch.equal(versus.scrambled(small, order).train_images, other.train_images)
    assert versus.scrambled(small, "as it is") is small


def test_a_patch_that_is_moved_is_whole():
    data = make_data(size=8)
    data = replace(data, train_images=torch.arange(4).view(1, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3))
    found = versus.scrambled(data, "patches").train_images
    assert sorted(patch.unique().item() for patch in found.unfold(2, 4, 4).unfold(3, 4, 4).reshape(4, 4, 4)) == [
        0,
        1,
        2,
        3,
    ]


def test_a_vit_learns_from_scrambled_patches_what_it_learns_from_pictures_with_rows_of_its_positions_permuted(small):
    """So a start with random positions is as good for any order: what lesson 9 calls a proof holds for training too."""
    row = versus.scrambles("fashion_mnist", 16, 1)["ViT, patches permuted"]
    config = TrainingConfig(**row["training"] | {"batch_size": 8, "learning_rate": 0.01}, seed=0)
    order = torch.randperm(4, generator=torch.Generator().manual_seed(0))  # as `scrambled` draws it
    model = versus.make_contestant(row, small, seed=0)
    twin = permute_positions(model, order)
    fit(model, versus.scrambled(small, "patches"), config, progress=False)
    fit(twin, small, config, progress=False)
    pictures = small.normalize(small.test_images)
    close = {"rtol": 0, "atol": 1e-4}  # six steps in float32
    torch.testing.assert_close(model.eval()(permute_patches(pictures, order, 4)), twin.eval()(pictures), **close)
    torch.testing.assert_close(permute_positions(model, order).position.pos_embed, twin.position.pos_embed, **close)
    assert (model(pictures) - twin(pictures)).abs().max() > 0.001  # they are two models
    assert (model.position.pos_embed - twin.position.pos_embed).abs().max() > 0.02


def test_scrambled_pictures_differ_in_their_order_alone_and_nothing_augments_them(small):
    rows = versus.scrambles("fashion_mnist", 40, 2)
    words = ("as it is", "patches permuted", "pixels permuted")
    assert list(rows) == [f"{model}, {order}" for model in ("ViT", "CNN") for order in words]
    for name, row in rows.items():
        assert (row["training"]["max_shift"], row["training"]["flip"]) == (0, False)
        assert row["model"]["name"] == name.split(",")[0]
        assert {**row, "order": "", "model": ""} == {**rows["ViT, as it is"], "order": "", "model": ""}
    before, after = (versus.compete_scrambled(rows[f"CNN, {order}"], seed=0) for order in (words[0], words[2]))
    assert before["images_seen"] == after["images_seen"] == 96
    assert before["train_accuracy"] != after["train_accuracy"]
    assert before["test_loss"] == compete(rows["CNN, as it is"], seed=0)["test_loss"]


# --- The study -------------------------------------------------------------------------------------------------------


def test_a_study_that_was_killed_goes_on_from_what_it_kept_and_grows(small, tmp_path, monkeypatch, capsys):
    def experiment(budgets):
        search = Search(RATES[:3])
        return Experiment("", contests("fashion_mnist", budgets), (0, 1, 2), job=compete, search=search)

    runs, records = tmp_path / "runs", tmp_path / "records"
    short = experiment((1,))
    jobs = [Job(variant, rate, 100) for variant in short.variants for rate in RATES[:3]]
    for job in jobs:  # as a worker does it
        carry_out(make_order(short, job, runs / "versus" / job.file_name))
    kept = {path: path.stat().st_mtime_ns for path in (runs / "versus").iterdir()}

    def work_here(name, experiment, folder, seeds, workers, rates):
        for job in (Job(variant, rates[variant], seed) for variant in experiment.variants for seed in seeds):
            carry_out(make_order(experiment, job, folder / name / job.file_name))
        return real(name, experiment, folder, seeds, workers, rates)

    from vit_tutorial.studies import __main__ as command

    real = command.run_study
    monkeypatch.setattr(command, "run_study", work_here)
    monkeypatch.setitem(EXPERIMENTS, "versus", short)
    main(["versus", "--runs", str(runs), "--records", str(records)])
    assert "versus, search: 18 of 18 runs are done already" in capsys.readouterr().out
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    study = load_study("versus", records)
    assert cells(study) == [(16, 1), (40, 1)]
    for variant in short.variants:
        searched = {run["learning_rate"]: run["validation_accuracy"] for run in study.search["runs"]
                    if run["variant"] == variant}  # fmt: skip
        best = best_rate({rate: [score] for rate, score in searched.items()})
        assert study.scores(variant).rate == best
        assert {run["learning_rate"] for run in study.runs if run["variant"] == variant} == {best.value}
    monkeypatch.setitem(EXPERIMENTS, "versus", experiment((1, 4)))
    assert len(EXPERIMENTS["versus"].variants) == 2 * len(short.variants)
    assert all(EXPERIMENTS["versus"].settings(name) == short.settings(name) for name in short.variants)


@pytest.mark.parametrize("size", [2, 4])
def test_a_token_that_answers_to_its_own_patch_alone_reaches_less_far_than_one_that_answers_to_all(small, size):
    row = contests("fashion_mnist", (1,), (40,))[name_of("ViT", 40, 1)]
    model = versus.make_contestant(row | {"model": row["model"] | {"patch_size": size}}, small, seed=0)
    model.card = ModelCard.of(small)
    attention = model.blocks[0].attn.proj
    with torch.no_grad():
        attention.weight.zero_()
    alone = versus.reach(model, small)
    assert (alone["own_patch"], alone["seen"]) == (1, (size / 8) ** 2)
    middle = (8 // size // 2 + 0.5) * size - 0.5  # of the patch in the middle, in pixels
    away = torch.cartesian_prod(*[torch.arange(8) - middle] * 2).square().sum(dim=1).sqrt()
    own = torch.tensor(list(product([abs(i - middle) < size / 2 for i in range(8)], repeat=2))).all(dim=1)
    assert away[own].min() / away.mean() - 1e-4 < alone["reach"] < away[own].max() / away.mean() + 1e-4 < 1
    torch.nn.init.normal_(attention.weight)
    both = versus.reach(model, small)
    assert both["own_patch"] < 1 == both["seen"]
    assert both["reach"] > alone["reach"]


def test_patches_of_twice_the_side_and_four_times_the_pictures_cost_the_same():
    rows = EXPERIMENTS["patch_photos"].variants
    assert list(rows) == ["P = 16, x1", "P = 8, x1", "P = 4, x1", "P = 8, x4"]
    work = {
        name: row["training"]["epochs"] * flops_per_image(versus.make_config(row, PHOTOS)) for name, row in rows.items()
    }
    assert work["P = 8, x4"] == pytest.approx(work["P = 4, x1"], rel=0.05)
    assert work["P = 16, x1"] < work["P = 8, x1"] / 2
    plain = contests("cifar10", (1,), (45_000,))[name_of("ViT", 45_000, 1)]
    assert rows["P = 4, x1"] == plain
    for name, row in rows.items():
        changed = {key for key in row if row[key] != plain[key]}
        assert changed <= {"model"} | ({"training"} if "x4" in name else set())
        assert {key for key in plain["model"] if row["model"][key] != plain["model"][key]} <= {"patch_size"}


# --- Planted data ----------------------------------------------------------------------------------------------------


def planted(accuracy, budgets=(1, 4)):
    """Make a record whose accuracies are known: a function of model, images, budget and seed, and a little noise."""
    experiment = Experiment("", contests("fashion_mnist", budgets), (0, 1, 2), job=compete, search=Search(RATES))
    noise = iter(torch.randn(1000, generator=torch.Generator().manual_seed(0)).tolist())
    runs, searched = [], []
    for name, row in experiment.variants.items():
        for seed in (0, 1, 2):
            score = accuracy(row["model"]["name"], row["images"], row["training"]["epochs"], seed)
            about = {"variant": name, "learning_rate": 0.01, "seed": seed, "seconds": 1.0, "environment": {}}
            cost = (1 + 0.1 * seed) * row["training"]["epochs"] * (2 if row["model"]["name"] == "CNN" else 1)
            runs.append(about | {"test_accuracy": score + 0.002 * next(noise), "processor_seconds": cost})
        searched += [
            {"variant": name, "learning_rate": rate, "seed": 100, "seconds": 1.0, "validation_accuracy": score}
            for rate, score in zip(RATES, (0.5, 0.6, 0.7, 0.6, 0.1), strict=True)
        ]
    return make_study("versus", experiment, runs, "", searched)


def test_a_lead_that_shrinks_with_more_pictures_is_found():
    lead_of = {500: 0.10, 2_000: 0.05, 9_000: 0.0}
    study = planted(lambda model, images, budget, seed: 0.7 + 0.01 * seed + (model == "CNN") * lead_of[images])
    found = compare(lead(study, "CNN", "ViT", 500, 1), lead(study, "CNN", "ViT", 9_000, 1))
    assert found.verdict == TRUE
    assert found.difference == pytest.approx(0.10, abs=0.01)
    assert found.label == "lead at 500 images, x1 minus lead at 9,000 images, x1"
    assert "+10" in str(found) or "+9" in str(found)
    at = study.scores(name_of("CNN", 500, 1))
    assert at.rate == Rate(0.01, RATES)


def test_no_lead_is_not_shown_and_the_same_lead_everywhere_does_not_shrink():
    tie = planted(lambda model, images, budget, seed: 0.7 + 0.01 * seed)
    pairs = {f"{n}, x{b}": tuple(tie.scores(name_of(model, n, b)) for model in ("CNN", "ViT")) for n, b in cells(tie)}
    assert compare_each(pairs, "the CNN is ahead", holds="any").verdict == NOT_SHOWN
    even = planted(lambda model, images, budget, seed: 0.7 + (model == "CNN") * 0.1)
    assert compare(lead(even, "CNN", "ViT", 500, 4), lead(even, "CNN", "ViT", 9_000, 4)).verdict == NOT_SHOWN
    assert compare(lead(even, "ViT", "CNN", 500, 4), [0, 0, 0]).verdict == FALSE


def test_a_lead_that_was_bought_with_seconds_is_none_at_equal_seconds():
    # The CNN takes twice the seconds, and both gain 10 points from one budget to the next, which is four times as long.
    study = planted(lambda model, images, budget, seed: 0.5 + 0.1 * (budget == 4) + 0.05 * (model == "CNN"))
    long, short = (name_of(model, 500, 4) for model in ("CNN", "ViT"))
    assert compare(study.scores(long), study.scores(short)).difference == pytest.approx(0.05, abs=0.005)
    seconds = fmean(study.values("processor_seconds")[short])
    both = [at_cost(study, model, 500, "processor_seconds", seconds) for model in ("CNN", "ViT")]
    assert both[1].by_seed == pytest.approx(study.scores(short).by_seed)
    assert compare(*both).difference == pytest.approx(0.0, abs=0.005)
    assert compare(*both).unit == "points"
    with pytest.raises(ValueError, match=r"processor_seconds is 5; ViT was measured at 1\.1, 4\.4"):
        at_cost(study, "ViT", 500, "processor_seconds", 5)


def test_a_cost_between_two_budgets_is_read_between_the_nearest_two():
    study = planted(lambda model, images, budget, seed: {1: 0.5, 4: 0.6, 16: 0.9}[budget], budgets=(1, 4, 16))
    least = fmean(study.values("processor_seconds")[name_of("ViT", 500, 1)])
    for cost, accuracy in ((least, 0.5), (2 * least, 0.55), (8 * least, 0.75)):  # the first, and middles of logarithms
        found = at_cost(study, "ViT", 500, "processor_seconds", cost)
        assert found.by_seed == pytest.approx(dict.fromkeys((0, 1, 2), accuracy), abs=0.01)


def test_one_wild_seed_shows_nothing():
    study = planted(lambda model, images, budget, seed: 0.7 + (model == "CNN") * (0.3 if seed == 2 else 0.0))
    pair = (study.scores(name_of(model, 2_000, 1)) for model in ("CNN", "ViT"))
    assert compare(*pair).verdict == NOT_SHOWN


# --- The stored record -----------------------------------------------------------------------------------------------


def by_order(study):
    """What the ViT and the CNN score on pictures as they are, with patches permuted, and with pixels permuted."""
    return [{model: study.scores(f"{model}, {words}") for model in ("ViT", "CNN")} for words in versus.ORDERS.values()]


def test_lesson_9_says_what_the_records_show():
    study = load_study("versus")
    assert cells(study) == [(images, budget) for budget in (1, 4, 16) for images in SIZES["fashion_mnist"]]
    for images, budget in cells(study):
        pair = (study.scores(name_of(model, images, budget)) for model in ("CNN", "ViT"))
        assert compare(*pair).verdict == TRUE
    fewer = {f"x{b}": tuple(lead(study, "CNN", "ViT", n, b) for n in (500, 9_000)) for b in (1, 4, 16)}
    assert compare_each(fewer, "larger with fewer", holds="any").verdict == NOT_SHOWN
    shorter = {f"{n:,}": tuple(lead(study, "CNN", "ViT", n, b) for b in (1, 16)) for n in SIZES["fashion_mnist"]}
    assert compare_each(shorter, "larger at x1", holds="any").verdict == TRUE
    at_an_end = {name for name in study.variants if study.scores(name).rate.is_at_an_end}
    assert at_an_end == {name_of("CNN", *cell) for cell in cells(study) if cell[1] > 1 and cell != (2_000, 16)}
    photos = load_study("versus_photos")
    assert cells(photos) == [(2_000, 1), (10_000, 1), (45_000, 1), (2_000, 4), (45_000, 4)]
    means = {}
    for cell in cells(photos):
        cnn, hybrid, vit = (photos.scores(name_of(model, *cell)) for model in ("CNN", "hybrid", "ViT"))
        means[cell] = [fmean(scores.by_seed.values()) for scores in (cnn, hybrid, vit)]
        assert compare(cnn, vit).verdict == TRUE
        assert means[cell] == sorted(means[cell], reverse=True)
        assert [scores.rate.is_at_an_end for scores in (cnn, hybrid, vit)] == [cell == (2_000, 4), False, False]
    pairs = {b: tuple(lead(photos, "CNN", "ViT", n, b) for n in (2_000, 45_000)) for b in (1, 4)}
    found = compare_each({f"x{b}": pair for b, pair in pairs.items()}, "larger with fewer", holds="if")
    assert [part.verdict for part in found.parts.values()] == [NOT_SHOWN, TRUE]
    few, many = (fmean(scores.by_seed.values()) for scores in pairs[4])
    assert few - many < 0.03 < 0.13 < many
    for few, many, long_few, long_many in zip(*(means[n, b] for b in (1, 4) for n in (2_000, 45_000)), strict=True):
        assert abs(few - many) < 0.03  # the lines are nearly level, and
        assert long_many - long_few > 0.05  # rise where the few come round more often
    sizes = load_study("patch_photos")
    sixteen, eight, four, longer = (sizes.scores(name) for name in sizes.variants)
    assert [compare(*pair).verdict for pair in ((eight, sixteen), (four, eight))] == [NOT_SHOWN, TRUE]
    assert compare(four, longer).verdict == FALSE
    as_it_is, patches, pixels = by_order(load_study("locality"))
    assert 0 < compare(as_it_is["ViT"], patches["ViT"]).low < 0.005  # the interval just leaves 0 out
    assert compare(as_it_is["CNN"], patches["CNN"]).verdict == FALSE
    both = {model: (as_it_is[model], pixels[model]) for model in ("ViT", "CNN")}
    assert compare_each(both, "better from pictures as they are", holds="none").verdict == TRUE
    as_it_is, patches, pixels = by_order(load_study("locality_photos"))
    assert compare(as_it_is["ViT"], patches["ViT"]).verdict == NOT_SHOWN
    for model, other in (("CNN", patches), ("CNN", pixels), ("ViT", pixels)):
        assert compare(as_it_is[model], other[model]).verdict == TRUE
    verdicts = [compare(kind["CNN"], kind["ViT"]).verdict for kind in (as_it_is, patches, pixels)]
    assert verdicts == [TRUE, NOT_SHOWN, NOT_SHOWN]


@pytest.mark.parametrize("name", ["versus", "locality", "versus_photos", "locality_photos", "patch_photos", "reach"])
def test_the_figures_of_a_record_agree_with_each_other(name):
    study, variants = load_study(name), EXPERIMENTS[name].variants
    if "photos" in name:
        task, data, sizes = "cifar10", PHOTOS, (5_000, 10_000)
    else:
        task, data = "fashion_mnist", load("fashion_mnist")
        sizes = (1_000, len(data.test_labels))
        assert study.data["name"] == data.name
    assert (study.data["validation"], study.data["test"]) == sizes
    for run in study.runs:
        settings = variants[run["variant"]]
        assert settings["task"] == task
        assert run["images_seen"] == settings["training"]["epochs"] * UNIT[task]
        assert run["flops"] == flops_per_image(versus.make_config(settings, data))
        assert run["training_flops"] == 3 * run["flops"] * run["images_seen"]
        assert 0 < run["processor_seconds"] < 1.1 * run["seconds"] + 0.1
        assert run["parameters"] == sum(prod(p.shape) for p in versus.make_contestant(settings, data, 0).parameters())
        for key, images in (("test_accuracy", study.data["test"]), ("validation_accuracy", study.data["validation"])):
            assert run[key] * images == pytest.approx(round(run[key] * images), abs=1e-6)
        assert study.scores(run["variant"]).rate.value == run["learning_rate"]
