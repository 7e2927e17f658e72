import base64
import re
import struct
import zlib

import numpy as np
import pytest

from trainwright.report.picture import (
    CLASS_COLORS,
    Span,
    draw_picture,
    flat,
    image_pixels,
    mask_pixels,
    span_of,
    write_png,
)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_picture_is_spelled_as_the_format_says(channels):
    pixels = np.random.default_rng(0).integers(0, 256, size=(5, 7, channels), dtype=np.uint8)
    rest, chunks = write_png(pixels)[8:], {}
    while rest:
        (length,) = struct.unpack(">I", rest[:4])
        kind, content, (check,) = (
            rest[4:8],
            rest[8 : 8 + length],
            struct.unpack(">I", rest[8 + length : 12 + length]),
        )
        assert check == zlib.crc32(kind + content)
        chunks[kind], rest = content, rest[12 + length :]
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBB", chunks[b"IHDR"][:10]) == (7, 5, 8, {1: 0, 3: 2, 4: 6}[channels])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), dtype=np.uint8).reshape(5, -1)
    assert (rows[:, 0] == 0).all()
    np.testing.assert_array_equal(rows[:, 1:].reshape(pixels.shape), pixels)


@pytest.mark.parametrize(
    ("values", "span"),
    [
        ([0.0, 0.9], (0, 1)),
        ([0, 255], (0, 255)),
        ([0.0, 16.0], (0, 16)),
        ([-1.0, 1.0], (-1, 1)),
        ([np.nan, 0.0, 1.0, np.inf], (0, 1)),
        ([7.0, 7.0], (7, 8)),
        ([np.nan], (0, 1)),
    ],
)
def test_black_and_white_are_the_usual_ends_where_they_fit(values, span):
    assert span_of(np.array(values)) == span


def test_an_image_keeps_its_colours_and_shows_what_is_not_finite_as_nothing():
    image = np.zeros((3, 2, 2))
    image[0, 0, 1], image[2, 1, 0], image[1, 1, 1] = 1.0, 0.5, np.nan
    pixels = image_pixels(image, Span(0.0, 1.0))
    assert pixels[0, 1].tolist() == [255, 0, 0, 255] and pixels[1, 0].tolist() == [0, 0, 128, 255]
    assert pixels[1, 1, 3] == 0
    assert image_pixels(image[:1], Span(0.0, 1.0)).shape == (2, 2, 1)
    assert image_pixels(image[:2, :1], Span(0.0, 1.0)).shape == (1, 2, 1)  # of two channels the first


def test_large_images_lose_rows_and_columns_alike():
    image = np.zeros((1, 300, 100))
    image[0, 3, 6] = 1.0
    pixels = image_pixels(image, Span(0.0, 1.0))
    assert pixels.shape == (100, 34, 1) and pixels[1, 2, 0] == 255


def test_a_class_has_the_colour_of_its_number():
    pixels = mask_pixels(np.array([[0, 1], [11, 12]]))
    names = ["#" + bytes(pixel).hex() for pixel in pixels.reshape(-1, 3).tolist()]
    assert names == [CLASS_COLORS[0], CLASS_COLORS[1], CLASS_COLORS[11], CLASS_COLORS[0]]


def test_a_line_becomes_a_row_and_of_a_block_the_middle_is_taken():
    assert flat(np.arange(3)).tolist() == [[0, 1, 2]]
    assert flat(np.arange(12).reshape(3, 2, 2)).tolist() == [[4, 5], [6, 7]]


def test_the_page_holds_the_picture_itself():
    pixels = np.zeros((1, 12, 1), dtype=np.uint8)
    drawn = draw_picture(pixels, '"><script>')
    (content,) = re.findall(r'src="data:image/png;base64,([^"]+)"', drawn)
    assert base64.b64decode(content) == write_png(pixels)
    assert "<script>" not in drawn and "aspect-ratio:12/2" in drawn
