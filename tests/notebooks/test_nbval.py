"""`pytest --nbval`, with the course's conftest.py, sees wrong outputs and hangs, and overlooks only what it should."""

import copy
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import torch
import zmq
from warm import PYTHON

from vit_tutorial.support.seeds import seeded

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def stored(source, tags=(), **output):
    """Return a code cell as if a build had stored this output; its execution count is set by the notebook."""
    outputs = []
    if "text" in output:
        outputs.append(nbformat.v4.new_output("stream", name="stdout", text=output["text"]))
    if "data" in output:
        outputs.append(nbformat.v4.new_output("display_data", data=output["data"]))
    return nbformat.v4.new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)})


TRAINED = ("trained-here",)
HTML = "from IPython.display import display\n\ndisplay({'text/plain': 'words', 'text/html': '<b>new</b>'}, raw=True)"

WRONG = {
    "wrong_number": stored("print(1)", text="2\n"),
    "silent_now": stored("x = 1", text="1\n"),
    "talks_now": stored("print(1)"),
    "stderr_now": stored("import sys\n\nprint('careful', file=sys.stderr)"),
    "other_words": stored(HTML, data={"text/plain": "sentence", "text/html": "<b>new</b>"}),
    "other_shape": stored("print('shape 3, 4')", text="shape 3, 5\n"),
    "no_rounding": stored("print('largest difference 2e-13')", text="largest difference 9e-17\n"),
    "other_verdict": stored("print('TRUE +1.5 points')", TRAINED, text="NOT SHOWN +1.5 points\n"),
    "one_number_less": stored("print('right 81.0% 79.5%')", TRAINED, text="right 81.2%\n"),
}
TRANSPORT = "from ipykernel.kernelapp import IPKernelApp\n\nprint(IPKernelApp.instance().transport)"
RIGHT = {
    "the_same": stored("print(1)", text="1\n"),
    "silent": stored("x = 2"),
    "no_ports": stored(TRANSPORT, text="ipc\n" if zmq.has("ipc") else "tcp\n"),  # another process may take a port first
    "other_html": stored(HTML, data={"text/plain": "words", "text/html": "<b>old</b>"}),
    "other_seconds": stored("print('took 3.25 s, 1,200 images/s')", text="took 12 s, 80 images/s\n"),
    "rounding": stored("print('largest difference 2e-16')", text="largest difference 9e-17\n"),
    "no_difference": stored("print('largest difference 1e-16')", text="largest difference 0e+00\n"),
    "trained_here": stored("print('TRUE   -9.5 points, 1,020 of   7')", TRAINED, text="TRUE +10.0 points, 998 of 12\n"),
}
NOTEBOOKS = {
    "wrong": list(WRONG.values()),
    "right": list(RIGHT.values()),
    "hangs": [stored("while True:\n    pass"), stored("print(1)", text="1\n"), stored("1 / 0")],
}
SLOW = {"slow": [stored("import time\n\ntime.sleep(0.6)"), stored("x = 1")]}


def start_notebooks(folder, notebooks, *options):
    """Start a run of notebooks, {name: cells}, as `make test` does it."""
    (folder / "notebooks").mkdir()
    (folder / "tests" / "notebooks").mkdir(parents=True)
    for name in ("conftest.py", "pyproject.toml", "tests/notebooks/sanitize.cfg"):
        shutil.copy(ROOT / name, folder / name)
    for name, cells in notebooks.items():
        for number, cell in enumerate(cells, start=1):
            cell.execution_count = number
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")
    command = [PYTHON, "-m", "pytest", "--nbval", "notebooks", "-rA", "--color=no", "-n0", *options]
    environment = os.environ | {"PYTEST_ADDOPTS": ""}  # what somebody adds to the run outside is not for the one inside
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture(scope="module")
def reports(tmp_path_factory):
    """What pytest said of the notebooks, and of the slow one when it may take half a second; both run at once."""
    runs = [
        start_notebooks(tmp_path_factory.mktemp("course"), NOTEBOOKS, "--nbval-cell-timeout=3"),
        start_notebooks(tmp_path_factory.mktemp("course"), SLOW, "-o", "notebook_seconds=0.5"),
    ]
    said = [run.communicate()[0] for run in runs]
    return [(run.returncode, words) for run, words in zip(runs, said, strict=True)]


def test_the_cells_of_a_notebook_stay_together_in_two_processes(tmp_path):
    """Only -n 2 is given: each cell needs the one before it, and finds it in its own kernel alone."""
    cells = [stored("x = 0"), *(stored("x = x + 1\nprint(x)", text=f"{i}\n") for i in range(1, 6))]
    run = start_notebooks(tmp_path, {name: copy.deepcopy(cells) for name in ("one", "two")}, "-n2")
    said = run.communicate()[0]
    assert run.returncode == 0, said
    assert said.splitlines()[-1].strip("= ").startswith("12 passed")


@pytest.fixture(scope="module")
def report(reports):
    return reports[0]


def outcome(report, name, cell):
    lines = [line for line in report[1].splitlines() if line.endswith(f"{name}.ipynb::Cell {cell}")]
    lines += [line for line in report[1].splitlines() if f"{name}.ipynb::Cell {cell} - " in line]
    return {line.split()[0] for line in lines}


@pytest.mark.parametrize("name", RIGHT)
def test_what_should_pass_passes(report, name):
    assert outcome(report, "right", list(RIGHT).index(name)) == {"PASSED"}


@pytest.mark.parametrize("name", WRONG)
def test_a_different_output_fails(report, name):
    assert outcome(report, "wrong", list(WRONG).index(name)) == {"FAILED"}


def test_a_hang_fails_and_so_do_the_cells_after_it(report):
    assert outcome(report, "hangs", 0) == {"FAILED"}
    assert outcome(report, "hangs", 1) == outcome(report, "hangs", 2) == {"ERROR"}
    assert "an earlier cell of this notebook ran out of time" in report[1]


def test_nothing_is_counted_as_an_expected_failure(report):
    status, said = report
    assert status == 1
    assert "xfail" not in said.lower()
    assert said.splitlines()[-1].strip("= ").startswith(f"{len(WRONG) + 1} failed, {len(RIGHT)} passed, 2 errors")


def test_a_notebook_that_takes_too_long_fails(reports):
    report = reports[1]
    assert outcome(report, "slow", 0) == {"PASSED"}
    assert outcome(report, "slow", 1) == {"ERROR"}
    assert "more than the 0.5 s it may take" in report[1]


def test_other_seeds_reach_cells_modules_and_generators(monkeypatch):
    spec = importlib.util.spec_from_file_location("rules", ROOT / "conftest.py")
    rules = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rules)
    cells = ["import torch", "torch.manual_seed(3)\na = torch.rand(2)", "g = torch.Generator().manual_seed(3)"]
    monkeypatch.setattr(torch, "manual_seed", torch.manual_seed)  # and put back
    names = {}
    for number, cell in enumerate(cells):
        exec(rules.with_other_seeds(cell, number == 0, 1000), names)
    with seeded(4):
        module = torch.rand(2)
    for seed, found in ((1003, names["a"]), (1004, module)):
        assert torch.equal(torch.rand(2, generator=torch.Generator().manual_seed(seed)), found)
    assert names["g"].initial_seed() == 1003
