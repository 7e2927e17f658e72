from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

from trainwright.base.errors import DataError
from trainwright.data.split import check_splits, split_records
from trainwright.spec.data import SplitSpec


def sizes(splits):
    return {name: len(indices) for name, indices in splits.items()}


@settings(deadline=None, max_examples=60)
@given(
    method=st.sampled_from(["random", "stratified"]),
    classes=st.integers(1, 7),
    count=st.integers(4, 300),
    val=st.floats(0.01, 0.45),
    test=st.sampled_from([0.0, 0.05, 0.4]),
    task=st.sampled_from(["classification", "regression"]),
    seed=st.integers(0, 3),
)
def test_every_record_is_in_one_split(method, classes, count, val, test, task, seed):
    y = np.random.default_rng(seed).integers(0, classes, count)
    spec = SplitSpec(method=method, val=val, test=test, seed=seed)
    # Classes of one record each leave nothing for the other splits; that is said, never passed over.
    if method == "stratified" and task == "classification" and 2 * len(np.unique(y)) + 1 >= count:
        return
    splits = split_records(spec, y, task_type=task)

    assert list(splits) == (["train", "val", "test"] if test else ["train", "val"])
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(count))
    assert all(np.array_equal(np.sort(part), part) and part.dtype == np.int64 for part in splits.values())
    again = split_records(spec, y, task_type=task)
    assert all(np.array_equal(again[name], splits[name]) for name in splits)


@pytest.mark.parametrize(
    ("count", "val", "test", "expected"),
    [
        (100, 0.1, 0.0, {"train": 90, "val": 10}),
        (100, 0.2, 0.2, {"train": 64, "val": 16, "test": 20}),  # val is a fraction of what the test leaves
        (25, 0.1, 0.0, {"train": 22, "val": 3}),  # 2.5 is rounded up
        (5, 0.01, 0.01, {"train": 3, "val": 1, "test": 1}),  # at least one
    ],
)
@pytest.mark.parametrize("method", ["random", "stratified"])
def test_fractions_are_met(count, val, test, expected, method):
    spec = SplitSpec(method=method, val=val, test=test)
    assert sizes(split_records(spec, np.zeros(count), task_type="regression")) == expected


def test_another_seed_gives_another_split():
    y = np.zeros(200)
    found = [
        split_records(SplitSpec(seed=seed), y, task_type="regression")["val"].tolist() for seed in (0, 1)
    ]
    assert found[0] != found[1]


def test_a_random_split_does_not_look_at_the_target():
    first = split_records(SplitSpec(), np.arange(50) % 2, task_type="classification")
    second = split_records(SplitSpec(), np.arange(50) % 5, task_type="classification")
    assert np.array_equal(first["val"], second["val"])


def test_every_record_is_equally_often_in_val():
    counts = np.zeros(20)
    for seed in range(2000):
        counts[split_records(SplitSpec(val=0.2, seed=seed), np.zeros(20), task_type="regression")["val"]] += 1
    assert stats.chisquare(counts).pvalue > 1e-4


def test_classes_are_split_in_proportion():
    y = np.repeat([5, 6, 7], [500, 300, 20])
    splits = split_records(SplitSpec(method="stratified", val=0.1, test=0.2), y, task_type="classification")
    found = {name: np.bincount(y[part], minlength=8)[5:].tolist() for name, part in splits.items()}
    assert found == {"train": [360, 216, 14], "val": [40, 24, 2], "test": [100, 60, 4]}


def test_the_largest_remainders_get_the_records_that_are_left():
    # Quotas 1.5, 0.9, 0.6 of three records: the whole parts give one, the remainders .9 and .6 the others.
    y = np.repeat([0, 1, 2], [15, 9, 6])
    val = split_records(SplitSpec(method="stratified", val=0.1), y, task_type="classification")["val"]
    assert np.bincount(y[val]).tolist() == [1, 1, 1]


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.6])
def test_each_class_keeps_a_record_for_training(fraction):
    y = np.repeat(np.arange(6), [1, 2, 2, 3, 50, 1])
    splits = split_records(
        SplitSpec(method="stratified", val=fraction, test=fraction / 2), y, task_type="classification"
    )
    assert set(y[splits["train"]]) == set(range(6))


