import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.ops import groups
from trainwright.ops.groups import finite_numbers, read_evenly
from trainwright.ops.scaling import MinMax, Standardize

X = np.arange(60.0).reshape(20, 3)


@pytest.mark.parametrize("sizes", [(20,), (1, 19), (7, 0, 6, 7), (4, 4, 4, 4, 4)])
def test_parts_are_cut_anew_to_one_number_of_records(sizes, monkeypatch):
    monkeypatch.setattr(groups, "_BLOCK", 24)  # values: 8 records
    blocks = np.split(X, np.cumsum(sizes)[:-1])
    found = list(read_evenly(blocks, Standardize()))
    assert [len(one) for one in found] == [8, 8, 4]
    assert np.array_equal(np.concatenate(found), X)
    assert all(one.flags.c_contiguous for one in found)


@pytest.mark.parametrize("kind", [Standardize, MinMax])
@pytest.mark.parametrize("per", ["feature", "channel", "all"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
def test_statistics_do_not_depend_on_the_cuts_in_any_bit(kind, per, dtype, monkeypatch):
    monkeypatch.setattr(groups, "_BLOCK", 1000)
    x = np.random.default_rng(0).normal(50, 20, size=(997, 3, 7)).astype(dtype)
    whole = kind(per=per).fit(x)
    for cuts in ([1], [500], [3, 14, 159, 265]):
        assert kind(per=per).fit_blocks(lambda cuts=cuts: iter(np.split(x, cuts))).spec == whole.spec
    exact = x.astype(np.longdouble).mean(axis={"feature": 0, "channel": (0, 2), "all": None}[per])
    if kind is Standardize:
        np.testing.assert_allclose(whole.mean, exact.astype(np.float64), rtol=1e-13)


@pytest.mark.parametrize(
    ("blocks", "says"),
    [
        ([], "no records"),
        ([X[:0], X[:0]], "no records"),
        ([X, X[:, :2]], r"change their shape from \(3,\) to \(2,\)"),
        ([X, np.array([["a", "b", "c"]])], "takes numbers"),
        ([X[:1] * np.nan, X], "nan, inf"),
    ],
)
@pytest.mark.parametrize("op", [Standardize(), MinMax()])
def test_parts_that_cannot_be_learnt_from_are_refused(op, blocks, says):
    with pytest.raises(DataError, match=says):
        op.fit_blocks(lambda: iter(blocks))


@pytest.mark.parametrize("wrong", [X[:0], np.array(["a"]), np.array([np.nan]), np.array([1.0, -np.inf])])
def test_what_quantiles_cannot_be_taken_of_is_refused(wrong):
    with pytest.raises(DataError):
        finite_numbers(wrong, Standardize())
