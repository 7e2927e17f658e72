"""Opaque files of a foreign framework: kept by digest, handed back as they were, never interpreted."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from trainwright.base.bounds import excerpt
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import read_json, write_json
from trainwright.store.blobs import Blobs

MAX_PART = 255  # bytes of a file's name on common file systems
MAX_PATH = 2_000
_DIGEST = re.compile(r"[0-9a-f]{64}")


def keep_files(blobs: Blobs, folder: Path) -> str:
    """Keeps every regular file below a folder.

    Args:
        blobs: Where to.
        folder: Nothing else may be in it than files and folders.

    Returns:
        Digest of a JSON object that names each file's object by its path.

    Raises:
        StoreError: If there is a link, a device or a name that is not UTF-8; nothing is referred to then.
    """
    found: dict[str, str] = {}
    for item in sorted(_walk(folder)):
        name = item.relative_to(folder).as_posix()
        if not stat.S_ISREG(item.lstat().st_mode):
            raise StoreError(
                f"{item} is not a regular file: links and devices are not kept; put the file itself there"
            )
        try:
            name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise StoreError(f"{item!r}: its name is not UTF-8; rename it") from error
        found[name] = blobs.put_file(item)
    return keep_list(blobs, found)


def keep_list(blobs: Blobs, listed: Mapping[str, str]) -> str:
    """Keeps a list of objects by path; gives its digest. The objects stay as long as a kept version has the list."""
    return blobs.put([write_json(dict(listed)).encode()])


def list_files(blobs: Blobs, digest: str) -> dict[str, str]:
    """Gives the object of each file by its path.

    Raises:
        StoreError: If the list is damaged, names no objects, or a path leaves the folder or cannot be one.
    """
    listed = read_json(blobs.get(digest), what=f"files {digest}")
    if not isinstance(listed, dict) or not all(isinstance(item, str) for item in listed.values()):
        raise StoreError(f"files {digest}: not a list of objects by path")
    for name, item in listed.items():
        parts = name.split("/")
        if not name or "\x00" in name or any(part in ("", ".", "..") for part in parts):
            raise StoreError(f"files {digest}: the path {excerpt(name)} leaves the folder")
        if (
            any(len(part.encode("utf-8", "surrogatepass")) > MAX_PART for part in parts)
            or len(name) > MAX_PATH
        ):
            raise StoreError(f"files {digest}: the path {excerpt(name)} is too long for a file")
        above = next(("/".join(parts[:n]) for n in range(1, len(parts)) if "/".join(parts[:n]) in listed), "")
        if above:
            raise StoreError(f"files {digest}: {excerpt(above)} is a file and a folder")
        if not _DIGEST.fullmatch(item):
            raise StoreError(f"files {digest}: {excerpt(item)} is no digest of an object")
    return dict(listed)


def restore_files(blobs: Blobs, digest: str, *, folder: Path) -> None:
    """Hands files back into a new folder.

    Args:
        blobs: Where from.
        digest: From `keep_files`.
        folder: It must not exist yet.

    Raises:
        StoreError: If an object is damaged, or the folder exists.
    """
    listed = list_files(blobs, digest)
    try:
        folder.mkdir(parents=True)
    except FileExistsError as error:
        raise StoreError(f"{folder} exists already: name a new folder") from error
    for name, item in listed.items():
        target = folder / PurePosixPath(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(blobs.get(item))


def _walk(folder: Path) -> list[Path]:
    found: list[Path] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            found += _walk(path) if entry.is_dir(follow_symlinks=False) else [path]
    return found
