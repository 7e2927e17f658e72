import re

import numpy as np
import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.losses import OwnLoss
from trainwright.spec.optimizer import OwnOptimizer
from trainwright.spec.own_code import make_own_loss, make_own_optimizer


class Typo:
    """Own parts with a mistake in each method."""

    def torch(self, outputs, targets):
        return outputs - target  # noqa: F821

    def optax(self, rate):
        return {}["rule"]


HERE = f"{__name__}:Typo"
LOSS, RULE = OwnLoss(name="own", use=HERE), OwnOptimizer(name="own", use=HERE)


@pytest.mark.parametrize(
    ("call", "error", "part"),
    [
        (
            lambda: make_own_loss(OwnLoss(name="own", use=HERE), library="torch")(np.ones(2), 1),
            NameError,
            "loss: {}.torch",
        ),
        (
            lambda: make_own_optimizer(OwnOptimizer(name="own", use=HERE))(0.1),
            KeyError,
            "optimizer: {}.optax",
        ),
    ],
)
def test_an_error_in_own_code_says_which_part_it_is(call, error, part):
    with pytest.raises(error) as caught:
        call()
    assert caught.value.__notes__ == [f"trainwright: raised in train.{part.format(HERE)}"]


class Bare:
    pass


def none(rate):
    return rate


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda use: make_own_loss(OwnLoss(name="own", use=use), library="torch", has=("numpy",)),
            "train.loss.use: {} has no methods `torch`, `numpy`; "
            "it needs torch(outputs, targets), numpy(outputs, targets)",
        ),
        (
            lambda use: make_own_optimizer(OwnOptimizer(name="own", use=use)),
            "train.optimizer.use: {} has no method `optax`; it needs optax(rate)",
        ),
    ],
)
def test_a_class_without_a_method_is_told_which_and_how_it_is_called(call, line):
    place = f"{__name__}:Bare"
    with pytest.raises(SpecError, match=f"^{re.escape(line.format(place))}$"):
        call(place)


def test_what_is_no_class_is_told_so():
    with pytest.raises(SpecError, match=r"none' is not a class with optax\(rate\); it is not called"):
        make_own_optimizer(OwnOptimizer(name="own", use=f"{__name__}:none"))
