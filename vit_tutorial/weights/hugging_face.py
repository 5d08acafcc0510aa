"""Hugging Face's ViT, DeiT and Dinov2, by the names of their files and by those that newer versions have in memory.

    file      vit.encoder.layer.0.attention.attention.query.weight     vit.encoder.layer.0.output.dense.weight
    memory    vit.layers.0.attention.q_proj.weight                     vit.layers.0.mlp.fc2.weight

Query, key and value are apart. The pooler of a ViT is the linear layer before tanh (`representation_size`). Their ViT
and DeiT have 1e-12 where all others have 1e-6 in layer norm, which moves logits by about a millionth.
"""

import re

from torch import Tensor

from vit_tutorial.weights.renaming import join_queries, rename

_PATCHES = re.compile(r"(\w+\.)?embeddings\.patch_embeddings\.projection\.weight")

_HUGGING_FACE = [
    (r"^(vit|deit|dinov2|dinov2_with_registers)\.", ""),
    (r"^embeddings\.patch_embeddings\.projection\.", "patch_embed.proj."),
    (r"^embeddings\.position_embeddings$", "pos_embed"),
    (r"^embeddings\.distillation_token$", "dist_token"),
    (r"^embeddings\.register_tokens$", "reg_token"),
    (r"^embeddings\.(cls_token|mask_token)$", r"\1"),
    (r"^(?:encoder\.)?layers?\.(\d+)\.", r"blocks.\1."),
    (r"^(blocks\.\d+)\.(?:layernorm_before|norm1)\.", r"\1.norm1."),
    (r"^(blocks\.\d+)\.(?:layernorm_after|norm2)\.", r"\1.norm2."),
    (r"^(blocks\.\d+)\.attention\.attention\.(query|key|value)\.", r"\1.attn.\2."),
    (r"^(blocks\.\d+)\.attention\.q_proj\.", r"\1.attn.query."),
    (r"^(blocks\.\d+)\.attention\.k_proj\.", r"\1.attn.key."),
    (r"^(blocks\.\d+)\.attention\.v_proj\.", r"\1.attn.value."),
    (r"^(blocks\.\d+)\.attention\.(?:output\.dense|o_proj)\.", r"\1.attn.proj."),
    (r"^(blocks\.\d+)\.layer_scale([12])\.lambda1$", r"\1.ls\2.gamma"),
    (r"^(blocks\.\d+)\.intermediate\.dense\.", r"\1.mlp.fc1."),
    (r"^(blocks\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
    (r"^layernorm\.", "norm."),
    (r"^pooler\.dense\.", "pre_logits.fc."),
    (r"^(?:cls_)?classifier\.", "head."),
    (r"^distillation_classifier\.", "head_dist."),
]


def is_hugging_face(weights: dict[str, Tensor]) -> bool:
    """Say whether these are names of Hugging Face's."""
    return any(_PATCHES.fullmatch(name) for name in weights)


def hugging_face_to_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights timm's names, with query, key and value in one."""
    return join_queries({rename(name, _HUGGING_FACE): value for name, value in weights.items()})
