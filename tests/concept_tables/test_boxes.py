import numpy as np
import pytest

from pathlens.concept_tables import build_boxes
from pathlens.errors import PathLensError

from .helpers import blank, classed, matrix_of, write

HEADER = "file\twnid\tx0\ty0\tx1\ty1\n"
FOUR = ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]


def covered_by_painting(boxes, height, width, last):
    """Share of pixels in any box: painted one by one; `last` = 1 if x1 and y1 are inside."""
    canvas = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in boxes:
        for y in range(y0, y1 + last):
            for x in range(x0, x1 + last):
                canvas[y, x] = True
    return canvas.sum() / canvas.size


@pytest.mark.parametrize("edges", ["inclusive", "exclusive"])
@pytest.mark.parametrize("seed", range(4))
def test_shares_are_those_of_painted_boxes(tmp_path, seed, edges):
    rng = np.random.default_rng(seed)
    last = int(edges == "inclusive")
    sizes = {name: (int(rng.integers(3, 12)), int(rng.integers(3, 12))) for name in FOUR}
    boxes, lines = {}, []
    for name, (height, width) in sizes.items():
        blank(tmp_path / "data" / name, height, width)
        for concept in ("cat", "dog"):
            for _ in range(rng.integers(0 if concept == "dog" else 1, 6)):
                x = np.sort(rng.choice(width + 1, 2, replace=False)) - [0, last]
                y = np.sort(rng.choice(height + 1, 2, replace=False)) - [0, last]
                box = (int(x[0]), int(y[0]), int(x[1]), int(y[1]))
                boxes.setdefault((name, concept), []).append(box)
                lines.append("\t".join(map(str, (name, concept, *box))))
    rng.shuffle(lines)
    path = write(tmp_path / "boxes.tsv", HEADER + "\n".join(lines) + "\n")
    matrix = matrix_of(build_boxes(path, images=tmp_path / "data", edges=edges), FOUR)
    for name, size in sizes.items():
        for concept in matrix.columns:
            wanted = covered_by_painting(boxes.get((name, concept), []), *size, last)
            assert matrix.loc[name, concept] == pytest.approx(wanted, abs=1e-12)


def test_fractions_of_pixels_are_united_exactly(tmp_path):
    classed(tmp_path / "data", FOUR)  # 6 x 8
    rows = "a/0.png,cat,0.5,0,2.5,1\na/0.png,cat,1.5,0.5,3.5,2\na/0.png,cat,1.5,0.5,2,1\n"
    path = write(tmp_path / "boxes.csv", "image,label,xmin,ymin,xmax,ymax\n" + rows)
    with pytest.warns(UserWarning, match=r"3 images have no row in boxes\.csv"):
        table = build_boxes(path, images=tmp_path / "data", edges="exclusive")
    assert table["value"].tolist() == [pytest.approx((2 + 3 - 0.5) / 48)]


def test_images_without_a_row_are_unknown_or_have_nothing(tmp_path):
    classed(tmp_path / "data", FOUR)
    path = write(
        tmp_path / "boxes.tsv", HEADER + "b/1.png\tn1\t0\t0\t7\t5\nz.png\tn1\t0\t0\t1\t1\n"
    )
    with pytest.warns(UserWarning, match=r"boxes\.tsv") as told:
        table = build_boxes(path, images=tmp_path / "data")
    assert table.to_numpy().tolist() == [["b/1.png", "n1", 1.0]]
    assert sorted(str(one.message)[:26] for one in told) == [
        "1 images of boxes.tsv are ",
        "3 images have no row in bo",
    ]
    with pytest.warns(UserWarning, match=r"1 images of boxes\.tsv"):
        table = build_boxes(path, images=tmp_path / "data", complete=True)
    assert matrix_of(table, FOUR)["n1"].tolist() == [0, 0, 0, 1]


def test_concepts_get_readable_names(tmp_path):
    classed(tmp_path / "data", FOUR)
    rows = "".join(f"{name}\tn{n}\t0\t0\t0\t0\n" for n, name in enumerate(FOUR))
    path = write(tmp_path / "boxes.tsv", HEADER + rows)
    names = write(tmp_path / "names.txt", "".join(f"{n}\tn{n}\tname, {n % 2}\n" for n in range(4)))
    table = build_boxes(path, images=tmp_path / "data", names=names)
    assert table["concept"].tolist() == ["name, 0", "name, 1", "name, 0", "name, 1"]
    assert set(table["value"]) == {1 / 48}
    write(names, "n0\tone\n")
    with pytest.raises(PathLensError, match="no name for the concept 'n1'"):
        build_boxes(path, images=tmp_path / "data", names=names)
    write(names, "n0\tone\nn0\ttwo\n")
    with pytest.raises(PathLensError, match="gives 'n0' two names"):
        build_boxes(path, images=tmp_path / "data", names=names)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER + "a/0.png\tcat\t0\t0\t8\t5\n", "reaches outside .*8 x 6 pixels"),
        (HEADER + "a/0.png\tcat\t-1\t0\t7\t5\n", "reaches outside"),
        (HEADER + "a/0.png\tcat\t5\t0\t3\t5\n", "is empty"),
        (HEADER + "a/0.png\tcat\tfive\t0\t3\t5\n", "Row 1 .*'five' as x0, .*not a number"),
        (HEADER + "a/0.png\tcat\tinf\t0\t3\t5\n", "not a number"),
        (HEADER + "a/0.png\t\t1\t0\t3\t5\n", "name of the concept '' .*is empty"),
        (HEADER + "0.png\tcat\t1\t0\t3\t5\n", "images like 0.png, .*called like [ab]/[01].png;"),
        (HEADER, "no rows"),
        ("", "cannot be read"),
        (HEADER.replace("x0", "left"), "no rows"),
        (HEADER.replace("x0", "left") + "a\tb\t1\t2\t3\t4\n", "no column x0 or xmin"),
    ],
)
def test_bad_tables_are_told_in_one_sentence(tmp_path, text, sentence):
    classed(tmp_path / "data", FOUR)
    path = write(tmp_path / "boxes.tsv", text)
    with pytest.raises(PathLensError, match=sentence) as caught:
        build_boxes(path, images=tmp_path / "data", complete=True)
    assert "\n" not in str(caught.value)


def test_other_mistakes(tmp_path):
    classed(tmp_path / "data", FOUR)
    with pytest.raises(PathLensError, match="no file"):
        build_boxes(tmp_path / "boxes.tsv", images=tmp_path / "data")
    with pytest.raises(PathLensError, match="'inclusive' or 'exclusive'"):
        build_boxes(tmp_path / "boxes.tsv", images=tmp_path / "data", edges="open")
