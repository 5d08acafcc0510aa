"""Fine-tuning: which parts of a trained model learn, how far each may move, and what it keeps of its first training.

    freeze       parts that stay as they are: all but the head is a linear probe
    layer_decay  the nearer to the pictures, the smaller the learning rate
    reset_head   another last layer, for other classes
    LoRA         the matrices stay, and a small product is learned that is added to them: see lora.py

Names of parts are those of the state dict, which are timm's: cls_token, pos_embed, patch_embed, blocks.0 …, norm, head.

Sources: Howard and Ruder 2018, "ULMFiT", section 3.2 (layer-wise rates); Clark et al. 2020, "ELECTRA", appendix B (for
transformers); Bao et al. 2022, "BEiT", appendix (for images).
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from torch import nn

from vit_tutorial.datasets import Dataset
from vit_tutorial.inputs import whole_number
from vit_tutorial.support.seeds import seeded
from vit_tutorial.support.wrapped import unwrapped
from vit_tutorial.vit import ViT
from vit_tutorial.weights import ModelCard

AS_GOOD_AS_EQUAL = 0.01  # of a mean or std, on the scale where 0 is black and 1 is white

Hold = Callable[[], None]  # puts the parts that do not learn into eval mode


def named_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Give the parameters by their names in the state dict."""
    return {k: v for k, v in unwrapped(model).state_dict(keep_vars=True).items() if isinstance(v, nn.Parameter)}


def is_token_or_position(name: str) -> bool:
    """Say whether a parameter is the class token's or the positions', in the course's part or in a learner's own.

    It goes by the name in the state dict, where a learner's part has that of its module.
    """
    return name.startswith(("class_token", "position")) or name.endswith(("cls_token", "pos_embed"))


@contextlib.contextmanager
def frozen(model: nn.Module, parts: Iterable[str]) -> Iterator[Hold]:
    """Keep parts of a model from learning, and free them again at the end.

    A part is the beginning of a name in the state dict, up to a dot: "blocks.1" is not "blocks.10". A module that has
    parameters, of which none learns, whoever froze it, belongs into eval mode, where dropout and running means stand
    still: call what this gives after each `model.train()`. Dropout that stands alone beside a part that learns, as that
    after the positions beside the head, goes on.
    Raises ValueError for a part that the model does not have.
    """
    parameters = named_parameters(model)
    chosen = []
    for part in parts:
        members = [p for name, p in parameters.items() if f"{name}.".startswith(f"{part}.")]
        if not members:
            known = dict.fromkeys(".".join(name.split(".")[: 2 if "blocks." in name else 1]) for name in parameters)
            raise ValueError(f"freeze names {part!r}, which the model does not have; its parts are {', '.join(known)}")
        chosen += [parameter for parameter in members if parameter.requires_grad]
    for parameter in chosen:
        parameter.requires_grad_(False)

    def hold() -> None:
        for module in model.modules():
            if any(True for _ in module.parameters()) and not any(p.requires_grad for p in module.parameters()):
                module.eval()

    try:
        yield hold
    finally:
        for parameter in chosen:
            parameter.requires_grad_(True)


def learning_rate_scales(model: nn.Module, layer_decay: float) -> dict[str, float]:
    """Give each parameter, by its name in the state dict, the factor of its learning rate.

    The head has 1, the last block and the norm after it layer_decay, the block before it layer_decay squared, and so on
    down to patches, class token and positions.
    Raises ValueError if the model has no blocks to count, unless layer_decay is 1.
    Source: as timm's param_groups_layer_decay has it.
    """
    names = list(named_parameters(model))
    if layer_decay == 1:
        return dict.fromkeys(names, 1.0)
    depth = len(getattr(model, "blocks", ()))
    if not depth:
        raise ValueError(
            f"layer_decay is {layer_decay}, and {type(model).__name__} has no blocks whose layers could be counted; "
            "leave it at 1"
        )

    def below_the_head(name: str) -> int:
        if match := re.match(r"blocks\.(\d+)\.", name):
            return depth - int(match[1])
        if name.startswith("norm."):
            return 1
        return depth + 1 if name.startswith("patch_embed") or is_token_or_position(name) else 0

    return {name: layer_decay ** below_the_head(name) for name in names}


def reset_head(model: ViT, num_classes: int, seed: int = 0) -> ViT:
    """Give the model an untrained last layer for so many classes, always the same one for one seed; changes the model.

    Its card keeps mean, std and view, and forgets the names of the classes. Returns the model. Raises ValueError for a
    number that is no whole one of 1 or more.
    """
    given, model = model, unwrapped(model)
    num_classes = whole_number("num_classes", num_classes, 1)
    with seeded(seed):
        head = nn.Linear(model.head.in_features, num_classes).to(model.head.weight)
        nn.init.trunc_normal_(head.weight, std=0.02)
    nn.init.zeros_(head.bias)
    model.head, model.config = head, replace(model.config, num_classes=num_classes)
    if model.card is not None:
        model.card = replace(model.card, class_names=(), record="")
    return given


def card_for(model: nn.Module, data: Dataset) -> ModelCard:
    """Make the card of a model that learns from this data set: mean and std are those it was pre-trained with.

    A model without a card, or with one for other channels, gets those of the data. The view is that of the data, whose
    pictures are prepared already, and so are the names, unless the model has another number of classes.
    Raises ValueError for what could not be saved afterwards: data without one mean and one std a channel, and what a
    ModelCard refuses.
    """
    if not len(data.mean) == len(data.std) == data.in_channels:
        raise ValueError(
            f"{data.name} has {len(data.mean)} mean and {len(data.std)} std for {data.in_channels} channels; give one "
            "of each a channel, as datasets.channel_statistics(images) does"
        )
    card, own = ModelCard.of(data), getattr(model, "card", None)
    if getattr(getattr(model, "config", None), "num_classes", data.num_classes) != data.num_classes:
        card = replace(card, class_names=())
    if own is None or len(own.mean) != data.in_channels:
        return card
    return replace(card, mean=own.mean, std=own.std)


def other_statistics(card: ModelCard, data: Dataset) -> str:
    """Say so if the pictures have another mean or std than the model was pre-trained with; else nothing."""
    pairs = [*zip(card.mean, data.mean, strict=True), *zip(card.std, data.std, strict=True)]
    if all(abs(one - other) <= AS_GOOD_AS_EQUAL for one, other in pairs):
        return ""

    def words(numbers: Iterable[float]) -> str:
        return ", ".join(f"{number:.3f}" for number in numbers)

    return (
        f"{data.name} has mean {words(data.mean)} and std {words(data.std)}, and the weights were trained with mean "
        f"{words(card.mean)} and std {words(card.std)}, which are kept; to change that, set model.card before fit"
    )
