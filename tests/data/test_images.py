"""The tests of listing need no Pillow; those of decoding read PNG files that are written here byte by byte."""

import os
import struct
import zlib

import numpy as np
import pytest

from trainwright.base import extras
from trainwright.base.errors import BackendError, DataError
from trainwright.data import images
from trainwright.data.images import read_image_folder, read_segmentation_folder

RNG = np.random.default_rng(6)
GRAY, RGB, PALETTE = 0, 2, 3


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(pixels, *, color=None, depth=8, size=None):
    """A PNG file; `pixels` are packed already if `depth` is not 8, and `size` (height, width) may lie."""
    pixels = np.asarray(pixels)
    color = color if color is not None else (RGB if pixels.ndim == 3 else GRAY)
    height, width = size or pixels.shape[:2]
    head = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    rows = b"".join(b"\x00" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in pixels)
    palette = (
        chunk(b"PLTE", RNG.integers(0, 256, 3 * 16, dtype=np.uint8).tobytes()) if color == PALETTE else b""
    )
    body = chunk(b"IHDR", head) + palette + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.fixture
def fill(tmp_path):
    def write(files):
        for name, content in files.items():
            path = tmp_path / "set" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (tmp_path / "set").mkdir(exist_ok=True)
        return tmp_path / "set"

    return write


def gray(shape=(4, 5)):
    return RNG.integers(0, 256, size=shape, dtype=np.uint8)


# --- what lies in a folder ---


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "set: it holds no images of the types .png"),
        ({"a/.hidden.png": b"x"}, "it holds no images"),
        (
            {"a/1.png": b"", "a/notes.txt": b"", "b.csv": b""},
            r"2 files are no images .*: 'a/notes.txt', 'b.csv'; remove",
        ),
        ({"a/1.tif": b""}, "1 files are no images"),
        ({"1.png": b"", "a/2.png": b""}, "'1.png' lies in no folder of a class"),
    ],
)
def test_a_folder_that_is_no_set_of_images_is_refused(fill, files, says):
    with pytest.raises(DataError, match=says):
        read_image_folder(fill(files))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder .*nowhere"):
        read_image_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("target", ["../secret.png", "../secret", "/"])
def test_a_link_that_leaves_the_folder_is_refused(fill, tmp_path, target):
    folder = fill({"a/1.png": png(gray())})
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret.png").write_bytes(png(gray()))
    (folder / "a" / "2.png").symlink_to(folder / target)
    with pytest.raises(DataError, match=r"the link 'a/2\.png' leaves the folder"):
        read_image_folder(folder)


def test_links_to_folders_and_circles_of_links_are_refused(fill):
    folder = fill({"a/1.png": png(gray())})
    (folder / "b").symlink_to(folder / "a")
    with pytest.raises(DataError, match="'b' is a link to a folder"):
        read_image_folder(folder)
    (folder / "b").unlink()
    (folder / "a" / "2.png").symlink_to(folder / "a" / "2.png")
    with pytest.raises(DataError, match=r"1 files are no images .*a/2\.png"):
        read_image_folder(folder)


def test_a_pipe_is_not_waited_for(fill):
    folder = fill({"a/1.png": png(gray())})
    os.mkfifo(folder / "a" / "2.png")
    with pytest.raises(DataError, match=r"1 files are no images .*a/2\.png"):
        read_image_folder(folder)


def test_a_name_that_is_not_utf8_is_refused(fill):
    folder = fill({"a/1.png": png(gray())})
    with open(os.fsencode(folder) + b"/a/\xff.png", "wb") as file:
        file.write(png(gray()))
    with pytest.raises(DataError, match="not UTF-8"):
        read_image_folder(folder)


def test_without_pillow_the_cure_is_named(fill, monkeypatch):
    monkeypatch.setattr(extras, "installed", lambda module: module != "PIL")
    with pytest.raises(BackendError, match=r"pip install 'trainwright\[images\]'"):
        read_image_folder(fill({"a/1.png": png(gray())}))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"images/1.png": b""}, r"there is no folder .*masks"),
        ({"images/1.png": b"", "images/2.png": b"", "masks/1.png": b""}, r"'2\.png' has no mask .*1 such"),
        ({"images/1.png": b"", "masks/1.png": b"", "masks/3.png": b""}, r"'3\.png' has no image"),
        (
            {"images/1.png": b"", "images/1.jpg": b"", "masks/1.png": b""},
            r"images: '1\.jpg' and '1\.png' have one name",
        ),
        ({"images/1.png": b"", "masks/1.jpg": b""}, r"mask '1\.jpg' is no PNG"),
        ({"images/1.png": b"", "masks/1.png": b"\x89PNG"}, r"mask '1\.png' is no PNG"),
        # Pillow would stretch the 16 grays to 0, 17, 34, ..., and so change the classes.
        (
            {"images/1.png": b"", "masks/1.png": png([[0x01, 0x20]], depth=4, size=(1, 4))},
            "mask .* is gray with 4 bits",
        ),
        ({"images/1.png": b"", "masks/1.png": png(gray(), depth=16)}, "mask .* is gray with 16 bits"),
        ({"images/1.png": b"", "masks/1.png": png(gray((2, 2, 3)))}, "mask .* is RGB with 8 bits"),
    ],
)
def test_images_and_masks_that_do_not_belong_together_are_refused(fill, files, says):
    with pytest.raises(DataError, match=says):
        read_segmentation_folder(fill(files))


