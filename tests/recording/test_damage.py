"""What is broken or has changed is found, named, and made again alone, by the real `record()`."""

import shutil

import numpy as np
import pytest
from PIL import Image

from pathlens.changes import changed_images
from pathlens.cli.verify import verify as verify_command
from pathlens.errors import PathLensError
from pathlens.recorder import record
from pathlens.recording import open_recording, write_recording
from pathlens.recording.content import content_hash

from .helpers import contents, flip


@pytest.fixture(autouse=True)
def runs(trained, monkeypatch):
    monkeypatch.setenv("PATHLENS_RUNS", str(trained))


def draw(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(22):
        draw(folder / f"{i:02d}.png", i)
    return folder


def make(folder, photos, **options):
    return record("gated", photos, out=folder, part_size=5, progress=False, **options)


def stamps(folder):
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}


def another_checkpoint(path, photos):
    """The part of the same number of another run's recording."""
    make(path.parent.parent / "other", photos, thumbnails=False)
    shutil.copy(path.parent.parent / "other" / "part-00002.parquet", path)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path, _: path.write_bytes(path.read_bytes()[:-7]), "bytes instead of"),
        (lambda path, _: flip(path, path.stat().st_size // 2), "its bytes are not those"),
        (lambda path, _: path.unlink(), "is missing"),
        (another_checkpoint, "bytes instead of|belongs to another recording"),
    ],
)
@pytest.mark.parametrize("kind", ["part", "thumbnails"])
def test_only_the_broken_part_is_made_again(tmp_path, photos, spoil, words, kind):
    make(tmp_path / "r", photos)
    whole, before = contents(tmp_path / "r"), stamps(tmp_path / "r")
    name = f"{kind}-00002.parquet"
    spoil(tmp_path / "r" / name, photos)
    with pytest.raises(PathLensError, match=rf"{name} .*({words}).*run the same `pathlens record`"):
        open_recording(tmp_path / "r").verify()
    make(tmp_path / "r", photos).verify()
    assert contents(tmp_path / "r") == whole
    after = stamps(tmp_path / "r")
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {"part-00002.parquet", "thumbnails-00002.parquet"}


def test_the_hash_is_of_what_is_seen():
    one = np.arange(48, dtype=np.uint8).reshape(3, 4, 4)
    other = one.copy()
    other[1, 2, 3] ^= 1
    assert len(content_hash(one)) == 8
    assert content_hash(one) == content_hash(np.asfortranarray(one)) != content_hash(other)


def test_an_image_that_has_changed_since_is_named_and_only_its_part_made_again(
    tmp_path, photos, capsys
):
    make(tmp_path / "r", photos)
    verify_command(tmp_path / "r", str(photos))
    assert "are those that were recorded" in capsys.readouterr().out
    before, hash_before = stamps(tmp_path / "r"), open_recording(tmp_path / "r").hash
    draw(photos / "07.png", 700)
    draw(photos / "21.png", 2100)
    open_recording(tmp_path / "r").verify()
    with pytest.raises(
        PathLensError, match=r"2 images .*--changed, which makes only their 2 parts"
    ):
        verify_command(tmp_path / "r", str(photos))
    assert "part 1: 07.png has other content" in capsys.readouterr().out
    make(tmp_path / "r", photos)
    assert stamps(tmp_path / "r") == before
    said = []
    recording = make(tmp_path / "r", photos, changed=True, say=said.append)
    assert "2 images have changed: 2 parts are made again." in said
    after = stamps(tmp_path / "r")
    assert {name[-13:-8] for name in before if before[name] != after[name]} == {"00001", "00004"}
    assert recording.hash != hash_before
    make(tmp_path / "fresh", photos)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")
    assert changed_images(recording, photos) == []


def test_what_else_can_happen_to_an_image(tmp_path, photos):
    (photos / "03.png").write_bytes(b"cut short")
    recording = make(tmp_path / "r", photos)
    draw(photos / "03.png", 3)
    (photos / "11.png").write_bytes(b"cut short")
    (photos / "12.png").unlink()
    draw(photos / "new.png", 99)
    picture = Image.open(photos / "13.png")
    picture.save(photos / "13.png", compress_level=1)  # other bytes, the same picture
    found = [
        (change.image, change.part, change.change[:16])
        for change in changed_images(recording, photos)
    ]
    assert found == [
        ("03.png", 0, "could not be rea"),
        ("11.png", 2, "cannot be read a"),
        ("12.png", 2, "is no longer the"),
    ]


