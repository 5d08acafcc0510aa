"""LoRA: nothing changes at first, only the small matrices and the head learn, and merged the model is the same."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm
from torch.nn.utils.parametrize import is_parametrized, remove_parametrizations

from training.examples import CONFIG, fit_until, make_model, same, weights
from vit_tutorial import ViT
from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.training import add_lora, fit, merge_lora
from vit_tutorial.training.lora import LowRank
from vit_tutorial.weights import load_model, save_model

IMAGES = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def plain(**options):
    return make_model(dropout=0.0, drop_path=0.0, **options).double().eval()


@torch.no_grad()
def learned(model, seed=0):
    """Give a LoRA something to say, as a training would."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if ".B_" in name:
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_at_first_the_logits_are_equal(pool):
    model, twin = plain(pool=pool), plain(pool=pool)
    assert torch.equal(add_lora(model, rank=3)(IMAGES), twin(IMAGES))


@pytest.mark.parametrize(("rank", "alpha"), [(1, None), (3, None), (3, 6.0), (16, 4.0)])
def test_the_matrices_are_w_plus_ba_on_queries_and_values_alone(rank, alpha):
    model, twin = learned(add_lora(plain(), rank, alpha)), plain()
    for block, other in zip(model.blocks, twin.blocks, strict=True):
        small = block.attn.qkv.parametrizations.weight[0]
        expected = other.attn.qkv.weight.detach().clone()
        factor = (alpha or rank) / rank
        for i in range(16):
            for j in range(16):
                for row, one, two in ((i, small.B_q, small.A_q), (32 + i, small.B_v, small.A_v)):
                    expected[row, j] += factor * sum(one[i, r] * two[r, j] for r in range(rank)).item()
        torch.testing.assert_close(block.attn.qkv.weight, expected, rtol=0, atol=1e-12)
        assert torch.equal(block.attn.qkv.weight[16:32], other.attn.qkv.weight[16:32])


def test_the_small_matrices_start_as_those_of_a_linear_layer():
    small = add_lora(plain(), rank=16).blocks[0].attn.qkv.parametrizations.weight[0]
    for matrix in (small.A_q, small.A_v):
        assert 0.24 < matrix.abs().max().item() <= 0.25  # 1 / sqrt(D)


def test_unless_told_the_rank_is_four_and_the_factor_one():
    assert repr(add_lora(plain()).blocks[0].attn.qkv.parametrizations.weight[0]) == "LowRank(16, rank=4, scale=1)"


def test_merged_back_the_logits_are_equal():
    model = learned(add_lora(plain(), rank=2))
    before, untouched = model(IMAGES), plain()
    assert (before - untouched(IMAGES)).abs().max() > 0.1
    assert merge_lora(model) is model
    torch.testing.assert_close(model(IMAGES), before, rtol=0, atol=1e-12)
    assert weights(model).keys() == weights(untouched).keys()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert type(model.blocks[0].attn.qkv) is nn.Linear


def test_a_copy_made_before_it_was_merged_goes_on():
    model = learned(add_lora(plain(), rank=2))
    before, twin = model(IMAGES), copy.deepcopy(model)
    merge_lora(model)
    assert torch.equal(twin(IMAGES), before)
    torch.testing.assert_close(merge_lora(twin)(IMAGES), before, rtol=0, atol=1e-12)


def test_only_the_small_matrices_and_the_head_learn(data):
    model = make_model()
    before = weights(model)
    add_lora(model, rank=2)
    learns = {name: p.numel() for name, p in model.named_parameters() if p.requires_grad}
    # two blocks, queries and values, r (D + D) numbers each; and the head
    assert sum(learns.values()) == 2 * 2 * 2 * (16 + 16) + (4 * 16 + 4)
    fit(model, data, CONFIG)
    merge_lora(model)
    for name, tensor in weights(model).items():
        changes = name.startswith("head.") or name.endswith("qkv.weight")
        assert torch.equal(tensor, before[name]) != changes, name
        if name.endswith("qkv.weight"):
            assert torch.equal(tensor[16:32], before[name][16:32])  # the keys
            assert torch.linalg.matrix_rank(tensor[:16] - before[name][:16], atol=1e-5) == 2


def test_a_training_with_lora_resumes_bit_for_bit(data, tmp_path):
    whole = add_lora(make_model(), 2)
    fit(whole, data, CONFIG)
    fit_until(1, add_lora(make_model(), 2), data, CONFIG, tmp_path)
    resumed = add_lora(make_model(), 2)
    fit(resumed, data, CONFIG, checkpoint=tmp_path)
    assert same(weights(whole), weights(resumed))


