"""From a file to arrays by role: features, target, weight, id."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainwright.base.bounds import excerpt
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.mapped import map_npy, map_npz
from trainwright.data.npy import list_npz, read_npy, read_npz
from trainwright.data.roles import Raw, Roles, nearest
from trainwright.data.sequences import Sequences
from trainwright.data.sparse import is_sparse, read_sparse_npz

if TYPE_CHECKING:
    from trainwright.data.tables import Table

TABLES = (".csv", ".tsv", ".parquet", ".arrow", ".feather")
SUFFIXES = (".npz", ".npy", *TABLES)
BUNDLED = "sklearn:"


def find_place(name: str, folder: Path, *, at: str) -> Path:
    """Finds a data file, or a folder of images.

    Raises:
        DataError: If it is not there, which names the nearest that is, or is of an unknown type.
    """
    path = folder / name
    try:
        if path.is_dir():
            return path
        there = path.is_file()
        near = () if there else path.parent.glob("*")
        others = sorted(one.name for one in near if one.suffix.lower() in SUFFIXES)
    except (OSError, ValueError) as error:  # a name too long, a folder that may not be read
        raise DataError(f"{at}{excerpt(name)}: {getattr(error, 'strerror', None) or error}") from error
    if not there:
        hint = nearest(path.name, others, none="it holds no data files")
        raise DataError(f"{at}there is no file {name!r} in {folder.resolve()}; {hint}")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"{at}{name!r} has an unknown type; known types: {', '.join(SUFFIXES)}")
    return path


def find_file(name: str, folder: Path, *, at: str) -> Path:
    """Finds a data file.

    Raises:
        DataError: As `find_place`, or if it is a folder.
    """
    path = find_place(name, folder, at=at)
    if path.is_dir():
        raise DataError(f"{at}{name!r} is a folder; name a file of the type {', '.join(SUFFIXES)}")
    return path


def read_source(path: Path, roles: Roles, *, lazily: bool = False) -> Raw:
    """Reads the arrays or columns that play a role, or a folder of images.

    Args:
        path: Of the file.
        roles: Which array or column plays which part.
        lazily: The features stay in the file (`data/storage.py` says which files allow it).

    Raises:
        DataError: If the file or one of its parts is not there or readable; the message begins with the role.
    """
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path, roles)
    if suffix == ".npz":
        return _read_npz(path, roles, lazily=lazily)
    if suffix == ".npy":
        return _read_npy(path, roles, lazily=lazily)
    if lazily:
        from trainwright.data.mapped_table import map_parquet

        return _read_table(_guard(map_parquet, path, at=roles.at("path")), roles)
    return _read_table(open_table(path, roles), roles)


def read_bundled(name: str, roles: Roles) -> Raw:
    """Reads a data set that another package carries along, such as `sklearn:iris`.

    Raises:
        DataError: If there is none of that name, or no such column.
        BackendError: If the package is not installed.
    """
    from trainwright.data.bundled import read_bundled as read

    bundled = _guard(read, name, at=roles.at("path"))
    if bundled.table is None:
        found = {"features": bundled.x, "target": bundled.y, "weight": None, "id": None, "by": None}
        return _raw(found, roles, columns=None, features="x", target="y")
    target = roles.target
    if target == "auto":
        target = bundled.target[0] if len(bundled.target) == 1 else bundled.target
    return _read_table(bundled.table, replace(roles, target=target))


def read_inline(value: Any, roles: Roles) -> Raw:
    """Takes a table that is written out in the spec: columns by name, or rows.

    Raises:
        DataError: If it is no table, or lacks a column.
    """
    from trainwright.data.frames import table_of

    table = _guard(partial(table_of, name="the inline table"), value, at=roles.at("inline"))
    return _read_table(table, roles)


def _read_npz(path: Path, roles: Roles, *, lazily: bool) -> Raw:
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
    found: dict[str, Any] = {}
    for role, name in wanted.items():
        if role == "features" and f"{name}_lengths" in known:
            found[role] = _read_sequences(path, features, at=roles.at(role))
            continue
        if role == "features" and is_sparse(features, known):
            found[role] = _guard(read_sparse_npz, path, features, known, at=roles.at(role))
            continue
        if name is not None and name not in known:
            raise DataError(f"{roles.at(role)}no array {name!r} in {path.name}, {nearest(name, known)}")
        if role == "features" and lazily:
            found[role] = _guard(map_npz, path, name, at=roles.at(role))
        else:
            found[role] = None if name is None else _guard(read_npz, path, [name], at=roles.at(role))[name]
    return _raw(found, roles, columns=None, features=features, target=wanted["target"] or "")


def _read_sequences(path: Path, name: str, *, at: str) -> Sequences:
    from trainwright.data.ragged import read_ragged_npz

    found = _guard(read_ragged_npz, path, name, at=at)
    return Sequences(found.values, found.lengths)


def _read_npy(path: Path, roles: Roles, *, lazily: bool) -> Raw:
    if roles.features not in ("auto", "x"):
        raise DataError(f"{roles.at('features')}{path.name} holds one array without a name; leave this out")
    if roles.target == "auto":
        raise DataError(
            f"{roles.at('target')}{path.name} holds the features; name the .npy file of the targets"
        )
    if not isinstance(roles.target, str | None):
        raise DataError(f"{roles.at('target')}name one .npy file of the targets")
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


def _read_folder(path: Path, roles: Roles) -> Raw:
    from trainwright.data.images import read_image_folder, read_images, read_segmentation_folder

    pairs = (path / "images").is_dir() and (path / "masks").is_dir()
    if roles.target is None:
        assert roles.size is not None
        path = path / "images" if pairs else path  # masks are no images to predict for
        read = partial(read_images, size=roles.size, color=roles.color)
    elif pairs:
        read = partial(read_segmentation_folder, size=roles.size, color=roles.color)
    else:
        read = partial(read_image_folder, size=roles.size, color=roles.color)
    images = _guard(read, path, at=roles.at("path"))
    target = None if roles.target is None else images.y
    return Raw(images.x, target, None, images.ids, None, "x", "y")


def _read_table(table: "Table", roles: Roles) -> Raw:
    from trainwright.data.tabular import read_table

    return read_table(table, roles)


def open_table(path: Path, roles: Roles = Roles(where="")) -> "Table":  # noqa: B008 - frozen
    """Opens a table without taking anything from it yet.

    Raises:
        DataError: If it cannot be read.
    """
    from trainwright.data.frames import read_arrow
    from trainwright.data.tables import read_csv, read_parquet

    suffix = path.suffix.lower()
    table: Table
    if suffix == ".parquet":
        table = _guard(read_parquet, path, at=roles.at("path"))
    elif suffix in (".arrow", ".feather"):
        table = _guard(read_arrow, path, at=roles.at("path"))
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
    if isinstance(x, Sequences):
        return Raw(
            x, found["target"], found["weight"], found["id"], columns, features, target, by=found["by"]
        )
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
