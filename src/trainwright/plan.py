"""Everything one run needs, decided and built before anything is written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from trainwright.augmenting import make_augmentations, try_out
from trainwright.backends import CATALOG as BACKENDS
from trainwright.backends.likeness import why_alone
from trainwright.base.errors import DataError, SpecError
from trainwright.base.garbage import uncollected
from trainwright.base.tree import Array
from trainwright.building import lay_out
from trainwright.callbacks import CATALOG as CALLBACKS
from trainwright.callbacks.checkpoint import Checkpoint
from trainwright.callbacks.probabilities import NoticeProbabilities
from trainwright.data.check import explain_scale
from trainwright.data.compare import count_seen, explain_seen
from trainwright.data.dataset import Dataset, Records, open_dataset
from trainwright.data.graph import EncodedGraph, Nodes
from trainwright.data.inputs import InputSchema
from trainwright.data.prepare import Preparation, fit_preparation
from trainwright.data.sequences import Sequences
from trainwright.data.storage import explain_storage
from trainwright.facts import decide_columns, gather_facts, holds_tokens, named, said_vocabulary
from trainwright.frameworks import check_own_parts, own_frameworks
from trainwright.models.fine_tuning import (
    Parent,
    keep_columns,
    keep_preparation,
    open_parent,
    pin,
    take_weights,
)
from trainwright.models.gnn import graph_constants
from trainwright.models.heads import DISTRIBUTIONS
from trainwright.models.task import ModelTask
from trainwright.naming import check_names, classes_of
from trainwright.ops import CATALOG as OPERATORS
from trainwright.ops.operator import Operator
from trainwright.predictor import describe
from trainwright.registering import FAMILY
from trainwright.registration import with_registered_data
from trainwright.routines import CATALOG as ROUTINES
from trainwright.spec.build import build, find, own_code_from
from trainwright.spec.experiment import Experiment
from trainwright.spec.losses import spell_out
from trainwright.spec.own_code import check_own_code, has_own_code
from trainwright.spec.resolve import SERVED_BY, resolve
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
        seen: How many records of the other splits have the features of a train record, where that was counted.
        graph: Whose nodes are the records, as the network takes it; None unless they are.
        seated: Its learner, where it was made together with others.
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
    seen: Mapping[str, int] = field(default_factory=dict)
    graph: EncodedGraph | None = None
    seated: Learner | None = None

    @property
    def steps(self) -> int:
        """Counts the steps of the whole run."""
        return self.experiment.train.epochs * self.feed.steps_per_epoch

    def operator(self) -> dict[str, Any]:
        """Describes the model and its preprocessing for the store."""
        data = self.experiment.data
        features = [one for one in data.columns if one.role == "feature"]
        table = self.dataset.features is not None
        schema = InputSchema(
            data.features,
            self.record_shape,
            named(self.dataset.target),
            self.dataset.task_type,
            [str(one.kind) for one in features] if table else None,
            data.missing,
            isinstance(self.dataset.records.x, Sequences),
            [one.format for one in features] if table else None,
            data.graph,
        )
        output = next(iter(self.task.outputs))
        backend = self.experiment.train.backend
        return describe(
            self.experiment.model,
            self.preparation,
            schema,
            output=output,
            loss=self.task.loss.name,
            backend=SERVED_BY.get(backend, backend),
            run_on=self.run_on,
            graph=self.graph,
        )

    def title(self, called: str | None) -> dict[str, str]:
        """Says by what a team finds the run: family, dataset, and a title of architecture and dataset.

        Args:
            called: The name under which the dataset is registered; its file's name otherwise.
        """
        stem = Path(self.experiment.data.path or "data").stem
        # Data that were in memory lie under their digest.
        dataset = called or (stem[:8] if re.fullmatch("[0-9a-f]{64}", stem) else stem)
        title = f"DL-{self.experiment.model.architecture}-{dataset}"
        return {"family": FAMILY, "dataset": dataset, "title": title}

    @property
    def record_shape(self) -> tuple[int, ...]:
        """Gives the shape of one raw record; sequences are padded to one length."""
        shape = self.dataset.records.x.shape[1:]
        return (
            shape
            if not isinstance(self.dataset.records.x, Sequences) or self.preparation.length is None
            else (*shape[:-1], self.preparation.length)
        )

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

    def unheard(self) -> "Plan":
        """Gives the plan without those who only listen, and may write files."""
        train, heard = self.task.train, self.task.train.lightning
        silent: dict[str, Any] = {"keras": None}
        if heard is not None:
            silent["lightning"] = heard.model_copy(update={"callbacks": [], "loggers": []})
        train = train.model_copy(update=silent)
        return replace(self, callbacks=(), task=replace(self.task, train=train))

    def prepare(self) -> Learner:
        """Makes the learner, unless it was made together with others."""
        if self.seated is not None:
            return self.seated
        with uncollected():
            made = self.backend()
            learner: Learner = made.prepare(
                self.task, self.feed, seed=self.experiment.seed, run_on=self.run_on
            )
        return self.begin(learner)

    def backend(self) -> Any:
        """Makes the backend; this is what imports a framework."""
        return find(self.experiment.train.backend, BACKENDS, where="train.backend")()

    def begin(self, learner: Learner) -> Learner:
        """Gives a learner the weights that are taken from elsewhere."""
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

        if self.experiment.model.architecture == "own" and self.task.task_type == "classification":
            listeners = [*listeners, NoticeProbabilities(self.feed)]
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
            folder=self.folder,
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
    if experiment.ensemble is not None:
        raise SpecError(
            "ensemble: one model is trained here; `trainwright run` and `run_ensemble` train an ensemble, null is none"
        )
    own_code_from(folder)
    experiment = with_registered_data(experiment, home)
    parent = open_parent(experiment, home)
    if parent is not None:
        experiment = pin(experiment, parent)
    dataset = open_dataset(experiment.data, folder=folder, task_type=experiment.model.task_type)
    if len(dataset.splits.get("val", ())) == 0:
        raise DataError("data.split.val: no validation records; give a fraction above 0 or name the records")
    columns = decide_columns(experiment, dataset)
    if parent is not None and experiment.train.keep_preparation:
        columns = keep_columns(parent, columns, said=experiment.data.columns)
    preparation = fit_preparation(
        dataset,
        experiment.data,
        catalog=OPERATORS,
        columns=columns,
        tokens=holds_tokens(experiment, dataset),
        vocabulary_size=said_vocabulary(experiment),
    )
    new_head = experiment.train.new_head
    if parent is not None and experiment.train.keep_preparation:
        preparation = keep_preparation(parent, preparation, dataset=dataset, new_head=new_head)
    encoded = {name: preparation.encode(dataset.part(name)) for name in dataset.splits}
    x = dataset.records.x
    graph = preparation.encode_graph(x.graph) if isinstance(x, Nodes) else None
    facts = gather_facts(
        experiment,
        dataset,
        preparation=preparation,
        train=encoded["train"],
        columns=columns,
        node_features=preparation.node_features(x),
    )
    resolved, why = resolve(experiment, facts)
    why |= explain_storage(dataset.records.x) | explain_scale(encoded["train"].x)
    train = resolved.train
    assert train.loss != "auto" and resolved.model.quantiles != "auto" and resolved.model.components != "auto"
    run_on = Resolved(device=train.device, threads=int(train.threads))
    loss = spell_out(train.loss)
    _check_way_back(resolved.model.head, preparation.targets)
    check_names(resolved.model, target=dataset.target, classes=classes_of(preparation.targets))
    if has_own_code(train) or train.keras is not None or resolved.model.architecture == "own":
        own_frameworks(train.backend, threads=run_on.threads)
        check_own_code(train, task_type=resolved.model.task_type)
    constants = None if graph is None else graph_constants(graph, str(resolved.model.convolution))
    blueprint = lay_out(
        resolved.model, backend=train.backend, loss=loss.name, constants=constants, threads=run_on.threads
    )
    task = ModelTask(
        blueprint,
        train,
        train.epochs,
        quantiles=tuple(resolved.model.quantiles or ()),
        components=resolved.model.components,
        kind=resolved.model.task_type,
    )
    taken: Mapping[str, Array] = {}
    if parent is not None:
        model = resolved.model
        taken = take_weights(parent, blueprint, model, preparation=preparation, new_head=new_head)
        why["train.init_from"] = (
            f"{len(taken)} of {len(blueprint.parameters)} arrays of {parent.name} are taken"
        )
    arrays = _arrays(encoded["train"])
    feed = make_feed(arrays, batch_size=train.records_per_step, seed=resolved.seed)
    if resolved.data.augment:
        changes = make_augmentations(resolved, OPERATORS)
        views = 2 if task.loss.name == "nt_xent" else 1
        try_out(changes, feed, seed=resolved.seed)
        feed = AugmentedFeed(feed, list[Any](changes), seed=resolved.seed, views=views)
    check_schedule(train.schedule, steps=train.epochs * feed.steps_per_epoch)
    trained = [name for name, one in task.blueprint.parameters.items() if one.trained]
    settle_groups(train.groups, trained, optimizer=train.optimizer)
    if train.vectorised and (why_not := why_alone(task, feed)):
        raise SpecError(f"train.vectorised: {why_not}; leave it out")
    assert train.routines != "auto"
    routines = [
        build(one, ROUTINES, where=f"train.routines.{n}", has=ROUTINE) for n, one in enumerate(train.routines)
    ]
    callbacks = _callbacks(resolved)
    check_own_parts(task, in_memory=resolved.data.in_memory is not False)
    splits = {name: _examples(part) for name, part in encoded.items()}
    seen = count_seen({name: part.x for name, part in encoded.items()})
    why |= explain_seen(seen, {name: len(part) for name, part in encoded.items()})
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
        seen,
        graph,
    )


def _check_way_back(head: str, targets: Operator) -> None:
    """Refuses operators of a target that cannot carry back what a head says besides a point."""
    told = f"model.head {head!r} goes with operators"
    if head in DISTRIBUTIONS and not targets.affine:
        cure = "write Standardize, MinMax or Robust, or model.head: quantiles"
        raise SpecError(f"data.target_operators: {told} that only shift and scale; {cure}")
    if head == "quantiles" and not targets.increasing:
        raise SpecError(f"data.target_operators: {told} that keep the order of values; leave the others out")


def _callbacks(experiment: Experiment) -> list[Callback]:
    return [
        build(one, CALLBACKS, where=f"train.callbacks.{n}", has=CALLBACK)
        for n, one in enumerate(experiment.train.callbacks)
    ]


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


def _arrays(records: Records) -> dict[str, Any]:
    arrays = {"x": records.x, "y": records.y}
    return arrays if records.weight is None else arrays | {"weight": records.weight}


def _examples(records: Records) -> Examples:
    rows: Any = records.x
    assert records.y is not None
    return Examples(rows, records.y, records.weight)
