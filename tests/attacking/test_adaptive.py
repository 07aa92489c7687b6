from dataclasses import replace

import numpy as np
import pytest
import torch

import pathlens
from pathlens.attacking import ProjectedGradient, library
from pathlens.attacking.adaptive import OUTCOMES, adaptive
from pathlens.attacking.adaptive_gradient import AdaptiveGradient
from pathlens.attacking.adaptive_search import AdaptiveSearch
from pathlens.attacking.alteration import Clean
from pathlens.attacking.directions import unit
from pathlens.attacking.draws import in_box
from pathlens.attacking.folder import COLUMNS, AlteredFolder
from pathlens.attacking.watching import Watched, fingerprint
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import to_canvas
from pathlens.detection.data import detection_data
from pathlens.detection.detectors import DETECTORS
from pathlens.detection.detectors.forest import Forest
from pathlens.detection.saving import SavedDetector, load_detector, save_detector
from pathlens.detection.used import UsedImages
from pathlens.errors import PathLensError
from pathlens.training.loading import load_run
from tests.attacking.conftest import both, snapshot

pytest.importorskip("foolbox")

EPSILON = 24 / 255


def watched(network):
    return Watched(both(network).judge, torch.zeros(1, 3, 32, 32))


def guard_of(network, clean, name="soft-mahalanobis", quantile=0.8):
    """A detector of a network, with a threshold that so many clean images are under."""
    seen = watched(network).seen(clean.pixels)
    fitted = DETECTORS[name].fit(seen)
    threshold = float(np.quantile(fitted.score(seen), quantile))
    return SavedDetector(DETECTORS[name], fitted, "", threshold)


def attack_of(guard, epsilon=EPSILON, kind=AdaptiveGradient, **settings):
    return kind(
        guard, epsilon, guard.detector.name, guard.threshold, fingerprint(guard), **settings
    )


def evaded(network, guard, clean, pixels):
    verdict = watched(network).verdict(guard, pixels)
    return (verdict.predicted != clean.labels).numpy() & (verdict.suspicion <= guard.threshold)


@pytest.fixture(scope="module")
def network(trained):
    return load_run(trained / "gated").network


@pytest.fixture(scope="module")
def digits(network):
    """Clean images that the network gets right."""
    split = load_dataset("digits").split("test")
    images = [torch.from_numpy(to_canvas(split.read(i), 32)) for i in range(len(split))]
    pixels = torch.stack(images).permute(0, 3, 1, 2).contiguous()
    labels = torch.as_tensor(np.asarray(split.labels))
    right = (both(network).judge.predict(pixels) == labels).nonzero().squeeze(1)
    ids = tuple(split.ids[i] for i in right.tolist())
    return Clean(pixels[right], labels[right], ids, 0)


def some(clean, start, count, seed=0):
    place = slice(start, start + count)
    return Clean(clean.pixels[place], clean.labels[place], clean.ids[place], seed)


@pytest.fixture(scope="module")
def guard(network, digits):
    return guard_of(network, some(digits, 100, 150))


@pytest.mark.parametrize(
    ("kind", "settings", "gates"),
    [
        (AdaptiveGradient, {"steps": 4, "runs": 2}, "straight-through"),
        (AdaptiveGradient, {"steps": 4, "runs": 2, "form": "orthogonal"}, "straight-through"),
        (AdaptiveGradient, {"steps": 4, "runs": 1}, "soft"),
        (AdaptiveSearch, {"queries": 8}, "straight-through"),
    ],
)
def test_8_bit_images_stay_within_epsilon(network, digits, guard, kind, settings, gates):
    clean = some(digits, 0, 12)
    found = attack_of(guard, 3.7 / 255, kind, **settings).alter(clean, both(network, gates))
    change = (found.pixels.short() - clean.pixels.short()).abs()
    assert found.pixels.dtype == torch.uint8
    assert change.max() == 3
    again = attack_of(guard, 3.7 / 255, kind, **settings).alter(clean, both(network, gates))
    assert torch.equal(again.pixels, found.pixels)


