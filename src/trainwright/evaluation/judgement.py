"""What was found about a version, and how scores get their intervals."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray

from trainwright.base.tree import Array
from trainwright.validation.bootstrap import Score, bootstrap_intervals
from trainwright.validation.confusion import Tally
from trainwright.validation.slices import score_slices
from trainwright.validation.weights import Floats, settle_weight

DRAWS = 1000
FEWEST_DRAWS = 100
WORK = 2**26  # numbers that the draws of a slow score may go through
SAMPLES = 8


class Interval(TypedDict):
    """A score with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about a version on some records.

    Args:
        scores: With intervals, by name such as `accuracy`.
        arrays: What a report draws, by name.
        classes: Of a classifier, in the order of the confusion matrix; the labels of a multi-label model.
        records: How many records.
        tables: Plain values by name: `samples` (the records with the least and the greatest loss) and `slices`.
    """

    scores: dict[str, Interval]
    arrays: dict[str, Array]
    classes: list[Any]
    records: int
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)


class Measured(NamedTuple):
    """A score of all records, and the same score as a function of how often each is drawn.

    Args:
        value: Of all records.
        score: As for `bootstrap_interval`.
    """

    value: float
    score: Score


def measure(score: Score, count: int) -> Measured:
    """Measures all records with the function that measures the draws."""
    return Measured(float(score(np.ones((1, count)))[0]), score)


def add_intervals(
    quick: Mapping[str, Measured],
    slow: Mapping[str, Measured],
    *,
    count: int,
    work: int,
    intervals: bool = True,
) -> dict[str, Interval]:
    """Gives each score its bootstrap interval: of 1000 draws, for the slow ones of as many as time allows.

    Args:
        quick: By name.
        slow: By name.
        count: Number of records.
        work: Numbers that one draw of a slow score goes through; there are `2**26 / work` draws of these, at
            least 100 and at most 1000.
        intervals: Whether there are any, which is what takes long; without, both ends are the value.
    """
    few = max(FEWEST_DRAWS, min(DRAWS, WORK // max(1, work)))
    found: dict[str, Interval] = {}
    for scores, draws in ((quick, DRAWS), (slow, few)):
        # What cannot be measured has no interval either.
        known = {name: one.score for name, one in scores.items() if intervals and not math.isnan(one.value)}
        ends = bootstrap_intervals(known, count, draws=draws) if known else {}
        for name, one in scores.items():
            low, high = ends.get(name, (one.value, one.value))
            found[name] = {"value": one.value, "low": low, "high": high}
    return found


def tallied(draw: Callable[[Floats], Tally], *scores: Callable[[Tally], Floats]) -> list[Score]:
    """Makes scores of tallies that count each block of draws once for all of them."""
    latest: list[Any] = [None, None]

    def count(counts: Floats) -> Tally:
        if latest[0] is not counts:
            latest[:] = [counts, draw(counts)]
        tally: Tally = latest[1]
        return tally

    def make(score: Callable[[Tally], Floats]) -> Score:
        return lambda counts: score(count(counts))

    return [make(score) for score in scores]


def pick_samples(
    losses: Floats, describe: Callable[[int], Mapping[str, Any]], *, weight: Array | None = None
) -> dict[str, Any]:
    """Names the records with the least and with the greatest loss, nan last, that is among the greatest.

    Args:
        losses: Shape `(records,)`.
        describe: Says more about a record, in plain values.
        weight: Records of weight zero are left out.
    """
    rows = np.flatnonzero(settle_weight(weight, len(losses)) > 0)
    order = rows[np.argsort(losses[rows], kind="stable")]

    def show(chosen: NDArray[np.int64]) -> list[dict[str, Any]]:
        return [{"record": int(one), "loss": float(losses[one]), **describe(int(one))} for one in chosen]

    return {"best": show(order[:SAMPLES]), "worst": show(order[::-1][:SAMPLES])}


def make_tables(
    scores: Mapping[str, Measured],
    samples: dict[str, Any],
    *,
    columns: Mapping[str, Array] | None,
    count: int,
    weight: Array | None,
) -> dict[str, dict[str, Any]]:
    """Gives the tables of a judgement: samples and, where there are columns, the scores by their values.

    Raises:
        DataError: If a column is not one value per record.
    """
    tables: dict[str, dict[str, Any]] = {"samples": samples}
    if columns:
        measures = {name: one.score for name, one in scores.items()}
        rows = score_slices(columns, measures, count=count, weight=settle_weight(weight, count))
        tables["slices"] = {"rows": rows}
    return tables
