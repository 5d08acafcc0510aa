"""Looking inside a model: what each head attends to, layer by layer, and how large its parts are and what they pass on.

Sources: Dosovitskiy et al. 2021, section 4.5 and figures 7 and 11; Abnar and Zuidema 2020, "Quantifying Attention Flow
in Transformers".
"""

import contextlib
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.hybrid import ResNet, StandardizedConv2d
from vit_tutorial.patches import as_pair
from vit_tutorial.vit import ViT, ViTConfig

Shape = tuple[int, ...] | list[tuple[int, ...]] | None


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that training may change."""
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def flops_per_image(config: ViTConfig) -> int:
    """Count the floating-point operations of one image through a ViT; one multiplication and one addition are two.

    Matrix products and convolutions only, as torch.utils.flop_counter counts: norms, GELU, softmax and sums are left
    out. Source: equations 1 to 4 of the paper, and appendix A; section 3.1 for the hybrid.
    """
    height, width = as_pair(config.image_size)
    patches = (height // config.patch_size) * (width // config.patch_size)
    M, D = patches + (config.pool == "cls"), config.dim
    stem, channels, side = 0, config.in_channels, config.patch_size
    if config.stem == "hybrid":
        stem, channels, stride = _resnet_products(config)
        side //= stride
    embed = patches * (side**2 * channels) * D
    attention = 4 * M * D * D + 2 * M * M * D  # q, k, v and the output, then scores and weighted sum
    mlp = 2 * M * D * int(D * config.mlp_ratio)
    features = config.representation_size
    head = config.num_classes * D if features is None else features * (D + config.num_classes)
    return 2 * (stem + embed + config.depth * (attention + mlp) + head)


def _resnet_products(config: ViTConfig) -> tuple[int, int, int]:
    """Count the multiplications of the hybrid's ResNet for one image; give its channels and its stride too."""
    products = []

    def count(layer: StandardizedConv2d, inputs: tuple[Tensor], output: Tensor) -> None:
        products.append(output[0].numel() * layer.weight[0].numel())  # each output is one sum over a filter

    with torch.device("meta"):  # shapes only, no numbers
        resnet = ResNet(config.stem_layers, config.in_channels)
        images = torch.empty(1, config.in_channels, *as_pair(config.image_size))
    for module in resnet.modules():
        if isinstance(module, StandardizedConv2d):
            module.register_forward_hook(count)
    resnet(images)
    return sum(products), resnet.num_features, resnet.stride


@torch.no_grad()
def attention_maps(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B h N N"]]:
    """Run the model once and collect the attention weights of every layer, in order.

    Shapes: images [B, C, H, W] -> one [B, h, N, N] per block; row i says where token i looks, and sums to 1. Token 0 is
    the class token if the model has one. The model runs in eval mode and is put back as it was.
    Raises TypeError if a block has no `attn` that can return its weights.
    Source: section 4.5 of the paper.
    """
    maps: list[Tensor] = []

    def ask_for_weights(attention, args, kwargs):
        return args, kwargs | {"return_weights": True}

    def keep_weights(attention, args, output):
        out, weights = output
        maps.append(weights)
        return out

    with _watching(model) as attentions, contextlib.ExitStack() as hooks:
        for attention in attentions:
            hooks.callback(attention.register_forward_pre_hook(ask_for_weights, with_kwargs=True).remove)
            hooks.callback(attention.register_forward_hook(keep_weights).remove)
        model(images)
    return maps


@torch.no_grad()
def attention_scores(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B h N N"]]:
    """Run the model once and collect the scores q k^T / sqrt(d) of every layer, in order: softmax makes them the maps.

    Shapes: images [B, C, H, W] -> one [B, h, N, N] per block; row i holds the scores of query i, column j those of key
    j. The model runs in eval mode and is put back as it was.
    Raises TypeError if a block has no `attn` with queries and keys to read.
    Source: Vaswani et al. 2017, equation 1.
    """
    scores: list[Tensor] = []

    def keep_scores(attention, args):
        q, k, _ = rearrange(attention.qkv(args[0]), "b n (three h d) -> three b h n d", three=3, h=attention.num_heads)
        scores.append(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]))

    with _watching(model) as attentions, contextlib.ExitStack() as hooks:
        for attention in attentions:
            hooks.callback(attention.register_forward_pre_hook(keep_scores).remove)
        model(images)
    return scores


@contextlib.contextmanager
def _watching(model: ViT) -> Iterator[list[MultiHeadAttention]]:
    """Give the attention of every block while the model is in eval mode, and put all modes back afterwards."""
    for i, block in enumerate(model.blocks):
        if not isinstance(getattr(block, "attn", None), MultiHeadAttention):
            raise TypeError(
                f"block {i} has no MultiHeadAttention as `attn`, so there are no weights to read; "
                "derive your attention from vit_tutorial.attention.MultiHeadAttention"
            )
    with in_eval_mode(model):
        yield [block.attn for block in model.blocks]


@contextlib.contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch dropout and stochastic depth off, and put every part back as it was afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def attention_rollout(maps: list[Float[Tensor, "B h N N"]]) -> Float[Tensor, "B N N"]:
    """Follow attention through all layers: how much of each input token reaches each output token.

    Shapes: L maps [B, h, N, N] -> [B, N, N]; rows sum to 1. Heads are averaged, and the residual connection counts as
    half of each layer.
    Raises ValueError if there are no maps.
    Source: Abnar and Zuidema 2020, section 3.
    """
    _check_maps(maps)
    identity = torch.eye(maps[0].shape[-1], dtype=maps[0].dtype, device=maps[0].device)
    rollout = identity.expand(len(maps[0]), -1, -1)
    for weights in maps:
        layer = (weights.mean(dim=1) + identity) / 2  # [B, h, N, N] -> [B, N, N]
        rollout = layer @ rollout
    return rollout


