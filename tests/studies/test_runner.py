"""What the runner asks of its workers, what it says meanwhile, and what the record and the command line make of it."""

import json
import threading
from dataclasses import replace

import pytest
import torch

from vit_tutorial.studies import EXPERIMENTS, Experiment, Search, StudyError, runner
from vit_tutorial.studies.__main__ import main, parse
from vit_tutorial.studies.record import make_study
from vit_tutorial.studies.runner import Job, carry_out, make_order, run_search, run_study
from vit_tutorial.support.files import write_json
from vit_tutorial.training.devices import describe_environment

HERE = describe_environment(torch.device("cpu")) | {"threads": 1}
SEARCH = Search((0.1, 0.2, 0.3), seeds=(100, 101), setting="rate")


def score(settings, seed):
    """Do a job that says where it ran only if it is told to."""
    return {"score": seed} | settings.get("says", {})


PAIR = Experiment(claim="a claim", variants={"a": {"rate": 1.0}, "b": {"rate": 2.0}}, seeds=(0, 1), job=score)


class Worker:
    """Stands for a process, and has each order done at once; an order that it does not finish ends it."""

    def __init__(self, orders, fails_at=None):
        self.stdin = self.stdout = self
        self.orders, self.fails_at, self.is_closed = orders, fails_at, False

    def write(self, line):
        order = json.loads(line)
        self.orders.append((order["recipe"]["rate"], order["seed"]))
        about = {"validation_accuracy": 0.5, "test_accuracy": 0.25, "seconds": 2.6, "environment": HERE}
        write_json(order["file"], {"recipe": order["recipe"], "result": {"seed": order["seed"]} | about})

    def flush(self):
        pass

    def readline(self):
        return "" if len(self.orders) == self.fails_at else "done\n"

    def wait(self):
        return 7

    def communicate(self):
        self.is_closed = True


@pytest.fixture
def started(monkeypatch):
    """The workers that were started; all of them write their orders into the first one's list."""
    workers, orders = [], []
    monkeypatch.setattr(runner, "_start_process", lambda: workers.append(Worker(orders)) or workers[-1])
    return workers


def test_every_variant_has_run_with_one_seed_before_the_next_seed_begins(started, tmp_path, capsys):
    runs = run_study("pair", PAIR, tmp_path, seeds=[3, 0])
    assert started[0].orders == [(1.0, 3), (2.0, 3), (1.0, 0), (2.0, 0)]
    assert [(run["variant"], run["seed"]) for run in runs] == [("a", 3), ("a", 0), ("b", 3), ("b", 0)]
    assert capsys.readouterr().out.splitlines() == [
        f"pair {count}/4: {name}, seed {seed}: validation 50.0%, test 25.0%, 3 s"
        for count, (name, seed) in enumerate((("a", 3), ("b", 3), ("a", 0), ("b", 0)), 1)
    ]
    assert not any("learning_rate" in run for run in runs)


def test_a_search_runs_every_rate_and_says_at_which(started, tmp_path, capsys):
    runs = run_search("pair", replace(PAIR, search=SEARCH), tmp_path)
    assert [(run["learning_rate"], run["seed"]) for run in runs[:3]] == [(0.1, 100), (0.1, 101), (0.2, 100)]
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "pair, search 1/12: a at 0.1, seed 100: validation 50.0%, test 25.0%, 3 s"
    assert len(others) == 11
    assert PAIR.variants == {"a": {"rate": 1.0}, "b": {"rate": 2.0}}  # no order has changed what it was made of
    assert len(list((tmp_path / "pair").iterdir())) == 12


@pytest.mark.parametrize(("workers", "count"), [(1, 1), (2, 2), (9, 4)])
def test_no_more_workers_start_than_there_are_runs_and_all_of_them_are_closed(workers, count, started, tmp_path):
    run_study("pair", PAIR, tmp_path, [0, 1], workers)
    assert len(started) == count
    assert all(worker.is_closed for worker in started)


