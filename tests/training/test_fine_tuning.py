"""Fine-tuning: what is frozen stays bit for bit, each layer has its own rate, and a model keeps its mean and std."""

import json
import math
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from references import exactly
from torch import nn
from torch.nn import functional as F

from training.examples import (
    ALL_AT_ONCE,
    CLASSES,
    CONFIG,
    fit_steps,
    fit_until,
    make_data,
    make_model,
    same,
    step_hook,
    weights,
)
from vit_tutorial.datasets import Dataset
from vit_tutorial.exercises.builders import small_vit
from vit_tutorial.exercises.lesson_07_vision_transformer import patient
from vit_tutorial.exercises.lesson_11_train_on_a_gpu import TrainingPatient
from vit_tutorial.explore.position_lab.numbers import position_tables
from vit_tutorial.predict import predict
from vit_tutorial.recipes import build_model
from vit_tutorial.training import (
    TrainingConfig,
    TrainingError,
    TrainingWarning,
    add_lora,
    fit,
    predict_seconds,
    reset_head,
)
from vit_tutorial.training.fine_tuning import (
    card_for,
    frozen,
    learning_rate_scales,
    named_parameters,
    other_statistics,
)
from vit_tutorial.training.loop import learning_rate_at
from vit_tutorial.weights import ModelCard, load_model, save_model

PROBE = ("cls_token", "pos_embed", "patch_embed", "blocks", "norm")
FIRST_HALF = ("cls_token", "pos_embed", "patch_embed", "blocks.0")
BELOW_THE_HEAD = {"head": 0, "norm": 1, "blocks.1": 1, "blocks.0": 2, "patch_embed": 3, "cls_token": 3, "pos_embed": 3}


def part_of(name):
    return next(part for part in BELOW_THE_HEAD if f"{name}.".startswith(f"{part}."))


# --- Frozen parts ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, ALL_AT_ONCE], ids=["plain", "all at once"])
@pytest.mark.parametrize("parts", [PROBE, FIRST_HALF, ("blocks.1.attn.qkv",)])
def test_what_is_frozen_stays_bit_for_bit_and_all_else_moves(data, config, parts):
    model = make_model()
    before = weights(model)
    fit(model, data, replace(config, freeze=parts))
    for name, tensor in weights(model).items():
        kept = f"{name}.".startswith(tuple(f"{part}." for part in parts))
        assert torch.equal(tensor, before[name]) == kept, name


def test_a_frozen_part_is_free_again_after_training(data):
    model = make_model()
    model.norm.requires_grad_(False)  # by hand: that stays
    fit(model, data, replace(CONFIG, freeze=("blocks",)))
    assert {n for n, p in model.named_parameters() if not p.requires_grad} == {"norm.weight", "norm.bias"}


def test_running_means_are_no_parameters():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    assert list(named_parameters(model)) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_the_name_of_a_part_ends_at_a_dot():
    model = make_model(depth=11)
    with frozen(model, ("blocks.1", "head.bias")):
        still = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert still == {n for n, _ in model.named_parameters() if n.startswith("blocks.1.") or n == "head.bias"}


def test_a_part_that_is_not_there_gets_a_sentence_with_those_that_are(data):
    sentence = (
        r"^freeze names 'encoder', which the model does not have; its parts are patch_embed, cls_token, pos_embed, "
        r"blocks\.0, blocks\.1, norm, head$"
    )
    with pytest.raises(ValueError, match=sentence):
        fit(make_model(), data, replace(CONFIG, freeze=("head", "encoder")))


def test_all_parts_frozen_is_refused(data):
    with pytest.raises(ValueError, match=r"all .* parameters of the model are frozen"):
        fit(make_model(), data, replace(CONFIG, freeze=(*PROBE, "head")))


def test_a_single_word_is_no_list_of_parts():
    with pytest.raises(ValueError, match=r"^freeze is 'head'; it must be several names, such as \('head',\)$"):
        TrainingConfig(freeze="head")
    assert TrainingConfig(freeze=["head"]).freeze == ("head",)


@pytest.mark.parametrize("by_hand", [False, True])
def test_dropout_and_running_means_stand_still_in_what_is_frozen(data, by_hand):
    body = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Dropout(0.5))
    model = nn.Sequential(body, nn.Linear(64, 4))
    before, modes = weights(model), set()
    model.register_forward_hook(lambda *_: modes.add((model.training, body[1].training, body[2].training)))
    if by_hand:
        body.requires_grad_(False)
    fit(model, data, replace(CONFIG, validation_fraction=0, freeze=() if by_hand else ("0.1",)))
    assert torch.equal(before["0.1.running_mean"], weights(model)["0.1.running_mean"])
    assert {mode[:2] for mode in modes} == {(True, False)}


