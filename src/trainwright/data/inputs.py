"""Reads records for a model that is already trained."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.check import check_finite, check_ids, check_weight
from trainwright.data.dataset import OWN, Features, Records, plain_values
from trainwright.data.frame import Frame
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.graph_source import graphs_of, read_graph
from trainwright.data.lazy import is_lazy
from trainwright.data.roles import Missing, Raw, Roles
from trainwright.data.sequences import Sequences
from trainwright.data.source import TABLES, find_place, read_source
from trainwright.data.spelling import spell
from trainwright.data.storage import read_records
from trainwright.spec.data import ColumnSpec, GraphSpec


@dataclass(frozen=True, slots=True)
class InputSchema:
    """What a model was trained on, and so what it takes.

    Args:
        features: Names of columns in order, or the name of an array.
        shape: Of one record; of a table, the number of columns.
        target: Name of the target array or column, or of the target columns.
        task_type: As in the model's spec.
        kinds: Of a table: what each feature column is, in order; None for an array.
        missing: What becomes of records without a value.
        ragged: Whether the records are sequences of different lengths.
        formats: Of a table: how the dates of each feature column were written, `auto` if they were no text.
        graph: Which arrays hold edges, where the records are nodes or graphs; the shape is then that of a node.
    """

    features: str | list[str]
    shape: tuple[int, ...]
    target: str | list[str]
    task_type: str
    kinds: list[str] | None = None
    missing: Missing = "error"
    ragged: bool = False
    formats: list[str] | None = None
    graph: GraphSpec | None = None

    @property
    def targets(self) -> list[str]:
        """Names the target columns."""
        return [self.target] if isinstance(self.target, str) else list(self.target)


def read_inputs(
    path: Path,
    *,
    schema: InputSchema,
    target: str | Sequence[str] | None = None,
    weight: str | None = None,
    id: str | None = None,  # noqa: A002 - the field's word in a spec
) -> Records:
    """Reads the features a model was trained on, by the same names; whatever else the file holds is ignored.

    Args:
        path: A .npz, .npy, .csv, .tsv or .parquet file.
        schema: What the model takes.
        target: Name of the array or column to compare predictions with; None reads none.
        weight: As `target`, for record weights.
        id: As `target`, for names of records.

    Raises:
        DataError: If a column or array is missing, the records have another shape, or values are not finite.
    """
    path = path.absolute()  # the name of `.` is blank
    found = find_place(path.name, path.parent, at="")
    by_number = schema.graph is not None and found.suffix.lower() == ".npy"
    if not schema.ragged and not by_number and (found.suffix.lower() in TABLES) == (schema.kinds is None):
        took = f"the array {schema.features!r}" if schema.kinds is None else "columns of a table"
        raise DataError(f"{found.name}: the model was trained on {took}; bring them in a file of that kind")
    if schema.graph is not None and not by_number:
        roles = _roles(schema, schema.features, target, weight, id)
        return _records(read_graph(found, roles, schema.graph), found.name, schema)
    features = "x" if found.suffix.lower() == ".npy" else schema.features
    roles = _roles(schema, features, target, weight, id)
    if found.is_dir() or found.suffix.lower() in TABLES:
        return _records(read_source(found, roles), found.name, schema)
    return _records(read_records(found, roles, in_memory="auto"), found.name, schema)


def _roles(schema: InputSchema, features: Any, target: Any, weight: str | None, id: str | None) -> Roles:  # noqa: A002
    columns = [
        ColumnSpec(name=name, role="feature", kind=kind, format=form)  # type: ignore[arg-type]
        for name, kind, form in zip(
            schema.features if schema.kinds is not None else (),
            schema.kinds or (),
            schema.formats or ["auto"] * len(schema.kinds or ()),
            strict=True,
        )
    ]
    # Records to predict are never left out: there is one prediction for each.
    missing: Missing = "impute" if schema.missing == "impute" else "error"
    image = len(schema.shape) == 3
    return Roles(
        features,
        target,
        weight,
        id,
        where="",
        columns=columns,
        missing=missing,
        size=(schema.shape[1], schema.shape[2]) if image else None,
        color="auto" if not image else "gray" if schema.shape[0] == 1 else "rgb",
    )


def _records(raw: Raw, name: str, schema: InputSchema) -> Records:
    count, at = len(raw.x), f"{name}: "
    places = -1 if isinstance(raw.x, Sequences) else None  # any length can be padded or cut
    if schema.graph is not None and not isinstance(raw.x, Nodes | Graphs):
        return Records(_node_numbers(raw.x, schema, at=at), None, None, np.arange(count))
    if raw.x.shape[1:places] != schema.shape[:places]:
        raise DataError(f"{at}records have shape {raw.x.shape[1:]}, the model takes {schema.shape}")
    if count == 0:
        raise DataError(f"{at}it has no records")
    values = raw.x if isinstance(raw.x, Frame) else plain_values(raw.x)
    if not isinstance(values, Frame):
        check_finite(values, at=at, what=f"the array {raw.features!r}")
    if raw.y is not None:
        if raw.y.ndim == 0 or len(raw.y) != count:
            raise DataError(
                f"{at}the target {raw.target!r} has shape {raw.y.shape}, but there are {count} records"
            )
        check_finite(raw.y, at=at, what=f"the target {raw.target!r}")
    own = np.arange(count) if raw.numbers is None else raw.numbers
    weight = raw.weight
    return Records(
        x=raw.x,
        y=raw.y,
        weight=None if weight is None else check_weight(weight, count, at=f"{at}the weight: "),
        ids=own if raw.ids is None else check_ids(raw.ids, count, at=f"{at}the id: "),
    )


def _node_numbers(value: Any, schema: InputSchema, *, at: str = "") -> Array:
    """Takes numbers of nodes of the graph that lies with the model.

    Raises:
        DataError: If each record is a graph of its own, or these are no numbers of nodes.
    """
    numbers = np.asarray(value)
    if schema.graph is None or schema.graph.graphs is not None:
        raise DataError(f"{at}each record is a graph, with edges; bring features and edges")
    axes = 1 if schema.graph.pairs is None else 2
    if numbers.ndim == 2 and axes == 1 and numbers.shape[1] == 1:
        numbers = numbers[:, 0]
    if (
        numbers.ndim != axes
        or numbers.shape[1:] != (2,) * (axes - 1)
        or numbers.dtype.kind not in "iu"
        or (len(numbers) and numbers.min() < 0)
    ):
        raise DataError(
            f"{at}{'pairs of nodes' if axes == 2 else 'nodes'} of the graph that lies with the model are asked for by "
            f"their numbers, integers from 0, not "
            f"{numbers.dtype} of shape {numbers.shape}"
        )
    return numbers


def take_inputs(value: Any, *, schema: InputSchema) -> Features:
    """Takes records that are in memory for the inputs of a model.

    Args:
        value: An array of records; a list of sequences, for a model of sequences of different lengths; for a model of
            a table, a data frame, a mapping from column names to values, a list of rows, or an array with the columns
            in their order if all are numeric; for a model of the nodes of one graph, their numbers; for a model of
            graphs, pairs of features and edges.
        schema: What the model takes.

    Raises:
        DataError: If a column is missing, or the records have another shape than in training.
    """
    if isinstance(value, OWN):
        return value
    if schema.graph is not None:
        return _take_graphs(value, schema)
    if is_lazy(value) and value.shape[1:] == schema.shape:
        return value.stand_in()
    if schema.ragged:
        from trainwright.data.ragged import ragged_of

        ragged = ragged_of(value)
        return Sequences(ragged.values, ragged.lengths)
    if schema.kinds is None:
        x = np.asarray(value)
        if x.shape[1:] != schema.shape:
            raise DataError(f"records have shape {x.shape[1:]}, the model takes {schema.shape}")
        return x
    from trainwright.data.frames import table_of
    from trainwright.data.tabular import read_table

    names = list(schema.features)
    if isinstance(value, np.ndarray | list | tuple) and not (len(value) and isinstance(value[0], Mapping)):
        x = np.asarray(value)
        if x.shape[1:] != schema.shape or set(schema.kinds) - {"numeric", "boolean"}:
            raise DataError(f"the model takes columns by name: {', '.join(map(repr, names[:20]))}")
        value = {name: x[:, number] for number, name in enumerate(names)}
    if hasattr(value, "keys"):
        kinds = dict(zip(names, schema.kinds, strict=True))
        # What else there is may be anything.
        value = {name: _words(value[name], kinds[name]) for name in names if name in value.keys()}  # noqa: SIM118
    table = table_of(value, name="the records")
    found: Features = read_table(table, _roles(schema, names, None, None, None)).x
    return found


def _take_graphs(value: Any, schema: InputSchema) -> Features:
    assert schema.graph is not None
    if schema.graph.graphs is None:
        return _node_numbers(value, schema)
    found = graphs_of(value, directed=schema.graph.directed)
    if found.shape[1:] != schema.shape:
        raise DataError(f"a node has {found.shape[1]} features, the model takes {schema.shape[0]}")
    return found


def _words(values: Any, kind: str) -> Any:
    """Spells out categories whose values are of several types, as a column of objects may hold them."""
    mixed = kind in ("categorical", "text") and getattr(values, "dtype", None) == np.dtype(object)
    return [spell(one) for one in values.tolist()] if mixed else values
