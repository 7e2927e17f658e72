"""Folders of images: one folder per class, or images with a mask each."""

import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.extras import require
from trainwright.base.machine import hardware
from trainwright.base.tree import Array

FORMATS = ("PNG", "JPEG", "BMP", "GIF")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif")
Color = Literal["gray", "rgb", "auto"]
Size = tuple[int, int]
Pixels = NDArray[np.uint8]

_GRAY = ("1", "L", "LA")
_COLORED = ("P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


@dataclass(frozen=True, slots=True)
class Images:
    """Images as one array, in the order of their paths.

    Args:
        x: Values from 0 to 255, uint8, shape `(records, channels, height, width)`; channels is 1 or 3.
        y: The class of each image as text, shape `(records,)`; or the class of each pixel, uint8, shape
            `(records, height, width)`.
        ids: Paths inside the folder, with `/`, shape `(records,)`.
    """

    x: Pixels
    y: Array
    ids: Array


def read_image_folder(folder: Path, *, size: Size | None = None, color: Color = "auto") -> Images:
    """Reads images that lie in one folder per class, at any depth below it.

    Hidden files are left out. Of an animation the first frame is read; photographs are turned upright as their EXIF
    tag says; transparency is dropped.

    Args:
        folder: Holds one folder per class, whose name is the class.
        size: Height and width to which images are resized, without regard to their proportions (bilinear over all
            pixels that fall together); None takes them as they are, all of one size.
        color: `gray` gives one channel, `rgb` three; `auto` one if all images are gray.

    Raises:
        DataError: If there are no images, or files that are none; if an image lies outside of a class folder, is
            damaged, too large to be true, of more than 8 bits per value or of another size than the first, which is
            named; if a link leaves the folder.
        BackendError: If Pillow is not installed.
    """
    files = _list_images(folder)
    _check_room(len(files), size)
    for name in files:
        if "/" not in name:
            raise DataError(f"{folder.name}: {name!r} lies in no folder of a class; move it into one")
    x = _stack(_decode(files, _upright), size=size, color=color, smooth=True)
    return Images(x, np.array([name.split("/")[0] for name in files]), np.array(list(files)))


def read_images(folder: Path, *, size: Size, color: Color) -> Images:
    """Reads images to predict for, at any depth below a folder; the class is that of the first folder, or blank.

    Args:
        folder: Holds the images.
        size: As in `read_image_folder`.
        color: As in `read_image_folder`.

    Raises:
        DataError: As `read_image_folder`.
        BackendError: If Pillow is not installed.
    """
    files = _list_images(folder)
    _check_room(len(files), size)
    x = _stack(_decode(files, _upright), size=size, color=color, smooth=True)
    return Images(
        x, np.array([name.rpartition("/")[0].split("/")[0] for name in files]), np.array(list(files))
    )


def read_segmentation_folder(folder: Path, *, size: Size | None = None, color: Color = "auto") -> Images:
    """Reads images with the classes of their pixels: `images/a.jpg` belongs to `masks/a.png`.

    Args:
        folder: Holds the folders `images` and `masks`.
        size: As in `read_image_folder`; masks are resized to the nearest pixel.
        color: As in `read_image_folder`.

    Returns:
        `y` holds the values of the masks as they are stored, which are the numbers of the classes; `ids` the paths
        inside `images`.

    Raises:
        DataError: As `read_image_folder`; if an image or a mask is alone, two have one name, a mask is no PNG with
            8 bits of gray or a palette, or it is of another size than its image.
        BackendError: If Pillow is not installed.
    """
    images, masks = (_by_stem(_list_images(folder / part), part) for part in ("images", "masks"))
    for part, some, others in (("mask", images, masks), ("image", masks, images)):
        alone = [name for stem, (name, _) in some.items() if stem not in others]
        if alone:
            raise DataError(
                f"{folder.name}: {alone[0]!r} has no {part} of the same name ({len(alone)} such files)"
            )
    _check_room(len(images), size)
    image_files = dict(images.values())
    mask_files = dict(masks[stem] for stem in images)
    sizes = [_check_mask(path, name) for name, path in mask_files.items()]
    decoded = _of_the_size_of_masks(_decode(image_files, _upright), sizes)
    x = _stack(decoded, size=size, color=color, smooth=True)
    y = _stack(_decode(mask_files, _as_stored), size=size, color="gray", smooth=False)
    return Images(x, y[:, 0], np.array(list(image_files)))


def _list_images(folder: Path) -> dict[str, Path]:
    """Lists image files by their path inside the folder, sorted."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {str(folder)!r}")
    root, found, others = folder.resolve(), dict[str, Path](), []
    for place, folders, names in os.walk(folder, onerror=_refuse_unreadable):
        folders[:] = [one for one in folders if not one.startswith(".")]
        for name in [*folders, *names]:
            path = Path(place, name)
            inside = path.relative_to(folder).as_posix()
            if name.startswith("."):
                continue
            if path.is_symlink():
                _check_link(path, inside, root)
            if name in folders:
                continue
            if path.suffix.lower() not in SUFFIXES or not path.is_file():
                others.append(inside)
            else:
                found[_text(inside)] = path
    if others:
        shown = ", ".join(repr(one) for one in sorted(others)[:5]) + (", ..." if len(others) > 5 else "")
        raise DataError(
            f"{folder.name}: {len(others)} files are no images of the types {', '.join(SUFFIXES)}: {shown}; remove them"
        )
    if not found:
        raise DataError(f"{folder.name}: it holds no images of the types {', '.join(SUFFIXES)}")
    return dict(sorted(found.items()))


def _check_link(path: Path, inside: str, root: Path) -> None:
    target = Path(os.path.realpath(path))  # which, unlike `resolve`, also ends on a circle of links
    if not target.is_relative_to(root):
        raise DataError(f"{root.name}: the link {inside!r} leaves the folder; put a copy in its place")
    if path.is_dir():
        raise DataError(
            f"{root.name}: {inside!r} is a link to a folder, whose images would be read twice; remove it"
        )


def _refuse_unreadable(error: OSError) -> None:
    raise DataError(f"{error.filename}: the folder cannot be read: {error.strerror}") from error


def _text(inside: str) -> str:
    try:
        inside.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DataError(f"{inside!r}: the name of the file is not UTF-8; rename it") from error
    return inside


def _by_stem(files: dict[str, Path], part: str) -> dict[str, tuple[str, Path]]:
    found: dict[str, tuple[str, Path]] = {}
    for name, path in files.items():
        stem = name.removesuffix(path.suffix)
        if stem in found:
            raise DataError(f"{part}: {found[stem][0]!r} and {name!r} have one name; rename one of them")
        found[stem] = (name, path)
    return found


def _check_mask(path: Path, name: str) -> Size:
    """Gives the height and width of a mask; refuses one whose values would not be read as they are stored.

    Pillow stretches gray values of 1, 2 and 4 bits to the range up to 255, which would change the classes.
    """
    with path.open("rb") as file:
        head = file.read(26)
    if head[:8] != b"\x89PNG\r\n\x1a\n" or head[12:16] != b"IHDR" or len(head) < 26:
        raise DataError(f"mask {name!r} is no PNG file; other formats may change the numbers of the classes")
    depth, kind = head[24], head[25]
    if not ((kind == 0 and depth == 8) or kind == 3):
        what = {0: "gray", 2: "RGB", 4: "gray with alpha", 6: "RGB with alpha"}.get(
            kind, f"of color type {kind}"
        )
        raise DataError(
            f"mask {name!r} is {what} with {depth} bits; save it as 8-bit gray or with a palette, its values being "
            "the numbers of the classes"
        )
    width, height = struct.unpack(">II", head[16:24])
    return height, width


def _decode(files: dict[str, Path], take: Callable[[Any, str], Any]) -> Iterator[tuple[str, Any]]:
    """Yields what is taken of each image, with its name."""
    image = _pillow()
    for name, path in files.items():
        try:
            # Opened here, so that it is closed whatever the content does to Pillow.
            with warnings.catch_warnings(), path.open("rb") as file:
                warnings.simplefilter("error", image.DecompressionBombWarning)
                with image.open(file, formats=FORMATS) as opened:
                    opened.load()
                    taken = take(opened, name)
        except (image.DecompressionBombWarning, image.DecompressionBombError) as error:
            raise DataError(f"image {name!r} claims too many pixels to be true: {error}") from error
        except (
            OSError,
            SyntaxError,
            ValueError,
            TypeError,
            LookupError,
            EOFError,
            struct.error,
            zlib.error,
        ) as error:
            raise DataError(f"image {name!r} cannot be read: {error}; write or copy it again") from error
        yield name, taken


def _upright(opened: Any, name: str) -> Any:
    """Gives a gray or an RGB image of 8 bits, turned as its EXIF tag says."""
    turned = require("PIL.ImageOps", extra="images").exif_transpose(opened)
    if turned.mode in _GRAY:
        return turned.convert("L")
    if turned.mode not in _COLORED:
        raise DataError(
            f"image {name!r} has more than 8 bits per value (mode {turned.mode}); convert it to 8 bits"
        )
    # By way of RGBA, because a palette may hold transparency that RGB cannot take.
    return (turned.convert("RGBA") if turned.mode in ("P", "PA") else turned).convert("RGB")


def _as_stored(opened: Any, name: str) -> Any:
    """Gives the numbers of the classes as a gray image; those of a palette are its places, not its colors."""
    if opened.mode not in ("L", "P"):
        raise DataError(f"mask {name!r} has the mode {opened.mode}, not 8-bit gray or a palette")
    return _pillow().fromarray(np.array(opened))


def _stack(decoded: Iterator[tuple[str, Any]], *, size: Size | None, color: Color, smooth: bool) -> Pixels:
    """Makes one array of images, shape `(records, channels, height, width)`."""
    resampling = _pillow().Resampling
    memory, held = int(hardware()["memory_bytes"]), 0
    arrays: list[Pixels] = []
    first = ""
    for name, image in decoded:
        if color != "auto":
            image = image.convert({"gray": "L", "rgb": "RGB"}[color])
        if size is not None:
            height, width = size
            image = image.resize((width, height), resampling.BILINEAR if smooth else resampling.NEAREST)
        array = np.atleast_3d(np.array(image, dtype=np.uint8)).transpose(2, 0, 1)
        first = first or name
        if arrays and array.shape[1:] != arrays[0].shape[1:]:
            raise DataError(
                f"image {name!r} has {_shown(array)} pixels (height x width), {first!r} has {_shown(arrays[0])}; "
                "give a `size` to which all are resized"
            )
        arrays.append(array)
        held += 2 * array.nbytes  # once here and once in the whole
        if held > memory:
            raise DataError(
                f"the images up to {name!r} take {held / 1e9:.0f} GB and do not fit into {memory / 1e9:.0f} GB of "
                "memory; give a smaller `size`"
            )
    channels = max(len(one) for one in arrays)
    return np.stack([np.broadcast_to(one, (channels, *one.shape[1:])) for one in arrays])


def _check_room(count: int, size: Size | None) -> None:
    """Refuses a size whose images do not fit, before the first one is resized to it."""
    needed, memory = 2 * count * prod(size or (0,)), int(hardware()["memory_bytes"])
    if needed > memory:
        raise DataError(
            f"{count} images of the `size` {list(size or ())} take {needed / 1e9:.0f} GB and do not fit into "
            f"{memory / 1e9:.0f} GB of memory; give a smaller one"
        )


def _of_the_size_of_masks(decoded: Iterator[tuple[str, Any]], sizes: list[Size]) -> Iterator[tuple[str, Any]]:
    for (name, image), size in zip(decoded, sizes, strict=True):
        width, height = image.size
        if (height, width) != size:
            raise DataError(
                f"image {name!r} has {height} x {width} pixels (height x width), its mask {size[0]} x {size[1]}"
            )
        yield name, image


def _shown(array: Pixels) -> str:
    return f"{array.shape[1]} x {array.shape[2]}"


def _pillow() -> ModuleType:
    require("PIL", extra="images")
    return require("PIL.Image", extra="images")
