"""The Vision Transformer, from patches to a trained model, in building blocks that read in order.

patches -> tokens -> positions -> attention -> encoder -> vit are the model; each is one lesson of the course.
"""

import importlib.util
import sys

if importlib.util.find_spec("torch") is None:
    raise ImportError(
        f"PyTorch is not installed for {sys.executable}; run `make setup` in the folder of the course, open the "
        "notebooks with `make lab`, and begin commands with the Python of its `.venv`"
    )

from vit_tutorial.attention import MultiHeadAttention, scaled_dot_product_attention
from vit_tutorial.encoder import MLP, DropPath, Encoder, EncoderBlock
from vit_tutorial.hybrid import HybridEmbedding
from vit_tutorial.introspection import (
    attention_distance,
    attention_maps,
    attention_rollout,
    attention_scores,
    count_parameters,
    shape_ledger,
)
from vit_tutorial.patches import PatchEmbedding, patchify, unpatchify
from vit_tutorial.positions import PositionEmbedding, interpolate_positions, sincos_1d, sincos_2d
from vit_tutorial.pretrained import FetchError
from vit_tutorial.tokens import ClassToken
from vit_tutorial.vit import ViT, ViTConfig
from vit_tutorial.weights import ModelCard, load_model, load_weights, save_model

__all__ = [
    "MLP",
    "ClassToken",
    "DropPath",
    "Encoder",
    "EncoderBlock",
    "FetchError",
    "HybridEmbedding",
    "ModelCard",
    "MultiHeadAttention",
    "PatchEmbedding",
    "PositionEmbedding",
    "ViT",
    "ViTConfig",
    "attention_distance",
    "attention_maps",
    "attention_rollout",
    "attention_scores",
    "count_parameters",
    "interpolate_positions",
    "load_model",
    "load_weights",
    "patchify",
    "save_model",
    "scaled_dot_product_attention",
    "shape_ledger",
    "sincos_1d",
    "sincos_2d",
    "unpatchify",
]
