import itertools

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from pathlens.analysis import path_clusters
from pathlens.analysis.clustering.cluster_scores import agreement_rows, purity
from pathlens.analysis.clustering.clusters import cluster_bits
from pathlens.analysis.source import hamming_counts
from pathlens.analysis.statistics import label_agreement
from pathlens.errors import PathLensError
from tests.analysis.conftest import make_recording, planted


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found_with_their_number(seed):
    bits, labels = planted(seed, images=300, classes=5, filters=48, noise=0.05)
    found = path_clusters(make_recording(bits, labels, classes="abcde"), "conv", permutations=99)
    assert found.frame["cluster"].nunique() == 5
    assert found.scores["measure"].tolist() == ["AMI", "ARI", "purity"]
    assert found.scores["value"].tolist() == pytest.approx([1.0, 1.0, 1.0])
    assert found.scores["p"].tolist() == [0.01, 0.01, 0.01]
    assert found.frame.groupby("cluster").size().is_monotonic_decreasing


def test_a_cut_that_splits_off_one_odd_image_does_not_win():
    rng = np.random.default_rng(0)
    labels = np.arange(300) % 2
    two = np.stack([np.zeros(60), np.arange(60) < 12]).astype(bool)
    bits = two[labels] ^ (rng.random((300, 60)) < 0.06)
    bits = np.vstack([bits, np.arange(60) >= 6])
    # The plain criterion does fall for the odd image here.
    distances = squareform(pdist(bits, "hamming"))
    odd = np.arange(301) == 300
    cut = cluster_bits(bits)
    assert silhouette_score(distances, odd, metric="precomputed") > cut.silhouette
    assert adjusted_rand_score(labels, cut.clusters[:300]) > 0.9


def test_the_criterion_is_the_best_of_all_cuts_by_scikit_learn():
    bits, _ = planted(3, images=80, classes=4, filters=20, noise=0.15)
    distances = squareform(pdist(bits, "hamming"))
    tree = hierarchy.linkage(pdist(bits, "hamming"), "average")
    scores = []
    for count in range(2, 31):
        cut = hierarchy.fcluster(tree, count, "maxclust")
        scores.append(silhouette_score(distances, cut, metric="precomputed"))
    found = cluster_bits(bits)
    assert found.silhouette == pytest.approx(max(scores))
    best = hierarchy.fcluster(tree, 2 + int(np.argmax(scores)), "maxclust")
    assert adjusted_rand_score(best, found.clusters) == 1


@pytest.mark.parametrize("seed", range(4))
def test_agreement_equals_scikit_learn_permuted_or_not(seed):
    rng = np.random.default_rng(seed)
    clusters, labels = rng.integers(1, 6, 70), rng.integers(0, 4, 70)
    found = label_agreement(clusters, labels, seed, 5)
    again = np.random.default_rng(seed)
    dealt = [labels] + [again.permutation(labels) for _ in range(5)]
    for name, score in (("AMI", adjusted_mutual_info_score), ("ARI", adjusted_rand_score)):
        value, null = found[name]
        assert [value, *null] == pytest.approx([score(x, clusters) for x in dealt], abs=1e-9)


def test_labels_without_relation_have_a_level_p():
    ps = []
    for seed in range(60):
        bits, _ = planted(seed, images=60, filters=12)
        labels = np.random.default_rng(seed + 1000).integers(0, 3, 60)
        found = path_clusters(
            make_recording(bits, labels, classes="abc"), seed=seed, permutations=39
        )
        ps += found.scores["p"].tolist()
    # At most 5 % below 0.05, within three standard errors of 60 independent runs.
    assert np.mean(np.array(ps) <= 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)


def test_purity_against_loops_and_its_null_keeps_the_sizes():
    rng = np.random.default_rng(0)
    clusters, labels = rng.integers(0, 5, 80), rng.integers(0, 3, 80)
    commonest = [max((labels[clusters == c] == k).sum() for k in range(3)) for c in range(5)]
    value, null = purity(clusters, labels, 0, 50)
    assert value == pytest.approx(sum(commonest) / 80)
    # Alone in a cluster, every image is of the commonest class, however labels are dealt.
    assert purity(np.arange(80), labels, 0, 5)[1].tolist() == [1.0] * 5
    assert 1 / 3 < null.mean() < 0.65


def test_noise_counts_as_one_more_cluster_and_unknown_labels_do_not():
    clusters = np.array([1, 1, 2, 2, 0, 0, 1])
    labels = np.array([0, 0, 1, 1, 0, 1, -1])
    rows = agreement_rows("paths", clusters, labels, 0, 3).set_index("measure")
    assert rows.loc["AMI", "value"] == pytest.approx(
        adjusted_mutual_info_score(labels[:6], clusters[:6])
    )
    assert rows.loc["purity", "value"] == pytest.approx(5 / 6)
    assert rows["clusters"].tolist() == [2] * 3
    assert rows["noise"].tolist() == [2] * 3


