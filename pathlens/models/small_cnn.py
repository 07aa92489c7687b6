"""A small network of seven convolutions that learns the embedded data sets in minutes on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallCNN(nn.Module):
    """A stem of stride 2, three stages of two 3 × 3 convolutions, one linear classifier.

    Args:
        classes: Number of classes.
        width: Factor on the numbers of filters.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        stem, *stages = (max(4, round(filters * width)) for filters in (24, 32, 48, 64))
        self.stem = _unit(3, stem, kernel=5, stride=2)
        channels, blocks = stem, []
        for filters in stages:
            blocks.append(nn.Sequential(_unit(channels, filters), _unit(filters, filters)))
            channels = filters
        self.stage1, self.stage2, self.stage3 = blocks
        self.pool = nn.MaxPool2d(2)
        self.classifier = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) of 16 px or more to class scores (N, classes)."""
        out = self.pool(self.stage1(self.stem(x)))
        out = self.stage3(self.pool(self.stage2(out)))
        scores: Tensor = self.classifier(torch.flatten(out.mean(dim=(2, 3)), 1))
        return scores


def _unit(in_channels: int, filters: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, filters, kernel, stride=stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(inplace=True),
    )
