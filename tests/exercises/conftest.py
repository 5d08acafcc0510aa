"""Gives the tests a short time limit, so that none waits long until it is over, and a progress file of their own."""

import pytest

from vit_tutorial.exercises import engine


@pytest.fixture
def impatient(monkeypatch):
    """Stop answers after 0.3 s."""
    monkeypatch.setattr(engine, "SECONDS", 0.3)


@pytest.fixture
def path(tmp_path, monkeypatch):
    """The progress file, which is not there yet."""
    monkeypatch.setenv("VIT_TUTORIAL_PROGRESS", str(tmp_path / "progress.json"))
    return tmp_path / "progress.json"
