"""Ablation: filters forced off, on or to their mean, and what becomes of the answer.

Routing that goes with a concept need not be what decides about it. An intervention shows it: logits and
accuracy with a filter, a combination or a class's signature taken away, beside random sets that are
like it. The total effect lets later gates be decided anew; the direct effect keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from pathlens.analysis.measured.ablations import ALL_IMAGES, KEYS, MEASURES, Ablations
from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Floats, Ints
from pathlens.analysis.statistics import percentile_interval
from pathlens.errors import PathLensError
from pathlens.probing.ablation_controls import matched_sets
from pathlens.probing.interventions import (
    Bench,
    Effect,
    FilterSet,
    Members,
    Mode,
    check_choice,
    members_of,
    written,
)
from pathlens.probing.resampling import bootstrap_means, chance_of_control, spread
from pathlens.probing.subject import chosen_rows, open_subject
from pathlens.probing.tables import merge_table
from pathlens.progress import progress_bar
from pathlens.recording.beside import ABLATIONS
from pathlens.recording.reader import Recording


def ablate(
    recording: str | Path | Recording,
    sets: Mapping[str, FilterSet],
    *,
    mode: Mode = "off",
    effect: Effect | Literal["both"] = "both",
    controls: int = 20,
    images: int | Ints | None = 1000,
    by_class: bool = True,
    seed: int = 0,
    resamples: int = 1000,
    data: str | Path | None = None,
    device: str = "cpu",
    batch_size: int = 256,
    progress: bool = True,
) -> Ablations:
    """Measure what sets of filters do, by taking them away, beside matched random sets.

    The table is also merged into `ablations.csv` beside the recording: rows of the same set, filters,
    mode, effect and images (by number and seed) make place for new ones, all others stay.

    Args:
        recording: A labelled recording that lies below its run.
        sets: Name to filters: `{"eye": {"layer3.1.conv1": [4, 9]}}`; layers by number or name. One
            filter, several of a layer (a combination) or of several layers (see `signature`).
        mode: "off" and "on" force the gates of the filters; "mean" puts in the place of their gated
            outputs, at every place, the mean over the images.
        effect: "total": all other gates are decided anew; "direct": they stay as recorded, image by
            image; or "both".
        controls: Random sets for each set, matched filter by filter within the layers on on-rate and on
            contribution norm: the mean over images of the root mean square of the gated output (for
            "on", of the output before the gate).
        images: Size of a seeded, class-balanced subset, or rows of the recording; None for all.
        by_class: Whether to measure for each true class, too.
        seed: Draws images, random sets and resamples.
        resamples: Bootstrap resamples of images.
        data: Where the images are, if not where the run found them.
        device: Where to run.
        batch_size: Images a forward pass.
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: If a set, layer, filter, mode or effect does not exist, or the run or its images
            are not those of the recording.
    """
    check_choice("mode", mode, Mode)
    effects: tuple[Effect, ...] = ("total", "direct")
    if effect != "both":
        check_choice("effect", effect, Effect)
        effects = (effect,)
    subject = open_subject(recording, data)
    layers = subject.recording.layers
    wanted = {str(name): members_of(filters, layers) for name, filters in sets.items()}
    if not wanted:
        raise PathLensError("No set of filters was given: name at least one.")
    rows = chosen_rows(subject, images, seed)
    bench = Bench(subject, rows, device=device, batch_size=batch_size)
    scopes = _scopes(bench.labels, subject.recording.classes, by_class=by_class)
    frames, bare = [], []
    with progress_bar(
        total=len(wanted) * len(effects) * (1 + controls), desc="ablations", shown=progress
    ) as bar:
        for name, members in wanted.items():
            rng = np.random.default_rng(seed)  # a set's numbers do not depend on its neighbours
            others = random_sets(bench, members, mode, controls, rng)
            bare += [name] * (controls > 0 and not others)
            about = {"set": name, "mode": mode, **_about(bench, members, others, mode)}
            for kind in effects:
                changes = [_changes(bench, members, mode, kind, bar)]
                changes += [_changes(bench, other, mode, kind, bar) for other in others]
                table = _rows(bench, np.stack(changes), scopes, resamples, rng)
                frames.append(table.assign(effect=kind, seed=seed, **about))
    frame = pd.concat(frames, ignore_index=True)[Ablations.columns()]
    merge_table(subject.recording, ABLATIONS, frame, KEYS)
    return Ablations(frame, _left_out(subject.recording, rows, bare))


def random_sets(
    bench: Bench, members: Members, mode: Mode, count: int, rng: np.random.Generator
) -> list[dict[str, Ints]]:
    """Random sets like `members` in layers, size, on-rate and contribution norm; see `matched_sets`."""
    rates = {name: bits.mean(axis=0) for name, bits in bench.gates.items()}
    return matched_sets(members, rates, _norms(bench, mode), count, rng)


def _norms(bench: Bench, mode: Mode) -> dict[str, Floats]:
    return bench.strengths if mode == "on" else bench.contributions


def _changes(bench: Bench, members: Members, mode: Mode, effect: Effect, bar: Any) -> Floats:
    """What changes for each image: float64 (images, measures)."""
    scores = bench.scores(members, mode, effect)
    each, prediction = np.arange(len(scores)), scores.argmax(axis=1)
    difference = scores - bench.own
    bar.update()
    return np.stack(
        [
            difference[each, bench.labels],
            difference[each, bench.predictions],
            (prediction == bench.labels).astype(float) - (bench.predictions == bench.labels),
            prediction != bench.predictions,
        ],
        axis=1,
    )


def _own(bench: Bench) -> Floats:
    """The same measures on the own paths: float64 (images, measures)."""
    each, right = np.arange(len(bench.own)), bench.predictions == bench.labels
    true, predicted = bench.own[each, bench.labels], bench.own[each, bench.predictions]
    return np.stack([true, predicted, right, np.zeros(len(right))], axis=1)


def _scopes(labels: Ints, names: tuple[str, ...], *, by_class: bool) -> dict[tuple[int, str], Ints]:
    """(class number, its name) to positions of its images; -1 for all images."""
    scopes = {(-1, ALL_IMAGES): np.arange(len(labels))}
    if by_class:
        for k in np.unique(labels).tolist():
            scopes[k, names[k] if k < len(names) else f"class {k}"] = np.flatnonzero(labels == k)
    return scopes


def _rows(
    bench: Bench,
    changes: Floats,
    scopes: Mapping[tuple[int, str], Ints],
    resamples: int,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """A row a scope and measure; `changes` is (1 + controls, images, measures), the set itself first."""
    own, rows = _own(bench), []
    for (number, name), places in scopes.items():
        found, *random = changes[:, places].mean(axis=1)
        low, high = percentile_interval(bootstrap_means(changes[0, places], resamples, rng))
        before = own[places].mean(axis=0)
        for i, measure in enumerate(MEASURES):
            beside = np.array([control[i] for control in random])
            rows.append(
                {
                    "class_index": number,
                    "class": name,
                    "measure": measure,
                    "images": len(places),
                    "own": before[i],
                    "ablated": before[i] + found[i],
                    "change": found[i],
                    "low": low[i],
                    "high": high[i],
                    "controls": len(beside),
                    **spread(beside),
                    "p": chance_of_control(abs(found[i]), np.abs(beside)),
                }
            )
    return pd.DataFrame(rows)


def _about(
    bench: Bench, members: Members, others: list[dict[str, Ints]], mode: Mode
) -> dict[str, Any]:
    rates = {name: bits.mean(axis=0) for name, bits in bench.gates.items()}
    norms = _norms(bench, mode)

    def mean(values: Mapping[str, Floats], sets: list[Any]) -> float:
        gathered = [values[name][filters] for chosen in sets for name, filters in chosen.items()]
        return float(np.concatenate(gathered).mean()) if gathered else float("nan")

    return {
        "filters": written(members),
        "size": sum(map(len, members.values())),
        "subset": len(bench.rows),
        "rate": mean(rates, [members]),
        "norm": mean(norms, [members]),
        "control_rate": mean(rates, others),
        "control_norm": mean(norms, others),
    }


def _left_out(source: Recording, rows: Ints, bare: list[str]) -> str:
    rest = len(source) - len(rows)
    return join_notes(
        [
            f"{rest:,} of {len(source):,} images, by choice" * (rest > 0),
            plural(len(source.skipped), "unreadable image") * (len(source.skipped) > 0),
            f"random sets for {', '.join(bare)}: too few other filters in a layer" * bool(bare),
        ]
    )
