"""What explorers need in order to live without a kernel: saved while a lesson is executed, read by the web edition.

    notebooks/states/NN_name.json       a lesson: for each cell that shows explorers, their classes and their states
    notebooks/states/arrays/DIGEST.xz   an array of a state, once, however many explorers need it

A state is what the explorer in Python sends to its view, with bytes as {"base64": "..."}, or, where there are
many, as {"array": "DIGEST"}.
"""

from __future__ import annotations

import base64
import hashlib
import json
import lzma
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from vit_tutorial.support.files import write_file

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
OURS = "vit_tutorial.explore."
SMALL = 2_000  # bytes that stand in the state itself

# What a widget sends to JupyterLab and no view reads.
NOT_STATE = re.compile(r"_esm|_css|_(model|view|dom|anywidget).*|layout|tabbable|tooltip|comm")


# ---------------------------------------------------------------------------------------------- from an execution


class Saved:
    """The explorers of one executed lesson, and the arrays that their states name."""

    def __init__(self) -> None:
        self.cells: dict[str, dict[str, Any]] = {}
        self.arrays: dict[str, bytes] = {}

    def bytes(self, content: bytes) -> dict[str, str]:
        """The content as a state names it."""
        if len(content) <= SMALL:
            return {"base64": base64.b64encode(content).decode("ascii")}
        digest = hashlib.sha256(content).hexdigest()[:16]
        self.arrays[digest] = content
        return {"array": digest}


def save(notebook: NotebookNode) -> Saved:
    """Collect the explorers that an executed notebook shows, from the state of all widgets in its metadata.

    An output shows one explorer, or a box of several; links between the explorers of a box are kept.
    """
    saved, seen = Saved(), Counter()
    widgets = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    states = {model: widget["state"] for model, widget in widgets.items()}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = output.get("data", {}).get(WIDGET_VIEW, {}).get("model_id")
            models = [shown, *map(model_of, states.get(shown, {}).get("children", []))]
            models = [one for one in models if states.get(one, {}).get("_anywidget_id", "").startswith(OURS)]
            if not models:
                continue
            explorers = [explorer(saved, states[one], widgets[one].get("buffers", [])) for one in models]
            name = explorers[0]["view"]
            seen[name] += 1
            saved.cells[cell.id] = {
                "name": name if seen[name] == 1 else f"{name}_{seen[name]}",
                "picture": picture(output),
                "explorers": explorers,
                "links": list(links(models, states)),
            }
    return saved


def model_of(reference: str) -> str:
    return reference.removeprefix("IPY_MODEL_")


def explorer(saved: Saved, sent: Mapping[str, Any], buffers: list[Mapping]) -> dict[str, Any]:
    """Return one explorer: its class, the name of its view, and its state."""
    state = json.loads(json.dumps({name: value for name, value in sent.items() if not NOT_STATE.fullmatch(name)}))
    for buffer in buffers:
        if (path := buffer["path"])[0] in state:
            place = state
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = saved.bytes(base64.b64decode(buffer["data"]))
    name = sent["_anywidget_id"]
    return {"class": name, "view": name.split(".")[-3], "state": state}


def links(models: list[str], states: Mapping[str, dict]) -> Iterator[list]:
    """Yield [explorer, choice, explorer, choice] for each pair of choices that jslink has joined."""
    for state in states.values():
        if state.get("_model_name") == "LinkModel":
            (one, choice), (other, other_choice) = state["source"], state["target"]
            if model_of(one) in models and model_of(other) in models:
                yield [models.index(model_of(one)), choice, models.index(model_of(other)), other_choice]


def picture(output: Mapping[str, Any]) -> str:
    """Return a digest of what stands in the notebook where no widget runs; it comes from the same explorer."""
    data = output["data"]
    return hashlib.sha256("".join(data.get("text/html", data["text/plain"])).encode()).hexdigest()[:16]


# -------------------------------------------------------------------------------------------------------- on disk


def write(folder: Path, lesson: str, saved: Saved) -> None:
    """Put a lesson's explorers into the folder in place of its earlier ones; arrays that nothing names any more go."""
    arrays, path = folder / "arrays", folder / f"{lesson}.json"
    if saved.cells:
        for digest, content in saved.arrays.items():
            if not (place := arrays / f"{digest}.xz").exists():
                write_file(place, lzma.compress(content, preset=9))
        write_file(path, (json.dumps(saved.cells, indent=1, ensure_ascii=False) + "\n").encode())
    else:
        path.unlink(missing_ok=True)
    named = {digest for lesson in folder.glob("*.json") for digest in arrays_of(read(lesson))}
    for array in arrays.glob("*.xz"):
        if array.stem not in named:
            array.unlink()


def read(path: Path) -> dict[str, dict[str, Any]]:
    """Return the explorers of a lesson by the id of the cell that shows them; none, if there is no such file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def array(folder: Path, digest: str) -> bytes:
    """Return the content of an array that a state in this folder names. Raises ValueError if it is not there."""
    path = folder / "arrays" / f"{digest}.xz"
    if not path.exists():
        raise ValueError(f"an explorer needs the array {digest}, which is not there; take {path} from the repository")
    return lzma.decompress(path.read_bytes())


def arrays_of(value: Any) -> Iterator[str]:
    """Yield the digests of all arrays that a state, or several, name."""
    if isinstance(value, dict):
        if isinstance(value.get("array"), str) and len(value) == 1:
            yield value["array"]
        else:
            for inner in value.values():
                yield from arrays_of(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from arrays_of(inner)


def complaints(notebook: NotebookNode, saved: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one sentence for each explorer whose state is not that of the notebook's own execution."""
    pictures = {cell.id: {picture(output) for output in cell.outputs if "data" in output} for cell in code(notebook)}
    found = [
        f"the state of the explorer {kept['name']} belongs to another execution; build the notebook afresh"
        for cell, kept in saved.items()
        if kept["picture"] not in pictures.get(cell, ())
    ]
    found += [
        f"the explorer of the cell {cell.id} has no saved state; build the notebook afresh"
        for cell in code(notebook)
        if cell.id not in saved and any(STILL in output.get("data", {}).get("text/html", "") for output in cell.outputs)
    ]
    return found


STILL = "A still picture: run the cell to explore it."


def code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
