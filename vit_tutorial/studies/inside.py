"""What lesson 8 measures on the course's trained models: where the answer sits.

Nothing is trained here. A seed is a group of a hundred test pictures: group g of ten holds the pictures g, g + 10,
g + 20 … of the first thousand. So an interval over the groups speaks of other pictures, and of this one model.
"""

import torch

from vit_tutorial.datasets import Dataset, load
from vit_tutorial.introspection import patch_heads, patch_tokens
from vit_tutorial.support.paths import DATA_FOLDER
from vit_tutorial.vit import ViT
from vit_tutorial.weights import load_model

GROUPS, PER_GROUP = 10, 100
WEIGHTS = {"fashion_mnist": "vit_fashion_mnist", "cifar10": "vit_cifar10"}


def patching(settings: dict, group: int) -> dict:
    """Exchange tokens or heads in a hundred pictures, block by block, and count the right answers.

    Each picture gets those of the next one in its group, where another picture's are asked for. `accuracy` has a number
    for each of 0 to L blocks that are done; for heads, one for each of the L blocks whose heads are exchanged.
    """
    model, data = _model_and_data(settings["source"])
    chosen = slice(group, GROUPS * PER_GROUP, GROUPS)
    images, labels = model.card.normalize(data.test_images[chosen]), data.test_labels[chosen]
    put_in = images.roll(1, dims=0) if settings["put_in"] == "another picture" else settings["put_in"]
    tokens = {"class token": slice(0, 1), "patches": slice(1, None)}
    if settings["what"] == "heads":
        heads = [[(block, head) for head in range(model.config.num_heads)] for block in range(model.config.depth)]
        logits = [patch_heads(model, images, of_block, put_in) for of_block in heads]
    else:
        which = tokens[settings["what"]]
        logits = [patch_tokens(model, images, block, which, put_in) for block in range(model.config.depth + 1)]
    return {
        "accuracy": [round((answer.argmax(dim=1) == labels).float().mean().item(), 4) for answer in logits],
        "data": {"name": data.name, "test": GROUPS * PER_GROUP, "group": PER_GROUP},
    }


def _model_and_data(source: str) -> tuple[ViT, Dataset]:
    torch.set_num_threads(1)
    return load_model(DATA_FOLDER / f"{WEIGHTS[source]}.safetensors"), load(source)
