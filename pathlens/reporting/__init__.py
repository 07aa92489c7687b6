"""The report room: figures and the page; it draws tables and computes none."""

from pathlens.reporting.build import default_folder, report

__all__ = ["default_folder", "report"]
