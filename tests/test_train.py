"""The command line from end to end, on a data set small enough to train in a second."""

import contextlib
import io
import json
import re
import shlex
import signal
import sys
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from safetensors.torch import save_file
from training.examples import make_data

from vit_tutorial import ViTConfig, load_model, train
from vit_tutorial.datasets import DataError
from vit_tutorial.recipes import RECIPES, RECORDED
from vit_tutorial.support.paths import RESULTS
from vit_tutorial.training import History, TrainingConfig, evaluate, record
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME
from vit_tutorial.training.distributed import World, current_world

SMALL = "--patch-size=4 --dim=8 --depth=2 --num-heads=2 --epochs=2 --batch-size=16 --learning-rate=0.002 --device=cpu"


@pytest.fixture
def data(monkeypatch):
    data = make_data()
    monkeypatch.setattr(train, "load", lambda name, root=None: data)
    monkeypatch.setattr(record, "matrix_rate", lambda device, precision: 2e9)  # tests/training/test_devices.py has it
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

    written = json.loads((tmp_path / "records" / "tiny.json").read_text())
    test = evaluate(model, data.test_images, data.test_labels)
    assert written["name"] == "tiny"
    options = f"{SMALL} --out {tmp_path} --records {tmp_path}/records --record tiny --seed 3"
    assert written["command"] == f"python -m vit_tutorial.train {options}"
    assert written["test"]["images"] == 8
    assert written["test"]["accuracy"] == round(test.accuracy, 5)
    assert written["test"]["confusion"] == test.confusion.tolist()
    assert written["model"] == history.model
    assert written["config"] == history.config
    assert written["train_loss"] == pytest.approx(history.train_loss, rel=1e-4)
    assert {"hardware", "torch", "python", "git_revision", "threads"} <= written["environment"].keys()
    assert written["total_seconds"] == pytest.approx(sum(history.seconds), abs=0.1)
    assert written["images_per_second"] > 0

    printed = capsys.readouterr().out
    assert printed.splitlines()[-1].startswith("record in")
    assert f"validation accuracy {history.validation_accuracy[-1]:.2%}" in printed
    assert printed.count("test accuracy") == 1
    assert printed.index("epoch 2/2") < printed.index("validation accuracy") < printed.index("test accuracy")


def test_a_record_of_another_training_is_not_replaced(data, tmp_path, monkeypatch):
    command(tmp_path / "run", "--record", "tiny", "--records", str(tmp_path))
    record = tmp_path / "tiny.json"
    written = json.loads(record.read_text())
    for name in ("freeze", "layer_decay"):
        del written["config"][name]
    record.write_text(json.dumps(written))
    command(tmp_path / "again", "--record", "tiny", "--records", str(tmp_path))  # an older one of the same settings
    before = record.read_bytes()

    def refused(*options, name="tiny"):
        with monkeypatch.context() as early:
            early.setattr(train, "fit", lambda *args, **options: pytest.fail("it has begun to train"))
            with pytest.raises(SystemExit) as ended:
                command(tmp_path / "other", "--record", name, "--records", str(tmp_path), *options)
        return ended.value.code

    assert refused("--seed", "3") == (
        f"error: {record} is the record of another training (config.seed was 0 and is 3), which would be lost; give "
        "this one another name with --record, or another folder with --records"
    )
    assert "(model.dim was 8 and is 16, model.parameters was" in refused("--dim", "16")
    begun = ("--start-from", str(tmp_path / "run" / "model.safetensors"))
    assert "(start.weights was random and is" in refused(*begun)
    command(tmp_path / "begun", "--record", "begun", "--records", str(tmp_path), *begun)
    start = json.loads((tmp_path / "begun.json").read_text())["start"]
    assert start == {"file": "model.safetensors", "sha256": train.about_start(Path(begun[1]))["sha256"]}
    assert "and is random)" in refused(name="begun")
    monkeypatch.setattr(train, "load", lambda name, root=None: other_classes(data, 4))
    assert "(data.crc32 was" in refused()
    assert record.read_bytes() == before
    (tmp_path / "notes.json").write_text("[]")
    assert "notes.json is the record of another training (it has no settings of a training)" in refused(name="notes")


