"""Repeats of one experiment that differ in their seed: how much of a score is luck."""

from collections.abc import Sequence
from pathlib import Path

from trainwright.base.errors import SpecError
from trainwright.base.home import home_of
from trainwright.data.dataset import open_dataset
from trainwright.registration import with_registered_data
from trainwright.spec.edit import edit
from trainwright.spec.experiment import Experiment
from trainwright.studies.engine import Wanted, run_study
from trainwright.studies.members import Member, Study, Tell, study_id
from trainwright.train.callback import Callback


def run_repeats(
    experiment: Experiment,
    *,
    seeds: int,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = True,
    tell: Tell | None = None,
    engine: Wanted = "auto",
) -> Study:
    """Runs an experiment with its seed and the ones that follow; the splits stay as they are.

    Args:
        experiment: Any; of a k-fold method, the fold that it names.
        seeds: How many, at least 2.
        folder: As `run_members`.
        home: As `run_members`.
        listeners: As `run_members`.
        again: As `run_members`.
        test: Whether each is scored on the test split, if there is one.
        tell: As `run_study`.
        engine: As `run_study`.

    Raises:
        SpecError: If there are fewer than 2 seeds.
        TrainwrightError: As `run_experiment`.
        KeyboardInterrupt: If a run was interrupted; the same call goes on.
    """
    if seeds < 2:
        raise SpecError(f"seeds: {seeds} tells nothing about the spread; ask for at least 2")
    experiment = with_registered_data(experiment, home_of(home))
    data = open_dataset(experiment.data, folder=Path(folder), task_type=experiment.model.task_type)
    # Pinned, so that data that change between two members are refused.
    pinned = edit(experiment, {"data.digest": data.content_digest})
    members = [
        Member(f"seed {seed}", edit(pinned, {"seed": seed}))
        for seed in range(experiment.seed, experiment.seed + seeds)
    ]
    study = study_id(pinned, varied="seed", content=data.content_digest)
    test = test and len(data.splits.get("test", ())) > 0
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
    return Study(study, tuple(done for done, _ in finished), chosen)
