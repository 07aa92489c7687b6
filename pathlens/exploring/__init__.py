"""The exploring room: choose a layer, a filter, an image, and see what is known of them."""

from pathlens.exploring.browser import Browser, browse
from pathlens.exploring.explorer import Explorer

__all__ = ["Browser", "Explorer", "browse"]
