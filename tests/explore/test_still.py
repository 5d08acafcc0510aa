"""The still pictures can be read: nothing is cut off, and no words or drawings lie on others."""

import itertools

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from explore.test_settings import explorers

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