def test_a_real_target_is_split_alike_in_its_tenths():
    y = np.random.default_rng(0).exponential(size=1000)
    val = split_records(SplitSpec(method="stratified", val=0.1), y, task_type="regression")["val"]
    tenth = np.argsort(np.argsort(y))[val] // 100
    assert np.bincount(tenth, minlength=10).tolist() == [10] * 10


def test_text_classes_can_be_stratified():
    y = np.array(["a", "b"] * 20)
    val = split_records(SplitSpec(method="stratified", val=0.1), y, task_type="classification")["val"]
    assert sorted(y[val]) == ["a", "a", "b", "b"]


def test_appended_records_are_the_test_split_and_nothing_else():
    splits = split_records(SplitSpec(val=0.2), np.zeros(15), task_type="regression", appended=5)
    assert splits["test"].tolist() == [10, 11, 12, 13, 14]
    assert sizes(splits) == {"train": 8, "val": 2, "test": 5}


def test_given_splits_are_taken_as_they_are(tmp_path):
    np.save(tmp_path / "val.npy", np.array([9, 3], dtype=np.uint8))
    spec = SplitSpec(method="given", train=[5, 0], val="val.npy")
    splits = split_records(spec, np.zeros(10), task_type="regression", folder=tmp_path)
    assert {name: part.tolist() for name, part in splits.items()} == {"train": [0, 5], "val": [3, 9]}


def unchecked(**fields):
    """A spec as it is before its own rules, which know nothing of files."""
    return SplitSpec.model_construct(**fields)


def g(**lists):
    return unchecked(method="given", **lists)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (g(train=[0, 1, 4], val=[4, 1]), r"data.split.val: record 1 is in train already \(2 records"),
        (g(train=[0], val=[1], test=[0]), "data.split.test: record 0 is in train already"),
        (g(train=[0, 10], val=[1]), "data.split.train: there is no record 10, they count from 0 to 9"),
        (g(train=[0, -1], val=[1]), "data.split.train: there is no record -1"),
        (g(train=[0, 2, 2], val=[1]), "data.split.train: record 2 is listed twice"),
        (g(train=[], val=[1]), "data.split.train: the train split is empty"),
        (g(train=[1], val=[]), "data.split.val: the val split is empty"),
        (g(val=[1]), "data.split.train: the train split is empty"),
        (g(train=[1], val=0.1), "data.split.val: `method: given` needs a list"),
        (g(train=[1], val="none.npy"), "data.split.val: there is no .npy file 'none.npy'"),
        (g(train=[1], val="mask.npy"), "data.split.val: mask.npy holds bool"),
        (g(train=[1], val="floats.npy"), "data.split.val: floats.npy holds float64"),
        (g(train=[1], val="broken.npy"), "data.split.val: broken.npy: not an .npy array"),
        (unchecked(val=0.0), "data.split.val: the val split is empty"),
        (unchecked(val=[1]), "data.split.val: records are listed only with"),
        (unchecked(train=[1]), "data.split.train: records are listed only with"),
        (unchecked(val=0.99), "data.split.train: the train split is empty"),
    ],
)
def test_a_split_that_makes_no_sense_is_refused(tmp_path, spec, says):
    np.save(tmp_path / "mask.npy", np.ones(10, dtype=bool))
    np.save(tmp_path / "floats.npy", np.arange(3.0))
    (tmp_path / "broken.npy").write_bytes(b"\0" * 30)
    with pytest.raises(DataError, match=says):
        split_records(spec, np.zeros(10), task_type="regression", folder=tmp_path)


@pytest.mark.parametrize("test", [0.1, [1]])
def test_two_sources_of_test_records_are_refused(test):
    method = "random" if test == 0.1 else "given"
    spec = unchecked(method=method, test=test)
    with pytest.raises(DataError, match=r"data\.split\.test: data\.test brings its own"):
        split_records(spec, np.zeros(10), task_type="regression", appended=3)


def test_given_splits_cannot_name_appended_test_records():
    with pytest.raises(DataError, match="no record 7, they count from 0 to 6"):
        split_records(g(train=[1, 7], val=[2]), np.zeros(10), task_type="regression", appended=3)


def test_checked_splits_are_sorted():
    assert check_splits({"train": np.array([3, 1])}, 4)["train"].tolist() == [1, 3]


