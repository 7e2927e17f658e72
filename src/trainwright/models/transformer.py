"""The layers of a transformer over patches, tokens or the columns of a table."""

import math

from trainwright.models.cnn import add_channel, split_mask
from trainwright.models.design import Design
from trainwright.models.draft import Draft

TABLE_BOUND = 0.02 * math.sqrt(3)  # uniform within it, values have the usual deviation of 0.02


def draw_transformer(draft: Draft, design: Design) -> None:
    """Draws a stem that makes tokens, pre-norm blocks, the mean over tokens (or a class token), and a dense layer.

    Source:
        Vaswani et al., Attention Is All You Need, 2017; Xiong et al., On Layer Normalization in the Transformer
        Architecture, 2020 (pre-norm); Dosovitskiy et al., An Image is Worth 16x16 Words, 2021 (patches); Gorishniy
        et al., Revisiting Deep Learning Models for Tabular Data, 2021 (columns).
    """
    masked = design.ragged or design.input == "tokens"
    if design.input == "columns":
        _draw_columns(draft, design)
    elif design.input == "tokens":
        width = design.hidden_dims[0]
        draft.add("embed", "embed")
        draft.uniform("embed.table", (design.vocabulary_size, width), bound=TABLE_BOUND)
        draft.shape = (draft.shape[0], width)
    else:
        _draw_stem(draft, design)
    if design.input != "columns":
        draft.add("position", "position")
        draft.uniform("position.table", draft.shape, bound=TABLE_BOUND)
    for number, width in enumerate(design.hidden_dims):
        if width != draft.shape[-1]:
            draft.dense(f"project_{number}", width, bias=True)
        _draw_block(draft, design, number=number, masked=masked)
    if design.input == "columns":
        draft.add("first_token", "first_token")
    else:
        draft.add("token_mean", "mean", masked=masked)
    draft.shape = (draft.shape[-1],)
    draft.normalise("norm_output", "layer")
    draft.dense("output", design.outputs, bias=True)


def _draw_stem(draft: Draft, design: Design) -> None:
    add_channel(draft, design.input)
    if design.ragged:
        split_mask(draft)
    width = design.hidden_dims[0]
    if design.stem == "patch":
        size, (channels, *space) = design.patch_size, draft.shape
        draft.add("patches", "patches", size=size, axes=len(space), masked=design.ragged)
        draft.shape = (math.prod(-(-n // size) for n in space), channels * size ** len(space))
        draft.dense("stem", width, bias=True)
    else:
        draft.convolution("stem", width, design.kernel_size, bias=True, stride=design.stride)
        draft.add("tokens", "tokens", stride=design.stride, masked=design.ragged)
        draft.shape = (math.prod(draft.shape[1:]), width)


def _draw_columns(draft: Draft, design: Design) -> None:
    """Draws a token per column, the numeric ones first, behind a class token; attention does not see their order."""
    width, counts = design.hidden_dims[0], design.categories
    bound = 1 / math.sqrt(width)
    numeric = sum(count == 0 for count in counts)
    draft.add("embed_columns", "columns", categories=list(counts))
    if numeric:
        draft.uniform("columns.scale", (numeric, width), bound=bound)
        draft.uniform("columns.shift", (numeric, width), bound=bound)
    if any(counts):
        draft.uniform("columns.table", (sum(counts), width), bound=bound)
    draft.add("class_token", "class_token")
    draft.uniform("class_token.vector", (width,), bound=bound)
    draft.shape = (len(counts) + 1, width)


def _draw_block(draft: Draft, design: Design, *, number: int, masked: bool) -> None:
    width = draft.shape[-1]
    bound = 1 / math.sqrt(width)
    draft.add("keep", f"skip_{number}_attention")
    draft.normalise(f"norm_{number}_attention", "layer", axis=-1)
    name = f"attention_{number}"
    draft.add("attention", name, heads=design.heads, masked=masked)
    # A bias of the keys adds the same to all scores of a query, so softmax takes it away: its gradient is zero.
    for part in (
        "query.weight",
        "query.bias",
        "key.weight",
        "value.weight",
        "value.bias",
        "out.weight",
        "out.bias",
    ):
        shape = (width, width) if part.endswith("weight") else (width,)
        draft.uniform(f"{name}.{part}", shape, bound=bound)
    draft.drop(f"dropout_{number}_attention", design.dropout)
    draft.add("add", f"add_{number}_attention", of=f"skip_{number}_attention")
    draft.add("keep", f"skip_{number}_dense")
    draft.normalise(f"norm_{number}_dense", "layer", axis=-1)
    draft.dense(f"dense_{number}_in", design.feedforward_factor * width, bias=True)
    draft.activate(f"activation_{number}", design.activation)
    draft.dense(f"dense_{number}_out", width, bias=True)
    draft.drop(f"dropout_{number}_dense", design.dropout)
    draft.add("add", f"add_{number}_dense", of=f"skip_{number}_dense")
