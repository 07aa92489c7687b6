import numpy as np
import pytest

from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.states.class_states import class_states
from pathlens.analysis.states.filter_states import filter_states
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording


def with_specialists(seed, images=600, classes=6):
    """Filters 0 and 1 run in classes 2 and {0, 5}; the others in all, in none or at random."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % classes)
    bits = rng.random((images, 10)) < 0.5
    bits[:, 0] = (labels == 2) & (rng.random(images) < 0.4)
    bits[:, 1] = ((labels == 0) | (labels == 5)) & (rng.random(images) < 0.9)
    bits[:, 2], bits[:, 3] = False, True
    return bits, labels


@pytest.mark.parametrize("tolerance", [0.0, 0.05])
def test_states_of_each_class_are_those_of_its_images_alone(tolerance):
    bits, labels = with_specialists(0)
    layers = {"a": bits[:, :4], "b": bits[:, 4:]}
    found = class_states(make_recording(layers, labels, classes="abcdef"), tolerance=tolerance)
    assert list(found.frame.columns) == ["layer", "name", "filter", "class", "rate", "state"]
    for code, name in enumerate("abcdef"):
        rows = {key: part[labels == code] for key, part in layers.items()}
        alone = filter_states(make_recording(rows), tolerance=tolerance).frame
        part = found.frame[found.frame["class"] == name]
        for column in ("layer", "name", "filter", "state"):
            assert part[column].tolist() == alone[column].tolist()
        assert part["rate"].tolist() == pytest.approx(alone["rate"].tolist())
    for row in found.by_filter.itertuples():
        same = (found.frame["layer"] == row.layer) & (found.frame["filter"] == row.filter)
        states = found.frame[same]["state"].tolist()
        assert states.count("mute") == row.mute
        assert states.count("dynamic") == row.dynamic
        assert states.count("high-energy") == row.high_energy


@pytest.mark.parametrize("seed", range(3))
def test_planted_specialists_are_found_with_their_classes_and_rates(seed):
    bits, labels = with_specialists(seed)
    found = class_states(make_recording(bits, labels, classes="abcdef"))
    table = found.specialists.set_index("filter")
    assert sorted(table.index) == [0, 1]
    assert table["classes"].to_dict() == {0: ("c",), 1: ("a", "f")}
    assert table.loc[0, "rate"] == pytest.approx(bits[labels == 2, 0].mean())
    assert table.loc[1, "rate"] == pytest.approx(bits[(labels == 0) | (labels == 5), 1].mean())
    assert table["images"].to_dict() == {0: bits[:, 0].sum(), 1: bits[:, 1].sum()}
    assert found.by_chance == 0
    assert found.p == pytest.approx(1 / 51)
    only_one = class_states(make_recording(bits, labels), most_classes=1)
    assert only_one.specialists["filter"].tolist() == [0]


@pytest.mark.parametrize("tolerance", [0.0, 0.06])
def test_chance_is_counted_as_a_slow_loop_counts_it(tolerance):
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 5, 400)
    labels[:9] = -1
    bits = rng.random((400, 30)) < rng.choice([0.003, 0.008, 0.02, 0.05, 0.3], 30)
    layers = {"a": bits[:, :11], "b": bits[:, 11:]}
    found = class_states(
        make_recording(layers, labels), tolerance=tolerance, seed=3, permutations=8
    )
    rng, known = np.random.default_rng(3), labels >= 0
    null, hits = [], np.ones(30)
    for _ in range(8):
        dealt = rng.permutation(labels[known])
        one = class_states(
            make_recording(bits[known], dealt), tolerance=tolerance, permutations=0
        ).specialists
        null.append(len(one))
        hits[one["filter"]] += 1
    assert found.null.tolist() == null
    assert max(null) > 0
    assert found.by_layer["by_chance"].sum() == pytest.approx(np.mean(null))
    assert found.by_layer["specialists"].tolist() == [
        int((found.specialists["layer"] == number).sum()) for number in (1, 2)
    ]
    for row in found.specialists.itertuples():
        assert row.chance == pytest.approx(hits[row.filter + 11 * (row.layer - 1)] / 9)


def test_a_filter_that_is_on_for_a_whole_class_can_be_a_specialist_by_chance():
    labels = np.array([0, 0, 1, 1])
    found = class_states(
        make_recording(labels[:, None] == 0, labels), most_classes=1, permutations=300
    )
    # Two of the six ways to deal the classes out give both of its images the same one.
    assert found.by_chance == pytest.approx(1 / 3, abs=0.1)
    assert found.specialists["chance"].item() == pytest.approx((1 + found.null.sum()) / 301)


@pytest.mark.parametrize("seed", range(4))
def test_labels_without_meaning_make_as_many_specialists_as_chance(seed):
    rng = np.random.default_rng(seed)
    bits = rng.random((500, 60)) < 0.004
    found = class_states(make_recording(bits, rng.integers(0, 8, 500)), seed=seed)
    assert len(found.specialists) > 10
    assert len(found.specialists) == pytest.approx(found.by_chance, abs=12)
    assert found.p > 0.01


def test_what_is_left_out_is_named():
    bits, labels = with_specialists(1)
    labels = np.where(labels == 3, -1, labels)
    found = class_states(make_recording(bits, labels, classes="abcdef"), tolerance=0.01)
    assert list(found.counts.index) == ["a", "b", "c", "e", "f"]
    assert "1 class without images" in found.left_out
    assert "100 images of unknown class" in found.left_out
    assert "5 classes with fewer than the 368 images" in found.left_out
    assert found.specialists.empty
    predicted = class_states(make_recording(bits, prediction=labels % 5))
    assert "predicted ones stand in" in predicted.left_out


def test_any_result_is_drawn_and_names_stay_text(ten_classes):
    bits, labels = with_specialists(0)
    names = ["<script>", "a$b$c", "_hidden", "x" * 60, "e", "f"]
    found = class_states(make_recording(bits, labels, classes=names))
    svg = figure_bytes(found.plot(), "svg").decode()
    assert "<script>" not in svg
    assert "a$b$c" in svg
    figure_bytes(class_states(ten_classes).plot(), "svg")
    for odd in (
        class_states(make_recording(bits, labels), permutations=0),
        class_states(make_recording(bits, labels * 0)),
        class_states(make_recording(bits & False, labels)),
    ):
        figure_bytes(odd.plot(), "svg")
        assert odd.summary().endswith(".")
        assert "nan" not in odd.summary()


def test_bad_choices_are_one_sentence(ten_classes):
    with pytest.raises(PathLensError, match="neither labels nor predictions"):
        class_states(make_recording(np.zeros((3, 3), dtype=bool)))
    with pytest.raises(PathLensError, match="give at least 1 and 0"):
        class_states(ten_classes, most_classes=0)
    with pytest.raises(PathLensError, match=r"below 0\.5"):
        class_states(ten_classes, tolerance=0.7)
