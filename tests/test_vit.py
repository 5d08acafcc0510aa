"""The whole model: equal to torchvision and timm, and true to what the lessons say of it."""

import copy
import io
import json
import weakref
from dataclasses import asdict
from functools import cache, partial

import numpy as np
import pytest
import shapes
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from learners import default_type
from onnx.reference import ReferenceEvaluator
from references import assert_same, exactly, patchify_by_loops, randomize
from torch import nn
from torch.nn import functional as F

from vit_tutorial import (
    MLP,
    ClassToken,
    EncoderBlock,
    MultiHeadAttention,
    PatchEmbedding,
    PositionEmbedding,
    ViT,
    ViTConfig,
    count_parameters,
    load_weights,
    patchify,
    sincos_2d,
    unpatchify,
)

SMALL = {"image_size": 12, "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 3, "num_heads": 4}


def small_model(seed=1, **options):
    return randomize(ViT(ViTConfig(**(SMALL | options))).double().eval(), seed)


def small_images(batch=2, size=(12, 12), channels=3):
    return torch.randn(batch, channels, *size, dtype=torch.float64)


def timm_model(**options):
    names = {"image_size": "img_size", "in_channels": "in_chans", "dim": "embed_dim"}
    options = {names.get(name, name): value for name, value in (SMALL | options).items()}
    return timm.models.vision_transformer.VisionTransformer(**options)


def torchvision_model(**options):
    names = {"dim": "hidden_dim", "depth": "num_layers"}
    options = {names.get(name, name): value for name, value in (SMALL | {"mlp_dim": 64} | options).items()}
    return torchvision.models.VisionTransformer(**options)


# ---------------------------------------------------------------------------------------------- the two libraries


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("representation_size", [None, 7])
def test_logits_equal_torchvision(dtype, representation_size):
    theirs = randomize(torchvision_model(representation_size=representation_size)).to(dtype).eval()
    ours = ViT(ViTConfig(**SMALL, representation_size=representation_size)).to(dtype).eval()
    load_weights(ours, theirs.state_dict())
    images = small_images().to(dtype)
    assert theirs(images).std() > 0.1
    assert_same(ours(images), theirs(images))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        ({}, {}),
        ({"image_size": (8, 16), "in_channels": 1, "mlp_ratio": 2.5}, {}),
        ({"qkv_bias": False}, {}),
        ({"gelu": "tanh"}, {"act_layer": partial(nn.GELU, approximate="tanh")}),
        ({"pool": "mean"}, {"global_pool": "avg", "class_token": False, "fc_norm": False}),
        ({"position": "none"}, {"pos_embed": "none"}),
    ],
)
def test_logits_equal_timm(dtype, options, theirs):
    ours = small_model(**options).to(dtype)
    same = {name: value for name, value in options.items() if name not in ("gelu", "pool", "position")}
    theirs = timm_model(**same, **theirs).to(dtype).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = small_images(size=theirs.patch_embed.img_size, channels=ours.config.in_channels).to(dtype)
    assert_same(ours(images), theirs(images))


def test_weights_of_timm_load_into_ours():
    theirs = randomize(timm_model().double().eval())
    ours = load_weights(ViT(ViTConfig(**SMALL)).double().eval(), theirs.state_dict())
    images = small_images()
    assert_same(ours(images), theirs(images))


def test_gradients_equal_timm():
    ours, theirs = small_model(), timm_model().double().eval()
    theirs.load_state_dict(ours.state_dict())
    images, labels = small_images(), torch.tensor([0, 3])
    for model in (ours, theirs):
        F.cross_entropy(model(images), labels).backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        name = name.removeprefix("class_token.").removeprefix("position.")
        assert_same(parameter.grad, expected[name])


def test_preset_equals_timm():
    """The whole of ViT-Ti/16, 12 blocks on a 224x224 image, in float64."""
    ours = randomize(ViT.from_name("ViT-Ti/16").double().eval())
    theirs = timm.create_model("vit_tiny_patch16_224", pretrained=False).double().eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        assert_same(ours(images), theirs(images))


def test_preset_equals_torchvision():
    """The whole of ViT-B/32, 12 blocks on a 224x224 image, in float32."""
    theirs = torchvision.models.vit_b_32().eval()
    nn.init.normal_(theirs.heads.head.weight, std=0.02)  # torchvision starts it at zero, which would hide everything
    with torch.device("meta"):
        ours = ViT.from_name("ViT-B/32")
    ours = load_weights(ours.to_empty(device="cpu").eval(), theirs.state_dict())
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        assert_same(ours(images), theirs(images))


