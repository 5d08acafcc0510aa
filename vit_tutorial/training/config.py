"""The settings of a training: everything that decides how a model learns, in one frozen dataclass.

Sources: Dosovitskiy et al. 2021, appendix B.1, tables 3 and 4 (warm-up, clipping); Szegedy et al. 2016, section 7
(label smoothing). Those of the optimizers and of augmentation are in their own files.

A setting that is added later does by default what was done before: checkpoints and records without it stay what they
are.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_type_hints

import numpy as np

from vit_tutorial.inputs import check_setting
from vit_tutorial.support.seeds import LARGEST_SEED
from vit_tutorial.training.augmentation import check_mixed


@dataclass(frozen=True)
class TrainingConfig:
    """Everything that decides how a model is trained; the defaults suit small pictures on a CPU.

    Raises ValueError for a number out of range, a value of another kind or a word that is not known. The comment behind
    a field is also its help on the command line.
    """

    epochs: int = 36  # passes over the training images
    batch_size: int = 128  # images per step
    learning_rate: float = 3e-3  # after warm-up
    weight_decay: float = 0.05  # pull of the matrices towards 0, times the learning rate, per step
    warmup_epochs: float = 1.0  # epochs over which the learning rate grows from 0
    label_smoothing: float = 0.1  # share of the target spread over all classes
    clip_norm: float | None = 1.0  # longest gradient, all weights taken as one vector; None: any length
    flip: bool = False  # mirror half of the training images, drawn anew each epoch
    max_shift: int = 1  # pixels by which a training image may move in each direction; 0: none
    distort: float = 0.0  # strength of one change of shape and one of colour an image, 0 to 1; 0: none
    erase: float = 0.0  # share of the training images that lose a box
    cutmix: float = 0.0  # share of the training images that get a box of another one, label included
    mixup: float = 0.0  # share of the training images that are blended with another one, label included
    plain_epochs: int = 0  # epochs at the end without cutmix and mixup
    freeze: tuple[str, ...] = ()  # parts that do not learn, by their names in the state dict: patch_embed, blocks.0 …
    layer_decay: float = 1.0  # factor of the learning rate from each layer to the one below it; 1: the same for all
    optimizer: Literal["adamw", "muon"] = "adamw"  # muon: for the matrices of the blocks, and AdamW for the rest
    average: float = 0.0  # decay of a moving average of the weights, which is the model at the end; 0: none
    validation_fraction: float = 0.1  # share of the training images held out to watch progress; 0: none
    seed: int = 0  # of the split, the order of the images, augmentation and dropout
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # of matrix products; auto: 16 bits on a GPU
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"  # auto: cuda if there is one, else cpu
    compile: bool = False  # let torch.compile make one faster program of the model; takes a minute or so first
    gradient_checkpointing: bool = False  # keep what enters a block, and compute the rest again: slower, less memory

    def __post_init__(self):
        if isinstance(self.freeze, str):
            raise ValueError(f"freeze is {self.freeze!r}; it must be several names, such as ({self.freeze!r},)")
        if not isinstance(self.freeze, Iterable) or not all(isinstance(name, str) for name in self.freeze):
            raise ValueError(f"freeze is {self.freeze!r}; it must be names of parts, such as ('patch_embed',)")
        object.__setattr__(self, "freeze", tuple(self.freeze))
        for name, kind in get_type_hints(TrainingConfig).items():
            if name != "freeze":  # names of parts, where check_setting knows whole numbers alone
                value = getattr(self, name)
                value = value.item() if isinstance(value, np.generic) else value  # JSON has no numbers of NumPy
                object.__setattr__(self, name, check_setting(name, value, kind))
        for name, low, high in (
            ("epochs", 1, math.inf),
            ("batch_size", 1, LARGEST_SEED),
            ("learning_rate", 0, math.inf),
            ("weight_decay", 0, math.inf),
            ("warmup_epochs", 0, self.epochs),
            ("label_smoothing", 0, 0.99),
            ("max_shift", 0, math.inf),
            ("distort", 0, 1),
            ("erase", 0, 1),
            ("cutmix", 0, 1),
            ("mixup", 0, 1),
            ("plain_epochs", 0, self.epochs),
            ("layer_decay", 0, 1),
            ("average", 0, 0.99999),
            ("validation_fraction", 0, 0.9),
            ("seed", 0, LARGEST_SEED),
        ):
            if not low <= getattr(self, name) <= high:
                allowed = f"{low} or more" if high == math.inf else f"from {low} to {high}"
                raise ValueError(f"{name} is {getattr(self, name)}; it must be {allowed}")
        check_mixed(self.cutmix, self.mixup)
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise ValueError(f"clip_norm is {self.clip_norm}; it must be above 0, or None for no clipping")
        if self.gradient_checkpointing and self.compile:
            raise ValueError(
                "gradient_checkpointing and compile are both on, but torch.compile decides itself what to keep; "
                "turn one of them off"
            )
