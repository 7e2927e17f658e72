import numpy as np
import pytest

from trainwright.models.heads import decode, raw_outputs

RAW = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def test_a_point_is_given_as_it_is():
    assert decode("point", RAW) == {"y": RAW}


@pytest.mark.parametrize("space", [(), (3, 2)])
def test_means_come_first_and_spreads_become_variances(space):
    raw = np.random.default_rng(1).normal(size=(4, 6, *space)).astype(np.float32)
    found = decode("mean_variance", raw)
    np.testing.assert_array_equal(found["y"], raw[:, :3])
    np.testing.assert_allclose(found["variance"], np.log1p(np.exp(raw[:, 3:])) + 1e-6, rtol=1e-5)
    assert found["variance"].dtype == np.float32


@pytest.mark.parametrize("spread", [-200.0, 200.0])
def test_a_variance_is_positive_and_finite(spread):
    variance = decode("mean_variance", np.array([[0.0, spread]], dtype=np.float32))["variance"]
    assert variance[0, 0] == pytest.approx(max(spread, 0.0) + 1e-6)


def test_quantiles_never_cross_and_the_median_is_the_prediction():
    raw = np.array([[1.0, 10.0, 3.0, 20.0, 2.0, 30.0]])  # two targets at each of three levels
    found = decode("quantiles", raw, quantiles=[0.1, 0.5, 0.9])
    assert found["quantiles"].tolist() == [[[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]]
    assert found["y"].tolist() == [[2.0, 20.0]]


def test_a_lost_quantile_loses_the_median():
    found = decode("quantiles", np.array([[np.nan, 1.0, 2.0]]), quantiles=[0.1, 0.5, 0.9])
    assert np.isnan(found["y"]).all() and np.isnan(found["quantiles"]).all()


@pytest.mark.parametrize(("head", "expected"), [("point", 2), ("mean_variance", 4), ("quantiles", 6)])
def test_a_head_needs_so_many_numbers(head, expected):
    assert raw_outputs(head, 2, quantiles=[0.1, 0.5, 0.9]) == expected
