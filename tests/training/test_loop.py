"""Training: the recipe against independent references, and that nothing is lost when a run is killed at any moment."""

import errno
import io
import json
import math
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import shapes
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.datasets import Dataset, channel_statistics
from vit_tutorial.training import (
    History,
    TrainingConfig,
    TrainingError,
    checkpoint,
    evaluate,
    fit,
    learning_rate_at,
    loop,
    predict,
    predict_seconds,
    split_validation,
)
from vit_tutorial.training.checkpoint import CHECKPOINT_NAME
from vit_tutorial.training.optimizers import MovingAverage
from vit_tutorial.weights import ModelCard, load_model, save_model

CLASSES = ("bright top", "bright bottom", "bright left", "bright right")
CONFIG = TrainingConfig(
    epochs=3, batch_size=16, learning_rate=0.002, warmup_epochs=1, validation_fraction=0.25, flip=True, device="cpu"
)
ALL_AT_ONCE = replace(
    CONFIG, optimizer="muon", average=0.9, distort=0.5, erase=0.5, cutmix=0.4, mixup=0.4, plain_epochs=1
)


def make_data(per_class=16, size=8):
    """Small noisy pictures whose class is the side that is brighter."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(4).repeat(per_class)
    images = torch.randint(0, 120, (len(labels), 1, size, size), generator=generator, dtype=torch.uint8)
    half = size // 2
    sides = [(slice(half), slice(None)), (slice(half, None), slice(None))]
    sides += [(slice(None), slice(half)), (slice(None), slice(half, None))]
    for image, label in zip(images, labels.tolist(), strict=True):
        image[0][sides[label]] += 100
    mean, std = channel_statistics(images)
    return Dataset("sides", images, labels, images[:8], labels[:8], CLASSES, mean, std)


def make_model(seed=0, **options):
    torch.manual_seed(seed)
    shape = {"image_size": 8, "patch_size": 4, "in_channels": 1, "num_classes": 4, "dim": 16, "depth": 2}
    return ViT(ViTConfig(**(shape | {"num_heads": 2, "dropout": 0.1, "drop_path": 0.1} | options)))


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def data():
    return make_data()


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


class step_hook:
    """Call `look` with the optimizer just before each step of any optimizer."""

    def __init__(self, look):
        self.look = look

    def __enter__(self):
        self.handle = register_optimizer_step_pre_hook(lambda optimizer, args, kwargs: self.look(optimizer))

    def __exit__(self, *_):
        self.handle.remove()


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
    config = replace(CONFIG, epochs=60, learning_rate=0.01, flip=False)  # mirrored, left would be right
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
    order = torch.randperm(64, generator=torch.Generator().manual_seed(loop._seed(0, 0)))
    losses = []
    for logits, chance, batch in zip(seen, drawn, order.split(16), strict=True):
        for i in range(16):
            label, other = data.train_labels[batch[i]], data.train_labels[batch[i ^ 1]]
            target = torch.full((4,), 0.1 / 4)
            target[label] += 0.9 * chance.own_share[i]
            target[other] += 0.9 * (1 - chance.own_share[i])
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
    config = replace(CONFIG, epochs=40, learning_rate=0.01, flip=False, optimizer="muon")
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
    assert history.config == asdict(CONFIG)
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


def test_history_survives_json(data, tmp_path):
    history = fit(make_model(), data, CONFIG)
    path = history.to_json(tmp_path / "deep" / "history.json")
    assert History.from_json(path) == history
    assert json.loads(path.read_text())["images_per_second"] > 0


def test_the_callers_random_numbers_are_left_alone(data):
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = make_model()
    torch.manual_seed(5)
    fit(model, data, CONFIG)
    assert torch.equal(torch.rand(3), expected)


def test_same_seed_same_weights_another_seed_others(data):
    runs = []
    for seed in (0, 0, 1):
        model = make_model()
        torch.rand(7)  # whatever happened before must not matter
        fit(model, data, replace(CONFIG, seed=seed))
        runs.append(weights(model))
    assert same(runs[0], runs[1])
    assert not same(runs[0], runs[2])


def test_any_classifier_can_be_trained(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    history = fit(model, data, replace(CONFIG, epochs=10, learning_rate=0.05, flip=False))
    assert history.model == {"class": "Sequential", "parameters": 64 * 4 + 4}
    assert history.train_accuracy[-1] > 0.8


def test_evaluate_agrees_with_counting_one_image_at_a_time(data):
    model = make_model()
    fit(model, data, CONFIG)
    model.train()  # dropout would show
    result = evaluate(model, data.train_images, data.train_labels, batch_size=7)
    assert model.training
    model.eval()
    confusion = [[0] * 4 for _ in range(4)]
    losses, wrong = [], []
    for i, (image, label) in enumerate(zip(data.train_images, data.train_labels.tolist(), strict=True)):
        p = model(data.normalize(image[None]))[0].softmax(dim=0)
        guess = max(range(4), key=lambda c: p[c].item())
        confusion[label][guess] += 1
        losses.append(-math.log(p[label].item()))
        assert result.predictions[i] == guess
        assert result.confidences[i].item() == pytest.approx(p[guess].item(), rel=1e-4)
        if guess != label:
            wrong.append(i)
    assert result.confusion.tolist() == confusion
    assert result.accuracy == pytest.approx(1 - len(wrong) / len(losses))
    assert result.losses.tolist() == pytest.approx(losses, rel=1e-4)
    assert result.loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)
    assert len(wrong) > 3
    assert result.worst_mistakes(3).tolist() == sorted(wrong, key=lambda i: -losses[i])[:3]
    assert set(result.worst_mistakes(1000).tolist()) == set(wrong)


def test_a_mirrored_prediction_is_the_mean_of_both_views(data):
    model = make_model()
    model.card = ModelCard(CLASSES, data.mean, data.std)
    plain, flipped = predict(model, data.test_images), predict(model, data.test_images.flip(-1))
    both = predict(model, data.test_images, mirrored=True, batch_size=7)
    assert not torch.allclose(plain, flipped, atol=1e-3)
    torch.testing.assert_close(both, (plain + flipped) / 2)
    result = evaluate(model, data.test_images, data.test_labels, mirrored=True)
    assert torch.equal(result.predictions, both.argmax(dim=1))


def test_predict_says_what_it_needs(data):
    model = make_model()
    with pytest.raises(ValueError, match=r"no card, so the mean and std .* train it with fit"):
        predict(model, data.test_images)
    model.card = ModelCard(CLASSES, data.mean, data.std)
    with pytest.raises(ValueError, match=r"images are torch\.float32; pass pixels as they are, uint8"):
        predict(model, data.normalize(data.test_images))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("learning_rate", -1),
        ("learning_rate", math.nan),
        ("warmup_epochs", 1000),
        ("label_smoothing", 1),
        ("max_shift", -1),
        ("validation_fraction", 1),
        ("seed", -1),
        ("distort", 1.5),
        ("erase", -0.1),
        ("cutmix", 2),
        ("plain_epochs", -1),
        ("average", 1),
        ("optimizer", "sgd"),
        ("clip_norm", 0),
        ("precision", "float16"),
        ("device", "gpu"),
    ],
)
def test_a_setting_that_makes_no_sense_gets_a_sentence(field, value):
    with pytest.raises(ValueError, match=rf"{field} is .*{value}.*; it must be"):
        TrainingConfig(**{field: value})


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


def test_an_infinite_gradient_under_a_finite_loss_stops_too(data):
    model = make_model()
    model.head.weight.register_hook(lambda gradient: gradient * math.inf)
    before = weights(model)
    with pytest.raises(TrainingError, match=r"length of its gradient (nan|inf) in epoch 1, step 1"):
        fit(model, data, replace(CONFIG, clip_norm=None))
    assert same(weights(model), before)


# --- Checkpoints -----------------------------------------------------------------------------------------------------


class Stop(Exception):
    pass


def fit_until(epoch, model, data, config, folder):
    def stop(history):
        if history.epochs == epoch:
            raise Stop

    with pytest.raises(Stop):
        fit(model, data, config, checkpoint=folder, on_epoch=stop)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_stopped_run_goes_on_to_the_same_weights_and_history(data, tmp_path, epoch):
    whole = make_model()
    expected = fit(whole, data, CONFIG)
    fit_until(epoch, make_model(), data, CONFIG, tmp_path)
    resumed = make_model(seed=9)  # other first weights: all must come from the checkpoint
    history = fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(history, name) == getattr(expected, name)


@pytest.mark.parametrize("config", [CONFIG, ALL_AT_ONCE], ids=["plain", "all at once"])
@pytest.mark.parametrize("steps", [1, 2, 4, 8])
def test_a_run_stopped_within_an_epoch_goes_on_to_the_same_weights_and_history(data, tmp_path, steps, config):
    whole = make_model()
    expected = fit(whole, data, config)
    model, taken = make_model(), []

    def stop(module, args):
        taken.extend([1] * module.training)
        if len(taken) > steps:
            raise Stop

    model.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(model, data, config, checkpoint=tmp_path, checkpoint_seconds=0)
    resumed, again = make_model(seed=9), []
    resumed.register_forward_pre_hook(lambda module, args: again.extend([1] * module.training))
    history = fit(resumed, data, config, checkpoint=tmp_path)
    assert len(again) == 9 - steps  # nothing is done twice
    assert same(weights(resumed), weights(whole))
    for name in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate"):
        assert getattr(history, name) == getattr(expected, name)


def test_a_run_stopped_between_the_last_step_of_an_epoch_and_its_end_goes_on(data, tmp_path):
    whole = make_model()
    expected = fit(whole, data, CONFIG)
    model = make_model()

    def stop(module, args):
        if not module.training:  # it looks at the validation images
            raise Stop

    model.register_forward_pre_hook(stop)
    with pytest.raises(Stop):
        fit(model, data, CONFIG, checkpoint=tmp_path, checkpoint_seconds=0)
    resumed = make_model(seed=9)
    history = fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    assert history.learning_rate == expected.learning_rate
    assert history.train_loss == expected.train_loss


def test_within_an_epoch_a_checkpoint_is_written_as_often_as_asked(data, tmp_path, monkeypatch):
    def count(seconds):
        written = []
        monkeypatch.setattr(checkpoint, "write_file", lambda path, content: written.append(path))
        fit(make_model(), data, CONFIG, checkpoint=tmp_path / "x", checkpoint_seconds=seconds)
        return len(written)

    assert count(0) == 12  # after each of 9 steps, and at the end of each of 3 epochs
    assert count(3600) == 3


def test_every_second_image_is_a_data_set_too(data, tmp_path):
    half = replace(data, train_images=data.train_images[::2], train_labels=data.train_labels[::2])
    assert fit(make_model(), half, CONFIG, checkpoint=tmp_path).data["training"] == 24


def test_a_finished_run_is_not_trained_again(data, tmp_path, monkeypatch):
    model = make_model()
    fit(model, data, CONFIG, checkpoint=tmp_path)
    finished = weights(model)
    with step_hook(lambda optimizer: pytest.fail("a finished run took a step")):
        again = make_model(seed=9)
        monkeypatch.setattr(loop, "describe_environment", lambda device: pytest.fail("it ran somewhere else"))
        history = fit(again, data, CONFIG, checkpoint=tmp_path)
    assert history.epochs == 3
    assert same(weights(again), finished)


KILLED = """
# Runs fit again and again in child processes; all but the last are killed, by themselves or from outside.
import json, os, random, signal, sys, time, traceback
import torch, torch._dynamo  # the second is what an optimizer imports; once here, and not in every child

torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from training.test_loop import ALL_AT_ONCE, make_data, make_model, weights
from vit_tutorial.training import checkpoint, fit


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def child(folder, moment):
    model, counts = make_model(), {"steps": 0, "files": 0}
    replace = os.replace
    if moment == "mid-step":
        def count(module, args):
            counts["steps"] += module.training
            if counts["steps"] == 2:
                die()
        model.register_forward_pre_hook(count)
    elif moment == "half a checkpoint written":
        write = checkpoint.write_file
        def half(path, content):
            with open(str(path) + ".tmp", "wb") as out:
                out.write(content[: len(content) // 2])
            die()
        checkpoint.write_file = half
    elif moment == "before the checkpoint takes its place":
        os.replace = die
    elif moment == "after the checkpoint took its place":
        os.replace = lambda *paths: (replace(*paths), die())
    elif moment == "after the second checkpoint":
        def second(*paths):
            replace(*paths)
            counts["files"] += 1
            if counts["files"] == 2:
                die()
        os.replace = second
    fit(model, make_data(), ALL_AT_ONCE, checkpoint=folder, checkpoint_seconds=0)
    torch.save(weights(model), os.path.join(folder, "weights.pt"))


def run(folder, moment=None, seconds=None):
    pid = os.fork()
    if pid == 0:
        try:
            child(folder, moment)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, 0)[1]


whole, killed, timed = (os.path.join(sys.argv[2], name) for name in ("whole", "killed", "timed"))
for folder in (whole, killed, timed):
    os.makedirs(folder)
started = time.perf_counter()
statuses = {"whole": run(whole)}
duration = time.perf_counter() - started
for moment in (
    "mid-step", "half a checkpoint written", "before the checkpoint takes its place",
    "after the checkpoint took its place", "mid-step", "after the second checkpoint",
    "before the checkpoint takes its place", "mid-step",
):
    statuses.setdefault(moment, set()).add(run(killed, moment))
statuses["killed"] = run(killed)
chance = random.Random(0)
for _ in range(12):
    run(timed, seconds=chance.uniform(0.1, 0.6) * duration)
statuses["timed"] = run(timed)
print(json.dumps({key: sorted(value) if isinstance(value, set) else value for key, value in statuses.items()}))
"""


@shapes.not_while_checking
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and fork are Unix")
def test_a_run_killed_at_twenty_moments_ends_with_the_weights_of_one_never_killed(tmp_path):
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parents[1]), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout)
    for name in ("whole", "killed", "timed"):
        assert statuses.pop(name) == 0, done.stderr
    assert len(statuses) == 5
    assert all(status == [9] for status in statuses.values())
    whole, killed, timed = (torch.load(tmp_path / name / "weights.pt") for name in ("whole", "killed", "timed"))
    assert same(killed, whole)
    assert same(timed, whole)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"config": replace(CONFIG, learning_rate=0.1)}, r"in its config, learning_rate was 0\.002 and is 0\.1"),
        ({"config": replace(CONFIG, epochs=4)}, "in its config, epochs was 3 and is 4"),
        ({"model": {"depth": 3}}, "in its model, depth was 2 and is 3"),
        ({"per_class": 20}, "in its data, training was 48 and is 60"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused_and_left_alone(data, tmp_path, options, expected):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()
    model = make_model(seed=9, **options.get("model", {}))
    untouched = weights(model)
    other = make_data(options["per_class"]) if "per_class" in options else data
    with pytest.raises(TrainingError, match=rf"belongs to another run: {expected}.*use another folder, or delete"):
        fit(model, other, options.get("config", CONFIG), checkpoint=tmp_path)
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before
    assert same(weights(model), untouched)


def test_other_pictures_under_the_same_name_are_noticed(data, tmp_path):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    images = data.train_images.clone()
    images[3, 0, 2, 2] ^= 1
    with pytest.raises(TrainingError, match=r"in its data, crc32 was \d+ and is \d+"):
        fit(make_model(), replace(data, train_images=images), CONFIG, checkpoint=tmp_path)


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "bit in the header", "bit in the weights", "longer"])
def test_a_damaged_checkpoint_is_refused_and_left_alone(data, tmp_path, damage):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    file = tmp_path / CHECKPOINT_NAME
    content = bytearray(file.read_bytes())
    if damage.startswith("bit"):
        content[60 if "header" in damage else -100] ^= 1
    cut = {"empty": 0, "short": 10, "cut": len(content) - 7}.get(damage, len(content))
    content = bytes(content[:cut]) + (b"x" if damage == "longer" else b"")
    file.write_bytes(content)
    model = make_model()
    untouched = weights(model)
    with pytest.raises(
        TrainingError, match=rf"{CHECKPOINT_NAME} \({len(content):,} bytes\) is truncated or damaged; use"
    ):
        fit(model, data, CONFIG, checkpoint=tmp_path)
    assert file.read_bytes() == content
    assert same(weights(model), untouched)


def test_a_full_disk_gets_a_sentence_and_keeps_the_last_good_checkpoint(data, tmp_path, monkeypatch):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    before = (tmp_path / CHECKPOINT_NAME).read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"the end of epoch 2 could not be written .* \(No space left on device\)"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_NAME]
    assert (tmp_path / CHECKPOINT_NAME).read_bytes() == before


def test_a_checkpoint_folder_that_is_a_file_gets_a_sentence(data, tmp_path):
    (tmp_path / "taken").write_text("something")
    with pytest.raises(TrainingError, match=r"the checkpoint folder .*taken cannot be made"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path / "taken")


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
def test_an_executed_notebook_holds_no_trace_of_the_bar():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    lines = [
        f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})",
        "from training.test_loop import *",
        "history = fit(make_model(), make_data(), CONFIG)",
        "print(history.epochs)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbclient.NotebookClient(notebook, timeout=120).execute()
    (output,) = notebook.cells[0].outputs
    assert (output.name, output.text) == ("stdout", "3\n")
