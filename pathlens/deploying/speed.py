"""`speed()` of a run: how fast its network is in each of its forms, on its own images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from pathlens.deploying.source import images_of, open_source
from pathlens.errors import PathLensError
from pathlens.runs import Run, plain_twin
from pathlens.skipping.speed import Speed, measure


def speed(
    run: str | Path | Run | None = None,
    *,
    data: str | Path | None = None,
    images: int = 64,
    batch_sizes: Sequence[int] = (1, 8, 32),
    threads: Sequence[int] = (1, 2),
    turns: int = 9,
    device: str = "cpu",
    progress: bool = True,
    say: Callable[[str], object] | None = None,
) -> Speed:
    """Time the network of a run dense, masked, skipping and statically cut, on its own images.

    Args:
        run: Name or folder of a decoupled run; the newest for None.
        data: Where its images are, if not where the run found them; where there are none, noise is
            used, and the notes say so.
        images: Images of the test split to run on, a class-balanced subset.
        batch_sizes: Numbers of images at once.
        threads: Numbers of torch's threads.
        turns: Times that every form runs; medians are given.
        device: Where to run.
        progress: Whether to show it.
        say: Called with each note before anything is timed, which can take minutes.

    Raises:
        PathLensError: If there is no such run, it has no gates, or a number does not fit.
    """
    from pathlens.devices import check_device

    check_device(device)
    if not batch_sizes or not threads:
        raise PathLensError("Name at least one size of batch and one number of threads.")
    if images < max(batch_sizes):
        raise PathLensError(
            f"{images} images are too few for a batch of {max(batch_sizes)}: give more with --images, "
            "or smaller batches."
        )
    source = open_source(run)
    x, note = images_of(source, data, images)
    known = (note, *_accuracies(source.loaded.run))
    if say is not None:
        for line in known:
            say(line)
    found = measure(
        source.network.to(device),
        x.to(device),
        batch_sizes=batch_sizes,
        thread_counts=threads,
        turns=turns,
        progress=progress,
    )
    return replace(found, notes=(*known, *found.notes))


def _accuracies(run: Run) -> tuple[str, ...]:
    """What the speed costs: test accuracy of the run, and of the plain one; none if unknown."""
    plain = plain_twin(run)
    told = [
        f"{one.name} {one.result['test']['accuracy']:.1%}"
        for one in (run, plain)
        if one is not None and "accuracy" in one.result.get("test", {})
    ]
    return (f"Test accuracy, measured after training: {', '.join(told)}.",) if told else ()
