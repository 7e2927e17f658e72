"""What a model predicts as a whole, beside what there is."""

import numpy as np

from trainwright.base.tree import Array
from trainwright.validation.confusion import Tally
from trainwright.validation.regression import check_values
from trainwright.validation.weights import Floats

BINS = 30
QUANTILE_BINS = 5


def class_distribution(tally: Tally) -> Floats:
    """Gives the share of each class: in truth (first row), and as predicted (second row).

    Args:
        tally: Of classes, places or labels; of labels, the shares are of all labels that are there.

    Returns:
        Shape `(2, classes)`; each row sums to one, or is nan where there is nothing.

    Example:
        >>> class_distribution(Tally(np.array([1.0, 0.0]), np.array([1.0, 3.0]), np.array([4.0, 0.0])))
        array([[0.25, 0.75],
               [1.  , 0.  ]])
    """
    rows = np.stack([tally.true, tally.predicted])
    with np.errstate(invalid="ignore"):
        shares: Floats = rows / rows.sum(axis=1, keepdims=True)
    return shares


def value_distribution(
    prediction: Array, y: Array, *, weight: Array | None = None, bins: int = BINS
) -> tuple[Floats, Floats]:
    """Counts true and predicted values in the same bins, from the smallest of both to the largest.

    Args:
        prediction: Shape `(records,)` or `(records, outputs)`.
        y: Shape of `prediction`.
        weight: Non-negative, shape `(records,)`.
        bins: How many, of equal width.

    Returns:
        Edges, shape `(outputs, bins + 1)`, and sums of weights, shape `(outputs, 2, bins)`: truth, then
        prediction. All nan for an output with a value that is not finite.

    Raises:
        DataError: As `regression.mse`.

    Example:
        >>> edges, sums = value_distribution(np.array([0.0, 1.0]), np.array([0.0, 2.0]), bins=2)
        >>> edges.tolist(), sums.tolist()
        ([[0.0, 1.0, 2.0]], [[[1.0, 1.0], [1.0, 1.0]]])
    """
    _, truth, weights = check_values(prediction, y, weight)
    guess = prediction.astype(np.float64).reshape(truth.shape)
    there = weights > 0
    edges = np.full((truth.shape[1], bins + 1), np.nan)
    sums = np.full((truth.shape[1], 2, bins), np.nan)
    for output in range(truth.shape[1]):
        pair = [truth[there, output], guess[there, output]]
        both = np.concatenate(pair)
        if np.isfinite(both).all():
            edges[output] = np.histogram_bin_edges(both, bins=bins)
            for row, values in enumerate(pair):
                sums[output, row] = np.histogram(values, bins=edges[output], weights=weights[there])[0]
    return edges, sums


def quantile_confusion(
    prediction: Array, y: Array, *, weight: Array | None = None, bins: int = QUANTILE_BINS
) -> tuple[Floats, Floats]:
    """Counts in which quantile of the targets the truth lies (rows) and the prediction (columns).

    Args:
        prediction: Shape `(records,)` or `(records, outputs)`.
        y: Shape of `prediction`.
        weight: Non-negative, shape `(records,)`.
        bins: How many quantiles of the targets, of equal weight up to ties. A bin holds its upper edge; the
            first and the last are open.

    Returns:
        Inner edges, shape `(outputs, bins - 1)`, in the unit of the target, and sums of weights, shape
        `(outputs, bins, bins)`, nan for an output with a value that is nan.

    Raises:
        DataError: As `regression.mse`.

    Example:
        >>> edges, table = quantile_confusion(np.array([0.0, 0.0, 9.0, 9.0]), np.arange(4.0), bins=2)
        >>> edges.tolist(), table[0].tolist()
        ([[1.0]], [[2.0, 0.0], [0.0, 2.0]])
    """
    if bins < 2:
        raise ValueError(f"bins {bins} is not at least 2")
    _, truth, weights = check_values(prediction, y, weight)
    guess = prediction.astype(np.float64).reshape(truth.shape)
    there = weights > 0
    truth, guess, weights = truth[there], guess[there], weights[there]
    levels = np.arange(1, bins) / bins
    edges = np.quantile(truth, levels, axis=0, weights=weights, method="inverted_cdf").T
    tables = np.full((truth.shape[1], bins, bins), np.nan)
    for output, inner in enumerate(edges):
        rows, columns = (np.searchsorted(inner, one[:, output]) for one in (truth, guess))
        if not (np.isnan(guess[:, output]).any() or np.isnan(truth[:, output]).any()):
            cells = np.bincount(rows * bins + columns, weights=weights, minlength=bins**2)
            tables[output] = cells.reshape(bins, bins)
    return edges, tables
