"""The command line: train a Vision Transformer, stop and go on at any time, and keep what came of it.

    python -m vit_tutorial.train --data fashion_mnist --out runs/first
    python -m vit_tutorial.train --recipe cifar10-gpu --out runs/cifar10
    python -m vit_tutorial.train --data FOLDER --picture-size 56 --out runs/own_pictures
    torchrun --nproc-per-node 4 -m vit_tutorial.train --recipe cifar10-gpu --out runs/four_gpus

The folder of --out receives the checkpoint while training, then the weights (model.safetensors) and history.json.
The same command again goes on where the last one was stopped: Ctrl-C and SIGTERM save first. A run that has ended is
not made longer; --start-from begins another one with its weights, or with any others: to fine-tune them, name other
data, --freeze what shall stay, and --layer-decay. Their shape, mean and std are kept, pictures of a folder are read in
their size and colours, and for other classes the head starts anew. torchrun starts several processes that share each
batch.

A recorded recipe is a whole command. With other data, classes, settings or weights to start from, it is a training of
your own: name --out, and --record, --float16 and --keep where you want them.
"""

import contextlib
import hashlib
import json
import os
import re
import shlex
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal

import torch
import tyro
from tqdm import tqdm

from vit_tutorial.datasets import READERS, DataError, Dataset, DataWarning, load
from vit_tutorial.recipes import PICTURES, RECIPES, Recipe, build_model
from vit_tutorial.support.command_line import in_words, print_all_names, refuse_repeated
from vit_tutorial.support.differences import differences
from vit_tutorial.support.files import closed, make_writable, sweep, write_json
from vit_tutorial.support.paths import NEW_DATA, at_home
from vit_tutorial.training import History, TrainingConfig, TrainingError, TrainingWarning, fit
from vit_tutorial.training.checkpoint import (
    CHECKPOINT_NAME,
    WAY_OUT,
    epochs_done,
    kept_statistics,
    refuse_other_run,
    reserved,
    under_todays_name,
    weights_after_an_epoch,
)
from vit_tutorial.training.devices import choose_device
from vit_tutorial.training.distributed import World, joined
from vit_tutorial.training.record import keep_weights, kept_file, make_record
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import load_weights, save_model
from vit_tutorial.weights.files import existing_file, read, read_safetensors
from vit_tutorial.weights.loading import Misfit
from vit_tutorial.weights.metadata import Metadata, grid_of, is_ours, understand

RESULT_NAMES = ("model.safetensors", "history.json")  # what a run leaves in its folder, besides the checkpoint
START_NAME = "start.json"  # beside the checkpoint: the weights, the model and the data that the run began with
START = {"file": str | None, "sha256": str | None, "model": dict, "data": dict}  # what is in it
FROM_DATA = ("image_size", "in_channels", "num_classes")  # fields of ViTConfig that the data set decides


# --- Options: one for every field of the two configs, whose comments are the help ------------------------------------


@dataclass(frozen=True)
class ModelOptions(ViTConfig):
    """The shape of the model."""

    image_size: tyro.conf.Suppress[int] = 0
    in_channels: tyro.conf.Suppress[int] = 0
    num_classes: tyro.conf.Suppress[int] = 0

    def __post_init__(self):
        """Check nothing yet: `run` makes a ViTConfig of it."""


@dataclass(frozen=True)
class TrainingOptions(TrainingConfig):
    """How it is trained."""

    def __post_init__(self):
        """Check nothing yet: `run` makes a TrainingConfig of it."""


@dataclass(frozen=True)
class Choice:
    """The options that are read first, because all other defaults come from them."""

    recipe: Literal[tuple(RECIPES)] = "cpu"  # all other defaults are those of this recipe; --preset means the same
    data: Literal[tuple(READERS)] | Path = "fashion_mnist"  # the data set, or a folder with a folder for each class
    start_from: Path | None = None  # file of weights to begin with, --weights means the same; none: random ones
    out: Path | None = None  # folder of checkpoint, weights and history


