"""What every explorer has from its base: choices that are checked in one place, and follow one another."""

import gc
import re
import weakref
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import jupyter_client
import numpy as np
import pytest
import traitlets
from IPython.core.formatters import DisplayFormatter

import vit_tutorial.explore as explore
from explore.examples import picture
from vit_tutorial import ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore import HeadsGallery, PatchLab, base
from vit_tutorial.explore.base import Explorer
from vit_tutorial.explore.limits import Accepted, Between, ChoiceError, OneOf, settle

EXPLORE = Path(explore.__file__).parent
TESTS = Path(__file__).parents[1]


@dataclass(frozen=True)
class SumState:
    total: int
    words: str


class Sum(Explorer):
    """A small explorer: `low` may be up to `high`, and `pairs` are kept sorted."""

    _esm = "export default { render() {} };"
    high = traitlets.Int(9).tag(sync=True)
    low = traitlets.Int(3).tag(sync=True)
    name = traitlets.Unicode("a").tag(sync=True)
    pairs = traitlets.List().tag(sync=True)

    def __init__(self, **choices):
        super().__init__(choices, numbers=b"\x01\x02")

    def _limits(self, choices):
        yield "high", Between(0, 99)
        yield "low", Between(0, choices["high"])
        yield "name", OneOf(("a", "b"))
        yield "pairs", Accepted(sorted, [])

    def _state(self, high, low, name, pairs):
        return SumState(high + low, f"{name}: {high} and {low}")

    def _brief(self):
        return f"{self.name!r}, high={self.high}"


