import numpy as np
import pytest

from trainwright.base.errors import DataError
from trainwright.data.check import (
    NO_CLASS,
    check_finite,
    check_ids,
    check_weight,
    explain_scale,
    infer_task_type,
    settle_target,
    without_target,
)

MANY = np.arange(100)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array(["a", "b"]), "classification"),
        (np.array([True, False]), "classification"),
        (np.tile([3, 8], 2), "classification"),
        (np.array([3, 8, 9]), "regression"),  # each once: more likely a quantity
        (np.repeat(MANY, 20), "classification"),  # a hundred classes without a gap, often enough
        (np.repeat(MANY, 19), "regression"),
        (np.repeat(MANY * 2, 20), "regression"),  # with gaps
        (np.repeat(MANY + 17, 50), "regression"),  # ages, say
        (np.repeat(MANY[:20] * 5, 2), "classification"),
        (np.repeat(MANY[:21] * 5, 2), "regression"),
        (np.tile([0.0, 1.0], 50), "regression"),
        (np.tile([[0, 2]], (50, 1)), "regression"),  # two targets
        (np.tile([[0, 1], [1, 1]], (50, 1)), "multi_label"),
        (np.tile([[False, True], [True, True]], (5, 1)), "multi_label"),
        (np.tile([[0.0, 1.0], [1.0, 1.0]], (50, 1)), "regression"),
        (np.zeros((4, 5, 6), dtype=np.uint8), "segmentation"),
        (np.zeros((4, 5, 6), dtype=bool), "segmentation"),
        (np.zeros((4, 2, 5, 6)), "regression"),  # from field to field
        (np.tile([[0], [1]], (50, 1)), "classification"),
    ],
)
def test_the_task_type_goes_by_the_values(y, expected):
    assert infer_task_type(y) == expected


@pytest.mark.parametrize("kind", [int, bool])
def test_classes_in_columns_of_their_own_are_not_taken_for_labels(kind):
    with pytest.raises(DataError, match=r"data.target: .*argmax.*task_type: multi_label"):
        infer_task_type(np.eye(3, dtype=kind)[[0, 2, 1, 1]])


@pytest.mark.parametrize(
    ("y", "task_type", "kind"),
    [
        (np.array([[1, 0], [1, 1]]), "multi_label", np.float32),
        (np.array([[True, False], [True, True]]), "multi_label", np.float32),
        (np.array([1.0, 0.0]), "multi_label", np.float32),
        (np.array([[[0, 7], [7, 7]]]), "segmentation", np.int64),
        (np.array([[[0.0, 7.0], [7.0, 7.0]]]), "segmentation", np.int64),
        (np.array([[0, 1, 1], [1, 2, 2]]), "segmentation", np.int64),  # of places along a line
        (np.array([3.0, 4.0]), "embedding", np.int64),
        (np.array(["a", "b"]), "embedding", "<U1"),
        (np.ones((2, 1, 3, 3), np.float32), "regression", np.float64),
    ],
)
def test_targets_of_every_task_keep_their_values(y, task_type, kind):
    found = settle_target(y, task_type, at="")
    assert found.dtype == kind
    assert found.shape == (y.reshape(-1, 1).shape if task_type == "multi_label" and y.ndim == 1 else y.shape)
    assert (found.reshape(y.shape) == y).all()


@pytest.mark.parametrize("kind", [int, bool, float])
def test_columns_of_one_class_each_are_its_probabilities(kind):
    found = settle_target(np.eye(3, dtype=kind), "classification", at="")
    assert found.dtype == np.float64 and found.tolist() == np.eye(3).tolist()


def test_records_without_a_target_have_no_class():
    assert without_target(3).tolist() == [NO_CLASS] * 3


