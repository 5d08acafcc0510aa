"""Looking inside: the maps are what the blocks really computed, and the model is left as it was."""

import copy
import math
import operator
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import shapes
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from references import assert_same, exactly, linear_by_loops, matmul_by_loops, multi_head_attention_by_loops, randomize
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vit_tutorial import (
    EncoderBlock,
    MultiHeadAttention,
    ViT,
    ViTConfig,
    attention_distance,
    attention_maps,
    attention_rollout,
    attention_scores,
    count_parameters,
    shape_ledger,
)
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.introspection import (
    answer_attention,
    covered,
    deletion_curve,
    flops_per_image,
    gradient_times_input,
    logit_lens,
    occlusion,
    patch_heads,
    patch_norms,
    patch_tokens,
)

SMALL = {"image_size": 12, "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 3, "num_heads": 4}


def small_model(attention=MultiHeadAttention, **options):
    return randomize(ViT(ViTConfig(**(SMALL | options)), attention=attention).double())


def small_images(batch=2, size=(12, 12)):
    return torch.randn(batch, 3, *size, dtype=torch.float64)


def random_maps(layers, batch, heads, tokens):
    return [torch.randn(batch, heads, tokens, tokens, dtype=torch.float64).softmax(-1) for _ in range(layers)]


# ---------------------------------------------------------------------------------------------- attention maps


@pytest.mark.parametrize(("pool", "tokens"), [("cls", 10), ("mean", 9)])
def test_there_is_one_map_per_block_and_its_rows_sum_to_one(pool, tokens):
    maps = attention_maps(small_model(pool=pool), small_images())
    assert [tuple(weights.shape) for weights in maps] == [(2, 4, tokens, tokens)] * 3
    for weights in maps:
        assert weights.min() > 0
        assert not weights.requires_grad
        assert_same(weights.sum(dim=-1), torch.ones(2, 4, tokens, dtype=torch.float64))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_maps_equal_the_loops(norm):
    model, images = small_model(norm=norm).eval(), small_images(1)
    stages = model.forward_intermediates(images)
    inputs = [stages["position"], stages["blocks.0"], stages["blocks.1"]]
    for block, x, weights in zip(model.blocks, inputs, attention_maps(model, images), strict=True):
        seen = block.norm1(x) if norm == "pre" else x
        _, expected = multi_head_attention_by_loops(block.attn, seen[0].tolist())
        assert_same(weights[0], torch.tensor(expected, dtype=torch.float64))


def test_the_model_computes_the_same_afterwards():
    model, images = small_model().eval(), small_images()
    before = model(images)
    attention_maps(model, images)
    assert torch.equal(model(images), before)


def test_the_maps_are_those_of_eval_mode():
    model, images = small_model(dropout=0.5, drop_path=0.5).train(), small_images()
    first, second = attention_maps(model, images), attention_maps(model, images)
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("images", [torch.zeros(2, 3, 12, 12, dtype=torch.float64), torch.zeros(2, 3, 9, 9)])
def test_hooks_are_removed_and_modes_restored_also_after_an_error(training, images):
    model = small_model().train(training)
    model.blocks[1].train(not training)  # as one who trains only some blocks would have it
    modes = {name: module.training for name, module in model.named_modules()}
    if images.shape[-1] == 12:
        attention_maps(model, images)
    else:
        with pytest.raises(ValueError, match="images are 9x9"):
            attention_maps(model, images)
    assert {name: module.training for name, module in model.named_modules()} == modes
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_maps_of_attention_derived_by_the_learner():
    class Explicit(MultiHeadAttention):
        def __init__(self, dim, num_heads, qkv_bias=True):
            super().__init__(dim, num_heads, qkv_bias, fused=False)

    images = small_images()
    maps = attention_maps(small_model(Explicit), images)
    for ours, theirs in zip(maps, attention_maps(small_model(), images), strict=True):
        assert_same(ours, theirs)


def test_a_hook_of_the_learners_own_gets_what_it_always_gets():
    model, images = small_model().eval(), small_images()
    model.blocks[1].attn.register_forward_hook(lambda attention, args, output: 2 * output)
    tokens = model.blocks[2].norm1(model.forward_intermediates(images)["blocks.1"])
    _, expected = model.blocks[2].attn(tokens, return_weights=True)
    assert_same(attention_maps(model, images)[2], expected)


def test_a_block_that_asks_for_the_weights_itself_gets_them():
    class Keeping(EncoderBlock):
        def forward(self, x):
            out, self.weights = self.attn(self.norm1(x), return_weights=True)
            return x + out

    model, images = ViT(ViTConfig(**SMALL), block=Keeping), small_images().float()
    maps = attention_maps(model, images)
    assert [weights is block.weights for weights, block in zip(maps, model.blocks, strict=True)] == [True] * 3


def test_attention_that_cannot_show_its_weights_is_refused():
    class Foreign(nn.Module):
        def __init__(self, dim, num_heads, qkv_bias=True):
            super().__init__()

        def forward(self, x):
            return x

    model = small_model(Foreign)
    message = "block 0 has no MultiHeadAttention as `attn`, so there are no weights to read; derive your attention from"
    with pytest.raises(TypeError, match=exactly(message)):
        attention_maps(model, small_images())
    model = small_model()
    del model.blocks[2].attn
    with pytest.raises(TypeError, match=exactly("block 2 has no MultiHeadAttention")):
        attention_maps(model, small_images())


# ---------------------------------------------------------------------------------------------- attention scores


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_the_scores_equal_the_loops(norm):
    model, images = small_model(norm=norm).eval(), small_images(1)
    stages = model.forward_intermediates(images)
    inputs = [stages["position"], stages["blocks.0"], stages["blocks.1"]]
    scores = attention_scores(model, images)
    assert [tuple(layer.shape) for layer in scores] == [(1, 4, 10, 10)] * 3
    for block, x, found in zip(model.blocks, inputs, scores, strict=True):
        seen = block.norm1(x) if norm == "pre" else x
        rows = linear_by_loops(seen[0].tolist(), block.attn.qkv.weight, block.attn.qkv.bias)
        for head in range(4):
            queries = [row[4 * head : 4 * head + 4] for row in rows]  # 16 queries, then 16 keys, then 16 values
            keys = [row[16 + 4 * head : 16 + 4 * head + 4] for row in rows]
            expected = [
                [math.fsum(a * b for a, b in zip(query, key, strict=True)) / math.sqrt(4) for key in keys]
                for query in queries
            ]
            assert_same(found[0, head], torch.tensor(expected, dtype=torch.float64))


def test_softmax_of_the_scores_is_the_maps():
    model, images = small_model(dropout=0.5, pool="mean").train(), small_images()
    for scores, weights in zip(attention_scores(model, images), attention_maps(model, images), strict=True):
        assert not scores.requires_grad
        assert_same(scores.softmax(dim=-1), weights)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("side", [12, 9])
def test_reading_scores_leaves_the_model_as_it_was(training, side):
    model = small_model().train(training)
    model.blocks[1].train(not training)
    modes = {name: module.training for name, module in model.named_modules()}
    images = torch.zeros(2, 3, side, side, dtype=torch.float64)
    if side == 12:
        attention_scores(model, images)
    else:
        with pytest.raises(ValueError, match="images are 9x9"):
            attention_scores(model, images)
    assert {name: module.training for name, module in model.named_modules()} == modes
    for module in model.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks


def test_scores_of_attention_that_is_not_ours_are_refused():
    model = small_model()
    model.blocks[1].attn = nn.Identity()
    with pytest.raises(TypeError, match=exactly("block 1 has no MultiHeadAttention as `attn`")):
        attention_scores(model, small_images())


class Sharper(MultiHeadAttention):
    """Divides its scores by a temperature of 1/8, by way of its queries."""

    def forward(self, x, return_weights=False):
        other = copy.deepcopy(self)
        other.qkv.weight.data[: x.shape[-1]] *= 8
        return MultiHeadAttention.forward(other, x, return_weights)


class Halved(MultiHeadAttention):
    """Changes what it gives, and not where it looks."""

    def forward(self, x, return_weights=False):
        out, weights = super().forward(x, return_weights=True)
        return (out / 2, weights) if return_weights else out / 2


def test_scores_of_a_forward_that_has_others_are_refused():
    model, images = small_model(), small_images()
    model.blocks[1].attn.__class__ = Sharper
    apart = (attention_maps(model, images)[1] - attention_maps(small_model(), images)[1]).abs().max()
    message = f"block 1 has weights that are up to {apart:.2g} away from softmax(q k^T / sqrt(d)), so these are not its"
    with pytest.raises(TypeError, match=exactly(message)):
        attention_scores(model, images)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_scores_of_a_forward_that_returns_no_weights_are_refused():
    class Silent(MultiHeadAttention):
        def forward(self, x):
            return super().forward(x)

    with pytest.raises(TypeError, match="block 0 has a forward of its own without return_weights, so nobody can tell"):
        attention_scores(small_model(attention=Silent), small_images())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_scores_of_a_forward_that_keeps_them_are_given(dtype):
    model, images = small_model(attention=Halved).to(dtype), small_images().to(dtype)
    for scores, weights in zip(attention_scores(model, images), attention_maps(model, images), strict=True):
        assert torch.equal(scores.softmax(dim=-1), weights)


# ---------------------------------------------------------------------------------------------- rollout


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 3), st.integers(1, 4))
@settings(max_examples=20)
def test_rollout_equals_the_loops(layers, batch, heads, tokens):
    maps = random_maps(layers, batch, heads, tokens)
    rollout = attention_rollout(maps)
    for b in range(batch):
        expected = [[float(i == j) for j in range(tokens)] for i in range(tokens)]
        for weights in maps:
            layer = [
                [
                    0.5 * (i == j) + 0.5 * sum(weights[b, h, i, j].item() for h in range(heads)) / heads
                    for j in range(tokens)
                ]
                for i in range(tokens)
            ]
            expected = matmul_by_loops(layer, expected)
        assert_same(rollout[b], torch.tensor(expected, dtype=torch.float64))


