"""What masks and ablation say of associations, on the page and in its tables."""

import base64
import json

import pytest

from pathlens.analysis import associations
from pathlens.recording.beside import COMBINATIONS, OVERLAYS
from pathlens.reporting import report
from pathlens.reporting.sections.associations import AssociationTable
from pathlens.reporting.sections.base import Context, PageImages

from .conftest import EVIL, make_recording, picture
from .test_browser import BROWSER, dom_of, root_of

MEASURED = {"iou": 0.25, "iou_ci_low": 0.2, "iou_ci_high": 0.3, "iou_best_single": 0.125}
ABLATED = {"ablation_effect": -1.5, "ablation_effect_ci_low": -2.0, "ablation_effect_ci_high": -1.0}
ABLATED |= {"ablation_effect_random": -0.5, "ablation_effect_random_low": -0.75}
ABLATED |= {"ablation_effect_random_high": -0.25, "ablation_read_out_auroc": 0.75}


@pytest.fixture
def made(tmp_path):
    return make_recording(tmp_path / "made")


@pytest.fixture
def found(made):
    """What the report of layer 3 asks."""
    return associations(made, ["block3.conv"], resamples=20)


def write(made, found, **values):
    rows = found.confirmed[["name", "combination", "concept"]].rename(columns={"name": "layer"})
    table = rows.assign(question=found.question.id, split=0, recording=made.hash, **values)
    table.to_csv(made.folder / COMBINATIONS, index=False)


def draw(made, found, question=None):
    small = base64.b64encode(picture(30)).decode()
    entries = [
        {
            **{"layer": row["name"], "combination": row["combination"], "concept": row["concept"]},
            **{"question": question or found.question.id, "hits": 9},
            "images": [{"image": EVIL, "picture": small}] * 4,
        }
        for row in found.confirmed.to_dict("records")
    ]
    content = {"recording": made.hash, "combinations": entries}
    (made.folder / OVERLAYS).write_text(json.dumps(content))


def section_of(made):
    """The section as a report of layer 3 makes it: its findings, and what its script draws from."""
    section = AssociationTable()
    chosen = made.layers.select([3])
    context = Context(made, chosen, None, {}, None, 0, 100, lambda _: None)
    found = section.find(context)
    return section, found, section.data(found, PageImages({}))


def test_measured_values_stand_in_tables_page_and_summary(made, found):
    write(made, found, **MEASURED, iou_ceiling=0.5, **ABLATED)
    draw(made, found)
    section, findings, data = section_of(made)
    table = section.tables(findings)["associations"]
    held = table[table["confirmed"]]
    assert len(held)
    for name, value in {**MEASURED, **ABLATED}.items():
        assert set(held[name]) == {value}
        assert table.loc[~table["confirmed"], name].isna().all()
    numbers = section.numbers(findings)["associations"]
    assert numbers["with_iou"] == numbers["with_ablation"] == numbers["confirmed"]
    assert data["unmeasured"] == ""
    assert "were held against the pixels" in data["summary"]
    place = data["columns"].index("iou")
    assert {row[place] for row in data["rows"]} >= {0.25}
    assert data["cards"][0]["row"]["iou"] == 0.25
    assert len(data["overlays"]) == found.confirmed["concept"].nunique()
    one = next(x for x in data["overlays"] if x["concept"] == data["cards"][0]["row"]["concept"])
    assert (one["iou"], one["iou_ceiling"], one["hits"], one["confirmed"]) == (0.25, 0.5, 9, True)
    assert one["layer"] == 3


def test_the_card_has_the_pictures_of_its_own_combination(made, found):
    draw(made, found)
    data = section_of(made)[2]
    row = data["cards"][0]["row"]
    assert all(len(card["overlays"]) == 4 for card in data["cards"])
    content = json.loads((made.folder / OVERLAYS).read_text())
    kept = [
        {**x, "concept": row["concept"], "combination": row["combination"]}
        for x in content["combinations"]
    ]
    (made.folder / OVERLAYS).write_text(json.dumps({**content, "combinations": kept[:1]}))
    assert len(section_of(made)[2]["cards"][0]["overlays"]) == 4


def test_what_is_missing_is_told_once_with_how_to_measure_it(made, found):
    data = section_of(made)[2]
    assert "--masks FOLDER --classes FILE --ablate" in data["unmeasured"]
    assert json.dumps(data).count("--masks FOLDER") == 1
    assert data["overlays"] == data["cards"][0]["overlays"] == []
    write(made, found, **MEASURED)
    said = section_of(made)[2]["unmeasured"]
    assert "--ablate" in said
    assert "--masks" not in said


def test_measures_of_another_question_are_not_shown(made, found):
    write(made, associations(made, ["block3.conv"], resamples=20, seed=1), **MEASURED)
    draw(made, found, question="0" * 16)
    data = section_of(made)[2]
    assert "--masks" in data["unmeasured"]
    assert data["overlays"] == []


@pytest.mark.parametrize("name", [COMBINATIONS, OVERLAYS])
def test_damaged_measures_do_not_cost_the_section(made, name):
    (made.folder / name).write_text("{no,table\n1,2\n")
    data = section_of(made)[2]
    assert data["cards"]
    said = {COMBINATIONS: "what masks and ablation say", OVERLAYS: "where combinations respond"}
    assert said[name] in data["left_out"]


def test_a_damaged_picture_does_not_cost_what_was_measured(made, found):
    write(made, found, **MEASURED)
    draw(made, found)
    entries = json.loads((made.folder / OVERLAYS).read_text())
    for one in entries["combinations"]:
        del one["hits"]
    (made.folder / OVERLAYS).write_text(json.dumps(entries))
    data = section_of(made)[2]
    assert "where combinations respond" in data["left_out"]
    assert data["overlays"] == []
    assert data["cards"][0]["row"]["iou"] == 0.25


@pytest.mark.skipif(BROWSER is None, reason="no Chromium found: apt install chromium")
def test_the_browser_shows_columns_pictures_and_card(index, made, found, tmp_path):
    bare = dom_of(index, tmp_path / "user")
    assert "best single filter, ceiling" not in bare.split('id="pathlens-data"')[0]
    assert bare.count("Not measured: how response maps fit masks") == 2  # data and text
    write(made, found, **MEASURED, iou_ceiling=0.5, **ABLATED)
    draw(made, found)
    page = report(made, layers=[3], out=tmp_path / "page", progress=False)
    assert "0.25" in (page.parent / "tables" / "associations.csv").read_text()
    dom = dom_of(page, tmp_path / "user")
    assert "data-errors" not in root_of(dom)
    shown = dom.split('id="pathlens-data"')[0]
    assert "0.250 (0.125, 0.500)" in shown
    assert "-1.50 (-0.50)" in shown
    assert "IoU 0.250 [0.200, 0.300]" in shown
    assert "AUROC of the read-out 0.75" in shown
    assert "with random sets like it by -0.50 [-0.75, -0.25]" in shown
    assert "4 pictures of 9" in shown
    assert "<script>alert" not in shown
