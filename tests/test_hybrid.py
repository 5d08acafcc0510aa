"""The hybrid: equal to timm's, stage by stage, and what the paper says of it."""

from functools import partial

import pytest
import timm
import torch
from references import assert_same, exactly, randomize, unfilled
from timm.models.vision_transformer_hybrid import HybridEmbed, _resnetv2
from torch import nn
from torch.nn import functional as F

from vit_tutorial import HybridEmbedding, ViT, ViTConfig, count_parameters, load_model, load_weights, save_model
from vit_tutorial.hybrid import Bottleneck, MaxPool, ResNet, StandardizedConv2d

pytestmark = pytest.mark.slow

SMALL = {"image_size": 32, "dim": 24, "depth": 2, "num_heads": 2, "num_classes": 5, "stem": "hybrid"}


def hybrid(patch_size=4, stem_layers=(), **options):
    model = ViT(ViTConfig(**(SMALL | options), patch_size=patch_size, stem_layers=stem_layers))
    return randomize(model.double()).eval()


def timm_hybrid(config):
    embed = partial(HybridEmbed, backbone=_resnetv2(layers=config.stem_layers))
    theirs = timm.models.VisionTransformer(
        img_size=config.image_size,
        patch_size=config.patch_size // ResNet(config.stem_layers).stride,
        embed_layer=embed,
        embed_dim=config.dim,
        depth=config.depth,
        num_heads=config.num_heads,
        num_classes=config.num_classes,
    )
    return theirs.double().eval()


