"""The history as CSV, for TensorBoard, on the bar, and as lines."""

import io
import sys

import pandas as pd
import pytest

from pathlens.errors import PathLensError
from pathlens.training import InterruptedTraining, history, train
from pathlens.training.loop import Trainer
from pathlens.training.telling import Telling

ROW = {
    "epoch": 2,
    "loss": 1.25,
    "train_accuracy": 0.5,
    "density": 0.6,
    "validation_accuracy": 0.4,
    "validation_density": 0.61,
    "validation_macs_share": 0.47,
    "seconds": 12.0,
}


def scalars(folder):
    """What TensorBoard would show: column -> [(epoch, value), ...]."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = reader.EventAccumulator(str(folder)).Reload()
    return {
        name: [(event.step, event.value) for event in found.Scalars(name)]
        for name in found.Tags()["scalars"]
    }


def assert_same(folder):
    table = pd.read_csv(folder / "history.csv").set_index("epoch")
    shown = scalars(folder / "tensorboard")
    assert set(shown) == set(table)
    for name, column in table.items():
        assert [step for step, _ in shown[name]] == list(table.index)
        assert [value for _, value in shown[name]] == pytest.approx(list(column), rel=1e-6)


def test_tensorboard_shows_every_column_of_every_epoch_once(quick):
    assert_same(quick(tensorboard=True).folder)


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_run_cut_around_its_event_files_shows_no_epoch_twice_and_none_too_few(
    quick, monkeypatch, where
):
    """Cut after epoch 2 of 3: before the epoch is shown, or after it and before its checkpoint."""
    original, saved = Telling.epoch_is_done, Trainer.save

    def cut(self, row):
        if row["epoch"] == 2:
            if where == "after":
                original(self, row)
            raise InterruptedTraining("cut")
        original(self, row)

    def save(self):
        if where == "before" or self.epoch < 2:
            saved(self)

    monkeypatch.setattr(Telling, "epoch_is_done", cut)
    monkeypatch.setattr(Trainer, "save", save)
    with pytest.raises(InterruptedTraining):
        quick(tensorboard=True, epochs=3, run="cut")
    monkeypatch.setattr(Telling, "epoch_is_done", original)
    monkeypatch.setattr(Trainer, "save", saved)
    assert_same(train(run="cut", progress=False).folder)


def test_without_the_package_one_sentence_says_what_to_install(quick, runs, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(PathLensError, match=r"pip install 'pathlens\[tensorboard\]'"):
        quick(tensorboard=True)
    assert not list(runs.glob("*/config.json"))
    assert quick().finished


def test_the_table_has_all_columns_that_any_epoch_has(tmp_path):
    history.write_csv(tmp_path / "h.csv", [{"epoch": 1, "loss": 2.0}, {"epoch": 2, "density": 0.5}])
    table = pd.read_csv(tmp_path / "h.csv")
    assert list(table) == ["epoch", "loss", "density"]
    assert list(table["epoch"]) == [1, 2]


def test_the_line_of_an_epoch_says_all_that_matters():
    assert history.line(ROW, 6, 125) == (
        "epoch 2/6  loss 1.250  train 50.0%  validation 40.0%  gates on 61.0%  MACs 47.0%  12 s  "
        "2 min left"
    )
    plain = {name: value for name, value in ROW.items() if name != "density"}
    assert "gates" not in history.line(plain, 6, 0)
    assert "left" not in history.line(plain, 6, 0)


def test_the_bar_shows_parts_of_the_loss_density_accuracy_and_time_left_of_the_whole(
    quick, monkeypatch
):
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TQDM_MININTERVAL", "0")
    quick(progress=True, epochs=3, say=lambda _: None)
    bars = shown.getvalue().split("\r")
    middle = next(bar for bar in bars if "epoch 2/3" in bar and "loss=" in bar)
    for name in ("class=", "info=", "align=", "sparse=", "acc=", "on=", " left"):
        assert name in middle
    percent = int(middle.split("%")[0].split()[-1])
    assert 33 < percent <= 67  # of three epochs, not of the second
