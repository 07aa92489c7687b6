"""Find the bug: the filters through which a shortcut runs, found and switched off.

A network that learnt "at night it is a red circle" is right for the wrong reason. Where an attribute of
the images is known, the gates that go with it are found, forced off, and judged by the accuracy of the
group of images that fares worst (Sagawa et al., ICLR 2020, arXiv 1911.08731). Some images are for
finding, others for saying what was found.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from pathlens.analysis.results import join_notes, plural
from pathlens.analysis.source import Bits, Ints, choose_several
from pathlens.concepts import concept_matrix
from pathlens.errors import PathLensError, unknown
from pathlens.layers import Layer, LayerSpec
from pathlens.probing.ablation import random_sets
from pathlens.probing.interventions import Bench, Effect, check_choice, written
from pathlens.probing.shortcut_measure import Measurement
from pathlens.probing.shortcut_result import KEYS, TABLE, Shortcut
from pathlens.probing.shortcut_search import (
    Filter,
    Groups,
    Judged,
    as_members,
    association_within_classes,
    bundles,
    drawn_class,
    grow,
)
from pathlens.probing.signature import class_position
from pathlens.probing.subject import Subject, open_subject
from pathlens.probing.tables import merge_table
from pathlens.recording.reader import Recording


def find_shortcut(
    recording: str | Path | Recording,
    attribute: str,
    *,
    of: int | str | None = None,
    concepts: pd.DataFrame | None = None,
    layers: Iterable[LayerSpec] | None = None,
    candidates: int = 12,
    steps: int = 4,
    spare: float = 0.1,
    smallest: int = 10,
    effect: Effect = "total",
    controls: int = 20,
    seed: int = 0,
    resamples: int = 1000,
    data: str | Path | None = None,
    device: str = "cpu",
    batch_size: int = 256,
    progress: bool = True,
) -> Shortcut:
    """Name the filters through which a shortcut runs, and measure what gating them off does.

    Half of the images, drawn within class and attribute, are for discovery. On them the filters whose
    gates go with the attribute or with its absence, within classes, are candidates; a set is grown of
    them by what gating off does for the worst group (`shortcut_search.grow`). The other half says what
    that is worth, beside random sets matched on layers, size, on-rate and contribution norm. The table
    is also merged into `shortcuts.csv` beside the recording: rows of the same attribute, class, effect
    and seed make place for new ones.

    Args:
        recording: A labelled recording that lies below its run; not of training images.
        attribute: The concept suspected of being a shortcut.
        of: The class that it is a shortcut to; None for the one that images of other classes are
            most often wrongly taken for when they have the attribute.
        concepts: Columns image, concept, value; the table beside the recording for None. An image
            has a concept from a value of 0.5 on; images that the table does not name are left out.
        layers: Layers to search; all for None.
        candidates: Number of filters to choose from one by one.
        steps: Most steps in which the set grows: by a candidate, or first by a bundle of those that go
            most with the attribute, with its absence or with either (`shortcut_search.bundles`).
        spare: Accuracy on discovery images that the set may cost, as a share.
        smallest: Images that a group must have, in each half, to be the worst.
        effect: Whether other gates are decided anew ("total") or stay as recorded ("direct").
        controls: Number of random sets.
        seed: Draws the halves, the random sets and the resamples.
        resamples: Bootstrap resamples of images, within groups.
        data: Where the images are, if not where the run found them.
        device: Where to run.
        batch_size: Images a forward pass.
        progress: Whether to show a progress bar.

    Raises:
        PathLensError: If the attribute, class or a layer is unknown, groups are too small, no gate
            varies with the attribute, or the run or its images are not those of the recording.
    """
    check_choice("effect", effect, Effect)
    subject = open_subject(recording, data)
    chosen_layers = choose_several(subject.recording, layers)
    has, known = _attribute(subject.recording, attribute, concepts)
    rng = np.random.default_rng(seed)
    halves = _halves(subject.labels, has, known, rng)
    benches = [Bench(subject, rows, device=device, batch_size=batch_size) for rows in halves]
    target = _target(of, subject, benches[0], has[halves[0]])
    groups = [Groups.of(b.labels, has[b.rows], target, smallest) for b in benches]
    ranked = _ranked(benches, has, chosen_layers)
    every = list(zip(ranked["name"], ranked["filter"].tolist(), strict=True))
    pool = every[:candidates]
    found, alone, own = grow(
        benches[0],
        groups[0],
        pool,
        bundles=bundles(every, ranked["association"].to_numpy()),
        steps=steps,
        spare=spare,
        effect=effect,
    )
    name = subject.recording.classes[target]
    measure = Measurement(name, attribute, effect, resamples, progress)
    order = list(benches[0].gates)
    members = as_members(found, order)
    # Random sets stand beside what is claimed; discovery images claim nothing.
    others = random_sets(benches[1], members, "off", controls, rng) if members else []
    discovery = measure.table(benches[0], groups[0], members, [], rng)
    confirmation = measure.table(benches[1], groups[1], members, others, rng)
    stages = {"discovery": discovery, "confirmation": confirmation}
    frame = pd.concat([table.assign(stage=stage) for stage, table in stages.items()])
    frame = frame.reset_index(drop=True).assign(
        attribute=attribute, of=name, effect=effect, filters=written(members), seed=seed
    )[Shortcut.columns()]
    merge_table(subject.recording, TABLE, frame, KEYS)
    return Shortcut(
        frame,
        _with_judgements(ranked.head(candidates), found, alone, own),
        _pairs(benches, has, pool),
        attribute,
        name,
        _left_out(subject.recording, known),
    )


def _attribute(
    source: Recording, attribute: str, concepts: pd.DataFrame | None
) -> tuple[Bits, Bits]:
    """Which images have it, and of which that is known: bool (images,) both."""
    table = source.concepts() if concepts is None else concepts
    if table is None:
        raise PathLensError(f"{source.folder} has no concept table: give one with `concepts`.")
    matrix, known = concept_matrix(table, list(source.images["image"]))
    if attribute not in matrix:
        raise unknown("concept", attribute, list(matrix.columns))
    has = matrix[attribute].to_numpy() >= 0.5
    if has[known].all() or not has[known].any():
        raise PathLensError(
            f"All images have '{attribute}', or none has: a shortcut shows only where both are recorded."
        )
    return has, known


def _halves(labels: Ints, has: Bits, known: Bits, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Rows for discovery and for confirmation, each class with and without the attribute halved."""
    cells = np.where(known, 2 * labels + has, -1)
    first = np.zeros(len(labels), dtype=bool)
    for cell in np.unique(cells[known]):
        members = rng.permutation(np.flatnonzero(cells == cell))
        first[members[: len(members) // 2]] = True
    return np.flatnonzero(first), np.flatnonzero(known & ~first)


def _target(of: int | str | None, subject: Subject, bench: Bench, has: Bits) -> int:
    if of is None:
        return drawn_class(bench.predictions, bench.labels, has)
    return class_position(of, subject.recording.classes)


def _ranked(benches: list[Bench], has: Bits, layers: list[Layer]) -> pd.DataFrame:
    """Filters by how strongly they go with the attribute on discovery images, strongest first."""
    rows = []
    for layer in layers:
        name = layer.name
        first, second = (
            association_within_classes(b.gates[name], has[b.rows], b.labels) for b in benches
        )
        bits, concept = benches[0].gates[name], has[benches[0].rows]
        rows.append(
            pd.DataFrame(
                {
                    "layer": layer.index,
                    "name": name,
                    "filter": np.arange(layer.filters),
                    "association": first,
                    "confirmed": second,
                    "rate_with": bits[concept].mean(axis=0),
                    "rate_without": bits[~concept].mean(axis=0),
                }
            )
        )
    table = pd.concat(rows, ignore_index=True)
    order = np.argsort(-table["association"].abs().to_numpy(), kind="stable")
    table = table.iloc[order]
    table = table[table["association"] != 0].reset_index(drop=True)
    if table.empty:
        raise PathLensError("No gate varies with the attribute within a class: nothing to search.")
    return table


def _with_judgements(
    table: pd.DataFrame, found: list[Filter], alone: dict[Filter, Judged], own: Judged
) -> pd.DataFrame:
    filters = list(zip(table["name"], table["filter"], strict=True))
    return table.assign(
        alone=[alone[each].worst - own.worst for each in filters],
        alone_mean=[alone[each].mean - own.mean for each in filters],
        chosen=[found.index(each) + 1 if each in found else 0 for each in filters],
    )


def _pairs(benches: list[Bench], has: Bits, pool: list[Filter]) -> pd.DataFrame:
    """Combinations of two candidates of a layer, by how strongly both on goes with the attribute."""
    rows = []
    for i, (name, first) in enumerate(pool):
        for second in [number for owner, number in pool[i + 1 :] if owner == name]:
            scores = [
                association_within_classes(
                    b.gates[name][:, [first]] & b.gates[name][:, [second]], has[b.rows], b.labels
                )[0]
                for b in benches
            ]
            pair = f"{min(first, second)}+{max(first, second)}"
            rows.append((name, pair, *scores))
    table = pd.DataFrame(rows, columns=["name", "filters", "association", "confirmed"])
    return table.sort_values("association", key=abs, ascending=False, ignore_index=True)


def _left_out(source: Recording, known: Bits) -> str:
    return join_notes(
        [
            plural(int((~known).sum()), "image of", "images of")
            + " unknown concepts" * bool((~known).any()),
            plural(len(source.skipped), "unreadable image") * bool(len(source.skipped)),
        ]
    )
