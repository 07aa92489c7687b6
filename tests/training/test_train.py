"""Training end to end on small data: learning, resuming exactly, saying what is wrong."""

import json
import os
import signal

import numpy as np
import pandas as pd
import pytest
import torch

from pathlens.decoupling import DecoupledNetwork
from pathlens.errors import PathLensError
from pathlens.runs import Run, plain_twin
from pathlens.training import InterruptedTraining, load, load_run, train
from pathlens.training.checkpoint import load_checkpoint, weights_hash
from pathlens.training.loop import Trainer

from .conftest import same_weights as same
from .conftest import weights_of as weights


def test_a_finished_run_has_all_its_files_and_loads(quick):
    run = quick()
    assert run.finished
    assert {"config.json", "history.csv", "checkpoint.pt", "result.json"} <= {
        path.name for path in run.folder.iterdir()
    }
    history = pd.read_csv(run.folder / "history.csv")
    assert list(history["epoch"]) == [1, 2]
    assert {"loss", "classification", "mutual_information", "alignment", "sparsity"} <= set(history)
    network = load(run)
    assert isinstance(network, DecoupledNetwork)
    assert not network.training
    assert run.result["checkpoint"] == load_run(run).checkpoint == weights_hash(weights(run))
    assert run.result["test"]["images"] == 200


@pytest.mark.slow
def test_a_decoupled_network_learns_and_meets_its_budget(quick):
    plain = quick(limit=None, width=0.5, epochs=8, plain=True, run="plain")
    assert plain.result["test"]["accuracy"] > 0.9
    run = quick(limit=None, width=0.5, epochs=8, start_from="plain")
    test = run.result["test"]
    assert test["accuracy"] > 0.8
    assert 0.35 < test["macs_share"] < 0.6
    assert 0.3 < test["density"] < 0.95


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(quick):
    first, second, third = quick(run="a"), quick(run="b"), quick(run="c", seed=1)
    assert same(weights(first), weights(second))
    assert not same(weights(first), weights(third))


def test_a_run_interrupted_within_an_epoch_resumes_to_the_same_weights(quick, monkeypatch):
    whole = quick(run="whole")
    original, calls = Trainer._train_step, []

    def interrupting(self, *args):
        original(self, *args)
        calls.append(1)
        if len(calls) == 8:  # in the second epoch of six steps
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "_train_step", interrupting)
    with pytest.raises(
        InterruptedTraining, match=r"Stopped in epoch 2 of 2 after step 2 of 6.*resume"
    ):
        quick(run="cut")
    monkeypatch.setattr(Trainer, "_train_step", original)
    resumed = train(run="cut", progress=False)
    assert same(weights(whole), weights(resumed))
    first, second = (
        pd.read_csv(r.folder / "history.csv").drop(columns="seconds") for r in (whole, resumed)
    )
    pd.testing.assert_frame_equal(first, second)
    assert whole.result["test"] == resumed.result["test"]


def test_a_finished_run_is_not_trained_again(quick, capsys):
    before = quick(run="once").checkpoint.stat().st_mtime_ns
    after = quick(run="once", say=print).checkpoint.stat().st_mtime_ns
    assert before == after
    assert "finished already" in capsys.readouterr().out


def test_resuming_with_other_settings_is_refused(quick, monkeypatch):
    def stop(self):
        raise InterruptedTraining("stopped")

    monkeypatch.setattr(Trainer, "_finish_epoch", stop)
    with pytest.raises(InterruptedTraining):
        quick(run="one")
    with pytest.raises(PathLensError, match=r"other settings \(seed\)"):
        quick(run="one", seed=3)


def test_a_plain_run_has_no_gates_and_is_found_as_the_twin(quick):
    plain = quick(plain=True, run="plain")
    quick(plain=True, run="longer", epochs=3)
    assert not isinstance(load(plain), DecoupledNetwork)
    assert plain.result["test"]["macs_share"] == 1.0
    decoupled = quick(run="decoupled")
    assert plain_twin(decoupled).name == "plain"


def test_starting_from_a_run_takes_its_weights(quick):
    plain = quick(plain=True, run="plain")
    run = quick(start_from="plain", run="next", epochs=0)
    restored = load(run).restore().state_dict()
    assert same(restored, weights(plain))


