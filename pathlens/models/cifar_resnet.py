"""CIFAR ResNets of depth 6n + 2: three stages of 16, 32 and 64 filters.

Source: He et al., "Deep residual learning for image recognition", section 4.2 (arXiv 1512.03385), with
shortcuts without weights (option A). Parameter names fit the widely used published CIFAR-10 weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3 × 3 convolutions beside a shortcut that pads new channels with zeros."""

    def __init__(self, in_planes: int, planes: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_planes, planes, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.stride = stride
        self.extra = planes - in_planes

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_planes, H, W) to (N, planes, H / stride, W / stride)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        shortcut = x
        if self.stride != 1 or self.extra:
            shortcut = x[:, :, :: self.stride, :: self.stride]
            before = self.extra // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.extra - before))
        return F.relu(out + shortcut)


class CifarResNet(nn.Module):
    """ResNet for small images; any size that survives a stride of 4 works.

    Args:
        depth: 6n + 2: 20, 32, 44, 56 or 110.
        classes: Number of classes.
        width: Factor on the numbers of filters.
    """

    def __init__(self, depth: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        blocks = (depth - 2) // 6
        planes = [max(4, round(p * width)) for p in (16, 32, 64)]
        self.conv1 = nn.Conv2d(3, planes[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes[0])
        self.layer1 = _stage(planes[0], planes[0], blocks, stride=1)
        self.layer2 = _stage(planes[0], planes[1], blocks, stride=2)
        self.layer3 = _stage(planes[1], planes[2], blocks, stride=2)
        self.linear = nn.Linear(planes[2], classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        scores: Tensor = self.linear(torch.flatten(F.adaptive_avg_pool2d(out, 1), 1))
        return scores


def _stage(in_planes: int, planes: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_planes, planes, stride)
    return nn.Sequential(first, *(BasicBlock(planes, planes, 1) for _ in range(blocks - 1)))
