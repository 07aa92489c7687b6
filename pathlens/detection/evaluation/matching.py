"""Clean and altered images that the network is equally sure of, so that no detector lives off that."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pathlens.analysis.source import Floats
from pathlens.detection.data import DetectionData
from pathlens.detection.evaluation.fitting import Trial
from pathlens.detection.evaluation.splits import TEST, THRESHOLD

ON_MARGIN, ON_CONFIDENCE = "logit margin", "confidence"

MOST_WEIGHT = 10.0
"""What one clean image may count for."""
_MOST_BINS = 20


@dataclass(frozen=True)
class ConfidenceMatch:
    """Weights under which clean and altered images have one distribution of confidence.

    Attributes:
        clean: float64 (clean images,), weights of tested clean images.
        altered: float64 (altered images,), at most 1; lower where clean images are too rare.
        threshold: float64 (threshold images,), weights of the clean images that fix the threshold.
        matched: Share of the altered images' weight that was kept.
        on: What was matched: ON_MARGIN or ON_CONFIDENCE.
    """

    clean: Floats = field(repr=False)
    altered: Floats = field(repr=False)
    threshold: Floats = field(repr=False)
    matched: float
    on: str = ON_CONFIDENCE

    @property
    def effective_clean(self) -> float:
        """How many equally weighted clean images tell as much (Kish 1965)."""
        return effective_number(self.clean)

    @property
    def effective_altered(self) -> float:
        """How many equally weighted altered images tell as much (Kish 1965)."""
        return effective_number(self.altered)


def effective_number(weights: Floats) -> float:
    """Kish's effective sample size, (sum of weights)² / sum of squared weights; 0 without weight."""
    square = float((weights**2).sum())
    return float(weights.sum()) ** 2 / square if square > 0 else 0.0


def match_confidence(
    clean: Floats, altered: Floats, threshold: Floats, on: str = ON_CONFIDENCE
) -> ConfidenceMatch:
    """Weigh images so that clean ones are as confident as altered ones, by bins of confidence.

    Bins end at quantiles of both sides. A clean image counts share of altered images in its bin /
    share of clean ones, at most `MOST_WEIGHT`; where that is not enough, the altered images of the bin
    count less by as much, so that both sides keep equal weight in every bin.

    Args:
        clean: float64 (images,), confidence or margin of the tested clean images.
        altered: float64 (images,), confidence of the altered ones.
        threshold: float64 (images,), that of the clean images that fix the threshold.
        on: What these are.
    """
    edges = _edges(clean, altered)
    bins = [np.searchsorted(edges, values, side="right") for values in (clean, altered, threshold)]
    shares = [np.bincount(b, minlength=len(edges) + 1) / max(len(b), 1) for b in bins]
    common = np.minimum(shares[1], MOST_WEIGHT * shares[0])
    weights = [_ratio(common, held)[b] for held, b in zip(shares, bins, strict=True)]
    return ConfidenceMatch(
        clean=weights[0],
        altered=weights[1],
        threshold=np.minimum(weights[2], MOST_WEIGHT),
        matched=float(common.sum()),
        on=on,
    )


def confidence_matches(trial: Trial) -> dict[str, ConfidenceMatch]:
    """Weights at matched confidence for each attack; none where neither kind of it is known.

    What is matched is the margin between the two largest logits where both sides have logits: the
    confidence of strong attacks, and of most clean images, is 1 up to rounding, and does not say how
    sure the network is of them.
    """
    found: dict[str, ConfidenceMatch] = {}
    parts = [trial.clean(TEST), trial.clean(THRESHOLD)]
    for name in trial.bench.attacks:
        altered = trial.altered(trial.bench.cells[name], TEST)
        if not len(altered):
            continue
        for on, measure in ((ON_MARGIN, logit_margin), (ON_CONFIDENCE, confidence)):
            values = [measure(data) for data in (parts[0], altered, parts[1])]
            clean, attacked, fixing = values
            if clean is not None and attacked is not None and fixing is not None:
                found[name] = match_confidence(clean, attacked, fixing, on)
                break
    return found


def logit_margin(data: DetectionData) -> Floats | None:
    """Largest logit minus the second: float64 (images,); None without logits of two classes."""
    if data.logits is None or data.logits.shape[1] < 2:
        return None
    top = np.partition(data.logits.astype(np.float64), -2, axis=1)[:, -2:]
    return np.asarray(top[:, 1] - top[:, 0])


def confidence(data: DetectionData) -> Floats | None:
    """Highest class probability of each image: float64 (images,); None where it was not recorded."""
    if "confidence" not in data.images:
        return None
    return data.images["confidence"].to_numpy(dtype=np.float64)


def _edges(clean: Floats, altered: Floats) -> Floats:
    fewest = min(len(clean), len(altered))
    bins = int(np.clip(np.sqrt(fewest) / 2, 2, _MOST_BINS))
    inner = np.arange(1, bins) / bins
    ends = [np.quantile(values, inner) for values in (clean, altered) if len(values)]
    if len(clean):
        # Beyond the range of clean images there is nothing to match with.
        ends.append(np.array([clean.min(), np.nextafter(clean.max(), np.inf)]))
    return np.unique(np.concatenate(ends)) if ends else np.zeros(0)


def _ratio(wanted: Floats, held: Floats) -> Floats:
    ratio: npt.NDArray[np.float64] = np.divide(
        wanted, held, out=np.zeros_like(wanted), where=held > 0
    )
    return ratio