# --- what is in the images ---


@pytest.fixture
def pillow():
    return pytest.importorskip("PIL.Image")


def test_images_are_read_in_the_order_of_their_paths(fill, pillow):
    pixels = {name: gray() for name in ("b/2.png", "a/deep/er/1.PNG", "a/10.png", "a/9.png")}
    folder = fill(
        {**{name: png(one) for name, one in pixels.items()}, ".hidden/x.txt": b"", "a/.DS_Store": b"x"}
    )
    found = read_image_folder(folder)
    assert found.ids.tolist() == ["a/10.png", "a/9.png", "a/deep/er/1.PNG", "b/2.png"]
    assert found.y.tolist() == ["a", "a", "a", "b"]
    assert found.x.dtype == np.uint8 and found.x.shape == (4, 1, 4, 5)
    for name, image in zip(found.ids, found.x, strict=True):
        assert np.array_equal(image[0], pixels[str(name)])


def test_colors_have_three_channels_and_gray_ones_join_them(fill, pillow):
    colored, plain = gray((4, 5, 3)), gray()
    folder = fill({"a/1.png": png(colored), "b/2.png": png(plain)})
    found = read_image_folder(folder)
    assert np.array_equal(found.x[0], colored.transpose(2, 0, 1))
    assert np.array_equal(found.x[1], np.stack([plain] * 3))


def test_the_color_that_is_asked_for_is_given(fill, pillow):
    colored, plain = gray((4, 5, 3)), gray()
    folder = fill({"a/1.png": png(colored), "b/2.png": png(plain)})
    found = read_image_folder(folder, color="gray").x
    luma = colored @ np.array([0.299, 0.587, 0.114])  # ITU-R 601-2
    assert found.shape == (2, 1, 4, 5)
    assert np.abs(found[0, 0] - luma).max() <= 1 and np.array_equal(found[1, 0], plain)
    only_gray = fill({"a/1.png": png(plain)})
    assert read_image_folder(only_gray, color="rgb").x.shape == (2, 3, 4, 5)


def test_every_format_gives_the_pixels_that_were_written(fill, pillow, tmp_path):
    flat = np.repeat(np.repeat(gray((2, 2)), 8, axis=0), 8, axis=1)
    folder = fill({"a/1.png": png(flat)})
    image = pillow.fromarray(flat)
    image.save(folder / "a" / "2.bmp")
    image.save(folder / "a" / "3.gif")
    image.save(folder / "a" / "4.jpg", quality=95)
    found = read_image_folder(folder, color="gray").x[:, 0].astype(int)
    for one, tolerance in zip(found, (0, 0, 0, 12), strict=True):
        assert np.abs(one - flat).max() <= tolerance


def test_of_an_animation_the_first_frame_is_read(fill, pillow):
    folder = fill({"a/1.png": png(np.full((4, 5), 10))})
    first, second = (pillow.fromarray(np.full((4, 5), value, dtype=np.uint8)) for value in (10, 200))
    first.save(folder / "a" / "2.gif", save_all=True, append_images=[second])
    assert (read_image_folder(folder, color="gray").x == 10).all()


def test_a_photograph_is_turned_upright(fill, pillow):
    folder = fill({})
    (folder / "a").mkdir()
    image = pillow.fromarray(np.repeat([[0], [255]], 16, axis=0).repeat(16, axis=1).astype(np.uint8))
    exif = pillow.Exif()
    exif[0x0112] = 3  # stored upside down
    image.save(folder / "a" / "1.jpg", exif=exif)
    x = read_image_folder(folder).x[0, 0]
    assert x[:10].mean() > 200 and x[-10:].mean() < 50


def test_images_are_resized_to_height_and_width(fill, pillow):
    halves = np.repeat([[0], [200]], 4, axis=0).repeat(6, axis=1)
    folder = fill({"a/1.png": png(halves), "a/2.png": png(np.full((3, 9), 77))})
    found = read_image_folder(folder, size=(2, 3)).x
    assert found.shape == (2, 1, 2, 3)
    assert (found[1] == 77).all() and found[0, 0, 0].mean() < 60 and found[0, 0, 1].mean() > 140


