import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from trainwright.base.errors import DataError
from trainwright.data.balance import balance_classes, balance_labels

Y = np.array([0, 2, 2, 1, 2, 2, 0, 2])


@pytest.mark.parametrize("shape", [(8,), (2, 2, 2)], ids=["records", "pixels"])
def test_classes_are_balanced_as_by_scikit_learn(shape):
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=Y)
    assert balance_classes(Y.reshape(shape), 3) == pytest.approx(theirs, rel=1e-12)


def test_probabilities_of_classes_are_balanced_by_what_they_add_to():
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 20)
    weights = np.array(balance_classes(shares, 3))
    np.testing.assert_allclose((shares * weights).sum(0), 20 / 3)
    np.testing.assert_allclose(balance_classes(np.eye(3)[Y], 3), balance_classes(Y, 3))


def test_a_class_that_never_occurs_cannot_be_balanced():
    with pytest.raises(DataError, match=r"train\.loss\.class_weights: class 1 .*does not occur"):
        balance_classes(np.array([[0.5, 0.0, 0.5]]), 3)


def test_the_positives_of_a_label_come_to_weigh_what_its_negatives_weigh():
    y = (np.random.default_rng(0).uniform(size=(50, 3)) < [0.1, 0.5, 0.8]).astype(np.float32)
    weights = np.array(balance_labels(y, ["a", "b", "c"]))
    np.testing.assert_allclose((y * weights).sum(0), (1 - y).sum(0))


@pytest.mark.parametrize(
    ("value", "says"), [(0.0, "have 0 for the label 'b'"), (1.0, "have 1 for the label 'b'")]
)
def test_a_label_that_never_differs_cannot_be_balanced(value, says):
    with pytest.raises(DataError, match=f"train.loss.class_weights: .*{says}"):
        balance_labels(np.array([[0.0, value], [1.0, value]]), ["a", "b"])
