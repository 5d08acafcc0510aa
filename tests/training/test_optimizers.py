"""Optimizers: which weights decay, which one moves what, and that steps and averages are those of the papers."""

import pytest
import torch

from training.examples import make_model, weights
from vit_tutorial.training.optimizers import MovingAverage, make_optimizers

MATRICES = {f"blocks.{i}.{layer}.weight" for i in range(2) for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")}


def names_of(model, group):
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {names[id(parameter)] for parameter in group["params"]}


def test_only_matrices_decay():
    model = make_model(representation_size=8)
    (adamw,) = make_optimizers(model, "adamw", 0.1, 0.3)
    decayed, spared = adamw.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0)
    decayed, spared = names_of(model, decayed), names_of(model, spared)
    assert decayed == MATRICES | {"patch_embed.proj.weight", "pre_logits.fc.weight", "head.weight"}
    assert decayed | spared == {name for name, _ in model.named_parameters()}
    assert {"class_token.cls_token", "position.pos_embed", "norm.weight", "head.bias"} <= spared


def test_muon_moves_the_matrices_of_the_blocks_and_adamw_all_else():
    model = make_model()
    adamw, muon = make_optimizers(model, "muon", 0.1, 0.3)
    (group,) = muon.param_groups
    assert names_of(model, group) == MATRICES
    assert (group["lr"], group["weight_decay"]) == (0.1, 0.3)
    rest = [names_of(model, group) for group in adamw.param_groups]
    assert rest[0] == {"patch_embed.proj.weight", "head.weight"}
    assert rest[0] | rest[1] | MATRICES == {name for name, _ in model.named_parameters()}


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_without_gradients_a_step_shrinks_the_matrices_and_nothing_else(name):
    model = make_model()
    before = weights(model)
    for optimizer in make_optimizers(model, name, 0.1, 0.5):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    for key, tensor in weights(model).items():
        matrix = tensor.ndim >= 2 and key not in ("cls_token", "pos_embed")
        torch.testing.assert_close(tensor, before[key] * (1 - 0.1 * 0.5) if matrix else before[key])


def test_a_step_of_muon_is_the_nearest_orthogonal_matrix_scaled_to_the_length_of_adamws():
    """Newton and Schulz come near U V^T of the singular value decomposition; its length is 0.2 sqrt(longer side)."""
    model = make_model()
    _, muon = make_optimizers(model, "muon", 0.1, 0.0)
    before = weights(model)
    torch.manual_seed(0)
    for parameter in muon.param_groups[0]["params"]:
        parameter.grad = torch.randn_like(parameter)
    muon.step()
    for key in MATRICES:
        gradient = dict(model.named_parameters())[key].grad
        u, _, vh = torch.linalg.svd(gradient, full_matrices=False)
        expected = -0.1 * 0.2 * max(gradient.shape) ** 0.5 * (u @ vh)
        step = weights(model)[key] - before[key]
        cosine = (step * expected).sum() / (step.norm() * expected.norm())
        assert cosine > 0.95, key  # its five iterations leave the singular values between about 0.7 and 1.2
        assert 0.7 < step.norm() / expected.norm() < 1.2, key
        assert (step * -gradient).sum() / (step.norm() * gradient.norm()) < 0.98  # and not along the gradient itself


def test_a_moving_average_follows_slowly_and_forgets_the_start():
    model = make_model()
    average = MovingAverage(model, 0.9)
    by_hand = weights(model)
    for step in range(30):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter))
        average.update(model)
        decay = min(0.9, (1 + step) / (10 + step))
        by_hand = {key: decay * by_hand[key] + (1 - decay) * new for key, new in weights(model).items()}
        for key, kept in average.model.state_dict().items():
            torch.testing.assert_close(kept, by_hand[key])
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_whole_numbers_are_copied_not_averaged():
    model = torch.nn.BatchNorm1d(2)  # counts its batches
    average = MovingAverage(model, 0.9)
    model(torch.randn(4, 2))
    average.update(model)
    assert average.model.num_batches_tracked == 1
