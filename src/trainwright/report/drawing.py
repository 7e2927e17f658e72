"""The drawing of where a run came from."""

from collections.abc import Sequence

from markupsafe import Markup, escape

from trainwright.report.scale import svg

BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y = 208, 44, 36, 14


def draw_lineage(columns: Sequence[Sequence[tuple[str, str]]]) -> Markup:
    """Draws boxes in columns; each box is joined to every box of the next column.

    Args:
        columns: From left to right, boxes as (heading, name).

    Example:
        >>> draw_lineage([[("dataset", "ab12")], [("run", "r1")]]).count("<rect")
        2
    """
    filled = [column for column in columns if column]
    rows = max(len(column) for column in filled)
    width = len(filled) * BOX_WIDTH + (len(filled) - 1) * GAP_X
    height = rows * BOX_HEIGHT + (rows - 1) * GAP_Y
    parts, before = [], list[tuple[float, float]]()
    for number, column in enumerate(filled):
        left = number * (BOX_WIDTH + GAP_X)
        block = len(column) * BOX_HEIGHT + (len(column) - 1) * GAP_Y
        places = list[tuple[float, float]]()
        for row, (heading, name) in enumerate(column):
            top = (height - block) / 2 + row * (BOX_HEIGHT + GAP_Y)
            middle = top + BOX_HEIGHT / 2
            parts += [
                f'<path class="edge" d="M{x} {y}C{x + 18} {y} {left - 18} {middle} {left} {middle}"/>'
                for x, y in before
            ]
            parts.append(
                f'<rect class="box" x="{left}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
            )
            parts.append(f'<text class="tick" x="{left + 10}" y="{top + 17}">{escape(heading)}</text>')
            parts.append(
                f'<text class="label" x="{left + 10}" y="{top + 34}">{escape(_shorten(name))}</text>'
            )
            places.append((left + BOX_WIDTH, middle))
        before = places
    return svg("lineage", "lineage", (-2, -2, width + 4, height + 4), parts)


def _shorten(name: str) -> str:
    return name if len(name) <= 23 else f"{name[:11]}…{name[-11:]}"
