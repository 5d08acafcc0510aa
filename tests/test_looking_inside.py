"""What a trained model knows, where, and what decided: each measurement against one made in another way."""

import contextlib
import copy
import itertools

import pytest
import shapes
import torch
from learners import SETTINGS
from references import randomize
from torch import nn

from vit_tutorial import ModelCard, ViT, ViTConfig, attention_distance, attention_maps
from vit_tutorial.introspection import (
    covered,
    deletion_curve,
    gradient_times_input,
    logit_lens,
    occlusion,
    patch_heads,
    patch_norms,
    patch_tokens,
    receptive_field,
    token_stages,
)

SHAPE = {"image_size": (8, 12), "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 3, "num_heads": 4}
CLASS, PATCHES, EVERYTHING = slice(0, 1), slice(1, None), slice(None)


def make_model(**options):
    model = randomize(ViT(ViTConfig(**(SHAPE | {"dropout": 0.2, "drop_path": 0.2} | options))).double())
    model.card = ModelCard(mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))
    return model


def make_images(count=3):
    return torch.randn(count, 3, 8, 12, dtype=torch.float64)


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def logits_of(model, images):
    with torch.no_grad():
        return copy.deepcopy(model).eval()(images)


def shortened(model, blocks):
    """A copy of the model that has only its first blocks."""
    short = copy.deepcopy(model).eval()
    short.blocks = nn.Sequential(*list(short.blocks)[:blocks])
    return short


def with_hook(model, module, change, images):
    """The logits when `change` is applied to what comes out of a part: another way to exchange activations."""
    twin = copy.deepcopy(model).eval()
    twin.get_submodule(module).register_forward_hook(lambda part, args, output: change(output))
    with torch.no_grad():
        return twin(images)


