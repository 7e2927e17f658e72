"""A deep ensemble: models that differ in their seed, or in their fold, and become one."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trainwright.base.errors import SpecError
from trainwright.base.home import home_of
from trainwright.data.dataset import open_dataset
from trainwright.registration import with_registered_data
from trainwright.spec.edit import single_of
from trainwright.spec.experiment import Experiment
from trainwright.studies.engine import Wanted
from trainwright.studies.folds import run_folds
from trainwright.studies.joining import record_ensemble
from trainwright.studies.members import Study, Tell
from trainwright.studies.repeats import run_repeats
from trainwright.train.callback import Callback


def run_ensemble(
    experiment: Experiment,
    *,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = True,
    tell: Tell | None = None,
    engine: Wanted = "auto",
) -> Study:
    """Trains the members of an ensemble, each an ordinary recorded run, and records a version that is all of them.

    Members that are recorded are not trained again, so that an ensemble that was stopped goes on. They are not scored
    on the test split by themselves: one look is for all.

    Args:
        experiment: It says `ensemble`.
        folder: As `run_members`.
        home: As `run_members`.
        listeners: As `run_members`.
        again: As `run_members`.
        test: Whether the ensemble is scored on the test split, if there is one.
        tell: As `run_study`.
        engine: As `run_study`.

    Returns:
        The study of its members; `ensemble` is the run whose version `load_model` gives as an `EnsembleOp`.

    Raises:
        SpecError: If the experiment says no `ensemble`.
        TrainwrightError: As `run_experiment`.
        KeyboardInterrupt: If a run was interrupted; the same call goes on.

    Source:
        Lakshminarayanan, Pritzel & Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017.
    """
    if experiment.ensemble is None:
        raise SpecError("ensemble: it is null; write how many models become one, or folds")
    experiment = with_registered_data(experiment, home_of(home))
    single = single_of(experiment)
    options: Any = {"folder": folder, "home": home, "listeners": listeners, "again": again, "tell": tell}
    options["engine"] = engine
    if not isinstance(experiment.ensemble, int):  # folds
        data = open_dataset(single.data, folder=Path(folder), task_type=single.model.task_type)
        there = len(data.splits.get("test", ())) > 0
        return run_folds(single, test=test and there, **options)
    study = run_repeats(single, seeds=experiment.ensemble, test=False, **options)
    made = record_ensemble(
        study.members,
        ensemble=experiment.ensemble,
        study=study.id,
        folder=Path(folder),
        home=home_of(home),
        test=test,
    )
    return replace(study, ensemble=made)
