import numpy as np
import pytest

from pathlens.errors import PathLensError
from pathlens.exploring import Explorer
from pathlens.exploring.explorer import NUMBER, RATE, SPREAD
from pathlens.exploring.layer_facts import layer_facts
from tests.analysis.conftest import make_recording

from .conftest import EVIL, make_pictured


def test_the_last_layer_is_chosen_and_its_most_class_like_filter(pictured):
    explorer = Explorer(pictured)
    labels, bits = pictured.images["label"].to_numpy(), pictured.bits("head.class")
    spreads = []
    for column in bits.T:
        rates = np.array([column[labels == k].mean() for k in labels])  # one value an image
        spreads.append(np.sqrt(np.mean((rates - column.mean()) ** 2)))
    assert explorer.facts.layer.name == "head.class"
    assert explorer.filter == np.argmax(spreads)
    np.testing.assert_allclose(explorer.facts.frame["spread"], spreads)


@pytest.mark.parametrize("seed", range(3))
def test_the_spread_by_chance_is_that_of_labels_dealt_out_at_random(seed):
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, 60, p=[0.6, 0.3, 0.1])
    bits = rng.random((60, 4)) < [0.1, 0.4, 0.6, 0.9]
    stated = layer_facts(make_recording(bits, labels), make_recording(bits, labels).layers[0])
    squares = []
    for _ in range(600):
        dealt = make_recording(bits, rng.permutation(labels))
        codes = dealt.images["label"].to_numpy()
        means = np.stack([bits[codes == k].mean(axis=0) for k in range(3)])[codes]
        squares.append(((means - bits.mean(axis=0)) ** 2).mean(axis=0))
    np.testing.assert_allclose(
        stated.frame["spread_by_chance"], np.sqrt(np.mean(squares, axis=0)), rtol=0.1
    )


def test_facts_are_those_of_a_loop(pictured):
    facts = Explorer(pictured).facts
    labels, bits = pictured.images["label"].to_numpy(), pictured.bits("head.class")
    for number, row in facts.frame.iterrows():
        assert row["rate"] == bits[:, number].mean()
        for k, rate in enumerate(facts.class_rates[number]):
            assert rate == bits[labels == k, number].mean()
    assert list(facts.frame["state"][:3]) == ["high-energy", "mute", "dynamic"]
    assert facts.frame["specialist"][2] == (EVIL,)
    assert facts.frame["specialist_chance"][2] == 1 / 51  # under none of the permutations
    assert facts.frame["specialist"][0] == ()


def test_a_specialist_by_chance_is_not_marked():
    rng = np.random.default_rng(0)
    bits = rng.random((80, 6)) < 0.5
    bits[:, 0] = np.arange(80) == 7  # on for one image: in one class only, whatever the labels
    facts = Explorer(make_recording(bits, rng.integers(0, 4, 80))).facts
    assert not any(facts.frame["specialist"])


def test_filters_are_listed_in_the_order_asked_for(pictured):
    explorer = Explorer(pictured)
    for order, column, ascending in (
        (SPREAD, "spread", False),
        (RATE, "rate", False),
        (NUMBER, "filter", True),
    ):
        explorer.choose_order(order)
        values = explorer.listed[column]
        assert len(values) == 12
        assert list(values) == sorted(values, reverse=not ascending)
    with pytest.raises(PathLensError, match="order"):
        explorer.choose_order("colour")


def test_another_layer_brings_its_filters_and_images(pictured):
    explorer = Explorer(pictured)
    explorer.choose_order(NUMBER)
    explorer.choose_filter(7)
    before = explorer.pictures
    explorer.choose_layer("body.one")
    assert explorer.filter == 0
    assert list(explorer.listed["filter"]) == list(range(5))
    assert (explorer.pictures.layer.name, explorer.pictures.filter) == ("body.one", 0)
    explorer.choose_layer(3)
    explorer.choose_filter(7)
    assert list(explorer.pictures.frame["position"]) == list(before.frame["position"])


def test_another_layer_begins_with_its_first_listed_filter(pictured):
    explorer = Explorer(pictured)
    explorer.choose_order(RATE)
    explorer.choose_layer(2)  # its rates grow with the number of the filter
    assert explorer.filter == pictured.bits(2).mean(axis=0).argmax() > 0


