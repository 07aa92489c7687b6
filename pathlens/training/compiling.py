"""`torch.compile` for training steps, or one clear sentence where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch

from pathlens.errors import PathLensError, first_line

Call = TypeVar("Call", bound=Callable[..., Any] | None)


def compiled(call: Call, wanted: bool) -> Call:
    """What runs `call` compiled; itself if that is not wanted or there is nothing to call.

    The network that is called stays as it is, with its own names and its own eager `forward`.

    Raises:
        PathLensError: When it is called, if it cannot be compiled.
    """
    if not wanted or call is None:
        return call
    from torch._dynamo.exc import TorchDynamoException  # takes seconds

    faster: Any = torch.compile(call)

    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return faster(*args, **kwargs)
        except TorchDynamoException as error:
            raise PathLensError(
                f"This network cannot be compiled ({first_line(error)}): train without --compile."
            ) from error

    return run  # type: ignore[return-value]


def check_compiler(device: str) -> None:
    """Make sure that something can be compiled for a device.

    Raises:
        PathLensError: If it cannot, for example because there is no C++ compiler.
    """
    try:
        torch.compile(_trial)(torch.zeros(8, device=device))
    except Exception as error:  # every backend has its own
        raise PathLensError(
            f"--compile does not work here ({first_line(error)}): install a C++ compiler, or train "
            "without it."
        ) from error


def _trial(x: torch.Tensor) -> torch.Tensor:
    return torch.relu(x + 1) * 2