def test_what_is_kept_is_counted_and_a_whole_study_is_taken_wherever_it_ran(started, tmp_path, capsys, monkeypatch):
    run_study("pair", PAIR, tmp_path, [0])
    capsys.readouterr()
    here = HERE | {"threads": 2, "git_revision": "a younger one"}  # workers have one thread, whatever this process has
    monkeypatch.setattr(runner, "describe_environment", lambda device: here)
    run_study("pair", PAIR, tmp_path, [0, 1])
    done, third, fourth = capsys.readouterr().out.splitlines()
    assert done == "pair: 2 of 4 runs are done already"
    assert (third[:9], fourth[:9]) == ("pair 3/4:", "pair 4/4:")
    for file in (tmp_path / "pair").iterdir():
        run = json.loads(file.read_text())
        run["result"]["environment"] |= {"torch": "1.0"}
        file.write_text(json.dumps(run))
    assert len(run_study("pair", PAIR, tmp_path, [0, 1])) == 4
    assert len(started) == 2
    with pytest.raises(StudyError, match=r"another way than would go on here \(torch was 1\.0 and"):
        run_study("pair", PAIR, tmp_path, [0, 1, 2])


def test_a_worker_that_ends_is_told_with_its_run_and_the_others_are_closed(monkeypatch, tmp_path):
    workers, orders = [], []
    monkeypatch.setattr(runner, "_start_process", lambda: workers.append(Worker(orders, fails_at=2)) or workers[-1])
    with pytest.raises(StudyError, match="the run of 'b' with seed 5 ended with exit status 7"):
        run_study("pair", PAIR, tmp_path, [5, 6])
    assert all(worker.is_closed for worker in workers)


