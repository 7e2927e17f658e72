"""Faults: all at once, at the path the user wrote, with the cure."""

import copy
import time

import pytest

from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import find_faults, spell
from trainwright.spec.train import TrainSpec

GOOD = {
    "name": "a",
    "data": {
        "path": "a.csv",
        "split": {"method": "random"},
        "operators": [{"use": "X", "args": {"deep": [1]}}],
    },
    "model": {"architecture": "mlp"},
    "train": {
        "optimizer": {"name": "sgd", "lr": 0.1},
        "schedule": {"name": "cosine"},
        "routines": [{"use": "Y"}],
    },
}


def spoilt(path, value):
    tree = copy.deepcopy(GOOD)
    *keys, last = [int(key) if key.isdigit() else key for key in path.split(".")]
    node = tree
    for key in keys:
        node = node[key] if isinstance(node, list) else node.setdefault(key, {})
    if value is ...:
        del node[last]
    else:
        node[last] = value
    return tree


def lines(tree, root=Experiment):
    return [str(fault) for fault in find_faults(tree, root)]


def test_a_good_spec_has_no_faults():
    assert find_faults(GOOD, Experiment) == []


BACKENDS = (
    "'torch', 'equinox', 'lightning', 'keras', 'keras-jax', 'keras-torch', 'keras-tensorflow' or 'auto'"
)
ONE = [
    # unknown keys
    ("train.epoch", 3, "train.epoch: unknown key 'epoch', nearest: 'epochs'"),
    ("epochs", 3, "epochs: unknown key 'epochs'; it belongs at train.epochs"),
    ("train.kernel_size", 3, "train.kernel_size: unknown key 'kernel_size'; it belongs at model.kernel_size"),
    ("train.optimizer.momentun", 0.9, "train.optimizer.momentun: unknown key 'momentun', nearest:"),
    ("data.operators.0.arg", {}, "data.operators.0.arg: unknown key 'arg', nearest: 'args'"),
    ("data.split.zzz", 1, "data.split.zzz: unknown key 'zzz', known: method, train, val, test, seed"),
    ("train.optimizer.sgd", {}, "train.optimizer.sgd: unknown key 'sgd', known: name, lr,"),
    # missing fields
    ("name", ..., "name: required field is missing; it takes text"),
    ("model.architecture", ..., "model.architecture: required field is missing; it takes 'mlp', 'cnn',"),
    ("train.routines.0.use", ..., "train.routines.0.use: required field is missing"),
    ("train.optimizer.name", ..., "train.optimizer.name: required field is missing; it takes 'sgd',"),
    # wrong kinds
    ("train.optimizer.lr", "1e-3", "train.optimizer.lr: '1e-3' is text; write the number without quotes"),
    ("train.epochs", "7", "train.epochs: '7' is text; write the number without quotes: 7"),
    ("train.threads", "7", "train.threads: '7' is text; write the number without quotes: 7"),
    ("train.epochs", "many", "train.epochs: 'many' is not a whole number >= 1"),
    ("train.epochs", 3.0, "train.epochs: 3.0 is not a whole number >= 1; write it without a point: 3"),
    ("train.epochs", 0, "train.epochs: 0 is not a whole number >= 1"),
    ("train.epochs", True, "train.epochs: true is not a whole number >= 1"),
    ("train.epochs", None, "train.epochs: nothing is given (null); it takes a whole number >= 1"),
    ("train.clip_norm", float("inf"), "train.clip_norm: inf is not finite; it takes a number > 0 or null"),
    ("train.restore_best", "yes", "train.restore_best: 'yes' is text; write true or false, without quotes"),
    ("train", None, "train: nothing is given (null); it takes a mapping with backend,"),
    ("data.path", 3, "data.path: 3 is not text or null"),
    ("model.hidden_dims", 128, "model.hidden_dims: 128 is not a list (each a whole number >= 1)"),
    ("model.hidden_dims", (1, 2), "model.hidden_dims: [1, 2] is a tuple; write a list"),
    ("data.operators", {"use": "X"}, 'data.operators: {"use": "X"} is not a list (each a mapping'),
    ("data.operators.0", "Scale", "data.operators.0: 'Scale' is text; write a mapping such as {use: Scale}"),
    # unions, without pydantic's noise
    (
        "train.backend",
        "jax",
        f"train.backend: 'jax' is not {BACKENDS}",
    ),
    (
        "train.backend",
        "tosch",
        f"train.backend: 'tosch' is not {BACKENDS}; nearest:",
    ),
    ("model.output_dim", 0, "model.output_dim: 0 is not a whole number >= 1 or 'auto'"),
    ("model.input_shape", [3, "x"], "model.input_shape.1: 'x' is not a whole number >= 1"),
    ("model.input_shape", "x", "model.input_shape: 'x' is not a list (each a whole number >= 1) or 'auto'"),
    ("data.split.val", 1.5, "data.split.val: 1.5 is not a number >= 0 and < 1, a list (each a whole"),
    ("data.split.val", [1, 2.5], "data.split.val.1: 2.5 is not a whole number"),
    ("data.features", ["a", 1], "data.features.1: 1 is not text"),
    ("train.routines", [{"use": 3}], "train.routines.0.use: 3 is not text"),
    ("train.optimizer", "adamw", "train.optimizer: 'adamw' is text; write {name: adamw}"),
    ("train.optimizer", 3, "train.optimizer: 3 is not a mapping with name: 'sgd', 'adam', 'adamw',"),
    (
        "train.optimizer.name",
        "adamx",
        "train.optimizer.name: 'adamx' is not 'sgd', 'adam', 'adamw', 'rmsprop', 'adagrad', 'lbfgs' or 'own'; nearest",
    ),
    ("train.schedule.name", 3, "train.schedule.name: 3 is not 'constant', 'cosine',"),
    # names
    ("name", "a@b", "name: name 'a@b': `@` is not allowed"),
    ("name", "", "name: name '': it has 0 bytes"),
]


