import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from pathlens.concepts import concept_matrix, read_concepts, unknown_images, write_concepts
from pathlens.datasets import load_dataset
from pathlens.errors import PathLensError


def write(folder, text, encoding="utf-8"):
    path = folder / "concepts.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_values_and_defaults(tmp_path):
    table = read_concepts(write(tmp_path, "image,concept\na.png,stripes\na.png,sky\nb.png,\n"))
    assert list(table.columns) == ["image", "concept", "value"]
    assert table.to_numpy().tolist() == [
        ["a.png", "stripes", 1.0],
        ["a.png", "sky", 1.0],
        ["b.png", "", 0.0],
    ]
    table = read_concepts(
        write(tmp_path, "concept,value,image\nNA,0.25,null\n sky ,1, a.png \n,,b.png\n")
    )
    assert table["image"].tolist() == ["null", "a.png", "b.png"]
    assert table["concept"].tolist() == ["NA", "sky", ""]
    assert table["value"].tolist() == [0.25, 1.0, 0.0]


def test_names_that_look_like_numbers_stay_as_they_are(tmp_path):
    table = read_concepts(write(tmp_path, "image,concept\n007,1e3\n"))
    assert table["image"].tolist() == ["007"]
    assert table["concept"].tolist() == ["1e3"]


def test_byte_order_mark_and_quotes(tmp_path):
    table = read_concepts(write(tmp_path, 'image,concept\n"a, b.png","x ""y"""\n', "utf-8-sig"))
    assert table.iloc[0].tolist() == ["a, b.png", 'x "y"', 1.0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("image,concept\n", "is empty"),
        ("a.png,stripes\nb.png,sky\n", "header image,concept"),
        ("image,value\na,1\n", "header image,concept"),
        ("image,concept,Value\na,b,1\n", "its first line is: image, concept, Value"),
        ("image,concept\na,sky\nb,sky\na,sky\n", "Row 3 .*'a,sky,1'.*repeats"),
        ("image,concept,value\na,sky,0\na,sky,1\n", "Row 2 .*repeats"),
        ("image,concept\n,sky\n", "Row 1 .*names no image"),
        ("image,concept,value\na,sky,2\n", "Row 1 .*number from 0 to 1"),
        ("image,concept,value\na,sky,-0.1\n", "number from 0 to 1"),
        ("image,concept,value\na,sky,yes\n", "number from 0 to 1"),
        ("image,concept,value\na,sky,\n", "number from 0 to 1"),
        ("image,concept,value\na,sky,nan\nb,sky,inf\n", "and 1 more rows"),
        ("image,concept\na,sky,1,2,3\nb,x\n", "concept file"),
        ('image,concept\na,"sky\n', "cannot be read"),
    ],
)
def test_bad_files_are_told_in_one_sentence(tmp_path, text, sentence):
    with pytest.raises(PathLensError, match=sentence) as caught:
        read_concepts(write(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text_are_told(tmp_path):
    with pytest.raises(PathLensError, match="cannot be read"):
        read_concepts(write(tmp_path, "image,concept\nä,ö\n", "latin-1"))
    with pytest.raises(PathLensError, match="no concept file"):
        read_concepts(tmp_path / "absent.csv")
    with pytest.raises(PathLensError, match="cannot be read"):
        read_concepts(tmp_path)


@pytest.mark.parametrize("seed", range(4))
def test_matrix_agrees_with_a_slow_lookup(seed):
    rng = np.random.default_rng(seed)
    rows = {
        (f"i{rng.integers(30)}", f"c{rng.integers(6)}" if rng.random() < 0.9 else ""): rng.random()
        for _ in range(60)
    }
    table = pd.DataFrame([(*key, value) for key, value in rows.items()])
    table.columns = ["image", "concept", "value"]
    images = [f"i{n}" for n in rng.permutation(45)]
    matrix, known = concept_matrix(table, images)
    assert matrix.index.tolist() == images
    assert matrix.columns.tolist() == sorted({concept for _, concept in rows} - {""})
    named = {image for image, _ in rows}
    for position, image in enumerate(images):
        assert known[position] == (image in named)
        for concept in matrix.columns:
            value = matrix.loc[image, concept]
            if image in named:
                assert value == rows.get((image, concept), 0.0)
            else:
                assert np.isnan(value)
    assert known.dtype == bool
    assert set(matrix.dtypes) == {np.dtype("float64")}


def test_an_empty_concept_names_an_image_that_has_none():
    table = pd.DataFrame({"image": ["a", "b"], "concept": ["sky", ""], "value": [1.0, 1.0]})
    matrix, known = concept_matrix(table, ["b", "a", "c"])
    assert known.tolist() == [True, True, False]
    assert matrix[known].to_numpy().tolist() == [[0.0], [1.0]]


def test_concepts_of_other_images_stay_as_columns():
    table = pd.DataFrame({"image": ["a", "b"], "concept": ["sky", "sea"], "value": [1.0, 1.0]})
    matrix, known = concept_matrix(table, ["a"])
    assert matrix.columns.tolist() == ["sea", "sky"]
    assert matrix.loc["a"].tolist() == [0.0, 1.0]
    assert known.all()


def test_no_match_shows_both_sides():
    table = pd.DataFrame({"image": ["x/1.png"], "concept": ["sky"], "value": [1.0]})
    with pytest.raises(PathLensError, match=r"'x/1.png'.*'val/1.png'"):
        concept_matrix(table, ["val/1.png", "val/2.png"])
    with pytest.raises(PathLensError, match="names no image at all"):
        concept_matrix(table[:0], ["val/1.png"])
    with pytest.raises(PathLensError, match="no images"):
        concept_matrix(table, [])


def test_repeated_images_are_a_mistake():
    table = pd.DataFrame({"image": ["a"], "concept": ["sky"], "value": [1.0]})
    with pytest.raises(ValueError, match="repeated"):
        concept_matrix(table, ["a", "a"])


def test_concepts_of_scenes_survive_a_file(tmp_path):
    split = load_dataset("scenes", limit=40).split("test")
    split.concepts.to_csv(tmp_path / "scenes.csv", index=False)
    table = read_concepts(tmp_path / "scenes.csv")
    matrix, known = concept_matrix(table, split.ids)
    assert known.all()
    for kind, count in [("shape:", 5), ("colour:", 4), ("background:", 4)]:
        columns = [name for name in matrix if name.startswith(kind)]
        assert len(columns) == count
        assert (matrix[columns].sum(axis=1) == 1).all()


def test_reading_concepts_needs_no_torch():
    code = "import sys, pathlens.concepts; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "deep/t.PARQUET"])
@pytest.mark.parametrize("seed", range(3))
def test_what_is_written_is_read(tmp_path, name, seed):
    rng = np.random.default_rng(seed)
    images = [f"ä, {n}\"'.png" for n in range(200)]
    table = pd.DataFrame(
        {"image": images, "concept": "NA", "value": rng.integers(0, 999, 200) / 998}
    )
    table.loc[3, ["concept", "value"]] = ["", 0.0]
    write_concepts(tmp_path / name, table)
    pd.testing.assert_frame_equal(read_concepts(tmp_path / name), table)


def test_parquet_may_have_no_values_but_has_to_be_a_table(tmp_path):
    path = tmp_path / "t.parquet"
    pd.DataFrame({"concept": [7, None], "image": ["a", "b"]}).astype(
        {"concept": "Int64"}
    ).to_parquet(path)
    assert read_concepts(path).to_numpy().tolist() == [["7", "a", 1.0], ["", "b", 0.0]]
    pd.DataFrame({"image": ["a", None], "concept": "x"}).to_parquet(path)
    with pytest.raises(PathLensError, match=r"Row 2 .*names no image"):
        read_concepts(path)
    pd.DataFrame({"image": ["a"], "concept": "x", "value": [None]}).to_parquet(path)
    with pytest.raises(PathLensError, match="number from 0 to 1"):
        read_concepts(path)
    path.write_bytes(b"PAR1 or not")
    with pytest.raises(PathLensError, match="cannot be read as Parquet") as caught:
        read_concepts(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(PathLensError, match="no concept file"):
        read_concepts(tmp_path / "absent.parquet")


def test_files_of_other_kinds_are_not_written(tmp_path):
    table = pd.DataFrame({"image": ["a"], "concept": ["x"], "value": [1.0]})
    with pytest.raises(PathLensError, match=r"end in .csv or .parquet"):
        write_concepts(tmp_path / "t.xlsx", table)
    assert list(tmp_path.iterdir()) == []


def test_unknown_images_come_once_each_in_the_order_of_the_table():
    table = pd.DataFrame({"image": ["z", "a", "z", "b", "c"], "concept": list("xxyxx")})
    assert unknown_images(table, ["a", "c", "d"]) == ["z", "b"]
    assert unknown_images(table, list("abcz")) == []
