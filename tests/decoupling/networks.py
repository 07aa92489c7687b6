"""Small networks that the tests decouple, and slow references for their gated forms."""

import torch
from torch import nn
from torch.nn import functional as F


class Chain(nn.Module):
    """Three convolutions, with or without BN, and a linear classifier."""

    def __init__(self, norm: bool) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1, bias=not norm) for a, b in ((3, 6), (6, 8), (8, 5))
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(f) for f in (6, 8, 5)) if norm else None
        self.head = nn.Linear(5, 4)

    def forward(self, x, gates=None):
        """Plain, or with explicit gates {layer name: (N, filters)}."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms is not None:
                x = self.norms[i](x)
            name = f"convs.{i}"
            if gates is not None and name in gates:
                x = x * gates[name][:, :, None, None]
            x = F.relu(x)
        return self.head(x.mean(dim=(2, 3)))


class Residual(nn.Module):
    """A stem and one residual block with a projection shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.conv1 = nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(6)
        self.project = nn.Conv2d(4, 6, 1, stride=2, bias=False)
        self.bn3 = nn.BatchNorm2d(6)
        self.head = nn.Linear(6, 4)

    def forward(self, x, gates=None):
        """Plain, or with explicit gates {layer name: (N, filters)}."""
        x = F.relu(self.norm(self.stem(x)))
        y = self.bn1(self.conv1(x))
        if gates is not None:
            y = y * gates["conv1"][:, :, None, None]
        y = self.bn2(self.conv2(F.relu(y)))
        if gates is not None:
            y = y * gates["conv2"][:, :, None, None]
        return self.head(F.relu(y + self.bn3(self.project(x))).mean(dim=(2, 3)))


class ControlFlow(nn.Module):
    """A branch in `forward`, a module called twice, a functional BN, an auxiliary head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.shared = nn.Conv2d(4, 4, 3, padding=1)
        self.wide = nn.Conv2d(4, 4, 5, padding=2)
        self.narrow = nn.Conv2d(4, 4, 1)
        self.functional = nn.Conv2d(4, 4, 3, padding=1)
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))
        self.aux = nn.Conv2d(4, 7, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.shared(F.relu(self.shared(x))))
        x = F.relu(self.wide(x) if x.shape[-1] > 8 else self.narrow(x))
        aux = self.aux(x).mean(dim=(2, 3))
        x = F.relu(F.batch_norm(self.functional(x), self.mean, self.var))
        return {"scores": self.head(x.mean(dim=(2, 3))), "aux": aux}


def randomise_norms(model, seed=0):
    """Give BN statistics and scales that are not the identity."""
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            count = module.num_features
            module.running_mean.copy_(torch.randn(count, generator=generator))
            module.running_var.copy_(torch.rand(count, generator=generator) + 0.5)
            module.weight.data.copy_(torch.rand(count, generator=generator) + 0.5)
            module.bias.data.copy_(torch.randn(count, generator=generator))
    return model


def random_gates(network, count, seed=0):
    """A random path: {layer name: (N, filters)} of 0 and 1."""
    generator = torch.Generator().manual_seed(seed)
    return {
        layer.name: (torch.rand(count, layer.filters, generator=generator) < 0.5).float()
        for layer in network.layers
    }


def enliven(network, seed=0):
    """Give the gating modules large random weights, so that about half of the gates are on."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.gating.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return network
