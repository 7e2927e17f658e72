"""The tables of the catalogue. JSON is kept as canonical text, times as ISO 8601 in UTC."""

from sqlalchemy import Column, Float, ForeignKey, Index, Integer, MetaData, Table, Text, UniqueConstraint

SCHEMA = 2  # 2: a digest in every row, one per batch for metrics
metadata = MetaData()


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _whole(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, Integer, nullable=null)


model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    _text("created"),
    _text("digest"),
)

run = Table(
    "run",
    metadata,
    Column("id", Text, primary_key=True),
    Column("model", Text, ForeignKey("model.name"), nullable=False, index=True),
    _text("state"),
    _text("reason"),
    _whole("attempt"),
    _whole("seed"),
    _text("folder"),
    _text("backend"),
    Column("dataset", Text, ForeignKey("dataset.digest"), nullable=True),
    _text("spec"),
    _text("operator"),
    _text("environment"),
    Column("parent", Integer, ForeignKey("version.id", use_alter=True), nullable=True, index=True),
    _text("best_metric"),
    _text("best_mode"),
    _text("created"),
    _text("finished", null=True),
    _text("digest"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("run", Text, ForeignKey("run.id"), primary_key=True),
    Column("number", Integer, primary_key=True),
    _whole("from_step"),
    _whole("pid"),
    _text("host"),
    _text("spec"),
    _text("environment"),
    _text("started"),
    _text("finished", null=True),
    _text("outcome", null=True),
    _text("inexact", null=True),
    _text("digest"),
)

version = Table(
    "version",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model", Text, ForeignKey("model.name"), nullable=False),
    _whole("number"),
    Column("run", Text, ForeignKey("run.id"), nullable=False, index=True),
    _whole("attempt"),
    _whole("step"),
    _whole("epoch"),
    _text("parents"),
    Column("weights", Text, nullable=True, index=True),
    Column("state", Text, nullable=True, index=True),
    _text("operator"),
    Column("files", Text, nullable=True, index=True),
    _text("metrics"),
    _text("status"),
    _text("reason"),
    _text("created"),
    _text("digest"),
    UniqueConstraint("model", "number"),
)

tag = Table(
    "tag",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("version", Integer, ForeignKey("version.id"), nullable=False, index=True),
    _text("digest"),
)

# Rows come by the thousand: the writer checks once per batch that the run exists, not once per row.
# A NULL value is NaN, because SQLite has no NaN; infinities are kept as they are. SQLite drops the sign of -0.0.
metric = Table(
    "metric",
    metadata,
    _text("run"),
    _whole("attempt"),
    _whole("step"),
    _text("grp"),
    _text("name"),
    Column("value", Float, nullable=True),
    Column("time", Float, nullable=False),
    Index("metric_by_run", "run", "attempt"),
)

# What one transaction added to `metric`: rowids `first` to `last`. A digest in each row would cost more than the row.
metric_batch = Table(
    "metric_batch",
    metadata,
    Column("first", Integer, primary_key=True),
    _whole("last"),
    Column("run", Text, nullable=False, index=True),
    _whole("attempt"),
    _text("digest"),
)

artifact = Table(
    "artifact",
    metadata,
    Column("run", Text, ForeignKey("run.id"), nullable=False, index=True),
    _whole("attempt"),
    _whole("step", null=True),
    _text("name"),
    _text("kind"),
    Column("object", Text, nullable=False, index=True),
    _text("created"),
    _text("digest"),
)

dataset = Table(
    "dataset",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=True, unique=True),
    _text("recipe"),
    _text("recipe_digest"),
    _text("content_digest"),
    _text("splits"),
    _text("created"),
    _text("row_digest"),
    info={"digest": "row_digest"},
)

edge = Table(
    "edge",
    metadata,
    _text("kind"),
    Column("run", Text, ForeignKey("run.id"), nullable=False, index=True),
    _text("what"),
    _text("target"),
    _text("digest"),
)

look = Table(
    "look",
    metadata,
    Column("run", Text, ForeignKey("run.id"), nullable=False, index=True),
    _text("split"),
    _text("time"),
    _text("by"),
    _text("digest"),
)

note = Table(
    "note",
    metadata,
    Column("run", Text, ForeignKey("run.id"), nullable=False, index=True),
    _whole("attempt"),
    _text("time"),
    _text("level"),
    _text("text"),
    _text("digest"),
)

# One row, `schema`: the digest of the definitions of all tables, which SQLite itself does not guard.
about = Table(
    "about",
    metadata,
    Column("name", Text, primary_key=True),
    _text("value"),
    _text("digest"),
)

SEALED = (about, model, run, attempt, version, tag, artifact, dataset, edge, look, note)