# ------------------------------------------------------------------ groups


def split_by(by, task_type="regression", y=None, **fields):
    by = np.asarray(by)
    return split_records(
        SplitSpec(by="b", **fields), np.zeros(len(by)) if y is None else y, task_type=task_type, by=by
    )


@settings(deadline=None, max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=4, max_size=40),
    val=st.floats(0.05, 0.4),
    test=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 5),
)
@example(sizes=[1, 1, 1, 10], val=0.25, test=0.2, seed=0)  # the test split would take the three
def test_a_group_is_never_in_two_splits_and_every_record_is_in_one(sizes, val, test, seed):
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    splits = split_by(groups, method="grouped", val=val, test=test, seed=seed)
    assert np.array_equal(np.sort(np.concatenate(list(splits.values()))), np.arange(len(groups)))
    members = [set(groups[part].tolist()) for part in splits.values()]
    assert sum(map(len, members)) == len(set().union(*members)) == len(sizes)


@settings(deadline=None, max_examples=60)
@given(sizes=st.lists(st.integers(1, 30), min_size=4, max_size=40), val=st.floats(0.05, 0.6))
def test_no_further_group_would_bring_a_grouped_split_nearer_to_its_fraction(sizes, val):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    splits = split_by(groups, method="grouped", val=val)
    wanted, reached = val * len(groups), len(splits["val"])
    left = [size for group, size in enumerate(sizes) if group in groups[splits["train"]]]
    nearer = [size for size in left if abs(reached + size - wanted) < abs(reached - wanted) - 1]
    assert not nearer or len(left) == 1


def test_groups_of_one_record_meet_the_fraction_exactly_and_follow_the_seed():
    first, other = (split_by(np.arange(100), method="grouped", val=0.2, seed=seed) for seed in (0, 1))
    assert sizes(first) == {"train": 80, "val": 20}
    assert first["val"].tolist() != other["val"].tolist()


def test_every_group_is_equally_often_in_val():
    groups, counts = np.repeat(np.arange(10), 5), np.zeros(10)
    for seed in range(2000):
        counts[groups[split_by(groups, method="grouped", val=0.2, seed=seed)["val"]][::5]] += 1
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize("by", [["a", "b", "a", "c"], [1.5, 2.5, 1.5, 3.5], [True, False, True, True]])
def test_groups_may_be_text_numbers_or_booleans(by):
    splits = split_by(by, method="grouped", val=0.3)
    assert not set(np.array(by)[splits["train"]]) & set(np.array(by)[splits["val"]])


def test_a_fraction_smaller_than_every_group_takes_the_smallest():
    assert split_by(np.repeat([0, 1, 2], [50, 40, 60]), method="grouped", val=0.01)["val"].tolist() == list(
        range(50, 90)
    )


# -------------------------------------------------------------------- time


def test_the_latest_records_are_test_and_those_before_them_val():
    time = np.random.default_rng(0).permutation(100)
    splits = split_by(time, method="time", val=0.25, test=0.2)
    found = {name: np.sort(time[part]).tolist() for name, part in splits.items()}
    assert found == {"train": list(range(60)), "val": list(range(60, 80)), "test": list(range(80, 100))}


@settings(deadline=None, max_examples=60)
@given(
    times=st.lists(st.integers(0, 8), min_size=10, max_size=80),
    val=st.floats(0.05, 0.5),
    test=st.sampled_from([0.0, 0.2, 0.4]),
)
def test_records_of_one_time_are_on_one_side_of_every_boundary(times, val, test):
    times = np.array(times)
    if len(set(times.tolist())) < 3:
        return
    splits = split_by(times, method="time", val=val, test=test)
    order = [times[splits[name]] for name in ("train", "val", "test") if name in splits]
    assert all(before.max() < after.min() for before, after in pairwise(order))
    assert sum(map(len, order)) == len(times)


def test_each_split_gets_a_time_where_there_are_enough():
    times = np.repeat([0, 1, 2], [8, 1, 1])  # the last two times would be nearer to the fraction of test
    splits = split_by(times, method="time", val=0.2, test=0.4)
    assert {name: times[part].tolist() for name, part in splits.items()} == {
        "test": [2],
        "val": [1],
        "train": [0] * 8,
    }