def test_an_unfinished_recording_and_one_stopped_while_it_was_mended(tmp_path, photos, monkeypatch):
    import pathlens.recorder.writing as module

    write = module.RecordingWriter.write_part

    def stopping(self, index, rows):
        if index == 2:
            raise KeyboardInterrupt
        write(self, index, rows)

    monkeypatch.setattr(module.RecordingWriter, "write_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "r", photos)
    draw(photos / "00.png", 1000)
    draw(photos / "14.png", 1000)
    monkeypatch.setattr(module.RecordingWriter, "write_part", write)
    make(tmp_path / "r", photos, changed=True)
    make(tmp_path / "fresh", photos)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")
    draw(photos / "13.png", 1300)
    monkeypatch.setattr(module.RecordingWriter, "write_part", stopping)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "r", photos, changed=True)
    with pytest.raises(PathLensError, match="unfinished recording, 4 of 5 parts"):
        open_recording(tmp_path / "r")
    monkeypatch.setattr(module.RecordingWriter, "write_part", write)
    make(tmp_path / "r", photos, changed=True)
    make(tmp_path / "fresh", photos, changed=True)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")


def test_a_recording_without_hashes_says_so(tmp_path, photos):
    import pandas as pd

    images = pd.DataFrame({"image": ["00.png"]})
    recording = write_recording(tmp_path / "r", {"a": np.ones((1, 3), bool)}, images)
    with pytest.raises(PathLensError, match="holds no hashes of its images"):
        changed_images(recording, photos)


def test_too_many_unreadable_images_stop_it_however_often_it_is_repeated(tmp_path, photos):
    good = {f"{i:02d}.png": (photos / f"{i:02d}.png").read_bytes() for i in range(0, 22, 2)}
    for name in good:
        (photos / name).write_bytes(b"cut short")
    for _ in range(2):
        with pytest.raises(PathLensError, match=r"11 of 22 images cannot be read.*00\.png"):
            make(tmp_path / "r", photos)
        assert not (tmp_path / "r" / "recording.json").exists()
    for name, content in good.items():
        (photos / name).write_bytes(content)
    recording = make(tmp_path / "r", photos, changed=True)
    assert len(recording) == 22
    assert recording.skipped.empty
    make(tmp_path / "fresh", photos)
    assert contents(tmp_path / "r") == contents(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (["03.png"], "1 unreadable image listed in {} (first: 03.png; once it is mended"),
        (["04.png", "09.png"], "2 unreadable images listed in {} (first: 04.png; once they are"),
    ],
)
def test_where_unreadable_images_are_listed_is_told_with_the_first(tmp_path, photos, broken, words):
    for name in broken:
        (photos / name).write_bytes(b"cut short")
    said = []
    make(tmp_path / "r", photos, say=said.append)
    assert words.format(tmp_path / "r" / "skipped.csv") in said[-1]


def test_one_changed_image_is_said_in_the_singular(tmp_path, photos):
    make(tmp_path / "r", photos)
    draw(photos / "07.png", 700)
    with pytest.raises(
        PathLensError, match=r"1 image in .* is not what .* only their 1 part again"
    ):
        verify_command(tmp_path / "r", str(photos))
    said = []
    make(tmp_path / "r", photos, changed=True, say=said.append)
    assert "1 image has changed: 1 part is made again." in said


def test_no_path_of_the_machine_stands_in_any_file(tmp_path, photos):
    """The same images in another place give the same bytes, unreadable ones included."""
    (photos / "03.png").write_bytes(b"cut short")
    (photos / "04.png").write_bytes((photos / "05.png").read_bytes()[:-500])
    recording = make(tmp_path / "r", photos)
    shutil.copytree(photos, tmp_path / "elsewhere" / "photos")
    make(tmp_path / "s", tmp_path / "elsewhere" / "photos")
    assert contents(tmp_path / "r") == contents(tmp_path / "s")
    assert recording.skipped["image"].tolist() == ["03.png", "04.png"]
    assert all(recording.skipped["error"].str.len() > 10)


def test_ids_and_rows_stay_when_files_are_added(tmp_path, photos):
    first = make(tmp_path / "first", photos)
    for name in ("-1.png", "07a.png", "zz.png"):
        draw(photos / name, 7)
    (photos / "ignored.txt").write_text("no image")
    second = make(tmp_path / "second", photos)
    assert len(second) == len(first) + 3
    place = {image: row for row, image in enumerate(second.images["image"])}
    rows = [place[image] for image in first.images["image"]]
    assert rows == sorted(rows)
    for layer in first.layers:
        np.testing.assert_array_equal(second.bits(layer.name)[rows], first.bits(layer.name))
    assert list(second.images["image"][rows]) == list(first.images["image"])
    with pytest.raises(PathLensError, match="another number of images and other images or labels"):
        make(tmp_path / "first", photos)


def test_an_image_costs_little_more_than_its_bits(tmp_path):
    """Ids, labels, predictions, costs and hashes: at most 64 bytes an image beside the bits."""
    recording = record("gated", out=tmp_path / "r", thumbnails=False, progress=False)
    packed = sum(-(-layer.filters // 8) for layer in recording.layers)
    size = sum(part.data.size for part in recording.listing.parts)
    assert size / len(recording) <= packed + 64
