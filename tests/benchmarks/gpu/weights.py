"""Weights in half precision, in pieces that travel, and one file made of the pieces."""

from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save, save_file

from vit_tutorial.vit import ViT
from vit_tutorial.weights import save_model

MOST_BYTES = 15_000_000  # of a piece


def write_pieces(model: ViT, folder: Path, seed: int) -> list[str]:
    """Write the weights in half precision as seed_S.piece_N.safetensors, and return the names of the files."""
    whole = save_model(model, folder / f".seed_{seed}.whole", dtype=torch.float16)
    try:
        tensors, metadata = read(whole)
    finally:
        whole.unlink()
    pieces: list[dict[str, torch.Tensor]] = [{}]
    size = 0
    for name, tensor in tensors.items():
        if size + tensor.nbytes > MOST_BYTES and pieces[-1]:
            pieces.append({})
            size = 0
        pieces[-1][name] = tensor
        size += tensor.nbytes
    names = []
    for number, piece in enumerate(pieces):
        names.append(f"seed_{seed}.piece_{number}.safetensors")
        save_file(piece, folder / names[-1], metadata)
    return names


def join(folder: Path, seed: int) -> Path:
    """Make one file, seed_S.safetensors, of the pieces; `load_model` reads it.

    Raises FileNotFoundError if there are none.
    """
    tensors, metadata = {}, {}
    for path in sorted(folder.glob(f"seed_{seed}.piece_*.safetensors")):
        piece, metadata = read(path)
        tensors |= piece
    if not tensors:
        raise FileNotFoundError(f"{folder} holds no seed_{seed}.piece_*.safetensors")
    path = folder / f"seed_{seed}.safetensors"
    path.write_bytes(save(tensors, metadata))
    return path


def read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read tensors and metadata of a file."""
    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
