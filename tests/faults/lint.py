"""Checks the order of I/O calls: a crash of a process alone never shows that a sync is missing."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

from faults.harness import Call, Played

ACKNOWLEDGED = ("dataset", "begun", "version", "artifact", "finished", "tag", "note")
LOG_HEADER = 32  # bytes: written when a log is begun anew


def breaches(*processes: Played) -> Iterator[str]:
    """Names every call that came too early in what one process after the other did.

    All bytes of a file are synced before it is renamed; the folder that holds a new name is synced before the thread
    that made it writes to the log of the catalogue, and before anything is acknowledged; the log is synced before
    anything in it is acknowledged; what has its final name is never written to. What a process left undone when it
    was killed is done by whoever uses it next.
    """
    unsynced: defaultdict[str, int] = defaultdict(int)  # bytes by file
    failed: set[str] = set()  # files whose sync has failed, until they are begun anew
    # New names, and the thread that has to sync their folder; 0: nobody uses it yet.
    unnamed: dict[str, int] = {}
    for event in [event for played in processes for event in (played, *played.events)]:
        if isinstance(event, Played):
            unsynced.clear()
            failed.clear()
            unnamed = {name: 0 if in_objects(name) else thread for name, thread in unnamed.items()}
            continue
        if not isinstance(event, Call):
            if event[0] in ACKNOWLEDGED:
                for path in [path for path in unsynced if path.endswith("catalogue.db-wal")]:
                    yield f"{event[:2]} was acknowledged before {path} was synced"
                for path in failed:
                    yield f"{event[:2]} was acknowledged by {path}, a sync of which has failed"
                for name in [name for name, thread in unnamed.items() if thread]:
                    yield f"{event[:2]} was acknowledged before the new name {name} was synced"
            continue
        path, place = event.path, PurePath(event.path)
        if event.operation == "write" and not path.endswith("-shm"):
            if path.endswith("-wal"):
                for name in [name for name, thread in unnamed.items() if thread == event.thread]:
                    yield f"{path} was written before the new name {name} was synced"
            elif is_object(place):
                yield f"{path} was written in its place"
            unsynced[path] += event.size
            failed.difference_update([path] if event.size == LOG_HEADER and path.endswith("-wal") else ())
        elif event.operation == "fsync":
            if event.fault in ("eio", "enospc"):
                # What the kernel could not write it forgets: the next sync proves nothing. A folder is changed anew.
                failed.update([path] if path.endswith("-wal") or place.parent.name == "tmp" else ())
                continue
            unsynced.pop(path, None)
            unnamed = {name: thread for name, thread in unnamed.items() if str(PurePath(name).parent) != path}
            if path in unnamed:
                unnamed[path] = event.thread
        elif event.operation == "rename":
            if unsynced.pop(path, 0):
                yield f"{path} was renamed to {event.path2} before it was synced"
            unnamed[event.path2] = event.thread
            folder = str(PurePath(event.path2).parent)
            if folder in unnamed:
                unnamed[folder] = event.thread
        elif event.operation == "mkdir" and place.name != "tmp":
            unnamed[path] = event.thread
        elif event.operation in ("unlink", "truncate"):
            unsynced.pop(path, None)
            failed.discard(path)


def in_objects(name: str) -> bool:
    return "objects" in PurePath(name).parent.parts


def is_object(place: PurePath) -> bool:
    return len(place.name) == 64 and len(place.parent.name) == 2


@dataclass(frozen=True)
class Cost:
    """What one acknowledgement cost.

    Args:
        what: What was acknowledged.
        objects: New ones.
        prefixes: New folders for them.
        object_syncs: fsyncs of objects and their folders.
        log_syncs: fsyncs of the catalogue's log.
        fresh_log: Whether the log was begun: its header and its name are synced once.
    """

    what: str
    objects: int
    prefixes: int
    object_syncs: int
    log_syncs: int
    fresh_log: bool


def costs(played: Played) -> Iterator[Cost]:
    """Counts the syncs between one acknowledgement and the next."""
    seen: Counter[str] = Counter()
    for event in played.events:
        if isinstance(event, Call):
            seen[kind_of(event)] += 1
        elif event[0] in ACKNOWLEDGED:
            counts = [seen[name] for name in ("object", "prefix", "object sync", "log sync")]
            yield Cost(str(event[0]), *counts, fresh_log=seen["log header"] > 0)
            seen.clear()


def kind_of(call: Call) -> str:
    place = PurePath(call.path)
    if call.operation == "rename" and is_object(PurePath(call.path2)):
        return "object"
    if call.operation == "mkdir" and len(place.name) == 2:
        return "prefix"
    if call.operation == "write" and place.name == "catalogue.db-wal" and call.size == LOG_HEADER:
        return "log header"
    if call.operation == "fsync" and place.name == "catalogue.db-wal":
        return "log sync"
    if call.operation == "fsync" and "objects" in place.parts:
        return "object sync"
    return call.operation
