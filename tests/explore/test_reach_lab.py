"""The reach lab without a browser: its counts, its fields, its words, and what it refuses."""

import dataclasses

import numpy as np
import pytest
import torch
from matplotlib.text import Text
from references import exactly, randomize

from explore.examples import check_still_picture, picture
from vit_tutorial import ModelCard, ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.explore import ReachLab, reach_lab_state
from vit_tutorial.explore.reach_lab.figure import SHADE, over_grey, painted, reach_lab_figure
from vit_tutorial.explore.reach_lab.numbers import box_of, count_seen, levels_of, place_of, stages_of
from vit_tutorial.explore.still import viridis
from vit_tutorial.introspection import receptive_distance, receptive_field

SIZE = (12, 16)
PICTURES = {"one": picture(*SIZE, 1, seed=0), "two": picture(*SIZE, 1, seed=1)}
CARD = ModelCard(("cat", "dog", "owl"), (0.3,), (0.4,))


def pair(layers=(1, 1), block="basic", stem="3x3", **options):
    torch.manual_seed(0)
    cnn = CNN(CNNConfig(SIZE, 1, 3, block=block, layers=layers, width=4, stem=stem))
    shape = {"patch_size": 4, "in_channels": 1, "num_classes": 3, "dim": 8, "depth": 2, "num_heads": 2}
    vit = randomize(ViT(ViTConfig(SIZE, **(shape | options))))
    cnn.card = vit.card = CARD
    return cnn.eval(), vit.eval()


KINDS = [{}, {"block": "bottleneck", "layers": (1, 2)}, {"stem": "7x7", "layers": (1,)}, {"pool": "mean"}]


# What is counted and measured


def test_a_window_grows_with_each_kernel_and_each_stride_before_it():
    assert count_seen([(3, 1)]) == (3, 1)
    assert count_seen([(3, 1), (3, 1), (3, 1)]) == (7, 1)
    assert count_seen([(7, 2), (3, 2), (3, 1)]) == (19, 4)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_the_fields_are_those_of_receptive_field_and_end_where_the_count_ends(options):
    cnn, vit = pair(**options)
    for place in (0, 6, 11):
        state = reach_lab_state(cnn, vit, PICTURES["one"], stage=1, place=place)
        row, column = divmod(place, 4)
        for stage, box, field, far in zip(state.stages, state.boxes, state.fields, state.distances, strict=True):
            model = cnn if stage.of == "CNN" else vit
            images = CARD.normalize(torch.from_numpy(PICTURES["one"])[None])
            at = place_of(stage, row, column, 4)
            expected = receptive_field(model, images, stage.name, at)
            np.testing.assert_allclose(field, expected, atol=1e-6)
            shape = model.forward_intermediates(images)[stage.name].shape
            grid = tuple(shape[2:]) if len(shape) == 4 else model.grid_size
            assert far == pytest.approx(receptive_distance(expected, grid, at), abs=2e-3)
            top, left, bottom, right = box
            outside = np.ones(SIZE, dtype=bool)
            outside[top:bottom, left:right] = False
            assert not field[outside].any(), stage
            assert box_of(stage, row, column, 4, SIZE) == box


def test_by_random_weights_the_whole_window_is_used_far_from_the_border():
    torch.manual_seed(0)
    size = (64, 64)
    cnn = CNN(CNNConfig(size, 1, 3, layers=(1, 1), width=16, stem="3x3")).eval()
    vit = ViT(ViTConfig(size, 8, 1, 3, dim=8, depth=1, num_heads=2))
    state = reach_lab_state(cnn, vit, picture(*size, 1), place=27)
    for (top, left, bottom, right), field in list(zip(state.boxes, state.fields, strict=True))[:2]:
        seen = field.nonzero()
        assert (seen[0].min(), seen[1].min(), seen[0].max() + 1, seen[1].max() + 1) == (top, left, bottom, right)


def test_a_stage_of_the_vit_sees_one_patch_and_then_all():
    stages = stages_of(*pair())
    assert [(stage.of, stage.name) for stage in stages] == [
        ("CNN", "stem"),
        ("CNN", "layer1.0"),
        ("CNN", "layer2.0"),
        ("ViT", "patch_embed"),
        ("ViT", "blocks.0"),
        ("ViT", "blocks.1"),
    ]
    assert [(stage.width, stage.step) for stage in stages[:3]] == [(3, 1), (7, 1), (13, 2)]
    assert box_of(stages[3], 1, 2, 4, SIZE) == (4, 8, 8, 12)
    assert box_of(stages[4], 1, 2, 4, SIZE) == (0, 0, 12, 16)
    assert box_of(stages[2], 0, 0, 4, SIZE) == (0, 0, 9, 9)  # the middle is pixel 2, and the border cuts it


def test_the_words_say_the_count_and_all_distances():
    state = reach_lab_state(*pair(), PICTURES["one"], stage=1, place=6, name="one", weights="trained")
    far = [f"{one:.1f}" for one in state.distances]
    assert state.words == (
        "one, models trained, patch 6 (row 1, column 2). "
        "CNN layer1.0 can see 7 by 7 pixels here, 25.5% of the picture. "
        f"On average it looks {far[1]} pixels far. Stage by stage, the CNN looks {', '.join(far[:3])} pixels far, and "
        f"the ViT {', '.join(far[3:])}."
    )


