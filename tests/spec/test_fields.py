"""What may stand at each place of a spec."""

from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from trainwright.spec import data
from trainwright.spec.data import DataSpec, SplitSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.fields import chosen, describe, fields_of, inside, show, variants
from trainwright.spec.part import Use
from trainwright.spec.train import SGD, AdamW, Cosine, TrainSpec


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "a whole number"),
        (Annotated[float, Field(gt=0.0)], "a number > 0"),
        (Annotated[float, Field(ge=0.0, lt=1.0)], "a number >= 0 and < 1"),
        (bool | None, "true or false or null"),
        (Literal["a", "b", "c"], "'a', 'b' or 'c'"),
        (str | Literal["auto"], "text"),
        (list[Annotated[int, Field(ge=1)]] | Literal["auto"], "a list (each a whole number >= 1) or 'auto'"),
        (Use, "a mapping with use, args"),
        (dict[str, Any], "a mapping"),
        (
            fields_of(TrainSpec)["optimizer"],
            "a mapping with name: 'sgd', 'adam', 'adamw', 'rmsprop', 'adagrad', 'lbfgs' or 'own'",
        ),
    ],
)
def test_a_place_says_what_it_takes(annotation, words):
    assert describe(annotation) == words


@pytest.mark.parametrize(
    ("part", "path", "value", "expected"),
    [
        (Experiment, ["data"], {"data": {}}, DataSpec),
        (Experiment, ["data", "split"], {"data": {"split": {}}}, SplitSpec),
        (DataSpec, ["test"], {"test": {}}, data.TestRecords),
        (DataSpec, ["operators", 0], {"operators": [{}]}, Use),
        (TrainSpec, ["routines", 0], {"routines": [{}]}, Use),
        (TrainSpec, ["optimizer"], {"optimizer": {"name": "sgd"}}, SGD),
        (TrainSpec, ["optimizer"], {"optimizer": {"name": "adamw"}}, AdamW),
        (TrainSpec, ["schedule"], {"schedule": {"name": "cosine"}}, Cosine),
        (TrainSpec, ["optimizer"], {"optimizer": {"name": "new"}}, None),
        (TrainSpec, ["optimizer"], {"optimizer": {}}, None),
        (TrainSpec, ["optimizer"], {"optimizer": {"name": ["sgd"]}}, None),
        (TrainSpec, ["routines"], {"routines": "auto"}, None),
        (TrainSpec, ["nothing"], {"nothing": {}}, None),
    ],
)
def test_a_value_shows_which_part_it_describes(part, path, value, expected):
    annotation = part
    for key in path:
        annotation, value = inside(annotation, value, key), value[key]

    assert chosen(annotation, value) is expected


def test_the_variants_of_an_optimizer_go_by_name():
    assert list(variants(fields_of(TrainSpec)["optimizer"])) == [
        "sgd",
        "adam",
        "adamw",
        "rmsprop",
        "adagrad",
        "lbfgs",
        "own",
    ]
    assert variants(fields_of(TrainSpec)["best"]) == {}


@pytest.mark.parametrize(
    "value", ["x" * 10_000, list(range(10**6)), {"k" * 100: 1}, "a\nb\x1b[31m", {"a": object()}, {1, 2}]
)
def test_a_wrong_value_is_shown_short_and_on_one_line(value):
    line = show(value)

    assert len(line) <= 62 and line.isprintable()
