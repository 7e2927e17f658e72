"""Everything one run needs, decided and built before anything is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.backends import CATALOG as BACKENDS
from trainwright.backends.equinox.threads import threads_in_force
from trainwright.base.errors import DataError, SpecError
from trainwright.base.extras import installed
from trainwright.callbacks import CATALOG as CALLBACKS
from trainwright.callbacks.checkpoint import Checkpoint
from trainwright.data.dataset import Dataset, Records, open_dataset
from trainwright.data.lazy import is_lazy
from trainwright.data.prepare import Preparation, fit_preparation
from trainwright.data.storage import explain_storage
from trainwright.model_op import InputSchema, describe
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.ops import CATALOG as OPERATORS
from trainwright.registration import with_registered_data
from trainwright.routines import CATALOG as ROUTINES
from trainwright.spec.build import build, find, own_code_from
from trainwright.spec.experiment import Experiment
from trainwright.spec.resolve import REQUIRED, Facts, resolve
from trainwright.spec.train import Plateau
from trainwright.train.callback import Callback
from trainwright.train.feed import Feed, make_feed
from trainwright.train.learner import Learner, Resolved
from trainwright.train.loop import TrainingLoop, check_metrics
from trainwright.train.plateau import RateScale
from trainwright.train.routine import Examples, Routine, View
from trainwright.train.run import Run

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

    @property
    def steps(self) -> int:
        """Counts the steps of the whole run."""
        return self.experiment.train.epochs * self.feed.steps_per_epoch

    def operator(self) -> dict[str, Any]:
        """Describes the model and its preprocessing for the store."""
        schema = InputSchema(
            self.experiment.data.features,
            self.dataset.records.x.shape[1:],
            self.dataset.target,
            self.dataset.task_type,
        )
        output = next(iter(self.task.outputs))
        backend = self.experiment.train.backend
        return describe(
            self.experiment.model,
            self.preparation,
            schema,
            output=output,
            backend=backend,
            run_on=self.run_on,
        )

    def retention(self) -> tuple[int | None, int | None]:
        """Gives how many of the last and of the best versions are kept: the widest wish of all checkpoints."""
        asked = [one for one in self.callbacks if isinstance(one, Checkpoint)]
        last = [one.keep_last for one in asked]
        best = [one.keep_best or 0 for one in asked]
        if None in last:
            return None, None
        return max(n for n in last if n is not None), max(best) or None

    def prepare(self) -> Learner:
        """Makes the learner; this is what imports a framework."""
        made = find(self.experiment.train.backend, BACKENDS, where="train.backend")()
        learner: Learner = made.prepare(self.task, self.feed, seed=self.experiment.seed, run_on=self.run_on)
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
    dataset = open_dataset(experiment.data, folder=folder, task_type=experiment.model.task_type)
    if len(dataset.splits.get("val", ())) == 0:
        raise DataError("data.split.val: no validation records; give a fraction above 0 or name the records")
    preparation = fit_preparation(dataset, experiment.data, catalog=OPERATORS)
    encoded = {name: preparation.encode(dataset.part(name)) for name in dataset.splits}
    classes = dataset.task_type == "classification"
    y = encoded["train"].y
    facts = Facts(
        input_shape=encoded["train"].x.shape[1:],
        output_dim=_count_classes(preparation) if classes or y is None else y.shape[1],
        task_type=dataset.task_type,
        content_digest=dataset.content_digest,
        features=list(dataset.features) if dataset.features is not None else _array_name(experiment),
        target=dataset.target,
        installed=tuple(name for name, needs in REQUIRED.items() if all(installed(one) for one in needs)),
        threads=_bound_threads(),
        in_memory=not is_lazy(dataset.records.x),
    )
    resolved, why = resolve(experiment, facts)
    why |= explain_storage(dataset.records.x)
    train = resolved.train
    run_on = Resolved(device=train.device, threads=int(train.threads))
    task = ModelTask(build_blueprint(resolved.model), train, train.epochs)
    arrays = _arrays(encoded["train"])
    feed = make_feed(arrays, batch_size=train.batch_size * train.accumulate, seed=resolved.seed)
    assert train.routines != "auto"
    routines = [
        build(one, ROUTINES, where=f"train.routines.{n}", has=ROUTINE) for n, one in enumerate(train.routines)
    ]
    callbacks = [
        build(one, CALLBACKS, where=f"train.callbacks.{n}", has=CALLBACK)
        for n, one in enumerate(train.callbacks)
    ]
    splits = {name: _examples(part) for name, part in encoded.items()}
    for number, routine in enumerate(routines):
        if routine.split not in splits:
            raise SpecError(
                f"train.routines.{number}: there is no split {routine.split!r}, only {', '.join(splits)}"
            )
    check_metrics(task, routines, wanted=_wanted(resolved, callbacks))
    return Plan(resolved, why, folder, dataset, preparation, splits, task, feed, routines, callbacks, run_on)


def _wanted(experiment: Experiment, callbacks: Sequence[Callback]) -> dict[str, str]:
    wanted = {"train.best.metric": experiment.train.best.metric}
    if isinstance(experiment.train.schedule, Plateau):
        wanted["train.schedule.metric"] = experiment.train.schedule.metric
    for number, callback in enumerate(callbacks):
        for metric in getattr(callback, "reads", ()):
            wanted[f"train.callbacks.{number}.args.metric"] = metric
    return wanted


def _count_classes(preparation: Preparation) -> int:
    return len(preparation.targets.values)  # type: ignore[attr-defined]


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
    assert records.y is not None
    return Examples(records.x, records.y, records.weight)
