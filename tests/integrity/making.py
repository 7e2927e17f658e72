"""A small store with rows in every table, and a way to read everything that is in one."""

import shutil
import sqlite3

import numpy as np

from trainwright.base.errors import StoreError
from trainwright.store import datasets
from trainwright.store.blobs import Blobs
from trainwright.store.catalogue import Catalogue
from trainwright.store.records import Plot, Snapshot
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

TABLES = (
    "about",
    "model",
    "run",
    "attempt",
    "version",
    "tag",
    "metric",
    "metric_batch",
    "artifact",
    "dataset",
    "edge",
    "look",
    "note",
)
PAGE_BYTES = 512  # a page holds less, so that fewer of its bytes are unused


class Described:
    def tree(self):
        return {"name": "digits"}


def make_store(home):
    """Makes the store; nothing in it changes any more."""
    store = open_small(home)
    fill(store)
    store.close()
    return home


def open_small(home):
    """Makes an empty store whose pages are small."""
    Store.open(home).close()
    raw = sqlite3.connect(home / "catalogue.db")
    for statement in (
        "PRAGMA journal_mode=DELETE",
        f"PRAGMA page_size={PAGE_BYTES}",
        "VACUUM",
        "PRAGMA journal_mode=WAL",
    ):
        raw.execute(statement)
    raw.close()
    return Store.open(home)


def fill(store):
    registry = Registry(store)
    data = {"recipe": {"file": "a.csv"}, "recipe_digest": "r", "content_digest": "c"}
    split = {"train": np.arange(3), "val": np.arange(3, 5)}
    row = datasets.register(store, name="line", **data, splits=split)
    settings = {
        "resolved": Described(),
        "folder": ".",
        "seed": 7,
        "backend": "torch",
        "operator": {"format": 1},
        "environment": {"numpy": "2"},
        "best": ("val/loss", "min"),
    }
    run = LocalRun.begin(store, name="digits", dataset=row.digest, **settings)
    for step in (1, 2):
        run.report(step, {"train/loss": 1 / step, "rate": float("nan")}, group="train")
        run.save(snapshot(step)).wait()
    run.artifact("score", 0.5)
    run.artifact("curve", np.arange(4.0), step=1)
    run.artifact("drawing", Plot("<svg/>"))
    run.artifact("table", {"a": [1, None]})
    run.edge("used", "file", target="a.csv")
    run.look("test", "evaluate")
    run.warn("slow")
    run.finish("paused")
    run = LocalRun.reopen(
        store, run.id, resolved=Described(), environment={"numpy": "3"}, from_step=2, inexact=["numpy"]
    )
    run.report(3, {"train/loss": 0.25}, group="train")
    last = run.save(snapshot(3)).wait()
    run.finish("done", final=last)
    tuned = LocalRun.begin(store, name="letters", dataset=None, **settings)
    tuned.edge("used", "fine_tuned_from", target="digits@2")
    folder = store.home / "foreign"
    folder.mkdir()
    (folder / "model.bin").write_bytes(b"\x00foreign")
    tuned.save_files(folder, step=1, metrics={"val/loss": 2.0})
    shutil.rmtree(folder)
    tuned.finish("stopped", "enough")
    registry.tag("digits@2", "production")
    registry.note(tuned.id, "a note")


def snapshot(step):
    weights = {"w": np.full(3, step, dtype=np.float32)}
    state = {"step": step, "moment": np.arange(2.0)}
    return Snapshot(step=step, epoch=0, weights=weights, state=state, metrics={"val/loss": 1 / step})


def open_reading(home):
    """Opens a store as one on a read-only disk is opened, which writes nothing."""
    catalogue = Catalogue(home / "catalogue.db", writable=False)
    return Store(home, Blobs(home / "objects", writable=False), catalogue)


def open_unexamined(home):
    catalogue = Catalogue(home / "catalogue.db", writable=False, examine=False)
    return Store(home, Blobs(home / "objects", writable=False), catalogue)


