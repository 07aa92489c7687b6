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
    linked = set(re.findall(r"^\| \[(\w+)\]\(\1/README\.md\)", text, re.MULTILINE))
    assert {study.name for study in studies.STUDIES} == linked
    assert linked == {place.parent.name for place in ANALYSES.glob("*/README.md")}


def test_each_committed_table_is_made_by_a_command_or_said_to_be_kept_by_hand(studies):
    text = (ANALYSES / "README.md").read_text("utf-8").partition("## Kept by hand")[2]
    by_hand = set(re.findall(r"^\| (\S+\.csv) \|", text, re.MULTILINE))
    made = {f"{one.name}/{name}" for one in studies.STUDIES for name in one.makes}
    folders = {str(Path(name).parent) for name in made if "/tables/" in name}
    tables = [path.relative_to(ANALYSES) for path in ANALYSES.glob("*/**/*.csv")]
    for table in tables:
        if table.parts[0] == "checkpoints" or str(table.parent) in folders:
            continue
        assert (str(table) in made) != (str(table) in by_hand), table
    assert by_hand <= {str(table) for table in tables}
    assert not by_hand & made


def test_rows_that_are_listed_are_in_the_lists_of_their_studies(studies):
    for study in studies.STUDIES:
        if study.listed is not None:
            names = study.listed.names(ANALYSES / study.name)
            assert len(names) == len(set(names)) > 5
            assert set(study.absent()) < set(names)


def test_runs_are_looked_for_where_the_accuracy_study_leaves_them(studies, tmp_path):
    (call,) = next(one for one in studies.STUDIES if one.name == "sum_up").calls(tmp_path)
    assert call[2:] == [str(tmp_path / "sum_up"), "--runs", str(tmp_path / "accuracy" / "runs")]
    names = [one.name for one in studies.STUDIES]
    assert names.index("accuracy") < names.index("sum_up")


@pytest.fixture
def in_parts(small, monkeypatch):
    """One study that lists three rows, of which its script, run again and again, makes one each time."""
    studies, root = small
    folder = root / "first"
    (folder / "rows.toml").write_text("".join(f'[[row]]\nname = "{x}"\n' for x in "abc"))
    (folder / "run.py").write_text(
        "import pathlib\n"
        "table = pathlib.Path(__file__).parent / 'table.csv'\n"
        "text = table.read_text() if table.exists() else 'row,reason\\n'\n"
        "table.write_text(text + 'abc'[text.count(chr(10)) - 1] + ',\\n')\n"
    )
    listed = studies.Listed("rows.toml", "row", "table.csv", "row")
    study = studies.Study("first", (("run.py",),), ("table.csv",), 1, listed=listed)
    monkeypatch.setattr(studies, "STUDIES", (study,))
    return studies, folder, study


def test_a_study_without_some_of_its_rows_is_made_in_part_and_goes_on(in_parts, tmp_path, capsys):
    studies, folder, study = in_parts
    assert studies.main(tmp_path / "work", [], force=False) == 1
    assert "first: made in part (1 of 3 rows), without b, c" in capsys.readouterr().out
    assert "made in part (1 of 3 rows)" in studies.listing([study], tmp_path)
    assert "not in its table: b, c" in studies.listing([study], tmp_path)
    assert studies.main(tmp_path / "work", [], force=False) == 1
    assert studies.main(tmp_path / "work", [], force=False) == 0
    text = (folder / "table.csv").read_text()
    assert studies.main(tmp_path / "work", [], force=False) == 0
    assert (folder / "table.csv").read_text() == text


def test_a_row_that_waits_for_its_run_is_not_there(in_parts):
    _, folder, study = in_parts
    rows = ["row,reason", "a,nothing is routed", "b,this run was not trained yet", "b,", "c,"]
    (folder / "table.csv").write_text("\n".join(rows))
    assert study.absent() == ["b"]
    assert study.state() == "made in part (2 of 3 rows)"


def test_a_table_that_is_empty_is_missing(in_parts):
    _, folder, study = in_parts
    (folder / "table.csv").touch()
    assert study.state() == "missing: table.csv"


def test_of_commands_that_make_one_file_each_only_those_due_run(studies, tmp_path, monkeypatch):
    monkeypatch.setattr(studies, "HERE", tmp_path)
    (tmp_path / "times").mkdir()
    (tmp_path / "times" / "a.csv").write_text("kept")
    (tmp_path / "times" / "a.png").write_text("drawn")
    commands = (("a.py",), ("b.sh", "{work}"), ("figure.py",))
    study = studies.Study("times", commands, ("a.csv", "b.csv", "a.png"), 1, one_each=True)
    due = study.calls(tmp_path / "work", force=False)
    assert [Path(call[1]).name for call in due] == ["b.sh", "figure.py"]
    assert due[0][0] == "bash"
    assert len(study.calls(tmp_path / "work", force=True)) == 3


def test_benchmarks_have_a_file_for_each_command(studies):
    (study,) = (one for one in studies.STUDIES if one.one_each)
    for (script, *arguments), file in zip(study.commands, study.makes, strict=True):
        assert Path(script).parent == Path(file).parent
        if "--out" in arguments:
            assert arguments[arguments.index("--out") + 1].endswith(f"/{file}")
            continue
        assert Path(script).stem == Path(file).stem or script == "skipping/figure.py"


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
    (root / "third" / "table.csv").write_text("made")
    said = studies.listing(studies.chosen([]), tmp_path / "work")
    assert "first (1 minutes of one core): missing: table.csv" in said
    assert "third (1 minutes of one core): made" in said
    assert f"python analyses/first/run.py {tmp_path / 'work' / 'first'}" in said
    assert not (tmp_path / "work").exists()


def test_an_unknown_study_is_told_with_those_there_are(studies):
    with pytest.raises(SystemExit, match=r"no study 'speeed'.*path_structure"):
        studies.chosen(["speeed"])
    assert [one.name for one in studies.chosen(["sum_up", "accuracy"])] == ["accuracy", "sum_up"]
