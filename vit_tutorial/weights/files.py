"""Files of weights of any kind, read without running anything that is in them."""

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vit_tutorial.weights.names import unpacked


def read(path: Path) -> dict[str, Tensor]:
    """Read a file of weights of any kind; its first bytes say of which, and where they do not, its name does."""
    _must_exist(path)
    start = _first_bytes(path, 9)
    if start.startswith(b"PK") and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            arrays = any(name.endswith(".npy") for name in file.namelist())
        return _read_npz(path) if arrays else _read_torch(path)
    if start.startswith(b"\x80"):
        return _read_torch(path)
    if start[8:] == b"{":
        return read_safetensors(path)[0]
    kinds = {
        ".npz": ".npz file",
        ".pt": "file of torch.save",
        ".pth": "file of torch.save",
        ".bin": "file of torch.save",
    }
    kind = kinds.get(path.suffix, ".safetensors file" if path.suffix == ".safetensors" else "file of weights")
    raise _not_whole(path, kind)


def _first_bytes(path: Path, count: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(count)


def _not_whole(path: Path, kind: str) -> ValueError:
    """Make the error for a file that is damaged or something else, with its size and, if it is text, its beginning."""
    start = _first_bytes(path, 24).decode("ascii", errors="replace")
    begins = f"; it begins with {start!r}" if start.isprintable() and start.isascii() and len(start) > 8 else ""
    return ValueError(f"{path} ({path.stat().st_size} bytes) is not a whole {kind}{begins}; copy it again")


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    _must_exist(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), metadata
    except SafetensorError:
        raise _not_whole(path, ".safetensors file") from None


def _read_torch(path: Path) -> dict[str, Tensor]:
    """Read what torch.save wrote, if it is tensors and nothing that would run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except Exception as error:  # a damaged file can raise almost anything
        named = re.search(r"GLOBAL (\S+)", str(error))
        if isinstance(error, pickle.UnpicklingError) and (named or "code" in str(error)):
            raise ValueError(
                f"{path} holds more than tensors{f' ({named[1]})' if named else ''}, and reading that could run any "
                "code in it; nothing was read: save the model's state_dict() and load that"
            ) from None
        raise _not_whole(path, "file of torch.save") from None
    content = unpacked(content) if isinstance(content, dict) else content
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ValueError(f"{path} holds no state dict; save the model's state_dict() and load that")
    return content


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return {name: torch.from_numpy(array) for name, array in arrays.items() if array.ndim}
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, TypeError, AttributeError) as error:
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds Python objects, and reading those could run any code in it; nothing was read: save "
                "arrays of numbers"
            ) from None
        raise _not_whole(path, ".npz file of numbers") from None


def _must_exist(path: Path) -> None:
    if not path.is_file():
        folder = ", which is a folder" if path.is_dir() else ""
        raise FileNotFoundError(f"there is no file {path}{folder}; check the path, or train the model first")
