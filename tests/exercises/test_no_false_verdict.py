"""No right answer is rejected, no wrong one passes, no sentence is false; whatever surrounds the check."""

import contextlib
import math
import random

import numpy as np
import pytest
import torch
from learners import SETTINGS, default
from torch import nn
from torch.nn import functional as F

from vit_tutorial.encoder import MLP, EncoderBlock
from vit_tutorial.exercises import check
from vit_tutorial.exercises.progress import my_progress
from vit_tutorial.exercises.store import FORMAT
from vit_tutorial.exercises.surroundings import ROUNDING
from vit_tutorial.vit import ViT, ViTConfig

# ------------------------------------------------------------------------------------------ wrong, and once accepted


def rate_without_peak(step, steps, warmup, peak):
    if step < warmup:
        return (step + 1) / warmup
    return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def rate_without_peak_while_warming_up(step, steps, warmup, peak):
    rate = rate_without_peak(step, steps, warmup, peak)
    return rate if step < warmup else peak * rate


class TableNobodyTrains(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = torch.zeros(num_tokens, dim, requires_grad=True)

    def forward(self, tokens):
        return tokens + self.table


class RowForEachImage(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(64, num_tokens, dim))

    def forward(self, tokens):
        return tokens + self.table[: len(tokens)]


class OneRowInReserve(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(num_tokens + 1, dim))

    def forward(self, tokens):
        return tokens + self.table[: tokens.shape[1]]


def compared(agree):
    return lambda layer, tokens, order: bool(agree(layer(tokens[:, order]) - layer(tokens)[:, order]))


def calls_the_class(model, images):
    return ViT.forward(model, images)


def calls_a_copy(model, images):
    copy = ViT(model.config)
    copy.load_state_dict(model.state_dict())
    return copy.eval()(images)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("learning_rate", rate_without_peak),
        ("learning_rate", rate_without_peak_while_warming_up),
        ("position_embedding", TableNobodyTrains),
        ("position_embedding", RowForEachImage),
        ("position_embedding", OneRowInReserve),
        ("is_equivariant", compared(lambda difference: difference.abs().max() < 1)),
        ("is_equivariant", compared(lambda difference: difference.max() < 1e-5)),
        ("is_equivariant", compared(lambda difference: (-difference).max() < 1e-5)),
        ("is_equivariant", compared(lambda difference: difference.abs().mean() < 1e-5)),
        ("is_equivariant", compared(lambda difference: difference[0].abs().max() < 1e-5)),
        ("vit_forward", calls_the_class),
        ("vit_forward", calls_a_copy),
        ("cutmix_share", lambda box, size: share(box, (size[0], size[0]), size)),
        ("cutmix_share", lambda box, size: share(box, (size[1], size[1]), size)),
    ],
)
def test_a_wrong_answer_that_once_passed_does_not(name, answer):
    assert not getattr(check, name)(answer).passed


def share(box, edges, size):
    top, left, bottom, right = box
    tall, wide = min(bottom, edges[0]) - max(top, 0), min(right, edges[1]) - max(left, 0)
    return 1 - tall * wide / (size[0] * size[1])


# ------------------------------------------------------------------------------------------ right, and once rejected


