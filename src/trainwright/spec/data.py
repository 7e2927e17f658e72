"""What a user says about data: where it lies, which columns, which splits, which preprocessing."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from trainwright.spec.part import Auto, Broken, Name, Part, Rule, Use

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


BY = ("grouped", "grouped_kfold", "time", "column")
KFOLD = ("kfold", "stratified_kfold", "grouped_kfold")
VAL = 0.1
REST = "rest"


def _given_names_records(split: Any) -> Iterator[Broken]:
    if split.method != "given":
        return
    for name in ("train", "val", "test"):
        value = getattr(split, name)
        if value in (None, []) or (isinstance(value, float | int) and (name != "test" or value != 0)):
            found = "it is missing" if value is None else f"{value!r} names no records"
            yield Broken(
                (name,), f"{found}; with method 'given', write record numbers or an .npy file of them"
            )
        elif name != "train" and value == REST:
            yield Broken(
                (name,), "'rest' is for train, the records of no other split; name those of this one"
            )


def _fractions_name_no_records(split: Any) -> Iterator[Broken]:
    if split.method == "given":
        return
    for name in ("train", "val", "test"):
        if isinstance(getattr(split, name), list | str):
            cure = (
                "write a fraction, or method: given"
                if name != "train"
                else "leave it out, or write method: given"
            )
            yield Broken((name,), f"it names records, but method {split.method!r} draws them; {cure}")


def _fractions_leave_train(split: Any) -> Iterator[Broken]:
    fractions = [value for value in (split.val, split.test) if isinstance(value, float | int)]
    if split.method not in ("given", "column", *KFOLD) and sum(fractions) >= 1:
        yield Broken(
            ("val",), f"val and test together take {sum(fractions):g} of the records; leave some for train"
        )


def _by_belongs_to_its_methods(split: Any) -> Iterator[Broken]:
    if split.method in BY and split.by is None:
        yield Broken(("by",), f"method {split.method!r} goes by a column or array; name it")
    if split.method not in BY and split.by is not None:
        yield Broken(
            ("by",), f"method {split.method!r} goes by no column; leave it out, or use {_listed(BY)}"
        )


def _folds_belong_to_kfold(split: Any) -> Iterator[Broken]:
    if split.method in KFOLD and split.folds is None:
        text = f"it is missing; with method {split.method!r}, say how many folds there are"
        yield Broken(("folds",), text)
    for name in ("folds", "fold"):
        value = getattr(split, name)
        if split.method not in KFOLD and value is not None:
            cure = f"leave it out, or use {_listed(KFOLD)}"
            yield Broken((name,), f"method {split.method!r} has no folds; {cure}")
    known = split.method in KFOLD and isinstance(split.folds, int) and isinstance(split.fold, int)
    if known and split.fold >= split.folds:
        yield Broken(
            ("fold",), f"there are {split.folds} folds, counted from 0; {split.fold} is none of them"
        )


def _nothing_else_sizes_val(split: Any) -> Iterator[Broken]:
    # A written default cannot be told from one that is left out: a resolved spec holds every field.
    if split.method in (*KFOLD, "column") and isinstance(split.val, float) and split.val != VAL:
        what = "a fold" if split.method in KFOLD else f"what column {split.by!r} says"
        yield Broken(("val",), f"with method {split.method!r} val is {what}; leave the fraction out")
    if split.method == "column" and isinstance(split.test, float) and split.test != 0:
        yield Broken(("test",), f"with method 'column' test is what column {split.by!r} says; leave it out")


def _listed(methods: tuple[str, ...]) -> str:
    return f"method {', '.join(methods[:-1])} or {methods[-1]}"


def _splits_are_disjoint(split: Any) -> Iterator[Broken]:
    owners: dict[int, str] = {}
    for name in ("train", "val", "test"):
        value = getattr(split, name)
        for number, record in enumerate(value if isinstance(value, list) else ()):
            if record < 0:
                yield Broken((name, number), f"{record} is no record number; they count from 0")
            elif record in owners:
                yield Broken((name, number), f"record {record} is in {owners[record]} already; name it once")
            owners.setdefault(record, name)


def _test_records_lie_apart(test: Any) -> Iterator[Broken]:
    if test.path is None and test.features is None:
        yield Broken((), "it names no records of its own; give path, or the name of their features")


def _one_source(data: Any) -> Iterator[Broken]:
    given = [name for name in ("path", "dataset", "inline") if getattr(data, name) is not None]
    for name in given[1:]:
        yield Broken((name,), f"{given[0]} is given too; keep one of the two")
    if not given:
        yield Broken((), "it names no records; give path (a file) or dataset (a registered one)")


def _one_test_split(data: Any) -> Iterator[Broken]:
    if data.test is not None and data.split.test != 0:
        yield Broken(("split", "test"), "data.test brings its own test records; keep one of the two")


def _digest_is_sha256(data: Any) -> Iterator[Broken]:
    if data.digest is not None and not re.fullmatch("[0-9a-f]{64}", data.digest):
        yield Broken(("digest",), "it is not a SHA-256 digest: 64 of the characters 0-9 and a-f")


class SplitSpec(Part):
    """How records become train, val and test.

    Args:
        method: `random`; `stratified` (each class, or each tenth of a real target, is split alike); `grouped`
            (records with one value of `by` stay together); `time` (the latest by `by` are test, those before
            them val); `column` (`by` holds the words train, val and test; a blank is in no split); `given`
            (the fields train, val and test name the records); `kfold`, `stratified_kfold`, `grouped_kfold`
            (val is one of `folds` equal parts, so that a study over `fold` is a cross-validation).
        val: With `given`, record numbers, an .npy file of them, or the name of an array of the same .npz file that
            holds them or is true where they are; otherwise a fraction of the records that
            are not in the test split. The k-fold methods and `column` have no use for it.
        test: As `val`; a fraction is one of all records. Leave it out when `data.test` brings its own.
        train: Only with `given`: as `val`, or `rest`: all records that are in no other split.
        seed: Of the shuffle; apart from the experiment's seed, so that repeats share their splits.
        by: Name of the column or array (.npy: of the file) that `grouped`, `grouped_kfold`, `time` and `column`
            go by; `features: auto` leaves it out.
        folds: How many folds, with the k-fold methods.
        fold: Which of them is val, counted from 0; it may be left out where all are trained, by `ensemble: folds`.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        _given_names_records,
        _fractions_name_no_records,
        _fractions_leave_train,
        _splits_are_disjoint,
        _by_belongs_to_its_methods,
        _folds_belong_to_kfold,
        _nothing_else_sizes_val,
    )

    method: Literal[
        "random",
        "stratified",
        "grouped",
        "time",
        "column",
        "given",
        "kfold",
        "stratified_kfold",
        "grouped_kfold",
    ] = "random"
    train: list[int] | str | None = None
    val: Fraction | list[int] | str = VAL
    test: Fraction | list[int] | str = 0.0
    seed: int = 0
    by: str | None = None
    folds: Annotated[int, Field(ge=2)] | None = None
    fold: Annotated[int, Field(ge=0)] | None = None