MEASUREMENTS = {
    "logit_lens": logit_lens,
    "token_stages": token_stages,
    "patch_norms": patch_norms,
    "patch_tokens": lambda model, images: patch_tokens(model, images, 1, CLASS, "mean"),
    "patch_heads": lambda model, images: patch_heads(model, images, [(1, 2)], images[:1]),
    "occlusion": occlusion,
    "gradient_times_input": gradient_times_input,
    "deletion_curve": lambda model, images: deletion_curve(model, images, torch.zeros(3, 6), [1]),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", MEASUREMENTS)
def test_each_measures_in_eval_mode_and_leaves_the_model_as_it_was(name, training):
    model, images = make_model().train(training), make_images()
    first, second = (MEASUREMENTS[name](model, images) for _ in range(2))
    same(torch.stack(list(first)), torch.stack(list(second)))  # no dropout
    assert not any(part.requires_grad for part in first)
    assert all(module.training == training for module in model.modules())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert images.grad is None


# ----------------------------------------------------------------------------------------- when it knows


@pytest.mark.parametrize("options", [{}, {"norm": "post"}, {"representation_size": 7}])
def test_the_lens_of_the_class_token_is_the_answer_of_a_model_cut_short(options):
    model, images = make_model(**options), make_images()
    lens = logit_lens(model, images)
    assert lens.shape == (4, 3, 7, 5)
    for blocks in range(4):
        torch.testing.assert_close(lens[blocks, :, 0], logits_of(shortened(model, blocks), images), rtol=0, atol=1e-12)


def test_the_mean_of_the_lens_is_the_answer_of_a_model_that_pools_by_the_mean():
    model, images = make_model(pool="mean"), make_images()
    lens = logit_lens(model, images)
    assert lens.shape == (4, 3, 6, 5)
    torch.testing.assert_close(lens[-1].mean(dim=1), logits_of(model, images), rtol=0, atol=1e-12)


def test_before_the_first_block_the_class_token_knows_nothing_of_the_picture():
    lens = logit_lens(make_model(), make_images())
    same(lens[0, :, 0], lens[0, :1, 0].expand(3, -1))
    assert not torch.equal(lens[1, 0, 0], lens[1, 1, 0])


def test_the_stages_are_what_goes_into_the_blocks_and_comes_out():
    model, images = make_model(), make_images()
    seen = []
    twin = copy.deepcopy(model).eval()
    twin.blocks[0].register_forward_pre_hook(lambda block, args: seen.append(args[0]))
    for block in twin.blocks:
        block.register_forward_hook(lambda block, args, output: seen.append(output))
    with torch.no_grad():
        twin(images)
    stages = token_stages(model, images)
    for ours, theirs in zip(stages, seen, strict=True):
        same(ours, theirs)
    lengths = torch.stack([(x * x).sum(-1).sqrt() for x in seen])
    torch.testing.assert_close(patch_norms(model, images), lengths, rtol=0, atol=1e-12)


# -------------------------------------------------------------------------------------------- from where


@pytest.mark.parametrize("block", range(4))
def test_whoever_gets_all_tokens_of_another_image_gives_its_answer(block):
    model, images, others = make_model(), make_images(), make_images()
    found = patch_tokens(model, images, block, EVERYTHING, others)
    torch.testing.assert_close(found, logits_of(model, others), rtol=0, atol=1e-12)
    own = patch_tokens(model, images, block, EVERYTHING, images)
    torch.testing.assert_close(own, logits_of(model, images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("tokens", [CLASS, PATCHES, [2, 5]], ids=["class", "patches", "two patches"])
@pytest.mark.parametrize("put_in", ["zero", "mean", "others", "one other"])
def test_exchanged_tokens_equal_those_exchanged_by_a_hook(tokens, put_in):
    model, images, others = make_model(), make_images(), make_images()
    donors = {"others": others, "one other": others[:1]}.get(put_in, put_in)

    def change(x):
        x = x.clone()
        if put_in == "zero":
            x[:, tokens] = 0
        elif put_in == "mean":
            x[:, tokens] = x[:, tokens].mean(dim=0)
        else:
            with torch.no_grad():
                short = copy.deepcopy(model).eval()
                theirs = short.blocks[1](short.blocks[0](short.position(short.class_token(short.patch_embed(donors)))))
            x[:, tokens] = theirs[:, tokens]
        return x

    expected = with_hook(model, "blocks.1", change, images)
    torch.testing.assert_close(patch_tokens(model, images, 2, tokens, donors), expected, rtol=0, atol=1e-12)
    assert not torch.equal(expected, logits_of(model, images))


def test_after_the_last_block_the_head_reads_the_class_token_alone():
    model, images, others = make_model(), make_images(), make_images()
    found = patch_tokens(model, images, 3, PATCHES, others)
    torch.testing.assert_close(found, logits_of(model, images), rtol=0, atol=1e-12)
    found = patch_tokens(model, images, 3, CLASS, others)
    torch.testing.assert_close(found, logits_of(model, others), rtol=0, atol=1e-12)


HEADS = [(0, 1), (0, 3), (2, 0)]


def test_a_head_at_zero_is_a_head_whose_columns_of_the_projection_are_zero():
    model, images = make_model(), make_images()
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for block, head in HEADS:
            twin.blocks[block].attn.proj.weight[:, 4 * head : 4 * head + 4] = 0
    torch.testing.assert_close(patch_heads(model, images, HEADS, "zero"), logits_of(twin, images), rtol=0, atol=1e-12)


@pytest.mark.parametrize("put_in", ["mean", "others", "one other"])
def test_exchanged_heads_equal_those_computed_head_by_head(put_in):
    model, images, others = make_model(), make_images(), make_images()
    donors = {"others": others, "one other": others[:1]}.get(put_in, put_in)

    def outputs_of_heads(block, x):
        attn = block.attn
        q, k, v = (part.reshape(*x.shape[:2], 4, 4) for part in attn.qkv(block.norm1(x)).chunk(3, dim=-1))
        scores = torch.einsum("bnhd,bmhd->bhnm", q, k) / 2
        return torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v)

    def start(pictures):
        return twin.position(twin.class_token(twin.patch_embed(pictures)))

    twin = copy.deepcopy(model).eval()
    with torch.no_grad():
        x, theirs = start(images), start(others if put_in == "others" else others[:1])
        for i, block in enumerate(twin.blocks):
            heads, other_heads = outputs_of_heads(block, x), outputs_of_heads(block, theirs)
            theirs = block(theirs)
            for at, head in HEADS:
                if at == i:
                    heads[:, :, head] = heads[:, :, head].mean(0) if put_in == "mean" else other_heads[:, :, head]
            x = x + block.attn.proj(heads.flatten(2))
            x = x + block.mlp(block.norm2(x))
        expected = twin.head(twin.norm(x)[:, 0])
    torch.testing.assert_close(patch_heads(model, images, HEADS, donors), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m, x: patch_tokens(m, x, 4, CLASS, "zero"),
            "block is 4; it counts the blocks that are done",
        ),
        (lambda m, x: patch_tokens(m, x, -1, CLASS, "zero"), "block is -1"),
        (lambda m, x: patch_tokens(m, x, 1.0, CLASS, "zero"), "block is 1.0; it must be one whole number"),
        (lambda m, x: patch_tokens(m, x, 1, CLASS, "noise"), "put_in is 'noise'; it must be 'zero', 'mean' or images"),
        (lambda m, x: patch_tokens(m, x, 1, CLASS, x[:2]), "put_in holds 2 images for 3; give one, or one for each"),
        (lambda m, x: patch_heads(m, x, [(0, 4)], "zero"), "there is no head 4 in block 0; both are counted from 0"),
        (lambda m, x: patch_heads(m, x, [(3, 0)], "zero"), "there is no head 0 in block 3"),
        (lambda m, x: patch_heads(m, x, [(0, 1.0)], "zero"), "a part of heads is 1.0; it must be one whole number"),
        (lambda m, x: patch_heads(m, x, [(0, 0)], "median"), "put_in is 'median'"),
        (lambda m, x: patch_heads(m, x, [(0, 0)], x[:2]), "put_in holds 2 images for 3"),
        (lambda m, x: deletion_curve(m, x, torch.zeros(3, 6), [0, 7]), r"counts are \[0, 7\]; there are 6 patches"),
        (lambda m, x: deletion_curve(m, x, torch.zeros(3, 6), [1, 0.5]), "a count is 0.5; it must be one whole number"),
        (
            lambda m, x: deletion_curve(m, x, torch.zeros(3, 6).index_fill(1, torch.tensor([2]), torch.nan), [1]),
            "ranking holds NaN in 3 of 18 numbers, which rank nowhere; look for a division by zero",
        ),
        (lambda m, x: covered(m, x, torch.zeros(3, 6, dtype=torch.bool), "grey"), "fill is 'grey'; it must be"),
        (
            lambda m, x: covered(m, x[..., :8], torch.zeros(3, 6, dtype=torch.bool)),
            r"images have shape \[3, 3, 8, 8\], and the model takes 8x12 pixels; resize them",
        ),
    ],
)
def test_what_does_not_exist_is_refused_in_a_sentence(call, message):
    model, images = make_model(), make_images()
    with pytest.raises(ValueError, match=message):
        call(model, images)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# ------------------------------------------------------------------------------------------ what decided


