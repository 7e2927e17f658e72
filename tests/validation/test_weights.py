import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.validation.weights import settle_weight, weighted_mean


def test_the_weighted_mean_agrees_with_numpy():
    rng = np.random.default_rng(0)
    values, weight = rng.normal(size=(50, 2)), rng.random(50)
    np.testing.assert_allclose(weighted_mean(values, weight), np.average(values, axis=0, weights=weight))


def test_an_infinite_value_of_weight_zero_does_not_count():
    assert weighted_mean(np.array([np.inf, 2.0]), np.array([0.0, 1.0])) == 2.0


@pytest.mark.parametrize(
    "weight", [[1.0, -1.0], [0.0, 0.0], [np.inf, 1.0], [np.nan, 1.0], [1.0], [[1.0], [1.0]]]
)
def test_wrong_weights_are_refused(weight):
    with pytest.raises(DataError, match="weights"):
        settle_weight(np.array(weight), 2)
