import numpy as np
import pytest

from pathlens.analysis import counts
from pathlens.analysis.counts import bit_class_counts, class_counts, on_counts
from tests.analysis.conftest import MemoryRecording, make_recording, planted


class InParts(MemoryRecording):
    def bits(self, layer):
        raise AssertionError("a recording with parts is not read whole")

    def bits_in_parts(self, layer):
        whole = self.bits_by_layer[self.layers.find(layer).name]
        yield from np.split(whole, [3, 3, 400])


def slow(bits, codes, classes):
    return [[int(bits[codes == k, j].sum()) for j in range(bits.shape[1])] for k in range(classes)]


@pytest.mark.parametrize("filters", [1, 7, 8, 13, 32])
def test_counts_are_those_of_a_slow_loop(filters):
    bits, labels = planted(filters, images=1000, filters=filters)
    deals = np.stack([labels, labels[::-1], np.full(1000, -1), np.where(labels == 2, -1, labels)])
    found = bit_class_counts(bits, deals, 6)
    assert found.tolist() == [slow(bits, deal, 6) for deal in deals]
    assert found.dtype == np.int64


@pytest.mark.parametrize("images", [254, 255, 256, 511, 5000])
def test_sums_of_a_byte_do_not_overflow(images):
    bits = np.ones((images, 3), dtype=bool)
    codes = np.zeros((1, images), dtype=np.int8)
    assert bit_class_counts(bits, codes, 2).tolist() == [[[images] * 3, [0] * 3]]


def test_counts_do_not_depend_on_chunks_and_parts(monkeypatch):
    # 143 chunks of 7 and one image that is left.
    bits, labels = planted(0, images=1002)
    recording = make_recording(bits, labels)
    deals = np.stack([labels, labels[::-1]])
    layer = recording.layers[0]
    whole = class_counts(recording, layer, deals, 4)
    in_parts = InParts({"conv": bits}, recording.images)
    monkeypatch.setattr(counts, "_CHUNK", 7)
    for one in (recording, in_parts):
        assert (class_counts(one, layer, deals, 4) == whole).all()
        assert (on_counts(one, layer) == bits.sum(axis=0)).all()
    assert whole.tolist() == [slow(bits, deal, 4) for deal in deals]


def test_no_image_counts_nothing():
    assert not bit_class_counts(np.zeros((0, 4), dtype=bool), np.zeros((1, 0), dtype=int), 3).any()
