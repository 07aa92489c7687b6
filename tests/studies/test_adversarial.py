import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.attacking import attack
from pathlens.attacking.adaptive_gradient import AdaptiveGradient
from pathlens.attacking.adaptive_search import AdaptiveSearch
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import ImageLoader
from pathlens.detection import detection_data, find_detector
from pathlens.errors import PathLensError
from pathlens.recording import open_recording
from tests.studies.conftest import modules_of

pytest.importorskip("foolbox")

STUDY = Path(__file__).parents[2] / "analyses" / "adversarial"
MODULES = (
    *("run", "subject", "guards", "cells", "kept"),
    *("adaptive_table", "adaptive_figure", "adaptive", "gradients", "cost", "transfer"),
)
NAMES = ("likelihood", "soft-consistency + mahalanobis", "soft-logistic", "soft-forest")


@pytest.fixture(scope="module")
def study():
    """The modules of the study."""
    with modules_of(MODULES, STUDY) as found:
        yield found


@pytest.fixture(scope="module")
def settings():
    """A small study of the digits."""
    return {
        "seed": 0,
        "images": 8,
        "fitted_on": ["fgsm-24"],
        "false_alarms": [0.05, 0.2],
        "gates": "straight-through",
        "radii": [24],
        "gradient": {
            "forms": ["sum", "orthogonal"],
            "steps": 4,
            "runs": 2,
            "targets": ["likelihood", "soft-consistency + mahalanobis"],
        },
        "transfer": {"radii": [24], "through": {"soft-forest": "soft-logistic"}},
        "search": {"radii": [24], "images": 4, "queries": 6, "targets": ["soft-forest"]},
    }


@pytest.fixture(scope="module")
def subject(study, trained, tmp_path_factory):
    runs = shutil.copytree(trained, tmp_path_factory.mktemp("subject") / "runs")
    patch = pytest.MonkeyPatch()
    patch.setenv("PATHLENS_RUNS", str(runs))
    attack("gated", "fgsm-24", images=150, progress=False)
    yield study.subject.Subject("gated", "digits")
    patch.undo()


@pytest.fixture(scope="module")
def world(study, settings, subject, tmp_path_factory):
    return study.adaptive.build(settings, subject, tmp_path_factory.mktemp("kept"), NAMES)


def test_no_image_stands_on_two_sides(study, subject, world, settings):
    altered = subject.recording.folder.parent / "altered-fgsm-24"
    right = subject.right()
    of = study.guards.sides(right, [altered], 0)
    parts = [set(of.fit.sources), set(of.threshold.sources), set(of.test.sources)]
    assert sum(map(len, parts)) == len(set.union(*parts)) == len(right)
    attacked = detection_data(study.guards.open_recording(altered))
    wrong = attacked.images["label"].to_numpy() != attacked.predictions
    shown = {str(x) for x in attacked.sources[wrong]} & parts[0]
    assert len(of.attacked) == len(shown) > 0
    assert len(world.clean) == settings["images"]
    assert set(world.clean.ids) <= parts[2]


@pytest.mark.parametrize("seed", range(3))
def test_every_beginning_is_even_over_classes(study, subject, seed):
    right = subject.right()
    label = dict(zip(right.images["image"], right.images["label"], strict=True))
    order = study.subject.balanced(right, seed)
    assert sorted(order) == sorted(right.images["image"])
    there = np.bincount(list(label.values()), minlength=10)
    for count in (10, 37, 100):
        times = np.bincount([label[x] for x in order[:count]], minlength=10)
        assert ((times == there) | (times >= times.max() - 1)).all()
    assert order != study.subject.balanced(right, seed + 10)


def test_images_are_read_in_the_order_asked_for(subject, world):
    clean = world.clean
    data = subject.right()
    known = dict(zip(data.images["image"], data.images["label"], strict=True))
    assert clean.labels.tolist() == [known[x] for x in clean.ids]
    back = subject.read(clean.ids[::-1], 0)
    assert (back.pixels.flip(0) == clean.pixels).all()