def fills(images):
    black = (torch.zeros(3) - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.25, 0.5])
    return {"mean": torch.zeros_like(images), "black": black.double().view(1, 3, 1, 1).expand_as(images)}


@pytest.mark.parametrize("fill", ["mean", "black"])
def test_occlusion_equals_a_loop_over_painted_pictures(fill):
    model, images = make_model(), make_images()
    before = logits_of(model, images).softmax(1)
    found = occlusion(model, images, fill=fill)
    for b, (row, column) in itertools.product(range(3), itertools.product(range(2), range(3))):
        box = (slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4))
        painted = images[b].clone()
        painted[:, box[0], box[1]] = fills(images)[fill][b][:, box[0], box[1]]
        after = logits_of(model, painted[None]).softmax(1)[0]
        named = before[b].argmax()
        assert found[b, 3 * row + column].item() == pytest.approx((before[b] - after)[named].item(), abs=1e-6)


def test_the_class_asked_about_is_the_one_that_is_given():
    model, images = make_model(), make_images()
    classes = torch.tensor([4, 0, 2])
    before = logits_of(model, images).softmax(1)[torch.arange(3), classes]
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[:, 5] = True
    after = logits_of(model, covered(model, images, hidden)).softmax(1)[torch.arange(3), classes]
    torch.testing.assert_close(occlusion(model, images, classes)[:, 5], before - after, rtol=0, atol=1e-12)
    curve = deletion_curve(model, images, torch.arange(6.0).expand(3, -1), [0, 1], classes=classes)
    torch.testing.assert_close(curve, torch.stack([before, after], dim=1), rtol=0, atol=1e-12)