# ---------------------------------------------------------------------------------------------- the pieces


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (1, 2), (3, 1), (3, 2), (7, 2)])
def test_filters_are_standardised(size, kernel, stride):
    """By hand: each filter minus its mean, over its standard deviation, then an ordinary convolution."""
    conv = StandardizedConv2d(3, 4, kernel, stride).double()
    nn.init.normal_(conv.weight, mean=5.0, std=3.0)
    weight = torch.stack([(w - w.mean()) / w.std(correction=0) for w in conv.weight])
    side = -(-size // stride)
    border = max((side - 1) * stride + kernel - size, 0)
    x = torch.randn(2, 3, size, size, dtype=torch.float64)
    padded = torch.zeros(2, 3, size + border, size + border, dtype=torch.float64)
    padded[:, :, border // 2 : border // 2 + size, border // 2 : border // 2 + size] = x
    torch.testing.assert_close(conv(x), F.conv2d(padded, weight, stride=stride), rtol=1e-8, atol=1e-8)
    assert conv(x).shape == (2, 4, side, side)


def test_shift_and_scale_of_a_filter_change_nothing():
    conv, x = StandardizedConv2d(3, 4, 3).double(), torch.randn(1, 3, 6, 6, dtype=torch.float64)
    before = conv(x)
    with torch.no_grad():
        conv.weight.mul_(7).add_(2)
    torch.testing.assert_close(conv(x), before, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (5, 7)])
def test_pooling_takes_the_largest_and_never_the_border(size):
    x = -1 - torch.rand(1, 1, *size)  # all below 0: a border of zeros would win
    pooled = MaxPool()(x)
    assert pooled.shape[-2:] == tuple(-(-side // 2) for side in size)
    assert (pooled < -1).all()
    assert pooled.max() == x.max()


def test_a_block_adds_its_input():
    block = Bottleneck(128, 128, stride=1)
    nn.init.zeros_(block.norm3.weight)  # the branch is silent
    x = torch.rand(2, 128, 4, 4)
    assert block.downsample is None
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(
    ("layers", "stride", "features"), [((), 4, 64), ((1,), 4, 256), ((1, 1), 8, 512), ((1, 1, 1), 16, 1024)]
)
def test_each_further_stage_halves_the_map(layers, stride, features):
    resnet = ResNet(layers, in_channels=1)
    assert (resnet.stride, resnet.num_features) == (stride, features)
    assert resnet(torch.randn(1, 1, 32, 48)).shape == (1, features, 32 // stride, 48 // stride)


# ---------------------------------------------------------------------------------------------- the whole


@pytest.mark.parametrize(
    ("patch_size", "stem_layers", "image_size"),
    [(4, (), 32), (8, (), 32), (8, (2, 1), (24, 40)), (16, (1, 2, 1), 32), (32, (1, 1, 1, 1), 64)],
)
def test_logits_equal_timm(patch_size, stem_layers, image_size):
    ours = hybrid(patch_size, stem_layers, image_size=image_size)
    theirs = timm_hybrid(ours.config)
    weights = ours.state_dict()
    if not stem_layers:  # timm's backbone is then the stem itself, one name shorter
        weights = {name.replace("backbone.stem.", "backbone."): tensor for name, tensor in weights.items()}
    theirs.load_state_dict(weights, strict=True)
    images = torch.randn(2, 3, *theirs.patch_embed.img_size, dtype=torch.float64)
    assert ours(images).std() > 0.1
    assert_same(ours(images), theirs(images))


@pytest.mark.parametrize(
    ("name", "theirs_name"),
    [
        ("R26+ViT-S/32", "vit_small_r26_s32_224"),
        ("R50+ViT-B/16", "vit_base_r50_s16_224"),
        ("R50+ViT-L/32", "vit_large_r50_s32_224"),
    ],
)
def test_a_named_hybrid_is_timms(name, theirs_name):
    """The encoder is cut down to one block, since it is that of any ViT; weights go from timm to us."""
    theirs = randomize(unfilled(lambda: timm.create_model(theirs_name, depth=1, num_classes=5))).double()
    ours = unfilled(lambda: ViT.from_name(name, num_classes=5, depth=1), torch.float64)
    load_weights(ours, theirs.state_dict())
    assert count_parameters(ours) == count_parameters(theirs)
    images = torch.randn(1, 3, 224, 224, dtype=torch.float64)
    with torch.no_grad():
        assert_same(ours(images), theirs(images))


def test_r50_with_vit_b_16_has_as_many_parameters_as_timms():
    with torch.device("meta"):
        assert count_parameters(ViT.from_name("R50+ViT-B/16")) == count_parameters(
            timm.create_model("vit_base_r50_s16_224", num_classes=1000)
        )


def test_one_by_one_patches_of_the_map_become_tokens():
    model = hybrid(16, (1, 1, 1))
    stages = model.forward_intermediates(torch.randn(2, 3, 32, 32, dtype=torch.float64))
    assert list(stages)[:3] == ["feature_map", "patches", "patch_embed"]
    assert stages["feature_map"].shape == (2, 1024, 2, 2)
    assert stages["patches"].shape == (2, 4, 1024)
    assert_same(stages["patches"], stages["feature_map"].flatten(2).transpose(1, 2))
    weight = model.patch_embed.proj.weight.flatten(1)  # [D, F, 1, 1] -> [D, F]
    assert_same(stages["patch_embed"], stages["patches"] @ weight.T + model.patch_embed.proj.bias)
    assert list(stages)[-1] == "logits"


def test_every_parameter_gets_a_gradient():
    model = hybrid(8, (1, 1)).train()
    model(torch.randn(2, 3, 32, 32, dtype=torch.float64)).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


def test_a_hybrid_is_saved_and_loaded(tmp_path):
    model = hybrid(8, (1, 1)).float()
    again = load_model(save_model(model, tmp_path / "hybrid.safetensors"))
    assert again.config == model.config
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(again(images), model(images))


def test_the_learners_own_stem_goes_before_the_hybrid():
    class Mine(HybridEmbedding):
        def __init__(self, *sizes):
            super().__init__(*sizes, layers=(1,))

    assert isinstance(ViT(ViTConfig(**SMALL, patch_size=4), patch_embed=Mine).patch_embed, Mine)
    with pytest.raises(TypeError, match=exactly("Mine cannot take layers=(2,)")):
        ViT(ViTConfig(**SMALL, patch_size=4, stem_layers=(2,)), patch_embed=Mine)


def test_the_learners_own_stem_gets_the_layers_that_it_takes():
    class Mine(HybridEmbedding):
        def __init__(self, image_size, patch_size, in_channels, dim, layers=()):
            super().__init__(image_size, patch_size, in_channels, dim, layers)

    model = ViT(ViTConfig(**SMALL, patch_size=8, stem_layers=(2, 1)), patch_embed=Mine)
    assert [len(stage.blocks) for stage in model.patch_embed.backbone.stages] == [2, 1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"patch_size": 4, "stem_layers": (1, 1)},
            "patch_size 4 is not a multiple of 8, the stride of a ResNet with layers (stem_layers of a ViTConfig) of "
            "(1, 1); choose patch_size=8, or fewer stages",
        ),
        (
            {"patch_size": 4, "stem_layers": (1, 0)},
            "a part of stem_layers is 0; it must be 1 or more",
        ),
        (
            {"patch_size": 4, "stem_layers": (1, 1, 1, 1, 1)},
            "layers (stem_layers of a ViTConfig) is (1, 1, 1, 1, 1); give at most four",
        ),
        ({"patch_size": 4, "stem": "conv"}, "stem is 'conv'; it must be one of 'patch', 'hybrid'"),
    ],
)
def test_stems_that_cannot_work_are_refused(options, message):
    with pytest.raises(ValueError, match=exactly(message)):
        ViT(ViTConfig(**(SMALL | options)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 0),), "layers (stem_layers of a ViTConfig) is (1, 0); give at most four stages of 1 block or more each"),
        (((1.0,),), "a part of layers is 1.0; it must be one whole number"),
        ((3,), "layers is 3; it must be a tuple of whole numbers"),
        (((1,), -1), "in_channels is -1; it must be 1 or more"),
    ],
)
def test_resnets_that_cannot_work_are_refused(arguments, message):
    with pytest.raises(ValueError, match=exactly(message)):
        ResNet(*arguments)


@pytest.mark.parametrize("name", ["R50+ViT-B/8", "R26+ViT-S/16", "R101+ViT-B/16"])
def test_hybrids_that_nobody_published_are_refused(name):
    with pytest.raises(ValueError, match=exactly(f"{name!r} is no hybrid of the literature; choose one of R26+ViT-")):
        ViT.from_name(name)


def test_images_are_checked_before_the_resnet_sees_them():
    with pytest.raises(ValueError, match=exactly("images have 1 channels but in_channels is 3")):
        hybrid()(torch.zeros(1, 1, 32, 32, dtype=torch.float64))
