import numpy as np
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.association_examples import association_examples
from pathlens.analysis.associating.targets import split_halves
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    bits = rng.random((400, 6)) < 0.5
    striped = (bits[:, 1] & bits[:, 4]) ^ (rng.random(400) < 0.05)
    return make_recording(bits, concepts={"striped": striped}), bits, striped


@pytest.mark.parametrize("seed", range(3))
def test_examples_are_confirmation_images_of_their_kind(data, seed):
    recording, bits, striped = data
    found = association_examples(recording, 1, "1+4", "striped", seed=seed, count=5)
    tested = ~split_halves(recording.images, seed)
    on = bits[:, 1] & bits[:, 4]
    wanted = {"hits": on & striped, "false alarms": on & ~striped, "misses": ~on & striped}
    for kind, which in wanted.items():
        assert found.counts[kind] == (which & tested).sum()
        assert len(found.shown[kind]) == min(5, found.counts[kind])
        assert (which & tested)[found.shown[kind]].all()
    assert found.images == tested.sum()


def test_counts_are_those_of_the_association(data):
    recording, _, _ = data
    row = associations(recording, seed=1).frame.query("concept == 'striped'").iloc[0]
    found = association_examples(recording, 1, row["combination"], "striped", seed=1)
    assert found.counts["hits"] + found.counts["false alarms"] == row["support"]
    assert found.counts["hits"] / row["support"] == pytest.approx(row["precision"])


def test_an_unknown_concept_is_refused(data):
    with pytest.raises(PathLensError, match="'spotted'"):
        association_examples(data[0], 1, "1+4", "spotted")
