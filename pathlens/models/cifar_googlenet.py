"""GoogLeNet for small images: nine inception modules with BN, no auxiliary heads.

Source: Szegedy et al., arXiv 1409.4842, table 1, with a 3 × 3 stem of stride 1 and, for the 5 × 5
branch, two 3 × 3 convolutions, as the CIFAR form in common use has them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

# out 1×1, reduce and out 3×3, reduce and out 5×5, pool projection
_MODULES = (
    ((64, 96, 128, 16, 32, 32), (128, 128, 192, 32, 96, 64)),
    (
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
    ),
    ((256, 160, 320, 32, 128, 128), (384, 192, 384, 48, 128, 128)),
)


def _conv(in_channels: int, filters: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, filters, kernel, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """Four branches side by side; `filters` as in the paper's table, already scaled."""

    def __init__(self, in_channels: int, filters: list[int]) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pool = filters
        self.branch1 = _conv(in_channels, one, 1)
        self.branch2 = nn.Sequential(_conv(in_channels, reduce3, 1), _conv(reduce3, three, 3))
        self.branch3 = nn.Sequential(
            _conv(in_channels, reduce5, 1), _conv(reduce5, five, 3), _conv(five, five, 3)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1), _conv(in_channels, pool, 1)
        )
        self.out_channels = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        branches = (self.branch1, self.branch2, self.branch3, self.branch4)
        return torch.cat([branch(x) for branch in branches], dim=1)


class CifarGoogLeNet(nn.Module):
    """GoogLeNet for images of 32 px or more.

    Args:
        classes: Number of classes.
        width: Factor on the numbers of filters.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        channels = max(4, round(192 * width))
        self.stem = _conv(3, channels, 3)
        stages: list[nn.Module] = []
        for number, stage in enumerate(_MODULES):
            if number:
                stages.append(nn.MaxPool2d(3, stride=2, padding=1))
            for table in stage:
                module = Inception(channels, [max(4, round(f * width)) for f in table])
                channels = module.out_channels
                stages.append(module)
        self.stages = nn.Sequential(*stages)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        pooled = self.pool(self.stages(self.stem(x)))
        scores: Tensor = self.classifier(torch.flatten(pooled, 1))
        return scores
