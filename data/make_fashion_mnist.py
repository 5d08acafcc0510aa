"""Make data/fashion_mnist.npz, the data set that comes with the course, from Debian's package dataset-fashion-mnist.

    apt-get download dataset-fashion-mnist
    python data/make_fashion_mnist.py dataset-fashion-mnist_*.deb

The rule: of every class the first 1,000 images of the official training set and the first 200 of the official test set,
kept in their official order. The order of the official set is random, so the first ones are a fair sample. No random
numbers are drawn, and the file is written without dates, so every run gives the same bytes.
"""

import argparse
import hashlib
import io
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from vit_tutorial.datasets import DATA_FOLDER, FASHION_MNIST_NPZ_SHA256, READERS, DataError, Dataset

TRAIN_PER_CLASS, TEST_PER_CLASS = 1_000, 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="the .deb file, or the folder with the four idx.gz files")
    parser.add_argument("--out", type=Path, default=DATA_FOLDER / "fashion_mnist.npz", help="default: %(default)s")
    arguments = parser.parse_args()
    try:
        make(arguments.source, arguments.out)
    except (DataError, OSError) as error:
        sys.exit(f"error: {error}")
    print(f"{arguments.out}: {arguments.out.stat().st_size:,} bytes, sha256 {FASHION_MNIST_NPZ_SHA256}")


def make(source: Path, out: Path) -> None:
    """Write the subset of the Fashion-MNIST in `source` to `out`; raise DataError if that is not the published file."""
    if not source.exists():
        raise DataError(f"{source} does not exist; pass the .deb file or the folder with the idx.gz files")
    with tempfile.TemporaryDirectory() as unpacked:
        folder = source
        if source.is_file():
            try:
                subprocess.run(["dpkg-deb", "--extract", source, unpacked], check=True, capture_output=True)
            except (FileNotFoundError, subprocess.CalledProcessError) as error:
                raise DataError(f"dpkg-deb cannot unpack {source}; unpack it yourself and pass the folder") from error
            folder = Path(unpacked, "usr/share/datasets/fashion-mnist")
        full = READERS["fashion_mnist_full"](folder)  # compares every file with its official checksum
        if full is None:
            raise DataError(f"{source} holds no Fashion-MNIST; pass the .deb file or the folder with the idx.gz files")
    write(subset(full, TRAIN_PER_CLASS, TEST_PER_CLASS), out, FASHION_MNIST_NPZ_SHA256)


def subset(full: Dataset, train_per_class: int, test_per_class: int) -> dict[str, np.ndarray]:
    """The first images of every class with their labels, all uint8: images [N,28,28], labels [N]."""
    train = first_of_each_class(full.train_labels.numpy(), train_per_class)
    test = first_of_each_class(full.test_labels.numpy(), test_per_class)
    return {
        "train_images": full.train_images.squeeze(1).numpy()[train],
        "train_labels": full.train_labels.numpy()[train].astype(np.uint8),
        "test_images": full.test_images.squeeze(1).numpy()[test],
        "test_labels": full.test_labels.numpy()[test].astype(np.uint8),
    }


def first_of_each_class(labels: np.ndarray, count: int) -> np.ndarray:
    """Indices of the first `count` items of every class, in their original order."""
    chosen = [np.flatnonzero(labels == label)[:count] for label in np.unique(labels)]
    return np.sort(np.concatenate(chosen))


def write(arrays: dict[str, np.ndarray], out: Path, sha256: str) -> None:
    """Write an .npz without dates; it takes the place of `out` only when it is complete and has the right checksum."""
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="unfinished-") as workshop:
        unfinished = Path(workshop, out.name)
        with zipfile.ZipFile(unfinished, "w") as archive:
            for name, array in arrays.items():
                entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
                entry.create_system, entry.external_attr = 3, 0o644 << 16  # as on Linux, wherever it runs
                content = io.BytesIO()
                np.lib.format.write_array(content, array, allow_pickle=False)
                archive.writestr(entry, content.getvalue(), zipfile.ZIP_DEFLATED, compresslevel=9)
        made = hashlib.sha256(unfinished.read_bytes()).hexdigest()
        if made != sha256:
            raise DataError(
                f"the file made has sha256 {made} instead of {sha256}, so {out} was left as it is; "
                "a zlib that packs differently is the usual reason: try Debian's own Python"
            )
        os.replace(unfinished, out)


if __name__ == "__main__":
    main()
