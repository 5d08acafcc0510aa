"""Studies: a small one runs, survives a kill and refuses what does not belong to it; the stored ones are whole."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from vit_tutorial import patchify, sincos_1d, studies
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.recipes import PRESETS
from vit_tutorial.studies import EXPERIMENTS, Experiment, StudyError, load_study, recipe
from vit_tutorial.training.optimizers import make_optimizers

TINY = partial(recipe, training_images=200, epochs=1, warmup_epochs=0, patch_size=14, dim=8, depth=1, num_heads=1)
SMALL = Experiment(
    claim="two learning rates differ",
    variants={f"rate {rate:g}": TINY(learning_rate=rate) for rate in (0.0001, 0.01)},
    seeds=(0, 1),
)


# --- A small study, from the first training to the record ------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Run a small study, kill it when its first training is done, and run the same command again."""
    folder = tmp_path_factory.mktemp("study")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_studies as t\n"
        "t.studies.EXPERIMENTS = {'small': t.SMALL}\n"
        "t.studies.main(['small', '--runs', sys.argv[2], '--records', sys.argv[3]])"
    )
    command = [sys.executable, "-c", script, str(Path(__file__).parent), str(folder / "runs"), str(folder)]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    first_line = first.stdout.readline()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "runs" / "small").glob("*.json")}
    assert not list(folder.glob("*.json"))
    second = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return folder, kept, first_line, second


def test_a_killed_study_goes_on_without_losing_or_repeating_a_training(small):
    folder, kept, first_line, second = small
    assert second.returncode == 0, second.stderr
    assert first_line.startswith("small 1/4: rate 0.0001, seed 0: validation ")
    assert len(kept) >= 1
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    done, *lines = second.stdout.splitlines()
    assert done == f"small: {len(kept)} of 4 trainings are done already"
    assert sum(": validation " in line for line in lines) == 4 - len(kept)
    assert len(list((folder / "runs" / "small").glob("*.json"))) == 4


def test_the_record_holds_every_training_and_how_it_was_made(small, monkeypatch):
    folder, *_ = small
    monkeypatch.setattr(studies, "EXPERIMENTS", {"small": SMALL})
    study = load_study("small", folder)
    assert [(run["variant"], run["seed"]) for run in study.runs] == [
        ("rate 0.0001", 0), ("rate 0.0001", 1), ("rate 0.01", 0), ("rate 0.01", 1)
    ]  # fmt: skip
    assert study.command == "python -m vit_tutorial.studies small"
    assert study.seeds == [0, 1]
    assert study.settings["training"]["epochs"] == 1
    assert study.settings["model"]["patch_size"] == 14
    assert study.variants["rate 0.01"]["settings"] == {"training": {"learning_rate": 0.01}}
    assert study.environment["threads"] == 1
    assert study.environment["torch"] == torch.__version__
    assert study.data == study.data | {"training": 180, "validation": 20, "test": 2000}
    assert study.accuracies()["rate 0.01"] == [run["test_accuracy"] for run in study.runs[2:]]
    assert study.validation_accuracies() == study.values("validation_accuracy")
    assert study.seconds == pytest.approx(sum(run["seconds"] for run in study.runs), abs=0.1)
    assert all(0 < seconds < 1 for seconds in study.seconds_per_image().values())


def test_a_training_in_a_process_of_its_own_is_the_training_itself(small):
    folder, *_ = small
    kept = json.loads((folder / "runs" / "small" / "rate-0.01-seed-1.json").read_text())["result"]
    threads = torch.get_num_threads()
    again, other = studies.run_once(SMALL.variants["rate 0.01"], 1), studies.run_once(SMALL.variants["rate 0.01"], 0)
    torch.set_num_threads(threads)
    assert again["test_accuracy"] == kept["test_accuracy"]
    assert again["curve"] == kept["curve"] != other["curve"]


def test_trainings_of_other_settings_are_not_mixed_in(small):
    folder, *_ = small
    other = replace(SMALL, variants={"rate 0.01": TINY(learning_rate=0.01, epochs=2)})
    with pytest.raises(StudyError, match=r"other settings \(training.epochs was 1 and is 2\); delete the folder"):
        studies.run_study("small", other, folder / "runs", seeds=[0])