def test_weight_0_is_plain_pgd(network, digits, guard):
    clean = some(digits, 0, 12)
    images, labels = both(network).inputs(clean)
    start = in_box(clean.generators("start 0"), images.shape[1:], EPSILON)
    attack = attack_of(guard, steps=6)
    victim = both(network).victim
    pulls = Watched(victim, images[:1]).pulls(guard)

    def after_six(weight):
        now = (images + start).clamp(0, 1)
        for _ in range(6):
            now = attack.step(
                pulls(now, labels), now, images, torch.full((len(clean),), float(weight))
            )
        return now

    plain = library.projected_gradient(
        victim,
        images,
        labels,
        norm="linf",
        epsilon=EPSILON,
        steps=6,
        step_size=2.5 * EPSILON / 6,
        start=start,
    )
    assert torch.allclose(after_six(0), plain, atol=1e-6)
    assert not torch.allclose(after_six(3), plain, atol=1e-3)


def test_images_that_evade_are_left_alone_and_the_others_go_on(network, digits, guard):
    clean, networks = some(digits, 0, 16), both(network)
    short, long = (
        attack_of(guard, steps=steps, runs=1, relative_step=2.5 * steps / 4).alter(clean, networks)
        for steps in (4, 40)
    )
    early = evaded(network, guard, clean, short.pixels)
    assert early.any()
    assert not early.all()
    assert torch.equal(long.pixels[early], short.pixels[early])
    assert torch.equal(long.queries[early], short.queries[early])
    assert (long.queries[early] <= 8).all()
    assert (long.queries[~early] > 8).all()
    assert evaded(network, guard, clean, long.pixels).sum() >= early.sum()


def test_gradients_are_of_the_two_losses(network, digits, guard):
    clean = some(digits, 0, 3)
    images, labels = both(network, "soft").inputs(clean)
    pulls = Watched(both(network, "soft").victim, images[:1]).pulls(guard)
    pull, step = pulls(images, labels), 2e-3
    moved = [pulls(images + sign * step * unit(pull.detector), labels).score for sign in (1, -1)]
    slope = (moved[0] - moved[1]) / (2 * step)
    assert torch.allclose(slope, pull.detector.flatten(1).norm(dim=1), rtol=0.1)
    loss = torch.nn.functional.cross_entropy
    scores = [both(network, "soft").victim(images + s * step * unit(pull.network)) for s in (1, -1)]
    assert loss(scores[0], labels) > loss(scores[1], labels)


@pytest.mark.parametrize("seed", [1, 2])
def test_knowing_the_detector_evades_it_more_often_than_pgd_does(network, digits, seed):
    guard = guard_of(network, some(digits, 100, 150), quantile=0.8)
    clean, networks = some(digits, 20 * seed, 20, seed), both(network)
    plain = ProjectedGradient("linf", EPSILON, steps=10).alter(clean, networks)
    before = evaded(network, guard, clean, plain.pixels).mean()
    for form in ("sum", "orthogonal"):
        found = attack_of(guard, form=form, steps=10, runs=3).alter(clean, networks)
        after = evaded(network, guard, clean, found.pixels).mean()
        assert after >= before + 0.25, (form, before, after)


def test_an_image_s_attack_does_not_depend_on_others(network, digits, guard):
    clean = some(digits, 0, 6)
    attack, networks = attack_of(guard, steps=5, runs=3), both(network)
    whole = attack.alter(clean, networks).pixels
    alone = attack.alter(some(digits, 4, 1), networks).pixels
    assert torch.equal(alone[0], whole[4])


def test_a_search_needs_scores_alone_and_finds_what_evades(network, digits):
    clean = some(digits, 0, 16)
    watch, networks = watched(network), both(network)
    noisy = ProjectedGradient("linf", EPSILON, steps=3).alter(clean, networks)
    detector = Forest(trees=5)
    fitted = detector.fit(watch.seen(clean.pixels), watch.seen(noisy.pixels))
    guard = SavedDetector(detector, fitted, "", 0.5)
    few = attack_of(guard, kind=AdaptiveSearch, queries=2).alter(clean, networks)
    many = attack_of(guard, kind=AdaptiveSearch, queries=120).alter(clean, networks)
    rates = [evaded(network, guard, clean, x.pixels).mean() for x in (few, many)]
    assert rates[1] > rates[0]
    assert (many.queries.numpy()[evaded(network, guard, clean, many.pixels)] <= 120).all()
    with pytest.raises(PathLensError, match="no gradient"):
        attack_of(guard).alter(clean, networks)


