"""Small drawings of sequences without axes."""

import numpy as np
from markupsafe import Markup

from trainwright.base.tree import Array
from trainwright.report.chart import thin
from trainwright.report.scale import svg, widen

WIDTH, HEIGHT, GAP = 200, 34, 4
MOST_CHANNELS = 4
MOST_POINTS = 60


def draw_channels(values: Array, *, ragged: bool) -> Markup:
    """Draws the channels of a sequence one below the other, each in a range of its own.

    Args:
        values: Shape `(channels, length)`; of more than four channels, the first four are drawn and the others are
            counted below.
        ragged: Whether the last channel is a mask: nothing is drawn where it is 0.
    """
    channels = values.astype(np.float64)
    if ragged:
        channels = np.where(channels[-1] > 0, channels[:-1], np.nan)
    shown = channels[:MOST_CHANNELS]
    last = np.flatnonzero(np.isfinite(shown).any(axis=0))
    length = int(last[-1]) + 1 if len(last) else 1
    body = []
    for number, row in enumerate(shown):
        top = number * (HEIGHT + GAP)
        known = row[np.isfinite(row)]
        if not len(known):
            continue
        low, high = widen(float(known.min()), float(known.max()), margin=0.02)
        drawn, pen_is_down = [], False
        for x, y in thin(list(enumerate(row[:length].tolist())), most=MOST_POINTS):
            if np.isfinite(y):
                place = f"{x / max(1, length - 1) * WIDTH:.0f} {top + HEIGHT - (y - low) / (high - low) * HEIGHT:.1f}"
                drawn.append(f"{'L' if pen_is_down else 'M'}{place}")
            pen_is_down = bool(np.isfinite(y))
        body.append(f'<path class="line s{number}" d="{"".join(drawn)}"/>')
    box = (-2, -2, WIDTH + 4, len(shown) * (HEIGHT + GAP) + 4)
    drawing = svg("spark", f"sequence of {length} values", box, body)
    left = len(channels) - len(shown)
    return Markup("{}<small>and {} more channels</small>").format(drawing, left) if left > 0 else drawing
