"""The cells that a cell depends on are found in the code, and no cell that matters is left out."""

from pathlib import Path

import nbformat
import pytest
from needed import needed
from solutions import cells_to_run, has_tag, skip_training, solved

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run_before(*sources):
    """The cells, counted from 0, that run before the last one when it is the only one that is wanted."""
    *before, last = needed(sources, {len(sources) - 1})
    assert last == len(sources) - 1
    return before


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("x = 1", "y = 2", "x"), [0]),
        (("x = 1", "x = 2", "x"), [1]),
        (("x = 1", "y = x", "z = 3", "y"), [0, 1]),
        (("import math", "import torch", "math.pi"), [0]),
        (("from torch import nn as layers, optim", "layers"), [0]),
        (("(a, *b), c = (1, 2), 3", "b"), [0]),
        (("x: int = 1", "x"), [0]),
        (("if (n := 3) > 2: pass", "n"), [0]),
        (("for i in range(3): pass", "i"), [0]),
        (("with open('f') as f: pass", "f"), [0]),
        (("x = 1", "if c: x = 2", "x"), [0, 1]),
        (("x = 1", "while c: x = 2", "x"), [0, 1]),
        (("x = 1", "try: x = 2\nexcept E: pass", "x"), [0, 1]),
        (("x = 1", "for x in (): pass", "x"), [0, 1]),
        (("x = 1", "x += 1", "x"), [0, 1]),
        (("sum = 1", "sum"), [0]),
        (("x = 1", "f'{x:.1f}'"), [0]),
        (("k = 1", "[k for k in range(3)]"), []),
        (("k = [1]", "[k for k in k]"), [0]),
        (("k, n = 1, 2", "n = 3", "[k for i in range(n)]"), [0, 1]),
        (("k = 1", "{k: 1 for i in (1, 2)}"), [0]),
        (("i = 1", "for i in range(3): print(i)"), []),
        (("x = 1", "x = 2\nx"), []),
        (("x = 1", "if c:\n    x = 2\nx"), [0]),
        (("x = 1", "f = lambda x: x"), []),
        (("x = 1", "f = lambda y=x: y"), [0]),
        (("x = 1", "lambda: x"), [0]),
    ],
)
def test_a_cell_needs_the_ones_that_bind_what_it_reads(cells, expected):
    assert run_before(*cells) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("x = 1", "def f(): return x", "x = 2", "f()"), [0, 1, 2]),
        (("def f(): return x", "x = 2", "f()"), [0, 1]),
        (("def f(): return g()", "def g(): return x", "x = 2", "y = 3", "f()"), [0, 1, 2]),
        (("x = 1", "def f(x): return x", "f(3)"), [1]),
        (("x = 1", "def f():\n    x = 2\n    return x", "f()"), [1]),
        (("x = 1", "def f(y=x): return y", "f()"), [0, 1]),
        (("def wrap(f): return f", "@wrap\ndef f(): pass", "f()"), [0, 1]),
        (("Base = object", "class A(Base): pass", "A()"), [0, 1]),
        (("x = 1", "class A:\n    def go(self): return x", "x = 2", "A().go()"), [0, 1, 2]),
        (("x = 1", "class A:\n    y = x", "A.y"), [0, 1]),
        (("def f():\n    global n\n    n = 1", "f()", "n"), [0, 1]),
    ],
)
def test_who_reads_a_function_reads_what_it_reads(cells, expected):
    assert run_before(*cells) == expected