def test_rollout_of_a_model_shares_out_one():
    rollout = attention_rollout(attention_maps(small_model(), small_images()))
    assert rollout.shape == (2, 10, 10)
    assert_same(rollout.sum(dim=-1), torch.ones(2, 10, dtype=torch.float64))


def test_later_layers_come_first_in_the_product():
    """Layer 1: token 0 looks at token 1. Layer 2: token 2 looks at token 0. So token 2 has seen token 1."""
    first, second = torch.eye(3), torch.eye(3)
    first[0], second[2] = torch.tensor([0.0, 1, 0]), torch.tensor([1.0, 0, 0])
    rollout = attention_rollout([first[None, None], second[None, None]])[0]
    assert rollout[2].tolist() == [0.25, 0.25, 0.5]
    assert attention_rollout([second[None, None], first[None, None]])[0][2].tolist() == [0.5, 0, 0.5]


def test_rollout_of_nothing_is_refused():
    message = "there are 0 attention maps; pass the list that attention_maps(model, images) gives"
    with pytest.raises(ValueError, match=exactly(message)):
        attention_rollout([])


# ---------------------------------------------------------------------------------------------- distance


def test_distance_on_a_grid_of_four_patches():
    """Patches of 10 pixels: the neighbours are 10 and 10 pixels away, the diagonal one 14.1."""
    everywhere = torch.full((1, 1, 4, 4), 0.25)
    itself = torch.eye(4)[None, None]
    across = torch.eye(4).flip(0)[None, None]
    beside = torch.eye(4)[[1, 0, 3, 2]][None, None]
    maps = [torch.cat([everywhere, itself], dim=1), torch.cat([across, beside], dim=1)]
    distances = attention_distance(maps, patch_size=10, grid_size=(2, 2), num_prefix_tokens=0)
    diagonal = 10 * math.sqrt(2)
    assert distances[0].tolist() == pytest.approx([(0 + 10 + 10 + diagonal) / 4, 0])
    assert distances[1].tolist() == pytest.approx([diagonal, 10])