def test_trainings_of_another_machine_are_not_mixed_in(small, tmp_path):
    folder, *_ = small
    (tmp_path / "small").mkdir()
    for file in (folder / "runs" / "small").glob("rate-0.01-*.json"):
        run = json.loads(file.read_text())
        run["result"]["environment"]["git_revision"] = f"revision of {file.name}"  # this one may differ
        if "seed-1" in file.name:
            run["result"]["environment"]["torch"] = "1.0"
        (tmp_path / "small" / file.name).write_text(json.dumps(run))
    fast = replace(SMALL, variants={"rate 0.01": SMALL.variants["rate 0.01"]})
    with pytest.raises(StudyError, match=r"made in two ways \(torch was .* and is 1.0\)"):
        studies.run_study("small", fast, tmp_path, seeds=[0, 1])


def test_a_record_of_other_settings_is_refused(small, monkeypatch):
    folder, *_ = small
    monkeypatch.setattr(studies, "EXPERIMENTS", {"small": replace(SMALL, variants={"rate 0.01": TINY(epochs=3)})})
    with pytest.raises(StudyError, match=r"training.epochs was 1 and is 3.*make it with `python -m"):
        load_study("small", folder)


def test_what_was_made_before_a_setting_existed_counts_as_made_with_its_default(small, tmp_path, monkeypatch):
    folder, *_ = small
    monkeypatch.setattr(studies, "EXPERIMENTS", {"small": SMALL})
    record = json.loads((folder / "study_small.json").read_text())
    del record["settings"]["divide_by"], record["settings"]["training"]["cutmix"]
    (tmp_path / "study_small.json").write_text(json.dumps(record))
    assert load_study("small", tmp_path).accuracies() == load_study("small", folder).accuracies()
    (tmp_path / "small").mkdir()
    for file in (folder / "runs" / "small").glob("*.json"):
        run = json.loads(file.read_text())
        del run["recipe"]["divide_by"], run["recipe"]["training"]["cutmix"]
        (tmp_path / "small" / file.name).write_text(json.dumps(run))
    assert len(studies.run_study("small", SMALL, tmp_path, seeds=[0, 1])) == 4

    divided = {name: replace(its_recipe, divide_by="d") for name, its_recipe in SMALL.variants.items()}
    divided = replace(SMALL, variants=divided)
    with pytest.raises(StudyError, match=r"other settings \(divide_by was sqrt\(d\) and is d\)"):
        studies.run_study("small", divided, tmp_path, seeds=[0])
    monkeypatch.setattr(studies, "EXPERIMENTS", {"small": divided})
    with pytest.raises(StudyError, match=r"settings.divide_by was sqrt\(d\) and is d"):
        load_study("small", tmp_path)


def test_a_study_of_hybrids_goes_on_with_what_it_kept(tmp_path, capsys):
    stem = {"stem": "hybrid", "stem_layers": ()}
    variants = {"pure": TINY(patch_size=4), "hybrid": TINY(patch_size=4, **stem)}
    experiment = Experiment(claim="", variants=variants)
    first, again = (studies.run_study("stems", experiment, tmp_path, seeds=[0]) for _ in range(2))
    assert first == again
    assert "stems: 2 of 2 trainings are done already" in capsys.readouterr().out
    study = studies.make_study("stems", experiment, first, command="")
    pure, hybrid = study.variants.values()
    assert pure["tokens"] == hybrid["tokens"] == 50
    assert hybrid["flops"] > pure["flops"]
    assert [run["parameters"] for run in first] == [pure["parameters"], hybrid["parameters"]]


def test_a_missing_record_and_an_unknown_name_are_said(tmp_path):
    with pytest.raises(StudyError, match=r"study_pooling.json is not there; make it with"):
        load_study("pooling", tmp_path)
    with pytest.raises(ValueError, match="'puling' is no study; the studies are patch_size, pooling"):
        load_study("puling")


def test_a_training_that_fails_ends_the_study(tmp_path):
    broken = Experiment(claim="", variants={"three heads": TINY(num_heads=3)})
    with pytest.raises(StudyError, match="'three heads' with seed 7 ended with exit status 1"):
        studies.run_study("broken", broken, tmp_path, seeds=[7])
    assert not list(tmp_path.rglob("*.json"))


