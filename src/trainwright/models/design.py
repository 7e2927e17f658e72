"""The decided values of a model spec, without its `auto`s."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trainwright.models.draft import Draft
from trainwright.spec.model import ModelSpec


@dataclass(frozen=True, slots=True)
class Design:
    """What an architecture is drawn from; fields as in `ModelSpec`.

    Args:
        hidden_dims: Widths, channels or levels.
        activation: After each hidden layer.
        normalization: `none`, `batch` or `layer`.
        residual: Whether each hidden layer is added to what came in.
        dropout: After each hidden layer.
        ragged: Whether the last channel is a mask.
        input: What a record is.
        outputs: Length of the raw output.
        kernel_size: Of the convolutions.
        stem: Of a transformer.
        patch_size: Of a transformer.
        stride: Of a transformer.
        heads: Of a transformer.
        feedforward_factor: Of a transformer.
        vocabulary_size: Of token ids.
        categories: Of table columns.
        upscale: Of a unet.
        convolution: Of a gnn.
        pooling: Of a gnn.
        node_features: Of a gnn.
        own: `use` and `args` of a network of one's own.
    """

    hidden_dims: tuple[int, ...]
    activation: str
    normalization: str
    residual: bool
    dropout: float
    ragged: bool
    input: str
    outputs: int
    kernel_size: int
    stem: str
    patch_size: int
    stride: int
    heads: int
    feedforward_factor: int
    vocabulary_size: int
    categories: tuple[int, ...]
    upscale: int
    convolution: str
    pooling: str
    node_features: int
    own: Mapping[str, Any]

    def finish_layer(self, draft: Draft, number: int) -> None:
        """Adds what follows the normalisation of a hidden layer: activation and dropout."""
        draft.activate(f"activation_{number}", self.activation)
        draft.drop(f"dropout_{number}", self.dropout)


def make_design(spec: ModelSpec, *, outputs: int) -> Design:
    """Takes the values of a spec that `settle_model` has decided; what has no meaning there is zero.

    Args:
        spec: Without `auto`.
        outputs: Length of the raw output.
    """
    tree: dict[str, Any] = spec.tree()
    whole = (
        "kernel_size",
        "patch_size",
        "stride",
        "heads",
        "feedforward_factor",
        "vocabulary_size",
        "upscale",
        "node_features",
    )
    return Design(
        hidden_dims=tuple(tree["hidden_dims"]),
        activation=tree["activation"],
        normalization=tree["normalization"],
        residual=tree["residual"],
        dropout=tree["dropout"],
        ragged=tree["ragged"],
        input=tree["input"],
        outputs=outputs,
        stem=tree["stem"] or "",
        convolution=tree["convolution"] or "",
        pooling=tree["pooling"] or "",
        categories=tuple(tree["categories"] or ()),
        own={"use": tree["use"], "args": tree["args"] or {}},
        **{name: tree[name] or 0 for name in whole},
    )
