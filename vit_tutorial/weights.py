"""Weights in and out: our models as one safe file, and the weights of the libraries into our models.

A `.safetensors` file holds numbers and text only, so loading one runs no code. Everything needed to use the model again
(its config, class names, input mean and std, and the record of its training) travels in the file's metadata.
"""

import json
import math
import os
import pickle
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from vit_tutorial.positions import interpolate_positions
from vit_tutorial.support.files import write_file
from vit_tutorial.vit import ViT, ViTConfig

YOUNGER = ("crop", "interpolation")  # entries of a card that older files do not have


@dataclass(frozen=True)
class ModelCard:
    """What one must know to use a model: classes, mean and std of its input (in 0..1 units), its record, its view."""

    class_names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    record: str = ""  # the name of the file in data/results/ that tells how it was trained
    crop: float = 1.0  # share of a picture's shorter side that the model sees, from the middle
    interpolation: str = "bilinear"  # how a picture is brought to that size

    @classmethod
    def of(cls, data: Any, record: str = "") -> "ModelCard":
        """Make the card of a model that is trained on this data set, a datasets.Dataset or the like."""
        return cls(tuple(data.class_names), tuple(data.mean), tuple(data.std), record)

    def normalize(self, images: Tensor) -> Tensor:
        """Turn pixels [B, C, H, W] of 0 to 255 into what the model was trained on: (pixels / 255 - mean) / std."""
        mean, std = (  # brought over without waiting for a GPU to be done with what it was told before
            torch.tensor(values).view(1, -1, 1, 1).to(images.device, non_blocking=True)
            for values in (self.mean, self.std)
        )
        return (images.float() / 255 - mean) / std


def save_model(
    model: ViT, path: str | os.PathLike, card: ModelCard | None = None, dtype: torch.dtype | None = None
) -> Path:
    """Write the model to one `.safetensors` file, all or nothing; an existing file survives a failed write.

    `card` defaults to the model's own. `dtype` (say torch.float16) stores the weights smaller. Returns the path.
    """
    path = Path(path)
    card = card or model.card or ModelCard()
    weights = {
        k: v.detach().to("cpu", dtype if v.is_floating_point() else None).contiguous()
        for k, v in model.state_dict().items()
    }
    metadata = {"format": "vit_tutorial", "config": json.dumps(asdict(model.config)), "card": json.dumps(asdict(card))}
    write_file(path, save(weights, metadata))
    return path


def load_model(path: str | os.PathLike) -> ViT:
    """Build the model that `save_model` wrote: same config, same weights (as float32), in eval mode, with its `card`.

    Raises FileNotFoundError if there is no such file, ValueError if it is damaged or was not written by `save_model`.
    """
    weights, metadata = _read_safetensors(Path(path))
    if metadata.get("format") != "vit_tutorial":
        raise ValueError(
            f"{path} holds weights but no vit_tutorial config; build the model with ViT(config) and use load_weights"
        )
    try:
        model = ViT(ViTConfig(**_read_json(metadata["config"])))
        card = _read_json(metadata["card"])
        names = [f.name for f in fields(ModelCard) if f.name in card or f.name not in YOUNGER]
        card = ModelCard(**{name: card[name] for name in names})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} has a config or card that cannot be read ({error!r}); save the model again with save_model"
        ) from error
    load_weights(model, weights).card = card
    return model.eval()