class MLPInLoops(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.up, self.down = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def forward(self, x):
        out = torch.zeros(x.shape)
        for b in range(x.shape[0]):
            for n in range(x.shape[1]):
                out[b, n] = self.down(F.gelu(self.up(x[b, n])))
        return out


class AttentionInLoops(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(dim, dim) for _ in range(3))

    def forward(self, x):
        q, k, v = self.query(x), self.key(x), self.value(x)
        weights = torch.zeros(len(x), x.shape[1], x.shape[1])
        for b in range(len(x)):
            weights[b] = (q[b] @ k[b].T / torch.sqrt(torch.tensor(float(x.shape[-1])))).softmax(-1)
        return torch.bmm(weights, v)


class HeadsInLoops(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.num_heads, self.d = num_heads, dim // num_heads
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        out = torch.zeros(x.shape)
        for i in range(self.num_heads):
            own = slice(i * self.d, (i + 1) * self.d)
            scores = torch.matmul(q[..., own], k[..., own].mT) * torch.tensor(self.d**-0.5)
            out[..., own] = torch.matmul(scores.softmax(-1), v[..., own])
        return self.proj(out)


class BlockInLoops(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.attn, self.mlp = HeadsInLoops(dim, num_heads), MLP(dim, 4 * dim)

    def forward(self, x):
        out = torch.zeros(x.shape)
        for b in range(len(x)):
            y = x[b : b + 1] + self.attn(self.norm1(x[b : b + 1]))
            out[b] = (y + self.mlp(self.norm2(y)))[0]
        return out


def norm_in_loops(z, gamma, beta, eps):
    out = torch.zeros(z.shape)
    for b in range(z.shape[0]):
        for n in range(z.shape[1]):
            centred = z[b, n] - z[b, n].mean()
            out[b, n] = gamma * centred / torch.sqrt((centred @ centred) / len(centred) + eps) + beta
    return out


class RowByRow(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.rows = nn.ParameterList(nn.Parameter(torch.randn(1, dim)) for _ in range(num_tokens))

    def forward(self, tokens):
        out = torch.zeros_like(tokens)
        for n, row in enumerate(self.rows):
            out[:, n] = tokens[:, n] + row
        return out


class ModelInLoops(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        from vit_tutorial.patches import PatchEmbedding

        super().__init__()
        self.patch_embed = PatchEmbedding(image_size, patch_size, in_channels, dim)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.pos_embed = nn.Parameter(torch.zeros(1, (image_size // patch_size) ** 2 + 1, dim))
        self.blocks = nn.ModuleList(EncoderBlock(dim, num_heads) for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(dim, eps=1e-6), nn.Linear(dim, num_classes)

    def forward(self, images):
        logits = torch.zeros(len(images), self.head.out_features)
        for b in range(len(images)):
            x = torch.cat([self.cls_token, self.patch_embed(images[b : b + 1])], dim=1) + self.pos_embed
            for block in self.blocks:
                x = block(x)
            logits[b] = self.head(self.norm(x[:, 0]))[0]
        return logits


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("mlp", MLPInLoops),
        ("self_attention", AttentionInLoops),
        ("multi_head_attention", HeadsInLoops),
        ("encoder_block", BlockInLoops),
        ("layer_norm", norm_in_loops),
        ("position_embedding", RowByRow),
        ("vit_from_parts", ModelInLoops),
    ],
)
def test_a_right_answer_that_was_once_rejected_passes(name, answer):
    verdict = getattr(check, name)(answer)
    assert verdict.passed, verdict


# ------------------------------------------------------------------------------------------ a sentence that is false


def one_reshape_and_channels_first(patches, P, height, width):
    return patches.reshape(len(patches), height, width, -1).permute(0, 3, 1, 2)


class TokenInAList(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.tokens = [nn.Parameter(torch.zeros(1, 1, dim))]

    def forward(self, tokens):
        return torch.cat([self.tokens[0].expand(len(tokens), -1, -1), tokens], dim=1)


class KeyIsQuery(AttentionInLoops):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.key = self.query


class LearnedScale(AttentionInLoops):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.scale = nn.Parameter(torch.ones(1))


class LayersAnew(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return nn.Linear(self.dim, self.dim)(x)


class CallsAList(ModelInLoops):
    def forward(self, images):
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), self.patch_embed(images)], dim=1) + self.pos_embed
        return self.head(self.norm(self.blocks(x)[:, 0]))


class AsksForWeights(EncoderBlock):
    def forward(self, x):
        heads, _ = self.attn(self.norm1(x), return_weights=True)
        x = x + heads
        return x + self.mlp(x).sin()


class CallsByKeyword(EncoderBlock):
    def forward(self, x):
        x = x + self.attn(x=self.norm1(x))
        return x + self.mlp(self.norm2(x)).sin()


class CallsForward(EncoderBlock):
    def forward(self, x):
        x = x + self.attn.forward(self.norm1(x))
        return x + self.mlp(self.norm2(x)).sin()


def image_by_image(model, images):
    logits = []
    for image in images:
        x = model.blocks(model.position(model.class_token(model.patch_embed(image[None]))))
        logits.append(model.head(model.norm(x)[:, 0].sin()))
    return torch.cat(logits)


def two_things_missing(dim, depth, patch_size, image_size, num_classes):
    tokens = (image_size // patch_size) ** 2 + 1
    blocks, behind = depth * (12 * dim * dim + 13 * dim), 2 * dim + num_classes * dim + num_classes
    return 3 * patch_size**2 * dim + tokens * dim, blocks, behind  # without biases and class token


def float_mask(lengths, size):
    return torch.ones(size, size).tril() & (torch.arange(size) < lengths[:, None])[:, None, :]


@pytest.mark.parametrize(
    ("name", "answer", "true", "false"),
    [
        ("unpatchify", one_reshape_and_channels_first, "the pixels of each patch still follow each other", "glued"),
        ("class_token", TokenInAList, "`self.tokens` is a Python list", "made in forward"),
        ("self_attention", KeyIsQuery, "`query` and `key` are one and the same layer", "other names"),
        ("self_attention", LearnedScale, "there is a parameter besides the three layers: `scale`", "output projection"),
        ("self_attention", LayersAnew, "your class holds nothing to learn after __init__", "other names"),
        ("multi_head_attention", LayersAnew, "your class holds nothing to learn after __init__", "other names"),
        ("vit_from_parts", CallsAList, "a ModuleList is a list of layers", "not written yet"),
        ("encoder_block", AsksForWeights, "`norm2` is never called.", "`attn`"),
        ("encoder_block", CallsByKeyword, "", "never called"),
        ("encoder_block", CallsForward, "", "never called"),
        ("vit_forward", image_by_image, "", "is called twice"),
        ("vit_parameters", two_things_missing, "your first number lacks 2·D, two of these", "its position"),
        ("timm_names", lambda weights: list(weights.items()), "you returned pairs", "alone"),
        ("attention_mask", float_mask, "&, | and ~ work on True and False", "not written yet"),
    ],
)
def test_a_sentence_that_was_once_false_is_true(name, answer, true, false):
    verdict = getattr(check, name)(answer)
    assert not verdict.passed
    assert verdict.diagnosis.startswith(true), verdict
    assert false not in verdict.message


# ------------------------------------------------------------------------------------------ hostile surroundings


def other_seeds():
    torch.manual_seed(99), random.seed(99), np.random.seed(99)  # noqa: NPY002
    return contextlib.nullcontext()


@contextlib.contextmanager
def rounded_products():
    """Set as PyTorch's notes on TF32 advise: afterwards torch.get_float32_matmul_precision fails."""
    torch.backends.cuda.matmul.fp32_precision, torch.backends.mkldnn.matmul.fp32_precision = "tf32", "bf16"
    try:
        with pytest.raises(RuntimeError):
            torch.get_float32_matmul_precision()
        yield
    finally:
        torch.backends.cuda.matmul.fp32_precision = torch.backends.mkldnn.matmul.fp32_precision = "none"


@contextlib.contextmanager
def rounded_everywhere():
    torch.backends.cuda.matmul.fp32_precision = "none"  # it follows
    torch.backends.fp32_precision = "tf32"
    try:
        yield
    finally:
        torch.backends.fp32_precision = "none"
    assert torch.backends.cuda.matmul.fp32_precision == "none", "it no longer follows"


SURROUNDINGS = SETTINGS | {"seeds": other_seeds, "another folder": lambda: contextlib.chdir("/")}
SURROUNDINGS |= {
    "products, as of old": lambda: default(torch.set_float32_matmul_precision, "medium", "highest"),
    "products": rounded_products,
    "everything": rounded_everywhere,
}
TRIED = [
    ("layer_norm", norm_in_loops),
    ("class_token", TokenInAList),
    ("position_embedding", RowByRow),
    ("position_embedding", TableNobodyTrains),
    ("multi_head_attention", HeadsInLoops),
    ("vit_from_parts", ModelInLoops),
    ("patchify", lambda images, P: images),
    ("sincos_1d", lambda num_positions, dim: torch.zeros(num_positions, dim)),
    ("attention", lambda q, k, v, mask=None: torch.softmax(q @ k.mT, -1) @ v + torch.randn(()) * 0),
]
PLAIN = [getattr(check, name)(answer) for name, answer in TRIED]


@pytest.mark.parametrize("surroundings", SURROUNDINGS.values(), ids=SURROUNDINGS)
def test_hostile_surroundings_change_no_verdict(surroundings):
    def found():
        precisions = [backend.fp32_precision for backend in ROUNDING]
        kind = torch.empty(0)
        return kind.device, kind.dtype, torch.is_grad_enabled(), torch.get_rng_state()[:9], precisions

    with surroundings():
        before = found()
        verdicts = [getattr(check, name)(answer) for name, answer in TRIED]
        assert str(found()) == str(before)
    assert [verdict.message for verdict in verdicts] == [verdict.message for verdict in PLAIN]


# ------------------------------------------------------------------------------------------ a progress file of any kind


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b"9" * 10_000,
        b'{"format": "' + FORMAT.encode() + b'", "passed": {"\\ud800": "\\udfff"}}',
        b'{"format": "' + FORMAT.encode() + b'", "passed": {"a": [1, {}], "b": null}}',
        b'{"format": "' + FORMAT.encode() + b'", "passed": []}',
        b'{"format": ["' + FORMAT.encode() + b'"], "passed": {}}',
        b"NaN",
        b"\x00" * 1000,
        "é".encode("utf-16"),
        b'"passed"',
    ],
)
def test_no_progress_file_stops_a_lesson(path, content):
    path.write_bytes(content)
    assert "all lessons" in repr(my_progress())
    verdict = check.count_tokens(lambda image_size, patch_size: (image_size // patch_size) ** 2)
    assert verdict.passed
    assert str(verdict).count("\n") <= 1
    assert "all lessons" in my_progress()._repr_html_()


# ------------------------------------------------------------------------------------------ found by mutants


class UsualEps(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attn, self.mlp = EncoderBlock(dim, num_heads).attn, MLP(dim, 4 * dim)
        self.rate = 0.2

    def forward(self, x):
        x = x + F.dropout(self.attn(self.norm1(x)), self.rate, self.training)
        return x + F.dropout(self.mlp(self.norm2(x)), self.rate, self.training)


class LowRate(UsualEps):
    def __init__(self, dim, num_heads):
        super().__init__(dim, num_heads)
        self.norm1.eps = self.norm2.eps = 1e-6
        self.rate = 0.1


class NoEps(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, num_classes, dim, depth, num_heads):
        super().__init__()
        part = ViT(ViTConfig(image_size, patch_size, in_channels, num_classes, dim, depth, num_heads))
        self.patch_embed, self.class_token, self.position = part.patch_embed, part.class_token, part.position
        self.blocks, self.norm, self.head = part.blocks, nn.LayerNorm(dim, eps=0), part.head

    def forward(self, images):
        x = self.blocks(self.position(self.class_token(self.patch_embed(images))))
        return self.head(self.norm(x)[:, 0])


def test_the_usual_eps_and_another_rate_are_seen_in_a_block_that_is_mended():
    assert "usual ε" in check.mended_block(UsualEps).diagnosis
    said = check.mended_block(LowRate).diagnosis
    assert said == "while training, another share than 0.2 of the numbers is dropped: 10% of those of attention."


def test_a_last_norm_without_eps_is_wrong():
    assert not check.vit_from_parts(NoEps).passed


def test_an_input_that_changes_little_is_not_said_to_change_nothing():
    def eps_outside_and_beta_subtracted(z, gamma, beta, eps):
        variance = z.var(dim=-1, keepdim=True, correction=0)
        return gamma * (z - z.mean(dim=-1, keepdim=True)) / (variance.sqrt() + eps) - beta

    verdict = check.layer_norm(eps_outside_and_beta_subtracted)
    assert not verdict.passed
    assert "changes nothing" not in verdict.diagnosis


def test_a_factor_is_told_of_the_peak_that_is_left_out_after_warm_up():
    def no_peak(step, steps, warmup, peak):
        if step < warmup:
            return peak * (step + 1) / warmup
        return (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2

    assert "too large by the factor 1/peak" in check.learning_rate(no_peak).diagnosis


def test_a_condition_that_holds_by_chance_on_few_inputs_is_not_said():
    def bare_number(step, steps, warmup, peak):
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak * (1 + torch.cos(math.pi * (step - warmup) / (steps - warmup))) / 2

    def halves(step, steps, warmup, peak):
        if step < warmup:
            return peak * (step + 1) / warmup
        return peak + math.cos(math.pi * (step - warmup) / (steps - warmup)) / 2

    assert check.learning_rate(bare_number).diagnosis.startswith("where step is no smaller than warmup: `cos`")
    assert "peak/2" not in check.learning_rate(halves).diagnosis

    def as_many_as_steps_fit(images, P, stride):
        B, C, H, W = images.shape
        ordered = images.unfold(2, P, stride).unfold(3, P, stride).permute(0, 2, 3, 4, 5, 1)
        return ordered.reshape(B, (H // stride) * (W // stride), P * P * C)

    assert "larger than C" not in check.overlapping_patches(as_many_as_steps_fit).diagnosis


def test_a_number_that_counts_for_small_values_alone_is_not_said_to_change_nothing():
    def brackets_forgotten(kept, new, decay, step):
        d = min(decay, (1 + step) / 10 + step)
        return d * kept + (1 - d) * new

    verdict = check.moving_average(brackets_forgotten)
    assert not verdict.passed
    assert "changes nothing" not in verdict.diagnosis
