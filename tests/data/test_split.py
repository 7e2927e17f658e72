import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

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
