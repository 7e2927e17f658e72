"""The log beside the catalogue: whether commits in it are lost because a frame before them does not fit.

SQLite reads its write-ahead log up to the first frame whose checksum does not fit, and forgets the rest without a
word. After a power cut that is right: nobody was told that the rest is durable. After damage it is a loss, and must be
said.

Source:
    SQLite, Database File Format, section 4, The Write-Ahead Log. https://www.sqlite.org/fileformat2.html#walformat
"""

import logging
import shutil
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import cache
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import StoreError

HEADER, FRAME = 32, 24  # bytes
PAGES = tuple(2**bits for bits in range(9, 17))
AGAIN_S = 0.05  # between two looks at a log whose writers cannot be kept away
_LITTLE = 0x377F0682  # the last bit says how the checksum reads words
_MASK = 2**32 - 1
Words = NDArray[np.uint32]
log = logging.getLogger("trainwright.store")


class Cut(NamedTuple):
    """Where a log breaks off.

    Args:
        frame: The first frame that does not fit, from 0.
        commits: How many commits lie at it and after it.
        name: Of this log among all that there were.
    """

    frame: int
    commits: int
    name: str


def find_cut(path: Path) -> Cut | None:
    """Looks whether a log holds commits that SQLite will not read.

    Args:
        path: The log, `catalogue.db-wal`; there may be none.

    Raises:
        StoreError: If it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
            return _find_cut(file, header) if len(header) == HEADER else None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}; mend the disk, or put back a copy") from error


def _find_cut(file: BinaryIO, header: bytes) -> Cut | None:
    magic, _, page_bytes, _, one, two, *checksum = struct.unpack(">8I", header)
    if magic & ~1 != _LITTLE or page_bytes not in PAGES:
        return Cut(0, 1, "unreadable")
    order = ">" if magic & 1 else "<"
    state = _checksum(header[: HEADER - 8], order, (0, 0))
    fits, frame, commits = state == tuple(checksum), 0, 0
    for number, (head, page) in enumerate(_frames(file, page_bytes)):
        _, size, *salts, first, second = struct.unpack(">6I", head)
        if fits:
            state = _checksum(head[:8] + page, order, state)
            fits = salts == [one, two] and state == (first, second)
            frame = number + fits
        # An older log has left frames with other salts behind: `one` is counted up, `two` is drawn anew.
        if not fits and size and (salts[0] == one or salts[1] == two):
            commits += 1
    return Cut(frame, commits, f"{one:08x}{two:08x}") if commits else None


def keep_cut_log(home: Path, *, writable: bool, turn: Callable[[], AbstractContextManager[None]]) -> None:
    """Keeps a copy of a log that breaks off before the commits in it, because SQLite is about to forget them.

    A log that is being written looks cut to whoever reads it meanwhile: its last frame is half there, or it has begun
    anew since its head was read. So what the first look finds counts only if it is found again while nobody writes.

    Args:
        home: The store.
        writable: Whether a copy can be made.
        turn: Keeps all writers away as long as its block lasts; not asked for where nothing can be written.

    Raises:
        StoreError: If what follows in the log is in the catalogue already: SQLite would lay old pages over new ones.
    """
    path = home / "catalogue.db-wal"
    if find_cut(path) is None:
        return
    if not writable:
        cut = _lasting_cut(path)
        if cut is not None:
            _refuse_behind(path, home, cut)
            log.warning("%s", describe_cut(path, cut))
        return
    with turn():
        cut = find_cut(path)
        if cut is not None:
            _refuse_behind(path, home, cut)
            _copy(path, home, cut)


def _lasting_cut(path: Path) -> Cut | None:
    """Looks until two looks in a row see the same: a writer would have gone on."""
    before, now = None, find_cut(path)
    while now != before:
        time.sleep(AGAIN_S)
        before, now = now, find_cut(path)
    return now


def _refuse_behind(path: Path, home: Path, cut: Cut) -> None:
    if _is_behind(path, home / "catalogue.db", cut):
        raise StoreError(
            f"{path} is damaged at frame {cut.frame}, and later frames are in the catalogue already, so that reading "
            "it would lay old pages over new ones: move the log away and run `trainwright fsck`, or put back a copy "
            "of the store"
        )


def _copy(path: Path, home: Path, cut: Cut) -> None:
    folder = home / "quarantine"
    copy = folder / f"{path.name}.{cut.name}"
    if not copy.exists():
        folder.mkdir(exist_ok=True)
        shutil.copyfile(path, copy)
        log.warning("%s", describe_cut(copy, cut))


def cut_logs(home: Path) -> Iterator[str]:
    """Describes the logs that were kept, and one that lies there now."""
    found = {path: find_cut(path) for path in sorted((home / "quarantine").glob("catalogue.db-wal.*"))}
    now = home / "catalogue.db-wal"
    cut = _lasting_cut(now)
    if cut is not None and not any(path.name.endswith(cut.name) for path in found):
        found[now] = cut
    yield from (describe_cut(path, cut) for path, cut in found.items() if cut is not None)


def describe_cut(path: Path, cut: Cut) -> str:
    """Says what a cut means."""
    return (
        f"{path}: frame {cut.frame} of the log does not fit, so {cut.commits} commits from there on are not read; "
        "after a power cut nobody was told that they are durable; if there was none, the log is damaged"
    )


def _is_behind(path: Path, catalogue: Path, cut: Cut) -> bool:
    """Says whether the catalogue has pages of frames behind the cut, of which frames before it hold older ones.

    SQLite flushes a frame before it brings it into the catalogue, so this is no power cut.
    """
    older: dict[int, bytes] = {}
    with path.open("rb") as file, catalogue.open("rb") as pages:
        page_bytes = struct.unpack(">8I", file.read(HEADER))[2]
        if page_bytes not in PAGES:
            return False
        for number, (head, page) in enumerate(_frames(file, page_bytes)):
            (place,) = struct.unpack(">I", head[:4])
            if number < cut.frame:
                older[place] = page
            elif older.get(place, page) != page:
                pages.seek((place - 1) * page_bytes)
                if pages.read(page_bytes) == page:
                    return True
    return False


def _frames(file: BinaryIO, page_bytes: int) -> Iterator[tuple[bytes, bytes]]:
    whole = FRAME + page_bytes
    while len(content := file.read(whole)) == whole:
        yield content[:FRAME], content[FRAME:]


def _checksum(content: bytes, order: str, state: tuple[int, int]) -> tuple[int, int]:
    """Gives SQLite's checksum: word by word, `a += x + b; b += y + a`, as one product of matrices."""
    words = np.frombuffer(content, dtype=f"{order}u4").astype(np.uint32)
    carried, weights = _powers(len(words) // 2)
    found = []
    for row in range(2):
        own = int((weights[row] * words).sum(dtype=np.uint32))
        found.append((own + carried[row][0] * state[0] + carried[row][1] * state[1]) & _MASK)
    return found[0], found[1]


@cache
def _powers(pairs: int) -> tuple[list[list[int]], tuple[Words, Words]]:
    """Gives what the state and each word add to the checksum of so many pairs of words."""
    power = [[1, 0], [0, 1]]
    weights: list[list[int]] = [[], []]
    for _ in range(pairs):  # the last pair first
        for row in range(2):
            a, b = power[row]
            weights[row] += [b, a + b]  # reversed at the end
            power[row] = [(a + b) & _MASK, (a + 2 * b) & _MASK]
    columns = [np.array([one & _MASK for one in reversed(row)], dtype=np.uint32) for row in weights]
    return power, (columns[0], columns[1])
