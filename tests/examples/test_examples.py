"""The recording that every installation carries."""

import filecmp
from pathlib import Path

import pytest

from pathlens.errors import PathLensError
from pathlens.examples import open_example
from pathlens.recording import Recording

NOTEBOOKS = Path(__file__).parents[2] / "notebooks" / "data" / "scenes" / "recordings"


def test_the_example_is_whole_and_has_concepts():
    recording = open_example()
    assert isinstance(recording, Recording)
    recording.verify()
    assert len(recording) == 500
    assert recording.images["label"].value_counts().tolist() == [50] * 10
    assert (recording.folder / "concepts.csv").exists()


def test_the_example_is_the_one_that_the_notebooks_open():
    shipped = open_example().folder
    other = NOTEBOOKS / shipped.name
    names = sorted(path.name for path in other.iterdir())
    assert sorted(path.name for path in shipped.iterdir()) == names
    assert filecmp.cmpfiles(shipped, other, names, shallow=False) == (names, [], [])


def test_a_copy_can_be_written_beside(tmp_path):
    copy = open_example(tmp_path / "mine")
    assert copy.folder == tmp_path / "mine"
    assert (copy.bits(1) == open_example().bits(1)).all()
    assert len(copy.thumbnails([0])) == 1


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_nothing_is_copied_over(tmp_path, kind):
    target = tmp_path / "taken"
    if kind == "file":
        target.write_text("mine")
    else:
        target.mkdir()
        (target / "mine.txt").write_text("mine")
    with pytest.raises(PathLensError, match="name a new folder"):
        open_example(target)
