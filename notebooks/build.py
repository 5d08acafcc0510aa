"""Make the notebooks from their sources: `python notebooks/build.py [--check | --set-up] [NAME ...]`.

A lesson is written as text, notebooks/source/NN_name.py, in jupytext's percent format. Building executes it from
top to bottom, as a learner would, and writes notebooks/NN_name.ipynb with its outputs, and into notebooks/states/ what
its explorers need in order to live without a kernel. A notebook that fails, warns, shows a path of this machine or
grows too large is refused in a sentence, and the one on disk stays as it was.

`--check` executes nothing: it says whether sources and notebooks agree and the notebooks keep the rules.
`--set-up` executes nothing either: it gives notebooks that agree with their sources in all else today's cell of
source/set_up.py. Use it when the address of the course has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import jupytext
import nbformat
import states
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from vit_tutorial.support.files import write_file

HERE = Path(__file__).parent
SET_UP = "set_up.py"
SECONDS_PER_CELL = 400
LARGEST_NOTEBOOK = 2_000_000  # bytes

# The same on every machine, unlike what a kernel says of itself.
NOTEBOOK_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "nbconvert_exporter": "python",
        "pygments_lexer": "ipython3",
    },
}

# What an execution has no copy of; the last are files that another build is just writing.
IGNORED = shutil.ignore_patterns("runs", "source", "*.ipynb", ".*.tmp")
# Nothing of a learner's is read or written, and nobody watches.
ALONE = {"VIT_TUTORIAL_PROGRESS": "", "VIT_TUTORIAL_WORK": "", "VIT_TUTORIAL_UNWATCHED": "1"}

FIGURE = re.compile(r"!\[([^\]]*)\]\(figures/([^)\s]+)\)")
NO_FIGURES = re.compile(r"^FIGURES = \{\}", re.MULTILINE)
# Folded in Jupyter, in Colab and in Kaggle.
FOLDED = {"tags": ["set-up"], "jupyter": {"source_hidden": True}, "cellView": "form", "_kg_hide-input": True}

EMBEDDED_DATA = re.compile(r"data:[\w/+.-]+;base64,[\w/+=]+")
COURSE_FOLDER = re.escape(str(HERE.resolve().parent))
MACHINE_PATH = re.compile(
    rf"(?<![\w.~-])(/(home|root|work|tmp|Users|mnt|opt|var|usr)/|[A-Z]:\\Users\\|{COURSE_FOLDER}/)[^\s'\"<>)]*"
    r"|\bsite-packages\b\S*"
)
ADDRESS = re.compile(r"\bat 0x[0-9a-f]{6,}")


class BuildError(Exception):
    """Why a notebook is refused, as one sentence."""


# ------------------------------------------------------------------------------------------- from source to cells


def title(source: Path) -> str:
    """Return the words of the source's first heading."""
    found = re.search(r"^# # (.+)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise BuildError(f"{source.name} has no title: begin its first Markdown cell with '# # Title'")
    return found.group(1).strip()


def navigation(name: str, sources: list[Path]) -> str:
    """Return the line that leads to the lesson before and the lesson after, in the order of the file names."""
    names = [source.stem for source in sources]
    here = names.index(name)
    links = []
    if here > 0:
        links.append(f"[← {title(sources[here - 1])}]({names[here - 1]}.ipynb)")
    if here + 1 < len(names):
        links.append(f"[{title(sources[here + 1])} →]({names[here + 1]}.ipynb)")
    return " | ".join(links)


def set_up_cell(path: Path, cells: list[NotebookNode]) -> NotebookNode:
    """Return the cell that gets the course where it is not there; it knows the figures that the other cells show."""
    figures = {name: words for cell in cells for words, name in FIGURE.findall(cell.source)}
    code = path.read_text(encoding="utf-8").strip()
    if figures:
        lines = [
            f"    {json.dumps(name)}: {json.dumps(words, ensure_ascii=False)},\n" for name, words in figures.items()
        ]
        code = NO_FIGURES.sub(lambda _: f"FIGURES = {{\n{''.join(lines)}}}", code)
    return nbformat.v4.new_code_cell(code, metadata=FOLDED)


def read_source(source: Path, sources: list[Path]) -> NotebookNode:
    """Return the notebook as its source describes it: no outputs yet, with navigation and ids that stay the same.

    It begins with the cell of source/set_up.py, if there is one. The code of cells with the tag `extra` is folded;
    their text stays open, and says that it is an extra.
    """
    try:
        notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    except nbformat.ValidationError as error:
        raise BuildError(f"{source.name} does not describe a notebook: {error.message}") from None
    title(source)
    if links := navigation(source.stem, sources):
        ends = [nbformat.v4.new_markdown_cell(links, metadata={"tags": ["navigation"]}) for _ in range(2)]
        notebook.cells = [ends[0], *notebook.cells, ends[1]]
    if (set_up := source.with_name(SET_UP)).exists():
        notebook.cells.insert(0, set_up_cell(set_up, notebook.cells))
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
        for layout in ("lines_to_next_cell", "lines_to_end_of_cell_marker"):
            cell.metadata.pop(layout, None)
        if cell.cell_type == "code" and "extra" in cell.metadata.get("tags", []):
            cell.metadata["jupyter"] = {"source_hidden": True}  # not needed to go on, so it is folded
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


# ----------------------------------------------------------------------------------------------------- execution


def execute(notebook: NotebookNode, folder: Path) -> None:
    """Run every cell in a fresh kernel, in a copy of `folder` without a learner's runs; raise BuildError if one fails.

    The copy lies beside the folder, so that `../data` is what it is for a learner, and an earlier training is neither
    found nor overwritten; what the learner has passed so far is neither shown nor added to.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".build-") as copy:
        shutil.copytree(folder, copy, dirs_exist_ok=True, ignore=IGNORED)
        client = NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": copy}},
            record_timing=False,
            store_widget_state=True,
            coalesce_streams=True,
        )
        try:
            client.execute(env=os.environ | ALONE)
        except CellExecutionError as error:
            last = max(number for number, cell in numbered_code_cells(notebook) if has_error(cell))
            raise BuildError(f"code cell {last} fails with {error.ename}: {error.evalue}") from None
        except CellTimeoutError:
            raise BuildError(f"a cell ran for more than {SECONDS_PER_CELL} s") from None
        except DeadKernelError:
            raise BuildError("the kernel died, perhaps for want of memory") from None


def clean(notebook: NotebookNode) -> None:
    """Take out what only means something while the kernel lives: widget views, and the metadata of the run."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.get("data", {}).pop(states.WIDGET_VIEW, None)
                output.get("metadata", {}).pop(states.WIDGET_VIEW, None)
    notebook.metadata = nbformat.from_dict(NOTEBOOK_METADATA)


# --------------------------------------------------------------------------------------------------------- rules


def numbered_code_cells(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    return list(enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1))


def has_error(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.outputs)


def texts(output: NotebookNode) -> str:
    """Return all that an output says in words, without embedded pictures."""
    parts = [output.get("text", ""), *output.get("traceback", [])]
    parts += [value for mime, value in output.get("data", {}).items() if mime.startswith(("text/", "image/svg"))]
    return EMBEDDED_DATA.sub("", "\n".join(str(part) for part in parts))


def complaints(notebook: NotebookNode) -> list[str]:
    """Return one sentence for each rule that the executed notebook breaks."""
    found = []
    code_cells = numbered_code_cells(notebook)
    for number, cell in code_cells:
        where, tags = f"code cell {number}", cell.metadata.get("tags", [])
        folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
        if not cell.source.strip():
            found.append(f"{where} is empty")
        if cell.execution_count != number:
            found.append(f"{where} carries the execution count {cell.execution_count}; build the notebook afresh")
        if "solution" in tags and not folded:
            found.append(f'{where} is a solution that lies open: give it jupyter={{"source_hidden": true}}')
        if "exercise" in tags and folded:
            found.append(f"{where} is an exercise that is folded away")
        if has_error(cell) and "raises-exception" not in tags:
            found.append(f"{where} ends in an error")
        for output in cell.outputs:
            said = texts(output)
            if output.get("name") == "stderr":
                found.append(f"{where} writes to stderr: {said.strip().splitlines()[-1] if said.strip() else 'blanks'}")
            if path := MACHINE_PATH.search(said):
                found.append(f"{where} shows a path of this machine: {path.group()}")
            if address := ADDRESS.search(said):
                found.append(f"{where} shows an object's address, {address.group()}, which differs from run to run")
            if states.WIDGET_VIEW in output.get("data", {}):
                found.append(f"{where} holds a widget view, which is dead without its kernel")
    if notebook.metadata != NOTEBOOK_METADATA:
        found.append("the notebook's metadata are not the ones that a build writes")
    paths = (MACHINE_PATH.search(EMBEDDED_DATA.sub("", cell.source)) for cell in notebook.cells)
    found += [f"a cell's text names a path of this machine: {path.group()}" for path in paths if path]
    if (size := len(dump(notebook))) > LARGEST_NOTEBOOK:
        found.append(f"it is {size / 1e6:.1f} MB large, more than {LARGEST_NOTEBOOK / 1e6:.0f}; draw smaller pictures")
    return found


# ------------------------------------------------------------------------------------------------ build and check


def dump(notebook: NotebookNode) -> bytes:
    return (nbformat.writes(notebook, version=4) + "\n").encode()


def build(source: Path, sources: list[Path], folder: Path) -> str:
    """Execute one source and write its notebook; return what to tell, or raise BuildError and write nothing."""
    start = time.monotonic()
    notebook = read_source(source, sources)
    execute(notebook, folder)
    saved = states.save(notebook)
    clean(notebook)
    if found := complaints(notebook):
        raise BuildError("; ".join(found))
    content = dump(notebook)
    states.write(folder / "states", source.stem, saved)  # first: a notebook that is there has its states
    write_file(folder / f"{source.stem}.ipynb", content)
    cells = len(numbered_code_cells(notebook))
    return f"{cells} code cells, {time.monotonic() - start:.1f} s, {len(content) / 1000:.0f} kB"


def check(source: Path, sources: list[Path], folder: Path) -> str:
    """Compare one source with its notebook; return what to tell, or raise BuildError with all that is wrong."""
    path = folder / f"{source.stem}.ipynb"
    if not path.exists():
        raise BuildError(f"not built yet: make notebooks NAMES={source.stem}")
    content = path.read_bytes()
    wanted = read_source(source, sources)
    try:
        notebook = nbformat.reads(content.decode(), as_version=4)
    except (ValueError, nbformat.ValidationError):
        raise BuildError(f"is not a notebook any more: make notebooks NAMES={source.stem}") from None
    found = complaints(notebook) + states.complaints(notebook, states.read(folder / "states" / f"{source.stem}.json"))
    if [outline(cell) for cell in notebook.cells] != [outline(cell) for cell in wanted.cells]:
        found.insert(0, f"differs from its source: make notebooks NAMES={source.stem}")
    elif content != dump(nbformat.from_dict({**wanted, "cells": notebook.cells})):
        found.insert(0, f"was saved by another program: make notebooks NAMES={source.stem}")
    if found:
        raise BuildError("; ".join(found))
    return "agrees with its source"


def give_set_up(source: Path, sources: list[Path], folder: Path) -> str:
    """Give a notebook today's set-up cell, and leave all outputs as they are; raise BuildError if more has changed."""
    path = folder / f"{source.stem}.ipynb"
    if not path.exists():
        raise BuildError(f"not built yet: make notebooks NAMES={source.stem}")
    wanted, stored = read_source(source, sources), nbformat.read(path, as_version=4).cells
    executed = [cell for cell in stored if not is_set_up(cell)]
    others = [cell for cell in wanted.cells if not is_set_up(cell)]
    if [outline(cell) for cell in executed] != [outline(cell) for cell in others]:
        raise BuildError(f"differs from its source in more than its set-up: make notebooks NAMES={source.stem}")
    wanted.cells[len(wanted.cells) - len(others) :] = executed
    for number, cell in numbered_code_cells(wanted):
        cell.execution_count = number
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    write_file(path, dump(wanted))
    return "has its set-up"


def is_set_up(cell: NotebookNode) -> bool:
    return "set-up" in cell.metadata.get("tags", [])


def outline(cell: NotebookNode) -> tuple[str, str, str, dict]:
    """Return what a source determines of a cell."""
    return cell.get("id", ""), cell.cell_type, cell.source, cell.metadata


def main(arguments: list[str], folder: Path = HERE) -> int:
    parser = argparse.ArgumentParser(description="Execute the sources of the notebooks, or check the notebooks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="for example 01_patches; all, if none is given")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--check", action="store_true", help="execute nothing; only compare")
    instead.add_argument("--set-up", action="store_true", help="execute nothing; only change the first cell")
    options = parser.parse_args(arguments)

    sources = sorted((folder / "source").glob("[0-9][0-9]_*.py"))
    known = [source.stem for source in sources]
    names = [Path(name).stem for name in options.names] or known
    if unknown := [name for name in names if name not in known]:
        print(f"no source for {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 1

    do = check if options.check else give_set_up if options.set_up else build
    failed = False
    for source in (source for source in sources if source.stem in names):
        try:
            told = do(source, sources, folder)
        except BuildError as error:
            print(f"{source.stem}: refused: {error}", file=sys.stderr, flush=True)
            failed = True
        else:
            print(f"{source.stem}: {told}", flush=True)
    if options.check:
        for orphan in sorted(path.stem for path in folder.glob("*.ipynb") if path.stem not in known):
            print(f"{orphan}: refused: the notebook has no source", file=sys.stderr)
            failed = True
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
