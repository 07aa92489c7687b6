import json

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations
from pathlens.analysis.associating.association_table import (
    COLUMNS,
    MAIN_COLUMNS,
    UNFILLED,
)
from pathlens.analysis.associating.measurements import measured_words
from pathlens.analysis.measured.combinations import combinations, overlay_entries, with_measured
from pathlens.errors import PathLensError
from pathlens.recording import write_recording
from pathlens.recording.beside import COMBINATIONS, OVERLAYS, read_overlays

STRANGE = ("1e3", "NA", "$x$ <b>")
"""Names of concepts that a careless reader of tables takes for a number or for nothing."""


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    rng = np.random.default_rng(0)
    bits = rng.random((300, 6)) < 0.5
    images = pd.DataFrame({"image": [str(i) for i in range(300)]})
    layers = {"3": bits, "body.conv": bits[:, ::-1].copy()}
    has = {name: bits[:, i] for i, name in enumerate(STRANGE)}
    rows = [(str(i), name, 1.0) for name, on in has.items() for i in np.flatnonzero(on)]
    rows += [(str(i), "", 0.0) for i in range(300)]
    table = pd.DataFrame(rows, columns=["image", "concept", "value"])
    folder = tmp_path_factory.mktemp("beside") / "r"
    return write_recording(folder, layers, images, concepts=table)


@pytest.fixture(scope="module")
def found(recording):
    return associations(recording, resamples=20)


@pytest.fixture
def write(recording, found):
    """Write measured rows about confirmed associations; a function of them gives the IoU."""

    def call(question=found.question.id, **columns):
        rows = found.confirmed[["name", "combination", "concept"]].rename(columns={"name": "layer"})
        table = rows.assign(question=question, split=0, recording=recording.hash, **columns)
        table.to_csv(recording.folder / COMBINATIONS, index=False)
        return table

    yield call
    (recording.folder / COMBINATIONS).unlink(missing_ok=True)


def test_tables_hold_the_columns_in_their_order_though_nothing_was_measured(recording, found):
    assert tuple(found.frame.columns) == COLUMNS
    assert tuple(found.frame.columns[: len(MAIN_COLUMNS)]) == MAIN_COLUMNS
    wanted = ("iou", "iou_best_single", "iou_ceiling", "ablation_effect", "ablation_effect_random")
    assert MAIN_COLUMNS[-5:] == wanted
    assert found.frame[list(UNFILLED)].isna().all(axis=None)
    assert combinations(recording).empty
    assert with_measured(recording, found) is found
    assert measured_words(found.confirmed) == ""


def test_measured_values_find_their_rows_whatever_the_names_look_like(recording, found, write):
    values = np.arange(len(found.confirmed)) / 100
    write(iou=values, ablation_effect=-values)
    filled = with_measured(recording, found)
    assert set(filled.confirmed["concept"]) == set(STRANGE)
    assert set(filled.confirmed["name"]) == {"3", "body.conv"}
    assert filled.confirmed["iou"].tolist() == values.tolist()
    assert filled.confirmed["ablation_effect"].tolist() == (-values).tolist()
    assert filled.frame.loc[~filled.frame["confirmed"], "iou"].isna().all()
    assert filled.frame["iou_ceiling"].isna().all()  # a column that nobody has written


@pytest.mark.parametrize("question", ["0000000000000123", "12e4567890123456"])
def test_questions_are_text(recording, found, write, question):
    write(question=question, iou=0.5)
    assert set(combinations(recording, question)["question"]) == {question}
    assert combinations(recording, "123").empty


def test_what_was_measured_for_another_question_is_not_taken(recording, found, write):
    write(question="0" * 16, iou=0.5)
    assert with_measured(recording, found).frame["iou"].isna().all()


def test_of_repeated_rows_the_last_holds(recording, found, write):
    table = write(iou=0.5)
    twice = pd.concat([table, table.assign(iou=0.25)])
    twice.to_csv(recording.folder / COMBINATIONS, index=False)
    assert set(with_measured(recording, found).confirmed["iou"]) == {0.25}


@pytest.mark.parametrize("text", ["no,table\n1,2\n", "recording,layer\n{},a\n", ""])
def test_damaged_tables_are_told(recording, found, text):
    path = recording.folder / COMBINATIONS
    path.write_text(text.format(recording.hash))
    with pytest.raises(PathLensError, match=r"is no table .*again with `pathlens associate`"):
        with_measured(recording, found)
    path.unlink()


def test_pictures_of_another_recording_are_not_read(recording):
    path = recording.folder / OVERLAYS
    assert read_overlays(recording) == []
    path.write_text('{"recording": "0", "combinations": [1]}')
    assert read_overlays(recording) == []
    path.write_text('{"recording": "0"}')
    with pytest.raises(
        PathLensError, match="damaged: make it again with `pathlens associate --masks`"
    ):
        read_overlays(recording)
    path.unlink()


@pytest.mark.parametrize("name", ["iou", "quantile", "ablation_p_random", "measured_turn"])
def test_a_word_where_a_number_belongs_is_told(recording, found, write, name):
    table = write(iou=0.5)
    table.astype(object).assign(**{name: "many"}).to_csv(
        recording.folder / COMBINATIONS, index=False
    )
    with pytest.raises(PathLensError, match=r"is no table .*again with `pathlens associate`"):
        with_measured(recording, found)


