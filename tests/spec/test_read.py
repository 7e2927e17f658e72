"""Experiments from files."""

import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.read import check_tree, read_experiment, read_part
from trainwright.spec.train import SGD, TrainSpec

YAML = """\
# A comment.
name: line
seed: 7
data:
  path: line.csv
  operators:
    - {use: Standardize}
model: {architecture: mlp, hidden_dims: [32]}
train:
  optimizer: {name: sgd, lr: 1}
  epochs: 50
  callbacks:
    - {use: EarlyStopping, args: {metric: val/mse, patience: 3}}
"""

SHUFFLED = """\
train: {callbacks: [{args: {patience: 3, metric: "val/mse"}, use: EarlyStopping}], epochs: 50,
        optimizer: {lr: 1.0, name: sgd}}
model:
  hidden_dims:
  - 32
  architecture: 'mlp'
data: {operators: [use: Standardize], path: line.csv}
seed: 0x7
name: line
"""

PYTHON = """\
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.part import Use
from trainwright.spec.train import SGD, TrainSpec

def experiment() -> Experiment:
    return Experiment(
        name="line",
        seed=7,
        data=DataSpec(path="line.csv", operators=[Use(use="Standardize")]),
        model=ModelSpec(architecture="mlp", hidden_dims=[32]),
        train=TrainSpec(
            optimizer=SGD(name="sgd", lr=1),
            epochs=50,
            callbacks=[Use(use="EarlyStopping", args={"metric": "val/mse", "patience": 3})],
        ),
    )
"""

OBJECT = Experiment(
    name="line",
    seed=7,
    data=DataSpec(path="line.csv", operators=[Use(use="Standardize")]),
    model=ModelSpec(architecture="mlp", hidden_dims=[32]),
    train=TrainSpec(
        optimizer=SGD(name="sgd", lr=1.0),
        epochs=50,
        callbacks=[Use(use="EarlyStopping", args={"metric": "val/mse", "patience": 3})],
    ),
)


def write(name, text):
    path = Path(name)
    path.write_text(text)
    return path


def refused(path, **options):
    with pytest.raises(SpecError) as caught:
        read_experiment(path, **options)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.yaml", YAML), ("a.yml", SHUFFLED), ("a.py", PYTHON), ("b.yaml", YAML.replace("\n", "\r\n"))],
    ids=["yaml", "shuffled", "python", "windows"],
)
def test_every_form_of_one_spec_has_one_digest(name, text):
    found = read_experiment(write(name, text)).experiment

    assert found == OBJECT
    assert found.digest() == OBJECT.digest()


def test_another_value_has_another_digest():
    assert read_experiment(write("a.yaml", YAML), changes=["seed=8"]).experiment.digest() != OBJECT.digest()


def test_a_document_knows_where_relative_paths_start(tmp_path):
    (tmp_path / "sub").mkdir()
    write("sub/a.yaml", YAML)

    found = read_experiment("sub/a.yaml")
    assert found.folder == tmp_path / "sub" and found.file == tmp_path / "sub" / "a.yaml"
    assert found.experiment.data.path == "line.csv"


@pytest.mark.parametrize(("name", "text"), [("a.yaml", YAML), ("a.py", PYTHON)])
def test_changes_are_made_before_the_spec_is_judged(name, text):
    found = read_experiment(
        write(name, text), changes=["train.epochs=3", "train.optimizer.name=adamw"]
    ).experiment

    assert found.train.epochs == 3
    assert found.train.optimizer.name == "adamw" and found.train.optimizer.lr == 1.0


WRONG = """\
name: line
sed: 7
data:
  path: line.csv
  split: {val: 0.6, test: 0.6}
model:
  hidden_dims: [32]
  kernel_size: 4
train:
  optimizer: {name: sgd, lr: "1e-3", nesterov: true}
  epoch: 50
  epoch: 51
  schedule:
    name: cosin
  callbacks:
    - {args: {}}
    - !x {use: X}
1: x
"""


def test_all_faults_are_told_at_once_with_line_and_column():
    assert refused(write("a.yaml", WRONG)) == [
        "a.yaml:2:1: sed: unknown key 'sed', nearest: 'seed'",
        "a.yaml:5:16: data.split.val: val and test together take 1.2 of the records; leave some for train",
        "a.yaml:7:3: model.architecture: required field is missing; it takes 'mlp', 'cnn', 'transformer', "
        "'unet', 'gnn' or 'own'",
        "a.yaml:8:16: model.kernel_size: 4 is even; write an odd width, such as 3 or 5",
        "a.yaml:10:30: train.optimizer.lr: '1e-3' is text; write the number without quotes: 1e-3",
        "a.yaml:10:48: train.optimizer.nesterov: it needs momentum; add momentum: 0.9, or leave nesterov out",
        "a.yaml:11:3: train.epoch: unknown key 'epoch', nearest: 'epochs'",
        "a.yaml:12:3: train.epoch: the key 'epoch' is given twice, first in line 11; keep one",
        "a.yaml:14:11: train.schedule.name: 'cosin' is not 'constant', 'cosine', 'one_cycle', 'step', "
        "'multi_step', 'exponential', 'linear', 'polynomial' or 'plateau'; "
        "nearest: 'cosine'",
        "a.yaml:16:7: train.callbacks.0.use: required field is missing; it takes text",
        "a.yaml:17:7: train.callbacks.1: the tag '!x' is not allowed; write the plain value",
        "a.yaml:18:1: 1: the key 1 is not text; write it in quotes",
    ]


