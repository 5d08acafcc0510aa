"""The position lab without a browser: its numbers, its words, and what it refuses."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from explore.examples import check_still_picture, picture
from vit_tutorial import ViT, ViTConfig, attention_maps, interpolate_positions, sincos_1d, sincos_2d
from vit_tutorial.explore import PositionLab, position_lab_state
from vit_tutorial.explore.position_lab.figure import position_lab_figure
from vit_tutorial.explore.position_lab.numbers import (
    COLOURS,
    KINDS,
    SHOWS,
    neighbourhood,
    position_lab_data,
    position_tables,
    shuffled_orders,
    similarity_to,
    stretch_matrix,
    stretched,
    what_the_model_sees,
)
from vit_tutorial.explore.words import decimals
from vit_tutorial.weights import ModelCard

CONFIG = ViTConfig(image_size=12, patch_size=4, in_channels=1, num_classes=3, dim=16, depth=2, num_heads=2)
CARD = ModelCard(class_names=("bag", "boot", "coat"), mean=(0.3,), std=(0.4,))
PICTURES = {"one": picture(12, 12, 1), "two": picture(12, 12, 1, seed=1)}


def model(seed=0, **options):
    torch.manual_seed(seed)
    vit = ViT(replace(CONFIG, **options)).eval()
    with torch.no_grad():
        for parameter in vit.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    vit.card = CARD
    return vit


@pytest.fixture(scope="module")
def data():
    return position_lab_data(model(), PICTURES)


# Stretching and similarity


@pytest.mark.parametrize(("old", "new"), [(7, 7), (7, 8), (7, 11), (7, 14), (3, 5)])
def test_stretching_is_what_the_library_does(old, new):
    table = torch.randn(old * old, 6, generator=torch.Generator().manual_seed(old + new))
    expected = interpolate_positions(table[None], old, new, num_prefix_tokens=0)[0]
    found = stretched(table.numpy(), stretch_matrix(old, new))
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=2e-6)


def test_stretching_to_the_same_grid_changes_nothing():
    assert np.array_equal(stretch_matrix(7, 7), np.eye(7, dtype=np.float32))


def test_similarity_is_the_cosine():
    table = torch.randn(9, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = F.cosine_similarity(table[4], table, dim=-1)
    np.testing.assert_allclose(similarity_to(table.numpy(), 4), expected.numpy(), rtol=0, atol=1e-12)
    assert similarity_to(table.numpy(), 4)[4] == pytest.approx(1, abs=1e-12)


def test_neighbours_and_far_places():
    values = np.arange(49.0)
    assert neighbourhood(values, 24, 7)[:2] == (24, 24)
    assert neighbourhood(values, 0, 7)[:2] == (1, 7)
    far = [i for i in range(49) if abs(i // 7 - 3) + abs(i % 7 - 3) >= 4]
    marked = np.isin(np.arange(49), far).astype(float)
    assert neighbourhood(marked, 24, 7)[2] == 1
    assert neighbourhood(1 - marked, 24, 7)[2] == 0


def test_far_means_as_far_in_the_picture_on_a_finer_grid():
    steps = abs(np.arange(196) // 14) + abs(np.arange(196) % 14)
    assert neighbourhood((steps >= 8).astype(float), 0, 14)[2] == 1
    assert neighbourhood((steps < 8).astype(float), 0, 14)[2] == 0


def test_tables_are_the_models_and_the_librarys():
    vit = model()
    learned, fresh, line, grid = position_tables(vit)
    assert np.array_equal(learned, vit.position.pos_embed[0, 1:].detach().numpy())
    assert np.array_equal(line, sincos_1d(9, 16).numpy())
    assert np.array_equal(grid, sincos_2d(3, 16).numpy())
    assert fresh.std() == pytest.approx(0.02, rel=0.2)
    before = torch.random.get_rng_state()
    assert np.array_equal(position_tables(vit)[1], fresh)
    assert torch.equal(torch.random.get_rng_state(), before)


# The shuffle


def test_each_order_holds_every_patch_once():
    orders = shuffled_orders(3)
    assert orders[0].tolist() == list(range(9))
    assert all(sorted(order) == list(range(9)) for order in orders.tolist())
    assert len({tuple(order) for order in orders.tolist()}) == len(orders) == 7


def test_the_model_without_positions_cannot_tell_and_the_one_with_them_can(data):
    for order in range(1, 7):
        state = position_lab_state(data, 3, 4, order=order)
        attention, probabilities = data.attention[0, :, 0], data.probabilities[0]  # in order; in each order
        changes = np.abs(probabilities[:, order] - probabilities[:, 0]).max(axis=1)
        assert changes[0] < 1e-7
        assert min(changes[1], np.abs(state.home[1].reshape(-1) - attention[1]).max()) > 1e-3
        assert not np.array_equal(state.lying[0], state.home[0])
        np.testing.assert_allclose(state.home[0].reshape(-1), attention[0], rtol=0, atol=1e-7)
        assert state.says[0][0] == state.says[0][1]


def test_weights_and_probabilities_are_those_of_the_model_itself():
    vit = model().double()
    shown = picture(12, 12, 1)
    attention, probabilities = what_the_model_sees(vit, shown, shuffled_orders(3))
    images = CARD.normalize(torch.from_numpy(shown)[None]).double()
    maps = attention_maps(vit, images)[-1].mean(dim=1)[0, 0, 1:]
    np.testing.assert_allclose(attention[1, 0], maps.detach().numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(probabilities[1, 0], vit(images).softmax(-1)[0].detach().numpy(), rtol=0, atol=1e-6)
    with torch.no_grad():
        vit.position.pos_embed[:, 1:] = vit.position.pos_embed[:, 1:].mean(1, keepdim=True)
    np.testing.assert_allclose(probabilities[0, 0], vit(images).softmax(-1)[0].detach().numpy(), rtol=0, atol=1e-6)


def test_the_model_stays_as_it_was():
    vit = model()
    before = {name: value.clone() for name, value in vit.state_dict().items()}
    position_lab_data(vit, PICTURES)
    assert all(torch.equal(before[name], value) for name, value in vit.state_dict().items())
    assert vit.head.weight.dtype == torch.float32


def test_the_shuffled_picture_is_what_the_model_was_given(data):
    given = position_lab_state(data, 3, 0, order=2, picture="two").given
    for place, patch in enumerate(data.orders[2].tolist()):
        (row, column), (old_row, old_column) = divmod(place, 3), divmod(patch, 3)
        cut = PICTURES["two"][:, 4 * old_row : 4 * old_row + 4, 4 * old_column : 4 * old_column + 4]
        assert np.array_equal(given[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4], cut)


# What is shown


def test_maps_and_their_ends(data):
    own, same = (position_lab_state(data, 3, 4, colours=colours) for colours in COLOURS)
    assert own.maps.shape == (4, 3, 3)
    assert own.ends == tuple((float(values.min()), 1.0) for values in own.maps)
    assert same.ends == ((-1.0, 1.0),) * 4
    assert own.maps[:, 1, 1] == pytest.approx(1)
    assert np.array_equal(own.maps, same.maps)
    column = position_lab_state(data, 3, 4, show=SHOWS[1], number=5)
    np.testing.assert_allclose(column.maps.reshape(4, 9), data.tables[:, :, 5], rtol=0, atol=1e-7)
    assert all(
        low == -high == -np.abs(values).max() for (low, high), values in zip(column.ends, column.maps, strict=True)
    )
    assert len(set(position_lab_state(data, 3, 4, show=SHOWS[1], number=5, colours=COLOURS[1]).ends)) == 1
    assert position_lab_state(data, 6, 35).maps.shape == (4, 6, 6)


@pytest.mark.parametrize("colours", COLOURS)
def test_a_still_map_says_what_it_holds_and_what_its_colours_stand_for(data, colours):
    state = position_lab_state(data, 3, 4, colours=colours)
    written = [text.get_text() for text in position_lab_figure(state).texts]
    for values, (low, high) in zip(state.maps, state.ends, strict=True):
        says_more = f"lowest {decimals(values.min())}, highest {decimals(values.max())}" in written
        assert says_more == (colours == COLOURS[1]), "only where the colours reach further than the map"
        assert f"dark {decimals(low)}, yellow {decimals(high)}" in written
    assert sum(text.startswith("dark -1.00, yellow 1.00") for text in written) == (4 if colours == COLOURS[1] else 0)


def test_position_lab_in_words(data):
    tables = np.zeros((4, 9, 16), np.float32)
    tables[:, :, 0] = 1
    tables[0, 4] = 0
    tables[0, 4, :2] = 1, 1  # 45 degrees from all others
    flat = replace(data, tables=tables)
    assert position_lab_state(flat, 3, 4).words.startswith(
        "12 × 12 pixels: 3 × 3 positions. Similarity of position 4 (row 1, column 1) to those left and right, above "
        "and below, and over half a side away: learned 0.71, 0.71,"
    )
    words = position_lab_state(flat, 3, 4, show=SHOWS[1], number=1).words
    assert words == (
        "12 × 12 pixels: 3 × 3 positions. Number 1 of position 4 (row 1, column 1): learned 1.00; before training "
        "0.00; sin-cos 1-D 0.00; sin-cos 2-D 0.00. The patches are in order: choose a shuffle."
    )
    shuffled = position_lab_state(data, 3, 4, order=3).words
    changes = re.search(
        r"Shuffle 3 changes, without positions, weights by at most 0\.0 and probabilities by at most 0\.0 percentage "
        r"points; with positions, by (\d+\.\d) and (\d+\.\d)\.$",
        shuffled,
    )
    assert min(map(float, changes.groups())) > 0


def test_the_widget_says_what_its_state_says():
    lab = PositionLab(model(), PICTURES)
    assert (lab.grid, lab.position, lab.picture, lab.order) == (3, 4, "one", 0)
    assert repr(lab) == "PositionLab(grid=3x3, position=4, order='in order')"
    lab.order, lab.grid = 2, 6
    assert lab.words() == position_lab_state(lab._data, 6, 4, order=2).words
    lab.position = 35
    lab.grid = 3
    assert lab.position == 8, "the place nearest to one that a smaller grid does not have"
    assert lab.words() == position_lab_state(lab._data, 3, 8, order=2).words
    assert np.array_equal(np.frombuffer(lab._sent["tables"], np.float32), lab._data.tables.reshape(-1))
    assert lab._sent["kinds"] == list(KINDS)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: PositionLab(model(position="sincos"), PICTURES), "the model's position is 'sincos'; give a model"),
        (lambda: PositionLab(model(position="none"), PICTURES), "the model's position is 'none'"),
        (lambda: PositionLab(model(image_size=(12, 8)), PICTURES), "the model's grid is 3 x 2"),
        (lambda: PositionLab(model(pool="mean"), PICTURES), "the model must have a class token, and a card"),
        (lambda: PositionLab(ViT(CONFIG), PICTURES), "the model must have a class token, and a card"),
        (lambda: PositionLab(model(), {}), "there is no picture; give one"),
        (lambda: PositionLab(model(), {"a": picture(8, 8, 1)}), "the picture is [1, 8, 8], and the model takes [1, 12"),
        (lambda: PositionLab(model(), {"a": torch.zeros(1, 12, 12)}), "picture 'a' holds float32, not uint8"),
        (lambda: PositionLab(model(), PICTURES, grid=7), "grid 7 is not among 3 to 6"),
        (lambda: PositionLab(model(), PICTURES, position=9), "position 9 is not among 0 to 8"),
        (lambda: PositionLab(model(), PICTURES, number=16), "number 16 is not among 0 to 15"),
        (lambda: PositionLab(model(), PICTURES, order=7), "order 7 is not among 0 to 6"),
        (lambda: PositionLab(model(), PICTURES, picture="three"), "picture 'three' is not among 'one', 'two'"),
        (lambda: PositionLab(model(), PICTURES, show="all"), "show 'all' is not among 'cosine similarity', 'one of"),
        (lambda: PositionLab(model(), PICTURES, colours="red"), "colours 'red' is not among 'own for each map', 'one"),
    ],
)
def test_position_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()


@pytest.mark.parametrize(("show", "order"), [(SHOWS[0], 0), (SHOWS[1], 3)])
def test_a_still_picture_stands_where_no_widget_runs(show, order):
    lab = PositionLab(model(), PICTURES, show=show, order=order)
    check_still_picture(lab)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("grid", 2, "grid 2 is not among 3 to 6"),
        ("position", 9, "position 9 is not among 0 to 8"),
        ("number", -1, "number -1 is not among 0 to 15"),
        ("picture", "nobody", "picture 'nobody' is not among 'one', 'two'"),
        ("order", 7, "order 7 is not among 0 to 6"),
    ],
)
def test_an_impossible_choice_is_refused_and_changes_nothing(name, value, sentence):
    lab = PositionLab(model(), PICTURES)
    before = lab.choices()
    with pytest.raises(ValueError, match=re.escape(sentence)):
        setattr(lab, name, value)
    assert lab.choices() == before