def test_the_command_line_knows_its_studies(capsys):
    with pytest.raises(SystemExit):
        studies.parse(["puling"])
    assert "the studies are patch_size, pooling, positions, jigsaw" in capsys.readouterr().err
    assert studies.parse(["jigsaw", "--seeds", "3", "4"]).seeds == [3, 4]


# --- The parts -------------------------------------------------------------------------------------------------------


def test_row_and_column_positions_share_halves_and_are_not_decayed():
    torch.manual_seed(0)
    position = studies.RowColumnPositions(7, 8, grid_size=(2, 3))
    added = position(torch.zeros(1, 7, 8))[0]
    grid = added[1:].view(2, 3, 8)
    assert torch.equal(grid[0, :, 4:], grid[0, :1, 4:].expand(3, 4))  # one row, one half
    assert torch.equal(grid[:, 1, :4], grid[:1, 1, :4].expand(2, 4))  # one column, the other half
    assert len(added.unique(dim=0)) == 7
    decayed, others = make_optimizers(position, "adamw", 0.1, 0.1)[0].param_groups
    assert (len(decayed["params"]), len(others["params"])) == (0, 3)
    with pytest.raises(ValueError, match="a grid of 2x3 takes 6 tokens or more"):
        studies.RowColumnPositions(5, 8, grid_size=(2, 3))


def test_each_name_of_positions_gives_the_model_these_positions():
    data = load("fashion_mnist")
    models = {name: studies.make_model(TINY(positions=name), data, seed=0) for name in studies.POSITIONS}
    learned = {name: any("pos_embed" in key for key, _ in model.named_parameters()) for name, model in models.items()}
    assert learned == {name: name.startswith("learned") for name in studies.POSITIONS}
    assert isinstance(models["none"].position, torch.nn.Identity)
    assert isinstance(models["learned 2-D"].position, studies.RowColumnPositions)
    wave = models["sin-cos 1-D"].position.pos_embed[0]
    assert torch.equal(wave, torch.cat([torch.zeros(1, 8), sincos_1d(4, 8)]))
    assert not torch.equal(wave, models["sin-cos 2-D"].position.pos_embed[0])
    first = {name: model.patch_embed.proj.weight for name, model in models.items()}
    assert all(torch.equal(weight, first["none"]) for weight in first.values())  # only the positions differ


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(("name", "divisor"), [("sqrt(d)", 3), ("1", 1), ("d", 9), ("sqrt(D)", 6)])
def test_divided_attention_divides_the_scores_by_that_number(name, divisor, fused):
    attention = studies.DividedAttention(36, 4, divide_by=name, fused=fused).double()
    tokens = torch.randn(2, 70, 36, dtype=torch.float64)
    q, k, v = (rows.view(2, 70, 4, 9).transpose(1, 2) for rows in F.linear(tokens, attention.qkv.weight).chunk(3, -1))
    mixed = F.scaled_dot_product_attention(q, k, v, scale=1 / divisor).transpose(1, 2).reshape(2, 70, 36)
    torch.testing.assert_close(attention(tokens), attention.proj(mixed), rtol=1e-12, atol=1e-12)
    weights = (q @ k.transpose(-2, -1) / divisor).softmax(dim=-1)
    torch.testing.assert_close(attention(tokens, return_weights=True)[1], weights, rtol=1e-12, atol=1e-12)


def test_only_what_the_scores_are_divided_by_differs_in_a_model():
    data = load("fashion_mnist")
    shape = {"dim": 16, "num_heads": 4}
    models = {name: studies.make_model(TINY(divide_by=name, **shape), data, seed=0) for name in studies.DIVISORS}
    images = data.normalize(data.test_images[:4])
    logits = {}
    for name, model in models.items():
        assert isinstance(model.blocks[0].attn, studies.DividedAttention) == (name != "sqrt(d)")
        for key, tensor in model.state_dict().items():
            assert torch.equal(tensor, models["1"].state_dict()[key])
        with torch.no_grad():
            logits[name] = model.eval()(images)
    assert len(torch.stack(list(logits.values())).unique(dim=0)) == 3  # here d and sqrt(D) are both 4
    torch.testing.assert_close(logits["d"], logits["sqrt(D)"])


