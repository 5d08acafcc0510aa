"""Gives the tests a short time limit, so that none waits long until it is over, and a progress file of their own."""

import threading
from pathlib import Path

import pytest

from vit_tutorial.exercises import engine


@pytest.fixture
def impatient(monkeypatch):
    """Stop answers that have computed for 0.3 s, or waited for one."""
    monkeypatch.setattr(engine, "SECONDS", 0.3)
    monkeypatch.setattr(engine, "WAIT", 1.0)


@pytest.fixture
def nearly_patient(monkeypatch):
    """Stop answers that have computed for 0.3 s, and let them wait for that, however busy the machine is."""
    monkeypatch.setattr(engine, "SECONDS", 0.3)
    monkeypatch.setattr(engine, "WAIT", 100.0)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The progress file, which is not there yet."""
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"


@pytest.fixture(autouse=True)
def nobody_computes_on():
    """No answer goes on computing when its test is over, which would slow down all tests after it; one may sleep."""
    yield
    assert not [thread for thread in threading.enumerate() if "(_work)" in thread.name and computes(thread)]


def computes(thread):
    """Whether the thread still computes after a while; a stop that is on its way may take a few seconds."""
    for _ in range(600):
        before = processor_seconds(thread)
        thread.join(0.05)
        if processor_seconds(thread) - before < 0.001:
            return False
    return True


def processor_seconds(thread):
    try:
        nanoseconds = Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]
    except OSError:  # it has ended; or this is no Linux
        return 0.0
    return float(nanoseconds) / 1e9
