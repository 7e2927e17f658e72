import numpy as np
import pytest
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

from trainwright.base.errors import DataError
from trainwright.ops.categories import OneHot, Ordinal

CASES = {
    "text": np.array(["b", "Ärger", "b", "c"]),
    "matrix": np.array([["b", "x"], ["a", "x"], ["b", "y"]]),
    "integers": np.array([5, -3, 5, 2**62 + 1]),
    "small": np.array([200, 3, 200], dtype=np.uint8),
    "large": np.array([2**62 + 1, 2**62, 0], dtype=np.uint64),
    "booleans": np.array([True, False, True]),
    "whole": np.array([3.0, -1.0, 3.0]),
}


def matrix(x):
    return x.reshape(len(x), -1)


@pytest.mark.parametrize("x", CASES.values(), ids=CASES)
@pytest.mark.parametrize("drop_first", [False, True])
def test_columns_of_categories_agree_with_scikit_learn(x, drop_first):
    theirs = OneHotEncoder(drop="first" if drop_first else None, sparse_output=False)
    found = OneHot(drop_first=drop_first).fit(x)(x)
    assert found.dtype == np.float32
    assert found.tolist() == theirs.fit_transform(matrix(x)).tolist()


@pytest.mark.parametrize("x", CASES.values(), ids=CASES)
def test_codes_agree_with_scikit_learn_and_come_back(x):
    op = Ordinal().fit(x)
    codes = op(x)
    assert codes.dtype == np.int64 and codes.shape == x.shape
    assert matrix(codes - 1).tolist() == OrdinalEncoder(dtype=np.int64).fit_transform(matrix(x)).tolist()
    assert op.invert(codes).tolist() == x.tolist()


def test_rare_categories_share_a_column_as_in_scikit_learn():
    x = np.array(list("aaaabbbbccdde"))
    theirs = OneHotEncoder(max_categories=3, sparse_output=False, handle_unknown="ignore").fit(x[:, None])
    ours = OneHot(max_categories=3).fit(x)
    given = np.array(list("abcdez"))
    assert ours(given).tolist() == theirs.transform(given[:, None]).tolist()
    assert ours.output_names("k") == ["k=a", "k=b", "k=other"]
    assert OneHot(max_categories=5).fit(x)(given).shape == (6, 5)


def test_of_equally_frequent_categories_the_first_are_kept():
    op = OneHot(max_categories=3).fit(np.array(list("dcba")))
    assert op.values == (("a", "b"),) and op.rare == (("c", "d"),)


def test_a_category_that_is_called_other_shares_the_column_of_that_name():
    op = OneHot(max_categories=3).fit(np.array(["other", "other", "a", "a", "b", "c"]))
    assert op.output_names("k") == ["k=a", "k=other"]
    assert op(np.array(["other", "b", "a"])).tolist() == [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]


def test_what_is_missing_or_unknown_has_zeros():
    x = np.array(["a", "", "b"])
    assert OneHot().fit(x)(np.array(["", "z", "b"])).tolist() == [[0, 0], [0, 0], [0, 1]]
    assert OneHot().fit(np.array([1.0, np.nan]))(np.array([np.nan, 1.0])).tolist() == [[0], [1]]
    assert Ordinal().fit(x)(np.array(["", "z", "b"])).tolist() == [0, 0, 2]
    assert Ordinal().fit(np.array([7.0, np.nan]))(np.array([np.nan, 7.0])).tolist() == [0, 1]


def test_an_unknown_category_is_an_error_where_it_is_asked_for():
    op = OneHot(unknown="error", max_categories=2).fit(np.array(list("aabc")))
    assert op(np.array(["", "c"])).tolist() == [[0, 0], [0, 1]]
    with pytest.raises(DataError, match=r"record 1 has the category 'z', .*\(2 such records\)"):
        op(np.array(["a", "z", "z"]))


