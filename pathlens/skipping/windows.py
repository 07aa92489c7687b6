"""What a maximum over windows is taken of."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    ceil: bool

    def __call__(self, x: Tensor) -> Tensor:
        """The maxima of pictures (N, channels, height, width) of any size."""
        further = self.kernel, self.stride, self.padding, self.dilation, self.ceil
        return F.max_pool2d(x, *further)

    @property
    def overlaps(self) -> bool:
        """Whether most pixels are in several windows, above each other and side by side."""
        return all(size > step for size, step in zip(self.kernel, self.stride, strict=True))

    def fits(self, size: Sequence[int]) -> bool:
        """Whether pictures of a size (height, width), with their border, hold a window."""
        reach = zip(size, self.padding, self.dilation, self.kernel, strict=True)
        return all(pixels + 2 * border > far * (count - 1) for pixels, border, far, count in reach)

    def made_of(self, size: Sequence[int]) -> tuple[int, ...]:
        """Height and width of what is made of pictures of a size (height, width)."""
        given = zip(size, self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return tuple(self._along(*sizes) for sizes in given)

    def _along(self, size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
        left = size + 2 * padding - dilation * (kernel - 1) - 1
        count = (left + (stride - 1 if self.ceil else 0)) // stride + 1
        # Windows that begin in the border behind the picture do not count.
        return count - 1 if self.ceil and (count - 1) * stride >= size + padding else count
