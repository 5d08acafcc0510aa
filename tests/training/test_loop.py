"""The loop: each part of a training against an independent reference, and what comes back from it."""

import io
import itertools
import math
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import shapes
import torch
import traitlets.config
from learners import SETTINGS
from references import exactly
from torch import nn
from torch.overrides import TorchFunctionMode

from training.examples import CLASSES, CONFIG, make_data, make_model, same, step_hook, weights
from vit_tutorial.training import (
    History,
    TrainingConfig,
    TrainingError,
    TrainingWarning,
    evaluate,
    fit,
    learning_rate_at,
    loop,
    predict,
    predict_seconds,
    split_validation,
)
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME
from vit_tutorial.training.distributed import World
from vit_tutorial.training.optimizers import MovingAverage
from vit_tutorial.weights import ModelCard, load_model, save_model

# --- The recipe ------------------------------------------------------------------------------------------------------


def test_the_learning_rate_climbs_a_line_and_falls_half_a_cosine():
    config = TrainingConfig(epochs=10, warmup_epochs=2, learning_rate=0.5)
    rates = [learning_rate_at(step, 10, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.5 / 20)
    assert rates[9] == pytest.approx(0.25)
    assert rates[19] == rates[20] == 0.5
    assert rates[60] == pytest.approx(0.25)
    assert 0 < rates[99] < 0.001
    # torch's own cosine, from the step where the warm-up ends
    reference = torch.optim.SGD([torch.zeros(1)], lr=0.5)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(reference, T_max=80)
    for rate in rates[20:]:
        assert rate == pytest.approx(reference.param_groups[0]["lr"], abs=1e-12)
        reference.step()
        cosine.step()


def test_a_run_without_warm_up_starts_at_the_full_rate():
    assert learning_rate_at(0, 10, TrainingConfig(epochs=1, warmup_epochs=0, learning_rate=0.5)) == 0.5


@pytest.mark.parametrize(("step", "epochs", "warmup"), [(10, 1, 1), (10, 1, 0), (20, 2, 1), (25, 2, 1), (-1, 2, 1)])
def test_a_step_outside_of_the_run_has_no_rate(step, epochs, warmup):
    config = TrainingConfig(epochs=epochs, warmup_epochs=warmup)
    message = f"step is {step}, but {epochs} epochs of 10 steps are {10 * epochs}, counted from 0; count on over the"
    with pytest.raises(ValueError, match=exactly(message)):
        learning_rate_at(step, 10, config)


def test_a_run_that_is_all_warm_up_ends_at_the_full_rate():
    assert learning_rate_at(9, 10, TrainingConfig(epochs=1, warmup_epochs=1, learning_rate=0.5)) == 0.5


def test_every_step_gets_the_rate_of_the_schedule(data):
    seen = []
    with step_hook(lambda optimizer: seen.extend({group["lr"] for group in optimizer.param_groups})):
        history = fit(make_model(), data, CONFIG)
    assert seen == [learning_rate_at(step, 3, CONFIG) for step in range(9)]
    assert history.learning_rate == [seen[2], seen[5], seen[8]]


def test_the_loss_is_cross_entropy_with_smoothed_labels(data):
    """With a learning rate of 0 the loss of the first epoch is the loss of the untrained model, redone here by hand."""
    config = TrainingConfig(epochs=1, learning_rate=0, max_shift=0, validation_fraction=0, label_smoothing=0.2)
    model = make_model(dropout=0.0, drop_path=0.0)
    log_p = model(data.normalize(data.train_images)).log_softmax(dim=1).detach()
    target = torch.full_like(log_p, 0.2 / 4)
    target[range(len(log_p)), data.train_labels] += 0.8
    history = fit(model, data, config)
    assert history.train_loss[0] == pytest.approx(-(target * log_p).sum(dim=1).mean().item(), abs=1e-5)
    assert history.train_accuracy[0] == (log_p.argmax(dim=1) == data.train_labels).double().mean().item()


def gradient_lengths(data, config):
    lengths = []

    def measure(optimizer):
        gradients = [p.grad.flatten() for group in optimizer.param_groups for p in group["params"]]
        lengths.append(torch.cat(gradients).norm().item())

    with step_hook(measure):
        fit(make_model(), data, config)
    return lengths


def test_long_gradients_are_clipped(data):
    free = gradient_lengths(data, replace(CONFIG, clip_norm=None))
    clipped = gradient_lengths(data, replace(CONFIG, clip_norm=0.25))
    assert min(free[0], max(free)) > 0.3
    assert clipped[0] == pytest.approx(0.25, rel=1e-4)
    assert max(clipped) < 0.2501


def test_one_batch_is_learned_by_heart():
    data = make_data(per_class=4)
    config = TrainingConfig(
        epochs=100, batch_size=16, validation_fraction=0, label_smoothing=0, max_shift=0, learning_rate=0.01
    )
    history = fit(make_model(dropout=0.0, drop_path=0.0), data, config)
    assert history.train_loss[0] > 1
    assert history.train_loss[-1] < 0.01
    assert history.train_accuracy[-1] == 1
    assert history.validation_loss == history.validation_accuracy == []


def test_training_learns_what_holds_for_held_out_images():
    config = replace(CONFIG, epochs=60, batch_size=32, learning_rate=0.01, flip=False)  # mirrored, left would be right
    history = fit(make_model(dropout=0.0, drop_path=0.0), make_data(per_class=32), config)
    assert history.validation_accuracy[0] < 0.6
    assert history.validation_accuracy[-1] > 0.9
    assert history.validation_loss[-1] < history.validation_loss[0]


def test_the_model_sees_normalised_batches_and_each_image_once_per_epoch(data):
    model, batches = make_model(), []
    model.register_forward_pre_hook(lambda module, args: batches.append(args[0].clone()) if module.training else None)
    fit(model, data, TrainingConfig(epochs=1, warmup_epochs=0, batch_size=20, max_shift=0, validation_fraction=0))
    assert [len(batch) for batch in batches] == [20, 20, 20, 4]
    seen = {tuple(image.flatten().tolist()) for image in torch.cat(batches)}
    assert seen == {tuple(image.flatten().tolist()) for image in data.normalize(data.train_images)}
    assert not torch.equal(torch.cat(batches), data.normalize(data.train_images))  # shuffled


def test_the_model_sees_mirrored_and_shifted_images_if_the_config_says_so(data):
    def kinds(**options):
        """Count which of the images seen in an epoch are as in the data set, which mirrored, which neither."""
        model, batches = make_model(), []
        model.register_forward_pre_hook(lambda _, args: batches.append(args[0].clone()) if model.training else None)
        fit(model, data, TrainingConfig(epochs=1, batch_size=20, **options))
        plain, mirrored = (
            {tuple(image.flatten().tolist()) for image in data.normalize(images)}
            for images in (data.train_images, data.train_images.flip(-1))
        )
        seen = [tuple(image.flatten().tolist()) for image in torch.cat(batches)]
        return tuple(sum(image in known for image in seen) for known in (plain, mirrored, set(seen) - plain - mirrored))

    assert kinds(flip=False, max_shift=0) == (56, 0, 0)
    plain, mirrored, others = kinds(flip=True, max_shift=0)
    assert min(plain, mirrored) > 15
    assert others == 0
    plain, mirrored, others = kinds(flip=False, max_shift=1)
    assert others > 40
    assert mirrored == 0


def test_mixed_precision_is_used_when_asked_for_and_only_then(data):
    for precision, expected in (("bfloat16", torch.bfloat16), ("float32", torch.float32), ("auto", torch.float32)):
        model, types = make_model(), set()
        model.head.register_forward_hook(lambda module, args, out, types=types: types.add(out.dtype))
        history = fit(model, data, replace(CONFIG, precision=precision, epochs=1))
        assert types == {expected}
        assert {p.dtype for p in model.parameters()} == {torch.float32}
        assert history.train_loss[0] < 2


def test_mixed_pictures_have_mixed_targets(data):
    """With a learning rate of 0 the loss of an epoch is that of the untrained model on the mixed pictures it saw."""
    config = TrainingConfig(
        epochs=1,
        learning_rate=0,
        max_shift=0,
        validation_fraction=0,
        cutmix=0.5,
        mixup=0.5,
        batch_size=16,
        device="cpu",
    )
    model, seen, drawn = make_model(dropout=0.0, drop_path=0.0), [], []
    model.register_forward_hook(lambda module, args, logits: seen.append(logits.detach()))
    with pytest.MonkeyPatch.context() as patch:
        original = loop.draw
        patch.setattr(loop, "draw", lambda *a, **k: drawn.append(original(*a, **k)) or drawn[-1])
        history = fit(model, data, config)
    order = torch.randperm(64, generator=torch.Generator().manual_seed(loop.mix_seed(0, 0)))
    losses = []
    for logits, draws, batch in zip(seen, drawn, order.split(16), strict=True):
        for i in range(16):
            label, other = data.train_labels[batch[i]], data.train_labels[batch[i ^ 1]]
            target = torch.full((4,), 0.1 / 4)
            target[label] += 0.9 * draws.own_share[i]
            target[other] += 0.9 * (1 - draws.own_share[i])
            losses.append(-(target * logits[i].log_softmax(dim=0)).sum().item())
    assert history.train_loss[0] == pytest.approx(sum(losses) / 64, abs=1e-5)


def test_pictures_are_not_mixed_in_the_last_epochs(data):
    config = replace(CONFIG, epochs=4, plain_epochs=2, cutmix=0.5, mixup=0.2, erase=0.3, distort=0.4)
    with pytest.MonkeyPatch.context() as patch:
        kinds, original = [], loop.draw
        patch.setattr(loop, "draw", lambda *a, **k: kinds.append(k) or original(*a, **k))
        fit(make_model(), data, config)
    assert [(k["cutmix"], k["mixup"]) for k in kinds] == [(0.5, 0.2)] * 6 + [(0.0, 0.0)] * 6
    assert {(k["flip"], k["max_shift"], k["erase"], k["distort"]) for k in kinds} == {(True, 1, 0.3, 0.4)}


def test_the_average_of_the_weights_is_validated_and_comes_out(data):
    plain, averaged = make_model(), make_model()
    without = fit(plain, data, CONFIG)
    by_hand = MovingAverage(make_model(), 0.8)
    with pytest.MonkeyPatch.context() as patch:
        update = MovingAverage.update
        patch.setattr(MovingAverage, "update", lambda self, model: (update(self, model), update(by_hand, model)))
        history = fit(averaged, data, replace(CONFIG, average=0.8))
    assert history.train_loss == without.train_loss  # the average changes nothing about the training
    assert history.validation_loss != without.validation_loss
    assert not same(weights(averaged), weights(plain))
    assert same(weights(averaged), weights(by_hand.model))
    _, held_out = split_validation(data.train_labels, CONFIG.validation_fraction, CONFIG.seed)
    result = evaluate(averaged, data.train_images[held_out], data.train_labels[held_out], label_smoothing=0.1)
    assert history.validation_loss[-1] == pytest.approx(result.loss)


def test_muon_learns_too():
    config = replace(CONFIG, epochs=40, batch_size=32, learning_rate=0.01, flip=False, optimizer="muon")
    history = fit(make_model(dropout=0.0, drop_path=0.0), make_data(per_class=32), config)
    assert history.validation_accuracy[-1] > 0.9


def test_the_time_of_a_training_is_predicted_without_touching_the_model(data):
    model = make_model(dropout=0.0, drop_path=0.0)
    before, state = weights(model), torch.get_rng_state()
    big = make_data(per_class=200)
    config = replace(CONFIG, epochs=6)
    predicted = predict_seconds(model, big, config)
    assert same(weights(model), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert 0 < predicted < 60
    assert predict_seconds(model, big, replace(config, epochs=600)) > 20 * predicted


@shapes.not_while_checking
@pytest.mark.parametrize(
    ("device", "expected"), [("cpu", "wsw wsw wsw wsw"), ("meta", "wsw wsssw")], ids=["cpu", "elsewhere"]
)
def test_a_prediction_waits_for_a_gpu_before_and_after_its_steps_alone(data, monkeypatch, device, expected):
    done = []

    class NoLearner:
        def __init__(self):
            self.device, self.world = torch.device(device), World()

        def forward_backward(self, *given):
            done.append("s")

        def step(self, rate):
            pass

    monkeypatch.setattr(loop, "wait_for", lambda device: done.append("w"))
    loop._predict_seconds(NoLearner(), data, CONFIG, 4)
    assert "".join(done) == expected.replace(" ", "")


def test_a_prediction_counts_all_steps_and_a_third_of_one_for_each_batch_held_out(data, monkeypatch):
    monkeypatch.setattr(loop.time, "perf_counter", itertools.count().__next__)  # a step takes a second
    # 3 epochs with 48 images in batches of 16, and with the other 16 of the 64 for validation
    assert predict_seconds(make_model(), data, CONFIG) == pytest.approx(3 * (3 + 1 / 3))


def test_a_prediction_takes_two_steps_or_more(data):
    with pytest.raises(ValueError, match=r"^steps is 1, and the first one does not count; take 2 or more$"):
        predict_seconds(make_model(), data, CONFIG, steps=1)


# --- The split, and what fit may look at -----------------------------------------------------------------------------


def test_the_split_is_balanced_disjoint_complete_and_seeded():
    labels = torch.tensor([0] * 40 + [1] * 20 + [2] * 60)[torch.randperm(120)]
    train, held_out = split_validation(labels, 0.25, seed=3)
    assert labels[held_out].bincount().tolist() == [10, 5, 15]
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(120))
    assert torch.equal(held_out, split_validation(labels, 0.25, seed=3)[1])
    assert not torch.equal(held_out, split_validation(labels, 0.25, seed=4)[1])
    assert len(split_validation(labels, 0, seed=3)[1]) == 0


def test_a_split_that_leaves_a_class_empty_gets_a_sentence():
    with pytest.raises(ValueError, match=r"class 1 has 1 training images, and validation_fraction 0\.6 holds out all"):
        split_validation(torch.tensor([0, 0, 0, 1]), 0.6, seed=0)


@pytest.mark.parametrize("fraction", [2.0, 1, 1.0, -0.1, -1.0, math.nan, math.inf])
def test_a_share_that_is_none_is_refused(fraction):
    with pytest.raises(ValueError, match=rf"^fraction is {fraction}; it must be at least 0 and below 1$"):
        split_validation(torch.arange(4).repeat(10), fraction, seed=0)


class NoTestImages:
    """A data set that fails whoever asks for its test images."""

    def __init__(self, data):
        self.data = data

    def __getattr__(self, name):
        assert not name.startswith("test_"), f"fit asked for {name}"
        return getattr(self.data, name)


@shapes.not_while_checking
def test_fit_never_looks_at_test_images(data, tmp_path):
    history = fit(make_model(), NoTestImages(data), CONFIG, checkpoint=tmp_path)
    assert history.epochs == 3


def test_held_out_images_are_never_trained_on(data):
    """Each image carries its own number in its brightness; no shift and no flip, so that it can be read back."""
    size = len(data.train_labels)
    images = torch.arange(size, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 8, 8).contiguous()
    numbered = replace(data, train_images=images, mean=(0.0,), std=(1 / 255,))
    model, trained, watched = make_model(), set(), set()

    def note(module, args):
        (trained if module.training else watched).update(args[0][:, 0, 0, 0].round().int().tolist())

    model.register_forward_pre_hook(note)
    fit(model, numbered, replace(CONFIG, flip=False, max_shift=0))
    train, held_out = split_validation(data.train_labels, CONFIG.validation_fraction, CONFIG.seed)
    assert (trained, watched) == (set(train.tolist()), set(held_out.tolist()))


# --- What comes back -------------------------------------------------------------------------------------------------


def test_fit_fills_in_history_and_card_and_leaves_eval_mode(data, tmp_path):
    model, calls = make_model(), []
    history = fit(model, data, CONFIG, on_epoch=lambda history: calls.append(history.epochs))
    assert calls == [1, 2, 3]
    for values in (history.train_loss, history.validation_loss, history.seconds, history.learning_rate):
        assert len(values) == 3
        assert all(value > 0 for value in values)
    for values in (history.train_accuracy, history.validation_accuracy):
        assert all(0 <= value <= 1 for value in values)
    assert history.config == asdict(CONFIG) | {"freeze": []}
    assert history.model["dim"] == 16
    assert history.model["parameters"] == sum(p.numel() for p in model.parameters())
    assert (history.data["name"], history.data["training"], history.data["validation"]) == ("sides", 48, 16)
    assert history.images_per_second == pytest.approx(3 * 48 / sum(history.training_seconds))
    assert all(0 < part < whole for part, whole in zip(history.training_seconds, history.seconds, strict=True))
    assert history.environment["torch"] == torch.__version__
    assert history.environment["device"] == "cpu"
    assert history.environment["hardware"]
    assert not model.training
    assert model.card == ModelCard(CLASSES, data.mean, data.std)
    loaded = load_model(save_model(model, tmp_path / "model.safetensors"))
    assert torch.equal(predict(loaded, data.test_images), predict(model, data.test_images))


def test_the_callers_random_numbers_are_left_alone(data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = make_model()
    torch.manual_seed(5)
    fit(model, data, CONFIG)
    assert torch.equal(torch.rand(3), expected)


class Sent(TorchFunctionMode):
    """Write down to which devices tensors were sent without waiting for them to be read."""

    def __init__(self):
        super().__init__()
        self.without_waiting = set()

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function is torch.Tensor.to and (kwargs or {}).get("non_blocking"):
            self.without_waiting.add(torch.device(args[1]).type)
        return function(*args, **(kwargs or {}))


def test_nothing_but_a_cuda_gpu_may_read_a_tensor_later(data):
    """An Apple GPU might read it when it is gone."""
    with Sent() as sent:
        fit(make_model(), data, replace(CONFIG, distort=0.5, erase=0.5, cutmix=0.5, epochs=1))
    assert sent.without_waiting == set()


def test_a_training_on_the_cpu_reaches_no_generator_of_a_gpu(data, monkeypatch):
    model, reached = make_model(), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", reached.append)  # what torch.manual_seed calls
    fit(model, data, CONFIG)
    assert reached == []


def test_same_seed_same_weights_another_seed_others(data):
    runs = []
    for seed in (0, 0, 1):
        model = make_model()
        torch.rand(7)  # whatever happened before must not matter
        fit(model, data, replace(CONFIG, seed=seed))
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


@shapes.not_while_checking
def test_pictures_that_are_no_bytes_are_refused_before_the_first_step(data):
    scaled = replace(data, train_images=data.train_images / 255)
    for act in (fit, predict_seconds):
        with pytest.raises(ValueError, match=r"images are torch.float32; pass pixels as they are, uint8"):
            act(make_model(), scaled, CONFIG)


def test_a_config_is_a_training_config(data):
    for act in (fit, predict_seconds):
        with pytest.raises(TypeError, match=r"^config must be a TrainingConfig; got dict, so take TrainingConfig\("):
            act(make_model(), data, {"epochs": 1})


def test_a_data_set_without_pictures_or_without_names(data):
    empty = replace(data, train_images=data.train_images[:0], train_labels=data.train_labels[:0])
    with pytest.raises(ValueError, match="there are 0 images; give 1 or more"):
        fit(make_model(), empty, CONFIG)
    assert fit(make_model(), replace(data, class_names=()), CONFIG).epochs == 3
    with pytest.raises(ValueError, match="labels go from 0 to 3, and a model of 3 classes takes 0 to 2"):
        predict_seconds(make_model(num_classes=3), data, CONFIG)


@shapes.not_while_checking
def test_a_compiled_model_learns_what_it_would_uncompiled(data, tmp_path):
    """One that torch.compile has put something around: parts, rates and checkpoints go by the names of the model."""
    config = replace(CONFIG, layer_decay=0.5, freeze=("blocks.0",), average=0.9)
    runs = []
    for folder, compiled in (("plain", False), ("compiled", True), ("plain", True)):  # the last has nothing left to do
        model = make_model()
        given = torch.compile(model, backend="eager") if compiled else model
        history = fit(given, data, config, checkpoint=tmp_path / folder)
        runs.append((weights(model), history.train_loss))
        assert model.card is not None
    assert same(runs[0][0], runs[1][0])
    assert same(runs[0][0], runs[2][0])
    assert runs[0][1] == runs[1][1] == runs[2][1]


def test_any_classifier_can_be_trained(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    history = fit(model, data, replace(CONFIG, epochs=10, learning_rate=0.05, flip=False))
    assert history.model == {"class": "Sequential", "parameters": 64 * 4 + 4, "frozen": []}
    assert history.train_accuracy[-1] > 0.8


# --- When it goes wrong ----------------------------------------------------------------------------------------------


def test_a_loss_that_is_no_number_stops_at_that_step(data, tmp_path):
    model, steps = make_model(), []
    before_the_fault = {}

    def break_at_the_fifth_step(module, args, logits):
        if module.training:
            steps.append(1)
            if len(steps) == 5:
                before_the_fault.update(weights(module))
                return logits * math.nan
        return logits

    hook = model.register_forward_hook(break_at_the_fifth_step)
    with pytest.raises(TrainingError) as caught:
        fit(model, data, CONFIG, checkpoint=tmp_path)
    rate = learning_rate_at(4, 3, CONFIG)
    file = tmp_path / CHECKPOINT_NAME
    message = str(caught.value)
    assert message.startswith(
        f"the loss is nan and the length of its gradient nan in epoch 2, step 2, at learning rate {rate:.2g}"
    )
    assert "try a smaller learning_rate" in message
    assert message.endswith(f"{file} still holds the end of epoch 1")
    assert "\n" not in message
    assert len(steps) == 5
    assert same(weights(model), before_the_fault)

    hook.remove()  # with the fault mended, the run goes on from the last good epoch
    fit(model, data, CONFIG, checkpoint=tmp_path)
    untroubled = make_model()
    fit(untroubled, data, CONFIG)
    assert same(weights(model), weights(untroubled))


class OneMore(World):
    """A world in which another process, whose losses are not finite from the third step on, is only told of."""

    def sum(self, values, device):
        OneMore.sums += 1
        return [value + (math.nan if OneMore.sums >= 3 else 0.0) for value in values]


def test_what_another_process_computed_is_judged_with_ones_own(data, monkeypatch):
    """Or the other one would raise alone, and this one wait for it at the next sum."""
    OneMore.sums = 0
    monkeypatch.setattr(loop, "current_world", OneMore)
    with pytest.raises(TrainingError, match=r"the loss is nan and the length of its gradient \d.* in epoch 1, step 3"):
        fit(make_model(), data, CONFIG)


def test_an_infinite_gradient_under_a_finite_loss_stops_too(data):
    model = make_model()
    model.head.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights(model)
    with pytest.raises(TrainingError, match=r"length of its gradient (nan|inf) in epoch 1, step 1"):
        fit(model, data, replace(CONFIG, clip_norm=None))
    assert same(weights(model), before)


# --- What a learner has set PyTorch to ------------------------------------------------------------------------------


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_run_is_the_same_whatever_was_set(data, setting):
    plain, model = make_model(), make_model()
    expected = fit(plain, data, CONFIG)
    with SETTINGS[setting]():
        train, validation = split_validation(data.train_labels, 0.25, 0)
        history = fit(model, data, CONFIG)
        logits = predict(model, data.test_images)
        assert predict_seconds(model, data, CONFIG, steps=2) > 0
    assert same(weights(model), weights(plain))
    assert history.validation_loss == expected.validation_loss
    assert torch.equal(logits, predict(plain, data.test_images))
    assert len(train) + len(validation) == len(data.train_labels)


# --- A word about steps that are too long ----------------------------------------------------------------------------


def test_a_mad_learning_rate_gets_one_word_and_the_run_goes_on(data):
    with pytest.warns(TrainingWarning) as caught:
        history = fit(make_model(), data, replace(CONFIG, learning_rate=30.0, warmup_epochs=0))
    assert history.epochs == 3
    assert [str(warning.message) for warning in caught] == [
        f"the mean loss of epoch 1 is {history.train_loss[0]:.2f}, and to guess among 4 classes costs 1.39: the steps "
        "are too long; try a smaller learning_rate than 30, or a longer warm-up"
    ]


@shapes.not_while_checking
def test_the_word_on_a_mad_learning_rate_names_the_line_that_called(data):
    with pytest.warns(TrainingWarning) as caught:
        fit(make_model(), data, replace(CONFIG, learning_rate=30.0, epochs=1, warmup_epochs=0))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "options",
    [{}, {"learning_rate": 1e-6}, {"warmup_epochs": 0}, {"label_smoothing": 0.9}, {"cutmix": 0.5, "mixup": 0.5}],
)
def test_an_ordinary_run_stays_silent_however_little_it_learns(data, options):
    noise = replace(data, train_labels=data.train_labels[torch.randperm(len(data.train_labels))])
    with warnings.catch_warnings():
        warnings.simplefilter("error", TrainingWarning)
        fit(make_model(), noise, replace(CONFIG, **options))


@pytest.mark.parametrize(
    ("losses", "classes", "speaks"),
    [
        ([38.0], 10, False),  # still warming up
        ([38.0, 199.0], 10, True),
        ([2.4, 2.303], 10, False),  # guessing
        ([2.4, 3.2], 10, False),
        ([2.4, 3.4], 10, True),
        ([2.4, 6.9], 1000, False),
        ([2.4, 7.95], 1000, True),
    ],
)
def test_the_word_is_about_losses_far_above_that_of_guessing(losses, classes, speaks):
    history = History(train_loss=losses, config=asdict(TrainingConfig(warmup_epochs=1)))
    assert bool(loop.worse_than_guessing(history, classes)) == speaks


# --- The progress bar ------------------------------------------------------------------------------------------------


def test_nothing_is_printed_where_nobody_watches(data, capfd, monkeypatch):
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # whatever pytest's own plugins have imported
    fit(make_model(), data, CONFIG)
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_with_the_figures_unless_unwanted(data, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")  # a narrow screen cuts the figures off
    for wanted in (True, False):
        screen = Terminal()
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
        fit(make_model(), data, CONFIG, progress=wanted)
        for word in ("epoch 3/3", "loss=", "accuracy=", "validation=", "images/s=", "9/9"):
            assert (word in screen.getvalue()) == wanted


@shapes.not_while_checking
def test_an_executed_notebook_holds_no_trace_of_the_bar(through_files):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    lines = [
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})",
        "from training.examples import CONFIG, make_data, make_model",
        "from vit_tutorial.training import fit",
        "history = fit(make_model(), make_data(), CONFIG)",
        "print(history.epochs)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    settings = traitlets.config.Config(KernelManager=through_files())
    nbclient.NotebookClient(notebook, timeout=120, config=settings).execute()
    (output,) = notebook.cells[0].outputs
    assert (output.name, output.text) == ("stdout", "3\n")
