"""Gradient checkpointing: the very same gradients from fewer kept numbers, or a refusal."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from training.examples import ALL_AT_ONCE, CONFIG, make_model, same, weights
from vit_tutorial.training import TrainingConfig, fit
from vit_tutorial.training.augmentation import draw
from vit_tutorial.training.loop import Learner
from vit_tutorial.training.memory import with_gradient_checkpointing


def one_step(data, config):
    """Give the gradients of a step, and how many bytes were kept on the way forward."""
    learner = Learner(make_model(depth=4).train(), data, config)
    kept = 0

    def count(tensor):
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    torch.manual_seed(5)  # of dropout and drop path
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        learner.forward_backward(data.train_images[:16], data.train_labels[:16], draw(16, (8, 8)), 16)
    return {name: parameter.grad for name, parameter in learner.model.named_parameters()}, kept


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gradients_are_identical_and_less_is_kept(data, precision):
    config = replace(CONFIG, precision=precision)
    plain, much = one_step(data, config)
    again, little = one_step(data, replace(config, gradient_checkpointing=True))
    assert same(plain, again)
    assert any(gradient.abs().max() > 0 for gradient in plain.values())
    assert little < much / 4


@pytest.mark.parametrize("config", [CONFIG, ALL_AT_ONCE], ids=["plain", "all at once"])
def test_a_whole_run_ends_with_the_very_same_weights(data, config):
    plain, again = make_model(), make_model()
    expected = fit(plain, data, config)
    history = fit(again, data, replace(config, gradient_checkpointing=True))
    assert same(weights(plain), weights(again))
    assert history.validation_loss == expected.validation_loss


def test_the_model_itself_stays_as_it_was(data):
    model = make_model()
    own = model.blocks[1].forward = model.blocks[1].forward  # one that a learner has set
    fit(model, data, replace(CONFIG, gradient_checkpointing=True))
    assert "forward" not in vars(model.blocks[0])
    assert model.blocks[1].forward is own


class NoBlocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 4)

    def forward(self, images):
        return self.head(images.flatten(1))


def test_what_cannot_be_computed_again_is_refused(data):
    config = replace(CONFIG, gradient_checkpointing=True)
    with pytest.raises(ValueError, match="computes blocks again, and NoBlocks has no nn"):
        fit(NoBlocks(), data, config)
    model = make_model()
    model.blocks[1].norm1 = nn.BatchNorm1d(5)
    with pytest.raises(ValueError, match=r"and blocks\.1\.norm1 is a BatchNorm1d, which would count every batch twice"):
        fit(model, data, config)
    for options, sentence in (
        ({"dropout": 0.1}, r"blocks\.0\.mlp\.drop is a Dropout of rate 0\.1, which would drop others the second time"),
        ({"drop_path": 0.2}, r"blocks\.1\.drop_path is a DropPath of rate 0\.2, which would drop others"),
    ):
        model = make_model(**{"dropout": 0.0, "drop_path": 0.0} | options)
        with pytest.raises(ValueError, match=sentence):
            with_gradient_checkpointing(model, model, torch.device("mps"))
        with_gradient_checkpointing(model, model, torch.device("cuda"))
    still = make_model(dropout=0.0, drop_path=0.0)
    with_gradient_checkpointing(still, still, torch.device("mps"))
    with pytest.raises(ValueError, match="gradient_checkpointing and compile are both on"):
        TrainingConfig(compile=True, gradient_checkpointing=True)
