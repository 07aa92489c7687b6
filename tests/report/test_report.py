import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import associations, class_paths
from pathlens.analysis.associating.ledger import note_use
from pathlens.errors import PathLensError
from pathlens.recording import write_recording
from pathlens.reporting import default_folder, report
from pathlens.reporting.tables import COLUMNS

from .conftest import CLASSES, LAYERS, PLAIN, make_recording, write_ablations, write_swaps


def page_data_of(index):
    """What the scripts of a page draw from."""
    text = index.read_text(encoding="utf-8")
    return json.loads(re.search(r'id="pathlens-data">(.*?)</script>', text, re.S).group(1))


def test_everything_is_written(index, recording):
    folder = index.parent
    assert folder == default_folder(recording.folder)
    assert folder == recording.folder.parent.parent / "reports" / "test"
    for name in ("filter_states", "class_paths_network", "class_paths_layer01", "clusters_layer02"):
        for ending in ("png", "svg"):
            assert (folder / "figures" / f"{name}.{ending}").stat().st_size > 1000
    assert not list(folder.parent.glob(".*"))


@pytest.mark.parametrize("name", COLUMNS)
def test_tables_have_their_columns_and_rows(index, name):
    table = pd.read_csv(index.parent / "tables" / f"{name}.csv")
    assert tuple(table.columns) == COLUMNS[name]
    # These classes have no hierarchy of their own, and no baseline stands beside this recording.
    assert len(table) or name in ("class_hierarchy", "association_baselines")


def test_rates_and_class_paths_are_those_of_the_bits(index, recording):
    tables = index.parent / "tables"
    states = pd.read_csv(tables / "filter_states.csv").set_index(["layer", "filter"])
    paths = pd.read_csv(tables / "class_paths.csv").set_index(["layer", "class", "filter"])
    for number, name in enumerate(LAYERS, start=1):
        bits = recording.bits(name)
        for filter_ in (0, 1, 2, 5):
            assert states.loc[(number, filter_), "rate"] == pytest.approx(
                bits[:, filter_].mean(), abs=1e-5
            )
            own = bits[recording.images["label"] == 1, filter_].mean()
            found = paths.loc[(number, CLASSES[1], filter_), "rate"]
            assert found == pytest.approx(own, abs=1e-5)
    assert states.loc[(1, 1), "state"] == "high-energy"
    assert states.loc[(1, 2), "state"] == "mute"


def test_layers_out_and_repetition(recording, tmp_path):
    first = report(recording.folder, layers=[2], out=tmp_path / "one", progress=False)
    again = report(recording.folder, layers=["block2*"], out=tmp_path / "two", progress=False)
    assert set(pd.read_csv(first.parent / "tables" / "filter_states.csv")["layer"]) == {2}
    for file in (path for path in first.parent.rglob("*") if path.is_file()):
        other = again.parent / file.relative_to(first.parent)
        assert file.read_bytes() == other.read_bytes(), file


def test_a_recording_that_knows_only_paths(tmp_path):
    bare = make_recording(
        tmp_path / "bare", images=40, labelled=False, thumbnails=False, concepts=False
    )
    index = report(bare, layers=[1], progress=False)
    assert index.parent == tmp_path / "bare-report"
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert numbers["accuracy"] is None
    assert "class paths, layer 1" in numbers["gaps"]
    table = pd.read_csv(index.parent / "tables" / "class_paths.csv")
    assert tuple(table.columns) == COLUMNS["class_paths"]
    assert table.empty
    assert "no thumbnails" in index.read_text()


def test_few_images_still_make_a_page(tmp_path):
    few = make_recording(tmp_path / "few", images=3, concepts=False)
    index = report(few, layers=[1], progress=False, plain={"run": "plain"})
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert "map, layer 1" in numbers["gaps"]
    assert numbers["plain"] == {"run": "plain"}
    assert "Its accuracy on the same images is not known" in index.read_text()


