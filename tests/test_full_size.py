"""The models of the paper at full width: weights of torchvision and timm in, ours out, equal logits in float64.

Depth is cut to two blocks where a whole model would only repeat itself; ViT-B/16 and a hybrid are whole.
"""

import pytest
import timm
import torch
import torchvision
from references import assert_same, randomize, unfilled
from torchvision.models.vision_transformer import interpolate_embeddings

from vit_tutorial import ViT, load_weights

pytestmark = pytest.mark.slow

DEPTH = 2
WIDTHS = {"ViT-B/16": 768, "ViT-B/32": 768, "ViT-L/16": 1024}
TIMMS = {
    "ViT-B/16": "vit_base_patch16_224",
    "ViT-B/32": "vit_base_patch32_224",
    "ViT-L/16": "vit_large_patch16_224",
    "R26+ViT-S/32": "vit_small_r26_s32_224",
    "R50+ViT-L/32": "vit_large_r50_s32_224",
}


def ours_for(weights, name, image_size=224, **options):
    return load_weights(unfilled(lambda: ViT.from_name(name, image_size, **options), torch.float64), weights)


def images(size):
    return torch.randn(1, 3, size, size, dtype=torch.float64)


def torchvisions(name, size, depth):
    width, patch_size = WIDTHS[name], int(name.partition("/")[2])
    heads = width // 64
    sizes = size, patch_size, depth, heads, width, 4 * width
    return unfilled(lambda: torchvision.models.VisionTransformer(*sizes), torch.float64)


def timms(name, dtype=torch.float64, **options):
    return unfilled(lambda: timm.create_model(TIMMS[name], **options), dtype)


@pytest.mark.parametrize("name", WIDTHS)
def test_torchvisions_weights_give_torchvisions_logits(name):
    theirs = randomize(torchvisions(name, 224, DEPTH))
    picture = images(224)
    with torch.no_grad():
        assert_same(ours_for(theirs.state_dict(), name, depth=DEPTH)(picture), theirs(picture))


@pytest.mark.parametrize("name", WIDTHS)
@pytest.mark.parametrize("size", [160, 256])
def test_torchvisions_weights_at_another_resolution(name, size):
    weights = randomize(torchvisions(name, 224, DEPTH)).state_dict()
    theirs = torchvisions(name, size, DEPTH)
    patch_size = theirs.patch_size
    theirs.load_state_dict(interpolate_embeddings(size, patch_size, weights.copy()))
    picture = images(size)
    with torch.no_grad():
        assert_same(ours_for(weights, name, size, depth=DEPTH)(picture), theirs(picture))


@pytest.mark.parametrize("name", TIMMS)
def test_timms_weights_give_timms_logits_and_go_back(name):
    theirs = randomize(timms(name, depth=DEPTH))
    ours = ours_for(theirs.state_dict(), name, depth=DEPTH)
    picture = images(224)
    with torch.no_grad():
        assert_same(ours(picture), theirs(picture))
    back = timms(name, depth=DEPTH)
    back.load_state_dict(ours.state_dict(), strict=True)
    assert all(map(torch.equal, back.state_dict().values(), theirs.state_dict().values()))  # so it computes the same


@pytest.mark.parametrize("name", ["ViT-B/16", "R26+ViT-S/32"])
def test_timms_weights_at_another_resolution(name):
    """In float32, since timm stretches the positions in float32 whatever they are."""
    weights = randomize(timms(name, torch.float32, depth=DEPTH)).state_dict()
    size = 320
    theirs = timms(name, torch.float32, depth=DEPTH, img_size=size)
    theirs.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(weights, theirs))
    ours = load_weights(unfilled(lambda: ViT.from_name(name, size, depth=DEPTH)), weights)
    picture = images(size).float()
    with torch.no_grad():
        assert_same(ours(picture), theirs(picture))


@pytest.mark.parametrize("name", ["ViT-B/16", "R26+ViT-S/32"])
def test_a_whole_model_in_float64(name):
    theirs = randomize(timms(name))
    picture = images(224)
    with torch.no_grad():
        assert_same(ours_for(theirs.state_dict(), name)(picture), theirs(picture))
