"""Scores of decisions: all of them are functions of how much was right, true and said of each class.

A `Tally` may stand for one set of records or for many at once (draws of a bootstrap, say): the scores
work along its last axis. A class that neither occurs nor is predicted counts in no mean; of one that occurs
but is never predicted, the precision is 0, as in scikit-learn. From nan comes nan.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from trainwright.base.tree import Array
from trainwright.validation.classification import check_classes, confusion_matrix
from trainwright.validation.weights import Floats

Average = Literal["macro", "micro", "weighted"]
Normalization = Literal["none", "true", "pred", "all"]


class Tally(NamedTuple):
    """Sums of weights by class, each of shape `(..., classes)`.

    Args:
        hits: Of records of the class that are said to be.
        true: Of records of the class.
        predicted: Of records that are said to be of the class.
    """

    hits: Floats
    true: Floats
    predicted: Floats


def tally_classes(logits: Array, y: Array, *, weight: Array | None = None) -> Tally:
    """Sums up by class what the largest logit says, shape `(classes,)` each.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> tally_classes(np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([0, 1])).predicted
        array([2., 0.])
    """
    table = confusion_matrix(logits, y, weight=weight)
    return Tally(np.diagonal(table).copy(), table.sum(axis=1), table.sum(axis=0))


def tally_draws(logits: Array, y: Array, *, weight: Array | None = None) -> Callable[[Floats], Tally]:
    """Makes a function from counts of records, shape `(draws, records)`, to tallies `(draws, classes)`.

    Raises:
        DataError: As `classification.cross_entropy`.

    Example:
        >>> draw = tally_draws(np.array([[2.0, 1.0], [3.0, 0.0]]), np.array([0, 1]))
        >>> draw(np.array([[1.0, 1.0], [0.0, 2.0]])).hits
        array([[1., 0.],
               [0., 0.]])
    """
    truth, weights = check_classes(logits, y, weight)
    classes = logits.shape[1]
    numbers = logits.astype(np.float64)
    unknown = bool(np.isnan(numbers[weights > 0]).any())
    chosen = numbers.argmax(axis=1)

    def draw(counts: Floats) -> Tally:
        mass = counts * weights
        if unknown:
            nothing = np.full((len(mass), classes), np.nan)
            return Tally(nothing, nothing, nothing)
        return Tally(
            _sum_by_class(mass * (chosen == truth), truth, classes),
            _sum_by_class(mass, truth, classes),
            _sum_by_class(mass, chosen, classes),
        )

    return draw


def accuracy(tally: Tally) -> Floats:
    """Measures the share of the weight that is right; of multi-class decisions."""
    return _rate(tally.hits.sum(axis=-1), tally.true.sum(axis=-1))


def balanced_accuracy(tally: Tally) -> Floats:
    """Measures the mean recall over the classes that occur."""
    return _mean(_rate(tally.hits, tally.true), tally.true != 0)


def precision(tally: Tally, average: Average = "macro") -> Floats:
    """Measures which share of what is said to be of a class is of it.

    Args:
        tally: Of some records.
        average: Over classes: `macro` plain, `weighted` by how much there is of each class, `micro` over the
            sums of all classes.

    Example:
        >>> tally = Tally(np.array([1.0, 2.0]), np.array([2.0, 2.0]), np.array([1.0, 3.0]))
        >>> print(f"{precision(tally):.4f} {precision(tally, 'micro'):.4f}")
        0.8333 0.7500
    """
    return _average(tally.hits, tally.predicted, tally, average)


def recall(tally: Tally, average: Average = "macro") -> Floats:
    """Measures which share of a class is said to be of it; `average` as of `precision`."""
    return _average(tally.hits, tally.true, tally, average)


def f1(tally: Tally, average: Average = "macro") -> Floats:
    r"""Measures :math:`2 t / (2 t + f_p + f_n)`; `average` as of `precision`."""
    return _average(2 * tally.hits, tally.true + tally.predicted, tally, average)


def class_scores(tally: Tally) -> Floats:
    """Gives precision, recall, F1 and weight of each class.

    Returns:
        Shape `(..., classes, 4)`; nan where there is nothing to divide by.

    Example:
        >>> class_scores(Tally(np.array([1.0]), np.array([2.0]), np.array([1.0])))[0].round(3).tolist()
        [1.0, 0.5, 0.667, 2.0]
    """
    parts = (tally.predicted, tally.true, (tally.true + tally.predicted) / 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        rates = [tally.hits / part for part in parts]
    return np.stack([*rates, tally.true], axis=-1)


def iou(tally: Tally) -> Floats:
    r"""Gives :math:`t / (t + f_p + f_n)` of each class (Jaccard); nan for one neither there nor predicted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Floats = tally.hits / (tally.true + tally.predicted - tally.hits)
    return shares


