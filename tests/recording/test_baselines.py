"""Baseline codes of a plain network: equal on-rates, the plain predictions, and nothing routed."""

import itertools
import json
import shutil

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pathlens.cli.app import app
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import normalise
from pathlens.datasets.splits import take
from pathlens.errors import PathLensError
from pathlens.layers import Layer
from pathlens.recorder import record
from pathlens.recorder.baselines import BASELINE
from pathlens.recorder.scores import projected, statistics
from pathlens.recorder.thresholds import Thresholds, threshold
from pathlens.recording import open_recording
from pathlens.reporting import report
from pathlens.training import load_run, train
from pathlens.training.checkpoint import load_checkpoint, save_checkpoint

from .helpers import contents, interrupted_after

KINDS = {"response": "plain", "random": "plain", "unapplied": "beside"}
IMAGES = 300
ASKED = {"rates_from": "gated", "rates_images": IMAGES, "limit": 60, "progress": False}


@pytest.fixture(scope="module")
def place(trained, tmp_path_factory):
    """A copy of the trained runs, one with unapplied gating modules beside; gates spread by hand."""
    root = tmp_path_factory.mktemp("baselines") / "runs"
    shutil.copytree(trained, root)
    patch = pytest.MonkeyPatch()
    patch.setenv("PATHLENS_RUNS", str(root))
    train(
        "small_cnn", "digits", unapplied=True, start_from="plain", run="beside",
        epochs=0, width=0.5, progress=False,
    )  # fmt: skip
    for run in ("gated", "beside"):
        spread_gates(root / run / "checkpoint.pt")
    yield root
    patch.undo()


@pytest.fixture(autouse=True)
def runs(place, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(place))


def spread_gates(path):
    """Weights by which some gates are never on, some always, and the others by image."""
    content = load_checkpoint(path)
    generator = torch.Generator().manual_seed(0)
    for name, weight in content["weights"].items():
        if not name.startswith("gating."):
            continue
        if name.endswith("fc2.weight"):
            weight.copy_(torch.randn(weight.shape, generator=generator))
        if name.endswith("fc2.bias"):
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3)
            weight[0], weight[1] = -100.0, 100.0
    save_checkpoint(path, content)


def inputs(split, positions):
    pixels = [torch.from_numpy(split.read(position)).permute(2, 0, 1) for position in positions]
    return normalise(torch.stack(pixels))


def training_images():
    """The 300 training images of which rates are taken, as the network sees them."""
    split = take(load_dataset("digits").split("train"), IMAGES, 0)
    return inputs(split, range(IMAGES))


def expected_scores(kind, x):
    """Scores of every layer, found with plain hooks on the plain network's own modules."""
    loaded = load_run(KINDS[kind])
    if kind == "unapplied":
        with torch.no_grad():
            _, path = loaded.network.with_path(x)
        return {name: path.logits[name].numpy() for name in path}
    network, kept, found = loaded.network, {}, {}
    names = [f"stage{s}.{b}" for s, b in itertools.product((1, 2, 3), (0, 1))]
    for name in names:
        place = 0 if kind == "random" else 2
        module = network.get_submodule(f"{name}.{place}")

        def keep(module, args, output, name=name):
            kept[name] = (args[0] if kind == "random" else output).mean((2, 3)).numpy().copy()

        module.register_forward_hook(keep)
    with torch.no_grad():
        network(x)
    for number, name in enumerate(names, start=1):
        found[f"{name}.0"] = kept[name]
        if kind == "random":
            pooled, filters = kept[name].astype(np.float64), kept_filters(network, name)
            train_pooled = pooled[:IMAGES]
            matrix = np.random.default_rng([0, number]).standard_normal((pooled.shape[1], filters))
            deviation = train_pooled.std(axis=0)
            deviation[[len(set(column)) == 1 for column in train_pooled.T]] = 1
            found[f"{name}.0"] = (pooled - train_pooled.mean(axis=0)) / deviation @ matrix
    return found


def kept_filters(network, name):
    return network.get_submodule(f"{name}.0").out_channels


