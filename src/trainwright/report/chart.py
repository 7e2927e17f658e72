"""Charts as SVG text that follows the page's colours."""

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 12, 36
MOST_POINTS = 400

Points = Sequence[tuple[float, float]]


def nice_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Gives round numbers within an interval.

    Example:
        >>> nice_ticks(0.0, 1.0)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        >>> nice_ticks(3, 42)
        [10.0, 20.0, 30.0, 40.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [_tidy(number * step) for number in range(first, last + 1)]


def line_chart(
    series: Mapping[str, Points], *, x_label: str, title: str, mark: tuple[float, str] | None = None
) -> str:
    """Draws lines over one axis.

    Args:
        series: Points `(x, y)` by name; points whose y is not finite are left out and break the line.
        x_label: Below the axis.
        title: For readers who cannot see it.
        mark: An x to point out, with its label.
    """
    finite = [(x, y) for points in series.values() for x, y in points if math.isfinite(y)]
    if not finite:
        return f'<p class="empty">{escape(title)}: no finite values</p>'
    frame = _Frame(finite)
    body = [frame.axes(x_label)]
    for number, (name, points) in enumerate(series.items()):
        shown = _thin(points)
        body.append(f'<path class="line s{number % 6}" d="{_path(frame, shown)}"/>')
        body += [
            f'<circle class="dot s{number % 6}" cx="{frame.x(x):.1f}" cy="{frame.y(y):.1f}" r="2.5">'
            f"<title>{escape(name)} at {_tidy(x):g}: {y:.5g}</title></circle>"
            for x, y in shown
            if math.isfinite(y) and len(shown) <= 60
        ]
    if mark is not None:
        x, label = mark
        at = f"{frame.x(x):.1f}"
        body.append(f'<line class="mark" x1="{at}" x2="{at}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        anchor = "end" if frame.x(x) > WIDTH / 2 else "start"
        shift = -4 if anchor == "end" else 4
        place = f'x="{frame.x(x) + shift:.1f}" y="{TOP + 10}" text-anchor="{anchor}"'
        body.append(f'<text class="tick" {place}>{escape(label)}</text>')
    return _svg(title, body)


def scatter_chart(points: Points, *, x_label: str, title: str, level: float | None = None) -> str:
    """Draws points, with a horizontal line at `level` if one is given."""
    finite = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    if not finite:
        return f'<p class="empty">{escape(title)}: no finite values</p>'
    frame = _Frame([*finite, *([(finite[0][0], level)] if level is not None else [])])
    body = [frame.axes(x_label)]
    if level is not None:
        y = frame.y(level)
        body.append(f'<line class="mark" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    dots = [f"M{frame.x(x):.1f} {frame.y(y):.1f}h0" for x, y in _thin(finite, most=1500)]
    body.append(f'<path class="cloud s0" d="{"".join(dots)}"/>')
    return _svg(title, body)


class _Frame:
    def __init__(self, points: Points) -> None:
        xs, ys = [x for x, _ in points], [y for _, y in points]
        self.low_x, self.high_x = _widen(min(xs), max(xs), margin=0.0)
        self.low_y, self.high_y = _widen(min(ys), max(ys), margin=0.05)

    def x(self, value: float) -> float:
        return LEFT + (value - self.low_x) / (self.high_x - self.low_x) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.low_y) / (self.high_y - self.low_y) * (HEIGHT - TOP - BOTTOM)

    def axes(self, x_label: str) -> str:
        parts = []
        for value in nice_ticks(self.low_y, self.high_y):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(
                f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        for value in nice_ticks(self.low_x, self.high_x, most=8):
            x = self.x(value)
            parts.append(
                f'<text class="tick" x="{x:.1f}" y="{HEIGHT - BOTTOM + 14}" text-anchor="middle">{value:g}</text>'
            )
        middle = (LEFT + WIDTH - RIGHT) / 2
        parts.append(
            f'<text class="tick" x="{middle}" y="{HEIGHT - 4}" text-anchor="middle">{escape(x_label)}</text>'
        )
        return "".join(parts)


def _svg(title: str, body: Sequence[str]) -> str:
    return (
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">'
        f"{''.join(body)}</svg>"
    )


def _path(frame: _Frame, points: Points) -> str:
    drawn, pen_is_down = [], False
    for x, y in points:
        if not math.isfinite(y):
            pen_is_down = False
            continue
        drawn.append(f"{'L' if pen_is_down else 'M'}{frame.x(x):.1f} {frame.y(y):.1f}")
        pen_is_down = True
    return "".join(drawn)


def _thin(points: Points, *, most: int = MOST_POINTS) -> Points:
    """Leaves out points evenly where there are more than can be told apart; the last one stays."""
    if len(points) <= most:
        return points
    stride = -(-len(points) // most)
    kept = list(points[::stride])
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _widen(low: float, high: float, *, margin: float) -> tuple[float, float]:
    if high <= low:
        pad = abs(low) * 0.1 or 0.5
        return low - pad, high + pad
    return low - margin * (high - low), high + margin * (high - low)


def _tidy(value: float) -> float:
    return float(f"{value:.10g}")
