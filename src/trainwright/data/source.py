"""From a file to arrays by role: features, target, weight, id."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.mapped import map_npy, map_npz
from trainwright.data.npy import list_npz, read_npy, read_npz

if TYPE_CHECKING:
    from trainwright.data.tables import Table

SUFFIXES = (".npz", ".npy", ".csv", ".parquet")
PANDAS_INDEX = "__index_level_"


@dataclass(frozen=True, slots=True)
class Roles:
    """Which array or column plays which part.

    Args:
        features: Name of the array (npz), names of columns (tables), or `auto`.
        target: Name of the array or column; `auto` is the array `y`; None reads none.
        weight: As `target`, without `auto`.
        id: As `weight`.
        by: As `weight`: what a split goes by; it may play another part too, but `auto` takes it for no feature.
        where: Path of these roles in the spec, with which messages begin; empty outside of a spec.
    """

    features: str | Sequence[str] = "auto"
    target: str | None = "auto"
    weight: str | None = None
    id: str | None = None
    by: str | None = None
    where: str = "data"

    def at(self, role: str) -> str:
        """Begins a message about one role."""
        place = "split.by" if role == "by" else role
        return f"{self.where}.{place}: " if self.where else ""


@dataclass(frozen=True, slots=True)
class Raw:
    """What a file holds, by role.

    Args:
        x: Numbers, shape `(records, ...)`; rows of a file (data/lazy.py) where they are read lazily.
        y: Numbers or text, shape `(records, ...)`, or None.
        weight: Shape `(records,)`, or None.
        ids: Shape `(records,)`, or None.
        columns: Names of the feature columns of a table, in order; None for an array.
        features: What stands for the features in a message: the array's name, or "column".
        target: Name of the target.
        by: What a split goes by, shape `(records,)`, or None.
    """

    x: Array
    y: Array | None
    weight: Array | None
    ids: Array | None
    columns: tuple[str, ...] | None
    features: str
    target: str
    by: Array | None = None


def find_file(name: str, folder: Path, *, at: str) -> Path:
    """Finds a data file.

    Raises:
        DataError: If it is not there, which names the nearest that is, or is of an unknown type.
    """
    path = folder / name
    if path.is_dir():
        raise DataError(f"{at}{name!r} is a folder; name a file of the type {', '.join(SUFFIXES)}")
    if not path.is_file():
        others = sorted(one.name for one in path.parent.glob("*") if one.suffix.lower() in SUFFIXES)
        hint = nearest(path.name, others, none="it holds no data files")
        raise DataError(f"{at}there is no file {name!r} in {folder.resolve()}; {hint}")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{at}{name!r} has an unknown type; known types: {', '.join(SUFFIXES)}")
    return path


def read_source(path: Path, roles: Roles, *, lazily: bool = False) -> Raw:
    """Reads the arrays or columns that play a role.

    Args:
        path: Of the file.
        roles: Which array or column plays which part.
        lazily: The features stay in the file (`data/storage.py` says which files allow it).

    Raises:
        DataError: If the file or one of its parts is not there or readable; the message begins with the role.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path, roles, lazily=lazily)
    if suffix == ".npy":
        return _read_npy(path, roles, lazily=lazily)
    return _read_table(path, roles, lazily=lazily)


