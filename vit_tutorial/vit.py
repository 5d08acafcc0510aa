"""The Vision Transformer: patches, class token, positions, encoder, head.

    images [B, C, H, W] -> [B, N, D] -> [B, N+1, D] -> depth blocks -> [B, D] -> logits [B, num_classes]

Source: Dosovitskiy et al. 2021, "An Image is Worth 16x16 Words", figure 1, equations 1 to 4, table 1.
"""

import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vit_tutorial.attention import MultiHeadAttention
from vit_tutorial.encoder import LAYER_NORM_EPS, MLP, Encoder, EncoderBlock, build_part
from vit_tutorial.hybrid import RESNETS, HybridEmbedding
from vit_tutorial.inputs import as_pair, check_kind, check_rate, check_setting, whole_number
from vit_tutorial.patches import PatchEmbedding, patchify
from vit_tutorial.positions import PositionEmbedding, sincos_2d
from vit_tutorial.tokens import ClassToken


@dataclass(frozen=True)
class ViTConfig:
    """Everything that decides the shape of a ViT; the defaults are ViT-B/16 for ImageNet.

    Raises ValueError for a name that is not known, a value of another kind, or a number out of range.
    """

    image_size: int | tuple[int, int] = 224  # pixels: H = W, or (H, W)
    patch_size: int = 16  # P, pixels
    in_channels: int = 3  # C
    num_classes: int = 1000
    dim: int = 768  # D, numbers per token
    depth: int = 12  # blocks
    num_heads: int = 12  # h, must divide dim
    mlp_ratio: float | int = 4.0  # hidden numbers of the MLP per number of the token
    qkv_bias: bool = True  # numbers that are added to queries, keys and values
    pool: Literal["cls", "mean"] = "cls"  # the head reads the class token, or (without such a token) the mean patch
    position: Literal["learned", "sincos", "none"] = "learned"  # "sincos" is fixed and 2-D
    stem: Literal["patch", "hybrid"] = "patch"  # "patch" cuts the pixels, "hybrid" a ResNet's feature map
    stem_layers: tuple[int, ...] = (3, 4, 9)  # blocks in each stage of the hybrid's ResNet; these are R50 for patch 16
    norm: Literal["pre", "post"] = "pre"  # "pre" as in ViT, "post" as in the original Transformer
    gelu: Literal["exact", "tanh"] = "exact"  # "tanh" is the approximation that Google's models use
    representation_size: int | None = None  # numbers of the extra Linear + tanh before the head, as in pre-training
    dropout: float = 0.0  # after positions, attention and in the MLP, as in appendix B.1
    drop_path: float = 0.0  # stochastic depth of the last block; it grows to this from 0

    def __post_init__(self):
        if self.num_classes == 0:
            raise ValueError("num_classes is 0; features without a head are forward_intermediates(images)['pool']")
        for name, kind in type(self).__annotations__.items():
            object.__setattr__(self, name, check_setting(name, getattr(self, name), kind, least=1))
        as_pair(self.image_size)
        for name in ("dropout", "drop_path"):
            check_rate(name, getattr(self, name))
        whole_number("dim * mlp_ratio", int(self.dim * self.mlp_ratio), 1)


Keep = Callable[[str, Tensor], Tensor]  # takes a stage and its name, and gives the stage back


def pass_on(name: str, x: Tensor) -> Tensor:
    """Keep nothing."""
    return x


# dim, depth, heads: B, L and H are table 1 of the paper; Ti and S are Touvron et al. 2021 (DeiT), table 1
SIZES = {
    "Ti": (192, 12, 3),
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "H": (1280, 32, 16),
}


