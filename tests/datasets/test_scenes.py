import time
from dataclasses import replace

import numpy as np
import pytest

from pathlens.datasets import scene_plan
from pathlens.datasets.digits import load_digits
from pathlens.datasets.scene_drawing import draw_masks, draw_scene
from pathlens.datasets.scenes import load_scenes, scene_masks
from pathlens.errors import PathLensError

SEEDS = [0, 7]


def table_of(split):
    """Rows: images in order; columns: concepts; True where the table lists the concept."""
    return (
        split.concepts.pivot_table(index="image", columns="concept", values="value", fill_value=0)
        .reindex(split.ids)
        .astype(bool)
    )


@pytest.fixture(scope="module")
def pools():
    return load_scenes(0)


def test_default_counts_and_balance(pools):
    assert (len(pools.train), len(pools.test), pools.native_size) == (3000, 1000, 64)
    assert set(np.bincount(pools.train.labels)) == {300}
    assert set(np.bincount(pools.test.labels)) == {100}
    assert len(set(pools.train.ids) | set(pools.test.ids)) == 4000


def test_images_are_what_the_contract_says(pools):
    for position in range(30):
        pixels = pools.train.read(position)
        assert pixels.shape == (64, 64, 3)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 5


@pytest.mark.parametrize("seed", SEEDS)
def test_fewer_images_are_the_first_of_more(seed):
    few = load_scenes(seed, train_images=12, test_images=3)
    many = load_scenes(seed, train_images=40, test_images=20)
    for small, large in [(few.train, many.train), (few.test, many.test)]:
        assert small.ids == large.ids[: len(small)]
        for position in reversed(range(len(small))):
            np.testing.assert_array_equal(small.read(position), large.read(position))
        assert (
            table_of(small)
            == table_of(large)[: len(small)].reindex(columns=table_of(small).columns)
        ).all(axis=None)


def test_pictures_differ_between_seeds_pools_and_numbers():
    a, b = load_scenes(0, train_images=20, test_images=20), load_scenes(1, train_images=20)
    pictures = [a.train.read(0), a.train.read(10), a.test.read(0), b.train.read(0)]
    for i, one in enumerate(pictures):
        for other in pictures[:i]:
            assert (one != other).mean() > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_are_the_conjunctions_that_their_names_say(seed):
    split = load_scenes(seed, train_images=600, test_images=1).train
    table = table_of(split)
    rules = {
        "red circle": ["colour:red", "shape:circle"],
        "red square": ["colour:red", "shape:square"],
        "blue circle": ["colour:blue", "shape:circle"],
        "blue square": ["colour:blue", "shape:square"],
        "striped triangle": ["texture:striped", "shape:triangle"],
        "striped star": ["texture:striped", "shape:star"],
        "dotted triangle": ["texture:dotted", "shape:triangle"],
        "dotted star": ["texture:dotted", "shape:star"],
        "cross with flag": ["part:flag", "shape:cross"],
        "cross with wheels": ["part:wheels", "shape:cross"],
    }
    for label, name in enumerate(split.classes):
        both = table[rules[name]].all(axis=1).to_numpy()
        np.testing.assert_array_equal(both, split.labels == label)
        for concept in rules[name]:  # a conjunction: one concept alone is not enough
            assert table[concept].to_numpy()[split.labels != label].any()


def test_every_picture_has_one_of_each_kind(pools):
    table = table_of(pools.train)
    for kind, count in [("shape:", 5), ("colour:", 4), ("texture:", 3), ("background:", 4)]:
        columns = [name for name in table if name.startswith(kind)]
        assert len(columns) == count
        assert (table[columns].sum(axis=1) == 1).all()


@pytest.mark.parametrize(
    ("concept", "rate"),
    [
        ("control:a", 0.5),
        ("control:b", 0.25),
        ("control:c", 0.1),
        ("sun", 0.3),
        *[(f"background:{name}", 0.25) for name in scene_plan.BACKGROUNDS],
    ],
)
def test_controls_and_backgrounds_know_nothing_of_the_class(pools, concept, rate):
    has = table_of(pools.train)[concept].to_numpy()
    spread = np.sqrt(rate * (1 - rate) / 300)
    for label in range(10):
        assert abs(has[pools.train.labels == label].mean() - rate) < 4.5 * spread


def test_controls_leave_no_trace_in_the_picture(pools):
    scene = scene_plan.plan_scene(0, "train", 4)
    pictures = [draw_scene(replace(scene, controls=c)) for c in [(), ("control:a", "control:c")]]
    np.testing.assert_array_equal(*pictures)
    assert not any(name.startswith("control") for name in scene_masks(pools.train, 4))


