import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.ops import CATALOG
from trainwright.ops.multilabels import MultiLabels
from trainwright.ops.operator import from_spec

BOTH = MultiLabels(("rain", "wind"))


def test_it_comes_back_from_its_spec():
    assert from_spec(BOTH.spec, CATALOG) == BOTH and from_spec(BOTH.spec, CATALOG).names == ("rain", "wind")


@pytest.mark.parametrize("y", [np.array([[1, 0]]), np.array([[True, False]]), np.array([[1.0, 0.0]])])
def test_it_gives_float32(y):
    found = BOTH(y)
    assert found.dtype == np.float32 and found.tolist() == [[1.0, 0.0]]


def test_columns_without_names_are_numbered():
    assert MultiLabels().fit(np.eye(3)).names == ("0", "1", "2")


def test_chances_come_back_as_they_are():
    assert BOTH.invert(np.array([[0.25, 0.5]])).tolist() == [[0.25, 0.5]]


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.eye(3), "there are 2 labels"),
        (np.ones(2), "there are 2 labels"),
        (np.array([["a", "b"]]), "there are 2 labels"),
        (np.array([[0, 1], [0, 2]]), "record 1 holds 2 for the label 'wind'"),
        (np.array([[np.nan, 1.0]]), "record 0 holds nan for the label 'rain'"),
    ],
)
def test_other_values_are_refused(y, says):
    with pytest.raises(DataError, match=says):
        BOTH(y)


@pytest.mark.parametrize("names", [("a", "a"), (1,)])
def test_names_are_text_and_there_once(names):
    with pytest.raises(ValueError, match="each there once"):
        MultiLabels(names)
