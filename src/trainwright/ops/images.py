"""Augmentations of images, shape `(records, channels, height, width)`."""

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.random import Stream
from trainwright.ops.augmentation import (
    Augmentation,
    Features,
    Records,
    check_probability,
    draw,
    draw_between,
)

_ASPECT = 0.3  # an erased rectangle is at most about three times as wide as high, or as high as wide
_BLOCK = 2**15  # pixels worked on at once, so that they stay in the cache


@dataclass(frozen=True, eq=False)
class HorizontalFlip(Augmentation):
    """Mirrors an image, left to right.

    Args:
        p: The probability.
    """

    p: float = 0.5

    catalog_name: ClassVar[str | None] = "HorizontalFlip"

    def __post_init__(self) -> None:
        check_probability(self.p)

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Mirrors the images that are drawn."""
        _check_images(x, self)
        chosen = draw(stream, records, 1) < self.p
        return np.where(chosen[:, :, None, None], x[..., ::-1], x)


@dataclass(frozen=True, eq=False)
class VerticalFlip(Augmentation):
    """Mirrors an image, top to bottom.

    Args:
        p: The probability.
    """

    p: float = 0.5

    catalog_name: ClassVar[str | None] = "VerticalFlip"

    def __post_init__(self) -> None:
        check_probability(self.p)

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Mirrors the images that are drawn."""
        _check_images(x, self)
        chosen = draw(stream, records, 1) < self.p
        return np.where(chosen[:, :, None, None], x[..., ::-1, :], x)


