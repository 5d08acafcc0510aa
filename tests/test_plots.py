"""Figures: they show something, say what they show, and come out the same twice."""

import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from vit_tutorial import plots
from vit_tutorial.training import History

IMAGE = torch.arange(3 * 8 * 8, dtype=torch.uint8).reshape(3, 8, 8)


def pixels(figure: Figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(plots.show(figure, "some test figure").png)).convert("RGB"))


def drawn(draw, *args, **options) -> np.ndarray:
    figure, axes = plots.new_figure(size=(2, 2))
    draw(axes[0, 0], *args, **options)
    return pixels(figure)


def test_show_gives_words_and_a_picture_with_escaped_alt_text():
    picture = plots.show(plots.new_figure()[0], 'two "lines" & more', caption="a < b")
    assert repr(picture) == '[figure: two "lines" & more]'
    page = picture._repr_html_()
    assert 'alt="two &quot;lines&quot; &amp; more"' in page
    assert "<figcaption>a &lt; b</figcaption>" in page
    assert picture.png.startswith(b"\x89PNG")


@pytest.mark.parametrize("alt", ["", "figure", "a figure"])
def test_a_figure_without_a_description_is_refused(alt):
    with pytest.raises(ValueError, match="describe in a sentence"):
        plots.show(plots.new_figure()[0], alt)


def test_a_figure_is_white_opaque_and_of_the_size_asked_for():
    figure, axes = plots.new_figure(2, 3, size=(5, 4))
    assert axes.shape == (2, 3)
    image = Image.open(io.BytesIO(plots.show(figure, "some test figure").png))
    assert image.size == (500, 400)
    assert np.asarray(image)[..., 3].min() == 255
    assert (np.asarray(image)[0, 0] == 255).all()


def test_the_same_figure_has_the_same_bytes():
    first, second = (plots.new_figure() for _ in range(2))
    for _, axes in (first, second):
        plots.draw_image(axes[0, 0], IMAGE, "title")
    assert plots.show(first[0], "some test figure").png == plots.show(second[0], "some test figure").png


def test_an_image_of_pixels_and_the_same_image_from_0_to_1_look_alike():
    assert np.abs(drawn(plots.draw_image, IMAGE).astype(int) - drawn(plots.draw_image, IMAGE / 255)).max() <= 1
    grey = drawn(plots.draw_image, IMAGE[:1])
    assert np.abs(grey.astype(int) - drawn(plots.draw_image, IMAGE[:1] / 255)).max() <= 1
    assert (grey[..., 0] == grey[..., 1]).all()
    assert np.ptp(grey[60:140, 60:140]) > 20


def test_patches_draw_a_grid_and_numbers_over_the_image():
    plain = drawn(plots.draw_image, IMAGE)
    grid = drawn(plots.draw_patches, IMAGE, 4, numbers=False)
    numbered = drawn(plots.draw_patches, IMAGE, 4)
    assert (plain != grid).any()
    assert (grid != numbered).any()


def test_the_lines_of_patches_lie_between_pixels_and_each_number_on_its_patch():
    _, axes = plots.new_figure()
    plots.draw_patches(axes[0, 0], torch.zeros(1, 8, 12), 4)
    lines = [(line.get_xdata(), line.get_ydata()) for line in axes[0, 0].lines]
    assert [x[0] for x, _ in lines if x[0] == x[1]] == [-0.5, 3.5, 7.5, 11.5]
    assert [y[0] for _, y in lines if y[0] == y[1]] == [-0.5, 3.5, 7.5]
    middles = [text.get_position() for text in axes[0, 0].texts]
    assert middles == [(1.5, 1.5), (5.5, 1.5), (9.5, 1.5), (1.5, 5.5), (5.5, 5.5), (9.5, 5.5)]


def test_patches_keep_the_numbers_they_are_given():
    for numbers in ([3, 0, 2, 1], torch.tensor([3, 0, 2, 1])):
        _, axes = plots.new_figure()
        plots.draw_patches(axes[0, 0], IMAGE, 4, numbers=numbers)
        assert [text.get_text() for text in axes[0, 0].texts] == ["3", "0", "2", "1"]
    with pytest.raises(ValueError, match="shorter"):
        plots.draw_patches(axes[0, 0], IMAGE, 4, numbers=[3, 0])


def test_a_matrix_has_its_numbers_unless_told_otherwise():
    _, axes = plots.new_figure()
    plots.draw_matrix(axes[0, 0], torch.tensor([[0.123, 1.0]]), "m", rows=["a"], columns=["b", "c"])
    assert [text.get_text() for text in axes[0, 0].texts] == ["0.12", "1.00"]
    assert [text.get_color() for text in axes[0, 0].texts] == ["white", "black"]  # each on its ground
    assert [label.get_text() for label in axes[0, 0].get_xticklabels()] == ["b", "c"]
    _, axes = plots.new_figure()
    plots.draw_matrix(axes[0, 0], torch.eye(3), decimals=None)
    assert not axes[0, 0].texts


