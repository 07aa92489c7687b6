"""Finding the classifier of a network by watching it run: its input are the penultimate features."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from torch import Tensor, nn

from pathlens.decoupling.observe import Observation, Op, observe
from pathlens.errors import PathLensError

_WEIGHTED = {"addmm", "mm", "bmm", "baddbmm", "linear", "matmul"}


class Features:
    """The input of the classifier, batch by batch, while the context is open.

    The classifier is the one `Linear` or `Conv2d` module that the class scores come from through no
    further weights.

    Args:
        model: The network; it is left as it was.
        example: One image (1, C, H, W), on the network's device.

    Attributes:
        size: Number of features.

    Raises:
        PathLensError: If there is no such module, or several.
    """

    def __init__(self, model: nn.Module, example: Tensor) -> None:
        self._module = _classifier(model, observe(model, example))
        self._seen: Tensor | None = None
        with self:
            observe(model, example)
        self.size = self.take().shape[1]

    def take(self) -> Tensor:
        """The features (N, size) of the batch that ran last, averaged over positions."""
        assert self._seen is not None
        seen, self._seen = self._seen, None
        if isinstance(self._module, nn.Conv2d):
            return seen.mean(dim=(2, 3))
        return seen.flatten(1, -2).mean(dim=1) if seen.dim() > 2 else seen

    def __enter__(self) -> Self:
        self._hook = self._module.register_forward_pre_hook(self._keep, with_kwargs=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._hook.remove()

    def _keep(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._seen = args[0] if args else kwargs["input"]


def _classifier(model: nn.Module, observation: Observation) -> nn.Linear | nn.Conv2d:
    found = _last_weights(observation)
    if len(found) == 1:
        name = found[0].module
        module = model.get_submodule(name)
        if isinstance(module, nn.Linear | nn.Conv2d) and observation.calls[name] == 1:
            return module
    raise PathLensError(
        "The classifier's input cannot be found, as the class scores do not come from one Linear or "
        "Conv2d module that runs once: record without the column features."
    )


def _last_weights(observation: Observation) -> list[Op]:
    """The operations with weights that lead to the class scores through no others."""
    waiting, seen, found = [observation.outputs[0]], set(), []
    while waiting:
        op = observation.producer.get(waiting.pop())
        if op is None or op in seen:
            continue
        seen.add(op)
        if op.name in _WEIGHTED or "convolution" in op.name:
            found.append(op)
        else:
            waiting.extend(op.inputs)
    return found
