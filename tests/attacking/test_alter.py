import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import pathlens
from pathlens.attacking import (
    CarliniWagner,
    DeepFool,
    Jpeg,
    ProjectedGradient,
    Square,
    alter,
    open_altered,
    reencode,
)
from pathlens.attacking.classifier import ImageClassifier, in_unit_range
from pathlens.attacking.folder import COLUMNS, AlteredFolder
from pathlens.attacking.images import ChosenImages, with_centre
from pathlens.datasets import load_dataset
from pathlens.datasets.loader import View, centre, normalise, to_canvas
from pathlens.errors import PathLensError
from pathlens.training.evaluation import scores_of
from pathlens.training.loading import load_run
from tests.attacking.conftest import snapshot

pytest.importorskip("foolbox")


def pixels_of(altered):
    images = [np.asarray(Image.open(altered.folder / name)) for name in altered.table["image"]]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def clean_pixels(altered):
    split = load_dataset("digits").split("test")
    place = {image: i for i, image in enumerate(split.ids)}
    side = altered.config["view"]["canvas"]
    images = [to_canvas(split.read(place[x]), side) for x in altered.table["source_image"]]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def make(runs, what, **settings):
    return alter("gated", what, progress=False, **{"images": 20, **settings})


@pytest.fixture(scope="module")
def attacked(trained, tmp_path_factory):
    out = tmp_path_factory.mktemp("attacked") / "pgd"
    return alter(trained / "gated", "pgd-linf-8", images=20, out=out, progress=False)


def test_the_table_says_what_the_files_hold(attacked, runs):
    table = attacked.table
    assert tuple(table.columns) == COLUMNS
    assert len(table) == 20
    change = (pixels_of(attacked).double() - clean_pixels(attacked).double()).flatten(1) / 255
    assert np.allclose(table["linf"], change.abs().amax(1))
    assert np.allclose(table["l2"], change.norm(dim=1))
    assert table["linf"].max() <= 8 / 255 + 1e-12
    network = load_run("gated").network
    with torch.no_grad():
        x = normalise(pixels_of(attacked))
        predictions = scores_of(network.with_path(x, gates="hard")[0]).argmax(1).numpy()
    classes = attacked.config["classes"]
    labels = np.array([classes.index(name.split("/")[1]) for name in table["image"]])
    assert (table["success"] == (predictions != labels)).all()
    assert table["clean_correct"].all()
    assert np.bincount(labels).max() - np.bincount(labels, minlength=10).min() <= 2


def test_recording_the_folder_sees_exactly_the_altered_pixels(attacked, runs, tmp_path):
    recording = pathlens.record(
        "gated",
        data=attacked.folder,
        columns=("scores", "features", "logits"),
        out=tmp_path / "recording",
        progress=False,
    )
    images = recording.images
    assert sorted(images["image"]) == sorted(attacked.table["image"])
    table = attacked.table.set_index("image").loc[list(images["image"])]
    assert list(images["source_image"]) == list(table["source_image"])
    assert list(images["group"]) == list(table["source_image"])
    assert set(images["attack"]) == {"pgd-linf-8"}
    assert ((images["prediction"] != images["label"]).to_numpy() == table["success"]).all()
    order = [list(attacked.table["image"]).index(name) for name in images["image"]]
    with torch.no_grad():
        classifier = ImageClassifier(load_run("gated").network)
        logits = classifier(in_unit_range(pixels_of(attacked)[order]))
    assert np.allclose(recording.logits(), logits.numpy(), atol=1e-5)


def test_a_view_with_a_margin_shows_the_altered_middle():
    view = View.of(28, None)
    assert view.canvas == 32
    canvas = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    inputs = torch.randint(0, 256, (2, 3, 28, 28), dtype=torch.uint8)
    kept = with_centre(canvas, inputs, view)
    file = kept[0].permute(1, 2, 0).numpy()
    seen = torch.from_numpy(to_canvas(file, view.canvas)).permute(2, 0, 1)[None]
    assert torch.equal(centre(seen, view), inputs[:1])
    assert torch.equal(kept[:, :, :2], canvas[:, :, :2])