@pytest.fixture(scope="module")
def recorded(place, tmp_path_factory):
    return {
        kind: record(run, plain=kind, out=tmp_path_factory.mktemp("r") / kind, **ASKED)
        for kind, run in KINDS.items()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_filter_is_on_for_as_many_training_images_as_the_decoupled_runs(kind, recorded):
    """The oracle: sort the scores, filter by filter, and cut where the decoupled run's count says."""
    x = training_images()
    with torch.no_grad():
        _, path = load_run("gated").network.with_path(x)
    scores = expected_scores(kind, x)
    said = recorded[kind].manifest["extra"][BASELINE]["layers"]
    seen = {"always": 0, "never": 0, "cut": 0}
    for name, values in scores.items():
        wanted = path[name].numpy().sum(axis=0).astype(int).tolist()
        assert said[name]["wanted"] == wanted
        for j, count in enumerate(wanted):
            given = said[name]["thresholds"][j]
            if count in (0, IMAGES):
                assert given == ("always" if count else "never")
                assert said[name]["reached"][j] == count
                seen[given] += 1
                continue
            ordered = sorted(values[:, j].tolist(), reverse=True)
            seen["cut"] += 1
            if ordered[count] < ordered[count - 1] - 1e-5:  # no tie there
                assert said[name]["reached"][j] == count
                assert ordered[count] - 1e-4 < given < ordered[count - 1] + 1e-4
            above = sum(value > given for value in ordered)
            assert abs(above - said[name]["reached"][j]) <= 1  # rounding of another batch
    assert min(seen.values()) > 5


@pytest.mark.parametrize("kind", KINDS)
def test_new_images_are_cut_at_the_same_thresholds(kind, recorded):
    recording = recorded[kind]
    test = load_dataset("digits").split("test")
    x = inputs(test, [test.ids.index(image) for image in recording.images["image"]])
    both = torch.cat([training_images(), x])
    said = recording.manifest["extra"][BASELINE]["layers"]
    checked = 0
    for name, values in expected_scores(kind, both).items():
        bits = recording.bits(name)
        for j, given in enumerate(said[name]["thresholds"]):
            if isinstance(given, str):
                assert bits[:, j].all() if given == "always" else not bits[:, j].any()
                continue
            for on, value in zip(bits[:, j], values[IMAGES:, j], strict=True):
                if abs(value - given) > 1e-4:  # rounding of another batch decides nothing here
                    assert on == (value > given)
                    checked += 1
    assert checked > 2000


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_and_cost_are_the_plain_networks(kind, recorded):
    recording = recorded[kind]
    network = load_run("plain").network
    test = load_dataset("digits").split("test")
    x = inputs(test, [test.ids.index(image) for image in recording.images["image"]])
    with torch.no_grad():
        confidence, prediction = network(x).softmax(dim=1).max(dim=1)
    assert recording.images["prediction"].tolist() == prediction.tolist()
    assert np.array_equal(recording.images["confidence"], confidence.numpy())
    dense = load_run("gated").network.cost.dense
    assert set(recording.images["macs"]) == {dense}
    assert recording.manifest["macs_dense"] == dense


@pytest.mark.parametrize("kind", KINDS)
def test_the_manifest_says_where_the_codes_come_from(kind, recorded):
    recording, reference = recorded[kind], load_run("gated")
    said = recording.manifest["extra"][BASELINE]
    assert said["kind"] == kind
    assert said["rates_from"] == {"run": "gated", "checkpoint": reference.checkpoint}
    assert (said["images"], said["images_asked"], said["seed"]) == (IMAGES, IMAGES, 0)
    assert recording.manifest["checkpoint"] == load_run(KINDS[kind]).checkpoint
    assert recording.layers.names == reference.network.layers.names
    strict = json.loads(
        (recording.folder / "recording.json").read_text(), parse_constant=lambda name: 1 / 0
    )
    assert strict["extra"][BASELINE] == said
    recording.verify()


def test_the_kinds_and_seeds_differ(recorded, tmp_path):
    other = record("plain", plain="random", out=tmp_path / "r", seed=1, **ASKED)
    all_bits = [recording.path_bits() for recording in (*recorded.values(), other)]
    for a, b in itertools.combinations(all_bits, 2):
        assert (a != b).mean() > 0.02


def test_scores_and_responses_can_be_kept_too(recorded, tmp_path):
    kept = record(
        "plain", plain="response", out=tmp_path / "r", columns=["scores", "responses", "features"],
        **ASKED,
    )  # fmt: skip
    assert np.array_equal(kept.path_bits(), recorded["response"].path_bits())
    said = kept.manifest["extra"][BASELINE]["layers"]
    for layer in kept.layers:
        responses, bits = kept.responses(layer.name), kept.bits(layer.name)
        np.testing.assert_allclose(kept.scores(layer.name), responses, rtol=2e-3, atol=1e-6)
        for j, given in enumerate(said[layer.name]["thresholds"]):
            if not isinstance(given, str):
                assert np.array_equal(responses[:, j].astype(float) > given, bits[:, j])


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_recording_resumes_with_its_thresholds_to_the_same_bytes(
    kind, tmp_path, monkeypatch
):
    from pathlens.recorder.baselines import Baseline

    asked = {**ASKED, "rates_images": 80, "plain": kind, "part_size": 16}
    record(KINDS[kind], out=tmp_path / "whole", **asked)
    interrupted_after(2, lambda: record(KINDS[kind], out=tmp_path / "cut", **asked))
    calibrate = Baseline.calibrate

    def measured_again(*args):
        raise AssertionError("thresholds were measured again")

    monkeypatch.setattr(Baseline, "calibrate", measured_again)
    for change in ({"rates_images": 90}, {"seed": 1}):
        with pytest.raises(PathLensError, match="recording of other codes"):
            record(KINDS[kind], out=tmp_path / "cut", **{**asked, **change})
    record(KINDS[kind], out=tmp_path / "cut", **asked)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")
    monkeypatch.setattr(Baseline, "calibrate", calibrate)
    (tmp_path / "cut" / "recording.json").write_text("broken")
    record(KINDS[kind], out=tmp_path / "cut", **asked)
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_each_kind_has_its_own_folder_below_the_run(place):
    said = []
    asked = {**ASKED, "rates_images": 20, "limit": 10, "say": said.append}
    first = record("plain", plain="response", **asked)
    second = record("plain", plain="random", **asked)
    own = record("gated", limit=10, progress=False)
    assert first.folder == place / "plain" / "recordings" / "digits-test-10-response-gated"
    assert second.folder == place / "plain" / "recordings" / "digits-test-10-random-gated"
    assert own.folder.name == "digits-test-10"
    assert any("on-rates of run gated, on 20 training images" in line for line in said)
    with pytest.raises(PathLensError, match="recording of other codes"):
        record("plain", plain="random", out=first.folder, **asked)


def test_a_report_says_that_nothing_is_routed(recorded, tmp_path):
    index = report(recorded["random"], out=tmp_path / "page", layers=[1], progress=False)
    numbers = json.loads((index.parent / "summary.json").read_text())
    assert "no paths but a baseline: random projections" in numbers["headline"]
    assert "on-rates of run gated, nothing is saved" in numbers["headline"]
    assert "multiply-adds saved" not in numbers["headline"]
    page = index.read_text()
    assert "Nothing is routed here" in page
    assert "Routed through, not detected by" not in page


def test_the_command_line_records_baselines_and_columns(tmp_path):
    arguments = [
        "--rates-from",
        "gated",
        "--rates-images",
        "20",
        "--limit",
        "10",
        "--plain",
        "random",
    ]
    arguments += ["--with", "logits", "--out", str(tmp_path / "r")]
    done = CliRunner().invoke(app, ["record", "plain", *arguments])
    assert done.exit_code == 0, done.output
    recording = open_recording(tmp_path / "r")
    assert recording.manifest["extra"][BASELINE]["kind"] == "random"
    assert np.array_equal(recording.logits().argmax(axis=1), recording.images["prediction"])
    # The newest decoupled run is no answer to which plain network is meant.
    done = CliRunner().invoke(app, ["record", *arguments])
    assert isinstance(done.exception, PathLensError)


# ------------------------------------------------------------------------------- thresholds


def best_by_search(scores, wanted):
    """Smallest distance from the wanted count that any threshold reaches."""
    tried = [min(scores) - 1, *scores]
    return min(abs(sum(s > t for s in scores) - wanted) for t in tried)


@pytest.mark.parametrize("seed", range(5))
def test_a_threshold_is_as_near_as_ties_allow(seed):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        count = int(rng.integers(2, 12))
        scores = rng.integers(-3, 4, count).astype(np.float32) * np.float32(0.1)
        for wanted in range(count + 1):
            found = threshold(scores, wanted)
            on = sum(float(s) > found for s in scores)
            if wanted in (0, count):
                assert on == wanted
            else:
                assert abs(on - wanted) == best_by_search(scores.tolist(), wanted)


@pytest.mark.parametrize("wanted", [0, 7])
@pytest.mark.parametrize("constant", [True, False])
def test_never_and_always_hold_for_every_image_to_come(wanted, constant):
    scores = np.full((7, 1), 0.25, np.float32) if constant else np.arange(7.0, dtype=np.float32)
    found = Thresholds.fit(scores.reshape(7, 1), np.array([wanted]))
    again = Thresholds.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False)))
    strange = np.array([-np.inf, -1e38, 0, 0.25, 1e38, np.inf, np.nan], np.float32).reshape(7, 1)
    for each in (found, again):
        assert each.bits(strange).all() if wanted else not each.bits(strange).any()


