"""What sections are built of: figures, tables, bars, legends. Text is escaped, drawings are not."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from trainwright.report.chart import COLORS

Cell = str | Markup
NUMBER = "n"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page.

    Args:
        name: Its anchor.
        title: Its heading.
        body: What is in it.
    """

    name: str
    title: str
    body: Markup


def join(parts: Iterable[Cell]) -> Markup:
    """Puts parts one after another."""
    return Markup("").join(parts)


def note(text: Cell) -> Markup:
    """Says something about what comes next."""
    return Markup('<p class="soft">{}</p>').format(text)


def heading(text: str) -> Markup:
    """Begins a part of a section."""
    return Markup("<h3>{}</h3>").format(text)


def figure(drawing: Markup, caption: Cell, *, more: Cell = "", broad: bool = False) -> Markup:
    """Puts a drawing under its caption.

    Args:
        drawing: An SVG or a table.
        caption: What is drawn.
        more: Said more softly, below the caption.
        broad: Whether it takes two columns where there is room.
    """
    soft = Markup('<span class="soft">{}</span>').format(more) if more else ""
    kind = ' class="broad"' if broad else ""
    inner = Markup("<figcaption><b>{}</b>{}</figcaption>{}</figure>").format(caption, soft, drawing)
    return Markup("<figure" + kind + ">") + inner  # noqa: S704 - one of two words of this file


def figures(parts: Iterable[Markup]) -> Markup:
    """Puts figures side by side as far as there is room."""
    return Markup('<div class="figures">{}</div>').format(join(parts))


def row_of(parts: Iterable[Markup]) -> Markup:
    """Puts parts of different widths side by side where there is room, otherwise one below the other."""
    return Markup('<div class="row">{}</div>').format(
        join(Markup("<div>{}</div>").format(part) for part in parts)
    )


def legend(names: Sequence[str]) -> Markup:
    """Names the colours in their order."""
    keys = (
        Markup('<span class="key-of"><i class="key s{}"></i>{}</span> ').format(number % COLORS, name)
        for number, name in enumerate(names)
    )
    return Markup('<span class="legend">{}</span>').format(join(keys))


def table(heads: Mapping[str, str], rows: Iterable[Sequence[Cell]], *, kind: str = "") -> Markup:
    """Makes a table that can be scrolled where it does not fit.

    Args:
        heads: Of the columns, each with its CSS class: `n` for numbers.
        rows: Cells in the order of the heads.
        kind: CSS class of the table.
    """
    classes = list(heads.values())
    head = join(_cell("th", css, name) for name, css in heads.items())
    body = join(
        Markup("<tr>{}</tr>").format(
            join(_cell("td", css, cell) for css, cell in zip(classes, row, strict=True))
        )
        for row in rows
    )
    return Markup(
        '<div class="wide"><table class="{}"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>'
    ).format(kind, head, body)


def fold(summary: str, body: Markup) -> Markup:
    """Hides something until it is asked for."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, body)


def bar(share: float, *, color: int = 0, tick: float | None = None) -> Markup:
    """Draws a share from 0 to 1 as a small bar; outside, it is cut.

    Args:
        share: How much is filled; nothing for nan.
        color: Of the fill.
        tick: A share that is pointed out.
    """
    width = f"{100 * min(1.0, max(0.0, share)):.1f}" if share == share else "0"
    mark = Markup("") if tick is None or tick != tick else _tick(tick)
    return Markup('<span class="meter s{}"><span style="width:{}%"></span>{}</span>').format(
        color, width, mark
    )


def _tick(share: float) -> Markup:
    return Markup('<em style="left:{}%"></em>').format(f"{100 * min(1.0, max(0.0, share)):.1f}")


def _cell(tag: str, css: str, content: Cell) -> Markup:
    if not css:
        return (Markup("<th>{}</th>") if tag == "th" else Markup("<td>{}</td>")).format(content)
    return (Markup('<th class="{}">{}</th>') if tag == "th" else Markup('<td class="{}">{}</td>')).format(
        css, content
    )
