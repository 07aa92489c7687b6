import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathlens.errors import PathLensError
from pathlens.recording import open_recording
from pathlens.recording.manifest import Plan

from .helpers import LAYERS, contents, flip, make_sample


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("images", "part_size", "broken"),
    [(25, 7, ()), (25, 7, (0, 8, 24)), (6, 7, ()), (14, 7, tuple(range(7))), (3, 1, (1,))],
)
def test_what_is_read_is_what_was_written(tmp_path, seed, images, part_size, broken):
    sample = make_sample(seed, images, part_size, broken)
    sample.write(tmp_path / "r")
    recording = open_recording(tmp_path / "r" / "recording.json")
    recording.verify()
    kept = sample.kept()
    assert len(recording) == len(kept)
    expected = sample.images.iloc[kept].reset_index(drop=True)
    pd.testing.assert_frame_equal(recording.images, expected)
    for layer in LAYERS:
        np.testing.assert_array_equal(recording.bits(layer.index), sample.bits[layer.name][kept])
    together = np.concatenate([sample.bits[name][kept] for name in LAYERS.names], axis=1)
    np.testing.assert_array_equal(recording.path_bits(), together)
    np.testing.assert_array_equal(recording.path_bits(["last", 1]), together[:, [*range(13), 21]])
    order = [*np.random.default_rng(seed).permutation(len(kept)).tolist(), 0, 0]
    assert recording.thumbnails(order) == [sample.thumbnails[kept[i]] for i in order]
    assert recording.skipped["image"].tolist() == sample.images["image"][list(broken)].tolist()
    assert set(recording.skipped["error"]) <= {'no, "image"\nat all'}


def test_facts_of_the_manifest(tmp_path):
    recording = make_sample(broken=(3,)).write(tmp_path / "r")
    assert recording.layers.names == LAYERS.names
    assert recording.layers[0] == LAYERS[0]
    assert recording.classes == ("ant", "bee", "cat")
    assert recording.concepts() is None
    facts = json.loads((tmp_path / "r/recording.json").read_text())
    assert recording.manifest == facts
    assert (facts["images"], facts["skipped"], facts["planned_images"]) == (24, 1, 25)
    assert (facts["model"], facts["run"], facts["macs_dense"]) == ("tiny", "run-1", 12345)
    assert [part["rows"] for part in facts["parts"]] == [6, 7, 7, 4]
    assert recording.hash != make_sample(seed=1).write(tmp_path / "other").hash


def test_row_groups_of_thumbnails(tmp_path):
    sample = make_sample(images=700, part_size=600)
    recording = sample.write(tmp_path / "r")
    chosen = [0, 255, 256, 511, 512, 599, 600, 699]
    assert recording.thumbnails(chosen) == [sample.thumbnails[i] for i in chosen]
    for outside in (-1, 700):
        with pytest.raises(IndexError):
            recording.thumbnails([outside])


def test_a_recording_without_thumbnails(tmp_path):
    recording = make_sample(thumbnails=False).write(tmp_path / "r")
    assert recording.thumbnails([2, 1]) == [b"", b""]
    assert not list(tmp_path.glob("r/thumbnails*"))
    recording.verify()