def test_weights_in_half_the_bytes_replace_weights_and_nothing_else(data, tmp_path):
    (tmp_path / "photo.png").write_bytes(b"precious")
    for there in (tmp_path / "photo.png", tmp_path):
        with pytest.raises(SystemExit) as ended:
            command(tmp_path / "run", "--float16", str(there))
        assert ended.value.code.startswith(f"error: --float16 {there} is there and no model that was saved here")
    assert not (tmp_path / "run").exists()
    assert (tmp_path / "photo.png").read_bytes() == b"precious"
    for _ in range(2):
        command(tmp_path / "run", "--float16", str(tmp_path / "small.safetensors"))


def test_nothing_is_written_over_what_the_run_itself_needs(data, tmp_path):
    start = tmp_path / "start.safetensors"
    command(tmp_path / "first", "--float16", str(start))
    before = start.read_bytes()
    run = tmp_path / "run"
    for options in (
        *(["--float16", str(run / name)] for name in (CHECKPOINT_NAME, "model.safetensors", "history.json")),
        ["--float16", str(start)],
        ["--records", str(run), "--record", "start"],
    ):
        with pytest.raises(SystemExit, match=r"would be written over .*, which the run itself needs; name another"):
            command(run, "--start-from", str(start), *options)
    assert not run.exists()
    kept = tmp_path / "epoch_002.safetensors"
    start.rename(kept)
    with pytest.raises(SystemExit, match=rf"--keep-in would be written over {kept}"):
        command(run, "--start-from", str(kept), "--keep", "2", "--keep-in", str(tmp_path))
    assert kept.read_bytes() == before


@pytest.mark.parametrize("option", ["--float16", "--records", "--keep-in"])
def test_a_place_that_cannot_be_written_is_named_before_the_training(data, tmp_path, monkeypatch, option):
    monkeypatch.setattr(train, "fit", None)
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "place"
    with pytest.raises(SystemExit, match=rf"error: {option}: the folder {tmp_path / 'file'}.* cannot be made \("):
        command(tmp_path / "run", "--record", "tiny", "--keep", "1", option, str(place))


@pytest.mark.parametrize("option", ["--out", "--data", "--start-from", "--float16"])
def test_a_home_that_is_not_known_gets_a_sentence(data, tmp_path, option):
    with pytest.raises(
        SystemExit, match=r"^error: ~nobody\.here/x begins with ~nobody\.here, a home folder that is not"
    ):
        command(tmp_path, option, "~nobody.here/x")
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_name_no_disk_takes_gets_a_sentence(data, tmp_path):
    with pytest.raises(SystemExit, match=r"error: the checkpoint folder .* cannot be made \(File name too long\)"):
        command(tmp_path / ("n" * 300))


def test_what_the_record_says_of_speed_and_mirror_images_is_printed(data, tmp_path, capsys):
    command(tmp_path, "--record", "tiny", "--flip", "--validation-fraction", "0")
    written = json.loads((tmp_path / "records" / "tiny.json").read_text())
    printed = capsys.readouterr().out
    assert f"{written['mfu']:.0%} of the 0.002 TFLOP/s that matrix products reach here (MFU)" in printed
    assert f"averaged with the mirror image of each {written['mirrored_test']['accuracy']:.2%}" in printed
    assert "validation" not in printed


def test_the_time_that_is_printed_is_that_of_all_epochs_whenever_they_were_trained(data, tmp_path, monkeypatch, capsys):
    command(tmp_path)
    fit = train.fit
    monkeypatch.setattr(train, "fit", lambda *given, **named: replace(fit(*given, **named), seconds=[61.2, 62.3]))
    command(tmp_path)  # nothing is left to train
    assert "\n124 s of training, " in capsys.readouterr().out


def test_weights_in_half_the_bytes(data, tmp_path):
    command(tmp_path, "--float16", str(tmp_path / "small.safetensors"), "--record", "tiny")
    whole, small = (load_model(tmp_path / name) for name in ("model.safetensors", "small.safetensors"))
    assert small.card == whole.card
    for a, b in zip(whole.state_dict().values(), small.state_dict().values(), strict=True):
        assert torch.equal(a.half().float(), b)
    sizes = [(tmp_path / name).stat().st_size for name in ("model.safetensors", "small.safetensors")]
    saved = 2 * sum(p.numel() for p in whole.parameters())
    assert abs(sizes[0] - sizes[1] - saved) < 64  # the file's header is padded


