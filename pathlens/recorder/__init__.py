"""The recorder: runs a trained network over images and fills a recording."""

from pathlens.recorder.api import record
from pathlens.recorder.images import planned_images

__all__ = ["planned_images", "record"]
