"""Several processes, started by torchrun, train the model that one process would have trained with the same batches."""

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from warm import PYTHON

from training.examples import ALL_AT_ONCE, CONFIG, make_data, make_model, weights
from vit_tutorial.training import History, fit
from vit_tutorial.training.distributed import World, current_world

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.distributed.is_available(), reason="this PyTorch has no torch.distributed"),
]
SINGLE = replace(CONFIG, batch_size=16)
CONFIGS = {
    "plain": replace(CONFIG, batch_size=18),
    "all at once": replace(ALL_AT_ONCE, batch_size=17),
    "one image left": replace(ALL_AT_ONCE, batch_size=47),  # for one process: the others have nothing
}

TOGETHER = """
import contextlib, io, runpy, signal, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training.examples import make_data, weights
from training.test_distributed import COMMAND, CONFIGS, SINGLE, double_model, single_model
from vit_tutorial import datasets
from vit_tutorial.training import TrainingError, checkpoint, fit
from vit_tutorial.training.distributed import joined

out = Path(sys.argv[2])
with joined(torch.device("cpu")) as world:
    model = single_model()
    history = fit(model, make_data(), SINGLE)
    history.to_json(out / f"single {world.rank}.json")
    torch.save(weights(model), out / f"single {world.rank}.pt")

    model, steps = single_model(), []
    def stop_the_second(module, args):
        steps.extend([1] * module.training)
        if world.rank == 1 and len(steps) == 5:
            signal.raise_signal(signal.SIGINT)
    model.register_forward_pre_hook(stop_the_second)
    write = checkpoint.write_file
    def write_slowly(path, content):
        time.sleep(0.5)
        write(path, content)
    checkpoint.write_file = write_slowly
    try:
        fit(model, make_data(), SINGLE, checkpoint=out / "stopped", checkpoint_seconds=3600)
    except KeyboardInterrupt:
        file = out / "stopped" / checkpoint.CHECKPOINT_NAME
        _, history, at = checkpoint._unpack(file, file.read_bytes())
        (out / f"stopped {world.rank}.txt").write_text(f"{len(steps)} steps, saved {history.epochs} {at.step}")
    checkpoint.write_file = write
    model = single_model()
    history = fit(model, make_data(), SINGLE, checkpoint=out / "stopped")
    history.to_json(out / f"resumed {world.rank}.json")
    torch.save(weights(model), out / f"resumed {world.rank}.pt")

    try:
        fit(model, make_data(), SINGLE, checkpoint=__file__)
    except TrainingError as error:
        (out / f"refused {world.rank}.txt").write_text(str(error))

    for name, config in CONFIGS.items():
        calls = []
        model = double_model()
        options = {"checkpoint": out / "run"} if name == "plain" else {}
        history = fit(model, make_data(), config, on_epoch=lambda history: calls.append(history.epochs), **options)
        content = {"weights": weights(model), "calls": calls, "history": vars(history)}
        torch.save(content, out / f"{name} {world.rank}.pt")
    datasets.load = lambda name, root=None: make_data()
    for one in ("first", "second"):
        sys.argv[1:] = [*COMMAND, "--out", str(out / "command")]
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            runpy.run_module("vit_tutorial.train", run_name="__main__", alter_sys=True)
        (out / f"{one} {world.rank}.txt").write_text(printed.getvalue())
"""
COMMAND = ["--device=cpu", "--epochs=2", "--batch-size=16", "--dim=16", "--depth=1", "--num-heads=2", "--patch-size=4"]


def double_model():
    """A model without chance of its own that computes in float64, whatever it is given."""
    model = make_model(dropout=0.0, drop_path=0.0).double()
    model.register_forward_pre_hook(lambda module, args: (args[0].double(),))
    return model


