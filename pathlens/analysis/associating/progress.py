"""How far a search is: the bar on the terminal, and what a search calls to move it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pathlens.layers import Layer
from pathlens.progress import Bar, progress_bar

Step = Callable[[float], None]
"""Called with the share of the work that was done since the last call; the shares sum to 1."""

# Layers weigh very differently, so that a share of the whole says more than a count would.
_FORM = "{desc}: {percentage:3.0f}%|{bar}| [{elapsed}<{remaining}{postfix}]"


def silent(_share: float) -> None:
    """A step that tells nobody."""


class LayerBar:
    """A bar over layers, each as long as the pairs of filters that its search begins with."""

    def __init__(self, layers: Sequence[Layer], shown: bool) -> None:
        total = sum(_work(layer) for layer in layers)
        self._bar: Bar[Any] = progress_bar(
            desc="search", total=total, bar_format=_FORM, shown=shown and total > 0
        )
        self._part = 0

    def over(self, layers: Iterable[Layer]) -> Iterator[Layer]:
        """The layers one by one; what a layer did not tell counts as done when the next is asked."""
        with self._bar:
            for layer in layers:
                self._part = _work(layer)
                end = self._bar.n + self._part
                self._bar.set_postfix_str(layer.name)
                yield layer
                self._bar.update(end - self._bar.n)

    def step(self, share: float) -> None:
        """Move on by a share of the present layer."""
        self._bar.update(share * self._part)


def _work(layer: Layer) -> int:
    return layer.filters**2
