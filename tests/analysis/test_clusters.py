import itertools

import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score, silhouette_score

from pathlens.analysis import path_clusters
from pathlens.analysis.clusters import cluster_bits
from pathlens.analysis.source import hamming_counts
from pathlens.analysis.statistics import label_agreement
from tests.analysis.conftest import make_recording, planted


@pytest.mark.parametrize("seed", range(3))
def test_planted_clusters_are_found_with_their_number(seed):
    bits, labels = planted(seed, images=300, classes=5, filters=48, noise=0.05)
    found = path_clusters(make_recording(bits, labels, classes="abcde"), "conv", permutations=99)
    assert found.frame["cluster"].nunique() == 5
    assert found.scores["value"].tolist() == pytest.approx([1.0, 1.0])
    assert found.scores["p"].tolist() == [0.01, 0.01]
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
    clusters, silhouette = cluster_bits(bits)
    assert silhouette_score(distances, odd, metric="precomputed") > silhouette
    assert adjusted_rand_score(labels, clusters[:300]) > 0.9


def test_the_criterion_is_the_best_of_all_cuts_by_scikit_learn():
    bits, _ = planted(3, images=80, classes=4, filters=20, noise=0.15)
    distances = squareform(pdist(bits, "hamming"))
    tree = hierarchy.linkage(pdist(bits, "hamming"), "average")
    scores = []
    for count in range(2, 31):
        cut = hierarchy.fcluster(tree, count, "maxclust")
        scores.append(silhouette_score(distances, cut, metric="precomputed"))
    clusters, silhouette = cluster_bits(bits)
    assert silhouette == pytest.approx(max(scores))
    best = hierarchy.fcluster(tree, 2 + int(np.argmax(scores)), "maxclust")
    assert adjusted_rand_score(best, clusters) == 1


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
    for images, classes in itertools.product((1, 2, 3), (1, 2)):
        few = make_recording(bits[:images], np.arange(images) % classes, classes="ab")
        assert path_clusters(few).summary()
