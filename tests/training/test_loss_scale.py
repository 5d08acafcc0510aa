"""float16 and the scale of the loss: the scale moves as torch's, a step is taken whole or not at all, none is lost."""

import math
from dataclasses import replace

import pytest
import torch

from training.examples import ALL_AT_ONCE, CONFIG, fit_steps, make_model, same, step_hook, weights
from vit_tutorial.training import TrainingError, devices, fit, learning_rate_at, loop, loss_scale
from vit_tutorial.training.augmentation import Draws
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME, _unpack
from vit_tutorial.training.loop import Learner
from vit_tutorial.training.loss_scale import LossScale

FLOAT16 = replace(ALL_AT_ONCE, precision="float16")
TOO_LARGE = 2.0**19  # gradients of the small model overflow until it is halved some times


@pytest.fixture
def overflowing(monkeypatch):
    """Begin with a scale that is too large, and let it grow again soon, so that steps are left out now and then."""
    monkeypatch.setattr(loss_scale, "FIRST_SCALE", TOO_LARGE)
    monkeypatch.setattr(loss_scale, "STEPS_TO_GROW", 2)


def test_the_scale_moves_as_that_of_torch(monkeypatch):
    monkeypatch.setattr(loss_scale, "STEPS_TO_GROW", 3)
    ours, theirs = LossScale(enabled=True), torch.amp.GradScaler("cpu", growth_interval=3)
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    skipped = 0
    for step, gradient in enumerate([1, 1, 1, 1, math.inf, 1, 1, math.nan, math.inf, 1, 1, 1, 1, 1, 1, 1]):
        before, scale = weight.detach().clone(), theirs.get_scale() or 2.0**16
        assert ours.value == scale, step
        theirs.scale((weight * gradient).sum()).backward()
        theirs.unscale_(optimizer)
        allowed = ours.allows_step(weight.grad.norm())
        theirs.step(optimizer)
        theirs.update()
        optimizer.zero_grad()
        assert allowed == (not torch.equal(weight, before))
        skipped += not allowed
    assert (ours.skipped_steps, skipped) == (3, 3)


def test_where_it_is_not_enabled_it_does_nothing():
    scale, weight = LossScale(enabled=False), torch.nn.Parameter(torch.ones(2))
    loss = weight.sum()
    assert scale.scale(loss) is loss
    loss.backward()
    scale.unscale([weight])
    assert torch.equal(weight.grad, torch.ones(2))
    assert scale.allows_step(torch.tensor(math.nan))
    assert not scale.may_overflow
    assert (scale.value, scale.skipped_steps) == (1.0, 0)


def one_gradient(data, config, scale=None):
    learner = Learner(make_model(dropout=0.0, drop_path=0.0).train(), data, config)
    learner.scale.value = scale or learner.scale.value
    learner.forward_backward(data.train_images, data.train_labels, Draws(), len(data.train_labels))
    return learner, torch.cat([parameter.grad.flatten() for parameter in learner.model.parameters()])


@pytest.mark.parametrize("clip_norm", [None, 0.01])
def test_gradients_are_clipped_after_the_scale_is_taken_off(data, clip_norm):
    config = replace(CONFIG, clip_norm=clip_norm)
    exact, expected = one_gradient(data, config)
    for scale in (2.0**8, 2.0**12):
        learner, found = one_gradient(data, replace(config, precision="float16"), scale)
        assert learner.norm.item() == pytest.approx(exact.norm.item(), rel=0.02)
        assert (found - expected).norm() < 0.02 * expected.norm()
        assert clip_norm is None or found.norm().item() == pytest.approx(clip_norm, rel=1e-3)


def test_without_a_scale_small_gradients_become_0(data):
    """Why it is there at all: this is what the scale must prevent."""
    small = 1e-5  # as in the first layers of a large model
    gradients = []
    for scale in (1.0, 2.0**16):
        x = torch.full((64,), 1e-3, requires_grad=True)
        with torch.autocast("cpu", torch.float16):
            loss = (x.half() * x.half()).float().sum() * small
        (loss * scale).backward()
        gradients.append(x.grad / scale)
    assert gradients[0].norm() == 0
    torch.testing.assert_close(gradients[1], torch.full((64,), 2e-3 * small), rtol=0.01, atol=0)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_training_in_float16_learns_what_one_in_float32_does(data, optimizer):
    seen = set()
    curves = []
    for precision in ("float32", "float16"):
        model = make_model()
        model.head.register_forward_hook(lambda module, given, output: seen.add(output.dtype))
        history = fit(model, data, replace(CONFIG, optimizer=optimizer, precision=precision, epochs=6))
        assert all(tensor.dtype == torch.float32 for tensor in model.state_dict().values())
        curves.append(torch.tensor(history.train_loss))
        assert history.skipped_steps == 0
    assert seen == {torch.float32, torch.float16}
    torch.testing.assert_close(*curves, rtol=0.02, atol=0)


