"""A study runs, survives a kill, and refuses what does not belong to it; its jobs may be any function."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from warm import PYTHON

from vit_tutorial.datasets import load
from vit_tutorial.evidence import Rate, compare
from vit_tutorial.studies import EXPERIMENTS, Experiment, Search, StudyError, load_study, make_data, runner, variants
from vit_tutorial.studies.__main__ import main, parse
from vit_tutorial.studies.record import make_study
from vit_tutorial.studies.runner import Job, carry_out, choose_rates, make_order, run_study
from vit_tutorial.studies.variants import run_once

from .toys import SMALL, TINY, TOY, WorkerHere

pytestmark = pytest.mark.slow


COLD = sys.executable  # of a process that is killed with all that it has started


@pytest.fixture(scope="module", autouse=True)
def warm():
    """Let workers begin with torch loaded, where that is offered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", PYTHON)
        yield


@pytest.fixture(autouse=True)
def threads():
    """Give back the threads that a job takes away when it runs in this process."""
    number = torch.get_num_threads()
    yield
    torch.set_num_threads(number)


# --- A small study, from the first training to the record ------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Run a small study, kill it when its first training is done, and run the same command again."""
    folder = tmp_path_factory.mktemp("study")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); from studies.toys import SMALL\n"
        "from vit_tutorial.studies import EXPERIMENTS; EXPERIMENTS['small'] = SMALL\n"
        "from vit_tutorial.studies.__main__ import main; main(sys.argv[2:])"
    )
    options = ["small", "--runs", str(folder / "runs"), "--records", str(folder)]
    command = [COLD, "-c", script, str(Path(__file__).parents[1]), *options]
    first = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    first_line = first.stdout.readline()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "runs" / "small").glob("*.json")}
    assert not list(folder.glob("*.json"))
    second = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(second):
        patch.setitem(EXPERIMENTS, "small", SMALL)
        main(options)  # in this process: an error ends it
    return folder, kept, first_line, second.getvalue()


def test_a_killed_study_goes_on_without_losing_or_repeating_a_training(small):
    folder, kept, first_line, second = small
    assert first_line.startswith("small 1/4: rate 0.0001, seed 0: validation ")
    assert len(kept) >= 1
    assert all(path.stat().st_mtime_ns == then for path, then in kept.items())
    done, *lines = second.splitlines()
    assert done == f"small: {len(kept)} of 4 runs are done already"
    assert sum(": validation " in line for line in lines) == 4 - len(kept)
    assert len(list((folder / "runs" / "small").glob("*.json"))) == 4


def test_the_record_holds_every_training_and_how_it_was_made(small, monkeypatch):
    folder, *_ = small
    monkeypatch.setitem(EXPERIMENTS, "small", SMALL)
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
    again, other = run_once(SMALL.variants["rate 0.01"], 1), run_once(SMALL.variants["rate 0.01"], 0)
    assert again["test_accuracy"] == kept["test_accuracy"]
    assert again["curve"] == kept["curve"] != other["curve"]


def test_trainings_of_other_settings_are_not_mixed_in(small):
    folder, *_ = small
    other = replace(SMALL, variants={"rate 0.01": TINY(learning_rate=0.01, epochs=2)})
    with pytest.raises(StudyError, match=r"other settings \(training.epochs was 1 and is 2\); delete the folder"):
        run_study("small", other, folder / "runs", seeds=[0])


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
        run_study("small", fast, tmp_path, seeds=[0, 1])


