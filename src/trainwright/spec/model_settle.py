"""Decides every `auto` of a model, by the shapes of the data and the preset."""

import math
from collections.abc import Sequence
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.spec.faults import find_faults
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_rules import PLAIN, is_given
from trainwright.spec.presets import PRESETS

MOST_CHANNELS = 16  # two axes whose first is at most this long are (channels, length), otherwise an image
MOST_TOKENS = 64  # that an automatic patch size leaves
MOST_HEADS = 8  # that a graph network has by itself
EMBEDDING_DIM = 16
LEVELS = (0.05, 0.5, 0.95)
COMPONENTS = 3


def settle_model(
    spec: ModelSpec,
    *,
    input_shape: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    integers: bool = False,
    ragged: bool = False,
    vocabulary_size: int | None = None,
    categories: Sequence[int] | None = None,
    task_type: str | None = None,
    graph: str | None = None,
    node_features: int | None = None,
) -> ModelSpec:
    """Decides every `auto` of a model; a decided spec comes back as it is.

    Args:
        spec: What the user wrote.
        input_shape: Of one record after preprocessing; without it, the spec's own.
        output_shape: Of one target as the network should give it: (classes,), (labels,), (targets,), or
            (classes or channels, *space) of a unet; without it, the spec's own `output_dim`.
        integers: Whether the records hold integers: a transformer takes one axis of them for token ids.
        ragged: Whether the last channel of the records is a mask.
        vocabulary_size: The largest token id of the data plus one.
        categories: For each column 0 if it is numeric, otherwise the number of its categories.
        task_type: What the data say; without it, the spec's own.
        graph: What a record is, `node`, `pair`, `arrow` or `graph`, where there are edges.
        node_features: Of each node, where there are edges.

    Raises:
        SpecError: If the spec contradicts the data, or the architecture does not fit; names `model.<field>`.

    Example:
        >>> spec = ModelSpec(architecture="transformer", input_shape=[3, 100], output_dim=2)
        >>> settled = settle_model(spec)
        >>> settled.input, settled.stem, settled.patch_size, settled.heads
        ('sequence', 'patch', 2, 2)
    """
    task = task_type or spec.task_type
    _check_against_data(spec, input_shape, output_shape, task=task)
    shape = _input_shape(spec, input_shape)
    ragged = ragged if spec.ragged == "auto" else spec.ragged
    kind = _graph_kind(spec, shape, graph) or _input_kind(spec, shape, integers=integers, ragged=ragged)
    tree = spec.tree() | {"task_type": task, "input_shape": shape, "input": kind, "ragged": ragged}
    tree |= {field: value for field, value in _preset(spec, ragged).items() if not is_given(tree[field])}
    if tree["activation"] == "auto":
        tree["activation"] = "gelu" if spec.architecture == "transformer" else "relu"
    if not is_given(tree["quantiles"]):
        tree["quantiles"] = list(LEVELS) if spec.head == "quantiles" else None
    if not is_given(tree["components"]):
        tree["components"] = COMPONENTS if spec.head == "mixture" else None
    tree["kernel_size"] = _kernel_size(spec, kind)
    tree |= _transformer_fields(spec, kind, shape, tree["hidden_dims"])
    tree["vocabulary_size"] = _vocabulary_size(spec, kind, vocabulary_size)
    tree["categories"] = _categories(spec, kind, shape, categories)
    tree |= _graph_fields(spec, kind, node_features, tree["hidden_dims"])
    tree |= _output(spec, task, kind, shape, output_shape)
    faults = find_faults(tree, ModelSpec)
    if faults:
        raise SpecError("\n".join(f"model.{fault}" for fault in faults))
    return ModelSpec.model_validate(tree)


def _check_against_data(
    spec: ModelSpec, input_shape: Sequence[int] | None, output_shape: Sequence[int] | None, *, task: str
) -> None:
    faults = []
    if input_shape is not None:
        shape = list(input_shape)
        if spec.input_shape not in ("auto", shape):
            faults.append(
                f"model.input_shape: {spec.input_shape} contradicts the data, whose records have shape {shape}"
            )
        if spec.input_dim not in (None, math.prod(shape)):
            features = f"whose records have {math.prod(shape)} features"
            faults.append(f"model.input_dim: {spec.input_dim} contradicts the data, {features}")
    if output_shape is not None and task != "embedding" and spec.output_dim not in ("auto", output_shape[0]):
        what = {"regression": "targets", "multi_label": "labels"}.get(task, "classes")
        faults.append(
            f"model.output_dim: {spec.output_dim} contradicts the data, which has {output_shape[0]} {what}"
        )
    if faults:
        raise SpecError("\n".join(f"{fault}; leave it out to take it from the data" for fault in faults))


