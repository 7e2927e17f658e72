"""What the data and the machine say, gathered for the decisions of a spec."""

from collections.abc import Sequence

from trainwright.backends.equinox.threads import threads_in_force
from trainwright.backends.keras.engine import engine_wished, threads_of_tensorflow
from trainwright.backends.torch.driver import cuda_is_there
from trainwright.base.errors import DataError
from trainwright.base.extras import installed
from trainwright.base.tree import Array
from trainwright.data.balance import balance_classes, balance_labels
from trainwright.data.check import NO_CLASS
from trainwright.data.dataset import Dataset, Features, Records
from trainwright.data.encoding import settle_columns
from trainwright.data.frame import Frame
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.lazy import is_lazy
from trainwright.data.prepare import Preparation
from trainwright.data.sequences import Sequences
from trainwright.ops.columns import Columns
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.ops.softlabels import SoftLabels
from trainwright.spec.data import ColumnSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.fitting import parts_of
from trainwright.spec.resolve import REQUIRED, Facts


def gather_facts(
    experiment: Experiment,
    dataset: Dataset,
    *,
    preparation: Preparation,
    train: Records,
    columns: Sequence[ColumnSpec],
    node_features: int | None = None,
) -> Facts:
    """Gathers what `resolve` needs to know.

    Args:
        experiment: As the user wrote it.
        dataset: Opened.
        preparation: Fitted on train.
        train: The train split, encoded.
        columns: Of a table, decided.
        node_features: Of each node after preprocessing, where there are edges.
    """
    y = train.y
    assert y is not None
    x = dataset.records.x
    return Facts(
        input_shape=train.x.shape[1:],
        output_shape=preparation.output_shape(y),
        task_type=dataset.task_type,
        content_digest=dataset.content_digest,
        features=list(dataset.features) if dataset.features is not None else _array_name(experiment),
        target=None if experiment.data.target is None else named(dataset.target),
        columns=columns,
        integers=preparation.vocabulary_size is not None,
        ragged=isinstance(dataset.records.x, Sequences) and preparation.vocabulary_size is None,
        vocabulary_size=preparation.vocabulary_size,
        categories=_categories(preparation, columns),
        installed=tuple(name for name, needs in REQUIRED.items() if all(installed(one) for one in needs)),
        threads=_bound_threads(),
        cuda=installed("torch") and cuda_is_there(),
        soft=isinstance(preparation.targets, SoftLabels),
        class_weights=_balanced(experiment, preparation, y),
        has_target=not (y == NO_CLASS).all(),
        in_memory=not is_lazy(x),
        keras=engine_wished(),
        graph=_kind(x, experiment),
        node_features=node_features,
    )


def _kind(x: Features, experiment: Experiment) -> str | None:
    """Says what a record is where there are edges."""
    if isinstance(x, Graphs):
        return "graph"
    if not isinstance(x, Nodes):
        return None
    if x.numbers.ndim == 1:
        return "node"
    directed = experiment.data.graph is not None and experiment.data.graph.directed
    return "arrow" if directed else "pair"


def holds_tokens(experiment: Experiment, dataset: Dataset) -> bool:
    """Says whether an array of integers holds token ids: a transformer takes rows of integers for them."""
    x, model = dataset.records.x, experiment.model
    if model.architecture != "transformer" or model.input not in ("auto", "tokens"):
        return False
    if isinstance(x, Sequences):
        whole = x.tokens
    else:
        whole = not isinstance(x, Frame | Nodes | Graphs) and len(x.shape) == 2 and x.dtype.kind in "iu"
    if whole and is_lazy(x):
        raise DataError("data.in_memory: token ids are read whole; write in_memory: true")
    if not whole and (model.input == "tokens" or said_vocabulary(experiment) is not None):
        raise DataError(
            "data.features: token ids are an array of integers, shape (records, length), or lists of them; these are "
            "not: save them so, or leave out model.input and model.vocabulary_size"
        )
    return whole


def said_vocabulary(experiment: Experiment) -> int | None:
    """Gives the number of token ids that the spec names, if it does."""
    said = experiment.model.vocabulary_size
    return said if isinstance(said, int) else None


def decide_columns(experiment: Experiment, dataset: Dataset) -> list[ColumnSpec]:
    """Decides what each column of a table is; there are none of an array."""
    if dataset.schema is None or dataset.features is None:
        return []
    tokens = experiment.model.architecture == "transformer"
    return settle_columns(experiment.data, dataset.schema, dataset.features, tokens=tokens)


def _categories(preparation: Preparation, columns: Sequence[ColumnSpec]) -> list[int] | None:
    """Gives the number of categories of each input of a table, 0 for a number."""
    side = preparation.inputs
    if not columns or not isinstance(side, Columns):
        return None
    return list(side.categories)


def _balanced(experiment: Experiment, preparation: Preparation, y: Array) -> list[float]:
    """Gives balanced weights of classes where they are asked for."""
    asked = [getattr(one, "class_weights", None) for one in parts_of(experiment.train.loss)]
    if "balanced" not in asked:
        return []
    if isinstance(preparation.targets, MultiLabels):
        return balance_labels(y, preparation.targets.names)
    if not isinstance(preparation.targets, Labels | SoftLabels):
        return []  # quantities have no classes; that the loss does not go with them is said when the spec is decided
    shape = preparation.output_shape(y)
    assert shape is not None
    return balance_classes(y, shape[0])


def named(target: str | tuple[str, ...]) -> str | list[str]:
    """Gives the name of the target, or those of its columns, as plain values."""
    return list(target) if isinstance(target, tuple) else target


def _array_name(experiment: Experiment) -> str:
    features = experiment.data.features
    return "x" if features == "auto" or isinstance(features, list) else features


def _bound_threads() -> dict[str, int]:
    jax, tensorflow = threads_in_force(), threads_of_tensorflow()
    bound = {"equinox": jax, "keras-jax": jax, "keras-tensorflow": tensorflow}
    return {backend: threads for backend, threads in bound.items() if threads is not None}
