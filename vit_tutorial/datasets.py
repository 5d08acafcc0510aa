"""Real pictures with their classes: small ones that come with the course, and bigger ones found on disk or downloaded.

    >>> from vit_tutorial.datasets import load
    >>> load("fashion_mnist")
    Dataset fashion_mnist: 10,000 training and 2,000 test images of 1x28x28, 10 classes

Three sets are known. `fashion_mnist` lies in the folder `data/` of the course and needs no network.
`fashion_mnist_full` and `cifar10` are looked up on disk first and downloaded last. Whatever is read is compared with a
published checksum before it is used, so a damaged file is an error and never a slightly different data set.

Own pictures need no name: `Dataset.from_folder(path, image_size=32)` reads a folder of folders, one a class.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import operator
import os
import socket
import sys
import tempfile
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from vit_tutorial.support.normalizing import normalize
from vit_tutorial.support.paths import DATA_FOLDER, at_home
from vit_tutorial.support.seeds import check_seed
from vit_tutorial.support.terminal import somebody_is_watching

DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package dataset-fashion-mnist puts its files
DOWNLOAD_PATIENCE = 60  # seconds without a single byte after which a download counts as failed

FASHION_MNIST_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

# The checksum of data/fashion_mnist.npz, and those of the four official files after decompression.
FASHION_MNIST_NPZ_SHA256 = "d89998007cb1ff282518a344d7bfea49a01ca2ac01d4fda330a9dabddbef4f0d"
FASHION_MNIST_SHA256 = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class DataError(RuntimeError):
    """A data set is missing, incomplete, damaged or out of reach; the message names the file and the way out."""


class DataWarning(UserWarning):
    """Something of a folder of pictures is left out; the message names it."""


# --- What a data set is ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """Training and test images as whole numbers from 0 to 255, their labels, and the names of the classes.

    `mean` and `std` describe the training images, one number a channel, on the scale where 0 is black and 1 is white.
    """

    name: str
    train_images: UInt8[Tensor, "N C H W"]
    train_labels: Int64[Tensor, " N"]
    test_images: UInt8[Tensor, "M C H W"]
    test_labels: Int64[Tensor, " M"]
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def from_folder(
        cls,
        path: str | os.PathLike,
        image_size: int | tuple[int, int],
        *,
        channels: int | None = None,
        test_fraction: float = 0.2,
        seed: int = 0,
    ) -> "Dataset":
        """Read own pictures from folders, one folder a class, as torchvision's ImageFolder takes them.

        The folder holds train/ and test/ (or training/, testing/, in small or large letters), each with the same
        classes; or it holds the classes, and then `test_fraction` of every class (one picture at least), chosen by
        `seed`, is for testing. Classes are sorted by name. Hidden files and folders are left out. A picture
        is turned upright as its EXIF says, laid on white where it is transparent, brought to `image_size` pixels (a
        side, or height and width) without distortion, and cut to its middle. `channels` is 1 for grey or 3 for colour;
        None is 1 if all pictures are grey. Files that cannot be read are left out, and one DataWarning names them.
        Raises DataError for a folder that is not of this form, also where its folders look like parts under other
        names, and ValueError for a number out of range.
        """
        if channels not in (None, 1, 3):
            raise ValueError(f"channels is {channels}; it must be 1 for grey, 3 for colour, or None")
        if not 0 < test_fraction < 1:
            raise ValueError(f"test_fraction is {test_fraction}; it must be above 0 and below 1")
        sides = image_size if isinstance(image_size, Sequence) else (image_size, image_size)
        size = tuple(_whole_number(side) for side in sides)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"image_size is {image_size!r}; it must be a positive whole number of pixels, or two")
        return _read_folder(at_home(path), size, channels, test_fraction, seed)

    @property
    def image_size(self) -> int | tuple[int, int]:
        """The side of a square image in pixels, or (height, width) where the two differ."""
        height, width = self.train_images.shape[-2:]
        return height if height == width else (height, width)

    @property
    def in_channels(self) -> int:
        """1 for grey images, 3 for colour."""
        return self.train_images.shape[1]

    @property
    def num_classes(self) -> int:
        """How many different labels there are."""
        return len(self.class_names)

    def of_classes(self, classes: Sequence[int]) -> "Dataset":
        """Keep the pictures of some classes, which are numbered anew from 0; mean and std are those of what is left.

        Raises ValueError for fewer than two classes, a class that is not there, or one that is named twice.
        """
        classes = tuple(classes.tolist() if isinstance(classes, Tensor) else classes)
        if len(set(classes)) < len(classes) or not set(classes) <= set(range(self.num_classes)):
            raise ValueError(
                f"classes are {classes}; {self.name} has 0 to {self.num_classes - 1}, and each may be named once"
            )
        if len(classes) < 2:
            raise ValueError(
                f"classes are {classes}; name two or more of 0 to {self.num_classes - 1}: one alone leaves nothing to "
                "tell apart"
            )
        number = torch.full((self.num_classes,), -1)
        number[list(classes)] = torch.arange(len(classes))
        train, test = (number[labels] >= 0 for labels in (self.train_labels, self.test_labels))
        images = self.train_images[train]
        mean, std = channel_statistics(images)
        return Dataset(
            f"{len(classes)} classes of {self.name}",
            images,
            number[self.train_labels[train]],
            self.test_images[test],
            number[self.test_labels[test]],
            tuple(self.class_names[one] for one in classes),
            mean,
            std,
        )

    def normalize(self, images: UInt8[Tensor, "*B C H W"]) -> Float[Tensor, "*B C H W"]:
        """Shift and scale pixels so that every channel of the training set has mean 0 and standard deviation 1.

        Takes uint8 images, one [C,H,W] or many [B,C,H,W], and returns float32 of the same shape on the same device.
        Raises ValueError for another type or number of channels.
        """
        return normalize(images, self.mean, self.std, f"{self.name} has")

    def __repr__(self) -> str:
        shape = "x".join(str(side) for side in self.train_images.shape[1:])
        return (
            f"Dataset {self.name}: {len(self.train_images):,} training and {len(self.test_images):,} test images "
            f"of {shape}, {self.num_classes} classes"
        )


def _whole_number(value: object) -> int:
    """Read a number of pixels, NumPy's and PyTorch's too; 0, which no size may be, for another value."""
    try:
        return 0 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return 0


def channel_statistics(images: UInt8[Tensor, "N C H W"]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of every channel, as fractions of 255.

    Shapes: images [N, C, H, W] -> C means and C deviations.
    A pixel has only 256 possible values, so it is enough to count how often each occurs. The counts are whole numbers,
    so the result does not depend on the order in which anything is added. A channel that is the same everywhere has a
    deviation of 1: nothing can be divided by 0, and its pixels become 0 all the same.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(dim=1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        means.append(mean.item())
        stds.append((share * (values - mean) ** 2).sum().sqrt().item() if share.max() < 1 else 1.0)
    return tuple(means), tuple(stds)


# --- Finding it ------------------------------------------------------------------------------------------------------


def load(name: str, root: str | os.PathLike | None = None, download: bool = True) -> Dataset:
    """Return the data set called `name`: "fashion_mnist", "fashion_mnist_full" or "cifar10".

    The folders searched, in this order: `root`, the one named by the environment variable VIT_TUTORIAL_DATA,
    `data/downloads` of the course, `~/.cache/vit_tutorial`. The first that holds the set, even a part of it, decides.
    If none does and `download` is true, the set is downloaded into the first of `root`, VIT_TUTORIAL_DATA and
    `~/.cache/vit_tutorial` that is given. "fashion_mnist" comes with the course and is searched in `root` and `data`.

    Raises ValueError for an unknown name and DataError when the set is missing, damaged or cannot be downloaded.
    """
    if name not in READERS:
        raise ValueError(f"unknown data set {name!r}; the known ones are {', '.join(READERS)}")
    places = _places(name, root)
    for place in places:
        try:
            dataset = READERS[name](place)
        except OSError as error:
            file = error.filename or place
            raise DataError(
                f"{file} cannot be read ({error.strerror}); allow reading it or pass another root"
            ) from error
        if dataset is not None:
            return dataset
    if name in DOWNLOADS and download:
        return _download(name, _download_folder(root))
    searched = ", ".join(str(place) for place in places)
    if name in DOWNLOADS:
        way_out = f"load it with download=True, or put the folder {DOWNLOADS[name]} into one of these"
    else:
        way_out = "install the course again, with `pip install -e .` in a clone of it, or pass its data folder as root"
    raise DataError(f"{name} was not found in {searched}; {way_out}")


def _places(name: str, root: str | os.PathLike | None) -> list[Path]:
    """The folders that may hold the set, the most wanted first."""
    given = [at_home(root)] if root is not None else []
    if name == "fashion_mnist":
        return [*given, DATA_FOLDER]
    places = [*given, *_folder_from_environment(), DATA_FOLDER / "downloads", *_cache_folder()]
    return [*places, DEBIAN_FOLDER] if name == "fashion_mnist_full" else places


def _download_folder(root: str | os.PathLike | None) -> Path:
    if root is not None:
        return at_home(root)
    folders = [*_folder_from_environment(), *_cache_folder()]
    if not folders:
        raise DataError("nobody knows where your home folder is; pass root, or name a folder in VIT_TUTORIAL_DATA")
    return folders[0]


def _folder_from_environment() -> list[Path]:
    folder = os.environ.get("VIT_TUTORIAL_DATA")
    return [at_home(folder)] if folder else []


def _cache_folder() -> list[Path]:
    with contextlib.suppress(RuntimeError):  # a user without a home, as some containers have
        return [Path.home() / ".cache" / "vit_tutorial"]
    return []


# --- Reading it ------------------------------------------------------------------------------------------------------
# A reader gets a folder and returns the data set in it, or None where there is nothing of the set.
# Where there is something, but not all of it or not intact, it raises DataError.

_START_AFRESH = "delete that copy and load again for a fresh download, or pass the folder of a good copy as root"


def _read_fashion_mnist(place: Path) -> Dataset | None:
    """10,000 training and 2,000 test images, 1,000 and 200 of every class, from one file that is part of the course."""
    path = place / "fashion_mnist.npz"
    if not path.exists():
        return None
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != FASHION_MNIST_NPZ_SHA256:
        raise DataError(
            f"{_damaged(path, len(content))}; restore it with `git checkout data/fashion_mnist.npz` or "
            "install the course again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return _grey_dataset("fashion_mnist", **{key: torch.from_numpy(arrays[key]) for key in arrays})


def _read_fashion_mnist_full(place: Path) -> Dataset | None:
    """All 60,000 + 10,000 images, from idx files as torchvision or Debian lay them down, compressed or not.

    The same content is compressed in several ways out there, so what is checked is the content.
    """
    found = {}
    for name in FASHION_MNIST_SHA256:
        candidates = [folder / f for folder in (place / "FashionMNIST" / "raw", place) for f in (name, f"{name}.gz")]
        found[name] = next((path for path in candidates if path.exists()), None)
    if not any(found.values()) and not (place / "FashionMNIST").exists():
        return None
    parts = []
    for name, sha256 in FASHION_MNIST_SHA256.items():
        path = found[name]
        if path is None:
            raise DataError(
                f"{name} is missing, so the copy of Fashion-MNIST in {place} is incomplete; {_START_AFRESH}"
            )
        content = path.read_bytes()
        size = len(content)
        if path.suffix == ".gz":
            try:
                content = gzip.decompress(content)
            except (OSError, EOFError, zlib.error):
                content = b""
        if hashlib.sha256(content).hexdigest() != sha256:
            raise DataError(f"{_damaged(path, size)}; {_START_AFRESH}")
        # An idx file is a short header (16 bytes before images, 8 before labels), then one byte a pixel or label.
        header, shape = (16, (-1, 28, 28)) if "images" in name else (8, (-1,))
        parts.append(torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header).view(shape))
    return _grey_dataset("fashion_mnist_full", *parts)


def _read_cifar10(place: Path) -> Dataset | None:
    """50,000 + 10,000 colour photographs of 32x32 pixels (Krizhevsky 2009), read by torchvision."""
    from torchvision.datasets import CIFAR10
    from torchvision.datasets.utils import check_integrity

    folder = place / CIFAR10.base_folder
    if not folder.exists():
        return None
    # torchvision would only say that something is wrong; we say with which file.
    for file_name, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, (CIFAR10.meta["filename"], CIFAR10.meta["md5"])]:
        path = folder / file_name
        if not path.is_file():
            raise DataError(f"{path} is missing, so this copy of CIFAR-10 is incomplete; {_START_AFRESH}")
        if not check_integrity(path, md5):
            raise DataError(f"{_damaged(path, path.stat().st_size)}; {_START_AFRESH}")
    train, test = CIFAR10(place, train=True), CIFAR10(place, train=False)
    train_images = torch.from_numpy(train.data).permute(0, 3, 1, 2).contiguous()
    mean, std = channel_statistics(train_images)
    return Dataset(
        name="cifar10",
        train_images=train_images,
        train_labels=torch.tensor(train.targets),
        test_images=torch.from_numpy(test.data).permute(0, 3, 1, 2).contiguous(),
        test_labels=torch.tensor(test.targets),
        class_names=tuple(train.classes),
        mean=mean,
        std=std,
    )


READERS = {
    "fashion_mnist": _read_fashion_mnist,
    "fashion_mnist_full": _read_fashion_mnist_full,
    "cifar10": _read_cifar10,
}


def _damaged(path: Path, size: int) -> str:
    return f"{path} ({size:,} bytes) is truncated or damaged, its checksum is not the published one"


def _grey_dataset(
    name: str,
    train_images: UInt8[Tensor, "N H W"],
    train_labels: UInt8[Tensor, " N"],
    test_images: UInt8[Tensor, "M H W"],
    test_labels: UInt8[Tensor, " M"],
) -> Dataset:
    """Give grey images their channel axis and labels the type that PyTorch's losses want."""
    train_images, test_images = train_images.unsqueeze(1), test_images.unsqueeze(1)
    mean, std = channel_statistics(train_images)
    return Dataset(
        name, train_images, train_labels.long(), test_images, test_labels.long(), FASHION_MNIST_CLASSES, mean, std
    )