@dataclass(frozen=True, eq=False)
class RandomCrop(Augmentation):
    """Adds a border to an image and cuts a piece of its former size out of it, anywhere.

    Args:
        padding: The width of the border, in pixels: an image moves by at most so many.
        mode: What the border holds: `zeros`, or the image mirrored at its edge (`reflect`).

    Raises:
        DataError: If a mirrored border would be wider than the image.
    """

    padding: int
    mode: Literal["zeros", "reflect"] = "zeros"

    catalog_name: ClassVar[str | None] = "RandomCrop"

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise ValueError(f"padding is at least 1 pixel, not {self.padding}")
        if self.mode not in ("zeros", "reflect"):
            raise ValueError(f"mode is `zeros` or `reflect`, not {self.mode!r}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Moves each image by a number of pixels that is drawn for each axis."""
        _check_images(x, self)
        height, width = x.shape[2:]
        if self.mode == "reflect" and self.padding >= min(height, width):
            raise DataError(
                f"RandomCrop cannot mirror a border of {self.padding} pixels at the edge of images of "
                f"{height} x {width}; take a smaller padding or mode: zeros"
            )
        border = ((0, 0), (0, 0), (self.padding, self.padding), (self.padding, self.padding))
        # NumPy has a type for each of the two calls, not for a mode that is a variable.
        padded: Any = np.pad(x, border, mode="reflect") if self.mode == "reflect" else np.pad(x, border)
        pieces = sliding_window_view(padded, (height, width), axis=(2, 3))
        down, right = (draw(stream, records, 2) * (2 * self.padding + 1)).astype(np.int64).T
        found: Features = pieces[np.arange(len(x)), :, down, right]
        return found


@dataclass(frozen=True, eq=False)
class RandomRotation(Augmentation):
    """Turns an image about its centre; what comes in from outside is zero.

    Args:
        degrees: The largest angle, either way, in degrees.
    """

    degrees: float

    catalog_name: ClassVar[str | None] = "RandomRotation"

    def __post_init__(self) -> None:
        if not 0.0 < self.degrees <= 180.0:
            raise ValueError(f"degrees is above 0 and at most 180, not {self.degrees}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Turns each image by an angle that is drawn evenly."""
        _check_images(x, self)
        return rotate(x, draw_between(-self.degrees, self.degrees, of=draw(stream, records, 1)[:, 0]))


@dataclass(frozen=True, eq=False)
class RandomErasing(Augmentation):
    """Sets a rectangle of an image to zero, in all channels.

    Args:
        p: The probability.
        area: The part of the image that is erased, up to the rounding to whole pixels; below 1.

    Source:
        Zhong et al., Random Erasing Data Augmentation, 2020, Algorithm 1; with one area and zeros.
    """

    p: float = 0.5
    area: float = 0.1

    catalog_name: ClassVar[str | None] = "RandomErasing"
    keeps_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_probability(self.p)
        if not 0.0 < self.area < 1.0:
            raise ValueError(f"area is a part of the image, above 0 and below 1, not {self.area}")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Erases a rectangle of one area whose shape and place are drawn."""
        _check_images(x, self)
        height, width = x.shape[2:]
        chosen, shape, top, left = draw(stream, records, 4).T
        # The narrowest and the widest rectangle of this area that fit, in logarithms of height by width.
        fitting = log(self.area * height / width), log(height / (self.area * width))
        narrowest, widest = np.clip((log(_ASPECT), -log(_ASPECT)), *fitting).tolist()
        aspect = np.exp(draw_between(narrowest, widest, of=shape).astype(np.float64))
        pixels = self.area * height * width
        tall = np.clip(np.rint(np.sqrt(pixels * aspect)), 1, height)
        wide = np.clip(np.rint(np.sqrt(pixels / aspect)), 1, width)
        rows = _span(height, np.floor(top * (height - tall + 1)), tall)
        columns = _span(width, np.floor(left * (width - wide + 1)), wide)
        erased = (rows & (chosen < self.p)[:, None])[:, None, :, None] & columns[:, None, None, :]
        return np.where(erased, np.float32(0.0), x)


@dataclass(frozen=True, eq=False)
class ColorJitter(Augmentation):
    r"""Changes brightness and contrast of an image.

    .. math:: y = b \, (m + c \, (x - m)), \quad b \in [1 - \beta, 1 + \beta), \quad c \in [1 - \gamma, 1 + \gamma)

    where :math:`m` is the mean of the image over channels and pixels. Nothing is cut off at 0 or 1.

    Args:
        brightness: :math:`\beta`, from 0 to 1.
        contrast: :math:`\gamma`, from 0 to 1.
    """

    brightness: float = 0.0
    contrast: float = 0.0

    catalog_name: ClassVar[str | None] = "ColorJitter"
    keeps_places: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("brightness", "contrast"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} is from 0 to 1, not {getattr(self, name)}")
        if self.brightness == self.contrast == 0.0:
            raise ValueError("give brightness or contrast; with neither nothing changes")

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        """Changes each image by two factors that are drawn evenly."""
        _check_images(x, self)
        bright, contrasty = draw(stream, records, 2).T
        b = draw_between(1.0 - self.brightness, 1.0 + self.brightness, of=bright)
        c = draw_between(1.0 - self.contrast, 1.0 + self.contrast, of=contrasty)
        flat = np.ascontiguousarray(x).reshape(len(x), -1)
        mean = flat.mean(axis=1, dtype=np.float64).astype(np.float32)
        found: Features = flat * (b * c)[:, None] + (b * (1.0 - c) * mean)[:, None]
        return found.reshape(x.shape)


def rotate(x: Features, degrees: NDArray[np.float32]) -> Features:
    """Turns images about their centres, counter-clockwise, with bilinear interpolation.

    Args:
        x: Shape `(records, channels, height, width)`.
        degrees: The angle of each, shape `(records,)`.

    Returns:
        Images of the same shape; what comes in from outside is zero.

    Example:
        >>> x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
        >>> np.round(rotate(x, np.array([90.0], dtype=np.float32))[0, 0])
        array([[1., 3.],
               [0., 2.]], dtype=float32)
    """
    count, channels, height, width = x.shape
    angle = np.deg2rad(degrees.astype(np.float64))
    cos, sin = np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    # A border of one zero pixel, so that what lies outside is read like all else.
    framed = np.zeros((count, channels, height + 2, width + 2), dtype=np.float32)
    framed[:, :, 1:-1, 1:-1] = x
    turned = np.empty((count, channels, height * width), dtype=np.float32)
    down, right = (np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2) for size in (height, width))
    y, z = (one.ravel() for one in np.meshgrid(down, right, indexing="ij"))
    rows = max(1, _BLOCK // (height * width))
    for begin in range(0, count, rows):
        part = slice(begin, begin + rows)
        c, s = cos[part, None], sin[part, None]
        top, low = _cell(c * y + s * z + np.float32((height + 1) / 2), height)
        left, far = _cell(c * z - s * y + np.float32((width + 1) / 2), width)
        corner = top * (width + 2) + left
        corner += np.arange(len(corner), dtype=np.int32)[:, None] * (channels * (height + 2) * (width + 2))
        # Not weights times pixels: with two differences, equal neighbours give exactly their value.
        flat = framed[part].reshape(-1)
        for channel in range(channels):
            a, b = np.take(flat, corner), np.take(flat, corner + 1)
            upper = a + far * (b - a)
            a, b = np.take(flat, corner + (width + 2)), np.take(flat, corner + (width + 3))
            turned[part, channel] = upper + low * (a + far * (b - a) - upper)
            corner += (height + 2) * (width + 2)
    return turned.reshape(x.shape)


def _cell(place: Features, size: int) -> tuple[NDArray[np.int32], Features]:
    """Gives the pixel at or before a place along an axis with borders, and the rest of the way to the next."""
    np.clip(place, 0.0, size + 1.0, out=place)
    pixel = np.minimum(place.astype(np.int32), size)
    return pixel, place - pixel.astype(np.float32)


def _span(size: int, begin: Any, length: Any) -> NDArray[np.bool_]:
    place = np.arange(size)
    inside: NDArray[np.bool_] = (place >= begin[:, None]) & (place < (begin + length)[:, None])
    return inside


def _check_images(x: Features, op: Augmentation) -> None:
    if x.ndim != 4:
        raise DataError(
            f"{type(op).__name__} is for images, records of shape (channels, height, width), not {x.shape[1:]}"
        )
