import sys
import types
from dataclasses import dataclass, replace

import numpy as np
import pytest

from data.making import blobs
from trainwright.base.errors import DataError, SpecError
from trainwright.base.jsontext import read_json, write_json
from trainwright.data.check import without_target
from trainwright.data.dataset import Records, open_dataset
from trainwright.data.prepare import Preparation, fit_preparation
from trainwright.ops import CATALOG
from trainwright.ops.operator import Operator, Sequential
from trainwright.spec.data import DataSpec
from trainwright.spec.part import Use

X, Y = blobs()
STANDARDIZE = [Use(use="Standardize")]


@dataclass(frozen=True, eq=False)
class Halve(Operator):
    def __call__(self, x):
        return x[::2]


@dataclass(frozen=True, eq=False)
class Square(Operator):
    def __call__(self, x):
        return x**2


@pytest.fixture(autouse=True)
def _mine(monkeypatch):
    module = types.ModuleType("of_the_user")
    module.Halve, module.Square = Halve, Square
    monkeypatch.setitem(sys.modules, "of_the_user", module)


@pytest.fixture
def opened(tmp_path):
    def write(task_type="auto", x=X, y=Y, **fields):
        np.savez(tmp_path / "d.npz", x=x, y=y)
        spec = DataSpec(path="d.npz", **fields)
        data = open_dataset(spec, folder=tmp_path, task_type=task_type)
        return data, spec

    return write


def test_operators_are_fitted_on_train_alone(opened):
    data, spec = opened(operators=STANDARDIZE)
    train = data.part("train").x
    made = fit_preparation(data, spec, catalog=CATALOG)

    np.testing.assert_allclose(made.inputs.steps[0].mean, train.mean(0))
    val = data.part("val").x
    np.testing.assert_allclose(
        made.encode(data.part("val")).x, (val - train.mean(0)) / train.std(0), rtol=1e-5
    )


def test_classes_become_numbers_in_their_order(opened):
    names = np.array(["emu", "ant", "cat"])[Y]
    data, spec = opened(y=names)
    made = fit_preparation(data, spec, catalog=CATALOG)
    encoded = made.encode(data.part("train"))

    assert made.targets.values == ("ant", "cat", "emu")
    assert encoded.y.dtype == np.int64 and encoded.y.shape == (54,)
    assert made.targets.invert(encoded.y).tolist() == data.part("train").y.tolist()


@pytest.mark.parametrize(("y", "outputs"), [(X[:, 0] * 100, 1), (X[:, :2] * 100, 2)])
def test_real_targets_are_scaled_and_come_back(opened, y, outputs):
    data, spec = opened("regression", y=y, target_operators=STANDARDIZE)
    made = fit_preparation(data, spec, catalog=CATALOG)
    encoded = made.encode(data.part("train"))

    assert encoded.y.dtype == np.float32 and encoded.y.shape == (54, outputs)
    np.testing.assert_allclose(encoded.y.mean(0), 0.0, atol=1e-6)
    back = made.targets.invert(encoded.y)
    np.testing.assert_allclose(back, data.part("train").y.reshape(54, outputs), rtol=1e-5)


def test_what_a_model_gets_is_contiguous_float32(opened):
    data, spec = opened(x=np.asfortranarray(np.arange(60 * 12).reshape(60, 3, 4) % 7))
    encoded = fit_preparation(data, spec, catalog=CATALOG).encode(data.part("train"))
    assert encoded.x.dtype == np.float32 and encoded.x.flags.c_contiguous and encoded.x.shape == (54, 3, 4)
    assert encoded.weight is None


def test_weights_are_float32_and_ids_are_kept():
    records = Records(x=X, y=None, weight=np.arange(60.0), ids=np.array(["r"] * 60))
    encoded = Preparation(Sequential(), Sequential(), "regression").encode(records)
    assert encoded.weight.dtype == np.float32 and encoded.y is None and encoded.ids is records.ids


@pytest.mark.parametrize("task_type", ["classification", "regression"])
def test_a_preparation_comes_back_through_json(opened, task_type):
    operators = [Use(use="MinMax"), Use(use="Standardize", args={"per": "all"})]
    targets = STANDARDIZE if task_type == "regression" else []
    data, spec = opened(task_type, operators=operators, target_operators=targets)
    made = fit_preparation(data, spec, catalog=CATALOG)
    again = Preparation.from_spec(read_json(write_json(made.spec)), CATALOG)

    assert again.spec == made.spec and again == made
    first, second = made.encode(data.records), again.encode(data.records)
    assert np.array_equal(first.x, second.x) and np.array_equal(first.y, second.y)


@pytest.mark.parametrize(
    ("task_type", "fields", "error", "says"),
    [
        (
            "classification",
            {"target_operators": STANDARDIZE},
            SpecError,
            "data.target_operators: they are for regr",
        ),
        (
            "auto",
            {"operators": [Use(use="MinMax"), Use(use="Standardise")]},
            SpecError,
            r"data.operators\.1.use: unknown name 'Standardise', nearest: 'Standardize'",
        ),
        (
            "auto",
            {"operators": [Use(use="Standardize", args={"pre": 1})]},
            SpecError,
            r"data.operators\.0.args",
        ),
        (
            "auto",
            {"operators": [Use(use="Standardize", args={"per": "x"})]},
            SpecError,
            r"data.operators\.0.args",
        ),
        (
            "auto",
            {"operators": [Use(use="builtins:dict")]},
            SpecError,
            r"data.operators\.0.use: .* not an operator",
        ),
        ("auto", {"operators": [Use(use="of_the_user:Halve")]}, DataError, "made 27 records of 54"),
        ("auto", {"operators": [Use(use="Labels")]}, DataError, r"data.operators\.0: classes are"),
        (
            "regression",
            {"target_operators": [Use(use="of_the_user:Square")]},
            DataError,
            "cannot be inverted",
        ),
    ],
)
def test_an_operator_that_cannot_be_used_is_refused_by_its_place(opened, task_type, fields, error, says):
    data, spec = opened(task_type, **fields)
    with pytest.raises(error, match=says):
        fit_preparation(data, spec, catalog=CATALOG)


