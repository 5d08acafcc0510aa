"""A hang is stopped in a sentence, wherever it runs and whatever it catches; a slow answer in time passes."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
import torch
from warm import PYTHON

from exercises.toys import compute_for, doubled, in_time, loops, sleeps, toy
from vit_tutorial.exercises import limit
from vit_tutorial.exercises.engine import Property
from vit_tutorial.exercises.limit import Budget, OutOfTime, call_within


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


@pytest.mark.usefixtures("nearly_patient")
@pytest.mark.parametrize("answer", [loops, counts, catches_everything])
def test_a_loop_without_an_end_is_stopped_in_a_sentence(answer):
    verdict = in_time(toy(), answer)
    assert not verdict.passed
    said, place = str(verdict).split("\n")
    given = "with x = a tensor of shape [2]: 0, 1"
    assert said == f"✗ double: your code was stopped after 0.3 s of computing {given}: is there a loop that never ends?"
    assert place.startswith("  in       line ")


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("answer", [sleeps, catches_exceptions, many_threads])
def test_an_answer_that_waits_for_ever_is_stopped_in_a_sentence(answer):
    verdict = in_time(toy(), answer)
    assert not verdict.passed
    said, place = str(verdict).split("\n")
    given = "with x = a tensor of shape [2]: 0, 1"
    assert said.startswith(f"✗ double: your code was stopped after 1 s {given}: does it wait for something, or is the")
    assert place.startswith("  in       line ")


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


@pytest.mark.usefixtures("nearly_patient")
def test_an_answer_that_catches_more_stops_than_are_waited_for_ends_too(monkeypatch):
    monkeypatch.setattr(limit, "PATIENCE", 0.0)
    threads, caught = [], []

    def answer(x):
        threads.append(threading.current_thread())
        while len(caught) < 5:
            try:
                loops(x)
            except BaseException as stop:
                caught.append(stop)

    assert not in_time(toy(), answer).passed
    threads[0].join(30)
    assert not threads[0].is_alive()


class StruckTwice(limit._Running):
    """A call that meets a second _Stop where what it raised is kept."""

    error = property(lambda self: None, lambda self, error: self.strike(error))

    def strike(self, error):
        if error is not None:
            raise limit._Stop


def test_a_second_stop_does_not_keep_a_call_from_saying_that_it_is_over():
    is_begun = threading.Event()
    running = StruckTwice(lambda: (is_begun.set(), loops(0)), ())
    assert is_begun.wait(30)
    limit._raise_in(running.thread, limit._Stop)
    assert running.wait(30)
    assert running._send_stop()


@pytest.mark.parametrize("is_begun", [True, False])
def test_a_thread_that_has_ended_or_was_not_begun_is_sent_no_stop(is_begun, monkeypatch):
    """Its number may be that of another thread by now, in which the next answer is tried."""
    monkeypatch.setattr(limit._Running, "_leave", lambda running, began: None)  # as if stopped on its way out
    running, sent = limit._Running(int, ()), []
    if not is_begun:
        running.thread = threading.Thread()
    else:
        running.thread.join(30)
    monkeypatch.setattr(limit, "_raise_in", lambda *one: sent.append(one))
    assert running._send_stop()
    assert not sent


def test_one_that_computes_on_is_stopped_more_often_than_one_that_waits(monkeypatch):
    """Of many stops it will not catch one, and then it is over; who sleeps cannot hear them anyway."""
    sent = []
    monkeypatch.setattr(limit, "PATIENCE", 0.0)
    monkeypatch.setattr(limit, "_raise_in", lambda thread, error: sent.append((thread, error)))

    def stops(call):
        def answer():
            threads.append(threading.current_thread())
            call(0.5)

        threads = []
        with pytest.raises(OutOfTime):
            call_within(Budget(0.0, 100.0), answer)
        threads[0].join(30)
        return sent.count((threads[0], limit._Stop))

    waiting = stops(time.sleep)
    assert 2 <= waiting <= 0.5 / limit.LOOK_AFTER + 3
    assert stops(compute_for) > waiting


@pytest.mark.usefixtures("nearly_patient")
def test_a_hang_on_a_later_input_shows_that_input():
    def answer(x):
        while x.ndim == 2:
            pass
        return 2 * x

    assert "stopped after 0.3 s of computing with x = a tensor of shape [2, 10]" in str(in_time(toy(), answer))


@pytest.mark.usefixtures("nearly_patient")
def test_a_hang_behind_a_wrong_output_tells_the_wrong_output_first():
    def answer(x):
        while x.ndim == 2:
            pass
        return 3 * x

    assert "expected a tensor of shape [2]: 0, [2]" in str(in_time(toy(), answer))


@pytest.mark.usefixtures("nearly_patient")
def test_all_inputs_share_the_time():
    def answer(x):
        compute_for(0.12)
        return 2 * x

    assert "was stopped after 0.3 s" in str(in_time(toy(), answer))


@pytest.mark.usefixtures("nearly_patient")
def test_a_right_answer_passes_however_long_the_machine_lets_it_wait():
    def answer(x):
        time.sleep(0.4)  # longer than it may compute
        return 2 * x

    assert toy()(answer).passed


@pytest.mark.usefixtures("nearly_patient")
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
    assert call_within(Budget(1, 60), lambda a, b: a + b, 1, 2) == (3, None)
    value, error = call_within(Budget(1, 60), lambda: 1 / 0)
    assert value is None
    assert isinstance(error, ZeroDivisionError)
    for budget, call, waited in ((Budget(0.1, 60), loops, False), (Budget(60, 0.1), sleeps, True)):
        with pytest.raises(OutOfTime) as late:
            call_within(budget, call, 1)
        assert late.value.waited is waited
    with pytest.raises(OutOfTime):
        call_within(Budget(-1, 60), loops, 1)


def test_what_a_call_has_computed_is_taken_from_the_budget_and_what_others_compute_is_not():
    budget = Budget(60, 60)
    call_within(budget, compute_for, 0.2)
    assert 0.2 <= 60 - budget.computing < 1
    stop = threading.Event()
    busy = threading.Thread(target=lambda: [compute_for(0.01) for _ in iter(stop.is_set, True)])
    busy.start()
    before = budget.computing
    call_within(budget, time.sleep, 0.3)
    stop.set()
    busy.join()
    assert before - budget.computing < 0.15


class MeetsItWhereNothingCanBeRaised:
    def __del__(self):
        until = time.monotonic() + 1
        while time.monotonic() < until:
            pass


LEAKS = """
import sys, time
from vit_tutorial.exercises import engine, limit
from exercises.toys import compute_for, loops, toy
from exercises.test_limit import MeetsItWhereNothingCanBeRaised

