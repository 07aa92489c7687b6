import importlib.util
import re
import sys
from pathlib import Path

import pytest

ANALYSES = Path(__file__).parents[2] / "analyses"


@pytest.fixture
def studies():
    spec = importlib.util.spec_from_file_location("pathlens_studies", ANALYSES / "studies.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture
def small(studies, tmp_path, monkeypatch):
    """Three studies in a folder of their own: one makes its table, one fails, one needs the first."""
    scripts = {
        "first": "import sys, pathlib\n"
        "pathlib.Path(sys.argv[1], 'kept').touch()\n"
        "(pathlib.Path(__file__).parent / 'table.csv').write_text('made')\n",
        "second": "raise SystemExit(3)\n",
        "third": "import sys, pathlib\n"
        "assert pathlib.Path(sys.argv[1], 'kept').exists()\n"
        "(pathlib.Path(__file__).parent / 'table.csv').write_text(sys.argv[1])\n",
    }
    root = tmp_path / "analyses"
    for name, text in scripts.items():
        (root / name).mkdir(parents=True)
        (root / name / "run.py").write_text(text)
    monkeypatch.setattr(studies, "HERE", root)
    monkeypatch.setattr(studies, "ROOT", tmp_path)
    arguments = {"first": "{work}", "second": "{work}", "third": "{study:first}"}
    made = [
        studies.Study(name, (("run.py", arguments[name]), ("run.py", arguments[name])), tables, 1)
        for name, tables in (
            ("first", ("table.csv",)),
            ("second", ("x.csv",)),
            ("third", ("table.csv",)),
        )
    ]
    monkeypatch.setattr(studies, "STUDIES", tuple(made))
    return studies, root


def test_each_study_has_its_scripts_and_a_readme(studies):
    for study in studies.STUDIES:
        folder = ANALYSES / study.name
        assert (folder / "README.md").is_file()
        for script, *_ in study.commands:
            assert (folder / script).is_file(), f"{study.name}/{script}"
        assert study.makes
        assert study.minutes > 0


def test_the_table_of_contents_names_each_study_and_each_folder_with_a_readme(studies):
    text = (ANALYSES / "README.md").read_text("utf-8")
    linked = set(re.findall(r"\]\((\w+)/README\.md\)", text))
    assert {study.name for study in studies.STUDIES} <= linked
    assert linked == {place.parent.name for place in ANALYSES.glob("*/README.md")}


def test_runs_are_looked_for_where_the_accuracy_study_leaves_them(studies, tmp_path):
    (call,) = next(one for one in studies.STUDIES if one.name == "sum_up").calls(tmp_path)
    assert call[2:] == [str(tmp_path / "sum_up"), "--runs", str(tmp_path / "accuracy" / "runs")]
    names = [one.name for one in studies.STUDIES]
    assert names.index("accuracy") < names.index("sum_up")


def test_what_is_missing_is_made_in_order_and_a_failure_stops_no_other(small, tmp_path):
    studies, root = small
    assert studies.main(tmp_path / "work", [], force=False) == 1
    assert (root / "first" / "table.csv").read_text() == "made"
    assert (root / "third" / "table.csv").read_text() == str(tmp_path / "work" / "first")


def test_what_is_there_is_left_alone_unless_forced(small, tmp_path):
    studies, root = small
    table = root / "first" / "table.csv"
    table.write_text("old")
    assert studies.main(tmp_path / "work", ["first"], force=False) == 0
    assert table.read_text() == "old"
    assert not (tmp_path / "work").exists()
    assert studies.main(tmp_path / "work", ["first"], force=True) == 0
    assert table.read_text() == "made"


def test_the_list_says_what_is_missing_and_makes_nothing(small, tmp_path):
    studies, root = small
    (root / "third" / "table.csv").touch()
    said = studies.listing(studies.chosen([]), tmp_path / "work")
    assert "first (1 minutes of one core): missing: table.csv" in said
    assert "third (1 minutes of one core): made" in said
    assert f"python analyses/first/run.py {tmp_path / 'work' / 'first'}" in said
    assert not (tmp_path / "work").exists()


def test_an_unknown_study_is_told_with_those_there_are(studies):
    with pytest.raises(SystemExit, match=r"no study 'speeed'.*path_structure"):
        studies.chosen(["speeed"])
    assert [one.name for one in studies.chosen(["sum_up", "accuracy"])] == ["accuracy", "sum_up"]
