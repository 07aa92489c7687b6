"""Training in several processes, as `torchrun` starts them: one batch, divided among them.

Each process takes its slice of every batch. What a loss takes the mean of over the batch is averaged
over all processes before the loss is computed, and gradients are summed after it, so that the step is
the one that a single process would take. Gradients are summed explicitly, not by
`DistributedDataParallel`: that averages the gradients of losses per process, which is wrong for losses
of a mean (a budget's square), and it wants to own `forward`, where paths are returned.

Crops and the noise of gates belong to the image (`pathlens.training.randomness`), so they do not depend
on the division either. With frozen BN statistics (`freeze_batch_norm` in a recipe) the losses are those
of a single process but for rounding. What differs otherwise: each process normalises by the statistics
of its own images, of which the running averages are averaged over the processes; dropout is drawn by
process; and a step in which unreadable images leave one process fewer than two is left out.

All processes need the same files: process 0 writes the run, and all of them resume from it, also where
their number has changed.
"""

from __future__ import annotations

import atexit
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pathlens.decoupling.losses.batch_mean import BatchMean, over_batch
from pathlens.errors import PathLensError, first_line

T = TypeVar("T")

_PATIENCE = 3.0
"""Seconds by which the others let process 0 speak first."""


@dataclass(frozen=True)
class World:
    """The processes that train one network together; alone by default.

    Attributes:
        rank: Number of this process; process 0 leads: it writes, prints and holds the lock.
        size: Number of processes.
        device: Where this process computes.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @staticmethod
    def join(device: str) -> World:
        """Meet the other processes, if `torchrun` has started any."""
        size = int(os.environ.get("WORLD_SIZE", "1"))
        if size == 1 or "MASTER_ADDR" not in os.environ or "RANK" not in os.environ:
            return World(device=device)
        if device == "cuda":
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        if not torch.distributed.is_initialized():
            if device.startswith("cuda"):
                torch.cuda.set_device(device)
            torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
            # Not after each training: processes that torchrun has started can meet only once.
            atexit.register(torch.distributed.destroy_process_group)
        return World(torch.distributed.get_rank(), torch.distributed.get_world_size(), device)

    @property
    def leads(self) -> bool:
        """Whether this process writes, prints and holds the lock."""
        return self.rank == 0

    def slice(self, items: Sequence[T]) -> Sequence[T]:
        """Return this process's part of a list: disjoint from the others', as even as can be.

        A list that is too short to give everyone two (a BN cannot train on one image) goes to all.
        """
        if len(items) < 2 * self.size:
            return items
        return self.part(items)

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Return this process's part of a list, disjoint from the others', which may be empty."""
        begin, end = (len(items) * rank // self.size for rank in (self.rank, self.rank + 1))
        return items[begin:end]

    def sum(self, *values: float) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(values)
        # No float64 on some accelerators; counts of images are exact in float32 up to 16 million.
        kind = torch.float64 if not self.device.startswith("mps") else torch.float32
        return self._summed(torch.tensor(values, dtype=kind, device=self.device)).tolist()

    def mean(self, share: float) -> BatchMean:
        """How a batch's mean is taken when this process holds a `share` of the batch.

        The result is the whole batch's mean on every process, and its gradient that of this
        process's part, so that gradients have to be summed over the processes afterwards.
        """
        if self.size == 1:
            return over_batch

        def mean(values: Tensor) -> Tensor:
            result: Tensor = _SumForward.apply(over_batch(values) * share, self)
            return result

        return mean

    def sum_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Sum the gradients over all processes, in one message."""
        if self.size == 1:
            return
        gradients = [p.grad for p in parameters if p.grad is not None]
        self._through_one(gradients, self._summed)

    def average_statistics(self, network: nn.Module) -> None:
        """Average the running statistics of BNs in train mode: each process has its own images'.

        A running average is linear in what it has seen, so it does not matter how often this is done.
        """
        if self.size == 1:
            return
        norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
        found = [tensor for norm in norms for tensor in (norm.running_mean, norm.running_var)]
        statistics = [tensor for tensor in found if tensor is not None]
        self._through_one(statistics, lambda flat: self._summed(flat).div_(self.size))

    def copy_from_leader(self, module: nn.Module) -> None:
        """Make parameters and buffers those of process 0."""
        if self.size == 1:
            return
        for tensor in module.state_dict().values():
            whole = tensor.contiguous()
            self._try(partial(torch.distributed.broadcast, whole, 0))
            tensor.copy_(whole)

    def from_leader(self, value: T) -> T:
        """What process 0 has in this place."""
        if self.size == 1:
            return value
        box: list[Any] = [value]
        self._try(lambda: torch.distributed.broadcast_object_list(box, 0))
        agreed: T = box[0]
        return agreed

    def union(self, entries: dict[T, str]) -> dict[T, str]:
        """The entries of all processes."""
        if self.size == 1:
            return entries
        boxes: list[Any] = [None] * self.size
        self._try(lambda: torch.distributed.all_gather_object(boxes, entries))
        return {key: value for box in boxes for key, value in box.items()}

    @contextmanager
    def leader_first(self) -> Iterator[None]:
        """Let process 0 do something (fetch, make a folder) before the others do it."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Wait until all processes are here."""
        self.sum(0.0)

    def _summed(self, tensor: Tensor) -> Tensor:
        self._try(lambda: torch.distributed.all_reduce(tensor))
        return tensor

    def _through_one(self, tensors: list[Tensor], change: Callable[[Tensor], Tensor]) -> None:
        """Change many tensors as one long one: a message costs more than its length."""
        if not tensors:
            return
        flat = change(torch.cat([tensor.reshape(-1) for tensor in tensors]))
        sizes = [tensor.numel() for tensor in tensors]
        for tensor, piece in zip(tensors, torch.split(flat, sizes), strict=True):
            tensor.copy_(piece.view(tensor.shape))

    def _try(self, message: Callable[[], Any]) -> None:
        try:
            message()
        except RuntimeError as error:
            raise PathLensError(
                f"Process {self.rank} of this training has lost another one, whose own message says "
                f"why ({first_line(error)}): repeat the command to go on."
            ) from error


@contextmanager
def joined(device: str) -> Iterator[World]:
    """Meet the other processes that `torchrun` has started, if any.

    What goes wrong in all of them is told by process 0: the others wait a moment before they fail,
    and are ended by `torchrun` meanwhile.
    """
    world = World.join(device)
    try:
        yield world
    except Exception:
        if not world.leads:
            time.sleep(_PATIENCE)
        raise


class _SumForward(torch.autograd.Function):
    """Sum over the processes; the gradient passes unchanged.

    Every process computes the same loss from the sum, and gradients of weights are summed after the
    backward pass: summing here as well would count them twice.
    """

    @staticmethod
    def forward(ctx: Any, value: Tensor, world: World) -> Tensor:
        return world._summed(value.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None
