"""The shapes of what is kept: a frozen class for each kind of row, a snapshot before it is a version."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainwright.base.jsontext import Json
from trainwright.base.tree import Array, Tree

Mode = Literal["min", "max"]
State = Literal["running", "paused", "stopped", "done", "failed", "killed"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A training at one step, on its way to a version. The arrays are copies: nobody writes them again.

    Args:
        step: Updates done.
        epoch: Full passes done.
        weights: By neutral name.
        state: All that a resumed run needs; None if it cannot be resumed.
        metrics: Only those measured at this very step.
        reason: Why it was taken, for the reader.
    """

    step: int
    epoch: int
    weights: Mapping[str, Array]
    state: Tree
    metrics: Mapping[str, float]
    reason: str = "checkpoint"


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A trouble that is not over: checkpoints are in memory only.

    Args:
        since: Step of the first one that could not be saved.
        reason: Why the latest try failed.
    """

    since: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing as the text of one SVG document."""

    svg: str


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A name under which versions are counted."""

    id: int
    name: str
    created: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One recorded training. Objects (spec, operator, environment) are named by digest.

    Times are ISO 8601 in UTC. A row that says `running` though nobody is alive behind it is shown with the
    state `killed`.
    """

    id: str
    model: str
    state: State
    reason: str
    attempt: int
    seed: int
    folder: str
    backend: str
    dataset: str | None
    spec: str
    operator: str
    environment: str
    parent: int | None
    best_metric: str
    best_mode: Mode
    created: str
    finished: str | None
    digest: str


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One process's part of a run; its number is the fencing token of everything it writes."""

    run: str
    number: int
    from_step: int
    pid: int
    host: str
    spec: str
    environment: str
    started: str
    finished: str | None
    outcome: str | None
    inexact: list[str] | None
    digest: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One durable state of a model; a tombstone if its status is `collected`."""

    id: int
    model: str
    number: int
    run: str
    attempt: int
    step: int
    epoch: int
    parents: list[int]
    weights: str | None
    state: str | None
    operator: str
    files: str | None
    metrics: dict[str, float]
    status: Literal["kept", "collected"]
    reason: str
    created: str
    digest: str


@dataclass(frozen=True, slots=True)
class TagRow:
    """A name that points to a version; the scope is `model:<id>` or `run:<id>`."""

    scope: str
    name: str
    version: int
    digest: str


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One measured number, NaN and infinities included; `time` is in seconds since 1970."""

    run: str
    attempt: int
    step: int
    group: str
    name: str
    value: float
    time: float


@dataclass(frozen=True, slots=True)
class ArtifactRow:
    """One score, array, plot, table or text that a run left behind."""

    run: str
    attempt: int
    step: int | None
    name: str
    kind: Literal["score", "array", "plot", "table", "text"]
    object: str
    created: str


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """Named splits of records: where they came from, what came out, which records belong to which split.

    Args:
        digest: Of the pair (recipe digest, content digest).
        name: Under which it was registered, if any.
        recipe: How it is made.
        recipe_digest: Names the recipe.
        content_digest: Names the bytes that came out.
        splits: By name, the number of records and the object that holds their indices.
        created: When it was registered.
        row_digest: Guards this row.
    """

    digest: str
    name: str | None
    recipe: Json
    recipe_digest: str
    content_digest: str
    splits: dict[str, tuple[int, str]]
    created: str
    row_digest: str


@dataclass(frozen=True, slots=True)
class LookRow:
    """One look at a split after which it is a little less unseen."""

    run: str
    split: str
    time: str
    by: str


@dataclass(frozen=True, slots=True)
class NoteRow:
    """Something a reader of the run should know, such as a warning."""

    run: str
    attempt: int
    time: str
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """Something beyond its dataset and its parent that a run used, or beyond its versions that it made."""

    kind: Literal["used", "made"]
    run: str
    what: str
    target: str
