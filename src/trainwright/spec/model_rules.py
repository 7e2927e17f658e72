"""What must hold across the fields of a model, each rule with its reason and the cure.

The rules are asked twice: of what the user wrote, and again of the spec whose `auto`s are decided.
"""

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

from trainwright.spec.part import Broken

MEANT_FOR: Mapping[str, tuple[str, ...]] = {
    "kernel_size": ("cnn", "unet", "transformer"),
    "stem": ("transformer",),
    "patch_size": ("transformer",),
    "stride": ("transformer",),
    "heads": ("transformer", "gnn"),
    "feedforward_factor": ("transformer",),
    "vocabulary_size": ("transformer",),
    "categories": ("transformer",),
    "upscale": ("unet",),
    "convolution": ("gnn",),
    "pooling": ("gnn",),
    "node_features": ("gnn",),
    "use": ("own",),
    "args": ("own",),
}
# Of a network of one's own, which has its layers by itself.
PLAIN: Mapping[str, Any] = {
    "hidden_dims": [],
    "activation": "identity",
    "normalization": "none",
    "residual": False,
    "dropout": 0.0,
}


GRAPHS = ("node", "pair", "arrow", "graph")


def is_given(value: Any) -> bool:
    """Says whether a field holds a decision: neither `auto` nor null."""
    return value is not None and value != "auto"


def field_goes_with_architecture(model: Any) -> Iterator[Broken]:
    """Refuses a field that the architecture would not look at."""
    for field, architectures in MEANT_FOR.items():
        if is_given(getattr(model, field)) and model.architecture not in architectures:
            cure = f"leave it out, or write architecture: {architectures[0]}"
            yield Broken((field,), f"it has no meaning for architecture {model.architecture!r}; {cure}")


def own_network_is_named(model: Any) -> Iterator[Broken]:
    """Asks for the code of a network of one's own, and refuses what only that code decides."""
    if model.architecture != "own":
        return
    if model.use is None:
        yield Broken(("use",), "architecture 'own' needs it; write the class that builds it, module:Name")
    elif ":" not in model.use:
        yield Broken(("use",), f"{model.use!r} is no code of your own; write module:Name")
    chosen = {
        name: getattr(model, name) for name in PLAIN if getattr(model, name) not in ("auto", PLAIN[name])
    }
    for name in [*chosen, *(["preset"] if model.preset != "small" else [])]:
        text = "it has no meaning for architecture 'own'; leave it out, or make it one of model.args"
        yield Broken((name,), text)


def kernel_is_odd(model: Any) -> Iterator[Broken]:
    """Refuses an even width, around which a position has no centre."""
    size = model.kernel_size
    if is_given(size) and size % 2 == 0:
        odd = f"{size - 1} or {size + 1}"
        yield Broken(("kernel_size",), f"{size} is even; write an odd width, such as {odd}")


def one_input_shape(model: Any) -> Iterator[Broken]:
    """Refuses two shapes that contradict one another."""
    shape = model.input_shape
    if shape == "auto":
        return
    if not shape:
        yield Broken(("input_shape",), "it has no axes; write the shape of one record, such as [40]")
    elif model.input_dim is not None and math.prod(shape) != model.input_dim:
        text = f"{model.input_dim} contradicts input_shape {list(shape)}; give one of the two"
        yield Broken(("input_dim",), text)


def input_goes_with_architecture(model: Any) -> Iterator[Broken]:
    """Refuses kinds of records that an architecture cannot read."""
    kind = model.input
    if kind in ("tokens", "columns") and model.architecture != "transformer":
        cure = "write architecture: transformer"
        if kind == "columns":
            cure += ", or input: vector with the categories encoded as numbers"
        yield Broken(
            ("input",),
            f"{kind!r} needs embeddings, which architecture {model.architecture!r} has not; {cure}",
        )
    if kind in GRAPHS and model.architecture != "gnn":
        text = f"{kind!r} has edges, which architecture {model.architecture!r} does not see; write architecture: gnn"
        yield Broken(("input",), text)
    elif model.architecture == "gnn" and kind not in (*GRAPHS, "auto"):
        text = f"architecture 'gnn' reads nodes and graphs, not {kind!r}; leave it out, or write architecture: mlp"
        yield Broken(("input",), text)
    elif kind == "vector" and model.architecture not in ("mlp", "own"):
        cure = {"transformer": "columns", "cnn": "sequence", "unet": "sequence"}[model.architecture]
        text = f"architecture {model.architecture!r} reads no bare vectors; write input: {cure}, or architecture: mlp"
        yield Broken(("input",), text)


def fields_go_with_input(model: Any) -> Iterator[Broken]:
    """Refuses fields of one kind of records with another kind."""
    kind = model.input
    needs: dict[str, tuple[str, ...]] = {"vocabulary_size": ("tokens",), "categories": ("columns",)}
    needs |= dict.fromkeys(("stem", "patch_size", "stride", "kernel_size"), ("sequence", "image"))
    if model.architecture != "transformer" or kind == "auto":
        return
    for field, kinds in needs.items():
        if is_given(getattr(model, field)) and kind not in kinds:
            cure = f"leave it out, or write input: {kinds[0]}"
            yield Broken((field,), f"it has no meaning for input {kind!r}; {cure}")


