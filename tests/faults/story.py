"""A small training with all that goes around it, written so that it goes on from wherever it was left."""

import contextlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from trainwright.base.errors import TrainwrightError
from trainwright.store import datasets
from trainwright.store.fsck import check
from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.retention import collect
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

STEPS, EVERY = 6, 2
PHASES = ("create", "register", "train", "checkpoint", "files", "finish", "tag", "gc")
Say = Callable[..., None]


class Described:
    def tree(self):
        return {"name": "tiny", "steps": STEPS}


@contextlib.contextmanager
def opened(home):
    store = Store.open(home)
    try:
        yield store
    finally:
        store.close()


def step_of(weights, step):
    return np.mod(weights * 1.37 + step * np.arange(1, len(weights) + 1), 11.0)


def play(home: Path, say: Say) -> None:
    """Each part stands for one command: it opens the store, does its work once, and closes it."""
    say("phase", "create")
    with opened(home):
        pass
    say("phase", "register")
    with opened(home) as store:
        index = {"train": np.arange(8), "test": np.arange(8, 10)}
        row = datasets.register(
            store,
            name="points",
            recipe={"n": 10},
            recipe_digest="r" * 64,
            content_digest="c" * 64,
            splits=index,
        )
        say("dataset", row.digest)
    say("phase", "train")
    with opened(home) as store:
        train(store, row.digest, home, say)
    say("phase", "tag")
    with opened(home) as store:
        registry = Registry(store)
        numbers = {row.id: row.number for row in registry.versions()}
        at = {tag.name: numbers[tag.version] for tag in registry.tags(model="tiny")}
        for name, number in (("candidate", 2), ("candidate", 4), ("production", 4)):
            if at.get(name, 0) < number:
                registry.tag(f"tiny@{number}", name)
                say("tag", name, number)
        (run,) = registry.runs()
        if not notes_of(registry, run.id):
            registry.note(run.id, "looked at by a person")
        say("note")
    say("phase", "gc")
    with opened(home) as store:
        store.blobs.put([b"what somebody wrote who died before its row"])
        count, _ = collect(store)
        say("collected", count)


def train(store: Store, dataset: str, home: Path, say: Say) -> None:
    registry = Registry(store)
    runs = registry.runs(model="tiny")
    if runs and runs[0].state == "done":
        return
    common = {"resolved": Described(), "environment": {}}
    if runs:
        row = registry.resume_point(runs[0].id)
        step, weights = (
            (0, np.zeros(400)) if row is None else (min(row.step, STEPS), weights_of(registry, row))
        )
        run = LocalRun.reopen(store, runs[0].id, from_step=step, **common)
    else:
        row, step, weights = None, 0, np.zeros(400)
        where = {"folder": ".", "seed": 7, "backend": "torch", "dataset": dataset}
        run = LocalRun.begin(
            store, name="tiny", operator={"format": 1}, best=("val/loss", "min"), **where, **common
        )
    say("begun")
    try:
        fit(run, row, step, weights, home, say)
    except BaseException as error:
        with contextlib.suppress(TrainwrightError):
            run.finish("failed", str(error))
        raise


def weights_of(registry, row):
    return np.zeros(400) if row.weights is None else registry.weights(row)["w"]


def notes_of(registry, run):
    """Gives notes; that something could not be saved for a while is said of one store and not of the other."""
    texts = [note.text for note in registry.notes(run)]
    return [text for text in texts if not text.startswith("nothing could be saved from step")]


def fit(run, row, step, weights, home, say):
    run.keep(last=1)
    while step < STEPS:
        step += 1
        weights = step_of(weights, step)
        run.report(step, {"train/loss": float(weights[0])}, group="train")
        if step % EVERY == 0:
            say("phase", "checkpoint")
            run.report(step, {"val/loss": float(weights[1])}, group="validation")
            state = {"step": step, "moment": weights / 2}
            saved = {"weights": {"w": weights}, "state": state, "metrics": {"val/loss": float(weights[1])}}
            row = run.save(Snapshot(step=step, epoch=0, **saved)).wait()
            say("version", row.number, row.weights, row.state)
            say("phase", "train")
    say("phase", "files")
    if row.step == STEPS and row.files is None:
        foreign = home.parent.parent / "foreign"  # not the store's: nothing goes wrong there
        foreign.mkdir(exist_ok=True)
        (foreign / "a.bin").write_bytes(b"opaque" * 50)
        row = run.save_files(foreign, step=STEPS + 1, metrics={}).wait()
        say("version", row.number, row.weights, row.files)
    names = {item.name for item in Registry(run.store).artifacts(run.id)}
    for name, value in (("test/score", 0.5), ("curve", np.arange(5.0)), ("table", {"a": [1, 2]})):
        if name not in names:
            run.artifact(name, value, step=STEPS)
            say("artifact", name)
    say("phase", "finish")
    run.finish("done", final=row)
    say("finished")


def told(home: Path) -> dict[str, object]:
    """Everything a reader can be told, without what must differ between two stores: ids and times."""
    with opened(home) as store:
        registry = Registry(store)
        rows = registry.versions()
        numbers = {row.id: row.number for row in rows}
        found: dict[str, object] = {"versions": {}, "fsck": [], "numbers": list(numbers.values())}
        for row in rows:
            content = {}
            if row.status == "kept" and row.weights is not None:
                state = registry.state(row)
                content = {
                    "weights": registry.weights(row)["w"].tolist(),
                    "state": [state["step"], state["moment"].tolist()],
                    "operator": registry.operator(row),
                }
            elif row.status == "kept":
                content = {
                    name: store.blobs.get(digest).hex() for name, digest in registry.files(row).items()
                }
            objects = [row.weights, row.state, row.files]
            found["versions"][row.number] = [row.step, row.status, objects, dict(row.metrics), content]
        found["tags"] = sorted(
            [tag.scope.partition(":")[0], tag.name, numbers[tag.version]] for tag in registry.tags()
        )
        found["runs"] = []
        for run in registry.runs():
            history = sorted([item.step, item.name, item.value] for item in registry.metrics(run.id))
            kept = {item.name: item for item in registry.artifacts(run.id)}
            values = {name: np.asarray(registry.artifact_value(item)).tolist() for name, item in kept.items()}
            notes = notes_of(registry, run.id)
            found["runs"].append([run.model, run.state, history, values, notes, registry.spec(run)])
        for row in datasets.rows(store):
            index = {name: one.tolist() for name, one in datasets.splits(store, row).items()}
            found["dataset"] = [row.name, row.digest, row.recipe, index]
        found["fsck"] = [[one.kind, one.what, list(one.versions)] for one in check(store)]
    return found