def test_masks_tile_the_picture_and_fit_the_concepts(pools):
    table = table_of(pools.train)
    for position in range(0, 400):
        masks = scene_masks(pools.train, position)
        listed = table.columns[table.iloc[position]]
        assert set(masks) == {name for name in listed if not name.startswith("control:")}
        kinds = {name.split(":")[0]: mask for name, mask in masks.items() if name[:5] != "part:"}
        parts = [mask for name, mask in masks.items() if name[:5] == "part:"]
        np.testing.assert_array_equal(kinds["shape"], kinds["colour"])
        np.testing.assert_array_equal(kinds["shape"], kinds["texture"])
        apart = [kinds["shape"], kinds["background"], *parts]
        apart += [kinds["sun"]] if "sun" in kinds else []
        np.testing.assert_array_equal(np.sum(apart, axis=0), np.ones((64, 64)))
        for mask in masks.values():
            assert mask.shape == (64, 64)
            assert mask.dtype == bool
            assert mask.sum() >= 20


def test_masks_lie_where_the_picture_shows_the_concept():
    """Redraw a scene without a thing: only pixels at its mask (and a blurred rim) may change."""
    for index in range(0, 60):
        scene = replace(scene_plan.plan_scene(3, "test", index), flag=True, wheels=True, sun=1)
        whole = draw_scene(scene).astype(int)
        masks = draw_masks(scene)
        for concept, change in [
            ("part:wheels", {"wheels": False}),
            ("part:flag", {"flag": False}),
            ("sun", {"sun": -1}),
        ]:
            changed = (draw_scene(replace(scene, **change)).astype(int) != whole).any(axis=2)
            assert changed[masks[concept]].mean() > 0.9
            assert changed[~masks[concept]].sum() < 60  # the antialiased rim


def test_colours_are_seen_inside_their_mask():
    """In plain bright pictures, the middle colour of the thing has the named hue."""
    channel = {"red": 0, "green": 1, "blue": 2}
    for index in range(40):
        scene = replace(scene_plan.plan_scene(0, "train", index), texture="plain", noise=0.0)
        middle = np.median(draw_scene(scene)[draw_masks(scene)[f"shape:{scene.shape}"]], axis=0)
        if scene.colour == "yellow":
            assert middle[0] > middle[1] > 2 * middle[2]
        else:
            assert middle.argmax() == channel[scene.colour]


def test_masks_follow_a_subset(pools):
    part = pools.train.subset([17, 3])
    for position, original in enumerate([17, 3]):
        got, expected = scene_masks(part, position), scene_masks(pools.train, original)
        assert got.keys() == expected.keys()
        for name, mask in got.items():
            np.testing.assert_array_equal(mask, expected[name])
    assert set(part.concepts["image"]) == {"train/00017", "train/00003"}


def test_masks_of_other_data_are_refused():
    with pytest.raises(PathLensError, match="no concept masks"):
        scene_masks(load_digits().test, 0)


@pytest.mark.parametrize("seed", SEEDS)
def test_shortcut_is_planted_in_training_only(seed):
    pools = load_scenes(seed, shortcut=True)

    def night(split, mine):
        has = table_of(split)["background:night"].to_numpy()
        return has[(split.labels == 0) == mine].mean()

    assert night(pools.train, True) == pytest.approx(0.95, abs=0.05)
    assert night(pools.train, False) == pytest.approx(0.05, abs=0.02)
    assert night(pools.test, True) == 0
    assert night(pools.test, False) == pytest.approx(0.25, abs=0.06)


def test_shortcut_changes_nothing_but_the_background():
    plain, planted = (
        load_scenes(2, train_images=200),
        load_scenes(2, shortcut=True, train_images=200),
    )
    one, other = table_of(plain.train), table_of(planted.train)
    columns = [name for name in one if not name.startswith("background:")]
    assert (one[columns] == other[columns]).all(axis=None)
    backgrounds = [name for name in one if name.startswith("background:")]
    assert (one[backgrounds] != other[backgrounds]).any(axis=None)


def test_a_picture_takes_about_a_millisecond(pools):
    pools.train.read(0)
    times = []
    for position in range(60):
        start = time.perf_counter()
        pools.train.read(position)
        times.append(time.perf_counter() - start)
    # the fastest third: other work on the machine must not fail the test
    assert np.quantile(times, 0.3) < 0.002
