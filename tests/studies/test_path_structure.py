import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pathlens.analysis import cifar10_hierarchy
from tests.analysis.conftest import make_recording
from tests.studies.conftest import modules_of

ANALYSES = Path(__file__).parents[2] / "analyses"
STUDY = ANALYSES / "path_structure"
MODULES = ("recordings", "tables", "figures", "run")


@pytest.fixture(scope="module")
def study():
    """The modules of the study."""
    with modules_of(MODULES, STUDY) as found:
        yield found


def coded_classes(seed, *, images=200, classes=4, filters=24, flips=0.05):
    """Paths of two layers: the first of chance, the second a word a class with some bits flipped."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    words = rng.random((classes, filters)) < 0.5
    bits = words[labels] ^ (rng.random((images, filters)) < flips)
    first = rng.random((images, filters)) < 0.5
    names = [f"class {k}" for k in range(classes)]
    return make_recording({"a.0.conv1": first, "a.1.conv1": bits}, labels, classes=names)


def of_chance(like, seed):
    rng = np.random.default_rng(seed)
    bits = {name: rng.random(x.shape) < 0.5 for name, x in like.bits_by_layer.items()}
    return make_recording(bits, like.images["label"], classes=like.classes)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("layer1.0.conv2", "conv2"),
        ("features.11.expand3x3", "expand3x3"),
        ("stages.3.branch2.1.0", "branch2.1.0"),
        ("features.37", "features"),
        ("conv", "conv"),
    ],
)
def test_the_kind_of_a_layer_is_its_place_in_the_block(study, name, kind):
    assert study.tables.kind_of_layer(name) == kind


def test_states_are_counted_over_all_and_over_equal_images(study):
    bits = np.zeros((50, 5), dtype=bool)
    bits[:, 0] = True
    bits[:25, 1] = True
    bits[7, 2] = True  # on for one image alone: most samples of ten do not see it
    data = make_recording({"a.0.x": bits}, np.zeros(50), classes=["only"])
    (row,) = study.tables.state_rows({"paths": data}, 10, 1).to_dict("records")
    assert (row["high_energy"], row["mute"], row["dynamic"]) == (0.2, 0.4, 0.4)
    rows = np.sort(np.random.default_rng(1).choice(50, 10, replace=False))
    seen = (bits[rows].any(axis=0) & ~bits[rows].all(axis=0)).mean()
    assert row["dynamic_equal"] == seen
    assert row["density"] == pytest.approx(bits.mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_share_that_grows_layer_by_layer_is_found_and_chance_is_not(study, seed):
    grown = study.tables._trend(np.arange(9) / 10, seed)
    assert grown["spearman"] == pytest.approx(1)
    assert grown["p"] < 0.001
    assert (grown["first"], grown["last"]) == (pytest.approx(0.1), pytest.approx(0.7))
    assert study.tables._trend(np.arange(9)[::-1] / 10, seed)["p"] > 0.99
    assert np.isnan(study.tables._trend(np.full(9, 0.3), seed)["p"])


def test_p_of_a_trend_keeps_its_level_under_chance(study):
    rng = np.random.default_rng(0)
    found = [study.tables._trend(rng.random(8), seed)["p"] for seed in range(120)]
    assert np.mean(np.array(found) <= 0.05) < 0.12
    assert 0.35 < np.mean(found) < 0.65


@pytest.mark.parametrize("seed", [3])
def test_clusters_go_with_classes_where_paths_do(study, seed):
    own = coded_classes(seed)
    rows = study.tables.cluster_rows(own, {"random": of_chance(own, seed)}, 150, seed)
    ami = rows[(rows["measure"] == "AMI") & (rows["asked"] == "as many as classes")]
    found = ami.set_index(["code", "layer"])["value"]
    assert found["paths", 2] > 0.9
    assert found["paths", 1] < 0.1
    assert found["random", 2] < 0.1
    assert set(ami["layer"]) == {0, 1, 2}


def test_classes_that_are_akin_travel_alike_only_where_planted(study):
    hierarchy = cifar10_hierarchy()
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(10), 30)
    rates = 0.2 + 0.6 * hierarchy.to_numpy(dtype=float)
    bits = rng.random((300, rates.shape[1])) < rates[labels]
    own = make_recording({"a.0.x": bits}, labels, classes=list(hierarchy.index))
    rows, pairs = study.tables.hierarchy_rows(own, {"random": of_chance(own, 1)}, hierarchy, 0)
    whole = rows[rows["layer"] == 0].set_index("code")
    assert whole.loc["paths", "p"] < 0.01
    assert whole.loc["paths", "pearson"] > 0.7
    assert whole.loc["random", "p"] > 0.05
    assert len(pairs) == 45


def test_neighbours_on_a_map_are_of_one_class_where_paths_are(study):
    own = coded_classes(0, images=80)
    rows, places = study.tables.maps_of({"paths": own}, [1, 2], 80, 0)
    assert rows["same_class"].iloc[0] < 0.4
    assert rows["same_class"].iloc[1] > 0.9
    assert list(rows["name"]) == ["a.0.conv1", "a.1.conv1"]
    assert len(places) == 160


@pytest.mark.parametrize("seed", range(3))
def test_share_of_the_same_class_is_that_of_a_loop(study, seed):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(40, 2)), columns=["x", "y"])
    frame["label"] = rng.integers(0, 3, 40)
    shares, pairs = [], []
    for i in range(40):
        apart = np.hypot(frame["x"] - frame["x"][i], frame["y"] - frame["y"][i])
        near = [j for j in np.argsort(apart) if j != i][:10]
        shares.append(np.mean([frame["label"][j] == frame["label"][i] for j in near]))
        pairs += [frame["label"][j] == frame["label"][i] for j in range(40) if j != i]
    same, chance = study.tables._same_class(frame)
    assert same == pytest.approx(np.mean(shares))
    assert chance == pytest.approx(np.mean(pairs))


def test_a_table_is_made_once_and_again_if_half_of_it_is_gone(study, tmp_path):
    found, made = study.run.Found(tmp_path / "net", {"seed": 0}), []

    def make():
        made.append(1)
        return pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [2]})

    found.tables(("one", "two"), make)
    _, two = found.tables(("one", "two"), make)
    assert (len(made), two["b"].tolist()) == (1, [2])
    (tmp_path / "net" / "two.json").unlink()
    found.tables(("one", "two"), make)
    assert len(made) == 2


def test_a_table_is_made_again_when_something_else_is_asked(study, tmp_path):
    for turn, asked in enumerate(({"seed": 0}, {"seed": 1}, {"seed": 1, "limit": 200})):
        found = study.run.Found(tmp_path, asked)
        assert not found.has("one")
        made = found.table("one", lambda turn=turn: pd.DataFrame({"a": [turn]}))
        assert made["a"].tolist() == [turn]
        assert study.run.Found(tmp_path, asked).has("one")


def test_what_decides_the_tables_has_settings_limit_and_weights(study, tmp_path, monkeypatch):
    monkeypatch.setattr(study.run, "CHECKPOINTS", tmp_path)
    for name in ("net", "plain"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "checkpoint.pt").write_text(name)
    network, settings = {"name": "net", "plain": "plain"}, {"seed": 0}
    asked = [study.run.asked_of(network, settings, None)]
    asked.append(study.run.asked_of(network, {"seed": 1}, None))
    asked.append(study.run.asked_of(network, settings, 200))
    asked.append(study.run.asked_of({**network, "maps": [3]}, settings, None))
    (tmp_path / "plain" / "checkpoint.pt").write_text("other")
    asked.append(study.run.asked_of(network, settings, None))
    assert all(x != y for i, x in enumerate(asked) for y in asked[:i])


def test_trials_of_different_sizes_share_nothing(study, tmp_path, monkeypatch):
    seen = []

    def measure(network, settings, recordings, found):
        seen.append((network["name"], found.folder.relative_to(tmp_path), found.asked["limit"]))

    monkeypatch.setattr(study.run, "images_of", lambda data, work: work / data)
    monkeypatch.setattr(study.run, "recorded", lambda *_: None)
    monkeypatch.setattr(study.run, "measure", measure)
    monkeypatch.setattr(study.run, "write", lambda *_: None)
    for limit in (200, 500):
        study.run.main(tmp_path, ["vgg16-cifar10-60"], limit)
    name = "vgg16-cifar10-60"
    places = [Path(f"trial-{limit}") / "found" / name for limit in (200, 500)]
    assert seen == [(name, places[0], 200), (name, places[1], 500)]
    with pytest.raises(SystemExit, match="'vgg' is not listed"):
        study.run.main(tmp_path, ["vgg"], None)


def test_a_recording_of_a_code_is_named_after_what_its_rates_are_from(study, tmp_path):
    run = study.run.Run(tmp_path)
    run.checkpoint.write_text("one")
    first = study.recordings.coded_name("response", run, 2000)
    assert first == study.recordings.coded_name("response", run, 2000)
    assert first != study.recordings.coded_name("response", run, 1000)
    run.checkpoint.write_text("two")
    assert first != study.recordings.coded_name("response", run, 2000)


def test_networks_measured_elsewhere_keep_their_rows(study, tmp_path):
    before, work = tmp_path / "before", tmp_path / "work"
    before.mkdir()
    old = pd.DataFrame({"network": ["x", "y", "gone"], "value": [1.0, 2.0, 3.0]})
    old.to_csv(before / "states.csv", index=False)
    found = {name: study.run.Found(work / "found" / name, {"seed": 0}) for name in "xyz"}
    found["y"].table("states", lambda: pd.DataFrame({"value": [9.0]}))
    table = study.run.gathered(found, "states", before)
    assert table.to_dict("list") == {"network": ["x", "y"], "value": [1.0, 9.0]}
    assert study.run.gathered({"x": found["x"]}, "states", None).empty
    stale = {**found, "y": study.run.Found(work / "found" / "y", {"seed": 1})}
    assert study.run.gathered(stale, "states", before)["value"].tolist() == [1.0, 2.0]


def test_a_map_of_all_networks_is_drawn_only_with_all_of_them(study):
    listed = tomllib.loads((STUDY / "networks.toml").read_text("utf-8"))
    maps = pd.read_csv(STUDY / "maps.csv")
    places = maps[["network", "code", "layer"]].assign(x=0.0, y=0.0, label=0)
    panels = study.run.map_panels(places, maps, listed)
    assert panels["maps_networks"]["network"].nunique() == 5
    assert panels["maps_depth"]["panel"].nunique() == 9
    few = places[places["network"] != "vgg16-cifar10-60"]
    assert study.run.map_panels(few, maps, listed)["maps_networks"].empty


def test_numbers_of_paths_in_the_text_are_those_of_the_table():
    table = pd.read_csv(STUDY / "information.csv")
    one = table[(table["network"] == "resnet20-cifar10-50") & (table["code"] == "paths")]
    unique = one[one["measure"] == "unique paths"].set_index("layer")["value"]
    said = f"{unique[6]:.0f} and {unique[12]:.0f}"
    assert said in (STUDY / "README.md").read_text("utf-8")
    assert f"have {said} different" in " ".join(
        (STUDY / "networks.toml").read_text().replace("#", " ").split()
    )


def test_a_run_is_borrowed_and_recorded_with_codes_of_the_same_images(study, trained, tmp_path):
    s, borrowed = study.recordings, study.run.borrowed
    gated, plain = (
        borrowed(trained / name, tmp_path / "runs" / name, Path("digits"))
        for name in ("gated", "plain")
    )
    own = s.own_paths(gated, "digits", limit=40)
    codes = s.plain_codes(plain, "response", gated, "digits", 50, limit=40)
    assert own.images["image"].tolist() == codes.images["image"].tolist()
    assert own.folder.is_relative_to(tmp_path)
    assert not (trained / "gated" / "recordings" / "paths-40").exists()
    again = borrowed(trained / "gated", tmp_path / "runs" / "gated", Path("digits"))
    assert again == gated
    assert own.folder.is_dir()


def test_kept_networks_are_all_there():
    listed = tomllib.loads((STUDY / "networks.toml").read_text("utf-8"))["network"]
    for network in listed:
        for name in (network["name"], network["plain"]):
            assert (ANALYSES / "checkpoints" / name / "checkpoint.pt").is_file()
    names = {network["name"] for network in listed}
    for table in ("states", "depth", "clusters", "classes", "information", "maps"):
        assert set(pd.read_csv(STUDY / f"{table}.csv")["network"]) == names
    with_hierarchy = {one["name"] for one in listed if "hierarchy" in one}
    assert set(pd.read_csv(STUDY / "hierarchy.csv")["network"]) == with_hierarchy


def test_committed_figures_are_small_and_said_of_in_the_readme():
    text = (STUDY / "README.md").read_text("utf-8")
    for figure in STUDY.glob("*.svg"):
        assert figure.stat().st_size < 300_000
        assert f"]({figure.name})" in text


def test_maps_of_thousands_of_images_stay_small(study, tmp_path):
    rng = np.random.default_rng(0)
    places = pd.DataFrame(rng.normal(size=(18_000, 2)), columns=["x", "y"])
    places["label"] = rng.integers(0, 10, len(places))
    places["panel"] = np.repeat([f"panel {i}" for i in range(9)], 2000)
    places["network"] = "net"
    figure = study.figures.maps_figure(places, {"net": tuple("abcdefghij")})
    study.figures.save(figure, tmp_path / "maps.svg")
    assert (tmp_path / "maps.svg").stat().st_size < 300_000
