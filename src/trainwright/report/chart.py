"""Charts of lines and of points, as SVG that follows the page's colours."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain, groupby, pairwise

import numpy as np
from markupsafe import Markup, escape

from trainwright.report.scale import LEFT, TOP, Frame, Points, nothing_finite, short, tidy, widen

MOST_POINTS = 160
MOST_DOTS = 24
MOST_CLOUD = 1000
COLORS = 12
UNIT = (0.0, 1.0)
END_GAP = 13  # pixels between two labels


def line_chart(
    series: Mapping[str, Points],
    *,
    x_label: str,
    title: str,
    mark: tuple[float, str] | None = None,
    ends: Mapping[str, str] | None = None,
    colors: Mapping[str, int] | None = None,
    log: bool = False,
) -> Markup:
    """Draws lines over one axis.

    Args:
        series: Points `(x, y)` by name; points whose y is not finite are left out and break the line.
        x_label: Below the axis.
        title: For readers who cannot see it.
        mark: An x to point out, with its label.
        ends: What is written where a line ends, by its name.
        colors: Numbers of colours by name; they count up unless given.
        log: Whether equal steps upwards are equal factors; all values are positive.
    """
    finite = [(x, y) for points in series.values() for x, y in points if math.isfinite(y)]
    if not finite:
        return nothing_finite(title)
    xs, ys = zip(*finite, strict=True)
    heights = (min(ys) / 1.1, max(ys) * 1.1) if log else widen(min(ys), max(ys), margin=0.05)
    right = 14 if not ends else 12 + 7 * max(map(len, ends.values()))
    frame = Frame(widen(min(xs), max(xs), margin=0.0), heights, right=right, log=log)
    body = [frame.axes(x_label)]
    if mark is not None:
        body.append(_mark(frame, *mark))
    chosen = colors or {name: number % COLORS for number, name in enumerate(series)}
    for name, points in series.items():
        shown, color = thin(points), chosen[name]
        body.append(f'<path class="line s{color}" d="{_path(frame, shown)}"/>')
        body += [
            f'<circle class="dot s{color}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5">'
            f"<title>{escape(name)} at {tidy(x):g}: {y:.5g}</title></circle>"
            for x, y in shown
            if math.isfinite(y) and len(shown) <= MOST_DOTS
        ]
    if ends:
        body.append(_ends(frame, series, ends, chosen))
    return frame.drawing(title, body)


def rate_chart(
    curves: Mapping[str, Points],
    *,
    x_label: str,
    y_label: str,
    title: str,
    quiet: Sequence[Points] = (),
    diagonal: bool = False,
    dots: bool = False,
) -> Markup:
    """Draws lines between shares, from 0 to 1 along both axes.

    Args:
        curves: By name, each in a colour of its own.
        x_label: Below the axis.
        y_label: Above the axis.
        title: For readers who cannot see it.
        quiet: Lines behind them that have no name.
        diagonal: Whether to draw where both shares are equal.
        dots: Whether to draw the points themselves too, with what they are.
    """
    frame = Frame(UNIT, UNIT, height=340)
    body = [frame.axes(x_label, y_label), frame.diagonal() if diagonal else ""]
    body += [f'<path class="line quiet" d="{frame.place(_coarse(points, frame, 6.0))}"/>' for points in quiet]
    for number, (name, points) in enumerate(curves.items()):
        color = number % COLORS
        path = frame.place(_coarse(points, frame, 1.5))
        body.append(f'<path class="line s{color}" d="{path}"><title>{escape(name)}</title></path>')
        body += [
            f'<circle class="dot s{color}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="3.5">'
            f"<title>{short(x)} → {short(y)}</title></circle>"
            for x, y in (points if dots else ())
        ]
    return frame.drawing(title, body)


def scatter_chart(
    points: Points,
    *,
    x_label: str,
    title: str,
    y_label: str = "",
    level: float | None = None,
    diagonal: bool = False,
) -> Markup:
    """Draws points, with a horizontal line at `level` or the diagonal of equal values if asked for.

    With the diagonal, both axes have one range.
    """
    finite = [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return nothing_finite(title)
    shown = sample(finite)
    # The range is that of all points, so that none of the far ones is hidden by the drawing of few.
    xs, ys = [x for x, _ in finite], [y for _, y in finite] + ([level] if level is not None else [])
    if diagonal:
        xs = ys = xs + ys
    x_range, y_range = (widen(min(one), max(one), margin=0.04) for one in (xs, ys))
    frame = Frame(x_range, y_range, height=340 if diagonal else 250)
    body = [frame.axes(x_label, y_label), frame.diagonal() if diagonal else ""]
    if level is not None:
        y = frame.y(level)
        body.append(f'<path class="mark" d="M{LEFT} {y:.1f}H{frame.width - frame.right}"/>')
    body.append(f'<path class="cloud s0" d="{frame.place(shown, join="M")}"/>')
    return frame.drawing(title, body)


def group_chart(groups: Mapping[str, Points], *, x_label: str, y_label: str, title: str) -> Markup:
    """Draws points in a colour for each group, with the group's name in its middle.

    Args:
        groups: Finite points by name; a group that is called by no name is drawn in grey, behind the others.
        x_label: Below the axis.
        y_label: Above the axis.
        title: For readers who cannot see it.
    """
    points = list(chain.from_iterable(groups.values()))
    if not points:
        return nothing_finite(title)
    x_range, y_range = (widen(min(one), max(one), margin=0.05) for one in zip(*points, strict=True))
    frame = Frame(x_range, y_range, width=640, height=460)
    body, names = [frame.axes(x_label, y_label)], []
    share = min(1.0, 1.5 * MOST_CLOUD / len(points))
    named = [(name, points) for name, points in groups.items() if name]
    body += [
        f'<path class="cloud rest" d="{frame.place(sample(rest, most=math.ceil(share * len(rest))), join="M")}"/>'
        for name, rest in groups.items()
        if not name
    ]
    for number, (name, own) in enumerate(named):
        shown = sample(own, most=math.ceil(share * len(own)))
        path = frame.place(shown, join="M")
        body.append(f'<path class="cloud s{number % COLORS}" d="{path}"/>')
        x, y = np.median(np.array(own), axis=0)
        place = f'x="{frame.x(x):.1f}" y="{frame.y(y):.1f}" text-anchor="middle"'
        names.append(f'<text class="name s{number % COLORS}" {place}>{escape(name)}</text>')
    return frame.drawing(title, [*body, *names])


def thin(points: Points, *, most: int = MOST_POINTS) -> Points:
    """Leaves out points where there are more than can be told apart, but never a peak, a gap or the last one.

    Of each stretch, the lowest and the highest point stay, and one that is not finite.

    Example:
        >>> spike = [(x, 9.0 if x == 500 else 0.0) for x in range(1000)]
        >>> kept = thin(spike, most=20)
        >>> len(kept) <= 21, (500, 9.0) in kept, kept[-1]
        (True, True, (999, 0.0))
    """
    if len(points) <= most:
        return points
    size = -(-2 * len(points) // most)
    kept: list[tuple[float, float]] = []
    for first in range(0, len(points), size):
        part = range(first, min(first + size, len(points)))
        finite = [one for one in part if math.isfinite(points[one][1])]
        chosen = (
            {min(finite, key=lambda n: points[n][1]), max(finite, key=lambda n: points[n][1])}
            if finite
            else set()
        )
        chosen |= (
            set(next(([one] for one in part if one not in finite), [])) if len(finite) < len(part) else set()
        )
        kept += [points[one] for one in sorted(chosen)]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def sample(points: Points, *, most: int = MOST_CLOUD) -> Points:
    """Takes points evenly where there are more than `most`.

    Example:
        >>> sample([(0, 0), (1, 1), (2, 2), (3, 3), (4, 4)], most=3)
        [(0, 0), (2, 2), (4, 4)]
    """
    if len(points) <= most:
        return points
    return [points[one] for one in np.linspace(0, len(points) - 1, most).astype(int).tolist()]


def _mark(frame: Frame, x: float, label: str) -> str:
    at = frame.x(x)
    anchor, shift = ("end", -4) if at > frame.width / 2 else ("start", 4)
    line = f'<path class="mark" d="M{at:.1f} {TOP}V{frame.y(frame.y_range[0]):.1f}"/>'
    place = f'x="{at + shift:.1f}" y="{TOP - 8}" text-anchor="{anchor}"'
    return f'{line}<text class="tick" {place}>{escape(label)}</text>'


def _ends(
    frame: Frame, series: Mapping[str, Points], ends: Mapping[str, str], colors: Mapping[str, int]
) -> str:
    """Writes labels beside the last points, pushed apart where they would overlap."""
    places: list[tuple[float, int, str]] = []
    for name, points in series.items():
        last = next((y for _, y in reversed(points) if math.isfinite(y)), None)
        if last is not None and name in ends:
            places.append((frame.y(last) + 4, colors[name], ends[name]))
    places.sort()
    heights = [one[0] for one in places]
    for above, below in pairwise(range(len(places))):
        heights[below] = max(heights[below], heights[above] + END_GAP)
    over = max(0.0, heights[-1] - frame.y(frame.y_range[0])) if heights else 0.0
    x = frame.width - frame.right + 6
    return "".join(
        f'<text class="end s{color}" x="{x}" y="{y - over:.1f}">{escape(text)}</text>'
        for y, (_, color, text) in zip(heights, places, strict=True)
    )


def _path(frame: Frame, points: Points) -> str:
    pieces = groupby(points, key=lambda point: math.isfinite(point[1]))
    return "".join(frame.place(piece) for finite, piece in pieces if finite)


def _coarse(points: Points, frame: Frame, least: float) -> Points:
    """Leaves out points that lie nearer than so many pixels to the one before."""
    kept: list[tuple[float, float]] = []
    for point in points:
        if not kept or math.dist(*((frame.x(x), frame.y(y)) for x, y in (kept[-1], point))) >= least:
            kept.append(point)
    return kept if not points or kept[-1] == points[-1] else [*kept, points[-1]]