@dataclass(frozen=True)
class Options(Choice):
    """All options of the command line."""

    classes: tuple[int, ...] = ()  # only these classes of the data, by their numbers; all, if left out
    picture_size: int | None = None  # pixels a side of a folder's pictures; none: as for the weights, or the recipe
    data_root: Path | None = None  # folder where to look for it first
    out: Path = tyro.MISSING  # folder of checkpoint, weights and history
    record: str | None = None  # also write a record of this name to the folder of records
    records: Path = NEW_DATA / "results"  # that folder
    float16: Path | None = None  # file that also gets the weights, in half the bytes
    keep: tuple[int, ...] = ()  # also keep the weights after these epochs
    keep_in: Path | None = None  # folder of these; none: epochs, in that of --out
    quiet: bool = False  # no line per epoch
    model: tyro.conf.OmitArgPrefixes[ModelOptions] = tyro.MISSING
    training: tyro.conf.OmitArgPrefixes[TrainingOptions] = tyro.MISSING


SEVERAL = [  # options that take several values
    field.name
    for options in (Options, ViTConfig, TrainingConfig)
    for field in fields(options)
    if isinstance(field.default, tuple)
]


def parse(arguments: list[str]) -> Options:
    """Read the options; what is not given comes from the recipe. A wrong option ends the program with exit status 2."""
    for other, name in (("preset", "recipe"), ("weights", "start-from")):
        arguments = [re.sub(f"^--{other}(?==|$)", f"--{name}", argument) for argument in arguments]
    refuse_repeated(arguments, SEVERAL)
    recipe = RECIPES[choose(arguments, Choice()).recipe]
    choice = choose(arguments, Choice(recipe.name, recipe.data))
    known = config_before(choice.start_from, choice.out)
    own = replace(recipe, out=None, weights=None, keep=(), keep_in=None, result="")  # its results are not the recipe's
    if choice.data != recipe.data or choice.start_from or known:
        return parse_all(arguments, choice, own, known)
    options = parse_all(arguments, choice, recipe)
    return options if is_training_of(options, recipe) else parse_all(arguments, choice, own)


def choose(arguments: list[str], default: Choice) -> Choice:
    """Read the options that decide about the others, and leave those aside."""
    return tyro.cli(
        Choice, args=arguments, default=default, return_unknown_args=True, add_help=False, registry=registry
    )[0]


def parse_all(arguments: list[str], choice: Choice, recipe: Recipe, known: dict | None = None) -> Options:
    """Read all options; what is not given is as in the recipe, or as is `known` of the weights to start from."""
    shape = {name: value for name, value in (known or recipe.model).items() if name not in FROM_DATA}
    defaults = Options(
        recipe=recipe.name,
        data=recipe.data,
        out=recipe.out or tyro.MISSING,
        record=recipe.name if recipe.recorded else None,
        float16=recipe.weights,
        keep=recipe.keep,
        keep_in=recipe.keep_in,
        start_from=choice.start_from,
        classes=recipe.classes if choice.data == recipe.data else (),
        model=ModelOptions(**shape),
        training=TrainingOptions(**asdict(recipe.training)),
    )
    options = tyro.cli(
        Options,
        prog="python -m vit_tutorial.train",
        description=__doc__,
        args=arguments,
        default=defaults,
        registry=registry,
    )
    paths = {name: value for name, value in vars(options).items() if isinstance(value, Path)}
    return replace(options, **{name: at_home(path) for name, path in paths.items()})  # as no shell does in --out=~


def is_training_of(options: Options, recipe: Recipe) -> bool:
    """Say whether the options train the recipe's model on its data with its settings, wherever the results go."""
    model, training = ModelOptions(**recipe.model), TrainingOptions(**asdict(recipe.training))
    asked = (options.data, options.classes, options.model, options.training)
    return asked == (recipe.data, recipe.classes, model, training)


def config_before(weights: Path | None, out: Path | None) -> dict:
    """Give the config of the weights to start from, or those that the run in the folder of --out began with.

    It is empty for random weights, for a file that is not ours, and for one that cannot be read.
    """
    if weights:
        with contextlib.suppress(OSError, ValueError):  # `run` says why
            about = about_file(weights)
            return asdict(about.config) if about else {}
    began = read_start(at_home(out)) if out and not weights else {}
    if not began.get("file"):
        return {}
    return {
        name: tuple(value) if isinstance(value, list) else value  # JSON has lists alone
        for name, value in began.get("model", {}).items()
        if name in {field.name for field in fields(ViTConfig)}
    }


registry = tyro.constructors.ConstructorRegistry()


