"""A network of the user's own: one layer, whose arrays are not known before its framework has built it."""

from trainwright.models.design import Design
from trainwright.models.draft import Draft


def draw_own(draft: Draft, design: Design) -> None:
    """Draws one layer for the whole network."""
    draft.add("own", "own", **design.own, input_shape=draft.shape, outputs=design.outputs)
    draft.shape = (design.outputs,)
