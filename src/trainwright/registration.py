"""Datasets under a name: their recipe and content are pinned, and a changed file is refused."""

from pathlib import Path
from typing import Any

from trainwright.base.digest import digest_json
from trainwright.base.errors import SpecError
from trainwright.base.names import check_name
from trainwright.data.dataset import open_dataset
from trainwright.data.split import is_index_file
from trainwright.spec.data import DataSpec, TestRecords
from trainwright.spec.experiment import Experiment
from trainwright.spec.read import read_experiment
from trainwright.store.datasets import find, register
from trainwright.store.records import DatasetRow
from trainwright.store.store import Store

PREPROCESSING = ("operators", "target_operators", "in_memory")  # of a run, not of a dataset


def register_dataset(home: Path, name: str, file: Path) -> DatasetRow:
    """Registers the data of an experiment file under a name.

    Args:
        home: The store; made if there is none.
        name: Of the dataset.
        file: An experiment; its `data` without the operators is the recipe.

    Raises:
        SpecError: If the file is at fault.
        DataError: If the data is.
        StoreError: If the name stands for other data.
    """
    document = read_experiment(file)
    task_type = document.experiment.model.task_type
    return register_data(home, name, document.experiment.data, folder=document.folder, task_type=task_type)


def register_data(home: Path, name: str, spec: DataSpec, *, folder: Path, task_type: str) -> DatasetRow:
    """Registers the data of a spec under a name; data that have the name already are left as they are.

    Args:
        home: The store; made if there is none.
        name: Of the dataset.
        spec: Its recipe, but for the operators.
        folder: Where relative paths begin.
        task_type: As in the model's spec.

    Raises:
        DataError: If the data is at fault.
        StoreError: If the name stands for other data.
    """
    check_name(name, what="dataset")
    spec = _located(spec, folder)
    data = open_dataset(spec, folder=folder, task_type=task_type)
    recipe = spec.tree()
    for field in (*PREPROCESSING, "digest", "dataset"):
        del recipe[field]
    if recipe["graph"] is None:
        del recipe["graph"]
    # Unlike that of a run, this recipe holds where the files lie, so it has a digest of its own.
    return register(
        Store.open(home),
        name=name,
        recipe=recipe,
        recipe_digest=digest_json(recipe),
        content_digest=data.content_digest,
        splits=data.splits,
    )


def with_registered_data(experiment: Experiment, home: Path) -> Experiment:
    """Puts the recipe of a registered dataset in the place of its name.

    Args:
        experiment: Is returned as it is unless it names a dataset.
        home: The store.

    Raises:
        SpecError: If the spec says more about the data than its name and its preprocessing.
        StoreError: If there is no such dataset.
    """
    spec = experiment.data
    if spec.dataset is None:
        return experiment
    said = {name for name in spec.model_fields_set if name not in (*PREPROCESSING, "dataset", "digest")}
    default = DataSpec(dataset=spec.dataset)
    said = {name for name in said if getattr(spec, name) != getattr(default, name)}
    if said:
        raise SpecError(
            f"data.{min(said)}: it is part of the registered dataset {spec.dataset!r}; leave it out, "
            "or name the file by data.path"
        )
    row = find(Store.open(home, create=False), spec.dataset)
    recipe: dict[str, Any] = dict(row.recipe)
    own = spec.tree()
    merged = recipe | {field: own[field] for field in PREPROCESSING}
    merged |= {"digest": spec.digest or row.content_digest, "dataset": None}
    return experiment.model_copy(update={"data": DataSpec.model_validate(merged)})


def _located(spec: DataSpec, folder: Path) -> DataSpec:
    """Makes paths absolute, so that the dataset is found from any folder."""

    def absolute(path: Any) -> Any:
        return str((folder / path).resolve()) if isinstance(path, str) else path

    def located(records: Any) -> Any:
        # Another word than a file's is the name of an array of the data.
        return absolute(records) if is_index_file(records) else records

    test = spec.test
    if isinstance(test, TestRecords):
        test = test.model_copy(update={"path": absolute(test.path)})
    split = spec.split.model_copy(
        update={name: located(getattr(spec.split, name)) for name in ("train", "val", "test")}
    )
    return spec.model_copy(update={"path": absolute(spec.path), "test": test, "split": split})
