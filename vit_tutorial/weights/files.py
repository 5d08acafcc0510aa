"""Files of weights of any kind, read without running anything that is in them."""

import math
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from vit_tutorial.support.paths import at_home
from vit_tutorial.weights.names import unpacked

_KINDS = {
    ".safetensors": ".safetensors file",
    ".npz": ".npz file",
    ".pt": "file of torch.save",
    ".pth": "file of torch.save",
    ".bin": "file of torch.save",
}
_CHECKPOINT = "checkpoint of a run"
_PROGRAM = "program of torch.jit.save"
# An .npz may be compressed, but numbers that were learned hardly can be: many times the file's size is no weights.
_MOST_TIMES, _MOST_BYTES = 100, 2**28


def existing_file(source: str | os.PathLike) -> Path:
    """Give the path of a file that is there; raise FileNotFoundError that says what else it may have been."""
    path, text = at_home(source), os.fspath(source)
    if path.is_file():
        return path
    published = "ViT.from_pretrained('ViT-B/16') fetches published weights"
    if re.match(r"[a-zA-Z][\w+.-]+:", text):
        raise FileNotFoundError(
            f"there is no file {text}: addresses are not followed; download it first, or {published}"
        )
    if path.is_dir():
        inside = next((name for name in ("model.safetensors", "pytorch_model.bin") if (path / name).is_file()), None)
        raise FileNotFoundError(
            f"there is no file {path}, which is a folder; "
            + (f"pass {path / inside}" if inside else "check the path, or train the model first")
        )
    hub = f"; names of a hub are not known here: {published}" if re.fullmatch(r"[\w.-]+/[\w.-]+", text) else ""
    raise FileNotFoundError(f"there is no file {path}; check the path, or train the model first{hub}")


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file of weights of any kind, and the metadata of a `.safetensors` file; its first bytes say of which.

    Raises ValueError for a file that is damaged or of no kind that is known, or holds more than tensors.
    """
    kind = _kind(path)
    if kind == ".npz file":
        return _read_npz(path), {}
    if kind == "file of torch.save":
        return _read_torch(path), {}
    if kind == ".safetensors file":
        return read_safetensors(path)
    raise _not_whole(path, _KINDS.get(path.suffix, "file of weights"))


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read tensors and metadata; nothing is copied, as the tensors lie in the file until somebody looks at them.

    Raises ValueError for a file that is damaged, or no `.safetensors`.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        return load_file(path), metadata
    except (SafetensorError, KeyError, RuntimeError):  # the last two of a dtype that PyTorch does not have
        raise _not_whole(path, ".safetensors file") from None


def _kind(path: Path) -> str | None:
    """Say what a file is by its first bytes."""
    start, size = _first_bytes(path, 41), path.stat().st_size
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < size:
        return ".safetensors file"  # its first 8 bytes are a length, and may look like anything
    if start[40:] == b"{" and int.from_bytes(start[32:40], "little") < size:
        return _CHECKPOINT  # a sha256 and then a .safetensors, see training/checkpoint.py
    if start.startswith(b"PK"):
        try:
            with zipfile.ZipFile(path) as file:
                names = file.namelist()
        except Exception:  # a damaged list of what is inside can raise almost anything
            return None
        if any(name.endswith("/constants.pkl") for name in names):
            return _PROGRAM
        return ".npz file" if any(name.endswith(".npy") for name in names) else "file of torch.save"
    if start.startswith(b"\x80"):
        return "file of torch.save"
    return None


def _first_bytes(path: Path, count: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(count)


def _not_whole(path: Path, kind: str) -> ValueError:
    """Make the error for a file that is damaged or something else, with its size and how it begins."""
    other = _kind(path)
    if other == _CHECKPOINT:
        return ValueError(
            f"{path} is the {_CHECKPOINT}, from which only that run goes on; run it again until it has ended, and load "
            "the model that it saves, model.safetensors on the command line"
        )
    if other == _PROGRAM:
        return ValueError(
            f"{path} is a {_PROGRAM}, and reading it could run what is in it; nothing was read: save the state_dict() "
            "of the model that it was made from, and load that"
        )
    start = _first_bytes(path, 24).decode("ascii", errors="replace")
    begins = f"; it begins with {start!r}" if start.isprintable() and start.isascii() and len(start) > 8 else ""
    advice = "copy it again"
    if other and not kind.startswith(other):
        advice = f"it begins as a {other} does: build the model with ViT(config) and use load_weights"
    return ValueError(f"{path} ({path.stat().st_size} bytes) is not a whole {kind}{begins}; {advice}")


def _read_torch(path: Path) -> dict[str, Tensor]:
    """Read what torch.save wrote, if it is tensors and nothing that would run."""
    try:
        if zipped := zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                if any(info.compress_type != zipfile.ZIP_STORED for info in file.infolist()):
                    raise zipfile.BadZipFile  # torch.save compresses nothing
        believed = path.suffix == ".safetensors"  # by torch.load, whatever is in the file
        with open(path, "rb") as opened:
            source = opened if believed else path
            content = torch.load(source, map_location="cpu", weights_only=True, mmap=zipped and not believed)
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
    if small := next((key for key, value in content.items() if not _has_its_numbers(value)), None):
        raise ValueError(
            f"{path} has fewer numbers for {small} than its shape {list(content[small].shape)} says; nothing was read: "
            "save the model's state_dict() and load that"
        )
    return content


def _has_its_numbers(value: Tensor) -> bool:
    """Say whether a dense tensor has a place for each number: one that was expanded claims any size."""
    dense = value.layout == torch.strided and not value.is_meta
    return not dense or value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        with zipfile.ZipFile(path) as file:
            claimed = sum(_bytes_of_array(file, info) for info in file.infolist())
        size = path.stat().st_size
        if claimed > max(_MOST_TIMES * size, _MOST_BYTES):
            raise ValueError(
                f"{path} would unfold its {size} bytes to {claimed}; nothing was read: save weights with numpy.savez"
            )
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return {name: torch.from_numpy(array) for name, array in arrays.items() if array.ndim}
    except Exception as error:  # a damaged file can raise almost anything
        if "would unfold" in str(error):
            raise
        if "Object arrays" in str(error):
            raise ValueError(
                f"{path} holds Python objects, and reading those could run any code in it; nothing was read: save "
                "arrays of numbers"
            ) from None
        raise _not_whole(path, ".npz file of numbers") from None


def _bytes_of_array(file: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """Give the bytes of one array after comparing what its header claims with what is there."""
    with file.open(info) as entry:
        version = np.lib.format.read_magic(entry)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(entry)
        if not dtype.hasobject and math.prod(shape) * dtype.itemsize != info.file_size - entry.tell():
            raise ValueError(f"{info.filename} claims the shape {shape}")
    return info.file_size
