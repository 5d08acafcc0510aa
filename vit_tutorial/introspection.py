"""Looking inside a model: what each head attends to, layer by layer, and how large its parts are and what they pass on.

Sources: Dosovitskiy et al. 2021, section 4.5 and figures 7 and 11; Abnar and Zuidema 2020, "Quantifying Attention Flow
in Transformers".
"""

import contextlib
import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.cnn import CNN, CNNConfig
from vit_tutorial.hybrid import ResNet
from vit_tutorial.inputs import as_pair, check_kind, whole_number
from vit_tutorial.patches import patchify
from vit_tutorial.support.meta import shapes_only
from vit_tutorial.support.usual import usual_torch
from vit_tutorial.support.wrapped import eager, only_here, unwrapped
from vit_tutorial.vit import ViT, ViTConfig

Shape = tuple[int, ...] | list[tuple[int, ...]] | None


def count_parameters(module: nn.Module) -> int:
    """Count the numbers that training may change. Raises TypeError for what is no nn.Module, such as a config."""
    check_kind("module", module, nn.Module)
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)


def flops_per_image(config: ViTConfig | CNNConfig) -> int:
    """Count the operations of one image through a ViT or a CNN; a multiplication and an addition are two.

    Matrix products and convolutions only, as torch.utils.flop_counter counts: norms, GELU, softmax and sums are left
    out. Source: equations 1 to 4 of the paper, and appendix A; section 3.1 for the hybrid.
    """
    if isinstance(config, CNNConfig):
        with shapes_only():
            return 2 * _products(CNN(config).eval(), config)
    height, width = as_pair(check_kind("config", config, ViTConfig).image_size)
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
    with shapes_only():
        resnet = ResNet(config.stem_layers, config.in_channels)
        return _products(resnet, config), resnet.num_features, resnet.stride


def _products(network: nn.Module, config: ViTConfig | CNNConfig) -> int:
    """Count the multiplications of one image in the convolutions and matrices of a network."""
    products = []

    def count(layer: nn.Conv2d | nn.Linear, inputs: tuple[Tensor], output: Tensor) -> None:
        products.append(output[0].numel() * layer.weight[0].numel())  # each output is one sum over a filter, or a row

    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    network(torch.empty(1, config.in_channels, *as_pair(config.image_size)))
    return sum(products)


class AttentionMaps(list):
    """The maps of several layers, [B, h, N, N] each, of a model with this grid of patches (rows, columns)."""

    def __init__(self, maps: Iterable[Tensor], grid_size: tuple[int, int]):
        super().__init__(maps)
        self.grid_size = grid_size

    def __getitem__(self, place: int | slice) -> Any:
        """Give one map, or those of some layers with the same grid."""
        found = super().__getitem__(place)
        return AttentionMaps(found, self.grid_size) if isinstance(place, slice) else found


@torch.no_grad()
def attention_maps(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B h N N"]]:
    """Run the model once and collect the attention weights of every layer, in order.

    Shapes: images [B, C, H, W] -> one [B, h, N, N] per block; row i says where token i looks, and sums to 1. Token 0 is
    the class token if the model has one. The model runs in eval mode and is put back as it was.
    Raises TypeError if a block has no `attn` that can return its weights.
    Source: section 4.5 of the paper.
    """
    model, maps, asked_for = unwrapped(model), [], []

    def ask_for_weights(attention, args, kwargs):
        asked_for.append(kwargs.get("return_weights"))
        return args, kwargs | {"return_weights": True}

    def keep_weights(attention, args, output):
        maps.append(output[1])
        return output if asked_for.pop() else output[0]

    with _watching(model) as attentions, _hooks(attentions, ask_for_weights, keep_weights):
        model(images)
    return AttentionMaps(maps, model.grid_size)


@torch.no_grad()
def attention_scores(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B h N N"]]:
    """Run the model once and collect the scores q k^T / sqrt(d) of every layer, in order: softmax makes them the maps.

    Shapes: images [B, C, H, W] -> one [B, h, N, N] per block; row i holds the scores of query i, column j those of key
    j. The model runs in eval mode and is put back as it was.
    Raises TypeError if a block has no `attn` with queries and keys to read, or makes its weights otherwise than by
    softmax of these scores, or has a `forward` of its own that cannot return them.
    Source: Vaswani et al. 2017, equation 1.
    """
    model, scores = unwrapped(model), []

    def keep_scores(attention, args, kwargs):
        q, k, _ = rearrange(attention.qkv(args[0]), "b n (three h d) -> three b h n d", three=3, h=attention.num_heads)
        scores.append(q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1]))
        if type(attention).forward is not MultiHeadAttention.forward:
            _check_scores(scores, _weights_of(attention, args[0], len(scores) - 1))

    with _watching(model) as attentions, _hooks(attentions, keep_scores):
        model(images)
    return scores


