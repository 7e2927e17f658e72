"""Which records there were, and what each column of a table is."""

from typing import Any

from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Cell, Section, bar, fold, heading, join, note, table
from trainwright.report.record import RunRecord
from trainwright.store import datasets

FIRST_ROWS = 40
MOST_ROWS = 150
SPLITS = ("train", "val", "test")


def data_section(record: RunRecord) -> Section:
    """Shows the splits and the columns."""
    spec = record.spec
    splits = _splits(record)
    parts = [_draw_splits(splits)] if splits else []
    facts = {
        "task": f"{record.task}, target {', '.join(record.targets) or 'none'}",
        "a record": f"{spec.model.input}, shape {_shape(spec.model.input_shape)}",
        "content": f"sha256:{spec.data.digest}",
    }
    parts.append(table({"": "", " ": "break"}, facts.items(), kind="facts"))
    parts += _compare_splits(record.table("data/splits"), splits)
    columns = record.table("data/columns")
    if columns.get("columns"):
        parts += _show_columns(record, columns, records=sum(splits.values()))
    if columns.get("left_out"):
        parts.insert(0, note(f"{columns['left_out']} more records are left out: they lack values."))
    return Section("data", "Data", join(parts))


def _splits(record: RunRecord) -> dict[str, int]:
    rows = [one for one in datasets.rows(record.registry.store) if one.digest == record.run.dataset]
    found = {name: size for row in rows for name, (size, _) in row.splits.items() if size}
    return {name: found[name] for name in sorted(found, key=lambda one: (one not in SPLITS, *_rank(one)))}


def _rank(name: str) -> tuple[int, str]:
    return (SPLITS.index(name) if name in SPLITS else 0, name)


def _draw_splits(splits: dict[str, int]) -> Markup:
    whole = sum(splits.values())
    cells = (
        Markup('<div class="s{}" style="flex:{} 1 0"><b>{}</b>{}<br><small>{:.1f} %</small></div>').format(
            number, size, size, f" {name}", 100 * size / whole
        )
        for number, (name, size) in enumerate(splits.items())
    )
    told = note(f"{whole} records in {len(splits)} splits.")
    return join([told, Markup('<div class="splits">{}</div>').format(join(cells))])


def _compare_splits(found: dict[str, Any], splits: dict[str, int]) -> list[Markup]:
    """Shows the target of each split, and how many of its records were as good as seen in train."""
    seen, targets = found.get("seen", {}), found.get("targets", {})
    rows = [name for name in splits if name in seen or name in targets]
    if not rows:
        return []
    names = list(dict.fromkeys(name for one in targets.values() for name in one))
    heads = {"split": "", "features as in train": NUMBER, **{f"target {name}": NUMBER for name in names}}
    values = (
        [
            name,
            "" if name not in seen else f"{seen[name]} ({100 * seen[name] / splits[name]:.1f} %)",
            *(f"{targets[name][one]:.4g}" if one in targets.get(name, {}) else "" for one in names),
        ]
        for name in rows
    )
    return [heading("Splits"), table(heads, values)]


def _show_columns(record: RunRecord, found: dict[str, Any], *, records: int) -> list[Markup]:
    columns = found["columns"]
    # Values are counted before records are left out for want of them; test records may lie in another file.
    whole = max(records + found.get("left_out", 0), *(one["missing"] for one in columns), 1)
    heads = {
        "column": "",
        "kind": "",
        "role": "",
        "missing": "share",
        "distinct": NUMBER,
        "why": "break soft",
    }
    rows = [_column(record, one, whole) for one in columns[:MOST_ROWS]]
    left = len(columns) - len(rows)
    parts = [heading("Columns"), table(heads, rows[:FIRST_ROWS], kind="columns")]
    if rows[FIRST_ROWS:]:
        parts.append(
            fold(f"{len(rows) - FIRST_ROWS} more columns", table(heads, rows[FIRST_ROWS:], kind="columns"))
        )
    if left:
        parts.append(note(f"{left} more columns are not listed."))
    return parts


def _column(record: RunRecord, one: dict[str, Any], whole: int) -> list[Cell]:
    data = record.spec.data
    role = "feature" if one["used"] else "left out"
    if one["name"] in record.targets:
        role = "target"
    elif one["name"] in (data.weight, data.id):
        role = "weight" if one["name"] == data.weight else "id"
    missing: Cell = "0"
    if one["missing"]:
        share = one["missing"] / whole
        missing = Markup("{}{} ({:.1f} %)").format(bar(share, color=1), one["missing"], 100 * share)
    return [
        Markup("<code>{}</code>").format(one["name"]),
        one["kind"],
        role,
        missing,
        str(one["distinct"]),
        one["why"],
    ]


def _shape(shape: Any) -> str:
    return " by ".join(map(str, shape)) if isinstance(shape, list) else str(shape)
