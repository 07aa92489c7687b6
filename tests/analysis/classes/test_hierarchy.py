import itertools
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.cluster.hierarchy import cophenet, linkage
from scipy.spatial.distance import squareform
from scipy.stats import pearsonr, spearmanr

from pathlens.analysis import class_paths
from pathlens.analysis.classes.class_hierarchies import cifar10_hierarchy, class_distances
from pathlens.analysis.classes.hierarchy import compare_class_paths, compare_with_hierarchy
from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.mantel import mantel
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording

SHARED = Path(os.environ.get("PATHLENS_SHARED", Path(__file__).parents[2] / "../shared"))
TREE = {"animal": {"pet": ["cat", "dog"], "wild": ["deer"]}, "thing": {"road": ["car", "van"]}}
NAMES = ["cat", "dog", "deer", "car", "van"]


def along_the_tree(seed, images=500):
    """Filters of the groups of the tree, and of single classes; labels in the order of NAMES."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 5, images)
    groups = [[0, 1, 2], [3, 4], [0, 1], [2], [3], [4], [0]]
    bits = np.stack([np.isin(labels, one) for one in groups for _ in range(4)], axis=1)
    return bits ^ (rng.random(bits.shape) < 0.1), labels


@pytest.mark.parametrize("seed", range(3))
def test_correlations_and_p_against_slow_loops(seed):
    rng = np.random.default_rng(seed)
    bits, labels = rng.random((300, 20)) < 0.5, rng.integers(0, 5, 300)
    bits[labels < 2, :6] = True
    recording = make_recording({"a": bits[:, :9], "b": bits[:, 9:]}, labels, classes=NAMES)
    found = compare_with_hierarchy(recording, TREE, permutations=400, seed=seed)
    other = squareform(class_distances(TREE, NAMES).to_numpy())
    for layer, row in [(None, found.frame.iloc[0]), (1, found.by_layer.iloc[0])]:
        paths = class_paths(recording, layer)
        own = squareform(1 - paths.similarity.to_numpy(), checks=False)
        heights = cophenet(linkage(own, "average"))
        assert row["pearson"] == pytest.approx(pearsonr(heights, other)[0])
        assert row["spearman"] == pytest.approx(spearmanr(heights, other)[0])
        if layer is None:
            assert row["direct"] == pytest.approx(pearsonr(own, other)[0])
            assert row["fit"] == pytest.approx(pearsonr(own, heights)[0])
            assert found.pairs["cophenetic"].to_numpy() == pytest.approx(heights)
        # All orders of five classes, instead of a sample of them.
        square, every = squareform(other), []
        for order in itertools.permutations(range(5)):
            every.append(pearsonr(heights, squareform(square[np.ix_(order, order)]))[0])
        exact = np.mean(np.array(every) >= row["pearson"] - 1e-12)
        assert row["p"] == pytest.approx(exact, abs=0.08)


def test_p_counts_the_observed_order_and_ties():
    other = np.array([1.0, 2, 3, 4, 5, 6])
    found = mantel(np.stack([other, -other, np.ones(6)]), other, permutations=99, seed=0)
    assert found.correlation[:2] == pytest.approx([1, -1])
    assert 0.01 <= found.p[0] < 0.12
    assert found.p[1] == 1
    assert np.isnan([found.correlation[2], found.p[2]]).all()
    unlike = np.random.default_rng(0).random(66)
    assert mantel(unlike[None], unlike, permutations=49, seed=0).p.tolist() == [1 / 50]
    equal = mantel(np.array([[0.1, 0.7, 0.7, 0.7, 0.7, 0.1]]), other[[0, 1, 1, 1, 1, 0]], 60, 1)
    assert equal.p[0] > 0.2


@pytest.mark.parametrize("seed", range(3))
def test_paths_along_the_tree_follow_it_and_those_at_random_do_not(seed):
    bits, labels = along_the_tree(seed)
    recording = make_recording(bits, labels, classes=NAMES)
    rng = np.random.default_rng(seed)
    deaf = make_recording(rng.random(bits.shape) < 0.4, labels, classes=NAMES)
    found = compare_with_hierarchy(recording, TREE, baselines={"deaf": deaf})
    assert found.frame["code"].tolist() == ["paths", "deaf"]
    own, other = found.frame.itertuples()
    assert own.pearson > 0.85
    assert own.p < 0.1
    assert other.pearson < own.pearson
    assert "baselines: deaf" in found.summary()
    assert found.frame.equals(
        compare_with_hierarchy(recording, TREE, baselines={"deaf": deaf}).frame
    )


def test_p_is_even_when_classes_mean_nothing():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bits, labels = rng.random((90, 12)) < 0.5, np.arange(90) % 9
        table = pd.DataFrame(rng.random((9, 6)) < 0.5, index=range(9)).astype(int)
        table.index = [f"class {i}" for i in range(9)]
        found = compare_with_hierarchy(
            make_recording(bits, labels), table, permutations=99, seed=seed
        )
        p.append(found.frame["p"].item())
    assert np.mean(np.array(p) <= 0.1) < 0.25
    assert 0.35 < np.mean(p) < 0.65


def test_all_forms_of_a_hierarchy_give_the_same_distances(tmp_path):
    expected = class_distances(TREE, NAMES)
    assert expected.loc["cat", "dog"] == 0
    assert expected.loc["cat", "deer"] == pytest.approx(1 - 1 / 3)
    assert expected.loc["cat", "car"] == 1
    table = pd.DataFrame(
        [[1, 1, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0], [0, 0, 0, 1, 1], [0, 0, 0, 1, 1]],
        index=NAMES,
        columns=["animal", "pet", "wild", "thing", "road"],
    )
    forms = {"supers.tsv": table, "supers.csv": table, "distances.csv": expected}
    for name, frame in forms.items():
        frame.to_csv(tmp_path / name, sep="\t" if name.endswith("tsv") else ",")
        assert np.allclose(class_distances(tmp_path / name, NAMES), expected)
    (tmp_path / "tree.json").write_text(json.dumps(TREE))
    assert class_distances(tmp_path / "tree.json", NAMES).equals(expected)
    assert class_distances(table, NAMES).equals(expected)
    assert class_distances(table.rename_axis("class").reset_index(), NAMES).equals(expected)
    shuffled = expected.loc[NAMES[::-1], sorted(NAMES)]
    assert class_distances(shuffled, NAMES).equals(expected)
    assert class_distances(TREE, [*NAMES[::-1], "stranger"]).equals(
        expected.loc[NAMES[::-1], NAMES[::-1]]
    )


def test_classes_go_by_other_names():
    bits, labels = along_the_tree(0)
    found = make_recording(bits, labels, classes=["Katze", "Hund", "deer", "car", "van"])
    named = compare_with_hierarchy(found, TREE, names={"cat": "Katze", "dog": "Hund"})
    assert named.classes == ("Katze", "Hund", "deer", "car", "van")
    assert named.left_out == ""
    with pytest.raises(PathLensError, match="knows 3 classes"):
        compare_with_hierarchy(found, TREE)
    partly = compare_with_hierarchy(found, TREE, names={"cat": "Katze"})
    assert partly.left_out == "1 class that the hierarchy lacks (Hund)"
    assert len(partly.pairs) == 6


def test_superclasses_of_the_shared_images():
    path = SHARED / "data/tinyimagenet20_a/superclasses.tsv"
    if not path.is_file():
        pytest.skip(f"no shared data at {path}")
    table = pd.read_csv(path, sep="\t", index_col=0)
    found = class_distances(path, table.index)
    assert found.shape == (20, 20)
    for one, other in itertools.combinations(table.index, 2):
        left, right = (set(table.columns[table.loc[name] == 1]) for name in (one, other))
        slow = 1 - len(left & right) / len(left | right)
        assert found.loc[one, other] == pytest.approx(slow)


def test_cifar10_is_placed_as_wordnet_places_it():
    table = cifar10_hierarchy()
    assert list(table.index) == [
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ]
    assert table["entity"].tolist() == [1] * 10
    kinds = {name: set(table.index[table[name] == 1]) for name in table}
    assert kinds["vertebrate"] == {"bird", "cat", "deer", "dog", "frog", "horse"}
    assert kinds["placental"] == {"cat", "deer", "dog", "horse"}
    assert kinds["carnivore"] == {"cat", "dog"}
    assert kinds["ungulate"] == {"deer", "horse"}
    assert kinds["craft"] == {"airplane", "ship"}
    assert kinds["motor_vehicle"] == kinds["container"] == {"automobile", "truck"}
    distances = class_distances(table, table.index)
    # All but feline, canine and domestic animal are shared.
    assert table.loc[["cat", "dog"]].sum(axis=1).tolist() == [13, 14]
    assert distances.loc["cat", "dog"] == pytest.approx(1 - 12 / 15)
    assert distances.loc["automobile", "truck"] == 0


def test_tables_that_are_no_hierarchy_are_refused(tmp_path):
    good = pd.DataFrame([[1, 0]], index=["cat"], columns=["x", "y"])
    skewed = pd.DataFrame([[0, 1], [2, 0]], index=["a", "b"], columns=["a", "b"])
    (tmp_path / "bad.json").write_text("{")
    for bad, said in [
        (good * 2, "neither one of superclasses"),
        (good.astype(str).replace("1", "yes"), "neither one of superclasses"),
        (skewed, "symmetric"),
        (pd.concat([good, good]), "two rows for the class 'cat'"),
        (tmp_path / "none.tsv", "no file of a class hierarchy"),
        (tmp_path / "bad.json", "cannot be read as a class hierarchy"),
        ({"animal": {"cat": 3}}, "a int under 'animal/cat'"),
        (["cat"], "list is none of them"),
    ]:
        with pytest.raises(PathLensError, match=said):
            class_distances(bad, ["cat", "dog"])
    with pytest.raises(PathLensError, match="Unknown class of the recording in the hierarchy 'ca'"):
        class_distances(good, ["ca"])
    with pytest.raises(PathLensError, match="permutations is 0"):
        compare_with_hierarchy(
            make_recording(*along_the_tree(0), classes=NAMES), TREE, permutations=0
        )


def test_any_result_is_drawn_and_names_stay_text():
    bits, labels = along_the_tree(0)
    names = ["<script>", "a$b$c", "_hidden", "x" * 60, "e"]
    tree = {"<b>": names[:3], "$": names[3:]}
    layers = {"one": bits[:, :9], "still": bits[:, :2] | True, "two": bits[:, 9:]}
    recording = make_recording(layers, labels, classes=names)
    found = compare_with_hierarchy(recording, tree, baselines={"$same<i>": recording})
    svg = figure_bytes(found.plot(), "svg").decode()
    assert "<script>" not in svg
    assert "a$b$c" in svg
    assert found.by_layer["p"].isna().tolist() == [False, True, False] * 2
    assert (found.by_layer["p_holm"].dropna() >= found.by_layer["p"].dropna()).all()
    figure_bytes(compare_with_hierarchy(recording, tree, "one").plot(), "svg")
    still = compare_with_hierarchy(recording, tree, "still")
    assert "nothing to correlate" in still.summary()
    figure_bytes(still.plot(), "svg")


def test_class_paths_that_are_there_can_be_compared():
    recording = make_recording(*along_the_tree(1), classes=NAMES)
    one = compare_class_paths({"paths": class_paths(recording)}, TREE, seed=2)
    assert one.frame.equals(compare_with_hierarchy(recording, TREE, seed=2).frame)
