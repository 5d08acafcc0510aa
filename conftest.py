"""Rules for the notebooks as tests, `pytest --nbval notebooks`; those of the unit tests are in tests/conftest.py."""

import itertools
import os
import re
import tempfile
import time

import pytest

# No test and no notebook under test adds to what a learner has passed or made.
os.environ["VIT_TUTORIAL_PROGRESS"] = os.environ["VIT_TUTORIAL_WORK"] = ""
os.environ["VIT_TUTORIAL_UNWATCHED"] = "1"  # so that a notebook under test prints no progress bar


# Two kinds of processor differ in the last bit, and a training makes more of that, until other pictures are told right.
# So of what a model says that was trained in the same notebook, the words are compared, verdicts among them, and no
# number is.
TRAINED_HERE = "trained-here"
NUMBER = re.compile(r" *[+-]?\d[\d,]*(\.\d+)?(e[+-]\d+)?")  # with what it is moved to the right by


# What a cell of a notebook says may hang on the seed that it sets. With other seeds its words should be the same.
OTHER_SEEDS = """import torch
torch.manual_seed = lambda seed, set_seed=torch.manual_seed: set_seed(seed + {shift})
"""


def pytest_addoption(parser):
    parser.addoption(
        "--other-seeds",
        type=int,
        default=0,
        metavar="N",
        help="add N to each seed that a notebook sets, and compare what it says in words alone",
    )
    parser.addini("notebook_seconds", "how long all cells of one notebook may take together", default="700")


def pytest_configure(config):
    """Let the kernels that nbval starts talk through files, and begin with torch loaded where that is offered."""
    if not config.getoption("nbval", default=False):
        return
    if "VIT_TUTORIAL_WARM_PYTHON" in os.environ:  # tests/warm/server.py, whose kernel has this name
        config.option.nbval_current_env, config.option.nbval_kernel_name = False, "python3"
    import nbval.kernel

    manager = nbval.kernel.KernelManager
    through = kernels_through_files(config.add_cleanup)
    nbval.kernel.KernelManager = lambda **settings: manager(**settings, **through())


@pytest.fixture(scope="session")
def through_files(request):
    """`through_files()` returns the settings with which a kernel and its manager talk through files of their own."""
    return kernels_through_files(request.addfinalizer)


def kernels_through_files(add_cleanup):
    """Return a function that gives each kernel files of its own to talk through, where the system can.

    A kernel is else told ports that were free when it was started, and opens them a second later: where several
    processes start kernels, another has sometimes taken one by then, and the kernel dies.
    """
    import zmq

    if not zmq.has("ipc"):
        return dict
    folder = tempfile.TemporaryDirectory(prefix="kernels-", ignore_cleanup_errors=True)
    add_cleanup(folder.cleanup)
    numbers = itertools.count()
    return lambda: {"transport": "ipc", "connection_file": os.path.join(folder.name, f"{next(numbers)}.json")}


def is_notebook_cell(item):
    return hasattr(item, "cell_num")


@pytest.hookimpl(wrapper=True)
def pytest_collect_file():
    """Leave text/html uncompared: it is how a result looks, and the text/plain beside it says the same in words."""
    collected = yield
    for collector in collected:
        if hasattr(collector, "skip_compare"):
            collector.skip_compare += ("text/html",)
    return collected


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    """Fail the cells after one that ran out of time, which nbval would run on and count as expected failures."""
    if not is_notebook_cell(item):
        return
    notebook = item.parent
    if notebook.timed_out:
        pytest.fail("an earlier cell of this notebook ran out of time", pytrace=False)
    if not hasattr(notebook, "started"):
        notebook.started = time.monotonic()
    seconds, most = time.monotonic() - notebook.started, float(item.config.getini("notebook_seconds"))
    if seconds > most:
        pytest.fail(f"the notebook has run for {seconds:.1f} s, more than the {most:g} s it may take", pytrace=False)
    shift = item.config.getoption("other_seeds")
    if shift:
        item.cell.source = with_other_seeds(item.cell.source, item.cell_num == 0, shift)
    if shift or TRAINED_HERE in item.cell.metadata.get("tags", []):
        item.sanitize = without_numbers(item.sanitize, wide=bool(shift))


def with_other_seeds(source, is_first, shift):
    """Return a cell with `shift` added to its seeds; the first one does so for all that is called after it, too."""
    source = source.replace("torch.Generator().manual_seed(", f"torch.Generator().manual_seed({shift} + ")
    return OTHER_SEEDS.format(shift=shift) + source if is_first else source


def without_numbers(sanitize, wide):
    """Let nbval's way of preparing outputs also put one word in the place of every number.

    A number that has more digits moves what stands beside it; if `wide`, it may.
    """

    def prepare(said):
        said = sanitize(said)
        if not isinstance(said, str):
            return said
        said = NUMBER.sub(" NUMBER", said)
        return re.sub(" +", " ", said) if wide else said

    return prepare
