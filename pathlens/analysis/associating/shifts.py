"""Exact test for sequences: the concept is shifted in time, and the paths stay where they are."""

from __future__ import annotations

import numpy as np

from pathlens.analysis.source import Bits, Floats, Ints


def circular_shift_test(on: Bits, has: Bits, groups: Ints) -> tuple[float, float]:
    """One-sided test of a combination and a concept within sequences of dependent images.

    Neighbouring frames of a video resemble each other, so that they are not independent samples.
    Shifting the concept along its own sequence, round the end to the start, keeps how both hang
    together in time and breaks only what they have with each other (Harris 2020, arXiv 2012.06862).
    Sequences are shifted independently; the distribution of joint images over *all* combinations of
    shifts is the convolution of those of the sequences, so that nothing has to be drawn.

    Args:
        on: bool (images,), all filters of the combination are on; images of a group in their order.
        has: bool (images,), the image has the concept.
        groups: int64 (images,), sequence of each image.

    Returns:
        Share of all shifts, none included, with at least as many joint images; and the smallest
        such share that another outcome of the same shifts could have.
    """
    chances = np.ones(1)
    smallest = 0
    for one in np.unique(groups):
        inside = groups == one
        joint = shifted_joint(on[inside], has[inside])
        counts = np.bincount(joint - joint.min()) / len(joint)
        chances = np.convolve(chances, counts)
        smallest += int(joint.min())
    observed = int((on & has).sum()) - smallest
    # Sums of rounded shares may pass 1 by a hair.
    return min(float(chances[observed:].sum()), 1.0), float(chances[-1])


def shifted_joint(on: Bits, has: Bits) -> Ints:
    """Joint images for every circular shift of the concept: int64 (images,), no shift first."""
    left, right = np.fft.rfft(on), np.fft.rfft(has)
    product: Floats = np.fft.irfft(left * np.conj(right), n=len(on))
    return np.rint(product).astype(np.int64)
