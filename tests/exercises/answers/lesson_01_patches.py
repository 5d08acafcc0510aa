"""Lesson 1: right and wrong answers, written as a learner would write them."""

import math

import numpy as np
import torch
from einops import rearrange
from torch import nn
from torch.nn import functional as F

from exercises.answers import Answers

# ------------------------------------------------------------------------------------------------- how many, how long


def shape_by_counting(height, width, patch_size, channels):
    tokens = sum(1 for _ in range(0, height, patch_size) for _ in range(0, width, patch_size))
    return [tokens, patch_size**2 * channels]


def shape_by_division(height, width, patch_size, channels):
    return height * width / patch_size**2, patch_size * patch_size * channels


# -------------------------------------------------------------------------------------------------------- cut it apart


def rows_at(images, p, corners):
    return torch.stack([images[:, :, y : y + p, x : x + p].permute(0, 2, 3, 1).flatten(1) for y, x in corners], dim=1)


def loop_patchify(images, p):
    _, _, height, width = images.shape
    return rows_at(images, p, [(y, x) for y in range(0, height, p) for x in range(0, width, p)])


def unfold_patchify(images, p):
    columns = F.unfold(images, kernel_size=p, stride=p)  # [B, C*P*P, N]
    return columns.unflatten(1, (images.shape[1], p * p)).permute(0, 3, 2, 1).flatten(2)


def einops_patchify(images, p):
    return rearrange(images, "b c (h p) (w q) -> b (h w) (p q c)", p=p, q=p)


def loop_down_the_columns(images, p):
    _, _, height, width = images.shape
    return rows_at(images, p, [(y, x) for x in range(0, width, p) for y in range(0, height, p)])


def loop_and_flatten(images, p):
    _, _, height, width = images.shape
    squares = [images[:, :, y : y + p, x : x + p] for y in range(0, height, p) for x in range(0, width, p)]
    return torch.stack([square.flatten(1) for square in squares], dim=1)


def unfold_only_transposed(images, p):
    return F.unfold(images, p, stride=p).transpose(1, 2)


def unfold_only(images, p):
    return F.unfold(images, p, stride=p)