def test_dropout_that_stands_alone_beside_the_head_goes_on():
    model = make_model()
    with frozen(model, PROBE) as hold:
        model.train()
        hold()
        assert model.dropout.training
        assert not model.blocks[0].drop.training


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("config", [CONFIG, ALL_AT_ONCE], ids=["plain", "all at once"])
def test_a_run_with_frozen_parts_and_layer_wise_rates_resumes_bit_for_bit(data, tmp_path, config, steps):
    config = replace(config, freeze=("patch_embed", "blocks.0"), layer_decay=0.6)
    whole = make_model()
    expected = fit(whole, data, config)
    model = make_model()
    fit_steps(steps, model, data, config, tmp_path)
    assert all(parameter.requires_grad for parameter in model.parameters())
    resumed = make_model()
    history = fit(resumed, data, config, checkpoint=tmp_path)
    assert same(weights(resumed), weights(whole))
    assert history.train_loss == expected.train_loss


@pytest.mark.parametrize(("name", "other"), [("freeze", ("norm",)), ("layer_decay", 0.5)])
def test_a_checkpoint_of_another_freeze_or_layer_decay_is_refused(data, tmp_path, name, other):
    fit_until(1, make_model(), data, CONFIG, tmp_path)
    with pytest.raises(TrainingError, match=f"in its config, {name} was"):
        fit(make_model(), data, replace(CONFIG, **{name: other}), checkpoint=tmp_path)


def test_the_time_of_a_linear_probe_is_predicted_without_touching_the_model(data):
    model = make_model()
    before = weights(model)
    assert predict_seconds(model, data, replace(CONFIG, freeze=PROBE)) > 0
    assert same(before, weights(model))
    assert all(parameter.requires_grad for parameter in model.parameters())


# --- Layer-wise rates ------------------------------------------------------------------------------------------------


def test_layer_wise_rates_are_those_of_timm():
    timm = pytest.importorskip("timm")
    from timm.optim import param_groups_layer_decay

    options = {"patch_size": 4, "num_classes": 4, "embed_dim": 16, "depth": 2, "num_heads": 2}
    theirs = timm.models.VisionTransformer(img_size=8, in_chans=1, **options)
    names = {id(parameter): name for name, parameter in theirs.named_parameters()}
    groups = param_groups_layer_decay(theirs, layer_decay=0.7)
    expected = {names[id(p)]: group["lr_scale"] for group in groups for p in group["params"]}
    ours = learning_rate_scales(make_model(), 0.7)
    assert ours.keys() == expected.keys()
    assert all(ours[name] == pytest.approx(expected[name], rel=1e-12) for name in ours)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_every_step_gives_each_layer_its_rate(data, optimizer):
    model, config = make_model(), replace(CONFIG, optimizer=optimizer, layer_decay=0.6)
    names = {id(parameter): name for name, parameter in model.state_dict(keep_vars=True).items()}
    seen = []

    def look(stepping):
        seen.extend((names[id(p)], group["lr"]) for group in stepping.param_groups for p in group["params"])

    with step_hook(look):
        fit(model, data, config)
    for step in range(9):
        at, seen = seen[: len(names)], seen[len(names) :]
        expected = {name: learning_rate_at(step, 3, config) * 0.6 ** BELOW_THE_HEAD[part_of(name)] for name, _ in at}
        assert len(expected) == len(names)
        assert dict(at) == pytest.approx(expected)
    assert not seen


