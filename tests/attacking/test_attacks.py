import numpy as np
import pytest
import torch

from pathlens.attacking import library
from pathlens.attacking.alteration import Clean
from pathlens.attacking.attacks import (
    CarliniWagner,
    DeepFool,
    FastGradient,
    ProjectedGradient,
    Square,
)
from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.attacking.registry import find_alteration, usual_labels
from pathlens.attacking.square import square_search
from pathlens.datasets.loader import normalise
from pathlens.errors import PathLensError
from tests.attacking.conftest import both, clean_images, random_network

pytest.importorskip("foolbox")


def change(altered, clean):
    return (altered.pixels.double() - clean.pixels.double()).flatten(1)


def part(clean, rows):
    rows = list(rows)
    return Clean(
        clean.pixels[rows], clean.labels[rows], tuple(clean.ids[i] for i in rows), clean.seed
    )


def test_classifier_gives_the_recorders_scores_of_hard_gates():
    network = random_network()
    pixels = clean_images(network).pixels
    with torch.no_grad():
        expected = network.with_path(normalise(pixels), gates="hard")[0]
        assert torch.equal(ImageClassifier(network)(in_unit_range(pixels)), expected)


def test_straight_through_decides_as_hard_gates_and_has_a_gradient_through_them():
    network = random_network()
    images = in_unit_range(clean_images(network).pixels).requires_grad_()
    hard, through = (
        ImageClassifier(network, gates)(images) for gates in ("hard", "straight-through")
    )
    assert torch.equal(hard, through)
    gradients = [torch.autograd.grad(scores[:, 0].sum(), images)[0] for scores in (hard, through)]
    assert not torch.allclose(gradients[0], gradients[1])


@pytest.mark.parametrize("gates", ["straight-through", "soft"])
def test_library_fgsm_is_fgsm_by_hand(gates):
    network = random_network()
    clean = clean_images(network)
    classifier = ImageClassifier(network, gates)
    images = in_unit_range(clean.pixels).requires_grad_()
    torch.nn.functional.cross_entropy(classifier(images), clean.labels, reduction="sum").backward()
    by_hand = (images.detach() + 8 / 255 * images.grad.sign()).clamp(0, 1)
    found = library.fast_gradient(classifier, images.detach(), clean.labels, 8 / 255)
    assert torch.allclose(found, by_hand, atol=1e-6)
    assert not torch.equal(found, images.detach())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_library_pgd_is_pgd_by_hand_from_the_same_start(norm):
    network = random_network()
    clean = clean_images(network, 6)
    classifier = ImageClassifier(network, "straight-through")
    images = in_unit_range(clean.pixels)
    epsilon, step = 0.1, 0.03
    start = (torch.rand(images.shape, generator=torch.Generator().manual_seed(1)) - 0.5) * 0.01
    x = (images + start).clamp(0, 1)
    for _ in range(3):
        x = x.detach().requires_grad_()
        loss = torch.nn.functional.cross_entropy(classifier(x), clean.labels, reduction="sum")
        gradient = torch.autograd.grad(loss, x)[0]
        if norm == "linf":
            moved = (x + step * gradient.sign() - images).clamp(-epsilon, epsilon)
        else:
            length = gradient.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            moved = x + step * gradient / length - images
            far = moved.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            moved = moved * (epsilon / far).clamp(max=1)
        x = (images + moved).clamp(0, 1)
    found = library.projected_gradient(
        classifier,
        images,
        clean.labels,
        norm=norm,
        epsilon=epsilon,
        steps=3,
        step_size=step,
        start=start,
    )
    assert torch.allclose(found, x, atol=1e-5)


@pytest.mark.parametrize("epsilon", [1, 1.5, 2.6, 8])
@pytest.mark.parametrize(
    "kind", [FastGradient, lambda e: ProjectedGradient("linf", e, 4), lambda e: Square(e, 10)]
)
def test_no_8_bit_value_leaves_the_box(kind, epsilon):
    network = random_network()
    clean = clean_images(network)
    altered = kind(epsilon / 255).alter(clean, both(network))
    largest = change(altered, clean).abs().max()
    assert largest == int(epsilon)
    assert altered.pixels.dtype == torch.uint8


@pytest.mark.parametrize("epsilon", [0.05, 0.3, 1.0])
def test_no_8_bit_image_leaves_the_ball_and_few_fall_short_of_its_edge(epsilon):
    network = random_network()
    clean = clean_images(network)
    altered = ProjectedGradient("l2", epsilon, 6).alter(clean, both(network))
    norms = change(altered, clean).norm(dim=1) / 255
    assert (norms <= epsilon).all()
    assert norms.median() > 0.9 * epsilon


