"""The model map without a browser: its boxes, their code and shapes, its words, and what it refuses."""

import itertools
import math
import re

import numpy as np
import pytest
import torch
from torch import nn

from explore.examples import check_still_picture, picture
from vit_tutorial import EncoderBlock, ModelCard, MultiHeadAttention, ViT, ViTConfig, count_parameters
from vit_tutorial.explore import ModelMap, model_map_state
from vit_tutorial.explore.model_map import code_of
from vit_tutorial.explore.model_map.figure import spread
from vit_tutorial.explore.model_map.geometry import bar_length, layout
from vit_tutorial.explore.model_map.numbers import EQUATIONS, MOST_COLUMNS, map_boxes, picture_of, run

SMALL = {"image_size": 12, "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 3, "num_heads": 4}
WALK = ["image", "patches", "patch_embed", "class_token", "position", "block"]
WALK += ["norm1", "attn", "residual1", "norm2", "mlp", "residual2", "norm", "pool", "head", "softmax"]


def small(**options):
    torch.manual_seed(0)
    return ViT(ViTConfig(**(SMALL | options)))


def boxes(**options):
    return map_boxes(small(**options), picture())


def keys(state):
    return [box.key for box in state.walk]


# ------------------------------------------------------------------------------------------ the way through the model


def test_the_walk_goes_from_the_picture_to_the_probabilities():
    assert keys(model_map_state(boxes())) == WALK
    tanh = [*WALK[:14], "pre_logits", *WALK[14:]]
    assert keys(model_map_state(boxes(representation_size=8))) == tanh
    mean = [key for key in WALK if key != "class_token"]
    assert keys(model_map_state(boxes(pool="mean"))) == mean
    assert keys(model_map_state(boxes(position="none"))) == [key for key in WALK if key != "position"]
    post = [*WALK[:6], "attn", "residual1", "norm1", "mlp", "residual2", "norm2", *WALK[13:]]
    assert keys(model_map_state(boxes(norm="post"))) == post


def test_a_hybrid_has_its_feature_map():
    model = small(image_size=32, patch_size=16, stem="hybrid", stem_layers=(1, 1, 1))
    found = {box.key: box for box in map_boxes(model, picture(32, 32))}
    assert list(found)[:4] == ["image", "feature_map", "patches", "patch_embed"]
    assert [found[key].output_shape for key in list(found)[1:4]] == ["[1, 1024, 2, 2]", "[1, 4, 1024]", "[1, 4, 16]"]
    assert found["feature_map"].parameters == count_parameters(model.patch_embed.backbone)
    assert found["patch_embed"].parameters == count_parameters(model.patch_embed.proj)
    assert "self.stages(self.stem(images))" in found["feature_map"].code
    assert found["patches"].kind == "table"
    assert found["feature_map"].picture.shape == (8, 8)


@pytest.mark.parametrize(("channels", "shown"), [(1, 1), (3, 1), (4, 4), (15, 4), (16, 16), (40, 16)])
def test_of_a_feature_map_as_many_channels_are_shown_as_fill_a_square(channels, shown):
    value = torch.rand(channels, 3, 5)
    _, table, *_, says = picture_of("feature_map", value, picture(), small(), [])
    side = math.isqrt(shown)
    assert says.startswith(f"{channels} channels of 3 by 5; {shown} of them are shown")
    assert table.shape == (3 * side, 5 * side)
    np.testing.assert_array_equal(table[-3:, -5:], value[shown - 1])


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_inside_a_block_everything_is_what_the_equations_say(norm):
    model = small(norm=norm).double().eval()
    made = run(model, picture())
    with torch.no_grad():
        for number, block in enumerate(model.blocks, start=1):
            x = made["block", number - 1] if number > 1 else made["position", 0]

            def at(key, number=number):
                return made[key, number]

            if norm == "pre":
                expected = {"norm1": block.norm1(x), "attn": block.attn(block.norm1(x))}
                expected["residual1"] = x + expected["attn"]
                expected["norm2"] = block.norm2(expected["residual1"])
                expected["mlp"] = block.mlp(expected["norm2"])
                expected["residual2"] = expected["residual1"] + expected["mlp"]
            else:
                expected = {"attn": block.attn(x), "residual1": x + block.attn(x)}
                expected["norm1"] = block.norm1(expected["residual1"])
                expected["mlp"] = block.mlp(expected["norm1"])
                expected["residual2"] = expected["norm1"] + expected["mlp"]
                expected["norm2"] = block.norm2(expected["residual2"])
            for key, value in expected.items():
                torch.testing.assert_close(at(key), value, rtol=1e-12, atol=1e-12)
            assert torch.equal(at("block"), at("residual2" if norm == "pre" else "norm2"))
        logits = model(torch.from_numpy(picture())[None].double() / 255)
    torch.testing.assert_close(made["head", 0], logits)
    torch.testing.assert_close(made["softmax", 0], logits.softmax(-1))


def test_the_picture_is_normalised_as_the_models_card_says():
    model = small()
    model.card = ModelCard(class_names=tuple("abcde"), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    made = run(model, picture())
    torch.testing.assert_close(made["image", 0], model.card.normalize(torch.from_numpy(picture())[None]))


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_as_it_was(training):
    model = small(dropout=0.5).train(training)
    first, second = run(model, picture()), run(model, picture())
    assert torch.equal(first["head", 0], second["head", 0])
    assert all(module.training is training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


# ------------------------------------------------------------------------------------------ shapes, parameters, code


def test_shapes_follow_one_another():
    walk = model_map_state(boxes(), block=2).walk
    assert (walk[0].input_shape, walk[0].output_shape) == ("[1, 3, 12, 12]", "[1, 3, 12, 12]")
    outside = [box for box in walk if box.block == 0 or box.key == "block"]
    for left, right in itertools.pairwise(outside):
        assert right.input_shape == left.output_shape, right.key
    shapes = {box.key: box.output_shape for box in walk}
    assert [shapes[key] for key in ("patches", "patch_embed", "class_token", "block", "pool", "head")] == [
        "[1, 9, 48]",
        "[1, 9, 16]",
        "[1, 10, 16]",
        "[1, 10, 16]",
        "[1, 16]",
        "[1, 5]",
    ]


@pytest.mark.parametrize("options", [{}, {"representation_size": 8}, {"pool": "mean", "position": "sincos"}])
def test_the_boxes_hold_all_parameters_of_the_model(options):
    model = small(**options)
    found = map_boxes(model, picture())
    inside = ("norm1", "attn", "norm2", "mlp")
    assert sum(box.parameters for box in found if box.key not in inside) == count_parameters(model)
    of_block = [box.parameters for box in found if box.block == 2 and box.key in inside]
    assert sum(of_block) == count_parameters(model.blocks[1])
    assert sum(box.share for box in found if box.key not in inside) == pytest.approx(1)


def test_the_code_is_what_the_model_runs():
    found = {box.key: box for box in boxes(representation_size=8) if box.block < 2}
    lines = {
        "image": "x = self.blocks(x)",
        "patches": 'rearrange(images, "b c (h p1) (w p2) -> b (h w) (p1 p2 c)"',
        "patch_embed": "grid.flatten(2).transpose(1, 2)",
        "class_token": "torch.cat([first, tokens], dim=1)",
        "position": "return tokens + self.pos_embed",
        "block": "self.mlp(self.norm2(x))",
        "norm1": "self.norm1 = nn.LayerNorm(",
        "attn": "self.qkv(x)",
        "residual1": "# equation 2",
        "norm2": "self.norm2 = nn.LayerNorm(",
        "mlp": "self.act(self.fc1(x))",
        "residual2": "# equation 3",
        "norm": "self.norm = nn.LayerNorm(",
        "pool": "tokens[:, 0]",
        "pre_logits": "nn.Tanh()",
        "head": "self.head = nn.Linear(",
        "softmax": "logits.softmax(dim=-1)",
    }
    assert set(lines) == set(found)
    for key, line in lines.items():
        assert line in found[key].code, key
        assert '"""' not in found[key].code
        assert "raise" not in found[key].code
        assert "check_" not in found[key].code
    assert "scores.softmax(dim=-1)" in found["attn"].code
    assert len(found["residual1"].code.splitlines()) == len(found["residual2"].code.splitlines()) == 1
    assert "equation 2" in found["norm1"].code
    assert "self.norm1(x + " not in found["norm1"].code
    assert found["mlp"].where == "MLP.forward in vit_tutorial.encoder"


def test_what_is_shown_apart_is_said():
    found = {box.key: box for box in boxes() if box.block < 2}
    for key in ("patches", "patch_embed"):
        assert found[key].does.endswith("in one convolution (lesson 1). Here they are shown apart.")
    assert "two ways to compute the same" in found["attn"].does
    assert "In between it is [1, 10, 64]." in found["mlp"].does
    assert "It takes what the last block gave, block 3." in found["norm"].does
    narrow = next(box for box in boxes(mlp_ratio=2) if box.key == "mlp")
    assert "In between it is [1, 10, 32]." in narrow.does
    own = {box.key: box for box in map_boxes(ViT(ViTConfig(**SMALL), attention=Mine, mlp=Bare), picture())}
    assert "In between" not in own["mlp"].does


def test_the_row_of_the_class_token_is_known():
    with_row = {"class_token", "position", "block", "norm1", "attn", "residual1", "norm2", "mlp", "residual2", "norm"}
    assert {box.key for box in boxes() if box.class_token} == with_row
    assert not any(box.class_token for box in boxes(pool="mean"))


def test_a_bar_is_seen_wherever_there_are_parameters():
    found = {box.key: box for box in boxes(dim=128, depth=10) if box.block < 2}
    assert {key for key, box in found.items() if not bar_length(box.share, 80)} == {
        *("image", "patches", "residual1", "residual2", "pool", "softmax")
    }
    assert bar_length(found["class_token"].share, 80) == 3
    assert bar_length(found["mlp"].share, 100) == pytest.approx(100 * found["mlp"].share)


def test_the_code_of_a_post_norm_block():
    found = {box.key: box for box in boxes(norm="post") if box.block < 2}
    for key in ("residual1", "norm1"):
        assert "x = self.norm1(x + " in found[key].code
        assert "equation 2" not in found[key].code
    assert not found["attn"].equation


class Mine(MultiHeadAttention):
    def forward(self, x):
        y = super().forward(x)  # my own line
        return y


class Bare(nn.Module):
    def __init__(self, dim, *options, **more):
        super().__init__()
        self.only = nn.Linear(dim, dim)

    def forward(self, x):
        return self.only(x)


class Whole(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.inner = EncoderBlock(dim, num_heads)

    def forward(self, x):
        return self.inner(x)


def test_the_learners_own_part_shows_its_own_code():
    found = {box.key: box for box in map_boxes(ViT(ViTConfig(**SMALL), attention=Mine), picture())}
    assert "y = super().forward(x)  # my own line" in found["attn"].code
    assert found["attn"].where.startswith("Mine.forward in ")


def test_a_block_of_another_kind_stays_closed():
    found = map_boxes(ViT(ViTConfig(**SMALL), block=Whole), picture())
    walk = model_map_state(found).walk
    assert [box.key for box in walk if box.block] == ["block"]
    block = next(box for box in walk if box.key == "block")
    assert "no view inside" in block.does
    assert "return self.inner(x)" in block.code
    assert ModelMap(ViT(ViTConfig(**SMALL), block=Whole), picture(), box="block").figure()


def test_code_without_docstring_checks_and_decorators():
    @torch.no_grad()
    def function(x):
        """What it does."""
        if x is None:
            raise ValueError("no x")
        y = 2 * x  # two
        return y

    inner = function.__wrapped__
    assert code_of(inner) == "def function(x):\n    y = 2 * x  # two\n    return y"
    assert code_of(inner, "y = ") == "y = 2 * x  # two"
    assert code_of(inner, "z = ") == code_of(inner)
    assert code_of(eval("lambda x: x")) == "# the text of <lambda> is not to be had"
    assert code_of(len) == "# the text of len is not to be had"


# ------------------------------------------------------------------------------------------ pictures and words


def test_what_leaves_a_box_is_its_picture():
    model = small().eval()
    found = {(box.key, box.block): box for box in map_boxes(model, picture())}
    made = run(model, picture())
    for key in (("attn", 2), ("norm", 0)):
        np.testing.assert_allclose(found[key].picture, made[key][0].numpy(), rtol=1e-6)
        assert found[key].limit >= np.quantile(np.abs(found[key].picture), 0.995)
    assert found["pool", 0].picture.shape == (1, 16)
    assert np.array_equal(found["image", 0].picture, picture())
    assert found["softmax", 0].labels == tuple(f"class {i}" for i in range(5))
    assert found["softmax", 0].picture.sum() == pytest.approx(1)


def test_each_box_of_the_paper_has_its_equation():
    assert {box.key: box.equation for box in boxes() if box.equation} == EQUATIONS


def test_the_view_is_told_the_bars_of_a_box_that_has_some():
    lab = ModelMap(small(), picture())
    for told, box in zip(lab._sent["boxes"], lab._boxes, strict=True):
        bars = box.picture[0].tolist() if box.kind == "bars" else []
        assert told["bars"] == [[name, length] for name, length in zip(box.labels, bars, strict=True)]


def test_of_many_classes_the_most_likely_ten_are_shown():
    model = small(num_classes=30)
    found = {box.key: box for box in map_boxes(model, picture())}
    logits = run(model, picture())["head", 0][0]
    top = logits.topk(10)
    assert found["head"].labels == tuple(f"class {i}" for i in top.indices.tolist())
    np.testing.assert_allclose(found["head"].picture[0], top.values.numpy(), rtol=1e-6)


def test_large_tables_are_thinned_out_and_say_so():
    model = small(dim=16 * 40, num_heads=4, depth=1)
    found = {box.key: box for box in map_boxes(model, picture())}
    assert found["norm"].picture.shape[1] <= MOST_COLUMNS
    assert found["norm"].says.endswith("every third is drawn")


def test_words_of_a_box():
    state = model_map_state(boxes(), "attn", 2)
    assert state.box.block == 2
    assert re.fullmatch(
        r"Attention, block 2: MSA of equation 2\. Every token takes .* In: \[1, 10, 16\]\. Out: \[1, 10, 16\]\. "
        r"It has 1,088 parameters, \d+\.\d% of the model\. What leaves it: 10 rows of 16 numbers, from -\d\.\d\d to "
        r"\d\.\d\d\. Block 2 of 3 is open\.",
        state.words,
    )
    assert "It has no parameters." in model_map_state(boxes(), "pool").words
    assert "less than 0.1% of the model" in model_map_state(boxes(dim=128, depth=10), "class_token").words
    assert "One vector is left" in model_map_state(boxes(pool="mean"), "pool").words


def test_the_residual_lines_go_round_the_branches():
    places, arcs = layout(WALK)
    assert set(places) == set(WALK)
    for (start, end), (before, plus) in zip(arcs, (("norm1", "residual1"), ("norm2", "residual2")), strict=True):
        assert start < places[before][0]
        assert end == places[plus][0] + places[plus][2] / 2
    assert places["residual1"][0] + places["residual1"][2] < arcs[1][0]
    post = ["attn", "residual1", "norm1", "mlp", "residual2", "norm2"]
    places, arcs = layout([*WALK[:6], *post, *WALK[13:]])
    assert places["norm1"][0] + places["norm1"][2] < arcs[1][0] < places["mlp"][0]
    for x, _, wide, _ in places.values():
        assert 0 <= x <= x + wide <= 912 + 1e-9


def test_patches_lie_apart():
    pixels = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    out = spread(pixels, 2)
    assert out.shape == (5, 5, 3)
    assert np.array_equal(out[:2, :2], pixels[:2, :2])
    assert np.array_equal(out[3:, 3:], pixels[2:, 2:])
    assert (out[2] == 255).all()
    assert (out[:, 2] == 255).all()


# ------------------------------------------------------------------------------------------ the widget


def test_the_widget_says_what_its_state_says():
    model = small()
    lab = ModelMap(model, picture(), box="mlp", block=3)
    assert repr(lab) == "ModelMap(box='mlp', block=3)"
    assert lab.words() == model_map_state(map_boxes(model, picture()), "mlp", 3).words
    lab.box, lab.block = "head", 2
    assert lab.words() == model_map_state(map_boxes(model, picture()), "head", 2).words
    with pytest.raises(ValueError, match="block 9 is not among 1 to 3"):
        lab.block = 9
    assert lab.words().endswith("Block 2 of 3 is open.")


def test_what_travels_to_the_browser():
    lab = ModelMap(small(), picture())
    assert np.array_equal(np.frombuffer(lab._sent["pixels"], np.uint8).reshape(3, 12, 12), picture())
    sizes = [np.prod(box["size"]) for box in lab._sent["boxes"]]
    assert sum(sizes) == len(lab._sent["tables"])
    norm = next(i for i, box in enumerate(lab._sent["boxes"]) if box["key"] == "norm")
    start = int(sum(sizes[:norm]))
    levels = np.frombuffer(lab._sent["tables"], np.uint8)[start : start + int(sizes[norm])].reshape(10, 16)
    described = lab._boxes[norm]
    back = (levels / 127.5 - 1) * described.limit
    inside = np.abs(described.picture) < described.limit
    assert np.abs(back - described.picture)[inside].max() < described.limit / 127


@pytest.mark.parametrize("box", ["image", "patches", "attn", "pool", "softmax"])
def test_a_still_picture_with_alt_text_stands_behind_the_widget(box):
    lab = ModelMap(small(), picture(), box=box)
    check_still_picture(lab)


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: ModelMap(nn.Linear(2, 2), picture()), TypeError, "the map is drawn of a ViT, not of a Linear"),
        (lambda: ModelMap(small(), picture(9, 9)), ValueError, "the picture is [3, 9, 9], and the model takes [3, 12"),
        (lambda: ModelMap(small(), picture() / 255), ValueError, "image holds float64, not uint8"),
        (lambda: ModelMap(small(), picture(), box="nose"), ValueError, "box 'nose' is not among 'image', 'patches',"),
        (lambda: ModelMap(small(), picture(), block=4), ValueError, "block 4 is not among 1 to 3"),
        (lambda: setattr(ModelMap(small(), picture()), "box", "nose"), ValueError, "box 'nose' is not among"),
    ],
)
def test_the_model_map_says_what_is_wrong(call, error, sentence):
    with pytest.raises(error, match=re.escape(sentence)):
        call()
