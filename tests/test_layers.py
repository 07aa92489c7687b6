"""How a layer is picked: by number, name or glob."""

import pytest

from pathlens.errors import PathLensError
from pathlens.layers import Layer, LayerTable

NAMES = ["stem.0", "stage1.0", "stage1.1", "10"]
TABLE = LayerTable(
    Layer(index=i + 1, name=name, filters=8 * (i + 1), in_channels=3, output_size=(4, 5), macs=7)
    for i, name in enumerate(NAMES)
)


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        (None, NAMES),
        ([2], ["stage1.0"]),
        (["2"], ["stage1.0"]),
        (["stage1.1"], ["stage1.1"]),
        (["stage1.*"], ["stage1.0", "stage1.1"]),
        (["stage1.1", 1, "1", "stem.*"], ["stem.0", "stage1.1"]),  # each once, in running order
        (["10"], ["10"]),  # a name goes before a number
        ([], []),
    ],
)
def test_select(specs, expected):
    assert [layer.name for layer in TABLE.select(specs)] == expected


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (0, "numbered from 1 to 4"),
        (5, "numbered from 1 to 4"),
        (-1, "numbered from 1 to 4"),
        ("stage1.9", r"Unknown layer 'stage1\.9': did you mean .*stage1\.0"),
        ("head*", "Unknown layer"),
    ],
)
def test_an_unknown_layer_lists_the_nearest(spec, message):
    with pytest.raises(PathLensError, match=message):
        TABLE.select([spec])


def test_find_wants_exactly_one():
    assert TABLE.find(3).name == "stage1.1"
    with pytest.raises(PathLensError, match="names 2 layers"):
        TABLE.find("stage1.*")


def test_json_keeps_everything():
    assert [Layer.from_json(layer.to_json()) for layer in TABLE] == list(TABLE)


def test_filters_add_up_and_names_are_unique():
    assert TABLE.filters == 8 + 16 + 24 + 32
    with pytest.raises(ValueError, match="same name"):
        LayerTable([TABLE[0], TABLE[0]])