@pytest.fixture(scope="module")
def fitted(trained, tmp_path_factory):
    """Folder of detectors fitted on the run's test images, and the checkpoint."""
    root = tmp_path_factory.mktemp("fitted")
    recording = pathlens.record(
        trained / "gated",
        columns=("scores", "features", "logits"),
        out=root / "clean",
        progress=False,
    )
    data, checkpoint = detection_data(recording), load_run(trained / "gated").checkpoint
    halves = data.take(range(0, 150)), data.take(range(150, 300))
    for name in ("likelihood", "mahalanobis", "soft-logistic", "forest"):
        detector = Forest(trees=4) if name == "forest" else DETECTORS[name]
        found = detector.fit(*halves) if detector.supervised else detector.fit(data)
        threshold = float(np.quantile(found.score(data), 0.9))
        save_detector(root, SavedDetector(detector, found, checkpoint, threshold))
    return root


def make(run, detector, **settings):
    settings = {"epsilon": 16 / 255, "images": 12, "steps": 4, "runs": 2, **settings}
    return adaptive(run, detector, progress=False, **settings)


def test_outcomes_are_what_a_recording_of_the_folder_gives(runs, fitted, tmp_path):
    for name, form in (("likelihood", "sum"), ("mahalanobis", "orthogonal")):
        found = make("gated", fitted / f"{name}.json", form=form, out=tmp_path / name)
        assert tuple(found.table.columns) == COLUMNS
        recording = pathlens.record(
            "gated",
            data=found.folder,
            columns=("scores", "features", "logits"),
            out=tmp_path / f"{name}-recorded",
            progress=False,
        )
        saved = load_detector(fitted / f"{name}.json")
        outcomes = found.outcomes.set_index("image").loc[list(recording.images["image"])]
        scores = saved.fitted.score(detection_data(recording))
        np.testing.assert_allclose(outcomes["score"], scores, rtol=1e-4, atol=1e-4)
        fooled = (recording.images["prediction"] != recording.images["label"]).to_numpy()
        assert (outcomes["fooled"] == fooled).all()
        assert (outcomes["flagged"] == (scores > saved.threshold)).all()
        assert (outcomes["evaded"] == fooled & (scores <= saved.threshold)).all()
        assert found.outcomes["fooled"].any()
        assert (found.table["success"].to_numpy() == found.outcomes["fooled"]).all()
        share = f"{found.outcomes['evaded'].mean():.1%} ["
        assert f"together on {share}" in found.summary()
        assert "of 12 images (the network alone" in found.summary()


def test_labels_say_what_was_evaded_and_how(runs, fitted, tmp_path):
    tree, smooth = fitted / "forest.json", fitted / "soft-logistic.json"
    few = {"images": 3, "steps": 1, "runs": 1, "queries": 2}
    labels = [
        make("gated", detector, out=tmp_path / str(i), **few, **settings).label
        for i, (detector, settings) in enumerate(
            [
                (smooth, {}),
                (smooth, {"form": "orthogonal", "gates": "soft"}),
                (tree, {"through": smooth}),
                (tree, {"form": "search"}),
            ]
        )
    ]
    assert labels == [
        "adaptive-16-soft-logistic",
        "adaptive-16-soft-logistic-orthogonal-soft",
        "adaptive-16-forest-through-soft-logistic",
        "adaptive-16-forest-search",
    ]


def test_a_killed_attack_goes_on_and_gives_the_same_bytes(runs, fitted, tmp_path, monkeypatch):
    settings = {"part_size": 5, "batch_size": 5}
    detector = fitted / "likelihood.json"
    whole = make("gated", detector, out=tmp_path / "whole", **settings)
    written = []
    original = AlteredFolder.write_part

    def dies(self, part, rows, canvases):
        if written:
            raise KeyboardInterrupt
        written.append(part)
        original(self, part, rows, canvases)

    monkeypatch.setattr(AlteredFolder, "write_part", dies)
    with pytest.raises(KeyboardInterrupt):
        make("gated", detector, out=tmp_path / "killed", **settings)
    monkeypatch.setattr(AlteredFolder, "write_part", original)
    again = make("gated", detector, out=tmp_path / "killed", **settings)
    assert snapshot(again.folder) == snapshot(whole.folder)
    assert (again.folder / OUTCOMES).is_file()
    with pytest.raises(PathLensError, match="altered otherwise"):
        make("gated", fitted / "mahalanobis.json", out=tmp_path / "killed", **settings)


