"""Published weights into our model, fetched through the library that publishes them: `ViT.from_pretrained("ViT-B/16")`.

The network is needed the first time only: torchvision and timm keep what they fetched.
"""

import contextlib
import importlib.util
import io
import urllib.error
import urllib.request
from dataclasses import dataclass, replace

from torch import Tensor

from vit_tutorial.support.meta import shapes_only
from vit_tutorial.vit import ViT
from vit_tutorial.weights import ModelCard, load_weights


class FetchError(ConnectionError):
    """The weights could not be fetched; the text says what would have been."""


@dataclass(frozen=True)
class Published:
    """Weights for ImageNet's 1,000 classes: who publishes them, under which name, for images of how many pixels."""

    library: str
    model: str
    tag: str
    image_size: int = 224


PUBLISHED_CLASSES = 1000  # those of ImageNet

# Trained on ImageNet-1k alone by torchvision (but H/14: pre-trained on hashtags, Singh et al. 2022); the rest on
# ImageNet-21k first, by Google (Steiner et al. 2022, and the paper itself for R50+ViT-B/16), in timm's format.
PUBLISHED = {
    "ViT-Ti/16": Published("timm", "vit_tiny_patch16_224", "augreg_in21k_ft_in1k"),
    "ViT-S/16": Published("timm", "vit_small_patch16_224", "augreg_in21k_ft_in1k"),
    "ViT-S/32": Published("timm", "vit_small_patch32_224", "augreg_in21k_ft_in1k"),
    "ViT-B/8": Published("timm", "vit_base_patch8_224", "augreg_in21k_ft_in1k"),
    "ViT-B/16": Published("torchvision", "vit_b_16", "IMAGENET1K_V1"),
    "ViT-B/32": Published("torchvision", "vit_b_32", "IMAGENET1K_V1"),
    "ViT-L/16": Published("torchvision", "vit_l_16", "IMAGENET1K_V1"),
    "ViT-L/32": Published("torchvision", "vit_l_32", "IMAGENET1K_V1"),
    "ViT-H/14": Published("torchvision", "vit_h_14", "IMAGENET1K_SWAG_LINEAR_V1"),
    "R26+ViT-S/32": Published("timm", "vit_small_r26_s32_224", "augreg_in21k_ft_in1k"),
    "R50+ViT-B/16": Published("timm", "vit_base_r50_s16_384", "orig_in21k_ft_in1k", image_size=384),
    "R50+ViT-L/32": Published("timm", "vit_large_r50_s32_224", "augreg_in21k_ft_in1k"),
}


def from_pretrained(
    cls: type[ViT],
    name: str,
    image_size: int | tuple[int, int] | None = None,
    num_classes: int | None = None,
    *,
    fetch: bool = True,
    **options,
) -> ViT:
    """Build a model by its name and give it the weights that torchvision or timm publish for it, in eval mode.

    For another `image_size` (pixels) than that of the weights the positions are interpolated; for another
    `num_classes` the head starts anew. `options` are further fields of ViTConfig. `model.card` holds the class names,
    and the mean and std of the input. Weights that were fetched before need no network.
    Raises ValueError for a name without published weights or settings of which no model can be built, ImportError if
    timm is needed and not installed, and FetchError, which says what would have been fetched, if the network does not
    answer or `fetch` is False.
    """
    published = PUBLISHED.get(name)
    if published is None:
        raise ValueError(f"there are no published weights for {name!r}; choose one of {', '.join(PUBLISHED)}")
    image_size = published.image_size if image_size is None else image_size
    classes = PUBLISHED_CLASSES if num_classes is None else num_classes
    with shapes_only():  # what cannot be built is refused before anything is fetched
        cls.from_name(name, image_size, classes, **options)
        grid_size = cls.from_name(name, published.image_size).grid_size  # how the positions lie that are fetched
    if published.library == "timm" and importlib.util.find_spec("timm") is None:
        raise ImportError(f"the weights of {name} come through timm, which is not installed: pip install timm")
    if not fetch:
        raise FetchError(f"Nothing was fetched, because fetch is False: {_what(name, published)}")
    try:
        weights, card = _FETCH[published.library](published)
    except Exception as error:  # each library, and each library below it, has its own errors for a network that is away
        away = isinstance(error, ConnectionError | urllib.error.URLError)
        reason = "no network" if away else str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FetchError(f"Nothing could be fetched ({reason}): {_what(name, published)}") from error
    model = cls.from_name(name, image_size, classes, **options)
    load_weights(model, weights, skip_head=classes != PUBLISHED_CLASSES, grid_size=grid_size)
    model.card = card if classes == PUBLISHED_CLASSES else replace(card, class_names=())
    return model.eval()


def _what(name: str, published: Published) -> str:
    with shapes_only():
        model = ViT.from_name(name, published.image_size)
    size = sum(weight.numel() for weight in model.parameters())
    return (
        f"{name} would have come from {published.library}, as its {published.model} with weights {published.tag}, "
        f"{size:,} numbers, about {4 * size / 1e6:.0f} MB; a model that needs no network is "
        "load_model(DATA_FOLDER / 'vit_fashion_mnist.safetensors')"
    )


def _from_torchvision(published: Published) -> tuple[dict[str, Tensor], ModelCard]:
    from torchvision.models import get_model_weights

    entry = get_model_weights(published.model)[published.tag]
    shown = entry.transforms()
    record = f"torchvision {published.model} {published.tag}"
    crop, interpolation = shown.crop_size[0] / shown.resize_size[0], shown.interpolation.value
    names = tuple(entry.meta["categories"])
    card = ModelCard(names, tuple(shown.mean), tuple(shown.std), record, crop, interpolation)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints "Downloading" even where nothing comes
        return entry.get_state_dict(progress=True, check_hash=True), card


def _from_timm(published: Published) -> tuple[dict[str, Tensor], ModelCard]:
    import timm
    from timm.data import ImageNetInfo

    _must_be_near(f"timm/{published.model}.{published.tag}")
    theirs = timm.create_model(f"{published.model}.{published.tag}", pretrained=True)
    shown, known = theirs.pretrained_cfg, ImageNetInfo()
    names = tuple(known.index_to_description(i) for i in range(theirs.num_classes))
    view = shown["crop_pct"], shown["interpolation"]
    card = ModelCard(names, tuple(shown["mean"]), tuple(shown["std"]), f"timm {published.model}.{published.tag}", *view)
    return theirs.state_dict(), card


def _must_be_near(repository: str) -> None:
    """Raise URLError unless the weights were fetched before or the network answers: timm asks for a minute."""
    import huggingface_hub

    if isinstance(huggingface_hub.try_to_load_from_cache(repository, "model.safetensors"), str):
        return
    with contextlib.suppress(urllib.error.HTTPError):  # an answer, if not a kind one
        urllib.request.urlopen(huggingface_hub.constants.ENDPOINT, timeout=10).close()


_FETCH = {"torchvision": _from_torchvision, "timm": _from_timm}
