import re

import numpy as np
import pandas as pd
import pytest

from data.making import blobs
from trainwright.base.errors import DataError
from trainwright.base.jsontext import read_json, write_json
from trainwright.data.dataset import Records, open_dataset
from trainwright.spec.data import DataSpec, SplitSpec
from trainwright.spec.data import TestRecords as Apart

X, Y = blobs()
NAMES = np.array(["cat", "dog", "emu"])[Y]


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y, x_test=X[:9] + 1, y_test=Y[:9], w=np.arange(60.0))
    frame = pd.DataFrame(X, columns=list("abcd")).assign(
        kind=NAMES, w=np.arange(60.0), id=[f"r{n}" for n in range(60)]
    )
    frame.to_csv(tmp_path / "d.csv", index=False)
    frame.to_parquet(tmp_path / "d.parquet", index=False)
    frame.iloc[::-1].head(9).to_csv(tmp_path / "test.csv", index=False, columns=["id", "kind", *"dcba", "w"])
    return tmp_path


TABLE = {"target": "kind", "weight": "w", "id": "id"}


def test_an_archive_is_opened_and_split(folder):
    data = open_dataset(DataSpec(path="d.npz", split=SplitSpec(val=0.2, test=0.1)), folder=folder)

    assert (data.task_type, data.target, data.features) == ("classification", "y", None)
    assert {name: len(data.part(name)) for name in data.splits} == {"train": 43, "val": 11, "test": 6}
    for name, indices in data.splits.items():
        assert np.array_equal(data.part(name).x, X[indices]) and np.array_equal(data.part(name).y, Y[indices])
        assert data.part(name).ids.tolist() == indices.tolist()


@pytest.mark.parametrize("file", ["d.csv", "d.parquet"])
def test_a_table_is_opened_with_all_its_roles(folder, file):
    data = open_dataset(DataSpec(path=file, **TABLE), folder=folder)

    assert data.features == ("a", "b", "c", "d")
    np.testing.assert_array_equal(np.column_stack(list(data.records.x.columns.values())), X)
    assert data.records.y.tolist() == NAMES.tolist()
    assert data.records.weight.tolist() == list(range(60))
    assert data.records.ids[:2].tolist() == ["r0", "r1"]


def test_the_same_content_in_other_files_has_one_digest(folder):
    csv, parquet = (
        open_dataset(DataSpec(path=f"d.{kind}", **TABLE), folder=folder) for kind in ("csv", "parquet")
    )
    assert csv.content_digest == parquet.content_digest
    assert csv.recipe_digest != parquet.recipe_digest
    assert csv.split_digests == parquet.split_digests


@pytest.mark.parametrize("change", ["x", "y", "weight", "ids"])
def test_any_changed_value_changes_the_content_digest(folder, change):
    spec = DataSpec(path="d.csv", **TABLE)
    before = open_dataset(spec, folder=folder)
    frame = pd.read_csv(folder / "d.csv")
    column = {"x": "c", "y": "kind", "weight": "w", "ids": "id"}[change]
    frame.loc[7, column] = {"x": 0.125, "y": "emu", "weight": 0.5, "ids": "other"}[change]
    frame.to_csv(folder / "d.csv", index=False)
    after = open_dataset(spec, folder=folder)

    assert after.content_digest != before.content_digest and after.recipe_digest == before.recipe_digest
    with pytest.raises(DataError) as caught:
        open_dataset(spec.model_copy(update={"digest": before.content_digest}), folder=folder)
    assert str(caught.value) == (
        f"data.digest: d.csv has changed: registered sha256 {before.content_digest}, "
        f"now {after.content_digest}; "
        "register it again or bring the file back"
    )


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_the_digest_that_is_asked_for_passes(folder, prefix):
    spec = DataSpec(path="d.npz")
    digest = open_dataset(spec, folder=folder).content_digest
    again = open_dataset(spec.model_copy(update={"digest": prefix + digest}), folder=folder)
    assert again.content_digest == digest and "digest" not in again.recipe


def test_the_recipe_is_the_same_in_another_folder_and_after_resolving(folder, tmp_path):
    spec = DataSpec(path="d.csv", test=Apart(path="test.csv"), **TABLE)
    first = open_dataset(spec, folder=folder)
    elsewhere = spec.model_copy(update={"path": str(folder / "d.csv"), "features": list("abcd")})
    second = open_dataset(elsewhere, folder=tmp_path)

    assert first.recipe == second.recipe and first.recipe_digest == second.recipe_digest
    assert read_json(write_json(first.recipe)) == first.recipe
    assert str(folder) not in write_json(second.recipe)


