"""Weights in half precision, in pieces that travel, and one file made of the pieces."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from vit_tutorial.vit import ViT
from vit_tutorial.weights import save_model

MOST_BYTES = 15_000_000  # of a piece
MOST_FILES = 8  # in the folder: few enough to copy by hand


def write_pieces(model: ViT, folder: Path, name: str) -> list[str]:
    """Write the weights in half precision as NAME.piece_N.safetensors, and return the names of the files.

    Nothing is written, and the list is empty, if that would be too many files.
    """
    whole = save_model(model, folder / f".{name}.whole", dtype=torch.float16)
    try:
        tensors, metadata = read(whole)
    finally:
        whole.unlink()
    pieces: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for key, tensor in tensors.items():
        if size + tensor.nbytes > MOST_BYTES and pieces[-1]:
            pieces.append({})
            size = 0
        pieces[-1][key] = tensor
        size += tensor.nbytes
    names = [f"{name}.piece_{number}.safetensors" for number in range(len(pieces))]
    others = {path.name for path in folder.iterdir()} - set(names)
    if len(others | {"proof.json"}) + len(names) > MOST_FILES:
        return []
    for file, piece in zip(names, pieces, strict=True):
        save_file(piece, folder / file, metadata)
    return names


def join(folder: Path, name: str) -> Path:
    """Make one file, NAME.safetensors, of the pieces; `load_model` reads it.

    Raises FileNotFoundError if there are none.
    """
    tensors, metadata = {}, {}
    for path in sorted(folder.glob(f"{name}.piece_*.safetensors")):
        piece, metadata = read(path)
        tensors |= piece
    if not tensors:
        raise FileNotFoundError(f"{folder} holds no {name}.piece_*.safetensors")
    path = folder / f"{name}.safetensors"
    path.write_bytes(save(tensors, metadata))
    return path


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read tensors and metadata of a file."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