# --- A folder of one's own -------------------------------------------------------------------------------------------

PICTURE_ENDINGS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")  # those of torchvision
PARTS = {"train": ("train", "training"), "test": ("test", "testing")}  # what each may be called, in any letters
OTHER_PARTS = ("val", "valid", "validation")  # names of a part that others have, and `fit` cuts off by itself
MOST_NAMED = 10  # files or folders in one sentence


def _read_folder(folder: Path, size: tuple[int, int], channels: int | None, test_fraction: float, seed: int) -> Dataset:
    """Read the pictures of a folder that has train and test, or that is split here."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder}; name one that holds a folder of pictures for each class")
    try:
        parts = _parts_of(folder)
        class_names = _classes_of(folder, parts)
        files = {part: [_files_of(place / name) for name in class_names] for part, place in parts.items()}
    except OSError as error:
        raise DataError(f"{error.filename} cannot be read ({error.strerror}); allow reading it") from error
    left_out, read = {}, {}
    for part, place in parts.items():
        taken = [[file for file in found if _is_picture(file)] for found in files[part]]
        _check_counts(place, class_names, [len(found) for found in taken], needed=1)
        pictures = _read_pictures(place, [file for found in taken for file in found], size, channels)
        labels = torch.arange(len(class_names)).repeat_interleave(torch.tensor([len(found) for found in taken]))
        whole = [i for i, picture in enumerate(pictures) if isinstance(picture, Tensor)]
        left_out[part] = [picture for picture in pictures if isinstance(picture, str)]
        read[part] = [pictures[i] for i in whole], labels[whole]
        counts = torch.bincount(labels[whole], minlength=len(class_names)).tolist()
        _check_counts(place, class_names, counts, needed=1 if len(parts) == 2 else 2, unreadable=left_out[part])
    unused = [file for found in files.values() for of_class in found for file in of_class if not _is_picture(file)]
    _warn_of_what_is_left_out(folder, [fault for faults in left_out.values() for fault in faults], unused)

    channels = channels or max(len(picture) for pictures, _ in read.values() for picture in pictures)
    images = {
        part: torch.stack([picture.expand(channels, -1, -1) for picture in pictures])
        for part, (pictures, _) in read.items()
    }
    labels = {part: labels for part, (_, labels) in read.items()}
    if len(parts) == 1:
        held_out = _choose(labels["all"], test_fraction, seed)
        images = {"train": images["all"][~held_out], "test": images["all"][held_out]}
        labels = {"train": labels["all"][~held_out], "test": labels["all"][held_out]}
    mean, std = channel_statistics(images["train"])
    name = folder.resolve().name
    return Dataset(name, images["train"], labels["train"], images["test"], labels["test"], class_names, mean, std)


def _subfolders(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _parts_of(folder: Path) -> dict[str, Path]:
    """Give the places of train and test, or one place called all that is to be split."""
    known = {*PARTS["train"], *PARTS["test"], *OTHER_PARTS}
    there = [  # a class may be called train too: it holds pictures, and a part holds folders
        name
        for name in _subfolders(folder)
        if name.casefold() in known and _subfolders(folder / name) and not _holds_pictures(folder / name)
    ]
    if not there:
        return {"all": folder}
    called = {  # the plain name first
        part: sorted((name for name in there if name.casefold() in words), key=lambda name: (*words, name).index(name))
        for part, words in PARTS.items()
    }
    missing = [part for part, names in called.items() if not names]
    if missing:
        raise DataError(
            f"{folder} has {' and '.join(there)}, but no {' and no '.join(missing)}; name its parts train and test, or "
            "take a folder that holds the classes themselves, which is split"
        )
    taken = {part: names[0] for part, names in called.items()}
    others = [name for name in _subfolders(folder) if name not in taken.values()]
    if others:
        warnings.warn(
            f"of {folder}, {' and '.join(taken.values())} are used, and not {', '.join(others)}; training holds out "
            "validation images of its own",
            DataWarning,
            stacklevel=4,
        )
    return {part: folder / name for part, name in taken.items()}


def _holds_pictures(folder: Path) -> bool:
    return any(_is_picture(path) for path in folder.iterdir())


def _classes_of(folder: Path, parts: dict[str, Path]) -> tuple[str, ...]:
    found = [_subfolders(place) for place in parts.values()]
    if len(found) == 2 and found[0] != found[1]:
        only = [
            f"{', '.join(sorted(set(own) - set(other)))} only in {part}"
            for part, own, other in zip(parts, found, reversed(found), strict=True)
            if set(own) - set(other)
        ]
        raise DataError(f"the classes of train and test in {folder} differ: {'; '.join(only)}; give both the same ones")
    names = found[0]
    if len(names) < 2:
        what = f"only one class, {names[0]}" if names else "no folder"
        raise DataError(f"{folder} holds {what}; put the pictures of each class, two or more, into a folder of its own")
    if len(parts) == 1:  # what lies in train and test are classes, whatever they hold
        _refuse_parts(folder, names)
    return tuple(names)


def _refuse_parts(place: Path, names: Sequence[str]) -> None:
    """Raise DataError where the folders look like parts that each hold the classes, under names that nobody knows."""
    if any(_holds_pictures(place / name) for name in names):
        return
    below = {tuple(_subfolders(place / name)) for name in names}
    inside = below.pop()
    if not below and len(inside) > 1:
        raise DataError(
            f"{_first_of(names)} in {place} hold no pictures themselves, and each the folders {_first_of(inside)}: "
            "these look like parts, not classes; name two of them train and test, or lay the pictures of each class "
            "into its folder"
        )


def _files_of(folder: Path) -> list[Path]:
    """Give all files of a class, those in folders below too, in an order that is the same on every machine.

    Hidden files and folders are left out: programs keep copies of pictures there.
    """
    above = frozenset(_identity(place) for place in folder.absolute().parents)
    return sorted(_files_below(folder, above), key=lambda path: path.relative_to(folder).as_posix())


def _files_below(folder: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    """Walk through a folder and what its links lead to; one that leads back to a folder above is not followed."""
    own = _identity(folder)
    if own in above:
        return
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files_below(path, above | {own})
        else:
            yield path


def _identity(folder: Path) -> tuple[int, int]:
    """Tell a folder from all others, whatever path leads to it."""
    about = folder.stat()
    return about.st_dev, about.st_ino


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in PICTURE_ENDINGS and not path.name.startswith(".") and not path.is_dir()


def _read_pictures(
    place: Path, files: Sequence[Path], size: tuple[int, int], channels: int | None
) -> list[Tensor | str]:
    """Read pictures as pixels [C, H, W], several at a time; in place of one that cannot be read stands why."""
    from tqdm.auto import tqdm

    from vit_tutorial.support.pictures import PictureError, fit_picture, pillow_is_quiet, pixels_of, read_picture

    def read(file: Path) -> Tensor | str:
        if file.exists() and not file.is_file():  # to read a pipe or a device may never end
            return f"{file.relative_to(place)} is no regular file"
        try:
            image = read_picture(file)
        except (PictureError, FileNotFoundError) as error:
            return getattr(error, "fault", str(error)).replace(f"{place}{os.sep}", "")
        if channels is not None:
            image = image.convert("L" if channels == 1 else "RGB")
        return pixels_of(fit_picture(image, *size))

    pool = ThreadPoolExecutor()
    try:
        with pillow_is_quiet():
            shown = tqdm(pool.map(read, files), total=len(files), unit="picture", disable=not somebody_is_watching())
            return list(shown)
    finally:
        pool.shutdown(cancel_futures=True)  # whoever presses Ctrl-C does not wait for the rest


def _check_counts(
    place: Path, class_names: Sequence[str], counts: Sequence[int], needed: int, unreadable: Sequence[str] = ()
) -> None:
    """Raise DataError unless every class has the pictures that it needs."""
    few = [f"{name} has {count}" for name, count in zip(class_names, counts, strict=True) if count < needed]
    if few:
        broken = f", without those that cannot be read ({unreadable[0]})" if unreadable else ""
        purpose = "" if needed == 1 else ", one to train with and one to test with"
        raise DataError(
            f"each class in {place} needs {needed} picture{'s' * (needed > 1)} or more{purpose}, ending in "
            f"{', '.join(PICTURE_ENDINGS)}, and {', '.join(few)}{broken}; add some, or delete the folder of the class"
        )


def _first_of(names: Sequence[str]) -> str:
    more = f", and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"


def _warn_of_what_is_left_out(folder: Path, unreadable: Sequence[str], unused: Sequence[Path]) -> None:
    """Say in one sentence what of a folder is not in its data set, if anything is not."""
    clauses = []
    if unreadable:
        clauses.append(f"{len(unreadable)} damaged: {_first_of(unreadable)}")
    if unused:
        endings = Counter(path.suffix.lower() or "no ending" for path in unused)
        kinds = ", ".join(f"{count} with {ending}" for ending, count in sorted(endings.items()))
        clauses.append(f"{len(unused)} that do not end like a picture: {kinds}")
    if clauses:
        warnings.warn(f"files in {folder} are left out, {', and '.join(clauses)}", DataWarning, stacklevel=4)


def _choose(labels: Int64[Tensor, " N"], fraction: float, seed: int) -> Tensor:
    """Choose the same share of every class, one picture at least and never all: a mask [N]."""
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label in labels.unique():
        members = (labels == label).nonzero()[:, 0]
        count = min(max(1, round(len(members) * fraction)), len(members) - 1)
        chosen[members[torch.randperm(len(members), generator=generator)[:count]]] = True
    return chosen


# --- Downloading it --------------------------------------------------------------------------------------------------

# What torchvision's class for each set creates inside its root folder.
DOWNLOADS = {"fashion_mnist_full": "FashionMNIST", "cifar10": "cifar-10-batches-py"}


def _download(name: str, folder: Path) -> Dataset:
    """Let torchvision download into a temporary folder; only what has arrived whole is moved to where it is looked for.

    A broken connection, a full disk or a killed process thus leave nothing behind that could be taken for data.
    """
    from torchvision.datasets import CIFAR10, FashionMNIST

    torchvision_class = {"fashion_mnist_full": FashionMNIST, "cifar10": CIFAR10}[name]
    target = folder / DOWNLOADS[name]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workshop = tempfile.TemporaryDirectory(dir=folder, prefix=f"unfinished-{name}-", ignore_cleanup_errors=True)
    except OSError as error:
        raise DataError(
            f"{name} cannot be downloaded into {folder} ({error.strerror}); "
            "pass a folder that you may write to as root, or name one in VIT_TUTORIAL_DATA"
        ) from error
    with workshop:
        try:
            with _download_manners():
                print(f"downloading {name} to {target}", file=sys.stderr)
                torchvision_class(workshop.name, download=True)
            dataset = READERS[name](Path(workshop.name))
            try:
                (Path(workshop.name) / DOWNLOADS[name]).rename(target)
            except OSError:
                if not target.exists():  # where it does exist, another process was faster: one copy is enough
                    raise
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split()).rstrip(".")
            raise DataError(
                f"the download of {name} to {folder} failed or broke off ({reason}); check the network and load again, "
                f"put the folder {DOWNLOADS[name]} there by other means, or use fashion_mnist, which needs no network"
            ) from error
    return dataset


@contextlib.contextmanager
def _download_manners() -> Iterator[None]:
    """Give up on a server that has gone silent, and show progress only where somebody is watching."""
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_PATIENCE)
    try:
        with contextlib.nullcontext() if somebody_is_watching() else contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        socket.setdefaulttimeout(patience)


# --- Single pictures -------------------------------------------------------------------------------------------------

PICTURES = ("chelsea", "coffee", "astronaut", "rocket", "camera")


def pictures(name: str, size: int = 224) -> UInt8[Tensor, "3 {size} {size}"]:
    """Return a picture from scikit-image: the middle square, shrunk or enlarged to size x size pixels.

    Shapes: -> [3, size, size], bytes from 0 to 255.
    The names are "chelsea" (a cat), "coffee", "astronaut", "rocket" and "camera" (grey, so its three channels are
    equal). All are in the public domain or CC0, and come with scikit-image itself.
    Raises ValueError for another name or a size that is not a positive whole number.
    """
    if name not in PICTURES:
        raise ValueError(f"unknown picture {name!r}; the known ones are {', '.join(PICTURES)}")
    side = _whole_number(size)
    if side < 1:
        raise ValueError(f"size must be a positive whole number of pixels, got {size!r}; 224 is usual")
    import skimage.data

    picture = torch.tensor(getattr(skimage.data, name)())
    if picture.ndim == 2:
        picture = picture.unsqueeze(-1).expand(-1, -1, 3)
    picture = picture.permute(2, 0, 1)  # [H,W,3] -> [3,H,W]
    height, width = picture.shape[1:]
    shorter = min(height, width)
    top, left = (height - shorter) // 2, (width - shorter) // 2
    square = picture[:, top : top + shorter, left : left + shorter]
    resized = torch.nn.functional.interpolate(square[None].float(), (side, side), mode="bilinear", antialias=True)[0]
    return resized.round().clamp(0, 255).to(torch.uint8)
