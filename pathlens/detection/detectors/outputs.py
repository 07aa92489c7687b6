"""What detectors on a network's output share: no layers, no parts."""

from __future__ import annotations

from pathlens.detection.data import DetectionData
from pathlens.layers import LayerTable


class OnOutput:
    """A fitted detector that does not look at paths."""

    @property
    def layers(self) -> LayerTable:
        """None."""
        return LayerTable([])

    def by_layer(self, data: DetectionData) -> None:
        """None: there are no layers."""
        return
