"""The common ground of all specs."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from trainwright.base.digest import digest_json
from trainwright.spec.part import Part, Use
from trainwright.spec.train import SGD, AdamW, TrainSpec


def test_a_part_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        SGD(name="sgd").lr = 1.0


@pytest.mark.parametrize("lr", ["1e-3", True, math.nan, math.inf, 0, -1, None])
def test_only_a_finite_positive_number_is_a_rate(lr):
    with pytest.raises(ValidationError):
        SGD(name="sgd", lr=lr)


def test_a_whole_number_is_taken_for_a_number():
    one = SGD(name="sgd", lr=1)

    assert type(one.lr) is float
    assert digest_json(one.tree()) == digest_json(SGD(name="sgd", lr=1.0).tree())


@pytest.mark.parametrize("epochs", [1.0, True, "1"])
def test_only_a_whole_number_counts(epochs):
    with pytest.raises(ValidationError):
        TrainSpec(epochs=epochs)


@pytest.mark.parametrize(
    "value", [math.inf, -math.inf, 1e-300, 10**30, None, True, [], {}, [{"a": [1.5]}], "text"]
)
def test_arguments_come_back_as_they_were(value):
    assert Use(use="x", args={"a": value}).tree()["args"]["a"] == value


def test_infinity_and_nothing_have_different_digests():
    digests = {digest_json(Use(use="x", args={"a": a}).tree()) for a in (math.inf, -math.inf, math.nan, None)}

    assert len(digests) == 4


def test_a_tuple_is_a_list():
    assert Use(use="x", args={"a": (1, (2,))}) == Use(use="x", args={"a": [1, [2]]})


@pytest.mark.parametrize("value", [np.float32(1), np.zeros(2), object(), {1, 2}, b"x", print])
def test_arguments_that_cannot_be_written_down_are_refused(value):
    with pytest.raises(ValidationError, match="cannot be written"):
        Use(use="x", args={"a": [value]})


@pytest.mark.parametrize("args", [{"a": {1: 2}}, {"a": [{None: 1}]}])
def test_keys_of_arguments_are_text(args):
    with pytest.raises(ValidationError, match="not text"):
        Use(use="x", args=args)


def test_all_broken_rules_of_a_part_are_told_at_once():
    def one(part):
        yield from [(("a",), "first"), ((), "second")]

    class Ruled(Part):
        rules = (one,)
        a: int = 0

    with pytest.raises(ValidationError, match="a: first; second"):
        Ruled()


def test_the_tree_holds_every_field_in_the_order_of_definition():
    assert list(AdamW(name="adamw").tree()) == ["name", "lr", "beta1", "beta2", "eps", "weight_decay"]