@pytest.mark.parametrize(
    ("name", "theirs", "millions"),
    [
        ("ViT-B/16", "vit_b_16", 86),
        ("ViT-B/32", "vit_b_32", None),
        ("ViT-L/16", "vit_l_16", 307),
        ("ViT-L/32", "vit_l_32", None),
        ("ViT-H/14", "vit_h_14", 632),
    ],
)
def test_parameter_counts(name, theirs, millions):
    """Equal to torchvision's; table 1 of the paper gives millions, and holds to 1% with a head for 1,000 classes."""
    with torch.device("meta"):  # shapes without numbers
        ours, theirs = ViT.from_name(name), torchvision.models.get_model(theirs)
    assert count_parameters(ours) == count_parameters(theirs)
    if millions:
        assert count_parameters(ours) / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize(
    ("name", "dim", "depth", "heads", "patch_size"),
    [
        ("ViT-Ti/4", 192, 12, 3, 4),
        ("ViT-S/8", 384, 12, 6, 8),
        ("ViT-B/16", 768, 12, 12, 16),
        ("ViT-L/32", 1024, 24, 16, 32),
        ("ViT-H/14", 1280, 32, 16, 14),
    ],
)
def test_names_of_the_literature(name, dim, depth, heads, patch_size):
    with torch.device("meta"):
        config = ViT.from_name(name).config
    assert config == ViTConfig(patch_size=patch_size, dim=dim, depth=depth, num_heads=heads)


def test_the_defaults_are_vit_b_16():
    assert ViTConfig() == ViTConfig(224, 16, 3, 1000, 768, 12, 12)


def test_from_name_passes_its_options_on():
    model = ViT.from_name("ViT-Ti/8", image_size=(16, 24), num_classes=7, depth=1, pool="mean")
    assert model.config == ViTConfig((16, 24), 8, num_classes=7, dim=192, depth=1, num_heads=3, pool="mean")
    assert model(torch.zeros(1, 3, 16, 24)).shape == (1, 7)


@pytest.mark.parametrize("name", ["ViT-B", "vit-b/16", "ViT-G/14", "ViT-B/16-384", "ViT-B/-1", "B/16", "", 3])
def test_other_names_are_refused(name):
    message = f"{name!r} is no model name; write ViT-SIZE/PATCH with SIZE of Ti, S, B, L, H: 'ViT-B/16'"
    with pytest.raises(ValueError, match=exactly(message)):
        ViT.from_name(name)


def test_a_name_whose_patches_do_not_fit_the_image_is_refused():
    message = "image height 224 is not a multiple of patch_size 15; resize or pad to 210 or 225"
    with torch.device("meta"), pytest.raises(ValueError, match=exactly(message)):
        ViT.from_name("ViT-B/15")


# ---------------------------------------------------------------------------------------------- order and batch


@given(st.permutations(range(9)), st.sampled_from(["cls", "mean"]))
@settings(max_examples=20)
def test_without_positions_the_order_of_the_patches_does_not_matter(order, pool):
    model, images = small_model(position="none", pool=pool), small_images()
    shuffled = unpatchify(patchify(images, 4)[:, order], 12)
    assert_same(model(shuffled), model(images))


@pytest.mark.parametrize("position", ["learned", "sincos"])
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_with_positions_the_order_matters(position, pool):
    model, images = small_model(position=position, pool=pool), small_images()
    shuffled = unpatchify(patchify(images, 4)[:, [1, 0, *range(2, 9)]], 12)
    assert (model(shuffled) - model(images)).abs().amax(dim=1).min() > 1e-3


@given(st.integers(2, 5), st.sampled_from(["cls", "mean"]), st.sampled_from(["pre", "post"]))
@settings(max_examples=20)
def test_nothing_leaks_across_the_batch(batch, pool, norm):
    model, images = small_model(pool=pool, norm=norm).train(), small_images(batch)
    logits = model(images)
    for i in range(batch):
        assert_same(model(images[i : i + 1]), logits[i : i + 1])
        others_changed = torch.randn_like(images)
        others_changed[i] = images[i]
        assert_same(model(others_changed)[i], logits[i])


