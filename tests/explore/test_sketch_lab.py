"""The sketch lab without a browser: its numbers, its words, and what it refuses."""

import numpy as np
import pytest
import torch
from references import exactly

from explore.examples import NAMES, OFF, check_still_picture, model, normalized, picture, pictures, without_rows
from vit_tutorial import attention_maps, load_model
from vit_tutorial.datasets import DATA_FOLDER, load
from vit_tutorial.explore import SketchLab, sketch_lab_state
from vit_tutorial.explore.sketch_lab import drawing_of
from vit_tutorial.explore.sketch_lab.numbers import Outline, advice_of, outline_of, pixels_of, usual_outline
from vit_tutorial.explore.words import percent
from vit_tutorial.introspection import logit_lens


def drawn(*lines):
    """Pixels from letters: "." is black, "#" white, a digit that many times 25."""
    values = {".": 0, "#": 255} | {str(digit): 25 * digit for digit in range(10)}
    return np.array([[[values[letter] for letter in line] for line in lines]], np.uint8)


# What is computed


@pytest.mark.parametrize("off", [[], OFF])
@pytest.mark.parametrize("options", [{}, {"pool": "mean"}, {"gelu": "tanh", "position": "none"}], ids=str)
def test_the_answer_the_maps_and_the_answers_block_by_block_are_the_models(off, options):
    vit, image = model(**options), picture(12, 12, 1, 7)
    state = sketch_lab_state(vit, drawing_of(image), layer=2, query=4, off=off)
    cut = without_rows(vit, off)
    with torch.no_grad():
        expected = cut(normalized(image)).softmax(-1)[0]
    assert np.array_equal(state.image, image)
    np.testing.assert_allclose(state.probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(state.maps, attention_maps(cut, normalized(image))[2][0], atol=1e-6)
    assert state.lens.shape == (4, 3)
    assert np.array_equal(state.lens[-1], state.probabilities)
    if vit.num_prefix_tokens:
        np.testing.assert_allclose(state.lens, logit_lens(cut, normalized(image))[:, 0, 0].softmax(-1), atol=1e-6)


def test_a_drawing_is_nothing_a_name_or_pixels_as_text():
    one, image = pictures()["one"], picture(12, 12, 1, 3)
    for text, expected in (("nothing", np.zeros((1, 12, 12))), ("one", one), (drawing_of(image), image)):
        assert np.array_equal(pixels_of(text, pictures(), (12, 12)), expected)
    assert drawing_of(image) == drawing_of(image[0]) == drawing_of(torch.from_numpy(image))
    assert drawing_of(np.array([[0, 1], [254, 255]], np.uint8)) == "AAH+/w=="


def test_an_outline_is_measured_between_its_edges_by_its_longer_side_and_from_the_centre():
    ring = drawn("......", "..###.", "..#.#.", "..###.", "......", "......")
    assert outline_of(ring) == Outline(8 / 9, 3, 0.5)
    assert outline_of(drawn("1.....", "......")) == Outline(1.0, 1, 2.5)
    assert outline_of(drawn("#.", "..", ".#")) == Outline(1.0, 3, 0.0)
    assert outline_of(np.zeros((1, 6, 6), np.uint8)) is None


def test_the_usual_outline_is_that_of_98_in_100():
    bars = np.zeros((200, 12, 12), np.uint8)
    bars[:, 0, :4] = 9
    bars[:2, 0, 2:4] = 0  # these two, and the next two, are the unusual ones
    bars[2:4, 0, 1:3] = 0
    usual = usual_outline(bars[:, None])
    assert (usual.filled, usual.long, usual.off) == (1.0, 4, 5.5)
    assert usual_outline(bars[:100]).long == 2
    assert usual_outline(np.concatenate([bars, np.zeros_like(bars)])) == usual, "black pictures have no outline"


def test_what_is_said_of_the_training_pictures_is_true():
    images = load("fashion_mnist").train_images.numpy()
    outlines = [outline_of(image) for image in images[::10]]
    usual = usual_outline(images)
    assert (usual.long, usual.off) == (28, 0.5), (
        "trimmed, scaled to fill the frame, and centred: Xiao et al., section 2"
    )
    assert usual.filled == pytest.approx(0.70, abs=0.005)
    for kept in (
        [one.long >= usual.long for one in outlines],
        [one.off <= usual.off for one in outlines],
        [one.filled >= usual.filled for one in outlines],
    ):
        assert np.mean(kept) >= 0.97


def test_what_the_lab_warns_of_is_true():
    vit, data = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist")
    nothing = sketch_lab_state(vit)
    assert data.class_names[nothing.probabilities.argmax()] == "Sandal"
    assert nothing.probabilities.max() == pytest.approx(0.79, abs=0.005)
    wrong = sketch_lab_state(vit, drawing_of(data.test_images[1770]))
    assert data.class_names[data.test_labels[1770]] == "Shirt"
    assert wrong.words.startswith("A drawing. The model says T-shirt/top 90.5%,")


def test_what_the_lesson_says_to_try():
    vit, boot = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors"), load("fashion_mnist").test_images[0].clone()

    def says():
        return sketch_lab_state(vit, drawing_of(boot)).words.split(" says ")[1]

    assert says().startswith("Ankle boot 91.0%")
    boot[:, :12] = 0
    assert says().startswith("Ankle boot 75.")
    boot[:, :13] = 0
    assert says().startswith("Sneaker 75.")


# What is said


def test_sketch_lab_in_words():
    vit = model()
    closed = sketch_lab_state(vit, "one", cursor=26, pictures=pictures())
    order = np.argsort(-closed.probabilities)
    best = [f"{NAMES[i]} {percent(closed.probabilities[i])}" for i in order]
    answer = f"one, a test picture. The model says {best[0]}, then {best[1]}."
    brush = " The brush is at row 2, column 2."
    assert closed.words == answer + brush
    state = sketch_lab_state(vit, "one", 26, layer=2, query=5, off=OFF, more=True, pictures=pictures())
    most = [f"patch {row.argmax()} ({percent(row.max())})" for row in state.maps[:, 5, 1:]]
    read = ", ".join(NAMES[i] for i in state.lens.argmax(-1))
    assert state.words.endswith(
        f" Layer 2: patch 4 (row 1, column 1) looks most at: head 0 (off) {most[0]}, head 1 (off) {most[1]}. "
        f"Switched off: layer 0 head 1; layer 2 all heads. Read after 0 to 3 blocks, the answer is {read}.{brush}"
    )
    assert "the class token looks most at" in sketch_lab_state(vit, more=True).words
    assert "patch 0 (row 0, column 0) looks" in sketch_lab_state(model(pool="mean"), more=True).words
    assert sketch_lab_state(vit, drawing_of(picture(12, 12, 1))).words.startswith("A drawing. The model says ")
    assert sketch_lab_state(vit, drawing_of(np.zeros((12, 12), np.uint8))).words.startswith("An empty canvas. ")


def test_advice_is_given_where_a_drawing_is_unlike_the_training_pictures_and_only_there():
    usual = Outline(0.7, 28, 0.5)
    assert advice_of(Outline(0.7, 27, 1.5), usual, 10, False) == ""
    assert advice_of(Outline(0.1, 3, 9.0), usual, 10, True) == ""
    assert advice_of(Outline(0.1, 3, 9.0), None, 10, False) == ""
    assert advice_of(Outline(0.512, 27, 1.5), usual, 10, False) == (
        " This is an outline: 51.2% of what lies between its edges is lit; in 98 of 100 training pictures it is 70.0% "
        "or more. Fill (f) fills what is closed."
    )
    for outline, numbers in (
        (Outline(0.7, 26, 1.5), "26 pixels long and 1.5"),
        (Outline(0.7, 27, 2), "27 pixels long and 2.0"),
    ):
        assert advice_of(outline, usual, 10, False) == (
            f" It is {numbers} off the centre; 98 of 100 training pictures are 28 long and at most 0.5 off. Centre and "
            "scale (c) does to it what was done to them."
        )
    assert advice_of(None, None, 3, False) == (
        " Nothing is drawn, and still it answers: it has 3 answers, and none of them is “nothing”."
    )


def test_a_drawing_is_compared_with_what_the_model_learned_from():
    bars = np.zeros((50, 1, 12, 12), np.uint8)
    bars[:, :, 2:10] = 200
    dot = np.zeros((12, 12), np.uint8)
    dot[0, 0] = 255
    lab = SketchLab(model(), learned_from=torch.from_numpy(bars), drawing=drawing_of(dot))
    assert "It is 1 pixel long and 5.5 off the centre; 98 of 100 training pictures are 12 long" in lab.words()
    assert "training pictures" not in SketchLab(model(), drawing=drawing_of(dot)).words()
    assert "training pictures" not in SketchLab(model(), {"dot": dot}, learned_from=bars, drawing="dot").words()


def test_the_widget_says_what_its_state_says():
    vit, image = model().float(), picture(12, 12, 1, 9)
    lab = SketchLab(vit, pictures(), drawing="two", layer=1, off=[(2, 1), (0, 1)], more=True)
    assert repr(lab) == "SketchLab('two')"
    inside = {"layer": 1, "off": [(0, 1), (2, 1)], "more": True}
    assert lab.cursor == 78, "the brush begins in the middle"
    assert lab.words() == sketch_lab_state(vit, "two", 78, **inside, pictures=pictures()).words
    lab.drawing, lab.off, lab.query = drawing_of(image), [[1, 1], [1, 0]], 3
    assert lab.off == [[1, 0], [1, 1]]
    assert repr(lab) == "SketchLab(a drawing)"
    assert np.array_equal(lab.state().image, image)
    lab.drawing = "nothing"
    assert repr(SketchLab(vit)) == repr(lab) == "SketchLab('nothing')"
    assert "The model says " in SketchLab(vit, class_names="abc").words()


def test_all_weights_travel_once_in_half_precision_and_none_changes():
    vit = load_model(DATA_FOLDER / "vit_fashion_mnist.safetensors")
    sent = SketchLab(vit)._sent["vit"]
    assert sent["half"]
    assert len(sent["numbers"]) == 2 * 205_962 == 2 * sum(parameter.numel() for parameter in vit.parameters())
    numbers = np.frombuffer(sent["numbers"], np.float16).astype(np.float32)
    parameters = torch.cat([parameter.detach().flatten() for parameter in vit.parameters()])
    np.testing.assert_array_equal(np.sort(numbers), np.sort(parameters.numpy()))


@pytest.mark.parametrize(
    "choices",
    [{}, {"drawing": "one"}, {"more": True, "query": 4, "off": OFF, "layer": 2}, {"more": True, "drawing": "two"}],
)
@pytest.mark.parametrize("options", [{}, {"num_heads": 8, "pool": "mean"}])
def test_a_still_picture_with_alt_text_stands_behind_the_widget(choices, options):
    check_still_picture(SketchLab(model(**options), pictures(), learned_from=picture(12, 12, 1)[None], **choices))


# What is refused

LONG = drawing_of(picture(12, 13, 1))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: sketch_lab_state(model(), layer=3), "layer 3 is not among 0 to 2"),
        (lambda: sketch_lab_state(model(), query=10), "query 10 is not among 0 to 9"),
        (lambda: sketch_lab_state(model(), cursor=144), "cursor 144 is not among 0 to 143"),
        (lambda: sketch_lab_state(model(), brush=9), "brush 9 is not among 1 to 8"),
        (lambda: sketch_lab_state(model(), grey=256), "grey 256 is not among 0 to 255"),
        (lambda: sketch_lab_state(model(), off=[(3, 0)]), "there is no head 0 in layer 3; layers are 0 to 2"),
        (
            lambda: SketchLab(model(), pictures(), drawing="three"),
            "drawing 'three' is not among 'nothing', 'one', 'two', nor is it 12x12 pixels as drawing_of writes them",
        ),
        (
            lambda: setattr(SketchLab(model()), "drawing", LONG),
            f"drawing '{LONG[:37]}...' is not among 'nothing', nor is it 12x12 pixels",
        ),
        (lambda: SketchLab(model(), drawing=4), "drawing 4 is not among 'nothing'"),
        (lambda: setattr(SketchLab(model()), "brush", 0), "brush 0 is not among 1 to 8"),
        (lambda: setattr(SketchLab(model()), "grey", -1), "grey -1 is not among 0 to 255"),
        (lambda: setattr(SketchLab(model()), "cursor", 144), "cursor 144 is not among 0 to 143"),
        (lambda: setattr(SketchLab(model()), "query", 10), "query 10 is not among 0 to 9"),
        (lambda: setattr(SketchLab(model()), "layer", -1), "layer -1 is not among 0 to 2"),
        (lambda: setattr(SketchLab(model()), "off", [[0, 2]]), "there is no head 2 in layer 0"),
        (lambda: SketchLab(model(), {"nothing": picture(12, 12, 1)}), "a picture is called 'nothing', as the empty"),
        (
            lambda: SketchLab(model(), {"big": picture(16, 16, 1)}),
            "picture 'big': the picture is [1, 16, 16], and the model takes [1, 12, 12]",
        ),
        (lambda: SketchLab(model(in_channels=3)), "the model takes 3 channels; one draws in grey, for a model of one"),
        (lambda: sketch_lab_state(model(in_channels=3)), "the model takes 3 channels; one draws in grey"),
        (lambda: SketchLab(model(norm="post")), "the model has norm='post'; the sketch lab runs pre-norm models"),
        (lambda: SketchLab(model(), class_names=["a"]), "1 class names do not fit a model of 3 classes"),
        (
            lambda: SketchLab(model(), learned_from=np.zeros((2, 1, 12, 12), np.uint8)),
            "learned_from holds no picture with a pixel brighter than 0",
        ),
        (
            lambda: SketchLab(model(), learned_from=np.zeros((2, 3, 12, 12), np.uint8)),
            "learned_from is uint8 [2, 3, 12, 12]; give grey pictures, uint8 [n, 1, H, W] or [n, H, W]",
        ),
        (
            lambda: SketchLab(model(), learned_from=torch.zeros(2, 12, 12)),
            "learned_from is float32 [2, 12, 12]; give grey pictures",
        ),
    ],
)
def test_sketch_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=exactly(sentence)):
        call()