def test_a_step_that_overflows_is_left_out_whole_and_counted(data, overflowing):
    """Neither AdamW nor Muon nor the average moves, and the learning rate is that of the step, not of those taken."""
    model = make_model()
    rates, learners = [], []
    original = Learner.step

    def step(learner, rate):
        learners.append(learner)
        states = [*model.state_dict().values(), *learner.average.model.state_dict().values()]
        before, steps = [tensor.clone() for tensor in states], learner.average.steps
        overflowed, scale = not learner.norm.isfinite(), learner.scale.value
        original(learner, rate)
        moved = any(not torch.equal(a, b) for a, b in zip(states, before, strict=True))
        rates.append((rate, moved))
        assert moved != overflowed
        assert learner.average.steps == steps + moved
        assert learner.scale.value == scale / 2 if overflowed else learner.scale.value in (scale, 2 * scale)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", step)
        history = fit(model, data, FLOAT16)
    steps = len(rates) // FLOAT16.epochs
    assert [rate for rate, _ in rates] == [learning_rate_at(i, steps, FLOAT16) for i in range(len(rates))]
    skipped = sum(not moved for _, moved in rates)
    assert 1 <= skipped < len(rates)
    assert history.skipped_steps == learners[0].scale.skipped_steps == skipped
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


@pytest.mark.parametrize("steps", [1, 3, 5, 8])
def test_a_stopped_run_goes_on_with_its_scale_to_the_same_weights(data, tmp_path, steps, overflowing):
    whole = make_model()
    expected = fit(whole, data, FLOAT16)
    assert expected.skipped_steps > 0
    fit_steps(steps, make_model(), data, FLOAT16, tmp_path)
    resumed = make_model(seed=9)
    history = fit(resumed, data, FLOAT16, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    assert (history.skipped_steps, history.train_loss) == (expected.skipped_steps, expected.train_loss)


def test_the_scale_is_in_the_checkpoint_of_a_run_in_float16_alone(data, tmp_path):
    for precision in ("float16", "float32"):
        folder = tmp_path / precision
        fit(make_model(), data, replace(CONFIG, precision=precision), checkpoint=folder)
        file = folder / CHECKPOINT_NAME
        tensors = _unpack(file, file.read_bytes())[0]
        if precision == "float16":
            assert tensors["loss_scale"].tolist() == [2.0**16, 9.0, 0.0]  # nine steps
        else:
            assert "loss_scale" not in tensors


def test_a_loss_that_is_no_number_still_ends_the_training(data):
    def spoil(optimizer):
        optimizer.param_groups[0]["params"][0].data.fill_(math.nan)

    with step_hook(spoil), pytest.raises(TrainingError, match="the loss is nan"):
        fit(make_model(), data, replace(CONFIG, precision="float16"))


def test_a_gradient_that_no_scale_makes_finite_ends_the_training(data):
    model = make_model()
    model.head.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(TrainingError, match=r"length of its gradient (inf|nan)"):
        fit(model, data, replace(CONFIG, precision="float16", epochs=9))


def test_steps_left_out_stay_counted_where_a_run_goes_on_without_a_scale(data, tmp_path, overflowing, monkeypatch):
    """As one does that was begun on a GPU without bfloat16, and goes on where there is none."""
    config = replace(FLOAT16, precision="auto")
    with monkeypatch.context() as on_such_a_gpu:
        for module in (loop, devices):
            on_such_a_gpu.setattr(module, "number_format", lambda device, precision: torch.float16)
        fit_steps(5, make_model(), data, config, tmp_path)
    file = tmp_path / CHECKPOINT_NAME
    skipped = _unpack(file, file.read_bytes())[1].skipped_steps
    assert skipped > 0
    assert fit(make_model(), data, config, checkpoint=tmp_path).skipped_steps == skipped
