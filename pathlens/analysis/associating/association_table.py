"""The table of associations: what was claimed, how strongly, and what was searched for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pathlens.analysis.associating.beyond_class import BEYOND, EXPLAINED, UNDECIDABLE
from pathlens.analysis.associating.class_permutation import PERMUTATION
from pathlens.analysis.associating.confirmation import FISHER, SHIFT
from pathlens.analysis.associating.corrections import CORRECTION_NAMES
from pathlens.analysis.associating.gains import RIVALS, gain_columns
from pathlens.analysis.associating.ledger import Question
from pathlens.analysis.associating.measurements import ABLATION, FURTHER, IOU, measured_words
from pathlens.analysis.drawing import empty_figure
from pathlens.analysis.results import Result, plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

UNFILLED = (*IOU, *ABLATION, *FURTHER)
"""Columns that only masks or the network can fill; empty until `with_measured` fills them."""

MAIN_COLUMNS = (
    *("layer", "combination", "concept", "n", "support", "lift", "phi"),
    *("precision", "recall", "f1", "phi_ci_low", "phi_ci_high", "p", "p_corrected", "confirmed"),
    *("gain_over_best_single", "gain_ci_low", "gain_ci_high"),
    *("beyond_class", "within_class_or_low", "within_class_or_high"),
    *IOU,
    *ABLATION,
)
"""The columns that every table of associations begins with."""


COLUMNS = (
    *MAIN_COLUMNS,
    *("name", "phi_discovery", "test", "p_smallest", "testable", "groups"),
    *("lift_ci_low", "lift_ci_high", "precision_ci_low", "precision_ci_high"),
    *("recall_ci_low", "recall_ci_high", "f1_ci_low", "f1_ci_high"),
    *("image_iou", "image_iou_ci_low", "image_iou_ci_high"),
    *("best_single", "best_member", "sparse_probe"),
    *(column for rival in RIVALS[1:] for column in gain_columns(rival)),
    *("soft_single_phi", "sparse_probe_phi"),
    *("within_class_p", "within_class_p_corrected", "within_class_or"),
    *FURTHER,
)


@dataclass(frozen=True)
class Associations(Result):
    """Combinations found on the discovery half of the images, tested on the confirmation half.

    Attributes:
        frame: A row a combination and concept, by layer, then p. All columns but phi_discovery are
            from confirmation images: layer, combination (filters joined by "+"), concept, n (images),
            support (images for which all its filters are on), lift, phi, precision (share of those
            images that have the concept), recall, f1, image_iou (images with both over images with
            either), each with its 95 % bootstrap interval (`_ci_low`, `_ci_high`) over images, over
            groups where images are grouped; p (one-sided, by `test`: "Fisher", "circular shift" or
            "permuted over classes"), p_smallest (the smallest that the test can give), testable
            (whether the row is in the family that is corrected), p_corrected (empty outside the
            family), confirmed; groups (of confirmation images; 0 where each stands alone).
            Against rivals chosen on discovery images: best_single (the layer's best single filter),
            best_member (of the combination), that single filter's score cut to equal support
            (soft_single_phi), a linear probe of as many filters (sparse_probe, sparse_probe_phi); the
            gain in phi over each is in gain_over_best_single (with gain_ci_low and gain_ci_high),
            gain_over_best_member, gain_over_soft_single and gain_over_sparse_probe with intervals,
            empty for single filters.
            Within classes, empty for concepts that classes determine: within_class_or (odds ratio),
            within_class_or_low and within_class_or_high (exact 95 % interval), within_class_p,
            within_class_p_corrected and the verdict beyond_class ("beyond class", "explained by
            class", "undecidable").
            Empty unless measured with masks or the network (`pathlens.probing.measure_combinations`),
            and then as `pathlens.analysis.measured.combinations` says: iou (of the response map with
            the concept's pixels), iou_best_single, iou_ceiling, with intervals, iou_gain,
            iou_ceiling_fixed, quantile and images_with_masks; ablation_effect (change of the concept's
            read-out with the combination forced off) and ablation_effect_random (with random sets
            forced off), with intervals, ablation_p_random and ablation_read_out_auroc.
        baselines: A row an association and baseline: layer, name, combination, concept, baseline, phi
            (of the baseline's best combination for the same concept and layer, chosen on discovery
            images) with phi_ci_low and phi_ci_high, difference (phi of the association less that) with
            difference_ci_low and difference_ci_high, baseline_combination.
        searched: Counts: layers, filters (dynamic ones), candidates (combinations times concepts that
            the tested ones are the best of), visited (those of them that were counted; bounds showed
            that no other could be best), concepts, tested (rows), discovery and confirmation (images).
        class_sets: Concepts that are sets of several classes: of how many classes, and of how many
            there are. They have as many samples as classes, and are tested by dealing them to others.
        level: The level that corrected p values must not exceed.
        beam: Width of the beam; None where the search was exact.
        correction: How p values are corrected, as `associations` calls it.
        question: What was asked of the confirmation images, for the ledger.
        left_out: Concepts, layers and images that were not searched.
        uses: Questions that this confirmation half has answered, this one included; None if unknown.
        warning: What has to be known before anything else, such as a concept table that is largely of
            other images; "" for nothing.
    """

    frame: pd.DataFrame = field(repr=False)
    baselines: pd.DataFrame = field(repr=False)
    searched: dict[str, int]
    class_sets: dict[str, tuple[int, int]]
    level: float
    beam: int | None
    correction: str
    question: Question
    left_out: str
    uses: int | None = None
    warning: str = ""

    @property
    def confirmed(self) -> pd.DataFrame:
        """The rows of `frame` that hold up."""
        return self.frame[self.frame["confirmed"]]

    @property
    def untestable(self) -> pd.DataFrame:
        """The rows of `frame` that could not have reached significance, whatever the outcome."""
        return self.frame[~self.frame["testable"]]

    def summary(self) -> str:
        """How much held up, what was tried, and the strongest association."""
        return " ".join(self.statements())

    def statements(self) -> list[str]:
        """The summary piece by piece: a warning if there is one, the verdict, then the details."""
        measured = measured_words(self.confirmed)
        details = [self._strongest(), self._within(), measured, self._caveat(), self._used()]
        said = [self.warning, self._verdict()]
        if not self.frame.empty:
            said += [self._tried(), *details]
        return [piece for piece in said if piece]

    def _verdict(self) -> str:
        count = self.searched
        if self.frame.empty:
            return (
                f"No association could be tested: {plural(count['concepts'], 'concept')} and "
                f"{plural(count['filters'], 'dynamic filter')} in "
                f"{plural(count['layers'], 'layer')} gave no candidate on "
                f"{plural(count['discovery'], 'discovery image')}."
            )
        held = len(self.confirmed)
        if not held:
            return f"No association held up: 0 of {count['tested']:,} tested."
        return (
            f"{held:,} of {plural(count['tested'], 'tested association')} held up on images that "
            "were not searched."
        )

    def _tried(self) -> str:
        """What the search went through, and how its best were tested."""
        count = self.searched
        best = f"best {count['tested']:,} were" if count["tested"] > 1 else "best was"
        return (
            f"Of {plural(count['candidates'], 'candidate')} in {plural(count['layers'], 'layer')} "
            f"({self._search()}), tried on "
            f"{plural(count['discovery'], 'discovery image')}, the {best} "
            f"tested on {plural(count['confirmation'], 'other image')} ({self._tests()}, "
            f"{CORRECTION_NAMES[self.correction]} over all, level {self.level:g})."
        )

    def _search(self) -> str:
        """How the candidates were gone through."""
        if self.beam is not None:
            return f"a beam of {self.beam:,}, which may have missed better ones"
        pruned = self.searched["candidates"] - self.searched["visited"]
        return f"exact; bounds spared {pruned:,}" if pruned else "exact; all counted"

    def _tests(self) -> str:
        named = {FISHER: "one-sided Fisher exact test", SHIFT: "one-sided circular-shift test"}
        used = [words for test, words in named.items() if (self.frame["test"] == test).any()]
        return " and ".join(used) or "one-sided permutation over classes"

    def _strongest(self) -> str:
        held = self.confirmed
        if held.empty:
            return ""
        best = held.iloc[int(held["phi"].argmax())].to_dict()
        several = held[held["combination"].str.contains("+", regex=False)]
        gaining = int((several["gain_ci_low"] > 0).sum())
        said = f"Strongest: images with {best['concept']} are routed through {route(best)} (phi "
        said += f"{best['phi']:.2f}{_interval(best)})."
        if len(several) and several["gain_ci_low"].notna().any():
            noun = plural(
                len(several), "confirmed combination", "confirmed combinations of several filters"
            )
            said += (
                f" {gaining:,} of {noun} say more than their layer's best single filter (interval "
                "of the gain above 0)."
            )
        return said

    def _within(self) -> str:
        verdicts = self.confirmed["beyond_class"].value_counts()
        asked = int(sum(verdicts.get(x, 0) for x in (BEYOND, EXPLAINED, UNDECIDABLE)))
        if not asked:
            return ""
        return (
            f"Of {plural(asked, 'confirmed row')} whose concept varies within classes, "
            f"{verdicts.get(BEYOND, 0):,} are beyond the class, {verdicts.get(EXPLAINED, 0):,} "
            f"explained by it, {verdicts.get(UNDECIDABLE, 0):,} undecidable."
        )

    def _caveat(self) -> str:
        """What could not be tested, and why."""
        sets, untestable = self.class_sets, self.untestable
        said = ""
        if sets:
            names = ", ".join(list(sets)[:5]) + (", ..." if len(sets) > 5 else "")
            said = (
                f"{plural(len(sets), 'concept is', 'concepts are')} the same for all images of a "
                f"class ({names}) and tested over classes{self._least()}."
            )
        if len(untestable):
            said += (
                f" {plural(len(untestable), 'row')} cannot reach significance, whatever the outcome, "
                "and stay outside the correction as untestable."
            )
        return said.strip()

    def _least(self) -> str:
        least = self.frame.loc[self.frame["test"] == PERMUTATION, "p_smallest"]
        return "" if least.empty else f" (smallest attainable p {least.min():.2g})"

    def _used(self) -> str:
        if self.uses is None or self.uses < 2:
            return ""
        return (
            f"These confirmation images have answered {self.uses:,} different questions by now: they "
            "are used up for a claim that was chosen after seeing earlier answers. To confirm one, "
            "record other images and ask once; another --seed is no remedy, as it only deals the same "
            "images out anew."
        )

    def plot(self) -> Figure:
        """Phi of the best row of each concept, beside its interval, the search, a single filter."""
        if self.frame.empty:
            return empty_figure("Associations", self.summary())
        from pathlens.analysis.associating.association_drawing import draw

        return draw(self)


def filters_text(combination: str) -> str:
    """How figures and sentences call a combination."""
    return ("filters " if "+" in combination else "filter ") + combination


def route(row: Mapping[Any, Any]) -> str:
    """How sentences call a combination and its layer."""
    return f"{filters_text(row['combination'])} of layer {row['layer']} ({row['name']})"


def _interval(row: Mapping[Any, Any]) -> str:
    if np.isnan(row["phi_ci_low"]):
        return ""
    return f", 95 % interval {row['phi_ci_low']:.2f} to {row['phi_ci_high']:.2f}"
