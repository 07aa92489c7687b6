"""VGG-16 with BN for small images: 13 convolutions, global pooling, one linear classifier.

Source: Simonyan & Zisserman, arXiv 1409.1556, configuration D; the CIFAR form with one linear layer is
the one that the pruning literature uses.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class CifarVGG(nn.Module):
    """VGG-16-BN for images of 32 px or more.

    Args:
        classes: Number of classes.
        width: Factor on the numbers of filters.
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for number, stage in enumerate(_STAGES):
            if number:
                layers.append(nn.MaxPool2d(2))
            for planes in stage:
                filters = max(8, round(planes * width))
                layers += [
                    nn.Conv2d(channels, filters, 3, padding=1, bias=False),
                    nn.BatchNorm2d(filters),
                    nn.ReLU(inplace=True),
                ]
                channels = filters
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, 3, H, W) to class scores (N, classes)."""
        scores: Tensor = self.classifier(torch.flatten(self.pool(self.features(x)), 1))
        return scores