@pytest.mark.parametrize(("path", "value", "line"), ONE, ids=[f"{path}={value!r}" for path, value, _ in ONE])
def test_one_wrong_thing_gives_one_line_with_the_cure(path, value, line):
    (found,) = lines(spoilt(path, value))

    assert found.startswith(line)


RULES = [
    ({"data": {}}, "data: it names no records; give path (a file) or dataset"),
    ({"data.dataset": "d"}, "data.dataset: path is given too"),
    ({"data": {"dataset": "a:b"}}, "data.dataset: name 'a:b'"),
    ({"data.digest": "sha256:12"}, "data.digest: it is not a SHA-256 digest"),
    ({"data.digest": "A" * 64}, "data.digest: it is not a SHA-256 digest"),
    ({"data.test": {}}, "data.test: it names no records of its own"),
    ({"data.test": {"path": "t.csv"}, "data.split.test": 0.2}, "data.split.test: data.test brings its own"),
    (
        {"data.split": {"val": 0.6, "test": 0.4}},
        "data.split.val: val and test together take 1 of the records",
    ),
    (
        {"data.split": {"method": "stratified", "val": 0.5, "test": 0.6}},
        "data.split.val: val and test together",
    ),
    ({"data.split": {"val": [1, 2]}}, "data.split.val: it names records, but method 'random' draws them"),
    ({"data.split": {"test": "t.npy"}}, "data.split.test: it names records, but method 'random' draws them"),
    (
        {"data.split": {"method": "stratified", "train": [1]}},
        "data.split.train: it names records, but method",
    ),
    ({"data.split": {"method": "given", "val": [1]}}, "data.split.train: it is missing; with method 'given'"),
    ({"data.split": {"method": "given", "train": [1]}}, "data.split.val: 0.1 names no records; with method"),
    (
        {"data.split": {"method": "given", "train": [0], "val": [1], "test": 0.2}},
        "data.split.test: 0.2 names no",
    ),
    ({"data.split": {"method": "given", "train": [], "val": [1]}}, "data.split.train: [] names no records"),
    (
        {"data.split": {"method": "given", "train": [0, 1], "val": [2, 1]}},
        "data.split.val.1: record 1 is in train",
    ),
    (
        {"data.split": {"method": "given", "train": [0, 0], "val": "v.npy"}},
        "data.split.train.1: record 0 is in",
    ),
    (
        {"data.split": {"method": "given", "train": [0], "val": [-1]}},
        "data.split.val.0: -1 is no record number",
    ),
    ({"model.kernel_size": 3}, "model.kernel_size: it has no meaning for architecture 'mlp'"),
    (
        {"model": {"architecture": "cnn", "kernel_size": 4}},
        "model.kernel_size: 4 is even; write an odd width",
    ),
    ({"model.input_dim": 4, "model.input_shape": [5]}, "model.input_dim: 4 contradicts input_shape [5]"),
    ({"model.input_shape": []}, "model.input_shape: it has no axes"),
    ({"train.optimizer.nesterov": True}, "train.optimizer.nesterov: it needs momentum"),
    (
        {"train.schedule": {"name": "plateau", "metric": "train/loss"}},
        "train.schedule.metric: 'train/loss' is not a",
    ),
    (
        {"train.schedule": {"name": "cosine", "warmup_epochs": 11}},
        "train.schedule.warmup_epochs: the warm-up of 11",
    ),
    (
        {"train.schedule": {"name": "linear", "warmup_epochs": 1, "warmup_steps": 3}},
        "train.schedule.warmup_steps: the warm-up is given twice",
    ),
    (
        {"train.schedule": {"name": "multi_step", "milestones": []}},
        "train.schedule.milestones: there are none",
    ),
    (
        {"train.schedule": {"name": "multi_step", "milestones": [3, 3]}},
        "train.schedule.milestones: [3, 3] do not rise",
    ),
    (
        {"train.groups": [{"match": "*.bias", "frozen": True, "lr_scale": 0.5}]},
        "train.groups.0.lr_scale: a frozen parameter is not updated",
    ),
    (
        {"train.groups": [{"match": "*", "frozen": True, "weight_decay": 0.5}]},
        "train.groups.0.weight_decay: a frozen parameter is not updated",
    ),
    (
        {"train.optimizer": {"name": "lbfgs"}, "train.clip_value": 1.0},
        "train.clip_value: lbfgs needs the gradient",
    ),
    (
        {"train.optimizer": {"name": "lbfgs"}, "train.precision": "bfloat16"},
        "train.precision: lbfgs compares losses",
    ),
    (
        {"train.optimizer": {"name": "lbfgs"}, "train.groups": [{"match": "*", "lr_scale": 0.5}]},
        "train.groups.0.lr_scale: lbfgs moves all parameters",
    ),
    (
        {"train.optimizer": {"name": "lbfgs"}, "train.groups": [{"match": "*", "weight_decay": 0.5}]},
        "train.groups.0.weight_decay: lbfgs moves all parameters",
    ),
    ({"train.best": {"metric": "test/loss"}}, "train.best.metric: a version chosen by test records"),
    (
        {"model.task_type": "classification", "data.target_operators": [{"use": "S"}]},
        "data.target_operators: it does not go with task_type 'classification'",
    ),
    (
        {"model.task_type": "regression", "train.loss": "cross_entropy"},
        "train.loss: 'cross_entropy' does not go",
    ),
    (
        {"model.task_type": "classification", "train.loss": "mse"},
        "train.loss: 'mse' does not go with task_type",
    ),
]


