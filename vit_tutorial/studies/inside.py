"""What lesson 8 measures on the course's trained models: when they know, where the answer sits, and what it needs.

Nothing is trained here. A seed is a group of a hundred test pictures: group g of ten holds the pictures g, g + 10,
g + 20 … of the first thousand. So an interval over the groups speaks of other pictures, and of this one model.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from vit_tutorial.datasets import Dataset, load
from vit_tutorial.introspection import (
    answer_attention,
    attention_maps,
    attention_rollout,
    deletion_curve,
    gradient_times_input,
    occlusion,
    patch_heads,
    patch_tokens,
    token_stages,
)
from vit_tutorial.patches import patchify
from vit_tutorial.support.paths import DATA_FOLDER
from vit_tutorial.vit import ViT
from vit_tutorial.weights import load_model

GROUPS, PER_GROUP = 10, 100
IN_ALL = GROUPS * PER_GROUP
WEIGHTS = {"fashion_mnist": "vit_fashion_mnist", "cifar10": "vit_cifar10"}
FILLS = ("mean", "black", "noise")
SHARES = (0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1)  # of the patches, covered one after another

Method = Callable[[ViT, Tensor, Tensor, str, torch.Generator], Tensor]  # -> [B, N], larger is more important


def _attention(model: ViT, images: Tensor) -> list[Tensor]:
    return answer_attention(attention_maps(model, images), model)


def _rollout(model: ViT, images: Tensor) -> Tensor:
    return answer_attention([attention_rollout(attention_maps(model, images))[:, None]], model)[0]


# Each method ranks the patches. Those that do not ask the model are controls: nobody can say that they know why.
METHODS: dict[str, Method] = {
    "random": lambda model, x, pixels, fill, generator: torch.rand(
        len(x), math.prod(model.grid_size), generator=generator
    ),
    "brightness": lambda model, x, pixels, fill, generator: _patches(pixels, model).mean(dim=-1),
    "contrast": lambda model, x, pixels, fill, generator: _patches(pixels, model).std(dim=-1),
    "attention, last block": lambda model, x, pixels, fill, generator: answer_attention(
        attention_maps(model, x), model
    )[-1],
    "attention, all blocks": lambda model, x, pixels, fill, generator: torch.stack(
        answer_attention(attention_maps(model, x), model)
    ).mean(dim=0),
    "rollout": lambda model, x, pixels, fill, generator: _rollout(model, x),
    "gradient x input": lambda model, x, pixels, fill, generator: gradient_times_input(model, x),
    "occlusion": lambda model, x, pixels, fill, generator: occlusion(model, x, fill=fill),
}
CONTROLS = ("random", "brightness", "contrast")


def _patches(pixels: Tensor, model: ViT) -> Tensor:
    return patchify(pixels.float(), model.config.patch_size)


def faithfulness(settings: dict, group: int) -> dict:
    """Cover the patches that a method ranks highest, in a hundred pictures, and follow the probability of the answer.

    The answer is what the model says of the whole picture. `area` is the mean probability on the way from no patch
    covered to all: the smaller it is, the better the method knows what the answer needs.
    """
    model, data, chosen = _model_and_group(settings["source"], group)
    pixels = data.test_images[chosen]
    images = model.card.normalize(pixels)
    generator = torch.Generator().manual_seed(group)
    ranking = METHODS[settings["method"]](model, images, pixels, settings["fill"], generator)
    patches = math.prod(model.grid_size)
    counts = [round(share * patches) for share in SHARES]
    curve = deletion_curve(model, images, ranking, counts, settings["fill"]).mean(dim=0)
    area = torch.trapezoid(curve, torch.tensor(counts) / patches).item()
    return {
        "area": round(area, 5),
        "probability": [round(value, 4) for value in curve.tolist()],
        "data": {"name": data.name, "test": IN_ALL, "group": PER_GROUP, "shares": list(SHARES)},
    }


@torch.no_grad()
def lens(settings: dict, group: int) -> dict:
    """Read a hundred pictures after each block, through the model's own last norm and head, and count the right ones.

    What is read is what the model itself reads at its end: the class token, or the mean of all tokens. `accuracy` has a
    number for each of 0 to L blocks that are done.
    """
    model, data, chosen = _model_and_group(settings["source"], group)
    images = model.card.normalize(data.test_images[chosen])
    logits = [model.classify(model.norm(x)) for x in token_stages(model, images)]
    return _right_answers(logits, data, chosen)


def patching(settings: dict, group: int) -> dict:
    """Exchange tokens or heads in a hundred pictures, block by block, and count the right answers.

    Each picture gets those of the next one in its group, where another picture's are asked for. `accuracy` has a number
    for each of 0 to L blocks that are done; for heads, one for each of the L blocks whose heads are exchanged.
    """
    model, data, chosen = _model_and_group(settings["source"], group)
    images = model.card.normalize(data.test_images[chosen])
    put_in = images.roll(1, dims=0) if settings["put_in"] == "another picture" else settings["put_in"]
    tokens = {"class token": slice(0, 1), "patches": slice(1, None)}
    if settings["what"] == "heads":
        heads = [[(block, head) for head in range(model.config.num_heads)] for block in range(model.config.depth)]
        logits = [patch_heads(model, images, of_block, put_in) for of_block in heads]
    else:
        which = tokens[settings["what"]]
        logits = [patch_tokens(model, images, block, which, put_in) for block in range(model.config.depth + 1)]
    return _right_answers(logits, data, chosen)


def _model_and_group(source: str, group: int) -> tuple[ViT, Dataset, slice]:
    """Give a model, its data, and which of the test pictures are the group's."""
    torch.set_num_threads(1)
    return load_model(DATA_FOLDER / f"{WEIGHTS[source]}.safetensors"), load(source), slice(group, IN_ALL, GROUPS)


def _right_answers(logits: list[Tensor], data: Dataset, chosen: slice) -> dict:
    """Write down the share of right answers to the chosen pictures, for each of several logits [B, K]."""
    labels = data.test_labels[chosen]
    return {
        "accuracy": [round((answer.argmax(dim=1) == labels).float().mean().item(), 4) for answer in logits],
        "data": {"name": data.name, "test": IN_ALL, "group": PER_GROUP},
    }