def test_layer_wise_training_equals_a_loop_by_hand():
    """Nine steps of AdamW in float64, each parameter its own optimizer and its rate by hand."""
    data = make_data(per_class=4)
    shape = {"dropout": 0.0, "drop_path": 0.0}
    config = TrainingConfig(
        epochs=9, batch_size=16, warmup_epochs=2, max_shift=0, layer_decay=0.5, validation_fraction=0, device="cpu"
    )
    model, twin = make_model(**shape).double(), make_model(**shape).double()
    card = ModelCard.of(data)
    model.card = twin.card = card
    model.register_forward_pre_hook(lambda module, args: (args[0].double(),))
    fit(model, data, config)
    named = twin.state_dict(keep_vars=True)
    optimizers = {}
    for name, parameter in named.items():
        decays = parameter.ndim >= 2 and name not in ("cls_token", "pos_embed")
        optimizers[name] = torch.optim.AdamW([parameter], betas=(0.9, 0.999), weight_decay=0.05 if decays else 0.0)
    for step in range(9):
        loss = F.cross_entropy(twin(card.normalize(data.train_images).double()), data.train_labels, label_smoothing=0.1)
        gradients = torch.autograd.grad(loss, list(named.values()))
        length = torch.stack([gradient.norm() for gradient in gradients]).norm()
        for (name, parameter), gradient in zip(named.items(), gradients, strict=True):
            parameter.grad = gradient / max(1.0, float(length) + 1e-6)
            warmed = (step + 1) / 2 if step < 2 else (1 + math.cos((step - 2) / 7 * math.pi)) / 2
            rate = 3e-3 * warmed
            optimizers[name].param_groups[0]["lr"] = rate * 0.5 ** BELOW_THE_HEAD[part_of(name)]
            optimizers[name].step()
    for name, tensor in weights(model).items():
        torch.testing.assert_close(tensor, named[name].detach(), rtol=0, atol=1e-8)


def test_a_model_without_blocks_has_no_layers_to_count(data):
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    sentence = "^layer_decay is 0.5, and Sequential has no blocks whose layers could be counted; leave it at 1$"
    with pytest.raises(ValueError, match=sentence):
        fit(model, data, replace(CONFIG, layer_decay=0.5))
    fit(model, data, CONFIG)


# --- A new head ------------------------------------------------------------------------------------------------------


def test_a_new_head_is_for_the_new_classes_and_all_else_stays(data):
    model = make_model(num_classes=7)
    before = weights(model)
    model.card = ModelCard(tuple("abcdefg"), (0.3,), (0.2,), "record.json", 0.9)
    state = torch.get_rng_state()
    assert reset_head(model, 4, seed=5) is model
    assert torch.equal(torch.get_rng_state(), state)
    after = weights(model)
    assert model.config.num_classes == 4
    assert after["head.weight"].shape == (4, 16)
    assert not after["head.bias"].any()
    assert 0.01 < after["head.weight"].std() < 0.03
    assert all(torch.equal(before[name], after[name]) for name in before if not name.startswith("head."))
    assert model.card == ModelCard((), (0.3,), (0.2,), "", 0.9)
    again = reset_head(make_model(num_classes=7), 4, seed=5)
    assert torch.equal(again.head.weight, after["head.weight"])
    assert not torch.equal(reset_head(make_model(num_classes=7), 4, seed=6).head.weight, after["head.weight"])
    with pytest.warns(TrainingWarning, match="which are kept"):
        fit(model, data, CONFIG)
    assert model.card.class_names == data.class_names


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_a_head_for_no_number_of_classes_is_refused(count):
    model = make_model()
    before = weights(model)
    with pytest.raises(ValueError, match=f"^num_classes is {count}; it must be "):
        reset_head(model, count)
    assert same(before, weights(model))


def test_labels_outside_the_classes_are_one_sentence_before_the_first_step(data):
    model = reset_head(make_model(), 3)
    before = weights(model)
    with pytest.raises(ValueError, match=r"^labels go from 0 to 3, and a model of 3 classes takes 0 to 2; "):
        fit(model, data, CONFIG)
    assert same(before, weights(model))


