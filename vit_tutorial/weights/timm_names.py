"""What timm's models, and those of Meta that share its names, have beside the tensors of ours.

Layer scale (Touvron et al. 2021, "Going deeper with Image Transformers", section 2) multiplies each number of a
branch by one of its own, gamma [D], just before it is added:

    x + gamma * proj(y)  =  x + (gamma * W) y + gamma * b

So it becomes part of the last linear layer of the branch, exactly, and no model needs it any more. BEiT calls it
gamma_1 and gamma_2. A mask token stands in for hidden patches while a model is pre-trained, and never afterwards.
"""

import re

import torch
from torch import Tensor

from vit_tutorial.weights.renaming import place_class_token

_LAYER_SCALE = re.compile(r"(blocks\.\d+)\.(?:ls([12])\.gamma|gamma_([12]))")
_LAST_LINEAR = {"1": "attn.proj", "2": "mlp.fc2"}


def fold_extras(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Fold layer scale into the linear layer before it, and leave a mask token out."""
    folded = {name: value for name, value in weights.items() if name != "mask_token"}
    for name, gamma in weights.items():
        if not (found := _LAYER_SCALE.fullmatch(name)):
            continue
        layer = f"{found[1]}.{_LAST_LINEAR[found[2] or found[3]]}"
        parts = [part for part in (f"{layer}.weight", f"{layer}.bias") if part in folded]
        if not parts or any(gamma.shape != folded[part].shape[:1] for part in parts):
            continue  # it stays, and is named as unknown
        for part in parts:
            value = folded[part]
            exact = torch.promote_types(torch.promote_types(value.dtype, gamma.dtype), torch.float32)
            folded[part] = value.to(exact) * gamma.to(exact).view(-1, *[1] * (value.ndim - 1))
        del folded[name]
    scaled = len(folded) + ("mask_token" in weights) < len(weights)
    return place_class_token(folded) if scaled else folded  # deit3 adds positions before the class token