def _weights_of(attention: MultiHeadAttention, tokens: Tensor, number: int) -> Tensor:
    """Give the weights that a forward of somebody's own returns; raise TypeError if it cannot."""
    try:
        inspect.signature(attention.forward).bind(tokens, return_weights=True)
    except TypeError:
        raise TypeError(
            f"block {number} has a forward of its own without return_weights, so nobody can tell whether these are its "
            "scores; let it take return_weights, and return the weights too, as MultiHeadAttention does"
        ) from None
    return attention.forward(tokens, return_weights=True)[1]


def _check_scores(scores: list[Tensor], weights: Tensor) -> None:
    """Raise TypeError if the weights of a block are not the softmax of its scores, the last ones, up to rounding."""
    away = (scores[-1].softmax(dim=-1) - weights).abs().max().item()
    if not away <= math.sqrt(torch.finfo(weights.dtype).eps):
        raise TypeError(
            f"block {len(scores) - 1} has weights that are up to {away:.2g} away from softmax(q k^T / sqrt(d)), so "
            "these are not its scores; take the logarithm of attention_maps(model, images)"
        )


@contextlib.contextmanager
def _watching(model: ViT) -> Iterator[list[MultiHeadAttention]]:
    """Give the attention of every block while the model is in eval mode, and put all modes back afterwards."""
    for i, block in enumerate(_vit(model).blocks):
        if not isinstance(getattr(block, "attn", None), MultiHeadAttention):
            raise TypeError(
                f"block {i} has no MultiHeadAttention as `attn`, so there are no weights to read; "
                "derive your attention from vit_tutorial.attention.MultiHeadAttention"
            )
    with in_eval_mode(model), eager(model):
        yield [block.attn for block in model.blocks]


@contextlib.contextmanager
def _hooks(
    modules: Iterable[nn.Module], before: Callable[..., Any], after: Callable[..., Any] | None = None
) -> Iterator[None]:
    """Inside, call `before(module, args, kwargs)` and `after(module, args, output)` around each of the modules.

    A module that is there twice has them once. What another thread computes with the model meanwhile has none.
    """
    with contextlib.ExitStack() as hooks:
        for module in set(modules):
            hooks.callback(module.register_forward_pre_hook(only_here(before), with_kwargs=True).remove)
            if after is not None:
                hooks.callback(module.register_forward_hook(only_here(after), prepend=True).remove)
        yield


def _vit(model: ViT) -> ViT:
    """Give the model itself; raise TypeError if it is another network, which has no blocks of attention."""
    return check_kind("model", unwrapped(model), ViT)