def changed(changes):
    tree = copy.deepcopy(GOOD)
    for path, value in changes.items():
        *keys, last = path.split(".")
        node = tree
        for key in keys:
            node = node[key]
        node[last] = value
    return tree


@pytest.mark.parametrize(("changes", "line"), RULES, ids=[line.split(":")[0] for _, line in RULES])
def test_a_broken_rule_across_fields_is_told_at_its_field(changes, line):
    (found,) = lines(changed(changes))

    assert found.startswith(line)


@pytest.mark.parametrize(("changes", "line"), RULES, ids=[line.split(":")[0] for _, line in RULES])
def test_a_broken_rule_is_told_together_with_other_faults(changes, line):
    tree = changed(changes)
    tree["train"]["epoch"] = 3
    tree["train"]["clip_norm"] = "x"
    del tree["name"]

    found = lines(tree)
    assert len(found) == 4 and any(one.startswith(line) for one in found)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.split": {"method": "given", "train": [0], "val": [1]}},
        {"data.split": {"method": "given", "train": "t.npy", "val": "v.npy", "test": "e.npy"}},
        {"data.split": {"method": "stratified", "val": 0.5, "test": 0.49}},
        {"data.split": {"val": 0, "test": 0}},
        {"data.test": {"features": "x_test"}},
        {"data": {"dataset": "mnist"}},
        {"data.digest": "0123456789abcdef" * 4},
        {"model.input_dim": 784, "model.input_shape": [28, 28]},
        {"model": {"architecture": "cnn", "kernel_size": 5}},
        {"model.hidden_dims": []},
        {"model.normalization": "batch", "train.accumulate": 4},
        {"train.optimizer": {"name": "sgd", "nesterov": True, "momentum": 0.9}},
        {"train.schedule": {"name": "plateau", "metric": "val/accuracy", "mode": "max"}},
        {"model.task_type": "regression", "data.target_operators": [{"use": "Scale"}], "train.loss": "mse"},
        {"data.target_operators": [{"use": "Scale"}]},  # `auto` may still become regression
    ],
)
def test_what_no_rule_forbids_is_taken(changes):
    assert lines(changed(changes)) == []


