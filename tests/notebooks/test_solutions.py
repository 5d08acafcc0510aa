"""The solutions of every notebook pass its checks: shown by tests/browser where JupyterLab can be opened, else here."""

from pathlib import Path

import nbformat
import pytest
from browser.lab import why_no_browser
from solutions import check_answers, said_by_checks, skip_training, solved

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.mark.slow
@pytest.mark.skipif(why_no_browser() is None, reason="tests/browser/test_notebooks.py runs them in JupyterLab")
@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_with_its_solutions_runs_and_passes_every_check(build, path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    names = solved(notebook)
    skip_training(notebook)
    build.execute(notebook, NOTEBOOKS)  # raises if a cell does
    check_answers(notebook, names)


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


def test_a_verdict_that_is_wrong_or_missing_is_seen():
    right, wrong = (
        nbformat.v4.new_code_cell("check.f(f)", outputs=[nbformat.v4.new_output("stream", text=text)])
        for text in ("✓ f: right\n", "✗ g: wrong\n")
    )
    check_answers(nbformat.v4.new_notebook(cells=[right]), ["f"])
    for cells, names in ([[right], ["f", "g"]], [[right], []], [[right, wrong], ["f"]]):
        with pytest.raises(AssertionError):
            check_answers(nbformat.v4.new_notebook(cells=cells), names)


def test_what_goes_to_stderr_is_seen():
    warned = nbformat.v4.new_code_cell("1", outputs=[nbformat.v4.new_output("stream", name="stderr", text="Warning")])
    with pytest.raises(AssertionError, match="Warning"):
        check_answers(nbformat.v4.new_notebook(cells=[warned]), [])


@pytest.mark.parametrize("offer", ["TRAIN, runs = {}, writable('runs')", "TRAIN = {}"])
def test_training_is_skipped_where_a_lesson_offers_it(offer):
    others = ["if TRAIN: x = True", "UNTRAIN = True"]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code) for code in (offer.format(True), *others)]
    )
    skip_training(notebook)
    assert [cell.source for cell in notebook.cells] == [offer.format(False), *others]


def test_the_last_lesson_offers_to_skip_its_training():
    notebook = nbformat.read(max(NOTEBOOKS.glob("[0-9]*.ipynb")), as_version=4)
    before = [cell.source for cell in notebook.cells]
    skip_training(notebook)
    assert sum(cell.source != old for cell, old in zip(notebook.cells, before, strict=True)) == 1