def test_nothing_is_run_that_would_not_belong_to_what_is_kept(small, tmp_path, monkeypatch):
    folder, *_ = small
    monkeypatch.setattr("vit_tutorial.studies.runner._start_process", lambda: pytest.fail("a run has begun"))
    kept = tmp_path / "small" / "rate-0.01-seed-0.json"
    run = json.loads((folder / "runs" / "small" / kept.name).read_text())
    run["result"]["environment"] |= {"torch": "1.0", "git_revision": "another"}  # the revision may differ
    kept.parent.mkdir()
    kept.write_text(json.dumps(run))
    with pytest.raises(StudyError, match=r"another way than would go on here \(torch was 1\.0 and is [^,]*\); delete"):
        run_study("small", SMALL, tmp_path, seeds=[0])
    for nothing in ("", "[]", "{}"):
        kept.write_text(nothing)
        with pytest.raises(
            StudyError, match=rf"rate-0\.01-seed-0\.json \({len(nothing)} bytes\) holds no run of a stu"
        ):
            run_study("small", SMALL, tmp_path, seeds=[0])


def test_a_record_of_other_settings_is_refused(small, monkeypatch):
    folder, *_ = small
    monkeypatch.setitem(EXPERIMENTS, "small", replace(SMALL, variants={"rate 0.01": TINY(epochs=3)}))
    with pytest.raises(StudyError, match=r"training.epochs was 1 and is 3.*make it with `python -m"):
        load_study("small", folder)


def test_what_was_made_before_a_setting_existed_counts_as_made_with_its_default(small, tmp_path, monkeypatch):
    folder, *_ = small
    monkeypatch.setitem(EXPERIMENTS, "small", SMALL)
    record = json.loads((folder / "study_small.json").read_text())
    del record["settings"]["divide_by"], record["settings"]["training"]["cutmix"]
    (tmp_path / "study_small.json").write_text(json.dumps(record))
    assert load_study("small", tmp_path).accuracies() == load_study("small", folder).accuracies()
    (tmp_path / "small").mkdir()
    for file in (folder / "runs" / "small").glob("*.json"):
        run = json.loads(file.read_text())
        del run["recipe"]["divide_by"], run["recipe"]["training"]["cutmix"]
        (tmp_path / "small" / file.name).write_text(json.dumps(run))
    assert len(run_study("small", SMALL, tmp_path, seeds=[0, 1])) == 4

    divided = {name: replace(its_recipe, divide_by="d") for name, its_recipe in SMALL.variants.items()}
    divided = replace(SMALL, variants=divided)
    with pytest.raises(StudyError, match=r"other settings \(divide_by was sqrt\(d\) and is d\)"):
        run_study("small", divided, tmp_path, seeds=[0])
    monkeypatch.setitem(EXPERIMENTS, "small", divided)
    with pytest.raises(StudyError, match=r"settings.divide_by was sqrt\(d\) and is d"):
        load_study("small", tmp_path)


def test_a_study_of_hybrids_goes_on_with_what_it_kept(tmp_path, capsys):
    stem = {"stem": "hybrid", "stem_layers": ()}
    recipes = {"pure": TINY(patch_size=4), "hybrid": TINY(patch_size=4, **stem)}
    experiment = Experiment(claim="", variants=recipes)
    for job in (Job(variant, None, 0) for variant in recipes):  # as a worker does it
        carry_out(make_order(experiment, job, tmp_path / "stems" / job.file_name))
    first = run_study("stems", experiment, tmp_path, seeds=[0])
    assert "stems: 2 of 2 runs are done already" in capsys.readouterr().out
    study = make_study("stems", experiment, first, command="")
    pure, hybrid = study.variants.values()
    assert pure["tokens"] == hybrid["tokens"] == 50
    assert hybrid["flops"] > pure["flops"]
    assert [run["parameters"] for run in first] == [pure["parameters"], hybrid["parameters"]]


def test_a_missing_record_and_an_unknown_name_are_said(tmp_path):
    with pytest.raises(StudyError, match=r"study_pooling.json is not there; make it with"):
        load_study("pooling", tmp_path)
    with pytest.raises(ValueError, match="'puling' is no study; the studies are patch_size, pooling"):
        load_study("puling")