def test_zero_epochs_only_measure(quick):
    run = quick(epochs=0, plain=True)
    assert run.finished
    assert 0 <= run.result["test"]["accuracy"] <= 1


def test_keep_best_keeps_the_epoch_with_the_best_validation(quick, tmp_path, monkeypatch):
    recipe = tmp_path / "best.toml"
    recipe.write_text('keep = "best"\n[optimiser]\nlr_from_scratch = 0.05\n')
    kept = {}
    original = Trainer.save

    def spy(self):
        original(self)
        kept[self.epoch] = {n: t.clone() for n, t in self.network.state_dict().items()}

    monkeypatch.setattr(Trainer, "save", spy)
    run = quick(recipe=str(recipe), epochs=4, plain=True)
    accuracy = pd.read_csv(run.folder / "history.csv")["validation_accuracy"]
    assert same(
        weights(run), kept[int(np.argmax(accuracy)) + 1] if accuracy.nunique() > 1 else kept[1]
    )


def test_unreadable_images_are_listed_and_left_out(quick, tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in ("a", "b"):
            folder = tmp_path / "data" / split / name
            folder.mkdir(parents=True)
            for i in range(12):
                pixels = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{i}.png")
    (tmp_path / "data" / "train" / "a" / "broken.png").write_bytes(b"not a picture")
    run = quick(data=tmp_path / "data", limit=None, batch_size=8)
    skipped = pd.read_csv(run.folder / "skipped.csv")
    assert list(skipped["image"]) == ["train/a/broken.png"]


def test_configuration_is_plain_json_and_the_checkpoint_holds_no_classes(quick):
    run = quick()
    config = json.loads((run.folder / "config.json").read_text())
    assert config["model"] == "small_cnn"
    assert config["recipe"]["name"] == "short"
    assert torch.load(run.checkpoint, weights_only=True)["format"] == 1


def test_a_full_disk_says_so_and_keeps_the_last_checkpoint(quick, monkeypatch):
    import errno

    import pathlens.training.checkpoint as module

    original, calls = module.write_bytes, []

    def full(target, content):
        calls.append(1)
        if len(calls) == 2:
            from pathlens.files import clear_disk_errors

            with clear_disk_errors(target):
                raise OSError(errno.ENOSPC, "No space left on device")
        original(target, content)

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(PathLensError, match="No space left to write"):
        quick(run="full")
    monkeypatch.setattr(module, "write_bytes", original)
    assert load_checkpoint(Run(quick(run="full").folder).checkpoint)["training"]["epoch"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "resnet21"}, "Unknown model 'resnet21'.*resnet20"),
        ({"model": "no.such:net"}, "Cannot import 'no.such'"),
        ({"model": "math:nothing"}, "has no function 'nothing'"),
        ({"model": "math:sqrt"}, "not a torch.nn.Module"),
        ({"data": "sceens"}, "Unknown data set 'sceens'.*scenes"),
        ({"weights": "missing.pt"}, "The weight file .* is not there"),
        ({"image_size": 2}, "too small"),
        ({"recipe": "nothing"}, "Unknown recipe"),
        ({"device": "cuda:99"}, "cannot be used here"),
        ({"device": "gpu"}, "cannot be used here"),
        ({"start_from": "nobody"}, "Unknown run 'nobody'"),
        ({"model": "resnet18", "width": 0.5}, "--width narrows only"),
        ({"run": "../escape"}, "cannot be the name of a run"),
        ({"epochs": -1}, "--epochs must be 0 or more"),
        ({"model": None}, "needs a MODEL and --data"),
    ],
)
def test_bad_input_is_one_clear_sentence_and_leaves_no_run(quick, runs, changes, message):
    with pytest.raises(PathLensError, match=message):
        quick(**{"width": 1.0, **changes})
    assert not list(runs.glob("*/config.json"))


def write_classes(folder, count=12, classes=("a", "b")):
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in classes:
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i}.png")
    return folder


