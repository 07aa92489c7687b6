"""`pathlens detect`, and what `pathlens explain` says of detectors, as a user meets them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from pathlens.cli.app import app
from pathlens.detection import load_detector
from pathlens.probing.explaining import Explainer
from pathlens.recording import open_recording

pytest.importorskip("foolbox")

LABELS = ("fgsm-24", "fgsm-12", "noise-4")


def pathlens(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


def said(done):
    """What went wrong, as the command line writes it; it adds nothing."""
    assert done.exit_code == 1
    assert "\n" not in str(done.exception)
    return str(done.exception)


@pytest.fixture(scope="module")
def place(trained, tmp_path_factory):
    """Runs, of which "gated" is attacked and recorded."""
    root = tmp_path_factory.mktemp("detect")
    shutil.copytree(trained, root / "runs", ignore=shutil.ignore_patterns("recordings"))
    patch = pytest.MonkeyPatch()
    patch.setenv("PATHLENS_RUNS", str(root / "runs"))
    done = pathlens("detect", "attack", *LABELS, "--run", "gated", "--images", 150)
    assert done.exit_code == 0, done.exception
    (root / "said.txt").write_text(done.output)
    yield root
    patch.undo()


@pytest.fixture(scope="module")
def recordings(place):
    folder = place / "runs" / "gated" / "recordings"
    clean = next(path for path in folder.iterdir() if not path.name.startswith("altered"))
    return {"clean": clean, **{label: folder / f"altered-{label}" for label in LABELS}}


@pytest.fixture(scope="module")
def fitted(recordings):
    """What `fit` said; detectors lie beside the clean recording."""
    names = [f"--detector={name}" for name in ("likelihood", "softmax", "mahalanobis")]
    done = pathlens("detect", "fit", *names, "--false-alarms", 0.1)
    assert done.exit_code == 0, done.exception
    return done.output


def test_attack_says_how_many_are_misclassified_and_where_they_are(place, recordings):
    output = (place / "said.txt").read_text().replace("\n", "")
    for label, folder in recordings.items():
        table = open_recording(folder).images
        wrong = (table["label"] != table["prediction"]).mean()
        assert f"{label}: {len(table):,} images, {wrong:.1%} misclassified" in output
        assert folder.name in output


def test_fit_takes_the_newest_clean_recording_and_writes_beside_it(recordings, fitted):
    assert f"{recordings['clean'].name} (the newest of clean images)" in fitted.replace("\n", "")
    assert "likelihood: flags scores above" in fitted
    about = json.loads((recordings["clean"] / "detectors" / "softmax.json").read_text())
    assert f"softmax: flags scores above {about['threshold']:.4g}." in fitted


def test_attack_says_what_comes_next(place, recordings):
    output = (place / "said.txt").read_text().replace("\n", "")
    assert output.endswith(f'Next: pathlens detect fit "{recordings["clean"]}"')


def test_fit_warns_where_images_are_too_few_to_evaluate(recordings, fitted, tmp_path):
    done = pathlens(
        "detect", "fit", recordings["clean"], "--hold-back", 0.85, "--out", tmp_path / "few"
    )
    assert done.exit_code == 0, done.exception
    assert "too few to evaluate" in done.output.replace("\n", " ")
    assert "too few" not in fitted


def test_scores_lie_beside_the_recording_that_was_scored(recordings, fitted):
    folder = recordings["fgsm-24"]
    done = pathlens("detect", "score", folder, "--detectors", recordings["clean"] / "detectors")
    assert done.exit_code == 0, done.exception
    table = pd.read_csv(folder / "detection_scores.csv", keep_default_na=False)
    assert len(table) == 3 * 150
    share = (table.loc[table["detector"] == "likelihood", "flagged"] == "yes").mean()
    assert f"{share:.1%} flagged" in done.output
    done = pathlens("detect", "score", recordings["clean"])
    assert done.exit_code == 0, done.exception


def test_evaluation_writes_tables_and_figures_and_says_what_it_found(recordings, tmp_path):
    done = pathlens(
        *("detect", "evaluate", recordings["clean"], "--out", tmp_path / "out"),
        *("--detector", "likelihood", "--detector", "softmax"),
    )
    assert done.exit_code == 0, done.exception
    table = pd.read_csv(tmp_path / "out" / "detection.csv", keep_default_na=False)
    assert {"clean", *LABELS} <= set(table["altered"]) <= {"clean", "clean, misclassified", *LABELS}
    assert set(table["detector"]) == {"likelihood", "softmax", "likelihood + softmax"}
    assert (tmp_path / "out" / "detection.png").stat().st_size > 10_000
    assert "AUROC" in done.output


def test_a_family_of_its_own_is_left_out_alone(recordings, tmp_path):
    for more, said_of in (((), False), (("--family", "fgsm-24=mine"), True)):
        done = pathlens(
            *("detect", "evaluate", recordings["clean"], "--out", tmp_path, *more),
            *("--altered", recordings["fgsm-24"], "--altered", recordings["fgsm-12"]),
            *("--detector", "soft-logistic"),
        )
        assert done.exit_code == 0, done.exception
        matrix = pd.read_csv(tmp_path / "matrix.csv", keep_default_na=False)
        assert ("all other attacks" in set(matrix["fitted_on"])) == said_of
        pair = matrix[(matrix["fitted_on"] == "fgsm-12") & (matrix["altered"] == "fgsm-24")]
        assert bool(pair["same_family"].iloc[0]) != said_of


def test_an_attack_can_know_a_detector(place, recordings, fitted):
    detector = recordings["clean"] / "detectors" / "likelihood.json"
    done = pathlens(
        *("detect", "attack", "pgd-linf-16", "square-16", "--run", "gated", "--images", 6),
        *("--adaptive", detector, "--orthogonal"),
    )
    assert done.exit_code == 0, done.exception
    for label in ("adaptive-16-likelihood-orthogonal", "adaptive-16-likelihood-search"):
        folder = place / "runs" / "gated" / "recordings" / f"altered-{label}"
        assert len(open_recording(folder).images) == 6
        outcomes = pd.read_csv(place / "runs" / "gated" / "altered" / label / "adaptive.csv")
        assert not outcomes["used"].any()
        share = f"{outcomes['evaded'].mean():.1%} ["
        assert f"{label}: fools network and detector together on {share}" in done.output
    assert done.output.count("none of which the detector has seen") == 2


def test_what_is_held_back_can_be_chosen(recordings, tmp_path):
    for share, left in ((0, 0.0), (0.5, 0.5)):
        done = pathlens(
            *("detect", "fit", recordings["clean"], "--out", tmp_path, "--false-alarms", 0.1),
            *("--hold-back", share),
        )
        assert done.exit_code == 0, done.exception
        ids = open_recording(recordings["clean"]).images["image"]
        used = load_detector(tmp_path / "likelihood.json").used.holds(ids)
        assert abs((~used).mean() - left) < 0.01


def test_explain_says_which_layers_and_filters_give_an_image_away(place, recordings, fitted):
    attacked = open_recording(recordings["fgsm-24"]).images["image"]
    picture = place / "runs" / "gated" / "altered" / "fgsm-24" / attacked.iloc[0]
    out = place / "explained"
    common = ("--run", "gated", "--recording", recordings["clean"], "--passes", 3, "--out", out)
    done = pathlens("explain", picture, 4, *common)
    assert done.exit_code == 0, done.exception
    assert done.output.count("Detectors of altered images:") == 2
    assert "Layers that add most to likelihood" in done.output
    pathlens("detect", "score", recordings["clean"])
    pathlens(
        "detect", "score", recordings["fgsm-24"], "--detectors", recordings["clean"] / "detectors"
    )
    found = {path.parent.name: json.loads(path.read_text()) for path in out.glob("*/*.json")}
    assert len(found) == 2
    own = found.pop(picture.stem)
    for one, folder, row in ((own, "fgsm-24", 0), (*found.values(), "clean", 4)):
        table = pd.read_csv(recordings[folder] / "detection_scores.csv", keep_default_na=False)
        image = open_recording(recordings[folder]).images["image"].iloc[row]
        known = table[table["image"] == image].set_index("detector")
        assert [x["detector"] for x in one["detectors"]] == list(known.index)
        for said_of in one["detectors"]:
            expected = known.loc[said_of["detector"]]
            np.testing.assert_allclose(said_of["score"], expected["score"], rtol=2e-3, atol=1e-5)
            assert said_of["flagged"] == (expected["flagged"] == "yes")


def explained(place, recording, image=0, **settings):
    run = place / "runs" / "gated"
    return Explainer(run, recording, passes=2, progress=False, **settings).explain(image)


def test_detectors_elsewhere_can_be_named(place, recordings, fitted):
    softmax = (
        shutil.copytree(recordings["clean"] / "detectors", place / "elsewhere") / "softmax.json"
    )
    text = explained(place, recordings["clean"], detectors=softmax).text()
    assert "softmax scores it" in text
    assert "Layers that add most" not in text
    call = ("explain", 0, "--run", "gated", "--detectors", place / "nowhere")
    assert "no fitted detector" in said(pathlens(*call, "--recording", recordings["clean"]))


def test_without_detectors_explain_says_nothing_of_them(place, recordings, tmp_path):
    bare = tmp_path / "bare"
    shutil.copytree(recordings["clean"], bare, ignore=shutil.ignore_patterns("detectors"))
    found = explained(place, bare)
    assert found.giveaways is None
    assert "etectors" not in found.text()
    assert found.to_json()["detectors"] is None


def test_detectors_that_cannot_be_used_are_left_out_of_an_explanation(
    place, recordings, fitted, tmp_path
):
    copy = shutil.copytree(recordings["clean"], tmp_path / "copy")
    path = copy / "detectors" / "likelihood.json"
    path.write_text(path.read_text().replace("checkpoint", "chekpoint"))
    found = explained(place, copy)
    assert found.giveaways is None
    assert "damaged: fit it again" in found.left_out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("attack", "nonsense", "--run", "gated"), "Unknown attack or benign control"),
        (("attack", "noise-4", "--run", "plain"), "plain network"),
        (("attack", "fgsm-8", "--adaptive", "x.json"), "'fgsm-8' cannot know a detector"),
        (("attack", "pgd-l2-1", "--adaptive", "x.json"), "'pgd-l2-1' cannot know a detector"),
        (("attack", "square-8", "--adaptive", "x.json", "--jpeg"), "do not go with --adaptive"),
        (("attack", "square-8", "--orthogonal"), "need --adaptive"),
        (("evaluate", "clean", "--family", "fgsm-24"), "names no set and family"),
        (("evaluate", "clean", "--family", "fgsm=x"), "no altered set 'fgsm' that could be of a"),
        (("fit", "altered-noise-4"), "holds altered images"),
        (("fit", "clean", "--detector", "likelyhood"), "Unknown detector"),
        (("fit", "clean", "--false-alarms", "2"), "not between 0 and 1"),
        (("fit", "clean", "--hold-back", "1"), "1.0 to hold back is not from 0"),
        (("fit", "nowhere"), "no recording folder"),
        (("score", "clean", "--detectors", "nowhere"), "no fitted detector"),
        (("evaluate", "clean", "--altered", "clean"), "does not say what was done"),
    ],
)
def test_bad_input_is_one_sentence(recordings, arguments, sentence):
    folders = {path.name: path for path in recordings.values()} | {"clean": recordings["clean"]}
    assert sentence in said(pathlens("detect", *(folders.get(x, x) for x in arguments)))


def test_where_all_recordings_are_altered_the_clean_one_is_asked_for(
    recordings, tmp_path, monkeypatch
):
    alone = tmp_path / "runs" / "gated" / "recordings" / "altered"
    shutil.copytree(recordings["noise-4"], alone)
    monkeypatch.setenv("PATHLENS_RUNS", str(tmp_path / "runs"))
    assert "of altered images: name one" in said(pathlens("detect", "fit"))
