"""The receptive field by gradient: against one derivative after another, and against what can be counted by hand."""

import pytest
import torch
from references import assert_same, exactly, randomize

from vit_tutorial import ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.introspection import receptive_distance, receptive_field


def cnn(**options):
    return randomize(
        CNN(CNNConfig(**({"image_size": 24, "stem": "3x3", "width": 4, "layers": (1, 1)} | options))).double()
    )


def vit(**options):
    shape = {"image_size": (8, 12), "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 2, "num_heads": 4}
    return randomize(ViT(ViTConfig(**(shape | options))).double())


def pictures(count=2, size=(24, 24)):
    return torch.randn(count, 3, *size, dtype=torch.float64)


def box(field):
    """Give the first and the last row and column where a field is not 0."""
    rows, columns = field.sum(dim=1).nonzero(), field.sum(dim=0).nonzero()
    return rows.min().item(), rows.max().item(), columns.min().item(), columns.max().item()


@pytest.mark.parametrize(
    ("stage", "place", "expected"),
    [
        ("stem", (10, 7), (9, 11, 6, 8)),  # one 3x3 convolution: 1 pixel to each side
        ("layer1.0", (10, 7), (7, 13, 4, 10)),  # two more: 3
        ("layer2.0", (5, 6), (4, 16, 6, 18)),  # place 5 is pixel 10; 1 more to each side, and 2 on the coarser grid
        ("layer1.0", (0, 23), (0, 3, 20, 23)),  # cut off at the border
    ],
)
def test_a_cnn_can_see_what_is_counted_by_hand(stage, place, expected):
    field = receptive_field(cnn(), pictures(8), stage, place)
    assert box(field) == expected
    assert field.sum().item() == pytest.approx(1)


def test_the_middle_is_taken_unless_another_place_is_named():
    model, images = cnn(), pictures()
    assert torch.equal(receptive_field(model, images, "stem"), receptive_field(model, images, "stem", (12, 12)))


def test_a_vit_sees_one_patch_before_the_first_block_and_all_after_it():
    model, images = vit(), pictures(size=(8, 12))
    assert box(receptive_field(model, images, "patch_embed", (1, 2))) == (4, 7, 8, 11)
    assert box(receptive_field(model, images, "position", (0, 1))) == (0, 3, 4, 7)
    assert receptive_field(model, images, "blocks.0", (0, 1)).min() > 0


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_with_one_feature_the_field_is_the_gradient_itself(pool):
    """Where only one number of the token is not constant, the random signs change nothing."""
    model, images = vit(pool=pool).eval(), pictures(3, (8, 12))
    block = model.blocks[0]
    with torch.no_grad():
        for layer in (block.mlp.fc2, block.attn.proj):
            layer.weight[1:] = 0
            layer.bias[1:] = 0
        model.patch_embed.proj.weight[1:] = 0
    x = images.clone().requires_grad_()
    token = model.num_prefix_tokens + 4
    out = model.forward_intermediates(x)["blocks.0"][:, token, 0]
    gradient = torch.autograd.grad(out.sum(), x)[0]
    size = gradient.square().sum(dim=1).mean(dim=0).sqrt()
    assert_same(receptive_field(model, images, "blocks.0", (1, 1)), size / size.sum())


def test_the_random_signs_give_the_mean_square_over_the_features():
    model, images = cnn(width=8), pictures(1).repeat(400, 1, 1, 1)  # one picture with 400 draws of the signs
    found = receptive_field(model, images, "layer1.0", (12, 12))
    x = images[:1].clone().requires_grad_()
    features = model.eval().forward_intermediates(x)["layer1.0"][0, :, 12, 12]
    squares = sum(torch.autograd.grad(f, x, retain_graph=True)[0].square().sum(dim=1)[0] for f in features)
    expected = squares.sqrt() / squares.sqrt().sum()
    assert (found - expected).abs().max() < 0.1 * expected.max()


def test_the_model_is_left_as_it_was():
    model, images = cnn().train(), pictures()
    with torch.no_grad():
        receptive_field(model, images, "layer1.0")
    assert model.training
    assert not images.requires_grad
    assert all(parameter.grad is None for parameter in model.parameters())


# ---------------------------------------------------------------------------------------------- distances


def test_the_distance_is_the_mean_over_the_shares():
    field = torch.zeros(8, 12, dtype=torch.float64)
    field[3, 5], field[7, 5], field[3, 11] = 0.5, 0.25, 0.25
    assert receptive_distance(field, (8, 12), (3, 5)) == pytest.approx(0.25 * 4 + 0.25 * 6)
    assert receptive_distance(
        field, (2, 3), (0, 1)
    ) == pytest.approx(  # from the middle of a patch: row 1.5, column 5.5
        0.5 * (1.5**2 + 0.5**2) ** 0.5 + 0.25 * (5.5**2 + 0.5**2) ** 0.5 + 0.25 * (1.5**2 + 5.5**2) ** 0.5
    )


def test_even_attention_reaches_as_far_as_the_picture_lets_it():
    even = torch.full((8, 8), 1 / 64, dtype=torch.float64)
    centre = receptive_distance(even, (8, 8), (4, 4))
    assert centre < receptive_distance(even, (8, 8), (0, 0))
    loops = sum(((r - 4) ** 2 + (c - 4) ** 2) ** 0.5 for r in range(8) for c in range(8)) / 64
    assert centre == pytest.approx(loops)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("layer9.0", "'layer9.0' is no stage with places; they are stem, layer1.0, layer2.0"),
        ("pool", "'pool' is no stage with places; they are stem"),
    ],
)
def test_what_is_no_stage_with_places_is_refused(stage, message):
    with pytest.raises(ValueError, match=exactly(message)):
        receptive_field(cnn(), pictures(), stage)


def test_what_is_no_place_is_refused():
    with pytest.raises(ValueError, match=exactly("place is (24, 0), and the grid has 24 rows and 24 columns")):
        receptive_field(cnn(), pictures(), "stem", (24, 0))
    with pytest.raises(ValueError, match=exactly("place is (0, 24), and the grid has 24 rows and 24 columns")):
        receptive_field(cnn(), pictures(), "stem", (0, 24))
    with pytest.raises(ValueError, match=exactly("place is (0, -1), and the grid has 2 rows and 2 columns")):
        receptive_distance(torch.ones(4, 4), (2, 2), (0, -1))
    with pytest.raises(ValueError, match=exactly("place is 5; give (row, column)")):
        receptive_distance(torch.ones(4, 4), 2, 5)
    with pytest.raises(ValueError, match=exactly("a part of place is 1.5; it must be one whole number")):
        receptive_distance(torch.ones(4, 4), 2, (1.5, 0))