def _input_shape(spec: ModelSpec, found: Sequence[int] | None) -> list[int]:
    if found is not None:
        return list(found)
    if spec.input_shape != "auto":
        return list(spec.input_shape)
    if spec.input_dim is not None:
        return [spec.input_dim]
    raise SpecError("model.input_shape: it is not known; give it, or let `resolve` take it from data")


def _preset(spec: ModelSpec, ragged: bool) -> dict[str, Any]:
    found = dict(PLAIN if spec.architecture == "own" else PRESETS[spec.architecture][spec.preset])
    if ragged and found["normalization"] == "batch":
        found["normalization"] = "layer"  # a batch's mean would count the padding
    return found


def _input_kind(spec: ModelSpec, shape: list[int], *, integers: bool, ragged: bool) -> str:
    axes = len(shape)
    if ragged and (axes != 2 or shape[0] < 2):
        text = f"ragged records have shape [channels + 1, length], their last channel the mask, not {shape}"
        raise SpecError(f"model.ragged: {text}; leave it out, or add the mask")
    if spec.input != "auto":
        fitting = {"tokens": (1,), "columns": (1,), "sequence": (1, 2), "image": (2, 3)}.get(spec.input)
        if fitting is not None and axes not in fitting:
            expected = " or ".join(map(str, fitting))
            raise SpecError(
                f"model.input: {spec.input!r} has {expected} axes, the records have shape {shape}; write auto"
            )
        return spec.input
    if spec.architecture == "mlp":
        return "vector"
    if ragged:
        return "sequence"
    if spec.architecture == "own":
        return "vector"  # of any shape: what it means is known by that code
    if axes > 3:
        text = f"architecture {spec.architecture!r} takes 1 to 3 axes, not {shape}"
        raise SpecError(f"model.input_shape: {text}; write architecture: mlp, or reshape the records")
    if axes == 1:
        if spec.architecture != "transformer":
            return "sequence"
        if any(is_given(one) for one in (spec.stem, spec.patch_size, spec.stride, spec.kernel_size)):
            return "sequence"
        return "tokens" if integers or is_given(spec.vocabulary_size) else "columns"
    return "sequence" if axes == 2 and shape[0] <= MOST_CHANNELS else "image"


def _graph_kind(spec: ModelSpec, shape: list[int], found: str | None) -> str | None:
    """Says whether a record of a gnn is a node or a graph; None for other architectures."""
    if spec.architecture != "gnn":
        return None
    if spec.input == "auto" and found is None:
        raise SpecError(
            "model.input: it is not known; write node or graph, or let `resolve` take it from data"
        )
    if found is not None and spec.input not in ("auto", found):
        text = f"{spec.input!r} contradicts the data, where each record is a {found}"
        raise SpecError(f"model.input: {text}; leave it out to take it from the data")
    kind = found or spec.input
    expected = {"node": [1], "pair": [2], "arrow": [2]}.get(kind)
    if (shape != expected) if expected is not None else len(shape) != 2:
        text = f"{kind!r} has {expected or 'two axes'}, the records have shape {shape}"
        raise SpecError(f"model.input_shape: {text}; leave it out to take it from the data")
    return kind


def _graph_fields(spec: ModelSpec, kind: str, found: int | None, widths: list[int]) -> dict[str, Any]:
    given: dict[str, Any] = {
        name: getattr(spec, name) for name in ("convolution", "pooling", "node_features")
    }
    if spec.architecture != "gnn":
        return {name: None if value == "auto" else value for name, value in given.items()}
    convolution = given["convolution"]
    if not is_given(convolution):
        convolution = "gin" if kind == "graph" else "gcn"
    pooling = given["pooling"] if is_given(given["pooling"]) else None
    if kind == "graph" and pooling is None:
        pooling = "sum" if convolution == "gin" else "mean"
    said = given["node_features"] if is_given(given["node_features"]) else None
    if said is None and found is None:
        raise SpecError("model.node_features: it is not known; give it, or let `resolve` take it from data")
    if said is not None and found is not None and said != found:
        text = f"{said} contradicts the data, whose nodes have {found} features"
        raise SpecError(f"model.node_features: {text}; leave it out to take it from the data")
    heads = spec.heads if is_given(spec.heads) else None
    if convolution == "gat" and heads is None:
        heads = max(n for n in range(1, MOST_HEADS + 1) if all(width % n == 0 for width in widths))
    return {
        "convolution": convolution,
        "pooling": pooling,
        "node_features": said or found,
        "heads": heads,
    }


def _space(kind: str, shape: list[int]) -> list[int]:
    return shape[-1:] if kind == "sequence" else shape[-2:]


def _kernel_size(spec: ModelSpec, kind: str) -> int | None:
    if spec.architecture == "transformer":
        stem = _stem(spec, kind)
        if is_given(spec.kernel_size) or stem != "convolution":
            return spec.kernel_size if spec.kernel_size != "auto" else None
        return 5
    if spec.architecture in ("mlp", "gnn", "own"):
        return spec.kernel_size if spec.kernel_size != "auto" else None
    return 3 if spec.kernel_size in (None, "auto") else spec.kernel_size  # type: ignore[return-value]