usual = sys.getswitchinterval(), limit.LOOK_AFTER
sys.setswitchinterval(0.00005)  # so that a look comes when it is due, and not when the answer lets go of Python's lock
limit.LOOK_AFTER = 0.0005
faults = []
for tried in range(300):  # the last look and the end come close to each other
    seconds = 0.002 + 0.00001 * (tried % 60)
    faults.append(engine.attempt(compute_for, (seconds,), engine.Budget(0.002, 60)).fault)
late = sum(isinstance(fault, limit.OutOfTime) for fault in faults)
print(0 < late < 300, late + faults.count(None))
sys.setswitchinterval(usual[0])
limit.LOOK_AFTER = usual[1]

def answer(x):
    while True:
        MeetsItWhereNothingCanBeRaised()

engine.SECONDS = 0.1
for wrong in (answer, loops) * 2:
    print(toy()(wrong).passed)
time.sleep(0.5)
"""


def test_what_stops_an_answer_is_never_seen():
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
    done = subprocess.run([PYTHON, "-c", LEAKS], capture_output=True, text=True, timeout=300, env=environment)
    assert done.stderr == ""
    assert done.stdout == "True 300\n" + "False\n" * 4


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

engine.SECONDS = 0.3
before = state()
print(check.count_tokens(loops))
assert state() == before
time.sleep(0.3)
print("threads:", threading.active_count())

press_stop = lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
engine.SECONDS = engine.LOOKING = 60  # the button is pressed long before, however busy the machine is

class Endless(list):
    def __len__(self):
        while True: pass

for answer in (loops, lambda image_size, patch_size: Endless()):
    threading.Timer(0.3, press_stop).start()
    try:
        print(check.count_tokens(answer))
    except KeyboardInterrupt:
        print("interrupted")
    assert state() == before
    time.sleep(0.3)
    print("threads:", threading.active_count())

engine.SECONDS, engine.WAIT = 60, 0.3
print(check.count_tokens(sleeps))
"""


def test_a_call_that_waits_for_another_call_is_stopped_with_it():
    inner = []

    def outer():
        inner.append(threading.current_thread())
        call_within(Budget(100.0, 100.0), lambda: (inner.append(threading.current_thread()), loops(0)))

    with pytest.raises(OutOfTime):
        call_within(Budget(100.0, 0.5), outer)
    for thread in inner:
        thread.join(10)
    assert [thread.is_alive() for thread in inner] == [False, False]


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="Windows has no such signals to leave as they were")
def test_a_script_keeps_its_signal_handlers_and_its_stop_button_and_ends():
    done = subprocess.run([PYTHON, "-c", SCRIPT], capture_output=True, text=True, timeout=300)
    given = "with image_size = 4, patch_size = 2"
    looped = f"✗ count_tokens: your code was stopped after 0.3 s of computing {given}: is there a loop that never ends?"
    waited = (
        f"✗ count_tokens: your code was stopped after 0.3 s {given}: does it wait for something, or is the machine "
    )
    assert done.stderr == ""
    assert [re.sub(r"^  in +line .*", "  in line", line) for line in done.stdout.splitlines()] == [
        looped,
        "  in line",
        "threads: 1",
        *("interrupted", "threads: 1") * 2,
        f"{waited}very busy?",
        "  in line",
    ]
    assert done.returncode == 0
