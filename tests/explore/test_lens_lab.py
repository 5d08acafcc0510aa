"""The lens lab without a browser: its numbers, its words, and what it refuses."""

import copy

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from references import exactly, randomize

from explore.examples import check_still_picture, picture
from vit_tutorial import ModelCard, ViT, ViTConfig, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import LensLab, lens_lab_state
from vit_tutorial.explore.lens_lab.figure import lens_lab_figure
from vit_tutorial.explore.lens_lab.numbers import EXCHANGES, block_name, patch_words
from vit_tutorial.explore.pictures import model_input
from vit_tutorial.explore.words import percent
from vit_tutorial.introspection import logit_lens, patch_tokens

SIZE = {"image_size": (8, 12), "patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 8, "depth": 3}
SIZE |= {"num_heads": 2}
ONE, TWO = (picture(8, 12, 1, seed) for seed in (0, 1))
PICTURES = {"one": ONE, "two": TWO}


def model(**options):
    vit = randomize(ViT(ViTConfig(**(SIZE | options)))).double()
    vit.card = ModelCard(("cat", "dog", "owl")[: vit.config.num_classes], (0.3,), (0.4,))
    return vit.eval()


# What is computed


@pytest.mark.parametrize("options", [{}, {"pool": "mean"}, {"position": "none", "gelu": "tanh"}], ids=str)
@pytest.mark.parametrize("block", range(4))
def test_the_numbers_are_those_of_the_lens_and_of_patching(block, options):
    vit = model(**options)
    one, two = (model_input(vit, shown) for shown in (ONE, TWO))
    prefix, expected = vit.num_prefix_tokens, logit_lens(vit, one).softmax(-1)[:, 0]
    with torch.no_grad():
        own, others = (vit(x).softmax(-1)[0] for x in (one, two))
    patches = list(range(prefix, prefix + 6))
    for exchange, exchanged in zip(EXCHANGES, ([], [2], patches), strict=True):
        state = lens_lab_state(vit, ONE, TWO, block, 2, exchange)
        assert state.exchanged == exchanged
        answer = patch_tokens(vit, one, block, exchanged, two).softmax(-1)[0]
        np.testing.assert_allclose(state.answer, answer, atol=1e-12)
        np.testing.assert_allclose(state.answer_untouched, own, atol=1e-12)
        np.testing.assert_allclose(state.answer_other, others, atol=1e-12)
        np.testing.assert_allclose(state.untouched, expected, atol=1e-12)
        np.testing.assert_allclose(state.lens[:block], expected[:block], atol=1e-12)
        of_other = logit_lens(vit, two).softmax(-1)[block, 0]
        np.testing.assert_allclose(state.lens[block, exchanged], of_other[exchanged], atol=1e-12)
        kept = [token for token in range(prefix + 6) if token not in exchanged]
        np.testing.assert_allclose(state.lens[block, kept], expected[block, kept], atol=1e-12)
        later = np.abs(state.lens[block + 1 :] - state.untouched[block + 1 :])
        assert (later > 1e-9).all() if exchanged else not later.any()
        if prefix:
            np.testing.assert_allclose(state.lens[-1, 0], state.answer, atol=1e-12)


def test_the_model_is_left_as_it_was():
    vit = model().train()
    before = copy.deepcopy(vit.state_dict())
    lens_lab_state(vit, ONE, TWO, 1, 0, "all patches")
    LensLab(vit, PICTURES)
    assert vit.training
    assert all(torch.equal(before[key], value) for key, value in vit.state_dict().items())


# What a learner is told to look for


def test_what_the_lesson_says_about_the_lab():
    vit, data = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist")
    names, boot, trouser = data.class_names, *data.test_images[[0, 2]]

    def answers(exchange):  # to the boot, with tokens of the trouser after each block
        states = [lens_lab_state(vit, boot, trouser, block, 0, exchange) for block in range(7)]
        return [names[state.answer.argmax()] for state in states]

    states = lens_lab_state(vit, boot, trouser)
    course = [names[best] for best in states.lens[:, 0].argmax(-1)]
    assert course == ["Bag", "Coat", *["Ankle boot"] * 5]
    assert answers("this token") == [*["Ankle boot"] * 2, "T-shirt/top", *["Trouser"] * 4]
    assert answers("all patches") == [*["Trouser"] * 2, "Sandal", *["Ankle boot"] * 4]


# What is shown


def test_lens_lab_in_words():
    state = lens_lab_state(model(), ONE, TWO, 2, 5, class_names=["a", "b", "c"], name="one", other_name="two")

    def says(probabilities):
        return f"{'abc'[probabilities.argmax()]} {percent(probabilities.max())}"

    course = ", ".join("abc"[best] for best in state.lens[:, 5].argmax(-1))
    beginning = (
        f"one, after 2 blocks: patch 4 (row 1, column 1) says {says(state.lens[2, 5])}. "
        f"Block by block, from before the first one, it says {course}. "
        f"The patches say {patch_words(state.lens[2, 1:], ['a', 'b', 'c'])}."
    )
    assert state.words == f"{beginning} The model answers {says(state.answer)}."
    named = {"class_names": "abc", "name": "one", "other_name": "two"}
    one = lens_lab_state(model(), ONE, TWO, 2, 0, "this token", **named)
    ending = f"The model answers {says(one.answer)} instead of {says(one.answer_untouched)}."
    assert one.words.startswith("one, after 2 blocks: the class token says")
    assert one.words.endswith(f". Exchanged: the class token for that of two. {ending}")
    patches = lens_lab_state(model(pool="mean"), ONE, TWO, 0, 0, "all patches", **named)
    assert patches.words.startswith("one, before the first block: patch 0 (row 0, column 0) says")
    assert ". Exchanged: all patches for those of two. The model answers" in patches.words
    assert [block_name(block) for block in range(3)] == ["before the first block", "after 1 block", "after 2 blocks"]
    assert patch_words(np.eye(3)[[1, 2, 1, 0]], ["cat", "dog", "owl"]) == "dog 2 times, cat 1 time, owl 1 time"


def test_the_lab_opens_in_the_middle_of_the_model_on_the_class_token():
    lab = LensLab(model(), PICTURES)
    assert lab.choices() == {
        "more": False,
        "picture": "one",
        "other": "two",
        "block": 1,
        "token": 0,
        "exchange": "nothing",
    }
    assert LensLab(model(), PICTURES, picture="two").other == "one"
    assert LensLab(model(pool="mean"), PICTURES).token == 4
    assert LensLab(model(), ONE).other == "picture"


def test_the_widget_says_what_its_state_says():
    vit = model().float()
    lab = LensLab(vit, PICTURES, picture="two", other="one", block=1, exchange="all patches")
    assert repr(lab) == "LensLab('two', block=1, token=0, exchange='all patches', other='one')"
    named = {"name": "two", "other_name": "one"}
    assert lab.words() == lens_lab_state(vit, TWO, ONE, 1, 0, "all patches", **named).words
    lab.token, lab.exchange, lab.block, lab.other = 4, "this token", 3, "two"
    expected = lens_lab_state(vit, TWO, TWO, 3, 4, "this token", name="two", other_name="two")
    assert lab.words() == expected.words
    np.testing.assert_allclose(expected.answer, expected.answer_untouched)
    lab.exchange = "nothing"
    assert repr(lab) == "LensLab('two', block=3, token=4)"


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        ({}, {}),
        ({}, {"token": 3, "exchange": "this token", "block": 3}),
        ({"pool": "mean"}, {"exchange": "all patches", "block": 0}),
        ({"num_classes": 12, "patch_size": 1}, {}),
    ],
    ids=str,
)
def test_a_still_picture_with_alt_text_stands_behind_the_widget(options, choices):
    names = [f"class {i}" for i in range(12)] if options.get("num_classes") else None
    check_still_picture(LensLab(model(**options), PICTURES, names, **choices))


