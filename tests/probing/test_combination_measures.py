"""What is measured of associations lies beside the recording and fills their columns."""

import base64
import io
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pathlens.analysis import associations
from pathlens.analysis.associating.association_table import UNFILLED
from pathlens.analysis.associating.measurements import ABLATION, IOU
from pathlens.analysis.associating.targets import split_halves
from pathlens.analysis.associating.turns import in_turn
from pathlens.analysis.measured.combinations import IOU_COLUMNS, combinations, with_measured
from pathlens.errors import PathLensError
from pathlens.probing import MaskFolder, measure_combinations
from pathlens.probing.combination_overlays import MOST, PICTURES, SIDE
from pathlens.probing.combination_settings import mask_setting, require_measurable
from pathlens.recorder import record
from pathlens.recording import open_recording
from pathlens.recording.beside import COMBINATIONS, OVERLAYS, read_overlays

from .masked import record_masked


@pytest.fixture(scope="module")
def masked(trained, tmp_path_factory):
    return record_masked(trained, tmp_path_factory.mktemp("masked"))


@pytest.fixture
def run(masked):
    """The run without anything measured."""
    for name in (COMBINATIONS, OVERLAYS):
        (masked.recording.folder / name).unlink(missing_ok=True)
    return masked


@pytest.fixture(scope="module")
def found(masked):
    return associations(masked.recording, [masked.layer], masked.concepts, resamples=20)


def measured(run, found, **options):
    settings = {"masks": run.masks, "data": run.data, "progress": False}
    return measure_combinations(run.recording, found, **{**settings, **options})


def own(run, table):
    """The row of the planted combination."""
    planted = "+".join(map(str, run.pair))
    return table[(table["combination"] == planted) & (table["concept"] == "thing")].iloc[0]


def test_confirmed_rows_are_filled_and_lie_beside_the_recording(run, found):
    assert list(own(run, found.frame)[[*IOU, *ABLATION]].isna()) == [True] * 5
    filled = measured(run, found)
    assert list(filled.frame.columns) == list(found.frame.columns)
    rest = [name for name in found.frame.columns if name not in UNFILLED]
    pd.testing.assert_frame_equal(filled.frame[rest], found.frame[rest])
    assert filled.frame["iou"].notna().tolist() == filled.frame["confirmed"].tolist()
    assert filled.frame["ablation_effect"].isna().all()
    row = own(run, filled.frame)
    assert 0 <= row["iou_ci_low"] <= row["iou"] <= row["iou_ci_high"] <= 1
    assert row["iou"] <= row["iou_ceiling"]
    assert row["iou_gain"] == pytest.approx(row["iou"] - row["iou_best_single"])
    half = split_halves(run.recording.images, 0)
    assert row["images_with_masks"] == (~half).sum()
    beside = own(run, combinations(run.recording))
    assert beside["layer"] == run.layer
    assert (beside["question"], beside["split"]) == (found.question.id, 0)
    assert beside["best_single"] == own(run, found.frame)["best_single"]
    assert beside["images_discovery"] == half.sum()
    assert beside["iou"] == row["iou"]
    assert "The response maps of" in filled.summary()
    again = with_measured(open_recording(run.recording.folder), found)
    pd.testing.assert_frame_equal(again.frame, filled.frame)


def test_the_maps_are_of_the_filters_the_masks_of_the_images(run, found, monkeypatch):
    """Members of the planted pair see red where they are on; all others see nothing."""

    def red(network, x, filters):
        (name,) = filters
        maps = (x[:, 0] > x[:, 0].min()).float().numpy()
        return {(name, i): maps * (i in run.pair) for i in filters[name]}

    monkeypatch.setattr("pathlens.probing.combination_maps.response_maps", red)
    # Where the gates are off the fake maps respond all the same: only pictures of the concept count.
    monkeypatch.setattr(
        "pathlens.probing.mask_measures.halves_with_masks", only_with_the_concept(run)
    )
    rows = measured(run, found).confirmed.set_index("combination")
    several = rows.index.str.contains("+", regex=False)
    for combination, row in rows[several].iterrows():
        members = {int(x) for x in combination.split("+")}
        assert (row["iou"] > 0.85) == (members <= set(run.pair)), combination
        assert (row["iou_best_single"] > 0.85) == (row["best_single"] in run.pair)


def only_with_the_concept(run):
    from pathlens.probing.mask_measures import Halves

    has = np.flatnonzero(run.concepts["concept"] == "thing")
    half = split_halves(run.recording.images, 0)[has]
    return lambda *_: Halves(has[half], has[~half], 0, 0)


