"""Damages the catalogue of a store bit by bit, and says what came of it."""

import os
import random
import shutil
from collections import Counter
from dataclasses import dataclass

from integrity.making import PAGE_BYTES, Known, Reader, open_reading, open_unexamined, raw_rows, wrong
from trainwright.base.errors import StoreError
from trainwright.store.fsck import check

SEED = 4


@dataclass
class Verdict:
    """What a damaged catalogue led to.

    Args:
        opened: Whether it could be opened at all.
        wrong: The questions that were answered wrongly.
        changed: Whether a row differs, or cannot be read, when SQLite is asked without any check of ours.
        reported: Whether `fsck` complains.
        named: Whether it says which versions are hit.
    """

    opened: bool
    wrong: list
    changed: bool
    reported: bool
    named: bool

    @property
    def bad(self):
        return bool(self.wrong) or (self.changed and not self.reported)

    @property
    def kind(self):
        if self.bad:
            return "BAD"
        if self.changed:
            return "row changed, reported"
        return "rows the same, reported" if self.reported else "rows the same, harmless"


class Bench:
    """A copy of a store that is damaged and mended again and again."""

    def __init__(self, home, folder):
        self.home = folder / "store"
        shutil.copytree(home, self.home)
        self.known = Known(self.home)
        self.path = self.home / "catalogue.db"
        self.content = self.path.read_bytes()
        # Opened while all is well, which takes most of the time; it connects anew after each `close`.
        self.reader, self.checker = open_reading(self.home), open_unexamined(self.home)

    def judge(self):
        """Reads everything and runs `fsck`; any exception but a typed one comes through."""
        opened, answers = True, {}
        try:
            open_reading(self.home).close()
            self.reader.close()
            answers = Reader(self.known).read(self.reader, objects=False)
        except StoreError:
            opened = False
        rows = raw_rows(self.home)
        findings = None
        try:
            open_unexamined(self.home).close()
            self.checker.close()
            findings = [one for one in check(self.checker) if not one.harmless]
        except StoreError:
            findings = None
        return Verdict(
            opened=opened,
            wrong=wrong(answers, self.known),
            changed=rows != self.known.rows,
            reported=findings is None or bool(findings),
            named=any(one.versions for one in findings or ()),
        )

    def flip(self, place, bit):
        self.write(place, bytes([self.content[place] ^ 1 << bit]))

    def write(self, place, content):
        file = os.open(self.path, os.O_WRONLY)
        os.pwrite(file, content, place)
        os.close(file)

    def mend(self):
        self.path.write_bytes(self.content)

    def campaign(self, places):
        """Flips one bit of each byte in turn; gives how often what came of it, and what was bad."""
        found, bad = Counter(), []
        for place, bit, verdict in self.verdicts(places):
            found[verdict.kind] += 1
            found["tried"] += 1
            found["refused when opened"] += not verdict.opened
            found["versions named"] += verdict.named
            if verdict.bad:
                bad.append((place, bit, verdict))
        return found, bad

    def first_bad(self, most, *, near=None):
        """Gives the first bad verdict of some flips all over the file, or in the page that holds a text, or None."""
        first = 0 if near is None else self.content.index(near) // PAGE_BYTES * PAGE_BYTES
        places = list(range(first, len(self.content) if near is None else first + PAGE_BYTES))
        random.Random(SEED).shuffle(places)
        return next((verdict for _, _, verdict in self.verdicts(places[:most]) if verdict.bad), None)

    def verdicts(self, places):
        chosen = random.Random(SEED)
        bits = [chosen.randrange(8) for _ in self.content]
        for place in places:
            self.flip(place, bits[place])
            try:
                yield place, bits[place], self.judge()
            except Exception as error:
                error.add_note(f"byte {place}, bit {bits[place]}")
                raise
            self.write(place, self.content[place : place + 1])