def test_a_confusion_matrix_has_what_it_is_in_rows_and_what_was_said_in_columns():
    _, axes = plots.new_figure()
    plots.draw_confusion(axes[0, 0], torch.tensor([[9, 1], [4, 6]]), ["cat", "dog"])
    at = {text.get_position(): text.get_text() for text in axes[0, 0].texts}
    assert at == {(0, 0): "9", (1, 0): "1", (0, 1): "4", (1, 1): "6"}
    for labels in (axes[0, 0].get_xticklabels(), axes[0, 0].get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "dog"]
    assert {label.get_rotation() for label in axes[0, 0].get_xticklabels()} == {60}


def test_attention_is_bright_where_the_weights_are():
    weights = torch.zeros(2, 2)
    weights[0, 1] = 1
    figure = drawn(plots.draw_attention, torch.full((1, 8, 8), 128, dtype=torch.uint8), weights).astype(int)
    assert figure[80, 130].sum() > figure[80, 70].sum() + 100
    _, axes = plots.new_figure()
    plots.draw_attention(axes[0, 0], torch.zeros(1, 8, 12), torch.zeros(2, 3))
    image, above = axes[0, 0].get_images()
    assert tuple(above.get_extent()) == tuple(image.get_extent())  # to the border of the outermost pixels


def test_lines_have_names_and_colours_of_their_own():
    figure, axes = plots.new_figure()
    plots.draw_lines(axes[0, 0], [1, 2], {"up": [0, 1], "down": [1, 0]}, "x", "y")
    assert [text.get_text() for text in axes[0, 0].get_legend().get_texts()] == ["up", "down"]
    assert len({line.get_color() for line in axes[0, 0].lines}) == 2
    assert np.ptp(pixels(figure)) > 200


@pytest.mark.parametrize("count", [2, 8])
def test_a_spread_shows_each_seed_as_a_point_and_each_mean_as_a_line(count):
    values = {f"a variant of long name, {i}": [0.8 + i / 100, 0.82, 0.84] for i in range(count)}
    figure, axes = plots.new_figure(size=(7, 1 + 0.3 * count))
    ax = axes[0, 0]
    plots.draw_spread(ax, values, xlabel="test accuracy", colours=(plots.BLUE, plots.ORANGE))
    points, means = ax.lines[::2], ax.lines[1::2]
    assert [list(line.get_xdata()) for line in points] == list(values.values())
    for place, (line, row) in enumerate(zip(means, values.values(), strict=True)):
        assert set(line.get_xdata()) == {np.mean(row)}
        assert np.mean(line.get_ydata()) == pytest.approx(place)
    assert [text.get_text() for text in ax.texts] == [*(f"{np.mean(row):.1%}" for row in values.values()), "mean"]
    assert [label.get_text() for label in ax.get_yticklabels()] == list(values)
    assert [line.get_color() for line in points[:2]] == [plots.BLUE, plots.ORANGE]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first row is on top
    assert ax.xaxis.get_major_formatter().format_pct(0.825, 0.1) == "82.5%"
    pixels(figure)  # lays out the figure
    boxes = [label.get_window_extent() for label in [*ax.get_yticklabels(), *ax.texts]]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    rows = sorted((label.get_window_extent() for label in ax.get_yticklabels()), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(rows))


def test_equal_values_in_a_spread_stay_apart_and_one_seed_is_enough():
    _, axes = plots.new_figure()
    values = {"always the same": [0.25, 0.25, 0.25], "once": [0.9]}
    plots.draw_spread(axes[0, 0], values | {"array": np.array([0.5, 0.6]), "tensor": torch.tensor([0.5, 0.6])})
    assert len(set(axes[0, 0].lines[0].get_ydata())) == 3
    assert list(axes[0, 0].lines[2].get_ydata()) == [1]
    assert [text.get_text() for text in axes[0, 0].texts][2:4] == ["55.0%", "55.0%"]


@pytest.mark.parametrize(
    ("signed", "shown", "tick", "label"),
    [
        (False, ["1.0%", "0.0%", "-1.0%"], "82.5%", "accuracy"),
        (True, ["+1.0", "+0.0", "-1.0"], "82.5", "accuracy (percentage points)"),
    ],
)
def test_differences_have_a_sign_and_are_percentage_points_and_none_is_minus_zero(signed, shown, tick, label):
    _, axes = plots.new_figure()
    ax = axes[0, 0]
    plots.draw_spread(ax, {"more": [0.01], "the same": [-0.0003], "less": [-0.01]}, "accuracy", signed=signed)
    assert [text.get_text() for text in ax.texts][:3] == shown
    assert ax.xaxis.get_major_formatter().format_pct(0.825, 0.1) == tick
    assert ax.get_xlabel() == label