def test_jobs_of_any_kind_search_their_rate_and_then_run_the_seeds(tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(EXPERIMENTS, "toy", TOY)
    main(["toy", "--runs", str(tmp_path / "runs"), "--records", str(tmp_path)])
    lines = capfd.readouterr().out.splitlines()
    assert sum(line.startswith("toy, search ") for line in lines) == 12
    assert "toy: chosen 0.1 for low, 0.3 for high" in lines
    assert lines[-1].startswith("toy: 18 runs, ")
    assert not any("a job may print" in line for line in lines)

    study = load_study("toy", tmp_path)
    assert [(run["variant"], run["learning_rate"], run["seed"]) for run in study.runs] == [
        (name, rate, seed) for name, rate in (("low", 0.1), ("high", 0.3)) for seed in (0, 1, 2)
    ]
    assert study.values("test_score")["low"] == pytest.approx([0.9, 0.901, 0.902])
    assert os.getpid() not in {run["worker"] for run in study.runs}
    assert {run["threads"] for run in study.runs} == {"1"}
    assert study.environment["torch"] == torch.__version__
    assert (study.settings, study.data) == ({"rate": None}, {})
    assert study.variants["low"] == {"settings": {"name": "low", "right": 0.1}}
    low, high = study.scores("low", "test_score"), study.scores("high", "test_score")
    assert (low.rate, high.rate) == (Rate(0.1, (0.1, 0.2, 0.3)), Rate(0.3, (0.1, 0.2, 0.3)))
    assert low.by_seed == pytest.approx({0: 0.9, 1: 0.901, 2: 0.902})
    tried = study.tried("high")
    assert list(tried) == [0.1, 0.2, 0.3]
    assert tried[0.1] == pytest.approx([0.807, 0.808])  # seeds 7 and 8, by what chooses
    assert tried[0.3] == pytest.approx([1.007, 1.008])
    assert "2 of 2 took the smallest or the largest rate tried" in str(compare(low, high))

    assert len(list((tmp_path / "runs" / "toy").iterdir())) == 18
    main(["toy", "--runs", str(tmp_path / "runs"), "--records", str(tmp_path)])
    again = capfd.readouterr().out
    assert "toy, search: 12 of 12 runs are done already\n" in again
    assert "toy: 6 of 6 runs are done already\n" in again
    assert load_study("toy", tmp_path) == study
    other = replace(TOY, search=replace(TOY.search, rates=(0.1, 0.2, 0.4)))
    monkeypatch.setitem(EXPERIMENTS, "toy", other)
    with pytest.raises(StudyError, match=r"search.rates was \[0.1, 0.2, 0.3\] and is \[0.1, 0.2, 0.4\]"):
        load_study("toy", tmp_path)


def test_variants_search_among_rates_of_their_own_or_not_at_all(tmp_path, monkeypatch):
    rates = {"low": (0.05, 0.1, 0.15, 0.2), "fixed": ()}
    variants = TOY.variants | {"fixed": {"name": "fixed", "right": 0.1, "rate": 0.4}}
    toy = replace(TOY, variants=variants, search=replace(TOY.search, own=rates))
    monkeypatch.setitem(EXPERIMENTS, "toy", toy)
    monkeypatch.setattr(runner, "_start_process", WorkerHere)
    main(["toy", "--runs", str(tmp_path / "runs"), "--records", str(tmp_path)])
    study = load_study("toy", tmp_path)
    assert len(study.search["runs"]) == 2 * (4 + 3)
    assert study.scores("low", "test_score").rate == Rate(0.1, (0.05, 0.1, 0.15, 0.2))
    assert study.scores("high", "test_score").rate == Rate(0.3, (0.1, 0.2, 0.3))
    fixed = study.scores("fixed", "test_score")
    assert fixed.rate is None
    assert study.tried("fixed") == {}
    assert list(study.tried("low")) == [0.05, 0.1, 0.15, 0.2]
    assert fixed.by_seed == pytest.approx({0: 0.6, 1: 0.601, 2: 0.602})
    assert not any("learning_rate" in run for run in study.runs if run["variant"] == "fixed")
    other = replace(toy, search=replace(toy.search, own=rates | {"low": (0.1, 0.2, 0.3)}))
    monkeypatch.setitem(EXPERIMENTS, "toy", other)
    with pytest.raises(StudyError, match=r"search.own.low was \[0.05, 0.1, 0.15, 0.2\] and is \[0.1, 0.2, 0.3\]"):
        load_study("toy", tmp_path)
    with pytest.raises(ValueError, match="a search among 2 rates chooses too little"):
        replace(TOY.search, own={"low": (0.1, 0.2)})


def test_a_recipe_trains_at_the_rate_of_the_search():
    searched = Experiment(claim="", variants={"tiny": TINY()}, search=Search(rates=(0.1, 0.01, 0.001)))
    assert searched.settings("tiny", 0.01) == asdict(TINY(learning_rate=0.01))
    assert searched.settings("tiny") == asdict(TINY())
    runs = [
        {"variant": "tiny", "learning_rate": rate, "seed": seed, "validation_accuracy": accuracy}
        for seed, accuracies in ((100, (0.7, 0.6, 0.5)), (101, (0.4, 0.6, 0.5)))
        for rate, accuracy in zip((0.1, 0.01, 0.001), accuracies, strict=True)
    ]
    assert choose_rates(searched, runs) == {"tiny": 0.01}  # by the mean of both seeds


def test_a_search_that_chooses_nothing_is_refused():
    with pytest.raises(ValueError, match="a search among 2 rates chooses too little; try 3 or more"):
        Search(rates=(0.1, 0.2, 0.2))
    lost = replace(TOY, variants={"low": {"name": "low", "right": 0.1}})
    with pytest.raises(ValueError, match="the settings of 'low' have no rate, where the search puts a rate"):
        lost.settings("low", 0.1)


def test_a_job_that_the_workers_cannot_import_is_refused(tmp_path):
    nowhere = replace(TOY, search=None, job=lambda settings, seed: {})
    with pytest.raises(ValueError, match="put it at the top of a module of its own"):
        make_order(nowhere, Job("low", None, 0), tmp_path / "low.json")


def test_two_variants_are_never_kept_in_one_file(tmp_path):
    twins = replace(TOY, variants={name: {"name": name, "right": 0.1, "rate": 0.1} for name in ("a + b", "a - b")})
    with pytest.raises(ValueError, match="two variants would be kept in one file"):
        run_study("twins", twins, tmp_path, seeds=[0])


def test_a_run_that_fails_ends_the_study(tmp_path):
    broken = replace(TOY, variants={"three": {"name": "broken", "right": 0.1, "rate": 0.1}}, search=None)
    with pytest.raises(StudyError, match="'three' with seed 7 ended with exit status 3"):
        run_study("broken", broken, tmp_path, seeds=[7])
    assert not list(tmp_path.rglob("*.json"))


def test_ctrl_c_ends_a_worker_without_a_word(tmp_path, capfd):
    worker = runner._start_process()
    order = make_order(TOY, Job("low", 0.1, 0), tmp_path / "low.json")
    worker.stdin.write(json.dumps(order) + "\n")
    worker.stdin.flush()
    assert worker.stdout.readline() == "done\n"
    worker.send_signal(signal.SIGINT)
    worker.communicate()
    assert worker.returncode == -signal.SIGINT
    assert "Traceback" not in capfd.readouterr().err


def test_a_training_that_fails_is_not_kept(tmp_path):
    broken = Experiment(claim="", variants={"three heads": TINY(num_heads=3)})
    with pytest.raises(ValueError, match="3"):
        carry_out(make_order(broken, Job("three heads", None, 7), tmp_path / "three.json"))
    assert not list(tmp_path.rglob("*.json"))


def test_a_kind_takes_the_variant_whose_rate_did_best_in_validation():
    study = load_study("pooling")
    chosen = {kind: study.scores(kind) for kind in ("class token", "mean")}
    validation = {name: sum(values) for name, values in study.validation_accuracies().items()}
    for kind, scores in chosen.items():
        name = f"{kind}, {scores.rate.value:g}"
        assert validation[name] == max(value for key, value in validation.items() if key.startswith(kind))
        assert list(scores.by_seed.values()) == study.accuracies()[name]
        assert scores.rate.tried == (0.0003, 0.003, 0.01, 0.03)
        assert scores.unit == "points"
    one = load_study("ingredients").scores("the preset")
    assert (one.rate, one.name) == (Rate(0.003, (0.003,)), "the preset")
    with pytest.raises(ValueError, match=r"'puling' is no variant of the study pooling; they are class token, 0.0003"):
        study.scores("puling")


def test_a_recipe_may_take_any_data_and_says_when_there_is_too_little():
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        clothes = load("fashion_mnist")
        patch.setattr(variants, "load", lambda name: asked.append(name) or clothes)
        few, more = (make_data(TINY("cifar10", training_images=number)) for number in (50, 80))
        make_data(TINY("jigsaw", patch_size=7))
        assert asked == ["cifar10", "cifar10", "fashion_mnist"]
        assert torch.equal(few.train_images, more.train_images[:50])
        with pytest.raises(ValueError, match=r"training_images is 10,001, and .* has 10,000; ask for no more"):
            make_data(TINY(training_images=10_001))


def test_the_command_line_knows_its_studies(capsys):
    with pytest.raises(SystemExit):
        parse(["puling"])
    assert "the studies are patch_size, pooling, positions, jigsaw" in capsys.readouterr().err
    assert parse(["jigsaw", "--seeds", "3", "4"]).seeds == [3, 4]
    with pytest.raises(SystemExit, match="2"):
        parse(["jigsaw", "--seeds", "3", "--seeds", "4"])
    assert "error: --seeds is given 2 times, and the last alone would count" in capsys.readouterr().err


def test_a_seed_that_is_named_twice_is_taken_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(EXPERIMENTS, "toy", TOY)
    asked = []
    monkeypatch.setattr("vit_tutorial.studies.__main__.run_search", lambda *_: [])
    monkeypatch.setattr("vit_tutorial.studies.__main__.choose_rates", lambda *_: {})

    def run(name, experiment, runs, seeds, *others):
        asked.append(seeds)
        raise StudyError("enough")

    monkeypatch.setattr("vit_tutorial.studies.__main__.run_study", run)
    with pytest.raises(SystemExit, match="error: enough"):
        main(["toy", "--seeds", "4", "3", "4", "--runs", str(tmp_path)])
    assert asked == [[4, 3]]


def test_a_record_of_more_seeds_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setitem(EXPERIMENTS, "toy", TOY)
    monkeypatch.setattr("vit_tutorial.studies.__main__.run_search", lambda *_: pytest.fail("it has begun to run"))
    record = tmp_path / "study_toy.json"
    record.write_text(json.dumps({"seeds": [0, 1, 2]}))
    with pytest.raises(SystemExit) as ended:
        main(["toy", "--seeds", "0", "--runs", str(tmp_path), "--records", str(tmp_path)])
    assert ended.value.code == (
        f"error: {record} has the seeds 0, 1, 2, and a record without 1, 2 would take its place; name another folder "
        "with --records, or all of them with --seeds"
    )


def test_no_seed_judges_what_it_chose(monkeypatch, capsys):
    monkeypatch.setattr("vit_tutorial.studies.__main__.run_search", lambda *_: pytest.fail("nothing is run before"))
    with pytest.raises(SystemExit, match="error: seed 100 chooses the rates of patch_size, and no seed judges"):
        main(["patch_size", "--seeds", "3", "100"])
