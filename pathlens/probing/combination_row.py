"""What the ablation of a combination and of random sets comes to: one row of the table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pathlens.analysis.associating.measurements import READABLE
from pathlens.analysis.associating.resampling import FEW_GROUPS, interval
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits, Floats, Ints
from pathlens.probing.combination_trial import ACCURACY, LOG_ODDS, PROBABILITY, Trial
from pathlens.probing.read_out import ReadOut, auroc
from pathlens.probing.resampling import chance_of_control, spread

UNLIKE = 0.25
"""Random sets whose rate or contribution differs by a larger share than this are poor company."""


def trial_row(
    trial: Trial,
    read_out: ReadOut,
    groups: Ints | None,
    wanted: int,
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The row of a trial that was run; `ablate_combinations` says what its columns mean.

    Args:
        trial: The trial.
        read_out: Of its concept.
        groups: int64 (images of the recording,), their groups; None where each stands alone.
        wanted: Number of random sets that were asked for.
        resamples: Bootstrap resamples.
        seed: Draws them.
    """
    asked, has = trial.question, trial.has
    blocks = None if groups is None else groups[asked.images.measured]
    quality, match = auroc(trial.log_odds, has), _match(trial)
    return {
        "layer": asked.layer.index,
        "name": asked.layer.name,
        "combination": asked.combination,
        "concept": asked.concept,
        **_effects(trial, blocks, resamples, seed),
        **_predictions(trial),
        "images": int(has.sum()),
        "images_taking": int((has & trial.taking).sum()),
        "images_without": int((~has).sum()),
        "groups": 0 if blocks is None else len(np.unique(blocks[has])),
        "read_out_auroc": quality,
        "read_out_images": read_out.images,
        "read_out_strength": read_out.strength,
        **match,
        "note": _note(trial, quality, blocks, wanted, match),
    }


def _effects(trial: Trial, blocks: Ints | None, resamples: int, seed: int) -> dict[str, Any]:
    """What becomes of the log odds of the concept."""
    rng = np.random.default_rng(seed)
    own, has, effect = trial.total[:, LOG_ODDS], trial.has, "ablation_effect"
    beside = _means(trial.random[..., LOG_ODDS], has)
    random = spread(beside)
    found: dict[str, Any] = {
        f"{effect}_random": random["control"],
        f"{effect}_random_low": random["control_low"],
        f"{effect}_random_high": random["control_high"],
        "p_random": chance_of_control(-float(own[has].mean()), -beside),
        "random_sets": len(beside),
        f"{effect}_taking": float(_means(own, has & trial.taking)),
        f"{effect}_direct": float(_means(trial.direct[:, LOG_ODDS], has)),
        f"{effect}_without_random": _mean(_means(trial.random[..., LOG_ODDS], ~has)),
    }
    for name, side in ((effect, has), (f"{effect}_without", ~has)):
        inside = None if blocks is None else blocks[side]
        found[name] = float(_means(own, side))
        low, high = interval(block_means(own[side], inside, resamples, rng))
        found |= {f"{name}_ci_low": low, f"{name}_ci_high": high}
    return found


def _predictions(trial: Trial) -> dict[str, float]:
    """What becomes of the prediction."""
    found = {}
    for name, measure in (("probability_change", PROBABILITY), ("accuracy_change", ACCURACY)):
        for side, images in (("", trial.has), ("_without", ~trial.has)):
            found[name + side] = float(_means(trial.total[:, measure], images))
            beside = _means(trial.random[..., measure], images)
            found[f"{name}{side}_random"] = _mean(beside)
    return found


def _match(trial: Trial) -> dict[str, float]:
    """How like the combination the random sets are."""
    filters = trial.question.filters
    others = np.concatenate([np.zeros(0, dtype=np.int64), *trial.sets])
    return {
        "rate": float(trial.rates[filters].mean()),
        "random_rate": _mean(trial.rates[others]),
        "contribution": float(trial.norms[filters].mean()),
        "random_contribution": _mean(trial.norms[others]),
    }


def _note(
    trial: Trial, quality: float, blocks: Ints | None, wanted: int, match: Mapping[str, float]
) -> str:
    sets = len(trial.sets)
    few = 0 if blocks is None else len(np.unique(blocks[trial.has]))
    return join_notes(
        [
            f"the read-out hardly reads the concept (AUROC {quality:.2f} is below {READABLE}), so "
            "that its changes explain nothing" * (quality < READABLE),
            f"only {sets} of {wanted} random sets, as the layer has few other filters"
            * (sets < wanted),
            f"{plural(few, 'group')}, too few for an interval to be trusted"
            * (0 < few < FEW_GROUPS),
            *(_unlike(name, match) for name in ("rate", "contribution")),
        ]
    )


def _unlike(name: str, match: Mapping[str, float]) -> str:
    """That the random sets are not like the combination in one respect; "" where they are."""
    own, random = match[name], match[f"random_{name}"]
    if not abs(random - own) > UNLIKE * abs(own):
        return ""
    return (
        f"the random sets' {name} is {random:.3g}, the combination's {own:.3g}, so that they are no "
        "fair comparison"
    )


def block_means(
    values: Floats, blocks: Ints | None, resamples: int, rng: np.random.Generator
) -> Floats:
    """Bootstrap means: over images, or over blocks of images drawn whole.

    The cluster bootstrap of Davison & Hinkley (1997, section 3.8): a mean is a sum over the drawn
    blocks by the number of their images.

    Args:
        values: float64 (images,), at least one.
        blocks: int64 (images,), block of each image; None where each stands alone.
        resamples: Number of bootstrap samples.
        rng: Draws them.

    Returns:
        float64 (resamples,).
    """
    own = np.arange(len(values)) if blocks is None else np.unique(blocks, return_inverse=True)[1]
    sums, sizes = np.bincount(own, weights=values), np.bincount(own)
    times = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=resamples)
    return np.asarray((times @ sums) / (times @ sizes))


def _means(values: Floats, images: Bits) -> Floats:
    """Means over some images, the last axis; NaN where there is none."""
    return values[..., images].mean(axis=-1) if images.any() else np.full(values.shape[:-1], np.nan)


def _mean(values: Floats) -> float:
    return float(values.mean()) if len(values) else float("nan")
