"""Optimizers: which weights decay, which one moves what, and that steps and averages are those of the papers."""

import pytest
import torch
from torch import nn

from training.examples import make_model, weights
from vit_tutorial import ViT
from vit_tutorial.training.fine_tuning import learning_rate_scales
from vit_tutorial.training.optimizers import ITERATION, MovingAverage, Muon, make_optimizers, orthogonalize

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


class OwnToken(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.first = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, tokens):
        return torch.cat([self.first.expand(len(tokens), -1, -1), tokens], dim=1)


class OwnPositions(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(num_tokens, dim))

    def forward(self, tokens):
        return tokens + self.table


def test_a_learners_own_class_token_and_positions_do_not_decay_either():
    config = make_model().config
    model = ViT(config, class_token=OwnToken, position=OwnPositions)
    decayed, spared = make_optimizers(model, "adamw", 0.1, 0.3)[0].param_groups
    assert {"class_token.first", "position.table"} <= names_of(model, spared)
    assert names_of(model, decayed) == MATRICES | {"patch_embed.proj.weight", "head.weight"}
    scales = learning_rate_scales(model, 0.5)
    assert scales["class_token.first"] == scales["position.table"] == scales["patch_embed.proj.weight"] == 0.125


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_matrix_that_is_cut_out_of_another_learns_as_a_copy_would_and_the_other_stays(name):
    """Grey filters out of those for colour: their numbers do not lie side by side."""
    colour = torch.randn(16, 3, 4, 4, dtype=torch.float64)
    before, learned = colour.clone(), []
    for filters in (colour[:, :1], colour[:, :1].clone()):
        model = make_model().double().eval()
        model.patch_embed.proj.weight = nn.Parameter(filters)
        optimizers = make_optimizers(model, name, learning_rate=0.01, weight_decay=0.1)
        torch.manual_seed(0)
        for _ in range(3):
            model(torch.randn(8, 1, 8, 8, dtype=torch.float64)).square().sum().backward()
            for optimizer in optimizers:
                optimizer.step()
        learned.append(model.patch_embed.proj.weight.detach().clone())
    torch.testing.assert_close(*learned, rtol=0, atol=1e-7)
    assert torch.equal(colour[:, 1:], before[:, 1:])
    assert not torch.equal(colour[:, :1], before[:, :1])


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


SHAPES = [(8, 24), (24, 8), (16, 16), (8, 24), (1, 5), (8, 24)]  # wide, tall, square, some of them several times


def two_of_each(dtype):
    matrices = [torch.nn.Parameter(torch.randn(shape, dtype=dtype)) for shape in SHAPES]
    return matrices, [torch.nn.Parameter(matrix.detach().clone()) for matrix in matrices]


def torchs_muon(matrices, **options):
    return torch.optim.Muon(matrices, adjust_lr_fn="match_rms_adamw", **options)


def take_steps(optimizers, copies, count, without_gradient=()):
    for _ in range(count):
        for i, same in enumerate(zip(*copies, strict=True)):
            gradient = None if i in without_gradient else torch.randn_like(same[0])
            for matrix in same:
                matrix.grad = None if gradient is None else gradient.clone()
        for optimizer in optimizers:
            optimizer.step()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.95, 0.0), (0.5, 0.3)])
def test_muon_in_stacks_equals_torchs_matrix_by_matrix(dtype, momentum, weight_decay):
    ours, theirs = two_of_each(dtype)
    options = {"lr": 0.1, "momentum": momentum, "weight_decay": weight_decay}
    optimizers = [Muon(ours, **options), torchs_muon(theirs, **options)]
    for step in range(5):
        before = [matrix.detach().clone() for matrix in theirs]
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] = 0.1 / (step + 1)
        take_steps(optimizers, (ours, theirs), 1, without_gradient=[2] if step == 3 else [])
        for mine, its, start in zip(ours, theirs, before, strict=True):
            moved = (its - start).norm()  # of this step: the products are in bfloat16, which has three digits
            assert (mine - its).norm() <= 1e-3 * moved + torch.finfo(dtype).eps * its.norm()
    states = [optimizer.state_dict()["state"] for optimizer in optimizers]
    for mine, its in zip(*(state.values() for state in states), strict=True):
        assert torch.equal(mine["momentum_buffer"], its["momentum_buffer"])


