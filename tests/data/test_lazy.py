from dataclasses import dataclass, replace

import numpy as np
import pytest

from trainwright.base.digest import digest_array
from trainwright.base.errors import DataError
from trainwright.data import lazy
from trainwright.data.check import check_finite
from trainwright.data.dataset import Records
from trainwright.data.lazy import (
    EncodedRows,
    JoinedRows,
    LazyRows,
    TakenRows,
    blocks_of,
    digest_rows,
    encode_rows,
    find_odd,
    fit_rows,
    is_lazy,
    join_rows,
    take_rows,
)
from trainwright.data.prepare import Preparation
from trainwright.ops.operator import Operator, Sequential
from trainwright.ops.scaling import Standardize

X = np.random.default_rng(0).normal(size=(50, 3))


class Watched(LazyRows):
    """Rows in memory that count how many were asked for at once."""

    def __init__(self, x):
        super().__init__(x.shape, x.dtype)
        self.x, self.asked = x, []

    def gather(self, rows):
        self.asked.append(len(rows))
        return self.x[rows]


@dataclass(frozen=True, eq=False)
class Centre(Operator):
    """Learns a mean from blocks; it counts passes in `fits`."""

    mean: np.ndarray | None = None

    def fit(self, x):
        return replace(self, mean=x.mean(0))

    def fit_blocks(self, blocks):
        total = sum(block.sum(0) for block in blocks())
        return replace(self, mean=total / sum(len(block) for block in blocks()))

    def __call__(self, x):
        return x - self.mean


@dataclass(frozen=True, eq=False)
class Double(Operator):
    def __call__(self, x):
        return 2 * x


@dataclass(frozen=True, eq=False)
class Median(Operator):
    mean: np.ndarray | None = None

    def fit(self, x):
        return replace(self, mean=np.median(x, 0))

    def __call__(self, x):
        return x - self.mean


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(lazy, "BLOCK_BYTES", 7 * 3 * 8)  # 7 rows of X


MADE = {
    "taken": lambda x: TakenRows(Watched(np.concatenate([x[::-1], x])), np.arange(len(x), 2 * len(x))),
    "joined": lambda x: JoinedRows([x[:10], Watched(x[10:]).stand_in()]),
    "encoded": lambda x: EncodedRows(Watched(x / 2).stand_in(), lambda rows: rows * 2),
    "taken of taken": lambda x: TakenRows(
        TakenRows(Watched(x[::-1]), np.arange(len(x))[::-1]), np.arange(len(x))
    ),
}


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_lazy_rows_give_what_an_array_would(make):
    rows = make(X)
    assert (rows.shape, rows.ndim, rows.size, rows.nbytes, len(rows)) == ((50, 3), 2, 150, 1200, 50)
    assert rows.dtype == X.dtype
    for key in (slice(None), slice(3, 9), slice(40, 99), slice(5, 5), slice(-4, None), slice(9, 2, -2)):
        np.testing.assert_array_equal(rows[key], X[key])
    for chosen in ([7, 3, 3, 49], [], [0]):
        np.testing.assert_array_equal(rows[np.array(chosen, dtype=np.int64)], X[np.array(chosen, dtype=int)])
    np.testing.assert_array_equal(np.asarray(rows), X)
    assert rows[:2].flags.writeable


@pytest.mark.parametrize("make", MADE.values(), ids=MADE)
def test_the_digest_by_blocks_is_that_of_the_whole(make, small_blocks):
    assert make(X).survey.digest == digest_rows(make(X)) == digest_array(X) == digest_rows(X)
    assert make(X + 1).survey.digest != digest_array(X)


def test_blocks_are_as_large_as_asked_for_and_no_larger(small_blocks):
    rows = Watched(X)
    assert [len(block) for block in rows.blocks(20)] == [20, 20, 10]
    assert [len(block) for block in rows.blocks()] == [7] * 7 + [1]
    np.testing.assert_array_equal(np.concatenate(list(blocks_of(X))), X)


@pytest.mark.parametrize("key", [0, (0, 1), np.ones(50, dtype=bool), [1, 2], np.zeros((2, 2), dtype=int)])
def test_only_rows_can_be_asked_for(key):
    with pytest.raises(TypeError, match="by a slice or an array of positions"):
        Watched(X)[key]


@pytest.mark.parametrize("rows", [[-1], [50], [3, 51]])
def test_rows_that_are_not_there_are_an_error(rows):
    with pytest.raises(IndexError, match="of 50"):
        Watched(X)[np.array(rows)]


def test_an_array_without_a_copy_is_refused():
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(Watched(X), copy=False)


