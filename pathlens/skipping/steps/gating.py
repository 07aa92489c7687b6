"""Asking the gating modules, and applying gates where no convolution could do it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pathlens.decoupling import DecoupledNetwork
from pathlens.decoupling.gating import GatingModule
from pathlens.skipping.channels import Kept, everything, granule
from pathlens.skipping.processor import LAST, Compiled, Processor
from pathlens.skipping.run import Run
from pathlens.skipping.steps.base import Step


class Pool:
    """The mean over pixels that gating modules read, of all channels, once for all that read it.

    Args:
        processor: Computes.
        source: Slot of the pictures.
        target: Slot of their means, a tensor or an array (N, channels).
        kept: Number of the pictures' `Kept`; None where they are dense.
        absent: Value of every channel where it is absent, (channels,).
        pixels: Pixels of one picture.
    """

    def __init__(
        self,
        processor: Processor,
        source: int,
        target: int,
        kept: int | None,
        absent: Tensor,
        pixels: int,
    ) -> None:
        self.processor, self.source, self.target = processor, source, target
        self.kept, self.absent, self.pixels = kept, absent, pixels
        self.channels = len(absent)
        self.all = everything(self.channels)

    def __call__(self, run: Run) -> None:
        """Pool."""
        run.values[self.target] = self.processor.pool(
            run.values[self.source], self.kept_in(run), self.absent
        )

    def kept_in(self, run: Run) -> Kept:
        """The channels that are there."""
        return self.all if self.kept is None else run.kept_at(self.kept)

    def of_sums(self, sums: np.ndarray, kept: Kept) -> np.ndarray:
        """The means (1, channels) of one picture, of its sums (places,), which may be overwritten."""
        sums /= self.pixels
        if kept.whole:
            return sums[None]
        means: np.ndarray = self.absent.numpy().copy()
        means[kept.index[kept.filled]] = sums[kept.filled]
        return means[None]


_SINGLE, _NUMBER = np.dtype(np.float32), np.dtype(np.int64)
_NOTHING, _NOWHERE = np.empty((0, 0), _SINGLE), np.empty(0, _NUMBER)


@dataclass(frozen=True)
class Layers:
    """Both layers of a hashed gating module, its standardising folded into the first.

    Attributes:
        first: (in_channels, hidden).
        first_bias: (hidden,).
        second: (hidden, filters).
        second_bias: (filters,).
    """

    first: Tensor
    first_bias: Tensor
    second: Tensor
    second_bias: Tensor

    def table(self, absent: Tensor) -> np.ndarray:
        """Sizes and addresses, (8,), int64, for the compiled loop; valid while all tensors are held.

        Args:
            absent: Mean of every channel where it is absent, (channels,).
        """
        parts = (absent, self.first, self.first_bias, self.second, self.second_bias)
        sizes = (*self.first.shape, self.second.shape[1])
        return np.array([*sizes, *(part.data_ptr() for part in parts)], dtype=np.int64)

    def __call__(self, pooled: Tensor) -> Tensor:
        """Logits (N, filters) of pooled inputs (N, in_channels)."""
        hidden = torch.addmm(self.first_bias, pooled, self.first).relu_()
        return torch.addmm(self.second_bias, hidden, self.second)


class Decide(Step):
    """Decides the gates of a layer, and with them which of its filters run.

    Args:
        processor: Computes.
        network: The decoupled network.
        layer: Number of the layer, from 0.
        source: Slot of what is asked: pooled inputs where `layers` is given, else the whole input.
        kept: Number of the layer's `Kept`.
        layers: The folded gating module; None for a kind that is run as it is.
        pool: Makes the pooled inputs, where nobody did before.
    """

    def __init__(
        self,
        processor: Processor,
        network: DecoupledNetwork,
        module: GatingModule,
        layer: int,
        source: int,
        kept: int,
        layers: Layers | None,
        pool: Pool | None,
    ) -> None:
        reads, writes = ((source,), ()) if pool is None else ((pool.source,), (source,))
        super().__init__(reads, writes, "gating")
        self.processor, self.module, self.hashing = processor, module, network.hashing
        self.layer, self.source, self.kept, self.layers = layer, source, kept, layers
        self.filters = network.layers[layer].filters
        self.granule = granule(self.filters)
        self.dense_from = 1.0
        self.everything = everything(self.filters)
        self.pool = pool
        self.table: np.ndarray | None = None
        single = layers is not None and layers.first.dtype == torch.float32
        if layers is not None and single and isinstance(processor, Compiled):
            self.ask = processor.asking.ask
            # Held because the table has its address.
            self.absent = layers.first.new_zeros(len(layers.first)) if pool is None else pool.absent
            self.table = layers.table(self.absent)

    def __call__(self, run: Run) -> None:
        """Decide."""
        if self.table is not None:
            self._ask(run, self.table)
            return
        if self.pool is not None:
            self.pool(run)
        logits = self._logits(run.values[self.source])
        gates = self.module.decide(logits, "hard", self.hashing, None)
        run.logits[self.layer] = logits
        amplitudes = self.module.amplitudes(logits)
        forced = run.forced.get(self.layer)
        if forced is not None:
            gates = torch.where(forced.isnan(), gates, forced.to(gates))
        run.gates[self.layer] = gates
        if amplitudes is not None:
            run.amplitudes[self.layer] = amplitudes
        self._keep(run, gates.cpu().numpy() > 0, amplitudes)

    def _logits(self, source: Tensor) -> Tensor:
        if self.layers is not None:
            return self.layers(source)
        logits: Tensor = self.module(source)
        return logits

    def _ask(self, run: Run, table: np.ndarray) -> None:
        """The same in one call."""
        images, layer, filters, pool = run.images, self.layer, self.filters, self.pool
        logits, on = np.empty((images, filters), _SINGLE), np.empty((images, filters), _SINGLE)
        index = np.empty(filters + self.granule, _NUMBER)
        if pool is None:
            picture, pixels, places, pooled = 0, 0, _NOWHERE, run.values[self.source]
            if isinstance(pooled, Tensor):
                pooled = pooled.numpy()
        else:
            # The loop reads single precision from an address.
            x = run.values[pool.source].float().contiguous(memory_format=LAST)
            picture, pixels, places = x.data_ptr(), pool.pixels, pool.kept_in(run).index
            pooled = run.values[self.source] = np.empty((images, pool.channels), _SINGLE)
        forced = run.forced.get(layer) if run.forced else None
        given = _NOTHING if forced is None else np.ascontiguousarray(forced.numpy())
        count = self.ask(table, picture, pixels, places, pooled, given, logits, on, index)
        run.logits[layer], run.gates[layer] = logits, on
        kept = run.kept[self.kept] = self._kept(run, index, count)
        masked = images > 1 or (kept.whole and count < filters)
        run.factors[layer] = self._factors(on, kept, None) if masked else None

    def _keep(self, run: Run, on: np.ndarray, amplitudes: Tensor | None) -> None:
        """Choose the filters that run: those that any image has on."""
        chosen = np.flatnonzero(on.any(axis=0))
        index = np.full(self.filters + self.granule, self.filters)
        index[: len(chosen)] = chosen
        kept = self._kept(run, index, len(chosen))
        run.kept[self.kept] = kept
        run.factors[self.layer] = self._factors(on, kept, amplitudes)

    def _kept(self, run: Run, index: np.ndarray, count: int) -> Kept:
        if run.dense:
            return self.everything
        granule = 1 if run.exact else self.granule
        places = -(-count // granule) * granule
        if places >= self.filters:
            return self.everything
        if count > self.dense_from * self.filters and not run.exact:
            return self.everything
        if not count:
            index[0] = 0
        return Kept(index[: places or granule], self.filters, silent=not count)

    def _factors(self, on: np.ndarray, kept: Kept, amplitudes: Tensor | None) -> Tensor | None:
        if kept.silent:
            return None
        if amplitudes is None:
            there = on if kept.whole else on[:, kept.index[kept.filled]]
            if there.all():
                return None
            if kept.whole:
                factors = torch.from_numpy(on).to(self.processor.device, self.processor.dtype)
                return factors.view(*on.shape, 1, 1)
        extended = np.concatenate([on, np.zeros((len(on), 1), dtype=on.dtype)], axis=1)
        factors = torch.from_numpy(extended[:, kept.index]).to(self.processor.device)
        factors = factors.to(self.processor.dtype)
        if amplitudes is not None:
            extended_amplitudes = torch.cat([amplitudes, amplitudes.new_zeros(len(on), 1)], dim=1)
            factors = factors * extended_amplitudes[:, kept.on(self.processor.device)]
        return factors[:, :, None, None]


class Gate(Step):
    """Applies gates to a dense value; only the channels that are on are kept."""

    shares = True

    def __init__(self, source: int, target: int, layer: int, kept: int, label: str) -> None:
        super().__init__((source,), (target,), label)
        self.source, self.target, self.layer, self.kept = source, target, layer, kept

    def __call__(self, run: Run) -> None:
        """Pick channels and multiply."""
        x, kept = run.values[self.source], run.kept_at(self.kept)
        if not kept.whole:
            index = np.minimum(kept.index, kept.channels - 1)
            x = x.index_select(1, torch.from_numpy(index).to(x.device))
        if kept.silent:
            x = torch.zeros_like(x)
        factors = run.factors[self.layer]
        if factors is not None:
            x = x * factors
        run.values[self.target] = x.contiguous(memory_format=LAST)


class Gates(Step):
    """The gates of a layer as a tensor, (N, filters, 1, 1), for operators that read it as it is."""

    def __init__(self, target: int, layer: int, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__((), (target,), "gating")
        self.target, self.layer, self.dtype, self.device = target, layer, dtype, device

    def __call__(self, run: Run) -> None:
        """Write them out."""
        gates = torch.as_tensor(run.gates[self.layer]).to(self.device, self.dtype)
        gates = gates.view(run.images, -1)
        if self.layer in run.amplitudes:
            gates = gates * run.amplitudes[self.layer].to(self.dtype)
        run.values[self.target] = gates[:, :, None, None]