@registry.primitive_rule
def read_none(kind: tyro.constructors.PrimitiveTypeInfo) -> tyro.constructors.PrimitiveConstructorSpec | None:
    """Take the word none, in small or large letters, for None."""
    if kind.type is not type(None):
        return None

    def read(words: list[str]) -> None:
        if words[0].lower() != "none":
            raise ValueError(f"{words[0]!r} is not none")

    return tyro.constructors.PrimitiveConstructorSpec(
        nargs=1,
        metavar="none",
        instance_from_str=read,
        is_instance=lambda value: value is None,
        str_from_instance=lambda value: ["none"],
    )


# --- What the command does -------------------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors that a person can mend end it with one sentence and exit status 1."""
    print_all_names()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = parse(arguments)
        with plain_warnings(), sigterm_as_ctrl_c(), the_way_on(options.out):
            run(options, f"python -m vit_tutorial.train {shlex.join(arguments)}")
    except (DataError, TrainingError, ValueError, OSError) as error:
        sys.exit(f"error: {in_words(error)}")


@contextlib.contextmanager
def the_way_on(out: Path) -> Iterator[None]:
    """Let Ctrl-C end the program with a sentence that says how the run in a folder goes on."""
    try:
        yield
    except KeyboardInterrupt:
        if (out / CHECKPOINT_NAME).exists():
            sys.exit(f"stopped; the same command goes on from the last checkpoint in {out}")
        sys.exit(f"stopped; there is no checkpoint in {out} yet, so the same command starts at the beginning")


@contextlib.contextmanager
def plain_warnings() -> Iterator[None]:
    """Print the warnings of a training and of its data as one sentence, above the progress bar if there is one."""
    with warnings.catch_warnings():
        usual = warnings.showwarning

        def show(message: Warning | str, category: type[Warning], *where) -> None:
            if issubclass(category, TrainingWarning | DataWarning):
                tqdm.write(f"warning: {message}", file=sys.stderr)
            else:
                usual(message, category, *where)

        warnings.showwarning = show
        yield


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the program as Ctrl-C does; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def check_keep(keep: tuple[int, ...], epochs: int) -> None:
    """Raise ValueError if weights are to be kept after an epoch that the run does not have."""
    if wrong := [epoch for epoch in keep if not 1 <= epoch <= epochs]:
        raise ValueError(
            f"--keep names {', '.join(map(str, wrong))}, and the run has epochs 1 to {epochs}; name some of these, or "
            "leave it out"
        )


def refuse_places(options: Options) -> None:
    """Raise ValueError if what is written would lie among the pictures, or in the place of a file of another kind."""
    written = {"out": options.out, "keep-in": options.keep_in, "float16": options.float16}
    written["records"] = options.records if options.record else None
    for name, path in written.items():
        if path and isinstance(options.data, Path) and lies_among(path.resolve(), options.data.resolve()):
            raise ValueError(
                f"--{name} {path} lies in the folder of --data, {options.data}, which is read as pictures; name a "
                "place outside of it (a run that was moved there goes on)"
            )
    if options.float16 and options.float16.exists() and not is_model(options.float16):
        raise ValueError(
            f"--float16 {options.float16} is there and no model that was saved here, so something else would be "
            "written over; name another file"
        )

    once = {(options.out / name).resolve() for name in (CHECKPOINT_NAME, START_NAME, *RESULT_NAMES)}
    if options.start_from:
        once.add(options.start_from.resolve())
    for name, path in further_files(options):
        if path.resolve() in once:
            raise ValueError(
                f"--{name} would be written over {path}, which the run itself needs; name another place for it"
            )


def further_files(options: Options) -> list[tuple[str, Path]]:
    """Give what is written outside of the folder of --out, or besides its usual files, each with its option."""
    files = [("keep-in" if options.keep_in else "keep", kept_file(folder_of_kept(options), e)) for e in options.keep]
    if options.float16:
        files.append(("float16", options.float16))
    if options.record:
        files.append(("records", options.records / f"{options.record}.json"))
    return files


def refuse_closed_places(options: Options) -> None:
    """Raise ValueError if a file could not be written where it is wanted, which would show when all is trained."""
    for name, path in further_files(options):
        folder = path.parent
        try:
            make_writable(next(place for place in (folder, *folder.parents) if os.path.exists(place)))
        except OSError as error:
            raise ValueError(f"--{name}: the folder {closed(folder, error)}; name one that you may write to") from error


