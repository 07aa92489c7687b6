import shutil
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations
from tests.analysis.conftest import make_recording
from tests.studies.conftest import modules_of

ANALYSES = Path(__file__).parents[2] / "analyses"
STUDY = ANALYSES / "sum_up"
MODULES = ("measures", "summary", "run")


@pytest.fixture(scope="module")
def study():
    """The modules of the study, and of the one whose code it uses."""
    with modules_of(MODULES, STUDY, ANALYSES / "path_structure") as found:
        yield found


def worded(seed, images=240, classes=4, filters=20, flips=0.05):
    """Two layers whose bits are a word a class, and codes of pure chance of the same images."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    words = rng.random((classes, filters)) < 0.5
    bits = words[labels] ^ (rng.random((images, filters)) < flips)
    names = [f"class {k}" for k in range(classes)]
    chance = rng.random((images, filters)) < 0.5
    own = make_recording({"one": bits, "two": bits[:, ::-1]}, labels, classes=names)
    other = make_recording({"one": chance, "two": chance[:, ::-1]}, labels, classes=names)
    return {"paths": own, "random": other}


def values(rows):
    return {(row["measure"], row["code"]): row["value"] for row in rows}


@pytest.fixture
def accuracy(tmp_path):
    """Tables as the accuracy study writes them."""
    columns = {"images": 10, "gate_density": 0.7, "lost_low": 0.01, "lost_high": 0.03}
    rows = [
        {"row": "plain", "accuracy": 0.9, "macs_share": 1.0, "lost": np.nan, **columns},
        {"row": "gated", "accuracy": 0.88, "macs_share": 0.5, "lost": 0.02, **columns},
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "accuracy.csv", index=False)
    swap = {"layer": "all", "images": 10, "lost_low": 0.0, "lost_high": 0.1, "row": "gated"}
    swaps = [{"condition": "majority path, equal MACs", "lost": 0.04, **swap}]
    swaps.append({**swaps[0], "layer": "one", "lost": 0.5})
    pd.DataFrame(swaps).to_csv(tmp_path / "path_swaps.csv", index=False)
    return tmp_path


def test_costs_are_those_of_the_accuracy_study(study, accuracy):
    rows = study.measures.cost("gated", "plain", routed=True, folder=accuracy)
    found = values(rows)
    assert found["accuracy", "paths"] == 0.88
    assert found["lost", "paths"] == 0.02
    assert found["lost_one_path", "paths"] == 0.04
    by_name = {row["measure"]: row for row in rows}
    assert (by_name["lost"]["low"], by_name["lost"]["high"]) == (0.01, 0.03)
    assert by_name["lost_other_class"]["value"] is None
    assert "not among the swaps" in by_name["lost_other_class"]["reason"]


def test_codes_of_the_plain_network_have_its_accuracy_and_no_paths_to_lose(study, accuracy):
    rows = study.measures.cost("plain-response", "plain", routed=False, folder=accuracy)
    found = values(rows)
    assert (found["accuracy", "paths"], found["macs_share", "paths"]) == (0.9, 1.0)
    empty = {row["measure"]: row["reason"] for row in rows if row["value"] is None}
    assert set(empty) == {"lost", "gate_density", "lost_one_path", "lost_other_class"}
    assert set(empty.values()) == {study.measures.NOT_ROUTED}


def test_a_row_that_accuracy_has_not_measured_says_so(study, accuracy):
    rows = study.measures.cost("new", "plain", routed=True, folder=accuracy)
    assert all(row["value"] is None and "measure.py" in row["reason"] for row in rows)
    assert len(rows) == 6


def test_static_codes_are_told_from_others(study):
    bits = np.tile([True, False, True], (9, 1))
    assert study.measures.is_static(make_recording({"a": bits, "b": ~bits}))
    other = bits.copy()
    other[4, 1] = True
    assert not study.measures.is_static(make_recording({"a": bits, "b": other}))


@pytest.mark.parametrize("seed", range(2))
def test_paths_that_spell_the_class_score_and_chance_does_not(study, seed):
    codes = worded(seed)
    rows = study.measures.clusters(codes, 200, seed) + study.measures.information(codes, 240, seed)
    found = values(rows)
    assert found["ami", "paths"] > 0.7
    assert abs(found["ami", "random"]) < 0.1
    assert abs(found["ami_last", "random"]) < 0.1
    assert found["bound", "paths"] > 1.5
    assert found["bound", "random"] < 0.1
    assert found["beyond", "paths"] > found["beyond", "random"]


def test_states_count_dynamic_filters_and_shared_paths(study):
    bits = np.zeros((40, 4), dtype=bool)
    bits[:, 0] = True
    bits[:20, 1] = True
    bits[0, 2] = True  # the only image with this path
    data = make_recording({"a": bits}, np.zeros(40), classes=["only"])
    found = values(study.measures.states({"paths": data}, 40, 0))
    assert found["dynamic", "paths"] == 0.5
    assert found["paths_shared", "paths"] == 39 / 40


def test_concepts_are_averaged_over_all_that_were_asked_for(study):
    rng = np.random.default_rng(0)
    bits = rng.random((600, 8)) < 0.5
    has = (bits[:, 0] & bits[:, 1]).astype(float)
    data = make_recording(
        bits, rng.integers(0, 2, 600), classes=["a", "b"], concepts={"both": has, "none": has * 0}
    )
    found = associations(data, resamples=50)
    names = {"both", "none"}
    rows = values(study.measures.concept_measures(found, names, "paths"))
    assert rows["concept_phi", "paths"] == pytest.approx(0.5, abs=1e-9)
    assert rows["concept_confirmed", "paths"] == 0.5
    assert rows["concept_gain", "paths"] > 0.1
    alone = values(study.measures.concept_measures(found, {"none"}, "paths"))
    assert alone["concept_phi", "paths"] is None


def test_what_is_no_number_has_a_reason(study):
    row = study.measures.measured("x", float("nan"))
    assert row["value"] is None
    assert row["reason"]


def some_table(study):
    m = study.measures
    rows = {
        "a": {"g": [m.measured("ami", 0.5), m.measured("ami", 0.1, code="response")]},
        "b": {"g": [*m.missing(["ami"], "no paths"), m.measured("other", 2.0, code="response")]},
    }
    return rows, {"a": "first", "b": "second"}


def test_the_wide_table_has_the_codes_beside_the_paths(study, tmp_path):
    rows, named = some_table(study)
    long = study.summary.write_tables(rows, named, ["g"], tmp_path)
    table = study.summary.wide(long)
    assert list(table.columns) == ["row", "what", "ami", "ami (response)"]
    assert table["ami"].tolist()[0] == 0.5
    assert table.isna().sum().to_dict()["ami (response)"] == 1
    lines = study.summary.markdown(table).splitlines()
    assert {line.count("|") for line in lines} == {16}
    assert [cell.strip() for cell in lines[2].split("|")][1:12:10] == ["first", "0.50"]
    assert [cell.strip() for cell in lines[3].split("|")][1:12:10] == ["second", ""]


def test_a_row_whose_run_is_gone_keeps_what_was_measured(study, tmp_path):
    m = study.measures
    rows = {"old": {"clusters": [m.measured("ami", 0.25), *m.missing(["ami_last"], "why")]}}
    for name in study.run.GROUPS:
        rows["old"].setdefault(name, [])
    study.summary.write_tables(rows, {"old": "x"}, list(study.run.GROUPS), tmp_path)
    kept = study.run.earlier("old", tmp_path / "sum_up.csv", "no run")["clusters"]
    assert [row["value"] for row in kept] == [0.25, None]
    assert kept[1]["reason"] == "why"
    never = study.run.earlier("new", tmp_path / "sum_up.csv", "no run")
    assert {row["reason"] for rows in never.values() for row in rows} == {"no run"}
    assert set(never) == set(study.run.GROUPS)


def test_a_group_that_is_new_says_why_it_has_no_value(study, tmp_path):
    rows = {"old": {name: [] for name in study.run.GROUPS}}
    rows["old"]["clusters"] = [study.measures.measured("ami", 0.25)]
    study.summary.write_tables(rows, {"old": "x"}, list(study.run.GROUPS), tmp_path)
    known = study.run.earlier("old", tmp_path / "sum_up.csv", "no run")
    assert {row["reason"] for row in known["states"]} == {"no run"}


@pytest.fixture
def committed(study, tmp_path, monkeypatch):
    """A copy of the committed tables, and a study that measures one value a group."""
    target = tmp_path / "tables"
    target.mkdir()
    for name in ("sum_up.csv", "table.csv"):
        shutil.copy(STUDY / name, target / name)
    measured = []

    def makers(row):
        def make(name):
            measured.append((row.name, name))
            return [study.measures.measured(study.run.GROUPS[name][0], 7.0)]

        return {name: lambda name=name: make(name) for name in study.run.DECIDED_BY}

    fake = lambda row, settings, source, work, images: SimpleNamespace(  # noqa: E731
        name=row["name"], plain_name=row["plain"], code=row.get("code")
    )
    monkeypatch.setattr(study.run, "images_of", lambda data, work: work / data)
    monkeypatch.setattr(study.run, "Row", fake)
    monkeypatch.setattr(study.run, "makers", makers)
    return SimpleNamespace(target=target, work=tmp_path / "work", measured=measured)


def values_of(target):
    long = pd.read_csv(target / "sum_up.csv")
    return long.set_index(["row", "group", "measure", "code"])["value"].sort_index()


def test_a_row_measured_in_a_fresh_folder_erases_no_other(study, committed):
    before, name = values_of(committed.target), "resnet20-cifar10-50"
    assert study.run.main(committed.work, [name], committed.work / "runs", committed.target) == 0
    after = values_of(committed.target)
    others = before.index.get_level_values("row") != name
    pd.testing.assert_series_equal(before[others], after[before.index[others]])
    assert (after[name, "states"] == 7).all()
    assert {row for row, _ in committed.measured} == {name}


def test_a_row_whose_run_is_gone_keeps_its_values_and_is_told(study, committed, capsys):
    name, before = "resnet20-cifar10-50-top-k", values_of(committed.target)
    text = (committed.target / "sum_up.csv").read_text()
    assert study.run.main(committed.work, [name], committed.work / "runs", committed.target) == 1
    assert f"{name}: no finished run in" in capsys.readouterr().out
    assert before.notna().sum() > 200
    assert (committed.target / "sum_up.csv").read_text() == text


def test_an_unlisted_row_is_refused_with_those_there_are(study, committed):
    with pytest.raises(SystemExit, match=r"'top' is not listed.*plain-random"):
        study.run.main(committed.work, ["top"], committed.work, committed.target)


def test_a_group_is_measured_again_only_when_what_decides_it_changes(study, committed, monkeypatch):
    def main():
        committed.measured.clear()
        study.run.main(committed.work, ["plain-random"], committed.work, committed.target)
        return [group for _, group in committed.measured]

    assert main() == list(study.run.DECIDED_BY)
    assert main() == []
    listed = tomllib.loads((STUDY / "rows.toml").read_text("utf-8"))
    listed["settings"]["detector"] = "another"
    monkeypatch.setattr(study.run.tomllib, "loads", lambda _: listed)
    assert main() == ["detection"]
    listed["settings"]["seed"] = 5
    assert main() == list(study.run.DECIDED_BY)
    monkeypatch.setattr(study.run, "file_hash", lambda path: f"other {path.parent.name}")
    assert main() == list(study.run.DECIDED_BY)


def test_each_setting_decides_something(study):
    settings = tomllib.loads((STUDY / "rows.toml").read_text("utf-8"))["settings"]
    used = {name for own in study.run.DECIDED_BY.values() for name in own}
    assert used | set(study.run.DECIDE_ALL) | {"reference"} == set(settings)
    assert set(study.run.DECIDED_BY) | {"cost"} == set(study.run.GROUPS)


def test_what_was_measured_otherwise_is_not_taken(study, tmp_path):
    asked = {"states": {"seed": 0}, "clusters": {"seed": 0}}
    study.run.write_json(tmp_path / "states.json", {"asked": {"seed": 1}, "rows": [1]})
    study.run.write_json(tmp_path / "clusters.json", {"asked": {"seed": 0}, "rows": [2]})
    assert study.run.kept(tmp_path, asked) == {"clusters": [2]}


def test_the_table_in_the_readme_is_the_one_that_is_printed(study):
    table = study.summary.markdown(pd.read_csv(STUDY / "table.csv"))
    assert table in (STUDY / "README.md").read_text("utf-8")


def test_a_kept_run_is_taken_before_a_trained_one_and_an_unfinished_one_never(study, tmp_path):
    (tmp_path / "half").mkdir()
    assert study.run.source_of({"name": "half", "plain": "x"}, tmp_path) is None
    (tmp_path / "half" / "result.json").touch()
    assert study.run.source_of({"name": "half", "plain": "x"}, tmp_path) == tmp_path / "half"
    kept = study.run.source_of({"name": "resnet20-cifar10-50", "plain": "x"}, tmp_path)
    assert kept == ANALYSES / "checkpoints" / "resnet20-cifar10-50"


def test_each_cell_of_the_committed_table_has_a_value_or_a_reason():
    long = pd.read_csv(STUDY / "sum_up.csv")
    assert (long["value"].notna() | long["reason"].fillna("").ne("")).all()
    listed = tomllib.loads((STUDY / "rows.toml").read_text("utf-8"))["row"]
    assert list(dict.fromkeys(long["row"])) == [row["name"] for row in listed]
    assert pd.read_csv(STUDY / "table.csv")["row"].tolist() == [row["name"] for row in listed]
