"""Times of several calls that take turns, so that a busy machine hits all of them alike."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

Clock = Callable[[], float]
"""Tells seconds: `time.perf_counter` what a user waits, `time.process_time` what the processor does."""


_LEAST_SECONDS, _MOST_CALLS = 0.01, 10
"""Calls that take less time are timed together, so many at most."""

Times = dict[str, NDArray[np.float64]]
"""Seconds (turns,) by the name of what ran."""


def once(call: Callable[[], object], clock: Clock, device: torch.device) -> float:
    """Seconds of one call, after one that warms up; of short ones the mean over several."""
    first = _seconds(call, 1, clock, device)
    calls = min(_MOST_CALLS, math.ceil(_LEAST_SECONDS / max(first, 1e-9)))
    return _seconds(call, calls, clock, device) / calls


def _seconds(call: Callable[[], object], calls: int, clock: Clock, device: torch.device) -> float:
    start = clock()
    for _ in range(calls):
        call()
    _finish(device)
    return clock() - start


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def in_turns(
    calls: Callable[[int], Mapping[str, Callable[[], object]]],
    turns: int,
    device: torch.device,
    *,
    clock: Clock = time.perf_counter,
    after: Callable[[], object] = lambda: None,
) -> Times:
    """Seconds (turns,) of every call.

    Args:
        calls: From the number of a turn to its calls, each called once to warm up, then timed.
        turns: Number of turns.
        device: What the calls run on, waited for.
        clock: Tells the time.
        after: Called after every turn.
    """
    taken: dict[str, list[float]] = {}
    with _no_collection():
        for turn in range(turns):
            for name, call in calls(turn).items():
                taken.setdefault(name, []).append(once(call, clock, device))
            after()
    return {name: np.array(times) for name, times in taken.items()}


@contextmanager
def _no_collection() -> Iterator[None]:
    """No collection of garbage in the middle of a call."""
    before = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Torch with this number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