def lies_among(path: Path, pictures: Path) -> bool:
    """Say whether a path is in the folder of pictures, and in no hidden folder there, which is not read."""
    inside = path.relative_to(pictures).parts if path.is_relative_to(pictures) else (".",)
    return not any(part.startswith(".") for part in inside)


def is_model(file: Path) -> bool:
    """Say whether this is a file that `save_model` wrote."""
    with contextlib.suppress(OSError, ValueError):
        return is_ours(read_safetensors(file)[1])
    return False


def refuse_other_record(file: Path, now: History, weights: str | None) -> None:
    """Raise ValueError if the file is there, and is not the record of a training like the one that is to begin.

    `weights` is the sha256 of the file that it begins with. Settings that an older record does not have had their
    defaults.
    """
    if not file.exists():
        return
    try:
        then = json.loads(file.read_text(encoding="utf-8"))
        settings = {
            "config": asdict(TrainingConfig()) | then["config"],
            "model": then["model"],
            "data": {"crc32": then["data"]["crc32"]},
        }
        today = {what: {name: getattr(now, what).get(name) for name in settings[what]} for what in settings}
        for side, sha256 in ((settings, then.get("start", {}).get("sha256")), (today, weights)):
            side["start"] = {"weights": (sha256 or "random")[:12]}
        changes = differences(settings, today)
    except (AttributeError, KeyError, TypeError, ValueError):
        changes = "it has no settings of a training"
    if changes:
        raise ValueError(
            f"{file} is the record of another training ({changes}), which would be lost; give this one another name "
            "with --record, or another folder with --records"
        )


def check_folder(folder: Path, config: TrainingConfig, start: dict) -> None:
    """Raise TrainingError if this run cannot go on from what the folder holds, or would write over what is not its own.

    What killed saves have left there is deleted.
    """
    for name in (*RESULT_NAMES, START_NAME):
        sweep(folder / name)
    refuse_other_run(folder, config)
    refuse_other_start(folder, start)
    others = [name for name in RESULT_NAMES if (folder / name).exists()]
    if others and not (folder / CHECKPOINT_NAME).exists():
        raise TrainingError(
            f"{folder} holds {' and '.join(others)} and no checkpoint, so something else would be written over; use "
            "another folder, or move away what is there"
        )


def about_start(file: Path | None) -> dict:
    """Name the file of weights that a run begins with, and its sha256; both are None for random weights."""
    if file is None:
        return {"file": None, "sha256": None}
    path = existing_file(file)
    with open(path, "rb") as opened:
        return {"file": str(path), "sha256": hashlib.file_digest(opened, "sha256").hexdigest()}


def read_start(folder: Path) -> dict:
    """Read what the run in the folder began with; empty if there is none, or it is not as this version writes it."""
    with contextlib.suppress(OSError, ValueError):
        if (folder / CHECKPOINT_NAME).exists():
            began = json.loads((folder / START_NAME).read_text(encoding="utf-8"))
            if isinstance(began, dict) and {"file", "sha256"} <= began.keys():
                return began if all(isinstance(began.get(name, {}), kind) for name, kind in START.items()) else {}
    return {}


def refuse_other_start(folder: Path, start: dict) -> None:
    """Raise TrainingError if --start-from names other weights than those that the run in the folder began with.

    Without --start-from it goes on: the checkpoint has all that is needed.
    """
    began = read_start(folder)
    if began and start["sha256"] not in (None, began["sha256"]):
        raise TrainingError(
            f"{folder} holds a run that began with {describe_start(began)}, and --start-from names "
            f"{describe_start(start)}; {WAY_OUT}"
        )


def describe_start(start: dict) -> str:
    """Put what a run begins with into words."""
    return f"the weights of {start['file']} (sha256 {start['sha256'][:8]})" if start["sha256"] else "random weights"