def _read_json(text: str) -> dict[str, Any]:
    """Read what `asdict` gave: JSON has lists where there were tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in json.loads(text).items()}


def load_weights(model: ViT, source: dict[str, Any] | str | os.PathLike, *, skip_head: bool = False) -> ViT:
    """Copy weights into the model from a state dict or a file of ours, timm, torchvision or Google, and return it.

    A file is a `.safetensors`, what torch.save wrote if that is tensors only, or an `.npz` of vit_jax or big_vision;
    its first bytes tell which. Positions of another square grid are interpolated as the library they come from does it.
    `skip_head=True` leaves the model's own head alone, for other classes. Google trained its models with gelu="tanh".
    All or nothing: raises FileNotFoundError, TypeError for a source of another kind, or ValueError naming the first
    keys or shapes that do not fit, and leaves the model as it was.
    """
    if not isinstance(source, dict | str | os.PathLike):
        advice = "pass its state_dict()" if hasattr(source, "state_dict") else "pass a state dict or a path"
        raise TypeError(f"the source of the weights is a {type(source).__name__}; {advice}")
    weights = _unpacked(source) if isinstance(source, dict) else _read(Path(source).expanduser())
    library, weights = _with_our_names({key: _as_numbers(key, value) for key, value in weights.items()})
    own = model.state_dict()
    if skip_head:
        weights, own = (
            {k: v for k, v in d.items() if not k.startswith(("head.", "pre_logits."))} for d in (weights, own)
        )
    if "pos_embed" in weights and "pos_embed" in own:
        weights["pos_embed"] = _fit_positions(model, weights["pos_embed"], library)
    missing = [f"missing {key}" for key in own if key not in weights]
    unknown = [f"unknown {key}" for key in weights if key not in own]
    misshapen = [
        f"{key} is {list(weights[key].shape)} and should be {list(own[key].shape)}" for key in _unfit(weights, own)
    ]
    if missing or unknown or misshapen:
        raise ValueError(
            f"the weights do not fit the model ({_first_few(missing, unknown, misshapen)}); nothing was loaded: "
            f"{_likely_reason(weights, own)}"
        )
    model.load_state_dict(weights, strict=not skip_head)
    return model


def _as_numbers(key: str, value: object) -> Tensor:
    """Give the value as a tensor whose numbers can be copied, or raise ValueError, before anything is loaded."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return torch.from_numpy(value)
    if not isinstance(value, Tensor):
        what = f"a {type(value).__name__}"
    elif value.is_meta:
        what = "a tensor on the device meta, which has a shape and no numbers"
    elif value.layout != torch.strided or value.is_quantized:
        what = f"a {'quantized' if value.is_quantized else 'sparse'} tensor"
    elif value.is_complex():
        what = f"a tensor of {value.dtype}"
    else:
        return value
    raise ValueError(f"{key} is {what}; nothing was loaded: pass dense tensors of numbers, as state_dict() gives them")