def test_smallest_norm_attacks_survive_8_bits_and_change_less_than_a_box(runs, attacked, tmp_path):
    for attack in (DeepFool(steps=10), CarliniWagner(searches=3, steps=40)):
        small = make(runs, attack, images=10, out=tmp_path / attack.label)
        assert small.table["success"].mean() >= 0.9
        assert small.table["l2"].median() < 0.7 * attacked.table["l2"].median()


def test_epsilon_0_gives_exactly_the_clean_accuracy(runs, tmp_path):
    same = alter(
        "gated", "fgsm-0", images=None, correct_only=False, out=tmp_path / "same", progress=False
    )
    accuracy = same.config["clean_accuracy"]
    assert 1 - same.table["success"].mean() == pytest.approx(accuracy, abs=1e-12)
    assert accuracy == pytest.approx(load_run("gated").run.result["test"]["accuracy"], abs=1e-6)
    assert (same.table["success"] == ~same.table["clean_correct"]).all()
    assert same.table["l2"].max() == 0


def test_a_killed_run_goes_on_and_gives_the_same_bytes(runs, tmp_path, monkeypatch):
    attack = ProjectedGradient("linf", 4 / 255, steps=5)
    settings = {"part_size": 6, "batch_size": 4}
    whole = make(runs, attack, out=tmp_path / "whole", **settings)
    written = []
    original = AlteredFolder.write_part

    def dies(self, part, rows, canvases):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(part)
        original(self, part, rows, canvases)

    monkeypatch.setattr(AlteredFolder, "write_part", dies)
    with pytest.raises(KeyboardInterrupt):
        make(runs, attack, out=tmp_path / "killed", **settings)
    with pytest.raises(PathLensError, match="no finished altered images"):
        open_altered(tmp_path / "killed")
    monkeypatch.setattr(AlteredFolder, "write_part", original)
    again = make(runs, attack, out=tmp_path / "killed", **settings)
    assert written == [0, 1]
    assert snapshot(again.folder) == snapshot(whole.folder)
    other = make(runs, attack, out=tmp_path / "other", part_size=20, batch_size=20)
    pd.testing.assert_frame_equal(other.table, whole.table)


def test_a_finished_folder_is_opened_and_another_plan_refused(runs, attacked):
    before = snapshot(attacked.folder)
    make(runs, "pgd-linf-8", out=attacked.folder)
    assert snapshot(attacked.folder) == before
    with pytest.raises(PathLensError, match=r"altered otherwise .*seed"):
        make(runs, "pgd-linf-8", out=attacked.folder, seed=1)


def test_transfer_is_crafted_on_the_plain_network_and_judged_on_the_gated(runs, tmp_path):
    moved = make(runs, "fgsm-16", source="plain", out=tmp_path / "moved")
    assert moved.label == "fgsm-16-transfer"
    assert moved.config["gates"] is None
    clean = clean_pixels(moved)
    labels = [moved.config["classes"].index(name.split("/")[1]) for name in moved.table["image"]]
    classifier = ImageClassifier(load_run("plain").network)
    images = in_unit_range(clean).requires_grad_()
    torch.nn.functional.cross_entropy(
        classifier(images), torch.tensor(labels), reduction="sum"
    ).backward()
    by_hand = ((images.detach() + 16 / 255 * images.grad.sign()).clamp(0, 1) * 255).round()
    assert torch.equal(pixels_of(moved), by_hand.to(torch.uint8))