def test_the_same_seed_measures_the_same(run, found):
    one, other = (measured(run, found, images=20).frame for _ in range(2))
    pd.testing.assert_frame_equal(one, other)
    another = measured(run, found, images=20, seed=1)
    assert not another.frame["iou"].equals(one["iou"])
    assert "with a mask, by choice" in another.left_out


def test_images_without_a_mask_are_left_out_and_counted(run, found, tmp_path):
    half = split_halves(run.recording.images, 0)
    kept = np.flatnonzero(~half)[7:]
    for row in [*kept, *np.flatnonzero(half)]:
        name = f"{row:03d}.png"
        (tmp_path / name).write_bytes((run.masks.folder / name).read_bytes())
    few = measured(run, found, masks=replace(run.masks, folder=tmp_path))
    assert set(few.confirmed["images_with_masks"]) == {len(kept)}
    assert set(combinations(run.recording)["images_without_masks"]) == {7}
    assert "7 confirmation images without a mask" in few.left_out


def test_all_that_was_tested_is_measured_on_request(run, found):
    filled = measured(run, found, confirmed_only=False)
    assert filled.frame["iou"].notna().tolist() == (filled.frame["concept"] == "thing").tolist()


def test_data_sets_bring_their_own_masks(run):
    recording = record(
        run.recording.folder.parent.parent, data="scenes", split="test", limit=60, progress=False
    )
    found = associations(recording, [1], resamples=0)
    seen = measure_combinations(
        recording, found, masks="dataset", data="scenes", confirmed_only=False, progress=False
    )
    filled = seen.frame[seen.frame["iou"].notna()]
    assert len(filled)
    assert not filled["concept"].str.startswith(("control:", "class:")).any()
    assert filled["iou"].between(0, 1).all()


def effects_double(calls, effect=-0.5):
    def double(recording, found, **options):
        calls.append(options)
        rows = found.confirmed if options["confirmed_only"] else found.frame
        table = rows[["layer", "name", "combination", "concept"]].reset_index(drop=True)
        return table.assign(
            ablation_effect=effect,
            ablation_effect_ci_low=effect - 0.1,
            ablation_effect_ci_high=effect + 0.1,
            ablation_effect_random=-0.1,
            ablation_effect_random_low=-0.2,
            ablation_effect_random_high=0.0,
            p_random=0.05,
            random_sets=19,
            read_out_auroc=0.9,
            images=40,
            note="3",
        )

    return double


@pytest.fixture
def ablated(monkeypatch):
    calls = []
    place = "pathlens.probing.combination_ablation.ablate_combinations"
    monkeypatch.setattr(place, effects_double(calls))
    return calls


def test_ablation_fills_its_columns_and_leaves_those_of_masks(run, found, ablated):
    with_masks = measured(run, found)
    both = measured(run, found, masks=None, ablate=True, concepts=run.concepts, images=30, seed=2)
    (asked,) = ablated
    assert asked["concepts"] is run.concepts
    assert (asked["images"], asked["seed"], asked["data"]) == (30, 2, run.data)
    assert both.frame["iou"].equals(with_masks.frame["iou"])
    row = own(run, both.frame)
    assert (row["ablation_effect"], row["ablation_effect_random"]) == (-0.5, -0.1)
    assert (row["ablation_p_random"], row["ablation_read_out_auroc"]) == (0.05, 0.9)
    beside = combinations(run.recording)
    assert set(beside["ablation_images"].dropna()) == {40}
    assert set(beside["ablation_note"].dropna()) == {"3"}
    assert "Forced off" in both.summary()
    once_more = measured(run, found)
    assert once_more.frame["ablation_effect"].equals(both.frame["ablation_effect"])


def test_measuring_again_replaces_and_other_questions_stay(run, found, ablated, monkeypatch):
    other = associations(run.recording, [run.layer], run.concepts, resamples=20, max_size=2)
    measured(run, other, masks=None, ablate=True)
    measured(run, found, masks=None, ablate=True)
    place = "pathlens.probing.combination_ablation.ablate_combinations"
    monkeypatch.setattr(place, effects_double([], effect=-0.9))
    again = measured(run, found, masks=None, ablate=True)
    assert set(again.confirmed["ablation_effect"]) == {-0.9}
    assert set(with_measured(run.recording, other).confirmed["ablation_effect"]) == {-0.5}
    table = combinations(run.recording)
    assert len(table) == len(found.confirmed) + len(other.confirmed)
    assert not table.duplicated(["layer", "combination", "concept", "question"]).any()