def run(options: Options, command: str) -> None:
    """Train, write everything down, and look at the test images once, at the very end."""
    config = TrainingConfig(**asdict(options.training))
    check_keep(options.keep, config.epochs)
    refuse_places(options)
    shape = {name: value for name, value in asdict(options.model).items() if name not in FROM_DATA}
    device = choose_device(config.device)
    with contextlib.ExitStack() as until_all_is_written:
        with joined(device) as world:
            until_all_is_written.enter_context(reserved(options.out, world))
            start = world.let_main(lambda: about_start(options.start_from))
            world.let_main(lambda: check_folder(options.out, config, start))
            world.let_main(lambda: refuse_closed_places(options))
            data = find_data_once(options, world)
            if options.classes:
                data = data.of_classes(options.classes)
            model = build_model(data, shape, config.seed)
            words = begin_with(model, options.start_from) if options.start_from else ""
            if not options.start_from:  # as it may when it goes on: the weights are in the checkpoint
                model.card = replace(model.card, **world.let_main(lambda: kept_statistics(options.out)))
            world.let_main(lambda: begin(options, model, data, config, start, words))

            def after_epoch(history: History) -> None:
                if history.epochs in options.keep:  # or the checkpoint need not be read
                    keep(options, model)
                if not options.quiet:
                    print_epoch(history)

            history = fit(
                model, data, config, checkpoint=options.out, checkpoint_epochs=options.keep, on_epoch=after_epoch
            )
        if world.is_main:
            keep(options, model)  # of a run that had ended before, now that `fit` knows it for the same
            finish(options, command, model, data, history, device)


def begin(options: Options, model: ViT, data: Dataset, config: TrainingConfig, start: dict, words: str) -> None:
    """Say what is trained; write down what a new run begins with, or keep the weights that an old one left due."""
    described, began = History.begin(model, data, config, len(data.train_labels), 0), read_start(options.out)
    if options.record:
        refuse_other_record(options.records / f"{options.record}.json", described, (began or start)["sha256"])
    if (options.out / CHECKPOINT_NAME).exists():
        words = f"goes on from the checkpoint in {options.out}"
        if began.get("file"):
            words += f", which began with {describe_start(began)}"
        data_then = under_todays_name(began.get("data", {}), described.data)
        if (began.get("model"), data_then) == (described.model, described.data):  # or `fit` says what is different
            keep(options, model)  # the run may have been killed just before it did
        if options.keep:  # or the checkpoint need not be read
            check_kept(options)
    else:
        write_json(options.out / START_NAME, start | {"model": described.model, "data": described.data})
    print(data, *filter(None, [words]), sep="\n")


def keep(options: Options, model: ViT) -> None:
    """Keep the weights of the checkpoint if the options name its epoch."""
    keep_weights(model, options.out, options.keep, folder_of_kept(options))


def check_kept(options: Options) -> None:
    """Raise ValueError if weights are to be kept after an epoch that is over, and were not kept then."""
    done, folder = epochs_done(options.out), folder_of_kept(options)
    over = [epoch for epoch in options.keep if epoch <= done and not kept_file(folder, epoch).exists()]
    there = weights_after_an_epoch(options.out) if over else None
    if gone := [epoch for epoch in over if there is None or epoch != there[0]]:
        raise ValueError(
            f"--keep names {', '.join(map(str, gone))}, and the run in {options.out} has done {done} epochs without "
            f"keeping these in {folder}; name later ones, or train anew in another folder"
        )


def folder_of_kept(options: Options) -> Path:
    """Give the folder of the weights that are kept after some epochs."""
    return options.keep_in or options.out / "epochs"


def about_file(file: Path) -> Metadata | None:
    """Read what a file of ours says of itself; None for another file. Raises FileNotFoundError and ValueError."""
    path = existing_file(file)
    _, said = read(path)
    return understand(path, said) if is_ours(said) else None


def begin_with(model: ViT, file: Path) -> str:
    """Give the model the weights of a file, and say what became of their head.

    It stays untrained for other classes, and where that of the file does not fit.
    The model also gets the mean, std and view that the weights were trained with, where the file tells them.
    Raises FileNotFoundError or ValueError as `load_weights` does.
    """
    about, names = about_file(file), model.card.class_names
    known = about.card.class_names if about else ()
    other_head = f"is for its {len(known)} classes" if known and known != names else ""
    try:
        load_weights(model, file, skip_head=bool(other_head))
    except Misfit:
        load_weights(model, file, skip_head=True)  # or it was not for the head's sake
        other_head = "does not fit"
    if about and about.card.mean and len(about.card.mean) == model.config.in_channels:
        model.card = replace(about.card, class_names=names, record="")
    words = f"begins with the weights of {file}"
    if other_head:
        words += f"; the head starts anew, since that of the file {other_head}"
    else:
        words += ", head included"
    return words + (describe_stretch(about.config, model) if about else "")