def test_what_is_not_finite_is_found_across_blocks(small_blocks):
    x = X.copy()
    x[20, 1], x[20, 2], x[44, 0] = np.inf, np.nan, np.nan
    found = find_odd(Watched(x).stand_in())
    assert found == find_odd(x) and (found.count, found.first) == (3, (20, 1))
    for values in (x, Watched(x)):
        with pytest.raises(DataError, match=r"at: column 'b' holds inf in record 20 .*; 3 such values"):
            check_finite(values, at="at: ", what="it", columns=["a", "b", "c"])
    assert find_odd(Watched(X).stand_in()) is None and find_odd(Watched(np.arange(6)).stand_in()) is None


def test_taking_joining_and_encoding_reads_nothing():
    rows = Watched(X)
    taken = take_rows(rows, np.array([4, 2]))
    joined = join_rows(taken, X[:3])
    encoded = encode_rows(joined, lambda x: x + 1)
    assert is_lazy(taken) and is_lazy(joined) and is_lazy(encoded)
    assert max(rows.asked) == 1  # of one row, the shape of what is made is seen
    np.testing.assert_array_equal(encoded[:], np.concatenate([X[[4, 2]], X[:3]]) + 1)
    assert not is_lazy(take_rows(X, np.array([1]))) and not is_lazy(join_rows(X, X))
    assert not is_lazy(encode_rows(X, lambda x: x))


def test_joined_rows_have_the_type_that_holds_both():
    rows = JoinedRows([X.astype(np.float32), X])
    assert rows.dtype == np.concatenate([X.astype(np.float32), X]).dtype == rows[:1].dtype


def test_a_step_that_changes_the_number_of_rows_is_refused():
    with pytest.raises(DataError, match="3 records were made of 6"):
        EncodedRows(X, lambda x: x[::2])[:6]


# --------------------------------------------------------------------- fits


def wrapped(x):
    return Watched(x).stand_in()


def test_many_blocks_are_fitted_alike_in_memory_and_not(small_blocks):
    in_memory, not_in_memory = fit_rows(Centre(), X), fit_rows(Centre(), wrapped(X))
    assert np.array_equal(in_memory.mean, not_in_memory.mean)
    assert not np.array_equal(in_memory.mean, X.mean(0))  # it is the sum by blocks, not that of NumPy
    np.testing.assert_allclose(in_memory.mean, X.mean(0), rtol=1e-12)


def test_a_fit_on_blocks_never_asks_for_more_than_one(small_blocks):
    rows = Watched(X)
    fit_rows(Centre(), rows.stand_in())
    assert max(rows.asked) == 7 and sum(rows.asked) == 100


@pytest.mark.parametrize("wrap", [np.asarray, wrapped])
def test_one_block_is_fitted_as_always(wrap):
    assert np.array_equal(fit_rows(Standardize(), wrap(X)).mean, Standardize().fit(X).mean)
    assert np.array_equal(fit_rows(Median(), wrap(X)).mean, np.median(X, 0))


@pytest.mark.parametrize("wrap", [np.asarray, wrapped])
def test_an_operator_that_learns_nothing_needs_no_blocks(wrap, small_blocks):
    double = Double()
    assert fit_rows(double, wrap(X)) is double


def test_an_operator_that_needs_all_at_once_gets_it_in_memory_and_is_refused_otherwise(small_blocks):
    assert np.array_equal(fit_rows(Median(), X).mean, np.median(X, 0))
    with pytest.raises(
        DataError, match=r"Median cannot be fitted on data that is read in parts; .*in_memory"
    ):
        fit_rows(Median(), wrapped(X))


@pytest.mark.parametrize("wrap", [np.asarray, wrapped])
def test_steps_are_fitted_on_what_those_before_them_give(wrap, small_blocks):
    found = fit_rows(Sequential((Double(), Centre())), wrap(X))
    np.testing.assert_allclose(found.steps[1].mean, 2 * X.mean(0), rtol=1e-12)


# ------------------------------------------------------------------ encoding


def records(x):
    return Records(x=x, y=np.arange(50.0), weight=None, ids=np.arange(50))


def test_a_preparation_encodes_lazy_rows_when_they_are_asked_for(small_blocks):
    made = Preparation(Standardize().fit(X), Sequential(), "regression")
    whole, found = made.encode(records(X)), made.encode(records(wrapped(X)))
    assert is_lazy(found.x) and found.x.dtype == np.float32
    np.testing.assert_array_equal(found.x[:], whole.x)
    np.testing.assert_array_equal(found.x[np.array([9, 1])], whole.x[[9, 1]])
    np.testing.assert_array_equal(found.y, whole.y)
    part = records(wrapped(X)).take(np.array([8, 3]))
    assert is_lazy(part.x) and part.y.tolist() == [8.0, 3.0]
    np.testing.assert_array_equal(part.x[:], X[[8, 3]])


def test_a_value_that_float32_cannot_hold_is_found_before_training_with_its_record(small_blocks):
    x = X.copy()
    x[30, 2] = 1e200
    for values in (x, wrapped(x)):
        with pytest.raises(DataError, match=r"the features of record 30 hold 1e\+200"):
            Preparation(Sequential(), Sequential(), "regression").encode(records(values))
