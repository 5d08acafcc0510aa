"""The hybrid: a ResNet looks at the image first, and the transformer reads its feature map instead of the pixels.

    images [B, C, H, W] -> feature map [B, F, H/s, W/s] -> tokens [B, N, D]

Sources: Dosovitskiy et al. 2021, section 3.1, "Hybrid Architecture", and section 4.1; Kolesnikov et al. 2020, "Big
Transfer", section 2, for norms and standardized convolutions (their network has each norm before its convolution, this
one behind it, as Google's ViT has); Qiao et al. 2019, "Micro-Batch Training with Batch-Channel Normalization and Weight
Standardization"; Wu and He 2018, "Group Normalization"; He et al. 2016, "Deep Residual Learning".
"""

from collections import OrderedDict

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.inputs import check_setting, whole_number
from vit_tutorial.patches import PatchEmbedding

GROUPS = 32  # of channels that are normalised together
STEM_CHANNELS = 64
RESNETS = {  # name and pixels per token: blocks in each stage
    ("R26", 32): (2, 2, 2, 2),
    ("R50", 32): (3, 4, 6, 3),
    ("R50", 16): (3, 4, 9),  # stage 4 is left out and its depth added to stage 3: section 4.1 of the paper
}


class StandardizedConv2d(nn.Conv2d):
    """A convolution whose every filter is shifted and scaled to mean 0 and variance 1 before it is used.

    Shapes: [B, C, H, W] -> [B, C', ceil(H/stride), ceil(W/stride)]; an odd border is added below and to the right.
    Source: Qiao et al. 2019, the part on weight standardization.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=False)
        nn.init.kaiming_normal_(self.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        variance, mean = torch.var_mean(self.weight, dim=(1, 2, 3), correction=0, keepdim=True)
        weight = (self.weight - mean) / (variance + 1e-8).sqrt()
        return F.conv2d(_pad(x, self.kernel_size[0], self.stride[0]), weight, stride=self.stride)


class MaxPool(nn.Module):
    """Keep the largest of each 3x3 window, at every second row and column.

    Shapes: [B, C, H, W] -> [B, C, ceil(H/2), ceil(W/2)].
    """

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        return F.max_pool2d(_pad(x, 3, 2, fill=-torch.inf), kernel_size=3, stride=2)


class Bottleneck(nn.Module):
    """Squeeze the channels to a quarter, look around with a 3x3 convolution, widen again, and add the input.

    Shapes: [B, C, H, W] -> [B, C', H/stride, W/stride].
    Source: He et al. 2016, figure 5 right, with group norm in the place of batch norm.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        width = out_channels // 4
        self.downsample = None  # the input itself is added, unless its shape has to change
        if in_channels != out_channels or stride > 1:
            conv = StandardizedConv2d(in_channels, out_channels, 1, stride)
            self.downsample = nn.Sequential(OrderedDict(conv=conv, norm=nn.GroupNorm(GROUPS, out_channels)))
        self.conv1 = StandardizedConv2d(in_channels, width, 1)
        self.norm1 = nn.GroupNorm(GROUPS, width)
        self.conv2 = StandardizedConv2d(width, width, 3, stride)
        self.norm2 = nn.GroupNorm(GROUPS, width)
        self.conv3 = StandardizedConv2d(width, out_channels, 1)
        self.norm3 = nn.GroupNorm(GROUPS, out_channels)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        return F.relu(self.norm3(self.conv3(x)) + shortcut)


class ResNet(nn.Module):
    """A ResNet without its head; `layers` says how many blocks each stage has.

    Shapes: [B, C, H, W] -> [B, F, H/s, W/s] with F = `num_features` and s = `stride`: 64 and 4 without stages; then
    each stage but the first halves the sides again, and the stages give 256, 512, 1024 and 2048 channels. The small
    constants are timm's, 1e-5 in group norm and 1e-8 under the root; Google's code has 1e-6, and 1e-5 beside the root.
    Raises ValueError if there are more than four stages, one without blocks, or no channels.
    Source: Kolesnikov et al. 2020, section 2; section 4.1 of the ViT paper.
    """

    def __init__(self, layers: tuple[int, ...] = (3, 4, 9), in_channels: int = 3):
        super().__init__()
        layers = check_setting("layers", layers, tuple[int, ...])
        if len(layers) > 4 or min(layers, default=1) < 1:
            raise ValueError(
                f"layers (stem_layers of a ViTConfig) is {layers}; give at most four stages of 1 block or more each"
            )
        whole_number("in_channels", in_channels, 1)
        self.stem = nn.Sequential(
            OrderedDict(
                conv=StandardizedConv2d(in_channels, STEM_CHANNELS, 7, stride=2),
                norm=nn.GroupNorm(GROUPS, STEM_CHANNELS),
                act=nn.ReLU(),
                pool=MaxPool(),
            )
        )
        self.stride, self.num_features = 4, STEM_CHANNELS
        self.stages = nn.Sequential()
        for i, blocks in enumerate(layers):
            stride, channels = 2 if i else 1, 256 * 2**i
            sizes = [(self.num_features, stride)] + [(channels, 1)] * (blocks - 1)
            stage = nn.Sequential(*[Bottleneck(width, channels, step) for width, step in sizes])
            self.stages.append(nn.Sequential(OrderedDict(blocks=stage)))
            self.stride, self.num_features = self.stride * stride, channels

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        return self.stages(self.stem(images))


class HybridEmbedding(PatchEmbedding):
    """Let a ResNet make a feature map, cut the map into patches, and project each one to D numbers.

    `patch_size` counts pixels of the image, as everywhere: with the ResNet's stride s the map is cut with patch size
    P/s, so "/16" with a stride of 16 means 1x1 patches of the map.
    Shapes: [B, C, H, W] -> [B, N, D]. Raises ValueError if P is not a multiple of the stride, or what PatchEmbedding
    raises. Source: section 3.1 of the paper, "Hybrid Architecture".
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        patch_size: int,
        in_channels: int = 3,
        dim: int = 768,
        layers: tuple[int, ...] = (3, 4, 9),
    ):
        super().__init__(image_size, patch_size, in_channels, dim)
        self.backbone = ResNet(layers, in_channels)
        if patch_size % self.backbone.stride:
            raise ValueError(
                f"patch_size {patch_size} is not a multiple of {self.backbone.stride}, the stride of a ResNet with "
                f"layers (stem_layers of a ViTConfig) of {tuple(layers)}; choose "
                f"patch_size={self.backbone.stride}, or fewer stages"
            )
        self.proj = self._projection(self.backbone.num_features, dim, patch_size // self.backbone.stride)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B N D"]:
        self._check_input(images)
        return self._project(self.backbone(images))


def _pad(x: Tensor, kernel_size: int, stride: int, fill: float = 0.0) -> Tensor:
    """Add the border that makes the sides ceil(H/stride) and ceil(W/stride); an odd one goes below and to the right."""
    height, width = (max((-(-side // stride) - 1) * stride + kernel_size - side, 0) for side in x.shape[-2:])
    return F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2), value=fill)