@contextlib.contextmanager
def in_eval_mode(model: nn.Module) -> Iterator[None]:
    """Switch dropout and stochastic depth off, and put every part back as it was; TypeError for what has no parts."""
    modes = [(module, module.training) for module in check_kind("model", model, nn.Module).modules()]
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
    grid_size: int | tuple[int, int] | None = None,
    num_prefix_tokens: int = 1,
) -> Float[Tensor, "L h"]:
    """Measure how far, in pixels, each head of each layer looks on average.

    Shapes: L maps [B, h, N, N] -> [L, h]. Only attention from patch to patch counts, and each patch's share is made to
    sum to 1. `grid_size` (rows, columns; one number for a square) may be left out where the maps know it,
    as those that `attention_maps` gives do.
    Raises ValueError if there are no maps, nobody says how the patches lie, or the tokens do not fill the grid.
    Source: section 4.5 of the paper and figure 7, right.
    """
    _check_maps(maps)
    whole_number("patch_size", patch_size, 1)
    num_patches = maps[0].shape[-1] - whole_number("num_prefix_tokens", num_prefix_tokens, 0)
    known = getattr(maps, "grid_size", None) if grid_size is None else grid_size
    if known is None and num_patches > 1:
        raise ValueError(
            f"a list of maps does not say how its {num_patches} patches lie; pass grid_size=(rows, columns), such as "
            "model.grid_size"
        )
    rows, columns = (1, 1) if known is None else as_pair(known)
    if rows * columns != num_patches:
        raise ValueError(
            f"{maps[0].shape[-1]} tokens less {num_prefix_tokens} prefix tokens do not fill a {rows}x{columns} grid; "
            "pass grid_size=(rows, columns) and num_prefix_tokens"
        )
    row, column = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    exact = torch.promote_types(maps[0].dtype, torch.float32)  # 16 bits have no cdist
    place = torch.stack([row.flatten(), column.flatten()], dim=1).to(maps[0].device, exact)  # [N, 2]
    distance = torch.cdist(place, place) * patch_size  # [N, N], pixels
    distances = []
    for weights in maps:
        between = weights[:, :, num_prefix_tokens:, num_prefix_tokens:].to(exact)
        between = between / between.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(between.dtype).tiny)
        distances.append((between * distance).sum(dim=-1).mean(dim=(0, 2)))  # [B, h, N, N] -> [h]
    return torch.stack(distances).to(maps[0].dtype)