def test_a_jigsaw_differs_in_nothing_but_the_arrangement():
    data = load("fashion_mnist")
    puzzle = studies.jigsaw(data, patch_size=7)
    assert puzzle.train_labels.bincount().tolist() == [2500] * 4
    assert torch.equal(puzzle.test_images[::4], data.test_images)  # arrangement 0
    rows = patchify(puzzle.test_images[:8], 7).view(2, 4, 16, 49)
    for picture in rows:
        heaps = [arrangement.unique(dim=0) for arrangement in picture]  # unique also sorts
        assert all(torch.equal(heap, heaps[0]) for heap in heaps)
    assert len(puzzle.test_images[:4].unique(dim=0)) == 4


def test_a_model_without_positions_gives_all_arrangements_one_answer():
    data = studies.make_data(TINY("jigsaw", patch_size=7))
    images = data.normalize(data.test_images[:40]).double()
    for positions, same in (("none", True), ("learned 1-D", False)):
        model = studies.make_model(TINY("jigsaw", patch_size=7, positions=positions), data, seed=0).double().eval()
        with torch.no_grad():
            logits = model(images).view(10, 4, 4)
        assert torch.allclose(logits, logits[:, :1].expand_as(logits), rtol=0, atol=1e-12) == same


# --- The stored records ----------------------------------------------------------------------------------------------


@pytest.fixture(params=EXPERIMENTS)
def stored(request):
    """Load a stored study; this alone compares its settings with those of the code."""
    return load_study(request.param), EXPERIMENTS[request.param]


def test_a_stored_study_is_whole(stored):
    study, experiment = stored
    assert study.claim == experiment.claim
    assert study.seeds == list(experiment.seeds)
    assert study.command == f"python -m vit_tutorial.studies {study.name}"
    expected = [(variant, seed) for variant in experiment.variants for seed in experiment.seeds]
    assert [(run["variant"], run["seed"]) for run in study.runs] == expected
    assert study.paper == experiment.paper
    assert all(study.environment[key] for key in ("hardware", "python", "torch", "vit_tutorial"))


def test_the_figures_of_a_stored_study_agree_with_each_other(stored):
    study, _ = stored
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
    assert study.seconds == pytest.approx(sum(run["seconds"] for run in study.runs), abs=0.1)


def test_the_sizes_in_a_stored_study_are_those_of_the_models(stored):
    study, experiment = stored
    for name, own in study.variants.items():
        data = studies.make_data(experiment.variants[name])
        model = studies.make_model(experiment.variants[name], data, seed=0)
        assert own["parameters"] == sum(parameter.numel() for parameter in model.parameters())
        assert own["flops"] == flops_per_image(model.config)
        with torch.no_grad():
            assert own["tokens"] == model.forward_intermediates(torch.zeros(1, 1, 28, 28))["norm"].shape[1]


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
    rates = {row["settings"]["training"]["learning_rate"] for row in variants.values()}
    assert (len(hybrids), len(rates)) == (6, 2)
    for name in hybrids:
        hybrid, pure = variants[name], variants[name.replace("hybrid", "pure")]
        assert hybrid["tokens"] == pure["tokens"]
        assert hybrid["settings"]["model"]["depth"] == pure["settings"]["model"]["depth"]
        assert hybrid["settings"]["training"] == pure["settings"]["training"]
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


def test_a_stored_study_is_described(stored):
    study, _ = stored
    lines = (DATA_FOLDER / "README.md").read_text(encoding="utf-8").splitlines()
    (line,) = [line for line in lines if f"`results/study_{study.name}.json`" in line]
    assert f"`{study.command}`" in line


def test_the_figures_for_large_images_are_those_in_torchvision():
    from torchvision.models import ViT_B_16_Weights, ViT_B_32_Weights

    weights = {"P = 32": ViT_B_32_Weights.IMAGENET1K_V1, "P = 16": ViT_B_16_Weights.IMAGENET1K_V1}
    measured = {name: row.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100 for name, row in weights.items()}
    assert EXPERIMENTS["patch_size"].paper["accuracy"] == pytest.approx(measured)


def test_a_stored_training_can_be_repeated():
    """The same machine gives the same accuracy; another one may round differently, and move a few pictures."""
    study = load_study("jigsaw")
    threads = torch.get_num_threads()
    again = studies.run_once(EXPERIMENTS["jigsaw"].variants["learned 1-D"], seed=0)
    torch.set_num_threads(threads)
    assert again["test_accuracy"] == pytest.approx(study.accuracies()["learned 1-D"][0], abs=0.02)
    assert again["data"] == study.data
