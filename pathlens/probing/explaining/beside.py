"""One path beside the recorded ones: how typical it is, and whose paths are nearest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pathlens.analysis.source import Bits, Floats, Ints, PathData, codes_of, dynamic_columns

_SMOOTHING = 0.5
"""Images with a gate on, and off, that are added to those seen (Jeffreys' prior)."""


@dataclass(frozen=True)
class Beside:
    """What a recording says about the path of one image, which itself is left out of it.

    Attributes:
        images: Recorded images of the predicted class.
        percentile: Share of them whose path is less likely than this one under the gate rates of the
            class, ties counted half; gates are taken as independent, and each image, this one too, is
            held against the rates of the others. NaN where there are none.
        layers: A row a layer: layer, name, percentile (the same for its gates alone), class_on (mean
            number of filters on in the class).
        rates: Layer name to the share of the class's images with each gate on, float64 (filters,);
            NaN where there are none.
        all_rates: The same of all recorded images.
        neighbours: Nearest recorded images: position, image, label and prediction (positions of
            classes, -1 if unknown), distance (filters in which the paths differ).
        dynamic: Filters that are on for some recorded images but not for all; distances count these.
        chance: Share of all recorded images that have the predicted class: how many neighbours would
            have it if they were drawn at random.
    """

    images: int
    percentile: float
    layers: pd.DataFrame = field(repr=False)
    rates: Mapping[str, Floats] = field(repr=False)
    all_rates: Mapping[str, Floats] = field(repr=False)
    neighbours: pd.DataFrame = field(repr=False)
    dynamic: int
    chance: float

    @property
    def same(self) -> int:
        """Number of neighbours that have the predicted class."""
        return int(self.neighbours["same"].sum())


def beside(
    data: PathData,
    path: Mapping[str, Bits],
    prediction: int,
    *,
    own: int | None = None,
    neighbours: int = 8,
) -> Beside:
    """Hold a path against a recording, layer by layer, so that memory holds one layer.

    Args:
        data: The recording.
        path: Layer name to gates (filters,).
        prediction: Position of the predicted class.
        own: Position of the image in the recording, or None if it is not there.
        neighbours: Number of nearest images to name.
    """
    everyone = np.arange(len(data.images), dtype=np.int64)
    predicted = codes_of(data, "prediction", everyone)
    others = np.delete(everyone, [] if own is None else own)
    members = others[predicted[others] == prediction]
    distance = np.zeros(len(everyone), dtype=np.int64)
    likelihood, own_likelihood, dynamic = np.zeros(len(members)), 0.0, 0
    rates, all_rates, rows = {}, {}, []
    for layer in data.layers:
        bits, gates = data.bits(layer.name), path[layer.name]
        moving = dynamic_columns(bits)
        dynamic += int(moving.sum())
        distance += (bits[:, moving] != gates[moving]).sum(axis=1)
        these = bits[members]
        mine, theirs = _likelihoods(gates, these)
        own_likelihood, likelihood = own_likelihood + mine, likelihood + theirs
        all_rates[layer.name] = _mean(bits[others])
        rates[layer.name] = _mean(these)
        percentile, on = _percentile(mine, theirs), float(rates[layer.name].sum())
        rows.append((layer.index, layer.name, percentile, on))
    return Beside(
        images=len(members),
        percentile=_percentile(own_likelihood, likelihood),
        layers=pd.DataFrame(rows, columns=["layer", "name", "percentile", "class_on"]),
        rates=rates,
        all_rates=all_rates,
        neighbours=_nearest(data, distance, others, prediction, neighbours),
        dynamic=dynamic,
        chance=len(members) / len(others) if len(others) else float("nan"),
    )


def _likelihoods(gates: Bits, members: Bits) -> tuple[float, Floats]:
    """Log-likelihoods, in nats, of one path and of each member's, under the rates of the others.

    All are held against equally many others, so that among alike images every rank is as likely (as
    in conformal prediction: Vovk, Gammerman & Shafer, 2005).

    Args:
        gates: The path in one layer, (filters,).
        members: Gates of the recorded images of the class, (images, filters), without the one.
    """
    count = len(members)
    on = members.sum(axis=0, dtype=np.int64) + gates
    # An image that is left out leaves one fewer that has its gate as it has; none has where none had.
    if_on = np.log(np.maximum(on - 1, 0) + _SMOOTHING) - np.log(count + 1)
    if_off = np.log(np.maximum(count - on, 0) + _SMOOTHING) - np.log(count + 1)
    mine = float(np.where(gates, if_on, if_off).sum())
    return mine, np.asarray(members @ (if_on - if_off) + if_off.sum(), dtype=np.float64)


def _percentile(mine: float, theirs: Floats) -> float:
    """Share of values below this one, equal ones counted half; NaN of none."""
    if not len(theirs):
        return float("nan")
    near = np.isclose(theirs, mine, rtol=0, atol=1e-9)
    return float(((theirs < mine) & ~near).mean() + near.mean() / 2)


def _mean(bits: Bits) -> Floats:
    if not len(bits):
        return np.full(bits.shape[1], np.nan)
    return np.asarray(bits.mean(axis=0, dtype=np.float64))


def _nearest(
    data: PathData, distance: Ints, others: Ints, prediction: int, count: int
) -> pd.DataFrame:
    """The nearest of the other images; of equally near ones those recorded first."""
    chosen = others[np.argsort(distance[others], kind="stable")[:count]]
    predicted = codes_of(data, "prediction", chosen)
    return pd.DataFrame(
        {
            "position": chosen,
            "image": data.images["image"].to_numpy()[chosen],
            "label": codes_of(data, "label", chosen),
            "prediction": predicted,
            "distance": distance[chosen],
            "same": predicted == prediction,
        }
    )
