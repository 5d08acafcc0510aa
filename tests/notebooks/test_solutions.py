"""Every notebook runs with the solutions put in the place of the stubs, and then every check of it passes."""

import re
from pathlib import Path

import nbformat
import pytest

pytestmark = pytest.mark.slow

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
CHECK = re.compile(r"\bcheck\.(\w+)\(")
# What the lesson offers to those who have no time to train; the other way is gone when stored outputs are compared.
WITHOUT_TRAINING = {"11_train_on_a_gpu": ("TRAIN, live = True, ", "TRAIN, live = False, ")}


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


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_with_its_solutions_runs_and_passes_every_check(build, path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    names = solved(notebook)
    if path.stem in WITHOUT_TRAINING:
        with_training, without = WITHOUT_TRAINING[path.stem]
        (cell,) = [cell for cell in notebook.cells if cell.cell_type == "code" and with_training in cell.source]
        cell.source = cell.source.replace(with_training, without)
    build.execute(notebook, NOTEBOOKS)  # raises if a cell does
    said = said_by_checks(notebook)
    stderr = [
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert stderr == []
    assert [words for words in said.values() if re.search("^[✗…]", words, re.MULTILINE)] == []
    passed = set(re.findall(r"^✓ (\w+): right\b", "\n".join(said.values()), re.MULTILINE))
    assert passed == set(names)


STUB = nbformat.v4.new_code_cell("def f(x): ...\n\n\ncheck.f(f)", metadata={"tags": ["exercise"]})
SOLUTION = nbformat.v4.new_code_cell("def f(x):\n    return x\n\n\ncheck.f(f)", metadata={"tags": ["solution"]})


def test_the_solution_takes_the_place_of_the_stub():
    notebook = nbformat.v4.new_notebook(cells=[STUB.copy(), nbformat.v4.new_markdown_cell("The solution:"), SOLUTION])
    assert solved(notebook) == ["f"]
    compact = [line for line in notebook.cells[0].source.splitlines() if line]
    assert compact == ["def f(x):", "    return x", "check.f(f)"]


@pytest.mark.parametrize("cells", [[STUB], [STUB, STUB, SOLUTION]])
def test_an_exercise_without_a_solution_is_seen(cells):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.from_dict(cell | {"id": f"c{i}"}) for i, cell in enumerate(cells)]
    )
    with pytest.raises(AssertionError, match="solution"):
        solved(notebook)


def test_what_a_check_said_is_found_wherever_it_stands():
    cells = [
        nbformat.v4.new_code_cell("print(check.f(f))", outputs=[nbformat.v4.new_output("stream", text="✗ f: wrong\n")]),
        nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", text="✗ not a check\n")]),
        nbformat.v4.new_code_cell(
            "check.f(f)", outputs=[nbformat.v4.new_output("execute_result", data={"text/plain": "✓ f: right"})]
        ),
    ]
    assert said_by_checks(nbformat.v4.new_notebook(cells=cells)) == {1: "✗ f: wrong\n", 3: "✓ f: right"}