def test_covering_takes_whole_patches_in_reading_order():
    model, images, others = make_model(), make_images(), make_images()
    hidden = torch.zeros(3, 6, dtype=torch.bool)
    hidden[0, 1], hidden[2, 3] = True, True  # row 0, column 1; row 1, column 0
    found = covered(model, images, hidden, others)
    same(found[0, :, 0:4, 4:8], others[0, :, 0:4, 4:8])
    same(found[2, :, 4:8, 0:4], others[2, :, 4:8, 0:4])
    assert (found != images).sum() == 2 * 3 * 16
    noise = covered(model, images, hidden, "noise")
    for around in (contextlib.nullcontext, SETTINGS["device"], SETTINGS["float64"]):
        with around():
            same(covered(model, images, hidden, "noise"), noise)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_pixels_are_not_taken_for_what_the_model_takes(dtype):
    model, images = make_model(), make_images()
    pixels, hidden = torch.full((3, 3, 8, 12), 200, dtype=dtype), torch.ones(3, 6, dtype=torch.bool)
    classes, ranking = torch.tensor([0, 1, 2]), torch.rand(3, 6)
    for call in (
        lambda images, fill: covered(model, images, hidden, fill),
        lambda images, fill: occlusion(model, images, classes, fill),
        lambda images, fill: deletion_curve(model, images, ranking, [1], fill, classes),
    ):
        with pytest.raises(TypeError, match=f"^images are {dtype}"):
            call(pixels, "mean")
        with pytest.raises(TypeError, match=f"^fill is {dtype}; give what the model takes, such as model.card"):
            call(images, pixels)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12), (3, 8, 12), (12,), (), (1, 1, 8, 12), (3, 3, 8, 8), (1, 3, 8, 12, 1)])
def test_a_fill_is_one_image_or_one_for_each(shape):
    model, images = make_model(), make_images()
    hidden, fill = torch.ones(3, 6, dtype=torch.bool), torch.zeros(shape, dtype=torch.float64)
    for call in (lambda: covered(model, images, hidden, fill), lambda: occlusion(model, images, fill=fill)):
        with pytest.raises(ValueError, match=r"fill has shape .* for images \[3, 3, 8, 12\]; give one image, or"):
            call()
    same(covered(model, images, hidden, images[:1]), images[:1].expand(3, -1, -1, -1))


def test_black_needs_a_card():
    model = make_model()
    for model.card in (None, ModelCard()):  # one that says nothing of mean and std
        with pytest.raises(ValueError, match="nobody knows which number is black"):
            covered(model, make_images(), torch.ones(3, 6, dtype=torch.bool), "black")


def test_gradient_times_input_is_the_slope_when_a_patch_is_scaled():
    model, images = make_model(), make_images()
    classes = torch.tensor([1, 4, 0])
    found = gradient_times_input(model, images, classes)
    step = 1e-6
    for patch in range(6):
        hidden = torch.zeros(3, 6, dtype=torch.bool)
        hidden[:, patch] = True
        up, down = (
            logits_of(model, covered(model, images, hidden, images * (1 + sign * step))).gather(1, classes[:, None])
            for sign in (1, -1)
        )
        torch.testing.assert_close(found[:, patch], ((up - down) / (2 * step))[:, 0], rtol=1e-5, atol=1e-7)


def test_the_deletion_curve_covers_the_highest_first_and_all_in_the_end():
    model, images = make_model(), make_images()
    ranking = torch.tensor([[0.1, 0.9, 0.5, 0.5, -1.0, 0.0], [6, 5, 4, 3, 2, 1], [0, 0, 0, 0, 0, 0]])
    orders = [[1, 2, 3, 0, 5, 4], [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5]]  # equal ones: the earlier first
    curve = deletion_curve(model, images, ranking, range(7), "black")
    named = logits_of(model, images).argmax(1)
    for b, count in itertools.product(range(3), range(7)):
        hidden = torch.zeros(1, 6, dtype=torch.bool)
        hidden[0, orders[b][:count]] = True
        after = logits_of(model, covered(model, images[b : b + 1], hidden, "black")).softmax(1)[0, named[b]]
        assert curve[b, count].item() == pytest.approx(after.item(), abs=1e-12)
    whole = logits_of(model, fills(images)["black"]).softmax(1)[torch.arange(3), named]
    torch.testing.assert_close(curve[:, 6], whole, rtol=0, atol=1e-6)


