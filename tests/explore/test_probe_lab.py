"""The probe lab without a browser: its maps and neighbours, its words, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from references import exactly

from explore.examples import check_still_picture, picture
from vit_tutorial.explore import ProbeLab, probe_lab_state
from vit_tutorial.explore.probe_lab.data import COLOURS, probe_lab_data
from vit_tutorial.explore.probe_lab.figure import COLOURS as FIGURE_COLOURS
from vit_tutorial.explore.probe_lab.figure import probe_lab_figure
from vit_tutorial.explore.probe_lab.numbers import answers_of, words_of_votes

PICTURES = np.stack([picture(8, 8, 1, seed) for seed in range(7)])
LABELS = [0, 1, 1, 2, 0, 1, 2]
NAMES = ["cat", "dog", "owl"]
# Angles in degrees: four labelled pictures, three that are asked
ANGLES = {"before": [0, 40, 130, 100, 30, 110, 35], "after": [0, 90, 95, 180, 10, 80, 170]}


def arrows(angles, length=1.0):
    turns = np.radians(angles)
    return length * np.stack([np.cos(turns), np.sin(turns)], axis=1)


FEATURES = {stage: arrows(angles) for stage, angles in ANGLES.items()}


def data(**changes):
    given = {"features": FEATURES, "pictures": PICTURES, "labels": LABELS, "labelled": 4, "class_names": NAMES}
    return probe_lab_data(**(given | changes))


def lab(**choices):
    return ProbeLab(FEATURES, PICTURES, LABELS, 4, NAMES, **choices)


# What is computed


def test_neighbours_are_those_at_the_smallest_angle_whatever_the_length():
    expected = [[[1, 0, 3, 2], [3, 2, 1, 0], [1, 0, 3, 2]], [[0, 1, 2, 3], [1, 2, 0, 3], [3, 2, 1, 0]]]
    assert data().near.tolist() == expected
    lengths = np.random.default_rng(0).uniform(0.1, 9, (7, 1))
    assert data(features={stage: lengths * one for stage, one in FEATURES.items()}).near.tolist() == expected
    as_tensors = {stage: torch.from_numpy(one).float() for stage, one in FEATURES.items()}
    assert data(features=as_tensors, labels=torch.tensor(LABELS)).near.tolist() == expected


def test_the_class_with_most_votes_wins_and_of_equal_ones_the_nearest():
    found = data()
    assert answers_of(found, 1).tolist() == [[1, 2, 1], [0, 1, 2]]
    assert answers_of(found, 2).tolist() == [[1, 2, 1], [0, 1, 2]]  # one each, or two of the same
    assert answers_of(found, 3).tolist() == [[1, 1, 1], [1, 1, 1]]  # two dogs against one
    one = probe_lab_state(found, "before", 1, 3)
    assert (one.near, one.votes, one.answer, one.label) == ([3, 2, 1], [0, 2, 1], 1, 1)
    assert one.accuracies == pytest.approx((1 / 3, 1 / 3))
    assert probe_lab_state(found, "after", 0, 1).accuracies == pytest.approx((0, 1))


def test_more_features_than_a_plane_holds_are_projected_and_the_share_says_how_much_is_left():
    random = np.random.default_rng(0)
    found = data(features={"one": random.normal(size=(7, 5)), "two": random.normal(size=(7, 9))})
    for which, width in enumerate((5, 9)):
        units = np.random.default_rng(0).normal(size=(7, 5))
        if width == 9:
            random = np.random.default_rng(0)
            random.normal(size=(7, 5))
            units = random.normal(size=(7, 9))
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(np.cov(units.T))
        assert found.shares[which] == pytest.approx(values[-2:].sum() / values.sum())
        plane = (units - units.mean(axis=0)) @ vectors[:, -2:]
        expected = np.linalg.norm(plane[:, None] - plane, axis=2)
        drawn = np.linalg.norm(found.places[which][:, None] - found.places[which], axis=2)
        np.testing.assert_allclose(drawn / drawn.max(), expected / expected.max(), atol=1e-9)
        assert np.linalg.norm(found.places[which], axis=1).max() == pytest.approx(1)
    assert data().shares == pytest.approx((1, 1))


def test_a_stage_is_turned_to_lie_as_the_one_before():
    one = np.random.default_rng(1).normal(size=(7, 6))
    turned = one @ np.linalg.qr(np.random.default_rng(2).normal(size=(6, 6)))[0]
    places = data(features={"one": one, "turned": turned, "mirrored": -one}).places
    np.testing.assert_allclose(places[1], places[0], atol=1e-9)
    np.testing.assert_allclose(places[2], places[0], atol=1e-9)


def test_pictures_that_are_all_alike_lie_in_the_middle():
    found = data(features={"all the same": np.ones((7, 3))})
    np.testing.assert_allclose(found.places, 0, atol=1e-6)
    assert np.isfinite(found.shares).all()


# What is shown


def test_probe_lab_in_words():
    found = data()
    assert probe_lab_state(found, "before", 1, 3).words == (
        "before: picture 1, dog. Its 3 nearest labelled pictures say dog 2 times, owl 1 time: dog, right. "
        "So 33.3% of 3 pictures are answered rightly. The map holds 100.0% of the spread of the features."
    )
    assert probe_lab_state(found, "before", 2, 1).words.startswith(
        "before: picture 2, owl. The nearest labelled picture says dog 1 time: dog, wrong. So 0.0% of 3"
    )
    assert words_of_votes([1, 0, 3], ("a", "b", "c")) == "c 3 times, a 1 time"


def test_the_widget_says_what_its_state_says():
    shown = lab()
    assert shown.choices() == {"more": False, "stage": "before", "picture": 0, "neighbours": 1}
    assert repr(shown) == "ProbeLab(stage='before', picture=0, neighbours=1)"
    shown.stage, shown.picture, shown.neighbours = "after", 2, 4
    assert shown.words() == probe_lab_state(data(), "after", 2, 4).words
    np.testing.assert_allclose(shown.state().places, data().places[1])


@pytest.mark.parametrize("choices", [{}, {"stage": "after", "picture": 2, "neighbours": 4}], ids=str)
def test_a_still_picture_with_alt_text_stands_behind_the_widget(choices):
    check_still_picture(lab(**choices))


def test_in_the_still_picture_a_labelled_one_covers_no_dot_that_is_asked():
    features = np.eye(3)[[0, 1, 2, 0, 1, 2]]  # three labelled ones, then dots on them: wrong, right, wrong
    labels = [0, 1, 2, 1, 1, 0]
    found = data(features={"one": features}, pictures=PICTURES[:6], labels=labels, labelled=3)
    for chosen in range(3):
        figure = probe_lab_figure(probe_lab_state(found, "one", chosen, 1), found)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        drawn = np.asarray(canvas.buffer_rgba())
        for label, place in zip(labels[3:], found.places[0][3:], strict=True):
            x, y = figure.axes[0].transData.transform(place)
            seen = drawn[round(len(drawn) - y), round(x), :3]
            np.testing.assert_allclose(seen / 255, to_rgb(FIGURE_COLOURS[label]), atol=0.02)


def test_the_still_picture_shows_the_picture_that_is_asked_its_place_and_its_neighbours():
    figure, places = lab(stage="after", picture=2, neighbours=3, more=True).figure(), data().places[1]
    shown, *pictures = figure.axes[:5]
    near = data().near[1, 2, :3]
    assert [axes.images[0].get_array()[..., 0].tolist() for axes in pictures] == PICTURES[[6, *near], 0].tolist()
    assert len({axes.get_position().x0 for axes in pictures[1:]}) == 3
    assert places[[6]].tolist() in [drawn.get_offsets().tolist() for drawn in shown.collections]  # the ring
    np.testing.assert_allclose([line.get_xydata() for line in shown.lines], places[[[6, i] for i in near]])


def test_what_the_browsers_numbers_are_held_against():
    """The cases of probe_lab.test.js: a lab as it is sent, and what Python says of every choice."""
    shown = lab()
    sent = {name: list(value) if isinstance(value, bytes) else value for name, value in shown._sent.items()}
    states = []
    for stage in FEATURES:
        for picture_number in range(3):
            for neighbours in range(1, 5):
                state = probe_lab_state(data(), stage, picture_number, neighbours)
                choices = {"stage": stage, "picture": picture_number, "neighbours": neighbours}
                states.append(choices | {"words": state.words, "votes": state.votes, "answers": state.answers.tolist()})
    cases = {"sent": sent | {"pixels": [], "places": []}, "states": states}
    stored = json.loads((Path(__file__).parent / "js" / "probe_lab.json").read_text(encoding="utf-8"))
    assert stored == cases, f"write this to js/probe_lab.json: {json.dumps(cases)}"


# What is refused


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: lab(stage="later"), "stage 'later' is not among 'before', 'after'"),
        (lambda: lab(picture=3), "picture 3 is not among 0 to 2"),
        (lambda: setattr(lab(), "neighbours", 5), "neighbours 5 is not among 1 to 4"),
        (lambda: probe_lab_state(data(), "before", 0, 0), "neighbours 0 is not among 1 to 4"),
        (lambda: data(features={}), "features has no stage; give at least one"),
        (lambda: data(labels=LABELS[:6]), "there are 7 pictures, and labels of shape [6]; give one label a picture"),
        (lambda: data(labelled=7), "7 of 7 pictures are labelled; give at least one, and leave at least one to ask"),
        (lambda: data(labelled=0), "0 of 7 pictures are labelled"),
        (lambda: data(class_names=["cat"]), f"there are 1 classes, and the map has colours for 2 to {COLOURS}"),
        (lambda: data(class_names=["cat", "dog"]), "the labels go from 0 to 2, and the 2 classes from 0 to 1"),
        (
            lambda: data(features={"flat": np.ones((7, 1))}),
            "the features of stage 'flat' are [7, 1]; give [7, F], F 2 or more",
        ),
        (
            lambda: data(features={"few": np.ones((6, 4))}),
            "the features of stage 'few' are [6, 4]; give [7, F], F 2 or more",
        ),
        (
            lambda: data(features={"zero": np.zeros((7, 4))}),
            "stage 'zero' has features that are not finite, or all zero; leave such pictures out",
        ),
        (
            lambda: data(features={"inf": np.full((7, 4), [[1.0]] * 6 + [[np.inf]])}),
            "stage 'inf' has features that are not finite, or all zero",
        ),
        (
            lambda: data(features={"nan": np.full((7, 4), np.nan)}),
            "stage 'nan' has features that are not finite, or all zero",
        ),
        (lambda: data(pictures=PICTURES / 255), "picture 0 holds float64, not uint8"),
    ],
)
def test_probe_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=exactly(sentence)):
        call()