@pytest.mark.parametrize(
    ("y", "task_type", "expected"),
    [
        (np.array([[1], [2]]), "classification", [1, 2]),
        (np.array([0.0, 2.0]), "classification", [0, 2]),
        (np.array([True, False]), "regression", [1.0, 0.0]),
        (np.array([[1, 2], [3, 4]]), "regression", [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_a_target_takes_the_form_of_its_task(y, task_type, expected):
    found = settle_target(y, task_type, at="")
    assert found.tolist() == expected
    assert found.dtype == (np.float64 if task_type == "regression" else np.int64)


@pytest.mark.parametrize(
    ("y", "task_type", "says"),
    [
        (np.zeros((4, 2, 2), dtype=int), "classification", "take the argmax"),
        (np.array([["a", "b"]]), "classification", "there are 2 classes"),
        (
            np.array([[0.5, 0.5], [0.5, 0.9]]),
            "classification",
            r"record 1 .*add to 1; .*regression.*multi_label",
        ),
        (
            np.array([[0.5, 0.5], [0.5, 0.5]]),
            "classification",
            r"all 2 records have one target, \[0.5, 0.5\]",
        ),
        (np.array([0.0, 0.5]), "classification", "record 1 holds 0.5.*model.task_type: regression"),
        (np.array(["x", "x"]), "classification", "all 2 records are of one class, 'x'"),
        (np.array([[7], [7]]), "classification", "one class, 7"),
        (np.array(["x", "y"]), "regression", "regression needs numbers"),
        (np.zeros((2, 2, 0)), "regression", "regression needs shape"),
        (np.array([[0, 1], [2, 1]]), "multi_label", "record 1 holds 2 for label 0"),
        (np.array([[0.0, 0.5]]), "multi_label", "record 0 holds 0.5 for label 1"),
        (np.array([["a", "b"]]), "multi_label", "text such as 'a'"),
        (np.zeros((2, 2, 2)), "multi_label", r"shape \(records, labels\)"),
        (np.array([0, 1]), "segmentation", "a class for each pixel"),
        (np.array([[["a"]]]), "segmentation", "text such as 'a'"),
        (np.array([[[0.0, 1.0], [1.0, 0.5]]]), "segmentation", "record 0 holds 0.5; for quantities"),
        (np.ones((3, 2, 2), int), "segmentation", "all 12 pixels are of one class, 1"),
        (np.array([0.5, 1.0]), "embedding", "record 0 holds 0.5; a loss such as reconstruction"),
        (np.zeros((2, 3)), "embedding", "one class per record"),
        (np.zeros((2, 0)), "regression", "regression needs shape"),
    ],
)
def test_a_target_of_another_task_is_refused(y, task_type, says):
    with pytest.raises(DataError, match=says):
        settle_target(y, task_type, at="")


def test_the_first_value_that_is_not_finite_is_named():
    x = np.zeros((4, 3), np.float32)
    x[2, 1], x[3, 0] = np.inf, np.nan
    with pytest.raises(DataError, match=r"^here: column 'b' holds inf in record 2 \(.*; 2 such values"):
        check_finite(x, at="here: ", what="it", columns=("a", "b", "c"))


@pytest.mark.parametrize("values", [np.array([1]), np.array(["nan"]), np.array([1e308]), np.array([True])])
def test_finite_values_pass(values):
    check_finite(values, at="", what="")


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (np.array([1.0, -0.5]), "record 1 is -0.5"),
        (np.array([np.nan, 1.0]), "holds nan in record 0"),
        (np.array([1.0]), "one per record"),
        (np.array([[1.0], [1.0]]), "one per record"),
        (np.array(["a", "b"]), "are numbers"),
    ],
)
def test_wrong_weights_are_refused(weight, says):
    with pytest.raises(DataError, match=says):
        check_weight(weight, 2, at="")


@pytest.mark.parametrize("ids", [np.array([1.0, 2.0]), np.array([1]), np.array([[1], [2]])])
def test_wrong_ids_are_refused(ids):
    with pytest.raises(DataError, match="ids are integers or text"):
        check_ids(ids, 2, at="")


@pytest.mark.parametrize(
    ("mean", "spread", "said"),
    [(0, 1, False), (9, 9, False), (0, 20, True), (50, 1, True), (0, 1e-3, True), (3, 0, False)],
)
def test_features_that_a_network_learns_badly_from_are_pointed_at(mean, spread, said):
    x = mean + spread * np.random.default_rng(0).standard_normal((200, 3))
    assert bool(explain_scale(x)) is said
    assert explain_scale(x.astype(np.int64)) == {}  # tokens
