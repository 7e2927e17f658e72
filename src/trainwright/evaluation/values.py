"""Judges predicted values, of a point, a variance or quantiles, and embeddings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainwright.base.random import permutation, stream
from trainwright.base.tree import Array
from trainwright.evaluation.judgement import (
    Judgement,
    Measured,
    add_intervals,
    make_tables,
    measure,
    pick_samples,
)
from trainwright.validation import regression
from trainwright.validation.bootstrap import Score, mean_score, measured_score
from trainwright.validation.correlation import pearson, spearman
from trainwright.validation.distribution import quantile_confusion, value_distribution
from trainwright.validation.embedding import (
    look_around,
    project,
    recall_terms,
    silhouette_terms,
    vote_terms,
)
from trainwright.validation.families import ARRAYS, family_of
from trainwright.validation.probabilistic import (
    between_terms,
    nominal_coverage,
    pinball_terms,
    quantile_coverage,
)
from trainwright.validation.space import spread_weight, to_places
from trainwright.validation.weights import Floats, settle_weight

LEVELS = (0.5, 0.9, 0.95)
MOST_PLACES = 10_000  # of a grid, so many values are kept for drawing
MOST_EMBEDDED = 10_000  # neighbours cost the square of the records


def judge_values(
    outputs: Mapping[str, Array],
    y: Array,
    *,
    weight: Array | None,
    levels: Sequence[float] | None = None,
    columns: Mapping[str, Array] | None = None,
    intervals: bool = True,
) -> Judgement:
    """Judges a regression, all in the unit of the target. Draws take whole records, also of grids.

    Args:
        outputs: `y`, shape `(records, outputs)` or `(records, channels, *space)`; where there are, `variance`, or
            `scale` and perhaps `df`, of that shape; `mixing`, `means` and `variances`; or `quantiles`, shape
            `(records, levels, outputs)`.
        y: Targets, shape of `outputs["y"]`.
        weight: Shape `(records,)`.
        levels: Of the quantiles.
        columns: Raw columns by name; the scores are also taken by their values.
        intervals: As `add_intervals`.

    Raises:
        DataError: If the arrays do not belong together.
    """
    guess, true = (_by_record(one) for one in (outputs["y"], y))  # (records, places, channels)
    count, places, channels = true.shape
    flat_guess, flat_true = guess.reshape(-1, channels), true.reshape(-1, channels)
    flat_weight = spread_weight(weight, y)
    error = (guess.astype(np.float64) - true.astype(np.float64)).reshape(count, -1)
    squares = np.square(error).reshape(count, places, channels).mean(axis=1)
    scale = np.abs(true.astype(np.float64)).reshape(count, -1)
    shares = (np.abs(error) / np.maximum(scale, np.finfo(np.float64).eps)).mean(axis=1)

    def whole(score: Any) -> float:
        return float(score(flat_guess, flat_true, weight=flat_weight))

    def redraw(score: Any) -> Measured:
        def weigh(mass: Floats) -> float:
            return float(score(flat_guess, flat_true, weight=np.repeat(mass, places)))

        return Measured(whole(score), measured_score(weigh, weight, count))

    quick = {
        # Of several outputs, the mean of their roots.
        "rmse": Measured(whole(regression.rmse), _root_score(squares, weight)),
        "mae": measure(mean_score(np.abs(error).mean(axis=1), weight), count),
        "r2": Measured(whole(regression.r2), _r2_score(squares, true, weight)),
        "mse": measure(mean_score(squares.mean(axis=1), weight), count),
        "mape": measure(mean_score(shares, weight), count),
    }
    quick |= _measure_spread(outputs, y, weight=weight, levels=levels)
    slow = {"pearson": redraw(pearson), "spearman": redraw(spearman)}
    arrays = _value_arrays(flat_guess, flat_true, flat_weight, most=len(y) if places == 1 else MOST_PLACES)
    for name in (*ARRAYS, "quantiles"):
        if name in outputs and y.ndim == 2:
            arrays[name] = outputs[name]
    if "quantiles" in outputs and levels is not None:
        reached = quantile_coverage(outputs["quantiles"], y, levels=levels, weight=weight)
        arrays["quantile_coverage"] = np.stack([np.array(levels, dtype=np.float64), reached], axis=1)
    samples = pick_samples(
        squares.mean(axis=1),
        lambda one: (
            {"target": true[one, 0].tolist(), "prediction": guess[one, 0].tolist()} if places == 1 else {}
        ),
        weight=weight,
    )
    return Judgement(
        add_intervals(quick, slow, count=count, work=8 * true.size, intervals=intervals),
        arrays,
        [],
        count,
        make_tables(quick | slow, samples, columns=columns, count=count, weight=weight),
    )


def judge_embedding(
    embedding: Array,
    y: Array | None,
    *,
    weight: Array | None,
    columns: Mapping[str, Array] | None = None,
) -> Judgement:
    """Judges an embedding; each record asks the others, and is not its own neighbour.

    Of more than 10 000 records, that many are judged, always the same; the silhouettes are taken as given when the
    records are drawn anew.

    Args:
        embedding: Shape `(records, width)`.
        y: Classes, shape `(records,)`; without them there is only the projection.
        weight: Shape `(records,)`.
        columns: Raw columns by name; the scores are also taken by their values.

    Raises:
        DataError: If the arrays do not belong together.
    """
    chosen = np.sort(permutation(stream(0, "embedding"), len(embedding))[:MOST_EMBEDDED])
    part = embedding[chosen]
    count = len(part)
    shares = None if weight is None else weight[chosen]
    arrays: dict[str, Array] = {
        "embedding": part,
        "projection": project(part),
        "records": chosen,
    }
    if y is None or y.ndim != 1 or y.dtype.kind not in "iu" or count < 2:
        return Judgement({}, arrays, [], len(embedding))
    own = y[chosen]
    around = look_around(part, part, reference_y=own, k=5, among_itself=True)
    apart = silhouette_terms(part, own)
    terms = {
        "knn_accuracy": vote_terms(around, own),
        "recall_at_1": recall_terms(around, own, k=1),
        "recall_at_5": recall_terms(around, own, k=5),
    }
    scores = {name: measure(mean_score(one, shares), count) for name, one in terms.items()}
    scores["silhouette"] = measure(mean_score(apart, None), count)
    picked = pick_samples(1 - apart, lambda one: {"target": int(own[one])}, weight=shares)
    for row in (*picked["best"], *picked["worst"]):
        row["record"] = int(chosen[row["record"]])
    cut = None if columns is None else {name: values[chosen] for name, values in columns.items()}
    return Judgement(
        add_intervals(scores, {}, count=count, work=count),
        arrays | {"classes": own},
        np.unique(own).tolist(),
        len(embedding),
        make_tables(scores, picked, columns=cut, count=count, weight=shares),
    )


def _by_record(values: Array) -> Array:
    return to_places(values).reshape(len(values), -1, values.shape[1])


def _measure_spread(
    outputs: Mapping[str, Array], y: Array, *, weight: Array | None, levels: Sequence[float] | None
) -> dict[str, Measured]:
    terms: dict[str, Floats] = {}
    family = family_of(outputs)
    if family is not None:
        terms = {"nll": family.nll_terms(y), "crps": family.crps_terms(y)}
        terms |= {f"coverage_{100 * level:g}": family.inside_terms(y, level=level) for level in LEVELS}
    if "quantiles" in outputs and levels is not None:
        terms["pinball"] = pinball_terms(outputs["quantiles"], y, levels=levels)
        terms[nominal_coverage(levels)] = between_terms(outputs["quantiles"], y)
    return {name: measure(mean_score(one, weight), len(y)) for name, one in terms.items()}


def _value_arrays(guess: Array, true: Array, weight: Array | None, *, most: int) -> dict[str, Array]:
    edges, table = quantile_confusion(guess, true, weight=weight)
    borders, sums = value_distribution(guess, true, weight=weight)
    kept = np.linspace(0, len(true) - 1, min(len(true), most)).astype(np.int64)
    return {
        "predictions": guess[kept],
        "targets": true[kept],
        "residuals": (guess.astype(np.float64) - true.astype(np.float64))[kept],
        "residual_quantiles": regression.residual_quantiles(guess, true, weight=weight),
        "quantile_edges": edges,
        "quantile_confusion": table,
        "distribution_edges": borders,
        "distribution": sums,
    }


def _root_score(squares: Floats, weight: Array | None) -> Score:
    weights = settle_weight(weight, len(squares))
    weighted = np.where(weights[:, None] > 0, squares, 0.0) * weights[:, None]

    def score(counts: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.sqrt((counts @ weighted) / (counts @ weights)[:, None]).mean(axis=1)
        return found

    return score


def _r2_score(squares: Floats, true: Array, weight: Array | None) -> Score:
    weights = settle_weight(weight, len(true))
    there = weights[:, None] > 0
    numbers = true.astype(np.float64)
    # sum w (y - m)^2 = sum w y^2 - m^2 sum w, after a common shift that keeps it accurate
    moved = numbers - numbers.mean(axis=(0, 1))
    first, second = moved.mean(axis=1), np.square(moved).mean(axis=1)
    left, first, second = (np.where(there, one, 0.0) for one in (squares, first, second))

    def score(counts: Floats) -> Floats:
        mass = counts * weights
        whole = mass.sum(axis=1, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = mass @ second - np.square(mass @ first) / whole
            found: Floats = (1 - (mass @ left) / spread).mean(axis=1)
        return found

    return score