def test_a_threshold_lies_between_neighbours_that_differ_by_the_last_bit():
    low = np.float32(0.1)
    high = np.nextafter(low, np.float32(1))
    for wanted in (1, 2):
        scores = np.array([low] * (3 - wanted) + [high] * wanted, np.float32)
        found = Thresholds.fit(scores.reshape(3, 1), np.array([wanted]))
        assert found.reached.tolist() == [wanted]
        back = Thresholds.from_json(json.loads(json.dumps(found.to_json())))
        assert back.bits(scores.reshape(3, 1))[:, 0].tolist() == (scores == high).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_a_random_hash_projects_what_is_standardised_and_stands_dead_channels(seed):
    rng = np.random.default_rng(seed)
    raw = (rng.standard_normal((50, 4)) * 3 + 1).astype(np.float32)
    raw[:, 2] = 0.1
    mean, deviation = statistics(raw)
    matrix = np.random.default_rng([seed, 7]).standard_normal((4, 6))
    found = projected(raw, Layer(7, "a", 6, in_channels=4), seed, mean, deviation)
    assert deviation[2] == 1
    for i, j in itertools.product(range(50), range(6)):
        expected = 0.0
        for c in (0, 1, 3):
            column = raw[:, c].astype(float)
            spread = (sum((v - column.mean()) ** 2 for v in column) / 50) ** 0.5
            expected += (column[i] - column.mean()) / spread * matrix[c, j]
        assert found[i, j] == pytest.approx(expected, abs=1e-4)