IMPOSSIBLE = {
    "high": (100, "high 100 is not among 0 to 99"),
    "low": (10, "low 10 is not among 0 to 9"),
    "name": ("c", "name 'c' is not among 'a', 'b'"),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_choice_is_refused_alike_when_set_and_at_the_start(name):
    value, sentence = IMPOSSIBLE[name]
    lab = Sum()
    before, heard = lab.choices(), []
    lab.observe(heard.append, lab.choice_names)
    for call in (lambda: setattr(lab, name, value), lambda: Sum(**{name: value}), lambda: lab.set_state({name: value})):
        with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
            call()
        assert isinstance(caught.value, traitlets.TraitError)
    assert lab.choices() == before
    assert heard == []


def test_a_choice_of_another_type_is_refused():
    lab = Sum()
    with pytest.raises(traitlets.TraitError, match="expected an int, not the str 'x'"):
        lab.low = "x"
    with pytest.raises(ValueError, match="low 'x' is not among 0 to 9"):
        Sum(low="x")
    assert lab.low == 3


def test_a_choice_that_another_one_makes_impossible_goes_to_the_nearest():
    lab = Sum(low=7)
    lab.high = 5
    assert lab.choices() == {"more": False, "high": 5, "low": 5, "name": "a", "pairs": []}
    assert Sum(high=2).low == 2, "what is not given at the start follows too"
    with pytest.raises(ValueError, match="low 3 is not among 0 to 2"):
        Sum(high=2, low=3)


def test_those_who_listen_hear_of_choices_that_fit_together():
    lab = Sum(low=7)
    seen = []
    lab.observe(lambda change: seen.append((change.name, lab.high, lab.low)), ["high", "low"])
    lab.high = 5
    assert seen == [("high", 5, 5), ("low", 5, 5)]


def together(lab, **choices):
    """Set choices one by one, in one context; `words=0` is an error of another kind in the middle of it."""
    with lab.hold_trait_notifications():
        for name, value in choices.items():
            if name == "words":
                1 / value
            setattr(lab, name, value)


def test_choices_that_change_together_are_checked_together():
    lab = Sum()
    together(lab, low=50, high=60)
    assert (lab.high, lab.low) == (60, 50)
    lab.set_state({"low": 70, "high": 80})
    assert (lab.high, lab.low) == (80, 70)


def test_all_is_taken_back_if_one_of_several_is_impossible():
    lab = Sum()
    with pytest.raises(ChoiceError, match="low 50 is not among 0 to 40"):
        together(lab, name="b", low=50, high=40)
    with pytest.raises(ChoiceError):
        lab.set_state({"name": "b", "high": 100})
    assert lab.choices() == Sum().choices()
    with pytest.raises(ZeroDivisionError):
        together(lab, high=2, words=0)
    assert (lab.high, lab.low) == (2, 2), "an error of another kind leaves what was set, and it fits together"


def test_the_browser_hears_of_choices_that_changed_together_in_one_message(monkeypatch):
    lab = Sum(low=7)
    messages = []
    monkeypatch.setattr(lab, "send_state", lambda key=None: messages.append(set(key)))
    lab.high = 5
    assert [message for message in messages if message] == [{"high", "low"}]


def test_more_is_a_choice_of_every_explorer_and_changes_no_state():
    lab = Sum(more=True)
    assert (lab.more, lab.state()) == (True, Sum().state())
    lab.more = False
    assert lab.choices() == Sum().choices()
    with pytest.raises(traitlets.TraitError):
        lab.more = "yes"


def test_an_unknown_choice_is_named():
    with pytest.raises(TypeError, match="Sum has no choice 'lowest'; it has more, high, low, name, pairs"):
        Sum(lowest=3)


def test_a_choice_may_be_brought_into_order():
    lab = Sum(pairs=[[2, 1], [1, 1]])
    assert lab.pairs == [[1, 1], [2, 1]]
    lab.pairs = [[3, 0], [0, 3]]
    assert lab.pairs == [[0, 3], [3, 0]]


def test_state_words_and_repr_come_from_the_choices():
    lab = Sum(high=5)
    assert (lab.state().total, lab.words(), repr(lab)) == (8, "a: 5 and 3", "Sum('a', high=5)")
    assert lab.get_state()["_sent"] == {"numbers": b"\x01\x02"}


@pytest.mark.parametrize(
    ("limit", "value", "nearest"),
    [
        (OneOf([1, 2, 4, 7]), 6, 4),
        (OneOf([2, 4]), 1, 2),
        (OneOf(("a", "b")), "c", "a"),
        (Between(0.5, 5.0), 7, 5.0),
        (Between(0, 9), -1, 0),
    ],
)
def test_the_nearest_possible_value(limit, value, nearest):
    with pytest.raises(ChoiceError):
        limit.check("choice", value)
    assert limit.check("choice", limit.nearest(value)) == nearest


def test_none_and_nan():
    assert Between(0, 3, none=True).check("key", None) is None
    for value in (None, float("nan"), np.nan):
        with pytest.raises(ChoiceError, match="is not among 0 to 3"):
            Between(0, 3).check("key", value)


def test_a_later_limit_sees_what_has_been_settled_before():
    def limits(choices):
        yield "size", OneOf([1, 2])
        yield "place", Between(0, choices["size"])

    choices = {"size": 9, "place": 9}
    assert settle(limits(choices), choices, given=()) == {"size": 2, "place": 2}


def test_pictures_of_other_sizes_move_what_depends_on_them():
    lab = PatchLab({"large": picture(32, 32), "small": picture(28, 28)}, 8, token=15)
    lab.picture = "small"
    assert (lab.patch_size, lab.token) == (7, 15)
    lab.patch_size = 14
    assert lab.token == 3
    with pytest.raises(ValueError, match="patch_size 8 is not among 1, 2, 4, 7, 14, 28"):
        lab.patch_size = 8
    together(lab, patch_size=16, picture="large")
    assert (lab.patch_size, lab.token) == (16, 3)


@pytest.mark.parametrize("name", sorted(file.parent.name for file in EXPLORE.glob("*/__init__.py")))
def test_every_explorer_is_exported_tested_and_measured(name):
    lab = name.title().replace("_", "")
    for exported in (lab, f"{lab}State", f"{name}_state"):
        assert exported in explore.__all__, (
            f"export {exported} in explore/__init__.py: import it, and name it in __all__"
        )
    assert issubclass(getattr(explore, lab), Explorer)
    assert set(getattr(explore, lab).choice_names) <= set(getattr(explore, lab).class_traits(sync=True))
    for file in (f"explore/test_{name}.py", f"explore/js/{name}.test.js", f"browser/test_{name}.py"):
        assert (TESTS / file).exists(), f"{lab} has no tests/{file}; write it as that of patch_lab"
    for table, file in (
        ("OPENINGS", "browser/test_openings.py"),
        ("EXPLORERS", "browser/test_in_jupyterlab.py"),
        ("CASES", "benchmarks/bench_explorers.py"),
    ):
        assert f"{lab}(" in (TESTS / file).read_text(), f"{lab} has no line in {table} of tests/{file}; add one"


# Closed explorers, and cells that run again


class Shell:
    """A shell whose front end says which cell runs."""

    def __init__(self):
        self.request = {}

    def get_parent(self):
        return self.request

    def run(self, cell, run):
        self.request = {"metadata": {"cellId": cell} if cell else {}, "header": {"msg_id": run}}


@pytest.fixture
def shell(monkeypatch):
    shell = Shell()
    monkeypatch.setattr("IPython.get_ipython", lambda: shell)
    monkeypatch.setattr(base, "_made", {})
    return shell


def held_by(lab):
    return [weakref.ref(part) for part in (lab._model, next(iter(lab._pictures.values())))]


def gallery():
    return HeadsGallery(ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2)), picture(12, 12, 1))


