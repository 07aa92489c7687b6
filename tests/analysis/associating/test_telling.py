import sys
from dataclasses import replace

import numpy as np
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.best_sets import SetSearch
from pathlens.analysis.associating.qualities import quality
from tests.analysis.conftest import concept_table, make_recording


def with_pair(seed=0, images=600, ghosts=0):
    """A planted pair, and a concept table that names `ghosts` images that there are not."""
    rng = np.random.default_rng(seed)
    bits = rng.random((images, 10)) < 0.5
    recording = make_recording({"a": bits, "b": rng.random((images, 6)) < 0.5})
    known = recording.images["image"].tolist()
    strange = [f"none/ghost{i}.jpg" for i in range(ghosts)]
    has = np.append(bits[:, 2] & bits[:, 5], np.ones(ghosts, dtype=bool))
    recording.table = concept_table([*known, *strange], {"pair": has, "coin": rng.random(len(has))})
    return recording


def chance(seed=0):
    rng = np.random.default_rng(seed)
    bits = rng.random((200, 5)) < 0.5
    return make_recording({"a": bits}, concepts={"coin": rng.random(200) < 0.5})


def test_images_of_the_table_that_there_are_not_are_counted_and_the_first_is_named():
    found = associations(with_pair(ghosts=2), resamples=0)
    said = "2 images of the concept table that the recording does not have (first: none/ghost0.jpg)"
    assert said in found.left_out
    assert found.warning == ""
    one = associations(with_pair(ghosts=1), resamples=0)
    assert "1 image of the concept table that the recording does not have" in one.left_out
    assert "concept table" not in associations(with_pair(), resamples=0).left_out


@pytest.mark.parametrize(("ghosts", "warned"), [(66, False), (67, True)])
def test_more_than_a_tenth_of_unknown_images_is_warned_of_first(ghosts, warned):
    found = associations(with_pair(ghosts=ghosts), resamples=0)
    first = found.statements()[0]
    assert first.startswith(f"Warning: {ghosts} of the {600 + ghosts} images") is warned
    assert f"{ghosts} images of the concept table" in found.left_out


def test_the_verdict_comes_first():
    held = associations(with_pair(), resamples=0)
    number, tested = len(held.confirmed), len(held.frame)
    assert 0 < number < tested
    assert held.statements()[0] == (
        f"{number} of {tested} tested associations held up on images that were not searched."
    )
    none = associations(chance(), resamples=0, level=1e-9)
    assert none.confirmed.empty
    assert none.summary().startswith(
        f"No association held up: 0 of {len(none.frame)} tested. Of 25 candidates in 1 layer ("
    )


@pytest.mark.parametrize("uses", [None, 1, 2])
def test_used_up_images_come_with_the_way_out(uses):
    said = replace(associations(chance(), resamples=0), uses=uses).summary()
    for words in ("are used up", "record other images", "another --seed is no remedy"):
        assert (words in said) is (uses == 2)


def test_without_being_asked_for_nothing_is_shown(capsys):
    associations(with_pair(), resamples=0)
    assert capsys.readouterr().err == ""


def test_a_bar_goes_to_the_end_over_layers_concepts_and_baselines(capsys, monkeypatch):
    recording = with_pair()
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    shown = associations(recording, resamples=0, baselines={"other": with_pair(1)}, progress=True)
    bar = capsys.readouterr().err
    assert "search:   0%" in bar
    assert "search: 100%" in bar
    assert "test over classes" not in bar
    silent = associations(recording, resamples=0, baselines={"other": with_pair(1)})
    assert shown.question == silent.question
    assert shown.frame.equals(silent.frame)


def test_tests_over_classes_have_a_bar_of_their_own(capsys):
    rng = np.random.default_rng(0)
    labels = np.arange(240) % 8
    bits = (labels[:, None] < 4) ^ (rng.random((240, 4)) < 0.2)
    recording = make_recording(
        {"a": bits}, labels, classes="abcdefgh", concepts={"warm": labels < 4}
    )
    associations(recording, resamples=0, progress=True, max_size=1, level=0.9)
    assert "test over classes: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("memory", [512 * 2**20, 1])
def test_a_search_tells_of_its_branches_and_their_shares_sum_to_one(monkeypatch, memory):
    monkeypatch.setattr("pathlens.analysis.associating.best_sets._MEMORY", memory)
    rng = np.random.default_rng(0)
    bits, concepts = rng.random((300, 12)) < 0.5, rng.random((300, 3)) < 0.4
    shares = []
    SetSearch(quality("phi"), 3, 2, 1, None, 1).best(bits, concepts, shares.append)
    assert len(shares) == 10 * (3 if memory == 1 else 1)
    assert sum(shares) == pytest.approx(1)
    # The lowest filter has the most triples: 55 of the 220.
    assert shares[0] == pytest.approx(55 / 220 / (3 if memory == 1 else 1))
