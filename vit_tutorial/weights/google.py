"""Google's `.npz`, of vit_jax and of big_vision.

Flax numbers the parts of a block in the order in which they are made: vit_jax has LayerNorm_0,
MultiHeadDotProductAttention_1, LayerNorm_2, MlpBlock_3; big_vision has LayerNorm_0 and _1 and its attention and MLP
are number 0. What differs in the numbers themselves:
  a linear layer       kernel [in, out]                                   -> weight [out, in]
  a convolution        kernel [height, width, in, out]                    -> weight [out, in, height, width]
  query, key, value    kernel [D, h, d], bias [h, d], apart               -> one weight [3*h*d, D], one bias [3*h*d]
  the heads' output    kernel [h, d, D]                                   -> weight [D, h*d]
"""

from torch import Tensor

from vit_tutorial.weights.renaming import join_queries, place_class_token, rename

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


def google_to_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the arrays timm's names and shapes."""
    for key in [key for key in weights if key.startswith("Transformer/encoderblock/")]:  # all blocks in one array
        for i, value in enumerate(weights.pop(key)):
            weights[key.replace("encoderblock/", f"encoderblock_{i}/")] = value
    named = {}
    for key, value in weights.items():
        name = rename(key, _GOOGLE)
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
    return place_class_token(join_queries(named))  # big_vision adds positions before the class token