class Reader:
    """Asks everything that can be asked of a store, and keeps each answer under the name of the question."""

    def __init__(self, known):
        self.known = known  # what there is in the undamaged store
        self.answers = {}

    def ask(self, question, read, *what, **which):
        try:
            self.answers[question] = comparable(read(*what, **which))
        except StoreError as error:
            self.answers[question] = Refused(str(error))

    def read(self, store, *, objects=True):
        r = Registry(store)
        self.ask("models", r.models)
        self.ask("runs", r.runs)
        self.ask("versions", r.versions)
        self.ask("tags", r.tags)
        self.ask("datasets", datasets.rows, store)
        self.ask("dataset", datasets.find, store, "line")
        self.ask("links", r.links, "file", "fine_tuned_from")
        self.ask("fine tunings", r.fine_tunings)
        for model in ("digits", "letters"):
            self.ask(f"versions {model}", r.versions, model=model)
            self.ask(f"tags {model}", r.tags, model=model)
            self.ask(f"runs {model}", r.runs, model=model)
        for ref in (
            "digits",
            "digits@best",
            "digits@final",
            "digits@latest",
            "digits@production",
            "letters@1",
        ):
            self.ask(f"resolve {ref}", r.resolve, ref)
        self.ask("resolve digest", r.resolve, self.known.versions[0].weights[:12])
        for run in self.known.runs:
            for name in (
                "run",
                "attempts",
                "latest",
                "best",
                "final",
                "resume_point",
                "metrics",
                "artifacts",
            ):
                self.ask(f"{name} {run.id}", getattr(r, name), run.id)
            for name in ("looks", "notes", "edges"):
                self.ask(f"{name} {run.id}", getattr(r, name), run.id)
            self.ask(f"versions {run.id}", r.versions, run=run.id)
        for version in self.known.versions:
            self.ask(f"version {version.id}", r.version, version.id)
            self.ask(f"tags of {version.id}", r.tags_of, version)
        if objects:
            self.read_objects(store)
        return self.answers

    def read_objects(self, store):
        r = Registry(store)
        for version in self.known.versions:
            for name in ("weights", "state", "files"):
                self.ask(f"{name} {version.id}", getattr(r, name), version)
            self.ask(f"operator {version.id}", r.operator, version)
            for path, digest in self.known.files.get(version.id, {}).items():
                self.ask(f"file {path}", store.blobs.get, digest)
        for run in self.known.runs:
            self.ask(f"spec {run.id}", r.spec, run)
            self.ask(f"environment {run.id}", r.environment, run)
        for row in self.known.attempts:
            for digest in (row.spec, row.environment):
                self.ask(f"of attempt {digest}", store.blobs.get, digest)
        for number, row in enumerate(self.known.artifacts):
            self.ask(f"artifact {number}", r.artifact_value, row)
        for row in self.known.datasets:
            self.ask("splits", datasets.splits, store, row)
        return self.answers


class Known:
    """What the undamaged store holds."""

    def __init__(self, home):
        store = open_reading(home)
        registry = Registry(store)
        self.runs, self.versions = registry.runs(), registry.versions()
        self.artifacts = [row for run in self.runs for row in registry.artifacts(run.id)]
        self.attempts = [row for run in self.runs for row in registry.attempts(run.id)]
        self.datasets = datasets.rows(store)
        self.files = {row.id: registry.files(row) for row in self.versions}
        self.answers = Reader(self).read(store)
        self.rows = raw_rows(home)
        store.close()
        refused = [name for name, answer in self.answers.items() if isinstance(answer, Refused)]
        assert {name.split()[0] for name in refused} <= {"final", "weights", "state"}, refused


class Refused(str):
    """A typed error, which is never a wrong answer."""


def wrong(answers, known):
    """Names the questions to which damage gave another answer than before, neither right nor refused."""
    return [
        name
        for name, answer in answers.items()
        if not isinstance(answer, Refused) and answer != known.answers[name]
    ]


def comparable(value):
    """Spells a value so that NaN equals NaN and arrays can be compared."""
    return repr(_plain(value))


def _plain(value):
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.shape, value.tobytes()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def raw_rows(home):
    """Gives all rows as SQLite gives them, without any check of ours; None if it cannot."""
    raw = sqlite3.connect(f"file:{home / 'catalogue.db'}?mode=ro&immutable=1", uri=True)
    raw.text_factory = bytes  # damaged text need not be UTF-8
    try:
        return [raw.execute(f"SELECT * FROM {table} NOT INDEXED").fetchall() for table in TABLES]
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    finally:
        raw.close()