@pytest.mark.parametrize(
    "attack",
    [
        FastGradient(8 / 255),
        ProjectedGradient("linf", 8 / 255, 4, restarts=2),
        ProjectedGradient("l2", 0.5, 4),
        DeepFool(steps=5, candidates=3),
        CarliniWagner(searches=2, steps=8),
        Square(16 / 255, queries=12),
    ],
    ids=lambda attack: attack.label,
)
def test_an_image_is_attacked_alike_in_whatever_batch(attack):
    network = random_network()
    clean = clean_images(network, 9)
    whole = attack.alter(clean, both(network))
    for rows in ([0, 1, 2, 3], [8, 4, 5], [6, 7]):
        alone = attack.alter(part(clean, rows), both(network))
        assert torch.equal(alone.pixels, whole.pixels[rows])
        assert torch.equal(alone.queries, whole.queries[rows])


def test_carlini_wagner_leaves_images_as_they_are_where_it_finds_nothing():
    network = random_network()
    clean = clean_images(network, 4)
    hopeless = CarliniWagner(searches=1, steps=1, confidence=1e6)
    assert torch.equal(hopeless.alter(clean, both(network)).pixels, clean.pixels)


def test_epsilon_0_changes_nothing():
    network = random_network()
    clean = clean_images(network)
    labels = ("fgsm-0", "pgd-linf-0", "pgd-l2-0", "noise-0")
    for attack in (*map(find_alteration, labels), Square(0.0, queries=5)):
        altered = attack.alter(clean, both(network))
        assert torch.equal(altered.pixels, clean.pixels), attack.label


def test_more_restarts_fool_no_fewer_images():
    network = random_network(1)
    clean = clean_images(network, 24)
    once, often = (
        both(network).fooled(
            ProjectedGradient("linf", 2 / 255, 2, restarts=n).alter(clean, both(network)).pixels,
            clean.labels,
        )
        for n in (1, 4)
    )
    assert (often | ~once).all()


def test_square_search_stops_asking_once_it_has_succeeded_and_never_gets_worse():
    images = torch.full((3, 3, 8, 8), 0.5)
    asked = torch.zeros(3, dtype=torch.int64)
    seen = [[], [], []]

    def loss(tried, rows):
        asked[rows] += 1
        # The first has succeeded at once, the second never does, the third as its mean falls.
        mean = tried.flatten(1).mean(1)
        losses = torch.where(rows == 0, -1.0, torch.where(rows == 1, mean + 1, mean - 0.47))
        for row, value in zip(rows.tolist(), losses.tolist(), strict=True):
            seen[row].append(value)
        return losses

    generators = [np.random.default_rng(i) for i in range(3)]
    best, queries = square_search(loss, images, 0.1, queries=60, share=0.8, generators=generators)
    assert torch.equal(queries, asked)
    assert queries[0] == 1
    assert queries[1] == 60
    assert 1 < queries[2] < 60
    assert abs(float(best[1].mean()) + 1 - min(seen[1])) < 1e-6
    assert torch.allclose((best - images).abs(), torch.tensor(0.1))


def test_labels_and_configurations_name_each_other():
    for label in usual_labels():
        assert find_alteration(label).label == label
    assert find_alteration("pgd-linf-8") == ProjectedGradient("linf", 8 / 255)
    assert find_alteration("cw-l2-5") == CarliniWagner(confidence=5)


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("pgd-inf-8", "did you mean .*pgd-linf-8"),
        ("nonsense", "Unknown attack or benign control 'nonsense'"),
        ("fgsm", "needs a number behind it, such as 'fgsm-2'"),
        ("fgsm-x", "Unknown attack"),
        ("fgsm-300", "300/255 is out of range: give 0 to 255"),
        ("fgsm--1", "-1/255 is out of range"),
        ("fgsm-nan", "out of range"),
        ("pgd-l2--1", "L2 epsilon of -1 is out of range"),
        ("jpeg-0", "JPEG quality of 0"),
        ("jpeg-7.5", "no whole number"),
        ("jpeg-inf", "no whole number"),
        ("corruption-blur-9", "severity is 1 to 5"),
        ("corruption-fog-1", "did you mean|Unknown"),
    ],
)
def test_bad_labels_get_one_clear_sentence(label, sentence):
    with pytest.raises(PathLensError, match=sentence) as caught:
        find_alteration(label)
    assert "\n" not in str(caught.value)


def test_settings_that_do_nothing_are_refused():
    for make in (
        lambda: ProjectedGradient("linf", 0.1, steps=0),
        lambda: ProjectedGradient("linf", 0.1, restarts=0),
        lambda: Square(0.1, queries=0),
        lambda: DeepFool(candidates=1),
    ):
        with pytest.raises(PathLensError, match="give at least"):
            make()


def test_without_the_library_the_extra_is_named(no_library):
    network = random_network()
    with pytest.raises(PathLensError, match=r'pip install "pathlens\[detection\]"'):
        FastGradient(0.1).alter(clean_images(network), both(network))
