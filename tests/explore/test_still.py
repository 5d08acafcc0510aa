"""The still pictures can be read: nothing is cut off, and no words or drawings lie on others."""

import itertools
import warnings

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from explore.examples import model, picture
from explore.test_settings import explorers
from vit_tutorial import ModelCard
from vit_tutorial.explore import HeadsGallery, ModelMap, ProbeLab, SketchLab, TokenTable, TrainingTimeline, still
from vit_tutorial.explore.still import png

NEARLY = 1  # pixels that may be shared


def boxes_of(parts):
    return {part: part.get_window_extent() for part in parts}


def overlapping(boxes):
    return [
        (one, other)
        for one, other in itertools.combinations(boxes, 2)
        if min(boxes[one].x1, boxes[other].x1) - max(boxes[one].x0, boxes[other].x0) > NEARLY
        and min(boxes[one].y1, boxes[other].y1) - max(boxes[one].y0, boxes[other].y0) > NEARLY
    ]


LONG = ("West Highland white terrier of a good family from the north", "D" * 60, "owl")


def long_model():
    vit = model()
    vit.card = ModelCard(LONG, (0.3,), (0.4,))
    return vit


def long_pictures():
    return dict(zip(LONG, (picture(12, 12, 1, seed) for seed in range(3)), strict=True))


def probe():
    features = {name: np.random.default_rng(0).normal(size=(12, 6)) for name in LONG}
    return ProbeLab(features, np.stack([picture()] * 12), np.arange(12) % 3, 6, LONG)


WITH_LONG_NAMES = {
    "token table": lambda: TokenTable(long_model(), long_pictures()),
    "heads gallery": lambda: HeadsGallery(long_model(), long_pictures(), labels=[0, 1, 2]),
    "model map": lambda: ModelMap(long_model(), picture(12, 12, 1), box="head"),
    "timeline": lambda: TrainingTimeline(
        {0: long_model(), 1: long_model()}, np.stack(list(long_pictures().values())), LONG, [0.5]
    ),
    "probe lab": probe,
    "sketch lab": lambda: SketchLab(long_model(), long_pictures(), drawing=LONG[0]),
}


@pytest.mark.parametrize("make", WITH_LONG_NAMES.values(), ids=WITH_LONG_NAMES)
def test_of_long_names_the_beginning_is_inside_and_apart(make):
    lab = make()
    lab.more = True
    figure = lab.figure()
    FigureCanvasAgg(figure).draw()
    names = [label for axes in figure.axes if axes.axison for label in axes.get_yticklabels()]
    words = boxes_of(text for text in [*figure.texts, *names] if text.get_text())
    for part, box in words.items():
        assert min(box.x0, figure.bbox.width - box.x1) >= 0, part
    assert overlapping(words) == []
    assert any("…" in part.get_text() for part in words)


def test_letters_that_the_font_lacks_come_from_another_one_and_give_no_warning_where_there_is_none(monkeypatch):
    vit = model()
    vit.card = ModelCard(("\u1d81", "owl", "cat"), (0.3,), (0.4,))  # d with a hook: in STIX, not in DejaVu Sans
    lab = HeadsGallery(vit, picture(12, 12, 1), more=True)
    with pytest.warns(UserWarning, match="missing from font"):
        png(lab.figure())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lab._repr_mimebundle_()
        monkeypatch.setattr(still, "WIDE_FONTS", ("no such font", "STIXGeneral"))
        png(lab.figure())


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("name", explorers())
def test_all_of_a_still_picture_is_inside_and_apart(name, more):
    lab = explorers()[name]()
    lab.more = more
    figure = lab.figure()
    FigureCanvasAgg(figure).draw()  # lays it out
    words = boxes_of(text for text in figure.texts if text.get_text())
    within = boxes_of(text for axes in figure.axes for text in axes.texts if text.get_text())
    drawings = boxes_of(figure.axes)
    for part, box in (words | within | drawings).items():
        assert min(box.x0, box.y0, figure.bbox.width - box.x1, figure.bbox.height - box.y1) >= 0, part
    assert overlapping(words | within) == []
    assert overlapping(drawings) == []
    assert overlapping(words | {axes: box for axes, box in drawings.items() if axes.images}) == []
