"""Changes by path."""

import itertools

import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.data import DataSpec
from trainwright.spec.edit import edit, parse_change
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.train import SGD, AdamW, Cosine, OneCycle, TrainSpec


def example(**train):
    data, model = DataSpec(path="a.csv"), ModelSpec(architecture="mlp")
    return Experiment(name="a", data=data, model=model, train=TrainSpec(**train))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=3", ("train.epochs", 3)),
        ("train.optimizer.lr=1e-3", ("train.optimizer.lr", 0.001)),
        ("train.optimizer.lr = 1e-3", ("train.optimizer.lr", 0.001)),
        ("name='1e-3'", ("name", "1e-3")),
        ("name=a=b", ("name", "a=b")),
        ('name=""', ("name", "")),
        ("train.clip_norm=null", ("train.clip_norm", None)),
        ("train.restore_best=true", ("train.restore_best", True)),
        ("model.hidden_dims=[64, 64]", ("model.hidden_dims", [64, 64])),
        ("train.schedule={name: cosine}", ("train.schedule", {"name": "cosine"})),
        ("data.path=C:/x.csv", ("data.path", "C:/x.csv")),
    ],
)
def test_a_change_is_a_path_and_a_yaml_value(text, expected):
    path, value = parse_change(text)

    assert (path, value) == expected and type(value) is type(expected[1])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("train.epochs", "path=value"),
        ("=3", "path=value"),
        ("train.epochs=", "the value is missing"),
        ("train.epochs= ", "the value is missing"),
        ("x=[1", "1:3: .*expected"),
        ("x=a: 1", "write lists as"),
        ("x=!!python/name:os.system", "tag"),
        ("x={a: 1, a: 2}", "twice"),
        ("x=a\n---\nb", "second document"),
    ],
)
def test_a_change_that_cannot_be_read_says_so(text, reason):
    with pytest.raises(SpecError, match=f"^--set .*{reason}"):
        parse_change(text)


def test_an_edit_leaves_the_experiment_as_it_was():
    before = example(callbacks=[Use(use="E", args={"a": [1]})])
    tree = before.tree()

    after = edit(before, {"train.epochs": 3, "train.callbacks.0.args.a.0": 2})

    assert before.tree() == tree
    assert after.train.epochs == 3 and after.train.callbacks[0].args == {"a": [2]}


@pytest.mark.parametrize(
    ("changes", "read", "value"),
    [
        ({"seed": 7}, lambda e: e.seed, 7),
        ({"train.optimizer.lr": 1}, lambda e: e.train.optimizer, AdamW(name="adamw", lr=1.0)),
        (
            {"data.split.val": [1], "data.split.method": "given", "data.split.train": [0]},
            lambda e: e.data.split.val,
            [1],
        ),
        ({"data.test.path": "t.csv"}, lambda e: e.data.test.path, "t.csv"),
        ({"train.schedule": {"name": "cosine"}}, lambda e: e.train.schedule, Cosine(name="cosine")),
        ({"train.routines": [{"use": "R"}]}, lambda e: e.train.routines, [Use(use="R")]),
        ({"train.callbacks.0.args.patience": 3}, lambda e: e.train.callbacks[0].args, {"patience": 3}),
        (
            {"train.callbacks.0.args.new.deep": 3},
            lambda e: e.train.callbacks[0].args,
            {"patience": 9, "new": {"deep": 3}},
        ),
        ({"train.callbacks.0": {"use": "F"}}, lambda e: e.train.callbacks, [Use(use="F")]),
        ({"train.clip_norm": None}, lambda e: e.train.clip_norm, None),
        ({}, lambda e: e.train.epochs, 10),
    ],
)
def test_values_at_every_kind_of_place_can_be_changed(changes, read, value):
    before = example(clip_norm=1.0, callbacks=[Use(use="E", args={"patience": 9})])

    assert read(edit(before, changes)) == value


def test_another_name_drops_the_fields_that_the_new_one_lacks():
    before = example(optimizer=AdamW(name="adamw", lr=0.5, beta1=0.8, weight_decay=0.1))

    assert edit(before, {"train.optimizer.name": "sgd"}).train.optimizer == SGD(
        name="sgd", lr=0.5, weight_decay=0.1
    )


def test_fields_that_were_not_given_take_the_defaults_of_the_new_name():
    assert edit(example(), {"train.optimizer.name": "sgd"}).train.optimizer == SGD(name="sgd")


def test_the_order_of_changes_does_not_matter():
    changes = {
        "train.schedule.initial_fraction": 0.5,
        "train.schedule.name": "one_cycle",
        "train.schedule": {"name": "cosine", "final_fraction": 0.25},
        "train.epochs": 4,
    }

    found = {edit(example(), dict(order)).digest() for order in itertools.permutations(changes.items())}
    expected = example(
        epochs=4, schedule=OneCycle(name="one_cycle", initial_fraction=0.5, final_fraction=0.25)
    )
    assert found == {expected.digest()}


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        ("train.epoch", 3, "--set train.epoch: unknown field 'epoch', nearest: 'epochs'"),
        ("tran.epochs", 3, "--set tran.epochs: unknown field 'tran', nearest: 'train'"),
        ("train.optimizer.momentum", 0.9, "--set train.optimizer.momentum: unknown field 'momentum'"),
        ("train.epochs", 0, "--set train.epochs: 0 is not a whole number >= 1"),
        ("train.epochs.x", 1, "--set train.epochs.x: no field 'x': 5 is a single value"),
        ("train.routines.0.use", "R", "--set train.routines.0.use: no field '0': 'auto' is a single value"),
        ("train.callbacks.1.use", "R", "--set train.callbacks.1.use: no item '1'; the list has 1 items"),
        ("train.callbacks.-1.use", "R", "--set train.callbacks.-1.use: no item '-1'"),
        ("train.callbacks.first", "R", "--set train.callbacks.first: no item 'first'"),
        ("train.schedule", {"name": "cosin"}, "--set train.schedule: train.schedule.name: 'cosin' is not"),
        ("train.schedule", {}, "--set train.schedule: train.schedule.name: required field is missing"),
        ("train.optimizer.name", "adamx", "--set train.optimizer.name: 'adamx' is not"),
        ("train.optimizer.name", None, "--set train.optimizer.name: null is not"),
        ("model.kernel_size", 3, "--set model.kernel_size: it has no meaning for architecture 'mlp'"),
        ("", 3, "--set : unknown field ''"),
        ("train..epochs", 3, "--set train..epochs: unknown field ''"),
    ],
)
def test_a_change_that_leads_nowhere_or_is_wrong_is_named(path, value, line):
    with pytest.raises(SpecError) as caught:
        edit(example(epochs=5, callbacks=[Use(use="E")]), {path: value})

    (found,) = str(caught.value).splitlines()
    assert found.startswith(line)


def test_all_wrong_changes_are_named_at_once():
    with pytest.raises(SpecError) as caught:
        edit(example(), {"train.epoch": 3, "model.kernel_size": 4.5, "seed.x": 1})

    assert sorted(line.split(":")[0] for line in str(caught.value).splitlines()) == [
        "--set model.kernel_size",
        "--set seed.x",
        "--set train.epoch",
    ]
