"""Small scenes beside the story, each in a forked process."""

import json
import os
from pathlib import Path
from typing import Any

from sqlalchemy import select

from faults import story
from trainwright.base.errors import StaleAttempt
from trainwright.store import tables
from trainwright.store.opening import record_attempt
from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store


def begin(store: Store) -> LocalRun:
    where = {"folder": ".", "seed": 7, "backend": "torch", "dataset": None, "environment": {}}
    return LocalRun.begin(
        store, name="tiny", resolved=story.Described(), operator={}, best=("val/loss", "min"), **where
    )


def snapshot(step: int) -> Snapshot:
    return Snapshot(
        step=step, epoch=0, weights={"w": story.np.full(9, float(step))}, state={"step": step}, metrics={}
    )


def metrics(home: Path, say: story.Say) -> None:
    """Reports many metrics in some batches."""
    with story.opened(home) as store:
        run = begin(store)
        run.report(0, {"loss": 0.0}, group="train")
        run.flush()  # the log is begun
        for batch in range(5):
            say("reporting", batch)
            for step in range(100):
                run.report(batch * 100 + step, {"loss": 1.0, "rate": 0.5}, group="train")
            say("reported", batch)
            run.flush()
            say("written", batch)
        run.finish("done")


def keep_saving(home: Path, say: story.Say) -> None:
    """Saves and tags one version after the other, until something ends it."""
    with story.opened(home) as store:
        registry = Registry(store)
        runs = registry.runs()
        row = registry.resume_point(runs[0].id) if runs else None
        step, weights = (0, story.np.zeros(400)) if row is None else (row.step, registry.weights(row)["w"])
        described = {"resolved": story.Described(), "environment": {}}
        run = LocalRun.reopen(store, runs[0].id, from_step=step, **described) if runs else begin(store)
        while True:
            step, weights = step + 1, story.step_of(weights, step + 1)
            run.report(step, {"train/loss": float(weights[0])}, group="train")
            state = {"step": step, "moment": weights / 2}
            row = run.save(
                Snapshot(step=step, epoch=0, weights={"w": weights}, state=state, metrics={})
            ).wait()
            say("version", row.number, row.weights, row.state)
            if step % 3 == 0:
                registry.tag(f"tiny@{row.number}", "good")
                say("tag", "good", row.number)


def read_all(home: Path, say: story.Say) -> None:
    """Reads everything; what is told lies beside the stage, where nothing goes wrong."""
    answer = home.parent.parent / "told.json"
    answer.unlink(missing_ok=True)
    answer.write_text(json.dumps(story.told(home)))


def live_draft(home: Path, say: story.Say) -> None:
    """Opens the store in a second process while the first one is in the middle of an object."""
    with story.opened(home) as store, store.blobs._draft() as (draft, file):
        os.write(file, b"half of it")
        pid = os.fork()
        if not pid:
            with story.opened(home) as second:
                second.blobs.leftovers(remove=True)
            os._exit(0)
        os.waitpid(pid, 0)
        if not draft.exists():
            say("wrong", f"the temporary file {draft.name} of a living writer was removed")


def stale(home: Path, say: story.Say) -> None:
    """Lets an attempt write in every way after a newer one has taken over."""
    with story.opened(home) as store:
        run = begin(store)
        first = run.save(snapshot(1)).wait()
        described = {"spec": story.Described().tree(), "environment": {}}
        record_attempt(store, run.id, described=described, from_step=1, inexact=None)
        before = rows(store)
        run.report(2, {"loss": 1.0}, group="train")
        ways = {
            "metrics": run._metrics.flush,
            "save": lambda: run.save(snapshot(2)).wait(),
            "artifact": lambda: run.artifact("score", 1.0),
            "warning": lambda: run.warn("late"),
            "look": lambda: run.look("test", "somebody"),
            "edge": lambda: run.edge("used", "file", target="a.csv"),
            "end": lambda: run.finish("done", final=first),
        }
        for name, write in ways.items():
            try:
                write()
            except StaleAttempt:
                continue
            say("wrong", f"{name}: a stale attempt was not refused")
        after = rows(store)
        for table, kept in before.items():
            if after[table] != kept:
                say("wrong", f"{table}: a stale attempt wrote a row")


def rows(store: Store) -> dict[str, list[Any]]:
    with store.catalogue.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table))]
            for table in tables.metadata.sorted_tables
        }