def test_distance_is_the_mean_over_images_and_patches():
    itself, beside = torch.eye(4), torch.eye(4)[[1, 0, 2, 3]]
    maps = [torch.stack([itself, beside])[:, None]]
    assert attention_distance(maps, 10, 2, num_prefix_tokens=0).item() == pytest.approx((0 + (10 + 10 + 0 + 0) / 4) / 2)


def test_distance_on_a_grid_that_is_not_square():
    """In one row of three, the first patch looks at the last, two patches away; in a column the same."""
    weights = torch.eye(3)[[2, 1, 2]][None, None]
    for grid in ((1, 3), (3, 1)):
        assert attention_distance([weights], 6, grid, num_prefix_tokens=0).item() == pytest.approx(12 / 3)
    two_rows = torch.zeros(6, 6)
    two_rows[:, 5] = 1  # every patch looks at row 1, column 2
    steps = [math.sqrt(4 + 1), math.sqrt(1 + 1), 1, 2, 1, 0]
    distance = attention_distance([two_rows[None, None]], 6, (2, 3), num_prefix_tokens=0)
    assert distance.item() == pytest.approx(6 * sum(steps) / 6)


def test_attention_to_and_from_the_class_token_does_not_count():
    """Half of what each patch gives goes to the class token; the rest, made to sum to 1, goes one patch aside."""
    weights = torch.zeros(5, 5)
    weights[0, 4] = 1
    weights[1:, 0] = 0.5
    weights[1:, 1:] = 0.5 * torch.eye(4)[[1, 0, 3, 2]]
    assert attention_distance([weights[None, None]], 10, 2).item() == pytest.approx(10)