def test_images_of_several_sizes_name_the_first_odd_one_and_the_cure(fill, pillow):
    folder = fill({"a/1.png": png(gray()), "a/2.png": png(gray()), "b/3.png": png(gray((6, 7)))})
    with pytest.raises(
        DataError, match=r"'b/3\.png' has 6 x 7 pixels .*, 'a/1\.png' has 4 x 5; give a `size`"
    ):
        read_image_folder(folder)


def test_palettes_and_transparency_become_colors(fill, pillow):
    folder = fill({})
    (folder / "a").mkdir()
    pillow.new("RGBA", (5, 4), (10, 20, 30, 0)).save(folder / "a" / "1.png")
    indexed = pillow.new("P", (5, 4), 1)
    indexed.putpalette([0, 0, 0, 10, 20, 30])
    indexed.save(folder / "a" / "2.png", transparency=b"\x80\x40")
    assert (read_image_folder(folder).x == np.array([10, 20, 30])[None, :, None, None]).all()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (png(gray((40, 50)))[:-400], "cannot be read"),
        (png(gray())[:20], "cannot be read"),
        (b"", "cannot be read"),
        (b"<html>", "cannot be read"),
        (b"II*\x00" + b"\x00" * 40, "cannot be read"),  # TIFF under another name
        (png(gray(), size=(20_000, 20_000)), "claims too many pixels"),
        (png(gray(), size=(10_000, 9_500)), "claims too many pixels"),  # where Pillow itself only warns
        (png(gray(), depth=16), "more than 8 bits"),
    ],
)
def test_an_image_that_is_damaged_or_hostile_is_refused_by_name(fill, pillow, content, says):
    folder = fill({"a/1.png": png(gray()), "a/2.png": content})
    with pytest.raises(DataError, match=says) as error:
        read_image_folder(folder)
    assert "'a/2.png'" in str(error.value)


def test_images_that_do_not_fit_into_memory_are_refused(fill, pillow, monkeypatch):
    monkeypatch.setattr(images, "hardware", lambda: {"memory_bytes": 70})
    folder = fill({"a/1.png": png(gray()), "a/2.png": png(gray())})  # 20 bytes each, held twice
    with pytest.raises(DataError, match=r"up to 'a/2\.png' .* give a smaller `size`"):
        read_image_folder(folder)
    assert len(read_image_folder(folder, size=(2, 2)).x) == 2


def test_masks_hold_the_numbers_of_the_classes_as_stored(fill, pillow):
    classes, indexed = RNG.integers(0, 5, (4, 5)), RNG.integers(0, 16, (4, 5))
    packed = np.array([[0x01, 0x23, 0x40]] * 4)  # 4 bits each: 0 1 2 3 4
    folder = fill(
        {
            "images/x/1.png": png(gray((4, 5, 3))),
            "images/2.bmp.png": png(gray()),
            "images/3.png": png(gray()),
            "masks/x/1.png": png(classes),
            "masks/2.bmp.png": png(indexed, color=PALETTE),
            "masks/3.png": png(packed, color=PALETTE, depth=4, size=(4, 5)),
        }
    )
    found = read_segmentation_folder(folder)
    assert found.ids.tolist() == ["2.bmp.png", "3.png", "x/1.png"]
    assert found.x.shape == (3, 3, 4, 5) and found.y.shape == (3, 4, 5)
    assert np.array_equal(found.y, [indexed, [[0, 1, 2, 3, 4]] * 4, classes])


def test_a_resized_mask_holds_no_class_that_was_not_there(fill, pillow):
    mask = np.repeat([[0, 4]], 4, axis=0).repeat(4, axis=1)
    folder = fill({"images/1.png": png(gray((4, 8))), "masks/1.png": png(mask)})
    found = read_segmentation_folder(folder, size=(3, 5))
    assert found.x.shape == (1, 1, 3, 5) and found.y.shape == (1, 3, 5)
    assert set(np.unique(found.y)) == {0, 4}


def test_a_mask_of_another_size_than_its_image_is_refused(fill, pillow):
    folder = fill({"images/1.png": png(gray((4, 5))), "masks/1.png": png(gray((5, 4)))})
    with pytest.raises(DataError, match=r"'1\.png' has 4 x 5 pixels .* its mask 5 x 4"):
        read_segmentation_folder(folder, size=(2, 2))


def test_a_size_that_does_not_fit_into_memory_is_refused_before_an_image_is_resized(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()  # not even opened
    with pytest.raises(DataError, match=r"2 images of the `size` \[10000000, 10000000\] take"):
        read_image_folder(tmp_path, size=(10**7, 10**7))