def test_test_records_in_the_same_archive_become_the_test_split(folder):
    spec = DataSpec(path="d.npz", test=Apart(features="x_test", target="y_test"))
    data = open_dataset(spec, folder=folder)
    assert np.array_equal(data.part("test").x, X[:9] + 1) and np.array_equal(data.part("test").y, Y[:9])
    assert data.splits["test"].tolist() == list(range(60, 69))
    assert len(data.part("train")) + len(data.part("val")) == 60


def test_test_records_of_a_table_are_matched_by_name_not_by_place(folder):
    data = open_dataset(DataSpec(path="d.csv", test=Apart(path="test.csv"), **TABLE), folder=folder)
    test = data.part("test")
    np.testing.assert_array_equal(np.column_stack(list(test.x.columns.values())), X[::-1][:9])
    assert test.ids[:2].tolist() == ["r59", "r58"] and test.weight[:2].tolist() == [59.0, 58.0]


def test_ids_of_test_records_are_kept_even_where_those_of_the_others_look_like_positions(folder):
    np.savez(folder / "a.npz", x=X, y=Y, n=np.arange(60))
    np.savez(folder / "b.npz", x=X[:3], y=Y[:3], n=np.array([900, 901, 902]))
    data = open_dataset(DataSpec(path="a.npz", id="n", test=Apart(path="b.npz")), folder=folder)
    assert data.part("test").ids.tolist() == [900, 901, 902]


def test_pinned_splits_are_used_as_they_are(folder):
    spec = DataSpec(path="d.npz")
    first = open_dataset(spec, folder=folder)
    pinned = {
        "content_digest": first.content_digest,
        "splits": {"train": np.arange(50), "val": np.arange(50, 60)},
    }
    assert open_dataset(spec, folder=folder, pinned=pinned).splits["val"].tolist() == list(range(50, 60))
    with pytest.raises(DataError, match=r"data\.digest: d\.npz has changed: registered sha256 000"):
        open_dataset(spec, folder=folder, pinned={"content_digest": "000"})


@pytest.mark.parametrize(
    ("asked", "found"),
    [("auto", "classification"), ("classification", "classification"), ("regression", "regression")],
)
def test_the_task_type_is_decided_or_obeyed(folder, asked, found):
    data = open_dataset(DataSpec(path="d.npz"), folder=folder, task_type=asked)
    assert data.task_type == found
    assert data.content_digest == open_dataset(DataSpec(path="d.npz"), folder=folder).content_digest
    assert data.records.y.dtype == (np.int64 if found == "classification" else np.float64)


def test_several_real_targets_keep_their_shape(folder):
    np.savez(folder / "d.npz", x=X, y=np.stack([X[:, 0], X[:, 1]], axis=1))
    data = open_dataset(DataSpec(path="d.npz"), folder=folder)
    assert (data.task_type, data.records.y.shape) == ("regression", (60, 2))


def bad(x=X, y=Y, **more):
    return {"x": x, "y": y, **more}


NAN = X.copy()
NAN[[3, 5], 1] = np.nan
REAL = X[:, 0].copy()
REAL[11] = -np.inf


