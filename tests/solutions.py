"""A notebook with its solutions in the place of the stubs, and what its checks said."""

import re

from needed import needed

CHECK = re.compile(r"\bcheck\.(\w+)\(")
TRAIN = re.compile(r"^(TRAIN\b.*?= )True\b", re.MULTILINE)  # what the last lesson offers to those without time


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def solved(notebook):
    """Put the code of each solution into its exercise's cell, before the call of the check; return those checks."""
    called, stub = [], None
    for cell in notebook.cells:
        if has_tag(cell, "exercise"):
            assert stub is None, f"no solution follows the exercise {stub.source.splitlines()[0]}"
            stub = cell
        elif has_tag(cell, "solution"):
            lines = [line for line in stub.source.splitlines() if CHECK.match(line)]
            called += [CHECK.match(line)[1] for line in lines]
            code = [line for line in cell.source.splitlines() if not CHECK.match(line)]
            stub.source, stub = "\n".join([*code, *lines]), None
    assert stub is None, "the last exercise has no solution"
    return called


def said_by_checks(notebook):
    """Return what the cells said that call a check, as {cell number: words}."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    said = {}
    for number, cell in enumerate(cells, start=1):
        if CHECK.search(cell.source):
            parts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in cell.outputs]
            said[number] = "\n".join(parts)
    return said


def skip_training(notebook):
    """Say no in the cell, if there is one, that asks whether to train; with yes the stored outputs are compared."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = TRAIN.sub(r"\1False", cell.source)


def cells_to_run(notebook, shown):
    """The cells to run of a solved notebook, by number: its exercises, those with these ids, and what they need.

    The solutions' own cells stay as they are: their code stands in the exercises' cells.
    """
    read = [cell.cell_type == "code" and not has_tag(cell, "solution") for cell in notebook.cells]
    sources = [cell.source if is_read else "" for cell, is_read in zip(notebook.cells, read, strict=True)]
    wanted = [n for n, cell in enumerate(notebook.cells) if read[n] and (has_tag(cell, "exercise") or cell.id in shown)]
    return needed(sources, wanted)


def check_answers(notebook, names):
    """Raise unless a notebook that has run shows that these exercises are passed, no other verdict and no warning."""
    printed = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert [output.text for output in printed if output.get("name") == "stderr"] == []
    said = "\n".join(said_by_checks(notebook).values())
    assert re.findall("^[✗…].*", said, re.MULTILINE) == []
    assert set(re.findall(r"^✓ (\w+): right\b", said, re.MULTILINE)) == set(names)
