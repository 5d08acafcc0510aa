"""Gives the tests a short time limit, so that none waits long until it is over, and a progress file of their own."""

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