def _stem(spec: ModelSpec, kind: str) -> str | None:
    if spec.stem not in (None, "auto"):
        return spec.stem
    if spec.architecture != "transformer" or kind not in ("sequence", "image"):
        return None
    return "convolution" if is_given(spec.kernel_size) or is_given(spec.stride) else "patch"


def _transformer_fields(spec: ModelSpec, kind: str, shape: list[int], widths: list[int]) -> dict[str, Any]:
    fields = ("stem", "patch_size", "stride", "heads", "feedforward_factor")
    given: dict[str, Any] = {name: getattr(spec, name) for name in fields}
    found: dict[str, Any] = {name: None if value == "auto" else value for name, value in given.items()}
    if spec.architecture != "transformer":
        return found
    found["stem"] = _stem(spec, kind)
    if found["stem"] == "patch":
        space = _space(kind, shape)
        if found["patch_size"] is None:
            found["patch_size"] = _patch_size(space)
        if found["patch_size"] > min(space):
            text = f"{found['patch_size']} is larger than the records, which have {space} positions"
            raise SpecError(f"model.patch_size: {text}; write at most {min(space)}")
    elif found["stem"] == "convolution" and found["stride"] is None:
        found["stride"] = 2
    if found["heads"] is None and widths:
        most = max(1, min(widths) // 32)
        found["heads"] = max(n for n in range(1, most + 1) if all(width % n == 0 for width in widths))
    if found["feedforward_factor"] is None:
        found["feedforward_factor"] = 4
    return found


def _patch_size(space: list[int]) -> int:
    size = 1
    while math.prod(-(-length // size) for length in space) > MOST_TOKENS and 2 * size <= min(space):
        size *= 2
    return size


def _vocabulary_size(spec: ModelSpec, kind: str, found: int | None) -> int | None:
    said = None if spec.vocabulary_size == "auto" else spec.vocabulary_size
    if kind != "tokens":
        return said
    if said is None and found is None:
        raise SpecError("model.vocabulary_size: it is not known; give it, or let `resolve` take it from data")
    if said is not None and found is not None and said < found:
        text = f"{said} contradicts the data, whose largest token id is {found - 1}"
        raise SpecError(f"model.vocabulary_size: {text}; leave it out to take it from the data")
    return max(2, found or 2) if said is None else said


def _categories(
    spec: ModelSpec, kind: str, shape: list[int], found: Sequence[int] | None
) -> list[int] | None:
    said = None if spec.categories == "auto" else spec.categories
    if kind != "columns":
        if found is not None and any(found):
            text = f"the records hold category codes, which are no quantities for architecture {spec.architecture!r}"
            cure = "write architecture: transformer, or an operator that makes numbers of them"
            raise SpecError(f"model.input: {text}; {cure}")
        return said
    if said is not None and found is not None and said != list(found):
        text = f"{said} contradicts the data, whose columns have {list(found)}"
        raise SpecError(f"model.categories: {text}; leave it out to take it from the data")
    settled = list(found) if found is not None else (said or [0] * shape[0])
    if len(settled) != shape[0]:
        text = f"it has {len(settled)} entries, the records have {shape[0]} columns"
        raise SpecError(f"model.categories: {text}; write one number per column, 0 where it is numeric")
    return settled


def _output(
    spec: ModelSpec, task: str, kind: str, shape: list[int], found: Sequence[int] | None
) -> dict[str, Any]:
    """Decides the length of the output, and a unet's positions."""
    dim: Any = spec.output_dim
    upscale: Any = None if spec.upscale == "auto" else spec.upscale
    if dim == "auto" and task == "embedding":
        dim = EMBEDDING_DIM
    elif dim == "auto":
        if found is None:
            raise SpecError("model.output_dim: it is not known; give it, or let `resolve` take it from data")
        dim = found[0]
    if spec.architecture != "unet":
        if found is not None and len(found) > 1 and task != "embedding":
            text = f"{spec.architecture!r} gives one answer per record, the targets have shape {list(found)}"
            raise SpecError(f"model.architecture: {text}; write unet")
        return {"output_dim": dim, "upscale": upscale}
    if found is not None:
        space, wanted = _space(kind, shape), list(found[1:])
        fitting = [n for n in (1, 2, 4) if [n * length for length in space] == wanted]
        if not fitting:
            text = f"the targets have {wanted} positions, the records {space}"
            raise SpecError(f"model.architecture: {text}; a unet gives 1, 2 or 4 per position of its input")
        if upscale not in (None, fitting[0]):
            text = f"{upscale} contradicts the data, whose targets have {fitting[0]} positions for each of the input"
            raise SpecError(f"model.upscale: {text}; leave it out to take it from the data")
        upscale = fitting[0]
    return {"output_dim": dim, "upscale": upscale or 1}
