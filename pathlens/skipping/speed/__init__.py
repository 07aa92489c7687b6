"""Measuring how fast a network runs in each of its forms."""

from pathlens.skipping.speed.measure import Speed, measure

__all__ = ["Speed", "measure"]
