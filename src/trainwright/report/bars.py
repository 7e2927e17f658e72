"""Charts of shares, of distributions and of spread, as SVG that follows the page's colours."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup, escape

from trainwright.report.scale import (
    BOTTOM,
    LEFT,
    TOP,
    Floats,
    Frame,
    nice_ticks,
    nothing_finite,
    short,
    tick_text,
    widen,
)

ROW = 26
LABEL = 22  # letters
FAN = 120  # records


def outline_chart(edges: Floats, sums: Floats, *, x_label: str, title: str) -> Markup:
    """Draws two distributions over the same bins: the first as an area, the second as a line.

    Args:
        edges: Rising, shape `(bins + 1,)`.
        sums: Shape `(2, bins)`.
        x_label: Below the axis.
        title: For readers who cannot see it.
    """
    if not (np.isfinite(edges).all() and np.isfinite(sums).all() and sums.max() > 0 and edges[-1] > edges[0]):
        return nothing_finite(title)
    frame = Frame((float(edges[0]), float(edges[-1])), (0.0, 1.05 * float(sums.max())))
    xs = np.repeat(edges, 2).tolist()
    paths = [frame.place(zip(xs, [0.0, *np.repeat(row, 2).tolist(), 0.0], strict=True)) for row in sums]
    body = [
        frame.axes(x_label),
        f'<path class="area s0" d="{paths[0]}Z"/>',
        f'<path class="line s1" d="{paths[1]}"/>',
    ]
    return frame.drawing(title, body)


def pair_chart(
    labels: Sequence[str], first: Sequence[float], *, second: Sequence[float], title: str
) -> Markup:
    """Draws two shares of each row as bars, one above the other, with the numbers beside them.

    Args:
        labels: Of the rows.
        first: Shares from 0 to 1.
        second: As `first`.
        title: For readers who cannot see it.
    """
    pairs = np.array([first, second], dtype=np.float64)
    if not np.isfinite(pairs).all() or not pairs.size:
        return nothing_finite(title)
    left = 12 + 7 * min(LABEL, max(map(len, labels)))
    room = 420 - left - 88
    scale = room / max(float(pairs.max()), 1e-12)
    body = []
    for row, label in enumerate(labels):
        top = row * ROW
        cut = label if len(label) <= LABEL else f"{label[: LABEL - 1]}…"
        body.append(
            f'<text class="tick" x="{left - 8}" y="{top + 16}" text-anchor="end">{escape(cut)}</text>'
        )
        for one in (0, 1):
            width = max(0.5, float(pairs[one, row]) * scale)
            body.append(
                f'<rect class="bar s{one}" x="{left}" y="{top + 3 + 9 * one}" width="{width:.1f}" height="8"/>'
            )
        end = left + scale * float(pairs[:, row].max()) + 6
        text = f"{100 * pairs[0, row]:.3g} | {100 * pairs[1, row]:.3g} %"
        body.append(f'<text class="tick" x="{end:.1f}" y="{top + 16}">{text}</text>')
    return Frame((0, 1), (0, 1), height=ROW * len(labels)).drawing(title, body)


def calibration_chart(bins: Floats, *, title: str) -> Markup:
    """Draws accuracy over confidence, each bin as a dot as large as its weight, and how far it is from right.

    Args:
        bins: Weight, mean confidence and accuracy, shape `(bins, 3)`; empty ones weigh nothing.
        title: For readers who cannot see it.
    """
    there = bins[(bins[:, 0] > 0) & np.isfinite(bins).all(axis=1)]
    if not len(there):
        return nothing_finite(title)
    frame = Frame((0.0, 1.0), (0.0, 1.0), height=340)
    body = [frame.axes("confidence: the probability of the predicted class", "accuracy"), frame.diagonal()]
    whole, dots = there[:, 0].sum(), []
    for mass, confidence, accuracy in there.tolist():
        x, y, even = frame.x(confidence), frame.y(accuracy), frame.y(confidence)
        body.append(f'<path class="gap" d="M{x:.1f} {even:.1f}V{y:.1f}"/>')
        radius = 3 + 13 * (mass / whole) ** 0.5
        dots.append(
            f'<circle class="bubble s0" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>'
            f"{short(mass)} records, confidence {short(confidence)}, accuracy {short(accuracy)}</title></circle>"
        )
    return frame.drawing(title, [*body, *dots])


def box_chart(values: Sequence[float], *, x_label: str, title: str) -> Markup:
    """Draws five quantiles: a line between the outer ones, a box between the inner ones, a bar in the middle.

    Args:
        values: Rising.
        x_label: Below the axis.
        title: For readers who cannot see it.
    """
    if not np.isfinite(values).all():
        return nothing_finite(title)
    low, high = widen(min(*values, 0.0), max(*values, 0.0), margin=0.06)
    frame = Frame((low, high), (0.0, 1.0), height=128)
    ends = [frame.x(value) for value in values]
    middle, foot = 56, frame.height - BOTTOM
    body = [
        f'<path class="grid" d="M{LEFT} {foot}H{frame.width - frame.right}"/>',
        f'<path class="mark" d="M{frame.x(0.0):.1f} {TOP}V{foot}"/>',
        f'<path class="line s0" d="M{ends[0]:.1f} {middle}H{ends[4]:.1f}"/>',
        f'<rect class="box-of s0" x="{ends[1]:.1f}" y="{middle - 15}" width="{ends[3] - ends[1]:.1f}" height="30"/>',
        f'<path class="line s0 thick" d="M{ends[2]:.1f} {middle - 15}v30"/>',
    ]
    body += [
        f'<text class="tick" x="{frame.x(value):.1f}" y="{foot + 15}" text-anchor="middle">{tick_text(value)}</text>'
        for value in nice_ticks(low, high)
    ]
    place = f'x="{(LEFT + frame.width - frame.right) / 2}" y="{frame.height - 5}" text-anchor="middle"'
    body.append(f'<text class="tick" {place}>{escape(x_label)}</text>')
    return frame.drawing(title, body)


def fan_chart(middle: Floats, low: Floats, high: Floats, *, true: Floats, x_label: str, title: str) -> Markup:
    """Draws predictions in rising order with their interval, and what was true; what lies outside is pointed out.

    Args:
        middle: Predictions, shape `(records,)`; of more than 120 records, so many are drawn, evenly by rank.
        low: Lower ends of the intervals.
        high: Upper ends.
        true: What was true.
        x_label: Below the axis.
        title: For readers who cannot see it.
    """
    table = np.stack([middle, low, high, true], axis=1).astype(np.float64)
    table = table[np.isfinite(table).all(axis=1)]
    if not len(table):
        return nothing_finite(title)
    table = table[np.argsort(table[:, 0], kind="stable")]
    table = table[np.linspace(0, len(table) - 1, min(len(table), FAN)).astype(int)]
    ranks = np.arange(len(table)) + 1.0
    frame = Frame(
        widen(1.0, float(len(table)), margin=0.02),
        widen(float(table.min()), float(table.max()), margin=0.05),
        width=640,
    )
    upper = list(zip(ranks.tolist(), table[:, 2].tolist(), strict=True))
    lower = list(zip(ranks.tolist(), table[:, 1].tolist(), strict=True))
    inside = (table[:, 1] <= table[:, 3]) & (table[:, 3] <= table[:, 2])
    places = np.stack([ranks, table[:, 3]], axis=1)
    body = [
        frame.axes(x_label),
        f'<path class="area s0" d="{frame.place([*upper, *reversed(lower)])}Z"/>',
        f'<path class="line s0" d="{frame.place(zip(ranks.tolist(), table[:, 0].tolist(), strict=True))}"/>',
        f'<path class="cloud ink" d="{frame.place(places[inside].tolist(), join="M")}"/>',
        f'<path class="cloud s1 full" d="{frame.place(places[~inside].tolist(), join="M")}"/>',
    ]
    return frame.drawing(title, body)
