"""Everything that the page wants to know of the network, in one call."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathlens.errors import PathLensError
from pathlens.probing.ablation import ablate
from pathlens.probing.examples import explained_examples
from pathlens.probing.path_swap import path_swap
from pathlens.probing.signature import signature
from pathlens.recording.reader import Recording, open_recording

SIGNATURE = 5
"""Filters of a class's signature."""
CLASSES = 20
"""Classes whose signatures are ablated, at most: the first ones."""


def probe(
    recording: str | Path | Recording,
    *,
    data: str | Path | None = None,
    images: int = 500,
    by_layer: bool = False,
    seed: int = 0,
    device: str = "cpu",
    progress: bool = True,
) -> Iterator[str]:
    """Swap paths, ablate the signature of every class, and explain a few images.

    Writes `path_swaps.csv`, `ablations.csv` and `examples.json` beside the recording, each as soon as it
    is finished.

    Args:
        recording: A labelled recording that lies below its run.
        data: Where the images are, if not where the run found them.
        images: Size of the class-balanced subset that filters are ablated on.
        by_layer: Whether to swap the gates of each layer alone as well: six passes a layer more.
        seed: Of everything that is drawn by chance.
        device: Where to run.
        progress: Whether to show progress bars.

    Yields:
        One sentence for each of the three, with what came of it.

    Raises:
        PathLensError: If the run is gone or has another checkpoint, the images are others, or they
            have no labels.
    """
    source = recording if isinstance(recording, Recording) else open_recording(recording)
    yield path_swap(
        source, data=data, by_layer=by_layer, seed=seed, device=device, progress=progress
    ).summary()
    sets = class_signatures(source)
    if sets:
        yield ablate(
            source, sets, images=images, seed=seed, data=data, device=device, progress=progress
        ).summary()
    else:
        yield "No class has filters that it prefers: nothing was ablated."
    kept = explained_examples(source, data=data, seed=seed, device=device, progress=progress)
    yield f"Explained images: {kept}."


def class_signatures(source: Recording) -> dict[str, dict[str, list[int]]]:
    """The signature of each of the first `CLASSES` classes that has one, by the class's name."""
    found = {}
    for name in source.classes[:CLASSES]:
        try:
            found[f"signature of {name}"] = signature(source, name, count=SIGNATURE)
        except PathLensError:
            continue  # a class that is not there, or that no filter prefers
    return found