def test_a_cell_that_runs_again_frees_what_its_explorers_held(shell):
    shell.run("cell", "first run")
    history = [gallery(), gallery()]  # as IPython keeps what cells have shown
    held = [reference for lab in history for reference in held_by(lab)]
    shell.run("cell", "second run")
    history.append(gallery())
    gc.collect()
    assert [reference() for reference in held] == [None] * 4
    assert [lab in widgets.widget._instances.values() for lab in history] == [False, False, True]
    assert [lab._sent == {} for lab in history] == [True, True, False]
    assert history[2].words()


def test_other_cells_and_front_ends_that_tell_nothing_leave_explorers_alone(shell):
    labs = []
    for cell, run in (("one", "1"), ("two", "2"), ("one, as a copy", "3"), (None, "4"), (None, "5")):
        shell.run(cell, run)
        labs.append(gallery())
    shell.request = {}
    labs.append(gallery())
    assert all(lab.words() for lab in labs)


def test_no_cell_runs_outside_a_notebook(monkeypatch):
    for found in (None, object()):  # plain Python, and IPython in a terminal
        monkeypatch.setattr("IPython.get_ipython", lambda found=found: found)
        assert base._running_cell() is None


def test_a_closed_explorer_that_nobody_keeps_is_gone():
    lab = gallery()
    whole = weakref.ref(lab)
    lab.close()
    del lab
    gc.collect()
    assert whole() is None


def test_the_way_of_ipywidgets_7_does_not_hide_the_still_picture(monkeypatch):
    monkeypatch.setattr(widgets.Widget, "_ipython_display_", lambda self: pytest.fail("shown bare"), raising=False)
    shown, _ = DisplayFormatter().format(gallery())
    assert "image/png" in shown["text/html"]


def test_a_closed_explorer_says_so():
    lab = Sum()
    lab.close()
    lab.close()
    assert repr(lab) == "Sum(closed)"
    assert lab._repr_mimebundle_() == ({"text/plain": "Sum(closed)"}, {})
    sentence = "this Sum is closed, as when its cell is run again; make a new one"
    for ask in (lab.state, lab.words, lab.figure, lambda: setattr(lab, "low", 4)):
        with pytest.raises(RuntimeError, match=sentence):
            ask()


IN_A_KERNEL = """
import gc, weakref
import numpy as np
from vit_tutorial import ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore import HeadsGallery
if "models" not in globals(): models = []
lab = HeadsGallery(ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2)), np.zeros((1, 12, 12), np.uint8))
models.append(weakref.ref(lab._model))
gc.collect()
print(sum(model() is not None for model in models))
lab
"""


@pytest.mark.slow
def test_in_a_kernel_the_runs_of_a_cell_hold_one_model():
    def run(client, cell):
        request = client.session.msg("execute_request", {"code": IN_A_KERNEL, "silent": False})
        request["metadata"] = {"cellId": cell}  # as JupyterLab and VS Code send it
        client.shell_channel.send(request)
        said = ""
        while True:
            message = client.get_iopub_msg(timeout=60)
            if message["parent_header"].get("msg_id") == request["header"]["msg_id"]:
                assert message["msg_type"] != "error", message["content"]
                said += message["content"].get("text", "")
                if message["content"].get("execution_state") == "idle":
                    return said

    with jupyter_client.run_kernel() as client:
        assert [run(client, cell) for cell in ("a", "a", "a", "b", "b")] == ["1\n", "1\n", "1\n", "2\n", "2\n"]


SHOWN = {
    "PositionLab": lambda model, image: explore.PositionLab(model, {"noise": image}),
    "ReachLab": lambda model, image: explore.ReachLab(
        (CNN(CNNConfig(12, 1, 3, layers=(1,), stem="3x3")), model), image
    ),
    "SketchLab": lambda model, image: explore.SketchLab(model),
} | {
    name: lambda model, image, name=name: getattr(explore, name)(model, image)
    for name in ("TokenTable", "HeadsGallery", "LensLab", "ModelMap")
}


@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_model_that_a_training_left_with_no_finite_numbers_is_refused_by_name(name, number):
    model = ViT(ViTConfig(12, 4, 1, 3, 8, 2, 2))
    model.blocks[1].mlp.fc1.weight.data[0, 0] = number
    with pytest.raises(ValueError, match=r"blocks\.1\.mlp\.fc1\.weight of the model holds numbers that are not finite"):
        SHOWN[name](model, picture(12, 12, 1))
