"""Explorers on a page without a kernel: the place that holds one, the scripts that it needs, and a directive.

    ```{explorer} attention_lab
    ```

shows a saved explorer: the first one of this name in the order of the lessons, or, as `08_looking_inside/lens_lab_2`,
that of a lesson. Names are those of the folders in `vit_tutorial/explore/`, with a number from the second one on.
"""

from __future__ import annotations

import base64
import gzip
import importlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

HERE = Path(__file__).resolve().parent
NOTEBOOKS = HERE.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import states  # noqa: E402

STILL = "A still picture. With JavaScript, the explorer itself comes here."


@dataclass(frozen=True)
class Place:
    """Where a saved explorer, or a box of several, stands: its lesson, its name there, and its state."""

    lesson: str
    cell: str
    kept: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.lesson}/{self.kept['name']}"

    def needs(self) -> list[str]:
        """The names of the scripts that bring it to life, its own state first."""
        views = {f"views/{one['view']}": None for one in self.kept["explorers"]}
        arrays = {f"arrays/{digest}": None for digest in states.arrays_of(self.kept["explorers"])}
        return [f"states/{self.lesson}-{self.kept['name']}", *views, *arrays]

    def html(self, still: str) -> str:
        """The place with what stands there until the explorer lives."""
        still = still.replace(states.STILL, STILL)
        return f'<div class="vit-explorer" data-needs="{" ".join(self.needs())}">{still}</div>'


def places(notebooks: Path) -> Iterator[Place]:
    """Yield all saved explorers, in the order of the lessons."""
    for path in sorted((notebooks / "states").glob("*.json")):
        for cell, kept in states.read(path).items():
            yield Place(path.stem, cell, kept)


def still(notebooks: Path, place: Place) -> str:
    """Return what the notebook shows where no widget runs."""
    notebook = nbformat.read(notebooks / f"{place.lesson}.ipynb", as_version=4)
    (cell,) = (cell for cell in notebook.cells if cell.id == place.cell)
    return next(html for output in cell.outputs if (html := output.get("data", {}).get("text/html")))


def find(notebooks: Path, name: str) -> Place:
    """Return the first saved explorer of this name. Raises ValueError if there is none."""
    known = list(places(notebooks))
    for place in known:
        if name in (place.name, place.kept["name"]):
            return place
    raise ValueError(f"no lesson has saved an explorer {name}; there are {', '.join(place.name for place in known)}")


def write_scripts(notebooks: Path, folder: Path) -> None:
    """Write host.js, and for each explorer its state, its view and its arrays, as scripts that host.js loads."""

    def keep(name: str, value: Any) -> None:
        path = folder / f"{name}.js"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"vitExplorers.keep({json.dumps(name)}, {json.dumps(value)});\n", encoding="utf-8")

    for place in places(notebooks):
        explorers = [{"view": one["view"], "state": one["state"]} for one in place.kept["explorers"]]
        keep(place.needs()[0], {"explorers": explorers, "links": place.kept["links"]})
        for one in place.kept["explorers"]:
            module, _, name = one["class"].rpartition(".")
            explorer = getattr(importlib.import_module(module), name)
            keep(f"views/{one['view']}", str(explorer._esm))
            (folder / "explore.css").write_text(str(explorer._css), encoding="utf-8")
        for digest in states.arrays_of(place.kept["explorers"]):
            packed = gzip.compress(states.array(notebooks / "states", digest), mtime=0)
            keep(f"arrays/{digest}", base64.b64encode(packed).decode("ascii"))
    (folder / "host.js").write_bytes((HERE / "host.js").read_bytes())


class ExplorerDirective(SphinxDirective):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        try:
            place = find(NOTEBOOKS, self.arguments[0])
        except ValueError as error:
            raise self.error(str(error)) from None
        return [nodes.raw("", place.html(still(NOTEBOOKS, place)), format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_directive("explorer", ExplorerDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