@pytest.mark.parametrize("failure", [KeyboardInterrupt, PathLensError("broken")])
def test_an_interrupted_report_leaves_the_old_one(recording, tmp_path, monkeypatch, failure):
    out = tmp_path / "report"
    report(recording, layers=[1], out=out, progress=False)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}

    def fail(*_args):
        raise failure

    monkeypatch.setattr("pathlens.reporting.page.page", fail)
    with pytest.raises(failure if isinstance(failure, type) else PathLensError):
        report(recording, layers=[2], out=out, progress=False)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_folder_of_other_files_is_refused_before_any_work(recording, tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(PathLensError, match="other files than a report"):
        report(recording, out=tmp_path, progress=False)
    with pytest.raises(PathLensError, match="is a file"):
        report(recording, out=tmp_path / "thesis.tex", progress=False)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


def test_unknown_layer_and_missing_concepts(recording, tmp_path):
    with pytest.raises(PathLensError, match=r"block1\.conv"):
        report(recording, layers=["block1.cov"], out=tmp_path / "a", progress=False)
    with pytest.raises(PathLensError, match="concept file"):
        report(recording, concepts=tmp_path / "none.csv", out=tmp_path / "a", progress=False)


def test_path_swaps_of_another_recording_are_not_shown(tmp_path):
    other = make_recording(tmp_path / "other", images=40, seed=1)
    made = make_recording(tmp_path / "made", images=40)
    write_swaps(other)
    shutil.copy(other.folder / "path_swaps.csv", made.folder)
    index = report(made, layers=[1], progress=False)
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert numbers["swaps"] is None
    assert "pathlens probe" in numbers["gaps"]["path swaps"]
    (made.folder / "path_swaps.csv").write_text("no,table\n1,2\n")
    index = report(made, layers=[1], progress=False)
    assert (
        "is no table"
        in json.loads((index.parent / "summary.json").read_text())["gaps"]["path swaps"]
    )


def test_the_card_of_the_first_screen_shows_images_for_and_against(index, recording):
    data = page_data_of(index)
    card = data["sections"]["associations"]["cards"][0]
    layer, chosen = card["row"]["name"], [int(x) for x in card["row"]["combination"].split("+")]
    on = recording.bits(layer)[:, chosen].all(axis=1)
    rows = {str(image): at for at, image in enumerate(recording.images["image"])}
    shown = {
        kind: [on[rows[data["images"]["id"][i]]] for i in images]
        for kind, images in card["images"].items()
    }
    assert shown["hits"]
    assert all(len(card["images"][kind]) == min(5, card["counts"][kind]) for kind in shown)
    assert all(shown["hits"])
    assert all(shown["false alarms"])
    assert not any(shown["misses"])


def test_a_baseline_stands_on_the_card(recording, tmp_path):
    rng = np.random.default_rng(0)
    noise = {name: rng.random((len(recording), filters)) < 0.5 for name, filters in LAYERS.items()}
    rival = write_recording(tmp_path / "noise", noise, recording.images[["image"]])
    out = tmp_path / "report"
    index = report(recording, layers=[3], baselines={"noise": rival}, out=out, progress=False)
    card = page_data_of(index)["sections"]["associations"]["cards"][0]
    (beside,) = card["rivals"]
    assert beside["name"] == "noise"
    assert beside["phi"] < card["row"]["phi"]
    assert len(pd.read_csv(out / "tables" / "association_baselines.csv"))


def test_a_report_is_made_again_only_if_something_changed(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlens.reporting.inputs._code", lambda: "this")
    made = make_recording(tmp_path / "made", images=40)
    index = report(made, layers=[1], progress=False)
    before = index.stat().st_mtime_ns

    def again(**options):
        nonlocal before
        report(made, **{"layers": [1], "progress": False, **options})
        changed, before = index.stat().st_mtime_ns != before, index.stat().st_mtime_ns
        return changed

    assert not again()
    assert again(fresh=True)
    assert again(seed=1)
    assert again(layers=[2], seed=1)
    write_swaps(made)
    assert again(layers=[2], seed=1)
    (index.parent / "tables" / "map.csv").unlink()
    assert again(layers=[2], seed=1)
    assert not again(layers=[2], seed=1)
    associations(made, seed=3)  # asks the images something, but nobody notes it
    assert not again(layers=[2], seed=1)
    note_use(made, associations(made, seed=3).question)
    assert again(layers=[2], seed=1)
    monkeypatch.setattr("pathlens.reporting.inputs._code", lambda: "other")
    assert again(layers=[2], seed=1)


def test_classes_without_ablated_signature_or_trace_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr("pathlens.reporting.sections.traces.CLASSES", 2)
    made = make_recording(tmp_path / "made", images=60)
    write_ablations(made)
    page = report(made, layers=[1], progress=False)
    numbers = json.loads((page.parent / "summary.json").read_text())
    said = "signatures of 2 of 3 classes, which were not ablated"
    assert numbers["left_out"]["ablations"] == [said]
    assert "classes beyond the 2 with most images" in page.read_text()


def test_a_hierarchy_is_held_against_the_class_paths(tmp_path):
    rng = np.random.default_rng(0)
    label = np.arange(60) % 4
    bits = (rng.random((4, 12)) < 0.5)[label] ^ (rng.random((60, 12)) < 0.1)
    images = pd.DataFrame({"image": [f"{i}.png" for i in range(60)], "label": label})
    made = write_recording(tmp_path / "four", {"conv": bits}, images, classes=list("abcd"))
    rows = {"class": list("abcd"), "animal": [1, 0, 1, 0], "plant": [0, 1, 0, 1]}
    pd.DataFrame(rows).to_csv(tmp_path / "above.csv", index=False)
    index = report(made, hierarchy=tmp_path / "above.csv", progress=False)
    table = pd.read_csv(index.parent / "tables" / "class_hierarchy.csv")
    assert list(table["code"]) == ["paths"]
    assert table["pearson"].between(-1, 1).all()


def test_a_baseline_of_other_layers_and_a_missing_hierarchy_are_refused(recording, tmp_path):
    other = write_recording(
        tmp_path / "other", {"conv": np.ones((150, 3), bool)}, recording.images[["image"]]
    )
    with pytest.raises(PathLensError, match="no codes for layer block1"):
        report(recording, baselines={"other": other}, out=tmp_path / "a", progress=False)
    with pytest.raises(PathLensError, match=r"no file .*typo\.tsv"):
        report(recording, hierarchy=tmp_path / "typo.tsv", out=tmp_path / "a", progress=False)
    assert not (tmp_path / "a").exists()


def test_another_kind_of_folder_is_not_replaced(recording, tmp_path):
    (tmp_path / "summary.json").write_text('{"kind": "comparison", "headline": "x"}')
    with pytest.raises(PathLensError, match="other files than a report"):
        report(recording, layers=[1], out=tmp_path, progress=False)


def test_a_damaged_ledger_does_not_cost_the_page(tmp_path):
    made = make_recording(tmp_path / "made", images=60)
    (made.folder / "confirmations.csv").write_text("no,table\n1,2\n")
    index = report(made, layers=[1], progress=False)
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert numbers["associations"]["tested"] > 0
    assert "count of earlier reports" in str(numbers["left_out"]["associations"])


def test_states_and_class_paths_stand_beside_the_baselines(tmp_path):
    made = make_recording(tmp_path / "made", images=60)
    other = make_recording(tmp_path / "noise", images=60, seed=1)
    page = report(made, baselines={"noise": other}, progress=False)
    states = pd.read_csv(page.parent / "tables" / "states_by_code.csv")
    assert list(states["code"]) == ["paths"] * 3 + ["noise"] * 3
    bits = other.bits("block1.conv")
    expected = (bits.any(axis=0) & ~bits.all(axis=0)).sum()
    assert (
        states[(states["code"] == "noise") & (states["layer"] == 1)]["dynamic"].item() == expected
    )
    classes = pd.read_csv(page.parent / "tables" / "class_similarity.csv")
    assert set(classes["code"]) == {"paths", "noise"}
    data = page_data_of(page)["sections"]
    assert [row[0] for row in data["states"]["codes"]] == ["paths", "noise"]
    whole = class_paths(made)
    between = whole.similarity.to_numpy()[np.triu_indices(3, 1)].mean()
    own = data["classes"]["network"]["codes"][0]
    np.testing.assert_allclose(own[1:], [between, whole.chance], atol=1e-3)


def test_cards_begin_with_the_strongest_and_turn_through_the_concepts(index):
    found = page_data_of(index)["sections"]["associations"]
    table = pd.read_csv(index.parent / "tables" / "associations.csv")
    held = table[table["confirmed"]]
    keys = ["layer", "combination", "concept"]
    cards = pd.DataFrame([card["row"] for card in found["cards"]])
    assert len(cards) == min(24, len(held)) > 1
    assert not cards[keys].astype(str).duplicated().any()
    assert set(map(tuple, cards[keys].astype(str).to_numpy())) <= set(
        map(tuple, held[keys].astype(str).to_numpy())
    )
    gaining = held[held["gain_ci_low"] > 0]
    assert cards["phi"][0] == pytest.approx(
        (gaining if len(gaining) else held)["phi"].max(), abs=1e-4
    )
    others = cards["concept"].iloc[1 : 1 + cards["concept"].iloc[1:].nunique()]
    assert others.is_unique
    for card in found["cards"]:
        assert all(len(card["images"][kind]) <= 5 for kind in card["images"])


def missing_line(index):
    text = index.read_text()
    line = text[text.index('id="missing-line">') :].split("</p>")[0]
    return " ".join(re.sub("<[^>]+>", "", line.partition(">")[2]).split())


def test_what_waits_to_be_made_is_not_called_failed(tmp_path):
    made = make_recording(tmp_path / "made", images=60)
    index = report(made, layers=[1], plain=PLAIN, progress=False)
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert numbers["failed"] == []
    assert set(numbers["gaps"]) == {"explained images", "path swaps", "ablations"}
    assert missing_line(index) == (
        "Not made yet: explained images, path swaps, ablations (pathlens probe RECORDING). "
        "Why, and how to get it"
    )


def test_what_failed_is_told_apart_from_what_waits(tmp_path):
    made = make_recording(tmp_path / "made", images=60, thumbnails=False)
    (made.folder / "path_swaps.csv").write_text("no,table\n1,2\n")
    index = report(made, layers=[1], plain=PLAIN, progress=False)
    assert json.loads((index.parent / "summary.json").read_text())["failed"] == ["path swaps"]
    assert missing_line(index) == (
        "Could not be made: 1 analysis (path swaps). "
        "Not made yet: explained images, ablations (pathlens probe RECORDING). "
        "Not recorded: pictures. Why, and how to get it"
    )


def test_a_page_that_lacks_nothing_says_so(index):
    assert missing_line(index) == "Failed or missing: nothing."


def test_a_hierarchy_counts_as_missing_only_if_it_was_asked_for(tmp_path):
    made = make_recording(tmp_path / "made", images=60)
    (tmp_path / "bad.csv").write_text("nothing,of\nthe,kind\n")
    index = report(made, layers=[1], hierarchy=tmp_path / "bad.csv", plain=PLAIN, progress=False)
    assert json.loads((index.parent / "summary.json").read_text())["failed"] == ["class hierarchy"]
    assert "Could not be made: 1 analysis (class hierarchy)." in missing_line(index)


def test_images_of_a_concept_table_that_the_recording_lacks_are_on_the_page(tmp_path):
    made = make_recording(tmp_path / "made", images=60)
    rows = [f'"{image}",striped' for image in made.images["image"].str.replace('"', '""')[::2]]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["image,concept", *rows, "val/none/ghost.jpg,striped", ""]))
    index = report(made, layers=[1], concepts=table, plain=PLAIN, progress=False)
    said = (
        "1 image of the concept table that the recording does not have (first: val/none/ghost.jpg)"
    )
    assert said in index.read_text().split("Left out: associations")[1]
