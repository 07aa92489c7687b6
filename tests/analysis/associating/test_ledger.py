import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.ledger import Question, note_use, question
from pathlens.errors import PathLensError
from pathlens.recording import open_recording, write_recording
from pathlens.recording.beside import CONFIRMATIONS


@pytest.fixture
def recording(tmp_path):
    rng = np.random.default_rng(0)
    images = pd.DataFrame({"image": [f"{i}.png" for i in range(40)], "label": np.arange(40) % 2})
    write_recording(
        tmp_path / "rec", {"conv": rng.random((40, 4)) < 0.5}, images, classes=["a", "b"]
    )
    return open_recording(tmp_path / "rec")


def test_different_questions_are_counted_once_each_and_by_split(recording):
    first, second = Question(0, "aa"), Question(0, "bb")
    assert [note_use(recording, one) for one in (first, first, second, first)] == [1, 1, 2, 2]
    assert note_use(recording, Question(7, "aa")) == 1
    assert note_use(recording, Question(0, "cc")) == 3
    table = pd.read_csv(recording.folder / CONFIRMATIONS)
    assert table.columns.tolist() == ["recording", "split", "question"]
    assert len(table) == 4


def test_rows_of_another_recording_are_kept_and_not_counted(recording):
    path = recording.folder / CONFIRMATIONS
    path.write_text("recording,split,question\nelse,0,aa\n")
    assert note_use(recording, Question(0, "bb")) == 1
    assert len(pd.read_csv(path)) == 2


def test_a_damaged_ledger_is_not_overwritten(recording):
    path = recording.folder / CONFIRMATIONS
    path.write_text("my notes\n")
    with pytest.raises(PathLensError, match="no ledger"):
        note_use(recording, Question(0, "bb"))
    assert path.read_text() == "my notes\n"


def test_the_same_question_has_the_same_id_and_any_change_another(recording):
    table = pd.DataFrame({"image": ["0.png"], "concept": ["x"], "value": [1.0]})
    base = question(0, table, layers=["a"], level=0.05)
    assert question(0, table.copy(), level=0.05, layers=["a"]) == base
    others = [
        question(1, table, layers=["a"], level=0.05),
        question(0, None, layers=["a"], level=0.05),
        question(0, table.assign(value=0.5), layers=["a"], level=0.05),
        question(0, table, layers=["b"], level=0.05),
        question(0, table, layers=["a"], level=0.1),
    ]
    assert len({one.id for one in [base, *others]}) == 6


def test_associations_write_nothing_and_know_their_question(recording):
    before = sorted(recording.folder.iterdir())
    one, same = associations(recording), associations(recording, resamples=7)
    assert sorted(recording.folder.iterdir()) == before
    assert one.question == same.question
    assert associations(recording, seed=3).question.split == 3
    assert associations(recording, max_size=1).question != one.question
