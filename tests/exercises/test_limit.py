"""A hang is stopped in a sentence, wherever it runs and whatever it catches; a slow answer in time passes."""

import contextlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch

from exercises.toys import doubled, in_time, loops, sleeps, toy
from vit_tutorial.exercises.engine import Property
from vit_tutorial.exercises.limit import OutOfTime, call_within


def counts(x):
    total = 0
    for i in range(10**12):
        total += i
    return total


def catches_exceptions(x):
    while True:
        with contextlib.suppress(Exception):
            time.sleep(0.001)


def catches_everything(x):
    while True:
        try:
            sum(range(100))
        except BaseException:
            continue


def many_threads(x):
    inner = threading.Thread(target=sleeps, args=(x,), daemon=True)
    inner.start()
    inner.join()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [loops, sleeps, counts, catches_exceptions, catches_everything, many_threads])
def test_a_hang_is_stopped_in_a_sentence(answer):
    verdict = in_time(toy(), answer)
    assert not verdict.passed
    said, place = str(verdict).split("\n")
    given = "a tensor of shape [2]: 0, 1"
    assert said == f"✗ double: your code was stopped after 0.3 s with {given}: is there a loop that never ends?"
    assert place.startswith("  in line ")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(("caught", "wait"), [((), 0.001), (Exception, 0.001), (BaseException, None)])
def test_a_stopped_answer_does_not_go_on_whatever_it_catches(caught, wait):
    turns = [0]

    def answer(x):
        while True:
            try:
                turns[0] += 1
                if wait:
                    time.sleep(wait)
            except caught:
                continue

    toy()(answer)
    before = turns[0]
    time.sleep(0.1)
    assert turns[0] == before > 0


@pytest.mark.usefixtures("impatient")
def test_a_hang_on_a_later_input_shows_that_input():
    def answer(x):
        while x.ndim == 2:
            pass
        return 2 * x

    assert "stopped after 0.3 s with a tensor of shape [2, 10]" in str(in_time(toy(), answer))


@pytest.mark.usefixtures("impatient")
def test_a_hang_behind_a_wrong_output_tells_the_wrong_output_first():
    def answer(x):
        while x.ndim == 2:
            pass
        return 3 * x

    assert "expected a tensor of shape [2]: 0, 2" in str(in_time(toy(), answer))


@pytest.mark.usefixtures("impatient")
def test_all_inputs_share_the_time():
    def answer(x):
        time.sleep(0.12)
        return 2 * x

    assert "was stopped after 0.3 s" in str(in_time(toy(), answer))


def test_a_slow_answer_in_time_passes():
    def answer(x):
        time.sleep(0.2)
        return 2 * x

    assert toy()(answer).passed


@pytest.mark.usefixtures("impatient")
def test_a_property_that_hangs_is_stopped():
    exercise = toy(properties=[Property(lambda answer: answer(torch.zeros(7)), "")])

    def answer(x):
        while len(x) == 7:
            pass
        return 2 * x

    assert "was stopped after 0.3 s" in str(in_time(exercise, answer))


@pytest.mark.usefixtures("impatient")
def test_a_check_works_in_another_thread():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.extend([toy()(doubled), toy()(loops)]))
    thread.start()
    thread.join()
    assert verdicts[0].passed
    assert "was stopped" in str(verdicts[1])


def test_a_call_gives_its_value_or_what_it_raised_or_is_out_of_time():
    assert call_within(1, lambda a, b: a + b, 1, 2) == (3, None)
    value, error = call_within(1, lambda: 1 / 0)
    assert value is None
    assert isinstance(error, ZeroDivisionError)
    with pytest.raises(OutOfTime, match=r"not finished after 0\.1 s"):
        call_within(0.1, loops, 1)
    with pytest.raises(OutOfTime):
        call_within(-1, loops, 1)


SCRIPT = """
import signal, threading, time
from vit_tutorial.exercises import check, engine

def state():
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)]
    return handlers, signal.getitimer(signal.ITIMER_REAL)

def loops(image_size, patch_size):
    while True: pass

def sleeps(image_size, patch_size):
    time.sleep(600)

before = state()
print(check.count_tokens(loops))
assert state() == before
time.sleep(0.3)
print("threads:", threading.active_count())

press_stop = lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
threading.Timer(0.3, press_stop).start()
engine.SECONDS = 60  # the button is pressed long before, however busy the machine is
try:
    print(check.count_tokens(loops))
except KeyboardInterrupt:
    print("interrupted")
assert state() == before
time.sleep(0.3)
print("threads:", threading.active_count())

engine.SECONDS = 0.3
print(check.count_tokens(sleeps))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no such signals to leave as they were")
def test_a_script_keeps_its_signal_handlers_and_its_stop_button_and_ends():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    stopped = "✗ count_tokens: your code was stopped after 1.5 s with 4; 2: is there a loop that never ends?"
    assert done.stderr == ""
    assert [re.sub(r"^  in line .*", "  in line", line) for line in done.stdout.splitlines()] == [
        stopped,
        "  in line",
        "threads: 1",
        "interrupted",
        "threads: 1",
        stopped.replace("1.5", "0.3"),
        "  in line",
    ]
    assert done.returncode == 0