@pytest.mark.parametrize(
    ("arrays", "fields", "says"),
    [
        (
            bad(NAN),
            {},
            r"data.features: the array 'x' holds nan in record 3 \(counted from 0; 2 such values in all",
        ),
        (bad(y=REAL), {}, "data.target: 'y' holds -inf in record 11"),
        (bad(y=Y[:50]), {}, r"data.target: 'y' has shape \(50,\), but there are 60 records"),
        (
            bad(y=np.zeros(60, int)),
            {"task_type": "classification"},
            "data.target: all 60 records are of one class, 0",
        ),
        (bad(y=np.array(5)), {}, "data.target: 'y' has shape"),
        (bad(X[:0], Y[:0]), {}, r"data.features: the array 'x' is empty \(shape \(0, 4\)\)"),
        (bad(X[:, :0]), {}, "data.features: the array 'x' is empty"),
        (bad(X.astype(str)), {}, "data.features: the array 'x' holds <U"),
        (bad(X + 1j), {}, "data.features: d.npz: array 'x': arrays of complex128"),
        (bad(w=-np.ones(60)), {"weight": "w"}, "data.weight: the weight of record 0 is -1.0"),
        (bad(w=np.ones(59)), {"weight": "w"}, "data.weight: weights are numbers, one per record"),
        (bad(w=np.full(60, np.nan)), {"weight": "w"}, "data.weight: it holds nan in record 0"),
        (
            bad(w=np.full(60, 1e-60)),
            {"weight": "w"},
            "data.weight: all 54 weights of the train split are zero in float32; multiply",
        ),
        (bad(w=np.zeros(60)), {"weight": "w"}, "data.weight: all 54 weights of the train split are zero"),
        (bad(i=np.ones(60)), {"id": "i"}, "data.id: ids are integers or text"),
        (
            bad(y=NAMES),
            {"task_type": "regression"},
            "data.target: regression needs numbers, this is text such as 'cat'",
        ),
        (bad(), {"target": "labels"}, "data.target: no array 'labels' in d.npz"),
        (
            bad(X[:2], Y[:2]),
            {"task_type": "regression", "split": SplitSpec(val=0.9)},
            "data.split.train: the train",
        ),
        (
            bad(y=np.array([7] + [0, 1] * 29 + [7])),
            {"split": SplitSpec(method="given", train=[1, 2, 3], val=[0, 4])},
            "data.split.val: 1 of its records are of a class that train has not, such as record 0 of class 7",
        ),
        (
            bad(),
            {"split": SplitSpec(method="given", train=[0, 3], val=[6])},
            "data.split.train: all its records are of one class, 0",
        ),
    ],
)
def test_records_that_cannot_be_trained_on_are_refused(tmp_path, arrays, fields, says):
    np.savez(tmp_path / "d.npz", **arrays)
    task_type = fields.pop("task_type", "auto") if "task_type" in fields else "auto"
    with pytest.raises(DataError, match="^" + says):
        open_dataset(DataSpec(path="d.npz", **fields), folder=tmp_path, task_type=task_type)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"test": Apart(features="x_test")}, "data.test: name their file"),
        ({"test": Apart(path="none.npz")}, "data.test.path: there is no file 'none.npz'"),
        (
            {"test": Apart(path="odd.npz")},
            r"data.test: its records have shape \(3,\), those of data \(4,\)",
        ),
        ({"test": Apart(path="text.npz")}, "data.test.target: it holds text .* that of data numbers"),
        ({"test": Apart(path="nan.npz")}, "data.test.features: the array 'x' holds nan in record 3"),
        ({"test": Apart(path="nan.npz", target="t")}, "data.test.target: no array 't' in nan.npz"),
        (
            {"test": Apart(features="x_test", target="y_test"), "weight": "w"},
            "data.weight: 'w' cannot belong to the test records too",
        ),
        ({"path": None}, "data.path: name a file"),
        ({"path": "d.npy"}, "data.path: there is no file 'd.npy' in .*; nearest: 'd.npz'"),
    ],
)
def test_test_records_that_do_not_belong_are_refused(folder, fields, says):
    np.savez(folder / "odd.npz", x=X[:, :3], y=Y)
    np.savez(folder / "text.npz", x=X, y=NAMES)
    np.savez(folder / "nan.npz", x=NAN, y=Y)
    spec = DataSpec.model_construct(**{"path": "d.npz"} | fields)
    with pytest.raises(DataError, match="^" + says):
        open_dataset(spec, folder=folder)


def test_a_class_of_test_records_that_train_has_not_is_named(folder):
    np.savez(folder / "new.npz", x=X[:1], y=np.array([9]))
    with pytest.raises(DataError, match=r"data\.split\.test: 1 of its records .* record 60 of class 9"):
        open_dataset(DataSpec(path="d.npz", test=Apart(path="new.npz")), folder=folder)


def test_a_csv_value_that_is_missing_is_named_with_field_file_and_line(folder):
    text = (folder / "d.csv").read_text().splitlines()
    text[7] = re.sub(r"^[^,]*", "", text[7])
    (folder / "d.csv").write_text("\n".join(text))
    with pytest.raises(
        DataError,
        match=r"^data\.features: d\.csv: column 'a' has no value in line 8; write `missing: impute`",
    ):
        open_dataset(DataSpec(path="d.csv", **TABLE), folder=folder)


def test_some_records_can_be_taken_with_all_that_belongs_to_them():
    records = Records(x=X, y=Y, weight=np.arange(60.0), ids=NAMES).take(np.array([5, 2]))
    assert len(records) == 2 and records.y.tolist() == [2, 2] and records.weight.tolist() == [5.0, 2.0]
    bare = Records(x=X, y=None, weight=None, ids=NAMES).take(np.array([5]))
    assert bare.y is None and bare.weight is None


def test_a_split_that_is_not_there_is_refused(folder):
    with pytest.raises(DataError, match="no split 'test', only train, val"):
        open_dataset(DataSpec(path="d.npz"), folder=folder).part("test")
