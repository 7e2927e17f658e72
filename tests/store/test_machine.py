"""The registry against a model of a few lists: whatever is done in whatever order, both say the same."""

import math
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from store.conftest import begin_run, let_go, make_snapshot, reopen_run
from trainwright.base.errors import StaleAttempt, StoreError
from trainwright.store.fsck import check
from trainwright.store.registry import Registry
from trainwright.store.retention import collect
from trainwright.store.store import Store

MODELS, TAGS = ("a", "b"), ("mine", "production")
PICK = st.integers(0, 999)
LOSSES = st.sampled_from([1.0, 2.0, 3.0, math.inf, math.nan, None])


@dataclass
class Saved:
    """A version, as it must be."""

    id: int
    number: int
    run: "Trained"
    attempt: int
    step: int
    loss: float | None
    parents: list
    value: int
    kept: bool = True


@dataclass(eq=False)
class Trained:
    """A run, as it must be."""

    id: str
    model: str
    keep: int | None
    parent: Saved | None
    state: str = "running"
    step: int = 0
    begins: list = field(default_factory=list)  # of each attempt, the step it began at
    reported: list = field(default_factory=list)  # (attempt, step, value)
    versions: list = field(default_factory=list)
    next_parents: list = field(default_factory=list)
    best: Saved | None = None
    final: Saved | None = None