def single_model():
    """A model without chance of its own, in float32."""
    return make_model(dropout=0.0, drop_path=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What three processes wrote; 48 training images in batches of 18, 17 or 47 leave some with little or nothing.

    They train together several times by `fit`, and twice by the command line: one start of all three serves every test.
    """
    out = tmp_path_factory.mktemp("together")
    script = out / "together.py"
    script.write_text(TOGETHER)
    # It starts the three afresh, with `sys.executable`: sets are in another order in each.
    command = [PYTHON, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=3"]
    command += [str(script), str(Path(__file__).parents[1]), str(out)]
    paths = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.fixture(scope="module")
def together(folder):
    return {name: [torch.load(folder / f"{name} {rank}.pt") for rank in range(3)] for name in CONFIGS}


@pytest.mark.parametrize("name", CONFIGS)
def test_three_processes_train_the_model_of_one(together, name):
    alone = double_model()
    before = weights(alone)
    history = fit(alone, make_data(), CONFIGS[name])
    for one in together[name]:
        for key, value in weights(alone).items():
            torch.testing.assert_close(one["weights"][key], value, rtol=0, atol=1e-10)
        assert one["history"]["train_loss"] == pytest.approx(history.train_loss, abs=1e-6)
        assert one["history"]["validation_loss"] == pytest.approx(history.validation_loss, abs=1e-6)
        for key in ("train_accuracy", "validation_accuracy"):
            assert one["history"][key] == pytest.approx(getattr(history, key))
    moved = max((weights(alone)[key] - value).abs().max().item() for key, value in before.items())
    assert moved > 0.005  # so 1e-10 says something


@pytest.mark.parametrize("name", CONFIGS)
def test_all_processes_end_with_the_very_same_weights(together, name):
    first, *others = (one["weights"] for one in together[name])
    for other in others:
        assert all(torch.equal(first[key], other[key]) for key in first)


def key_rows(name, tensor):
    """Take apart a bias of queries, keys and values: give that of the keys, and the rest; of another tensor all."""
    if not name.endswith("attn.qkv.bias"):
        return tensor[:0], tensor
    query, key, value = tensor.chunk(3)
    return key, torch.cat([query, value])


def test_in_float32_only_the_bias_of_the_keys_is_another_and_it_changes_no_answer(folder):
    """The bias of the keys adds one number to all scores of a query, which softmax does not see.

    So its gradient is 0 but for rounding, and AdamW divides that noise by its own size: the bias takes a random walk,
    another one for another order of sums. All that the model computes stays as it is.
    """
    alone = single_model()
    fit(alone, make_data(), SINGLE)
    before, found, walked = single_model().state_dict(), torch.load(folder / "single 0.pt"), 0.0
    for name, tensor in alone.state_dict().items():
        (key, rest), (other_key, other_rest) = key_rows(name, tensor), key_rows(name, found[name])
        torch.testing.assert_close(rest, other_rest, rtol=0, atol=2e-6)
        if len(key):
            walked = max(walked, (key - other_key).abs().max().item())
            found[name] = torch.cat([other_rest[: len(key)], key, other_rest[len(key) :]])  # as in the other model
    assert walked > 1e-5
    together, swapped = single_model().eval(), single_model().eval()
    together.load_state_dict(torch.load(folder / "single 0.pt"))
    swapped.load_state_dict(found)
    images = make_data().test_images / 255
    torch.testing.assert_close(together(images), swapped(images), rtol=0, atol=1e-5)
    assert max((alone.state_dict()[name] - tensor).abs().max().item() for name, tensor in before.items()) > 0.005


def test_the_bias_of_the_keys_has_no_gradient_but_rounding():
    model = double_model()
    torch.nn.functional.cross_entropy(model(make_data().train_images / 255), make_data().train_labels).backward()
    for block in model.blocks:
        query, key, value = block.attn.qkv.bias.grad.chunk(3)
        assert key.abs().max() < 1e-12 * value.abs().max()
        assert query.abs().max() > 1e-6 * value.abs().max()


def test_a_signal_to_one_process_stops_all_after_the_same_step_and_saves(folder):
    said = [(folder / f"stopped {rank}.txt").read_text() for rank in range(3)]
    assert said == ["5 steps, saved 1 2"] * 3  # each ends when the main process has written, which may take long
    whole, *resumed = (
        torch.load(folder / f"{name}.pt") for name in ("single 0", "resumed 0", "resumed 1", "resumed 2")
    )
    for one in resumed:
        for name, tensor in whole.items():
            torch.testing.assert_close(key_rows(name, one[name])[1], key_rows(name, tensor)[1], rtol=0, atol=2e-6)


def test_the_epoch_in_which_all_were_stopped_counts_the_images_of_each_once(folder):
    whole = History.from_json(folder / "single 0.json")
    for rank in range(3):
        resumed = History.from_json(folder / f"resumed {rank}.json")
        assert resumed.train_loss == pytest.approx(whole.train_loss, abs=1e-5)
        assert resumed.train_accuracy == pytest.approx(whole.train_accuracy)


def test_trouble_of_the_main_process_is_told_in_all(folder):
    said = [(folder / f"refused {rank}.txt").read_text() for rank in range(3)]
    assert "together.py cannot be made (File exists); name a folder" in said[0]
    assert said[1:] == said[:1] * 2


def test_only_the_first_process_reports(together):
    assert [one["calls"] for one in together["plain"]] == [[1, 2, 3], [], []]
    assert {one["history"]["environment"]["processes"] for one in together["plain"]} == {3}


def test_the_command_line_runs_under_torchrun_and_goes_on_where_it_was_stopped(folder):
    printed, *others = ((folder / f"first {rank}.txt").read_text() for rank in range(3))
    assert others == ["", ""]
    assert printed.count("test accuracy") == 1
    assert "epoch 2/2" in printed
    history = json.loads((folder / "command" / "history.json").read_text())
    assert history["environment"]["processes"] == 3
    again, *others = ((folder / f"second {rank}.txt").read_text() for rank in range(3))
    assert others == ["", ""]
    assert "epoch" not in again  # a finished run is read, and not trained again
    assert again.splitlines()[-1] == printed.splitlines()[-1]


@pytest.mark.parametrize(("count", "size"), [(18, 3), (17, 3), (1, 2), (2, 3), (1024, 8), (7, 1), (5, 4)])
def test_the_shards_make_the_batch_and_split_no_pair(count, size):
    shards = [range(count)[World(rank, size).shard(count)] for rank in range(size)]
    assert [i for shard in shards for i in shard] == list(range(count))
    assert all(len(shard) == 0 or shard[0] % 2 == 0 for shard in shards)
    assert max(map(len, shards)) - min(map(len, shards)) <= 3


def test_without_torchrun_a_process_is_alone():
    world = current_world()
    assert (world.rank, world.size, world.is_main) == (0, 1, True)
    assert world.sum([1.0, 2], torch.device("cpu")) == [1.0, 2]
    assert world.broadcast("mine") == "mine"
