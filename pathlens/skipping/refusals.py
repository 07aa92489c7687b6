"""What a network made for inference refuses, with what to do instead."""

from __future__ import annotations

from typing import Any, Never, Self

from torch import nn

from pathlens.errors import PathLensError


class InferenceOnly(nn.Module):
    """A module that cannot be trained, moved, copied or pickled."""

    def train(self, mode: bool = True) -> Self:
        """Only eval mode exists.

        Raises:
            PathLensError: For train mode.
        """
        if mode:
            raise PathLensError(
                "A skipping network is for inference only: train the decoupled network, and make "
                "another with skip()."
            )
        return super().train(False)

    def _apply(self, *_: Any, **__: Any) -> Never:
        raise PathLensError(
            "A skipping network stays on its device and in its precision: make another with "
            "skip(network, example_input, device=...)."
        )

    def __deepcopy__(self, memo: dict[int, Any]) -> Never:
        raise PathLensError(
            "A skipping network cannot be copied: several threads can share it, or make another "
            "with skip()."
        )

    def __reduce_ex__(self, protocol: Any) -> Never:
        raise PathLensError(
            "A skipping network cannot be pickled: save the decoupled network, and make another "
            "with skip() where it is loaded."
        )