def test_a_place_that_answers_to_nothing_is_dark():
    cnn, vit = pair()
    torch.nn.init.constant_(cnn.bn1.bias, -100)
    state = reach_lab_state(cnn, vit, PICTURES["one"], place=5)
    assert not state.fields[0].any()
    assert not levels_of(state.fields[0]).any()
    assert state.distances[0] == 0


def test_the_still_picture_names_its_frames_and_its_key_has_the_colours_of_a_grey_pixel():
    cnn, vit = pair()
    state = reach_lab_state(cnn, vit, np.full((1, *SIZE), 128, np.uint8), stage=4, place=6)
    level = levels_of(state.fields[4])
    drawn = painted(state, 4)
    np.testing.assert_allclose(drawn, over_grey()[level], atol=1e-12)
    assert np.ptp(over_grey()[0]) == 0, "of nothing only the grey is left"
    figure = reach_lab_figure(state)
    said = " ".join(text.get_text() for text in figure.findobj(Text))
    assert "Dashed frame: what the place can see" in said
    assert "Solid frame: the patch" in said
    dashed = [line for axes in figure.axes for line in axes.lines if line.get_linestyle() == "--"]
    assert len(dashed) == 1


# The widget


def test_the_widget_shows_the_state_and_sends_the_levels_of_every_box():
    cnn, vit = pair()
    other = pair()
    torch.nn.init.normal_(other[0].conv1.weight)
    lab = ReachLab({"trained": (cnn, vit), "other": other}, PICTURES, stage=2)
    assert (lab.picture, lab.weights, lab.place) == ("one", "trained", 1 * 4 + 2)
    expected = reach_lab_state(cnn, vit, PICTURES["one"], 2, 6, "one", "trained")
    assert lab.words() == expected.words
    sent = np.frombuffer(lab._sent["levels"], dtype=np.uint8)
    length, start = len(sent) // 4, 0
    for weights, models in (("trained", (cnn, vit)), ("other", other)):
        for name, shown in PICTURES.items():
            at = start
            states = [reach_lab_state(*models, shown, 0, place, name, weights) for place in range(12)]
            for stage in range(6):
                for state in states:
                    top, left, bottom, right = state.boxes[stage]
                    inside = levels_of(state.fields[stage])[top:bottom, left:right].ravel()
                    np.testing.assert_allclose(sent[at : at + inside.size], inside, atol=1)
                    at += inside.size
            start += length
            assert at == start
    check_still_picture(lab)
    assert repr(lab) == "ReachLab('one', weights='trained', stage=2, place=6)"


def test_only_what_a_place_cannot_see_is_dark_and_its_answer_is_in_colour():
    field = np.zeros(SIZE)
    field[0, 0] = 1
    state = dataclasses.replace(reach_lab_state(*pair(layers=(1,)), PICTURES["one"]), fields=[field])
    top, left, bottom, right = state.boxes[0]
    light = np.full(SIZE, SHADE)
    light[top:bottom, left:right] = 1
    assert (light == SHADE).any()
    expected = np.stack([light * PICTURES["one"][0] / 255] * 3, axis=-1)
    expected[0, 0] = viridis()[255] / 255
    np.testing.assert_allclose(painted(state, 0), expected)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"stage": 6}, "stage 6 is not among 0 to 5"),
        ({"place": 12}, "place 12 is not among 0 to 11"),
        ({"weights": "old"}, "weights 'old' is not among 'as they are'"),
        ({"picture": "three"}, "picture 'three' is not among 'one', 'two'"),
    ],
)
def test_impossible_choices_are_refused(choices, said):
    with pytest.raises(ValueError, match=exactly(said)):
        ReachLab(pair(), PICTURES, **choices)


def test_models_that_cannot_be_compared_are_refused():
    cnn, vit = pair()
    circular = CNN(CNNConfig(SIZE, 1, 3, layers=(1,), width=4, stem="3x3", padding="circular"))
    colour = CNN(CNNConfig(SIZE, 3, 3, layers=(1,), width=4, stem="3x3"))
    hybrid = ViT(ViTConfig(SIZE, 4, 1, 3, dim=8, depth=1, num_heads=2, stem="hybrid", stem_layers=()))
    for models, said in (
        ((circular, vit), "the CNN has padding='circular'; the reach lab counts with padding='zeros'"),
        ((colour, vit), "the CNN takes 3 channels and the ViT 1; give two models for the same pictures"),
        ((cnn, hybrid), "the ViT has stem='hybrid'; the reach lab shows models with stem='patch'"),
        (
            {"one": (cnn, vit), "two": pair(depth=1)},
            "the models 'two' are of another shape than the first; give pairs of one shape",
        ),
        ({}, "models holds no pair; give (cnn, vit), or a dict from words to such pairs"),
    ):
        with pytest.raises(ValueError, match=exactly(said)):
            ReachLab(models, PICTURES)
