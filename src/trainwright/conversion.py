"""A version for another backend: the same weights under the same preprocessing, as a model of its own."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import BackendError, SpecError, StoreError
from trainwright.base.extras import installed
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.graph import Graphs, make_arrows, pad_graphs
from trainwright.predictor import graph_of, predictor_of, served_by
from trainwright.provenance import describe_environment
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.resolve import REQUIRED
from trainwright.store.lineage import CONVERTED
from trainwright.store.records import Snapshot, VersionRow
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

PROBES = 64  # records on which both backends are compared
TOLERANCE = 1e-5  # of the largest output
DIFFERENCE = "conversion/difference"  # the score that the run keeps


@dataclass(frozen=True, slots=True)
class Converted:
    """What a conversion left behind.

    Args:
        run: Its id.
        version: The version that has the weights.
        source: The version they came from, as `name@number`.
        difference: The largest difference of an output over the largest output; None where the backend that trained
            it is not installed, so that nothing could be compared.
    """

    run: str
    version: VersionRow
    source: str
    difference: float | None


def convert_model(
    ref: str, *, backend: str, name: str | None = None, home: Path | str | None = None
) -> Converted:
    """Makes a version for another backend, and compares both on drawn records first.

    It is the only version of a run of its own, whose parent is the version it came from. It has its metrics, which
    are those of the same weights, and no state: only the backend that trained it can go on from there.

    Args:
        ref: Of the version, such as `name@best`.
        backend: That will serve it.
        name: Of the model; that of the source, a hyphen and the backend unless given.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.

    Raises:
        StoreError: If there is no such version, its objects are damaged, or it is an ensemble.
        SpecError: If there is no such backend, or it is that of the version or another engine of Keras, or the name is
            not allowed.
        BackendError: If the backend is not installed, or its outputs are not the same.
    """
    store = Store.open(home_of(home), create=False)
    registry = Registry(store)
    version = registry.resolve(ref)
    members = [f"{one.model}@{one.number}" for one in registry.members(version)]
    if members:
        raise StoreError(
            f"{ref} is an ensemble: load_model and predict take a backend for all its members; else convert each of "
            f"{', '.join(members)}"
        )
    before = registry.run(version.run)
    source, weights = f"{version.model}@{version.number}", registry.weights(version)
    old: Any = registry.operator(version)
    new = served_by(old, backend)
    backend = new["backend"]
    if old["backend"] == backend:
        raise SpecError(f"backend: {source} is a model of {backend} already; name another backend")
    if old["backend"].startswith("keras-") and backend.startswith("keras-"):
        raise SpecError(
            f"backend: {source} is a model of {old['backend']}, and a process runs Keras on one engine, so that they "
            f"cannot be compared; load_model and predict take {backend} for it as it is"
        )
    difference = _compare(old, new, weights, source=source)
    changes = {
        "name": name or f"{version.model}-{backend}",
        "train.backend": backend,
        "train.device": new["device"],
        "train.threads": new["threads"],
    }
    spec = edit(Experiment.model_validate(registry.spec(before)), changes)
    run = LocalRun.begin(
        store,
        name=spec.name,
        resolved=spec,
        folder=before.folder,
        seed=before.seed,
        backend=backend,
        dataset=before.dataset,
        operator=new,
        environment=describe_environment(Path(before.folder), experiment=spec),
        best=(before.best_metric, before.best_mode),
        parent=version,
    )
    try:
        run.edge("used", CONVERTED, target=source)
        if difference is None:
            run.warn(
                f"{old['backend']} is not installed: its outputs and those of {backend} were not compared"
            )
        else:
            run.artifact(DIFFERENCE, difference)
        reason = f"converted from {source} ({old['backend']})"
        made = run.save(
            Snapshot(version.step, version.epoch, weights, None, version.metrics, reason=reason)
        ).wait()
        run.finish("done", reason, final=made)
    except BaseException as error:
        run.finish("failed", f"{type(error).__name__}: {error}")
        raise
    return Converted(run.id, made, source, difference)


def draw_probes(model: ModelSpec, *, count: int = PROBES, nodes: int | None = None) -> Array:
    """Draws records such as a network takes, after any preprocessing: normal numbers, ids, categories, masks, graphs.

    Args:
        model: Decided.
        count: How many; those with a mask have all lengths.
        nodes: Of the one graph of whose nodes the records are numbers.

    Returns:
        Shape `(count, *input_shape)`, float32; numbers of nodes are int32.
    """
    numbers = np.random.default_rng(0)
    shape: Any = model.input_shape
    if nodes is not None:
        return numbers.integers(0, nodes, (count, *shape), dtype=np.int32)
    if model.input == "graph":
        return _draw_graphs(model, numbers, count)
    ids: Any = model.vocabulary_size
    categories: Any = model.categories or []
    x = numbers.normal(size=(count, *shape))
    if model.input == "tokens":
        x = numbers.integers(1, ids, size=x.shape).astype(np.float64)
    for column, size in enumerate(categories):
        if size:
            x[:, column] = numbers.integers(0, size, count)
    if model.ragged:
        lengths = np.linspace(1, shape[1], count).astype(np.int64)
        x[:, -1] = np.arange(shape[1]) < lengths[:, None]
        x *= x[:, -1:]
    return x.astype(np.float32)


def _draw_graphs(model: ModelSpec, numbers: np.random.Generator, count: int) -> Array:
    """Draws graphs of 1 to as many nodes as a record has room for, about as many edges each."""
    shape: Any = model.input_shape
    largest, features = shape[0], int(model.node_features or 0)
    nodes = 1 + np.arange(count) % largest
    drawn = [make_arrows(numbers.integers(0, size, (size // 2, 2)), int(size)) for size in nodes]
    values = numbers.normal(size=(nodes.sum(), features))
    graphs = Graphs(values, nodes, np.concatenate(drawn), np.array([len(one) for one in drawn]))
    slots = (shape[1] - features - 1) // 2
    return pad_graphs(graphs, values, largest=largest, slots=slots)


def _compare(
    old: dict[str, Any], new: dict[str, Any], weights: dict[str, Array], *, source: str
) -> float | None:
    """Gives the largest difference of two backends' outputs over the largest output, if both are there."""
    theirs = _outputs(new, weights)
    if not all(installed(package) for package in REQUIRED[old["backend"]]):
        return None
    ours = _outputs(served_by(old, old["backend"]), weights)
    largest = 0.0
    for name, array in ours.items():
        exact = array.astype(np.float64)
        scale = max(float(np.abs(exact).max()), 1e-30)
        largest = max(largest, float(np.abs(exact - theirs[name].astype(np.float64)).max()) / scale)
    if not largest <= TOLERANCE:
        raise BackendError(
            f"{source}: the outputs of {new['backend']} differ from those of {old['backend']} by {largest:.1e} of the "
            "largest; nothing was written"
        )
    return largest


def _outputs(description: dict[str, Any], weights: dict[str, Array]) -> dict[str, Array]:
    graph = graph_of(description)
    model = ModelSpec.model_validate(description["model"])
    probes = draw_probes(model, nodes=None if graph is None else len(graph.features))
    return predictor_of(description, weights, graph=graph)(probes)
