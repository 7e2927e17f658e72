"""What a version needs besides its weights, and the predictor that is made of both."""

from collections.abc import Mapping
from typing import Any

from trainwright.backends import CATALOG as BACKENDS
from trainwright.backends.equinox.threads import threads_in_force
from trainwright.backends.keras.engine import threads_of_tensorflow
from trainwright.base.errors import BackendError, SpecError
from trainwright.base.extras import installed
from trainwright.base.tree import Array
from trainwright.building import lay_out
from trainwright.data.graph import EncodedGraph
from trainwright.data.inputs import InputSchema
from trainwright.data.prepare import Preparation
from trainwright.models.gnn import graph_constants
from trainwright.spec.build import find
from trainwright.spec.model import ModelSpec
from trainwright.spec.resolve import EXTRA, LACKING, REQUIRED, SERVED_BY
from trainwright.train.learner import Predictor, Resolved


def describe(
    model: ModelSpec,
    preparation: Preparation,
    schema: InputSchema,
    *,
    output: str,
    loss: str,
    backend: str,
    run_on: Resolved,
    graph: EncodedGraph | None = None,
) -> dict[str, Any]:
    """Writes down all that a version needs besides its weights, as a tree."""
    edges: dict[str, Any] = {}
    if schema.graph is not None:
        edges["graph"] = {"spec": schema.graph.tree(), "arrays": None if graph is None else graph.tree()}
    return edges | {
        "format": 1,
        "model": model.tree(),
        "preparation": preparation.spec,
        "features": schema.features,
        "shape": list(schema.shape),
        "target": schema.target,
        "task_type": schema.task_type,
        "kinds": schema.kinds,
        "missing": schema.missing,
        "ragged": schema.ragged,
        "formats": schema.formats,
        "output": output,
        "loss": loss,
        "backend": backend,
        "threads": run_on.threads,
        "device": run_on.device,
    }


def served_by(description: Mapping[str, Any], backend: str) -> dict[str, Any]:
    """Gives the description of a model as another backend serves it; on the CPU where that is all the backend has.

    A model of `lightning` is one of `torch`.

    Args:
        description: From `describe`.
        backend: Its name.

    Raises:
        SpecError: If there is no such backend.
        BackendError: If it is not installed, or has not such a model.
    """
    if backend not in REQUIRED:
        raise SpecError(f"backend: there is no {backend!r}, only {', '.join(REQUIRED)}")
    if not all(installed(package) for package in REQUIRED[backend]):
        raise BackendError(
            f"backend: {backend} is not installed: pip install 'trainwright[{EXTRA[backend]}]'"
        )
    lacks = LACKING.get(backend, {})
    architecture = description["model"]["architecture"]
    if architecture in lacks.get("model.architecture", ()):
        raise BackendError(f"backend: {backend} has no {architecture!r}; name another backend")
    backend = SERVED_BY.get(backend, backend)
    cpu_only = description["device"] in lacks.get("train.device", ())
    bound = None
    if "jax" in REQUIRED[backend]:
        bound = threads_in_force()
    elif "tensorflow" in REQUIRED[backend]:
        bound = threads_of_tensorflow()
    changes = {"backend": backend} | ({"device": "cpu"} if cpu_only else {})
    return {**description, **changes, "threads": bound or description["threads"]}


def graph_of(description: Mapping[str, Any]) -> EncodedGraph | None:
    """Gives the graph that lies with a model whose records are its nodes; None for any other model."""
    kept = description.get("graph")
    return None if kept is None or kept["arrays"] is None else EncodedGraph.from_tree(kept["arrays"])


def predictor_of(
    description: Mapping[str, Any], weights: Mapping[str, Array], *, graph: EncodedGraph | None
) -> Predictor:
    """Makes the network of a model, over a graph where its records are nodes of one."""
    run_on = Resolved(device=description["device"], threads=description["threads"])
    backend = find(description["backend"], BACKENDS, where="train.backend")()
    model = ModelSpec.model_validate(description["model"])
    constants = None if graph is None else graph_constants(graph, str(model.convolution))
    predictor: Predictor = backend.predictor(
        lay_out(
            model,
            backend=description["backend"],
            loss=description["loss"],
            constants=constants,
            threads=run_on.threads,
        ),
        weights,
        output=description["output"],
        run_on=run_on,
        head=model.head,
        quantiles=model.quantiles or (),
        # The description of a model from before there were mixtures does not say.
        components=None if model.components == "auto" else model.components,
    )
    return predictor
