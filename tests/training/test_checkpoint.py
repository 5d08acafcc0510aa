"""Checkpoints: nothing is lost when a run is stopped or killed at any moment, and no other run is taken for it."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import safetensors.torch
import shapes
import torch
from warm import PYTHON

from training.examples import (
    ALL_AT_ONCE,
    CONFIG,
    Stop,
    fit_steps,
    fit_until,
    make_data,
    make_model,
    same,
    step_hook,
    weights,
)
from vit_tutorial import ViT
from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.training import (
    History,
    TrainingError,
    add_lora,
    checkpoint,
    fit,
    loop,
)
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME
from vit_tutorial.training.distributed import World
from vit_tutorial.training.loss_scale import LossScale


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_stopped_run_goes_on_to_the_same_weights_and_history(data, tmp_path, epoch):
    whole = make_model()
    expected = fit(whole, data, CONFIG)
    fit_until(epoch, make_model(), data, CONFIG, tmp_path)
    resumed = make_model(seed=9)  # other first weights: all must come from the checkpoint
    history = fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(history, name) == getattr(expected, name)


@pytest.mark.parametrize("config", [CONFIG, ALL_AT_ONCE], ids=["plain", "all at once"])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_weights_and_history(data, tmp_path, steps, config):
    whole = make_model()
    expected = fit(whole, data, config)
    fit_steps(steps, make_model(), data, config, tmp_path)
    resumed, again = make_model(seed=9), []
    resumed.register_forward_pre_hook(lambda module, args: again.extend([1] * module.training))
    history = fit(resumed, data, config, checkpoint=tmp_path)
    assert len(again) == 9 - steps  # nothing is done twice
    assert same(weights(resumed), weights(whole))
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(history, name) == getattr(expected, name)


def test_a_run_stopped_between_the_last_step_of_an_epoch_and_its_end_goes_on(data, tmp_path):
    whole = make_model()
    expected = fit(whole, data, CONFIG)
    model = make_model()

    def stop(module, args):
        if not module.training:  # it looks at the validation images
            raise Stop

    model.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(model, data, CONFIG, checkpoint=tmp_path, checkpoint_seconds=0)
    resumed = make_model(seed=9)
    history = fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    assert history.learning_rate == expected.learning_rate
    assert history.train_loss == expected.train_loss


def test_within_an_epoch_a_checkpoint_is_written_as_often_as_asked(data, tmp_path, monkeypatch):
    def count(seconds):
        written = []
        monkeypatch.setattr(checkpoint, "write_file", lambda path, content: written.append(path))
        fit(make_model(), data, CONFIG, checkpoint=tmp_path / "x", checkpoint_seconds=seconds)
        return len(written)

    assert count(0) == 12  # after each of 9 steps, and at the end of each of 3 epochs
    assert count(3600) == 3


def test_a_large_checkpoint_is_not_written_after_each_epoch(data, tmp_path, monkeypatch):
    """On a fast GPU to write one takes as long as an epoch; the first is written, or its size would not be known."""
    monkeypatch.setattr(checkpoint, "LARGE", 1)
    monkeypatch.setattr(checkpoint, "PAUSE", 1e9)
    config = replace(CONFIG, epochs=6)

    def kept(folder, **options):
        epochs = []
        fit(make_model(), data, config, checkpoint=tmp_path / folder, **options, on_epoch=lambda history: epochs.append(
            checkpoint.weights_after_an_epoch(tmp_path / folder)[0]))  # fmt: skip
        return epochs

    assert kept("few") == [1, 1, 1, 1, 1, 6]
    assert kept("named", checkpoint_epochs=(3, 4)) == [1, 1, 3, 4, 4, 6]
    assert kept("each", checkpoint_seconds=0) == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(checkpoint, "PAUSE", 0)
    assert kept("due") == [1, 2, 3, 4, 5, 6]


def test_a_killed_run_with_a_large_checkpoint_ends_alike(data, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "LARGE", 1)
    monkeypatch.setattr(checkpoint, "PAUSE", 1e9)
    whole, config = make_model(), replace(CONFIG, epochs=4)
    fit(whole, data, config)

    def kill(history):
        if history.epochs == 3:
            raise Stop

    with pytest.raises(Stop):
        fit(make_model(), data, config, checkpoint=tmp_path, on_epoch=kill)
    assert checkpoint.weights_after_an_epoch(tmp_path)[0] == 1
    resumed = make_model(seed=9)
    assert fit(resumed, data, config, checkpoint=tmp_path).epochs == 4
    assert same(weights(resumed), weights(whole))


def test_a_model_whose_blocks_share_their_weights_is_saved_and_goes_on(data, tmp_path):
    def tied():
        model = make_model()
        model.blocks[1].mlp = model.blocks[0].mlp
        return model

    config = replace(CONFIG, average=0.9)
    whole, resumed = tied(), tied()
    fit(whole, data, config)
    fit_until(1, tied(), data, config, tmp_path)
    fit(resumed, data, config, checkpoint=tmp_path)
    assert resumed.blocks[1].mlp is resumed.blocks[0].mlp
    assert same(weights(resumed), weights(whole))


def test_every_second_image_is_a_data_set_too(data, tmp_path):
    half = replace(data, train_images=data.train_images[::2], train_labels=data.train_labels[::2])
    assert fit(make_model(), half, CONFIG, checkpoint=tmp_path).data["training"] == 24


def test_a_finished_run_is_not_trained_again(data, tmp_path, monkeypatch):
    model = make_model()
    fit(model, data, CONFIG, checkpoint=tmp_path)
    finished = weights(model)
    with step_hook(lambda optimizer: pytest.fail("a finished run took a step")):
        again = make_model(seed=9)
        monkeypatch.setattr(loop, "describe_environment", lambda device: pytest.fail("it ran somewhere else"))
        history = fit(again, data, CONFIG, checkpoint=tmp_path)
    assert history.epochs == 3
    assert same(weights(again), finished)


@pytest.mark.parametrize(("steps", "images"), [(3, 48), (4, 64)])
def test_a_run_that_goes_on_elsewhere_says_how_much_was_done_before(data, tmp_path, monkeypatch, steps, images):
    def here(**changes):
        monkeypatch.setattr(loop, "describe_environment", lambda device: {"git_revision": "a", "threads": 4} | changes)

    here()
    fit_steps(steps, make_model(), data, CONFIG, tmp_path)
    here(git_revision="b")
    fit_steps(1, make_model(), data, CONFIG, tmp_path)  # one more
    here(threads=1)
    history = fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    before = history.environment.pop("before")
    assert history.environment == {"git_revision": "a", "threads": 1, "processes": 1}
    assert before["images"] == images + 16
    assert history.training_seconds[0] < before["seconds"] < sum(history.training_seconds)


def test_a_run_that_goes_on_in_the_same_place_says_nothing_of_it(data, tmp_path):
    fit_steps(4, make_model(), data, CONFIG, tmp_path)
    assert "before" not in fit(make_model(), data, CONFIG, checkpoint=tmp_path).environment


def test_a_run_whose_last_step_was_taken_elsewhere_keeps_its_place(data, tmp_path, monkeypatch):
    def stop(module, args):
        if not module.training and len(taken) == 9:  # it looks at the validation images of the last epoch
            raise Stop

    model, taken = make_model(), []
    model.register_forward_pre_hook(lambda module, args: taken.extend([1] * module.training))
    model.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(model, data, CONFIG, checkpoint=tmp_path, checkpoint_seconds=0)
    monkeypatch.setattr(loop, "describe_environment", lambda device: pytest.fail("it ran somewhere else"))
    assert fit(make_model(), data, CONFIG, checkpoint=tmp_path).epochs == 3


KILLED = """
# Runs fit again and again in child processes; all but the last are killed, by themselves or from outside.
import json, os, random, signal, sys, time, traceback
import torch, torch._dynamo, torchvision.transforms.v2  # what optimizers and augmentation import: here, and once

torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training.examples import ALL_AT_ONCE, make_data, make_model, weights
from vit_tutorial.training import checkpoint, fit


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def child(folder, moment):
    model, counts = make_model(), {"steps": 0, "files": 0}
    replace = os.replace
    if moment == "mid-step":
        def count(module, args):
            counts["steps"] += module.training
            if counts["steps"] == 2:
                die()
        model.register_forward_pre_hook(count)
    elif moment == "half a checkpoint written":
        write = checkpoint.write_file
        def half(path, content):
            with open(str(path) + ".tmp", "wb") as out:
                out.write(content[: len(content) // 2])
            die()
        checkpoint.write_file = half
    elif moment == "before the checkpoint takes its place":
        os.replace = die
    elif moment == "after the checkpoint took its place":
        os.replace = lambda *paths: (replace(*paths), die())
    elif moment == "after the second checkpoint":
        def second(*paths):
            replace(*paths)
            counts["files"] += 1
            if counts["files"] == 2:
                die()
        os.replace = second
    fit(model, make_data(), ALL_AT_ONCE, checkpoint=folder, checkpoint_seconds=0)
    torch.save(weights(model), os.path.join(folder, "weights.pt"))


def run(folder, moment=None, seconds=None):
    pid = os.fork()
    if pid == 0:
        try:
            child(folder, moment)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


whole, killed, timed = (os.path.join(sys.argv[2], name) for name in ("whole", "killed", "timed"))
for folder in (whole, killed, timed):
    os.makedirs(folder)
started = time.perf_counter()
statuses = {"whole": run(whole)}
duration = time.perf_counter() - started
for moment in (
    "mid-step", "half a checkpoint written", "before the checkpoint takes its place",
    "after the checkpoint took its place", "mid-step", "after the second checkpoint",
    "before the checkpoint takes its place", "mid-step",
):
    statuses.setdefault(moment, set()).add(run(killed, moment))
statuses["killed"] = run(killed)
moments = random.Random(0)
for _ in range(12):
    run(timed, seconds=moments.uniform(0.1, 0.6) * duration)
statuses["timed"] = run(timed)
print(json.dumps({key: sorted(value) if isinstance(value, set) else value for key, value in statuses.items()}))
"""


@shapes.not_while_checking
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and fork are Unix")
def test_a_run_killed_at_twenty_moments_ends_with_the_weights_of_one_never_killed(tmp_path):
    command = [PYTHON, "-c", KILLED, str(Path(__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    for name in ("whole", "killed", "timed"):
        assert statuses.pop(name) == 0, done.stderr
    assert len(statuses) == 5
    assert all(status == [9] for status in statuses.values())
    whole, killed, timed = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "killed", "timed"))
    assert same(killed, whole)
    assert same(timed, whole)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"config": replace(CONFIG, learning_rate=0.1)}, r"in its config, learning_rate was 0\.002 and is 0\.1"),
        ({"config": replace(CONFIG, epochs=4)}, "in its config, epochs was 3 and is 4"),
        ({"model": {"depth": 3}}, "in its model, depth was 2 and is 3"),
        ({"per_class": 20}, "in its data, training was 48 and is 60"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_left_alone(data, tmp_path, options, expected):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    model = make_model(seed=9, **options.get("model", {}))
    untouched = weights(model)
    other = make_data(options["per_class"]) if "per_class" in options else data
    with pytest.raises(TrainingError, match=rf"belongs to another run: {expected}.*use another folder, or delete"):
        fit(model, other, options.get("config", CONFIG), checkpoint=tmp_path)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before
    assert same(weights(model), untouched)


class Cooler(MultiHeadAttention):
    """The same tensors, and another function."""

    def forward(self, tokens, **options):
        return super().forward(tokens / 2, **options)


def with_lora(alpha):
    return add_lora(make_model(drop_path=0), rank=2, alpha=alpha)


def with_frozen_blocks(model):
    model.blocks.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (lambda: with_lora(2), lambda: with_lora(20), r"parts\.\S+ was .*scale=1\).* is .*scale=10\)"),
        (make_model, lambda: ViT(make_model().config, attention=Cooler), r"parts.blocks.0.attn was None and is Cooler"),
        (lambda: with_frozen_blocks(make_model()), make_model, r"frozen was \['blocks.0.norm1.weight', .* and is \[\]"),
    ],
    ids=["LoRA", "attention", "frozen"],
)
def test_a_model_with_the_same_tensors_that_computes_or_learns_otherwise_is_another(data, tmp_path, first, then, words):
    fit_until(1, first(), data, CONFIG, tmp_path)
    with pytest.raises(TrainingError, match=f"belongs to another run: in its model, .*{words}"):
        fit(then(), data, CONFIG, checkpoint=tmp_path)
    fit(first(), data, CONFIG, checkpoint=tmp_path)  # and the same one goes on


def test_another_mean_of_the_data_is_another_run(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    with pytest.raises(TrainingError, match=r"in its data, normalized_with\.mean was .* and is \[0\.1\]"):
        fit(make_model(), replace(data, mean=(0.1,)), CONFIG, checkpoint=tmp_path)


def test_a_run_that_did_not_say_so_much_of_itself_goes_on(data, tmp_path):
    def older(tensors, words):
        for what, names in (("model", ("frozen", "parts")), ("data", ("normalized_with",))):
            for name in names:
                del words["history"][what][name]

    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, older)
    assert fit(make_model(), data, CONFIG, checkpoint=tmp_path).epochs == 3


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_model_that_lies_otherwise_in_memory_goes_on_to_the_same_weights(data, tmp_path, optimizer):
    config = replace(CONFIG, optimizer=optimizer, average=0.9)

    def make():
        return make_model(in_channels=3).to(memory_format=torch.channels_last)

    colour = replace(data, train_images=data.train_images.repeat(1, 3, 1, 1), mean=data.mean * 3, std=data.std * 3)
    whole = make()
    assert not whole.patch_embed.proj.weight.is_contiguous()
    fit(whole, colour, config)
    fit_until(1, make(), colour, config, tmp_path)
    resumed = make()
    fit(resumed, colour, config, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))


def test_a_folder_in_a_home_is_one_folder(data, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    fit(make_model(), data, replace(CONFIG, epochs=1, warmup_epochs=0), checkpoint="~/run")
    assert (tmp_path / "run" / CHECKPOINT_NAME).exists()


def test_other_pictures_under_the_same_name_are_noticed(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    images = data.train_images.clone()
    images[3, 0, 2, 2] ^= 1
    with pytest.raises(TrainingError, match=r"in its data, crc32 was \d+ and is \d+"):
        fit(make_model(), replace(data, train_images=images), CONFIG, checkpoint=tmp_path)


def test_the_same_pictures_under_another_name_are_no_other_run(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    history = fit(make_model(), replace(data, name="moved"), CONFIG, checkpoint=tmp_path)
    assert (history.epochs, history.data["name"]) == (CONFIG.epochs, "moved")


def test_another_rate_of_dropout_is_another_run(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    model = make_model()
    model.dropout.p = 0.5
    with pytest.raises(TrainingError, match=r"in its model, parts\.dropout was None and is Dropout\(p=0\.5"):
        fit(model, data, CONFIG, checkpoint=tmp_path)


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "bit in the header", "bit in the weights", "longer"])
def test_a_damaged_checkpoint_is_refused_and_left_alone(data, tmp_path, damage):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    file = tmp_path / CHECKPOINT_NAME
    content = bytearray(file.read_bytes())
    if damage.startswith("bit"):
        content[60 if "header" in damage else -100] ^= 1
    cut = {"empty": 0, "short": 10, "cut": len(content) - 7}.get(damage, len(content))
    content = bytes(content[:cut]) + (b"x" if damage == "longer" else b"")
    file.write_bytes(content)
    model = make_model()
    untouched = weights(model)
    with pytest.raises(
        TrainingError, match=rf"{CHECKPOINT_NAME} \({len(content):,} bytes\) is truncated or damaged; use"
    ):
        fit(model, data, CONFIG, checkpoint=tmp_path)
    assert file.read_bytes() == content
    assert same(weights(model), untouched)


def test_a_full_disk_gets_a_sentence_and_keeps_the_last_good_checkpoint(data, tmp_path, monkeypatch):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"the end of epoch 2 could not be written .* \(No space left on device\)"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [CHECKPOINT_NAME, f"{CHECKPOINT_NAME}.lock"]
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_a_checkpoint_folder_that_is_a_file_gets_a_sentence(data, tmp_path):
    (tmp_path / "taken").write_text("something")
    with pytest.raises(TrainingError, match=r"the checkpoint folder .*taken cannot be made"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path / "taken")


# Files of other versions, and files that are none


def rewrite(file, change):
    """Let `change` alter the tensors and the words of a checkpoint, and seal it again."""
    packed = file.read_bytes()[32:]
    words = json.loads(packed[8 : 8 + int.from_bytes(packed[:8], "little")])["__metadata__"]
    words = {name: json.loads(text) for name, text in words.items()}
    tensors = safetensors.torch.load(packed)
    change(tensors, words)
    seal(file, safetensors.torch.save(tensors, {name: json.dumps(value) for name, value in words.items()}))


def seal(file, content):
    file.write_bytes(hashlib.sha256(content).digest() + content)


def swap(tensors, one, other):
    tensors[one], tensors[other] = tensors[other], tensors[one]


def younger(tensors, words):
    """Make it the checkpoint of a version that had no format, no gradient checkpointing and one gelu only."""
    del words["format"], words["history"]["config"]["gradient_checkpointing"], words["history"]["model"]["gelu"]
    del words["history"]["skipped_steps"]


def test_a_checkpoint_that_lacks_a_setting_goes_on_with_its_default(data, tmp_path):
    whole = make_model()
    fit(whole, data, CONFIG)
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, younger)
    resumed = make_model(seed=9)
    history = fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    assert history.config == asdict(CONFIG) | {"freeze": []}


@pytest.mark.parametrize(
    ("training", "model", "sentence"),
    [
        ({"gradient_checkpointing": True}, {}, "in its config, gradient_checkpointing was False and is True"),
        ({}, {"gelu": "tanh"}, "in its model, gelu was exact and is tanh"),
    ],
)
def test_a_checkpoint_that_lacks_a_setting_was_not_made_with_another_value(data, tmp_path, training, model, sentence):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, younger)
    with pytest.raises(TrainingError, match=f"belongs to another run: {sentence}; use another folder"):
        fit(make_model(**model), data, replace(CONFIG, **training), checkpoint=tmp_path)


@pytest.mark.parametrize("what", ["config", "model"])
def test_a_setting_that_is_not_known_here_is_refused_by_name(data, tmp_path, what):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: words["history"][what].update(shampoo=1))
    sentence = f"another version of the course: in its {what}, shampoo is not known here; use that version, or another"
    with pytest.raises(TrainingError, match=sentence):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)


def test_a_checkpoint_of_a_newer_format_is_refused(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: words.update(format=2, progress="in other words"))
    with pytest.raises(
        TrainingError, match=r"newer version of the course \(format 2, and this one reads 1\); update the"
    ):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors, words: words.pop("progress"),  # as the first version of all wrote it
        lambda tensors, words: words["progress"].pop("step"),
        lambda tensors, words: words.pop("history"),
        lambda tensors, words: words.update(history=[]),
        lambda tensors, words: words.update(format="new"),
    ],
)
def test_a_whole_file_with_something_else_in_it_gets_a_sentence(data, tmp_path, change):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, change)
    with pytest.raises(
        TrainingError, match=r"is not as this version of the course writes it \(.*\); use another folder"
    ):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)


@pytest.mark.parametrize("content", [b"", b"hello", (2**60).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"{}"])
def test_a_sealed_file_of_another_kind_gets_a_sentence(data, tmp_path, content):
    seal(tmp_path / CHECKPOINT_NAME, content)
    with pytest.raises(TrainingError, match="is not as this version of the course writes it"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)


def test_a_checkpoint_that_cannot_be_read_gets_a_sentence(data, tmp_path):
    (tmp_path / CHECKPOINT_NAME).mkdir()
    with pytest.raises(TrainingError, match=r"cannot be read \(Is a directory\); use another folder"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)


def test_tensors_that_have_no_place_are_refused_before_anything_changes(data, tmp_path):
    fit_until(1, make_model(), data, ALL_AT_ONCE, tmp_path)
    model = make_model(seed=9).double()
    untouched = weights(model)
    with pytest.raises(TrainingError, match=r"model\.\S+ was float32 \[.*\] and is float64 \["):
        fit(model, data, ALL_AT_ONCE, checkpoint=tmp_path)
    assert same(weights(model), untouched)

    def rename(old, new):
        rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: tensors.update({new: tensors.pop(old)}))
        model = make_model(seed=9)
        untouched = weights(model)
        with pytest.raises(TrainingError) as caught:
            fit(model, data, ALL_AT_ONCE, checkpoint=tmp_path)
        assert same(weights(model), untouched)
        rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: tensors.update({old: tensors.pop(new)}))
        return str(caught.value)

    assert "average.head.bias was not there and is float32 [4]" in rename("average.head.bias", "average.head.c")
    assert "optimizer.0.0.step was not there and is float32 []" in rename("optimizer.0.0.step", "optimizer.7.0.step")
    assert "optimizer.0.0.step was not there and is float32 []" in rename("optimizer.0.0.step", "optimizer.0.99.step")
    matrix, number = "optimizer.1.0.momentum_buffer", "optimizer.0.0.step"  # PyTorch would write beyond a number's end
    rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: swap(tensors, matrix, number))
    with pytest.raises(TrainingError, match=rf"{number} was float32 \[\d+, \d+\] and is float32 \[\]"):
        fit(make_model(seed=9), data, ALL_AT_ONCE, checkpoint=tmp_path)
    rewrite(tmp_path / CHECKPOINT_NAME, lambda tensors, words: swap(tensors, matrix, number))
    fit(make_model(seed=9), data, ALL_AT_ONCE, checkpoint=tmp_path)


def test_a_run_that_has_ended_is_not_made_longer_and_says_how_to_go_on(data, tmp_path):
    fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    with pytest.raises(TrainingError) as caught:
        fit(make_model(), data, replace(CONFIG, epochs=5), checkpoint=tmp_path)
    assert str(caught.value) == (
        f"{tmp_path / CHECKPOINT_NAME} is a run that has ended after its 3 epochs, with a learning rate that fell to "
        "0; 5 epochs are another run, in another folder: begin it with these weights, loaded into the model, or named "
        "by --start-from on the command line"
    )


# The folder


def test_the_same_run_is_the_same_bytes(data, tmp_path):
    def one():
        saved = checkpoint.Checkpoint(tmp_path, model, [], None, LossScale(enabled=False), History())
        saved.save(checkpoint.EpochProgress())
        return (tmp_path / CHECKPOINT_NAME).read_bytes()

    model = make_model()
    assert len({one() for _ in range(10)}) == 1


HOLDER = """
import sys, filelock
with filelock.FileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_second_of_two_processes_in_one_folder_is_told(data, tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path / f"{CHECKPOINT_NAME}.lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match=rf"another process is training in {tmp_path}; wait until it has ended"):
            fit(make_model(), data, CONFIG, checkpoint=tmp_path)
        other.stdin.close()
    assert fit(make_model(), data, CONFIG, checkpoint=tmp_path).epochs == 3


def test_a_folder_stays_reserved_until_the_outermost_end(data, tmp_path):
    def free():
        return subprocess.run(
            [sys.executable, "-c", "import sys, filelock; filelock.FileLock(sys.argv[1], timeout=0).acquire()", lock],
            capture_output=True,
        ).returncode

    lock = str(tmp_path / f"{CHECKPOINT_NAME}.lock")
    with checkpoint.reserved(tmp_path, World()):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)
        assert free() != 0
    assert free() == 0


def test_what_killed_saves_left_is_swept_and_nothing_else(data, tmp_path):
    ours = [f".{CHECKPOINT_NAME}.{number}.tmp" for number in (1, 4711)]
    others = [".other.bin.12.tmp", f".{CHECKPOINT_NAME}.x.tmp", f"{CHECKPOINT_NAME}.12.tmp", "notes.tmp"]
    (tmp_path / "deeper").mkdir()
    for name in (*ours, *others, f"deeper/.{CHECKPOINT_NAME}.1.tmp"):
        (tmp_path / name).write_text("half")
    fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "deeper", CHECKPOINT_NAME, f"{CHECKPOINT_NAME}.lock"}
    assert len(list((tmp_path / "deeper").iterdir())) == 1


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="here is no folder that nobody may write to")
def test_a_folder_that_cannot_be_written_is_reported_at_the_start(data):
    steps = []
    with step_hook(steps.append), pytest.raises(TrainingError, match="folder /proc cannot be written to"):
        fit(make_model(), data, CONFIG, checkpoint="/proc")
    assert steps == []