def test_images_are_the_strongest_and_the_weakest(pictured):
    explorer = Explorer(pictured, images=4)
    explorer.choose_filter(5)
    values = pictured.score_table["head.class"][:, 5]
    frame = explorer.pictures.frame
    order = np.argsort(values)
    assert list(frame.loc[frame["side"] == "top", "position"]) == list(order[::-1][:4])
    assert list(frame.loc[frame["side"] == "bottom", "position"]) == list(order[:4])


def test_a_layer_is_read_once_while_its_filters_are_chosen(pictured):
    explorer = Explorer(pictured)
    pictured.read.clear()
    for number in range(12):
        explorer.choose_filter(number)
        assert len(explorer.pictures.frame)
        explorer.choose_image(number)
        assert explorer.path.gates.shape == (12,)
    assert pictured.read.count("scores of head.class") <= 1
    assert pictured.read.count("head.class") <= 1
    explorer.choose_layer(1)
    assert len(explorer.pictures.frame)
    assert set(pictured.read) <= {
        "head.class",
        "scores of head.class",
        "body.one",
        "scores of body.one",
    }
    np.testing.assert_array_equal(explorer.path.gates, pictured.bits("body.one")[11])


def test_an_image_stays_chosen_and_shows_its_path_in_every_layer(pictured):
    explorer = Explorer(pictured)
    explorer.choose_image(17)
    label = pictured.images["label"][17]
    for layer in pictured.layers:
        explorer.choose_layer(layer.index)
        bits, path = pictured.bits(layer.name), explorer.path
        np.testing.assert_array_equal(path.gates, bits[17])
        of_class = bits[pictured.images["label"] == label]
        np.testing.assert_allclose(path.expected, of_class.mean(axis=0))
        as_it_is = (of_class == bits[17]).mean(axis=0)
        assert path.unusual(3) == [
            i for i in np.argsort(as_it_is, kind="stable")[:3] if as_it_is[i] < 0.5
        ]
    assert path.image == pictured.images["image"][17]
    assert path.thumbnail.endswith(b"17")
    explorer.choose_image(None)
    assert explorer.path is None


def test_only_filters_on_the_path_are_listed_when_asked(pictured):
    explorer = Explorer(pictured)
    explorer.keep_to_path(True)
    assert len(explorer.listed) == 12  # no image is chosen
    explorer.choose_image(3)
    on = np.flatnonzero(pictured.bits("head.class")[3])
    assert set(explorer.listed["filter"]) == set(on)
    assert explorer.filter in on
    explorer.choose_layer("body.one")
    assert set(explorer.listed["filter"]) == set(np.flatnonzero(pictured.bits("body.one")[3]))
    explorer.keep_to_path(False)
    explorer.choose_layer("head.class")
    explorer.choose_filter(1)  # mute
    explorer.keep_to_path(True)
    assert explorer.filter == explorer.listed["filter"].iloc[0]


def test_a_path_with_nothing_on_lists_nothing():
    bits = np.ones((20, 4), dtype=bool)
    bits[5] = False
    explorer = Explorer(make_recording(bits, np.arange(20) % 2))
    explorer.choose_image(5)
    explorer.keep_to_path(True)
    assert explorer.listed.empty
    assert explorer.pictures.filter == explorer.filter == 0


def test_without_classes_filters_are_listed_by_rate():
    explorer = Explorer(make_pictured(labelled=False))
    assert SPREAD not in explorer.orders
    assert explorer.order == RATE
    explorer.choose_image(2)
    assert explorer.path.group == ""
    np.testing.assert_allclose(explorer.path.expected, explorer.facts.frame["rate"])


def test_bad_choices_are_told_in_a_sentence_and_change_nothing(pictured):
    explorer = Explorer(pictured)
    before = (explorer.facts, explorer.filter, explorer.image)
    for wrong in (
        lambda: explorer.choose_layer("body.on"),
        lambda: explorer.choose_layer(9),
        lambda: explorer.choose_filter(12),
        lambda: explorer.choose_filter(-1),
        lambda: explorer.choose_image(240),
        lambda: Explorer(pictured, layer="nope"),
        lambda: Explorer(pictured, images=0),
        lambda: Explorer(make_recording(np.zeros((0, 3), dtype=bool))),
        lambda: Explorer(make_recording({}, [0, 1])),
    ):
        with pytest.raises(PathLensError):
            wrong()
    assert (explorer.facts, explorer.filter, explorer.image) == before