def test_rows_of_another_recording_are_dropped(run, found, ablated):
    measured(run, found, masks=None, ablate=True)
    path = run.recording.folder / COMBINATIONS
    path.write_text(path.read_text().replace(run.recording.hash, "0" * 64))
    assert with_measured(run.recording, found).frame["ablation_effect"].isna().all()
    measured(run, found, masks=None, ablate=True)
    assert "0" * 64 not in path.read_text()


def test_pictures_show_hits_with_the_outline_of_the_mask(run, found):
    measured(run, found, confirmed_only=False)
    entries = read_overlays(run.recording)
    assert 1 <= len(entries) <= MOST
    drawn = {(entry["layer"], entry["combination"], entry["concept"]) for entry in entries}
    assert len(drawn) == len(entries) == min(MOST, len(found.frame))
    assert {entry["concept"] for entry in entries} == set(found.frame["concept"])
    entry = next(one for one in entries if one["concept"] == "thing")
    assert entry["question"] == found.question.id
    assert len(entry["images"]) == min(PICTURES, entry["hits"])
    filters = [int(x) for x in entry["combination"].split("+")]
    on = run.recording.bits(entry["layer"])[:, filters].all(axis=1)
    has = (run.concepts["concept"] == "thing").to_numpy()
    half = split_halves(run.recording.images, 0)
    ids = run.recording.images["image"].tolist()
    rows = [ids.index(one["image"]) for one in entry["images"]]
    assert (on & has & ~half)[rows].all()
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(entry["images"][0]["picture"]))))
    assert max(picture.shape) == SIDE
    apart = picture.astype(int)
    assert ((apart[..., 0] > 200) & (apart[..., 1] < 110) & (apart[..., 2] > 150)).any()
    measured(run, found)
    again = read_overlays(run.recording)
    assert len(again) == len(found.confirmed)


def test_without_anything_confirmed_nothing_is_run(run, found):
    nothing = replace(found, frame=found.frame.assign(confirmed=False))
    said = measured(run, nothing, data="/no/such/folder", ablate=True)
    assert "as nothing is confirmed" in said.left_out
    assert not (run.recording.folder / COMBINATIONS).exists()


def test_bad_input_is_told_in_one_sentence(run, found, tmp_path):
    with pytest.raises(PathLensError, match="look at 2 at least"):
        measured(run, found, images=1)
    (tmp_path / "other.txt").write_text("0 sky\n1 sea\n")
    with pytest.raises(PathLensError, match=r"None of the associations .* \(sky, sea\)"):
        measured(run, found, masks=MaskFolder(run.masks.folder, tmp_path / "other.txt"))
    half = split_halves(run.recording.images, 0)
    (tmp_path / "some").mkdir()
    for row in np.flatnonzero(half):
        name = f"{row:03d}.png"
        (tmp_path / "some" / name).write_bytes((run.masks.folder / name).read_bytes())
    with pytest.raises(PathLensError, match="No confirmation image has a mask"):
        measured(run, found, masks=replace(run.masks, folder=tmp_path / "some"))
    (tmp_path / "small").mkdir()
    for path in run.masks.folder.iterdir():
        Image.open(path).resize((13, 10)).save(tmp_path / "small" / path.name)
    with pytest.raises(PathLensError, match="is 13 x 10 pixels, but its image"):
        measured(run, found, masks=replace(run.masks, folder=tmp_path / "small"))
    with pytest.raises(PathLensError, match="brings no masks"):
        measured(run, found, masks="dataset")
    with pytest.raises(PathLensError, match="does not exist"):
        measured(run, found, data=tmp_path / "gone")


def test_a_recording_of_another_checkpoint_is_refused(run, found, tmp_path):
    import torch

    folder = tmp_path / "gated"
    shutil.copytree(run.recording.folder.parent.parent, folder)
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    next(iter(content["weights"].values())).add_(1)
    torch.save(content, folder / "checkpoint.pt")
    moved = open_recording(folder / "recordings" / run.recording.folder.name)
    with pytest.raises(PathLensError, match="another checkpoint"):
        measure_combinations(moved, found, masks=run.masks, data=run.data, progress=False)


def test_all_documented_columns_are_written(run, found):
    measured(run, found)
    assert set(IOU_COLUMNS) <= set(combinations(run.recording).columns)


def test_the_strongest_with_masks_are_measured_and_the_others_counted(run, found):
    masked = found.frame[found.frame["concept"] == "thing"]
    assert len(masked) > 2
    strong = found.frame.assign(  # classes before all that has masks
        phi=found.frame["phi"].where(found.frame["concept"] == "thing", 1.0)
    )
    filled = measured(run, replace(found, frame=strong), confirmed_only=False, strongest=2)
    chosen = filled.frame[filled.frame["iou"].notna()]
    assert chosen.index.tolist() == sorted(in_turn(masked).index[:2])
    assert f"IoU of {len(masked) - 2} of {len(masked)} rows, the weaker ones" in filled.left_out
    with pytest.raises(PathLensError, match="measure 1 at least"):
        measured(run, found, strongest=0)


