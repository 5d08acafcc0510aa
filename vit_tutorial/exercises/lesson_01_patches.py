"""Lesson 1: cut images into patches, put them back, and turn them into tokens."""

from collections.abc import Callable

import torch
from einops import rearrange
from torch import Tensor, nn

from vit_tutorial import patches
from vit_tutorial.exercises.builders import FORGOT_MODULE, changed, fitted, misfit_of, numbered, uneven
from vit_tutorial.exercises.difference import Hints, Moved, Said
from vit_tutorial.exercises.engine import Exercise, Mistake
from vit_tutorial.exercises.properties import forgets, learns

LESSON = "01_patches"
__all__ = ["overlapping_patches", "patch_embedding", "patchify", "sequence_shape", "unpatchify"]


def _small_integers(*shape: int) -> Tensor:
    """Numbers from -4 to 4 that look random: sums of their products are exact in any order."""
    return (numbered(*shape) * 7 + 3) % 31 % 9 - 4


# ------------------------------------------------------------------------------------------------- how many, how long


def _shape(num_tokens: Callable, numbers: Callable = lambda p, c: p * p * c) -> Callable:
    return lambda height, width, p, c: (num_tokens(height, width, p), numbers(p, c))


def _grid(height: int, width: int, p: int) -> int:
    return (height // p) * (width // p)


sequence_shape = Exercise(
    name="sequence_shape",
    lesson=LESSON,
    difficulty=1,
    minutes=3,
    solution=_shape(_grid),
    inputs=[(4, 4, 2, 1), (4, 6, 2, 3), (28, 28, 7, 1), (48, 96, 8, 3), (32, 32, 4, 3), (224, 224, 16, 3)],
    hints=Hints(
        inputs="height width P channels",
        sizes=lambda height, width, p, channels: {"H/P": height // p, "W/P": width // p},
    ),
    mistakes=[
        Mistake(
            _shape(_grid, lambda p, c: p * p),
            "you left out the channels. A patch of a colour picture has three numbers for each pixel: P·P·C.",
        ),
        Mistake(
            _shape(_grid, lambda p, c: p * c),
            "you counted one row of the patch. It has P rows of P pixels: P·P·C numbers.",
        ),
        Mistake(
            lambda height, width, p, c: (p * p * c, _grid(height, width, p)),
            "the two answers are swapped. The number of patches comes first, then the numbers in each.",
        ),
        Mistake(
            _shape(lambda height, width, p: height * width // p),
            "you divided the number of pixels by P. A patch has P·P pixels: divide by P twice.",
        ),
        Mistake(
            _shape(lambda height, width, p: (height // p) ** 2),
            "you used the height alone. The picture may be no square: it has H/P rows of W/P patches.",
        ),
        Mistake(
            _shape(lambda height, width, p: (width // p) ** 2),
            "you used the width alone. The picture may be no square: it has H/P rows of W/P patches.",
        ),
        Mistake(
            _shape(lambda height, width, p: height // p + width // p),
            "you added the sides of the grid. H/P rows of W/P patches are H/P times W/P patches.",
        ),
        Mistake(
            _shape(lambda height, width, p: _grid(height, width, p) + 1),
            "that is one token too many. The class token comes in lesson 2, and is no patch.",
        ),
        Mistake(
            lambda height, width, p, c: (_grid(height, width, p) * c, p * p),
            "you made a token of each channel. A patch keeps its channels: they make tokens longer, not more of them.",
        ),
        Mistake(
            lambda height, width, p, c: (_grid(height, width, p) * c, p * p * c),
            "you counted each channel as a token of its own. They make tokens longer, not more of them.",
        ),
        Mistake(
            lambda height, width, p, c: (height // p, width // p),
            "you returned the grid, its rows and columns. Wanted are the tokens, rows times columns, and their length.",
        ),
    ],
    done="You can say the shape of the sequence before you cut.",
)


# -------------------------------------------------------------------------------------------------------- cut it apart


def _cut(pattern: str) -> Callable:
    return lambda images, p: rearrange(images, pattern, p1=p, p2=p)


def _windows_reshaped(images: Tensor, p: int, stride: int | None = None) -> Tensor:
    """Glue the axes [B, C, h, w, P, P] together while the channels still stand in front of the grid."""
    windows = images.unfold(2, p, stride or p).unfold(3, p, stride or p)
    return windows.reshape(len(images), windows.shape[2] * windows.shape[3], -1)


def _sizes(images: Tensor, p: int, stride: int | None = None) -> dict[str, int]:
    _, channels, height, width = images.shape
    return {"C": channels, "H": height, "W": width, "P": p, "N": (height // p) * (width // p)}


COLUMN_BY_COLUMN = (
    "the patches come column by column. Reading order is row by row: your h and w are swapped in the grid."
)
CHANNELS_FIRST = "you flattened channels before pixels. Within a patch the order is (row, column, channel)."
ON_ITS_SIDE = "each patch is turned on its side: inside the patch, rows come before columns."
CHANNELS_IN_FRONT = (
    "right for grey pictures, mixed up for coloured ones: the channel axis stood in front of the grid when you "
    "reshaped. Move it to the end first."
)
ON_ITS_SIDE_AS_UNFOLD = (
    "the matrix lies on its side, as `F.unfold` returns it: transpose it to [B, N, P·P·C]. And inside a patch its "
    "channels come before pixels: the order is (row, column, channel)."
)
MATRIX_ON_ITS_SIDE = "the matrix lies on its side. Rows are patches, columns are their numbers: [B, N, P·P·C]."

patchify = Exercise(
    name="patchify",
    lesson=LESSON,
    difficulty=2,
    minutes=10,
    solution=patches.patchify,
    hints=Hints(
        inputs="images P",
        axes="B N P·P·C",
        sizes=_sizes,
        moved=Moved(
            names=("B", "h", "w", "row in the patch", "column in the patch", "C"),
            lengths=lambda images, p: (len(images), images.shape[2] // p, images.shape[3] // p, p, p, images.shape[1]),
        ),
    ),
    inputs=[
        (numbered(1, 1, 4, 4), 2),
        (numbered(2, 3, 4, 4), 2),
        (numbered(2, 3, 4, 6), 2),
        (numbered(1, 1, 6, 3), 3),
        (numbered(1, 3, 4, 4), 1),
        (numbered(3, 2, 8, 12), 4),
        (uneven(2, 3, 6, 8), 2),
    ],
    mistakes=[
        Mistake(_cut("b c (h p1) (w p2) -> b (w h) (p1 p2 c)"), COLUMN_BY_COLUMN),
        Mistake(_cut("b c (h p1) (w p2) -> b (h w) (c p1 p2)"), CHANNELS_FIRST),
        Mistake(_cut("b c (h p1) (w p2) -> b (h w) (p2 p1 c)"), ON_ITS_SIDE),
        Mistake(
            lambda images, p: images.reshape(len(images), -1, p * p * images.shape[1]),
            "you reshaped without moving anything. A patch's pixels do not lie side by side in memory: "
            "split H and W first, then permute, then reshape.",
        ),
        Mistake(_windows_reshaped, CHANNELS_IN_FRONT),
        Mistake(
            _cut("b c (p1 h) (p2 w) -> b (h w) (p1 p2 c)"),
            "each patch holds pixels from all over the image. Split H into (h, P): the grid index h comes first.",
        ),
        Mistake(
            _cut("b c (h p1) (w p2) -> b (w h) (p2 p1 c)"),
            "everything is transposed, the grid and each patch: your picture has its rows where columns should be.",
        ),
        Mistake(_cut("b c (h p1) (w p2) -> b (p1 p2 c) (h w)"), MATRIX_ON_ITS_SIDE),
        Mistake(_cut("b c (h p1) (w p2) -> b (c p1 p2) (h w)"), ON_ITS_SIDE_AS_UNFOLD),
        Mistake(
            _cut("b c (h p1) (w p2) -> b h w (p1 p2 c)"),
            "the grid still has two axes. A sequence has one: glue h and w into N.",
        ),
        Mistake(
            _cut("b c (h p1) (w p2) -> b (h w) p1 p2 c"),
            "each patch is still a square. Glue its three axes P, P, C into one row of P·P·C numbers.",
        ),
        Mistake(
            _cut("b c (h p1) (w p2) -> (b h w) (p1 p2 c)"),
            "the patches of all images are in one long list. Keep the batch axis: [B, N, P·P·C].",
        ),
        Mistake(
            lambda images, p: patches.patchify(images[:, :1], p),
            "only the first channel is there. A patch holds all of them: P·P·C numbers.",
        ),
    ],
    done="Your patches are in reading order, with channels last inside each patch.",
)


# ---------------------------------------------------------------------------------------------------- put it back


def _put_back(pattern: str) -> Callable:
    def answer(rows: Tensor, p: int, height: int, width: int) -> Tensor:
        return rearrange(rows, pattern, h=height // p, w=width // p, p1=p, p2=p)

    return answer


def _reshaped_back(pattern: str) -> Callable:
    """Move the axes of the grid as the pattern says, and glue them together by a reshape."""

    def answer(rows: Tensor, p: int, height: int, width: int) -> Tensor:
        return rearrange(rows, pattern, h=height // p, p1=p, p2=p).reshape(len(rows), -1, height, width)

    return answer


def _cut_up(*shape: int, p: int) -> tuple[Tensor, int, int, int]:
    return patches.patchify(numbered(*shape), p), p, *shape[2:]


unpatchify = Exercise(
    name="unpatchify",
    lesson=LESSON,
    difficulty=3,
    minutes=8,
    solution=lambda rows, p, height, width: patches.unpatchify(
        rows, (height, width), channels=rows.shape[-1] // (p * p)
    ),
    inputs=[
        _cut_up(1, 1, 4, 4, p=2),
        _cut_up(2, 3, 4, 4, p=2),
        _cut_up(2, 3, 4, 6, p=2),
        _cut_up(1, 1, 6, 3, p=3),
        _cut_up(1, 3, 4, 4, p=1),
        _cut_up(3, 2, 8, 12, p=4),
        (patches.patchify(uneven(2, 3, 6, 8), 2), 2, 6, 8),
    ],
    hints=Hints(
        inputs="patches P height width",
        axes="B C H W",
        moved=Moved(
            names=("B", "C", "h", "row in the patch", "w", "column in the patch"),
            lengths=lambda rows, p, height, width: (len(rows), rows.shape[-1] // p**2, height // p, p, width // p, p),
        ),
    ),
    mistakes=[
        Mistake(
            _put_back("b (w h) (p1 p2 c) -> b c (h p1) (w p2)"),
            "you laid the patches down column by column. N is h rows of w patches: split it into (h, w).",
        ),
        Mistake(
            _reshaped_back("b (w h) (p1 p2 c) -> b c w p1 h p2"),
            "you split N into w rows of h patches. It is h rows of w patches: height // P comes first.",
        ),
        Mistake(
            _put_back("b (h w) (c p1 p2) -> b c (h p1) (w p2)"),
            "you split each row into (C, P, P). Its order is (row, column, channel): split it into (P, P, C).",
        ),
        Mistake(
            _put_back("b (h w) (p2 p1 c) -> b c (h p1) (w p2)"),
            "each patch came back on its side: of the two axes P, P the first is the row in the patch.",
        ),
        Mistake(
            lambda rows, p, height, width: rows.reshape(len(rows), -1, height, width),
            "you reshaped without moving anything. Split N into (h, w) and each row into (P, P, C), then permute, "
            "then reshape.",
        ),
        Mistake(
            _reshaped_back("b (h w) (p1 p2 c) -> b c h w p1 p2"),
            "the pixels of each patch still follow each other, as they came. A row of pixels runs through w patches: "
            "the order before the last reshape is (B, C, h, P, w, P).",
        ),
        Mistake(
            _put_back("b (h w) (p1 p2 c) -> b c (p1 h) (p2 w)"),
            "the patches are woven into each other. The grid comes first: rows are (h, P), and not (P, h).",
        ),
        Mistake(
            _put_back("b (h w) (p1 p2 c) -> b (h p1) (w p2) c"),
            "the channels are last. PyTorch keeps them in front of rows and columns: [B, C, H, W].",
        ),
        Mistake(
            _put_back("b (h w) (p1 p2 c) -> b c (w p2) (h p1)"),
            "rows and columns are swapped: you returned [B, C, W, H].",
        ),
        Mistake(
            _put_back("b (h w) (p1 p2 c) -> b c h p1 w p2"),
            "the axes are in the right order, and not yet glued: one last reshape to [B, C, H, W] is missing.",
        ),
    ],
    done="Every pixel is back in its place: cutting loses nothing.",
)


# ------------------------------------------------------------------------------------------------------ embed it


def _with_kernel(embedding: Callable[..., nn.Module]) -> Callable:
    """Turn a class into a function that builds it, gives its one layer these numbers, and embeds the images.

    The layer may be a convolution with a kernel [D, C, P, P], a linear layer [D, P·P·C], or a matrix E [P·P·C, D]; a
    matrix and the bias may have axes of length 1 besides, as [1, 1, D] or [D, 1, 1].
    """

    def embed(images: Tensor, patch_size: int, kernel: Tensor, bias: Tensor) -> Tensor | Said:
        module = embedding(images.shape[-1], patch_size, images.shape[1], len(bias))
        if misfit := misfit_of(module) or _more_than_one_layer(module, kernel.numel() + bias.numel()):
            return misfit
        rows = rearrange(kernel, "d c p1 p2 -> d (p1 p2 c)")
        with torch.no_grad():
            for parameter in module.parameters():
                held = parameter if parameter.ndim == 4 and len(parameter) > 1 else parameter.squeeze()
                values = {1: bias, 2: rows, 4: kernel}.get(held.ndim)
                if held.ndim == 2 and held.shape == rows.T.shape != rows.shape:
                    values = rows.T
                if values is not None:
                    held.copy_(fitted(values, held.shape))
        return module(images)

    return embed


def _more_than_one_layer(module: nn.Module, wanted: int) -> Said | None:
    """Say what there is besides one layer of so many numbers, or return None."""
    held = dict(module.named_parameters())
    names = list(dict.fromkeys(name.rpartition(".")[0] or name for name in held))
    if len(names) == 1 or sum(parameter.numel() for parameter in held.values()) <= wanted:
        return None
    return Said(
        f"there is more to learn than one layer has: `{names[0]}`, and `{names[1]}` besides. A patch embedding is one "
        "layer alone, from the P·P·C numbers of a patch to D."
    )


class _Convolution(nn.Module):
    """What the wrong answers below have in common; each changes one thing."""

    bias = True

    def __init__(self, image_size: int, patch_size: int, in_channels: int = 3, dim: int = 768):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, bias=self.bias, **self.window(patch_size))

    def window(self, patch_size: int) -> dict[str, int]:
        return {"kernel_size": patch_size, "stride": patch_size}

    def forward(self, images: Tensor) -> Tensor:
        return self.arrange(self.proj(images))

    def arrange(self, grid: Tensor) -> Tensor:
        return grid.flatten(2).transpose(1, 2)


class _Linear(nn.Module):
    """A linear layer on rows that are flattened in another order, or not cut at all."""

    pattern = "b c (h p1) (w p2) -> b (h w) (c p1 p2)"

    def __init__(self, image_size: int, patch_size: int, in_channels: int = 3, dim: int = 768):
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Linear(patch_size * patch_size * in_channels, dim)

    def forward(self, images: Tensor) -> Tensor:
        return self.proj(rearrange(images, self.pattern, p1=self.patch_size, p2=self.patch_size))


def _embedding_input(
    batch: int, channels: int, side: int, p: int, dim: int, start: int = 0
) -> tuple[Tensor, int, Tensor, Tensor]:
    images = (numbered(batch, channels, side, side) + start) % 17
    return images, p, _small_integers(dim, channels, p, p), numbered(dim) + 1


patch_embedding = Exercise(
    name="patch_embedding",
    lesson=LESSON,
    difficulty=3,
    minutes=12,
    solution=patches.PatchEmbedding,
    adapt=_with_kernel,
    hints=Hints(axes="B N D"),
    inputs=[
        _embedding_input(1, 1, 4, p=2, dim=3),
        _embedding_input(2, 3, 4, p=2, dim=5),
        _embedding_input(2, 1, 6, p=3, dim=2),
        _embedding_input(1, 2, 12, p=4, dim=7),
    ],
    mistakes=[
        Mistake(
            changed(_Convolution, window=lambda self, p: {"kernel_size": p}),
            "you forgot the stride. Without it the kernel moves on by one pixel, and the squares overlap: stride = P.",
        ),
        Mistake(
            changed(_Convolution, window=lambda self, p: {"kernel_size": 1}),
            "your kernel is 1×1. It never sees a patch, only single pixels: the kernel must be P×P, and the stride P.",
        ),
        Mistake(
            changed(_Convolution, window=lambda self, p: {"kernel_size": 1, "stride": p}),
            "your kernel is 1×1 with stride P: it reads the upper left pixel of each patch and skips all others.",
        ),
        Mistake(
            changed(_Convolution, bias=False),
            "there is no bias. Equation 1 with its bias is x E + b: one more number for each of D.",
        ),
        Mistake(
            changed(_Convolution, arrange=lambda self, grid: grid.flatten(2)),
            "N and D are swapped: a convolution gives [B, D, …], and tokens are rows: transpose to [B, N, D].",
        ),
        Mistake(
            changed(_Convolution, arrange=lambda self, grid: grid.reshape(len(grid), -1, grid.shape[1])),
            "you reshaped [B, D, h, w] to [B, N, D] without moving anything, so numbers of different patches share a "
            "row. Flatten h and w first, then transpose.",
        ),
        Mistake(
            changed(_Convolution, arrange=lambda self, grid: grid.transpose(2, 3).flatten(2).transpose(1, 2)),
            COLUMN_BY_COLUMN,
        ),
        Mistake(
            changed(_Convolution, arrange=lambda self, grid: grid),
            "the tokens still lie on the grid, [B, D, h, w]. Flatten h and w to N, then transpose.",
        ),
        Mistake(
            changed(_Convolution, arrange=lambda self, grid: grid.permute(0, 2, 3, 1)),
            "the tokens still lie on the grid, [B, h, w, D]. Glue h and w into N.",
        ),
        Mistake(
            _Linear,
            "the rows that your linear layer reads are flattened in another order: channels before pixels. "
            "Then E and the kernel of a convolution no longer fit each other: the order is (row, column, channel).",
        ),
        Mistake(
            changed(_Linear, pattern="b c (h p1) (w p2) -> b (h w) (p2 p1 c)"),
            "the rows that your linear layer reads are flattened in another order: columns before rows. "
            "The order is (row, column, channel).",
        ),
        FORGOT_MODULE,
    ],
    properties=[
        learns(_with_kernel(patches.PatchEmbedding), *_embedding_input(2, 3, 4, p=2, dim=5)),
        forgets(*(_embedding_input(batch, 3, 4, p=2, dim=5, start=start) for batch, start in ((2, 0), (2, 5), (3, 0)))),
    ],
    done="Given the same numbers, it makes the same tokens as the course's own. Now it can go into a ViT.",
)


# ------------------------------------------------------------------------------------------------- let them overlap


def _slide(pattern: str) -> Callable:
    def answer(images: Tensor, p: int, stride: int) -> Tensor:
        return rearrange(images.unfold(2, p, stride).unfold(3, p, stride), f"b c h w p1 p2 -> {pattern}")

    return answer


_overlapping = _slide("b (h w) (p1 p2 c)")


def _squares(end: Callable[[int, int], int]) -> Callable:
    """Cut one square after the other, which may begin anywhere before `end(side, p)`."""

    def answer(images: Tensor, p: int, stride: int) -> Tensor:
        rows, columns = (range(0, end(side, p), stride) for side in images.shape[2:])
        squares = [images[:, :, y : y + p, x : x + p] for y in rows for x in columns]
        return torch.stack([rearrange(square, "b c p1 p2 -> b (p1 p2 c)") for square in squares], dim=1)

    return answer


overlapping_patches = Exercise(
    name="overlapping_patches",
    lesson=LESSON,
    difficulty=4,
    minutes=10,
    solution=_overlapping,
    inputs=[
        (numbered(1, 1, 3, 3), 2, 1),
        (numbered(1, 1, 4, 5), 3, 1),
        (numbered(2, 3, 4, 6), 2, 2),
        (numbered(1, 3, 7, 9), 3, 2),
        (numbered(1, 1, 8, 6), 4, 2),
        (numbered(1, 2, 7, 8), 3, 2),
        (uneven(2, 3, 5, 7), 3, 2),
    ],
    hints=Hints(
        inputs="images P stride",
        axes="B N P·P·C",
        sizes=_sizes,
        moved=Moved(
            names=("B", "h", "w", "row in the patch", "column in the patch", "C"),
            lengths=lambda images, p, stride: (
                len(images),
                *((side - p) // stride + 1 for side in images.shape[2:]),
                *(p, p, images.shape[1]),
            ),
        ),
    ),
    mistakes=[
        Mistake(
            lambda images, p, stride: _overlapping(images, p, p),
            "your squares do not overlap: you moved on by P. Move on by the stride, and cut out P×P pixels each time.",
        ),
        Mistake(
            lambda images, p, stride: _overlapping(images, p, 1),
            "you moved on by one pixel each time. Move on by the stride.",
        ),
        Mistake(
            lambda images, p, stride: _overlapping(images, stride, stride),
            "your squares have the side of the stride. They are P×P pixels; only the way between them is the stride.",
        ),
        Mistake(
            lambda images, p, stride: _overlapping(images, stride, p),
            "patch size and stride are swapped: a square has P pixels a side, and the next begins after the stride.",
        ),
        Mistake(
            _squares(lambda side, p: side - p),
            "the last square of each row and column is missing. The last place to begin at is H - P itself, and a "
            "range leaves its end out: range(0, H - P + 1, stride).",
        ),
        Mistake(
            _squares(lambda side, p: side),
            "your last squares stick out of the picture, and a slice that ends outside is shorter. Stop in time: a "
            "square may begin at H - P, and no later.",
        ),
        Mistake(_slide("b (w h) (p1 p2 c)"), COLUMN_BY_COLUMN),
        Mistake(_slide("b (h w) (c p1 p2)"), CHANNELS_FIRST),
        Mistake(_slide("b (h w) (p2 p1 c)"), ON_ITS_SIDE),
        Mistake(_windows_reshaped, CHANNELS_IN_FRONT),
        Mistake(_slide("b (c p1 p2) (h w)"), ON_ITS_SIDE_AS_UNFOLD),
        Mistake(_slide("b (p1 p2 c) (h w)"), MATRIX_ON_ITS_SIDE),
    ],
    done="With stride = P it is `patchify`; with a smaller one, neighbours share pixels, and there are more tokens.",
)