SEEDED = {
    "reset_head": lambda: reset_head(make_model(), 3),
    "add_lora": lambda: add_lora(make_model()),
    "build_model": lambda: build_model(make_data(), {"patch_size": 4, "dim": 8, "num_heads": 2}, 0),
    "small_vit": lambda: small_vit(0),
    "patient": lambda: patient("A"),
    "TrainingPatient": lambda: TrainingPatient("A", make_data(size=28)),
    "position_tables": lambda: position_tables(make_model()),
}


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED)
def test_the_random_numbers_of_several_gpus_are_put_back_in_silence(monkeypatch, make):
    back = []
    monkeypatch.setattr(torch.random, "_fork_rng_warned_already", False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: f"state {device}")
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: back.append((state, device)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make()
    assert back == [("state 0", 0), ("state 1", 1)]


# --- Mean and std ----------------------------------------------------------------------------------------------------

OWN = ModelCard(tuple("abcd"), (0.9,), (0.5,), "record.json", 0.8, "bicubic")


def test_the_mean_and_std_of_the_first_training_are_kept_and_said(data):
    model, seen = make_model(), []
    model.card = OWN
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    sentence = (
        rf"^sides has mean {data.mean[0]:.3f} and std {data.std[0]:.3f}, and the weights were trained with mean 0\.900 "
        r"and std 0\.500, which are kept; to change that, set model\.card before fit$"
    )
    with pytest.warns(TrainingWarning, match=sentence) as said:
        fit(model, data, replace(CONFIG, epochs=1, max_shift=0, flip=False))
    assert [one.filename for one in said] == [__file__]
    assert model.card == replace(ModelCard.of(data), mean=OWN.mean, std=OWN.std)
    darkest = (data.train_images.min().item() / 255 - 0.9) / 0.5
    assert min(batch.min() for batch in seen).item() == pytest.approx(darkest, abs=1e-5)


@pytest.mark.parametrize("card", [None, ModelCard(), ModelCard((), (0.5,) * 3, (0.2,) * 3)])
def test_a_model_without_statistics_for_these_channels_gets_those_of_the_data(data, card):
    model = make_model()
    model.card = card
    assert card_for(model, data) == ModelCard.of(data)


@pytest.mark.parametrize("own", [None, OWN])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": (0.5, 0.5, 0.5)}, "sides has 3 mean and 1 std for 1 channels; give one of each a channel"),
        ({"mean": (), "std": ()}, "sides has 0 mean and 0 std for 1 channels; give one of each a channel"),
        ({"std": (0.5, 0.5)}, "sides has 1 mean and 2 std for 1 channels; give one of each a channel"),
        ({"class_names": (0, 1, 2, 3)}, "the card has class_names that are no text; give one word for each class"),
    ],
)
def test_data_whose_card_could_not_be_saved_is_refused_before_the_first_step(data, own, change, message):
    model = make_model()
    model.card, before = own, weights(model)
    for start in (fit, predict_seconds):
        with pytest.raises(ValueError, match=exactly(message)):
            start(model, replace(data, **change), CONFIG)
    assert model.card == own
    assert same(weights(model), before)


def test_a_trained_model_is_shown_a_picture_as_it_learned_it(tmp_path):
    generator = np.random.default_rng(0)
    for name in CLASSES:
        (tmp_path / name).mkdir()
        for i in range(3):
            pixels = generator.integers(0, 256, (20, 30), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    own = Dataset.from_folder(tmp_path, image_size=8)
    model = make_model()
    model.card = replace(OWN, mean=own.mean, std=own.std)  # with another view
    fit(model, own, replace(CONFIG, epochs=1))
    learned = {tuple(picture.flatten().tolist()) for picture in (*own.train_images, *own.test_images)}
    shown = {tuple(predict(model, file).pixels.flatten().tolist()) for file in tmp_path.glob("*/*.png")}
    assert shown == learned


@pytest.mark.parametrize("card", [None, OWN])
def test_a_model_of_more_classes_than_there_are_names_can_be_saved(data, tmp_path, card):
    model = make_model(num_classes=6)
    model.card = card
    model.card = card_for(model, data)
    assert model.card.class_names == ()
    assert load_model(save_model(model, tmp_path / "model.safetensors")).card == model.card


def test_statistics_that_hardly_differ_are_kept_in_silence(data):
    model = make_model()
    model.card = replace(OWN, mean=(data.mean[0] + 0.005,), std=data.std)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(model, data, replace(CONFIG, epochs=1))
    assert model.card.mean == (data.mean[0] + 0.005,)
    assert other_statistics(model.card, data) == ""
    assert other_statistics(replace(model.card, std=(data.std[0] + 0.02,)), data)


def test_a_checkpoint_made_with_another_mean_is_refused(data, tmp_path):
    model = make_model()
    model.card = OWN
    with pytest.warns(TrainingWarning):
        fit_until(1, model, data, CONFIG, tmp_path)
    with pytest.raises(TrainingError, match=r"in its data, normalized_with\.mean was \[0\.9\] and is \[0\.4"):
        fit(make_model(), data, CONFIG, checkpoint=tmp_path)
    again = make_model()
    again.card = OWN
    with pytest.warns(TrainingWarning):
        history = fit(again, data, CONFIG, checkpoint=tmp_path)
    assert json.loads(json.dumps(history.data))["std"] == [0.5]