SHORT = {"steps": 1, "runs": 1}


def test_images_that_the_detector_has_seen_are_left_out(runs, fitted, digits, tmp_path):
    saved = load_detector(fitted / "likelihood.json")
    other = load_detector(fitted / "soft-logistic.json")
    seen = replace(saved, used=UsedImages.of(digits.ids[:-8]))
    found = make("gated", save_detector(tmp_path, seen), out=tmp_path / "out", **SHORT)
    assert set(found.table["source_image"]) == set(digits.ids[-8:])
    assert not found.outcomes["used"].any()
    assert "none of which the detector has seen" in found.summary()
    by_other = replace(other, used=UsedImages.of(digits.ids[-4:]))
    both_seen = make("gated", seen, through=by_other, out=tmp_path / "through", **SHORT)
    assert set(both_seen.table["source_image"]) == set(digits.ids[-8:-4])


def test_the_summary_says_how_many_images_the_detector_has_seen(runs, fitted, digits, tmp_path):
    saved = load_detector(fitted / "likelihood.json")
    seen = replace(saved, used=UsedImages.of(digits.ids[:5]))
    chosen = list(digits.ids[2:9])
    named = make("gated", seen, images=chosen, out=tmp_path / "named", **SHORT)
    assert sorted(named.table["source_image"]) == sorted(chosen)
    by_image = dict(zip(named.outcomes["source_image"], named.outcomes["used"], strict=True))
    assert [bool(by_image[name]) for name in chosen] == [True] * 3 + [False] * 4
    assert "3 of which the detector was fitted on or has its threshold from" in named.summary()
    every = replace(saved, used=UsedImages.of(load_dataset("digits").split("test").ids))
    all_seen = make("gated", every, images=6, out=tmp_path / "all", **SHORT)
    assert "6 of which the detector was fitted on" in all_seen.summary()
    unsaid = make("gated", saved, images=6, out=tmp_path / "unsaid", **SHORT)
    assert unsaid.outcomes["used"].isna().all()
    assert "nothing says which of them the detector was fitted on" in unsaid.summary()


@pytest.mark.parametrize("form", ["sum", "search"])
def test_adaptive_attacks_need_no_library(runs, fitted, tmp_path, no_library, form):
    settings = {"images": 3, "queries": 2, **SHORT}
    found = make("gated", fitted / "likelihood.json", form=form, out=tmp_path / "out", **settings)
    assert len(found.table) == 3
    assert "library" not in found.config["versions"]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"run": "plain"}, "plain is a plain network and has no paths"),
        ({"detector": "forest"}, "no gradient for form 'sum'.*through=.*form='search'"),
        ({"detector": "forest", "form": "orthogonal"}, "no gradient for form 'orthogonal'"),
        ({"form": "weighted"}, "Unknown form"),
        ({"detector": "nothing"}, "nothing.json"),
        ({"epsilon": 2.0}, "out of range"),
        ({"steps": 0}, "steps is 0"),
        ({"runs": 0}, "runs is 0"),
        ({"form": "search", "queries": 0}, "queries is 0"),
    ],
)
def test_bad_input_gets_one_clear_sentence(runs, fitted, tmp_path, settings, sentence):
    given = {"run": "gated", "detector": "likelihood", **settings}
    path = fitted / f"{given.pop('detector')}.json"
    with pytest.raises(PathLensError, match=sentence) as caught:
        make(given.pop("run"), path, out=tmp_path / "out", **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_detector_must_have_a_threshold_and_be_of_the_checkpoint(runs, fitted, tmp_path):
    saved = load_detector(fitted / "likelihood.json")
    for threshold in (None, float("inf")):
        with pytest.raises(PathLensError, match="likelihood has no threshold"):
            make("gated", replace(saved, threshold=threshold), out=tmp_path / "out")
    stranger = replace(saved, checkpoint="0" * 64)
    with pytest.raises(PathLensError, match="paths of another checkpoint than that of run gated"):
        make("gated", stranger, out=tmp_path / "out")
    with pytest.raises(PathLensError, match="another checkpoint"):
        make("gated", save_detector(tmp_path, stranger), out=tmp_path / "out")
    with pytest.raises(PathLensError, match="another checkpoint"):
        make("gated", fitted / "forest.json", through=stranger, out=tmp_path / "out")
