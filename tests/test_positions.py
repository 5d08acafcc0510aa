"""Positions: learned or of sine and cosine, and stretched to other grids as torchvision and timm stretch them."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import exactly, sincos_1d_by_loops, sincos_2d_by_loops
from timm.layers import resample_abs_pos_embed
from torchvision.models.vision_transformer import interpolate_embeddings

from vit_tutorial import PositionEmbedding, interpolate_positions, sincos_1d, sincos_2d

sides = st.integers(1, 7)
TORCHVISION = {"mode": "bicubic", "align_corners": True, "antialias": False}
GOOGLE = {"mode": "bilinear", "align_corners": True, "antialias": False}


# ---------------------------------------------------------------------------------------------- PositionEmbedding


def test_each_token_gets_the_vector_of_its_position_whatever_the_image():
    position, tokens = PositionEmbedding(5, 8), torch.randn(3, 5, 8)
    out = position(tokens)
    for b in range(3):
        for n in range(5):
            assert torch.equal(out[b, n], tokens[b, n] + position.pos_embed[0, n])


def test_learned_positions_are_a_parameter_that_starts_small():
    positions = PositionEmbedding(64, 64).pos_embed
    assert isinstance(positions, torch.nn.Parameter)
    assert positions.shape == (1, 64, 64)
    assert 0.018 < positions.std().item() < 0.022


def test_a_table_is_fixed_moves_with_the_module_and_is_not_saved():
    table = torch.randn(5, 8)
    position = PositionEmbedding(5, 8, table=table)
    assert not list(position.parameters())
    assert not position.state_dict()
    assert torch.equal(position(torch.zeros(1, 5, 8))[0], table)
    assert position.double().pos_embed.dtype == torch.float64
    table.zero_()
    assert position.pos_embed.any(), "the module keeps its own copy"
    assert PositionEmbedding(5, 8, table=table.double()).pos_embed.dtype == torch.float64
    position = PositionEmbedding(5, 8, table=torch.ones(5, 8)).to("meta")
    position.load_state_dict({}, assign=True)
    assert position.has_its_table()
    position.pos_embed.zero_()
    assert position.table.all(), "what was filled in is a copy too"
    learned = PositionEmbedding(5, 8)
    assert not learned.has_its_table()
    fixed = copy.deepcopy(PositionEmbedding(5, 8, table=learned.pos_embed[0]))
    assert not fixed(torch.zeros(1, 5, 8)).requires_grad
    assert torch.equal(fixed.pos_embed, learned.pos_embed)


@pytest.mark.parametrize("shape", [(2, 4, 8), (2, 5, 7), (5, 8), (1, 2, 5, 8)])
def test_other_tokens_are_refused(shape):
    message = (
        f"there are positions for tokens [B, 5, 8], but the tokens are {list(shape)}; "
        "for another image size use interpolate_positions"
    )
    with pytest.raises(ValueError, match=exactly(message)):
        PositionEmbedding(5, 8)(torch.zeros(shape))


def test_a_table_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=exactly("the table must be [5, 8]; got shape [5, 9]")):
        PositionEmbedding(5, 8, table=torch.zeros(5, 9))


# ---------------------------------------------------------------------------------------------- sine and cosine


@given(st.integers(1, 40), st.integers(1, 16).map(lambda half: 2 * half))
@settings(max_examples=30)
def test_sincos_1d_equals_the_formula(num_positions, dim):
    table = sincos_1d(num_positions, dim)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table.double(), sincos_1d_by_loops(num_positions, dim), rtol=0, atol=6e-8)


@given(sides, sides, st.integers(2, 12).map(lambda quarter: 4 * quarter))
@settings(max_examples=30)
def test_sincos_2d_equals_the_formula(rows, columns, dim):
    table = sincos_2d((rows, columns), dim)
    assert table.dtype == torch.float32
    torch.testing.assert_close(table.double(), sincos_2d_by_loops(rows, columns, dim), rtol=0, atol=6e-8)


def test_sincos_by_hand():
    angle = 3 / 10_000**0.5
    expected = [math.sin(3), math.cos(3), math.sin(angle), math.cos(angle)]
    assert sincos_1d(4, 4)[3].tolist() == pytest.approx(expected, abs=1e-7)
    row, column = 1, 2
    expected = [f(place * wave) for place in (column, row) for f in (math.sin, math.cos) for wave in (1, 1e-4)]
    assert sincos_2d((2, 3), 8)[row * 3 + column].tolist() == pytest.approx(expected, abs=1e-7)


def test_far_positions_are_as_exact_as_near_ones():
    """Angles are computed in float64: in float32, position 1,000,000 would be wrong in the second digit."""
    table = sincos_1d(1_000_001, 2)
    assert table[-1].tolist() == pytest.approx([math.sin(1e6), math.cos(1e6)], abs=1e-7)


def test_no_two_positions_are_the_same_and_a_shift_is_a_rotation():
    table = sincos_1d(50, 16).double()
    assert torch.pdist(table).min() > 0.1
    dots = table @ table.T
    for shift in (1, 7):  # the product of two positions depends on their distance alone
        torch.testing.assert_close(dots.diagonal(shift), dots[0, shift].expand(50 - shift), rtol=0, atol=1e-5)


def test_a_whole_number_means_a_square_grid():
    assert torch.equal(sincos_2d(3, 8), sincos_2d((3, 3), 8))


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        (PositionEmbedding, (-1, 8), "num_tokens is -1; it must be 1 or more"),
        (PositionEmbedding, (4, 0), "dim is 0; it must be 1 or more"),
        (PositionEmbedding, (4.0, 8), "num_tokens is 4.0; it must be one whole number"),
        (sincos_1d, (-5, 8), "num_positions is -5; it must be 1 or more"),
        (sincos_1d, (5.0, 8), "num_positions is 5.0; it must be one whole number"),
        (sincos_1d, (5, 1), "dim is 1; it must be 2 or more"),
        (sincos_1d, (5, 8.0), "dim is 8.0; it must be one whole number"),
        (sincos_2d, ((-1, 2), 8), "a side of the size is -1; it must be 1 or more"),
        (sincos_2d, (2, "8"), "dim is '8'; it must be one whole number"),
    ],
)
def test_sizes_are_whole_numbers_above_zero(make, arguments, message):
    with pytest.raises(ValueError, match=exactly(message)):
        make(*arguments)


def test_tokens_table_and_positions_are_tensors():
    for name, call in {
        "tokens": lambda: PositionEmbedding(4, 8)([[0.0] * 8]),
        "table": lambda: PositionEmbedding(1, 2, [[0.0, 0.0]]),
        "pos_embed": lambda: interpolate_positions([[0.0, 0.0]], 1, 2),
    }.items():
        with pytest.raises(TypeError, match=exactly(f"{name} must be a Tensor; got list")):
            call()


def test_odd_widths_are_refused():
    with pytest.raises(ValueError, match=exactly("dim is 7, but sine and cosine come in pairs; use 6 or 8")):
        sincos_1d(4, 7)


@pytest.mark.parametrize("dim", [4, 6, 9, 10])
def test_widths_that_do_not_split_in_four_are_refused(dim):
    message = f"dim is {dim}, but sin and cos of row and column take a multiple of 4 from 8 on"
    with pytest.raises(ValueError, match=exactly(message)):
        sincos_2d(2, dim)


# ---------------------------------------------------------------------------------------------- interpolation


@given(sides, sides, st.integers(0, 2), st.sampled_from([{}, TORCHVISION, GOOGLE]))
@settings(max_examples=30)
def test_interpolation_to_the_same_grid_is_the_identity(rows, columns, prefix, options):
    positions = torch.randn(1, prefix + rows * columns, 4)
    assert torch.equal(interpolate_positions(positions, (rows, columns), (rows, columns), prefix, **options), positions)


@given(sides, sides, sides, sides, st.integers(0, 2), st.sampled_from([{}, TORCHVISION, GOOGLE]))
@settings(max_examples=40)
def test_interpolation_keeps_the_prefix_and_what_is_constant(rows, columns, new_rows, new_columns, prefix, options):
    positions = torch.randn(1, prefix + 1, 4, dtype=torch.float64)
    constant = torch.cat([positions[:, :prefix], positions[:, prefix:].expand(1, rows * columns, 4)], dim=1)
    out = interpolate_positions(constant, (rows, columns), (new_rows, new_columns), prefix, **options)
    assert out.shape == (1, prefix + new_rows * new_columns, 4)
    assert torch.equal(out[:, :prefix], positions[:, :prefix])
    torch.testing.assert_close(
        out[:, prefix:], positions[:, prefix:].expand(1, new_rows * new_columns, 4), rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("old", [1, 2, 7, 14])
@pytest.mark.parametrize("new", [3, 7, 14, 24])
def test_interpolation_equals_torchvision(old, new):
    positions = torch.randn(1, 1 + old * old, 6, dtype=torch.float64)
    state = interpolate_embeddings(new * 16, 16, {"encoder.pos_embedding": positions.clone()})
    ours = interpolate_positions(positions, old, new, **TORCHVISION)
    torch.testing.assert_close(ours, state["encoder.pos_embedding"], rtol=0, atol=1e-12)


@given(sides, sides, sides, sides, st.integers(0, 2))
@settings(max_examples=40)
def test_interpolation_equals_timm_by_default(rows, columns, new_rows, new_columns, prefix):
    positions = torch.randn(1, prefix + rows * columns, 6)
    theirs = resample_abs_pos_embed(positions, [new_rows, new_columns], [rows, columns], num_prefix_tokens=prefix)
    ours = interpolate_positions(positions, (rows, columns), (new_rows, new_columns), prefix)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)


def test_googles_interpolation_keeps_the_corners():
    positions = torch.arange(4.0).view(1, 4, 1)  # 0 1 / 2 3
    out = interpolate_positions(positions, 2, 3, num_prefix_tokens=0, **GOOGLE)
    assert out.view(3, 3).tolist() == [[0, 0.5, 1], [1, 1.5, 2], [2, 2.5, 3]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_interpolation_takes_any_precision_and_gives_it_back(dtype):
    positions = torch.randn(1, 17, 4).to(dtype)
    out = interpolate_positions(positions, 4, 6)
    assert out.dtype == dtype
    expected = interpolate_positions(positions.double(), 4, 6)
    torch.testing.assert_close(out.double(), expected, rtol=0, atol=8 * torch.finfo(dtype).eps)


def test_gradients_flow_through_interpolation():
    positions = torch.randn(1, 5, 4, requires_grad=True)
    interpolate_positions(positions, 2, 3).sum().backward()
    assert positions.grad.abs().min() > 0


@pytest.mark.parametrize(
    ("shape", "prefix", "message"),
    [
        ((1, 16, 4), 1, "pos_embed has shape [1, 16, 4], but 1 prefix tokens and a grid of 4x4 make [1, 17, D]"),
        ((1, 17, 4), 0, "pos_embed has shape [1, 17, 4], but 0 prefix tokens and a grid of 4x4 make [1, 16, D]"),
        ((17, 4), 1, "pos_embed has shape [17, 4], but 1 prefix tokens and a grid of 4x4 make [1, 17, D]"),
        ((4, 17), 1, "pos_embed has shape [4, 17], but 1 prefix tokens and a grid of 4x4 make [1, 17, D]"),
    ],
)
def test_positions_of_another_grid_are_refused(shape, prefix, message):
    with pytest.raises(ValueError, match=exactly(message)):
        interpolate_positions(torch.zeros(shape), 4, 6, prefix)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"new_grid": 0}, "a side of the size is 0; it must be 1 or more"),
        ({"new_grid": (-1, 3)}, "a side of the size is -1; it must be 1 or more"),
        ({"old_grid": (0, 3), "new_grid": 2}, "a side of the size is 0; it must be 1 or more"),
        ({"new_grid": 3, "num_prefix_tokens": -1}, "num_prefix_tokens is -1; it must be 0 or more"),
        ({"new_grid": 3, "num_prefix_tokens": 1.0}, "num_prefix_tokens is 1.0; it must be one whole number"),
        ({"new_grid": 3, "mode": "nearest"}, "mode is 'nearest'; it must be 'bicubic' or 'bilinear'"),
    ],
)
def test_a_grid_or_a_mode_that_makes_no_sense_gets_a_sentence(options, words):
    with pytest.raises(ValueError, match=words):
        interpolate_positions(torch.zeros(1, 5, 8), **({"old_grid": 2} | options))
