"""The layers of a convolutional network, with masks where its records are ragged."""

from trainwright.models.design import Design
from trainwright.models.draft import Draft


def add_channel(draft: Draft, kind: str) -> None:
    """Gives records without a channel axis one channel: (length,) or (height, width)."""
    if len(draft.shape) == (1 if kind == "sequence" else 2):
        draft.reshape("reshape", (1, *draft.shape))


def split_mask(draft: Draft) -> None:
    """Takes the mask off the channels and clears the padding."""
    draft.add("split_mask", "split_mask")
    draft.shape = (draft.shape[0] - 1, *draft.shape[1:])
    draft.add("mask", "mask_input")


def draw_cnn(draft: Draft, design: Design) -> None:
    """Draws stages of convolution, normalisation, pooling and activation, the mean, and a dense layer."""
    add_channel(draft, design.input)
    if design.ragged:
        split_mask(draft)
    for number, channels in enumerate(design.hidden_dims):
        _draw_stage(draft, design, number=number, channels=channels)
    draft.add("mean", "mean", masked=design.ragged)
    draft.shape = (draft.shape[0],)
    draft.dense("output", design.outputs, bias=True)


def _draw_stage(draft: Draft, design: Design, *, number: int, channels: int) -> None:
    before, ragged = draft.shape, design.ragged
    pools = min(before[1:]) >= 2
    if design.residual:
        draft.add("keep", f"skip_{number}")
    bias = design.normalization != "batch"
    draft.convolution(f"conv_{number}", channels, design.kernel_size, bias=bias)
    draft.normalise(f"norm_{number}", design.normalization)
    if pools:
        # Before the activation: for a rising function, such as relu, it is the same on fewer numbers.
        draft.pool(f"pool_{number}", masked=ragged)
    design.finish_layer(draft, number)
    if design.residual and draft.shape != before:
        after, draft.shape = draft.shape, before
        draft.add("keep", f"block_{number}")
        draft.add("take", f"take_{number}", of=f"skip_{number}")
        if pools:
            draft.pool(f"skip_pool_{number}", masked=ragged)
        if before[0] != channels:
            draft.convolution(f"project_{number}", channels, 1, bias=False)
        draft.add("add", f"add_{number}", of=f"block_{number}")
        assert draft.shape == after
    elif design.residual:
        draft.add("add", f"add_{number}", of=f"skip_{number}")
    if ragged:
        if pools:
            draft.add("halve_mask", f"halve_mask_{number}")
        draft.add("mask", f"mask_{number}")
