"""Every notebook of the course in a real JupyterLab, as a learner meets it: open, run all, read."""

from pathlib import Path

import pytest
from lab import copy_notebook

from vit_tutorial import explore

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("[0-9]*.ipynb"))
ONLY_OPENED = "11_"  # it trains for minutes; pytest --nbval runs it
SECONDS = 480
EXPLORERS = tuple(f"{name}(" for name in explore.__all__)  # how their reprs begin


@pytest.fixture
def course(open_notebook, servers):
    """`course(name)` opens a copy of a notebook, with the data and the figures that it uses."""
    return lambda name: open_notebook(copy_notebook(NOTEBOOKS / name, servers("light").root))


@pytest.mark.skipif(not NAMES, reason="notebooks/ holds no built notebook; run: make notebooks")
@pytest.mark.parametrize("name", NAMES)
def test_notebook_works_in_jupyterlab(course, name):
    lab = course(name)
    lab.wait_for_pictures()
    broken = lab.page.evaluate(
        """() => Array.from(document.querySelectorAll(".jp-Notebook img"))
            .filter(image => image.naturalWidth === 0 || !image.alt.trim())
            .map(image => image.outerHTML.slice(0, 200))"""
    )
    assert broken == [], "a stored picture does not load or has no alt text"
    assert lab.broken_widgets() == []
    if not name.startswith(ONLY_OPENED):
        lab.run_all(SECONDS)
        lab.wait_for_pictures()
        assert lab.errors() == []
        assert lab.broken_widgets() == []
        results = [output["data"] for output in lab.outputs() if "data" in output]
        widgets = [data["text/plain"] for data in results if "application/vnd.jupyter.widget-view+json" in data]
        explorers = [text for text in widgets if text.startswith(EXPLORERS)]
        drawn = lab.page.locator("canvas[role=application]").count()
        assert drawn == len(explorers), "each explorer draws its picture"
    assert lab.console_errors == []
    assert lab.foreign_requests == []