def test_a_program_named_as_operator_is_not_started(opened, tmp_path):
    data, spec = opened(operators=[Use(use="os:system", args={"command": "touch bad"})])
    with pytest.raises(SpecError, match="is not an operator"):
        fit_preparation(data, spec, catalog=CATALOG)
    assert not (tmp_path / "bad").exists()


def test_an_unseen_class_is_named(opened):
    data, spec = opened()
    made = fit_preparation(data, spec, catalog=CATALOG)
    with pytest.raises(DataError, match="class 8"):
        made.encode(Records(x=X[:1], y=np.array([8]), weight=None, ids=np.arange(1)))


@pytest.mark.parametrize("value", [1e300, np.nan, np.inf])
def test_what_float32_cannot_hold_is_refused(value):
    x = X.copy()
    x[4, 2] = value
    with pytest.raises(DataError, match="features of record 4"):
        Preparation(Sequential(), Sequential(), "regression").encode(Records(x, None, None, np.arange(60)))


@pytest.mark.parametrize("tree", [None, {}, {"inputs": {}, "targets": {}, "task_type": "other"}, []])
def test_what_is_no_preparation_is_refused(tree):
    with pytest.raises(DataError, match="a preparation"):
        Preparation.from_spec(tree, CATALOG)


IMAGES = np.random.default_rng(1).normal(size=(60, 1, 4, 5))
PIXELS = np.where(IMAGES[:, 0] > 0, 255, 0) + (IMAGES[:, 0] > 1)
LABELS = (X[:, :2] > X[:, :2].mean(0)).astype(int)
SHARES = np.random.default_rng(2).dirichlet(np.ones(3), len(X))


@pytest.mark.parametrize(
    ("x", "y", "task_type", "encoded", "outputs"),
    [
        (X, np.array(["emu", "ant", "cat"])[Y], "classification", np.array([2, 0, 1])[Y], 3),
        (X, SHARES, "classification", SHARES.astype(np.float32), 3),
        (X, LABELS, "multi_label", LABELS.astype(np.float32), 2),
        (IMAGES, PIXELS, "segmentation", np.searchsorted([0, 255, 256], PIXELS), 3),
        (X, X[:, :2] * 3, "regression", (X[:, :2] * 3).astype(np.float32), 2),
        (IMAGES, IMAGES * 2, "regression", (IMAGES * 2).astype(np.float32), 1),
        (X, Y + 5, "embedding", Y, None),
    ],
)
def test_every_task_has_targets_a_model_can_take(opened, x, y, task_type, encoded, outputs):
    data, spec = opened(task_type, x=x, y=y)
    made = fit_preparation(data, spec, catalog=CATALOG)
    found = made.encode(data.records).y

    assert found.dtype == encoded.dtype and found.flags.c_contiguous
    np.testing.assert_array_equal(found, encoded)
    shape = made.output_shape(found)
    assert (None if shape is None else shape[0]) == outputs
    assert shape is None or shape[1:] == found.shape[len(found.shape) - len(shape[1:]) :]
    again = Preparation.from_spec(read_json(write_json(made.spec)), CATALOG)
    np.testing.assert_array_equal(again.encode(data.records).y, found)


def test_labels_are_called_by_their_target(opened):
    data, spec = opened("multi_label", y=LABELS)
    assert fit_preparation(data, spec, catalog=CATALOG).targets.names == ("y[0]", "y[1]")


@pytest.mark.parametrize(
    ("target", "classes"),
    [
        ("y", (0, 1, 2)),
        (("a", "b", "c"), ("a", "b", "c")),
        (("p(a)", "p(b)", "p(p(c))"), ("a", "b", "p(c)")),
        (("p(a)", "p(b)", "c"), ("p(a)", "p(b)", "c")),
    ],
)
def test_classes_of_probabilities_are_called_as_a_model_writes_them(opened, target, classes):
    data, spec = opened("classification", y=SHARES)
    made = fit_preparation(replace(data, target=target), spec, catalog=CATALOG)
    assert made.targets.values == classes


def test_an_embedding_without_a_target_has_no_classes(opened):
    data, spec = opened("embedding")
    records = replace(data.records, y=without_target(60))
    made = fit_preparation(replace(data, records=records), spec, catalog=CATALOG)
    assert made.encode(records).y.tolist() == [-1] * 60 and made.targets == Sequential()


def test_a_class_that_no_pixel_of_train_has_is_told(opened):
    data, spec = opened("segmentation", x=IMAGES, y=PIXELS)
    made = fit_preparation(data, spec, catalog=CATALOG)
    with pytest.raises(DataError, match="pixels are counted over all records: record 0 has the class 7"):
        made.encode(replace(data.records, y=np.full_like(PIXELS, 7)))


@pytest.mark.parametrize(
    ("task_type", "x", "y"), [("multi_label", X, LABELS), ("segmentation", IMAGES, PIXELS)]
)
def test_only_quantities_have_target_operators(opened, task_type, x, y):
    data, spec = opened(task_type, x=x, y=y, target_operators=STANDARDIZE)
    with pytest.raises(SpecError, match=r"data\.target_operators: they are for regression"):
        fit_preparation(data, spec, catalog=CATALOG)