def test_distance_of_attention_to_the_class_token_alone_is_a_number():
    weights = torch.zeros(5, 5)
    weights[:, 0] = 1
    assert attention_distance([weights[None, None]], 10, 2).tolist() == [[0]]


def test_distance_of_a_model():
    model = small_model()
    distances = attention_distance(attention_maps(model, small_images()), patch_size=4)
    assert distances.shape == (3, 4)
    assert distances.min() > 0
    assert distances.max() < 4 * math.hypot(2, 2)


@pytest.mark.parametrize(
    ("tokens", "options", "message"),
    [
        (9, {"grid_size": 2}, "9 tokens less 1 prefix tokens do not fill a 2x2 grid; pass grid_size=(rows, columns)"),
        (10, {"grid_size": (2, 4)}, "10 tokens less 1 prefix tokens do not fill a 2x4 grid"),
        (10, {"grid_size": 3, "num_prefix_tokens": 0}, "10 tokens less 0 prefix tokens do not fill a 3x3 grid"),
        (10, {"grid_size": (3, 0)}, "a side of the size is 0; it must be 1 or more"),
        (10, {"num_prefix_tokens": 1.0}, "num_prefix_tokens is 1.0; it must be one whole number"),
    ],
)
def test_tokens_that_do_not_fill_the_grid_are_refused(tokens, options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        attention_distance(random_maps(1, 1, 1, tokens), 4, **options)


def test_a_grid_that_nobody_knows_must_be_named():
    """Patches of 2x8 are as many as of 4x4, so their number tells nothing; the maps of a model know."""
    maps = attention_maps(small_model(image_size=(8, 32)), small_images(size=(8, 32)))
    expected = attention_distance([*maps], 4, (2, 8))
    assert torch.equal(attention_distance(maps, 4), expected)
    assert torch.equal(attention_distance(maps[1:], 4), expected[1:])
    message = "a list of maps does not say how its 16 patches lie; pass grid_size=(rows, columns), such as model.grid"
    with pytest.raises(ValueError, match=exactly(message)):
        attention_distance([*maps], 4)
    assert attention_distance([torch.ones(1, 1, 2, 2)], 4).item() == 0  # one patch lies in one way only
    assert isinstance(maps[0], torch.Tensor)


@pytest.mark.parametrize("take", [attention_rollout, lambda maps: attention_distance(maps, 4, 3)])
def test_maps_are_a_list_with_one_for_each_layer(take):
    (one,) = random_maps(1, 2, 3, 10)
    for maps, error, message in (
        (one, ValueError, "a map has shape [3, 10, 10]; pass a list with one [B, h, N, N] for each layer"),
        ([one[..., 1:]], ValueError, "a map has shape [2, 3, 10, 9]; pass a list with one [B, h, N, N] for each layer"),
        ([one.tolist()], TypeError, "a map must be a Tensor; got list"),
        ([one, one[:1]], ValueError, "the maps are of (images, tokens) [(1, 10), (2, 10)]; pass maps of one run"),
    ):
        with pytest.raises(error, match=exactly(message)):
            take(maps)


def test_what_looks_into_a_vit_refuses_another_network():
    cnn, images = CNN(CNNConfig(12, layers=(1,), width=8)), small_images()
    for look in (
        lambda: attention_maps(cnn, images),
        lambda: attention_scores(cnn, images),
        lambda: answer_attention(random_maps(1, 2, 3, 10), cnn),
        lambda: logit_lens(cnn, images),
        lambda: patch_norms(cnn, images),
        lambda: patch_tokens(cnn, images, 0, [0], "zero"),
        lambda: patch_heads(cnn, images, [(0, 0)], "zero"),
        lambda: occlusion(cnn, images),
        lambda: covered(cnn, images, torch.zeros(2, 9, dtype=torch.bool)),
        lambda: gradient_times_input(cnn, images),
        lambda: deletion_curve(cnn, images, torch.zeros(2, 9), [1]),
    ):
        with pytest.raises(TypeError, match=exactly("model must be a ViT; got CNN")):
            look()
    with pytest.raises(TypeError, match=exactly("model must be a ViT; got Tensor")):
        logit_lens(images, small_model())
    with pytest.raises(TypeError, match=exactly("model must be a Module; got CNNConfig")):
        shape_ledger(cnn.config, images)
    with pytest.raises(TypeError, match=exactly("config must be a ViTConfig; got ViT")):
        flops_per_image(small_model())
    with pytest.raises(TypeError, match=exactly("module must be a Module; got ViTConfig")):
        count_parameters(small_model().config)


def test_classes_hidden_patches_and_rankings_are_tensors():
    model, images = small_model(), small_images()
    for name, call in {
        "classes": lambda: occlusion(model, images, [0, 1]),
        "hidden": lambda: covered(model, images, [[True] * 9] * 2),
        "ranking": lambda: deletion_curve(model, images, [[0.0] * 9] * 2, [1]),
    }.items():
        with pytest.raises(TypeError, match=exactly(f"{name} must be a Tensor; got list")):
            call()


def test_distance_of_nothing_is_refused():
    message = "there are 0 attention maps; pass the list that attention_maps(model, images) gives"
    with pytest.raises(ValueError, match=exactly(message)):
        attention_distance([], 16)


# ---------------------------------------------------------------------------------------------- counting


def test_counting_by_hand():
    layer = nn.Linear(3, 4)
    assert count_parameters(layer) == 3 * 4 + 4
    layer.bias.requires_grad = False
    assert count_parameters(layer) == 3 * 4
    assert count_parameters(nn.BatchNorm1d(5)) == 10, "running means are not trained"


def test_counting_a_model_by_hand():
    d, patch = 16, 3 * 4 * 4
    block = 2 * (2 * d) + (d * 3 * d + 3 * d) + (d * d + d) + (d * 4 * d + 4 * d) + (4 * d * d + d)
    assert count_parameters(small_model()) == (patch * d + d) + d + 10 * d + 3 * block + 2 * d + (d * 5 + 5)


# ---------------------------------------------------------------------------------------------- the shape ledger


def test_the_ledger_lists_every_call_in_order():
    layers = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2, bias=False))
    assert [tuple(row) for row in shape_ledger(layers, torch.zeros(5, 3))] == [
        ("", "Sequential", (5, 3), (5, 2), 3 * 4 + 4 + 4 * 2, 1),
        ("0", "Linear", (5, 3), (5, 4), 3 * 4 + 4, 1),
        ("1", "ReLU", (5, 4), (5, 4), 0, 1),
        ("2", "Linear", (5, 4), (5, 2), 4 * 2, 1),
    ]
    alike = nn.Sequential(nn.ReLU(), nn.ReLU())
    assert [row.name for row in shape_ledger(alike, torch.zeros(5, 3))] == ["", "0", "1"]


