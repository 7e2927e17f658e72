import math

import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.ops.elementwise import Clip, Log1p

X = np.random.default_rng(0).exponential(100.0, size=(300, 2))


def test_the_logarithm_agrees_with_the_closed_form_and_comes_back():
    values = [0.0, 1e-9, -0.5, 1e6]
    y = Log1p()(np.array(values))
    np.testing.assert_allclose(y, [math.log1p(one) for one in values], rtol=1e-15)
    np.testing.assert_allclose(Log1p().invert(y), values, rtol=1e-12)


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.array([0.0, 3.0, -1.0, -5.0]), "record 2 holds -1.0"),
        (np.array([[0.0, 1.0], [2.0, -7.5]]), "record 1 holds -7.5"),
        (np.array([0.0, np.nan]), "record 1 holds nan"),
        (np.array([-3]), "record 0 holds -3"),
        (np.array(["1"]), "takes numbers"),
    ],
)
def test_what_has_no_logarithm_is_refused_by_its_record(x, says):
    with pytest.raises(DataError, match=says):
        Log1p()(x)


def test_a_prediction_beyond_all_numbers_is_infinite_not_an_error():
    assert Log1p().invert(np.array([1e4])) == np.inf


@pytest.mark.parametrize(
    ("op", "low", "high"),
    [
        (Clip(low=20.0), 20.0, np.inf),
        (Clip(high=150.0), -np.inf, 150.0),
        (Clip(low=20.0, high=150.0), 20.0, 150.0),
        (Clip(lower_quantile=0.1), np.percentile(X, 10, axis=0), np.inf),
        (Clip(upper_quantile=0.9), -np.inf, np.percentile(X, 90, axis=0)),
        (Clip(low=20.0, upper_quantile=0.9), 20.0, np.percentile(X, 90, axis=0)),
    ],
)
def test_values_outside_of_the_bounds_move_to_them(op, low, high):
    found = op.fit(X)(X)
    np.testing.assert_allclose(found, np.minimum(np.maximum(X, low), high), rtol=1e-14)
    assert (found != X).any()


def test_what_was_clipped_stays_where_it_is():
    assert Clip(low=0.0).invert(X) is X


@pytest.mark.parametrize("op", [Clip(low=0.5, high=9.0), Log1p()])
def test_float32_stays_and_other_numbers_become_float64(op):
    for kind in (np.float32, np.float64, np.int16, np.bool_):
        x = np.array([0, 1, 20]).astype(kind)
        assert op(x).dtype == (np.float32 if kind == np.float32 else np.float64)


def test_nan_is_not_hidden_by_clipping():
    assert np.isnan(Clip(low=0.0, high=1.0)(np.array([np.nan]))).all()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({}, "give a bound"),
        ({"low": 1.0, "lower_quantile": 0.1}, "two ways"),
        ({"high": 1.0, "upper_quantile": 0.1}, "two ways"),
        ({"low": 2.0, "high": 1.0}, "above the upper"),
        ({"lower_quantile": 0.9, "upper_quantile": 0.1}, "above the upper"),
        ({"lower_quantile": -0.1}, "from 0 to 1"),
        ({"upper_quantile": 5.0}, "from 0 to 1"),
        ({"low": float("nan")}, "not a number"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(args, says):
    with pytest.raises(ValueError, match=says):
        Clip(**args)


@pytest.mark.parametrize(
    ("op", "x", "says"),
    [
        (Clip(lower_quantile=0.1), X * np.nan, "nan or inf"),
        (Clip(lower_quantile=0.1), X[:0], "no records"),
        (Clip(low=1e9, upper_quantile=0.5), X, "above the upper"),
    ],
)
def test_bounds_that_cannot_be_learnt_are_refused(op, x, says):
    with pytest.raises(DataError, match=says):
        op.fit(x)


def test_clipping_before_fitting_or_other_records_is_refused():
    with pytest.raises(DataError, match="before it was fitted"):
        Clip(lower_quantile=0.1)(X)
    with pytest.raises(DataError, match="was fitted on"):
        Clip(lower_quantile=0.1).fit(X)(X[:, :1])
    with pytest.raises(DataError, match="takes numbers"):
        Clip(low=0.0)(np.array(["a"]))
