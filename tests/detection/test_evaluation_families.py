from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from pathlens.detection.data import DetectionData
from pathlens.detection.evaluation import Evaluation, evaluate
from pathlens.detection.evaluation.families import family_of
from pathlens.errors import PathLensError
from tests.detection.evaluation_world import Column, Recorded, altered_recording, clean_recording

QUIET = {"progress": False, "few": (), "bootstrap": 60}
NAMES = ("fgsm-8", "pgd-linf-8", "pgd-linf-8-jpeg", "pgd-l2-0.5", "pgd-linf-4-transfer", "cw-l2")


@dataclass(frozen=True)
class Shown:
    """A detector that remembers which attacks it was fitted on, and then scored."""

    log: list[tuple[str, set[str]]]
    name: str = "shown"
    supervised: bool = True

    def fit(self, clean: DetectionData, attacked: DetectionData) -> Shown:
        self.log.append(("fitted", set(attacked.images["attack"])))
        return self

    def score(self, data: DetectionData) -> np.ndarray:
        if "attack" in data.images:
            self.log.append(("scored", set(data.images["attack"])))
        return data.images["signal"].to_numpy()


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("fgsm-8", "fgsm"),
        ("pgd-linf-8", "pgd"),
        ("pgd-l2-0.5", "pgd"),
        ("pgd-linf-8-jpeg", "pgd"),
        ("pgd-linf-8-jpeg-90", "pgd"),
        ("pgd-linf-8-soft-transfer", "pgd"),
        ("pgd-l2-1e-05", "pgd"),
        ("cw-l2", "cw"),
        ("cw-l2-5", "cw"),
        ("deepfool", "deepfool"),
        ("apgd-8", "apgd"),
        ("adaptive-8-likelihood", "adaptive"),
        ("adaptive-8-votes-orthogonal", "adaptive"),
        ("adaptively-8", "adaptively"),
        ("8", "8"),
        ("-8", "-8"),
        ("jpeg-75", "jpeg"),
        ("", ""),
    ],
)
def test_family_is_what_is_left_of_a_name(name: str, family: str) -> None:
    assert family_of(name) == family


@pytest.fixture(scope="module")
def clean() -> Recorded:
    return clean_recording(800)


@pytest.fixture(scope="module")
def sets(clean: Recorded) -> dict[str, Recorded]:
    return {name: altered_recording(clean, name, 1.0, i) for i, name in enumerate(NAMES)}


def fits(log: list[tuple[str, set[str]]]) -> list[tuple[set[str], set[str]]]:
    """What each fit was shown, and what it was then tested on."""
    found: list[tuple[set[str], set[str]]] = []
    for what, names in log:
        if what == "fitted":
            found.append((names, set()))
        else:
            found[-1][1].update(names)
    return found


def test_all_other_attacks_are_those_of_other_families(
    clean: Recorded, sets: dict[str, Recorded]
) -> None:
    log: list[tuple[str, set[str]]] = []
    evaluate(clean, sets, detectors=[Shown(log)], **QUIET)
    others = [pair for pair in fits(log) if 1 < len(pair[0]) < len(NAMES)]
    assert len(others) == 3
    for shown, tested in others:
        assert not {family_of(x) for x in shown} & {family_of(x) for x in tested}
        assert shown | tested == set(NAMES)


def test_families_that_are_given_take_the_place_of_names(
    clean: Recorded, sets: dict[str, Recorded]
) -> None:
    log: list[tuple[str, set[str]]] = []
    evaluate(clean, sets, families={"fgsm-8": "pgd"}, detectors=[Shown(log)], **QUIET)
    assert ({"cw-l2"}, set(NAMES) - {"cw-l2"}) in fits(log)
    assert (set(NAMES) - {"cw-l2"}, {"cw-l2"}) in fits(log)
    assert (set(NAMES) - {"fgsm-8"}, {"fgsm-8"}) not in fits(log)
    with pytest.raises(PathLensError, match="no altered set 'other' that could be of a family"):
        evaluate(clean, sets, families={"other": "pgd"}, detectors=[Shown(log)], **QUIET)


@pytest.fixture(scope="module")
def turning(clean: Recorded) -> Evaluation:
    """One attack lowers the signal and its weak form raises it; another family raises it a little."""
    shifts = {"fgsm-8": -1.5, "fgsm-2": 1.5, "pgd-linf-8": 0.6, "pgd-l2-0.5": 0.7}
    sets = {x: altered_recording(clean, x, shift, 7) for x, shift in shifts.items()}
    return evaluate(clean, sets, detectors=[Column("signal", "learned", True)], **QUIET)


def test_matrix_says_which_cells_are_within_a_family(turning: Evaluation) -> None:
    matrix = turning.matrix
    pairs = matrix[matrix["fitted_on"] != "all other attacks"]
    assert len(pairs) == 16
    for _, one in pairs.iterrows():
        assert one["same_family"] == (family_of(one["fitted_on"]) == family_of(one["altered"]))
    assert not matrix.loc[matrix["fitted_on"] == "all other attacks", "same_family"].any()
    assert len(matrix) == 20


def test_summary_tells_the_worst_cell_over_families_and_the_worst_of_all(clean: Recorded) -> None:
    shifts = {"fgsm-8": -2.5, "fgsm-2": 2.5, "pgd-linf-8": 0.4}
    sets = {x: altered_recording(clean, x, shift, 7) for x, shift in shifts.items()}
    sets["fgsm-8"].images["signal"] -= 0.5
    learned = Column("signal", "learned", True)
    families = {"pgd-linf-8": "fgsm", "fgsm-2": "other"}
    said = evaluate(clean, sets, detectors=[learned], **QUIET).summary()
    assert "worst cell over families is fitted on pgd-linf-8, tested on fgsm-8" in said
    assert "which is its worst of all" in said
    turned = evaluate(clean, sets, families=families, detectors=[learned], **QUIET).summary()
    assert "its worst cell over families is fitted on fgsm-2, tested on fgsm-8" in turned


def test_one_family_alone_is_not_called_unseen(clean: Recorded) -> None:
    sets = {x: altered_recording(clean, x, 1.0, 7) for x in ("fgsm-2", "fgsm-8")}
    found = evaluate(clean, sets, detectors=[Column("signal", "learned", True)], **QUIET)
    assert "all other attacks" not in set(found.matrix["fitted_on"])
    assert "no other family of attacks" in found.summary()
    assert "its worst of all, within a family, is fitted on fgsm-" in found.summary()


def test_figure_marks_the_worst_cell_over_families(turning: Evaluation) -> None:
    axes = turning.plot_matrix().axes[0]
    bold = [text for text in axes.texts if text.get_fontweight() == "bold"]
    columns = [label.get_text() for label in axes.get_xticklabels()]
    rows = [label.get_text() for label in axes.get_yticklabels()]
    assert bold
    for text in bold:
        x, y = text.get_position()
        assert family_of(rows[int(y)]) != family_of(columns[int(x)])