def test_the_ledger_of_a_model_of_the_learners_own():
    class Mine(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = nn.Linear(3, 3)

        def forward(self, x, scale=1.0):
            return {"twice": self.part(self.part(x)) * scale, "words": "said", "same": x}

    rows = shape_ledger(Mine(), torch.zeros(2, 3))
    assert [row.name for row in rows] == ["", "part", "part"]
    assert rows[0].output_shape == [(2, 3), (2, 3)]
    assert rows[0].kind == "Mine"
    assert str(rows[0]).split() == ["Mine", "[2,", "3]", "->", "[2,", "3],", "[2,", "3]", "12"]

    class Silent(nn.Module):
        def forward(self, text):
            return len(text)

    (row,) = shape_ledger(Silent(), "four")
    assert (row.input_shape, row.output_shape) == (None, None)
    assert "no tensor" in str(row)


def test_repeated_blocks_are_folded():
    model = small_model()
    rows = shape_ledger(model, small_images(1), fold=True)
    names = [row.name for row in rows]
    assert names.count("blocks.0-2") == 1
    assert not [name for name in names if name.startswith("blocks.1")]
    attention = next(row for row in rows if row.name == "blocks.0-2.attn")
    assert attention.times == 3
    assert attention.parameters == count_parameters(model.blocks[0].attn)
    assert str(attention).endswith(f"3 x {attention.parameters:,}")
    leaves = {"patch_embed", "class_token", "position", "blocks.0-2", "norm", "head"}
    assert sum(row.times * row.parameters for row in rows if row.name in leaves) == count_parameters(model)


def test_only_equal_neighbours_are_folded():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 3), nn.Linear(3, 2), nn.Linear(2, 2))
    rows = shape_ledger(model, torch.zeros(1, 2), fold=True)
    assert [(row.name, row.times) for row in rows] == [("", 1), ("0-1", 2), ("2", 1), ("3", 1), ("4", 1)]


