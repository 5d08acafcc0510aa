"""The variants of the studies about training a ViT: a recipe, the parts that the course's model lacks, one training."""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.datasets import Dataset, load
from vit_tutorial.inputs import as_pair
from vit_tutorial.introspection import flops_per_image
from vit_tutorial.patches import patchify, unpatchify
from vit_tutorial.positions import PositionEmbedding, sincos_1d
from vit_tutorial.support.seeds import seeded
from vit_tutorial.training import TrainingConfig, evaluate, fit
from vit_tutorial.vit import ViT, ViTConfig

# --- A recipe --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recipe:
    """All settings of one training but the seed."""

    model: dict  # fields of ViTConfig, without those that the data decides
    training: dict  # fields of TrainingConfig, without the seed
    task: str = "fashion_mnist"  # a name for `datasets.load`, or "jigsaw": see `jigsaw`
    training_images: int | None = None  # so many, drawn once for all studies, the fewer among the more; None: all
    positions: str = "learned 1-D"  # a name in POSITIONS
    divide_by: str = "sqrt(d)"  # a name in DIVISORS: what the scores of attention are divided by
    start_by: str = "1"  # a name in DIVISORS: what W_Q is divided by, once, before training


def recipe(
    task: str = "fashion_mnist",
    training_images: int | None = None,
    positions: str = "learned 1-D",
    divide_by: str = "sqrt(d)",
    start_by: str = "1",
    **changes,
) -> Recipe:
    """Make a recipe from the small model of all studies and `changes`, fields of ViTConfig or of TrainingConfig."""
    of_training = {f.name for f in fields(TrainingConfig)}
    model = {"patch_size": 7, "dim": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "pool": "cls"}
    settings = {"epochs": 10, "precision": "float32"} | {k: v for k, v in changes.items() if k in of_training}
    training = asdict(TrainingConfig(**settings)) | {"device": "cpu"}
    del training["seed"]
    model |= {k: v for k, v in changes.items() if k not in of_training}
    return Recipe(model, training, task, training_images, positions, divide_by, start_by)


# --- The parts that the course's model does not have -----------------------------------------------------------------