ENTRY = {
    "layer": "3",
    "combination": "1+2",
    "concept": "c",
    "question": "q",
    "hits": 3,
    "images": [],
}


@pytest.mark.parametrize(
    "entries",
    [
        [1],
        {"a": 1},
        "text",
        [{}],
        [{**ENTRY, "hits": "3"}],
        [{**ENTRY, "question": None}],
        [{**ENTRY, "images": 7}],
        [{**ENTRY, "images": [{"image": "a"}]}],
        [{**ENTRY, "images": ["a"]}],
    ],
)
def test_pictures_that_lack_something_are_told(recording, entries):
    path = recording.folder / OVERLAYS
    path.write_text(json.dumps({"recording": recording.hash, "combinations": [ENTRY]}))
    assert overlay_entries(recording) == [ENTRY]
    path.write_text(json.dumps({"recording": recording.hash, "combinations": entries}))
    with pytest.raises(PathLensError, match="is damaged: make it again"):
        overlay_entries(recording)
    path.unlink()


def test_rows_of_another_setting_than_the_latest_are_not_taken(recording, found, write):
    count = len(found.confirmed)
    assert count > 2
    older = np.arange(count) % 2 == 0
    settings = np.where(older, "masks-000000000001", "masks-000000000002")
    write(
        iou=np.where(older, 0.5, 0.25),
        measured_with=settings,
        measured_turn=np.where(older, 1, 2),
        ablation_effect=-1.0,
        ablation_note=["no text"] * count,
        ablation_measured_with="ablation-000000000001",
        ablation_measured_turn=1,
    )
    held = with_measured(recording, found).confirmed
    assert held["iou"].isna().tolist() == older.tolist()
    assert set(held["iou"].dropna()) == {0.25}
    assert set(held["measured_with"].dropna()) == {"masks-000000000002"}
    assert set(held["ablation_effect"]) == {-1.0}
    assert set(held["ablation_note"]) == {"no text"}
    write(iou=0.5, measured_with=settings, measured_turn=np.where(older, 3, 2))
    assert with_measured(recording, found).confirmed["iou"].notna().tolist() == older.tolist()


def sentences():
    """Three rows of which masks and ablation were measured."""
    return pd.DataFrame(
        {
            "combination": ["1+2", "3+4", "5"],
            "iou": [0.3, 0.2, 0.1],
            "iou_best_single": [0.1, 0.15, 0.1],
            "iou_ceiling": [0.5, 0.4, 0.6],
            "iou_gain_ci_low": [0.1, -0.1, 0.0],
            "iou_groups": [0.0, 0.0, 0.0],
            "ablation_effect": [-1.0, -0.5, np.nan],
            "ablation_effect_ci_high": [-0.5, -0.25, np.nan],
            "ablation_effect_random": [-0.25, -0.25, np.nan],
            "ablation_effect_random_low": [-0.5, -0.45, np.nan],
            "ablation_p_random": [1 / 21, 2 / 21, np.nan],
            "ablation_random_sets": [20.0, 20.0, np.nan],
            "ablation_read_out_auroc": [0.9, 0.8, np.nan],
        }
    )


def test_the_sentences_give_medians_and_count_what_is_beyond_rivals():
    rows = sentences()
    assert measured_words(rows) == (
        "The response maps of 3 confirmed rows were held against the pixels of their concepts: median "
        "IoU 0.20 (at most 0.50 with as many pixels on), of the layer's best single filter 0.10; 1 of 2 "
        "combinations of several filters fit better than that filter (interval of the difference above "
        "0). Forced off, 2 confirmed combinations change the log odds of their concept's read-out by -0.75 "
        "(median; matched random sets -0.25); 1 lowers it more than every one of their (20) matched "
        "random sets (a count not corrected for the number of rows)."
    )
    assert "several" not in measured_words(rows[2:])
    unsure = rows.assign(ablation_effect_ci_high=0.25)
    assert "0 lower it more" in measured_words(unsure)


def test_a_row_is_beyond_its_random_sets_only_where_none_lowers_as_much():
    rows = sentences()
    fewer = rows.assign(
        ablation_p_random=[1 / 21, 1 / 10, np.nan], ablation_random_sets=[20.0, 9.0, np.nan]
    )
    assert "2 lower it more than every one of their (9 to 20) matched" in measured_words(fewer)
    none = rows.assign(ablation_p_random=np.nan, ablation_random_sets=0.0)
    assert "no random sets stand beside them" in measured_words(none)


def test_read_outs_that_hardly_read_are_left_out_of_medians_and_counts():
    rows = sentences().assign(ablation_read_out_auroc=[0.55, 0.8, np.nan])
    said = measured_words(rows)
    assert "1 confirmed combination change" in said
    assert "by -0.50" in said
    assert "1 more left out, as the read-out hardly reads" in said
    assert "0 lower it more" in said
    said = measured_words(rows.assign(ablation_read_out_auroc=0.5))
    assert "2 confirmed combinations that were forced off hardly read their concepts" in said
    assert "lower it" not in said


def test_intervals_over_few_groups_are_left_out_of_the_count():
    few = sentences().assign(iou_groups=[19, 20, 0])
    assert (
        "0 of 1 combination of several filters fit better than that filter (interval of the "
        "difference above 0), 1 over fewer than 20 groups left out of this count."
    ) in measured_words(few)
    assert "left out" not in measured_words(few.assign(iou_groups=20))
