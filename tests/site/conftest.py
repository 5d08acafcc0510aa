"""Gives the tests the modules of site/, which find each other as when site/build.py runs, and a lesson's headings."""

import sys
from pathlib import Path

import nbformat
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "site"))


@pytest.fixture(scope="session")
def headings():
    """Return a function that gives the headings of a notebook by their anchors, in its order."""
    from contents import HEADING, heading_anchor, words_of

    def read(path: Path) -> dict[str, str]:
        found: dict[str, str] = {}
        for heading in HEADING.findall(words_of(nbformat.read(path, as_version=4))):
            found[heading_anchor(heading, found)] = heading.strip()
        return found

    return read
