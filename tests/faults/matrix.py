"""Every I/O call of the story × every way it can go wrong, and what must hold afterwards."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from faults.harness import DONE, KILLED, REFUSED, Call, Played, Point, Stage
from trainwright.store import tables

CREATES = 0o100
MAKES_ROOM = ("write", "fsync", "rename", "mkdir", "truncate")
LEAVES_A_TRACE = ("rename", "mkdir", "unlink", "fsync")


def faults_of(call: Call) -> Iterator[tuple[str, bool]]:
    """Yields the ways in which a call can go wrong, once and for good.

    Killed after a call is killed before the next; it is tried where the next one may be in another process.
    """
    if call.operation != "close":
        yield "kill before", False
    if call.operation in LEAVES_A_TRACE:
        yield "kill after", False
    if call.operation == "write" and call.size > 1:
        yield "torn", False
        yield from (("short", False), ("short", True), ("flip middle", False), ("flip last", False))
    yield from (("eio", False), ("eio", True))
    if call.operation in MAKES_ROOM or (call.operation == "open" and call.size & CREATES):
        yield from (("enospc", False), ("enospc", True))


def points_of(played: Played) -> list[tuple[str, Point]]:
    """Gives every point of an undisturbed story with the part it lies in."""
    return [
        (phase, Point(call.number, kind, sticky))
        for phase, call in played.phases()
        if call.number
        for kind, sticky in faults_of(call)
    ]


# Only rows with a digest can be told from damaged ones; where notes and metrics have none, they are not judged.
ALL_SEALED = tables.note in tables.SEALED


def failing_commits(matrix: "Matrix") -> list[Call]:
    """Gives the syncs of the log that belong to a commit; when it is closed, nobody is told of an error."""
    calls = [call for phase, call in matrix.played.phases() if call.number and phase != "create"]
    pairs = pairwise(calls)
    syncs = [call for before, call in pairs if (before.operation, call.operation) == ("write", "fsync")]
    return [call for call in syncs if call.path.endswith("-wal")]


class Matrix:
    """Tries points in one place.

    Args:
        stage: Where.
    """

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        stage.clear()
        self.played = stage.play()
        self.log_bytes = stage.log.stat().st_size
        assert self.played.code == DONE, self.played.said("broken") or self.played.said("refused")
        self.reference = stage.tell()
        assert self.reference["fsck"] == [], self.reference["fsck"]
        self.points = points_of(self.played)

    def complaints(self, point: Point, **more: Any) -> tuple[str, list[str]]:
        """Plays the story into a fault and says what came of it, and what is wrong with that."""
        self.stage.clear()
        played = self.stage.play(point, **more)
        allowed = (KILLED, DONE) if point.kind.startswith("kill") or point.kind == "torn" else (DONE, REFUSED)
        if played.code not in allowed:
            return "broken", [f"it ended with {played.code}: {played.said('broken')}"]
        word = {DONE: "done", REFUSED: "refused", KILLED: "killed"}[played.code]
        found = self.stage.tell()
        if point.kind.startswith("flip"):
            return self._after_damage(played, found)
        wrong = self.after_kill(played, found)
        if played.code == DONE and not wrong:
            wrong += different(found, self.reference)
        wrong += [
            f"after going on: {text}" for text in different(self.stage.tell(go_on=True), self.reference)
        ]
        return word, wrong

    def after_kill(self, played: Played, found: dict[str, Any]) -> list[str]:
        """Says what is wrong with what is told after a process was killed or gave up."""
        wrong = list(self._lost(played, found)) + list(self._untrue(found))
        if "refused" in found:
            wrong.append(f"a reader was refused: {found['refused']}")
        return wrong + [f"fsck complains: {item}" for item in found.get("fsck", []) if item[0] != "leftover"]

    def _lost(self, played: Played, found: dict[str, Any]) -> Iterator[str]:
        """Looks for everything that was acknowledged."""
        versions, tags = found.get("versions", {}), found.get("tags", [])
        for number, weights, state in played.said("version"):
            row = versions.get(str(number))
            if row is None or row[2][0] != weights or state not in row[2][1:]:
                yield f"acknowledged version {number} is lost: {row}"
        for name, number in dict(map(tuple, played.said("tag"))).items():
            pointed = [tag[2] for tag in tags if tag[:2] == ["model", name]]
            # The move that comes next may have been committed and not acknowledged.
            if not pointed or pointed[0] < number:
                yield f"acknowledged tag {name} -> {number} is lost: {tags}"
        runs = found.get("runs", [])
        for name in (said[0] for said in played.said("artifact")):
            if not runs or name not in runs[0][3]:
                yield f"acknowledged artifact {name} is lost"
        if played.said("note") and not (runs and runs[0][4]):
            yield "an acknowledged note is lost"
        if played.said("finished") and not (runs and runs[0][1] == "done"):
            yield "an acknowledged end is lost"
        for (digest,) in played.said("dataset"):
            if found.get("dataset", [None, None])[1] != digest:
                yield "an acknowledged dataset is lost"

    def _untrue(self, found: dict[str, Any], *, damaged: bool = False) -> Iterator[str]:
        """Looks for anything told that is not so."""
        numbers = found.get("numbers", [])
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"numbers have gaps: {numbers}"
        for number, (step, status, objects, metrics, content) in found.get("versions", {}).items():
            true = self.reference["versions"].get(number)
            if true is None or [step, objects, metrics] != [true[0], true[2], true[3]]:
                yield f"version {number} is not what was saved"
            elif status == true[1] == "kept" and content != true[4]:
                yield f"the content of version {number} is wrong"
        for run in found.get("runs", []) if ALL_SEALED or not damaged else ():
            (true_run,) = self.reference["runs"]
            if not all(item in true_run[2] for item in run[2]) or len(run[2]) > len(true_run[2]):
                yield f"the history of the run is wrong: {run[2]}"
            if any(true_run[3].get(name) != value for name, value in run[3].items()):
                yield f"an artifact is wrong: {run[3]}"

    def _after_damage(self, played: Played, found: dict[str, Any]) -> tuple[str, list[str]]:
        """After a flipped bit things may be lost, but nobody is told anything wrong, and fsck says so."""
        wrong = list(self._untrue(found, damaged=True))
        named = [item for item in found.get("fsck", ["refused"]) if item[0] != "leftover"]
        if named:
            return "named", wrong
        if played.code == REFUSED and "refused" not in found:
            # It was refused before the end, and what it read wrongly is gone with it.
            return "refused", [*wrong, *self._lost(played, found)]
        differing = different(found, self.reference)
        if not differing:
            return "harmless", wrong
        if not ALL_SEALED and all(text.startswith("runs ") for text in differing):
            return "unsealed", wrong
        return "silent", [*wrong, f"fsck names nothing: {differing}"]


def different(found: dict[str, Any], reference: dict[str, Any]) -> list[str]:
    """Names the parts of what is told that differ."""
    if "refused" in found:
        return [f"refused: {found['refused']}"]
    return [
        f"{name} is {str(found.get(name))[:300]}, not {str(value)[:300]}"
        for name, value in reference.items()
        if found.get(name) != value
    ]