def test_baselines_are_clustered_alike_and_stand_beside():
    bits, labels = planted(0, images=200, classes=4, filters=32, noise=0.05)
    data = make_recording(bits, labels, classes="abcd")
    dealt = make_recording(np.random.default_rng(1).permutation(bits), labels)
    # The same images in another order are found by their names.
    order = np.random.default_rng(2).permutation(200)
    turned = make_recording(bits[order], labels[order])
    turned.images["image"] = data.images["image"].to_numpy()[order]
    found = path_clusters(
        data, baselines={"dealt": dealt, "turned": turned}, max_images=150, permutations=20
    )
    ami = found.scores[found.scores["measure"] == "AMI"].set_index("code")
    assert list(ami.index) == ["paths", "dealt", "turned"]
    assert ami.loc["paths", "value"] == ami.loc["turned", "value"] == pytest.approx(1.0)
    assert ami.loc["dealt", "value"] < 0.1
    assert "Baselines reach an AMI of" in found.summary()
    alone = path_clusters(data, max_images=150, permutations=20)
    own = found.scores[found.scores["code"] == "paths"]
    assert own.equals(alone.scores)


def test_the_number_of_clusters_can_be_asked_for():
    bits, labels = planted(1, images=120, classes=4, filters=40, noise=0.05)
    found = path_clusters(make_recording(bits, labels, classes="abcd"), clusters=2)
    assert found.frame["cluster"].max() == 2
    assert found.criterion == "as asked"
    with pytest.raises(PathLensError, match="121 clusters cannot be made of 120 images"):
        path_clusters(make_recording(bits), clusters=121)
    with pytest.raises(PathLensError, match="own number"):
        path_clusters(make_recording(bits), method="hdbscan", clusters=3)
    with pytest.raises(PathLensError, match="Unknown cluster method 'hdb'"):
        path_clusters(make_recording(bits), method="hdb")


@pytest.mark.parametrize("seed", range(3))
def test_hdbscan_finds_planted_clusters_and_calls_the_rest_noise(seed):
    bits, labels = planted(seed, images=300, classes=4, filters=64, noise=0.03)
    stray = np.random.default_rng(seed + 50).random((60, 64)) < 0.5
    everything = np.vstack([bits, stray])
    data = make_recording(everything, np.append(labels, np.arange(60) % 4), classes="abcd")
    found = path_clusters(data, method="hdbscan", permutations=20)
    clusters = found.frame["cluster"].to_numpy()
    assert adjusted_rand_score(labels, clusters[:300]) > 0.95
    # HDBSCAN keeps what lies at the edge of a cluster, up to where clusters meet.
    assert (clusters[300:] == 0).mean() > 0.8
    assert found.noise == (clusters == 0).sum()
    assert list(found.table.index) == [1, 2, 3, 4, 0]
    assert found.table.to_numpy().sum() == 360
    assert found.table.loc[0].sum() == found.noise
    assert "noise" in found.summary()
    assert found.silhouette == pytest.approx(
        silhouette_score(
            squareform(pdist(everything[clusters > 0], "hamming")), clusters[clusters > 0],
            metric="precomputed",
        )
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(4))
def test_hdbscan_does_not_depend_on_the_order_of_images_though_distances_tie(seed):
    rng = np.random.default_rng(seed)
    bits, _ = planted(seed, images=250, classes=3, filters=12, noise=0.12)
    order = rng.permutation(250)
    one, other = cluster_bits(bits, "hdbscan"), cluster_bits(bits[order], "hdbscan")
    assert adjusted_rand_score(one.clusters[order], other.clusters) == 1


def test_hdbscan_of_shared_paths_finds_each():
    bits = np.repeat(np.tri(3, 9, k=2, dtype=bool)[:, ::-1], [50, 30, 20], axis=0)
    found = cluster_bits(bits, "hdbscan")
    assert found.clusters.tolist() == [1] * 50 + [2] * 30 + [3] * 20


def test_hamming_counts_against_loops():
    bits, _ = planted(0, images=20, filters=7)
    slow = [[sum(a != b) for b in bits] for a in bits]
    assert hamming_counts(bits).tolist() == slow
    assert hamming_counts(bits[:3], bits).tolist() == slow[:3]


def test_sample_is_said_and_repeats():
    bits, labels = planted(1, images=300)
    recording = make_recording(bits, labels, classes="abcd")
    one, same, other = (path_clusters(recording, seed=s, max_images=100) for s in (0, 0, 1))
    assert one.left_out == "200 of 300 images, by seed"
    assert one.frame.equals(same.frame)
    assert one.scores.equals(same.scores)
    assert not one.frame["image"].equals(other.frame["image"])
    assert one.table.to_numpy().sum() == 100


def test_degenerate_recordings_get_an_answer():
    bits, labels = planted(2, images=40)
    still = path_clusters(make_recording(bits | True, labels, classes="abcd"))
    assert "share one path" in still.summary()
    assert still.frame["cluster"].tolist() == [1] * 40
    unlabelled = path_clusters(make_recording(bits))
    assert unlabelled.scores.empty
    assert "classes are unknown" in unlabelled.summary()
    one_class = path_clusters(make_recording(bits, labels * 0, classes="a"))
    assert "one class" in one_class.summary()
    methods = ("agglomerative", "hdbscan")
    for images, classes, method in itertools.product((1, 2, 3), (1, 2), methods):
        few = make_recording(bits[:images], np.arange(images) % classes, classes="ab")
        found = path_clusters(few, method=method)
        assert found.summary()
        assert found.plot().axes
