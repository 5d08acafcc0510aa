"""Evaluation against counting one image at a time, and what it needs."""

import contextlib
import math

import pytest
import torch

from training.examples import CLASSES, CONFIG, make_model
from vit_tutorial.training import (
    evaluate,
    fit,
    predict,
)
from vit_tutorial.weights import ModelCard


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


def test_the_model_is_asked_about_a_batch_at_a_time(data):
    model, sizes = make_model(), []
    model.card = ModelCard.of(data)
    model.register_forward_pre_hook(lambda module, args: sizes.append(len(args[0])))
    predict(model, data.train_images, batch_size=30)
    assert sizes == [30, 30, 4]


@pytest.mark.parametrize("stopped", [False, True])
def test_each_part_is_in_its_own_mode_again_also_after_ctrl_c(data, stopped):
    model = make_model()
    model.card = ModelCard(CLASSES, data.mean, data.std)
    model.train().blocks[0].eval()  # as a part that is frozen
    modes = [module.training for module in model.modules()]

    def press(module, args):
        assert not any(part.training for part in model.modules())
        if stopped:
            raise KeyboardInterrupt

    model.register_forward_pre_hook(press)
    with pytest.raises(KeyboardInterrupt) if stopped else contextlib.nullcontext():
        predict(model, data.test_images)
    assert [module.training for module in model.modules()] == modes


def test_predict_says_what_it_needs(data):
    model = make_model()
    with pytest.raises(ValueError, match=r"no card, so the mean and std .* train it with fit"):
        predict(model, data.test_images)
    model.card = ModelCard(CLASSES, data.mean, data.std)
    with pytest.raises(ValueError, match=r"images are torch\.float32; pass pixels as they are, uint8"):
        predict(model, data.normalize(data.test_images))
    with pytest.raises(
        TypeError, match=r"^images are a numpy\.ndarray; pass a tensor, such as torch.as_tensor\(images"
    ):
        predict(model, data.test_images.numpy())


def test_a_batch_a_smoothing_or_a_format_that_makes_no_sense_gets_a_sentence(data):
    model = make_model()
    model.card = ModelCard.of(data)
    for options, words in (
        ({"batch_size": 0}, "batch_size is 0; it must be 1 or more"),
        ({"batch_size": 2.5}, "batch_size is 2.5; it must be one whole number"),
        ({"label_smoothing": 2.0}, "label_smoothing is 2.0; it must be from 0 to 1"),
        ({"precision": "half"}, "precision is 'half'; it must be one of 'auto', 'float32', 'bfloat16', 'float16'"),
    ):
        with pytest.raises(ValueError, match=words):
            evaluate(model, data.test_images, data.test_labels, **options)
    with pytest.raises(TypeError, match=r"^labels are a list; pass a tensor, such as torch.as_tensor\(labels\)$"):
        evaluate(model, data.test_images, data.test_labels.tolist())
