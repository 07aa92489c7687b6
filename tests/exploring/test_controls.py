import pytest

from pathlens.errors import PathLensError
from pathlens.exploring import Explorer, browse
from pathlens.exploring.explorer import RATE

from .conftest import EVIL, make_pictured

pytest.importorskip("ipywidgets", reason="ipywidgets, an optional extra, is not installed")


@pytest.fixture
def controls(pictured):
    return browse(pictured).controls


def shown(controls):
    return controls.filter_card.value + controls.pictures.value + controls.image_card.value


def test_another_layer_changes_filters_and_images(controls):
    before = (controls.filter.options, controls.image.options, shown(controls))
    controls.layer.value = 1
    assert len(controls.filter.options) == 5
    assert "of layer 1" in controls.filter_card.value
    assert all(
        old != new
        for old, new in zip(
            before, (controls.filter.options, controls.image.options, shown(controls)), strict=True
        )
    )


def test_another_filter_changes_the_cards(controls):
    before = controls.pictures.value
    controls.filter.value = 1
    assert "Filter 1 of layer 3" in controls.filter_card.value
    assert "mute" in controls.filter_card.value
    assert controls.pictures.value != before


def test_another_order_lists_the_same_filters_anew(controls):
    before = [number for _, number in controls.filter.options]
    chosen = controls.filter.value
    controls.order.value = RATE
    after = [number for _, number in controls.filter.options]
    assert sorted(before) == sorted(after)
    assert before != after
    assert after[0] == 0  # always on
    assert controls.filter.value == chosen


def test_an_image_shows_its_path_and_stays_when_the_layer_changes(controls, pictured):
    assert controls.image_card.value == ""
    assert controls.on_path.disabled
    place = controls.image.options[1][1]
    controls.image.value = place
    assert "Routed through" in controls.image_card.value
    controls.layer.value = 1
    assert controls.image.value == place
    on = pictured.bits("body.one")[place]
    assert f"Routed through {on.sum()} of 5 filters" in controls.image_card.value
    controls.on_path.value = True
    assert {number for _, number in controls.filter.options} == set(on.nonzero()[0])
    controls.image.value = -1
    assert len(controls.filter.options) == 5


def test_a_list_without_filters_chooses_none(pictured):
    pictured.bits_by_layer["body.one"][7] = False
    explorer = Explorer(pictured)
    explorer.choose_image(7)
    controls = browse_with(explorer)
    controls.on_path.value = True
    controls.layer.value = 1
    assert controls.filter.options == ()
    assert controls.filter.value is None
    controls.on_path.value = False
    assert len(controls.filter.options) == 5


def test_names_are_text(controls):
    controls.image.value = controls.image.options[1][1]
    for layer in (1, 2, 3):
        controls.layer.value = layer
        assert "<script" not in shown(controls)
        assert "<b>two" not in shown(controls)
        assert "x" * 61 not in shown(controls)
    assert "&lt;script&gt;" in controls.filter_card.value
    controls.filter.value = 2
    assert "★ specialist" in controls.filter_card.value
    assert any(EVIL[:20] in text for text, _ in controls.filter.options)  # a specialist, as text
    assert max(len(text) for text, _ in (*controls.image.options, *controls.layer.options)) <= 60


def test_what_goes_wrong_is_said_in_the_widget(controls, pictured, monkeypatch):
    def fails(layer):
        raise PathLensError("The file <part> is damaged.")

    monkeypatch.setattr(pictured, "bits", fails)
    controls.layer.value = 2
    assert controls.message.value == "<b>The file &lt;part&gt; is damaged.</b>"
    monkeypatch.undo()
    controls.layer.value = 1
    assert controls.message.value == ""
    assert "of layer 1" in controls.filter_card.value


def test_a_recording_of_gates_without_classes_is_browsed_too():
    controls = browse(make_pictured(labelled=False, scores=False)).controls
    controls.filter.value = 5
    assert "gate on" in controls.pictures.value
    assert "Classes are unknown" in controls.filter_card.value


def browse_with(explorer):
    from pathlens.exploring.controls import Controls

    return Controls(explorer)
