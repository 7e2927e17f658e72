"""The layers of a U-Net over one or two axes of space."""

from trainwright.models.cnn import add_channel
from trainwright.models.design import Design
from trainwright.models.draft import Draft


def draw_unet(draft: Draft, design: Design) -> None:
    """Draws a U-Net: down by max pooling, up by repeating positions and a convolution, skips by joining channels.

    A length that the levels do not divide is padded by its last position and cropped again at the end.

    Source:
        Ronneberger et al., U-Net, 2015; upsampling as in Odena et al., Deconvolution and Checkerboard Artifacts, 2016.
    """
    add_channel(draft, design.input)
    space, levels = draft.shape[1:], design.hidden_dims
    by = 2 ** (len(levels) - 1)
    missing = [-length % by for length in space]
    if any(missing):
        draft.add("pad", "pad", amounts=missing)
        draft.shape = (draft.shape[0], *[n + more for n, more in zip(space, missing, strict=True)])
    for level, channels in enumerate(levels):
        if level:
            draft.pool(f"pool_{level}")
        _draw_double(draft, design, name=f"down_{level}", channels=channels)
        if level < len(levels) - 1:
            draft.add("keep", f"skip_{level}")
    for level in reversed(range(len(levels) - 1)):
        draft.upsample(f"upsample_{level}")
        _draw_convolution(draft, design, name=f"grow_{level}", channels=levels[level])
        draft.add("concat", f"concat_{level}", of=f"skip_{level}")
        draft.shape = (2 * levels[level], *draft.shape[1:])
        _draw_double(draft, design, name=f"up_{level}", channels=levels[level])
    for stage in range({1: 0, 2: 1, 4: 2}[design.upscale]):
        draft.upsample(f"upscale_upsample_{stage}")
        _draw_convolution(draft, design, name=f"upscale_{stage}", channels=levels[0])
    draft.convolution("output", design.outputs, 1, bias=True)
    if any(missing):
        final = [design.upscale * length for length in space]
        draft.add("crop", "crop", shape=final)
        draft.shape = (draft.shape[0], *final)


def _draw_double(draft: Draft, design: Design, *, name: str, channels: int) -> None:
    for half in "ab":
        _draw_convolution(draft, design, name=f"{name}{half}", channels=channels)
    draft.drop(f"dropout_{name}", design.dropout)


def _draw_convolution(draft: Draft, design: Design, *, name: str, channels: int) -> None:
    draft.convolution(f"conv_{name}", channels, design.kernel_size, bias=design.normalization != "batch")
    draft.normalise(f"norm_{name}", design.normalization)
    draft.activate(f"activation_{name}", design.activation)
