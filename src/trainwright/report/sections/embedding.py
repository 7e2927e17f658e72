"""Where an embedding puts the records."""

import numpy as np

from trainwright.report.blocks import Section, figure, figures, legend
from trainwright.report.chart import COLORS, MOST_CLOUD, group_chart
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, Points


def embedding_section(record: RunRecord) -> Section | None:
    """Draws the two directions in which the embeddings differ most, coloured by class."""
    points = record.floats("test/projection")
    if (
        points is None
        or points.ndim != 2
        or points.shape[1] != 2
        or not np.isfinite(points).all()
        or not len(points)
    ):
        return None
    classes = record.array("test/classes")
    groups: dict[str, Points] = {}
    more: str = "the records have no classes"
    if classes is None:
        groups["embeddings"] = _pairs(points)
    else:
        different, counts = np.unique(classes, return_counts=True)
        chosen = sorted(different[np.argsort(-counts, kind="stable")][:COLORS].tolist())
        if len(different) > len(chosen):
            groups[""] = _pairs(points[~np.isin(classes, chosen)])
        groups |= {f"{one}": _pairs(points[classes == one]) for one in chosen}
        more = legend([name for name in groups if name])
    told = f"Principal components of {len(points)} embeddings"
    if len(points) > 1.5 * MOST_CLOUD:
        told += f", about {1.5 * MOST_CLOUD:.0f} of them drawn"
    if "" in groups:
        told += f"; the {COLORS} most frequent classes are coloured, all others grey"
    chart = group_chart(
        groups, x_label="first component", y_label="second component", title="projection of the embedding"
    )
    return Section("embedding", "Embedding", figures([figure(chart, told, more=more, broad=True)]))


def _pairs(points: Floats) -> Points:
    found: Points = [(x, y) for x, y in points.tolist()]
    return found