def test_folding_goes_inside_too():
    inner = [nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)) for _ in range(3)]
    rows = shape_ledger(nn.Sequential(*inner), torch.zeros(1, 2), fold=True)
    assert [(row.name, row.times) for row in rows] == [("", 1), ("0-2", 3), ("0-2.0-1", 6)]


def test_blocks_that_are_one_and_the_same_show_under_one_name():
    model = small_model()
    for i in range(1, 3):
        model.blocks[i] = model.blocks[0]
    names = [row.name for row in shape_ledger(model, small_images(1), fold=True)]
    assert names.count("blocks.0") == 3


def test_blocks_that_share_their_attention_are_looked_into_one_by_one():
    shared, images = small_model(), small_images()
    for block in shared.blocks[1:]:
        block.attn = shared.blocks[0].attn
    apart = copy.deepcopy(shared)
    for block in apart.blocks:
        block.attn = copy.deepcopy(block.attn)
    for look in (attention_maps, attention_scores):
        found, expected = look(shared, images), look(apart, images)
        assert len(found) == 3
        assert all(map(torch.equal, found, expected))
    for put_in in ("zero", small_images(1)):
        found, expected = (patch_heads(model, images, [(2, 1)], put_in) for model in (shared, apart))
        assert torch.equal(found, expected)


