"""Every notebook of the course in a real JupyterLab: opened as a learner meets it, solved, run from top to bottom."""

import re
from pathlib import Path

import nbformat
import pytest
from lab import copy_notebook
from solutions import check_answers, skip_training, solved

from vit_tutorial import explore

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
SECONDS = 480
EXPLORER = re.compile(rf"\b({'|'.join(explore.__all__)})\(")  # how their reprs begin


@pytest.fixture
def course(open_notebook, server):
    """`course(name)` opens a copy of a notebook that its reader has solved, and returns it with what was solved."""

    def opened(name):
        root = server.root
        path = root / copy_notebook(NOTEBOOKS / name, root)
        notebook = nbformat.read(path, as_version=4)
        names = solved(notebook)
        skip_training(notebook)  # pytest --nbval trains
        nbformat.write(notebook, path)
        return open_notebook(path.relative_to(root).as_posix()), names

    return opened


@pytest.mark.skipif(not NAMES, reason="notebooks/ holds no built notebook; run: make notebooks")
@pytest.mark.parametrize("name", NAMES)
def test_notebook_works_in_jupyterlab_and_its_solutions_pass(course, name):
    lab, names = course(name)
    lab.wait_for_pictures()
    broken = lab.page.evaluate(
        """() => Array.from(document.querySelectorAll(".jp-Notebook img"))
            .filter(image => image.naturalWidth === 0 || !image.alt.trim())
            .map(image => image.outerHTML.slice(0, 200))"""
    )
    assert broken == [], "a stored picture does not load or has no alt text"
    assert lab.broken_widgets() == []
    lab.run_all(SECONDS)
    lab.wait_for_pictures()
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    check_answers(lab.notebook(), names)
    results = [output["data"] for output in lab.outputs() if "data" in output]
    widgets = [data["text/plain"] for data in results if "application/vnd.jupyter.widget-view+json" in data]
    explorers = [name for text in widgets for name in EXPLORER.findall(text)]  # several may stand in one box
    drawn = lab.page.locator("canvas[role=application]").count()
    assert drawn == len(explorers), "each explorer draws its picture"
    assert lab.console_errors == []
    assert lab.foreign_requests == []