def describe_stretch(config: ViTConfig, model: ViT) -> str:
    """Say so if positions that were learned on another grid of patches are stretched to that of the model."""
    (rows, columns), (own_rows, own_columns) = grid_of(config), model.grid_size
    if config.position != "learned" or (rows, columns) == (own_rows, own_columns):
        return ""
    return f"; positions are stretched from {rows}x{columns} patches to {own_rows}x{own_columns}"


def find_data_once(options: Options, world: World) -> Dataset:
    """Find the data in the main process, which may download them, and then in the others; or raise its error in all."""
    found = []
    world.let_main(lambda: found.append(find_data(options)))
    return found[0] if world.is_main else find_data(options, quiet=True)


def find_data(options: Options, quiet: bool = False) -> Dataset:
    """Load the data set that the options name, or read the folder; if `quiet`, what is left out of it is not said.

    Pictures of a folder get the size and the channels of the weights to start from, where these are known.
    Raises ValueError for options that do not go together, and DataError as `load` and `Dataset.from_folder` do.
    """
    if not isinstance(options.data, Path):
        if options.picture_size is not None:
            raise ValueError(
                f"--picture-size {options.picture_size} is for a folder, and {options.data} has pictures of one size; "
                "leave it out"
            )
        return load(options.data, root=options.data_root)
    if options.data_root is not None:
        raise ValueError(
            f"--data-root {options.data_root} is for the data sets that have a name, and {options.data} is a folder; "
            "leave it out"
        )
    if not options.data.is_dir():
        raise DataError(f"--data {options.data} is no folder, and none of the data sets {', '.join(READERS)}; name one")
    known = config_before(options.start_from, options.out)
    size = options.picture_size
    if size is None:
        size = known.get("image_size") or PICTURES[RECIPES[options.recipe].data][2]
    channels = known.get("in_channels")
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore", DataWarning)
        return Dataset.from_folder(options.data, size, channels=channels if channels in (1, 3) else None)


def print_epoch(history: History) -> None:
    """Print one line about the last epoch, above the progress bar if there is one."""
    validation = f", validation {history.validation_accuracy[-1]:.2%}" if history.validation_accuracy else ""
    tqdm.write(
        f"epoch {history.epochs}/{history.config['epochs']}: loss {history.train_loss[-1]:.3f}, accuracy "
        f"{history.train_accuracy[-1]:.2%}{validation}, {history.seconds[-1]:.1f} s"
    )
    sys.stdout.flush()


def finish(
    options: Options,
    command: str,
    model: ViT,
    data: Dataset,
    history: History,
    device: torch.device,
) -> None:
    """Write weights, history and record, and print what the record says."""
    if options.record:
        model.card = replace(model.card, record=f"{options.record}.json")
    history.to_json(options.out / "history.json")
    weights = save_model(model, options.out / "model.safetensors")
    if options.float16:
        save_model(model, options.float16, dtype=torch.float16)
    print(f"{sum(history.seconds):.0f} s of training, {history.images_per_second:,.0f} images/s; weights in {weights}")
    if history.validation_accuracy:
        print(f"validation accuracy {history.validation_accuracy[-1]:.2%}")
    record = make_record(model, data, history, device, name=options.record, command=command)
    if "mfu" in record:
        print(
            f"{record['mfu']:.0%} of the {record['matrix_rate'] / 1e12:.3g} TFLOP/s that matrix products reach here "
            f"(MFU), with {record['flops_per_image'] / 1e6:,.0f} MFLOP an image forward"
        )
    print(f"test accuracy {record['test']['accuracy']:.2%}")
    if "mirrored_test" in record:
        print(f"averaged with the mirror image of each {record['mirrored_test']['accuracy']:.2%}")
    if options.record:
        path, began = options.records / f"{options.record}.json", read_start(options.out)
        if began.get("file"):
            record["start"] = {"file": Path(began["file"]).name, "sha256": began["sha256"]}
        write_json(path, record)
        print(f"record in {path}")


if __name__ == "__main__":
    main()
