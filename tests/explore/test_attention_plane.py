"""Attention in the plane without a browser: its numbers, its words, and what it refuses."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Annotation, Text
from references import attention_by_loops
from torch.nn import functional as F
from traitlets import TraitError

from explore.examples import check_still_picture
from vit_tutorial import scaled_dot_product_attention
from vit_tutorial.explore import AttentionPlane, attention_plane_state
from vit_tutorial.explore.attention_plane.figure import attention_plane_figure, ends_of, reach_of
from vit_tutorial.explore.attention_plane.numbers import MASKS, PRESETS, allowed

HAND = ([[1, 0], [0, 1], [1, 1]], [[1, 0], [0, 1], [1, 1]], [[10, 0], [0, 10], [5, 5]])  # all numbers are easy
tenths = st.integers(-80, 80).map(lambda number: number / 10)
points = st.lists(st.lists(tenths, min_size=2, max_size=2), min_size=3, max_size=3)


# The numbers


@given(points, points, points, st.sampled_from(list(MASKS)))
@settings(max_examples=60)
def test_it_is_the_librarys_attention(q, k, v, mask):
    state = attention_plane_state(q, k, v, mask=mask)
    tensors = [torch.tensor(one, dtype=torch.float64) for one in (q, k, v)]
    output, weights = scaled_dot_product_attention(*tensors, mask=torch.from_numpy(allowed(mask)))
    assert np.array_equal(state.weights, weights.numpy())
    assert np.array_equal(state.outputs, output.numpy())
    fused = F.scaled_dot_product_attention(*(one[None] for one in tensors), attn_mask=torch.from_numpy(allowed(mask)))
    np.testing.assert_allclose(state.outputs, fused[0].numpy(), rtol=0, atol=1e-12)


@given(points, points, points, st.booleans(), st.integers(1, 50), st.sampled_from(list(MASKS)))
@settings(max_examples=60)
def test_each_step_follows_from_the_one_before(q, k, v, scaled, temperature, mask):
    temperature /= 10
    state = attention_plane_state(q, k, v, scaled=scaled, temperature=temperature, mask=mask)
    assert state.divisor == pytest.approx((math.sqrt(2) if scaled else 1) * temperature)
    np.testing.assert_allclose(state.scores, np.array(q) @ np.array(k).T, atol=1e-12)
    np.testing.assert_allclose(state.scaled[allowed(mask)], (state.scores / state.divisor)[allowed(mask)])
    assert (state.scaled[~allowed(mask)] == -np.inf).all()
    softmax = torch.from_numpy(state.scaled).softmax(-1).numpy()
    np.testing.assert_allclose(state.weights, softmax, atol=1e-12)
    np.testing.assert_allclose(state.weights.sum(1), 1, atol=1e-12)
    np.testing.assert_allclose(state.outputs, softmax @ np.array(v), atol=1e-10)


def test_it_equals_the_loops():
    stretched = [[math.sqrt(2) / 0.5 * number for number in point] for point in HAND[0]]
    output, weights = attention_by_loops(stretched, HAND[1], HAND[2], allowed("causal").tolist())
    state = attention_plane_state(*HAND, scaled=False, temperature=0.5, mask="causal")
    np.testing.assert_allclose(state.weights, weights, atol=1e-12)
    np.testing.assert_allclose(state.outputs, output, atol=1e-12)


def test_the_numbers_of_lesson_4_are_one_sided():
    tokens, wanted = np.array([[-1, 0], [2, 2], [1, 0]]), PRESETS["by hand"]
    for matrix, made in zip(([[2, 0], [-2, 1]], [[1, -1], [0, 2]], [[0, 1], [4, 0]]), wanted[:3], strict=True):
        assert (tokens @ matrix).tolist() == made
    state = attention_plane_state(*wanted)
    assert state.scores.tolist() == [[2, -4, -2], [2, 4, -2], [-2, 4, 2]]
    assert state.weights[2].round(2).tolist() == [0.01, 0.8, 0.19]
    assert state.outputs[2].round(1).tolist() == [6.4, 1.8]


def test_the_numbers_of_easy_vectors():
    state = attention_plane_state(*HAND)
    assert state.scores.tolist() == [[1, 0, 1], [0, 1, 1], [1, 1, 2]]
    high = math.exp(math.sqrt(0.5))
    assert state.weights[0].tolist() == pytest.approx(
        [high / (2 * high + 1), 1 / (2 * high + 1), high / (2 * high + 1)]
    )
    assert state.outputs[2].tolist() == pytest.approx([5, 5])


def test_masks_hide_keys():
    assert allowed("none").all()
    assert allowed("causal").tolist() == [[True, False, False], [True, True, False], [True, True, True]]
    assert allowed("padding").tolist() == [[True, True, False]] * 3
    state = attention_plane_state(*HAND, mask="causal")
    assert state.weights[0].tolist() == [1, 0, 0]
    assert state.outputs[0].tolist() == HAND[2][0]
    assert (attention_plane_state(*HAND, mask="padding").weights[:, 2] == 0).all()


def test_what_a_learner_is_told_to_look_for():
    equal = attention_plane_state(*PRESETS["all keys equal"])
    np.testing.assert_allclose(equal.weights, 1 / 3, atol=1e-12)
    np.testing.assert_allclose(equal.outputs, [np.mean(PRESETS["all keys equal"].v, axis=0)] * 3, atol=1e-12)
    long = attention_plane_state(*PRESETS["one long query"])
    assert attention_plane_state(*HAND).weights[2].max() < 0.6 < 0.97 < long.weights[2].max()
    assert attention_plane_state(*PRESETS["one long query"], scaled=False).weights[2].max() > 0.99
    assert attention_plane_state(*PRESETS["one long query"], temperature=5.0).weights[2].max() < 0.6
    star = attention_plane_state(*PRESETS["three directions"])
    assert (np.diag(star.weights) > 0.95).all()


# The words and the picture


def test_one_query_in_words():
    assert attention_plane_state(*HAND, chosen="k1").words == (
        "Query 0, (1.00, 0.00), looks most at keys 0 and 2, with 40.1% each (key 1: 19.8%): as if spread evenly over "
        "2.87 keys. Scores 1.00, 0.00, 1.00; divided by 1.41: 0.71, 0.00, 0.71. Output 0 is (6.02, 3.98). "
        "The arrow keys move k1, (0.00, 1.00)."
    )
    assert attention_plane_state(*PRESETS["all keys equal"], scaled=False).words.startswith(
        "Query 0, (1.00, 0.00), looks at all three keys alike, with 33.3% each: as if spread evenly over 3.00 keys. "
        "Scores 1.00, 1.00, 1.00. Output 0 is (5.00, 3.00)."
    )
    assert (
        "looks most at key 2, with 97.2% (key 0: 1.4%, key 1: 1.4%)" in AttentionPlane(preset="one long query").words()
    )


def test_masked_keys_in_words():
    first, second = (attention_plane_state(*HAND, query=query, mask="causal").words for query in (0, 1))
    assert "can look only at key 0, with 100.0%: as if spread evenly over 1.00 keys." in first
    assert "; keys 1 and 2 are masked. Output 0 is (10.00, 0.00)." in first
    assert "looks most at key 1, with 67.0% (key 0: 33.0%)" in second
    assert "; key 2 is masked." in second
    assert "looks at keys 0 and 1 alike, with 50.0% each" in attention_plane_state(*HAND, 2, mask="padding").words


def test_a_small_weight_is_not_written_as_nothing():
    far = attention_plane_state([[8, -8], [0, 1], [1, 1]], *HAND[1:])
    assert 1.1e-5 < far.weights[0, 1] < 1.3e-5
    assert "looks most at key 0, with 99.7% (key 1: 0.0012%, key 2: 0.3%)" in far.words
    farther = attention_plane_state([[8, -8], [0, 1], [1, 1]], *HAND[1:], temperature=0.1)
    assert "(key 1: <0.001%, key 2: <0.001%)" in farther.words
    q = [[8, -8], [0, 1], [1, 1]]
    masked = attention_plane_state(q, *HAND[1:], mask="causal", query=1)
    drawn = {text.get_text() for text in attention_plane_figure(masked, more=True).findobj(Text)}
    assert {"-inf", "0.0%"} <= drawn, "a masked key has a weight of 0"
    drawn = {text.get_text() for text in attention_plane_figure(far, more=True).findobj(Text)}
    assert "0.0012%" in drawn
    assert "0.0%" not in drawn


@pytest.mark.parametrize(
    ("choices", "sentence", "title"),
    [
        ({}, "Output 0 = 40.1% of v0 + 19.8% of v1 + 40.1% of v2", "2. Divided by 1.41"),
        ({"mask": "causal"}, "Output 0 = 100.0% of v0 + 0.0% of v1 + 0.0% of v2", "2. Divided by 1.41, masked"),
        ({"scaled": False}, "Output 0 = 42.2% of v0 + 15.5% of v1 + 42.2% of v2", "2. Not divided"),
    ],
)
def test_the_still_picture_says_what_the_view_says(choices, sentence, title):
    """Of a masked key nothing is taken, and not just little."""
    figure = attention_plane_figure(attention_plane_state(*HAND, **choices), more=True)
    said = [text.get_text() for text in figure.findobj(Text)]
    assert sentence in said
    assert title in said


def test_axes_hold_what_is_shown():
    assert reach_of(*HAND[:2]) == 2
    assert reach_of([[2.1, 0], [0, 0], [0, 0]], HAND[1]) == 4
    assert reach_of(HAND[0], [[0, -8], [0, 0], [0, 0]]) == 8
    assert ends_of(HAND[2]) == (-2, 12)
    assert ends_of([[0, -2.5], [0, 0], [0, 0]]) == (-12, 12)


@pytest.mark.parametrize(("preset", "mask"), list(zip(PRESETS, [*MASKS, "none"], strict=True)))
def test_a_still_picture_with_alt_text_stands_behind_the_widget(preset, mask):
    plane = AttentionPlane(preset=preset, mask=mask)
    check_still_picture(plane)


@pytest.mark.parametrize(("preset", "mask"), list(itertools.product(PRESETS, MASKS)))
def test_names_in_the_still_picture_do_not_cover_one_another(preset, mask):
    figure = AttentionPlane(preset=preset, mask=mask).figure()
    figure.draw_without_rendering()
    names = [text for text in figure.findobj(Annotation) if text.get_text()]
    said = " ".join(name.get_text() for name in names)
    assert all(
        name in said for name in ("q0", "q1", "q2", "k0", "k1", "k2", "v0", "v1", "v2", "out 0", "out 1", "out 2")
    )
    boxes = [Text.get_window_extent(name) for name in names]
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other), (one, other)
    for box in boxes:
        assert box.x0 >= 0
        assert box.x1 <= figure.bbox.x1


def test_names_in_the_still_picture_have_a_ground_of_their_own():
    figure = AttentionPlane().figure()
    names = [text for text in figure.findobj(Annotation) if text.get_text()]
    assert all(name.get_bbox_patch().get_facecolor() == (1, 1, 1, 1) for name in names)


def test_pale_keys_in_the_still_picture_have_an_outline_in_full_colour():
    figure = AttentionPlane().figure()
    figure.draw_without_rendering()
    arrows = [one.arrow_patch for one in figure.findobj(Annotation) if one.arrow_patch]
    keys = [arrow for arrow in arrows if arrow.get_facecolor()[3] < 1]
    assert len(keys) == 3
    for arrow in keys:
        assert arrow.get_edgecolor() == (*arrow.get_facecolor()[:3], 1)
        assert arrow.get_linewidth() >= 1


# The widget


def test_the_widget_says_what_its_state_says():
    plane = AttentionPlane(*HAND, query=0)
    assert repr(plane) == "AttentionPlane(scaled=True, temperature=1, mask='none')"
    assert (plane.q, plane.k, plane.v, plane.query, plane.chosen) == (*HAND, 0, "q0")
    plane.q = torch.tensor([[1.5, 0], [0, 1], [1, 1]])
    plane.v = np.array([[0, 0], [10, 0], [0, 10]])
    plane.scaled, plane.temperature, plane.mask, plane.query, plane.chosen = False, 0.5, "padding", 1, "v2"
    expected = attention_plane_state(plane.q, HAND[1], plane.v, 1, False, 0.5, "padding", "v2")
    assert plane.q == [[1.5, 0], [0, 1], [1, 1]]
    assert plane.words() == expected.words
    assert np.array_equal(plane.state().outputs, expected.outputs)


def test_a_preset_is_taken_up():
    plane = AttentionPlane(preset="one long query")
    long = PRESETS["one long query"]
    assert (plane.q, plane.k, plane.v, plane.query, plane.chosen) == (*long, "q2")
    assert (plane.scaled, plane.temperature, plane.mask) == (True, 1.0, "none")
    plane.q[0][0] = 7.0
    assert PRESETS["one long query"].q[0][0] == 1.0, "a preset stays as it is"
    assert AttentionPlane(preset="one long query", q=HAND[0]).q == HAND[0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: AttentionPlane(q=[[1, 2, 3]] * 3), "q has shape [3, 3]; give [3, 2]: 3 vectors of 2 numbers"),
        (lambda: AttentionPlane(k=[[1, 2]] * 2), "k has shape [2, 2]"),
        (lambda: AttentionPlane(q=[[1, 9]] * 3), "q holds a number of size 9; the picture ends at 8"),
        (lambda: AttentionPlane(v=[[1, -13]] * 3), "v holds a number of size 13; the picture ends at 12"),
        (lambda: AttentionPlane(v=[[1, math.nan]] * 3), "v holds a number of size nan"),
        (lambda: AttentionPlane(preset="long"), "preset 'long' is not among 'by hand', 'all keys equal'"),
        (lambda: AttentionPlane(mask="future"), "mask 'future' is not among 'none', 'causal', 'padding'"),
        (lambda: AttentionPlane(query=3), "query 3 is not among 0 to 2"),
        (lambda: AttentionPlane(temperature=0), "temperature 0 is not among 0.1 to 5"),
        (lambda: AttentionPlane(chosen="w0"), "chosen 'w0' is not among 'q0', 'q1', 'q2', 'k0'"),
        (lambda: setattr(AttentionPlane(), "q", [[1, 2]]), "q has shape [1, 2]"),
        (lambda: setattr(AttentionPlane(), "temperature", 9), "temperature 9 is not among 0.1 to 5"),
        (lambda: setattr(AttentionPlane(), "mask", "all"), "mask 'all' is not among 'none'"),
        (lambda: setattr(AttentionPlane(), "query", -1), "query -1 is not among 0 to 2"),
    ],
)
def test_attention_plane_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


def test_a_refused_change_changes_nothing():
    plane = AttentionPlane()
    with pytest.raises(TraitError):
        plane.scaled = "yes"
    with pytest.raises(ValueError, match="query 5"):
        plane.query = 5
    assert plane.words() == AttentionPlane().words()
