"""Scales of charts: round ticks, numbers as text, and the frame in which points have their place."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

LEFT, TOP, BOTTOM = 50, 22, 36

Points = Sequence[tuple[float, float]]
Floats = NDArray[np.float64]


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
    return [tidy(number * step) for number in range(first, last + 1)]


def log_ticks(low: float, high: float, *, most: int = 5) -> list[float]:
    """Gives powers of ten within an interval of positive numbers; with few of them, also twice and five times.

    Example:
        >>> log_ticks(0.002, 30.0)
        [0.01, 0.1, 1.0, 10.0]
        >>> log_ticks(0.9, 12.0)
        [1.0, 2.0, 5.0, 10.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [10.0**power for power in powers if low <= 10.0**power <= high]
    if len(found) > 2:
        return found[:: -(-len(found) // most)]
    fine = [tidy(factor * 10.0**power) for power in powers for factor in (1, 2, 5)]
    return [value for value in fine if low <= value <= high]


def tick_text(value: float) -> str:
    """Spells a number on an axis.

    Example:
        >>> [tick_text(value) for value in (0.0, 0.25, 12000.0, 2.5e6, 1e-5)]
        ['0', '0.25', '12k', '2.5M', '1e-05']
    """
    for size, letter in ((1e6, "M"), (1e4, "k")):
        if size <= abs(value) < 1e9:
            return f"{value / (1e3 if letter == 'k' else 1e6):g}{letter}"
    return f"{value:g}"


def short(value: float) -> str:
    """Spells a measured number with four digits.

    Example:
        >>> short(0.123456), short(123456.0), short(7.0), short(float("nan"))
        ('0.1235', '123456', '7', 'nan')
    """
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


def tidy(value: float) -> float:
    """Takes the rounding of a product away."""
    return float(f"{value:.10g}")


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a point of the data lies in a drawing, in pixels at a width of 420.

    Args:
        x_range: Smallest and largest x, in the unit of the data.
        y_range: Smallest and largest y, both positive if `log`.
        width: Of the drawing.
        height: Of the drawing.
        right: Room beside the axes for labels.
        log: Whether equal steps upwards are equal factors.
    """

    x_range: tuple[float, float]
    y_range: tuple[float, float]
    width: int = 420
    height: int = 250
    right: int = 14
    log: bool = False

    def x(self, value: float) -> float:
        """Gives the place of an x, rightwards."""
        low, high = self.x_range
        return LEFT + (value - low) / (high - low) * (self.width - LEFT - self.right)

    def y(self, value: float) -> float:
        """Gives the place of a y, downwards."""
        low, high = map(math.log10, self.y_range) if self.log else self.y_range
        number = math.log10(value) if self.log else value
        return self.height - BOTTOM - (number - low) / (high - low) * (self.height - TOP - BOTTOM)

    def place(self, points: Iterable[tuple[float, float]], *, join: str = "L") -> str:
        """Spells points as a path.

        Args:
            points: All finite.
            join: `L` draws lines between them, `M` dots where they lie.
        """
        spelled = [f"{self.x(x):.1f} {self.y(y):.1f}" for x, y in points]
        if join == "M":
            return "".join(f"M{one}h0" for one in spelled)
        return "M" + "L".join(spelled) if spelled else ""

    def axes(self, x_label: str, y_label: str = "") -> str:
        """Draws the grid, the ticks and what they mean."""
        ticks = log_ticks if self.log else nice_ticks
        heights = [(self.y(value), value) for value in ticks(*self.y_range)]
        rules = "".join(f"M{LEFT} {y:.1f}H{self.width - self.right}" for y, _ in heights)
        parts = [f'<path class="grid" d="{rules}"/>']
        parts += [
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{tick_text(value)}</text>'
            for y, value in heights
        ]
        foot = self.height - BOTTOM + 15
        parts += [
            f'<text class="tick" x="{self.x(value):.1f}" y="{foot}" text-anchor="middle">{tick_text(value)}</text>'
            for value in nice_ticks(*self.x_range)
        ]
        middle = (LEFT + self.width - self.right) / 2
        parts.append(f'<text class="tick" x="{middle}" y="{self.height - 5}" text-anchor="middle">')
        parts.append(f"{escape(x_label)}</text>")
        if y_label:
            parts.append(f'<text class="tick" x="4" y="12">{escape(y_label)}</text>')
        return "".join(parts)

    def diagonal(self) -> str:
        """Draws where x equals y."""
        low = max(self.x_range[0], self.y_range[0])
        high = min(self.x_range[1], self.y_range[1])
        return f'<path class="mark" d="{self.place([(low, low), (high, high)])}"/>' if low < high else ""

    def drawing(self, title: str, body: Sequence[str]) -> Markup:
        """Makes one drawing of its parts."""
        return svg(
            "chart large" if self.width > 420 else "chart", title, (0, 0, self.width, self.height), body
        )


def svg(kind: str, title: str, box: tuple[float, float, float, float], body: Sequence[str]) -> Markup:
    """Makes a drawing of parts in which all text of users is escaped already.

    Args:
        kind: CSS class.
        title: For readers who cannot see it.
        box: Left, top, width and height.
        body: The parts.
    """
    size = " ".join(f"{one:g}" for one in box)
    label = escape(title)
    head = f'<svg class="{kind}" viewBox="{size}" role="img" aria-label="{label}">'
    return Markup(f"{head}{''.join(body)}</svg>")  # noqa: S704 - the parts are drawings


def nothing_finite(title: str) -> Markup:
    """Says that there is nothing to draw."""
    return Markup('<p class="empty">{}: no finite values</p>').format(title)


def widen(low: float, high: float, *, margin: float) -> tuple[float, float]:
    """Adds room at both ends of an interval, a share of its length; a single value gets an interval around it."""
    if high <= low:
        pad = abs(low) * 0.1 or 0.5
        return low - pad, high + pad
    return low - margin * (high - low), high + margin * (high - low)
