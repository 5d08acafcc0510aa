"""Moved and scrambled pictures: each against loops, and what is exact about them for a ViT and a CNN."""

import pytest
import torch
from references import assert_same, exactly, randomize

from vit_tutorial import ModelCard, ViT, ViTConfig
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.inductive_bias import permute_patches, permute_pixels, permute_positions, shift_test, shifted

SHAPE = {"image_size": (8, 12), "patch_size": 4, "num_classes": 5, "dim": 16, "depth": 2, "num_heads": 4}


def vit(**options):
    return randomize(ViT(ViTConfig(**(SHAPE | options))).double()).eval()


def pictures(count=3):
    return torch.randn(count, 3, 8, 12, dtype=torch.float64)


# ---------------------------------------------------------------------------------------------- moved pictures


@pytest.mark.parametrize("border", ["zeros", "circular"])
@pytest.mark.parametrize(("rows", "columns"), [(0, 0), (1, 0), (-2, 0), (0, 3), (2, -5), (-8, 12), (9, 0), (0, -30)])
def test_each_pixel_goes_where_it_should(border, rows, columns):
    images = torch.arange(2 * 3 * 8 * 12).view(2, 3, 8, 12) + 1
    before = images.clone()
    moved = shifted(images, rows, columns, border)
    for row in range(8):
        for column in range(12):
            r, c = row - rows, column - columns
            inside = 0 <= r < 8 and 0 <= c < 12
            expected = images[:, :, r % 8, c % 12] if inside or border == "circular" else torch.zeros(2, 3)
            assert torch.equal(moved[:, :, row, column], expected.to(images)), (row, column)
    assert torch.equal(images, before)
    assert torch.equal(shifted(images[0], rows, columns, border), moved[0])


def test_another_border_is_refused():
    with pytest.raises(ValueError, match="border is 'mirror'; it must be 'zeros' or 'circular'"):
        shifted(pictures(), 1, 1, "mirror")


class Position(torch.nn.Module):
    """Names the column, of 12, in which the only bright pixel of a picture is."""

    card = ModelCard(mean=(0.0,), std=(1.0,))

    def forward(self, images):
        return images.amax(dim=(1, 2))


def test_the_shift_test_counts_right_answers_and_those_that_stayed():
    """Left and right change the column of the bright pixel, up and down do not, until it is moved out."""
    images = torch.zeros(4, 1, 8, 12, dtype=torch.uint8)
    labels = torch.tensor([2, 2, 7, 7])
    images[range(4), 0, 4, torch.tensor([2, 2, 7, 9])] = 255  # of the last, the answer is wrong
    model = Position().train()
    rows = shift_test(model, images, labels, pixels=(0, 1, 2, 5), border="circular")
    assert [tuple(row) for row in rows[:2]] == [(0, 0.75, 1.0), (1, 0.375, 0.5)]
    assert rows[2] == (2, (3 + 3 + 1 + 0) / 16, 0.5)  # 9 moved to the left by 2 is 7
    assert rows[3] == (5, 6 / 16, 0.5)  # round the border nothing is lost
    assert shift_test(model, images, labels, (5,), "zeros")[0].agreement < 0.5
    assert model.training


def test_a_cnn_that_ends_in_a_mean_does_not_notice_whole_strides_and_a_vit_does():
    images = torch.randint(0, 256, (64, 1, 8, 8), dtype=torch.uint8) * (torch.rand(64, 1, 8, 8) < 0.2)
    labels, shape = torch.zeros(64, dtype=torch.long), {"image_size": 8, "in_channels": 1, "num_classes": 5}
    network = randomize(CNN(CNNConfig(**shape, stem="3x3", width=8, layers=(1, 1), padding="circular")))
    model = randomize(ViT(ViTConfig(**shape, patch_size=4, dim=16, depth=2, num_heads=4)))
    network.card = model.card = ModelCard(mean=(0.1,), std=(0.1,))
    for contestant, head in ((network.eval(), network.fc), (model.eval(), model.head)):
        with torch.no_grad():  # so that not all pictures get the same answer
            head.bias -= contestant(contestant.card.normalize(images)).mean(dim=0)
    agreements = [row.agreement for row in shift_test(network, images, labels, (0, 1, 2, 4), "circular")]
    assert agreements[0] == agreements[2] == agreements[3] == 1.0  # the strides make 2
    assert agreements[1] < 1.0
    assert shift_test(model, images, labels, (4,), "circular")[0].agreement < 1.0


@pytest.mark.parametrize("card", [None, ModelCard(("a", "b", "c", "d", "e"))])
def test_a_model_without_mean_and_std_is_refused(card):
    model = vit()
    model.card = card
    with pytest.raises(ValueError, match="the model has no card with mean and std; train it with fit"):
        shift_test(model, torch.zeros(1, 3, 8, 12, dtype=torch.uint8), torch.zeros(1, dtype=torch.long), (1,))


@pytest.mark.parametrize(
    ("images", "labels", "error", "message"),
    [
        (lambda x: x / 255, lambda y: y, ValueError, "images are torch.float32; pass pixels as they are, uint8 from 0"),
        (lambda x: x.long(), lambda y: y, ValueError, "images are torch.int64; pass pixels as they are, uint8 from 0"),
        (lambda x: x, lambda y: y[:1], ValueError, "labels have shape [1] for 4 images; pass one number for each"),
        (lambda x: x, lambda y: y[:, None], ValueError, "labels have shape [4, 1] for 4 images; pass one number for"),
        (lambda x: x, lambda y: y.float(), TypeError, "labels are torch.float32; pass torch.int64, labels.long()"),
        (lambda x: x, lambda y: y + 9, ValueError, "labels go from 11 to 16, and a model of 12 classes takes 0 to 11"),
        (lambda x: x[:0], lambda y: y[:0], ValueError, "there are 0 images; give 1 or more"),
    ],
)
def test_pictures_are_bytes_and_each_has_its_label(images, labels, error, message):
    model, pictures, right = Position(), torch.zeros(4, 1, 8, 12, dtype=torch.uint8), torch.tensor([2, 2, 7, 7])
    with pytest.raises(error, match=exactly(message)):
        shift_test(model, images(pictures), labels(right), (1,))


