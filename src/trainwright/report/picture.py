"""Pictures in the page: arrays as PNG images, without a library of images."""

import base64
import struct
import zlib
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array

MOST_PIXELS = 128  # along an axis
COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # by number of channels, as the format numbers them
# Of classes in masks: a picture cannot follow the page's colours. Class 0 is mostly the background.
CLASS_COLORS = (
    *("#c9d0d9", "#2563eb", "#d9480f", "#0f8a5f", "#8b3fc7", "#e0a010"),
    *("#be185d", "#0891b2", "#4d7c0f", "#7c2d12", "#475569", "#6366f1"),
)


class Span(NamedTuple):
    """Which values of a picture are black and white."""

    low: float
    high: float


def write_png(pixels: Array) -> bytes:
    r"""Spells a picture as PNG.

    Args:
        pixels: uint8, shape `(height, width, channels)` with 1 (grey), 3 (colour) or 4 (and opacity) channels.

    Example:
        >>> write_png(np.zeros((1, 2, 1), dtype=np.uint8))[:8]
        b'\x89PNG\r\n\x1a\n'

    Source:
        W3C, Portable Network Graphics (third edition), 2025, sections 5, 9 and 11.
    """
    height, width, channels = pixels.shape
    # Each row begins with its filter; 0 is none.
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">IIBBBBB", width, height, 8, COLOR_TYPES[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in parts)


def span_of(images: Array) -> Span:
    """Decides which values are black and white: 0 and 1, or 0 and 255, where they fit, otherwise the ends.

    Example:
        >>> span_of(np.array([0.0, 0.4])), span_of(np.array([3, 200])), span_of(np.array([-2.0, 5.0]))
        (Span(low=0.0, high=1.0), Span(low=0.0, high=255.0), Span(low=-2.0, high=5.0))
    """
    finite = images[np.isfinite(images)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    for top in (1.0, 255.0):
        # A set that ends far below white would be drawn as black.
        if low >= 0 and 0.3 * top < high <= top:
            return Span(0.0, top)
    return Span(low, high if high > low else low + 1.0)


def image_pixels(image: Array, span: Span) -> Array:
    """Turns an image into pixels; values that are not finite become transparent.

    Args:
        image: Shape `(channels, height, width)`. Of three or more channels the first three are red, green and
            blue; of one or two, the first is drawn in grey.
        span: Which values are black and white.

    Returns:
        uint8, shape `(height, width, 1, 3 or 4)`, at most 128 pixels along an axis.
    """
    drawn = _fewer(np.moveaxis(image[: 3 if len(image) >= 3 else 1].astype(np.float64), 0, -1))
    known = np.isfinite(drawn).all(axis=-1, keepdims=True)
    light = np.clip((np.where(known, drawn, span.low) - span.low) / (span.high - span.low), 0.0, 1.0)
    pixels = np.round(255 * light).astype(np.uint8)
    if known.all():
        return pixels
    colors = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    return np.concatenate([colors, np.where(known, 255, 0).astype(np.uint8)], axis=-1)


def mask_pixels(mask: Array) -> Array:
    """Turns class numbers into pixels; colours come again after twelve classes.

    Args:
        mask: Shape `(height, width)`.
    """
    colors = np.array(
        [[int(one[at : at + 2], 16) for at in (1, 3, 5)] for one in CLASS_COLORS], dtype=np.uint8
    )
    return colors[_fewer(mask).astype(np.int64) % len(colors)]


def flat(values: Array) -> Array:
    """Makes a picture of the values of one channel: a line becomes one row, of a block the middle layer is taken.

    Args:
        values: Shape `(length,)`, `(height, width)` or `(depth, ..., height, width)`.
    """
    while values.ndim > 2:
        values = values[len(values) // 2]
    return values if values.ndim == 2 else values[None]


def draw_picture(pixels: Array, what: str) -> Markup:
    """Makes an image of the page.

    Args:
        pixels: As for `write_png`.
        what: For readers who cannot see it.
    """
    content = base64.b64encode(write_png(pixels)).decode()
    height, width = pixels.shape[:2]
    # A single row would hardly be seen; it is drawn as a band.
    shape = f"{width}/{max(height, -(-width // 6))}"
    return Markup('<img alt="{}" style="aspect-ratio:{}" src="data:image/png;base64,{}">').format(
        what, shape, content
    )


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _fewer(picture: Array) -> Array:
    steps = [-(-size // MOST_PIXELS) for size in picture.shape[:2]]
    return picture[:: max(steps), :: max(steps)]