def test_a_merged_model_can_be_saved(data, tmp_path):
    model = add_lora(make_model(), 2)
    fit(model, data, CONFIG)
    answers = model(IMAGES.float())
    loaded = load_model(save_model(merge_lora(model), tmp_path / "merged.safetensors"))
    torch.testing.assert_close(loaded(IMAGES.float()), answers, rtol=0, atol=1e-6)


def test_the_same_seed_gives_the_same_lora_and_leaves_random_numbers_alone():
    state = torch.get_rng_state()
    one, two, other = (add_lora(plain(), 2, seed=seed) for seed in (1, 1, 2))
    assert same(weights(one), weights(two))
    assert not same(weights(one), weights(other))
    torch.set_rng_state(state)
    add_lora(plain(), 2)
    again = torch.get_rng_state()
    torch.set_rng_state(state)
    plain()
    assert torch.equal(again, torch.get_rng_state())


def test_a_rank_is_a_whole_number():
    with pytest.raises(ValueError, match=r"^rank is 2\.5; it must be one whole number$"):
        add_lora(plain(), 2.5)


@pytest.mark.parametrize("rank", [0, 17])
def test_a_rank_out_of_range_gets_a_sentence_and_changes_nothing(rank):
    model = plain()
    with pytest.raises(ValueError, match=f"^rank is {rank}; it must be from 1 to 16, the width of the matrices$"):
        add_lora(model, rank)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert same(weights(model), weights(plain()))


def test_a_lora_is_for_a_vit():
    with pytest.raises(TypeError, match=r"^model must be a ViT; got Linear$"):
        add_lora(nn.Linear(2, 2))


def test_a_second_lora_is_refused():
    model = add_lora(plain(), 2)
    with pytest.raises(ValueError, match=r"^the model has a LoRA already; merge_lora\(model\) first$"):
        add_lora(model, 2)


def test_other_parametrizations_stay_when_a_lora_is_merged():
    model = learned(add_lora(plain(), 2))
    spectral_norm(model.blocks[0].mlp.fc1)
    before = model.eval()(IMAGES)
    merge_lora(model)
    torch.testing.assert_close(model(IMAGES), before, rtol=0, atol=1e-12)
    assert {name for name, part in model.named_modules() if is_parametrized(part)} == {"blocks.0.mlp.fc1"}
    assert not any(isinstance(part, LowRank) for part in model.modules())


def test_a_matrix_with_a_lora_and_more_becomes_what_both_make_of_it():
    model = learned(add_lora(plain(), 2))
    spectral_norm(model.blocks[0].attn.qkv)
    before = model.eval()(IMAGES)
    torch.testing.assert_close(merge_lora(model)(IMAGES), before, rtol=0, atol=1e-12)
    assert not any(map(is_parametrized, model.modules()))


def test_a_matrix_with_another_parametrization_gets_no_lora():
    model = plain()
    spectral_norm(model.blocks[1].attn.qkv)
    with pytest.raises(ValueError, match=r"^1 of 2 matrices have a parametrization already, _SpectralNorm; call torch"):
        add_lora(model, 2)
    assert all(parameter.requires_grad for parameter in model.parameters())
    remove_parametrizations(model.blocks[1].attn.qkv, "weight")
    add_lora(model, 2)


@pytest.mark.parametrize("alpha", [math.nan, math.inf, 0, -1.0])
def test_an_alpha_that_cannot_learn_gets_a_sentence_and_changes_nothing(alpha):
    model = plain()
    with pytest.raises(ValueError, match=f"^alpha is {alpha}; it must be finite and above 0, or None for as much as"):
        add_lora(model, 2, alpha)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert same(weights(model), weights(plain()))


def test_a_model_without_matrices_to_add_to_is_refused_and_left_as_it_was():
    class Mean(nn.Module):
        def __init__(self, dim, num_heads):
            super().__init__()

        def forward(self, tokens):
            return tokens.mean(dim=1, keepdim=True).expand_as(tokens)

    model = ViT(plain().config, attention=Mean)
    with pytest.raises(TypeError, match=r"^block 0 has no MultiHeadAttention as `attn`, so there is nothing to add a"):
        add_lora(model, 2)
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_attention_of_ones_own_is_left_alone():
    class Own(MultiHeadAttention):
        pass

    model = make_model()
    model.blocks[0].attn.__class__ = Own
    add_lora(model, 2)
    assert hasattr(model.blocks[0].attn.qkv, "parametrizations")


def test_a_compiled_model_gets_its_lora_and_its_head_learns():
    model = make_model()
    assert add_lora(compiled := torch.compile(model, backend="eager")) is compiled
    learns = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert {"head.weight", "head.bias"} < set(learns)
    assert len(learns) == 2 + 4 * len(model.blocks)