def test_no_run_begins_after_one_has_failed(monkeypatch, tmp_path):
    orders, is_cancelled = [], threading.Event()

    class Pool(runner.ThreadPoolExecutor):
        def shutdown(self, *others, cancel_futures=False, **more):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            is_cancelled.set()
            super().shutdown()

    class Waits(Worker):
        def write(self, line):
            super().write(line)
            if len(orders) > 1:
                is_cancelled.wait(60)

    monkeypatch.setattr(runner, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(runner, "_start_process", lambda: Waits(orders, fails_at=1))
    with pytest.raises(StudyError, match="the run of 'a' with seed 5"):
        run_study("pair", PAIR, tmp_path, [5, 6])
    assert len(orders) <= 2  # the second may have begun by then


def test_a_result_keeps_what_its_job_says_of_itself(tmp_path):
    own = {"seed": 8, "seconds": 0.5, "environment": {"hardware": "elsewhere"}}
    for says, wanted in (({}, {"seed": 4, "environment": describe_environment(torch.device("cpu"))}), (own, own)):
        told = replace(PAIR, variants={"a": {"rate": 1.0, "says": says}})
        carry_out(make_order(told, Job("a", None, 4), tmp_path / "a.json"))
        kept = json.loads((tmp_path / "a.json").read_text())
        assert kept["recipe"] == {"rate": 1.0, "says": says}
        assert kept["result"] == kept["result"] | wanted | {"score": 4}
        assert kept["result"]["seconds"] >= 0


def test_a_job_of_a_script_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(score, "__module__", "__main__")
    with pytest.raises(ValueError, match="the workers cannot import the job score of __main__; put it at the top"):
        make_order(PAIR, Job("a", None, 0), tmp_path / "a.json")


# --- The record ------------------------------------------------------------------------------------------------------


def test_a_record_adds_up_both_stages_and_says_once_where_all_of_it_ran(started, tmp_path):
    paper = {"source": "somebody", "accuracy": {"a": 0.5}}
    experiment = replace(PAIR, search=SEARCH, paper=paper)
    searched = run_search("pair", experiment, tmp_path)
    runs = [run | {"data": {"training": 10}} for run in run_study("pair", experiment, tmp_path, [1, 0])]
    study = make_study("pair", experiment, runs, "a command", searched)
    assert study.seconds == pytest.approx(2.6 * (12 + 4))
    assert make_study("pair", PAIR, runs, "a command").seconds == pytest.approx(2.6 * 4)
    assert (study.seeds, study.paper, study.claim, study.command) == ([0, 1], paper, "a claim", "a command")
    assert (study.data, study.environment) == ({"training": 10}, HERE)
    assert all(run.keys().isdisjoint({"data", "environment"}) for run in study.runs)
    assert study.search["runs"][0] == {
        "variant": "a",
        "learning_rate": 0.1,
        "seed": 100,
        "validation_accuracy": 0.5,
    }
    assert study.variants == {"a": {"settings": {"rate": 1.0}}, "b": {"settings": {"rate": 2.0}}}
    assert (study.scores("a").unit, study.scores("a", "seconds").unit) == ("points", "")


def test_a_setting_that_one_variant_lacks_is_shared_by_none(started, tmp_path):
    kinds = {"a": {"rate": 1.0, "only": None, "both": {"x": 1, "y": 2}}, "b": {"rate": 1.0, "both": {"x": 1, "y": 3}}}
    experiment = replace(PAIR, variants=kinds)
    study = make_study("pair", experiment, run_study("pair", experiment, tmp_path, [0]), "")
    assert study.settings == {"rate": 1.0, "both": {"x": 1}}
    own = {name: row["settings"] for name, row in study.variants.items()}
    assert own == {"a": {"only": None, "both": {"y": 2}}, "b": {"both": {"y": 3}}}


# --- The command line ------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(monkeypatch, started):
    monkeypatch.setitem(EXPERIMENTS, "pair", PAIR)
    monkeypatch.setitem(EXPERIMENTS, "searched", replace(PAIR, search=SEARCH))


@pytest.mark.usefixtures("pair")
def test_a_record_says_which_command_makes_it_again(tmp_path, capsys):
    folders = ["--runs", str(tmp_path / "runs"), "--records", str(tmp_path)]
    main(["pair", "searched", "--seeds", "4", "2", *folders])
    said = capsys.readouterr().out.splitlines()
    assert "searched: chosen 0.1 for a, 0.1 for b" in said
    for name, count in (("pair", 4), ("searched", 16)):
        path = tmp_path / f"study_{name}.json"
        assert json.loads(path.read_text())["command"] == f"python -m vit_tutorial.studies {name} --seeds 4 2"
        assert f"{name}: {count} runs, {2.6 * count:.0f} s; record in {path}" in said
    main(["pair", *folders[:2], "--records", str(tmp_path / "all")])
    record = json.loads((tmp_path / "all" / "study_pair.json").read_text())
    assert (record["seeds"], record["command"]) == ([0, 1], "python -m vit_tutorial.studies pair")


@pytest.mark.usefixtures("pair")
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("no room"), "error: no room"),
        (StudyError("it cannot go on"), "error: it cannot go on"),
        (KeyboardInterrupt(), "stopped; the same command goes on with the runs that are not in {} yet"),
    ],
)
def test_what_ends_a_study_is_one_sentence(error, said, tmp_path, monkeypatch):
    def stop():
        raise error

    monkeypatch.setattr(runner, "_start_process", stop)
    with pytest.raises(SystemExit) as ended:
        main(["pair", "--runs", str(tmp_path), "--records", str(tmp_path)])
    assert ended.value.code == said.format(tmp_path)


def test_options_are_refused_or_take_their_usual_values(capsys):
    for arguments, said in (
        (["--workers", "0"], "--workers is 0; it must be 1 or more"),
        (["--worker", "2"], "--worker"),
        (["--runs", "~nobody_at_all/runs"], "begins with ~nobody_at_all, a home folder that is not known"),
    ):
        with pytest.raises(SystemExit):
            parse(["pooling", *arguments])
        assert said in capsys.readouterr().err
    options = parse([])
    assert (options.names, options.seeds, options.workers, options.take_orders) == ([], None, 1, False)
    assert (options.runs.parts[-2:], options.records.parts[-2:]) == (("runs", "studies"), ("data", "results"))
    assert "~" not in str(parse(["--runs=~/runs"]).runs)
    assert parse(["pooling", "--workers", "1"]).workers == 1
