"""Step `lesson`: lesson 11 executed from top to bottom, as a notebook where nbclient is there, else as a script.

The executed copy is written after every cell, so what has run by the end of the time is there with its outputs. What
the lesson has trained comes back too: its weights, and the history in its checkpoint.
"""

import ast
import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import time
import traceback
from pathlib import Path

from gpu.journal import Journal

LESSON = Path(__file__).resolve().parents[3] / "notebooks" / "11_train_on_a_gpu.ipynb"
NEEDED = ("anywidget", "ipywidgets", "matplotlib", "skimage")
FOR_A_NOTEBOOK = ("nbclient", "nbformat", "ipykernel")


def run(settings: dict, journal: Journal) -> None:
    """Execute the lesson; raise ImportError if a package is missing without which none of it runs."""
    notebook = Path(settings["notebook"] or LESSON)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"the lesson imports {', '.join(missing)}; put their wheels on PYTHONPATH")
    if settings["data_root"]:
        os.environ["VIT_TUTORIAL_DATA"] = str(Path(settings["data_root"]).resolve())
    execute = as_notebook if all(map(importlib.util.find_spec, FOR_A_NOTEBOOK)) else as_script
    journal.write(executed=execute.__name__.replace("_", " "), cells_done=0, errors=[])
    with tempfile.TemporaryDirectory() as folder:  # where the lesson keeps its checkpoints
        try:
            execute(notebook, Path(settings["out"]) / f"{notebook.stem}.executed.ipynb", Path(folder), journal)
        finally:
            keep_what_was_trained(Path(folder) / "runs", Path(settings["out"]), journal)


def keep_what_was_trained(runs: Path, out: Path, journal: Journal) -> None:
    """Write down the history of the lesson's training, as far as it came, and its weights if it came to the end."""
    from gpu.weights import write_pieces

    from vit_tutorial import load_model
    from vit_tutorial.training.checkpoint import CHECKPOINT_NAME, _unpack

    if (file := runs / "lesson11" / CHECKPOINT_NAME).exists():
        journal.write(history=vars(_unpack(file, file.read_bytes())[1]))
    if (file := runs / "my_vit.safetensors").exists():
        journal.write(weights=write_pieces(load_model(file), out, "lesson"))


def note(journal: Journal, source: str, seconds: float, problem: str | None) -> None:
    """Write down that a cell is done; the slow ones by name."""
    journal.found["cells_done"] += 1
    if seconds > 2:
        journal.found.setdefault("slow", []).append([source.strip().splitlines()[0][:80], round(seconds, 1)])
    if problem:
        journal.found["errors"].append(problem[-1500:])
    journal.save()


def as_notebook(source: Path, target: Path, folder: Path, journal: Journal) -> None:
    """Let a kernel execute the notebook; a cell that fails does not stop the others."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError

    notebook = nbformat.read(source, as_version=4)
    journal.write(cells=sum(cell.cell_type == "code" for cell in notebook.cells))
    started = [0.0]

    def begin(cell, cell_index: int) -> None:
        started[0] = time.perf_counter()
        client.timeout = max(1, int(journal.left))

    def done(cell, cell_index: int, execute_reply) -> None:
        if cell.cell_type == "code":
            problems = ["\n".join(out.traceback) for out in cell.outputs if out.output_type == "error"]
            note(journal, cell.source, time.perf_counter() - started[0], "\n".join(problems) or None)
            nbformat.write(notebook, target)

    client = NotebookClient(
        notebook,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
        on_cell_start=begin,
        on_cell_executed=done,
    )
    try:
        client.execute()
    except CellTimeoutError:
        journal.check_time(float("inf"))
    finally:
        nbformat.write(notebook, target)


def as_script(source: Path, target: Path, folder: Path, journal: Journal) -> None:
    """Execute the cells one after the other in this process, and keep what they print as their outputs."""
    notebook = json.loads(source.read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    journal.write(cells=len(cells))
    names: dict = {"__name__": "__main__"}
    here = Path.cwd()
    os.chdir(folder)
    try:
        for number, cell in enumerate(cells, start=1):
            journal.check_time(1.0)
            text = "".join(cell["source"])
            started, printed, problem = time.perf_counter(), io.StringIO(), None
            with contextlib.redirect_stdout(printed):
                try:
                    execute_cell(text, names, f"cell {number}")
                except Exception:
                    problem = traceback.format_exc()
                    printed.write(problem)
            cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": printed.getvalue()}]
            cell["execution_count"] = number
            note(journal, text, time.perf_counter() - started, problem)
            target.write_text(json.dumps(notebook, indent=1), encoding="utf-8")
            print(printed.getvalue(), end="", file=sys.stdout)
    finally:
        os.chdir(here)


def execute_cell(text: str, names: dict, name: str) -> None:
    """Run the text of a cell, and print the value of its last line, if it has one."""
    tree = ast.parse(text)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), names)
    if last is not None and (value := eval(compile(ast.Expression(last.value), name, "eval"), names)) is not None:
        print(repr(value))
