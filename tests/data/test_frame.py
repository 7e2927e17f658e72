import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.frame import Frame, is_blank, join_frames

DATES = np.array(["2024-01-01", "NaT"], dtype="datetime64[s]")


def make(**columns):
    return Frame({"a": np.array([1.0, np.nan]), "b": np.array(["x", ""]), "c": DATES, **columns})


def test_records_are_taken_from_all_columns():
    taken = make()[np.array([1, 0, 0])]
    assert taken.shape == (3, 3) and taken.columns["b"].tolist() == ["", "x", "x"]


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_a_blank_is_a_blank_in_every_kind(name):
    assert is_blank(make().columns[name]).tolist() == [False, True]


@pytest.mark.parametrize(
    "change",
    [
        {"a": np.array([1.0, 2.0])},
        {"b": np.array(["x", "y"])},
        {"c": DATES[::-1]},
        {"d": np.array([1.0, 2.0])},
    ],
)
def test_any_change_changes_the_digest(change):
    assert make(**change).digest() != make().digest() == make().digest()


def test_the_order_of_the_columns_is_part_of_the_digest():
    one = make()
    assert Frame(dict(reversed(one.columns.items()))).digest() != one.digest()


def test_the_unit_of_dates_is_not_part_of_the_digest():
    assert make(c=DATES.astype("datetime64[ms]")).digest() == make().digest()


def test_joined_frames_keep_the_longer_words():
    joined = join_frames(make(), make(b=np.array(["longer", "x"])))
    assert joined.columns["b"].tolist() == ["x", "", "longer", "x"]


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="of one length"):
        Frame({"a": np.zeros(2), "b": np.zeros(3)})