def test_pyarrow_and_numpy_alone_can_read_it(tmp_path):
    sample = make_sample()
    sample.write(tmp_path / "r")
    manifest = json.loads((tmp_path / "r/recording.json").read_bytes())
    for layer in manifest["layers"]:
        column = "path." + layer["name"]
        rows = []
        for part in manifest["parts"]:
            table = pq.read_table(tmp_path / "r" / part["file"])
            rows += [np.frombuffer(value, np.uint8) for value in table[column].to_pylist()]
        packed = np.stack(rows).astype(int)
        assert packed.shape[1] == -(-layer["filters"] // 8)
        on = [(packed[:, j // 8] >> (j % 8)) & 1 for j in range(layer["filters"])]
        np.testing.assert_array_equal(np.stack(on, axis=1) == 1, sample.bits[layer["name"]])
    footer = pq.read_metadata(tmp_path / "r/part-00001.parquet").metadata
    assert footer[b"pathlens.plan"].decode() == manifest["plan_hash"]
    assert footer[b"pathlens.part"] == b"1"


def test_one_layer_is_read_without_the_others(tmp_path):
    """With the bytes of all other columns destroyed, the layer can still be read."""
    sample = make_sample(thumbnails=False)
    recording = sample.write(tmp_path / "r")
    for part in recording.manifest["parts"]:
        path = tmp_path / "r" / part["file"]
        group = pq.read_metadata(path).row_group(0)
        content = bytearray(path.read_bytes())
        for i in range(group.num_columns):
            column = group.column(i)
            if column.path_in_schema != "path.last":
                start = column.data_page_offset
                stop = start + column.total_compressed_size
                content[start:stop] = bytes(stop - start)
        path.write_bytes(bytes(content))
    damaged = open_recording(tmp_path / "r")
    np.testing.assert_array_equal(damaged.bits("last"), sample.bits["last"])
    with pytest.raises(PathLensError, match=r"part-00000\.parquet is damaged"):
        damaged.bits(2)


@pytest.mark.parametrize("seed", range(4))
def test_every_flipped_byte_is_found(tmp_path, seed):
    sample = make_sample(seed, images=9, part_size=4)
    sample.write(tmp_path / "r")
    rng = np.random.default_rng(seed)
    for name, content in contents(tmp_path / "r").items():
        if name == "recording.json":
            continue
        path = tmp_path / "r" / name
        flip(path, int(rng.integers(len(content))), int(rng.integers(1, 256)))
        with pytest.raises(PathLensError, match=f"{name} .*`pathlens record`"):
            open_recording(tmp_path / "r").verify()
        path.write_bytes(content)
        open_recording(tmp_path / "r").verify()


def test_a_flipped_value_in_the_manifest_is_found(tmp_path):
    sample = make_sample()
    sample.write(tmp_path / "r")
    path = tmp_path / "r/recording.json"
    text = path.read_text()
    changes = [
        ('"tiny"', '"tidy"'),
        ('"images": 25', '"images": 24'),
        ('"part_size": 7', '"part_size": 6'),
        ('"rows": 7', '"rows": 5'),
        ('"seed": 0', '"seed": 1'),
        ('"plan_hash"', '"plan_cash"'),
        ('"macs_dense"', '"macs_tense"'),
        ("{", "["),
    ]
    for old, new in changes:
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(PathLensError, match="damaged"):
            open_recording(tmp_path / "r").verify()
    path.write_text(text)
    open_recording(tmp_path / "r").verify()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "bytes instead of"),
        (lambda path: path.write_bytes(bytes(path.stat().st_size)), "footer cannot be read"),
    ],
)
@pytest.mark.parametrize("name", ["part-00002.parquet", "thumbnails-00001.parquet"])
def test_opening_names_the_broken_part(tmp_path, name, spoil, words):
    make_sample().write(tmp_path / "r")
    spoil(tmp_path / "r" / name)
    with pytest.raises(PathLensError, match=f"{name} .*{words}.*`pathlens record`"):
        open_recording(tmp_path / "r")


def test_a_part_of_another_checkpoint_is_found(tmp_path):
    make_sample().write(tmp_path / "r")
    make_sample(checkpoint="b" * 64).write(tmp_path / "other")
    name = "part-00001.parquet"
    (tmp_path / "r" / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(PathLensError, match=r"part-00001\.parquet belongs to another recording"):
        open_recording(tmp_path / "r")


def rewrite_listed(folder, name, table, metadata):
    """Replace a part by another table, with sizes and hashes in the manifest that agree."""
    from pathlens.recording.listing import FileEntry

    with pq.ParquetWriter(folder / name, table.schema, store_schema=False) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata(dict(metadata))
    manifest = json.loads((folder / "recording.json").read_text())
    for part in manifest["parts"]:
        if part["file"] == name:
            part.update(FileEntry.of_file(folder / name).to_json())
    (folder / "recording.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("path.features.3", b"\x00\x20", "past the last filter in column path.features.3"),
        ("image", "test/ß 000.jpg", "names an image twice"),
        ("image", "test/stranger.jpg", "not those that were planned"),
        ("label", 9, "not those that were planned"),
        ("path.last", None, "has no column path.last"),
    ],
)
def test_verify_looks_past_the_hashes(tmp_path, column, value, words):
    make_sample(thumbnails=False).write(tmp_path / "r")
    path = tmp_path / "r/part-00001.parquet"
    table, metadata = pq.read_table(path), pq.read_metadata(path).metadata
    place = table.column_names.index(column)
    if value is None:
        table = table.remove_column(place)
    else:
        field = table.schema.field(column)
        values = [value, *table.column(column).to_pylist()[1:]]
        table = table.set_column(place, field, pa.array(values, field.type))
    rewrite_listed(tmp_path / "r", path.name, table, metadata)
    with pytest.raises(PathLensError, match=words):
        open_recording(tmp_path / "r").verify()


def test_folders_that_are_no_recording(tmp_path):
    with pytest.raises(PathLensError, match="no recording folder"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(PathLensError, match="is not a recording"):
        open_recording(tmp_path)
    (tmp_path / "recording.json").write_text("{}")
    with pytest.raises(PathLensError, match="does not describe a recording"):
        open_recording(tmp_path)
    (tmp_path / "recording.json").write_text(
        '{"format": "pathlens-recording", "format_version": 2}'
    )
    with pytest.raises(PathLensError, match=r"version 2.*newer PathLens"):
        open_recording(tmp_path)


def test_concepts_beside_the_parts(tmp_path):
    recording = make_sample().write(tmp_path / "r")
    beside = tmp_path / "r/concepts.csv"
    beside.write_text("image,concept\n001,NA\n002,\n")
    found = recording.concepts()
    assert found.to_dict("list") == {
        "image": ["001", "002"],
        "concept": ["NA", ""],
        "value": [1.0, 0.0],
    }
    beside.write_text("image,concept,value\nx,red,0.25\n")
    assert recording.concepts()["value"].tolist() == [0.25]
    recording.verify()
    beside.write_text("image,value\nx,1\n")
    with pytest.raises(PathLensError, match="image,concept"):
        recording.concepts()


def test_a_plan_survives_json():
    plan = make_sample().plan
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    assert again.hash == plan.hash
    assert plan.differences(again) == []
    assert plan.part_range(3) == range(21, 25)
    with pytest.raises(IndexError):
        plan.part_range(4)


def test_reading_imports_no_torch_and_the_room_costs_nothing():
    code = (
        "import sys, pathlens.recording as r; assert 'pyarrow' not in sys.modules;"
        "r.open_recording, r.write_recording, r.RecordingWriter, r.Plan, r.PartRows, r.Recording;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("seed", [0, 1])
def test_bits_part_by_part_are_the_bits(tmp_path, seed):
    recording = make_sample(seed=seed, images=25, part_size=7, broken=(3, 21, 22, 23, 24)).write(
        tmp_path / "r"
    )
    for layer in recording.layers:
        parts = list(recording.bits_in_parts(layer.name))
        assert [len(part) for part in parts] == [6, 7, 7, 0]
        assert {part.dtype for part in parts} == {np.dtype(bool)}
        np.testing.assert_array_equal(np.concatenate(parts), recording.bits(layer.index))


def test_bits_in_parts_refuse_a_layer_at_once_and_a_damaged_part_when_they_come_to_it(tmp_path):
    recording = make_sample(images=20, part_size=7).write(tmp_path / "r")
    with pytest.raises(PathLensError, match="lats"):
        recording.bits_in_parts("lats")
    (tmp_path / "r" / "part-00001.parquet").write_bytes(b"")
    parts = recording.bits_in_parts("last")
    assert len(next(parts)) == 7
    with pytest.raises(PathLensError, match="part-00001"):
        next(parts)
