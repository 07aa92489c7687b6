import json
import re
from pathlib import Path

import pytest

import pathlens

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
EACH = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
MOST_BYTES = 300_000


def files(folder):
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def cells(notebook, kind):
    content = json.loads(notebook.read_text("utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == kind]


def outputs(notebook):
    return [output for cell in cells(notebook, "code") for output in cell["outputs"]]


def execute(content, monkeypatch, **options):
    nbclient = pytest.importorskip(
        "nbclient", reason="nbclient is not installed (pip install -e '.[dev]')"
    )
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (pip install -e '.[dev]')")
    monkeypatch.setenv("PATHLENS_SMALL", "1")
    monkeypatch.delenv("MPLBACKEND", raising=False)
    resources = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(content, timeout=280, resources=resources, **options).execute()


@pytest.mark.slow
@pytest.mark.timeout(300)
@EACH
def test_notebook_runs_on_small_settings_and_leaves_nothing_behind(notebook, monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    if notebook.stem.startswith("07"):
        pytest.importorskip("foolbox", reason="foolbox is not installed")
    before = files(FOLDER)
    execute(nbformat.read(notebook, as_version=4), monkeypatch)
    assert files(FOLDER) == before


@pytest.mark.slow
def test_a_cell_that_fails_is_found(monkeypatch):
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    failing = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 / 0")])
    with pytest.raises(Exception, match="ZeroDivisionError"):
        execute(failing, monkeypatch)


def test_there_are_eight_and_the_list_names_them_in_order():
    listed = re.findall(r"\((\S+\.ipynb)\)", (FOLDER / "README.md").read_text("utf-8"))
    assert listed == [path.name for path in NOTEBOOKS]
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{number:02d}" for number in range(1, 9)]


@EACH
def test_it_begins_with_what_one_will_know(notebook):
    first = "".join(cells(notebook, "markdown")[0]["source"])
    assert re.match(r"# \d\. .+\n\nAt the end you will ", first)


@EACH
def test_outputs_are_committed_whole_and_small(notebook):
    assert notebook.stat().st_size < MOST_BYTES
    assert all(cell["execution_count"] for cell in cells(notebook, "code"))
    shown = outputs(notebook)
    assert not [output for output in shown if output["output_type"] == "error"]
    assert not [output for output in shown if output.get("name") == "stderr"]
    pictures = [
        output
        for output in shown
        if "image/png" in output.get("data", {})
        or "data:image/png" in "".join(output.get("data", {}).get("text/html", ""))
    ]
    assert pictures


@EACH
def test_outputs_name_no_place_of_the_machine_that_ran_them(notebook):
    text = json.dumps(outputs(notebook))
    assert not re.search(r"/tmp/|/home/|/root/|/Users/|/work/|0x[0-9a-f]{8,}", text)


@EACH
def test_settings_of_the_tests_come_from_the_environment(notebook):
    source = "\n".join("".join(cell["source"]) for cell in cells(notebook, "code"))
    assert 'SMALL = bool(os.environ.get("PATHLENS_SMALL"))' in source
    assert source.count("SMALL") > 1
    assert "work.cleanup()" in source


@EACH
def test_links_of_a_notebook_lead_somewhere(notebook):
    text = "\n".join("".join(cell["source"]) for cell in cells(notebook, "markdown"))
    for target in re.findall(r"\]\(([^)#]+)", text):
        if "://" not in target:
            assert (FOLDER / target).exists(), target


def test_the_shipped_recording_is_small_and_whole():
    folder = FOLDER / "data" / "scenes" / "recordings" / "scenes-test-500"
    assert sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000
    recording = pathlens.open_recording(folder)
    recording.verify()
    assert len(recording) == 500
    assert recording.images["label"].value_counts().nunique() == 1