def deleted(model, images, classes):
    return deletion_curve(model, images, torch.rand(3, 4), [1], classes=classes)


@pytest.mark.parametrize("explain", [occlusion, gradient_times_input, deleted])
@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (torch.tensor([0]), r"classes are torch.int64 of shape \[1\] for 3 images"),
        (torch.tensor([0.0, 1, 2]), "classes are torch.float32"),
        (torch.tensor([0, 1, 3]), "classes go from 0 to 3, and the model has 0 to 2"),
        (torch.tensor([0, -1, 1]), "classes go from -1 to 1"),
    ],
)
@shapes.not_while_checking
def test_there_is_one_class_of_the_model_for_each_image(explain, classes, words):
    model, images = ViT(ViTConfig(8, 4, 1, 3, 16, 2, 2)).eval(), torch.randn(3, 1, 8, 8)
    with pytest.raises(ValueError, match=words):
        explain(model, images, classes)


@shapes.not_while_checking
def test_what_is_covered_or_ranked_fits_the_patches():
    model, images = ViT(ViTConfig(8, 4, 1, 3, 16, 2, 2)).eval(), torch.randn(3, 1, 8, 8)
    for hidden in (torch.zeros(3, 5, dtype=torch.bool), torch.zeros(3, 4, dtype=torch.int64)):
        with pytest.raises(ValueError, match="give True or False for each of the 4 patches of 3 images"):
            covered(model, images, hidden)
    with pytest.raises(ValueError, match=r"ranking has shape \[3, 5\]; give one number for each of the 4 patches"):
        deletion_curve(model, images, torch.rand(3, 5), [1])
    with pytest.raises(ValueError, match=r"counts are \[\]; there are 4 patches"):
        deletion_curve(model, images, torch.rand(3, 4), [])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_model_of_16_bits_is_looked_into_too(dtype):
    model, images = ViT(ViTConfig(8, 4, 1, 3, 16, 2, 2)).eval(), torch.randn(3, 1, 8, 8)
    model.card = ModelCard(("a", "b", "c"), (0.5,), (0.5,))
    expected = attention_distance(attention_maps(model, images), 4)
    half = model.to(dtype)
    found = attention_distance(attention_maps(half, images.to(dtype)), 4)
    assert found.dtype == dtype
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)
    for fill in ("mean", "black", "noise"):
        assert occlusion(half, images.to(dtype), fill=fill).isfinite().all()


@pytest.mark.parametrize(("tokens", "prefix"), [(1, 1), (1, 5), (0, 0)])
def test_a_grid_without_patches_has_no_distances(tokens, prefix):
    with pytest.raises(ValueError, match=f"{tokens} tokens less {prefix} prefix tokens do not fill a"):
        attention_distance([torch.ones(1, 2, tokens, tokens)], 4, num_prefix_tokens=prefix)


def test_gradients_are_to_be_had_whatever_is_switched_off_around():
    model, images = ViT(ViTConfig(8, 4, 1, 3, 16, 2, 2)).eval(), torch.randn(3, 1, 8, 8)
    looks = (lambda: receptive_field(model, images, "blocks.0"), lambda: gradient_times_input(model, images))
    expected = [look() for look in looks]
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            assert all(torch.equal(look(), found) for look, found in zip(looks, expected, strict=True))
    images.requires_grad_()
    assert not any(look().requires_grad for look in looks)
    assert images.grad is None
    for look in (lambda x: receptive_field(model, x, "blocks.0"), lambda x: gradient_times_input(model, x)):
        with pytest.raises(TypeError, match=r"images are torch\.uint8, but a model computes with real numbers"):
            look(torch.zeros(3, 1, 8, 8, dtype=torch.uint8))
