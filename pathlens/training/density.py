"""How many filters top-k gates keep, over training: they are set to the target and not pushed."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from pathlens.decoupling.network import DecoupledNetwork
from pathlens.decoupling.top_k import TopKGating, density_for_macs, set_density
from pathlens.training.schedule import lowered
from pathlens.training.sections import Losses


@dataclass(frozen=True)
class Density:
    """The share of filters that run, lowered from 1 by the schedule of the sparsity target.

    Attributes:
        final: The share at the end.
        until: Share of training at which it is reached.
    """

    final: float
    until: float

    @staticmethod
    def of(losses: Losses, network: nn.Module) -> Density | None:
        """What a recipe asks of a network; None if it has no top-k gates.

        Raises:
            PathLensError: If a budget of multiply-adds cannot be met.
        """
        top_k = any(isinstance(module, TopKGating) for module in network.modules())
        if not top_k or not isinstance(network, DecoupledNetwork):
            return None
        final = losses.sparsity_target
        if losses.sparsity == "macs":
            final = density_for_macs(network.cost, final)
        return Density(final, losses.sparsity_lowered_until)

    def set(self, network: nn.Module, progress: float) -> None:
        """Set the top-k gates of a network to what is due at this share of training."""
        set_density(network, lowered(self.final, self.until, progress))