# ------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("run", "changes", "message"),
    [
        ("plain", {"rates_from": None}, "--plain response needs --rates-from RUN"),
        ("gated", {"plain": None}, "--rates-from is for baselines"),
        ("gated", {}, "Run gated has gating modules: --plain response needs a plain run"),
        ("beside", {"plain": "random"}, "Run beside has gating modules"),
        ("plain", {"plain": "unapplied"}, "Run plain is a plain run.*train --unapplied"),
        ("gated", {"plain": "unapplied"}, "Run gated applies its gates.*train --unapplied"),
        ("plain", {"plain": "responses"}, "Unknown kind of baseline 'responses': did you mean"),
        ("plain", {"rates_from": "plain"}, "Run plain applies no gates"),
        ("plain", {"rates_from": "beside"}, "Run beside applies no gates"),
        ("plain", {"rates_from": "nobody"}, "Unknown run 'nobody'"),
        ("plain", {"rates_images": 0}, "--rates-images must be at least 1"),
        (None, {}, "needs the run whose plain network is recorded"),
    ],
)
def test_bad_input_is_one_clear_sentence(tmp_path, run, changes, message):
    asked = {"plain": "response", **ASKED, "out": tmp_path / "r", **changes}
    with pytest.raises(PathLensError, match=message):
        record(run, **asked)
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0.25}, r"width 0\.5\) and run other a small_cnn \(width 0\.25\)"),
        ({"data_seed": 1}, "were not trained on the same images"),
        ({"limit": 100}, "were not trained on the same images"),
        ({"image_size": 24}, "see images in other sizes"),
    ],
)
def test_runs_that_do_not_belong_together_are_refused(place, tmp_path, changes, message):
    settings = {"width": 0.5, "epochs": 0, "run": "other", "progress": False, **changes}
    shutil.rmtree(place / "other", ignore_errors=True)
    train("small_cnn", "digits", **settings)
    with pytest.raises(PathLensError, match=message):
        record("plain", plain="response", out=tmp_path / "r", **{**ASKED, "rates_from": "other"})
    shutil.rmtree(place / "other")
