import io

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import silhouette_samples

from pathlens.analysis import path_clusters
from pathlens.analysis.clustering.cluster_cards import cluster_cards
from pathlens.analysis.drawing import figure_bytes
from pathlens.errors import PathLensError
from tests.analysis.conftest import MemoryRecording, make_recording, planted


class WithPictures(MemoryRecording):
    def thumbnails(self, positions):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8), (200, 30, 30)).save(buffer, "PNG")
        return [
            b"" if p % 7 == 0 else b"broken" if p % 7 == 1 else buffer.getvalue() for p in positions
        ]


def clustered(seed=0, images=160, **options):
    bits, labels = planted(seed, images=images, classes=3, filters=30, noise=0.1)
    labels = np.where(np.random.default_rng(seed).random(images) < 0.1, (labels + 1) % 3, labels)
    data = make_recording(bits, labels, classes=["<script>", "a$b$c", "_hidden" * 9])
    return data, path_clusters(data, permutations=0, **options)


@pytest.mark.parametrize("seed", range(3))
def test_typical_and_odd_images_against_loops(seed):
    data, found = clustered(seed)
    cards = cluster_cards(data, found, typical=3, odd=2)
    bits = data.bits("conv")
    clusters = found.frame["cluster"].to_numpy()
    distances = (bits[:, None] != bits[None]).mean(axis=2)
    for cluster in range(1, clusters.max() + 1):
        inside = np.flatnonzero(clusters == cluster)
        own = {i: np.mean([distances[i, j] for j in inside if j != i]) for i in inside}
        others = [np.flatnonzero(clusters == c) for c in set(clusters) - {cluster}]
        ratio = {i: own[i] / min(distances[i, j].mean() for j in others) for i in inside}
        part = cards.images[cards.images["cluster"] == cluster].set_index("role")
        assert part.loc["typical", "value"].tolist() == pytest.approx(sorted(own.values())[:3])
        for role, value in (("typical", own), ("odd", ratio)):
            named = [value[i] for i in part.loc[role, "position"]]
            assert named == pytest.approx(part.loc[role, "value"].tolist())
        assert part.loc["odd", "value"].tolist() == pytest.approx(
            sorted(ratio.values(), reverse=True)[:2]
        )
        majority = np.bincount(data.images["label"].to_numpy()[inside]).argmax()
        strange = part.loc[["other class"], "position"]
        assert (data.images["label"].to_numpy()[strange] != majority).all()
    assert cards.images["image"].tolist() == data.images["image"].to_numpy()[
        cards.images["position"]
    ].tolist()  # fmt: skip


def test_facts_against_scikit_learn_and_loops():
    data, found = clustered(4)
    cards = cluster_cards(data, found)
    bits = data.bits("conv")
    clusters = found.frame["cluster"].to_numpy()
    distances = (bits[:, None] != bits[None]).mean(axis=2)
    silhouette = silhouette_samples(distances, clusters, metric="precomputed")
    for card in cards.frame.itertuples():
        inside = clusters == card.cluster
        assert card.images == inside.sum()
        assert card.silhouette == pytest.approx(silhouette[inside].mean())
        labels = data.images["label"].to_numpy()[inside]
        assert card.majority_share == pytest.approx(np.bincount(labels).max() / len(labels))


def test_marking_filters_are_those_with_the_largest_difference_and_carry_no_p():
    bits, labels = planted(1, images=120, classes=2, filters=20, noise=0.1)
    bits[:, 4] = labels == 0
    first = bits[:, :12]
    data = make_recording({"low": first, "high": bits[:, 12:]}, labels, classes="ab")
    found = path_clusters(data, permutations=0)
    cards = cluster_cards(data, found, filters=30)
    assert not [column for column in cards.filters if column.startswith("p")]
    clusters = found.frame["cluster"].to_numpy()
    for row in cards.filters.itertuples():
        gate = data.bits(row.name)[:, row.filter]
        assert row.layer == {"low": 1, "high": 2}[row.name]
        assert row.inside == pytest.approx(gate[clusters == row.cluster].mean())
        assert row.difference == pytest.approx(row.inside - gate[clusters != row.cluster].mean())
    best = cards.filters[cards.filters["rank"] == 1]
    assert best[["name", "filter"]].drop_duplicates().to_numpy().tolist() == [["low", 4]]
    sizes = cards.filters.groupby("cluster")["difference"].apply(
        lambda x: x.abs().is_monotonic_decreasing
    )
    assert sizes.all()


def test_cards_of_a_sample_and_noise_name_what_is_missing():
    bits, labels = planted(2, images=200, classes=3, filters=64, noise=0.03)
    bits[180:] = np.random.default_rng(0).random((20, 64)) < 0.5
    data = make_recording(bits, labels, classes="abc")
    found = path_clusters(data, method="hdbscan", max_images=150, permutations=0)
    cards = cluster_cards(data, found)
    assert found.noise > 0
    assert cards.left_out.startswith("50 of 200 images, by seed")
    assert f"{found.noise} images of noise" in cards.left_out
    assert "no thumbnails" in cards.left_out
    assert set(cards.frame["cluster"]) == {1, 2, 3}
    noise = found.frame.loc[found.frame["cluster"] == 0, "image"]
    assert not cards.images["image"].isin(noise).any()


def test_figures_with_and_without_pictures_draw_awkward_names():
    data, found = clustered(0)
    pictured = WithPictures(data.bits_by_layer, data.images, data.classes)
    cards = cluster_cards(pictured, found)
    assert any(cards.pictures.values())
    assert all(cards.images["position"] % 7 != 0) == (
        len(cards.pictures) == cards.images["image"].nunique()
    )
    for each in (cards, cluster_cards(data, found)):
        assert figure_bytes(each.plot(), "png", 40)
        assert each.summary()


def test_degenerate_clusters_have_cards():
    still = make_recording(np.ones((9, 4), dtype=bool))
    cards = cluster_cards(still, path_clusters(still))
    assert cards.frame["images"].tolist() == [9]
    assert cards.filters.empty
    assert cards.plot().axes
    few = make_recording(np.eye(3, dtype=bool), [0, 1, 1], classes="ab")
    nothing = cluster_cards(few, path_clusters(few, method="hdbscan"))
    assert nothing.frame.empty
    assert "no clusters" in nothing.summary()
    assert nothing.plot().axes


def test_another_recording_is_one_sentence():
    _, found = clustered(0)
    with pytest.raises(PathLensError, match="lacks images or layers"):
        cluster_cards(make_recording(np.zeros((3, 30), dtype=bool)), found)
