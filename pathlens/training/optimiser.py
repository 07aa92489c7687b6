"""The optimiser of a training, its rates over time, and which BNs learn."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.training.config import Config
from pathlens.training.objective import Objective
from pathlens.training.schedule import lr_factor
from pathlens.training.sections import Optimiser


def build_optimiser(config: Config, network: nn.Module, objective: Objective) -> torch.optim.SGD:
    """SGD over gating modules and auxiliary classifiers first, and the network itself last."""
    settings = config.recipe.optimiser
    scratch = config.weights is None and config.start_from is None
    peak = settings.lr_from_scratch if scratch else settings.lr
    peak *= config.batch_size / config.recipe.batch_size
    backbone: list[nn.Parameter] = list(network.parameters())
    groups: list[dict[str, Any]] = []
    if isinstance(network, DecoupledNetwork):
        backbone = list(network.model.parameters())
        groups.append(
            {
                "params": [*network.gating.parameters(), *objective.parameters()],
                "peak": settings.gating_lr,
                "weight_decay": settings.gating_weight_decay,
            }
        )
    groups.append({"params": backbone, "peak": peak, "weight_decay": settings.weight_decay})
    return torch.optim.SGD(groups, lr=peak, momentum=settings.momentum, nesterov=settings.nesterov)


def set_rates(optimiser: torch.optim.SGD, settings: Optimiser, progress: float) -> None:
    """Set the learning rates that are due at a share of training."""
    factor = lr_factor(settings, progress)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor


def set_train_mode(network: nn.Module, settings: Optimiser) -> None:
    """Train mode; BNs keep their statistics if the recipe freezes them."""
    network.train()
    if settings.freeze_batch_norm:
        for module in network.modules():
            if isinstance(module, _BatchNorm):
                module.eval()