def test_nothing_is_known_of_the_test_images_until_the_processes_have_trained(data, tmp_path, monkeypatch):
    order = []
    for module, name in ((train, "fit"), (record, "evaluate")):
        original = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, name=name, original=original, **k: (order.append(name), original(*a, **k))[1]
        )

    @contextlib.contextmanager
    def joined(device):
        order.append(f"join on {device}")
        yield current_world()
        order.append("leave")

    monkeypatch.setattr(train, "joined", joined)
    command(tmp_path, "--quiet")
    assert order == ["join on cpu", "fit", "leave", "evaluate"]


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
        (["--clip-norm", "0"], "error: clip_norm is 0.0; it must be above 0, or None for no clipping"),
    ],
)
def test_a_number_that_makes_no_sense_ends_with_one_plain_sentence(data, tmp_path, options, sentence):
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, *options)
    assert ended.value.code.startswith(sentence)  # which Python prints, and ends with exit status 1
    assert "\n" not in ended.value.code


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--epoch", "3"], ["--epoch", "--epochs"]),
        (["--epochs", "three"], ["--epochs", "'three'"]),
        (["--optimizer", "sgd"], ["'sgd'", "adamw", "muon"]),
        (["--recipe", "gpu"], ["'gpu'", "cifar10-gpu"]),
        (["--clip-norm", "nobody"], ["--clip-norm", "'nobody'"]),
    ],
)
def test_a_wrong_option_ends_with_exit_status_2_and_what_would_be_right(data, tmp_path, capsys, options, words):
    with pytest.raises(SystemExit) as ended:
        command(tmp_path, *options)
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert all(word in printed for word in words)
    assert list(tmp_path.iterdir()) == []


def test_an_option_for_several_values_is_given_once(capsys):
    assert train.SEVERAL == ["classes", "keep", "stem_layers", "freeze"]
    for name in ("--classes", "--keep", "--stem-layers", "--freeze"):
        with pytest.raises(SystemExit, match="2"):
            train.parse(["--out", "x", name, "1", f"{name}=2"])
        assert f"error: {name} is given 2 times, and the last alone would count" in capsys.readouterr().err
    assert train.parse(["--out", "x", "--classes", "0", "1", "--dim", "8", "--dim", "16"]).model.dim == 16


def test_a_folder_must_be_named_unless_the_recipe_names_one(capsys):
    with pytest.raises(SystemExit) as ended:
        train.parse([])
    assert ended.value.code == 2
    assert "--out" in capsys.readouterr().err


def test_missing_data_end_with_a_sentence(tmp_path, monkeypatch):
    def missing(name, root=None):
        raise DataError(f"{name} was not found")

    monkeypatch.setattr(train, "load", missing)
    with pytest.raises(SystemExit, match="error: fashion_mnist was not found"):
        command(tmp_path)


def test_what_ends_the_search_for_data_ends_every_process(monkeypatch):
    told = []

    class Many(World):
        def broadcast(self, value):
            told.append(value)
            return value

    def missing(name, root=None):
        raise DataError(f"{name} was not found")

    monkeypatch.setattr(train, "load", missing)
    with pytest.raises(DataError):
        train.find_data_once(train.parse(["--out", "x"]), Many(rank=0, size=2))
    assert [str(error) for error in told] == ["fashion_mnist was not found"]


def test_data_are_found_first_by_the_main_process_and_then_by_the_others(data, monkeypatch):
    class Other(World):
        def broadcast(self, value):
            monkeypatch.setattr(train, "load", lambda name, root=None: data)  # now that the main one has them

    monkeypatch.setattr(train, "load", lambda name, root=None: pytest.fail("before the main process had them"))
    assert train.find_data_once(train.parse(["--out", "x"]), Other(rank=1, size=2)) is data


def test_ctrl_c_before_there_is_a_checkpoint_does_not_promise_one(data, tmp_path, monkeypatch):
    with monkeypatch.context() as stopped:
        stopped.setattr(train, "load", lambda name, root=None: signal.raise_signal(signal.SIGINT))
        with pytest.raises(SystemExit) as ended:
            command(tmp_path)
    assert ended.value.code == (
        f"stopped; there is no checkpoint in {tmp_path} yet, so the same command starts at the beginning"
    )


def test_every_field_has_an_option_and_the_recipes_values():
    given = "--recipe cifar10-gpu --out x --no-flip --clip-norm none --dim 192 --stem-layers 2 2 2 --position none"
    options = train.parse(given.split())
    assert (options.data, options.out, options.record, options.keep) == ("cifar10", Path("x"), None, ())
    model, training = options.model, options.training
    assert (model.depth, model.pool, training.batch_size) == (7, "mean", 1000)
    assert (training.flip, training.clip_norm, model.dim) == (False, None, 192)
    assert (model.stem_layers, model.position, model.representation_size) == ((2, 2, 2), "none", None)
    assert train.parse(["--preset=cifar10-gpu", *given.split()[2:]]) == options
    assert train.parse(["--preset", *given.split()[1:]]) == options