def test_reencoding_is_jpeg_of_the_attacked_images_and_counts_success_anew(runs, attacked):
    again = reencode(
        attacked.folder, progress=False, out=attacked.folder.with_name("jpeg"), data="digits"
    )
    assert again.label == "pgd-linf-8-jpeg"
    assert list(again.table["source_image"]) == list(attacked.table["source_image"])
    assert set(again.table["kind"]) == {"attack"}
    assert np.allclose(again.table["epsilon"], 8 / 255)
    first = pixels_of(attacked)[0].permute(1, 2, 0).numpy()
    assert np.array_equal(pixels_of(again)[0].permute(1, 2, 0).numpy(), Jpeg(75).encoded(first))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"what": "pgd-linff-8"}, "Unknown attack or benign control"),
        ({"what": "fgsm-0.5"}, "less than a step of 8-bit images"),
        ({"gates": "firm"}, "no gates 'firm'"),
        ({"source": "plain", "gates": "soft"}, "plain is a plain network and has no gates"),
        ({"run": "plain", "gates": "soft"}, "plain is a plain network and has no gates"),
        ({"run": "nobody"}, "Unknown run 'nobody'"),
        ({"images": 0}, "give at least 1"),
        ({"images": ["no such image"]}, "Unknown image"),
        ({"seed": -1}, "seed -1 is negative"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"device": "abacus"}, "cannot be used"),
        ({"data": "scenes"}, "no labels that the network knows"),
    ],
)
def test_bad_input_gets_one_clear_sentence(runs, tmp_path, settings, sentence):
    given = {"run": "gated", "what": "fgsm-8", "out": tmp_path / "out", "images": 4, **settings}
    with pytest.raises(PathLensError, match=sentence) as caught:
        alter(given.pop("run"), given.pop("what"), progress=False, **given)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out" / "altered.json").exists()


def test_nothing_right_when_clean_is_told(runs, tmp_path, monkeypatch):
    def wrong(self, pixels, batch_size=128):
        return torch.full((len(pixels),), 99)

    monkeypatch.setattr(ImageClassifier, "predict", wrong)
    with pytest.raises(PathLensError, match="none of these images right when clean"):
        make(runs, "noise-8", out=tmp_path / "out")


def test_a_folder_of_something_else_is_refused(runs, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PathLensError, match="holds other files"):
        make(runs, "noise-8", out=tmp_path)


def test_without_the_library_benign_controls_work_and_attacks_say_what_to_install(
    runs, tmp_path, no_library
):
    assert len(make(runs, "noise-2", out=tmp_path / "noise").table) == 20
    with pytest.raises(PathLensError, match=r"pathlens\[detection\]"):
        make(runs, "fgsm-8", out=tmp_path / "fgsm")


def test_what_the_library_does_not_make_needs_none_and_names_none(
    runs, attacked, tmp_path, no_library
):
    search = make(runs, Square(8 / 255, queries=3), images=4, out=tmp_path / "square")
    again = reencode(attacked, data="digits", out=tmp_path / "jpeg", progress=False)
    for one in (search, again):
        assert "library" not in one.config["versions"]
    assert attacked.config["versions"]["library"].startswith("foolbox ")


def test_images_to_leave_out_are_left_out_unless_named_or_all_that_there_are(
    runs, attacked, tmp_path
):
    first = list(attacked.table["source_image"])
    others = make(runs, "noise-8", leave_out=first, out=tmp_path / "others")
    assert len(others.table) == 20
    assert set(others.table["source_image"]).isdisjoint(first)
    named = make(runs, "noise-8", images=first[:3], leave_out=first, out=tmp_path / "named")
    assert sorted(named.table["source_image"]) == sorted(first[:3])
    everything = load_dataset("digits").split("test").ids
    same = make(runs, "noise-8", leave_out=everything, out=tmp_path / "same")
    assert list(same.table["source_image"]) == first


def test_another_device_s_last_digit_of_the_accuracy_is_no_other_plan(runs, tmp_path, monkeypatch):
    out = tmp_path / "noise"
    before = make(runs, "noise-8", out=out)
    accuracy = property(lambda self: before.config["clean_accuracy"] - 1e-3)
    monkeypatch.setattr(ChosenImages, "clean_accuracy", accuracy)
    assert make(runs, "noise-8", out=out).config == before.config