class ViT(nn.Module):
    """The Vision Transformer for image classification.

    Shapes: images [B, C, H, W] of real numbers -> logits [B, num_classes]. State-dict names are timm's; in
    `named_parameters`, and so for torch.func.functional_call, "class_token." and "position." stand before two of them.
    Each part can be another class, called as the course's own is called: `ViT(config, attention=MyAttention)`. It gets
    every option of the config that its signature takes. torch.compile, export, jit.trace, onnx.export and vmap take the
    model with batches of any size; torch.fx.symbolic_trace and torch.jit.script do not.
    Raises ValueError or TypeError with the numbers if config, parts or images do not fit.
    Source: figure 1 and equations 1 to 4 of the paper.
    """

    def __init__(
        self,
        config: ViTConfig,
        *,
        patch_embed: Callable[..., nn.Module] = PatchEmbedding,
        class_token: Callable[..., nn.Module] = ClassToken,
        position: Callable[..., nn.Module] = PositionEmbedding,
        block: Callable[..., nn.Module] = EncoderBlock,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        mlp: Callable[..., nn.Module] = MLP,
    ):
        super().__init__()
        self.config, self.card = check_kind("config", config, ViTConfig), None  # see weights.ModelCard
        dim = config.dim
        if config.pool == "mean" and class_token is not ClassToken:
            raise ValueError("class_token is given, but with pool='mean' there is no class token; use pool='cls'")
        if config.position == "none" and position is not PositionEmbedding:
            raise ValueError("position is given, but position='none' asks for no positions; use position='learned'")
        self.patch_embed = self._build_patch_embed(patch_embed)
        self.grid_size = tuple(side // config.patch_size for side in as_pair(config.image_size))
        self.num_prefix_tokens = 1 if config.pool == "cls" else 0
        self.class_token = class_token(dim) if self.num_prefix_tokens else nn.Identity()
        self.position = self._build_position(position)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = Encoder(
            dim,
            config.depth,
            config.num_heads,
            mlp_ratio=config.mlp_ratio,
            norm=config.norm,
            qkv_bias=config.qkv_bias,
            gelu=config.gelu,
            dropout=config.dropout,
            drop_path=config.drop_path,
            block=block,
            attention=attention,
            mlp=mlp,
        )
        self.norm = nn.LayerNorm(dim, eps=LAYER_NORM_EPS) if config.norm == "pre" else nn.Identity()
        self.pre_logits = self._build_pre_logits()
        self.head = nn.Linear(config.representation_size or dim, config.num_classes)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.register_state_dict_post_hook(_use_timm_names)
        self.register_load_state_dict_pre_hook(_use_module_names)

    @classmethod
    def from_name(cls, name: str, image_size: int | tuple[int, int] = 224, num_classes: int = 1000, **options) -> "ViT":
        """Build a model by its name in the literature: size and patch size, as in "ViT-B/16" or "ViT-Ti/4".

        A hybrid's name starts with its ResNet, as in "R50+ViT-B/16". `options` are further fields of ViTConfig.
        Raises ValueError for a name that is not of this form, or a ResNet that is not known.
        Source: table 1 of the paper for B, L and H; Touvron et al. 2021, table 1, for Ti and S.
        """
        match = re.fullmatch(rf"(?:(R\d+)\+)?ViT-({'|'.join(SIZES)})/(\d+)", str(name))
        if not match:
            raise ValueError(
                f"{name!r} is no model name; write ViT-SIZE/PATCH with SIZE of {', '.join(SIZES)}: 'ViT-B/16'"
            )
        resnet, patch_size = match[1], int(match[3])
        dim, depth, num_heads = SIZES[match[2]]
        shape = {"patch_size": patch_size, "dim": dim, "depth": depth, "num_heads": num_heads}
        if resnet:
            if (resnet, patch_size) not in RESNETS:
                known = ", ".join(f"{known}+ViT-{match[2]}/{size}" for known, size in RESNETS)
                raise ValueError(f"{name!r} is no hybrid of the literature; choose one of {known}, or set stem_layers")
            shape |= {"stem": "hybrid", "stem_layers": RESNETS[resnet, patch_size]}
        return cls(ViTConfig(image_size=image_size, num_classes=num_classes, **(shape | options)))

    @classmethod
    def from_pretrained(
        cls, name: str, image_size: int | tuple[int, int] | None = None, num_classes: int | None = None, **options
    ) -> "ViT":
        """Build a model by its name and give it published weights; see `pretrained.from_pretrained` for the options."""
        from vit_tutorial.pretrained import from_pretrained  # here, since the model itself needs no library

        return from_pretrained(cls, name, image_size, num_classes, **options)

    def forward(self, images: Float[Tensor, "B C H W"], keep: Keep = pass_on) -> Float[Tensor, "B num_classes"]:
        x = keep("patch_embed", self.patch_embed(images))  # [B, C, H, W] -> [B, N, D]   equation 1: x_p E
        x = keep("class_token", self.class_token(x))  # -> [B, N+1, D]                   equation 1: x_class in front
        x = keep("position", self.dropout(self.position(x)))  # -> [B, N+1, D]           equation 1: + E_pos
        x = self.blocks(x) if keep is pass_on else self._one_by_one(x, keep)  #          equations 2 and 3, depth times
        x = keep("norm", self.norm(x))  # -> [B, N+1, D]
        return self.classify(x, keep)  # -> [B, num_classes]                             equation 4

    def classify(self, tokens: Float[Tensor, "B M D"], keep: Keep = pass_on) -> Float[Tensor, "B num_classes"]:
        """Read one vector off the normalised last tokens [B, M, D] and turn it into logits [B, num_classes]."""
        x = keep("pool", self._pool(tokens))  # [B, M, D] -> [B, D]
        x = keep("pre_logits", self.pre_logits(x))  # -> [B, representation_size or D]
        return keep("logits", self.head(x))  # -> [B, num_classes]

    def forward_intermediates(self, images: Float[Tensor, "B C H W"]) -> dict[str, Tensor]:
        """Give every named stage of figure 1 of the paper, in order, from the flattened patches to the logits.

        Shapes: "feature_map" [B, F, H/s, W/s] (of a hybrid only); "patches" [B, N, P*P*C] of the image, or of the map;
        "patch_embed" [B, N, D]; "class_token" (if there is one), "position", "blocks.0" … and "norm" [B, N+1, D];
        "pool" [B, D]; "pre_logits" [B, representation_size or D]; "logits" [B, num_classes].
        """
        first, stages, pixels, patch_size = {}, {}, images, self.config.patch_size

        def keep(name: str, x: Tensor) -> Tensor:
            if name != "class_token" or self.num_prefix_tokens:
                stages[name] = x
            return x

        ViT.forward(self, images, keep)
        if isinstance(self.patch_embed, HybridEmbedding):
            pixels = first["feature_map"] = self.patch_embed.backbone(images)
            patch_size //= self.patch_embed.backbone.stride
        return first | {"patches": patchify(pixels, patch_size)} | stages

    def _one_by_one(self, x: Tensor, keep: Keep) -> Tensor:
        for i, block in enumerate(self.blocks):
            x = keep(f"blocks.{i}", block(x))
        return x

    def _pool(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0] if self.config.pool == "cls" else tokens.mean(dim=1)  # [B, M, D] -> [B, D]

    def _build_patch_embed(self, patch_embed: Callable[..., nn.Module]) -> nn.Module:
        config, part = self.config, HybridEmbedding if patch_embed is PatchEmbedding else patch_embed
        sizes = config.image_size, config.patch_size, config.in_channels, config.dim
        if config.stem == "patch":
            if config.stem_layers != ViTConfig.stem_layers:
                raise ValueError(f"stem_layers is {config.stem_layers}, which stem='patch' has not; use stem='hybrid'")
            return patch_embed(*sizes)
        return build_part(part, HybridEmbedding, *sizes, layers=config.stem_layers)

    def _build_position(self, position: Callable[..., nn.Module]) -> nn.Module:
        num_tokens, dim = math.prod(self.grid_size) + self.num_prefix_tokens, self.config.dim
        if self.config.position == "learned":
            return position(num_tokens, dim)
        if self.config.position == "sincos":
            device = torch.empty(0).device  # where new tensors are
            with torch.device("cpu") if device.type == "meta" else device:  # these numbers are in no state dict
                prefix = torch.zeros(self.num_prefix_tokens, dim)  # the class token has no place on the grid
                table = torch.cat([prefix, sincos_2d(self.grid_size, dim).to(prefix)])
            return build_part(position, PositionEmbedding, num_tokens, dim, table=table)
        return nn.Identity()

    def _build_pre_logits(self) -> nn.Module:
        size = self.config.representation_size
        if size is None:
            return nn.Identity()
        layers = nn.Sequential(OrderedDict(fc=nn.Linear(self.config.dim, size), act=nn.Tanh()))
        nn.init.xavier_uniform_(layers.fc.weight)
        nn.init.zeros_(layers.fc.bias)
        return layers


# Class token and positions are modules here, to be swapped and looked at, and parameters of the model in timm.
_TIMM_NAMES = {"class_token.cls_token": "cls_token", "position.pos_embed": "pos_embed"}


def _use_timm_names(model: ViT, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    renamed = {prefix + ours: prefix + timm for ours, timm in _TIMM_NAMES.items()}
    for key in list(state_dict):  # every key is put back in turn, so that the order stays
        state_dict[renamed.get(key, key)] = state_dict.pop(key)


def _use_module_names(model: ViT, state_dict: dict, prefix: str, *_) -> None:
    for ours, timm in _TIMM_NAMES.items():
        if prefix + timm in state_dict:
            state_dict[prefix + ours] = state_dict.pop(prefix + timm)