def test_a_rule_is_not_asked_about_a_field_that_is_wrong():
    tree = changed({"data": {"path": 3}, "model.kernel_size": "x", "model.task_type": 3, "train.loss": "mse"})

    assert [line.split(":")[0] for line in lines(tree)] == [
        "data.path",
        "model.task_type",
        "model.kernel_size",
    ]


@pytest.mark.parametrize("tree", [None, [], 3, "x"])
def test_what_is_no_mapping_at_all_is_one_fault(tree):
    assert len(lines(tree)) == 1


def test_faults_point_at_the_key_the_value_or_the_mapping_that_lacks_one():
    found = find_faults({"epoch": 1, "epochs": 0, "routines": [{}]}, TrainSpec)

    assert {fault.path: fault.at for fault in found} == {
        ("epoch",): "key",
        ("epochs",): "value",
        ("routines", 0, "use"): "parent",
    }


def test_a_flood_of_faults_is_counted_and_not_shown():
    tree = {**GOOD, **{f"key{n}": n for n in range(20_000)}}

    begin = time.process_time()
    found = lines(tree)
    assert time.process_time() - begin < 10
    assert len(found) == 101 and found[-1] == "19900 further faults are not shown"


def test_a_key_of_a_million_letters_is_told_short():
    (found,) = lines({**GOOD, "k" * 10**6: 1})

    assert len(found) < 300


@pytest.mark.parametrize(
    ("path", "text"),
    [(("a", 0, "b-c"), "a.0.b-c"), (("a b",), "'a b'"), (("a\n\x1b[31m",), r"'a\n\x1b[31m'"), ((), "")],
)
def test_a_path_is_written_on_one_line(path, text):
    assert spell(path) == text


def test_lbfgs_takes_no_clipped_gradient():
    (found,) = lines(changed({"train.optimizer": {"name": "lbfgs"}, "train.clip_norm": 1.0}))
    assert found.startswith("train.clip_norm: lbfgs needs the gradient as it is; leave it out")
