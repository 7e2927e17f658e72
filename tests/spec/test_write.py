"""A spec as YAML again."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree
from trainwright.spec.text import read_text
from trainwright.spec.train import SGD, TrainSpec
from trainwright.spec.write import write_yaml


def example(args=None, **train):
    operators = [Use(use="X", args=args or {})]
    data = DataSpec(path="a.csv", operators=operators)
    return Experiment(name="a", data=data, model=ModelSpec(architecture="mlp"), train=TrainSpec(**train))


def back(text):
    found = read_text(text)
    assert not found.faults
    return check_tree(found.value)


@pytest.mark.parametrize("defaults", [True, False])
def test_what_is_written_reads_back_as_an_equal_experiment(defaults):
    one = example(optimizer=SGD(name="sgd", lr=1e-8), clip_norm=1e22, epochs=3)

    found = back(write_yaml(one, defaults=defaults))
    assert found == one and found.digest() == one.digest()


def test_fields_that_equal_their_default_can_be_left_out():
    assert write_yaml(example(epochs=3), defaults=False) == (
        "name: a\n"
        "data:\n"
        "  path: a.csv\n"
        "  operators:\n"
        "  - {use: X}\n"
        "model: {architecture: mlp}\n"
        "train: {epochs: 3}\n"
    )


def test_every_field_is_written_otherwise_in_the_order_of_the_spec():
    found = read_text(write_yaml(example())).value

    assert found == example().tree()
    assert list(found) == ["name", "seed", "ensemble", "data", "model", "train"]
    assert list(found["train"]) == list(TrainSpec.model_fields)


@pytest.mark.parametrize(
    "text",
    [
        *("1e-3", "yes", "null", "~", "", "true", "0o17", "017", "1_000", ".inf", "2020-01-01", "12:30"),
        *("a: b", "# x", "- x", "!x", "&a", "*a", "a\nb", "a\tb", " a", "'", '"', "<<", "=", "|", "---"),
        *("\x07", "\x7f", "\x85", "\u2028", "\ufeff", "é", "模型", "😀"),
    ],
)
def test_text_stays_text(text):
    one = example({"a": text, "b": [text], text: 1})

    assert back(write_yaml(one)) == one


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc:# \n1-é", max_size=5), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(value=values)
@settings(max_examples=200, deadline=None)
def test_any_arguments_come_back_as_they_were(value):
    one = example({"a": value})

    assert back(write_yaml(one)).digest() == one.digest()