def _unfit(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    return [key for key in own if key in weights and weights[key].shape != own[key].shape]


def _first_few(*kinds: list[str], most: int = 4) -> str:
    """Name the first problems, some of each kind, and say how many more there are."""
    taken, total = [0] * len(kinds), sum(map(len, kinds))
    while sum(taken) < min(most, total):
        for i, kind in enumerate(kinds):
            taken[i] += taken[i] < len(kind) and sum(taken) < most
    shown = "; ".join(problem for kind, count in zip(kinds, taken, strict=True) for problem in kind[:count])
    return shown + (f", and {total - most} more" if total > most else "")


def _likely_reason(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    if not own.keys() & weights.keys():
        return "these are not the weights of a Vision Transformer, or they come from a library that is not known here"
    if "fc_norm.weight" in weights:
        return "this model of timm takes the mean before its last norm (fc_norm), which the model here cannot do"
    if "dist_token" in weights:
        return "DeiT has one token more, for distillation (dist_token), which the model here does not have"
    bad = {*_unfit(weights, own), *(own.keys() ^ weights.keys())}
    if all(key.startswith(("head.", "pre_logits.")) for key in bad):
        return _reason_of_the_head(weights, own)
    differences = _differences(weights, own)
    if differences:
        return "; ".join(differences)
    config = "dim, depth, patch_size, image_size, num_classes"
    return f"compare its config ({config}) with that of the weights"


def _reason_of_the_head(weights: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    keep = "keep the model's own head with skip_head=True"
    if "head.weight" not in weights:
        return f"the weights have no head; {keep}"
    if weights.keys() ^ own.keys():
        return f"only one of the two has a tanh layer before its head (representation_size); set it alike, or {keep}"
    theirs, ours = len(weights["head.weight"]), len(own["head.weight"])
    if theirs == ours:
        return f"the parts of the head do not fit together, or differ in their input; {keep}"
    return (
        f"the weights know {theirs} classes and the model {ours}; build it with num_classes={theirs}, or keep its own "
        "head with skip_head=True"
    )


def _differences(weights: dict[str, Tensor], own: dict[str, Tensor]) -> list[str]:
    """Read from names and shapes in what the config of the weights differs from that of the model."""

    def blocks(names: dict[str, Tensor]) -> int:
        return len({name.split(".")[1] for name in names if name.startswith("blocks.")})

    found = {"blocks": (blocks(weights), blocks(own))}
    for what, name, axis in (
        ("dim", "norm.weight", 0),
        ("numbers in the hidden layer of the MLP", "blocks.0.mlp.fc1.bias", 0),
        ("channels", "patch_embed.proj.weight", 1),
        ("pixels a patch side", "patch_embed.proj.weight", 2),
        ("positions", "pos_embed", 1),
    ):
        if name in weights and name in own and weights[name].ndim == own[name].ndim:
            found[what] = weights[name].shape[axis], own[name].shape[axis]
    if found.get("dim", (0, 0))[0] != found.get("dim", (0, 0))[1]:
        found.pop("numbers in the hidden layer of the MLP", None)  # it follows from the other
    words = [
        f"the weights have {theirs} {what} and the model {ours}"
        for what, (theirs, ours) in found.items()
        if theirs != ours
    ]
    biases = [any(name.endswith("attn.qkv.bias") for name in names) for names in (weights, own)]
    if biases[0] != biases[1]:
        words.append(f"qkv_bias is {biases[0]} for the weights and {biases[1]} for the model")
    return words


# How the libraries stretch positions to another grid; "timm" is also what our own files are taken for.
_STRETCH = {
    "timm": {},
    "torchvision": {"mode": "bicubic", "align_corners": True, "antialias": False},
    "google": {"mode": "bilinear", "align_corners": True, "antialias": False},
}


def _fit_positions(model: ViT, pos_embed: Tensor, library: str) -> Tensor:
    prefix, grid = model.num_prefix_tokens, model.grid_size
    side = math.isqrt(max(pos_embed.shape[1] - prefix, 0)) if pos_embed.ndim == 3 else 0
    fits = pos_embed.ndim == 3 and pos_embed.shape[1] == prefix + math.prod(grid)
    if fits or side == 0 or prefix + side * side != pos_embed.shape[1]:
        return pos_embed  # nothing to do, or nothing that can be done
    return interpolate_positions(pos_embed, side, grid, prefix, **_STRETCH[library])


def _with_our_names(weights: dict[str, Tensor]) -> tuple[str, dict[str, Tensor]]:
    """Say whose weights these are, and give them the names that ours and timm's models use."""
    if "conv_proj.weight" in weights:
        return "torchvision", {_torchvision_to_timm(key): value for key, value in weights.items()}
    for prefix in ("", "params/", "opt/target/"):
        if f"{prefix}embedding/kernel" in weights:
            of_the_model = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
            return "google", _google_to_timm(of_the_model)
    return "timm", weights


# --- torchvision's vit_* call the same tensors by other names; the numbers need no change ----------------------------

_TORCHVISION = [
    (r"^class_token$", "cls_token"),
    (r"^conv_proj\.", "patch_embed.proj."),
    (r"^encoder\.pos_embedding$", "pos_embed"),
    (r"^encoder\.layers\.encoder_layer_(\d+)\.", r"blocks.\1."),
    (r"^encoder\.ln\.", "norm."),
    (r"^heads\.head\.", "head."),
    (r"^heads\.pre_logits\.", "pre_logits.fc."),
    (r"\.ln_1\.", ".norm1."),
    (r"\.ln_2\.", ".norm2."),
    (r"\.self_attention\.in_proj_(weight|bias)$", r".attn.qkv.\1"),
    (r"\.self_attention\.out_proj\.", ".attn.proj."),
    (r"\.mlp\.(0|linear_1)\.", ".mlp.fc1."),
    (r"\.mlp\.(3|linear_2)\.", ".mlp.fc2."),
]


def _torchvision_to_timm(key: str) -> str:
    return _rename(key, _TORCHVISION)


def _rename(key: str, patterns: list[tuple[str, str | Callable[[re.Match], str]]]) -> str:
    for pattern, name in patterns:
        key = re.sub(pattern, name, key)
    return key


# --- Google's .npz ---------------------------------------------------------------------------------------------------
# Flax numbers the parts of a block in the order in which they are made: vit_jax has LayerNorm_0,
# MultiHeadDotProductAttention_1, LayerNorm_2, MlpBlock_3; big_vision has LayerNorm_0 and _1 and its attention and MLP
# are number 0. What differs in the numbers themselves:
#   a linear layer       kernel [in, out]                                   -> weight [out, in]
#   a convolution        kernel [height, width, in, out]                    -> weight [out, in, height, width]
#   query, key, value    kernel [D, h, d], bias [h, d], apart               -> one weight [3*h*d, D], one bias [3*h*d]
#   the heads' output    kernel [h, d, D]                                   -> weight [D, h*d]

_GOOGLE = [
    (r"^cls$", "cls_token"),
    (r"^(Transformer/posembed_input/)?pos_embedding$", "pos_embed"),
    (r"^embedding/", "patch_embed.proj/"),
    (r"^Transformer/encoder_norm/", "norm/"),
    (r"^pre_logits/", "pre_logits.fc/"),
    (r"^Transformer/encoderblock_(\d+)/", r"blocks.\1."),
    (r"LayerNorm_0/", "norm1/"),
    (r"LayerNorm_[12]/", "norm2/"),
    (r"MultiHeadDotProductAttention_\d+/", "attn."),
    (r"MlpBlock_\d+/Dense_0/", "mlp.fc1/"),
    (r"MlpBlock_\d+/Dense_1/", "mlp.fc2/"),
    # the ResNet of a hybrid: block 1 is stage 0, its unit 1 is block 0
    (r"^conv_root/", "patch_embed.backbone.stem.conv/"),
    (r"^gn_root/", "patch_embed.backbone.stem.norm/"),
    (r"^block(\d+)/unit(\d+)/", lambda m: f"patch_embed.backbone.stages.{int(m[1]) - 1}.blocks.{int(m[2]) - 1}."),
    (r"\.conv_proj/", ".downsample.conv/"),
    (r"\.gn_proj/", ".downsample.norm/"),
    (r"\.gn(\d)/", r".norm\1/"),
    (r"/kernel$|/scale$", ".weight"),
    (r"/bias$", ".bias"),
]


def _google_to_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for key in [key for key in weights if key.startswith("Transformer/encoderblock/")]:  # all blocks in one array
        for i, value in enumerate(weights.pop(key)):
            weights[key.replace("encoderblock/", f"encoderblock_{i}/")] = value
    named = {}
    for key, value in weights.items():
        name = _rename(key, _GOOGLE)
        if name.endswith((".attn.query.weight", ".attn.key.weight", ".attn.value.weight")):
            value = value.flatten(1).T  # [D, h, d] -> [h*d, D]
        elif name.endswith(".attn.out.weight"):
            value, name = value.flatten(0, 1).T, name.replace(".out.", ".proj.")  # [h, d, D] -> [D, h*d]
        elif name.endswith(".attn.out.bias"):
            name = name.replace(".out.", ".proj.")
        elif key.endswith("/kernel"):
            value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T
        elif key.endswith(("/scale", "/bias")):
            value = value.flatten()
        named[name] = value  # a view: no number is copied yet
    for query in [name for name in named if ".attn.query." in name]:
        parts = [query.replace(".query.", f".{part}.") for part in ("query", "key", "value")]
        if all(part in named for part in parts):
            named[query.replace(".query.", ".qkv.")] = torch.cat([named.pop(part) for part in parts])
    pos_embed = named.get("pos_embed")
    if pos_embed is not None and "cls_token" in named and math.isqrt(pos_embed.shape[1]) ** 2 == pos_embed.shape[1]:
        nowhere = pos_embed.new_zeros(1, 1, pos_embed.shape[2])  # big_vision's class token gets no position
        named["pos_embed"] = torch.cat([nowhere, pos_embed], dim=1)
    return named


# --- Files -----------------------------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Tensor]:
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
        return _read_safetensors(path)[0]
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


def _unpacked(content: dict) -> dict:
    """Take the state dict out of what a training program saved, and off its names what a wrapper put before them."""
    for name in ("model", "state_dict", "model_state_dict", "net", "module"):
        if isinstance(content.get(name), dict):
            content = content[name]
    for prefix in ("module.", "_orig_mod.", "model."):
        if content and all(isinstance(key, str) and key.startswith(prefix) for key in content):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
    return dict(content)


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
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
    content = _unpacked(content) if isinstance(content, dict) else content
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
