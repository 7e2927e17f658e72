import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

from data.making import blobs
from trainwright.base.errors import DataError
from trainwright.data import storage
from trainwright.data.dataset import open_dataset
from trainwright.data.inputs import InputSchema, read_inputs
from trainwright.data.lazy import is_lazy
from trainwright.data.prepare import fit_preparation
from trainwright.data.storage import explain_storage
from trainwright.ops import CATALOG
from trainwright.spec.data import DataSpec, SplitSpec
from trainwright.spec.part import Use

X, Y = blobs()
NAMES = ["a", "b", "c", "d"]


@pytest.fixture(autouse=True)
def _files(tmp_path):
    np.savez(tmp_path / "d.npz", x=X, y=Y, w=np.arange(60.0), g=np.arange(60) // 6)
    np.savez_compressed(tmp_path / "z.npz", x=X, y=Y)
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "f.npy", np.asfortranarray(X))
    np.save(tmp_path / "y.npy", Y)
    np.save(tmp_path / "g.npy", np.arange(60) // 6)
    days = np.datetime64("2020-01-01") + np.arange(60) // 2
    words = np.array(["train", "train", "val", "test", "", "dev"] * 10)
    more = {"y": Y, "w": np.arange(60.0), "day": days, "word": words, "g": np.arange(60) // 6}
    table = pa.table({name: X[:, number] for number, name in enumerate(NAMES)} | more)
    parquet.write_table(table, tmp_path / "t.parquet")
    (tmp_path / "t.csv").write_text(
        "a,b,y,day,word,g\n"
        + "\n".join(f"{X[i, 0]},{X[i, 1]},{Y[i]},{days[i]},{words[i]},{i // 6}" for i in range(60))
    )


def fields(path, **more):
    if path.endswith(".npy"):
        return {"path": path, "target": "y.npy", **more}
    if path.endswith(".parquet"):
        return {"path": path, "target": "y", "features": NAMES, **more}
    return {"path": path, **more}


@pytest.mark.parametrize("path", ["d.npz", "x.npy", "t.parquet"])
def test_data_are_the_same_whether_they_are_in_memory_or_not(tmp_path, path):
    operators = [Use(use="Standardize")]
    found = []
    for in_memory in (True, False):
        spec = DataSpec(**fields(path, in_memory=in_memory, operators=operators))
        data = open_dataset(spec, folder=tmp_path)
        assert is_lazy(data.records.x) != in_memory
        made = fit_preparation(data, spec, catalog=CATALOG)
        found.append((data, made, {name: made.encode(data.part(name)) for name in data.splits}))
    (one, op, parts), (other, other_op, other_parts) = found
    assert (one.content_digest, one.recipe, one.recipe_digest, one.split_digests) == (
        other.content_digest,
        other.recipe,
        other.recipe_digest,
        other.split_digests,
    )
    assert op.spec == other_op.spec
    for name in parts:
        assert is_lazy(other_parts[name].x)
        np.testing.assert_array_equal(parts[name].x, other_parts[name].x[:])


@pytest.mark.parametrize("path", ["d.npz", "x.npy", "t.parquet"])
def test_auto_goes_by_a_quarter_of_the_memory_of_the_machine(tmp_path, monkeypatch, path):
    spec, size = DataSpec(**fields(path)), X.nbytes
    for memory, lazy in ((4 * size, False), (4 * size - 4, True)):
        monkeypatch.setattr(storage, "hardware", lambda memory=memory: {"memory_bytes": memory})
        assert is_lazy(open_dataset(spec, folder=tmp_path).records.x) == lazy


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("z.npz", "data.in_memory: z.npz cannot be read in parts: it is compressed"),
        ("f.npy", "data.in_memory: f.npy cannot be read in parts: it lies column by column"),
        (
            "t.csv",
            r"data.in_memory: t.csv cannot be read in parts: \.csv files are read whole; write it as Parquet",
        ),
    ],
)
def test_what_can_only_be_read_whole_is_read_whole_by_auto_and_refused_by_false(
    tmp_path, monkeypatch, path, says
):
    monkeypatch.setattr(storage, "hardware", lambda: {"memory_bytes": 1})
    more = {"target": "y", "features": ["a", "b"]} if path == "t.csv" else {}
    spec = DataSpec(**{**fields(path), **more})
    assert not is_lazy(open_dataset(spec, folder=tmp_path).records.x)
    with pytest.raises(DataError, match=says):
        open_dataset(spec.model_copy(update={"in_memory": False}), folder=tmp_path)