@pytest.mark.parametrize(
    "look",
    [
        attention_maps,
        attention_scores,
        lambda model, images: [patch_heads(model, images, [(1, 2), (2, 0)], "zero")],
        lambda model, images: shape_ledger(model, images),
    ],
)
def test_what_another_thread_computes_meanwhile_does_not_count(look):
    model, images, others = small_model().eval(), small_images(), small_images(1)
    here, expected = threading.get_ident(), [look(model, images), look(model, others), model(others)]

    def look_elsewhere_too(block, args):
        if threading.get_ident() == here:
            with ThreadPoolExecutor(1) as pool:
                found[1:] = [pool.submit(task, model, others).result() for task in (look, nn.Module.__call__)]

    model.blocks[1].register_forward_pre_hook(look_elsewhere_too)
    found = [None]
    found[0] = look(model, images)
    assert torch.equal(found[2], expected[2])
    for some, wanted in zip(found[:2], expected[:2], strict=True):
        assert len(some) == len(wanted)
        assert all(map(torch.equal if isinstance(wanted[0], torch.Tensor) else operator.eq, some, wanted))


@pytest.mark.parametrize("training", [True, False])
def test_the_ledger_leaves_the_model_as_it_was(training):
    model = small_model(dropout=0.5).train(training)
    model.blocks[1].train(not training)
    modes = [module.training for module in model.modules()]
    shape_ledger(model, small_images())
    with pytest.raises(ValueError, match="images are 9x9"):
        shape_ledger(model, torch.zeros(2, 3, 9, 9))
    assert [module.training for module in model.modules()] == modes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# --- Floating-point operations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changes",
    [
        *({"patch_size": size} for size in (28, 14, 7, 4, 2)),
        {"pool": "mean"},
        {"mlp_ratio": 4.0, "representation_size": 20},
        {"image_size": (8, 12), "patch_size": 4, "in_channels": 3},
        {"patch_size": 4, "stem": "hybrid", "stem_layers": ()},
        {"patch_size": 28, "stem": "hybrid", "stem_layers": (2,)},
        {"image_size": (24, 40), "patch_size": 8, "in_channels": 3, "stem": "hybrid", "stem_layers": (1, 2)},
    ],
    ids=str,
)
def test_the_flops_are_those_that_torch_counts(changes):
    shape = {"image_size": 28, "patch_size": 7, "in_channels": 1, "num_classes": 10, "dim": 24, "depth": 2}
    config = ViTConfig(**(shape | {"num_heads": 3} | changes))
    model = ViT(config, attention=partial(MultiHeadAttention, fused=False)).eval()
    height, width = config.image_size if isinstance(config.image_size, tuple) else (config.image_size,) * 2
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, config.in_channels, height, width))
    assert flops_per_image(config) == counter.get_total_flops()


# --- Models that are compiled ----------------------------------------------------------------------------------------


def compiled_around(model):
    return torch.compile(model, backend="eager")


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


def compiled_in_part(model):
    model.blocks[0] = torch.compile(model.blocks[0], backend="eager")
    return model


@shapes.not_while_checking  # what torch.compile puts around a ViT is none
@pytest.mark.parametrize("compiled", [compiled_around, compiled_in_place, compiled_in_part])
def test_a_compiled_model_is_looked_into_as_it_is_without(compiled):
    model, images = ViT(ViTConfig(8, 4, 1, 3, 16, 2, 2)).eval(), torch.randn(3, 1, 8, 8)
    looks = {
        "maps": lambda model: torch.stack([*attention_maps(model, images)]),
        "scores": lambda model: torch.stack(attention_scores(model, images)),
        "heads": lambda model: patch_heads(model, images, [(0, 0), (1, 1)], "zero"),
        "lens": lambda model: logit_lens(model, images),
        "occlusion": lambda model: occlusion(model, images),
    }
    with torch.no_grad():
        plain = {name: look(copy.deepcopy(model)) for name, look in looks.items()}
        one = compiled(copy.deepcopy(model))
        one(images)  # and now there is a program for it
    for name, look in looks.items():
        torch.testing.assert_close(look(one), plain[name], rtol=0, atol=1e-6, msg=name)
    assert not torch.allclose(plain["heads"], model(images), atol=1e-3)
    if compiled is not compiled_in_part:  # whose block is another module
        assert shape_ledger(one, images) == shape_ledger(model, images)
