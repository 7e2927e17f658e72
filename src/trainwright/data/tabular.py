"""From the columns of a table to features, target, weight and id."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.columns import check_missing, find_format, infer_column, read_column
from trainwright.data.frame import Frame, is_blank
from trainwright.data.mapped_table import MappedTable
from trainwright.data.roles import Raw, Roles, nearest
from trainwright.data.schema import Column
from trainwright.data.sequences import Sequences
from trainwright.spec.data import ColumnSpec

if TYPE_CHECKING:
    from trainwright.data.tables import Table

PANDAS_INDEX = "__index_level_"


def read_table(table: "Table", roles: Roles) -> Raw:
    """Takes the columns that play a role; a record without a value is refused, kept or left out, as the roles say.

    Raises:
        DataError: If a column is not there, or a value is not what its column holds; the message begins with the role.
    """
    _check_there(table, roles)
    if isinstance(table, MappedTable):
        return _read_mapped(table, roles)
    listed = _sequences(table, roles)
    if listed is not None:
        return listed
    schema = _infer(table, roles)
    chosen = _choose(table, roles, schema)
    known = {one.name: one for one in schema}
    frame = {one: _guard(_values, table, known[one], at=roles.at("features")) for one in chosen}
    keep = _complete(table, roles, frame)
    if keep is not None:
        table = table.take(keep)
        frame = {name: column[keep] for name, column in frame.items()}
    elif roles.missing == "error":
        check_missing(frame, table, at=roles.at("features"))
    return Raw(
        x=Frame(frame),
        y=_target(table, roles),
        weight=_other(table.numbers, roles.weight, at=roles.at("weight")),
        ids=_other(table.names, roles.id, at=roles.at("id")),
        columns=chosen,
        features="column",
        target=(roles.target or "") if isinstance(roles.target, str | None) else roles.targets,
        schema=schema,
        numbers=None if keep is None else np.flatnonzero(keep),
        left_out=0 if keep is None else int((~keep).sum()),
        by=_by(table, roles),
    )


def _read_mapped(table: MappedTable, roles: Roles) -> Raw:
    """Takes columns of numbers without gaps; they stay where they are."""
    taken = {*roles.targets, roles.weight, roles.id, roles.by}
    said = {one.name for one in roles.columns if one.role == "ignore"}
    names = [name for name in table.columns if name not in taken | said]
    schema = tuple(Column(name, "numeric", True, 0, 0, "its type is a number") for name in names)
    chosen = _choose(table, roles, schema)
    return Raw(
        x=_guard(table.matrix, chosen, at=roles.at("features")),
        y=_target(table, roles),
        weight=_other(table.numbers, roles.weight, at=roles.at("weight")),
        ids=_other(table.names, roles.id, at=roles.at("id")),
        columns=chosen,
        features="column",
        target=(roles.target or "") if isinstance(roles.target, str | None) else roles.targets,
        schema=schema,
        by=_other(table.keys, roles.by, at=roles.at("by")),
    )


def _other(read: Callable[[str], Array], name: str | None, *, at: str) -> Array | None:
    return None if name is None else _guard(read, name, at=at)


def _sequences(table: "Table", roles: Roles) -> Raw | None:
    """Takes the one feature column for sequences if it holds lists."""
    name = roles.features if isinstance(roles.features, str) else (list(roles.features) or [""])[0]
    one = name != "auto" and (isinstance(roles.features, str) or len(roles.features) == 1)
    if not one or name not in table.columns or "list<" not in str(table.decoded(name).type):
        return None
    from trainwright.data.ragged import ragged_of

    found = _guard(
        ragged_of, table.decoded(name), at=f"{roles.at('features')}{table.name}: column {name!r}: "
    )
    target = (roles.target or "") if isinstance(roles.target, str | None) else roles.targets
    return Raw(
        x=Sequences(found.values, found.lengths),
        y=_target(table, roles),
        weight=_other(table.numbers, roles.weight, at=roles.at("weight")),
        ids=_other(table.names, roles.id, at=roles.at("id")),
        columns=None,
        features=name,
        target=target,
        by=_other(table.keys, roles.by, at=roles.at("by")),
    )


def _target(table: "Table", roles: Roles) -> Array | None:
    if roles.target is None:
        return None
    found = [_guard(table.values, one, at=roles.at("target")) for one in roles.targets]
    if isinstance(roles.target, str):
        return found[0]  # type: ignore[no-any-return]
    if any(one.dtype.kind == "U" for one in found):
        raise DataError(f"{roles.at('target')}several targets are numbers or 0 and 1, not text")
    return np.column_stack(found)


def _check_there(table: "Table", roles: Roles) -> None:
    if roles.target == "auto":
        raise DataError(
            f"{roles.at('target')}name the column to predict; {table.name} has {_shown(table.columns)}"
        )
    named = [*(("target", one) for one in roles.targets), ("weight", roles.weight), ("id", roles.id)]
    for role, name in [*named, ("by", roles.by)]:
        if name is not None and name not in table.columns:
            raise DataError(
                f"{roles.at(role)}no column {name!r} in {table.name}, {nearest(name, table.columns)}"
            )
    for number, column in enumerate(roles.columns):
        if column.name not in table.columns:
            text = f"no column {column.name!r} in {table.name}, {nearest(column.name, table.columns)}"
            raise DataError(f"{roles.at(f'columns.{number}.name')}{text}")


def _infer(table: "Table", roles: Roles) -> tuple[Column, ...]:
    """Tells what each column is that has no other role; what the user says comes first."""
    said = {one.name: one for one in roles.columns}
    taken = {*roles.targets, roles.weight, roles.id, roles.by}
    if roles.features != "auto":
        wanted = [roles.features] if isinstance(roles.features, str) else list(roles.features)
        left = {one.name for one in roles.columns if one.role == "ignore"}
        taken = {name for name in table.columns if name not in wanted and name not in left}
    found = []
    for name in table.columns:
        own = said.get(name)
        if name in taken or name.startswith(PANDAS_INDEX):
            continue
        if own is not None and own.role == "ignore":
            found.append(Column(name, "text", False, 0, 0, "the spec says so"))
        elif own is not None and (own.kind != "auto" or own.format != "auto"):
            found.append(_guard(_said, table, own, at=roles.at("features")))
        else:
            found.append(_guard(infer_column, table, name, at=roles.at("features")))
    return tuple(found)


def _said(table: "Table", own: ColumnSpec) -> Column:
    """Judges a column whose kind or format the user says."""
    kind = "datetime" if own.kind == "auto" else own.kind
    form: str | None = None if own.format == "auto" else own.format
    if kind == "datetime" and form is None:
        form = find_format(table, own.name)
    values = read_column(table, own.name, kind, form=form)
    blank = is_blank(values)
    distinct = len(np.unique(values[~blank]))
    used = kind != "text" or own.role == "feature"
    return Column(own.name, kind, used, int(blank.sum()), distinct, "the spec says so", form)


def _values(table: "Table", column: Column) -> Array:
    return read_column(table, column.name, column.kind, form=column.format)


def _by(table: "Table", roles: Roles) -> Array | None:
    """Reads what a split goes by; dates whose format the spec says are no text."""
    form = next((one.format for one in roles.columns if one.name == roles.by), "auto")
    if roles.by is None or form == "auto":
        return _other(table.keys, roles.by, at=roles.at("by"))
    read = partial(read_column, table, roles.by, "datetime", form=form)
    return _guard(read, at=roles.at("by"))  # type: ignore[no-any-return]


def _choose(table: "Table", roles: Roles, schema: Sequence[Column]) -> tuple[str, ...]:
    """Names the feature columns."""
    other = dict.fromkeys(roles.targets, "target") | {roles.weight: "weight", roles.id: "id"}
    kinds = {one.name: one.kind for one in schema}
    wanted = {one.name for one in roles.columns if one.role == "feature"}
    if roles.features == "auto":
        index = [name for name in table.columns if name.startswith(PANDAS_INDEX) and name not in other]
        if index:
            raise DataError(
                f"{roles.at('features')}{table.name} holds an index that pandas wrote, {index[0]!r}; "
                "name the columns, or write it with index=False"
            )
        columns = tuple(one.name for one in schema if one.used or one.name in wanted)
    else:
        columns = (roles.features,) if isinstance(roles.features, str) else tuple(roles.features)
    if not columns:
        left = "; ".join(f"{one.name!r}: {one.why}" for one in schema)
        raise DataError(
            f"{roles.at('features')}no column of {table.name} is left for the features{f' ({left})' if left else ''}"
        )
    there, named = set(table.columns), set[str]()
    for name in columns:
        if name not in there:
            text = f"no column {name!r} in {table.name}, {nearest(name, table.columns)}"
            raise DataError(f"{roles.at('features')}{text}")
        if name in named:
            raise DataError(f"{roles.at('features')}the column {name!r} is named twice")
        named.add(name)
        if name in other:
            raise DataError(f"{roles.at('features')}the column {name!r} is the {other[name]} already")
        if kinds[name] == "text":
            why = next(one.why for one in schema if one.name == name)
            raise DataError(
                f"{roles.at('features')}{table.name}: column {name!r} is text a model cannot read ({why}); "
                f"leave it out, or say that it holds categories: columns: [{{name: {name}, kind: categorical}}]"
            )
    return columns


def _complete(table: "Table", roles: Roles, frame: dict[str, Array]) -> Any:
    """Marks the records that are kept; None where all of them must be complete."""
    if roles.missing == "error":
        return None
    keep: Any = np.ones(len(table), dtype=np.bool_)
    for target in roles.targets:
        keep &= np.logical_not(table.blank(target))
    if roles.missing == "drop":
        for column in frame.values():
            keep &= ~is_blank(column)
    if not keep.any():
        raise DataError(
            f"{roles.at('missing')}no record of {table.name} is complete; write `missing: impute`"
        )
    return keep


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(repr(one) for one in columns[:20]) + (", ..." if len(columns) > 20 else "")


def _guard(read: Callable[..., Any], *arguments: Any, at: str) -> Any:
    """Calls a reader; its refusals begin with the path of the field in the spec."""
    try:
        return read(*arguments)
    except DataError as error:
        raise DataError(f"{at}{error}") from error