class Machine(RuleBasedStateMachine):
    @initialize()
    def open(self):
        shared = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=shared if shared.is_dir() else None))
        self.store = Store.open(self.folder / "store")
        self.runs, self.versions, self.tags = [], [], {}
        self.alive, self.stale = {}, []
        self.begin_one("a", keep=1, parent=None)
        self.begin_one("a", keep=3, parent=None)

    def teardown(self):
        self.compare()
        for recorder in [*self.alive.values(), *self.stale]:
            let_go(recorder)
        self.store.close()
        shutil.rmtree(self.folder)

    def living(self, pick):
        one = sorted(self.alive, key=lambda run: self.runs.index(run))[pick % len(self.alive)]
        return one, self.alive[one]

    def kept(self):
        return [one for one in self.versions if one.kept]

    @precondition(lambda self: len(self.runs) < 6)
    @rule(
        model=st.sampled_from(MODELS), keep=st.sampled_from([None, 1, 2, 3]), pick=PICK, branch=st.booleans()
    )
    def begin(self, model, keep, pick, branch):
        parents = [one for one in self.kept() if one.run.model == model]
        self.begin_one(model, keep=keep, parent=parents[pick % len(parents)] if branch and parents else None)

    def begin_one(self, model, *, keep, parent):
        row = None if parent is None else Registry(self.store).version(parent.id)
        recorder = begin_run(self.store, model, parent=row)
        recorder.keep(last=keep)
        step = 0 if parent is None else parent.step
        run = Trained(recorder.id, model, keep, parent, step=step, begins=[step])
        run.next_parents = [] if parent is None else [parent.id]
        self.runs.append(run)
        self.alive[run] = recorder

    @precondition(lambda self: self.alive)
    @rule(pick=PICK, some=st.lists(st.tuples(LOSSES, st.integers(0, 3)), min_size=1, max_size=4))
    def save(self, pick, some):
        run, recorder = self.living(pick)
        for loss, value in some:
            self.save_one(run, recorder, loss, value)

    def save_one(self, run, recorder, loss, value):
        run.step += 1
        weights = {"w": np.full(3, value, dtype=np.float32)}
        row = recorder.save(make_snapshot(run.step, loss=loss, weights=weights, state={"v": value})).wait()
        number = 1 + sum(one.run.model == run.model for one in self.versions)
        saved = Saved(row.id, number, run, len(run.begins), run.step, loss, run.next_parents, value)
        run.next_parents = [row.id]
        self.versions.append(saved)
        run.versions.append(saved)
        if loss is not None and not math.isnan(loss) and (run.best is None or loss < run.best.loss):
            run.best = saved
        self.leave_tombstones(run)
        assert (row.number, row.parents) == (saved.number, saved.parents)

    def leave_tombstones(self, run):
        if run.keep is None:
            return
        tagged = [
            run.best,
            run.final,
            run.versions[-1],
            *self.tags.values(),
            *(one.parent for one in self.runs),
        ]
        newest = [one for one in run.versions if one.kept][-run.keep :]
        for one in run.versions:
            if one not in newest and not any(one is other for other in tagged):
                one.kept = False

    @precondition(lambda self: self.alive)
    @rule(pick=PICK, value=st.floats(), count=st.integers(1, 3))
    def report(self, pick, value, count):
        run, recorder = self.living(pick)
        for _ in range(count):
            recorder.report(run.step, {"m": value}, group="train")
            run.reported.append((len(run.begins), run.step, value))

    @precondition(lambda self: self.kept())
    @rule(pick=PICK, name=st.sampled_from(TAGS))
    def tag(self, pick, name):
        one = self.kept()[pick % len(self.kept())]
        row = Registry(self.store).tag(f"{one.run.model}@{one.number}", name)
        assert row.version == one.id
        self.tags[one.run.model, name] = one

    @precondition(lambda self: self.runs)
    @rule(pick=PICK, name=st.sampled_from(TAGS))
    def untag(self, pick, name):
        model = self.runs[pick % len(self.runs)].model
        if self.tags.pop((model, name), None) is None:
            with pytest.raises(StoreError, match="has no tag"):
                Registry(self.store).untag(model, name)
        else:
            Registry(self.store).untag(model, name)

    @precondition(lambda self: self.alive)
    @rule(pick=PICK, state=st.sampled_from(["done", "stopped", "paused", "failed"]))
    def finish(self, pick, state):
        run, recorder = self.living(pick)
        final = run.versions[-1] if run.versions and state in ("done", "stopped") else None
        recorder.finish(
            state, "because", final=None if final is None else Registry(self.store).version(final.id)
        )
        run.state, run.final = state, final or run.final
        del self.alive[run]

    @precondition(lambda self: self.alive)
    @rule(pick=PICK)
    def kill(self, pick):
        run, recorder = self.living(pick)
        recorder.close()
        run.state = "killed"
        del self.alive[run]

    @precondition(lambda self: self.runs)
    @rule(pick=PICK, asleep=st.booleans())
    def resume(self, pick, asleep):
        run = self.runs[pick % len(self.runs)]
        if run in self.alive:
            if not asleep:
                return
            self.alive[run].flush()
            self.alive[run]._lock.release()  # as if it was stopped past its lease, and taken over
            self.stale.append(self.alive.pop(run))
        kept = [one for one in run.versions if one.kept]
        point = kept[-1] if kept else run.parent
        recorder = reopen_run(self.store, run.id, from_step=0 if point is None else point.step)
        found = None if point is None else Registry(self.store).version(point.id)
        assert repr(recorder.resume_point()) == repr(found)  # a NaN equals itself in words only
        recorder.keep(last=run.keep)
        run.step = 0 if point is None else point.step
        run.begins.append(run.step)
        run.next_parents = [] if point is None else [point.id]
        run.state = "running"
        self.alive[run] = recorder

    @precondition(lambda self: self.stale)
    @rule(pick=PICK)
    def wake(self, pick):
        recorder = self.stale.pop(pick % len(self.stale))
        writes = (
            lambda: recorder.save(make_snapshot(1)).wait(),
            lambda: (recorder.report(1, {"m": 1.0}, group="train"), recorder.flush()),
            lambda: recorder.artifact("a", 1.0),
            lambda: recorder.warn("x"),
            lambda: recorder.finish("done"),
        )
        for write in writes:
            with pytest.raises(StaleAttempt):
                write()

    @rule(again=st.booleans())
    def collect(self, again):
        if again:
            self.open_again()
        collect(self.store)
        for one in self.versions:
            row = Registry(self.store).version(one.id)
            needed = {(v.value) for v in self.kept()}
            assert self.store.blobs.has(row.weights) == (one.value in needed)

    def open_again(self):
        self.store.close()
        self.store = Store.open(self.folder / "store", create=False)

    @rule()
    def compare(self):
        registry = Registry(self.store)
        assert [one for one in check(self.store) if not one.harmless] == []
        for recorder in self.alive.values():
            recorder.flush()
        for model in {run.model for run in self.runs}:
            mine = [one for one in self.versions if one.run.model == model]
            found = registry.versions(model=model)
            assert [
                (row.id, row.number, row.run, row.attempt, row.step, row.parents, row.status == "kept")
                for row in found
            ] == [(o.id, o.number, o.run.id, o.attempt, o.step, o.parents, o.kept) for o in mine]
            assert [row.number for row in found] == list(range(1, len(mine) + 1))
            tags = {name: one.id for (of, name), one in self.tags.items() if of == model}
            assert {row.name: row.version for row in registry.tags(model=model)} == tags
            for one in mine:
                if one.kept:
                    row = registry.resolve(f"{model}@{one.number}")
                    assert set(registry.weights(row)["w"]) == {one.value} and registry.state(row) == {
                        "v": one.value
                    }
                else:
                    with pytest.raises(StoreError, match="collected"):
                        registry.resolve(f"{model}@{one.number}")
        for run in self.runs:
            self.compare_run(registry, run)

    def compare_run(self, registry, run):
        assert registry.run(run.id).state == run.state
        moved = {"best": run.best, "final": run.final, "latest": run.versions[-1] if run.versions else None}
        expected = {name: one.id for name, one in moved.items() if one is not None}
        assert {row.name: row.version for row in registry.tags(run=run.id)} == expected
        attempts = registry.attempts(run.id)
        assert [(row.number, row.from_step) for row in attempts] == list(enumerate(run.begins, start=1))
        seen = [
            (step, value)
            for attempt, step, value in run.reported
            if all(step <= later for later in run.begins[attempt:])
        ]
        found = [(row.step, row.value) for row in registry.metrics(run.id)]
        assert [(step, spell(value)) for step, value in found] == [
            (step, spell(value)) for step, value in sorted(seen, key=lambda pair: pair[0])
        ]


def spell(value):
    return "0" if value == 0 else value.hex()  # SQLite drops the sign of -0.0


class TestRegistry(Machine.TestCase):
    pytestmark = pytest.mark.timeout(900)  # every step is synced, and disks are shared
    settings = settings(
        max_examples=30,
        stateful_step_count=30,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.faults
class TestRegistryForLong(Machine.TestCase):
    settings = settings(TestRegistry.settings, max_examples=400, stateful_step_count=60)
