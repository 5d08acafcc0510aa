"""The signal lab without a browser: its numbers, its words, and what it refuses."""

import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from explore.examples import check_still_picture
from vit_tutorial import Encoder, EncoderBlock
from vit_tutorial.explore import SignalLab, SignalSetting, signal_lab_state
from vit_tutorial.explore.signal_lab import numbers
from vit_tutorial.explore.signal_lab.figure import signal_lab_figure
from vit_tutorial.explore.signal_lab.numbers import (
    CEILING,
    DEPTHS,
    GROUND,
    NORMS,
    QUANTITIES,
    SCALES,
    axis_ends,
    length,
    likeness,
    say,
    signal_grid,
    signal_step,
    signals_at,
)

pytestmark = pytest.mark.slow

STREAM, ATTENTION, MLP, GRADIENT, LIKENESS = range(5)


@pytest.fixture(scope="module")
def small():
    """A stack of blocks in double precision, tokens, a head and labels."""
    torch.manual_seed(0)
    return (
        list(Encoder(8, 3, 2).double()),
        torch.randn(2, 5, 8, dtype=torch.float64),
        torch.randn(8, 3, dtype=torch.float64),
        torch.tensor([0, 2]),
    )


# What is measured


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_with_residuals_a_step_is_the_librarys_block(norm):
    torch.manual_seed(0)
    block = EncoderBlock(8, 2, norm=norm).double()
    x = torch.randn(2, 5, 8, dtype=torch.float64)
    assert torch.equal(signal_step(block, x, norm, True)[0], block(x))


def test_where_the_norm_stands(small):
    (block, *_), x, *_ = small
    with torch.no_grad():
        out, (attention, mlp) = signal_step(block, x, "inside", True)
        first = x + block.norm1(block.attn(x))
        assert torch.equal(out, first + block.norm2(block.mlp(first)))
        assert torch.equal(attention, block.norm1(block.attn(x)))
        assert torch.equal(mlp, block.norm2(block.mlp(first)))
        assert torch.equal(signal_step(block, x, "none", True)[0], x + block.attn(x) + block.mlp(x + block.attn(x)))
        assert torch.equal(signal_step(block, x, "none", False)[0], block.mlp(block.attn(x)))
        alone = block.mlp(block.norm2(block.attn(block.norm1(x))))
        assert torch.equal(signal_step(block, x, "pre", False)[0], alone)


@pytest.mark.parametrize(("norm", "last"), [("pre", True), ("inside", True), ("post", False), ("none", False)])
def test_the_gradient_is_that_of_autograd(small, norm, last):
    blocks, tokens, head, labels = small
    (found,) = signals_at([len(blocks)], blocks, tokens, head, labels, norm, True)
    assert found.shape == (3, 5)
    x = tokens
    for block in blocks:
        block.zero_grad()
        x = signal_step(block, x, norm, True)[0]
    x = F.layer_norm(x, (8,), eps=1e-6) if last else x
    F.cross_entropy(x.mean(1) @ head, labels).backward()
    for block, row in zip(blocks, found, strict=True):
        squares = sum(p.grad.square().sum() for p in block.parameters() if p.grad is not None)
        assert row[GRADIENT] == pytest.approx(squares.sqrt().item(), rel=1e-12)


def test_sizes_are_root_mean_squares(small):
    blocks, tokens, head, labels = small
    (found,) = signals_at([len(blocks)], blocks, tokens, head, labels, "pre", True)
    with torch.no_grad():
        x = blocks[0](tokens)
        after = blocks[1](x)
        attention = blocks[1].attn(blocks[1].norm1(x))
    assert found[1, STREAM] == pytest.approx(after.square().mean().sqrt().item())
    assert found[1, ATTENTION] == pytest.approx(attention.square().mean().sqrt().item())
    assert found[1, MLP] == pytest.approx((after - x - attention).square().mean().sqrt().item())


def test_likeness_is_the_mean_cosine_of_two_tokens():
    same = torch.ones(2, 3, 4)
    assert likeness(same) == pytest.approx(1)
    assert likeness(torch.eye(4)[None]) == pytest.approx(0, abs=1e-6)
    assert likeness(torch.tensor([[[1.0, 0], [-3.0, 0]]])) == pytest.approx(-1)
    tokens = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    pairs = [F.cosine_similarity(image[i], image[j], dim=0) for image in tokens for i in range(3) for j in range(i)]
    assert likeness(tokens) == pytest.approx(torch.stack(pairs).mean().item(), abs=1e-6)