@pytest.mark.parametrize(
    "change",
    [
        "model.eval()",
        "model.bias = 1",
        "model.bias += 1",
        "model[0] = 1",
        "model.layers[0].bias[2:] = 1",
        "model[0], y = 1, 2",
        "del model.bias",
        "del model[0]",
        "model.bias.zero_()",
        "y = model.bias.zero_()",
        "nn.init.zeros_(model.bias)",
        "fit(model)",
        "fit(data=1, model=model)",
        "if True: model.eval()",
        "for layer in model.layers: layer.eval()",
        "for layer, _ in zip(model.layers, range(9)): layer.bias = 1",
        "[layer.bias.zero_() for layer in model.layers]",
        "with freeze(model) as frozen: frozen.eval()",
        "optimizer = Adam(model.parameters())\noptimizer.step()",
        "loss = model(1)\nloss.backward()",
        "F.relu(model(1)).backward()",
        "head = model.head\nhead.bias = 1",
        "head = model.head\nhead = head.bias\nhead.zero_()",
        "kept = {}\nkept['m'] = model\nkept['m'].eval()",
        "def quiet(m):\n    m.eval()\n    return m\nother = quiet(model)",
        "def quiet(m):\n    for layer in m.layers:\n        layer.eval()\nother = quiet(m=model)",
        "def quiet():\n    model.eval()\n    return 1\nx = quiet()",
        "def quiet():\n    model.eval()\n    return 1\nx = run(on_epoch=quiet)",
        "def inner(m): m.eval()\ndef outer(m):\n    return [inner(m)]\nx = outer(model)",
        "quiet = lambda: model.eval()\nquiet()",
    ],
)
def test_a_cell_needs_the_ones_that_change_what_it_reads(change):
    before = "from torch import nn, F\nfrom torch.optim import Adam\nfrom course import fit, freeze, run"
    assert run_before(before, "model, other = nn.Linear(2, 2), 3", change, "model") == [0, 1, 2]


def test_a_change_reaches_what_an_earlier_cell_made_of_an_object():
    cells = ("from torch.optim import Adam", "model = 1", "optimizer = Adam(model)", "optimizer.step()", "model")
    assert run_before(*cells) == [0, 1, 2, 3]


def test_who_reads_an_object_needs_the_changes_of_its_parts():
    assert run_before("model = 1", "kept = [model]", "model.eval()", "kept") == [0, 1, 2]
    assert run_before("model = 1", "kept = [model]", "model = 2", "kept") == [0, 1]
    assert run_before("model = 1", "kept = [model]", "model.eval()", "model = 2", "kept") == [0, 1, 2]


@pytest.mark.parametrize(
    "harmless",
    [
        "print(model)",
        "plots.draw_image(ax, model)",
        "y = model(1)",
        "y = 2 * model.bias",
        "y = 1\ny += sum(model.sizes)",
        "total = []\nfor layer in model.layers: total.append(1)",
        "def quiet(m):\n    m.eval()\nother = quiet(ax)",
        "torch.manual_seed(0)",
        "y = [model for model in (1, 2)]\ny[0] = 3",
    ],
)
def test_a_cell_that_only_looks_at_something_is_not_needed_for_it(harmless):
    before = "import torch\nfrom course import plots"
    assert run_before(before, "model, ax = torch.nn.Linear(2, 2), 3", harmless, "model, torch") == [0, 1]


def test_a_setting_of_a_module_is_needed_by_whoever_uses_the_module():
    for setting in ("torch.set_num_threads(1)", "torch.backends.mkl.verbose = 1"):
        assert run_before("import torch", setting, "x = 1", "torch.ones(2)") == [0, 1]


@pytest.mark.parametrize(
    "unclear",
    ["%matplotlib inline", "!ls", "exec(words)", "globals()['x'] = 1", "from m import *", "x = 1\ndel x"],
)
def test_a_cell_that_may_touch_anything_is_always_needed(unclear):
    assert run_before("words = ''", unclear, "y = 1", "z") == ([0, 1] if "words" in unclear else [1])


def test_exercises_and_explorers_run_and_a_solution_does_not_run_twice():
    def cell(source, id, *tags):
        return nbformat.v4.new_code_cell(source, id=id, metadata={"tags": list(tags)})

    cells = [
        nbformat.v4.new_markdown_cell("words"),
        cell("x = 1", "a"),
        cell("y = 1", "b"),
        cell("mine = x", "c", "exercise"),
        cell("mine = x", "d", "solution"),
        cell("Lab(mine)", "e"),
        cell("Lab(y)", "f"),
    ]
    assert cells_to_run(nbformat.v4.new_notebook(cells=cells), {"e"}) == [1, 3, 5]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_of_a_lesson_the_smaller_part_is_needed(path):
    notebook = nbformat.read(path, as_version=4)
    solved(notebook)
    skip_training(notebook)
    numbers = cells_to_run(notebook, ())
    assert {n for n, cell in enumerate(notebook.cells) if has_tag(cell, "exercise")} <= set(numbers)
    assert 2 * len(numbers) < sum(cell.cell_type == "code" for cell in notebook.cells)
