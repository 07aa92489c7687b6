"""What a maximum over windows is taken of."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Window:
    """A window that is moved over pictures; pairs are of height and width.

    Attributes:
        kernel: Size.
        stride: Step from one to the next.
        padding: Pixels of border, which are never the maximum.
        dilation: Distance of the pixels in it.
        ceil: Whether a window that begins within the picture counts although it ends beyond.
        made: Height and width of what is made of the pictures that a plan is for.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    ceil: bool
    made: tuple[int, int]

    def __call__(self, x: Tensor) -> Tensor:
        """The maxima of pictures (N, channels, height, width) of any size."""
        further = self.kernel, self.stride, self.padding, self.dilation, self.ceil
        return F.max_pool2d(x, *further)
