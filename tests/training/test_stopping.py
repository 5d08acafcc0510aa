"""The stop button and SIGTERM save first, and then do what they do without us."""

import os
import signal
import subprocess
import threading
from pathlib import Path

import pytest
import shapes
import torch
from warm import PYTHON

from training.examples import CONFIG, make_data, make_model, same, weights
from vit_tutorial.training import checkpoint, fit, stopping
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME, weights_after_an_epoch


class Terminated(Exception):
    pass


def raise_terminated(number, frame):
    raise Terminated


@pytest.fixture(autouse=True)
def handlers():
    """Nothing that a test does with signals outlives it, and SIGTERM raises Terminated."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGTERM, raise_terminated)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def stopped_by(number, at):
    """Give a model that sends the signal to this process in its step number `at`."""
    model, steps = make_model(), []

    def send(module, args):
        steps.extend([1] * module.training)
        if module.training and len(steps) == at:
            signal.raise_signal(number)

    model.register_forward_pre_hook(send)
    return model, steps


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
@pytest.mark.parametrize("at", [1, 2, 3, 5, 9])
def test_a_signal_ends_the_step_saves_and_stops(data, tmp_path, number, raised, at):
    whole = make_model()
    fit(whole, data, CONFIG)
    model, steps = stopped_by(number, at)
    with pytest.raises(raised) as stop:
        fit(model, data, CONFIG, checkpoint=tmp_path, checkpoint_seconds=3600)
    assert len(steps) == at
    if raised is KeyboardInterrupt:
        (words,) = stop.value._render_traceback_()  # all that a notebook shows
        assert words.startswith(f"stopped after epoch {(at - 1) // 3 + 1}, step {(at - 1) % 3 + 1}, and saved in")
        assert str(tmp_path) in words
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is raise_terminated
    resumed, again = make_model(seed=9), []
    resumed.register_forward_pre_hook(lambda module, args: again.extend([1] * module.training))
    fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert len(again) == 9 - at
    assert same(weights(resumed), weights(whole))


def test_a_signal_during_a_write_waits_for_its_end(data, tmp_path, monkeypatch):
    write, signalled = checkpoint.write_file, []

    def interrupted(path, content):
        if not signalled:
            signalled.append(1)
            signal.raise_signal(signal.SIGINT)
        write(path, content)

    monkeypatch.setattr(checkpoint, "write_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)  # the first write is that of the first epoch
    assert fit(make_model(), data, CONFIG, checkpoint=tmp_path).epochs == 3


def test_a_signal_after_the_last_step_is_not_lost(data, tmp_path):
    def press(history):
        if history.epochs == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path, on_epoch=press)
    assert weights_after_an_epoch(tmp_path)[0] == 3


@pytest.mark.parametrize("first", stopping.SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_ctrl_c_behind_a_signal_is_not_waited_for(data, tmp_path, first):
    model, steps = make_model(), []

    def press_twice(module, args):
        steps.append(1)
        signal.raise_signal(first)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise ZeroDivisionError

    model.register_forward_pre_hook(press_twice)
    with pytest.raises(ZeroDivisionError):
        fit(model, data, CONFIG, checkpoint=tmp_path)
    assert len(steps) == 1


@pytest.mark.parametrize(("later", "waited_for"), [(0.9, True), (1.1, False)])
def test_a_sigterm_right_behind_another_is_the_same_one(data, tmp_path, monkeypatch, later, waited_for):
    model, steps, now = make_model(), [], [50.0]

    def terminate_twice(module, args):
        steps.append(1)
        signal.raise_signal(signal.SIGTERM)
        now[0] += later
        signal.raise_signal(signal.SIGTERM)

    model.register_forward_pre_hook(terminate_twice)
    monkeypatch.setattr(stopping, "monotonic", lambda: now[0])
    with pytest.raises(Terminated):
        fit(model, data, CONFIG, checkpoint=tmp_path)
    assert len(steps) == 1
    assert (tmp_path / CHECKPOINT_NAME).exists() == waited_for
    assert signal.getsignal(signal.SIGTERM) is raise_terminated


def test_without_a_folder_a_signal_does_at_once_what_it_does(data):
    model, steps = stopped_by(signal.SIGINT, 2)
    after = []
    model.register_forward_hook(lambda module, args, logits: after.append(1))
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, CONFIG)
    assert (len(steps), len(after)) == (2, 1)


def test_a_handler_that_does_not_stop_lets_the_run_go_on(data, tmp_path):
    came = []
    signal.signal(signal.SIGTERM, lambda number, frame: came.append(number))
    model, _ = stopped_by(signal.SIGTERM, 2)
    assert fit(model, data, CONFIG, checkpoint=tmp_path).epochs == 3
    assert came == [signal.SIGTERM]


def test_a_signal_that_is_ignored_stays_ignored(data, tmp_path):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    model, steps = stopped_by(signal.SIGINT, 2)
    assert fit(model, data, CONFIG, checkpoint=tmp_path).epochs == 3
    assert len(steps) == 9


def test_a_run_in_another_thread_leaves_signals_alone(data, tmp_path):
    found = []
    model = make_model()
    model.register_forward_pre_hook(lambda module, args: found.append(signal.getsignal(signal.SIGTERM)))
    thread = threading.Thread(target=lambda: fit(model, data, CONFIG, checkpoint=tmp_path, progress=False))
    thread.start()
    thread.join()
    assert set(found) == {raise_terminated}
    assert weights_after_an_epoch(tmp_path)[0] == 3


TERMINATED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import torch
torch.set_num_threads(int(sys.argv[3]))
from training.examples import CONFIG, make_data, make_model
from vit_tutorial.training import fit
model = make_model()
steps = []
def send(module, args):
    steps.extend([1] * module.training)
    if len(steps) == 5:
        os.kill(os.getpid(), signal.SIGTERM)
model.register_forward_pre_hook(send)
fit(model, make_data(), CONFIG, checkpoint=sys.argv[2], checkpoint_seconds=3600)
"""


@shapes.not_while_checking
@pytest.mark.skipif(os.name != "posix", reason="SIGTERM is another thing on Windows")
def test_a_process_that_is_terminated_saves_and_is_terminated(tmp_path):
    command = [PYTHON, "-c", TERMINATED, str(Path(__file__).parents[1]), str(tmp_path)]
    command += [str(torch.get_num_threads())]  # sums of floats depend on it
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (-signal.SIGTERM, "")
    assert (tmp_path / CHECKPOINT_NAME).exists()
    whole, resumed, again = make_model(), make_model(seed=9), []
    fit(whole, make_data(), CONFIG)
    resumed.register_forward_pre_hook(lambda module, args: again.extend([1] * module.training))
    fit(resumed, make_data(), CONFIG, checkpoint=tmp_path)
    assert len(again) == 4
    assert same(weights(resumed), weights(whole))
