"""The kit for a GPU, rehearsed without one: the whole way, in time, and nothing lost when it is stopped or fails."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from training.examples import make_data

from vit_tutorial import ViT, ViTConfig, load_model, save_model
from vit_tutorial.training import TrainingConfig, fit

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parent / "benchmarks" / "gpu_proof.py"
ROOT = SCRIPT.parents[2]


@pytest.fixture(scope="module")
def kit():
    """Import the script and its parts as Python finds them when it is run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(SCRIPT.parent))
        import bench_host
        import gpu_proof
        from gpu import checks, common, journal, lesson, record, speed, train, ways, weights

        gpu_proof.parts = {"checks": checks, "journal": journal, "lesson": lesson, "train": train, "weights": weights}
        gpu_proof.parts |= {"common": common, "record": record, "speed": speed, "ways": ways}
        gpu_proof.parts["bench_host"] = bench_host
        yield gpu_proof


def start(out, *options):
    """Start the command as on a machine that nobody watches; nothing is compiled, which would take minutes."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TORCHDYNAMO_DISABLE": "1"}
    command = [sys.executable, str(SCRIPT), "--out", str(out), *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def proof_in(out):
    return proof_in_file(out / "proof.json")


def proof_in_file(path):
    return json.loads(path.read_text(encoding="utf-8"))


def a_notebook(path):
    """A lesson of four cells, one of which fails."""
    sources = ["x = 6 * 7\nprint('by hand', x)", "x + 1", "1 / 0", "open('kept', 'w').close()\nprint('still here')"]
    cells = [
        {"cell_type": "code", "source": s, "metadata": {}, "outputs": [], "execution_count": None, "id": f"cell{i}"}
        for i, s in enumerate(sources)
    ]
    path.write_text(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}), encoding="utf-8")
    return path


# --- The whole way ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory):
    out = tmp_path_factory.mktemp("proof")
    notebook = a_notebook(tmp_path_factory.mktemp("notebook") / "lesson.ipynb")
    steps = ["card", "checks", "speed", "ways", "train", "ablation", "lesson"]
    process = start(out, "--rehearse", "--minutes", "30", "--steps", *steps, "--notebook", str(notebook))
    printed, _ = process.communicate(timeout=1900)  # 80 s on two idle cores
    return process.returncode, printed, out


def test_the_rehearsal_goes_all_the_way(rehearsal):
    status, printed, out = rehearsal
    proof = proof_in(out)
    assert status == 1, printed  # a cell of its lesson fails
    steps = ("card", "checks", "speed", "ways", "train", "ablation", "lesson")
    assert {step: proof[step]["ended"] for step in steps} == dict.fromkeys(steps, "done")
    assert proof["card"]["matrix_rate"] > 0
    assert len(proof["speed"]["variants"]) == 8
    assert all(0 < row["mfu"] < 1.5 and row["step_ms"] > 0 for row in proof["speed"]["variants"])


def test_each_way_takes_the_same_steps_and_the_first_is_measured_again(rehearsal):
    found = proof_in(rehearsal[2])["ways"]
    kernels, ways = found["attention"], found["ways"]
    assert [kernel["name"] for kernel in kernels] == ["as it is", "flash", "explicit"]
    fastest = min(kernels[1:], key=lambda kernel: kernel["step_ms"])
    assert ways[2]["name"] == f"attention, {fastest['name']}"
    names = [way["name"] for way in ways]
    assert (names[0], names[-2], len(set(names))) == ("as it is", "as it is, again", 6)
    assert not [row["error"] for row in (*kernels, *ways) if "error" in row]
    assert min(row["step_ms"] for row in (*kernels, *ways)) > 0
    assert [way["loss"] for way in ways] == pytest.approx([ways[0]["loss"]] * len(ways), abs=1e-4)


def test_a_narrow_stream_is_one_through_all_blocks_and_only_as_long_as_it_is_asked_for(kit):
    torch.manual_seed(0)
    model, images = ViT(ViTConfig(8, 4, num_classes=3, dim=8, depth=2, num_heads=2)), torch.randn(2, 3, 8, 8)
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda block, given, out: seen.append(out.dtype))
    with kit.parts["ways"].narrow_stream(model), torch.autocast("cpu", torch.bfloat16):
        narrow = model(images)
    with torch.autocast("cpu", torch.bfloat16):
        usual = model(images)
    assert seen == [torch.bfloat16] * 2 + [torch.float32] * 2
    torch.testing.assert_close(narrow.float(), usual.float(), rtol=0, atol=0.05)
    with kit.parts["ways"].narrow_stream(model):
        model(images)
    assert seen[4:] == [torch.float32] * 2, "without autocast there is no narrower format"


def test_every_check_passes_and_names_its_numbers(rehearsal, kit):
    checks = proof_in(rehearsal[2])["checks"]["checks"]
    assert len(checks) == len(kit.parts["checks"].CHECKS)
    for check in checks:
        assert check["passed"], check
        assert all(found <= most for found, most in check["numbers"].values())
        assert check["numbers"] or "wait" in check["name"]  # without a card nothing can wait for it


def test_three_seeds_are_trained_alike_and_read_the_test_images_once(rehearsal):
    train = proof_in(rehearsal[2])["train"]
    assert [run["name"] for run in train["runs"]] == ["seed 0", "seed 1", "seed 2"]
    for run in train["runs"]:
        assert (run["ended"], run["epochs_done"], run["test_images"]) == ("done", train["plan"]["epochs"], 100)
        assert run["mirrored_test"] >= 0
        assert len(run["history"]["train_loss"]) == run["epochs"]
    assert train["mean_test"] == pytest.approx(sum(run["test"] for run in train["runs"]) / 3)


def test_the_ablation_has_a_base_of_the_same_length_and_never_reads_the_test_images(rehearsal):
    runs = proof_in(rehearsal[2])["ablation"]["runs"]
    assert [run["name"] for run in runs] == [
        "as it is", "no augmentation", "AdamW for all", "class token, not mean"
    ]  # fmt: skip
    assert len({run["epochs_done"] for run in runs}) == 1
    assert not any("test" in run for run in runs)
    assert [run["history"]["config"]["optimizer"] for run in runs] == ["muon", "muon", "adamw", "muon"]
    assert [run["history"]["model"]["pool"] for run in runs] == ["mean", "mean", "mean", "cls"]


def test_what_comes_back_fits_the_way_back(rehearsal, kit):
    out = rehearsal[2]
    files = list(out.iterdir())
    assert len(files) <= 8
    assert all(file.stat().st_size < 16 * 2**20 for file in files)
    model = load_model(kit.parts["weights"].join(out, "seed_1"))
    assert next(model.parameters()).dtype == torch.float32
    assert model.card.class_names == tuple("abcdefghij")


def test_the_table_is_printed_last(rehearsal):
    _, printed, _ = rehearsal
    table = printed[printed.index("--- gpu_proof ---") :]
    assert len(table.splitlines()) < 40
    assert "checks: 10 of 10 passed" in table
    for words in (
        "compiled, muon ",
        "seed 2 ",
        "class token, not mean ",
        "mean of the seeds: test",
        "lesson 11: 4 of 4 cells, 1 of them failed",
    ):
        assert words in table


def test_the_lesson_is_kept_with_its_outputs_and_goes_on_after_a_cell_that_fails(rehearsal):
    out = rehearsal[2]
    found = proof_in(out)["lesson"]
    assert (found["executed"], found["cells_done"]) == ("as notebook", 4)
    assert len(found["errors"]) == 1
    assert "ZeroDivisionError" in found["errors"][0]
    cells = json.loads((out / "lesson.executed.ipynb").read_text(encoding="utf-8"))["cells"]
    assert "by hand 42" in str(cells[0]["outputs"])
    assert "43" in str(cells[1]["outputs"])
    assert "still here" in str(cells[3]["outputs"])


def test_without_nbclient_the_lesson_runs_as_a_script(kit, tmp_path, capsys):
    journal = kit.parts["journal"].Journal(tmp_path / "lesson.json", time.time() + 60)
    journal.write(cells_done=0, errors=[])
    target, folder = tmp_path / "executed.ipynb", tmp_path / "folder"
    folder.mkdir()
    here = Path.cwd()
    kit.parts["lesson"].as_script(a_notebook(tmp_path / "lesson.ipynb"), target, folder, journal)
    assert (Path.cwd(), (folder / "kept").exists()) == (here, True)
    outputs = [cell["outputs"][0]["text"] for cell in json.loads(target.read_text())["cells"]]
    assert outputs[0] == "by hand 42\n"
    assert outputs[1] == "43\n"
    assert "ZeroDivisionError" in outputs[2]
    assert outputs[3] == "still here\n"
    assert (journal.found["cells"], journal.found["cells_done"], len(journal.found["errors"])) == (4, 4, 1)
    assert "still here" in capsys.readouterr().out


def test_it_needs_neither_jupyter_nor_pytest_nor_what_only_the_command_line_needs():
    names = ("tyro", "ipywidgets", "anywidget", "IPython", "nbclient", "nbformat", "traitlets", "pytest", "timm")
    block = f"import sys; sys.path.insert(0, {str(SCRIPT.parent)!r}); sys.modules.update(dict.fromkeys({names}))"
    parts = ("card", "checks", "speed", "train", "ablation", "lesson", "ways")
    code = f"{block}; import gpu_proof, " + ", ".join(f"gpu.{part}" for part in parts)
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=120)


# --- When it goes wrong ----------------------------------------------------------------------------------------------


def test_a_step_that_fails_is_written_down_the_next_one_goes_on_and_earlier_results_stay(tmp_path, kit):
    earlier = {"ended": "done", "variants": []}
    kit.parts["journal"].Journal(tmp_path / "earlier.json", 0.0, {"speed": earlier}).save()
    (tmp_path / "data" / "cifar-10-batches-py").mkdir(parents=True)  # a copy without a file, which hides a whole one
    options = ["--device", "cpu", "--data-root", str(tmp_path / "data"), "--revision", "abc", "--minutes", "2"]
    options += ["--earlier", str(tmp_path / "earlier.json")]
    process = start(tmp_path, *options, "--steps", "train", "card")
    printed, _ = process.communicate(timeout=150)
    proof = proof_in(tmp_path)
    assert (proof["speed"], proof["revision"]) == (earlier, "abc")
    assert process.returncode == 1
    assert proof["train"]["ended"] == "failed"
    assert "DataError" in proof["train"]["traceback"]
    assert proof["card"]["ended"] == "done"
    assert "DataError" in printed


def test_a_kit_that_is_stopped_writes_down_what_it_has(tmp_path):
    process = start(tmp_path, "--rehearse", "--minutes", "3", "--steps", "card", "checks")
    until = time.monotonic() + 90
    while time.monotonic() < until:
        if (tmp_path / "proof.json").exists() and proof_in(tmp_path).get("checks", {}).get("checks"):
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    printed, _ = process.communicate(timeout=20)
    proof = proof_in(tmp_path)
    assert proof["card"]["ended"] == "done"
    assert proof["checks"]["ended"] in ("out of time", "stopped")
    assert proof["checks"]["checks"][0]["passed"]
    assert "--- gpu_proof ---" in printed


def test_it_stops_by_itself_in_time(tmp_path):
    process = start(tmp_path, "--rehearse", "--minutes", "0.2", "--steps", "checks", "train", "card")
    process.communicate(timeout=60)
    proof = proof_in(tmp_path)
    assert proof["checks"]["ended"] in ("out of time", "stopped")
    assert proof["card"]["ended"].startswith("not begun")


def test_a_check_that_finds_too_much_fails_and_one_that_breaks_says_how(kit, monkeypatch, tmp_path):
    checks = kit.parts["checks"]

    def too_much(device):
        """Too much is found."""
        return {"small": (1.0, 2.0), "large": (3.0, 2.0), "no number": (float("nan"), 2.0)}

    def breaks(device):
        """Nothing is found."""
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(checks, "CHECKS", (too_much, breaks))
    journal = kit.parts["journal"].Journal(tmp_path / "checks.json", time.time() + 60)
    checks.run({"device": "cpu"}, journal)
    first, second = json.loads((tmp_path / "checks.json").read_text())["checks"]
    assert (first["passed"], first["failed"]) == (False, ["large", "no number"])
    assert (second["passed"], second["words"]) == (False, "RuntimeError: no such kernel")
    assert "FAILED Too much is found: ['large', 'no number']" in kit.table(
        {"checks": journal.found | {"ended": "done"}}
    )


def test_a_loss_that_is_no_number_is_found(kit, monkeypatch):
    checks = kit.parts["checks"]

    def broken_step_of(model, data, config):
        learner = SimpleNamespace(model=model, loss=torch.tensor(float("nan")))
        return (lambda: None), learner

    monkeypatch.setattr(checks, "step_of", broken_step_of)
    numbers = checks.steps_are_finite(torch.device("cpu"))
    assert numbers["float32, adamw: losses or weights that are no numbers"] == (1.0, 0.0)


def test_that_nothing_waits_is_tried_as_a_card_trains_and_with_drop_path(kit, monkeypatch):
    checks, tried = kit.parts["checks"], []

    def step_of(model, data, config):
        tried.append((config.precision, model.config.drop_path))
        return (lambda: None), None

    monkeypatch.setattr(checks, "step_of", step_of)
    assert checks.nothing_waits(torch.device("cpu")) == {}
    assert tried == [("auto", 0.1)]


def test_the_peak_of_a_cards_memory_is_that_of_what_is_measured(kit, monkeypatch):
    begun = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", begun.append)
    for name in ("cpu", "cuda"):
        kit.parts["common"].forget_peak(torch.device(name))
    assert begun == [torch.device("cuda")]
    order, speed = [], kit.parts["speed"]
    monkeypatch.setattr(speed, "forget_peak", lambda device: order.append("forget"))
    speed.measure(lambda: order.append("step"), torch.device("cpu"), 0.001)
    assert order[:2] == ["forget", "step"]
    assert order.count("forget") == 1


def test_a_proof_that_lacks_a_step_leaves_the_figures_that_are_there(kit, tmp_path, capsys):
    record, journal = kit.parts["record"], kit.parts["journal"]
    done, failed = {"ended": "done", "card": "a card", "matrix_rate": 1.0}, {"ended": "failed"}
    journal.Journal(tmp_path / "proof.json", 0.0, {"card": done, "speed": failed, "revision": ""}).save()
    assert record.record([tmp_path], None, tmp_path / "results") == []
    words = "its figures are not recorded, since the step checks was not run, the step speed failed"
    assert capsys.readouterr().out == f"{tmp_path}: {words}\n"


@pytest.mark.parametrize(
    ("asked", "before", "expected"), [("abc", "old", "abc"), ("", "old", "old"), ("", "", "of the clone")]
)
def test_the_revision_is_the_one_that_is_named_or_known(kit, tmp_path, monkeypatch, asked, before, expected):
    monkeypatch.setattr(kit, "revision_of_the_clone", lambda: "of the clone")
    monkeypatch.setattr(kit, "follow", lambda step, options, proof, *others: kit.write(options, proof))
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    kit.parts["journal"].Journal(tmp_path / "proof.json", 0.0, {"revision": before}).save()
    assert kit.main(["--out", str(tmp_path), "--steps", "card", "--revision", asked]) == 0
    assert proof_in(tmp_path)["revision"] == expected


def test_a_lesson_whose_cells_failed_is_no_success(kit, tmp_path, monkeypatch, capsys):
    found = {"ended": "done", "cells": 4, "cells_done": 4, "errors": ["ZeroDivisionError", "NameError"]}
    monkeypatch.setattr(kit, "follow", lambda step, options, proof, *others: proof | {step: found})
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    assert kit.main(["--out", str(tmp_path), "--steps", "lesson"]) == 1
    assert "lesson 11: 4 of 4 cells, 2 of them failed\n" in capsys.readouterr().out


def another_colour(checks, patch):
    patch.setattr(checks, "change_colour", lambda x, which, amount: x + torch.randint(0, 9, x.shape))


def another_place(checks, patch):
    patch.setattr(checks, "shift", lambda x, offsets: x.roll(int(torch.randint(1, 99, ())), 3))


def another_rate(checks, patch):
    make, calls = checks.make_optimizers, iter(range(9))
    patch.setattr(
        checks, "make_optimizers", lambda m, name, rate, decay: make(m, name, rate * (1 + next(calls)), decay)
    )


def another_kernel(checks, patch):
    fused = torch.nn.functional.scaled_dot_product_attention
    patch.setattr(torch.nn.functional, "scaled_dot_product_attention", lambda q, k, v: 1.001 * fused(q, k, v))


@pytest.mark.parametrize(
    ("check", "fault"),
    [
        ("augmentation_equals_the_cpus", another_colour),
        ("augmentation_equals_the_cpus", another_place),
        ("optimizers_equal_the_cpus", another_rate),
        ("fused_equals_explicit", another_kernel),
    ],
)
def test_a_device_that_computes_something_else_is_found(kit, monkeypatch, check, fault):
    """The second of two calls that should agree gives something else, as a card with a fault would."""
    checks = kit.parts["checks"]
    fault(checks, monkeypatch)
    numbers = getattr(checks, check)(torch.device("cpu"))
    assert any(not found <= most for found, most in numbers.values())


# --- The plan --------------------------------------------------------------------------------------------------------


def speeds(eager, compiled, first=40.0):
    rows = [("eager, muon", False, eager), ("compiled, muon", True, compiled)]
    return {
        "speed": {
            "variants": [
                {"name": name, "compiled": how, "images_per_second": speed, "first_step_seconds": first}
                for name, how, speed in rows
            ]
        }
    }


class Images:
    """As many training images as CIFAR-10 has, without a single one."""

    train_labels = range(50_000)


@pytest.mark.parametrize(
    ("left", "found", "epochs", "compiled"),
    [
        (550, speeds(30_000, 60_000), 150, True),  # all three fit
        (250, speeds(30_000, 60_000), None, True),
        (100, speeds(30_000, 31_000), None, False),  # to compile would take all the time there is
        (20, speeds(30_000, 60_000), 1, None),
    ],
)
def test_the_epochs_let_all_seeds_fit_the_time_that_is_left(kit, left, found, epochs, compiled):
    train = kit.parts["train"]
    config = TrainingConfig(epochs=150, validation_fraction=0.1)
    plan = train.plan_for(None, Images(), config, {"seeds": [0, 1, 2], "found": found}, left)
    assert compiled is None or plan["compile"] is compiled
    if epochs is None:
        assert 1 < plan["epochs"] < 150
        an_epoch, first = plan["ways"][str(plan["compile"])]
        assert first + 3 * plan["epochs"] * an_epoch < left <= plan["seconds"] + 3 * 1.3 * (an_epoch + 0.05)
    else:
        assert plan["epochs"] == epochs
    assert plan["seconds"] <= left or plan["epochs"] == 1


@pytest.mark.parametrize(("asked", "left", "epochs"), [(400, 500, 348), (400, 1000, 400), (100, 500, 100)])
def test_more_epochs_than_fit_are_not_begun_whatever_was_asked_for(kit, asked, left, epochs):
    settings = {"seeds": [0], "epochs": asked, "found": speeds(20_000, 45_000)}
    config = TrainingConfig(epochs=150, validation_fraction=0.1)
    plan = kit.parts["train"].plan_for(None, Images(), config, settings, left)
    assert plan["epochs"] == pytest.approx(epochs, abs=2)
    assert plan["seconds"] <= left


def test_the_weights_are_written_before_the_test_images_are_read(kit, monkeypatch, tmp_path):
    train, data = kit.parts["train"], make_data(per_class=4, size=8)
    (tmp_path / "out").mkdir()
    log = kit.parts["journal"].Journal(tmp_path / "proof.json", time.time() + 60)

    def too_late(*_, **__):
        raise kit.parts["journal"].OutOfTime

    monkeypatch.setattr(train, "evaluate", too_late)
    config = TrainingConfig(epochs=1, batch_size=4, warmup_epochs=0, device="cpu")
    shape = {"patch_size": 4, "dim": 16, "depth": 1, "num_heads": 2}
    with pytest.raises(kit.parts["journal"].OutOfTime):
        train.train_one("seed 0", shape, data, config, log, tmp_path / "out")
    assert list((tmp_path / "out").glob("seed_0*"))
    assert proof_in(tmp_path)["runs"][0]["weights"]


def test_a_step_takes_the_package_of_this_checkout(kit, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert kit.environment("card")["PYTHONPATH"] == os.pathsep.join([str(ROOT), "elsewhere"])
    monkeypatch.delenv("PYTHONPATH")
    assert kit.environment("card")["PYTHONPATH"] == str(ROOT)


def test_programs_of_other_kernels_are_not_taken_from_the_cache_of_the_first(kit):
    assert kit.environment("ways")["TORCHINDUCTOR_AUTOGRAD_CACHE"] == "0"
    assert "TORCHINDUCTOR_AUTOGRAD_CACHE" not in kit.environment("speed")


def test_an_earlier_proof_that_is_not_there_is_refused(kit, tmp_path, capsys):
    with pytest.raises(SystemExit):
        kit.main(["--out", str(tmp_path), "--earlier", str(tmp_path / "proof.json")])
    assert f"--earlier {tmp_path / 'proof.json'}: there is no proof.json" in capsys.readouterr().err


def test_a_shortened_recipe_keeps_its_shares(kit):
    config = TrainingConfig(epochs=150, warmup_epochs=5, plain_epochs=15)
    short = kit.parts["train"].with_epochs(config, 50, compile=True)
    assert (short.epochs, short.plain_epochs, short.compile) == (50, 5, True)
    assert short.warmup_epochs == pytest.approx(5 / 3)
    assert kit.parts["train"].with_epochs(config, 150) == config


def test_large_weights_travel_in_pieces(kit, monkeypatch, tmp_path):
    checks, weights = kit.parts["checks"], kit.parts["weights"]
    model = checks.model_for(checks.pictures())
    monkeypatch.setattr(weights, "MOST_BYTES", 40_000)
    names = weights.write_pieces(model, tmp_path, "seed_7")
    assert len(names) > 2
    assert {path.name for path in tmp_path.iterdir()} == set(names)
    assert all((tmp_path / name).stat().st_size < 45_000 for name in names)
    again = load_model(weights.join(tmp_path, "seed_7"))
    assert again.config == model.config
    for key, tensor in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor.half().float())
    with pytest.raises(FileNotFoundError, match=r"holds no seed_8\.piece"):
        weights.join(tmp_path, "seed_8")


def test_no_more_files_are_written_than_come_back(kit, monkeypatch, tmp_path):
    checks, weights = kit.parts["checks"], kit.parts["weights"]
    model = checks.model_for(checks.pictures())
    written = [weights.write_pieces(model, tmp_path, f"seed_{number}") for number in range(9)]
    assert [len(names) for names in written] == [1] * 7 + [0, 0]  # proof.json is the eighth
    assert len(list(tmp_path.iterdir())) == 7
    assert weights.write_pieces(model, tmp_path, "seed_0") == written[0]  # the same once more is no more files


def test_what_the_lesson_trained_comes_back(kit, tmp_path):
    checks, journal = kit.parts["checks"], kit.parts["journal"].Journal(tmp_path / "lesson.json", time.time() + 60)
    data, runs, out = checks.pictures(), tmp_path / "runs", tmp_path / "out"
    out.mkdir()
    kit.parts["lesson"].keep_what_was_trained(runs, out, journal)
    assert journal.found == {}  # it did not come so far
    model = checks.model_for(data)
    config = TrainingConfig(epochs=2, batch_size=128, device="cpu")
    history = fit(model, data, config, checkpoint=runs / "lesson11")
    save_model(model, runs / "my_vit.safetensors")
    kit.parts["lesson"].keep_what_was_trained(runs, out, journal)
    assert journal.found["history"]["train_loss"] == history.train_loss
    again = load_model(kit.parts["weights"].join(out, "lesson"))
    assert torch.equal(again.head.weight, model.head.weight.half().float())


def test_what_a_proof_found_is_recorded_once(rehearsal, kit, tmp_path):
    made_up = kit.parts["common"].data_of({"rehearse": True})
    record, folder = kit.parts["record"], tmp_path / "proof"
    shutil.copytree(rehearsal[2], folder)
    proof = proof_in(folder)
    proof["train"]["runs"][1] |= {"ended": "stopped by the clock"}
    (folder / "proof.json").write_text(json.dumps(proof), encoding="utf-8")
    written = [record.record([folder], made_up, tmp_path) for _ in range(2)]
    assert [path.name for path in written[0]] == [record.BENCHMARK, record.TRIES, record.RECORD]
    assert [path.name for path in written[1]] == [record.BENCHMARK, record.TRIES]
    tries = [json.loads(line) for line in (tmp_path / record.TRIES).read_text(encoding="utf-8").splitlines()]
    assert [line["seed"] for line in tries] == [0, 1, 2]  # no line twice
    assert [line["ended"] for line in tries] == ["done", "stopped by the clock", "done"]
    assert tries[0]["validation"] == proof["train"]["runs"][0]["validation"]
    figures = proof_in_file(tmp_path / record.BENCHMARK)
    assert figures["card"] == proof["card"]["card"]
    assert all(check["passed"] and check["closest"] <= 1 for check in figures["checks"])
    assert [row["step_ms"] for row in figures["speed"]] == [row["step_ms"] for row in proof["speed"]["variants"]]
    whole = proof_in_file(tmp_path / record.RECORD)
    assert whole["test"]["accuracy"] == pytest.approx(proof["train"]["runs"][0]["test"], abs=0.021)  # half the bytes
    assert whole["mfu"] == pytest.approx(
        3 * whole["flops_per_image"] * whole["images_per_second"] / proof["speed"]["matrix_rate"], abs=0.001
    )
    with pytest.raises(FileNotFoundError, match=r"holds no proof\.json"):
        record.record([tmp_path], made_up, tmp_path)


# --- What a host has to do -------------------------------------------------------------------------------------------


def test_operations_are_counted_without_those_that_only_look(kit):
    x = torch.ones(4, 4)
    with kit.parts["bench_host"].Counter() as counter:
        (x.T @ x).view(-1).add_(1)
        torch.empty(3)
    assert counter.counts == {"mm": 1, "add_": 1}


def test_a_step_of_the_large_preset_is_no_more_work_for_the_host_than_it_was(kit):
    rows = kit.parts["bench_host"].measure("cifar10-gpu", repeats=1)
    counts = {name: row["operations"] for name, row in rows.items()}
    assert counts["Muon"] <= 100  # 646 with torch.optim.Muon
    assert counts["moving average"] == 1  # 91 tensor by tensor
    assert counts["draw"] + counts["change pictures"] <= 310
    assert sum(counts.values()) <= 1050