class RowColumnPositions(nn.Module):
    """Add learned 2-D positions: half of the numbers belong to the patch's row, half to its column.

    Shapes: [B, prefix+N, D] -> [B, prefix+N, D] with N = rows * columns. Prefix tokens have vectors of their own.
    Raises ValueError if D is odd, or the tokens are fewer than the grid.
    Source: appendix D.4 of the paper, "2-dimensional positional embedding".
    """

    def __init__(self, num_tokens: int, dim: int, grid_size: tuple[int, int]):
        super().__init__()
        rows, columns = grid_size
        if dim % 2 or num_tokens < rows * columns:
            raise ValueError(
                f"a grid of {rows}x{columns} takes {rows * columns} tokens or more of an even number of values; got "
                f"{num_tokens} tokens of {dim}"
            )
        self.prefix_pos_embed = nn.Parameter(torch.empty(num_tokens - rows * columns, dim))
        self.row_pos_embed = nn.Parameter(torch.empty(rows, dim // 2))
        self.column_pos_embed = nn.Parameter(torch.empty(columns, dim // 2))
        for table in self.parameters():
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, tokens: Float[Tensor, "B M D"]) -> Float[Tensor, "B M D"]:
        rows, columns = len(self.row_pos_embed), len(self.column_pos_embed)
        of_row = self.row_pos_embed.repeat_interleave(columns, dim=0)  # [rows, D/2] -> [N, D/2]: 0 0 0 1 1 1
        of_column = self.column_pos_embed.repeat(rows, 1)  # [columns, D/2] -> [N, D/2]: 0 1 2 0 1 2
        grid = torch.cat([of_column, of_row], dim=1)  # [N, D]
        return tokens + torch.cat([self.prefix_pos_embed, grid])


def line_of_waves(num_tokens: int, dim: int, grid_size: tuple[int, int]) -> PositionEmbedding:
    """Make fixed 1-D positions in reading order, of sine and cosine; prefix tokens get zeros, as in 2-D."""
    patches = grid_size[0] * grid_size[1]
    prefix = torch.zeros(num_tokens - patches, dim)
    return PositionEmbedding(num_tokens, dim, table=torch.cat([prefix, sincos_1d(patches, dim)]))


# Each name of positions: the word in ViTConfig, and what is built instead of the course's PositionEmbedding.
POSITIONS: dict[str, tuple[str, Callable[..., nn.Module] | None]] = {
    "none": ("none", None),
    "learned 1-D": ("learned", None),
    "sin-cos 1-D": ("learned", line_of_waves),
    "learned 2-D": ("learned", RowColumnPositions),
    "sin-cos 2-D": ("sincos", None),
}


class DividedAttention(MultiHeadAttention):
    """Attention whose scores are divided by another number than sqrt(d).

    Shapes: [B, N, D] -> [B, N, D]. `divide_by` is a name in DIVISORS. The queries are multiplied by sqrt(d) and divided
    by that number; the attention after them divides by sqrt(d) as always.
    Source: Vaswani et al. 2017, section 3.2.1, on why they divide.
    """

    def __init__(self, dim: int, num_heads: int, divide_by: str, **options):
        super().__init__(dim, num_heads, **options)
        d = dim // num_heads
        factors = torch.ones(3 * dim, dtype=torch.float64)  # of the queries, the keys and the values
        factors[:dim] = math.sqrt(d) / DIVISORS[divide_by](d)
        self.qkv.register_forward_hook(lambda layer, inputs, qkv: qkv * factors.to(qkv.dtype))


DIVISORS: dict[str, Callable[[int], float]] = {"sqrt(d)": math.sqrt, "1": lambda d: 1.0, "d": float}


def jigsaw(data: Dataset, patch_size: int, arrangements: int = 4) -> Dataset:
    """Turn pictures into puzzles: the class is the arrangement of the patches, and nothing else tells it.

    Arrangement 0 is the picture as it is, each other one a fixed shuffle. A training picture is shown in one of them, a
    test picture in all: whoever cannot see the arrangement gives all the same answer, and is right once.
    Shapes: test images [M, C, H, W] -> [arrangements * M, C, H, W], picture by picture.
    """
    patches = (data.image_size // patch_size) ** 2
    generator = torch.Generator().manual_seed(0)
    orders = [torch.arange(patches), *(torch.randperm(patches, generator=generator) for _ in range(arrangements - 1))]

    def arrange(images: Tensor, labels: Tensor) -> Tensor:
        order = torch.stack(orders)[labels]  # [B, N]
        rows = patchify(images, patch_size)  # [B, N, P*P*C]
        moved = rows.gather(1, order[:, :, None].expand_as(rows))
        return unpatchify(moved, data.image_size, channels=data.in_channels)

    train_labels = torch.arange(len(data.train_images)) % arrangements
    test_images = data.test_images.repeat_interleave(arrangements, dim=0)
    test_labels = torch.arange(len(test_images)) % arrangements
    return replace(
        data,
        name=f"jigsaw of {data.name}",
        train_images=arrange(data.train_images, train_labels),
        train_labels=train_labels,
        test_images=arrange(test_images, test_labels),
        test_labels=test_labels,
        class_names=tuple(f"arrangement {i}" for i in range(arrangements)),
    )


def make_data(recipe: Recipe) -> Dataset:
    """Load the pictures of a recipe. Raises ValueError if it asks for more training images than there are."""
    data = load("fashion_mnist" if recipe.task == "jigsaw" else recipe.task)
    if recipe.training_images is not None:
        if recipe.training_images > len(data.train_labels):
            raise ValueError(
                f"training_images is {recipe.training_images:,}, and {data.name} has {len(data.train_labels):,}; "
                "ask for no more than these, or for None"
            )
        chosen = torch.randperm(len(data.train_labels), generator=torch.Generator().manual_seed(0))
        chosen = chosen[: recipe.training_images]
        data = replace(data, train_images=data.train_images[chosen], train_labels=data.train_labels[chosen])
    return jigsaw(data, recipe.model["patch_size"]) if recipe.task == "jigsaw" else data


def make_config(recipe: Recipe, data: Dataset) -> ViTConfig:
    """Make the config of a recipe's model; sizes and classes come from the data."""
    return ViTConfig(
        image_size=data.image_size,
        in_channels=data.in_channels,
        num_classes=data.num_classes,
        position=POSITIONS[recipe.positions][0],
        **recipe.model,
    )


def make_model(recipe: Recipe, data: Dataset, seed: int) -> ViT:
    """Make the untrained model of a recipe, always the same one for one seed."""
    config = make_config(recipe, data)
    build = POSITIONS[recipe.positions][1]
    grid_size = tuple(side // config.patch_size for side in as_pair(config.image_size))
    parts = {} if build is None else {"position": partial(build, grid_size=grid_size)}
    if recipe.divide_by != "sqrt(d)":
        parts["attention"] = partial(DividedAttention, divide_by=recipe.divide_by)
    with seeded(seed):
        model = ViT(config, **parts)
    with torch.no_grad():
        for block in model.blocks:  # W_Q is the upper third of [3*D, D]
            block.attn.qkv.weight[: config.dim] /= DIVISORS[recipe.start_by](config.dim // config.num_heads)
    return model


# --- One training ----------------------------------------------------------------------------------------------------


def run_once(recipe: Recipe, seed: int) -> dict:
    """Train and test once, on one thread; the model is that after the last epoch, never chosen by its test accuracy.

    `seconds` and `processor_seconds` are those of training; the latter do not count the time given to other programs.
    """
    torch.set_num_threads(1)
    data = make_data(recipe)
    model = make_model(recipe, data, seed)
    started, worked = time.perf_counter(), time.process_time()
    history = fit(model, data, TrainingConfig(**recipe.training, seed=seed), progress=False)
    seconds, processor_seconds = time.perf_counter() - started, time.process_time() - worked
    worked = time.process_time()
    test = evaluate(model, data.test_images, data.test_labels)
    test_seconds = time.process_time() - worked
    return {
        "seed": seed,
        "validation_accuracy": history.validation_accuracy[-1],
        "test_accuracy": test.accuracy,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor_seconds, 2),
        "test_seconds_per_image": float(f"{test_seconds / len(data.test_labels):.3g}"),
        "parameters": history.model["parameters"],
        "curve": {
            "train_loss": [round(loss, 4) for loss in history.train_loss],
            "validation_accuracy": [round(accuracy, 4) for accuracy in history.validation_accuracy],
        },
        "data": history.data | {"test": len(data.test_labels)},
        "environment": history.environment,
    }


def train(settings: dict, seed: int) -> dict:
    """Do the job of the studies about training: `run_once` for a recipe given as a dictionary of its fields."""
    return run_once(Recipe(**settings), seed)


def sizes(recipe: Recipe) -> dict:
    """Give what a recipe's model costs: tokens, FLOPs of one image forward, and parameters."""
    model = make_model(recipe, make_data(recipe), seed=0)
    return {
        "tokens": model.patch_embed.num_patches + model.num_prefix_tokens,
        "flops": flops_per_image(model.config),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
