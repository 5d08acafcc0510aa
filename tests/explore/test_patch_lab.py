"""The patch lab without a browser: its numbers, its words, and what it refuses."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.text import Text
from torch.utils.flop_counter import FlopCounterMode

from explore.examples import picture
from vit_tutorial import patchify, scaled_dot_product_attention
from vit_tutorial.explore import PatchLab, patch_lab_state
from vit_tutorial.explore.patch_lab.numbers import (
    DEPTH,
    DIM,
    HEADS,
    ORDERS,
    attention_cost,
    patch_sizes,
    sequence_order,
    with_prefix,
)


def test_row_by_row_is_what_the_library_calls_patches():
    image = torch.from_numpy(picture(8, 12))
    state = patch_lab_state(image, 4)
    assert np.array_equal(state.sequence, patchify(image[None], 4)[0].numpy())
    assert (state.rows, state.columns, state.num_tokens, state.numbers_per_token) == (2, 3, 6, 48)
    assert state.attention_pairs == 36


def test_numbers_of_the_paper():
    state = patch_lab_state(np.zeros((3, 224, 224), np.uint8), 16)
    assert (state.num_tokens, state.numbers_per_token, state.attention_pairs) == (196, 768, 38416)
    assert (state.attention_flops, state.attention_bytes) == (1_416_167_424, 1_843_968)


@pytest.mark.parametrize("num_tokens", [1, 49, 196])
def test_costs_are_what_pytorch_counts(num_tokens):
    q, k, v = torch.rand(3, 1, HEADS, num_tokens, DIM // HEADS)
    with FlopCounterMode(display=False) as counter:
        _, weights = scaled_dot_product_attention(q, k, v)
    assert attention_cost(num_tokens) == (counter.get_total_flops() * DEPTH, weights.nbytes)


def test_halving_the_patch_costs_sixteen_times_as_much():
    coarse, fine = (patch_lab_state(np.zeros((3, 224, 224), np.uint8), size) for size in (32, 16))
    assert fine.attention_flops == 16 * coarse.attention_flops
    assert fine.attention_bytes == 16 * coarse.attention_bytes


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 "),
        (48, "48 "),
        (999, "999 "),
        (1000, "1.00 k"),
        (9_994, "9.99 k"),
        (9_995, "10.0 k"),
        (99_949, "99.9 k"),
        (99_950, "100 k"),
        (999_499, "999 k"),
        (999_500, "1.00 M"),
        (1_416_167_424, "1.42 G"),
        (92_800_000_000_000, "92.8 T"),
    ],
)
def test_large_numbers_have_three_digits_and_a_prefix(number, text):
    assert with_prefix(number) == text


def test_column_by_column_walks_down_each_column():
    expected = [row * 3 + column for column in range(3) for row in range(2)]
    assert sequence_order(2, 3, "column by column").tolist() == expected


def test_shuffle_is_a_permutation_that_only_the_seed_decides():
    orders = [sequence_order(7, 7, "shuffled", seed).tolist() for seed in (0, 0, 1, 2)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) == 3
    assert all(sorted(order) == list(range(49)) for order in orders)
    assert sequence_order(2, 3, "shuffled", 0).tolist() == [4, 0, 2, 3, 5, 1]


def test_shuffle_has_no_favourite_place():
    firsts = [int(sequence_order(2, 2, "shuffled", seed)[0]) for seed in range(4000)]
    assert all(abs(firsts.count(cell) - 1000) < 150 for cell in range(4))


@given(
    order=st.sampled_from(ORDERS),
    seed=st.integers(0, 9999),
    patch=st.sampled_from([1, 2, 3, 6]),
    rows=st.integers(1, 4),
    columns=st.integers(1, 4),
    channels=st.sampled_from([1, 3]),
)
def test_the_inverse_order_puts_every_pixel_back(order, seed, patch, rows, columns, channels):
    image = picture(rows * patch, columns * patch, channels, seed)
    state = patch_lab_state(image, patch, order, seed)
    assert state.difference == 0
    assert np.array_equal(state.reassembled, image)


def test_a_shuffled_sequence_laid_row_by_row_is_not_the_picture():
    image = picture()
    state = patch_lab_state(image, 4, "shuffled", 3, reassembly="row by row")
    assert state.difference == np.abs(state.reassembled.astype(int) - image).max() > 0
    again = patchify(torch.from_numpy(state.reassembled)[None], 4)[0].numpy()
    assert np.array_equal(again, state.sequence)


def test_the_chosen_token_is_found_in_the_picture():
    image = picture(8, 12)
    state = patch_lab_state(image, 4, "shuffled", 5, token=4)
    patch = image[:, 4 * state.row : 4 * state.row + 4, 4 * state.column : 4 * state.column + 4]
    assert list(state.values) == patch.transpose(1, 2, 0).reshape(-1)[:24].tolist()


def test_patch_lab_in_words():
    words = patch_lab_state(np.full((1, 28, 28), 7, np.uint8), 7, token=5).words
    assert words == (
        "Patch size 7: 4 rows and 4 columns give 16 patches of 49 numbers; in ViT-B the N·N part of attention takes "
        "9.44 MFLOP, and its tables 12.3 kB a layer. Order: row by row. Token 5 is the patch in row 1, column 1; its "
        "first numbers are 7, 7, 7. Put back (each in its own place): the largest difference to the picture is 0."
    )


def test_a_large_number_has_a_comma_wherever_it_is_written():
    lab = PatchLab(picture(80, 80, 1), 1, token=5678, more=True)
    assert "give 6,400 patches of 1 number;" in lab.words()
    assert "Token 5,678 is the patch in row 70, column 78;" in lab.words()
    said = [text.get_text() for text in lab.figure().findobj(Text)]
    assert "Row 5,678 of the matrix" in said
    assert "5,678" in said, "in the sequence"
    assert not [text for text in said if re.search(r"\d{4}", text)]


def test_patch_sizes_divide_both_sides():
    assert patch_sizes(28, 28) == [1, 2, 4, 7, 14, 28]
    assert patch_sizes(12, 8) == [1, 2, 4]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda: patch_lab_state(picture(), 5),
            "patch_size 5 is not among 1, 2, 3, 4, 6, 12, the sizes that divide 12x12",
        ),
        (
            lambda: patch_lab_state(picture(), 4, "spiral"),
            "order 'spiral' is not among 'row by row', 'column by column', 'shuffled'",
        ),
        (lambda: patch_lab_state(picture(), 4, reassembly="anyhow"), "reassembly 'anyhow' is not among 'each in"),
        (lambda: patch_lab_state(picture(), 4, token=9), "token 9 is not among 0 to 8"),
        (lambda: patch_lab_state(picture(), 4, seed=10_000), "seed 10000 is not among 0 to 9999"),
        (lambda: PatchLab(picture(), 4, gap=9), "gap 9 is not among 0 to 8"),
        (lambda: PatchLab({}), "there is no picture; give one"),
        (lambda: PatchLab(picture(), 5), "patch_size 5 is not among 1, 2, 3, 4, 6, 12"),
        (lambda: PatchLab(picture(28, 28)), "patch_size 16 is not among 1, 2, 4, 7, 14, 28"),
        (lambda: PatchLab({"a": picture()}, 4, picture="b"), "picture 'b' is not among 'a'"),
        (lambda: PatchLab({"a": torch.zeros(3, 4, 4)}), "picture 'a' holds float32, not uint8"),
    ],
)
def test_patch_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()
