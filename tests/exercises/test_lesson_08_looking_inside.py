"""What lesson 8 hands to its notebook: the clinic's attention and patients; and its checks agree with the course."""

import pytest
import timm
import torch

from vit_tutorial import MultiHeadAttention, ViT, ViTConfig, attention_maps, attention_rollout
from vit_tutorial.exercises.builders import small_vit
from vit_tutorial.exercises.lesson_08_looking_inside import (
    FAULTS,
    TimmAttention,
    exchange,
    lens,
    near_heads,
    patient,
    rollout,
    shuffled_control,
)
from vit_tutorial.introspection import logit_lens, patch_tokens, token_stages


@pytest.fixture
def model_and_images():
    return small_vit(5, batch=4, depth=3, num_heads=4, attention=TimmAttention)


# ------------------------------------------------------------------------------------------ the attention


@pytest.mark.parametrize("fused", [True, False])
def test_the_attention_is_the_courses_and_timms(fused):
    torch.manual_seed(0)
    mine, course, theirs = TimmAttention(8, 2), MultiHeadAttention(8, 2), timm.layers.Attention(8, 2, qkv_bias=True)
    mine.fused_attn = theirs.fused_attn = fused
    for other in (course, theirs):
        other.load_state_dict(mine.state_dict())
    x = torch.randn(2, 5, 8)
    torch.testing.assert_close(mine(x), course(x))
    torch.testing.assert_close(mine(x), theirs(x))
    for given, wanted in zip(mine(x, return_weights=True), course(x, return_weights=True), strict=True):
        torch.testing.assert_close(given, wanted)


@pytest.mark.parametrize("make", [TimmAttention, lambda *sizes: timm.layers.Attention(*sizes, qkv_bias=True)])
def test_its_fused_kernel_never_calls_attn_drop_as_timms_does_not(make):
    attention, seen = make(8, 2).eval(), []
    attention.attn_drop.register_forward_hook(lambda part, given, weights: seen.append(weights.shape))
    for fused, calls in ((True, []), (False, [(1, 2, 3, 3)])):
        attention.fused_attn = fused
        attention(torch.randn(1, 3, 8))
        assert seen == calls


# ------------------------------------------------------------------------------------------ the patients


def test_one_patient_is_well_and_every_other_draws_something_else(model_and_images):
    model, images = model_and_images
    wanted = attention_rollout(attention_maps(model, images))[:, 0, 1:]
    for letter, fault in FAULTS.items():
        drawn = patient(letter)(model, images)
        assert drawn.shape == wanted.shape  # with four heads and four pictures no shape betrays anybody
        assert torch.allclose(drawn, wanted) == (fault == "well"), letter
        assert bool(drawn.any()) == (fault != "hook")


def test_patients_leave_the_model_as_it_was(model_and_images):
    model, images = model_and_images
    for letter in FAULTS:
        patient(letter)(model, images)
    assert all(block.attn.fused_attn for block in model.blocks)
    assert not any(part._forward_hooks for part in model.modules())


def test_whoever_mixes_pictures_draws_something_else_for_one_alone(model_and_images):
    model, images = model_and_images
    for letter, fault in FAULTS.items():
        together, alone = (patient(letter)(model, some)[0] for some in (images, images[:1]))
        assert torch.allclose(together, alone) == (fault != "pictures"), letter


class Planted(TimmAttention):
    looks_at = 0

    def weights(self, q, k):
        weights = torch.zeros(*q.shape[:3], k.shape[2])
        weights[..., self.looks_at] = 1
        return weights


# By hand. Half of each layer is the token itself, so of the class token's four quarters one is its own, block 1 and
# block 2 together bring the first patch's, and so does block 1 alone; block 2 alone brings the second patch's.
PLANTED = {
    "well": (0.5, 0.25),
    "pictures": (0.5, 0.25),
    "order": (0.25, 0.5),
    "residual": (1, 0),
    "column": (0, 0),
    "hook": (0, 0),
}


@pytest.mark.parametrize("letter", FAULTS)
def test_planted_attention_is_found_as_by_hand(letter):
    model = ViT(ViTConfig(28, 4, 1, 10, 8, 2, 4), attention=Planted).eval()
    first, second = 10, 30
    for block, place in zip(model.blocks, (first, second), strict=True):
        block.attn.looks_at = 1 + place
    drawn = patient(letter)(model, torch.zeros(4, 1, 28, 28))
    assert drawn[0, [first, second]].tolist() == list(PLANTED[FAULTS[letter]])


def test_another_letter_is_refused():
    with pytest.raises(KeyError):
        patient("G")


# ------------------------------------------------------------------------------------------ solutions and the course


def test_the_lens_is_the_courses():
    model, images = small_vit(0)
    read = [lens.solution(tokens, model.norm, model.head) for tokens in token_stages(model, images)]
    torch.testing.assert_close(torch.stack(read), logit_lens(model, images))


@pytest.mark.parametrize("case", range(len(exchange.inputs)))
def test_the_exchange_is_the_courses(case):
    model, images, others, block, tokens = exchange.inputs[case]
    wanted = patch_tokens(model, images, block, tokens, others)
    torch.testing.assert_close(exchange.solution(model, images, others, block, tokens), wanted)


# ------------------------------------------------------------------------------------------ what the checks ask


def test_distances_come_with_near_heads_and_without_with_a_tie_and_a_far_one():
    numbers = []
    for trained, untrained in near_heads.inputs:
        numbers.append(int((trained < untrained.min()).sum()))
        assert (trained == untrained.min()).any()
        assert (trained > untrained.max()).any()
    assert numbers == [2, 0, 3, 4]


@pytest.mark.parametrize("seed", range(20))
def test_a_fair_control_is_never_accused_by_chance(seed):
    def control(ranking, number):
        generator = torch.Generator().manual_seed(10_000 * seed + number)
        return ranking.gather(1, torch.rand(ranking.shape, generator=generator).argsort(dim=1))

    assert shuffled_control(control).passed


# ------------------------------------------------------------------------------------------ steps and survivors


def exchanged(model, images, others, k, tokens, after=lambda x, model: x, read=lambda x: x[:, 0], times=1):
    x, y = (model.blocks[:k](model.position(model.class_token(model.patch_embed(each)))) for each in (images, others))
    x = x.clone()
    x[:, tokens] = y[:, tokens]
    x = after(model.blocks[k:](x), model)
    for _ in range(times):
        x = model.norm(x)
    return model.head(read(x))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda *given: exchanged(*given, times=2), "the last norm comes twice."),
        (
            lambda *given: exchanged(*given, after=lambda x, model: model.blocks[given[3] :](x)),
            "model.blocks[k:] comes",
        ),
        (lambda model, images, _, *rest: exchanged(model, images, images, *rest), "nothing of `others` came in"),
    ],
)
def test_a_step_of_the_exchange_is_named(answer, said):
    verdict = exchange(answer)
    assert not verdict.passed
    assert said in verdict.diagnosis


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (lambda A, eye: (A.mean(1) + eye) / 4, "the half comes twice."),
        (lambda A, eye: A.mean(1) / 2, "the identity that is added is missing"),
        (lambda A, eye: (A + eye) / 2, "the mean over the heads is missing"),
    ],
)
def test_a_step_of_rollout_is_named(layer, said):
    def answer(maps):
        eye = torch.eye(maps[0].shape[-1]).repeat(len(maps[0]), 1, 1)
        so_far = eye
        for A in maps:
            so_far = layer(A, eye) @ so_far
        return so_far

    verdict = rollout(answer)
    assert not verdict.passed
    assert said in verdict.diagnosis, verdict.diagnosis