def test_a_module_without_a_place_for_a_card_is_refused():
    with pytest.raises(ValueError, match="the model has no card with mean and std"):
        shift_test(torch.nn.Flatten(), torch.zeros(1, 3, 8, 12, dtype=torch.uint8), torch.zeros(1).long(), (1,))


# ---------------------------------------------------------------------------------------------- scrambled pictures


def test_patches_are_put_in_order():
    images, order = pictures(), torch.tensor([5, 0, 3, 1, 2, 4])
    scrambled = permute_patches(images, order, 4)
    for new, old in enumerate(order.tolist()):
        (row, column), (from_row, from_column) = divmod(new, 3), divmod(old, 3)
        there = scrambled[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        assert torch.equal(there, images[:, :, 4 * from_row : 4 * from_row + 4, 4 * from_column : 4 * from_column + 4])
    assert torch.equal(permute_patches(scrambled, order.argsort(), 4), images)


def test_pixels_are_put_in_order():
    images, order = pictures(), torch.randperm(96)
    scrambled = permute_pixels(images, order)
    for new, old in enumerate(order.tolist()):
        assert torch.equal(scrambled[..., new // 12, new % 12], images[..., old // 12, old % 12])
    assert torch.equal(permute_pixels(scrambled, order.argsort()), images)


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_to_permute_patches_is_to_permute_rows_of_the_positions(pool):
    model, images, order = vit(pool=pool), pictures(), torch.tensor([5, 0, 3, 1, 2, 4])
    twin = permute_positions(model, order)
    assert_same(twin(images), model(permute_patches(images, order, 4)))
    assert (twin(images) - model(images)).abs().max() > 1e-3
    rows, prefix = model.position.pos_embed[0], model.num_prefix_tokens
    assert torch.equal(twin.position.pos_embed[0, prefix:][order], rows[prefix:])  # the very rows, in another order
    assert torch.equal(twin.position.pos_embed[0, :prefix], rows[:prefix])
    others = {name: x for name, x in twin.state_dict().items() if name != "pos_embed"}
    assert all(torch.equal(x, model.state_dict()[name]) for name, x in others.items())


def test_without_positions_the_order_of_patches_is_not_seen_at_all():
    model, images, order = vit(position="none"), pictures(), torch.randperm(6)
    assert_same(model(permute_patches(images, order, 4)), model(images))


def test_no_order_of_positions_undoes_what_happens_within_a_patch():
    """Pixels that stay in their patches are another matter: they permute the columns of the projection."""
    model, images = vit(), pictures()
    within = torch.randperm(16)
    order = torch.arange(96).view(8, 12)
    for row in (0, 4):
        for column in (0, 4, 8):
            patch = order[row : row + 4, column : column + 4]
            patch.copy_(patch.reshape(-1)[within].view(4, 4))
    scrambled = permute_pixels(images, order.flatten())
    assert (model(scrambled) - model(images)).abs().max() > 1e-3
    weight = model.patch_embed.proj.weight  # [D, C, P, P]
    with torch.no_grad():
        weight.copy_(weight.flatten(2)[:, :, within].view_as(weight))
    assert_same(model(scrambled), vit()(images))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: permute_patches(pictures(), torch.arange(5), 4), "5 numbers for 6 patches; give each of 0 to 5 once"),
        (lambda: permute_pixels(pictures(), torch.zeros(96).long()), "96 numbers for 96 pixels; give each of 0 to 95 "),
        (lambda: permute_pixels(pictures()[0], torch.arange(12)), "images must have rank 4 [B, C, H, W]; got rank 3"),
        (lambda: permute_positions(vit(), torch.arange(7)), "7 numbers for 6 patches; give each of 0 to 5 once"),
        (lambda: permute_positions(vit(position="sincos"), torch.arange(6)), "the model has stem 'patch' and position"),
    ],
)
def test_what_is_no_order_is_refused(call, message):
    with pytest.raises(ValueError, match=exactly(message)):
        call()


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ([5, 0, 3, 1, 2, 4], "a list"),
        (range(6), "a range"),
        (torch.arange(6.0), "torch.float32"),
        (torch.arange(6, dtype=torch.uint8), "torch.uint8"),
        (torch.arange(6) > 2, "torch.bool"),
        (torch.arange(6) * 1j, "torch.complex64"),
    ],
)
def test_an_order_is_a_tensor_of_whole_numbers(order, kind):
    message = f"the order is {kind}; give whole numbers, torch.as_tensor(order).long()"
    for call in (
        lambda: permute_patches(pictures(), order, 4),
        lambda: permute_pixels(pictures(), order),
        lambda: permute_positions(vit(), order),
    ):
        with pytest.raises(TypeError, match=exactly(message)):
            call()


def test_positions_are_permuted_in_a_vit_only():
    with pytest.raises(TypeError, match=exactly("model must be a ViT; got CNN")):
        permute_positions(CNN(CNNConfig(8, layers=(1,), width=8)), torch.arange(4))
