"""torchvision's vit_* call the same tensors by other names; the numbers need no change."""

from torch import Tensor

from vit_tutorial.weights.renaming import rename

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

_TIMM = [
    (r"^cls_token$", "class_token"),
    (r"^patch_embed\.proj\.", "conv_proj."),
    (r"^pos_embed$", "encoder.pos_embedding"),
    (r"^blocks\.(\d+)\.", r"encoder.layers.encoder_layer_\1."),
    (r"^norm\.", "encoder.ln."),
    (r"^head\.", "heads.head."),
    (r"^pre_logits\.fc\.", "heads.pre_logits."),
    (r"\.norm1\.", ".ln_1."),
    (r"\.norm2\.", ".ln_2."),
    (r"\.attn\.qkv\.(weight|bias)$", r".self_attention.in_proj_\1"),
    (r"\.attn\.proj\.", ".self_attention.out_proj."),
    (r"\.mlp\.fc1\.", ".mlp.0."),
    (r"\.mlp\.fc2\.", ".mlp.3."),
]


def torchvision_to_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights timm's names; whoever fine-tunes replaces `heads` by one layer, or a Sequential with one."""
    named = {rename(key, _TORCHVISION): value for key, value in weights.items()}
    layers = {key.rpartition(".")[0] for key in named if key.startswith("heads.")}
    if len(layers) == 1 and "head.weight" not in named:
        named = {key.replace(f"{min(layers)}.", "head.", 1): value for key, value in named.items()}
    return named


def timm_to_torchvision(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give weights with timm's names, such as ours, the names of torchvision's vit_* of the same shape."""
    return {rename(key, _TIMM): value for key, value in weights.items()}
