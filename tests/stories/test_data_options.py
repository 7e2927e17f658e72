"""Each option of `data` changes what the model sees, and in the right way; hand-computed on small files."""

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from trainwright.base.errors import DataError, SpecError
from trainwright.data.inputs import take_inputs
from trainwright.plan import make_plan
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import check_tree

N = 40
AGE = 20.0 + np.arange(N) * 7 % 41
CITY = np.array(["Bonn", "Kiel", "Ulm", "Bonn"] * (N // 4))
Y = np.where((AGE > 40) ^ (CITY == "Ulm"), "yes", "no")
EVEN = {"method": "given", "train": list(range(0, N, 2)), "val": list(range(1, N, 2))}


@pytest.fixture
def plan(tmp_path):
    def make(*, path="t.csv", model="mlp", task="auto", kind="auto", **data):
        fields = {"path": path, "split": EVEN, **data}
        if path in ("t.csv", "g.csv"):
            fields = {"target": "y", **fields}
        if "inline" in data:
            del fields["path"]
        tree = {
            "name": "a",
            "data": fields,
            "model": {"architecture": model, "task_type": task, "input": kind},
            "train": {"backend": "torch"},
        }
        experiment = check_tree(tree)
        assert isinstance(experiment, Experiment)
        return make_plan(experiment, tmp_path, home=tmp_path / "store")

    return make


@pytest.fixture(autouse=True)
def table(tmp_path):
    rows = [f"{age:g},{city},{n},{y}" for n, (age, city, y) in enumerate(zip(AGE, CITY, Y, strict=True))]
    (tmp_path / "t.csv").write_text("age,city,number id,y\n" + "\n".join(rows) + "\n")
    rows[3], rows[8] = f",Bonn,3,{Y[3]}", f"28,,8,{Y[8]}"
    rows[10] = "30,Ulm,10,"
    (tmp_path / "g.csv").write_text("age,city,number id,y\n" + "\n".join(rows) + "\n")
    return tmp_path


def x_of(plan, split="train"):
    return plan.examples[split].x


def standard(values, rows):
    return (values - values[rows].mean()) / values[rows].std()


TRAIN, VAL = np.arange(0, N, 2), np.arange(1, N, 2)


def test_columns_become_numbers_by_their_kind_and_names_of_records_are_left_out(plan):
    made = plan()
    hot = (CITY[TRAIN, None] == ["Bonn", "Ulm"]).astype(float)  # Kiel is not among the even records
    expected = np.column_stack([standard(AGE, TRAIN)[TRAIN], hot])
    np.testing.assert_allclose(x_of(made), expected, atol=1e-6)
    assert made.experiment.data.features == ["age", "city"]
    settled = {one.name: (one.role, one.kind) for one in made.experiment.data.columns}
    assert settled == {
        "age": ("feature", "numeric"),
        "city": ("feature", "categorical"),
        "number id": ("ignore", "auto"),
    }
    assert x_of(made, "val")[0].tolist()[1:] == [0.0, 0.0]  # an unknown city


@pytest.mark.parametrize(
    ("columns", "features", "width"),
    [
        ([{"name": "age", "role": "ignore"}], ["city"], 2),
        ([{"name": "number id", "role": "feature"}], ["age", "city", "number id"], 4),
        ([{"name": "age", "kind": "categorical"}], ["age", "city"], 22),
        ([{"name": "city", "kind": "text"}], ["age"], 1),
    ],
)
def test_what_the_user_says_of_a_column_comes_first(plan, columns, features, width):
    made = plan(columns=columns)
    assert made.experiment.data.features == features and x_of(made).shape[1] == width


def test_operators_of_a_column_and_of_the_matrix(plan):
    own = plan(columns=[{"name": "age", "operators": [{"use": "Log1p"}]}])
    np.testing.assert_allclose(x_of(own)[:, 0], np.log1p(AGE[TRAIN]), rtol=1e-6)
    whole = plan(operators=[{"use": "MinMax"}])
    np.testing.assert_allclose(
        x_of(whole)[:, 0], (AGE[TRAIN] - AGE[TRAIN].min()) / np.ptp(AGE[TRAIN]), atol=1e-6
    )


def test_the_number_of_a_category_is_no_quantity(plan):
    with pytest.raises(
        SpecError, match=r"model\.input: the records hold category codes, which are no quantities"
    ):
        plan(columns=[{"name": "city", "operators": [{"use": "Ordinal"}]}])


def test_a_transformer_gets_the_number_of_a_category(plan):
    made = plan(model="transformer")
    assert made.experiment.model.categories == [0, 3]
    np.testing.assert_array_equal(x_of(made)[:4, 1], [1, 2, 1, 2])
    np.testing.assert_array_equal(x_of(made, "val")[:2, 1], [0, 1])  # Kiel is unknown


def test_blanks_are_refused_imputed_or_left_out(plan):
    with pytest.raises(
        DataError, match=r"data\.features: g\.csv: column 'age' has no value in line 5 \(3 values"
    ):
        plan(path="g.csv", target=None, task="embedding")
    with pytest.raises(DataError, match=r"data\.target: g\.csv: column 'y' has no value in line 12"):
        plan(path="g.csv", features=["number id"])
    random = {"split": {"val": 0.5}}
    imputed, dropped = (
        plan(path="g.csv", missing="impute", **random),
        plan(path="g.csv", missing="drop", **random),
    )
    assert imputed.dataset.left_out == 1 and dropped.dataset.left_out == 3
    assert 10 not in imputed.dataset.records.ids and set(dropped.dataset.records.ids) == set(range(N)) - {
        3,
        8,
        10,
    }
    number = int(np.flatnonzero(imputed.dataset.records.ids == 3)[0])
    part = "train" if number in imputed.dataset.splits["train"] else "val"
    row = x_of(imputed, part)[np.searchsorted(imputed.dataset.splits[part], number)]
    ages = imputed.dataset.part("train").x.columns["age"]
    filled = np.where(np.isnan(ages), np.nanmedian(ages), ages)
    np.testing.assert_allclose(row[0], (np.nanmedian(ages) - filled.mean()) / filled.std(), rtol=1e-5)
    assert sorted(set(np.concatenate([x_of(imputed, one)[:, 1] for one in ("train", "val")]))) != [0.0]


def test_the_marks_of_a_csv_file_can_be_given(plan, table):
    (table / "m.csv").write_text("a|y\n" + "".join(f"{n},{n % 10}|{n}\n" for n in range(N)))
    found = plan(path="m.csv", target="y", delimiter="|", decimal=",", operators=[])
    np.testing.assert_allclose(x_of(found)[:, 0], [n + n % 10 / 10 for n in TRAIN], rtol=1e-6)
    with pytest.raises(DataError, match="no column 'y'"):
        plan(path="m.csv", target="y", delimiter=";")
    with pytest.raises(DataError, match=r"no column of m\.csv is left|text a model|is not numeric"):
        plan(path="m.csv", target="y", decimal=".")


def test_an_inline_table_is_a_table(plan):
    columns = {"age": AGE.tolist(), "city": CITY.tolist(), "y": Y.tolist()}
    made = plan(inline=columns, target="y")
    np.testing.assert_array_equal(x_of(made), x_of(plan()))
    with pytest.raises(SpecError, match=r"data\.inline: path is given too"):
        check_tree(
            {"name": "a", "data": {"path": "t.csv", "inline": columns}, "model": {"architecture": "mlp"}}
        )


def test_several_targets_go_together(plan, table):
    numbers = np.random.default_rng(0)
    rows = np.column_stack([AGE, numbers.integers(0, 2, (N, 2)), numbers.normal(size=(N, 2))])
    np.savetxt(table / "several.csv", rows, delimiter=",", header="a,rain,wind,p,q", comments="", fmt="%.6g")
    labels = plan(path="several.csv", target=["rain", "wind"], features=["a"])
    assert labels.dataset.task_type == "multi_label" and labels.preparation.targets.names == ("rain", "wind")
    values = plan(path="several.csv", target=["p", "q"], features=["a"])
    assert values.dataset.task_type == "regression" and values.examples["train"].y.shape == (N // 2, 2)


def test_sequences_of_different_lengths_carry_their_mask(plan, table):
    lengths = np.arange(N) % 5 + 3
    values = np.arange(float(lengths.sum()))
    np.savez(table / "s.npz", x=values, x_lengths=lengths, y=np.arange(N) // 2 % 2)
    made = plan(path="s.npz", model="cnn")
    x = x_of(made)
    assert x.shape == (N // 2, 2, 7) and made.experiment.model.ragged is True
    np.testing.assert_array_equal(x[:, 1].sum(1), lengths[TRAIN])
    np.testing.assert_array_equal(x[1, 0, : lengths[2]], values[lengths[:2].sum() :][: lengths[2]])
    scaled = plan(path="s.npz", model="cnn", operators=[{"use": "Standardize"}])
    own = np.concatenate([values[lengths[:n].sum() :][: lengths[n]] for n in TRAIN])
    np.testing.assert_allclose(x_of(scaled)[1, 0, 0], (x[1, 0, 0] - own.mean()) / own.std(), rtol=1e-5)
    assert x_of(scaled)[0, 0, 3] == 0.0  # padding is not scaled
    assert x_of(plan(path="s.npz", model="cnn", max_length=4)).shape == (N // 2, 2, 4)
    table_ = pyarrow.table({"x": [values[: n + 1].tolist() for n in range(N)], "y": np.arange(N) // 2 % 2})
    pyarrow.parquet.write_table(table_, table / "s.parquet")
    listed = plan(path="s.parquet", features="x", target="y", model="cnn")
    np.testing.assert_array_equal(x_of(listed)[:, 1].sum(1), TRAIN + 1)


def test_integers_are_token_ids_for_a_transformer_only(plan, table):
    ids = np.random.default_rng(0).integers(1, 9, (N, 6))
    np.savez(table / "ids.npz", x=ids, y=np.arange(N) // 2 % 2)
    made = plan(path="ids.npz", model="transformer")
    assert made.experiment.model.input == "tokens" and x_of(made).dtype == np.int32
    assert made.experiment.model.vocabulary_size == ids[TRAIN].max() + 1
    assert x_of(plan(path="ids.npz")).dtype == np.float32
    ids[1, 0] = 99  # in val, not in train
    np.savez(table / "ids.npz", x=ids, y=np.arange(N) // 2 % 2)
    with pytest.raises(DataError, match="record 0 holds the token id 99, which was not there in training"):
        plan(path="ids.npz", model="transformer")


@pytest.mark.parametrize(
    "use",
    [
        {"use": "RandomRotation", "args": {"degrees": 30.0}},
        {"use": "RandomCrop", "args": {"padding": 1}},
        {"use": "RandomErasing", "args": {"p": 1.0}},
        {"use": "ColorJitter", "args": {"brightness": 0.3}},
    ],
    ids=lambda use: use["use"],
)
def test_images_with_and_without_an_axis_of_channels_are_augmented_alike(plan, table, use):
    images = np.random.default_rng(0).random((N, 6, 6))
    batches = []
    for x in (images, images[:, None]):
        np.savez(table / "i.npz", x=x, y=np.arange(N) // 2 % 2)
        made = plan(path="i.npz", model="cnn", kind="image", augment=[use])
        batches.append(made.feed.batch(0).x.reshape(-1, 6, 6))
    plain = plan(path="i.npz", model="cnn", kind="image").feed.batch(0).x.reshape(-1, 6, 6)
    assert np.array_equal(*batches) and not np.array_equal(batches[0], plain)


def test_augmentation_changes_batches_of_train_and_nothing_else(plan, table):
    x = np.random.default_rng(0).normal(size=(N, 1, 6, 6))
    np.savez(table / "i.npz", x=x, y=np.arange(N) // 2 % 2)
    plain = plan(path="i.npz", model="cnn")
    flipped = plan(path="i.npz", model="cnn", augment=[{"use": "HorizontalFlip", "args": {"p": 1.0}}])
    np.testing.assert_array_equal(flipped.feed.batch(0).x, plain.feed.batch(0).x[..., ::-1])
    np.testing.assert_array_equal(x_of(flipped, "val"), x_of(plain, "val"))
    some = plan(path="i.npz", model="cnn", augment=[{"use": "HorizontalFlip", "args": {"p": 0.5}}])
    first, again = some.feed.batch(0).x, some.feed.batch(some.feed.steps_per_epoch).x
    rows = [np.argsort(some.feed.indices(step)) for step in (0, some.feed.steps_per_epoch)]
    assert not np.array_equal(first[rows[0]], again[rows[1]])  # anew in each epoch
    for use, says in (("Standardize", "is no augmentation"), ("HorizontalFlp", "nearest: 'HorizontalFlip'")):
        with pytest.raises(SpecError, match=rf"data\.augment\.0\.use: .*{says}"):
            plan(path="i.npz", model="cnn", augment=[{"use": use}])
    with pytest.raises(DataError, match=r"data\.augment\.0: "):
        plan(augment=[{"use": "HorizontalFlip"}])


@pytest.mark.parametrize("said", [[], [{"name": "city", "role": "ignore"}]])
def test_a_decided_table_is_decided_again_as_it_is(plan, said):
    made = plan(columns=said)  # which column is not used, and why, stays in the record
    assert [one.name for one in made.experiment.data.columns if one.role == "ignore"][-1] == "number id"
    again = make_plan(made.experiment, made.folder, home=made.folder / "store")
    assert again.experiment == made.experiment


@pytest.mark.parametrize("path", ["t.csv", "i.npz", "x.npy"])
def test_a_decided_spec_without_a_target_is_decided_again_as_it_is(plan, table, path):
    x = np.random.default_rng(0).normal(size=(N, 3))
    np.savez(table / "i.npz", x=x, y=np.arange(N) % 2)
    np.save(table / "x.npy", x)
    made = plan(path=path, target=None, task="embedding")
    assert made.experiment.data.target is None and made.experiment.train.loss == "reconstruction"
    again = make_plan(made.experiment, made.folder, home=made.folder / "store")
    assert again.experiment == made.experiment


def test_a_split_may_go_by_a_column_and_that_column_is_no_feature(plan):
    made = plan(split={"method": "grouped", "by": "city", "val": 0.3}, features="auto")
    cities = {name: set(CITY[rows]) for name, rows in made.dataset.splits.items()}
    assert not cities["train"] & cities["val"] and "city" not in made.experiment.data.features
    late = plan(split={"method": "time", "by": "age", "val": 0.2})
    assert AGE[late.dataset.splits["val"]].min() > AGE[late.dataset.splits["train"]].max()


def test_rows_in_memory_are_taken_like_rows_of_a_file(plan):
    made = plan()
    from trainwright.data.inputs import InputSchema

    schema = InputSchema(["age", "city"], (2,), "y", "classification", ["numeric", "categorical"])
    taken = take_inputs({"city": CITY[:3], "age": AGE[:3].tolist()}, schema=schema)
    np.testing.assert_array_equal(taken.columns["age"], AGE[:3])
    assert made.preparation.inputs(taken.columns).shape == (3, 3)
    for wrong, says in (
        ({"age": [1.0]}, "no column 'city' in the records, there are: 'age'"),
        ({"age": ["x"], "city": ["Ulm"]}, "column 'age' is not numeric"),
        ({"age": [np.nan], "city": ["Ulm"]}, "column 'age' has no value in record 0; write"),
        (np.zeros((2, 2)), "the model takes columns by name"),
    ):
        with pytest.raises(DataError, match=says):
            take_inputs(wrong, schema=schema)
