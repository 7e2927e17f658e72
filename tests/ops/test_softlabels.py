import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.ops import CATALOG
from trainwright.ops.operator import from_spec
from trainwright.ops.softlabels import SoftLabels

BOTH = SoftLabels(("cat", "dog"))


@pytest.mark.parametrize("values", [("cat", "dog"), (0, 1, 2)])
def test_it_comes_back_from_its_spec(values):
    made = SoftLabels(values)
    assert from_spec(made.spec, CATALOG) == made and from_spec(made.spec, CATALOG).values == values


def test_rounded_shares_are_divided_by_their_sum():
    found = BOTH(np.array([[0.33, 0.66], [1.0, 0.0]]))
    np.testing.assert_allclose(found, [[1 / 3, 2 / 3], [1.0, 0.0]], rtol=1e-12)
    assert found.dtype == np.float64 and BOTH.fit(found) is BOTH
    assert BOTH(np.array([[True, False]])).tolist() == [[1.0, 0.0]]


def test_numbers_of_classes_come_back_as_classes():
    assert BOTH.invert(np.array([1, 0])).tolist() == ["dog", "cat"]
    with pytest.raises(DataError, match="class numbers are integers"):
        BOTH.invert(np.array([0.5]))


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.array([[0.5, 0.5], [0.5, 0.6]]), r"record 1 has the numbers \[0\.5, 0\.6\].*add to 1"),
        (np.array([[1.5, -0.5]]), "record 0 .*not negative"),
        (np.array([[np.nan, 1.0]]), "record 0 "),
        (np.array([[3, 1]]), "record 0 has the numbers"),
        (np.array([[0.2, 0.3, 0.5]]), "there are 2 classes"),
        (np.array([0.5, 0.5]), "there are 2 classes"),
        (np.array([["a", "b"]]), "there are 2 classes"),
    ],
)
def test_what_is_no_distribution_is_refused(y, says):
    with pytest.raises(DataError, match=says):
        BOTH(y)


@pytest.mark.parametrize("values", [(), ("a", "a"), ("a", 1)])
def test_classes_are_of_one_type_and_each_there_once(values):
    with pytest.raises(ValueError, match="each there once"):
        SoftLabels(values)