@pytest.mark.parametrize("position", ["learned", "sincos", "none"])
@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("representation_size", [None, 8])
def test_every_parameter_learns(pool, position, norm, representation_size):
    options = {"pool": pool, "position": position, "norm": norm, "representation_size": representation_size}
    model = ViT(ViTConfig(**(SMALL | options)))  # as it is when training starts
    F.cross_entropy(model(torch.randn(4, 3, 12, 12)), torch.tensor([0, 1, 2, 3])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
    if position == "learned":
        assert model.position.pos_embed.grad.any(dim=-1).all(), "every position learns, the class token's too"


def test_one_batch_can_be_learned_by_heart():
    model = ViT(ViTConfig(**SMALL))
    images, labels = torch.randn(16, 3, 12, 12), torch.arange(16) % 5
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(120):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.01


# ---------------------------------------------------------------------------------------------- what the config does


def test_the_number_of_parameters_does_not_depend_on_the_heads():
    with torch.device("meta"):
        assert len({count_parameters(ViT(ViTConfig(**(SMALL | {"num_heads": h})))) for h in (1, 2, 4, 8, 16)}) == 1


def test_the_class_token_gets_a_position_too():
    model = small_model()
    assert model.position.pos_embed.shape == (1, 10, 16)
    stages = model.forward_intermediates(small_images())
    assert_same(stages["position"][0, 0], (model.class_token.cls_token + model.position.pos_embed[:, :1])[0, 0])
    assert_same(stages["position"][:, 1:], stages["patch_embed"] + model.position.pos_embed[:, 1:])


def test_mean_pooling_has_no_class_token_and_averages_the_patches():
    model = small_model(pool="mean")
    assert not any("cls_token" in name for name in model.state_dict())
    assert model.position.pos_embed.shape == (1, 9, 16)
    stages = model.forward_intermediates(small_images())
    assert_same(stages["pool"], sum(stages["norm"][:, n] for n in range(9)) / 9)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_sincos_positions_are_fixed_and_leave_the_class_token_alone(pool):
    model = small_model(position="sincos", pool=pool, image_size=(8, 12))
    table = model.position.pos_embed[0]
    assert_same(table[model.num_prefix_tokens :], sincos_2d((2, 3), 16).double())
    assert not table[: model.num_prefix_tokens].any()
    assert "pos_embed" not in model.state_dict()
    assert model(small_images(size=(8, 12))).shape == (2, 5)


def test_post_norm_needs_no_last_norm():
    assert "norm.weight" not in small_model(norm="post").state_dict()
    assert "norm.weight" in small_model(norm="pre").state_dict()


def test_representation_size_adds_a_tanh_layer():
    model = small_model(representation_size=7)
    stages = model.forward_intermediates(small_images())
    weights = model.state_dict()
    expected = (stages["pool"] @ weights["pre_logits.fc.weight"].T + weights["pre_logits.fc.bias"]).tanh()
    assert_same(stages["pre_logits"], expected)
    assert model.head.in_features == 7


@pytest.mark.parametrize("option", ["dropout", "drop_path"])
def test_dropout_is_on_in_training_and_off_in_eval(option):
    plain, model, images = small_model(), small_model(**{option: 0.5}), small_images()
    assert torch.equal(model(images), plain(images))
    model.train()
    assert not torch.equal(model(images), model(images))


def test_the_config_reaches_every_block():
    model = small_model(dropout=0.1, drop_path=0.2, mlp_ratio=2, gelu="tanh", norm="post", qkv_bias=False)
    assert [block.drop_path.rate for block in model.blocks] == pytest.approx([0, 0.1, 0.2])
    for block in model.blocks:
        assert block.mlp.drop.p == block.drop.p == 0.1
        assert block.mlp.fc1.out_features == 32
        assert block.mlp.act.approximate == "tanh"
        assert block.attn.qkv.bias is None
        assert block.attn.num_heads == 4
        assert not block.pre_norm


def test_dropout_after_the_positions_keeps_the_mean():
    model, images = small_model(dropout=0.25), small_images(1)
    expected = model.forward_intermediates(images)["position"]
    model.train()
    dropped = model.forward_intermediates(images.expand(4000, -1, -1, -1))["position"]
    assert 0.24 < (dropped == 0).double().mean().item() < 0.26
    torch.testing.assert_close(dropped.mean(dim=0, keepdim=True), expected, rtol=0, atol=0.2)


@pytest.mark.parametrize("options", [{"pool": "mean"}, {"pool": "mean", "stem": "hybrid", "stem_layers": ()}], ids=str)
def test_each_token_lies_in_one_piece_of_memory_from_the_first_block_on(options):
    """What is computed is what it is in any other layout, dropout after the positions included."""
    model = ViT(ViTConfig(**(SMALL | {"dropout": 0.1} | options)))
    images, layouts, found = torch.randn(2, 3, 12, 12), [], []
    model.blocks[1].register_forward_pre_hook(lambda block, args: layouts.append(args[0].stride()))
    for one_by_one in (False, True):  # the second time each block is called with what the one before it has made
        model.zero_grad()
        torch.manual_seed(0)
        (model.forward_intermediates(images)["logits"] if one_by_one else model(images)).square().sum().backward()
        found.append([parameter.grad for parameter in model.parameters()])
    assert layouts == [(9 * 16, 16, 1), (9 * 16, 1, 9)]
    assert all(map(torch.equal, *found))


@shapes.not_while_checking
def test_a_config_is_frozen_and_can_be_compared():
    config = ViTConfig(image_size=[8, 12])
    assert config.image_size == (8, 12)
    assert config == ViTConfig(image_size=(8, 12))
    assert hash(config) == hash(ViTConfig(image_size=(8, 12)))
    with pytest.raises(AttributeError):
        config.dim = 3


@shapes.not_while_checking
def test_numbers_of_numpy_become_those_of_python():
    config = ViTConfig(np.int64(8), np.int32(4), depth=torch.tensor(2), stem_layers=[np.int64(1)])
    assert config == ViTConfig(8, 4, depth=2, stem_layers=(1,))
    assert json.loads(json.dumps(asdict(config)))["depth"] == 2


def test_a_new_model_is_unsure_of_every_class():
    """Its first loss is near log(classes), as it should be before anything is learned."""
    model = ViT(ViTConfig(**SMALL))
    loss = F.cross_entropy(model(torch.randn(32, 3, 12, 12)), torch.arange(32) % 5)
    assert loss.item() == pytest.approx(torch.tensor(5.0).log().item(), abs=0.05)


# ---------------------------------------------------------------------------------------------- stage by stage


@pytest.mark.parametrize("pool", ["cls", "mean"])
@pytest.mark.parametrize("representation_size", [None, 7])
def test_intermediates_have_the_names_order_and_shapes_of_figure_1(pool, representation_size):
    model = small_model(pool=pool, representation_size=representation_size)
    images = small_images()
    tokens = 10 if pool == "cls" else 9
    expected = {"patches": (2, 9, 48), "patch_embed": (2, 9, 16)}
    if pool == "cls":
        expected["class_token"] = (2, 10, 16)
    for name in ("position", "blocks.0", "blocks.1", "blocks.2", "norm"):
        expected[name] = (2, tokens, 16)
    expected |= {"pool": (2, 16), "pre_logits": (2, representation_size or 16), "logits": (2, 5)}
    stages = model.forward_intermediates(images)
    assert [(name, tuple(stage.shape)) for name, stage in stages.items()] == list(expected.items())
    assert torch.equal(stages["logits"], model(images))
    assert torch.equal(stages["patches"], patchify_by_loops(images, 4))


def test_intermediates_follow_the_equations():
    model = small_model()
    stages = model.forward_intermediates(small_images())
    assert torch.equal(stages["patch_embed"], stages["class_token"][:, 1:])
    for i, before in enumerate(["position", "blocks.0", "blocks.1"]):
        assert torch.equal(model.blocks[i](stages[before]), stages[f"blocks.{i}"])
    assert torch.equal(model.norm(stages["blocks.2"]), stages["norm"])
    assert torch.equal(stages["norm"][:, 0], stages["pool"])
    assert torch.equal(model.classify(stages["norm"]), stages["logits"])


@pytest.mark.parametrize("option", ["dropout", "drop_path"])
def test_intermediates_are_those_of_the_forward_pass_in_training_too(option):
    model, images = small_model(**{option: 0.5}).train(), small_images()
    torch.manual_seed(7)
    logits = model(images)
    torch.manual_seed(7)
    assert torch.equal(model.forward_intermediates(images)["logits"], logits)


# ---------------------------------------------------------------------------------------------- life among other code


@pytest.mark.parametrize("options", [{}, {"image_size": (8, 12)}, {"num_classes": 1}, {"qkv_bias": False}])
def test_state_dict_names_are_timms(options):
    assert sorted(small_model(**options).state_dict()) == sorted(timm_model(**options).state_dict())


def test_state_dict_survives_a_file():
    model, images = small_model(), small_images()
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = small_model(seed=2)
    assert not torch.equal(other(images), model(images))
    assert str(other.load_state_dict(torch.load(file))) == "<All keys matched successfully>"
    assert torch.equal(other(images), model(images))


def test_state_dict_is_strict_and_leaves_its_argument_alone():
    model = small_model()
    weights = model.state_dict()
    names = list(weights)
    small_model(seed=2).load_state_dict(weights)
    assert list(weights) == names
    del weights["cls_token"]
    with pytest.raises(RuntimeError, match="cls_token"):
        model.load_state_dict(weights)


def test_inside_another_module_the_names_get_its_prefix():
    class Pair(nn.Module):
        def __init__(self, seed):
            super().__init__()
            self.before = nn.Linear(2, 2)
            self.student, self.teacher = small_model(seed), small_model(seed + 1, pool="mean")
            self.after = nn.Linear(2, 2)

    pair, other, images = Pair(1), Pair(5), small_images()
    weights = pair.state_dict()
    assert {"student.cls_token", "student.pos_embed", "teacher.pos_embed"} < set(weights)
    assert [name.split(".")[0] for name in (next(iter(weights)), next(reversed(weights)))] == ["before", "after"]
    other.load_state_dict(weights)
    assert torch.equal(other.student(images), pair.student(images))
    assert torch.equal(other.teacher(images), pair.teacher(images))


def test_deepcopy_is_independent():
    model, images = small_model(), small_images()
    logits = model(images)
    twin = copy.deepcopy(model)
    assert torch.equal(twin(images), logits)
    assert list(twin.state_dict()) == list(model.state_dict())
    randomize(twin, seed=9)
    assert torch.equal(model(images), logits)


@pytest.mark.parametrize("position", ["learned", "sincos"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_other_precisions(dtype, position):
    model, images = small_model(position=position), small_images()
    expected = model(images)
    logits = model.to(dtype)(images.to(dtype))
    assert logits.dtype == dtype
    tolerance = 40 * torch.finfo(dtype).eps
    torch.testing.assert_close(logits.double(), expected, rtol=tolerance, atol=tolerance)
    with default_type(dtype):
        built_so = ViT(ViTConfig(**SMALL, position=position))
    assert built_so(images.to(dtype)).dtype == dtype


def test_autocast_works():
    model, images = small_model().float(), small_images().float()
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    torch.testing.assert_close(logits.float(), model(images), rtol=0.1, atol=0.1)


@shapes.not_while_checking
@pytest.mark.parametrize("options", [{}, {"pool": "mean", "position": "sincos", "norm": "post"}])
def test_torch_compile_takes_the_whole_model(options):
    model, images = small_model(**options), small_images()
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    assert_same(compiled(images), model(images))
    stages = torch.compile(model.forward_intermediates, fullgraph=True, backend="eager")(images)
    assert_same(stages["logits"], model(images))


CONFIGS = {
    "ViT": {},
    "mean": {"pool": "mean"},
    "sincos": {"position": "sincos"},
    "no positions": {"position": "none", "gelu": "tanh"},
    "post-norm": {"norm": "post", "representation_size": 7},
    "not square": {"image_size": (8, 20), "in_channels": 1, "qkv_bias": False},
    "fused": {"image_size": 36},  # 82 tokens
    "hybrid": {"image_size": 32, "patch_size": 16, "stem": "hybrid", "stem_layers": (1, 1, 1)},
}


def of_config(options):
    """The model, two images for it and five more."""
    model = small_model(**options)
    size, channels = model.patch_embed.image_size, model.config.in_channels
    return model, small_images(2, size, channels), small_images(5, size, channels)


ANY_BATCH = {"images": {0: torch.export.Dim("batch")}}


@cache
def exported(name):
    """The model of a config, its program for batches of any size, and five images."""
    model, images, more = of_config(CONFIGS[name])
    return model, torch.export.export(model, (images,), dynamic_shapes=ANY_BATCH), more


@shapes.not_while_checking
@pytest.mark.filterwarnings("ignore")  # of torch.jit, which says of each check that it is not part of the trace
@pytest.mark.parametrize("name", CONFIGS)
def test_the_model_can_be_traced_and_exported_for_batches_of_any_size(name):
    model, program, more = exported(name)
    assert_same(torch.jit.trace(model, more[:2])(more), model(more))
    assert_same(program.module()(more), model(more))


@pytest.mark.slow
@shapes.not_while_checking
@pytest.mark.filterwarnings("ignore")  # of the exporter
@pytest.mark.parametrize("name", CONFIGS)
def test_onnx_takes_the_model_for_batches_of_any_size(name):
    """Its numbers are in float64, but for a few such as the epsilon of LayerNorm, which ONNX holds in float32."""
    model, program, more = exported(name)
    assert_same_in_onnx(torch.onnx.export(program, verbose=False), model, more)


@pytest.mark.slow
@shapes.not_while_checking
@pytest.mark.filterwarnings("ignore")  # of the exporter
def test_onnx_takes_the_model_as_it_is():
    model, images, more = (part.float() for part in of_config(CONFIGS["ViT"]))
    assert_same_in_onnx(torch.onnx.export(model, (images,), dynamic_shapes=ANY_BATCH, verbose=False), model, more)


def assert_same_in_onnx(program, model, images):
    onnx = ReferenceEvaluator(program.model_proto)
    (logits,) = onnx.run(None, {onnx.input_names[0]: images.numpy()})
    torch.testing.assert_close(torch.from_numpy(logits), model(images).detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap and the fused kernel
@pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS)
def test_vmap_goes_over_images_and_gives_the_gradient_of_each(options):
    model, _, images = of_config(options)
    assert_same(torch.vmap(lambda image: model(image[None])[0])(images), model(images))
    weights = dict(model.named_parameters())

    def loss(weights, image):
        return torch.func.functional_call(model, weights, image[None]).square().sum()

    each = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(weights, images)
    model(images[3:4]).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert_same(each[name][3], parameter.grad)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap and the fused kernel
@pytest.mark.parametrize("chance", [{"drop_path": 0.5}, {"dropout": 0.3}, {"drop_path": 0.5, "dropout": 0.3}])
def test_vmap_goes_over_models_that_are_trained(chance):
    model, _, images = of_config(CONFIGS["ViT"] | chance)
    model.train()
    stacked = {name: torch.stack([value.detach()] * 8) for name, value in model.named_parameters()}

    def loss(weights):
        return torch.func.functional_call(model, weights, images).square().sum()

    def of_all(randomness):
        torch.manual_seed(0)
        losses = torch.vmap(loss, randomness=randomness)(stacked)
        torch.manual_seed(0)
        return losses, torch.vmap(torch.func.grad(loss), randomness=randomness)(stacked)

    losses, gradients = of_all("different")
    assert len(losses.unique()) == 8  # each draws for itself
    assert all(gradient.isfinite().all() for gradient in gradients.values())
    assert (gradients["head.weight"][0] - gradients["head.weight"][1]).abs().max() > 1e-6
    losses, gradients = of_all("same")
    torch.manual_seed(0)
    expected = model(images).square().sum()
    expected.backward()
    assert_same(losses, expected.detach().expand(8))
    for name, parameter in model.named_parameters():
        assert_same(gradients[name][3], parameter.grad)


@shapes.not_while_checking
@pytest.mark.filterwarnings("ignore")  # torch.jit.script says that it is on its way out
def test_symbolic_tracing_and_scripting_are_not_for_this_model():
    """As the docstring of ViT says."""
    model, images = small_model(), small_images()
    for take in (torch.fx.symbolic_trace, torch.jit.script):
        with pytest.raises((NotImplementedError, RuntimeError, TypeError)):
            take(model)(images)


def test_the_forward_pass_keeps_no_stage_alive():
    """Without gradients a stage is freed as soon as the next one is there; the intermediates stay as long as asked."""
    model, images, alive = small_model(), small_images(), []

    def count(module, args, output):
        made.append(weakref.ref(output))
        alive.append(sum(reference() is not None for reference in made))

    for block in model.blocks:
        block.register_forward_hook(count)
    for method, expected in ((model, [1, 2, 2]), (model.forward_intermediates, [1, 2, 3])):
        made, alive[:] = [], []
        with torch.no_grad():
            method(images)
        assert alive == expected


def test_the_model_can_be_built_without_numbers_and_filled_later():
    expected, images = small_model(), small_images()
    with torch.device("meta"):
        model = ViT(ViTConfig(**SMALL))
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    model.load_state_dict(expected.state_dict(), assign=True)
    assert torch.equal(model.eval()(images), expected(images))


@pytest.fixture
def empty_memory_is_nan():
    """With this PyTorch fills memory that nobody has written to, which otherwise holds anything."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("options", CONFIGS.values(), ids=CONFIGS)
def test_no_buffer_is_left_without_its_numbers(options, empty_memory_is_nan):
    """A state dict does not hold all of them."""
    expected, images, _ = (part.float() for part in of_config(options))
    stay = {name: buffer.clone() for name, buffer in expected.named_buffers()}

    with torch.device("meta"):
        empty = ViT(expected.config)
    assert {tensor.device.type for tensor in (*empty.parameters(), *empty.buffers())} == {"meta"}
    lent = nn.ModuleDict({"inner": copy.deepcopy(empty)})
    models = {
        "to_empty": copy.deepcopy(empty).to_empty(device="cpu"),
        "to_empty of what held numbers": copy.deepcopy(expected).to_empty(device="cpu"),
        "to_empty of what is around it": lent.to_empty(device="cpu")["inner"],
        "assign": copy.deepcopy(empty),
    }
    for name, model in models.items():
        model.load_state_dict(expected.state_dict(), assign=name == "assign")
        assert torch.equal(model.eval()(images), expected(images)), name
        assert {key: value.tolist() for key, value in model.named_buffers()} == {
            key: value.tolist() for key, value in stay.items()
        }


# ---------------------------------------------------------------------------------------------- the learner's own parts


class MyPatchEmbedding(nn.Module):
    def __init__(self, image_size, patch_size, in_channels, dim):
        super().__init__()
        self.patch_size = patch_size
        self.linear = nn.Linear(patch_size * patch_size * in_channels, dim)

    def forward(self, images):
        return self.linear(patchify(images, self.patch_size))


class MyClassToken(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(dim))

    def forward(self, tokens):
        return torch.cat([self.token.expand(len(tokens), 1, -1), tokens], dim=1)


class MyPosition(nn.Module):
    def __init__(self, num_tokens, dim):
        super().__init__()
        self.table = nn.Embedding(num_tokens, dim)

    def forward(self, tokens):
        return tokens + self.table.weight


class MyAttention(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, num_heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class MyMLP(nn.Sequential):
    def __init__(self, dim, hidden_dim):
        super().__init__(nn.Linear(dim, hidden_dim), nn.ReLU(), nn.Linear(hidden_dim, dim))


class MyBlock(nn.Module):
    def __init__(self, dim, num_heads):
        super().__init__()
        self.mix = nn.Linear(dim, dim)

    def forward(self, x):
        return x + self.mix(x.mean(dim=1, keepdim=True))


MINE = {
    "patch_embed": MyPatchEmbedding,
    "class_token": MyClassToken,
    "position": MyPosition,
    "attention": MyAttention,
    "mlp": MyMLP,
    "block": MyBlock,
}
THEIRS = {
    "patch_embed": PatchEmbedding,
    "class_token": ClassToken,
    "position": PositionEmbedding,
    "attention": MultiHeadAttention,
    "mlp": MLP,
    "block": EncoderBlock,
}


@pytest.mark.parametrize(
    "parts",
    [
        *([part] for part in MINE),
        ["patch_embed", "class_token", "position", "attention", "mlp"],
        ["patch_embed", "class_token", "position", "block"],
    ],
    ids=" ".join,
)
def test_parts_can_be_the_learners_own(parts):
    model = ViT(ViTConfig(**SMALL), **{part: MINE[part] for part in parts})
    classes = {type(module) for module in model.modules()}
    for part in parts:
        assert MINE[part] in classes
        assert THEIRS[part] not in classes
    images = torch.randn(4, 3, 12, 12)
    logits = model(images)
    assert logits.shape == (4, 5)
    assert torch.equal(model.forward_intermediates(images)["logits"], logits)
    F.cross_entropy(logits, torch.tensor([0, 1, 2, 3])).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    other = ViT(ViTConfig(**SMALL), **{part: MINE[part] for part in parts})
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(images), logits)


def test_timms_attention_gets_the_bias_that_the_config_asks_for():
    """Its own default is no bias."""
    theirs = timm.models.vision_transformer.Attention
    for qkv_bias in (True, False):
        ours = small_model(qkv_bias=qkv_bias)
        with_theirs = ViT(ours.config, attention=theirs).double().eval()
        assert (with_theirs.blocks[0].attn.qkv.bias is not None) is qkv_bias
        with_theirs.load_state_dict(ours.state_dict())
        images = small_images()
        assert_same(with_theirs(images), ours(images))


@pytest.mark.parametrize(
    ("options", "parts", "error", "message"),
    [
        ({"position": "sincos"}, {"position": MyPosition}, TypeError, "MyPosition cannot take table="),
        ({"qkv_bias": False}, {"attention": MyAttention}, TypeError, "MyAttention cannot take qkv_bias=False"),
        ({"dropout": 0.1}, {"block": MyBlock}, TypeError, "MyBlock cannot take dropout=0.1"),
        ({}, {"block": MyBlock, "mlp": MyMLP}, TypeError, "MyBlock cannot take mlp=<class "),
        ({"position": "none"}, {"position": MyPosition}, ValueError, "position is given, but position='none' asks for"),
        ({"pool": "mean"}, {"class_token": MyClassToken}, ValueError, "class_token is given, but with pool='mean'"),
    ],
)
def test_what_a_part_cannot_do_is_refused(options, parts, error, message):
    with pytest.raises(error, match=exactly(message)):
        ViT(ViTConfig(**(SMALL | options)), **parts)


def test_a_part_that_computes_the_same_changes_nothing():
    """The learner's patch embedding, with the course's weights, in the course's model."""
    model, images = small_model(), small_images()
    expected = model(images)
    mine = MyPatchEmbedding(12, 4, 3, 16).double()
    with torch.no_grad():
        mine.linear.weight.copy_(model.patch_embed.proj.weight.permute(0, 2, 3, 1).flatten(1))
        mine.linear.bias.copy_(model.patch_embed.proj.bias)
    model.patch_embed = mine
    assert_same(model(images), expected)


# ---------------------------------------------------------------------------------------------- wrong input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 30}, "image height 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        ({"image_size": (12, 30)}, "image width 30 is not a multiple of patch_size 4; resize or pad to 28 or 32"),
        ({"patch_size": 0}, "patch_size is 0; it must be 1"),
        ({"num_heads": 5}, "dim 16 does not divide into 5 heads; the nearest number that does is 4"),
        ({"pool": "max"}, "pool is 'max'; it must be one of 'cls', 'mean'"),
        ({"position": "rotary"}, "position is 'rotary'; it must be one of 'learned', 'sincos', 'none'"),
        ({"norm": "rms"}, "norm is 'rms'; it must be one of 'pre', 'post'"),
        ({"patch_size": (4, 2)}, "patch_size is (4, 2); it must be one whole number"),
        ({"patch_size": 4.0}, "patch_size is 4.0; it must be one whole number"),
        ({"patch_size": "4"}, "patch_size is '4'; it must be one whole number"),
        ({"image_size": "12"}, "image_size is '12'; it must be one whole number"),
        ({"image_size": (12, 12.5)}, "a part of image_size is 12.5; it must be one whole number"),
        ({"image_size": (3, 12, 12)}, "the size is (3, 12, 12); give one whole number, or two as (height, width)"),
        ({"dim": "wide"}, "dim is 'wide'; it must be one whole number"),
        ({"depth": None}, "depth is None; it must be one whole number"),
        ({"stem_layers": 3}, "stem_layers is 3; it must be a tuple of whole numbers"),
        ({"stem_layers": (1,)}, "stem_layers is (1,), which stem='patch' has not; use stem='hybrid'"),
        ({"mlp_ratio": "4"}, "mlp_ratio is '4'; it must be a number"),
        ({"drop_path": float("nan")}, "drop_path is nan; it must be a number"),
        ({"qkv_bias": "False"}, "qkv_bias is 'False'; it must be True or False"),
        ({"gelu": "relu"}, "gelu is 'relu'; it must be one of 'exact', 'tanh'"),
        ({"depth": 0}, "depth is 0; it must be 1 or more"),
        ({"dim": 0}, "dim is 0; it must be 1 or more"),
        (
            {"num_classes": 0},
            "num_classes is 0; features without a head are forward_intermediates(images)['pool']",
        ),
        ({"in_channels": 0}, "in_channels is 0; it must be 1 or more"),
        ({"representation_size": 0}, "representation_size is 0; it must be 1 or more"),
        ({"mlp_ratio": 0.01}, "dim * mlp_ratio is 0; it must be 1 or more"),
        ({"drop_path": 1.0}, "drop_path is 1.0; it must be at least 0 and below 1"),
        ({"dropout": 1.5}, "dropout is 1.5; it must be at least 0 and below 1"),
        (
            {"position": "sincos", "dim": 18, "num_heads": 2},
            "dim is 18, but sin and cos of row and column take a multiple of 4 from 8 on",
        ),
    ],
)
def test_configs_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        ViT(ViTConfig(**(SMALL | options)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 0}, "image_size is 0; it must be 1 or more"),
        ({"image_size": (8, 0)}, "a part of image_size is 0; it must be 1 or more"),
        ({"image_size": (8, 8, 8)}, "the size is (8, 8, 8); give one whole number, or two as (height, width)"),
        ({"patch_size": -1}, "patch_size is -1; it must be 1 or more"),
        ({"num_heads": -3}, "num_heads is -3; it must be 1 or more"),
        ({"depth": 0}, "depth is 0; it must be 1 or more"),
        ({"depth": True}, "depth is True; it must be one whole number"),
        ({"num_classes": -1}, "num_classes is -1; it must be 1 or more"),
        ({"stem_layers": (1, -1)}, "a part of stem_layers is -1; it must be 1 or more"),
        ({"mlp_ratio": -1}, "dim * mlp_ratio is -16; it must be 1 or more"),
        ({"dropout": 1}, "dropout is 1; it must be at least 0 and below 1"),
        ({"drop_path": -0.1}, "drop_path is -0.1; it must be at least 0 and below 1"),
    ],
)
def test_a_config_refuses_numbers_out_of_range_itself(options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        ViTConfig(**(SMALL | options))


def test_a_model_is_built_from_a_config():
    for config, words in ((64, "got int"), (SMALL, "got dict, so take ViTConfig(**config)")):
        with pytest.raises(TypeError, match=exactly(f"config must be a ViTConfig; {words}")):
            ViT(config)


@pytest.mark.parametrize("method", ["forward", "forward_intermediates"])
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(3, 12, 12), ValueError, "got rank 3, shape [3, 12, 12]; add the batch axis with images[None]"),
        (torch.zeros(0, 3, 12, 12), ValueError, "the batch is empty: shape [0, 3, 12, 12]; pass at least one image"),
        (torch.zeros(1, 1, 12, 12), ValueError, "images have 1 channels but in_channels is 3"),
        (torch.zeros(1, 3, 16, 12), ValueError, "images are 16x12 but the model was built for 12x12"),
        (torch.zeros(1, 3, 12, 12, dtype=torch.uint8), TypeError, "images are torch.uint8"),
        (torch.zeros(1, 12, 12, 3), ValueError, "with their 3 channels last; a model takes [B, C, H, W]: turn them"),
        (torch.zeros(1, 3, 12, 12).half(), TypeError, "images are torch.float16 and the weights torch.float32"),
        (torch.zeros(1, 3, 12, 12).numpy(), TypeError, "images are a numpy.ndarray; pass a tensor [B, C, H, W]"),
        (torch.full((1, 3, 12, 12), torch.nan), ValueError, "images hold NaN or infinity in 432 of 432 values"),
    ],
)
def test_images_that_cannot_work_are_refused(method, images, error, message):
    model = ViT(ViTConfig(**SMALL))
    with pytest.raises(error, match=exactly(message)):
        getattr(model, method)(images)