@pytest.mark.parametrize("word", ["none", "None", "NONE"])
def test_none_may_be_written_in_small_or_large_letters(word):
    assert train.parse(["--recipe", "cifar10-gpu", "--out", "x", "--clip-norm", word]).training.clip_norm is None


def test_a_recorded_recipe_is_a_whole_command():
    options = train.parse(["--recipe", "vit_cifar10"])
    recipe = RECIPES["vit_cifar10"]
    assert (options.out, options.record, options.float16) == (recipe.out, "vit_cifar10", recipe.weights)
    assert (options.keep, options.keep_in, options.records) == (recipe.keep, recipe.keep_in, RESULTS)
    assert asdict(options.training) == asdict(recipe.training)


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize(
    "changed", ["--data OTHER", "--epochs 1", "--seed 7", "--dim 32", "--classes 1 2", "--start-from a.safetensors"]
)
def test_a_recipe_with_anything_changed_writes_nothing_of_the_courses_own(name, changed, capsys):
    other = "fashion_mnist" if RECIPES[name].data == "cifar10" else "cifar10"
    changed = changed.replace("OTHER", other).split()
    options = train.parse(["--recipe", name, *changed, "--out", "x"])
    assert (options.recipe, options.record, options.float16) == (name, None, None)
    assert (options.keep, options.keep_in) == ((), None)
    with pytest.raises(SystemExit, match="2"):
        train.parse(["--recipe", name, *changed])
    assert "--out" in capsys.readouterr().err
    asked = train.parse(["--recipe", name, *changed, "--out", "x", "--record", "y", "--float16", "z", "--keep", "1"])
    assert (asked.record, asked.float16, asked.keep) == ("y", Path("z"), (1,))


def test_a_recipe_is_the_same_where_its_own_options_are_repeated_or_the_results_go_elsewhere():
    whole = train.parse(["--recipe", "vit_cifar10"])
    repeated = "--recipe vit_cifar10 --data cifar10 --warmup-epochs 1 --mlp-ratio 2"
    assert train.parse(repeated.split()) == whole
    elsewhere = train.parse([*repeated.split(), "--out", "x", "--quiet"])
    assert elsewhere == replace(whole, out=Path("x"), quiet=True)


ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", RECORDED)
def test_the_command_in_a_record_still_means_the_training_of_that_record(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    written = json.loads((RESULTS / f"{name}.json").read_text())
    options = train.parse(shlex.split(written["command"])[3:])
    whole = train.parse(["--recipe", name])
    for field in ("out", "float16", "keep_in"):
        one, other = getattr(options, field), getattr(whole, field)
        assert one == other or one.resolve() == other
    for field in ("data", "classes", "data_root", "record", "records", "keep", "quiet", "model", "training"):
        assert getattr(options, field) == getattr(whole, field)


def published_commands():
    """Every command of this module that a learner can read, in the README, the notes on the data and the lessons."""
    texts = [(ROOT / "README.md").read_text(), (ROOT / "data" / "README.md").read_text(), train.__doc__]
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        texts += ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]
    found = re.findall(r"-m vit_tutorial\.train +((?:[^\n`]|\\\n)*)", "\n".join(texts))
    return sorted({" ".join(line.replace("\\\n", " ").split()) for line in found})


def test_every_published_command_parses(capsys):
    commands = published_commands()
    assert len(commands) >= 5
    for line in commands:
        if line == "--help":
            with pytest.raises(SystemExit, match="0"):
                train.parse([line])
        else:
            options = train.parse(line.split())
            assert options.out
            assert options.recipe in line or options.recipe == "cpu"


