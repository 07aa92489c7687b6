"""Progress bars: alive on a terminal and in a notebook, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import Any, TypeVar, overload

from tqdm import auto, std

T = TypeVar("T")
Bar = std.tqdm
SECONDS = 30.0
"""Between two lines in a log."""


class LogBar(Bar):  # type: ignore[type-arg]
    """A bar for what is no terminal: a line every now and then and one at the end, none drawn over."""

    def __init__(self, iterable: Iterable[Any] | None = None, **options: Any) -> None:
        # Short work is told in the one line of its end.
        self._told = time.monotonic()
        super().__init__(iterable, **options)

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Write how far the work is, as a line, if none was written lately."""
        if time.monotonic() - self._told >= SECONDS:
            self._tell()

    def clear(self, *_: Any, **__: Any) -> None:
        """Nothing: lines of a log stay."""

    def close(self) -> None:
        """Write the last line, unless the bar was not to stay."""
        if self.disable:
            return
        if self.leave is not False:
            self._tell()
        self.disable = True
        self._decr_instances(self)  # type: ignore[attr-defined]

    def _tell(self) -> None:
        self.fp.write(f"{self}\n")
        # A log may keep lines back, and this one is to stand before what is said after it.
        getattr(self.fp, "flush", lambda: None)()
        self._told = time.monotonic()


@overload
def progress_bar(iterable: Iterable[T], *, shown: bool, **options: Any) -> Bar[T]: ...


@overload
def progress_bar(iterable: None = None, *, shown: bool, **options: Any) -> Bar[Any]: ...


def progress_bar(iterable: Iterable[Any] | None = None, *, shown: bool, **options: Any) -> Bar[Any]:
    """A bar over an iterable, or one to be moved by hand.

    Args:
        iterable: What is gone through; None for a bar whose `update` is called.
        shown: Whether anything is shown.
        options: Of tqdm: total, desc, unit and so on.
    """
    alive = "ipykernel" in sys.modules or (sys.stderr is not None and sys.stderr.isatty())
    kind: Any = auto.tqdm if alive else LogBar
    bar: Bar[Any] = kind(iterable, disable=not shown, **options)
    return bar