def one_stem(model: Any) -> Iterator[Broken]:
    """Refuses patches and convolutions at once."""
    if model.architecture != "transformer":
        return
    convolution = [name for name in ("kernel_size", "stride") if is_given(getattr(model, name))]
    if is_given(model.patch_size) and model.stem == "convolution":
        yield Broken(
            ("patch_size",), "it has no meaning for stem 'convolution'; write kernel_size and stride"
        )
    elif is_given(model.patch_size) and convolution:
        cure = "patch_size for patches, or kernel_size and stride for a convolution"
        yield Broken((convolution[0],), f"a stem is one of two kinds; give {cure}")
    elif model.stem == "patch" and convolution:
        text = "it has no meaning for stem 'patch'; write patch_size, or stem: convolution"
        yield Broken((convolution[0],), text)


def head_goes_with_task(model: Any) -> Iterator[Broken]:
    """Refuses heads of a regression elsewhere, and levels and components without their head."""
    if model.head != "point" and model.task_type not in ("regression", "auto"):
        cure = "leave it out, or write task_type: regression"
        yield Broken(("head",), f"{model.head!r} does not go with task_type {model.task_type!r}; {cure}")
    if is_given(model.components) and model.head != "mixture":
        yield Broken(("components",), f"it has no meaning for head {model.head!r}; write head: mixture")
    levels = model.quantiles
    if not is_given(levels):
        return
    if model.head != "quantiles":
        yield Broken(("quantiles",), f"it has no meaning for head {model.head!r}; write head: quantiles")
    elif any(low >= high for low, high in itertools.pairwise(levels)):
        yield Broken(("quantiles",), f"{levels} is not rising; write each level once, smallest first")
    elif 0.5 not in levels:
        yield Broken(("quantiles",), "0.5 is missing; the median is the prediction, add it")


def architecture_goes_with_task(model: Any) -> Iterator[Broken]:
    """Keeps tasks per position and architectures that keep positions together."""
    task, architecture = model.task_type, model.architecture
    if task == "segmentation" and architecture != "unet":
        text = f"{architecture!r} gives one answer per record, not one per position; write unet"
        yield Broken(("architecture",), text)
    if architecture == "unet" and task not in ("segmentation", "regression", "auto"):
        cure = "write architecture: cnn, or task_type: segmentation or regression"
        text = f"'unet' gives one answer per position, which does not go with task_type {task!r}; {cure}"
        yield Broken(("architecture",), text)


def ragged_can_be_masked(model: Any) -> Iterator[Broken]:
    """Refuses ragged records where a mask would be ignored."""
    if model.ragged is not True:
        return
    if model.architecture in ("mlp", "unet", "gnn"):
        cure = "write architecture: cnn or transformer, or ragged: false"
        yield Broken(("ragged",), f"architecture {model.architecture!r} has no masks; {cure}")
    if model.input not in ("sequence", "auto"):
        yield Broken(("ragged",), f"only sequences carry a mask channel, not {model.input!r}; leave it out")
    if model.normalization == "batch":
        text = "the batch's mean would count the padding of ragged records; write layer or none"
        yield Broken(("normalization",), text)


def style_goes_with_architecture(model: Any) -> Iterator[Broken]:
    """Refuses normalisations and skips that an architecture has not, and options without effect."""
    widths = model.hidden_dims
    if model.architecture == "transformer":
        if model.normalization not in ("layer", "auto"):
            text = f"{model.normalization!r} does not go with a transformer, whose blocks begin with a layer"
            yield Broken(("normalization",), f"{text} normalisation; leave it out")
        if model.residual is False:
            yield Broken(("residual",), "a transformer's blocks are residual; leave it out")
    if model.architecture == "unet" and model.residual is True:
        yield Broken(("residual",), "a unet has skips of its own, between its halves; leave it out")
    needs_layers = model.architecture in ("transformer", "unet") or model.input in ("pair", "arrow", "graph")
    if widths == [] and (needs_layers or model.residual is True):
        yield Broken(("hidden_dims",), "it has no layers; write at least one width")
    if is_given(widths) and 1 in widths and model.normalization == "layer":
        text = (
            "layer normalisation leaves nothing of a single channel; write at least 2, or normalization: none"
        )
        yield Broken(("hidden_dims", widths.index(1)), text)


def fields_go_with_convolution(model: Any) -> Iterator[Broken]:
    """Refuses heads without attention, and a pooling of nodes that are the records."""
    if model.architecture != "gnn":
        return
    if is_given(model.heads) and model.convolution not in ("gat", "auto"):
        text = f"it has no meaning for convolution {model.convolution!r}; leave it out, or write convolution: gat"
        yield Broken(("heads",), text)
    if is_given(model.pooling) and model.input in ("node", "pair", "arrow"):
        text = f"it has no meaning for input {model.input!r}, only graphs are pooled; leave it out"
        yield Broken(("pooling",), text)


def heads_divide_widths(model: Any) -> Iterator[Broken]:
    """Refuses heads that would get unequal shares of a width."""
    if (
        model.architecture not in ("transformer", "gnn")
        or not is_given(model.heads)
        or model.hidden_dims == "auto"
    ):
        return
    for number, width in enumerate(model.hidden_dims):
        if width % model.heads:
            text = f"{model.heads} does not divide hidden_dims.{number}: {width}; write a divisor, or auto"
            yield Broken(("heads",), text)
            return


RULES = (
    field_goes_with_architecture,
    own_network_is_named,
    kernel_is_odd,
    one_input_shape,
    input_goes_with_architecture,
    fields_go_with_input,
    one_stem,
    head_goes_with_task,
    architecture_goes_with_task,
    ragged_can_be_masked,
    style_goes_with_architecture,
    fields_go_with_convolution,
    heads_divide_widths,
)
