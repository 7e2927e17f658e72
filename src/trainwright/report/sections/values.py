"""What a regression predicts beside what was true."""

import numpy as np

from trainwright.report.bars import box_chart, outline_chart
from trainwright.report.blocks import NUMBER, Section, figure, figures, join, legend, note, table
from trainwright.report.chart import MOST_CLOUD, scatter_chart
from trainwright.report.matrix import draw_matrix
from trainwright.report.record import RunRecord
from trainwright.report.scale import Floats, Points, short

MOST_OUTPUTS = 4
LEVELS = ("5 %", "25 %", "median", "75 %", "95 %")


def values_section(record: RunRecord) -> Section | None:
    """Draws predicted over true values, both distributions, and which fifth is taken for which."""
    pair = _read(record)
    if pair is None:
        return None
    predicted, true = pair
    edges, sums = record.floats("test/distribution_edges"), record.floats("test/distribution")
    borders, cells = record.floats("test/quantile_edges"), record.floats("test/quantile_confusion")
    parts = [_told(predicted)]
    for one, name in _outputs(record, predicted):
        chart = scatter_chart(
            _points(true[:, one], predicted[:, one]),
            x_label="true",
            y_label="predicted",
            title=name,
            diagonal=True,
        )
        drawn = [figure(chart, f"{name}: predicted over true", more="on the dashed line they are equal")]
        if edges is not None and sums is not None:
            chart = outline_chart(edges[one], sums[one], x_label=name, title=f"distribution of {name}")
            drawn.append(figure(chart, f"{name}: distribution", more=legend(["true", "predicted"])))
        if borders is not None and cells is not None and np.isfinite(cells[one]).all():
            labels = _ranges(borders[one])
            matrix = draw_matrix(cells[one], labels, name=f"fifths-{one}")
            drawn.append(
                figure(
                    matrix,
                    f"{name}: quantiles of the target",
                    more="rows hold equally many records up to ties",
                )
            )
        parts.append(figures(drawn))
    return Section("values", "Predicted and true", join(parts))


def residuals_section(record: RunRecord) -> Section | None:
    """Draws residuals over predictions, and their quantiles."""
    pair = _read(record)
    if pair is None:
        return None
    predicted, true = pair
    quantiles = record.floats("test/residual_quantiles")
    parts = [
        note("Predicted minus true, in the unit of the target: above zero, the prediction is too large.")
    ]
    for one, name in _outputs(record, predicted):
        points = _points(predicted[:, one], predicted[:, one] - true[:, one])
        chart = scatter_chart(points, x_label="predicted", y_label="residual", title="residuals", level=0.0)
        drawn = [figure(chart, f"{name}: residual over prediction", more="no pattern is best")]
        if quantiles is not None and len(quantiles) == len(LEVELS):
            own = quantiles[:, one].tolist()
            box = box_chart(own, x_label="residual", title="quantiles of the residuals")
            rows = table(dict.fromkeys(LEVELS, NUMBER), [[short(value) for value in own]])
            drawn.append(
                figure(
                    join([box, rows]),
                    f"{name}: quantiles of the residuals",
                    more="line 5 to 95 %, box 25 to 75 %",
                )
            )
        parts.append(figures(drawn))
    return Section("residuals", "Residuals", join(parts))


def _read(record: RunRecord) -> tuple[Floats, Floats] | None:
    predicted, true = record.floats("test/predictions"), record.floats("test/targets")
    if predicted is None or true is None:
        return None
    return predicted.reshape(len(predicted), -1), true.reshape(len(true), -1)


def _outputs(record: RunRecord, predicted: Floats) -> list[tuple[int, str]]:
    return list(enumerate(record.outputs(predicted.shape[1])))[:MOST_OUTPUTS]


def _told(predicted: Floats) -> str:
    count, width = predicted.shape
    told = f"{count} predictions of the test split"
    if count > MOST_CLOUD:
        told += f", of which {MOST_CLOUD} are drawn as dots, taken evenly"
    left = width - MOST_OUTPUTS
    return note(told + (f"; {left} more outputs are not drawn." if left > 0 else "."))


def _ranges(edges: Floats) -> list[str]:
    spelled = [short(float(one)) for one in edges]
    return [f"≤ {spelled[0]}", *(f"to {one}" for one in spelled[1:]), f"> {spelled[-1]}"]


def _points(x: Floats, y: Floats) -> Points:
    return list(zip(x.tolist(), y.tolist(), strict=True))
