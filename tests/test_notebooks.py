"""The notebooks run from top to bottom, on smaller settings."""

import json
from pathlib import Path

import matplotlib as mpl
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(notebook, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("PATHLENS_NOTEBOOK_EPOCHS", "1")
    mpl.use("Agg")
    names = {}
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), str(notebook), "exec"), names)
    assert names["page"].is_file()


def test_there_is_a_notebook():
    assert NOTEBOOKS
