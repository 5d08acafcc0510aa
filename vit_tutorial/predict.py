"""What a trained model says of own pictures: `predict` in Python, and a command line.

    python -m vit_tutorial.predict cat.jpg dog.png --model runs/own_pictures/model.safetensors
    python -m vit_tutorial.predict cat.jpg --model ViT-B/16 --attention looks

It prints a table of the likeliest classes. With --attention it also draws where the model looked, one PNG a
picture: cat_attention.png.
"""

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from vit_tutorial import plots
from vit_tutorial.inputs import as_pair
from vit_tutorial.introspection import answer_attention, attention_maps, attention_rollout
from vit_tutorial.pretrained import PUBLISHED
from vit_tutorial.support.command_line import in_words, print_all_names
from vit_tutorial.support.files import write_file
from vit_tutorial.support.paths import at_home
from vit_tutorial.support.pictures import as_picture, fit_picture, pixels_of
from vit_tutorial.training.evaluation import predict as predict_logits
from vit_tutorial.vit import ViT
from vit_tutorial.weights import load_model

SHOWN = 3  # classes in a table
LONGEST_STEM = 200  # bytes of a picture's name that its drawing has too


@dataclass(frozen=True, eq=False, repr=False)
class Prediction:
    """What a model says of one picture: all its classes, the likeliest first, and what it saw of the picture."""

    class_names: tuple[str, ...]
    probabilities: tuple[float, ...]  # of these classes, 0 to 1; they add up to 1
    pixels: UInt8[Tensor, "C H W"]  # what the model saw

    def __repr__(self) -> str:
        return f"Prediction {', '.join(f'{name} {share:.1%}' for name, share in self.best(SHOWN))}"

    def best(self, count: int = 1) -> list[tuple[str, float]]:
        """Give the likeliest classes and their probabilities, as many as asked for or as there are."""
        return list(zip(self.class_names, self.probabilities, strict=True))[:count]


def predict(model: ViT, picture: str | os.PathLike | Image.Image | np.ndarray | Tensor) -> Prediction:
    """Let a model say what is on one picture: a path, a PIL image, a NumPy array or a tensor, of any size.

    The picture is prepared as the model's config and card say: grey or colour, resized, cut to its middle, normalised.
    Arrays and tensors are [H, W], [H, W, C] or [C, H, W], uint8 from 0 to 255 or real numbers from 0 to 1. For many
    pictures that are prepared already, use training.predict.
    Raises FileNotFoundError, TypeError for what is not one of these four, and ValueError for what is no picture or is
    damaged, or for a model without a card or with other channels than 1 or 3.
    """
    channels = model.config.in_channels
    if channels not in (1, 3):
        raise ValueError(f"the model takes {channels} channels; predict can bring a picture to 1 (grey) or 3 (colour)")
    if model.card is None or not model.card.mean:
        raise ValueError(
            "the model has no card, so it is not known how its input is prepared; load it with load_model, or set "
            "model.card = ModelCard(class_names, mean, std)"
        )
    image = as_picture(picture).convert("L" if channels == 1 else "RGB")
    height, width = as_pair(model.config.image_size)
    pixels = pixels_of(fit_picture(image, height, width, model.card.crop, model.card.interpolation))
    probabilities = predict_logits(model, pixels[None])[0].softmax(dim=0)
    names = model.card.class_names or [f"class {i}" for i in range(len(probabilities))]
    order = probabilities.argsort(descending=True, stable=True).tolist()
    return Prediction(tuple(names[i] for i in order), tuple(probabilities[order].tolist()), pixels)


def looks_at(model: ViT, pixels: UInt8[Tensor, "C H W"]) -> dict[str, Float[Tensor, "rows columns"]]:
    """Compute how much the model looks at each patch of a picture: in its last block, and through all blocks.

    The first is the mean over the heads, the second the rollout. It is the class token that looks; in a model without
    one, the mean over all patches. Shapes: pixels [C, H, W], 0 to 255 -> two tables [rows, columns] of patches.
    Raises TypeError if a block of the model cannot give its attention.
    """
    device = next(model.parameters()).device
    maps = attention_maps(model, model.card.normalize(pixels[None].to(device)))
    last, through_all = answer_attention([maps[-1], attention_rollout(maps)[:, None]], model)  # [1, N] each
    tables = {"last block, mean of heads": last, "all blocks, rollout": through_all}
    return {name: table.view(model.grid_size).float().cpu() for name, table in tables.items()}