def nearest(name: str, known: Iterable[str], *, none: str = "there are none") -> str:
    """Names what a wrong name may have meant.

    Example:
        >>> nearest("heigth", ["height", "age"]), nearest("zzz", ["height", "age"])
        ("nearest: 'height'", "there are: 'height', 'age'")
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if close:
        return f"nearest: {close[0]!r}"
    shown = ", ".join(repr(one) for one in names[:20])
    return f"there are: {shown}{', ...' if len(names) > 20 else ''}" if names else none


def _read_npz(path: Path, roles: Roles, *, lazily: bool) -> Raw:
    known = _guard(list_npz, path, at=roles.at("path"))
    features = "x" if roles.features == "auto" else roles.features
    if not isinstance(features, str):
        raise DataError(f"{roles.at('features')}{path.name} holds arrays, not columns; name one array")
    wanted = {
        "features": features,
        "target": "y" if roles.target == "auto" else roles.target,
        "weight": roles.weight,
        "id": roles.id,
        "by": roles.by,
    }
    found: dict[str, Array | None] = {}
    for role, name in wanted.items():
        if name is not None and name not in known:
            raise DataError(f"{roles.at(role)}no array {name!r} in {path.name}, {nearest(name, known)}")
        if role == "features" and lazily:
            found[role] = _guard(map_npz, path, name, at=roles.at(role))
        else:
            found[role] = None if name is None else _guard(read_npz, path, [name], at=roles.at(role))[name]
    return _raw(found, roles, columns=None, features=features, target=wanted["target"] or "")


def _read_npy(path: Path, roles: Roles, *, lazily: bool) -> Raw:
    if roles.features not in ("auto", "x"):
        raise DataError(f"{roles.at('features')}{path.name} holds one array without a name; leave this out")
    if roles.target == "auto":
        raise DataError(
            f"{roles.at('target')}{path.name} holds the features; name the .npy file of the targets"
        )
    read = map_npy if lazily else read_npy
    found: dict[str, Array | None] = {"features": _guard(read, path, at=roles.at("path"))}
    named = {"target": roles.target, "weight": roles.weight, "id": roles.id, "by": roles.by}
    for role, name in named.items():
        if name is None:
            found[role] = None
            continue
        beside = find_file(name, path.parent, at=roles.at(role))
        if beside.suffix.lower() != ".npy":
            raise DataError(f"{roles.at(role)}{name!r} must be an .npy file, like {path.name}")
        found[role] = _guard(read_npy, beside, at=roles.at(role))
    return _raw(found, roles, columns=None, features="x", target=roles.target or "")


def _read_table(path: Path, roles: Roles, *, lazily: bool) -> Raw:
    table = _open_table(path, roles, lazily=lazily)
    if roles.target == "auto":
        raise DataError(
            f"{roles.at('target')}name the column to predict; {path.name} has {_shown(table.columns)}"
        )
    named = {"target": roles.target, "weight": roles.weight, "id": roles.id, "by": roles.by}
    for role, name in named.items():
        if name is not None and name not in table.columns:
            raise DataError(
                f"{roles.at(role)}no column {name!r} in {path.name}, {nearest(name, table.columns)}"
            )
    columns = _columns(table, roles)
    at = roles.at("features")
    found = {
        "features": _guard(table.matrix, columns, at=at),
        "target": roles.target and _guard(table.values, roles.target, at=roles.at("target")),
        "weight": roles.weight and _guard(table.numbers, roles.weight, at=roles.at("weight")),
        "id": roles.id and _guard(table.names, roles.id, at=roles.at("id")),
        "by": roles.by and _guard(table.keys, roles.by, at=roles.at("by")),
    }
    return _raw(found, roles, columns=columns, features="column", target=roles.target or "")


def _open_table(path: Path, roles: Roles, *, lazily: bool) -> "Table":
    from trainwright.data.mapped_table import map_parquet
    from trainwright.data.tables import read_csv, read_parquet

    read = read_csv if path.suffix.lower() == ".csv" else map_parquet if lazily else read_parquet
    table: Table = _guard(read, path, at=roles.at("path"))
    return table


def _columns(table: "Table", roles: Roles) -> tuple[str, ...]:
    other = {"target": roles.target, "weight": roles.weight, "id": roles.id}
    if roles.features == "auto":
        columns = tuple(name for name in table.columns if name not in (*other.values(), roles.by))
        index = [name for name in columns if name.startswith(PANDAS_INDEX)]
        if index:
            raise DataError(
                f"{roles.at('features')}{table.name} holds an index that pandas wrote, {index[0]!r}; "
                "name the columns, or write it with index=False"
            )
    else:
        columns = (roles.features,) if isinstance(roles.features, str) else tuple(roles.features)
    if not columns:
        raise DataError(f"{roles.at('features')}no column of {table.name} is left for the features")
    for number, name in enumerate(columns):
        if name not in table.columns:
            raise DataError(
                f"{roles.at('features')}no column {name!r} in {table.name}, {nearest(name, table.columns)}"
            )
        if name in columns[:number]:
            raise DataError(f"{roles.at('features')}the column {name!r} is named twice")
        for role, taken in other.items():
            if name == taken:
                raise DataError(f"{roles.at('features')}the column {name!r} is the {role} already")
    return columns


def _raw(
    found: dict[str, Any], roles: Roles, *, columns: tuple[str, ...] | None, features: str, target: str
) -> Raw:
    x = found["features"]
    if x.dtype.kind not in "biuf":
        raise DataError(f"{roles.at('features')}the array {features!r} holds {x.dtype}, not numbers")
    if x.ndim == 0:
        raise DataError(f"{roles.at('features')}the array {features!r} is a single number, not records")
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    return Raw(x, found["target"], found["weight"], found["id"], columns, features, target, found["by"])


def _shown(columns: Sequence[str]) -> str:
    return ", ".join(repr(one) for one in columns[:20]) + (", ..." if len(columns) > 20 else "")


def _guard(read: Any, *arguments: Any, at: str) -> Any:
    """Calls a reader; its refusals begin with the path of the field in the spec."""
    try:
        return read(*arguments)
    except DataError as error:
        raise DataError(f"{at}{error}") from error
