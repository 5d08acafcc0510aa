"""The convolutional network: a ResNet, the ViT's opponent in lesson 9.

    images [B, C, H, W] -> stem [B, F, h, w] -> stages of residual blocks, each of half the sides and twice the channels
    -> mean over the places [B, F'] -> logits [B, num_classes]

Sources: He et al. 2016, "Deep Residual Learning for Image Recognition", figure 5, table 1 and section 4.2;
Dosovitskiy et al. 2021, section 3.1, "Inductive bias", and section 4.3, which puts such networks beside the ViT.
State-dict names are torchvision's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vit_tutorial.inputs import as_pair, check_channels, check_kind, check_pixels, check_setting

RESNETS = {  # table 1 of the paper: kind of block, and blocks in each stage
    "ResNet-18": ("basic", (2, 2, 2, 2)),
    "ResNet-34": ("basic", (3, 4, 6, 3)),
    "ResNet-50": ("bottleneck", (3, 4, 6, 3)),
    "ResNet-101": ("bottleneck", (3, 4, 23, 3)),
    "ResNet-152": ("bottleneck", (3, 8, 36, 3)),
}


@dataclass(frozen=True)
class CNNConfig:
    """Everything that decides the shape of a CNN; the defaults are ResNet-18 for ImageNet.

    Raises ValueError for a value of another kind, a size below 1, or a number of stages other than 1 to 4.
    """

    image_size: int | tuple[int, int] = 224  # pixels; the network takes other sizes too, and has the same weights
    in_channels: int = 3  # C
    num_classes: int = 1000
    block: Literal["basic", "bottleneck"] = "basic"
    layers: tuple[int, ...] = (2, 2, 2, 2)  # blocks in each stage
    width: int = 64  # channels of the stem; stage i works with 2^i times as many, counted from 0
    stem: Literal["7x7", "3x3"] = "7x7"  # "7x7" quarters the sides (table 1), "3x3" leaves them (section 4.2)
    padding: Literal["zeros", "circular"] = "zeros"  # what lies beyond the border: nothing, or the other side

    def __post_init__(self):
        for name, kind in type(self).__annotations__.items():
            object.__setattr__(self, name, check_setting(name, getattr(self, name), kind, least=1))
        as_pair(self.image_size)
        if not 1 <= len(self.layers) <= 4:
            raise ValueError(f"layers is {self.layers}; give one to four stages of 1 block or more each")


class BasicBlock(nn.Module):
    """Look around twice with 3x3 convolutions, and add the input.

    Shapes: [B, C, H, W] -> [B, width, H/stride, W/stride]. Source: He et al. 2016, figure 5 left, equations 1 and 2.
    """

    expansion = 1  # channels that come out for each of `width`

    def __init__(self, in_channels: int, width: int, stride: int = 1, padding: str = "zeros"):
        super().__init__()
        self.conv1 = convolution(in_channels, width, 3, stride, padding)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, 1, padding)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = _shortcut(in_channels, width, stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))  # [B, C, H, W] -> [B, width, H/stride, W/stride]
        return F.relu(self.bn2(self.conv2(x)) + shortcut)


class Bottleneck(nn.Module):
    """Squeeze the channels with a 1x1 convolution, look around with a 3x3, widen to four times, and add the input.

    Shapes: [B, C, H, W] -> [B, 4 width, H/stride, W/stride]. The 3x3 convolution has the stride, as in torchvision; in
    the authors' own code the first 1x1 has it. Source: He et al. 2016, figure 5 right.
    """

    expansion = 4

    def __init__(self, in_channels: int, width: int, stride: int = 1, padding: str = "zeros"):
        super().__init__()
        self.conv1 = convolution(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = convolution(width, width, 3, stride, padding)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = convolution(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = _shortcut(in_channels, 4 * width, stride)

    def forward(self, x: Float[Tensor, "B C H W"]) -> Float[Tensor, "B F h w"]:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))  # [B, C, H, W] -> [B, width, H, W]
        x = F.relu(self.bn2(self.conv2(x)))  # -> [B, width, H/stride, W/stride]
        return F.relu(self.bn3(self.conv3(x)) + shortcut)  # -> [B, 4 width, H/stride, W/stride]


BLOCKS = {"basic": BasicBlock, "bottleneck": Bottleneck}


class CNN(nn.Module):
    """A residual network for image classification.

    Shapes: images [B, C, H, W] of real numbers, of any size -> logits [B, num_classes].
    Raises ValueError or TypeError with the numbers if config or images do not fit.
    Source: He et al. 2016, table 1; section 4.2 for the stem "3x3".
    """

    def __init__(self, config: CNNConfig):
        super().__init__()
        self.config = check_kind("config", config, CNNConfig)
        self.card = None  # what a trained model says of itself: see weights.ModelCard
        block, channels = BLOCKS[config.block], config.width
        large = config.stem == "7x7"
        self.conv1 = convolution(config.in_channels, channels, 7 if large else 3, 2 if large else 1, config.padding)
        self.bn1 = nn.BatchNorm2d(channels)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if large else nn.Identity()
        for i, blocks in enumerate(config.layers):
            width, stage = config.width * 2**i, nn.Sequential()
            for j in range(blocks):
                stage.append(block(channels, width, 2 if i and not j else 1, config.padding))
                channels = width * block.expansion
            self.add_module(f"layer{i + 1}", stage)
        self.fc = nn.Linear(channels, config.num_classes)

    @classmethod
    def from_name(cls, name: str, image_size: int | tuple[int, int] = 224, num_classes: int = 1000, **options) -> "CNN":
        """Build a network by its name in the paper, as in "ResNet-50". `options` are further fields of CNNConfig.

        Raises ValueError for another name. Source: He et al. 2016, table 1.
        """
        if name not in RESNETS:
            raise ValueError(f"{name!r} is no network of the paper; they are {', '.join(RESNETS)}")
        block, layers = RESNETS[name]
        return cls(CNNConfig(image_size, num_classes=num_classes, **({"block": block, "layers": layers} | options)))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B num_classes"]:
        x = self._stem(images)  # [B, C, H, W] -> [B, width, h, w]
        for _, block in self._blocks():
            x = block(x)  # -> [B, 2^i width, h / 2^i, w / 2^i] in stage i; four times as many channels in bottlenecks
        return self.fc(x.mean(dim=(2, 3)))  # mean over the places -> [B, num_classes]

    def forward_intermediates(self, images: Float[Tensor, "B C H W"]) -> dict[str, Tensor]:
        """Give every named stage in order: "stem", "layer1.0" …, all [B, F, h, w], "pool" [B, F] and "logits"."""
        x = self._stem(images)
        stages = {"stem": x}
        for name, block in self._blocks():
            stages[name] = x = block(x)
        stages["pool"] = x.mean(dim=(2, 3))
        return stages | {"logits": self.fc(stages["pool"])}

    def _stem(self, images: Tensor) -> Tensor:
        check_channels(images, self.config.in_channels)
        check_pixels(images, self.conv1)
        return self.maxpool(F.relu(self.bn1(self.conv1(images))))

    def _blocks(self) -> Iterator[tuple[str, nn.Module]]:
        for i in range(len(self.config.layers)):
            name = f"layer{i + 1}"
            yield from ((f"{name}.{j}", block) for j, block in enumerate(getattr(self, name)))


def convolution(in_channels: int, out_channels: int, size: int, stride: int = 1, padding: str = "zeros") -> nn.Conv2d:
    """Make a convolution without bias that keeps the sides, or divides them by the stride.

    Source of its first weights: He et al. 2015, "Delving Deep into Rectifiers", equation 14 (counted from the output).
    """
    conv = nn.Conv2d(in_channels, out_channels, size, stride, size // 2, bias=False, padding_mode=padding)
    nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
    return conv


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Sequential | None:
    """Make what brings the input to the output's shape: a 1x1 convolution, "option B" of the paper; None if it fits."""
    if in_channels == out_channels and stride == 1:
        return None
    return nn.Sequential(convolution(in_channels, out_channels, 1, stride), nn.BatchNorm2d(out_channels))