def dice(tally: Tally) -> Floats:
    """Gives the Dice coefficient of each class, which is its F1; nan for one neither there nor predicted."""
    with np.errstate(invalid="ignore", divide="ignore"):
        shares: Floats = 2 * tally.hits / (tally.true + tally.predicted)
    return shares


def mean_iou(tally: Tally) -> Floats:
    """Measures the mean `iou` over the classes that occur or are predicted."""
    return _average(tally.hits, tally.true + tally.predicted - tally.hits, tally, "macro")


def mean_dice(tally: Tally) -> Floats:
    """Measures the mean `dice` over the classes that occur or are predicted."""
    return f1(tally)


def matthews(tally: Tally) -> Floats:
    r"""Measures the correlation between truth and prediction, from -1 to 1; of multi-class decisions.

    .. math:: \frac{c s - \sum_k t_k p_k}{\sqrt{s^2 - \sum_k p_k^2} \sqrt{s^2 - \sum_k t_k^2}}

    with the right weight :math:`c`, all weight :math:`s`, and :math:`t_k`, :math:`p_k` of class k.

    Returns:
        0 where truth or prediction is one class only.

    Example:
        >>> float(matthews(Tally(np.array([2.0, 1.0]), np.array([2.0, 1.0]), np.array([2.0, 1.0]))).round(6))
        1.0

    Source:
        Gorodkin, Comparing two K-category assignments by a K-category correlation coefficient, 2004.
    """
    # As shares of the whole, so that no square overflows.
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = tally.true.sum(axis=-1, keepdims=True)
        hits, true, said = (one / whole for one in tally)
        common = hits.sum(axis=-1) - (true * said).sum(axis=-1)
        spread = (1 - np.square(true).sum(axis=-1)) * (1 - np.square(said).sum(axis=-1))
        constant = ((true != 0).sum(axis=-1) < 2) | ((said != 0).sum(axis=-1) < 2)
        found = np.where(constant, 0.0, common / np.sqrt(spread))
    return np.where(np.isnan(true).any(axis=-1), np.nan, found)


def normalize_confusion(table: Floats, by: Normalization = "none") -> Floats:
    """Divides a confusion matrix: by nothing, by the true class, by the predicted class, or by the whole.

    Args:
        table: True class in rows, predicted class in columns.
        by: `none`, `true` (rows sum to 1), `pred` (columns do) or `all` (everything does).

    Returns:
        The shares; 0 where there is nothing to divide by.

    Example:
        >>> normalize_confusion(np.array([[1.0, 3.0], [0.0, 0.0]]), "true")
        array([[0.25, 0.75],
               [0.  , 0.  ]])
    """
    if by == "none":
        return table
    axes: dict[str, tuple[int, ...]] = {"true": (1,), "pred": (0,), "all": (0, 1)}
    if by not in axes:
        raise ValueError(f"by is `none`, `true`, `pred` or `all`, not {by!r}")
    return _rate(table, table.sum(axis=axes[by], keepdims=True))


def _average(part: Floats, whole: Floats, tally: Tally, average: Average) -> Floats:
    if average == "micro":
        return _rate(part.sum(axis=-1), whole.sum(axis=-1))
    if average == "weighted":
        return _rate((_rate(part, whole) * tally.true).sum(axis=-1), tally.true.sum(axis=-1))
    if average != "macro":
        raise ValueError(f"average is `macro`, `micro` or `weighted`, not {average!r}")
    return _mean(_rate(part, whole), tally.true + tally.predicted != 0)


def _rate(part: Floats, whole: Floats) -> Floats:
    """Divides; nothing of nothing is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(whole == 0, 0.0, part / whole)


def _mean(values: Floats, there: NDArray[np.bool_]) -> Floats:
    with np.errstate(invalid="ignore"):
        means: Floats = np.where(there, values, 0.0).sum(axis=-1) / there.sum(axis=-1)
    return means


def _sum_by_class(mass: Floats, number: NDArray[np.int64], classes: int) -> Floats:
    places = np.arange(len(mass))[:, None] * classes + number
    sums = np.bincount(places.reshape(-1), weights=mass.reshape(-1), minlength=len(mass) * classes)
    return sums.reshape(len(mass), classes).astype(np.float64)