def test_help_names_every_option_with_its_comment(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        train.main(["--recipe", "cifar10-gpu", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    names = {f.name for config in (ViTConfig, TrainingConfig) for f in fields(config)} - set(train.FROM_DATA)
    assert all(f"--{name.replace('_', '-')}" in shown for name in names)
    assert not any(f"--{name.replace('_', '-')}" in shown for name in train.FROM_DATA)
    words = " ".join(re.sub("[│╭╮╰╯─]", " ", shown).split())
    for one in (
        f"--recipe {{{','.join(RECIPES)}}}",
        "--label-smoothing FLOAT share of the target spread over all classes (default: 0.1)",
        "--batch-size INT images per step (default: 1000)",
        "--num-heads INT h, must divide dim (default: 6)",
        "--flip, --no-flip mirror half",
        "--qkv-bias, --no-qkv-bias numbers that are added to queries, keys and values (default: True)",
        "--optimizer {adamw,muon}",
    ):
        assert one in words


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
        power_cut.setattr(record, "save_model", killed)
        with pytest.raises(Killed):
            command(tmp_path, "--keep", "1", "--keep-in", str(elsewhere))
    assert not elsewhere.exists()
    command(tmp_path, "--keep", "1", "--keep-in", str(elsewhere))
    command(tmp_path / "whole", "--keep", "1")
    kept, whole = (folder / "epoch_001.safetensors" for folder in (elsewhere, tmp_path / "whole" / "epochs"))
    kept, whole = weights_of(kept), weights_of(whole)
    assert all(torch.equal(kept[name], whole[name]) for name in whole)
    assert [path.name for path in elsewhere.iterdir()] == ["epoch_001.safetensors"]


def test_an_epoch_that_the_run_does_not_have_cannot_be_kept(data, tmp_path):
    for epochs, named in ((("1", "3", "10"), "3, 10"), (("0", "2"), "0")):
        with pytest.raises(SystemExit) as ended:
            command(tmp_path / "run", "--keep", *epochs)
        assert ended.value.code == (
            f"error: --keep names {named}, and the run has epochs 1 to 2; name some of these, or leave it out"
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("other", ["model", "data"])
def test_another_model_or_other_data_are_refused_before_weights_are_kept(data, tmp_path, monkeypatch, other):
    command(tmp_path)
    if other == "data":
        monkeypatch.setattr(train, "load", lambda name, root=None: other_classes(data, 4))
    with pytest.raises(SystemExit, match=r"belongs to another run: in its (model, dim was 8|data, crc32 was)"):
        command(tmp_path, "--keep", "2", *(["--dim", "16"] if other == "model" else []))
    assert not (tmp_path / "epochs").exists()


@pytest.mark.parametrize("version", ["this", "older"])
def test_the_last_weights_of_a_finished_run_can_be_kept_afterwards(data, tmp_path, version):
    command(tmp_path)
    if version == "older":
        (tmp_path / train.START_NAME).unlink()
    command(tmp_path, "--keep", "2")
    assert [path.name for path in (tmp_path / "epochs").iterdir()] == ["epoch_002.safetensors"]


def test_a_folder_is_refused_before_the_data_are_loaded(data, tmp_path, monkeypatch):
    def refused(*options, out=tmp_path / "run"):
        with monkeypatch.context() as early:
            early.setattr(train, "load", lambda name, root=None: pytest.fail("data were loaded"))
            with pytest.raises(SystemExit) as ended:
                command(out, *options)
        return ended.value.code

    (tmp_path / "file").write_text("")
    assert "file cannot be made (File exists); name a folder that you may write to" in refused(out=tmp_path / "file")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "model.safetensors").write_bytes(b"precious")
    assert "run holds model.safetensors and no checkpoint, so something else would be written over" in refused()
    (tmp_path / "run" / "model.safetensors").unlink()
    command(tmp_path / "run")
    assert "learning_rate was 0.002 and is 0.5; use another folder" in refused("--learning-rate", "0.5")
    assert "ended after its 2 epochs" in refused("--epochs", "3")


def test_a_run_begins_with_the_weights_of_another(data, tmp_path):
    command(tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    command(tmp_path / "more", "--start-from", str(start), "--epochs", "1", "--learning-rate", "0")
    first, more = weights_of(start), weights_of(tmp_path / "more" / "model.safetensors")
    assert all(torch.equal(first[name], more[name]) for name in first)
    with pytest.raises(SystemExit, match="do not fit the model"):
        command(tmp_path / "other", "--start-from", str(start), "--dim", "16")


def test_a_run_goes_on_with_the_weights_that_it_began_with_and_no_others(data, tmp_path, capsys):
    first, second = (tmp_path / name / "model.safetensors" for name in ("first", "second"))
    command(first.parent)
    command(second.parent, "--seed", "1")
    capsys.readouterr()
    run = tmp_path / "run"
    command(run, "--start-from", str(first))
    assert f"begins with the weights of {first}, head included" in capsys.readouterr().out
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(SystemExit) as ended:
        command(run, "--start-from", str(second))
    assert ended.value.code.startswith(f"error: {run} holds a run that began with the weights of {first} (sha256 ")
    assert f"and --start-from names the weights of {second} (sha256 " in ended.value.code
    assert ended.value.code.endswith("; use another folder, or delete this one to train from the start")
    assert {path: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    with pytest.raises(SystemExit, match="second holds a run that began with random weights, and --start-from names"):
        command(second.parent, "--seed", "1", "--start-from", str(second))

    first = first.rename(tmp_path / "moved.safetensors")
    for options in (["--start-from", str(first)], []):
        command(run, *options)
        printed = capsys.readouterr().out
        assert f"goes on from the checkpoint in {run}, which began with the weights of" in printed
        assert "begins with" not in printed


def test_what_a_run_of_an_older_version_began_with_is_not_known(data, tmp_path, capsys):
    command(tmp_path)
    start = tmp_path / train.START_NAME
    for left in ("", "[]", '{"a": 1}', '{"file": 1, "sha256": 2}', '{"file": null, "sha256": null, "data": 3}', None):
        start.unlink() if left is None else start.write_text(left)
        command(tmp_path, "--start-from", str(tmp_path / "model.safetensors"))
        assert f"goes on from the checkpoint in {tmp_path}\n" in capsys.readouterr().out


def other_classes(data, classes):
    """Give the same pictures with fewer classes, under other names, and much brighter."""
    keep = data.train_labels < classes
    return replace(
        data,
        train_images=data.train_images[keep] // 2 + 128,
        train_labels=data.train_labels[keep],
        test_images=data.test_images[data.test_labels < classes],
        test_labels=data.test_labels[data.test_labels < classes],
        class_names=tuple(f"new {i}" for i in range(classes)),
        mean=(0.7,),
        std=(0.1,),
    )


def test_weights_for_other_classes_keep_their_shape_mean_and_std_and_get_a_new_head(
    data, tmp_path, monkeypatch, capsys
):
    command(tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    monkeypatch.setattr(train, "load", lambda name, root=None: other_classes(data, 3))
    capsys.readouterr()
    options = f"--weights={start} --epochs=1 --batch-size=16 --learning-rate=0 --warmup-epochs=0 --device=cpu"
    train.main(
        [*shlex.split(options), "--record", "tuned", "--out", str(tmp_path / "more"), "--records", str(tmp_path)]
    )
    said = capsys.readouterr()
    assert f"begins with the weights of {start}; the head starts anew, since that of the file is for its 4 classes" in (
        said.out
    )
    assert re.search(r"^warning: sides has mean 0\.700 .*, which are kept; ", said.err, re.MULTILINE)
    first, more = load_model(start), load_model(tmp_path / "more" / "model.safetensors")
    assert (more.card.mean, more.card.std) == (data.mean, data.std)
    assert more.card.class_names == ("new 0", "new 1", "new 2")
    assert more.card.record == "tuned.json"
    assert replace(more.config, num_classes=4) == first.config
    one, other = first.state_dict(), more.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one if not name.startswith("head."))
    assert other["head.weight"].shape == (3, 8)


def test_a_fine_tuning_goes_on_without_the_weights_that_it_began_with(data, tmp_path, monkeypatch):
    """It keeps their mean and std, which are not those of its pictures."""
    command(tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    monkeypatch.setattr(train, "load", lambda name, root=None: other_classes(data, 4))
    command(tmp_path / "whole", "--start-from", str(start))

    def ctrl_c(history):
        raise KeyboardInterrupt

    with monkeypatch.context() as stopped:
        stopped.setattr(train, "print_epoch", ctrl_c)
        with pytest.raises(SystemExit, match="the same command goes on from the last checkpoint"):
            command(tmp_path / "more", "--start-from", str(start))
    start.rename(tmp_path / "elsewhere.safetensors")
    command(tmp_path / "more")
    whole, more = (load_model(tmp_path / name / "model.safetensors") for name in ("whole", "more"))
    assert more.card == whole.card
    assert more.card.mean == data.mean
    assert all(torch.equal(whole.state_dict()[name], tensor) for name, tensor in more.state_dict().items())


def test_a_fine_tuning_goes_on_in_the_shape_of_the_weights_that_it_began_with(data, tmp_path, capsys):
    command(tmp_path / "first")
    run = ["--epochs=2", "--warmup-epochs=0", "--batch-size=16", "--device=cpu", "--out", str(tmp_path / "run")]
    train.main([*run, "--start-from", str(tmp_path / "first" / "model.safetensors")])
    capsys.readouterr()
    train.main(run)
    assert f"goes on from the checkpoint in {tmp_path / 'run'}, which began with" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="in its model, dim was 8 and is 16"):
        train.main([*run, "--dim", "16"])


def test_a_fine_tuning_that_goes_on_is_not_taken_for_its_recipe(tmp_path):
    (tmp_path / CHECKPOINT_NAME).touch()
    began = {
        "file": "a",
        "sha256": "b",
        "model": {**RECIPES["vit_cifar10"].model, "stem_layers": [3, 4, 9], "image_size": 32},
    }
    (tmp_path / train.START_NAME).write_text(json.dumps(began))
    options = train.parse(["--recipe", "vit_cifar10", "--out", str(tmp_path)])
    assert (options.record, options.float16, options.keep, options.keep_in) == (None, None, (), None)
    assert options.model.dim == RECIPES["vit_cifar10"].model["dim"]


def test_the_same_number_of_other_classes_takes_a_new_head_too(data, tmp_path, monkeypatch, capsys):
    command(tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    monkeypatch.setattr(train, "load", lambda name, root=None: other_classes(data, 4))
    command(tmp_path / "more", "--weights", str(start), "--epochs=1", "--learning-rate=0")
    assert "the head starts anew" in capsys.readouterr().out
    one, other = weights_of(start), weights_of(tmp_path / "more" / "model.safetensors")
    assert {name for name in one if not torch.equal(one[name], other[name])} == {"head.weight", "head.bias"}


def test_a_head_that_has_another_shape_starts_anew_and_one_that_is_broken_is_refused(data, tmp_path, capsys):
    command(tmp_path / "first")
    start, broken = tmp_path / "first" / "model.safetensors", tmp_path / "broken.safetensors"
    command(tmp_path / "more", "--start-from", str(start), "--representation-size", "4")
    assert "the head starts anew, since that of the file does not fit\n" in capsys.readouterr().out
    weights = weights_of(start)
    save_file(weights | {"head.bias": weights["head.bias"] * torch.nan}, broken)
    with pytest.raises(SystemExit, match=r"^error: head\.bias holds NaN or infinity in 4 of 4 numbers"):
        command(tmp_path / "other", "--start-from", str(broken), "--mlp-ratio", "2")


def test_weights_of_another_library_lose_a_head_that_does_not_fit_and_only_that(data, tmp_path, capsys):
    command(tmp_path / "first")
    foreign = dict(weights_of(tmp_path / "first" / "model.safetensors"))
    foreign |= {"head.weight": torch.zeros(10, 8), "head.bias": torch.zeros(10)}
    torch.save(foreign, tmp_path / "foreign.pth")
    command(tmp_path / "more", "--weights", str(tmp_path / "foreign.pth"), "--epochs=1", "--learning-rate=0")
    assert "since that of the file does not fit" in capsys.readouterr().out
    more = weights_of(tmp_path / "more" / "model.safetensors")
    assert all(torch.equal(foreign[name], more[name]) for name in more if not name.startswith("head."))
    del foreign["norm.weight"]
    torch.save(foreign, tmp_path / "foreign.pth")
    with pytest.raises(SystemExit, match=r"do not fit the model \(missing norm\.weight"):
        command(tmp_path / "other", "--weights", str(tmp_path / "foreign.pth"))


def test_frozen_parts_and_layer_wise_rates_are_options(data, tmp_path, capsys):
    command(tmp_path / "first")
    start = tmp_path / "first" / "model.safetensors"
    assert "(MFU)" in capsys.readouterr().out
    command(tmp_path / "more", "--weights", str(start), "--freeze", "patch_embed", "blocks.0", "--layer-decay", "0.5")
    one, other = weights_of(start), weights_of(tmp_path / "more" / "model.safetensors")
    still = {name for name in one if torch.equal(one[name], other[name])}
    assert still == {name for name in one if name.startswith(("patch_embed.", "blocks.0."))}
    config = History.from_json(tmp_path / "more" / "history.json").config
    assert (config["freeze"], config["layer_decay"]) == (["patch_embed", "blocks.0"], 0.5)
    printed = capsys.readouterr().out
    assert "test accuracy" in printed
    assert "MFU" not in printed  # nobody knows of how many operations such a step is


def test_a_run_learns_only_the_classes_that_are_named(data, tmp_path, capsys):
    command(tmp_path, "--classes", "3", "1")
    assert "2 classes of sides: 32 training and 4 test images" in capsys.readouterr().out
    model = load_model(tmp_path / "model.safetensors")
    assert model.card.class_names == ("bright right", "bright bottom")
    with pytest.raises(
        SystemExit, match=r"^error: classes are \(1, 4\); sides has 0 to 3, and each may be named once$"
    ):
        command(tmp_path / "other", "--classes", "1", "4")
    recipe = train.parse(["--recipe", "vit_clothes_six"])
    assert recipe.classes == RECIPES["vit_clothes_six"].classes
    assert train.parse(["--recipe", "vit_clothes_six", "--data", "cifar10", "--out", "there"]).classes == ()


def test_weights_that_are_not_there_end_with_a_sentence(data, tmp_path):
    with pytest.raises(SystemExit, match=r"^error: .*nowhere\.safetensors"):
        command(tmp_path / "more", "--weights", str(tmp_path / "nowhere.safetensors"))


def test_a_name_that_the_output_cannot_write_ends_no_training(data, tmp_path, monkeypatch):
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    command(tmp_path / "Läufe")
    out.flush()
    assert b"L\\xe4ufe" in out.buffer.getvalue()


def test_what_killed_saves_left_is_swept(data, tmp_path):
    for name in (".model.safetensors.12.tmp", ".history.json.3.tmp", ".mine.3.tmp"):
        (tmp_path / name).write_text("half")
    command(tmp_path)
    assert [path.name for path in tmp_path.glob(".*.tmp")] == [".mine.3.tmp"]


def test_the_folder_is_reserved_until_all_is_written(data, tmp_path, monkeypatch):
    def held():
        return FileLock(tmp_path / f"{CHECKPOINT_NAME}.lock", timeout=0, is_singleton=True).is_locked

    seen = []
    finish = train.finish
    monkeypatch.setattr(train, "finish", lambda *options: (seen.append(held()), finish(*options)))
    command(tmp_path)
    assert seen == [True]
    assert not held()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_with_the_way_to_go_on(data, tmp_path, monkeypatch, capsys, number):
    command(tmp_path / "whole")
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as stopped:
        stopped.setattr(train, "print_epoch", lambda history: signal.raise_signal(number))
        with pytest.raises(SystemExit, match="stopped; the same command goes on from the last checkpoint in"):
            command(tmp_path / "stopped")
    assert signal.getsignal(signal.SIGTERM) is before
    capsys.readouterr()
    command(tmp_path / "stopped")
    assert "epoch 1/2" not in capsys.readouterr().out
    whole, resumed = (weights_of(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_a_mad_learning_rate_gets_one_plain_word(data, tmp_path, capsys):
    command(tmp_path, "--learning-rate", "30", "--warmup-epochs", "0", "--epochs", "3")
    said = capsys.readouterr().err
    assert said.count("warning: the mean loss of epoch 1 is ") == 1
    assert "TrainingWarning" not in said
    command(tmp_path / "ordinary")
    assert capsys.readouterr().err == ""


def test_weights_of_an_epoch_that_is_over_cannot_be_kept_afterwards(data, tmp_path):
    command(tmp_path, "--keep", "1")
    command(tmp_path, "--keep", "1", "2")  # the first is there, and the last can still be had
    kept = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert kept == ["epoch_001.safetensors", "epoch_002.safetensors"]
    with pytest.raises(SystemExit, match=r"--keep names 1, and the run in .* has done 2 epochs without keeping these"):
        command(tmp_path, "--keep", "1", "--keep-in", str(tmp_path / "elsewhere"))


def test_a_home_folder_that_no_shell_has_expanded_is_one_folder(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    options = "--out=~/run --records=~/records --record=tiny --float16=~/small.safetensors"
    train.main(shlex.split(f"{SMALL} {options}"))
    assert not (tmp_path / "~").exists()
    assert (tmp_path / "home" / "records" / "tiny.json").exists()
    assert load_model(tmp_path / "home" / "small.safetensors").card.record == "tiny.json"
    written = {path.name for path in (tmp_path / "home" / "run").iterdir()}
    assert {CHECKPOINT_NAME, "model.safetensors", "history.json"} <= written