def test_a_length_whose_square_is_too_large():
    assert length([torch.tensor([3.0]), None, torch.tensor([4.0])]) == pytest.approx(5)
    assert length([torch.tensor([3e200, 4e200], dtype=torch.float64)]) == pytest.approx(5e200)
    assert length([torch.zeros(2)]) == 0


def test_the_grid_holds_each_setting_in_its_place():
    grid = signal_grid()
    assert grid.shape == (len(NORMS), 2, len(SCALES), len(DEPTHS), max(DEPTHS), len(QUANTITIES))
    assert np.isfinite(grid).all()
    for j, depth in enumerate(DEPTHS):
        assert (grid[..., j, depth:, :] == 0).all()
        assert (grid[..., j, :depth, STREAM] > 0).all()
        for column in (STREAM, ATTENTION, MLP, LIKENESS):  # what runs forwards does not know what comes after it
            shared = min(depth, 6)
            np.testing.assert_allclose(grid[..., j, :shared, column], grid[..., 3, :shared, column], rtol=1e-9)
    before = torch.random.get_rng_state()
    signal_grid.cache_clear()
    assert np.allclose(signal_grid(), grid)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_one_thread_measures_and_the_learners_number_of_threads_comes_back(monkeypatch):
    seen = []
    monkeypatch.setattr(numbers, "_measured", lambda seed: seen.append(torch.get_num_threads()))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        numbers.signal_grid.__wrapped__(seed=3)
        assert (seen, torch.get_num_threads()) == ([1], 2)
        monkeypatch.setattr(numbers, "_measured", lambda seed: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            numbers.signal_grid.__wrapped__(seed=3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_number_off_the_scale_has_a_hollow_triangle_in_the_still_picture():
    def triangles(setting):
        figure = signal_lab_figure(signal_lab_state(setting), more=True)
        lines = [line for axes in figure.axes for line in axes.lines if line.get_markerfacecolor() == "white"]
        return {mark: sum(len(line.get_xdata()) for line in lines if line.get_marker() == mark) for mark in "v^"}

    assert triangles(SignalSetting(12)) == {"v": 0, "^": 0}
    large = SignalSetting(24, "none", True, 2.0)
    sizes, gradients, alike = np.split(signal_lab_state(large).signals, [3, 4], axis=1)
    on_scale = [(one >= GROUND) & (one <= CEILING) for one in (sizes, gradients)]
    above = sum((~on & ~(one < GROUND)).sum() for on, one in zip(on_scale, (sizes, gradients), strict=True))
    assert above > 0
    assert triangles(large)["^"] == above + (alike > 1).sum()


def test_one_place_of_the_grid_is_measured_again_in_each_depth():
    torch.manual_seed(0)
    blocks = list(Encoder(32, 24, 4).double())
    tokens = torch.randn(4, 16, 32, dtype=torch.float64)
    head = torch.randn(32, 10, dtype=torch.float64) / 32**0.5
    with torch.no_grad():
        for block in blocks:
            for parameter in block.parameters():
                if parameter.ndim == 2:
                    parameter.mul_(2)
    for depth in DEPTHS:  # each stack alone
        (expected,) = signals_at([depth], blocks[:depth], tokens, head, torch.arange(4), "post", False)
        found = signal_lab_state(SignalSetting(depth, "post", False, 2.0)).signals
        np.testing.assert_allclose(found, expected, rtol=1e-9)


# What a learner is told to look for


def test_what_the_lesson_says_about_the_lab():
    def at(*setting):
        return signal_lab_state(SignalSetting(*setting)).signals

    pre, post = at(24, "pre", True), at(24, "post", True)
    assert pre[-1, STREAM] > 3 * pre[0, STREAM]
    assert post[:, STREAM] == pytest.approx(np.ones(24), rel=1e-3)
    assert post[-1, GRADIENT] > 2 * pre[-1, GRADIENT]
    assert at(24, "pre", False)[-1, LIKENESS] > 0.99 > pre[-1, LIKENESS]
    assert at(24, "none", False)[0, GRADIENT] < 1e-6
    assert at(24, "pre", False)[0, GRADIENT] > 1
    assert at(24, "none", True, 2.0)[-1, STREAM] > 1e12


# What is shown


def test_numbers_in_words():
    assert [say(number) for number in (0, 0.01, 3.14159, 999.4)] == ["0.00", "0.01", "3.14", "999.40"]
    assert [say(number) for number in (0.0099, 2.34e-7, 1000, 2.51e23)] == ["9.9e-3", "2.3e-7", "1.0e3", "2.5e23"]
    assert say(float("inf")) == "overflow"


def test_axes_have_room_and_end():
    assert axis_ends([np.array([0.5, 2.0])]) == (-1, 1)
    assert axis_ends([np.array([0.5]), np.array([2000.0])]) == (-1, 4)
    assert axis_ends([np.array([0.0, 1e40])]) == (-12, 12)


def test_signal_lab_in_words():
    state = signal_lab_state(SignalSetting(2, "post", False, 0.5), 2, held=SignalSetting())
    here = ", ".join(f"{name} {say(value)}" for name, value in zip(QUANTITIES, state.signals[1], strict=True))
    assert state.words.startswith(
        f"2 blocks, norm after each addition (post), without residuals, initial scale 0.5. Block 2: {here}. "
        "From block 1 to 2: stream 1.00 to 1.00, gradient "
    )
    assert state.words.endswith(
        " Held, dashed: 12 blocks, norm before each branch (pre), with residuals, initial scale 1."
    )
    assert state.held.shape == (12, 5)
    assert signal_lab_state(SignalSetting()).held is None


def test_what_is_dashed_is_named_in_the_still_picture():
    lab = SignalLab(depth=6)
    for named in (False, True):
        legend = lab.figure().axes[0].get_legend()
        assert ("held" in [text.get_text() for text in legend.get_texts()]) == named
        lab.hold()


def test_the_widget_says_what_its_state_says():
    lab = SignalLab(depth=24, block=20)
    assert repr(lab) == "SignalLab(depth=24, norm='pre', residual=True, scale=1)"
    assert lab.words() == signal_lab_state(SignalSetting(24), 20).words
    lab.hold()
    assert lab.held == [24, "pre", True, 1.0]
    lab.norm, lab.residual, lab.scale, lab.depth = "none", False, 2, 6
    assert lab.block == 6, "the block follows the depth"
    assert lab.words() == signal_lab_state(SignalSetting(6, "none", False, 2.0), 6, SignalSetting(24)).words
    assert np.array_equal(lab.state().held, signal_grid()[0, 1, 2, 3])
    assert np.array_equal(np.frombuffer(lab._sent["signals"]).reshape(signal_grid().shape), signal_grid())


@pytest.mark.parametrize("hold", [False, True])
def test_a_still_picture_with_alt_text_stands_behind_the_widget(hold):
    lab = SignalLab(depth=6)
    if hold:
        lab.hold()
        lab.norm = "none"
    check_still_picture(lab)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: SignalLab(depth=5), "depth 5 is not among 2, 6, 12, 24"),
        (lambda: SignalLab(norm="batch"), "norm 'batch' is not among 'pre', 'post', 'inside', 'none'"),
        (lambda: SignalLab(scale=3), "scale 3 is not among 0.25, 0.5, 1.0, 2.0"),
        (lambda: SignalLab(depth=6, block=7), "block 7 is not among 1 to 6"),
        (lambda: SignalSetting(depth=5), "depth 5 is not among 2, 6, 12, 24"),
        (lambda: signal_lab_state(SignalSetting(6), 0), "block 0 is not among 1 to 6"),
        (lambda: setattr(SignalLab(), "scale", 3), "scale 3.0 is not among 0.25"),
        (lambda: setattr(SignalLab(), "block", 99), "block 99 is not among 1 to 12"),
        (
            lambda: setattr(SignalLab(), "held", [12, "pre"]),
            "held is [12, 'pre']; give depth, norm, residual and scale",
        ),
        (lambda: SignalLab(held=[12, "pre", True, 3]), "scale 3 is not among 0.25"),
    ],
)
def test_signal_lab_says_what_is_wrong(call, sentence):
    with pytest.raises(ValueError, match=re.escape(sentence)):
        call()
