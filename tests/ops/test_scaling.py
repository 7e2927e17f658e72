import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from trainwright.base.errors import DataError
from trainwright.ops.scaling import MinMax, Robust, Standardize

X = np.random.default_rng(1).normal(1e3, 5.0, size=(200, 3))
IMAGES = np.random.default_rng(2).normal(size=(20, 3, 4, 5)).astype(np.float32)


@pytest.mark.parametrize(("ours", "theirs"), [(Standardize(), StandardScaler()), (MinMax(), MinMaxScaler())])
def test_scaling_of_a_table_agrees_with_scikit_learn(ours, theirs):
    np.testing.assert_allclose(ours.fit(X)(X), theirs.fit_transform(X), atol=1e-6)


@pytest.mark.parametrize("kind", [Standardize, MinMax, Robust])
@pytest.mark.parametrize("per", ["feature", "channel", "all"])
@pytest.mark.parametrize("x", [X, IMAGES, X[:, :1], (X > 1e3), X.astype(np.int64), np.asfortranarray(IMAGES)])
def test_inverting_gives_the_records_back(kind, per, x):
    op = kind(per=per).fit(x)
    np.testing.assert_allclose(op.invert(op(x)), x.astype(np.float64), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("per, axes", [("feature", 0), ("channel", (0, 2, 3)), ("all", None)])
def test_each_group_gets_mean_zero_and_variance_one(per, axes):
    y = Standardize(per=per).fit(IMAGES)(IMAGES).astype(np.float64)
    np.testing.assert_allclose(y.mean(axis=axes), 0.0, atol=1e-6)
    np.testing.assert_allclose(y.var(axis=axes), 1.0, rtol=1e-5)


@pytest.mark.parametrize("kind", [Standardize, MinMax, Robust])
def test_the_result_is_float32_and_the_statistics_are_float64(kind):
    op = kind().fit(IMAGES)
    assert op(IMAGES).dtype == np.float32
    assert op.invert(op(IMAGES)).dtype == np.float64
    assert all(a.dtype == np.float64 for a in vars(op).values() if isinstance(a, np.ndarray))


@pytest.mark.parametrize("kind", [Standardize, MinMax, Robust])
@pytest.mark.parametrize("value", [0.1, 1e-30, 1e9 + 0.3, -7.0, 0.0])
def test_a_constant_feature_becomes_exactly_zero(kind, value):
    x = np.column_stack([np.full(1001, value), np.arange(1001.0)])
    assert (kind().fit(x)(x)[:, 0] == 0).all()


@pytest.mark.parametrize("kind", [Standardize, MinMax, Robust])
@pytest.mark.parametrize("scale", [1e-20, 1e-12, 1e12, 1e30])
def test_the_unit_of_a_feature_does_not_matter(kind, scale):
    small = X - 1e3
    np.testing.assert_allclose(
        kind().fit(small * scale)(small * scale), kind().fit(small)(small), rtol=1e-5, atol=1e-6
    )


def test_a_large_offset_in_float32_does_not_spoil_the_variance():
    x = (1e4 + np.arange(100_000) % 7).astype(np.float32).reshape(-1, 1)
    exact = x.astype(np.float64)
    op = Standardize().fit(x)
    assert op.mean[0] == pytest.approx(exact.mean(), rel=1e-12)
    assert op.std[0] == pytest.approx(exact.std(), rel=1e-12)


def test_many_records_are_scaled_like_few():
    x = np.random.default_rng(3).normal(size=(700_000, 3))
    op = Standardize().fit(x[:100])
    expected = ((x - x[:100].mean(0)) / x[:100].std(0)).astype(np.float32)
    np.testing.assert_allclose(op(x), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("op", "fit_on", "says"),
    [
        (Standardize(), np.zeros((0, 3)), "no records"),
        (MinMax(), np.zeros((0, 3)), "no records"),
        (Standardize(), np.array([[np.nan]]), "nan, inf"),
        (MinMax(), np.array([[np.inf], [0.0]]), "nan, inf"),
        (Standardize(), np.array([[1e308], [-1e308]]), "too large"),
        (MinMax(), np.array([[1e308], [-1e308]]), "too large"),
        (Standardize(), np.array([["a"]]), "takes numbers"),
        (Robust(), np.zeros((0, 3)), "no records"),
        (Robust(), np.array([[np.nan]]), "nan or inf"),
        (Robust(), np.array([[1e308], [-1e308]]), "too large"),
        (Robust(), np.array([["a"]]), "takes numbers"),
        (Robust(per="channel"), np.zeros(3), "second axis"),
        (Standardize(per="channel"), np.zeros(3), "second axis"),
    ],
)
def test_records_that_cannot_be_learnt_from_are_refused(op, fit_on, says):
    with pytest.raises(DataError, match=says):
        op.fit(fit_on)


@pytest.mark.parametrize("op", [Standardize(), MinMax(), Robust()])
def test_applying_before_fitting_is_refused(op):
    with pytest.raises(DataError, match="before it was fitted"):
        op(X)
    with pytest.raises(DataError, match="before it was fitted"):
        op.invert(X)


@pytest.mark.parametrize(
    "per, wrong", [("feature", X[:, :1]), ("feature", X[:, 0]), ("channel", IMAGES[:, :1])]
)
def test_records_of_another_shape_are_refused_not_broadcast(per, wrong):
    op = Standardize(per=per).fit(IMAGES if per == "channel" else X)
    with pytest.raises(DataError, match="was fitted on"):
        op(wrong)


def test_an_unknown_grouping_is_a_mistake_in_the_arguments():
    with pytest.raises(ValueError, match="per is"):
        Standardize(per="row")


def test_an_empty_batch_stays_empty():
    assert Standardize().fit(X)(X[:0]).shape == (0, 3)


def test_robust_scaling_agrees_with_scikit_learn():
    x = np.column_stack([X, np.r_[np.zeros(150), np.arange(50.0)], np.full(200, 3.0)])
    np.testing.assert_allclose(Robust().fit(x)(x), RobustScaler().fit_transform(x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("per, axes", [("feature", 0), ("channel", (0, 2, 3)), ("all", None)])
def test_each_group_gets_median_zero_and_quartiles_one_apart(per, axes):
    y = Robust(per=per).fit(IMAGES)(IMAGES).astype(np.float64)
    np.testing.assert_allclose(np.median(y, axis=axes), 0.0, atol=1e-6)
    np.testing.assert_allclose(np.subtract(*np.quantile(y, [0.75, 0.25], axis=axes)), 1.0, rtol=1e-5)


def test_wild_values_do_not_move_a_robust_scale():
    wild = np.r_[np.arange(100.0), 1e30]
    tame = np.r_[np.arange(100.0), 100.0]
    assert np.array_equal(Robust().fit(wild)(tame), Robust().fit(tame)(tame))