def test_names_say_which_category_a_column_is():
    assert OneHot().fit(CASES["booleans"]).output_names("ok") == ["ok=False", "ok=True"]
    assert OneHot(drop_first=True).fit(CASES["matrix"]).output_names("p", "q") == ["p=b", "q=y"]


def test_a_given_order_is_the_order_of_the_codes():
    op = Ordinal(order=("low", "middle", "high")).fit(np.array(["high", "low"]))
    assert op(np.array(["high", "middle", "low", "lower"])).tolist() == [3, 2, 1, 0]
    assert op.invert(np.array([0, 3])).tolist() == ["", "high"]
    assert op.output_categories(1) == [4]


@pytest.mark.parametrize("op", [OneHot(max_categories=3), Ordinal()], ids=["OneHot", "Ordinal"])
def test_fitting_part_by_part_gives_the_same(op):
    x = np.random.default_rng(0).integers(0, 9, size=(100, 2))
    assert op.fit_blocks(lambda: iter(np.array_split(x, 7))) == op.fit(x)
    with pytest.raises(DataError, match="text in one part"):
        op.fit_blocks(lambda: iter((x, x.astype(str))))


@pytest.mark.parametrize("kind", [OneHot, Ordinal])
@pytest.mark.parametrize(
    ("x", "says"),
    [
        (np.array([0.5]), "record 0 holds 0.5"),
        (np.array([1.0, np.inf]), "record 1 holds inf"),
        (np.array([1e30]), "1e"),
        (np.array([2**63], dtype=np.uint64), "9223372036854775808"),
        (np.array([""]), "no value in any record"),
        (np.array([], dtype=int), "no value in any record"),
        (np.array([[1.0, np.nan], [2.0, np.nan]]), "no value in any record"),
        (np.zeros((2, 2, 2), dtype=int), "takes columns"),
        (np.array(["2024"], dtype="datetime64[s]"), "takes columns"),
        (np.array([object()]), "takes columns"),
    ],
)
def test_what_cannot_be_categories_is_refused(kind, x, says):
    with pytest.raises(DataError, match=says):
        kind().fit(x)


@pytest.mark.parametrize("kind", [OneHot, Ordinal])
def test_values_of_another_kind_are_refused(kind):
    with pytest.raises(DataError, match="the categories are text"):
        kind().fit(np.array(["1"]))(np.array([1]))
    with pytest.raises(DataError, match="the categories are numbers"):
        kind().fit(np.array([1]))(np.array(["1"]))
    with pytest.raises(DataError, match="fitted on 1 columns, these are 2"):
        kind().fit(np.array([1]))(np.array([[1, 1]]))
    with pytest.raises(DataError, match="before it was fitted"):
        kind()(np.array([1]))


def test_a_category_that_is_not_in_the_given_order_is_refused():
    with pytest.raises(DataError, match="'hihg' is not in order"):
        Ordinal(order=("low", "high")).fit(np.array(["low", "hihg"]))


@pytest.mark.parametrize("codes", [np.array([3]), np.array([-1]), np.array([0]), np.array([1.0])])
def test_codes_that_are_none_are_refused(codes):
    with pytest.raises(DataError, match="codes"):
        Ordinal().fit(np.array([4, 7])).invert(codes)


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        (OneHot, {"unknown": "ignore"}),
        (OneHot, {"max_categories": 1}),
        (OneHot, {"values": [["a"]]}),
        (Ordinal, {"order": ()}),
        (Ordinal, {"order": ("a", "a")}),
        (Ordinal, {"order": ("a", "")}),
        (Ordinal, {"order": ("a", 1)}),
        (Ordinal, {"order": (0.5,)}),
    ],
)
def test_arguments_that_make_no_sense_are_refused(kind, args):
    with pytest.raises(ValueError):
        kind(**args)


def test_an_empty_batch_stays_empty():
    assert OneHot().fit(CASES["matrix"])(CASES["matrix"][:0]).shape == (0, 4)
    op = Ordinal().fit(CASES["text"])
    assert op(CASES["text"][:0]).shape == op.invert(np.array([], dtype=int)).shape == (0,)
