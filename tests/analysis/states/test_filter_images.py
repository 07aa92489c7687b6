import io
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from pathlens.analysis.drawing import figure_bytes
from pathlens.analysis.states.filter_images import filter_images
from pathlens.errors import PathLensError
from tests.analysis.conftest import MemoryRecording, make_recording


@dataclass
class WithFloats(MemoryRecording):
    floats: np.ndarray | None = None
    kinds: tuple[str, ...] = ("scores",)

    def scores(self, layer):
        return self._read("scores", layer)

    def responses(self, layer):
        return self._read("responses", layer)

    def _read(self, kind, layer):
        if kind not in self.kinds:
            raise PathLensError(f"holds no {kind}")
        assert layer == "conv"
        return self.floats if kind == "scores" else -self.floats

    def thumbnails(self, positions):
        pictures = []
        for position in positions:
            target = io.BytesIO()
            Image.new("RGB", (4, 4), (int(position), 0, 0)).save(target, "PNG")
            pictures.append(b"" if position % 10 == 0 else target.getvalue())
        return pictures


def recorded(seed, kinds=("scores",), images=100):
    rng = np.random.default_rng(seed)
    floats = rng.normal(size=(images, 3)).round(1).astype(np.float16)
    plain = make_recording(floats > 0, rng.integers(0, 3, images), classes="abc")
    return WithFloats(plain.bits_by_layer, plain.images, plain.classes, floats=floats, kinds=kinds)


@pytest.mark.parametrize("seed", range(3))
def test_images_are_ranked_as_a_slow_sort_ranks_them(seed):
    data = recorded(seed)
    found = filter_images(data, 1, 2, count=7)
    values = data.floats[:, 2].astype(float)
    top = sorted(range(100), key=lambda i: (-values[i], i))[:7]
    bottom = sorted(range(100), key=lambda i: (values[i], i))[:7]
    columns = ["rank", "image", "side", "value", "gate", "label", "position"]
    assert list(found.frame.columns) == columns
    assert found.frame["position"].tolist() == top + bottom
    assert found.frame["rank"].tolist() == [*range(1, 8), *range(1, 8)]
    assert found.frame["value"].tolist() == values[top + bottom].tolist()
    assert found.frame["gate"].tolist() == (values > 0)[top + bottom].tolist()
    labels = data.images["label"].tolist()
    assert found.frame["label"].tolist() == ["abc"[labels[i]] for i in top + bottom]
    assert found.frame["image"].tolist() == [f"image/{i:05d}.png" for i in top + bottom]
    assert list(found.thumbnails) == data.thumbnails(top + bottom)
    assert "scores" in found.left_out


def test_what_is_recorded_decides_what_ranks():
    assert filter_images(recorded(0), 1, 0).strength == "scores"
    responses = recorded(0, ("responses",))
    assert filter_images(responses, 1, 0).strength == "responses"
    both = recorded(0, ("scores", "responses"))
    first, second = filter_images(both, 1, 0), filter_images(both, 1, 0, strength="responses")
    assert first.frame["image"].iloc[0] == second.frame["image"].iloc[12]
    assert "before its gate" in second.left_out
    assert filter_images(both, 1, 0, strength="gates").strength == "gates"
    with pytest.raises(PathLensError, match="holds no scores"):
        filter_images(responses, 1, 0, strength="scores")


@pytest.mark.parametrize("seed", range(3))
def test_gates_alone_give_no_rank_but_images_by_seed(seed):
    data = recorded(seed, ())
    found = filter_images(data, 1, 1, count=9, seed=seed)
    assert found.frame["rank"].isna().all()
    assert found.frame["value"].isna().all()
    gates = data.bits(1)[:, 1]
    for side, gate in (("top", True), ("bottom", False)):
        part = found.frame[found.frame["side"] == side]
        assert part["position"].nunique() == 9
        assert (gates[part["position"]] == gate).all()
        assert (part["gate"] == gate).all()
    again = filter_images(data, 1, 1, count=9, seed=seed)
    assert again.frame.equals(found.frame)
    other = filter_images(data, 1, 1, count=9, seed=seed + 1)
    assert not other.frame.equals(found.frame)
    assert "drawn by seed" in found.left_out


def test_sides_never_share_an_image():
    for images in (1, 2, 5):
        found = filter_images(recorded(0, images=images), 1, 0, count=12)
        assert found.frame["position"].is_unique
        assert len(found.frame) == (1 if images == 1 else images // 2 * 2)
        figure_bytes(found.plot(), "svg")


def test_a_side_without_images_is_said_and_drawn():
    data = make_recording(np.ones((5, 2), dtype=bool))
    found = filter_images(data, 1, 0)
    assert found.frame["side"].unique().tolist() == ["top"]
    assert "gate off (there are none)" in found.left_out
    assert found.thumbnails == (b"",) * 5
    assert "on for 100.0% of 5 images" in found.summary()
    figure_bytes(found.plot(), "svg")


def test_names_stay_text_and_figures_repeat():
    data = recorded(0)
    data.classes = ("<script>", "a$b$c", "_hidden")
    found = filter_images(data, 1, 0)
    one, two = (figure_bytes(found.plot(), "svg") for _ in range(2))
    assert one == two
    assert b"<script>" not in one
    assert "100 images" in found.summary()


def test_bad_choices_are_one_sentence():
    data = recorded(0)
    with pytest.raises(PathLensError, match="numbered from 0 to 2"):
        filter_images(data, 1, 3)
    with pytest.raises(PathLensError, match="Unknown strength 'score'"):
        filter_images(data, 1, 0, strength="score")
    with pytest.raises(PathLensError, match="at least 1"):
        filter_images(data, 1, 0, count=0)
    with pytest.raises(PathLensError, match="holds no scores"):
        filter_images(make_recording(np.ones((5, 2), dtype=bool)), 1, 0, strength="scores")
