"""Small image folders, masks and the matrix of a table, made in the open."""

import numpy as np
from PIL import Image

from pathlens.concepts import concept_matrix


def save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels), mode).save(path)
    return path


def blank(path, height=6, width=8):
    return save(path, np.zeros((height, width, 3), dtype=np.uint8))


def classed(root, names):
    """Image files below `root`, each 6 x 8 pixels; `names` are their ids."""
    for name in names:
        blank(root / name)
    return root


def matrix_of(table, images):
    """Nested dict image -> concept -> value, as a reader of the table understands it."""
    matrix, known = concept_matrix(table, images)
    assert known.all()
    return matrix


def write(path, text):
    path.write_text(text, "utf-8")
    return path
