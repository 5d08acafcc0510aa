"""Gives the tests notebooks/build.py as a module, and a folder to build small notebooks in."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build():
    sys.path.insert(0, str(ROOT / "notebooks"))  # as when it runs as a program, for the file beside it
    spec = importlib.util.spec_from_file_location("notebook_build", ROOT / "notebooks" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def write_source(tmp_path):
    """Return a function that writes the source of a notebook: a title, then the given cells in percent format."""
    (tmp_path / "source").mkdir()

    def write(cells: str, name: str = "00_lesson", title: str = "A lesson") -> Path:
        path = tmp_path / "source" / f"{name}.py"
        path.write_text(f"# %% [markdown]\n# # {title}\n\n{cells}\n")
        return path

    return write
