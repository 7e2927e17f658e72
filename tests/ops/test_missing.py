import numpy as np
import pytest
from sklearn.impute import SimpleImputer

from trainwright.base.errors import DataError
from trainwright.ops.missing import Impute

X = np.array([[1.0, np.nan, 2.0], [1.0, 5.0, np.nan], [np.nan, 6.0, 9.0], [4.0, np.nan, 9.0]])
TEXT = np.array([["b", "x"], ["", "y"], ["b", ""], ["a", "y"]])


@pytest.mark.parametrize("strategy", ["mean", "median", "most_frequent"])
@pytest.mark.parametrize("indicator", [False, True])
def test_filling_agrees_with_scikit_learn(strategy, indicator):
    theirs = SimpleImputer(strategy=strategy, add_indicator=indicator)
    found = Impute(strategy=strategy, indicator=indicator).fit(X)(X)
    np.testing.assert_allclose(found, theirs.fit_transform(X), rtol=1e-15)


def test_strategies_differ_and_a_constant_is_filled_in():
    ops = [Impute(strategy=one) for one in ("mean", "median", "most_frequent")]
    filled = [float(op.fit(X)(X)[2, 0]) for op in [*ops, Impute(strategy="constant", value=-1.0)]]
    assert filled == [2.0, 1.0, 1.0, -1.0]
    assert Impute().fit(X)(X)[0, 1] == 5.5


def test_text_is_filled_too():
    assert Impute(strategy="most_frequent").fit(TEXT)(TEXT).tolist() == [
        ["b", "x"],
        ["b", "y"],
        ["b", "y"],
        ["a", "y"],
    ]
    assert Impute(strategy="constant", value="unknown").fit(TEXT)(TEXT)[1, 0] == "unknown"


def test_what_is_filled_in_was_learnt_before():
    op = Impute(indicator=True).fit(np.array([1.0, 3.0]))
    assert op(np.array([np.nan, 100.0])).tolist() == [[2.0, 1.0], [100.0, 0.0]]
    assert op(np.array([])).shape == (0, 2)
    assert op.output_names("age") == ["age", "age.missing"]
    assert Impute().output_names("age") == ["age"]


def test_integers_have_no_gaps_and_stay_as_they_are():
    x = np.array([2**62 + 1, 5])
    assert Impute().fit(x)(x) is x
    assert Impute(indicator=True).fit(x)(np.array([1, 2])).tolist() == [[1.0, 0.0], [2.0, 0.0]]


def test_float32_stays():
    x = X.astype(np.float32)
    assert Impute().fit(x)(x).dtype == Impute(indicator=True).fit(x)(x).dtype == np.float32


@pytest.mark.parametrize(
    ("op", "x", "says"),
    [
        (Impute(), np.array([[1.0, np.nan], [2.0, np.nan]]), "column 1 has no value .*strategy: constant"),
        (Impute(), np.array([np.nan]), "the column has no value"),
        (Impute(strategy="most_frequent"), np.array(["", ""]), "no value"),
        (Impute(), np.zeros((0, 2)), "no records"),
        (Impute(), TEXT, "the mean is for numbers"),
        (Impute(strategy="median"), TEXT, "the median is for numbers"),
        (Impute(strategy="most_frequent", indicator=True), TEXT, "OneHot and Ordinal"),
        (Impute(strategy="constant", value=1.0), TEXT, "does not go with"),
        (Impute(strategy="constant", value="a"), X, "does not go with"),
        (Impute(), np.array([np.inf, 1.0]), "inf"),
        (Impute(), np.zeros((2, 2, 2)), "takes columns"),
        (Impute(), np.array(["2024"], dtype="datetime64[s]"), "numbers or text"),
    ],
)
def test_columns_that_cannot_be_learnt_from_are_refused(op, x, says):
    with pytest.raises(DataError, match=says):
        op.fit(x)


def test_a_constant_needs_no_values():
    x = np.array([np.nan, np.nan])
    assert Impute(strategy="constant", value=7.0).fit(x)(x).tolist() == [7.0, 7.0]


@pytest.mark.parametrize("wrong", [X[:, :2], X[:, 0], TEXT])
def test_other_columns_are_refused(wrong):
    with pytest.raises(DataError, match="was fitted on"):
        Impute().fit(X)(wrong)
    with pytest.raises(DataError, match="before it was fitted"):
        Impute()(wrong)


@pytest.mark.parametrize(
    "args",
    [
        {"strategy": "zero"},
        {"strategy": "constant"},
        {"value": 3.0},
        {"strategy": "constant", "value": float("nan")},
        {"strategy": "constant", "value": ""},
    ],
)
def test_arguments_that_make_no_sense_are_refused(args):
    with pytest.raises(ValueError):
        Impute(**args)