@usual_torch()
def receptive_field(
    model: ViT | CNN, images: Float[Tensor, "B C H W"], stage: str, place: tuple[int, int] | None = None
) -> Float[Tensor, "H W"]:
    """Measure which pixels one place of a stage answers to: the effective receptive field, by gradient.

    Shapes: images [B, C, H, W] -> [H, W], shares that sum to 1. `stage` is a name in `forward_intermediates` of a map
    [B, F, h, w] or of tokens [B, M, D]; `place` is (row, column) on its grid, by default the middle. A share is the
    size of the gradient: the root of its mean square over the features of that place, the channels and the images.
    Features are added with random signs, which leaves the expected square what it is. The model runs in eval mode.
    Raises ValueError for a stage without places, or a place outside it, and TypeError for images as bytes.
    Source: Luo et al. 2016, "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks".
    """
    images = _learnable(images)
    with in_eval_mode(model):
        stages = model.forward_intermediates(images)
        features = _on_a_grid(stages, stage, model)  # [B, F, h, w]
        row, column = _place(features.shape[-2:], place)
        one = features[:, :, row, column]  # [B, F]
        signs = torch.randint(0, 2, one.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        gradient = torch.autograd.grad((one * signs.to(one)).sum(), images)[0]  # [B, C, H, W]
    size = gradient.square().sum(dim=1).mean(dim=0).sqrt()
    return size / size.sum()


def receptive_distance(
    field: Float[Tensor, "H W"], grid_size: tuple[int, int], place: tuple[int, int] | None = None
) -> float:
    """Say how far, in pixels, a place of the grid looks on average: `attention_distance` for a receptive field.

    The distance is that of each pixel from the middle of the place, weighted with the pixel's share.
    Shapes: field [H, W], as `receptive_field` gives it; `grid_size` and `place` are (rows, columns) and (row, column).
    Raises ValueError for a place outside the grid.
    """
    distances = torch.zeros_like(field)
    for dim, (at, places) in enumerate(zip(_place(grid_size, place), as_pair(grid_size), strict=True)):
        side = field.shape[dim]
        middle = (at + 0.5) * side / places - 0.5  # in pixels, the first of which is at 0
        away = (torch.arange(side).to(field) - middle).square()
        distances += away[:, None] if dim == 0 else away
    return (field * distances.sqrt()).sum().item()


def _on_a_grid(stages: dict[str, Tensor], stage: str, model: ViT | CNN) -> Float[Tensor, "B F h w"]:
    """Give a stage as a map; tokens take their places on the grid, and those in front of the patches are left out."""
    grids = {name: x for name, x in stages.items() if x.ndim >= 3 and name != "patches"}
    if stage not in grids:
        raise ValueError(f"{stage!r} is no stage with places; they are {', '.join(grids)}")
    x = grids[stage]
    if x.ndim == 4:
        return x
    tokens = x[:, -math.prod(model.grid_size) :]
    return rearrange(tokens, "b (h w) d -> b d h w", h=model.grid_size[0])


def _learnable(images: Tensor) -> Tensor:
    """Give a copy of the images of which a gradient can be had; what is no real number the model itself refuses."""
    copy = images.detach().clone()
    return copy.requires_grad_() if copy.is_floating_point() else copy


def _place(grid_size: Sequence[int], place: tuple[int, int] | None) -> tuple[int, int]:
    rows, columns = as_pair(grid_size)
    if place is not None and not (isinstance(place, Sequence) and len(place) == 2):
        raise ValueError(f"place is {place!r}; give (row, column)")
    row, column = (whole_number("a part of place", part) for part in place or (rows // 2, columns // 2))
    if not (0 <= row < rows and 0 <= column < columns):
        raise ValueError(f"place is {place}, and the grid has {rows} rows and {columns} columns, counted from 0")
    return row, column


def answer_attention(maps: list[Float[Tensor, "B h M M"]], model: ViT) -> list[Float[Tensor, "B N"]]:
    """Give how much the answer looks at each patch, by block: the class token's row, or the mean of all rows.

    Shapes: L maps [B, h, M, M] -> L of [B, N], the mean over the heads.
    """
    _check_maps(maps)
    rows = [weights.mean(dim=1) for weights in maps]
    return [row[:, 0, 1:] if _vit(model).num_prefix_tokens else row.mean(dim=1) for row in rows]


def _check_maps(maps: list[Tensor]) -> None:
    """Raise ValueError or TypeError unless these are one map or more, each a tensor [B, h, N, N]."""
    if not len(maps):
        raise ValueError("there are 0 attention maps; pass the list that attention_maps(model, images) gives")
    for weights in maps:
        check_kind("a map", weights, Tensor)
        if weights.ndim != 4 or weights.shape[-1] != weights.shape[-2]:
            raise ValueError(
                f"a map has shape {list(weights.shape)}; pass a list with one [B, h, N, N] for each layer, as "
                "attention_maps(model, images) gives it"
            )
    counts = {(len(weights), weights.shape[-1]) for weights in maps}
    if len(counts) > 1:
        raise ValueError(f"the maps are of (images, tokens) {sorted(counts)}; pass maps of one run, as many in each")


# ------------------------------------------------------------------------------------ when it knows, and from where

Fill = Literal["mean", "black", "noise"] | Tensor
Ablation = Literal["zero", "mean"] | Tensor


@torch.no_grad()
def logit_lens(model: ViT, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "layers B M K"]:
    """Read every token after every block as if it were the answer: through the model's own last norm and head.

    Shapes: images [B, C, H, W] -> logits [L+1, B, M, K]; entry k is after k blocks, entry 0 before the first. With a
    class token, entry L of token 0 is the model's own answer; with mean pooling and one linear head, the mean over all
    tokens of entry L is.
    Source: nostalgebraist 2020, "interpreting GPT: the logit lens"; for ViTs Vilas et al. 2023, "Analyzing Vision
    Transformers for Image Classification in Class Embedding Space".
    """
    with in_eval_mode(_vit(model)):
        return torch.stack([model.head(model.pre_logits(model.norm(x))) for x in token_stages(model, images)])


@torch.no_grad()
def token_stages(model: ViT, images: Float[Tensor, "B C H W"]) -> list[Float[Tensor, "B M D"]]:
    """Give the tokens before the first block and after each one, without the last norm.

    Shapes: images [B, C, H, W] -> L+1 tensors [B, M, D]; entry k is after k blocks.
    Source: figure 1 of the paper.
    """
    with in_eval_mode(_vit(model)):
        stages = model.forward_intermediates(images)
    return [stages["position"], *(stages[f"blocks.{i}"] for i in range(len(model.blocks)))]


def patch_norms(model: ViT, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "layers B M"]:
    """Measure the length of every token after every block: unusually long patches are what registers are for.

    Shapes: images [B, C, H, W] -> L2 norms [L+1, B, M]; entry k is after k blocks.
    Source: Darcet et al. 2024, "Vision Transformers Need Registers", section 2.1.
    """
    return torch.stack([x.norm(dim=-1) for x in token_stages(model, images)])


@torch.no_grad()
def patch_tokens(
    model: ViT,
    images: Float[Tensor, "B C H W"],
    block: int,
    tokens: Sequence[int] | slice,
    put_in: Ablation,
) -> Float[Tensor, "B K"]:
    """Run the model with some tokens exchanged after so many blocks, and give the logits.

    `block` counts the blocks that are done, 0 to L. `tokens` are places in the sequence; with a class token,
    `slice(0, 1)` is that token and `slice(1, None)` are the patches. `put_in` is "zero", "mean" (of these very images,
    token by token), or other images [B, C, H, W] or [1, C, H, W]: then their tokens of the same places and block.
    Shapes: images [B, C, H, W] -> logits [B, K].
    Raises ValueError if there is no such block, or the images do not go together.
    Source: Zhang and Nanda 2024, "Towards Best Practices of Activation Patching in Language Models".
    """
    depth = len(_vit(model).blocks)
    if not 0 <= whole_number("block", block) <= depth:
        raise ValueError(f"block is {block}; it counts the blocks that are done, from 0 to {depth}")
    x = token_stages(model, images)[block].clone()
    is_other = isinstance(put_in, Tensor)
    others = token_stages(model, _as_many(put_in, images))[block] if is_other else _instead(x, put_in)
    x[:, tokens] = others[:, tokens]
    with in_eval_mode(model):
        return model.classify(model.norm(model.blocks[block:](x)))


@torch.no_grad()
def patch_heads(
    model: ViT, images: Float[Tensor, "B C H W"], heads: Sequence[tuple[int, int]], put_in: Ablation
) -> Float[Tensor, "B K"]:
    """Run the model with the outputs of some heads exchanged, and give the logits.

    `heads` are pairs (block, head), both counted from 0. `put_in` is "zero", "mean" (of these very images, token by
    token), or other images [B, C, H, W] or [1, C, H, W], whose heads are put in: see `patch_tokens`. What is exchanged
    is a head's weighted sum of values, before the output projection mixes the heads.
    Shapes: images [B, C, H, W] -> logits [B, K].
    Raises ValueError if there is no such head, TypeError if a block has no `attn` with a projection to watch.
    Source: Michel et al. 2019, "Are Sixteen Heads Really Better than One?", (zero); Zhang and Nanda 2024 (the rest).
    """
    model = unwrapped(model)
    with _watching(model) as attentions:
        wanted: dict[int, list[int]] = {}
        for pair in heads:
            block, head = (whole_number("a part of heads", part) for part in pair)
            if not 0 <= block < len(attentions) or not 0 <= head < attentions[block].num_heads:
                raise ValueError(f"there is no head {head} in block {block}; both are counted from 0")
            wanted.setdefault(block, []).append(head)
        donors: dict[int, Tensor] = {}

        def exchange(block: int, found: Tensor) -> Tensor | None:
            if block not in wanted:
                return None
            number = attentions[block].num_heads
            x = rearrange(found, "b n (h d) -> h b n d", h=number).clone()
            others = donors[block] if donors else _instead(found, put_in)
            others = rearrange(others, "b n (h d) -> h b n d", h=number)
            x[wanted[block]] = others[wanted[block]].expand_as(x[wanted[block]])
            return rearrange(x, "h b n d -> b n (h d)")

        if isinstance(put_in, Tensor):
            with heads_changed(model, donors.__setitem__):
                model(_as_many(put_in, images))
        with heads_changed(model, exchange):
            return model(images)


@contextlib.contextmanager
def heads_changed(model: ViT, change: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    """Inside, whenever the model runs in this thread, let `change` replace what the heads of each block have found.

    It gets the number of the block, counted from 0, and the heads side by side, [B, M, D], before the output projection
    mixes them. It returns what is to stand there, or None where nothing is to change. Raises TypeError for no ViT.
    """
    model = _vit(model)
    places: dict[nn.Module, list[int]] = {}  # several, where blocks share one
    for number, block in enumerate(model.blocks):
        places.setdefault(block.attn.proj, []).append(number)
    at = -1

    def begin(model, args, kwargs):
        nonlocal at
        at = -1

    def ask(proj, args, kwargs):
        nonlocal at
        at = next((place for place in places[proj] if place > at), places[proj][0])
        changed = change(at, args[0])
        return None if changed is None else ((changed,), kwargs)

    with _hooks([model], begin), _hooks(places, ask):
        yield


def _instead(x: Tensor, put_in: str) -> Tensor:
    """Give what stands in for activations [B, M, D] where no other images do: zeros, or their mean over the images."""
    if put_in not in ("zero", "mean"):
        raise ValueError(f"put_in is {put_in!r}; it must be 'zero', 'mean' or images")
    return torch.zeros_like(x) if put_in == "zero" else x.mean(dim=0, keepdim=True).expand_as(x)


def _as_many(others: Tensor, images: Tensor) -> Tensor:
    """Let one image stand for all; otherwise there must be one for each."""
    if len(others) not in (1, len(images)):
        raise ValueError(f"put_in holds {len(others)} images for {len(images)}; give one, or one for each")
    return others.expand(len(images), *others.shape[1:])


# ------------------------------------------------------------------------------------------------- what decided


@torch.no_grad()
def occlusion(
    model: ViT,
    images: Float[Tensor, "B C H W"],
    classes: Int64[Tensor, " B"] | None = None,
    fill: Fill = "mean",
) -> Float[Tensor, "B N"]:
    """Cover one patch after another, and measure how much probability the class loses: what the model needs to see.

    Shapes: images [B, C, H, W], as the model takes them -> [B, N], patches in reading order; a positive number says
    that the patch spoke for the class. `classes` are those that the model itself names, unless given. `fill` is what
    covers: see `covered`. The model runs N times.
    Raises TypeError or ValueError as `covered` does, and ValueError for classes that are not one of the model's an
    image.
    Source: Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2.
    """
    classes = _asked_about(model, images, classes)
    before = _probability(model, images, classes)
    patches, pixels = math.prod(model.grid_size), _fill(model, images, fill)
    lost = []
    for patch in range(patches):
        hidden = torch.zeros(len(images), patches, dtype=torch.bool, device=images.device)
        hidden[:, patch] = True
        lost.append(before - _probability(model, covered(model, images, hidden, pixels), classes))
    return torch.stack(lost, dim=1)


def covered(
    model: ViT, images: Float[Tensor, "B C H W"], hidden: Bool[Tensor, "B N"], fill: Fill = "mean"
) -> Float[Tensor, "B C H W"]:
    """Cover the hidden patches of each image.

    Shapes: images [B, C, H, W], as the model takes them, hidden [B, N] -> [B, C, H, W]. `fill` is "mean" (0, the mean
    of the pictures that the model learned from), "black", "noise" (normal, with their mean and spread, the same at each
    call), or other images [B, C, H, W] or [1, C, H, W], as the model takes them too, to take the patches from.
    Raises ValueError for another fill, for "black" if the model has no card, for `hidden` of another shape or type, or
    for images of another size than the model's, and TypeError for images or a fill of whole numbers.
    """
    rows, columns = _vit(model).grid_size
    check_kind("hidden", hidden, Tensor)
    if hidden.dtype != torch.bool or hidden.shape != (len(images), rows * columns):
        raise ValueError(
            f"hidden is {hidden.dtype} of shape {list(hidden.shape)}; give True or False for each of the "
            f"{rows * columns} patches of {len(images)} images"
        )
    size = as_pair(model.config.image_size)
    if tuple(images.shape[-2:]) != size:
        raise ValueError(
            f"images have shape {list(images.shape)}, and the model takes {size[0]}x{size[1]} pixels; resize them"
        )
    pixels = _fill(model, images, fill)
    side = model.config.patch_size
    mask = rearrange(hidden, "b (r c) -> b 1 r c", r=rows, c=columns)
    mask = mask.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)  # [B, 1, H, W]
    return torch.where(mask, pixels, images)


def _fill(model: ViT, images: Tensor, fill: Fill) -> Tensor:
    _check_normalized("images are", images)
    if isinstance(fill, Tensor):
        _check_normalized("fill is", fill)
        if fill.shape[1:] != images.shape[1:] or len(fill) not in (1, len(images)):
            raise ValueError(
                f"fill has shape {list(fill.shape)} for images {list(images.shape)}; give one image, or one for each"
            )
        return fill.expand_as(images)
    if fill == "mean":
        return torch.zeros_like(images)
    if fill == "noise":
        generator = torch.Generator().manual_seed(0)
        return torch.randn(images.shape, generator=generator, dtype=torch.float32, device="cpu").to(images)
    if fill != "black":
        raise ValueError(f"fill is {fill!r}; it must be 'mean', 'black', 'noise' or images")
    if model.card is None or not model.card.mean:
        raise ValueError("the model has no card, so nobody knows which number is black; set model.card, or fill='mean'")
    return model.card.normalize(torch.zeros(images.shape, dtype=torch.uint8, device=images.device)).to(images)


def _check_normalized(what: str, pixels: Tensor) -> None:
    """Raise TypeError for whole numbers: among bytes 0 is black, and among what a model takes it is the mean."""
    if not pixels.is_floating_point():
        raise TypeError(f"{what} {pixels.dtype}; give what the model takes, such as model.card.normalize(pixels)")


@usual_torch()
def gradient_times_input(
    model: ViT, images: Float[Tensor, "B C H W"], classes: Int64[Tensor, " B"] | None = None
) -> Float[Tensor, "B N"]:
    """Multiply each pixel by how much the logit of the class grows with it, and add up over each patch.

    Shapes: images [B, C, H, W], as the model takes them -> [B, N], patches in reading order. `classes` are those that
    the model itself names, unless given. A pixel at the mean adds nothing: its number is 0.
    Source: Shrikumar et al. 2016, "Not Just a Black Box: Learning Important Features Through Propagating Activation
    Differences".
    """
    classes = _asked_about(model, images, classes)
    with in_eval_mode(model):
        x = _learnable(images)
        logits = model(x).gather(1, classes[:, None]).sum()  # images do not mix, so each gets its own gradient
        (gradient,) = torch.autograd.grad(logits, x)
    return patchify(gradient * x.detach(), model.config.patch_size).sum(dim=-1)


@torch.no_grad()
def deletion_curve(
    model: ViT,
    images: Float[Tensor, "B C H W"],
    ranking: Float[Tensor, "B N"],
    counts: Sequence[int],
    fill: Fill = "mean",
    classes: Int64[Tensor, " B"] | None = None,
) -> Float[Tensor, "B counts"]:
    """Cover the patches that a method ranks highest, and follow the probability of the class.

    Shapes: images [B, C, H, W], ranking [B, N], larger is more important -> [B, len(counts)], 0 to 1. A method that
    knows what decided makes the curve fall fast. `classes` are those that the model itself names, unless given. Of
    patches that rank alike, the earlier one is covered first.
    Raises ValueError if there is no count, or one is no whole number from 0 to N, or if `ranking` has another shape or
    holds NaN, and TypeError or ValueError as `occlusion` does.
    Source: Petsiuk et al. 2018, "RISE: Randomized Input Sampling for Explanation of Black-box Models" (deletion); Samek
    et al. 2017, "Evaluating the Visualization of What a Deep Neural Network Has Learned".
    """
    patches = math.prod(_vit(model).grid_size)
    if not len(counts) or any(not 0 <= whole_number("a count", count) <= patches for count in counts):
        raise ValueError(f"counts are {list(counts)}; there are {patches} patches to cover")
    if check_kind("ranking", ranking, Tensor).shape != (len(images), patches):
        raise ValueError(
            f"ranking has shape {list(ranking.shape)}; give one number for each of the {patches} patches of "
            f"{len(images)} images"
        )
    if ranking.isnan().any():
        raise ValueError(
            f"ranking holds NaN in {int(ranking.isnan().sum())} of {ranking.numel()} numbers, which rank nowhere; look "
            "for a division by zero, or use ranking.nan_to_num()"
        )
    classes = _asked_about(model, images, classes)
    order = ranking.argsort(dim=1, descending=True, stable=True)
    place = order.argsort(dim=1)  # [B, N]: 0 for the patch that is covered first
    pixels = _fill(model, images, fill)
    return torch.stack(
        [_probability(model, covered(model, images, place < count, pixels), classes) for count in counts], dim=1
    )


@torch.no_grad()
def _asked_about(model: ViT, images: Tensor, classes: Tensor | None) -> Tensor:
    """Give the classes that are asked about: those given, if there is one for each image, or those the model names."""
    _vit(model)
    if classes is not None:
        _check_classes(classes, len(images), model.config.num_classes)
        return classes
    with in_eval_mode(model):
        return model(images).argmax(dim=1)


def _check_classes(classes: Tensor, images: int, number: int) -> None:
    check_kind("classes", classes, Tensor)
    if classes.dtype != torch.int64 or classes.shape != (images,):
        raise ValueError(
            f"classes are {classes.dtype} of shape {list(classes.shape)} for {images} images; give one number of "
            "torch.int64 for each"
        )
    if images and not 0 <= int(classes.min()) <= int(classes.max()) < number:
        raise ValueError(
            f"classes go from {int(classes.min())} to {int(classes.max())}, and the model has 0 to {number - 1}"
        )


def _probability(model: ViT, images: Tensor, classes: Tensor) -> Tensor:
    with in_eval_mode(model):
        return model(images).softmax(dim=1).gather(1, classes[:, None])[:, 0]


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
    model = check_kind("model", unwrapped(model), nn.Module)
    calls: list[list] = []  # name, module, input shape, output shape
    open_calls: list[list] = []

    def begin(module: nn.Module, args: tuple, kwargs: dict) -> None:
        open_calls.append([names[module], module, _shapes([*args, *kwargs.values()]), None])
        calls.append(open_calls[-1])

    def end(module: nn.Module, args: tuple, output: Any) -> None:
        open_calls.pop()[3] = _shapes(output)

    names = {module: name for name, module in model.named_modules()}
    with in_eval_mode(model), eager(model), _hooks(names, begin, end):
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
