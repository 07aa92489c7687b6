"""The specification, FORMAT.md, held by writers and readers that know nothing else."""

import hashlib
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pathlens.errors import PathLensError
from pathlens.recording import open_recording

from .helpers import contents, make_sample

LAYERS = {"stem": 11, "block.0.conv": 16, "late": 3}


def entry(path):
    content = path.read_bytes()
    return {
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def packed(bits):
    """Filter j is bit j % 8 of byte j // 8; one bytes object an image."""
    rows = []
    for image in bits:
        content = bytearray(-(-len(image) // 8))
        for j, on in enumerate(image):
            content[j // 8] |= int(on) << (j % 8)
        rows.append(bytes(content))
    return rows


class ByHand:
    """A recording as FORMAT.md says, made of pyarrow, json and numpy."""

    def __init__(self, folder, seed=0, images=23, part_size=10, skipped=(4, 22)):
        rng = np.random.default_rng(seed)
        self.folder, self.part_size, self.skipped = folder, part_size, skipped
        self.ids = [f"größe/{i}.jpg" for i in range(images)]
        self.labels = rng.integers(0, 2, images)
        self.confidence = rng.random(images).astype(np.float32)
        self.bits = {name: rng.random((images, n)) < 0.4 for name, n in LAYERS.items()}
        self.kept = [i for i in range(images) if i not in skipped]
        folder.mkdir()
        plan = self.plan()
        text = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.plan_hash = hashlib.sha256(text.encode()).hexdigest()
        parts = [self.part(i) for i in range(-(-images // part_size))]
        lines = "".join(f'{self.ids[i]},"cut, short"\n' for i in skipped)
        (folder / "skipped.csv").write_text("image,error\n" + lines, encoding="utf-8")
        manifest = plan | {
            "plan_hash": self.plan_hash,
            "images": len(self.kept),
            "skipped": len(skipped),
            "skipped_file": entry(folder / "skipped.csv"),
            "parts": parts,
        }
        (folder / "recording.json").write_text(json.dumps(manifest), encoding="utf-8")

    def plan(self):
        digest = hashlib.sha256()
        for image, label in zip(self.ids, self.labels, strict=True):
            digest.update(image.encode() + b"\0" + str(label).encode() + b"\n")
        return {
            "format": "pathlens-recording",
            "format_version": 1,
            "checkpoint": "",
            "model": "router",
            "run": None,
            "dataset": {"name": "photos", "ratio": 0.5},
            "transform": {},
            "layers": [
                {
                    "index": index,
                    "name": name,
                    "filters": filters,
                    "in_channels": 0,
                    "output_size": [0, 0],
                    "macs": 0,
                }
                for index, (name, filters) in enumerate(LAYERS.items(), start=1)
            ],
            "classes": ["small", "große"],
            "planned_images": len(self.ids),
            "fingerprint": digest.hexdigest(),
            "part_size": self.part_size,
            "columns": ["image", "label", "confidence"],
            "thumbnails": True,
            "macs_dense": None,
            "extra": {"note": "ü"},
        }

    def part(self, index):
        planned = range(index * self.part_size, min((index + 1) * self.part_size, len(self.ids)))
        rows = [i for i in planned if i in self.kept]
        errors = [[self.ids[i], "cut, short"] for i in planned if i not in rows]
        facts = {
            "pathlens.format_version": "1",
            "pathlens.plan": self.plan_hash,
            "pathlens.part": str(index),
            "pathlens.skipped": json.dumps(errors),
        }
        ids = pa.array([self.ids[i] for i in rows], pa.string())
        columns = {
            "image": ids,
            "label": pa.array(self.labels[rows], pa.int64()),
            "confidence": pa.array(self.confidence[rows], pa.float32()),
        }
        for name, filters in LAYERS.items():
            kind = pa.binary(-(-filters // 8))
            columns["path." + name] = pa.array(packed(self.bits[name][rows]), kind)
        # What the specification leaves open is done differently here than PathLens does it.
        columns["mood"] = pa.array([0.5] * len(rows))
        data = self.write(f"part-{index:05d}.parquet", columns, facts, row_group_size=4)
        pictures = {"image": ids, "thumbnail": pa.array([b"jpg"] * len(rows), pa.binary())}
        beside = self.write(f"thumbnails-{index:05d}.parquet", pictures, facts, row_group_size=3)
        return data | {"rows": len(rows), "skipped": len(errors), "thumbnails": beside}

    def write(self, name, columns, facts, **options):
        fields = [pa.field(key, values.type, nullable=False) for key, values in columns.items()]
        table = pa.table(list(columns.values()), schema=pa.schema(fields))
        with pq.ParquetWriter(self.folder / name, table.schema, compression="snappy") as writer:
            writer.write_table(table, **options)
            writer.add_key_value_metadata(facts)
        return entry(self.folder / name)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_recording_made_from_the_specification_alone_is_read(tmp_path, seed):
    made = ByHand(tmp_path / "r", seed)
    recording = open_recording(tmp_path / "r")
    recording.verify()
    assert len(recording) == 21
    assert recording.classes == ("small", "große")
    images = recording.images
    assert images["image"].tolist() == [made.ids[i] for i in made.kept]
    np.testing.assert_array_equal(images["label"], made.labels[made.kept])
    np.testing.assert_array_equal(images["confidence"], made.confidence[made.kept])
    for name, bits in made.bits.items():
        np.testing.assert_array_equal(recording.bits(name), bits[made.kept])
    assert recording.thumbnails([0, 20]) == [b"jpg", b"jpg"]
    assert recording.skipped["image"].tolist() == [made.ids[4], made.ids[22]]
    assert recording.skipped["error"].tolist() == ["cut, short"] * 2


def test_a_mistake_in_what_was_made_by_hand_is_found(tmp_path, monkeypatch):
    """The reader checks what it reads: the same recording with the other bit order is refused."""

    def wrong_way_round(bits):
        return [np.packbits(image).tobytes() for image in bits]

    monkeypatch.setitem(globals(), "packed", wrong_way_round)
    ByHand(tmp_path / "r")
    with pytest.raises(PathLensError, match=r"past the last filter in column path\.stem"):
        open_recording(tmp_path / "r").verify()


@pytest.fixture
def duckdb():
    return pytest.importorskip("duckdb", reason="DuckDB is not installed")


def test_duckdb_reads_it(tmp_path, duckdb):
    """Counts of gates that are on, filter by filter and class by class, in SQL alone."""
    sample = make_sample(images=40, part_size=9, broken=(3,))
    sample.write(tmp_path / "r")
    kept = sample.kept()
    parts = f"read_parquet('{tmp_path}/r/part-*.parquet')"
    rows = duckdb.sql(f'select image, label, "path.features.3" as bits from {parts} order by image')
    frame = rows.df()
    assert frame["image"].tolist() == sample.images["image"][kept].tolist()
    layer = sample.plan.layers[0]
    flat = np.stack([np.frombuffer(bytes(value), np.uint8) for value in frame["bits"]])
    found = np.unpackbits(flat, axis=1, count=layer.filters, bitorder="little")
    np.testing.assert_array_equal(found, sample.bits[layer.name][kept])
    for j in (0, 7, 8, 12):
        # The two hexadecimal digits of byte j // 8, and of its bits the one of value 2 ** (j % 8).
        byte = f"('0x' || substr(hex(\"path.{layer.name}\"), {2 * (j // 8) + 1}, 2))::int"
        query = f"select label, sum(({byte} >> {j % 8}) & 1)::bigint as on from {parts} group by 1"
        counted = duckdb.sql(query.replace(" as on", " as gates")).df().set_index("label")["gates"]
        labels = sample.images["label"][kept].to_numpy()
        expected = pd.Series(sample.bits[layer.name][kept, j]).groupby(labels).sum()
        assert counted.sort_index().to_dict() == expected.to_dict()
    pictures = duckdb.sql(
        f"select thumbnail from read_parquet('{tmp_path}/r/thumbnails-*.parquet')"
    )
    assert [bytes(row[0]) for row in pictures.fetchall()] == [sample.thumbnails[i] for i in kept]


def test_every_file_is_one_that_the_specification_names(tmp_path):
    make_sample().write(tmp_path / "r")
    text = (tmp_path / "r" / "recording.json").read_text()
    manifest = json.loads(text)
    listed = {part["file"] for part in manifest["parts"]} | {manifest["skipped_file"]["file"]}
    listed |= {part["thumbnails"]["file"] for part in manifest["parts"]}
    assert set(contents(tmp_path / "r")) == listed | {"recording.json"}
    assert str(tmp_path) not in text
