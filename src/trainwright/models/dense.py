"""The layers of an mlp, and the small dense networks that an embedding has in training only."""

import math
from collections.abc import Sequence

from trainwright.models.design import Design
from trainwright.models.draft import Draft


def draw_mlp(draft: Draft, design: Design) -> None:
    """Draws dense layers on the flattened record; a residual one is x + block(x), or W x + block(x)."""
    draft.flatten()
    for number, width in enumerate(design.hidden_dims):
        before = draft.shape
        if design.residual:
            draft.add("keep", f"skip_{number}")
        draft.dense(f"dense_{number}", width, bias=design.normalization != "batch")
        draft.normalise(f"norm_{number}", design.normalization)
        design.finish_layer(draft, number)
        if design.residual and before != draft.shape:
            after, draft.shape = draft.shape, before
            draft.add("keep", f"block_{number}")
            draft.add("take", f"take_{number}", of=f"skip_{number}")
            draft.dense(f"project_{number}", width, bias=False)
            draft.add("add", f"add_{number}", of=f"block_{number}")
            draft.shape = after
        elif design.residual:
            draft.add("add", f"add_{number}", of=f"skip_{number}")
    draft.dense("output", design.outputs, bias=True)


def draw_decoder(draft: Draft, design: Design, *, shape: Sequence[int]) -> None:
    """Draws the way back from an embedding to a record: the encoder's widths in reverse order.

    Args:
        draft: Whose shape is (embedding,).
        design: Of the encoder.
        shape: Of a record.
    """
    for number, width in enumerate(reversed(design.hidden_dims)):
        draft.dense(f"decoder_{number}", width, bias=True)
        draft.activate(f"decoder_activation_{number}", design.activation)
    draft.dense("decoder_output", math.prod(shape), bias=True)
    draft.reshape("decoder_reshape", tuple(shape))


def draw_projection(draft: Draft) -> None:
    """Draws the two dense layers between an embedding and its contrastive loss, and the unit length after them.

    Source:
        Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020, section 2.
    """
    width = draft.shape[0]
    draft.dense("projection_0", width, bias=True)
    draft.activate("projection_activation", "relu")
    draft.dense("projection_1", width, bias=True)
    draft.add("unit", "projection_unit")