def test_a_fault_of_a_field_that_is_not_written_is_told_where_it_belongs():
    text = "name: a\ndata:\n  path: a.csv\n  split: {method: column}\nmodel: {architecture: mlp}\n"
    assert refused(write("a.yaml", text)) == [
        "a.yaml:4:10: data.split.by: method 'column' goes by a column or array; name it"
    ]


def test_one_part_is_read_or_all_its_faults_are_told():
    assert read_part({"architecture": "mlp"}, ModelSpec, where="model").architecture == "mlp"
    with pytest.raises(SpecError, match=r"^model\.architecture: required.*\nmodel\.dropuot: unknown key"):
        read_part({"dropuot": 0.1}, ModelSpec, where="model")


def test_a_spec_of_1_MiB_is_read_and_no_longer_one():
    text = YAML + "#" * (2**20 - len(YAML.encode()) - 1) + "\n"
    assert read_experiment(write("a.yaml", text)).experiment.name
    assert refused(write("a.yaml", text + "\n")) == [
        "a.yaml: 1048577 bytes, 1048576 are allowed; keep data in a data file"
    ]


def test_faults_of_changes_are_told_with_those_of_the_file():
    path = write("a.yaml", YAML.replace("epochs", "epoch"))

    assert refused(path, changes=["train.batch=3", "nonsense", "train.optimizer.lr=0"]) == [
        "a.yaml:11:3: train.epoch: unknown key 'epoch', nearest: 'epochs'",
        "--set 'nonsense': write it as path=value, such as train.epochs=3",
        "--set train.optimizer.lr: 0 is not a number > 0",
        "--set train.batch: unknown field 'batch', nearest: 'batch_size'",
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.yaml", "", "a.yaml:1:1: it is empty"),
        ("a.yaml", "- 1", "a.yaml:1:1: an experiment is a mapping"),
        ("a.yaml", "just text", "a.yaml:1:1: an experiment is a mapping"),
        ("a.yaml", "name: a\ntrain:\n\tepochs: 3", "a.yaml:3:1: a tab in the indentation"),
        ("a.yaml", "{}", "a.yaml:1:1: name: required field is missing"),
        ("a.json", "{}", "a.json: an experiment is a .yaml, .yml or .py file"),
        ("a.py", "x = 1", "a.py: it has no `def experiment() -> Experiment`"),
        ("a.py", "def experiment(): return 3", "a.py: experiment() gave int, not an Experiment"),
        ("a.py", "def experiment(:\n", "a.py:1:16: invalid syntax"),
        ("a.py", "\ndef experiment():\n    return 1 / 0", "a.py:3: ZeroDivisionError: division by zero"),
        ("a.py", "\nimport no_such_module", "a.py:2: ModuleNotFoundError"),
    ],
)
def test_a_file_that_is_no_experiment_says_what_it_is(name, text, line):
    assert refused(write(name, text))[0].startswith(line)


def test_a_missing_file_is_named():
    assert refused("nowhere.yaml") == ["nowhere.yaml: there is no such file"]


def test_a_folder_is_no_file():
    Path("a.yaml").mkdir()

    assert refused("a.yaml") == ["a.yaml: there is no such file"]


def test_faults_in_python_are_told_with_the_line_of_the_call():
    path = write("a.py", PYTHON.replace('"line.csv"', '"line.csv", feature="x", weight=3'))

    assert refused(path) == [
        "a.py:11: DataSpec: weight: 3 is not text or null",
        "a.py:11: DataSpec: feature: unknown key 'feature', nearest: 'features'",
    ]


def test_broken_rules_in_python_are_told_with_their_field():
    path = write("a.py", PYTHON.replace('"sgd", lr=1', '"sgd", nesterov=True'))

    assert refused(path) == [
        "a.py:14: SGD: nesterov: it needs momentum; add momentum: 0.9, or leave nesterov out"
    ]


def test_a_python_file_may_import_its_neighbours_and_leaves_nothing_behind(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "names_of_mine.py").write_text("NAME = 'from a neighbour'")
    text = PYTHON.replace("def exp", "from dataclasses import dataclass\nimport names_of_mine\ndef exp")
    (folder / "a.py").write_text(text.replace('"line",', "names_of_mine.NAME,"))
    (tmp_path / "names_of_mine.py").write_text("NAME = 'from somebody else'")
    monkeypatch.syspath_prepend(tmp_path)
    before = list(sys.path)

    assert read_experiment(folder / "a.py").experiment.name == "from a neighbour"
    assert sys.path == before and "trainwright_experiment_file" not in sys.modules
    assert not any(path.name.startswith("a.") for path in folder.glob("__pycache__/*"))


def test_a_python_file_that_changed_is_read_anew():
    first = read_experiment(write("a.py", PYTHON)).experiment
    second = read_experiment(write("a.py", PYTHON.replace("seed=7", "seed=8"))).experiment

    assert (first.seed, second.seed) == (7, 8)


def test_plain_values_become_an_experiment_or_a_list_of_faults():
    assert check_tree(OBJECT.tree()) == OBJECT
    with pytest.raises(SpecError, match=r"run 7: train.epochs: 0 is not.*\nrun 7: zzz: unknown key"):
        check_tree({**OBJECT.tree(), "train": {"epochs": 0}, "zzz": 1}, what="run 7")


def test_reading_a_spec_imports_no_framework():
    write("a.yaml", YAML)
    code = "import sys; from trainwright.spec.read import *; read_experiment('a.yaml'); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert not {"torch", "jax", "keras", "pandas", "pyarrow", "scipy"} & set(done.stdout.split())