def split(images, p):
    b, c, height, width = images.shape
    return images.reshape(b, c, height // p, p, width // p, p)


def permute_on_its_side(images, p):
    b, c, height, width = images.shape
    return split(images, p).permute(0, 2, 4, 5, 3, 1).reshape(b, height * width // p**2, p * p * c)


def only_reshape(images, p):
    b, c, height, width = images.shape
    return images.view(b, (height // p) * (width // p), p * p * c)


def unfold_twice_and_reshape(images, p):
    b, c, height, width = images.shape
    return images.unfold(2, p, p).unfold(3, p, p).reshape(b, height * width // p**2, c * p * p)


def split_the_wrong_way(images, p):
    b, c, height, width = images.shape
    axes = images.reshape(b, c, p, height // p, p, width // p)  # [B, C, P, h, P, w]
    return axes.permute(0, 3, 5, 2, 4, 1).reshape(b, -1, p * p * c)


def forget_to_glue_the_grid(images, p):
    return split(images, p).permute(0, 2, 4, 3, 5, 1).flatten(3)


def forget_to_glue_the_patch(images, p):
    return split(images, p).permute(0, 2, 4, 3, 5, 1).flatten(1, 2)


def lose_the_batch(images, p):
    return torch.cat(list(loop_patchify(images, p)))


def into_whole_numbers(images, p):
    b, c, height, width = images.shape
    out = np.zeros((b, height * width // p**2, p * p * c), dtype=int)
    for i in range(out.shape[1]):
        y, x = i // (width // p) * p, i % (width // p) * p
        out[:, i] = images[:, :, y : y + p, x : x + p].permute(0, 2, 3, 1).flatten(1)
    return torch.tensor(out)


def everything_transposed(images, p):
    return loop_patchify(images.transpose(2, 3), p)


def only_red(images, p):
    return loop_patchify(images[:, 0:1], p)


# ---------------------------------------------------------------------------------------------------------- put it back


def loop_unpatchify(rows, p, height, width):
    images = torch.zeros(len(rows), rows.shape[-1] // p**2, height, width)
    for i in range(rows.shape[1]):
        y, x = i // (width // p) * p, i % (width // p) * p
        images[:, :, y : y + p, x : x + p] = rows[:, i].reshape(len(rows), p, p, -1).permute(0, 3, 1, 2)
    return images


def fold_unpatchify(rows, p, height, width):
    columns = rows.unflatten(2, (p * p, -1)).permute(0, 3, 2, 1).flatten(1, 2)  # [B, C*P*P, N]
    return F.fold(columns, (height, width), kernel_size=p, stride=p)


def fold_only(rows, p, height, width):
    return F.fold(rows.transpose(1, 2), (height, width), kernel_size=p, stride=p)


def width_before_height(patches, P, height, width):
    split = patches.reshape(len(patches), width // P, height // P, P, P, -1)
    return split.permute(0, 5, 1, 3, 2, 4).reshape(len(patches), -1, height, width)


def loop_back_down_the_columns(rows, p, height, width):
    images = torch.zeros(len(rows), rows.shape[-1] // p**2, height, width)
    for i in range(rows.shape[1]):
        y, x = i % (height // p) * p, i // (height // p) * p
        images[:, :, y : y + p, x : x + p] = rows[:, i].reshape(len(rows), p, p, -1).permute(0, 3, 1, 2)
    return images


def axes(rows, p, height, width):
    return rows.reshape(len(rows), height // p, width // p, p, p, rows.shape[-1] // p**2)  # [B, h, w, P, P, C]


def back_on_its_side(rows, p, height, width):
    return axes(rows, p, height, width).permute(0, 5, 1, 4, 2, 3).reshape(len(rows), -1, height, width)


def back_by_reshape(rows, p, height, width):
    return rows.reshape(len(rows), rows.shape[-1] // p**2, height, width)


def back_grid_axes_together(rows, p, height, width):
    return axes(rows, p, height, width).permute(0, 5, 1, 2, 3, 4).reshape(len(rows), -1, height, width)


def back_woven(rows, p, height, width):
    return axes(rows, p, height, width).permute(0, 5, 3, 1, 4, 2).reshape(len(rows), -1, height, width)


def back_channels_last(rows, p, height, width):
    return axes(rows, p, height, width).permute(0, 1, 3, 2, 4, 5).reshape(len(rows), height, width, -1)


def back_transposed(rows, p, height, width):
    return loop_unpatchify(rows, p, height, width).transpose(2, 3)


def back_not_glued(rows, p, height, width):
    return axes(rows, p, height, width).permute(0, 5, 1, 3, 2, 4)


def back_in_whole_numbers(rows, p, height, width):
    return loop_unpatchify(rows, p, height, width).long()


# ------------------------------------------------------------------------------------------------------------- embed it


class Convolution(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)

    def forward(self, images):
        return rearrange(self.proj(images), "b d h w -> b (h w) d")


class NoModule:
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size)

    def __call__(self, images):
        return rearrange(self.proj(images), "b d h w -> b (h w) d")


class LinearLayer(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(in_channels * patch_size**2, dim)

    def forward(self, images):
        return self.proj(loop_patchify(images, self.patch_size))


class Matrix(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.patch_size = patch_size
        self.E = nn.Parameter(torch.randn(in_channels * patch_size**2, dim) / math.sqrt(dim))
        self.b = nn.Parameter(torch.zeros(dim))

    def forward(self, images):
        return loop_patchify(images, self.patch_size) @ self.E + self.b


class MatrixWithBatchOfBiases(Matrix):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.b = nn.Parameter(self.b[None, None].detach().clone())


class MatrixWithRowOfBiases(Matrix):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.b = nn.Parameter(self.b[None].detach().clone())


class NoStride(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Conv2d(in_channels, dim, patch_size)


class NoBias(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=patch_size, stride=patch_size, bias=False)


class NoBiasInLinear(LinearLayer):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Linear(in_channels * patch_size**2, dim, bias=False)


class OneByOne(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=1)


class OneByOneWithStride(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Conv2d(in_channels, dim, kernel_size=1, stride=patch_size)


class NoTranspose(Convolution):
    def forward(self, images):
        return self.proj(images).flatten(start_dim=2)


class ReshapedToTokens(Convolution):
    def forward(self, images):
        grid = self.proj(images)
        b, d, h, w = grid.shape
        return grid.reshape(b, h * w, d)


class DownTheColumns(Convolution):
    def forward(self, images):
        return self.proj(images).permute(0, 3, 2, 1).flatten(1, 2)


class NoFlatten(Convolution):
    def forward(self, images):
        return self.proj(images)


class NoFlattenChannelsLast(Convolution):
    def forward(self, images):
        return self.proj(images).permute(0, 2, 3, 1)


class LinearAfterUnfold(LinearLayer):
    def forward(self, images):
        return self.proj(unfold_only_transposed(images, self.patch_size))


class LinearOnItsSide(LinearLayer):
    def forward(self, images):
        return self.proj(permute_on_its_side(images, self.patch_size))


class LinearDownTheColumns(LinearLayer):
    def forward(self, images):
        return self.proj(loop_down_the_columns(images, self.patch_size))


class BiasOnItsOwn(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.kernel = nn.Conv2d(in_channels, dim, patch_size, patch_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, images):
        return self.kernel(images).flatten(2).mT + self.bias


class InARow(nn.Sequential):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(nn.Conv2d(in_channels, dim, patch_size, patch_size), nn.Flatten(2))

    def forward(self, images):
        return super().forward(images).mT


class Frozen(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.proj = nn.Conv2d(in_channels, dim, patch_size, stride=patch_size).requires_grad_(False)


class FrozenBias(Convolution):
    def __init__(self, *sizes):
        super().__init__(*sizes)
        self.proj.bias.requires_grad = False


class WithoutGradients(Convolution):
    @torch.no_grad()
    def forward(self, images):
        return self.proj(images).flatten(2).mT


class Detached(Convolution):
    def forward(self, images):
        return super().forward(images).detach()


class KeepsTheFirstGrid(Convolution):
    grid = None

    def forward(self, images):
        if self.grid is None:
            self.grid = self.proj(images)
        return self.grid.flatten(2).mT


class UnusedLayer(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.linear = nn.Linear(dim, dim)


class TwoLayers(UnusedLayer):
    def forward(self, images):
        return self.linear(super().forward(images))


class NormBehind(Convolution):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.norm = nn.LayerNorm(dim)

    def forward(self, images):
        return self.norm(super().forward(images))


class Int(nn.Module):
    def __int__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, patch_size, patch_size)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


# ----------------------------------------------------------------------------------------------------- let them overlap


def loop_overlapping(images, p, stride):
    ys, xs = (range(0, side - p + 1, stride) for side in images.shape[2:])
    return rows_at(images, p, [(y, x) for y in ys for x in xs])


def unfold_overlapping(images, p, stride):
    columns = F.unfold(images, p, stride=stride)
    return columns.unflatten(1, (images.shape[1], p * p)).permute(0, 3, 2, 1).flatten(2)


def tensor_unfold_overlapping(images, p, stride):
    return images.unfold(2, p, stride).unfold(3, p, stride).permute(0, 2, 3, 4, 5, 1).flatten(1, 2).flatten(2)


def overlapping_without_the_end(images, p, stride):
    ys, xs = (range(0, side - p, stride) for side in images.shape[2:])
    return rows_at(images, p, [(y, x) for y in ys for x in xs])


def overlapping_beyond_the_end(images, p, stride):
    ys, xs = (range(0, side, stride) for side in images.shape[2:])
    return rows_at(images, p, [(y, x) for y in ys for x in xs])


def overlapping_down_the_columns(images, p, stride):
    windows = images.unfold(2, p, stride).unfold(3, p, stride)
    return rearrange(windows, "b c h w p q -> b (w h) (p q c)")


def overlapping_on_its_side(images, p, stride):
    windows = images.unfold(2, p, stride).unfold(3, p, stride)
    return windows.permute(0, 2, 3, 5, 4, 1).flatten(1, 2).flatten(2)


def overlapping_reshaped(images, p, stride):
    windows = images.unfold(2, p, stride).unfold(3, p, stride)
    return windows.reshape(len(images), windows.shape[2] * windows.shape[3], -1)


def overlapping_in_whole_numbers(images, p, stride):
    rows = loop_overlapping(images, p, stride)
    out = torch.zeros(rows.shape, dtype=torch.int)
    out[:] = rows
    return out


# ------------------------------------------------------------------------------------------ to several exercises


def a_list_of_pictures(images, p):
    return list(einops_patchify(images, p))


def lists_of_rows(images, p):
    return [list(rows) for rows in einops_patchify(images, p)]


class BiasOnThePicture(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.stride = patch_size
        self.kernel = nn.Parameter(torch.randn(dim, in_channels, patch_size, patch_size))
        self.bias = nn.Parameter(torch.zeros(dim, 1, 1))

    def forward(self, images):
        return (F.conv2d(images, self.kernel, stride=self.stride) + self.bias).flatten(2).transpose(1, 2)


class MatrixOfABatch(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.patch_size = patch_size
        self.matrix = nn.Parameter(torch.randn(1, patch_size**2 * in_channels, dim))
        self.bias = nn.Parameter(torch.zeros(1, 1, dim))

    def forward(self, images):
        return einops_patchify(images, self.patch_size) @ self.matrix + self.bias


class Lazy(nn.Module):
    def __init__(self, image_size, patch_size, in_channels=3, dim=768):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.LazyLinear(dim)

    def forward(self, images):
        return self.proj(einops_patchify(images, self.patch_size))


class ListOfTokens(Convolution):
    def forward(self, images):
        return list(super().forward(images))


ANSWERS = {
    "sequence_shape": Answers(
        right=[shape_by_counting, shape_by_division],
        wrong=[
            (lambda h, w, p, c: (h * w // p**2, p**2), "you left out the channels"),
            (lambda h, w, p, c: (h * w // (p * p), p * c), "you counted one row of the patch"),
            (lambda h, w, p, c: (c * p * p, h * w // (p * p)), "the two answers are swapped"),
            (lambda h, w, p, c: (h * w // p, p * p * c), "you divided the number of pixels by P"),
            (lambda h, w, p, c: ((h // p) ** 2, p * p * c), "you used the height alone"),
            (lambda h, w, p, c: ((w // p) ** 2, p * p * c), "you used the width alone"),
            (lambda h, w, p, c: (h // p + w // p, p * p * c), "you added the sides"),
            (lambda h, w, p, c: (h // p * (w // p) + 1, p * p * c), "that is one token too many"),
            (lambda h, w, p, c: (h // p * (w // p) * c, p * p), "you made a token of each channel"),
            (lambda h, w, p, c: (h * w * c // p**2, p * p * c), "you counted each channel"),
            (lambda h, w, p, c: (h / p, w / p), "you returned the grid"),
            (lambda *sizes: (x for x in shape_by_counting(*sizes)), "you returned a generator: round brackets with"),
            (lambda *sizes: map(int, shape_by_counting(*sizes)), "what `map` gives is no list yet: put list(…)"),
            (
                lambda *sizes: reversed([sizes[2] ** 2 * sizes[3], shape_by_counting(*sizes)[0]]),
                "what `reversed` gives is no list yet: put",
            ),
        ],
    ),
    "patchify": Answers(
        right=[a_list_of_pictures, lists_of_rows, loop_patchify, unfold_patchify, einops_patchify],
        wrong=[
            (loop_down_the_columns, "the patches come column by column"),
            (loop_and_flatten, "you flattened channels before pixels"),
            (unfold_only_transposed, "you flattened channels before pixels"),
            (unfold_only, "the matrix lies on its side, as"),
            (lambda images, p: loop_patchify(images, p).transpose(1, 2), "the matrix lies on its side. Rows"),
            (permute_on_its_side, "each patch is turned on its side"),
            (only_reshape, "you reshaped without moving anything"),
            (unfold_twice_and_reshape, "right for grey pictures"),
            (split_the_wrong_way, "each patch holds pixels from all over"),
            (everything_transposed, "everything is transposed"),
            (forget_to_glue_the_grid, "the grid still has two axes"),
            (forget_to_glue_the_patch, "each patch is still a square"),
            (lose_the_batch, "the patches of all images are in one long list"),
            (only_red, "only the first channel is there"),
            (into_whole_numbers, "all is cut off behind the point"),
        ],
    ),
    "unpatchify": Answers(
        right=[loop_unpatchify, fold_unpatchify],
        wrong=[
            (loop_back_down_the_columns, "you laid the patches down column by column"),
            (width_before_height, "you split N into w rows of h patches."),
            (fold_only, "you split each row into (C, P, P)"),
            (back_on_its_side, "each patch came back on its side"),
            (back_by_reshape, "you reshaped without moving anything"),
            (back_grid_axes_together, "the pixels of each patch still follow each other"),
            (back_woven, "the patches are woven into each other"),
            (back_channels_last, "the channels are last"),
            (back_transposed, "rows and columns are swapped"),
            (back_not_glued, "the axes are in the right order"),
            (back_in_whole_numbers, "all is cut off behind the point"),
        ],
    ),
    "patch_embedding": Answers(
        right=[
            BiasOnThePicture,
            MatrixOfABatch,
            *(Convolution, LinearLayer, Matrix, MatrixWithBatchOfBiases, MatrixWithRowOfBiases),
            *(BiasOnItsOwn, InARow),
        ],
        wrong=[
            (NoModule, "your class is no nn.Module, so a model does not see what it holds"),
            (Lazy, "nn.LazyLinear has no numbers before it is called"),
            (ListOfTokens, "your forward returns a list"),
            (NoStride, "you forgot the stride"),
            (OneByOne, "your kernel is 1×1. It never sees a patch"),
            (OneByOneWithStride, "your kernel is 1×1 with stride P"),
            (NoBias, "there is no bias"),
            (NoBiasInLinear, "there is no bias"),
            (NoTranspose, "N and D are swapped"),
            (ReshapedToTokens, "you reshaped [B, D, h, w] to [B, N, D]"),
            (DownTheColumns, "the patches come column by column"),
            (LinearDownTheColumns, "the patches come column by column"),
            (NoFlatten, "the tokens still lie on the grid, [B, D, h, w]"),
            (NoFlattenChannelsLast, "the tokens still lie on the grid, [B, h, w, D]"),
            (LinearAfterUnfold, "the rows that your linear layer reads are flattened in another order: channels"),
            (LinearOnItsSide, "the rows that your linear layer reads are flattened in another order: columns"),
            *((each, "no gradient arrives at your parameters") for each in (Frozen, WithoutGradients, Detached)),
            (FrozenBias, "no gradient arrives at `proj.bias`, so it never learns. Leave out requires_grad=False."),
            (KeepsTheFirstGrid, "called a second time, with another batch"),
            *((each, "there is more to learn than one layer has: `proj`") for each in (UnusedLayer, TwoLayers)),
            (NormBehind, "there is more to learn than one layer has: `proj`, and `norm` besides."),
            (Int, "your class has `__int__` in place of `__init__`."),
        ],
    ),
    "overlapping_patches": Answers(
        right=[loop_overlapping, unfold_overlapping, tensor_unfold_overlapping],
        wrong=[
            (lambda images, p, stride: unfold_overlapping(images, p, p), "your squares do not overlap"),
            (lambda images, p, stride: unfold_overlapping(images, p, 1), "you moved on by one pixel"),
            (lambda images, p, stride: unfold_overlapping(images, stride, stride), "your squares have the side"),
            (lambda images, p, stride: unfold_overlapping(images, stride, p), "patch size and stride are swapped"),
            (overlapping_without_the_end, "the last square of each row"),
            (overlapping_beyond_the_end, "your last squares stick out"),
            (overlapping_down_the_columns, "the patches come column by column"),
            (lambda images, p, stride: F.unfold(images, p, stride=stride).mT, "you flattened channels before pixels"),
            (overlapping_on_its_side, "each patch is turned on its side"),
            (overlapping_reshaped, "right for grey pictures"),
            (lambda images, p, stride: F.unfold(images, p, stride=stride), "the matrix lies on its side, as"),
            (lambda images, p, stride: loop_overlapping(images, p, stride).mT, "the matrix lies on its side. Rows"),
            (overlapping_in_whole_numbers, "all is cut off behind the point"),
        ],
    ),
}
