"""The JSON Schema, judged by a small validator written from its specification."""

import json

import pytest

from trainwright.spec.experiment import Experiment
from trainwright.spec.part import Part
from trainwright.spec.schema import experiment_schema, field_descriptions
from trainwright.spec.train import AdamW, Cosine

SCHEMA = experiment_schema()
TYPES = {
    "object": lambda v: isinstance(v, dict),
    "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "null": lambda v: v is None,
    "number": lambda v: isinstance(v, int | float) and not isinstance(v, bool),
    "integer": lambda v: (
        (isinstance(v, int) and not isinstance(v, bool)) or (isinstance(v, float) and v == int(v))
    ),
}
NOTES = {"title", "description", "default", "$defs", "$schema"}


def valid(value, schema):
    """JSON Schema 2020-12, the words that occur; an unknown word is an error of the test."""
    for word, rule in schema.items():
        match word:
            case "$ref":
                good = valid(value, SCHEMA["$defs"][rule.removeprefix("#/$defs/")])
            case "type":
                good = TYPES[rule](value)
            case "enum":
                good = value in rule
            case "const":
                good = value == rule
            case "anyOf":
                good = any(valid(value, one) for one in rule)
            case "oneOf":
                good = sum(valid(value, one) for one in rule) == 1
            case "properties":
                good = not isinstance(value, dict) or all(
                    valid(value[k], s) for k, s in rule.items() if k in value
                )
            case "required":
                good = not isinstance(value, dict) or set(rule) <= set(value)
            case "additionalProperties":
                known = schema.get("properties", {})
                good = rule is True or not isinstance(value, dict) or set(value) <= set(known)
            case "items":
                good = not isinstance(value, list) or all(valid(item, rule) for item in value)
            case "minimum":
                good = not TYPES["number"](value) or value >= rule
            case "maximum":
                good = not TYPES["number"](value) or value <= rule
            case "exclusiveMinimum":
                good = not TYPES["number"](value) or value > rule
            case "exclusiveMaximum":
                good = not TYPES["number"](value) or value < rule
            case _:
                assert word in NOTES, word
                good = True
        if not good:
            return False
    return True


GOOD = {
    "name": "line",
    "data": {"path": "a.csv", "split": {"val": 0.2}, "operators": [{"use": "X", "args": {"k": [1, None]}}]},
    "model": {"architecture": "cnn", "input_shape": [1, 40], "output_dim": "auto", "kernel_size": 3},
    "train": {"optimizer": {"name": "sgd", "lr": 1}, "schedule": {"name": "cosine"}, "clip_norm": None},
}


def test_a_good_spec_is_valid():
    assert valid(GOOD, SCHEMA)
    assert valid(Experiment.model_validate(GOOD).tree(), SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"name": 3},
        {"model": {}},
        {"model": {"architecture": "mlpp"}},
        {"model": {"architecture": "mlp", "dropout": 1.0}},
        {"model": {"architecture": "mlp", "hidden_dims": [0]}},
        {"train": {"optimizer": {"name": "adamw", "momentum": 0.9}}},
        {"train": {"optimizer": {"lr": 0.1}}},
        {"train": {"optimizer": {"name": "sgd", "lr": "1e-3"}}},
        {"train": {"routines": "none"}},
        {"data": {"operators": [{"args": {}}]}},
    ],
)
def test_a_wrong_spec_is_invalid(change):
    assert not valid({**GOOD, **change}, SCHEMA)


def test_the_schema_says_which_dialect_it_speaks_and_has_no_address():
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["title"] == "Experiment"
    assert "$id" not in json.dumps(SCHEMA) and "discriminator" not in json.dumps(SCHEMA)


def parts(part):
    return [part, *(inner for one in part.__subclasses__() for inner in parts(one))]


OURS = [part for part in parts(Part) if part is not Part and part.__module__.startswith("trainwright.")]


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.__name__)
def test_every_field_of_every_part_is_described(part):
    assert list(field_descriptions(part)) == list(part.model_fields) or set(field_descriptions(part)) == set(
        part.model_fields
    )


@pytest.mark.parametrize("part", OURS, ids=lambda part: part.__name__)
def test_every_description_is_in_the_schema(part):
    described = SCHEMA if part is Experiment else SCHEMA["$defs"][part.__name__]

    for name, text in field_descriptions(part).items():
        assert described["properties"][name]["description"] == text
    assert "Args:" not in described["description"]


def test_a_description_of_several_lines_is_one_sentence():
    assert field_descriptions(AdamW)["lr"] == "The rate."
    assert (
        field_descriptions(Cosine)["warmup_epochs"]
        == "Epochs (parts too) over which the rate rises from zero, step by step."
    )
    train = SCHEMA["$defs"]["TrainSpec"]["properties"]["accumulate"]["description"]
    assert "\n" not in train and "  " not in train
