"""From raw records to what a model takes, and back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError, SpecError
from trainwright.base.jsontext import Json
from trainwright.base.tree import Array
from trainwright.data.check import NO_CLASS, TASK_TYPES
from trainwright.data.dataset import Dataset, Features, Records
from trainwright.data.frame import Frame, is_blank
from trainwright.data.graph import EncodedGraph, Graph, Graphs, Nodes, pad_graphs
from trainwright.data.lazy import encode_rows, fit_rows, is_lazy
from trainwright.data.sequences import Sequences
from trainwright.data.spelling import spell_classes
from trainwright.ops.columns import Columns
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.ops.operator import Operator, Sequential, from_spec
from trainwright.ops.softlabels import SoftLabels
from trainwright.spec.build import build, find, is_of_python
from trainwright.spec.data import ColumnSpec, DataSpec
from trainwright.spec.part import Use

CLASSES = ("classification", "segmentation", "embedding")


@dataclass(frozen=True)
class Preparation:
    """The fitted preprocessing of one run.

    Args:
        inputs: Applied to the features.
        targets: Applied to the target: `Labels` for classes, of pixels too, `SoftLabels` for their probabilities,
            `MultiLabels` for labels.
        task_type: One of `TASK_TYPES`.
        length: To which sequences of different lengths are padded; longer ones lose their end. Of graphs, to how many
            nodes; larger ones stay as they are. None for others.
        vocabulary_size: The largest token id plus one; None unless the records are token ids.
        slots: Of graphs: how many arrows each node of a record carries at least; None for others.

    Example:
        >>> plain = Preparation(Sequential(), Sequential(), "regression")
        >>> plain.encode(Records(x=np.eye(2), y=np.ones(2), weight=None, ids=np.arange(2))).y
        array([[1.],
               [1.]], dtype=float32)
    """

    inputs: Operator
    targets: Operator
    task_type: str
    length: int | None = None
    vocabulary_size: int | None = None
    slots: int | None = None

    @property
    def spec(self) -> dict[str, Json]:
        """Describes the preparation, with all it has learnt, as JSON values."""
        more: dict[str, Json] = {} if self.slots is None else {"slots": self.slots}
        return more | {
            "inputs": self.inputs.spec,
            "targets": self.targets.spec,
            "task_type": self.task_type,
            "length": self.length,
            "vocabulary_size": self.vocabulary_size,
        }

    @classmethod
    def from_spec(cls, tree: Json, catalog: Mapping[str, str]) -> "Preparation":
        """Makes the preparation that a spec describes.

        Raises:
            DataError: If it is not the spec of a preparation.
        """
        fields = {"inputs", "targets", "task_type", "length", "vocabulary_size"}
        if not isinstance(tree, dict) or set(tree) - {"slots"} != fields:
            raise DataError(f"a preparation is described by {', '.join(sorted(fields))}")
        if tree["task_type"] not in TASK_TYPES:
            raise DataError(f"a preparation has an unknown task type, {tree['task_type']!r}")
        numbers: Any = [tree["length"], tree["vocabulary_size"], tree.get("slots")]
        if any(one is not None and (type(one) is not int or one < 1) for one in numbers):
            raise DataError("the length, the vocabulary and the slots of a preparation are positive numbers")
        inputs, targets = (from_spec(tree[name], catalog) for name in ("inputs", "targets"))
        return cls(inputs, targets, tree["task_type"], *numbers)

    def encode(self, records: Records) -> Records:
        """Prepares records for a model.

        Returns:
            Contiguous float32 features, lazy if they were, int32 token ids, or int32 numbers of nodes; int64 class
            numbers of shape `(records, ...)`, -1 where an embedding has no target, or float32 targets of shape
            `(records, outputs, ...)`, probabilities of classes among them; float32 weights.

        Raises:
            DataError: If the records have another shape than those it was fitted on, a class is unknown, or a
                value comes out that float32 cannot hold.
        """
        y: Array | None = None
        of_classes = self.task_type in CLASSES and not isinstance(self.targets, SoftLabels)
        if records.y is not None and of_classes:
            y = np.ascontiguousarray(_number_classes(self.targets, records.y), dtype=np.int64)
        elif records.y is not None:
            y = _to_float32(self.targets(_matrix(records.y)), "target")
        return Records(
            x=self._features(records.x),
            y=y,
            weight=None if records.weight is None else _to_float32(records.weight, "weight"),
            ids=records.ids,
        )

    def encode_graph(self, graph: Graph) -> EncodedGraph:
        """Prepares the graph whose nodes are records, for the network that reads it whole.

        Raises:
            DataError: As `encode`.
        """
        source, target = (np.ascontiguousarray(one, dtype=np.int32) for one in graph.arrows.T)
        return EncodedGraph(self._features(graph.features), source, target)

    def node_features(self, x: Features) -> int | None:
        """Counts the features of each node after preprocessing; None where there are no nodes."""
        if not isinstance(x, Nodes | Graphs):
            return None
        width: int = self._features(x.values[np.arange(1)]).shape[1]
        return width

    def _features(self, x: Features) -> Array:
        if isinstance(x, Nodes):
            return np.ascontiguousarray(x.numbers.reshape(len(x), -1), dtype=np.int32)
        if isinstance(x, Graphs):
            assert self.length is not None and self.slots is not None
            largest = max(self.length, x.largest)
            slots = max(self.slots, x.slots(largest))
            return pad_graphs(x, self._features(x.values), largest=largest, slots=slots)
        if isinstance(x, Frame):
            by_column = isinstance(self.inputs, Columns) or _begins_with_columns(self.inputs)
            return _to_float32(self.inputs(x.columns if by_column else x.matrix()), "feature")
        if self.vocabulary_size is not None:
            ids: Any = _pad(x, self.length).values if isinstance(x, Sequences) else x
            return _check_tokens(ids, self.vocabulary_size)
        if isinstance(x, Sequences):
            flat = self.inputs(x.values.reshape(len(x.values), -1))
            return _to_float32(_pad(Sequences(flat, x.lengths), self.length).values, "feature")
        rows: Any = x
        if is_lazy(x):
            first = 0
            # Once, so that a value that cannot be learnt from is found before training.
            for block in x.blocks():
                first += len(_to_float32(self.inputs(block), "feature", first=first))
        return encode_rows(rows, lambda block: _to_float32(self.inputs(block), "feature"))

    def output_shape(self, y: Array) -> tuple[int, ...] | None:
        """Gives the shape of one target as a network should give it: classes, labels or targets first, then space.

        Args:
            y: Encoded.

        Returns:
            None for an embedding: the data do not say how long it is.
        """
        if self.task_type == "embedding":
            return None
        if isinstance(self.targets, Labels):
            return (len(self.targets.values or ()), *y.shape[1:])
        return y.shape[1:]


def fit_preparation(
    dataset: Dataset,
    spec: DataSpec,
    *,
    catalog: Mapping[str, str],
    columns: Sequence[ColumnSpec] = (),
    tokens: bool = False,
    vocabulary_size: int | None = None,
) -> Preparation:
    """Fits the preprocessing of a spec on the train split alone.

    Args:
        dataset: Opened.
        spec: What the user says.
        catalog: Of operators.
        columns: Of a table: what each column is, decided.
        tokens: Whether an array of integers, shape `(records, length)`, holds token ids.
        vocabulary_size: How many ids there may be, where a user says so; otherwise those of train count.

    Raises:
        SpecError: If an operator is unknown or is none, or a class target has operators.
        DataError: If an operator cannot be fitted.
    """
    if dataset.task_type != "regression" and spec.target_operators:
        raise SpecError(
            "data.target_operators: they are for regression; classes are numbered, leave them out"
        )
    train = dataset.part("train")
    assert train.y is not None
    whole = dataset.records.x
    length = slots = None
    if isinstance(whole, Graphs):
        length = whole.largest
        slots = whole.slots(length)
    if isinstance(whole, Sequences):
        length, tokens = min(spec.max_length or whole.longest, whole.longest), whole.tokens
    vocabulary = max(_vocabulary_size(train.x), vocabulary_size or 0) if tokens else None
    if tokens and spec.operators not in ("auto", []):
        raise SpecError("data.operators: token ids are names, not quantities; leave them out")
    inputs = Sequential() if tokens else _fit_inputs(train.x, spec, catalog, columns)
    if dataset.task_type != "regression":
        targets: Operator = _fit_classes(dataset, train.y)
        return Preparation(inputs, targets, dataset.task_type, length, vocabulary, slots)
    targets = _fit(spec.target_operators, _matrix(train.y), catalog, where="data.target_operators")
    # Predictions go back through the operators: one that cannot is found before training, not after.
    targets.invert(targets(_matrix(train.y)[:1]))
    return Preparation(inputs, targets, dataset.task_type, length, vocabulary, slots)


def _vocabulary_size(x: Features) -> int:
    ids: Any = x.values if isinstance(x, Sequences) else x
    if ids.min() < 0:
        raise DataError(f"data.features: a token id is {ids.min()}; ids begin at 1, and 0 is the padding")
    return int(ids.max()) + 1


def _check_tokens(ids: Any, size: int) -> Array:
    if ids.dtype.kind not in "iu":
        odd = np.argwhere(ids != np.rint(ids)) if ids.dtype.kind == "f" else np.zeros((1, 2), dtype=np.int64)
        if len(odd):
            record, place = odd[0].tolist()
            raise DataError(
                f"record {record} holds {ids[record, place]}, which is no token id: these are integers"
            )
    bad = np.argwhere((ids < 0) | (ids >= size))
    if len(bad):
        record, place = bad[0].tolist()
        raise DataError(
            f"record {record} holds the token id {ids[record, place]}, which was not there in training "
            f"(ids below {size} were); model.vocabulary_size makes room for more"
        )
    return np.ascontiguousarray(ids, dtype=np.int32)


def _pad(x: Sequences, length: int | None) -> Any:
    from trainwright.data.ragged import pad_sequences, pad_tokens

    assert length is not None
    pad = pad_tokens if x.tokens else pad_sequences
    return pad((x.values, x.lengths), min_length=length, max_length=length)


def _fit_inputs(
    x: Features, spec: DataSpec, catalog: Mapping[str, str], columns: Sequence[ColumnSpec]
) -> Operator:
    uses = [] if spec.operators == "auto" else spec.operators
    if isinstance(x, Nodes | Graphs):
        return _fit_inputs(x.rows() if isinstance(x, Nodes) else x.values, spec, catalog, columns)
    if isinstance(x, Sequences):
        return _fit(uses, x.values.reshape(len(x.values), -1), catalog, where="data.operators")
    if not isinstance(x, Frame):
        own = (
            columns[0].operators if columns else []
        )  # of a table that is read in parts: numbers, treated alike
        assert own != "auto"
        return _fit([*own, *uses], x, catalog, where="data.operators")
    alike = _alike(x, columns)
    if alike is not None:
        return _fit([*alike, *uses], x.matrix(), catalog, where="data.operators")
    of: dict[str, Operator] = {}
    for number, column in enumerate(columns):
        if column.role == "feature":
            assert column.operators != "auto"
            where = f"data.columns.{number}.operators"
            of[column.name] = Sequential(tuple(_build(column.operators, catalog, where=where)))
    try:
        side = Columns(of).fit(x.columns)
    except DataError as error:
        raise DataError(f"data.columns: in the train split, {error}") from error
    matrix = _fit(uses, side(x.columns), catalog, where="data.operators") if uses else Sequential()
    return side | matrix if uses else side


def _alike(x: Frame, columns: Sequence[ColumnSpec]) -> list[Use] | None:
    """Gives the operators of all columns if they are numbers that are treated alike: they are one matrix then."""
    used = [one for one in columns if one.role == "feature"]
    if not used and all(one.dtype.kind == "f" for one in x.columns.values()):
        return []
    if {one.kind for one in used} != {"numeric"} or any(is_blank(one).any() for one in x.columns.values()):
        return None
    first = used[0].operators
    assert first != "auto"
    return first if all(one.operators == first for one in used) and len(first) <= 1 else None


def _begins_with_columns(op: Operator) -> bool:
    return isinstance(op, Sequential) and bool(op.steps) and isinstance(op.steps[0], Columns)


def _fit(uses: Sequence[Use], x: Array, catalog: Mapping[str, str], *, where: str) -> Operator:
    steps: list[Operator] = []
    for number, made in enumerate(_build(uses, catalog, where=where)):
        at = f"{where}.{number}"
        try:
            steps.append(fit_rows(made, x))
            before, x = len(x), encode_rows(x, steps[-1])
        except DataError as error:
            raise DataError(f"{at}: {error}") from error
        if len(x) != before:
            raise DataError(
                f"{at}: {uses[number].use} made {len(x)} records of {before}; an operator keeps their number"
            )
    return Sequential(tuple(steps))


def _build(uses: Sequence[Use], catalog: Mapping[str, str], *, where: str) -> list[Operator]:
    """Makes operators that are not fitted yet."""
    made = []
    for number, use in enumerate(uses):
        at = f"{where}.{number}"
        kind: Any = None if is_of_python(use.use) else find(use.use, catalog, where=at)
        if not (isinstance(kind, type) and issubclass(kind, Operator)):
            raise SpecError(f"{at}.use: {use.use!r} is not an operator (trainwright.ops.operator:Operator)")
        made.append(build(use, catalog, where=at))
    return made


def _fit_classes(dataset: Dataset, y: Array) -> Operator:
    if dataset.task_type == "multi_label":
        target = dataset.target
        several = [f"{target}[{number}]" for number in range(y.shape[1])]
        return MultiLabels(tuple(several if isinstance(target, str) else target)).fit(y)
    if dataset.task_type == "embedding" and (y == NO_CLASS).all():
        return Sequential()
    if dataset.task_type == "classification" and y.ndim == 2:
        return SoftLabels(_classes_of(dataset.target, y.shape[1])).fit(y)
    return Labels().fit(y.reshape(-1))


def _classes_of(target: str | tuple[str, ...], count: int) -> tuple[Any, ...]:
    """Names the classes of columns of probabilities: `p(cat)`, as a model writes it, is that of `cat`."""
    if isinstance(target, str):
        return tuple(range(count))
    inner = [re.fullmatch(r"p\((.+)\)", name) for name in target]
    return tuple(target) if None in inner else tuple(found[1] for found in inner if found)


def _number_classes(labels: Operator, y: Array) -> Array:
    if y.ndim == 1:
        known = labels.values if isinstance(labels, Labels) else None
        return labels(y if known is None else spell_classes(y, like=np.array(known)))
    try:
        return labels(y.reshape(-1)).reshape(y.shape)
    except DataError as error:
        raise DataError(f"the target, whose pixels are counted over all records: {error}") from error


def _matrix(y: Array) -> Array:
    return y.reshape(-1, 1) if y.ndim == 1 else y


def _to_float32(values: Array, what: str, *, first: int = 0) -> NDArray[np.float32]:
    if values.dtype.kind not in "biuf":
        raise DataError(f"the {what}s are {values.dtype} after preprocessing, not numbers")
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(values.astype(np.float32))
    good = np.isfinite(numbers)
    if not good.all():
        odd = tuple(np.argwhere(~good)[0].tolist())
        raise DataError(
            f"the {what}s of record {first + odd[0]} hold {values[odd]}, which float32 cannot hold or a model "
            "cannot learn from; scale or remove it"
        )
    return numbers
