"""From a model spec to a blueprint."""

from collections.abc import Callable, Mapping

from trainwright.base.errors import SpecError
from trainwright.base.tree import Array
from trainwright.models.blueprint import Blueprint
from trainwright.models.cnn import draw_cnn
from trainwright.models.dense import draw_decoder, draw_mlp, draw_projection
from trainwright.models.design import Design, make_design
from trainwright.models.draft import Draft
from trainwright.models.gnn import draw_gnn
from trainwright.models.heads import count_outputs
from trainwright.models.own import draw_own
from trainwright.models.transformer import draw_transformer
from trainwright.models.unet import draw_unet
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import settle_model

ARCHITECTURES: Mapping[str, Callable[[Draft, Design], None]] = {
    "mlp": draw_mlp,
    "cnn": draw_cnn,
    "transformer": draw_transformer,
    "unet": draw_unet,
    "gnn": draw_gnn,
    "own": draw_own,
}


def build_blueprint(
    spec: ModelSpec, *, loss: str | None = None, constants: Mapping[str, Array] | None = None
) -> Blueprint:
    """Lays out the network of a spec; what is still `auto` is decided by `settle_model` without data.

    One of the user's own is a single layer without parameters here; its backend completes it.

    Initial values are uniform within 1/sqrt(fan in), which is torch's default for dense and convolution layers;
    tables of tokens and positions are uniform with a deviation of 0.02.
    A layer that is followed by batch normalisation has no bias: the normalisation would take it away again, and its
    true gradient would be zero.

    Args:
        spec: The model.
        loss: What an embedding is trained by; it decides whether the embedding has unit length (with every loss but
            `reconstruction`) and what follows it in training only: a decoder for `reconstruction`, a projection for
            `nt_xent`.
        constants: Of a gnn over the nodes of one graph: the graph, as `graph_constants` gives it.

    Raises:
        SpecError: If the architecture does not fit the input, or shapes are not known.

    Example:
        >>> spec = ModelSpec(architecture="mlp", input_shape=[3], output_dim=2, hidden_dims=[4])
        >>> plan = build_blueprint(spec)
        >>> [layer.kind for layer in plan.layers], plan.count_parameters()
        (['dense', 'activation', 'dense'], 26)
    """
    spec = settle_model(spec)
    assert spec.input_shape != "auto" and spec.output_dim != "auto" and spec.quantiles != "auto"
    shape = tuple(spec.input_shape)
    assert spec.components != "auto"
    outputs = count_outputs(spec.head, spec.output_dim, quantiles=spec.quantiles, components=spec.components)
    design = make_design(spec, outputs=outputs)
    draft = Draft(shape)
    ARCHITECTURES[spec.architecture](draft, design)
    if spec.task_type == "embedding" and loss != "reconstruction":
        draft.add("unit", "unit")
    output_shape, inner = draft.shape, len(draft.layers)
    if spec.task_type == "embedding" and loss == "reconstruction":
        _check_can_be_rebuilt(design)
        draw_decoder(draft, design, shape=shape)
    elif spec.task_type == "embedding" and loss == "nt_xent":
        draw_projection(draft)
    layers = tuple(draft.layers)
    return Blueprint(shape, output_shape, layers[:inner], draft.parameters, layers[inner:], constants or {})


def _check_can_be_rebuilt(design: Design) -> None:
    why = {
        "token ids are no quantities": design.input == "tokens",
        "category codes are no quantities": any(design.categories),
        "the edges of a graph are no quantities": design.node_features > 0,
        "the padding of ragged records would be rebuilt too": design.ragged,
    }
    for reason, holds in why.items():
        if holds:
            cure = "write another loss, such as supervised_contrastive"
            raise SpecError(f"train.loss: reconstruction cannot compare such records: {reason}; {cure}")
