"""A sweep: one experiment with several values of some fields, every combination a run."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.base.home import home_of
from trainwright.base.jsontext import write_json
from trainwright.data.dataset import open_dataset
from trainwright.registration import with_registered_data
from trainwright.spec.edit import edit, parse_change
from trainwright.spec.experiment import Experiment
from trainwright.spec.text import Json
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.studies.comparing import why_incomparable
from trainwright.studies.engine import Wanted, run_study
from trainwright.studies.members import Finished, Member, Study, Tell, study_id
from trainwright.train.callback import Callback

OPTION = "--sweep"  # of the command line, which messages name


@dataclass(frozen=True, slots=True, eq=False)
class SweepStudy(Study):
    """What a sweep found.

    Args:
        values: Of the fields of each member, by path.
        metric: By which members are compared.
        mode: Whether smaller or larger is better, `min` or `max`.
        incomparable: Why they cannot be compared by it; None if they can.
    """

    values: tuple[Mapping[str, Json], ...]
    metric: str = "val/loss"
    mode: str = "min"
    incomparable: str | None = None

    @property
    def best(self) -> Finished | None:
        """Gives the member whose best version is the best by the metric of the spec; None if it says nothing of any."""
        if self.incomparable is not None:
            return None
        metric, sign = self.metric, 1.0 if self.mode == "min" else -1.0
        known = [
            one
            for one in self.members
            if one.version.metrics.get(metric, float("nan")) == one.version.metrics.get(metric)
        ]
        return min(known, key=lambda one: sign * one.version.metrics[metric], default=None)

    def tree(self) -> dict[str, Any]:
        """Gives plain values."""
        tree, best = Study.tree(self), self.best
        for one, values in zip(tree["members"], self.values, strict=True):
            one["values"] = dict(values)
        return tree | {
            "best": None if best is None else best.member.name,
            "best_version": None if best is None else best.reference,
            "incomparable": self.incomparable,
        }


def parse_sweep(text: str) -> tuple[str, list[Json]]:
    """Reads a field and its values as they are written on the command line.

    Args:
        text: `path=value,value,...`; values are YAML on one line.

    Raises:
        SpecError: If it cannot be read.

    Example:
        >>> parse_sweep("train.optimizer.lr=1e-4,3e-4")
        ('train.optimizer.lr', [0.0001, 0.0003])
        >>> parse_sweep("model.hidden_dims=[16],[32, 16]")
        ('model.hidden_dims', [[16], [32, 16]])
    """
    path, sign, values = text.partition("=")
    if not sign or not path.strip() or not values.strip():
        raise SpecError(
            f"{OPTION} {text!r}: write it as path=value,value, such as train.optimizer.lr=1e-4,1e-3"
        )
    name, found = parse_change(f"{path}=[{values}]", option=OPTION)
    assert isinstance(found, list)
    return name, found


def run_sweep(
    experiment: Experiment,
    *,
    values: Mapping[str, Sequence[Json]],
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = False,
    tell: Tell | None = None,
    engine: Wanted = "auto",
) -> SweepStudy:
    """Runs an experiment with every combination of values.

    Args:
        experiment: Any.
        values: By the path of their field, such as `{"train.optimizer.lr": [1e-4, 1e-3]}`.
        folder: As `run_members`.
        home: As `run_members`.
        listeners: As `run_members`.
        again: As `run_members`.
        test: As `run_members`; a choice among members is made by the val split.
        tell: As `run_study`.
        engine: As `run_study`.

    Raises:
        SpecError: If a field or a value is wrong, a value comes twice, there is but one combination, or a test split
            is asked for that is not there.
        TrainwrightError: As `run_experiment`.
        KeyboardInterrupt: If a run was interrupted; the same call goes on.
    """
    combinations = [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]
    if len(combinations) < 2:
        raise SpecError("sweep: there is nothing to compare; give at least two values")
    names = [
        ", ".join(f"{path.rpartition('.')[2]} {_spell(value)}" for path, value in one.items())
        for one in combinations
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise SpecError(f"sweep: {twice} is there twice; leave one out")
    experiment = with_registered_data(experiment, home_of(home))
    variants = [edit(experiment, one, option=OPTION) for one in combinations]
    data = open_dataset(variants[0].data, folder=Path(folder), task_type=variants[0].model.task_type)
    if test and len(data.splits.get("test", ())) == 0:
        raise SpecError("data.split.test: there is no test split to look at; give a fraction above 0")
    # Pinned, so that data that change between two members are refused.
    pinned = [edit(one, {"data.digest": data.content_digest}) for one in variants]
    members = [Member(name, one) for name, one in zip(names, pinned, strict=True)]
    study = study_id(pinned[0], varied=list(values), content=data.content_digest)
    chosen, finished = run_study(
        members,
        engine=engine,
        study=study,
        folder=folder,
        home=home,
        listeners=listeners,
        again=again,
        test=test,
        tell=tell,
    )
    done = tuple(one for one, _ in finished)
    registry = Registry(Store.open(home_of(home)))
    runs = [registry.run(one.trained.run) for one in done]
    return SweepStudy(
        study,
        done,
        chosen,
        tuple(combinations),
        metric=runs[0].best_metric,
        mode=runs[0].best_mode,
        incomparable=why_incomparable(registry, runs),
    )


def _spell(value: Json) -> str:
    return (
        f"{value:g}"
        if isinstance(value, float)
        else write_json(value)
        if not isinstance(value, str)
        else value
    )
