"""From a file to arrays by role: features, target, weight, id."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.npy import list_npz, read_npy, read_npz
from trainwright.data.roles import Raw, Roles, nearest

if TYPE_CHECKING:
    from trainwright.data.tables import Table

SUFFIXES = (".npz", ".npy", ".csv", ".tsv", ".parquet")
TABLES = (".csv", ".tsv", ".parquet")


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


def read_source(path: Path, roles: Roles) -> Raw:
    """Reads the arrays or columns that play a role.

    Raises:
        DataError: If the file or one of its parts is not there or readable; the message begins with the role.
    """
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path, roles)
    if suffix == ".npy":
        return _read_npy(path, roles)
    return _read_table(path, roles)


def _read_npz(path: Path, roles: Roles) -> Raw:
    known = _guard(list_npz, path, at=roles.at("path"))
    features = "x" if roles.features == "auto" else roles.features
    if not isinstance(features, str):
        raise DataError(f"{roles.at('features')}{path.name} holds arrays, not columns; name one array")
    if not isinstance(roles.target, str | None):
        raise DataError(f"{roles.at('target')}{path.name} holds arrays, not columns; name one array")
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
        found[role] = None if name is None else _guard(read_npz, path, [name], at=roles.at(role))[name]
    return _raw(found, roles, columns=None, features=features, target=wanted["target"] or "")


def _read_npy(path: Path, roles: Roles) -> Raw:
    if roles.features not in ("auto", "x"):
        raise DataError(f"{roles.at('features')}{path.name} holds one array without a name; leave this out")
    if roles.target == "auto":
        raise DataError(
            f"{roles.at('target')}{path.name} holds the features; name the .npy file of the targets"
        )
    if not isinstance(roles.target, str | None):
        raise DataError(f"{roles.at('target')}name one .npy file of the targets")
    found: dict[str, Array | None] = {"features": _guard(read_npy, path, at=roles.at("path"))}
    for role, name in (
        ("target", roles.target),
        ("weight", roles.weight),
        ("id", roles.id),
        ("by", roles.by),
    ):
        if name is None:
            found[role] = None
            continue
        beside = find_file(name, path.parent, at=roles.at(role))
        if beside.suffix.lower() != ".npy":
            raise DataError(f"{roles.at(role)}{name!r} must be an .npy file, like {path.name}")
        found[role] = _guard(read_npy, beside, at=roles.at(role))
    return _raw(found, roles, columns=None, features="x", target=roles.target or "")


def _read_table(path: Path, roles: Roles) -> Raw:
    from trainwright.data.tabular import read_table

    return read_table(open_table(path, roles), roles)


def open_table(path: Path, roles: Roles = Roles(where="")) -> "Table":  # noqa: B008 - frozen
    """Opens a table without taking anything from it yet.

    Raises:
        DataError: If it cannot be read.
    """
    from trainwright.data.tables import read_csv, read_parquet

    suffix = path.suffix.lower()
    table: Table
    if suffix == ".parquet":
        table = _guard(read_parquet, path, at=roles.at("path"))
    else:
        delimiter = "\t" if suffix == ".tsv" and roles.delimiter == "auto" else roles.delimiter
        table = _guard(
            partial(read_csv, delimiter=delimiter, decimal=roles.decimal), path, at=roles.at("path")
        )
    return table


def _raw(
    found: dict[str, Any], roles: Roles, *, columns: tuple[str, ...] | None, features: str, target: str
) -> Raw:
    x = found["features"]
    if x.dtype.kind not in "biuf":
        raise DataError(f"{roles.at('features')}the array {features!r} holds {x.dtype}, not numbers")
    if x.ndim == 0:
        raise DataError(f"{roles.at('features')}the array {features!r} is a single number, not records")
    x = x.reshape(-1, 1) if x.ndim == 1 else x
    return Raw(x, found["target"], found["weight"], found["id"], columns, features, target, by=found["by"])


def _guard(read: Any, *arguments: Any, at: str) -> Any:
    """Calls a reader; its refusals begin with the path of the field in the spec."""
    try:
        return read(*arguments)
    except DataError as error:
        raise DataError(f"{at}{error}") from error
