"""Every notebook of the course in a real JupyterLab: opened as a learner meets it, solved, and run."""

import json
from pathlib import Path

import nbformat
import pytest
from lab import copy_notebook
from solutions import cells_to_run, check_answers, skip_training, solved

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
SECONDS = 480
WIDGET = "application/vnd.jupyter.widget-view+json"


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
    """What is stored is shown; explorers and solved exercises run, with what they need (`pytest --nbval` runs all)."""
    lab, names = course(name)
    lab.wait_for_pictures()
    broken = lab.page.evaluate(
        """() => Array.from(document.querySelectorAll(".jp-Notebook img"))
            .filter(image => image.naturalWidth === 0 || !image.alt.trim())
            .map(image => image.outerHTML.slice(0, 200))"""
    )
    assert broken == [], "a stored picture does not load or has no alt text"
    assert lab.broken_widgets() == []
    shown = json.loads((NOTEBOOKS / "states" / name).with_suffix(".json").read_text())  # the cells with explorers
    numbers = cells_to_run(lab.notebook(), shown)
    lab.run_cells(numbers, SECONDS)
    lab.wait_for_pictures()
    assert lab.errors() == []
    assert lab.broken_widgets() == []
    ran = nbformat.v4.new_notebook(cells=[lab.notebook().cells[number] for number in numbers])
    assert [cell.execution_count for cell in ran.cells] == list(range(1, len(numbers) + 1))
    check_answers(ran, names)
    assert {cell.id for cell in ran.cells for output in cell.outputs if WIDGET in output.get("data", {})} >= set(shown)
    drawn = lab.page.locator("canvas[role=application]").count()
    assert drawn == sum(len(cell["explorers"]) for cell in shown.values()), "each explorer draws its picture"
    assert lab.console_errors == []
    assert lab.foreign_requests == []