def test_a_folder_does_not_take_the_place_of_an_embedded_set(quick, tmp_path, monkeypatch):
    write_classes(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    assert quick().config["data"] == "digits"
    assert quick(data="./digits", limit=None, batch_size=8).config["data"] == str(
        tmp_path / "digits"
    )


def test_validation_images_are_recorded_the_same_however_the_folder_is_spelt(
    quick, tmp_path, monkeypatch
):
    from pathlens.recorder import record

    write_classes(tmp_path / "photos", count=40)
    monkeypatch.chdir(tmp_path)
    run = quick(data="photos", limit=40, batch_size=8)
    by_default = record(run, split="validation", out="r1", progress=False)
    spelt = record(run, "photos", split="validation", out="r2", progress=False)
    assert list(by_default.images["image"]) == list(spelt.images["image"])
    assert len(spelt) == 4


def test_a_second_process_on_a_run_is_refused(quick, runs):
    from pathlens.lock import FolderLock

    (runs / "busy").mkdir(parents=True)
    lock = FolderLock(runs / "busy" / "training.lock")
    with pytest.raises(PathLensError, match="Another process is writing"):
        quick(run="busy")
    lock.release()
    assert quick(run="busy").finished


def test_a_run_whose_images_have_changed_is_not_resumed(quick, tmp_path, monkeypatch):
    folder = write_classes(tmp_path / "photos")

    def stop(self):
        raise InterruptedTraining("stopped")

    original = Trainer._finish_epoch
    monkeypatch.setattr(Trainer, "_finish_epoch", stop)
    with pytest.raises(InterruptedTraining):
        quick(data=folder, limit=None, batch_size=8, run="one")
    monkeypatch.setattr(Trainer, "_finish_epoch", original)
    write_classes(folder, count=20)
    with pytest.raises(PathLensError, match=r"training images of .* are not those"):
        quick(data=folder, limit=None, batch_size=8, run="one")


def test_ctrl_c_while_an_epoch_is_measured_is_granted(quick, monkeypatch):
    original = Trainer._finish_epoch

    def interrupting(self):
        os.kill(os.getpid(), signal.SIGINT)
        original(self)

    monkeypatch.setattr(Trainer, "_finish_epoch", interrupting)
    with pytest.raises(InterruptedTraining, match="Stopped in epoch 2 of 2 after step 0"):
        quick(run="cut")


def test_run_alone_takes_no_other_settings_and_a_finished_run_no_others(quick):
    quick(run="one")
    with pytest.raises(PathLensError, match="keeps the settings"):
        train(run="one", epochs=9, progress=False)
    with pytest.raises(PathLensError, match="keeps the settings"):
        train(run="one", recipe="released", progress=False)
    with pytest.raises(PathLensError, match=r"other settings \(epochs\)"):
        quick(run="one", epochs=3)


def test_a_decoupled_teacher_teaches_with_its_gates(quick, monkeypatch):
    quick(run="first")
    seen = []
    original = Trainer.__init__

    def spy(self, config, run, network, teacher, *args, **kwargs):
        seen.append(teacher)
        original(self, config, run, network, teacher, *args, **kwargs)

    monkeypatch.setattr(Trainer, "__init__", spy)
    quick(run="second", start_from="first")
    assert isinstance(seen[0], DecoupledNetwork)


@pytest.mark.parametrize("damage", ["null", "[1]", "{", '{"view": 3, "classes": 4}'])
def test_a_damaged_configuration_is_said_and_does_not_hide_other_runs(quick, runs, damage):
    from pathlens.runs import find_run

    good, bad = quick(run="good"), quick(run="bad")
    (bad.folder / "config.json").write_text(damage)
    with pytest.raises(PathLensError):
        load("bad")
    if damage != '{"view": 3, "classes": 4}':
        assert find_run(with_paths=True).name == good.name


@pytest.mark.parametrize("content", [b"", b"\x80\x04garbage", b"PK\x03\x04broken"])
def test_a_damaged_checkpoint_is_said(quick, content):
    run = quick()
    run.checkpoint.write_bytes(content)
    with pytest.raises(PathLensError, match="damaged"):
        load(run)


def test_a_model_with_the_wrong_number_of_scores_is_refused(quick, tmp_path, monkeypatch):
    (tmp_path / "few_scores.py").write_text(
        "import torch\ndef few(classes):\n    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), "
        "torch.nn.Conv2d(4, 3, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())\n"
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        PathLensError, match=r"scores of shape \(1, 3\) for one image, not \(1, 10\)"
    ):
        quick(model="few_scores:few", width=1.0)