class TestRecords(Part):
    """Test records that come apart from the others.

    Args:
        path: Their file; left out when they lie in the same .npz file.
        features: Name of the array or columns; left out when it is as in `data`.
        target: Name of the array or column; left out when it is as in `data`.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_test_records_lie_apart,)

    path: str | None = None
    features: str | list[str] | None = None
    target: str | None = None


def _two_ends(graph: Any) -> Iterator[Broken]:
    if graph.ends is not None and (len(graph.ends) != 2 or graph.ends[0] == graph.ends[1]):
        yield Broken(("ends",), "an edge has two ends; write the names of two columns")


def _one_kind_of_record(graph: Any) -> Iterator[Broken]:
    if graph.pairs is not None and graph.graphs is not None:
        yield Broken(
            ("pairs",), "with `graphs` each graph is a record, with `pairs` each pair; keep one of the two"
        )


class GraphSpec(Part):
    """Edges between nodes: the records are the nodes of one graph, or each record is a graph of its own.

    Pairs that are there twice count once, and a pair of a node with itself is left out.

    Args:
        edges: .npz: name of the array of pairs of node numbers, shape `(edges, 2)`, counted from 0 over all graphs.
            Tables: another table beside that of the nodes, with a row for each edge.
        ends: Tables: the two columns of `edges` that name the nodes; its first two unless given.
        nodes: Tables: the column that names each node as `edges` does; left out, nodes are named by their row, from 0.
        graphs: The array or column that says of each node which graph it belongs to; .npz: numbers from 0. Each graph
            is then a record: arrays of target, weight and id hold one value per graph, and columns the same value in
            all its rows. Left out, each node is a record.
        pairs: Where each record is a pair of nodes: .npz: name of the array of pairs, shape `(records, 2)`; tables:
            another table beside that of the nodes, with `ends` and a row for each record, whose columns are the target,
            weight and id. They need not be edges, and edges that tell the answer must not be among `edges`.
        directed: Whether an edge leads from its first node to its second only, and whether the order of the two nodes
            of a record counts. Otherwise edges lead both ways.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_two_ends, _one_kind_of_record)

    edges: str = "edges"
    ends: list[str] | None = None
    nodes: str | None = None
    graphs: str | None = None
    pairs: str | None = None
    directed: bool = False


def _columns_once(data: Any) -> Iterator[Broken]:
    for number, column in enumerate(data.columns):
        if column.name in [one.name for one in data.columns[:number]]:
            yield Broken(("columns", number, "name"), f"{column.name!r} is described twice")


def _two_sides(data: Any) -> Iterator[Broken]:
    if data.image_size is not None and len(data.image_size) != 2:
        yield Broken(("image_size",), f"it has {len(data.image_size)} numbers; write [height, width]")


