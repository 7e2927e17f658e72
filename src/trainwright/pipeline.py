"""The four-verb face of a training: load data, train, evaluate, register."""

import hashlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.base.errors import DataError, SpecError
from trainwright.base.home import home_of
from trainwright.base.tree import Array
from trainwright.data.dataset import Dataset, Records
from trainwright.data.loaders import Loader, gather, plain_array
from trainwright.data.outputs import write_arrays
from trainwright.data.source import SUFFIXES
from trainwright.evaluation.judgement import Interval
from trainwright.evaluation.version import judge
from trainwright.experiment import Trained, run_experiment
from trainwright.model_op import ModelOp
from trainwright.plan import Plan, make_plan
from trainwright.registering import register_training
from trainwright.registration import register_data
from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.read import read_part
from trainwright.spec.train import TrainSpec
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.callback import Callback


class TrainingPipeline:
    """Trains a model of a spec on data that are loaded into it; everything is recorded as by `trainwright run`.

    Args:
        model_spec: What is trained; a mapping is read as the `model` of an experiment.
        training_config: How; a mapping is read as the `train` of an experiment.
        name: Of the model; `DL-{architecture}-{dataset}` unless given.
        seed: Of initial values, order and dropout.
        home: The store; `$TRAINWRIGHT_HOME` or `.trainwright` unless given.

    Attributes:
        spec: The model's spec.
        config: The training's spec.

    Example:
        >>> pipeline = TrainingPipeline({"architecture": "mlp", "hidden_dims": [8]}, {"backend": "torch", "epochs": 2})
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> sizes = pipeline.load_data({"x": x, "y": (x[:, 0] > 0).astype(int)}, split={"val": 0.2, "test": 0.2})
        >>> sizes
        {'train': 64, 'val': 16, 'test': 20}
        >>> trained = pipeline.train()
        >>> sorted(pipeline.evaluate())[:2]
        ['test/accuracy', 'test/average_precision']
    """

    def __init__(
        self,
        model_spec: ModelSpec | Mapping[str, Any],
        training_config: TrainSpec | Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        seed: int = 0,
        home: Path | str | None = None,
    ) -> None:
        self.spec = (
            model_spec
            if isinstance(model_spec, ModelSpec)
            else read_part(model_spec, ModelSpec, where="model")
        )
        given = training_config if training_config is not None else TrainSpec()
        self.config = given if isinstance(given, TrainSpec) else read_part(given, TrainSpec, where="train")
        self.name = name
        self.seed = seed
        self.home = home_of(home)
        self._data: DataSpec | None = None
        self._called = ""
        self._folder = Path.cwd()
        self._plan: Plan | None = None
        self._trained: Trained | None = None

    def load_data(
        self,
        source: Any,
        *,
        target: str | Sequence[str] = "auto",
        split: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, int]:
        """Opens and checks the data; nothing is trained yet.

        Args:
            source: The name of a registered dataset; the path of a file; arrays by role (`x`, `y`, and perhaps
                `weight` and `id`); a data frame, a mapping from column names to values, or a list of rows. What is in
                memory is kept in the store, so that the run can be repeated.
            target: The column to predict, of a table.
            split: As `data.split` of an experiment; a tenth for validation and a tenth for the test unless given.
            options: Further fields of `data`, such as `operators`.

        Returns:
            How many records each split has.

        Raises:
            SpecError: If an option is unknown, or contradicts a registered dataset.
            DataError: If the data cannot be trained on.
        """
        place, self._called = self._place(source)
        fields = {**place, **options}
        if "dataset" not in place:
            fields |= {"split": dict(split or {"val": 0.1, "test": 0.1})}
            if target != "auto":
                fields["target"] = target if isinstance(target, str) else list(target)
        self._data = read_part(fields, DataSpec, where="data")
        self._plan, self._trained = None, None
        if "dataset" in place:
            self._check_registered(target, split)
        return {name: len(part) for name, part in self.dataset.splits.items()}

    def train(
        self,
        train_loader: Loader | None = None,
        val_loader: Loader | None = None,
        *,
        listeners: Sequence[Callback] = (),
    ) -> Trained:
        """Trains on the loaded data, or on batches of the caller's own.

        Args:
            train_loader: Batches `(x, y)` or `(x, y, weight)`, such as a `torch.utils.data.DataLoader`. One pass is
                read and recorded as a dataset; the training shuffles it anew in each epoch and cuts it into batches of
                `batch_size`.
            val_loader: As `train_loader`, for validation; a tenth of the records of `train_loader` unless given.
            listeners: Such as a progress bar.

        Raises:
            DataError: If no data were loaded.
        """
        if train_loader is not None:
            self._take_loaders(train_loader, val_loader)
        elif val_loader is not None:
            raise DataError("val_loader: give train_loader too")
        self._trained = run_experiment(
            self.experiment, folder=self._folder, home=self.home, listeners=listeners, plan=self._make_plan()
        )
        return self._trained

    def evaluate(self, test_loader: Loader | None = None) -> dict[str, Interval]:
        """Gives the scores of the best version on the test split, or on batches of the caller's own.

        Args:
            test_loader: Batches `(x, y)` or `(x, y, weight)`.

        Returns:
            Each score with its 95 % bootstrap interval.

        Raises:
            DataError: If nothing was trained, or there is no test split and no loader.
        """
        trained = self.trained
        if test_loader is None:
            if not trained.scores:
                raise DataError(
                    "there is no test split; give split={'test': 0.1} to load_data, or test_loader"
                )
            return trained.scores
        arrays = gather(test_loader)
        count = len(arrays["x"])
        records = Records(arrays["x"], arrays["y"], arrays.get("weight"), np.arange(count))
        found = judge(self.model, records).scores
        Registry(self.store).look(trained.run, "test", by="TrainingPipeline.evaluate")
        return {f"test/{name}": score for name, score in found.items()}

    def register(self, analysis_id: str, **links: Any) -> str:
        """Registers the training with the analysis it was made for; see `register_training_run`."""
        return register_training_run(self, None, analysis_id, **links)

    def register_data(self, name: str) -> None:
        """Registers the loaded data under a name, by which `load_data` finds them.

        Raises:
            StoreError: If the name stands for other data.
        """
        spec = self.experiment.data
        if spec.dataset != name:
            task_type = self.spec.task_type
            register_data(self.home, name, spec, folder=self._folder, task_type=task_type)

    @property
    def experiment(self) -> Experiment:
        """Gives the whole as an experiment.

        Raises:
            DataError: If no data were loaded.
        """
        if self._data is None:
            raise DataError("no data were loaded; call load_data first, or give train_loader")
        name = self.name or f"DL-{self.spec.architecture}-{self._called}"
        return Experiment(name=name, seed=self.seed, data=self._data, model=self.spec, train=self.config)

    @property
    def resolved(self) -> Experiment:
        """Gives the experiment with every `auto` decided, as the run will record it."""
        return self._make_plan().experiment

    @property
    def dataset(self) -> Dataset:
        """Gives the loaded data."""
        return self._make_plan().dataset

    @property
    def store(self) -> Store:
        """Gives the store of the recorded training."""
        return Store.open(self.home, create=False)

    @property
    def trained(self) -> Trained:
        """Gives what the training left behind.

        Raises:
            DataError: If nothing was trained yet.
        """
        if self._trained is None:
            raise DataError("nothing was trained yet; call train first")
        return self._trained

    @property
    def model(self) -> ModelOp:
        """Gives the trained model: the best version, or the final one where none was chosen."""
        trained = self.trained
        version = trained.best or trained.final
        return ModelOp.load(Registry(self.store), f"{version.model}@{version.number}")

    @property
    def metrics_history(self) -> dict[str, list[float]]:
        """Gives the measured values of each metric, in the order of the steps."""
        history: dict[str, list[float]] = {}
        for row in Registry(self.store).metrics(self.trained.run):
            history.setdefault(row.name, []).append(row.value)
        return history

    @property
    def best_checkpoint_path(self) -> Path:
        """Gives the file of the weights of the best version, a safetensors file that is never written again."""
        version = self.trained.best or self.trained.final
        assert version.weights is not None
        return self.store.blobs.path(version.weights)

    def _make_plan(self) -> Plan:
        if self._plan is None:
            self._plan = make_plan(self.experiment, self._folder, home=self.home)
        return self._plan

    def _place(self, source: Any) -> tuple[dict[str, Any], str]:
        """Says where data lie, and what they are called."""
        if isinstance(source, Path) or (isinstance(source, str) and source.lower().endswith(SUFFIXES)):
            return {"path": str(source)}, Path(source).stem
        if isinstance(source, str):
            named = {"path": source} if ":" in source else {"dataset": source}
            return named, source.rpartition(":")[2]
        by_role = isinstance(source, Mapping) and {"x", "y"} <= set(source) <= {"x", "y", "weight", "id"}
        if by_role and np.ndim(source["x"]) > 1:
            arrays = {name: plain_array(one, name) for name, one in source.items()}
            path = self._keep(arrays)
            roles = {name: name for name in ("weight", "id") if name in arrays}
            return {"path": str(path), **roles}, path.stem[:8]
        from trainwright.data.frames import table_of
        from trainwright.data.tables import write_parquet

        table = table_of(source, name="the table in memory")
        path = self._write(".parquet", lambda draft: write_parquet(table, draft))
        return {"path": str(path)}, path.stem[:8]

    def _check_registered(self, target: str | Sequence[str], split: Mapping[str, Any] | None) -> None:
        known = self.dataset.target
        said = target if isinstance(target, str) else tuple(target)
        if split is not None or said not in ("auto", known):
            what = "split" if split is not None else f"target {said!r}"
            raise SpecError(
                f"{what}: the registered dataset {self._called!r} has its own split, and the target {known!r}; "
                "leave it out"
            )

    def _take_loaders(self, train_loader: Loader, val_loader: Loader | None) -> None:
        parts = {"train": gather(train_loader)} | ({} if val_loader is None else {"val": gather(val_loader)})
        names = {name for part in parts.values() for name in part}
        if any(set(part) != names for part in parts.values()):
            raise DataError(
                "val_loader: its batches hold weights, or those of train_loader do; give both alike"
            )
        arrays = {name: np.concatenate([part[name] for part in parts.values()]) for name in sorted(names)}
        split: dict[str, Any] = {"method": "random", "val": 0.1}
        if val_loader is not None:
            arrays["split"] = np.repeat(list(parts), [len(part["x"]) for part in parts.values()])
            split = {"method": "column", "by": "split"}
        path = self._keep(arrays)
        self._called = path.stem[:8]
        fields = {"path": str(path), "split": split} | ({"weight": "weight"} if "weight" in names else {})
        self._data = read_part(fields, DataSpec, where="data")
        self._plan = None

    def _keep(self, arrays: Mapping[str, Array]) -> Path:
        return self._write(".npz", lambda draft: write_arrays(arrays, draft))

    def _write(self, suffix: str, write: Callable[[Path], None]) -> Path:
        """Keeps data that were in memory under the digest of their bytes."""
        folder = Store.open(self.home).home / "data"
        folder.mkdir(exist_ok=True)
        draft = folder / f".{secrets.token_hex(8)}{suffix}"
        try:
            write(draft)
            with draft.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            kept = folder.resolve() / f"{digest}{suffix}"
            draft.replace(kept)
        finally:
            draft.unlink(missing_ok=True)
        return kept


def register_training_run(
    pipeline: TrainingPipeline,
    dataset_id: str | None,
    analysis_id: str,
    *,
    hypothesis_id: str | None = None,
    title: str | None = None,
) -> str:
    """Registers a training with the analysis it was made for.

    Args:
        pipeline: Trained.
        dataset_id: The name under which its dataset is found from now on; None leaves it as it is.
        analysis_id: The analysis that produced the model.
        hypothesis_id: The hypothesis that the model tests.
        title: For the reader; `DL-{architecture}-{dataset_id}` unless given.

    Returns:
        The id of the model: a reference to its best version, such as `DL-mlp-heart@31`, that never moves.

    Raises:
        DataError: If nothing was trained.
        StoreError: If the name stands for other data.
    """
    trained = pipeline.trained
    if dataset_id is not None:
        pipeline.register_data(dataset_id)
    return register_training(
        Registry(pipeline.store),
        trained.run,
        analysis_id=analysis_id,
        hypothesis_id=hypothesis_id,
        title=title,
        evaluation={name: score["value"] for name, score in trained.scores.items()},
    )