@pytest.mark.parametrize("in_memory", ["auto", True, False])
def test_a_wrong_file_is_refused_in_the_same_words_whichever_way_it_is_read(tmp_path, in_memory):
    (tmp_path / "bad.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"data\.path: bad\.npy: not an \.npy array"):
        open_dataset(DataSpec(path="bad.npy", target="y.npy", in_memory=in_memory), folder=tmp_path)
    with pytest.raises(DataError, match=r"data\.features: no array 'q' in d\.npz"):
        open_dataset(DataSpec(path="d.npz", features="q", in_memory=in_memory), folder=tmp_path)
    odd = X.copy()
    odd[7, 2] = np.nan
    np.save(tmp_path / "odd.npy", odd)
    with pytest.raises(DataError, match=r"data\.features: the array 'x' holds nan in record 7"):
        open_dataset(DataSpec(path="odd.npy", target="y.npy", in_memory=in_memory), folder=tmp_path)


def test_test_records_that_come_apart_are_joined_without_being_read(tmp_path):
    found = []
    for in_memory in (True, False):
        spec = DataSpec(
            **fields("x.npy", in_memory=in_memory, test={"path": "d.npz", "features": "x", "target": "y"})
        )
        found.append(open_dataset(spec, folder=tmp_path))
    one, other = found
    assert is_lazy(other.records.x) and one.content_digest == other.content_digest
    np.testing.assert_array_equal(one.part("test").x, other.part("test").x[:])
    np.testing.assert_array_equal(other.part("test").x[:], X)


def test_the_plan_says_what_stays_in_its_file(tmp_path):
    def x_of(path):
        return open_dataset(DataSpec(**fields(path, in_memory=False)), folder=tmp_path).records.x

    assert explain_storage(X) == {}
    assert explain_storage(x_of("x.npy"))["data.in_memory"].endswith("of features are read batch by batch")
    assert "from a copy of 0.0 GB in" in explain_storage(x_of("t.parquet"))["data.in_memory"]


def test_records_to_predict_for_stay_in_a_large_file_too(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "hardware", lambda: {"memory_bytes": 1})
    assert is_lazy(read_inputs(tmp_path / "x.npy", schema=InputSchema("x", (4,), "y", "regression")).x)


# ------------------------------------------------- what a split goes by


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("path", "by"), [("d.npz", "g"), ("x.npy", "g.npy"), ("t.parquet", "g")])
def test_groups_come_from_the_file(tmp_path, path, by, in_memory):
    split = SplitSpec(method="grouped", by=by, val=0.2)
    data = open_dataset(DataSpec(**fields(path, in_memory=in_memory, split=split)), folder=tmp_path)
    groups = np.arange(60) // 6
    assert len(data.splits["val"]) == 12
    assert not set(groups[data.splits["val"]]) & set(groups[data.splits["train"]])


@pytest.mark.parametrize("path", ["t.parquet", "t.csv"])
@pytest.mark.parametrize(
    ("split", "val"),
    [
        ({"method": "time", "by": "day", "val": 0.1}, list(range(54, 60))),
        ({"method": "column", "by": "word"}, sorted([*range(2, 60, 6), *range(5, 60, 6)])),
        ({"method": "grouped_kfold", "by": "g", "folds": 10, "fold": 0}, None),
    ],
)
def test_a_column_that_a_split_goes_by_is_no_feature_unless_it_is_named(tmp_path, path, split, val):
    spec = DataSpec(path=path, target="y", features=["a", "b"], split=SplitSpec(**split))
    data = open_dataset(spec, folder=tmp_path, task_type="regression")
    assert len(data.splits["val"]) == 6 if val is None else data.splits["val"].tolist() == val
    table = pa.table({"a": X[:, 0], "y": Y, split["by"]: np.arange(60)})
    parquet.write_table(table, tmp_path / "auto.parquet")
    if split["method"] == "column":
        return
    spec = DataSpec(path="auto.parquet", target="y", split=SplitSpec(**split))
    assert open_dataset(spec, folder=tmp_path).features == ("a",)
    named = spec.model_copy(update={"features": ["a", split["by"]]})
    assert open_dataset(named, folder=tmp_path).features == ("a", split["by"])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("d.npz", "data.split.by: no array 'q' in d.npz"),
        ("x.npy", "data.split.by: there is no file 'q'"),
        ("t.parquet", "data.split.by: no column 'q' in t.parquet"),
    ],
)
def test_what_a_split_goes_by_must_be_there(tmp_path, path, says):
    spec = DataSpec(**fields(path, split=SplitSpec(method="grouped", by="q")))
    with pytest.raises(DataError, match=says):
        open_dataset(spec, folder=tmp_path)
