"""ResNet-18/34/50/101/152, written from scratch.

He et al. 2015, "Deep Residual Learning for Image Recognition" (arXiv 1512.03385), in its v1.5 form: the stride of a
bottleneck sits in its 3x3 convolution. Names and shapes in the state dict equal torchvision's.
"""

import torch
from torch import Tensor, nn

from tarn.sharding.errors import UsageError
from tarn.training.model.blurpool import blur_strides
from tarn.training.model.depth import skipped, spread


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


def conv1x1(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 1, stride, bias=False)


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """A projection where the shapes differ, else None: the identity."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut."""

    expansion = 1
    skip_chance = 0.0  # in training (depth.py)

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv3x3(inputs, width, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.training and self.skip_chance:
            out = skipped(out, self.skip_chance)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """1x1 down, 3x3 with the stride, 1x1 up to four times the width, and a shortcut."""

    expansion = 4
    skip_chance = 0.0  # in training (depth.py)

    def __init__(self, inputs: int, width: int, stride: int = 1) -> None:
        super().__init__()
        outputs = width * self.expansion
        self.conv1 = conv1x1(inputs, width)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv3x3(width, width, stride)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv1x1(width, outputs)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        if self.training and self.skip_chance:
            out = skipped(out, self.skip_chance)
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)  # type: ignore[no-any-return]


Block = type[BasicBlock] | type[Bottleneck]

DEPTHS: dict[str, tuple[Block, tuple[int, int, int, int]]] = {
    "resnet18": (BasicBlock, (2, 2, 2, 2)),
    "resnet34": (BasicBlock, (3, 4, 6, 3)),
    "resnet50": (Bottleneck, (3, 4, 6, 3)),
    "resnet101": (Bottleneck, (3, 4, 23, 3)),
    "resnet152": (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """B x 3 x H x W float images to B x num_classes logits.

    small_stem replaces the 7x7 convolution of stride 2 and the pooling by one 3x3 convolution, for pictures of
    32 to 64 px (He et al. 2015, section 4.2).
    """

    def __init__(
        self, block: Block, blocks: tuple[int, int, int, int], num_classes: int, small_stem: bool = False
    ) -> None:
        super().__init__()
        if small_stem:
            self.conv1 = conv3x3(3, 64)
            self.maxpool: nn.Module = nn.Identity()
        else:
            self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
            self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(block, 64, 64, blocks[0], stride=1)
        self.layer2 = stage(block, 64 * block.expansion, 128, blocks[1], stride=2)
        self.layer3 = stage(block, 128 * block.expansion, 256, blocks[2], stride=2)
        self.layer4 = stage(block, 256 * block.expansion, 512, blocks[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(512 * block.expansion, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))  # type: ignore[no-any-return]


def stage(block: Block, inputs: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    first = block(inputs, width, stride)
    return nn.Sequential(first, *(block(width * block.expansion, width) for _ in range(blocks - 1)))


def initialise(model: ResNet, zero_last_gamma: bool) -> None:
    """Kaiming normal, fan out (He et al. 2015, arXiv 1502.01852); unit norms. On the device `meta` there is nothing to
    draw, and PyTorch would take a second to find out.

    zero_last_gamma lets every residual block start as the identity (Goyal et al. 2017, arXiv 1706.02677, section 5.1).
    """
    if model.conv1.weight.is_meta:
        return
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif zero_last_gamma and isinstance(module, Bottleneck):
            nn.init.zeros_(module.bn3.weight)
        elif zero_last_gamma and isinstance(module, BasicBlock):
            nn.init.zeros_(module.bn2.weight)


def build_model(
    arch: str,
    num_classes: int,
    small_stem: bool = False,
    zero_init_last_gamma: bool = False,
    seed: int | None = None,
    blurpool: bool = False,
    stochastic_depth: float = 0.0,
) -> ResNet:
    """The network by name; with a seed, its weights are drawn from that seed and no global state is touched.
    blurpool, stochastic_depth: see blurpool.py and depth.py; neither changes names or shapes of the state dict.

    Raises UsageError for an unknown name.
    """
    if arch not in DEPTHS:
        raise UsageError(f"model.arch={arch!r} is unknown: choose one of {', '.join(DEPTHS)}.")
    block, blocks = DEPTHS[arch]
    with torch.random.fork_rng(devices=[]):
        if seed is not None:
            torch.manual_seed(seed)
        model = ResNet(block, blocks, num_classes, small_stem)
        if blurpool:
            blur_strides(model)
        initialise(model, zero_init_last_gamma)
    if stochastic_depth:
        spread([module for module in model.modules() if isinstance(module, BasicBlock | Bottleneck)], stochastic_depth)
    return model