@pytest.mark.parametrize("name", ["Bag", "T-shirt/top", "grandfather clock", "Briefkastenschlitz"])
def test_names_in_the_still_picture_are_large_enough_and_stay_on_their_patches(name):
    vit = model(patch_size=2)
    names = [name, *(f"{name}{i}" for i in range(1, vit.config.num_classes))]
    figure = lens_lab_figure(lens_lab_state(vit, ONE, TWO, 1, class_names=names))
    renderer = FigureCanvasAgg(figure).get_renderer()
    axes = figure.axes[0]
    wide = axes.get_window_extent().width / vit.grid_size[1]
    assert len(axes.texts) == vit.grid_size[0] * vit.grid_size[1]
    for text in axes.texts:
        assert text.get_fontsize() >= 7
        assert text.get_window_extent(renderer).width <= wide
        assert text.get_text()[:2] == name[:2]


def test_names_on_lit_patches_of_the_still_picture_have_a_dark_edge():
    white = np.full((1, 8, 12), 255, dtype=np.uint8)
    figure = lens_lab_figure(lens_lab_state(model(), white, ONE, 1))
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = np.asarray(canvas.buffer_rgba())[..., :3].astype(int).sum(-1)
    for name in figure.axes[0].texts:
        box = name.get_window_extent()
        letters = drawn[round(len(drawn) - box.y1) : round(len(drawn) - box.y0), round(box.x0) : round(box.x1)]
        assert letters.min() < 3 * 60  # the edge
        assert letters.max() > 3 * 200  # the letters


# What is refused


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lens_lab_state(model(), ONE, TWO, 4), "block 4 is not among 0 to 3"),
        (lambda: lens_lab_state(model(), ONE, TWO, 0, 7), "token 7 is not among 0 to 6"),
        (
            lambda: lens_lab_state(model(), ONE, TWO, exchange="all"),
            "exchange 'all' is not among 'nothing', 'this token', 'all patches'",
        ),
        (lambda: lens_lab_state(model(), ONE, picture(8, 8, 1)), "the picture is [1, 8, 8], and the model takes"),
        (lambda: LensLab(model(), PICTURES, block=-1), "block -1 is not among 0 to 3"),
        (lambda: LensLab(model(), PICTURES, other="three"), "other 'three' is not among 'one', 'two'"),
        (lambda: setattr(LensLab(model(), PICTURES), "token", 7), "token 7 is not among 0 to 6"),
        (lambda: setattr(LensLab(model(), PICTURES), "picture", "three"), "picture 'three' is not among 'one', 'two'"),
        (
            lambda: LensLab(model(), PICTURES | {"big": picture(16, 16, 1)}),
            "picture 'big': the picture is [1, 16, 16], and the model takes [1, 8, 12]",
        ),
        (lambda: LensLab(model(), {}), "there is no picture; give one"),
        (lambda: LensLab(model(), PICTURES, ["a"]), "1 class names do not fit a model of 3 classes"),
        (lambda: LensLab(model(norm="post"), PICTURES), "the model has norm='post'; the lens lab runs pre-norm"),
        (lambda: LensLab(model(representation_size=4), PICTURES), "the model has a tanh layer before its head"),
    ],
)
def test_lens_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=exactly(sentence)):
        call()
