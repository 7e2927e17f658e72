import numpy as np
import pytest
from sklearn.preprocessing import LabelEncoder

from trainwright.base.errors import DataError
from trainwright.ops.labels import Labels

CASES = [
    np.array([5, -3, 5, 100]),
    np.array([0, 1, 1], dtype=np.uint8),
    np.array([True, False, True]),
    np.array(["wolf", "", "Ärger", "wolf"]),
    np.array([2**62 + 1, 2**62, 0], dtype=np.uint64),
]


@pytest.mark.parametrize("y", CASES, ids=str)
def test_numbers_agree_with_scikit_learn_and_come_back(y):
    labels = Labels().fit(y)
    numbers = labels(y)

    assert numbers.dtype == np.int64
    assert numbers.tolist() == LabelEncoder().fit_transform(y).tolist()
    assert labels.invert(numbers).tolist() == y.tolist()
    assert labels.values == tuple(sorted(set(y.tolist())))


@pytest.mark.parametrize(
    ("fitted", "given", "says"),
    [
        ([1, 3], [1, 2, 2], r"record 1 has the class 2, .*\(2 such records\); known: 1, 3"),
        ([1, 3], [9], "the class 9"),
        ([1, 3], [0], "the class 0"),
        ([1, 3], [1.5], "the class 1.5"),
        (["a"], ["b"], "the class 'b'"),
        (["a", "b"], ["ab"], "the class 'ab'"),
        (["a"], [1], "the classes are text"),
        ([1], ["1"], "the classes are numbers"),
        ([-1], np.array([2**64 - 1], np.uint64), "the class 18446744073709551615"),
        ([1, 2], [[1], [2]], "one per record"),
    ],
)
def test_an_unseen_class_is_refused_by_name(fitted, given, says):
    with pytest.raises(DataError, match=says):
        Labels().fit(np.array(fitted))(np.array(given))


@pytest.mark.parametrize(
    "y", [np.array([0.5, 1.0]), np.eye(2, dtype=int), np.array([], dtype=int), np.array([2**63], np.uint64)]
)
def test_what_cannot_be_classes_is_refused(y):
    with pytest.raises(DataError):
        Labels().fit(y)


@pytest.mark.parametrize("numbers", [np.array([2]), np.array([-1]), np.array([0.0])])
def test_class_numbers_out_of_range_are_refused(numbers):
    with pytest.raises(DataError, match="from 0 to 1"):
        Labels().fit(np.array([4, 7])).invert(numbers)


def test_applying_before_fitting_is_refused():
    with pytest.raises(DataError, match="before it was fitted"):
        Labels()(np.array([1]))