def draw_prediction(model: ViT, prediction: Prediction) -> plots.Picture:
    """Draw what the model saw, with its answer, and over it where it looked: in its last block, and through all."""
    (name, share), tables = prediction.best()[0], looks_at(model, prediction.pixels)
    figure, axes = plots.new_figure(1, 1 + len(tables), size=(9, 3.3))
    plots.draw_image(axes[0, 0], prediction.pixels, f"{name}, {share:.1%}")
    for ax, (title, table) in zip(axes[0, 1:], tables.items(), strict=True):
        plots.draw_attention(ax, prediction.pixels, table, title)
    return plots.show(
        figure,
        alt=f"Left the picture as the model saw it, with its answer {name}, {share:.1%}; then twice the same picture, "
        "bright where the model looked: in its last block, and through all blocks.",
    )


# --- The command line ------------------------------------------------------------------------------------------------


def word(metavar: str, default: str | None = None, help: str | None = None) -> object:
    """Say how an option looks in the help: what stands for its value, its default, and what it is."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint=default, help=help)


@dataclass(frozen=True)
class Options:
    """All options of the command line."""

    files: Annotated[tuple[Path, ...], tyro.conf.Positional, word("FILE ...", "(one or more)", help="the pictures")]
    model: Annotated[str, word("FILE|NAME")]  # weights of a training, or a name that has published ones: ViT-B/16
    top: int = SHOWN  # classes that are printed of each picture
    attention: Annotated[
        Path | None,
        word("FOLDER", "(default: no drawings)", help="gets a drawing of each picture, where the model looked"),
    ] = None


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: a table, and for each picture that cannot be read a sentence and exit status 1."""
    print_all_names()
    options = tyro.cli(Options, prog="python -m vit_tutorial.predict", description=__doc__, args=arguments)
    try:
        if not options.files:
            raise ValueError("no picture is named; write one or more before --model")
        if options.top < 1:
            raise ValueError(f"--top is {options.top}; it must be 1 or more")
        model = find_model(options.model)
        failed = run(options, model)  # pictures
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f"error: {in_words(error)}")
    if failed:
        sys.exit(1)


def find_model(name: str) -> ViT:
    """Load the model from its file, or fetch the published weights of that name.

    Raises FileNotFoundError or ValueError as `load_model` does, FetchError or ImportError as `from_pretrained` does.
    """
    if name in PUBLISHED:
        return ViT.from_pretrained(name)
    return load_model(name)


def run(options: Options, model: ViT) -> int:
    """Print the table, write the drawings, and return how many files were no pictures."""
    predictions: dict[Path, Prediction] = {}
    failed = 0
    for file in options.files:
        try:
            predictions[file] = predict(model, file)
        except (ValueError, OSError) as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
    drawings: dict[Path, Path] = {}
    if options.attention is not None:
        folder = at_home(options.attention)
        drawings = {file: folder / name for file, name in drawing_names(list(predictions)).items()}
        refuse_to_replace(options.files, drawings)
    print_table(predictions, options.top)
    for file, drawing in drawings.items():
        write_file(drawing, draw_prediction(model, predictions[file]).png)
    if options.attention is not None:
        print(f"{len(drawings)} drawings in {options.attention}")
    return failed


def refuse_to_replace(pictures: tuple[Path, ...], drawings: dict[Path, Path]) -> None:
    """Raise ValueError if a drawing would be written over one of the pictures, under whatever path."""
    there = [path for picture in pictures if os.path.exists(path := os.path.expanduser(picture))]
    for file, drawing in drawings.items():
        if os.path.exists(drawing) and any(drawing.samefile(picture) for picture in there):
            raise ValueError(
                f"the drawing of {file} would be written over {drawing}, which is one of the pictures; nothing was "
                "written: name another folder with --attention"
            )


def print_table(predictions: dict[Path, Prediction], top: int) -> None:
    """Print for each picture its likeliest classes, the likeliest first."""
    rows = [
        ("" if place else str(file), name, f"{share:.1%}")
        for file, prediction in predictions.items()
        for place, (name, share) in enumerate(prediction.best(top))
    ]
    if rows:
        rows = [("picture", "class", "probability"), *rows]
        files, names, shares = (max(map(len, column)) for column in zip(*rows, strict=True))
        for file, name, share in rows:
            print(f"{file:<{files}}  {name:<{names}}  {share:>{shares}}")


def drawing_names(files: list[Path]) -> dict[Path, str]:
    """Give each picture the name of its drawing: its own and what it shows, and a number where two have the same.

    A disk takes names of 255 bytes, so the end of a long one is left out. Names that differ in capital letters alone
    are the same: on many disks they are one file.
    """
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for file in files:
        long = len(encoded := os.fsencode(file.stem)) > LONGEST_STEM
        own = encoded[:LONGEST_STEM].decode(errors="ignore") if long else file.stem
        stem, number = own, 1
        while stem.casefold() in taken:
            number += 1
            stem = f"{own}_{number}"
        taken.add(stem.casefold())
        names[file] = f"{stem}_attention.png"
    return names


if __name__ == "__main__":
    main()