def test_an_image_that_cannot_be_read_is_told(subject, world, monkeypatch):
    original = ImageLoader.read

    def fails(self, rows):
        batch = original(self, rows)
        return replace(batch, failed=[(rows[0], "truncated")])

    monkeypatch.setattr(ImageLoader, "read", fails)
    with pytest.raises(PathLensError, match=r"cannot be read \(truncated\)"):
        subject.read(world.clean.ids, 0)


def test_thresholds_flag_their_share_of_images_that_fix_them(study, subject, world):
    altered = subject.recording.folder.parent / "altered-fgsm-24"
    of = study.guards.sides(subject.right(), [altered], 0)
    for name in NAMES:
        own = world.guards[name]
        scores = own.saved.fitted.score(of.threshold)
        for share in (0.05, 0.2, 0.5):
            flagged = (scores > own.thresholds[share]).mean()
            assert flagged <= share
            assert flagged >= share - 0.08 or name == "soft-forest"
        assert own.at(0.2).threshold == own.thresholds[0.2]
        assert own.innocent.threshold == own.thresholds[0.5]
    assert [world.guards[x].fitted_on for x in NAMES] == ["clean", "clean", "attacks", "attacks"]


def test_a_detector_is_known_by_what_it_was_fitted_on_and_how(study, subject, monkeypatch):
    altered = subject.recording.folder.parent / "altered-fgsm-24"
    of = study.guards.sides(subject.right(), [altered], 0)

    def made(name, sides):
        return study.guards.guard(name, sides, "x", (0.1,)).fingerprint

    fewer = replace(of, fit=of.fit.take(range(len(of.fit) // 2)))
    for name in ("likelihood", "soft-forest"):
        assert made(name, of) == made(name, of) != made(name, fewer)
    before = made("soft-neighbours", of)
    usual = find_detector("soft-neighbours")
    monkeypatch.setattr(study.guards, "detector_of", lambda _: replace(usual, nearest=3))
    assert made("soft-neighbours", of) != before


def test_attacks_to_fit_on_must_have_been_recorded(study, subject, tmp_path):
    with pytest.raises(PathLensError, match=r"run\.py WORK --sets 1"):
        study.guards.sides(subject.right(), [tmp_path / "altered-pgd"], 0)


def test_cells_are_those_of_the_file(study, settings, world):
    cells = list(study.cells.planned(settings))
    assert len({cell.file for cell in cells}) == len(cells) == 1 + 2 * 2 + 1 + 1
    kinds = {cell.form: study.cells.attack_of(cell, world.guards, 0.2) for cell in cells}
    assert isinstance(kinds["search"], AdaptiveSearch)
    assert kinds["plain PGD"].steps == 4
    for form, name in (("sum", "sum"), ("orthogonal", "orthogonal"), ("transfer", "sum")):
        assert isinstance(kinds[form], AdaptiveGradient)
        assert kinds[form].form == name
    assert kinds["transfer"].guard.detector.name == "soft-logistic"
    assert kinds["transfer"].threshold == world.guards["soft-logistic"].thresholds[0.5]
    assert kinds["search"].threshold == world.guards["soft-forest"].thresholds[0.2]
    only = list(study.cells.planned(settings, ["soft-forest"]))
    assert [cell.form for cell in only] == ["plain PGD", "transfer", "search"]
    assert study.cells.named(settings, ["soft-forest"]) == ["soft-forest", "soft-logistic"]


def test_the_file_names_detectors_that_exist(study):
    full = study.run.read_study("adaptive.toml")
    for name in study.cells.named(full):
        assert study.guards.detector_of(name).name


def test_the_table_counts_what_the_kept_images_show(study, settings, world, monkeypatch):
    table = study.adaptive.tabled(settings, world, ())
    # (sum, orthogonal, the better of both) * 2 detectors + transfer + search, at two shares.
    assert len(table) == 2 * (3 * 2 + 2)
    for row in table[table["form"] != study.adaptive_table.BEST].itertuples():
        own = world.guards[row.detector]
        cell = next(
            x
            for x in study.cells.planned(settings)
            if (x.target, x.form) == (row.detector, row.form)
        )
        with np.load(world.folder / "cells" / cell.file) as kept:
            pixels = kept["pixels"]
        clean = study.subject.some(world.clean, range(row.n))
        found = world.subject.outcome(own.saved, clean, pixels)
        silent = [score <= own.thresholds[row.false_alarms] for score in found.score]
        both = [a and b for a, b in zip(found.fooled, silent, strict=True)]
        assert row.fooled == np.mean(found.fooled)
        assert row.silent == np.mean(silent)
        assert row.both == np.mean(both)
        assert row.both_low <= row.both <= row.both_high
        assert np.abs(clean.pixels.numpy().astype(int) - pixels).max() <= 24

    def never(*_):
        raise AssertionError("a finished cell is made again")

    monkeypatch.setattr(study.subject.Subject, "alter", never)
    again = study.adaptive.tabled(settings, world, ())
    pd.testing.assert_frame_equal(again, table)
    other = settings | {"gradient": settings["gradient"] | {"steps": 5}}
    with pytest.raises(AssertionError, match="made again"):
        study.adaptive.tabled(other, world, ())
    figure = study.adaptive_figure.draw(table, 0.2)
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert [text.split("\n")[0] for text in labels] == list(dict.fromkeys(table["detector"]))
    assert "Nothing was attacked" in _texts(study.adaptive_figure.draw(table.iloc[:0], 0.2))
    said = study.adaptive_table.summary(table, 0.2)
    assert said.count("fools network and detector on") == 3


def _texts(figure):
    return " ".join(text.get_text() for text in figure.findobj(lambda x: hasattr(x, "get_text")))


def test_the_better_of_two_attacks_is_counted_by_image(study):
    tables = study.adaptive_table
    scores = [np.array([0.0, 2.0, 2.0, 0.0]), np.array([2.0, 0.0, 2.0, 0.0])]
    fooled = [np.array([True, False, True, False]), np.array([False, True, True, False])]
    outcomes = [study.subject.Outcome(*pair) for pair in zip(fooled, scores, strict=True)]
    each = [tables.verdicts(one, 1.0) for one in outcomes]
    assert [one["both"].mean() for one in each] == [0.25, 0.25]
    found = tables.rates(tables.any_of(each))
    assert (found["both"], found["fooled"], found["silent"]) == (0.5, 0.75, 0.75)
    assert found["both_low"] < 0.5 < found["both_high"]


def test_gates_are_held_against_the_default_on_the_same_images(study):
    usual = np.array([True] * 60 + [False] * 40)
    worse = usual & (np.arange(100) >= 20)
    rows = study.gradients.compared({"straight-through": (usual, 1.0), "soft": (worse, 2.0)}, "x")
    assert [row["default"] for row in rows] == [True, False]
    assert [row["fooled"] for row in rows] == [0.6, 0.4]
    assert rows[0]["default_more"] == 0
    assert rows[1]["default_more"] == 0.2
    assert 0 < rows[1]["default_more_low"] < 0.2 < rows[1]["default_more_high"]


def test_gradients_of_other_gates_make_other_images(study, subject, world, tmp_path):
    found = {
        gates: study.gradients.attacked(subject, world.clean, "fgsm-24", gates, tmp_path)
        for gates in ("straight-through", "soft")
    }
    for gates, (fooled, _) in found.items():
        again, _ = study.gradients.attacked(subject, world.clean, "fgsm-24", gates, tmp_path)
        assert (fooled == again).all()
    files = [np.load(path)["pixels"] for path in sorted(tmp_path.glob("*.npz"))]
    assert not np.array_equal(*files)


@pytest.mark.parametrize("name", ["study.toml", "seed1.toml"])
def test_studies_list_sets_that_exist(study, name):
    from pathlens.attacking import find_alteration

    found = study.run.read_study(name)
    assert study.run.tables_of(found) == STUDY / "tables" / found["network"]
    for run in (found["network"], found["plain"]):
        assert (STUDY.parent / "checkpoints" / run / "checkpoint.pt").is_file()
    for entry in found["set"]:
        assert all(find_alteration(label).label == label for label in entry["labels"])


def test_a_study_may_stand_anywhere(study, tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text("seed = 7")
    assert study.run.read_study(tmp_path / "mine.toml") == {"seed": 7}
    monkeypatch.chdir(tmp_path)
    assert study.run.read_study("mine.toml") == {"seed": 7}


@pytest.fixture
def digits_folder(tmp_path):
    """The digits' test images as files."""
    split = load_dataset("digits").split("test")
    for row, label in enumerate(split.labels):
        path = tmp_path / "cifar10" / "test" / str(split.classes[label]) / f"{row:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(split.read(row)).save(path)
    return tmp_path


def test_sets_are_made_coded_and_evaluated(study, trained, digits_folder, monkeypatch):
    for name in ("gated", "plain"):
        made = shutil.ignore_patterns("altered", "recordings")
        shutil.copytree(trained / name, digits_folder / "runs" / name, ignore=made)
    monkeypatch.setenv("PATHLENS_RUNS", str(digits_folder / "runs"))
    monkeypatch.setattr(study.run, "prepare", lambda work, study: None)
    monkeypatch.setattr(study.run, "HERE", digits_folder)
    (digits_folder / "mine.toml").write_text(MINE)
    study.run.main(digits_folder, digits_folder / "mine.toml", 1, make=True)
    found = pd.read_csv(digits_folder / "tables" / "gated" / "detection.csv")
    assert set(found["altered"]) - {"clean", "clean, misclassified"} == {"fgsm-24"}
    assert set(found.loc[found["detector"] == "likelihood", "code"]) == {"paths", "response"}
    own = found[(found["altered"] == "fgsm-24") & (found["detector"] == "likelihood")]
    assert own["n_altered"].nunique() == 1
    assert not (digits_folder / "runs" / "gated" / "altered" / "noise-8").exists()
    (row,) = pd.read_csv(digits_folder / "tables" / "gated" / "transfer.csv").to_dict("records")
    ours, theirs = (
        open_recording(
            digits_folder / "runs" / name / "recordings" / part / "altered-fgsm-24"
        ).images
        for name, part in (("gated", ""), ("plain", "response"))
    )
    hits = [
        (plain, own, label)
        for plain, own, label in zip(
            theirs["prediction"], ours["prediction"], ours["label"], strict=True
        )
        if own != label
    ]
    assert list(ours["image"]) == list(theirs["image"])
    assert row["n"] == len(hits) > 0
    fooled = sum(plain != label for plain, _, label in hits) / len(hits)
    assert row["plain_fooled"] == pytest.approx(fooled, rel=1e-3)
    assert row["plain_fooled_low"] < row["plain_fooled"] < row["plain_fooled_high"]
    same = sum(plain == own for plain, own, _ in hits) / len(hits)
    assert row["same_class"] == pytest.approx(same, rel=1e-3)


MINE = """
network = "gated"
plain = "plain"
seed = 0
codes = ["response"]
detectors = ["likelihood", "softmax"]
[[set]]
labels = ["fgsm-24"]
images = 120
[[set]]
labels = ["noise-8"]
images = 120
"""


def test_a_share_is_the_median_of_ratios_within_a_turn(study):
    times = {"forward pass": np.array([1.0, 2.0, 4.0]), "votes": np.array([0.1, 0.1, 1.0])}
    (row,) = study.cost.shares(times, 10)
    assert (row["detector"], row["images"], row["turns"]) == ("votes", 10, 3)
    assert row["share"] == pytest.approx(0.1)
    assert row["share_low_quartile"] == pytest.approx((0.05 + 0.1) / 2)
    assert row["share_high_quartile"] == pytest.approx((0.1 + 0.25) / 2)
    assert row["forward_us"] == pytest.approx(2e5)
    assert row["scoring_us"] == pytest.approx(1e4)


def test_scoring_costs_something_for_one_image_and_for_several(study, subject, world):
    fitted = {name: world.guards[name].saved.fitted for name in ("likelihood", "soft-forest")}
    for images in (1, 8):
        rows = study.cost.costs(subject, fitted, world.clean.pixels[:images], 2)
        assert [row["detector"] for row in rows] == list(fitted)
        assert all(0 < row["share"] < np.inf for row in rows)
        assert {row["images"] for row in rows} == {images}