def test_a_tie_goes_to_the_side_that_is_nearer_to_the_fraction():
    times = np.repeat([1, 2, 3], [5, 3, 2])  # the last 2 or the last 5 of 10
    assert len(split_by(times, method="time", val=0.3)["val"]) == 2
    assert len(split_by(times, method="time", val=0.4)["val"]) == 5


def test_dates_are_times():
    days = np.datetime64("2020-01-01") + np.array([3, 0, 2, 1])
    assert split_by(days, method="time", val=0.25)["val"].tolist() == [0]


# ------------------------------------------------------------------ column


def test_a_column_names_the_split_of_each_record():
    words = ["train", "Val", " test ", "training", "validation", "dev", "valid", "testing", "", "  ", "TRAIN"]
    splits = split_by(words, method="column")
    assert {name: part.tolist() for name, part in splits.items()} == {
        "train": [0, 3, 10],
        "val": [1, 4, 5, 6],
        "test": [2, 7],
    }


def test_a_column_without_the_word_test_makes_no_test_split():
    assert list(split_by(["train", "val"], method="column")) == ["train", "val"]


# ------------------------------------------------------------------ k-fold


def folds_of(method, count, folds, *, y=None, by=None, test=0.0, seed=0, task_type="classification"):
    y = np.zeros(count, dtype=int) if y is None else y
    return [
        split_records(
            SplitSpec(
                method=method, folds=folds, fold=i, test=test, seed=seed, by="b" if by is not None else None
            ),
            y,
            task_type=task_type,
            by=by,
        )
        for i in range(folds)
    ]


def check_cover(found, count):
    """Every record that is not in test is in val exactly once, and the test split is always the same."""
    tests = [one.get("test", np.empty(0, dtype=int)) for one in found]
    assert all(np.array_equal(one, tests[0]) for one in tests)
    everywhere = np.sort(np.concatenate([one["val"] for one in found]))
    assert np.array_equal(everywhere, np.setdiff1d(np.arange(count), tests[0]))
    for one in found:
        assert np.array_equal(np.sort(np.concatenate([one["train"], one["val"]])), everywhere)


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(10, 200),
    folds=st.integers(2, 7),
    test=st.sampled_from([0.0, 0.2]),
    seed=st.integers(0, 3),
)
def test_folds_are_as_large_as_those_of_scikit_learn(count, folds, test, seed):
    found = folds_of("kfold", count, folds, test=test, seed=seed)
    check_cover(found, count)
    rest = count - len(found[0].get("test", ()))
    theirs = [len(val) for _, val in KFold(folds).split(np.zeros(rest))]
    assert sorted(len(one["val"]) for one in found) == sorted(theirs)


def test_folds_are_shuffled_by_the_seed():
    first, other = (folds_of("kfold", 60, 3, seed=seed)[0]["val"].tolist() for seed in (0, 1))
    assert first != other != list(range(20)) != first


@settings(deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(7, 60), min_size=2, max_size=6),
    folds=st.integers(2, 7),
    test=st.sampled_from([0.0, 0.2]),
)
def test_stratified_folds_share_each_class_as_evenly_as_those_of_scikit_learn(counts, folds, test):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    found = folds_of("stratified_kfold", len(y), folds, y=y, test=test)
    check_cover(found, len(y))
    table = np.array([np.bincount(y[one["val"]], minlength=len(counts)) for one in found])
    assert np.ptp(table, axis=0).max() <= 1 and np.ptp(table.sum(1)) <= 1
    if not test:
        theirs = [np.bincount(y[val], minlength=len(counts)) for _, val in StratifiedKFold(folds).split(y, y)]
        assert np.array_equal(np.sort(table, axis=0), np.sort(theirs, axis=0))