def test_rows_of_one_setting_are_spoken_of_together(run, found):
    measured(run, found, images=20)
    first = with_measured(run.recording, found).confirmed
    one = measured(run, found, images=30, strongest=1)
    assert one.frame["iou"].notna().sum() == 1
    assert one.frame["measured_with"].nunique() == 1
    table = combinations(run.recording)
    assert table["iou"].notna().sum() == first["iou"].notna().sum()
    assert table["measured_with"].nunique() == 2
    back = measured(run, found, images=20)
    assert back.confirmed["iou"].equals(first["iou"])
    assert set(combinations(run.recording)["measured_turn"]) == {3}


def test_settings_differ_by_all_that_matters(run, tmp_path):
    same = mask_setting(run.masks, 20, 0)
    assert mask_setting(run.masks, 20, 0) == same
    (tmp_path / "classes.txt").write_text("0 ground\n1 sky\n")
    shutil.copytree(run.masks.folder, tmp_path / "masks")
    copy = replace(run.masks, folder=tmp_path / "masks")
    assert mask_setting(copy, 20, 0) == same
    others = [
        mask_setting(run.masks, 21, 0),
        mask_setting(run.masks, 20, 1),
        mask_setting("dataset", 20, 0),
        mask_setting(replace(run.masks, void=["ground"]), 20, 0),
        mask_setting(replace(run.masks, ending="_L"), 20, 0),
        mask_setting(replace(run.masks, classes=tmp_path / "classes.txt"), 20, 0),
    ]
    next((tmp_path / "masks").iterdir()).unlink()
    others.append(mask_setting(copy, 20, 0))
    assert len({same, *others}) == 1 + len(others)


@pytest.mark.parametrize("error", [PathLensError("No space left."), OSError("quota")])
def test_measures_that_cannot_be_kept_are_given_all_the_same(
    run, found, ablated, monkeypatch, error
):
    kept = measured(run, found, ablate=True, concepts=run.concepts)
    (run.recording.folder / COMBINATIONS).unlink()

    def full(*_):
        raise error

    monkeypatch.setattr("pathlens.probing.combination_measures.write_text", full)
    given = measured(run, found, ablate=True, concepts=run.concepts)
    pd.testing.assert_frame_equal(given.frame, kept.frame)
    assert "a copy of these measures beside the recording (" in given.left_out
    assert not (run.recording.folder / COMBINATIONS).exists()


def test_what_cannot_be_measured_is_told_without_a_search(run, tmp_path, monkeypatch):
    require_measurable(run.recording, run.masks, run.data)
    with pytest.raises(PathLensError, match="does not exist"):
        require_measurable(run.recording, None, tmp_path / "gone")
    (tmp_path / "none").mkdir()
    with pytest.raises(PathLensError, match="holds no masks at all"):
        require_measurable(run.recording, replace(run.masks, folder=tmp_path / "none"), run.data)
    for name in (COMBINATIONS, OVERLAYS):
        (run.recording.folder / name).write_text("{damaged")
        with pytest.raises(PathLensError, match="again with `pathlens associate"):
            require_measurable(run.recording, run.masks, run.data)
        (run.recording.folder / name).unlink()

    def closed(**_):
        raise PermissionError

    monkeypatch.setattr("pathlens.probing.combination_settings.tempfile.TemporaryFile", closed)
    with pytest.raises(PathLensError, match="Nothing can be written to"):
        require_measurable(run.recording, run.masks, run.data)


@pytest.mark.parametrize(("bound", "few"), [(20, True), (3, False)])
def test_groups_are_counted_and_few_are_noted(run, found, monkeypatch, bound, few):
    codes = np.arange(len(run.recording)) % 12
    monkeypatch.setattr("pathlens.probing.mask_measures.FEW_GROUPS", bound)
    monkeypatch.setattr("pathlens.probing.mask_measures.count_groups", lambda _: 12)
    monkeypatch.setattr("pathlens.probing.mask_measures.group_codes", lambda _: codes)
    row = own(run, measured(run, found).frame)
    has = (run.concepts["concept"] == "thing").to_numpy() & ~split_halves(run.recording.images, 0)
    assert row["iou_groups"] == len(set(codes[has]))
    said = f"{row['iou_groups']:.0f} groups, too few for an interval to be trusted"
    assert (row["iou_note"] == said) == few