def attention_distance(
    maps: list[Float[Tensor, "B h N N"]],
    patch_size: int,
    grid_size: tuple[int, int] | None = None,
    num_prefix_tokens: int = 1,
) -> Float[Tensor, "L h"]:
    """Measure how far, in pixels, each head of each layer looks on average.

    Shapes: L maps [B, h, N, N] -> [L, h]. Only attention from patch to patch counts, and each patch's share is made to
    sum to 1. Without `grid_size` (rows, columns) the grid is taken to be square.
    Raises ValueError if there are no maps or the tokens do not fill the grid.
    Source: section 4.5 of the paper and figure 7, right.
    """
    _check_maps(maps)
    num_patches = maps[0].shape[-1] - num_prefix_tokens
    rows, columns = grid_size or (math.isqrt(num_patches),) * 2
    if rows * columns != num_patches:
        raise ValueError(
            f"{maps[0].shape[-1]} tokens less {num_prefix_tokens} prefix tokens do not fill a {rows}x{columns} grid; "
            "pass grid_size=(rows, columns) and num_prefix_tokens"
        )
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    place = torch.stack([row.flatten(), column.flatten()], dim=1).to(maps[0]) * patch_size  # [N, 2], pixels
    distance = torch.cdist(place, place)  # [N, N]
    distances = []
    for weights in maps:
        between = weights[:, :, num_prefix_tokens:, num_prefix_tokens:]
        between = between / between.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(between.dtype).tiny)
        distances.append((between * distance).sum(dim=-1).mean(dim=(0, 2)))  # [B, h, N, N] -> [h]
    return torch.stack(distances)


def _check_maps(maps: list[Tensor]) -> None:
    if not maps:
        raise ValueError("there are 0 attention maps; pass the list that attention_maps(model, images) gives")


# ---------------------------------------------------------------------------------------------- the shape ledger


class LedgerRow(NamedTuple):
    """One call of one part of a model: its name, its class, the shapes in and out, and how many numbers it learns."""

    name: str
    kind: str
    input_shape: Shape
    output_shape: Shape
    parameters: int  # of one such part, with all that is inside it
    times: int = 1  # parts in a row that are the same: see `fold`

    def __str__(self) -> str:
        count = f"{self.times} x {self.parameters:,}" if self.times > 1 else f"{self.parameters:,}"
        return (
            f"{self.name:<24} {self.kind:<20} {_say(self.input_shape):<16} -> {_say(self.output_shape):<16} {count:>15}"
        )


@torch.no_grad()
def shape_ledger(model: nn.Module, *inputs: Any, fold: bool = False) -> list[LedgerRow]:
    """Run a model once and write down every part that is called: a row for each call, in the order of the calls.

    It works on any nn.Module, by forward hooks; the model itself is the row without a name. A shape is None where no
    tensor goes in or comes out, and a list of shapes where several do. With `fold`, numbered parts in a row that look
    the same become one row: "blocks.0-11.attn", 12 times. The model runs in eval mode and is put back as it was.
    """
    calls: list[list] = []  # name, module, input shape, output shape
    open_calls: list[list] = []

    def begin(module: nn.Module, args: tuple, kwargs: dict) -> None:
        open_calls.append([names[module], module, _shapes([*args, *kwargs.values()]), None])
        calls.append(open_calls[-1])

    def end(module: nn.Module, args: tuple, output: Any) -> None:
        open_calls.pop()[3] = _shapes(output)

    names = {module: name for name, module in model.named_modules()}
    with in_eval_mode(model), contextlib.ExitStack() as hooks:
        for module in names:
            hooks.callback(module.register_forward_pre_hook(begin, with_kwargs=True).remove)
            hooks.callback(module.register_forward_hook(end).remove)
        model(*inputs)
    rows = [
        LedgerRow(name, type(module).__name__, given, made, count_parameters(module))
        for name, module, given, made in calls
    ]
    return _fold(rows) if fold else rows


def _shapes(value: Any) -> Shape:
    """Give the shape of a tensor, or the shapes of all tensors among several values; one alone stands for itself."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    found = [tuple(part.shape) for part in values if isinstance(part, Tensor)]
    return found[0] if len(found) == 1 else found or None


def _say(shape: Shape) -> str:
    if shape is None:
        return "no tensor"
    return str(list(shape)) if isinstance(shape, tuple) else ", ".join(map(_say, shape))


def _fold(rows: Sequence[LedgerRow]) -> list[LedgerRow]:
    """Put numbered parts of the same parent that follow one another and have equal rows into one."""
    folded, at = [], 0
    while at < len(rows):
        numbered = re.fullmatch(r"((?:.*\.)?)(\d+)", rows[at].name)
        if numbered is None:
            folded.append(rows[at])
            at += 1
            continue
        parent, first = numbered[1], int(numbered[2])
        inside = _part(rows, at, f"{parent}{first}")
        times = 1
        while _part(rows, at + times * len(inside), f"{parent}{first + times}") == inside:
            times += 1
        name = f"{parent}{first}-{first + times - 1}" if times > 1 else f"{parent}{first}"
        folded.append(rows[at]._replace(name=name, times=times))
        folded += [row._replace(name=name + row.name, times=times * row.times) for row in _fold(inside[1:])]
        at += times * len(inside)
    return folded


def _part(rows: Sequence[LedgerRow], at: int, name: str) -> list[LedgerRow]:
    """Take the rows of the part `name` and all inside it, from `at` on, with that name cut off."""
    found = []
    for row in rows[at:]:
        itself = row.name == name and not found
        if not itself and not row.name.startswith(f"{name}."):
            break
        found.append(row._replace(name=row.name[len(name) :]))
    return found