def _only_dates_have_a_format(column: Any) -> Iterator[Broken]:
    if column.format != "auto" and column.kind not in ("auto", "datetime"):
        yield Broken(
            ("format",),
            f"it says how dates are written, but the kind is {column.kind!r}; leave one of the two out",
        )


class ColumnSpec(Part):
    """What a column of a table is, where the guess by its values is wrong.

    Args:
        name: Of the column.
        role: `feature`; `ignore`: the model does not see it; `auto`: by its values, names of records and constants
            are no features. Target, weight and id are named by `data.target`, `data.weight` and `data.id`.
        kind: `numeric`; `categorical`: its values are names of groups; `boolean`: yes or no; `datetime`; `text`: names
            of records, or free text; `auto`: by its values.
        operators: Preprocessing of the column, fitted on train only, instead of what its kind asks for.
        format: How its dates are written, where the values do not tell: `01/02/2024` may be of January or February.
            Dates as in ISO 8601 are taken besides. `auto` goes by the values.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_only_dates_have_a_format,)

    name: str
    role: Literal["feature", "ignore"] | Auto = "auto"
    kind: Literal["numeric", "categorical", "boolean", "datetime", "text"] | Auto = "auto"
    operators: list[Use] | Auto = "auto"
    format: (
        Literal["ISO 8601", "DD.MM.YYYY", "DD/MM/YYYY", "MM/DD/YYYY", "YYYY/MM/DD", "DD Mon YYYY"] | Auto
    ) = "auto"


class DataSpec(Part):
    """Which records, and what is done to them before the model sees them.

    Args:
        path: A .npz, .npy, .csv, .tsv, .parquet, .arrow or .feather file, or a folder of images with a folder for each
            class (or with the folders `images` and `masks`), relative to the experiment file; or a set that comes with
            scikit-learn, such as `sklearn:iris`.
        dataset: Instead of `path`: the name of a registered dataset.
        inline: Instead of `path`: a small table written out, a list of values for each column.
        features: .npz: name of the array (`x`). Tables: columns; `auto` takes all that have no other role.
        target: .npz: name of the array (`y`). .npy: the file of targets. Tables: the column, or the list of
            columns of a regression with several outputs, of labels that go together, or of the probabilities of
            classes. Null: there is none, for an embedding that learns from the records alone.
        weight: Name of an array or column of non-negative record weights.
        id: Name of an array or column that names records.
        test: Test records that come apart.
        in_memory: Whether the features are read whole. `false` leaves them in their file (.npy, uncompressed
            .npz, .parquet) and reads each batch from there; `auto` does so when they would take more than a
            quarter of the machine's memory. The weights do not depend on it.
        digest: The content digest the data must have; a mismatch is an error.
        split: How records become train, val and test.
        graph: Edges between the nodes whose features these are, for `model.architecture: gnn`.
        columns: Tables: what columns are, where the guess by their values is wrong.
        missing: Tables: what becomes of records without a value. `error`: refused; `impute`: filled in by the
            operators of their columns, and left out where the target has none; `drop`: left out.
        delimiter: CSV: what separates the cells; `auto` goes by the first lines.
        decimal: CSV: the decimal mark of numbers; `auto` goes by the values.
        max_length: Sequences of different lengths: longer ones lose their end; left out, none does.
        image_size: Folders of images: height and width to which they are resized; left out, they have one size.
        color: Folders of images: one channel (`gray`) or three (`rgb`); `auto` goes by the images.
        operators: Preprocessing of the features, fitted on train only. `auto`: of tables, what the kind of each column
            asks for (`Standardize` of numbers, `OneHot` of categories, `DateParts` of dates); of arrays, none. With a
            list, numbers of a table reach these operators as they are.
        augment: Random changes of the features in training, made anew in each epoch, such as `HorizontalFlip`.
        target_operators: Preprocessing of a regression target, fitted on train only, inverted at prediction.
    """

    rules: ClassVar[tuple[Rule, ...]] = (
        _one_source,
        _one_test_split,
        _digest_is_sha256,
        _columns_once,
        _two_sides,
    )

    path: str | None = None
    dataset: Name | None = None
    inline: dict[str, list[Any]] | None = None
    features: str | list[str] = "auto"
    target: str | list[str] | Auto | None = "auto"
    weight: str | None = None
    id: str | None = None
    test: TestRecords | None = None
    in_memory: bool | Auto = "auto"
    digest: str | None = None
    split: SplitSpec = SplitSpec()
    graph: GraphSpec | None = None
    columns: list[ColumnSpec] = Field(default=[])
    missing: Literal["error", "impute", "drop"] = "error"
    delimiter: Literal[",", ";", "\t", "|"] | Auto = "auto"
    decimal: Literal[".", ","] | Auto = "auto"
    image_size: list[Annotated[int, Field(ge=1)]] | None = None
    color: Literal["gray", "rgb"] | Auto = "auto"
    max_length: Annotated[int, Field(ge=1)] | None = None
    operators: list[Use] | Auto = "auto"
    augment: list[Use] = Field(default=[])
    target_operators: list[Use] = Field(default=[])