@pytest.mark.parametrize("shape", [(3, 6, 10), (2, 10, 6), (4, 7, 7)])
def test_a_stack_is_made_orthogonal_as_each_of_its_matrices_alone(shape):
    matrices, (a, b, c) = torch.randn(shape, dtype=torch.float64), ITERATION
    for matrix, got in zip(matrices, orthogonalize(matrices, torch.float64), strict=True):
        u, s, vh = torch.linalg.svd(matrix, full_matrices=False)
        s = s / s.norm()
        for _ in range(5):  # the polynomial acts on each singular value by itself
            s = a * s + b * s**3 + c * s**5
        torch.testing.assert_close(got, u @ torch.diag(s) @ vh, rtol=1e-9, atol=1e-9)
    assert orthogonalize(matrices, torch.float64).is_contiguous()
    in_bfloat16 = orthogonalize(matrices.float())
    assert in_bfloat16.dtype == torch.float32
    assert (in_bfloat16 - orthogonalize(matrices, torch.float64)).norm() < 0.05 * in_bfloat16.norm()


def test_a_gradient_of_zeros_moves_nothing():
    assert torch.equal(orthogonalize(torch.zeros(2, 3, 4)), torch.zeros(2, 3, 4))


def test_muon_takes_matrices_only():
    with pytest.raises(ValueError, match=r"got a parameter of shape \[2, 3, 4\]; use AdamW"):
        Muon([torch.nn.Parameter(torch.zeros(2, 3, 4))], 0.1, 0.0)


@pytest.mark.parametrize("from_torch", [False, True])
def test_muon_goes_on_from_a_saved_state_bit_for_bit(from_torch):
    """Also from one of torch.optim.Muon: the state has the same form."""
    ours, theirs = two_of_each(torch.float32)
    options = {"lr": 0.1, "weight_decay": 0.1, "momentum": 0.9}
    first = torchs_muon(theirs, **options) if from_torch else Muon(theirs, **options)
    straight = Muon(ours, **options)
    take_steps([straight, first], (ours, theirs), 2)
    state = first.state_dict()["state"]
    assert [list(values) for values in state.values()] == [["momentum_buffer"]] * len(SHAPES)
    again = [torch.nn.Parameter(matrix.detach().clone()) for matrix in theirs]
    second = Muon(again, **options)
    second.load_state_dict({"state": state, "param_groups": second.state_dict()["param_groups"]})
    take_steps([straight, second], (ours, again), 2)
    for straight_on, resumed in zip(ours, again, strict=True):
        assert torch.equal(straight_on, resumed)


def slow_average(kept, new, share):
    """Move one tensor after the other, in place."""
    for name, tensor in kept.items():
        tensor.lerp_(new[name], share) if tensor.is_floating_point() else tensor.copy_(new[name])


def test_a_moving_average_equals_the_one_made_tensor_by_tensor():
    model = torch.nn.Sequential(make_model(), torch.nn.BatchNorm1d(3))
    average = MovingAverage(model, 0.9)
    slow = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    for step in range(12):
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.add_(torch.randn_like(tensor) if tensor.is_floating_point() else 1)
        average.update(model)
        slow_average(slow, model.state_dict(), 1 - min(0.9, (1 + step) / (10 + step)))
        for key, kept in average.model.state_dict().items():
            assert torch.equal(kept, slow[key]), key


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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_weights_of_16_bits_have_no_average(dtype):
    with pytest.raises(ValueError, match=rf"^average is 0\.999, and patch_embed\.proj\.weight is {dtype}, in "):
        MovingAverage(make_model().to(dtype), 0.999)
    assert next(MovingAverage(make_model().double(), 0.999).model.parameters()).dtype == torch.float64


def test_whole_numbers_are_copied_not_averaged():
    model = torch.nn.BatchNorm1d(2)  # counts its batches
    average = MovingAverage(model, 0.9)
    model(torch.randn(4, 2))
    average.update(model)
    assert average.model.num_batches_tracked == 1