def test_stratified_folds_of_a_quantity_go_by_its_tenths():
    y = np.random.default_rng(0).exponential(size=1000)
    for one in folds_of("stratified_kfold", 1000, 5, y=y, task_type="regression"):
        assert np.bincount(np.argsort(np.argsort(y))[one["val"]] // 100).tolist() == [20] * 10


@settings(deadline=None, max_examples=40)
@given(group_sizes=st.lists(st.integers(1, 30), min_size=7, max_size=30), folds=st.integers(2, 7))
def test_grouped_folds_are_as_large_as_those_of_scikit_learn_and_keep_groups_whole(group_sizes, folds):
    by = np.random.default_rng(0).permutation(np.repeat(np.arange(len(group_sizes)), group_sizes))
    found = folds_of("grouped_kfold", len(by), folds, by=by)
    check_cover(found, len(by))
    assert all(not set(by[one["train"]]) & set(by[one["val"]]) for one in found)
    theirs = [len(val) for _, val in GroupKFold(folds).split(by, groups=by)]
    assert sorted(len(one["val"]) for one in found) == sorted(theirs)


def test_a_test_split_of_grouped_folds_keeps_groups_whole():
    by = np.repeat(np.arange(20), 5)
    found = folds_of("grouped_kfold", 100, 4, by=by, test=0.2)
    check_cover(found, 100)
    assert len(found[0]["test"]) == 20
    assert not set(by[found[0]["test"]]) & set(by[found[0]["train"]]) | set(by[found[0]["val"]]) & set(
        by[found[0]["test"]]
    )


# ---------------------------------------------------------------- refusals


def k(**fields):
    return unchecked(**{"method": "kfold", "folds": 3, "fold": 0, **fields})


def b(method, **fields):
    return unchecked(method=method, by="b", **fields)


NAN = np.array([1.0, np.nan, 3.0])
NAT = np.array(["2020-01-01", "NaT", "2020-01-03"], dtype="datetime64[s]")


@pytest.mark.parametrize(
    ("spec", "by", "says"),
    [
        (b("grouped"), None, r"data.split.by: 'b' holds one value per record \(3\), but it was not read"),
        (b("grouped"), np.arange(4), r"but it has shape \(4,\)"),
        (b("grouped"), np.array(["a", " ", "c"]), "data.split.by: 'b' has no value in record 1"),
        (b("grouped"), NAN, "data.split.by: 'b' has no value in record 1"),
        (b("grouped"), np.zeros(3), "data.split.val: the val split is empty"),
        (b("grouped_kfold", folds=3, fold=0), np.array([1, 1, 2]), "3 folds, but only 2 groups"),
        (b("time"), NAN, "data.split.by: 'b' has no value in record 1"),
        (b("time"), NAT, "data.split.by: 'b' has no value in record 1"),
        (b("time"), np.array(["x", "y", "z"]), "data.split.by: 'b': record 0 holds 'x', which is no date"),
        (b("time"), np.zeros(3), "data.split.val: the val split is empty"),
        (b("column"), np.array(["train", "val", "tset"]), "'b' holds 'tset' in record 2; it takes train"),
        (b("column"), np.arange(3), "'b' holds int64, not the words train, val and test"),
        (b("column"), np.array(["train", "", "test"]), "data.split.val: the val split is empty"),
        (k(folds=4), None, "data.split.folds: 4 folds of 3 records"),
        (k(val=[1]), None, "data.split.val: records are listed only with"),
    ],
)
def test_a_way_to_split_that_the_data_do_not_allow_is_refused(spec, by, says):
    with pytest.raises(DataError, match=says):
        split_records(spec, np.zeros(3), task_type="regression", by=by)


@pytest.mark.parametrize("method", ["stratified", "stratified_kfold"])
@pytest.mark.parametrize("shape", [(9, 2), (9, 4, 4)])
def test_several_targets_cannot_be_stratified(method, shape):
    folds = {"folds": 3, "fold": 0} if method == "stratified_kfold" else {}
    with pytest.raises(DataError, match=r"data\.split.method: a stratified split goes by one class"):
        split_records(SplitSpec(method=method, **folds), np.zeros(shape), task_type="multi_label")


def test_test_records_cannot_come_both_from_a_column_and_apart():
    with pytest.raises(
        DataError, match=r"data\.split.by: it names test records, and data.test brings others"
    ):
        split_records(
            b("column"),
            np.zeros(5),
            task_type="regression",
            appended=2,
            by=np.array(["train", "val", "test"]),
        )


def test_what_a_split_goes_by_has_no_value_for_appended_test_records():
    splits = split_records(
        b("grouped", val=0.5), np.zeros(6), task_type="regression", appended=2, by=np.array([1, 1, 2, 2])
    )
    assert sizes(splits) == {"train": 2, "val": 2, "test": 2}
