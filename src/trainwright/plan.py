"""Everything one run needs, decided and built before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from trainwright.backends import CATALOG as BACKENDS
from trainwright.backends.equinox.threads import threads_in_force
from trainwright.backends.torch.driver import cuda_is_there
from trainwright.base.errors import DataError, SpecError
from trainwright.base.extras import installed
from trainwright.base.random import stream
from trainwright.base.tree import Array
from trainwright.callbacks import CATALOG as CALLBACKS
from trainwright.callbacks.checkpoint import Checkpoint
from trainwright.data.balance import balance_classes, balance_labels
from trainwright.data.check import NO_CLASS
from trainwright.data.dataset import Dataset, Records, open_dataset
from trainwright.data.encoding import settle_columns
from trainwright.data.inputs import InputSchema
from trainwright.data.lazy import is_lazy
from trainwright.data.prepare import Preparation, fit_preparation
from trainwright.data.sequences import Sequences
from trainwright.data.storage import explain_storage
from trainwright.model_op import describe
from trainwright.models.assemble import build_blueprint
from trainwright.models.fine_tuning import (
    Parent,
    keep_columns,
    keep_preparation,
    open_parent,
    pin,
    take_weights,
)
from trainwright.models.task import ModelTask
from trainwright.ops import CATALOG as OPERATORS
from trainwright.ops.augmentation import Augmentation
from trainwright.ops.columns import Columns
from trainwright.ops.labels import Labels
from trainwright.ops.multilabels import MultiLabels
from trainwright.registering import FAMILY
from trainwright.registration import with_registered_data
from trainwright.routines import CATALOG as ROUTINES
from trainwright.spec.build import build, find, own_code_from
from trainwright.spec.data import ColumnSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import spell_out
from trainwright.spec.resolve import REQUIRED, Facts, resolve
from trainwright.spec.schedule import Plateau
from trainwright.train.callback import Callback
from trainwright.train.feed import AugmentedFeed, Feed, make_feed
from trainwright.train.groups import settle_groups
from trainwright.train.learner import Learner, Resolved
from trainwright.train.loop import TrainingLoop, check_metrics
from trainwright.train.plateau import RateScale
from trainwright.train.routine import Examples, Routine, View
from trainwright.train.run import Run
from trainwright.train.schedule import check_schedule

ROUTINE = ("names", "__call__")
CALLBACK = ("on_start", "on_epoch", "on_end", "state", "load_state")


@dataclass(frozen=True)
class Plan:
    """One run, ready to begin.

    Args:
        experiment: Resolved: no `auto` is left.
        why: The reason of each choice that was left open, by path.
        folder: Where relative paths of the spec begin.
        dataset: Opened and checked.
        preparation: Fitted on train.
        examples: Each split as the model sees it.
        task: What is trained.
        feed: Which records make a step.
        routines: What is measured.
        callbacks: Who listens.
        run_on: Device and threads.
        parent: The version that the training begins from, if any.
        taken: Its weights that are taken, by name; the others keep their initial values.
    """

    experiment: Experiment
    why: Mapping[str, str]
    folder: Path
    dataset: Dataset
    preparation: Preparation
    examples: Mapping[str, Examples]
    task: ModelTask
    feed: Feed
    routines: Sequence[Routine]
    callbacks: Sequence[Callback]
    run_on: Resolved
    parent: Parent | None = None
    taken: Mapping[str, Array] = field(default_factory=dict)

    @property
    def steps(self) -> int:
        """Counts the steps of the whole run."""
        return self.experiment.train.epochs * self.feed.steps_per_epoch

    def operator(self) -> dict[str, Any]:
        """Describes the model and its preprocessing for the store."""
        data = self.experiment.data
        kinds = [str(one.kind) for one in data.columns if one.role == "feature"]
        schema = InputSchema(
            data.features,
            self._shape(),
            list(self.dataset.target) if isinstance(self.dataset.target, tuple) else self.dataset.target,
            self.dataset.task_type,
            kinds if self.dataset.features is not None else None,
            data.missing,
            isinstance(self.dataset.records.x, Sequences),
        )
        output = next(iter(self.task.outputs))
        backend = self.experiment.train.backend
        return describe(
            self.experiment.model,
            self.preparation,
            schema,
            output=output,
            loss=self.task.loss.name,
            backend=backend,
            run_on=self.run_on,
        )

    def title(self, called: str | None) -> dict[str, str]:
        """Says by what a team finds the run: family, dataset, and a title of architecture and dataset.

        Args:
            called: The name under which the dataset is registered; its file's name otherwise.
        """
        dataset = called or Path(self.experiment.data.path or "data").stem
        title = f"DL-{self.experiment.model.architecture}-{dataset}"
        return {"family": FAMILY, "dataset": dataset, "title": title}

    def _shape(self) -> tuple[int, ...]:
        """Gives the shape of one raw record; sequences are padded to one length."""
        shape = self.dataset.records.x.shape[1:]
        return shape if self.preparation.length is None else (*shape[:-1], self.preparation.length)

    def retention(self) -> tuple[int | None, int | None]:
        """Gives how many of the last and of the best versions are kept: the widest wish of all checkpoints."""
        asked = [one for one in self.callbacks if isinstance(one, Checkpoint)]
        last = [one.keep_last for one in asked]
        best = [one.keep_best or 0 for one in asked]
        if None in last:
            return None, None
        return max(n for n in last if n is not None), max(best) or None

    def anew(self) -> "Plan":
        """Gives the plan for one more run: callbacks that heard one remember it, so they are made afresh."""
        return replace(self, callbacks=_callbacks(self.experiment))

    def prepare(self) -> Learner:
        """Makes the learner; this is what imports a framework."""
        made = find(self.experiment.train.backend, BACKENDS, where="train.backend")()
        learner: Learner = made.prepare(self.task, self.feed, seed=self.experiment.seed, run_on=self.run_on)
        if self.taken:
            learner.load_weights({**learner.weights(), **self.taken})
        return learner

    def loop(
        self, learner: Learner, run: Run, *, listeners: Sequence[Callback] = (), end: int | None = None
    ) -> TrainingLoop:
        """Makes the loop that trains the learner and leaves what it makes with the run."""
        schedule = self.experiment.train.schedule

        def make_view(one: Learner) -> View:
            return View(
                one,
                self.examples,
                invert=self.preparation.targets.invert,
                look=lambda split: run.look(split, "routine") if split == "test" else None,
            )

        return TrainingLoop(
            learner,
            self.feed,
            run=run,
            epochs=self.experiment.train.epochs,
            routines=self.routines,
            callbacks=self.callbacks,
            listeners=listeners,
            make_view=make_view,
            rate_scale=RateScale(schedule if isinstance(schedule, Plateau) else None),
            end=end,
        )


def make_plan(experiment: Experiment, folder: Path, *, home: Path) -> Plan:
    """Opens the data, decides what is open, builds and checks everything; nothing is written.

    Args:
        experiment: What to do.
        folder: Where relative paths of the experiment begin.
        home: The store, where a registered dataset is looked up.

    Raises:
        SpecError: If the spec is wrong, or asks for a metric that nobody measures.
        DataError: If the data is not what the spec says.
        BackendError: If a backend is asked for that is not installed.
    """
    own_code_from(folder)
    experiment = with_registered_data(experiment, home)
    parent = open_parent(experiment, home)
    if parent is not None:
        experiment = pin(experiment, parent)
    dataset = open_dataset(experiment.data, folder=folder, task_type=experiment.model.task_type)
    if len(dataset.splits.get("val", ())) == 0:
        raise DataError("data.split.val: no validation records; give a fraction above 0 or name the records")
    columns = _columns(experiment, dataset)
    if parent is not None and experiment.train.keep_preparation:
        columns = keep_columns(parent, columns, said=experiment.data.columns)
    preparation = fit_preparation(
        dataset,
        experiment.data,
        catalog=OPERATORS,
        columns=columns,
        tokens=_holds_tokens(experiment, dataset),
    )
    new_head = experiment.train.new_head
    if parent is not None and experiment.train.keep_preparation:
        preparation = keep_preparation(parent, preparation, dataset=dataset, new_head=new_head)
    encoded = {name: preparation.encode(dataset.part(name)) for name in dataset.splits}
    y = encoded["train"].y
    assert y is not None
    facts = Facts(
        input_shape=encoded["train"].x.shape[1:],
        output_shape=preparation.output_shape(y),
        task_type=dataset.task_type,
        content_digest=dataset.content_digest,
        features=list(dataset.features) if dataset.features is not None else _array_name(experiment),
        target=None if experiment.data.target is None else dataset.target,
        columns=columns,
        integers=preparation.vocabulary_size is not None,
        ragged=isinstance(dataset.records.x, Sequences) and preparation.vocabulary_size is None,
        vocabulary_size=preparation.vocabulary_size,
        categories=_categories(preparation, columns),
        installed=tuple(name for name, needs in REQUIRED.items() if all(installed(one) for one in needs)),
        threads=_bound_threads(),
        cuda=installed("torch") and cuda_is_there(),
        class_weights=_balanced(experiment, preparation, y),
        has_target=not (y == NO_CLASS).all(),
        in_memory=not is_lazy(dataset.records.x),
    )
    resolved, why = resolve(experiment, facts)
    why |= explain_storage(dataset.records.x)
    train = resolved.train
    assert train.loss != "auto" and resolved.model.quantiles != "auto"
    run_on = Resolved(device=train.device, threads=int(train.threads))
    blueprint = build_blueprint(resolved.model, loss=spell_out(train.loss).name)
    task = ModelTask(blueprint, train, train.epochs, quantiles=tuple(resolved.model.quantiles or ()))
    taken: Mapping[str, Array] = {}
    if parent is not None:
        model = resolved.model
        taken = take_weights(parent, blueprint, model, preparation=preparation, new_head=new_head)
        why["train.init_from"] = (
            f"{len(taken)} of {len(blueprint.parameters)} arrays of {parent.name} are taken"
        )
    arrays = _arrays(encoded["train"])
    feed = make_feed(arrays, batch_size=train.batch_size * train.accumulate, seed=resolved.seed)
    if resolved.data.augment:
        changes = _augmentations(resolved)
        views = 2 if task.loss.name == "nt_xent" else 1
        _try_out(changes, feed, seed=resolved.seed)
        feed = AugmentedFeed(feed, list[Any](changes), seed=resolved.seed, views=views)
    check_schedule(train.schedule, steps=train.epochs * feed.steps_per_epoch)
    trained = [name for name, one in task.blueprint.parameters.items() if one.trained]
    settle_groups(train.groups, trained, optimizer=train.optimizer)
    assert train.routines != "auto"
    routines = [
        build(one, ROUTINES, where=f"train.routines.{n}", has=ROUTINE) for n, one in enumerate(train.routines)
    ]
    callbacks = _callbacks(resolved)
    splits = {name: _examples(part) for name, part in encoded.items()}
    for number, routine in enumerate(routines):
        if routine.split not in splits:
            raise SpecError(
                f"train.routines.{number}: there is no split {routine.split!r}, only {', '.join(splits)}"
            )
    check_metrics(task, routines, wanted=_wanted(resolved, callbacks))
    return Plan(
        resolved,
        why,
        folder,
        dataset,
        preparation,
        splits,
        task,
        feed,
        routines,
        callbacks,
        run_on,
        parent,
        taken,
    )


def _callbacks(experiment: Experiment) -> list[Callback]:
    return [
        build(one, CALLBACKS, where=f"train.callbacks.{n}", has=CALLBACK)
        for n, one in enumerate(experiment.train.callbacks)
    ]


def _augmentations(experiment: Experiment) -> list[Augmentation]:
    made = []
    for number, use in enumerate(experiment.data.augment):
        where = f"data.augment.{number}"
        kind: Any = find(use.use, OPERATORS, where=where)
        if not (isinstance(kind, type) and issubclass(kind, Augmentation)):
            raise SpecError(f"{where}.use: {use.use!r} is no augmentation; it changes nothing at random")
        made.append(build(use, OPERATORS, where=where))
    return made


def _try_out(changes: Sequence[Augmentation], feed: Feed, *, seed: int) -> None:
    """Finds before training what an augmentation refuses."""
    batch = feed.batch(0)
    first: Any = batch.x[:1]
    for number, change in enumerate(changes):
        try:
            change(first, stream=stream(seed, "try"), records=batch.ids[:1])
        except DataError as error:
            raise DataError(f"data.augment.{number}: {error}") from error


def _holds_tokens(experiment: Experiment, dataset: Dataset) -> bool:
    """Says whether an array of integers holds token ids: a transformer takes rows of integers for them."""
    x, model = dataset.records.x, experiment.model
    whole = isinstance(x, np.ndarray) and x.ndim == 2 and x.dtype.kind in "iu"
    return whole and model.architecture == "transformer" and model.input in ("auto", "tokens")


def _categories(preparation: Preparation, columns: Sequence[ColumnSpec]) -> list[int] | None:
    """Gives the number of categories of each input of a table, 0 for a number."""
    side = preparation.inputs
    if not columns or not isinstance(side, Columns):
        return None
    return list(side.categories)


def _columns(experiment: Experiment, dataset: Dataset) -> list[ColumnSpec]:
    if dataset.schema is None or dataset.features is None:
        return []
    tokens = experiment.model.architecture == "transformer"
    return settle_columns(experiment.data, dataset.schema, dataset.features, tokens=tokens)


def _wanted(experiment: Experiment, callbacks: Sequence[Callback]) -> dict[str, str]:
    wanted = {"train.best.metric": experiment.train.best.metric}
    if isinstance(experiment.train.schedule, Plateau):
        wanted["train.schedule.metric"] = experiment.train.schedule.metric
    for number, callback in enumerate(callbacks):
        reads = getattr(callback, "reads", ())
        for place, metric in enumerate(reads):
            field_name = "metric" if len(reads) == 1 else f"metrics.{place}"
            wanted[f"train.callbacks.{number}.args.{field_name}"] = metric
    return wanted


def _balanced(experiment: Experiment, preparation: Preparation, y: Array) -> list[float]:
    """Gives balanced weights of classes where they are asked for."""
    if getattr(experiment.train.loss, "class_weights", None) != "balanced":
        return []
    if isinstance(preparation.targets, MultiLabels):
        return balance_labels(y, preparation.targets.names)
    if not isinstance(preparation.targets, Labels):
        return []  # quantities have no classes; that the loss does not go with them is said when the spec is decided
    shape = preparation.output_shape(y)
    assert shape is not None
    return balance_classes(y, shape[0])


def _array_name(experiment: Experiment) -> str:
    features = experiment.data.features
    return "x" if features == "auto" or isinstance(features, list) else features


def _bound_threads() -> dict[str, int]:
    bound = threads_in_force()
    return {} if bound is None else {"equinox": bound}


def _arrays(records: Records) -> dict[str, Any]:
    arrays = {"x": records.x, "y": records.y}
    return arrays if records.weight is None else arrays | {"weight": records.weight}


def _examples(records: Records) -> Examples:
    rows: Any = records.x
    assert records.y is not None
    return Examples(rows, records.y, records.weight)