@pytest.mark.parametrize(("values", "words"), [({}, "no rows"), ({"a": [0.5], "b": []}, "no value for 'b'")])
def test_a_spread_of_nothing_is_refused(values, words):
    _, axes = plots.new_figure()
    with pytest.raises(ValueError, match=words):
        plots.draw_spread(axes[0, 0], values)


# ------------------------------------------------------------------------------------------ the curves of a training


def history_of(epochs, planned=5, validation=True):
    values = [0.5 + epoch / 10 for epoch in range(epochs)]
    held_out = values if validation else []
    return History(values, values, held_out, held_out, values, config={"epochs": planned})


@pytest.fixture
def shown(monkeypatch):
    """Record what is displayed, as (what, where it was displayed): a number for a new place, or the old one's."""
    calls = []

    class Place:
        def __init__(self, number):
            self.number = number

        def update(self, picture):
            calls.append((picture, self.number))

    def display(picture, display_id=False):
        assert display_id is True
        place = Place(len(calls))
        calls.append((picture, place.number))
        return place

    monkeypatch.setattr("IPython.display.display", display)
    return calls


def test_the_curves_of_a_training_hold_what_it_wrote_down(monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "show", lambda figure, alt: drawn.append((figure, alt)))
    history = history_of(3)
    history.validation_loss = [3.0, 2.0, 1.0]
    plots.draw_history(history)
    ((figure, alt),) = drawn
    loss, accuracy, rate = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [history.train_loss, [3.0, 2.0, 1.0]]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [history.train_accuracy, history.validation_accuracy]
    assert list(rate.lines[0].get_ydata()) == history.learning_rate
    assert all(list(ax.lines[0].get_xdata()) == [1, 2, 3] and ax.get_xlim() == (0.5, 5.5) for ax in figure.axes)
    assert {line.get_marker() for ax in figure.axes for line in ax.lines} == {"o"}  # one epoch alone is seen
    assert accuracy.yaxis.get_major_formatter()(0.5) == "50%"
    assert alt.startswith("Curves over 3 of 5 epochs")


def test_the_curves_of_a_training_without_a_split_name_no_validation():
    assert "validation" not in repr(plots.draw_history(history_of(1, validation=False)))


def test_there_are_no_curves_before_the_first_epoch():
    with pytest.raises(ValueError, match="0 epochs"):
        plots.draw_history(history_of(0))


@pytest.mark.parametrize("somebody", [True, False])
def test_a_long_loop_has_a_bar_only_where_somebody_watches(somebody, monkeypatch, capsys):
    monkeypatch.setattr(plots, "somebody_is_watching", lambda: somebody)
    assert list(plots.watched([3, 1, 2], "head")) == [3, 1, 2]
    shown = capsys.readouterr().err
    assert ("/3 [" in shown and "head" in shown) if somebody else shown == ""


def test_live_curves_are_drawn_in_one_place_where_somebody_watches(shown, monkeypatch):
    monkeypatch.setattr(plots, "somebody_is_watching", lambda: True)
    clock = iter([0.0, 0.2, 1.9, 2.1, 2.3, 4.0])  # asked before and after drawing
    monkeypatch.setattr(plots, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    live = plots.LiveCurves()
    for epochs in (1, 2, 3, 4):
        live(history_of(epochs))
    assert live.finish(history_of(5)) is None
    assert {place for _, place in shown} == {0}
    assert [repr(picture).split(" of ")[0] for picture, _ in shown] == [
        f"[figure: Curves over {epochs}"
        for epochs in (1, 3, 5)  # to draw takes 0.2 s, and at 1.9 s that is too soon
    ]


def test_live_curves_are_drawn_once_at_the_end_where_nobody_watches(shown, monkeypatch):
    monkeypatch.setattr(plots, "somebody_is_watching", lambda: False)
    live = plots.LiveCurves()
    live(history_of(1))
    assert shown == []
    assert repr(live.finish(history_of(2))).startswith("[figure: Curves over 2 of 5 epochs")


def test_a_training_that_was_finished_before_is_drawn_also_where_somebody_watches(shown, monkeypatch):
    monkeypatch.setattr(plots, "somebody_is_watching", lambda: True)
    assert repr(plots.LiveCurves().finish(history_of(5))).startswith("[figure: Curves over 5 of 5 epochs")


def test_no_line_is_left_out_and_each_has_a_look_of_its_own():
    _, axes = plots.new_figure(1, 1)
    plots.draw_lines(axes[0, 0], [0, 1], {f"line {i}": [i, i] for i in range(14)}, "x", "y")
    drawn = axes[0, 0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in drawn}) == 14
    with pytest.raises(ValueError, match="15 lines cannot be told apart; draw at most 14"):
        plots.draw_lines(axes[0, 0], [0, 1], {f"line {i}": [i, i] for i in range(15)}, "x", "y")
