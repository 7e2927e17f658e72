"""Cross-validation: every fold is a run, and each record is predicted by the model that has not seen it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainwright.base.errors import DataError, SpecError
from trainwright.base.home import home_of
from trainwright.data.dataset import Dataset, open_dataset
from trainwright.evaluation.judgement import Interval
from trainwright.evaluation.predictions import (
    Predictions,
    join_predictions,
    judge_predictions,
    predict_records,
)
from trainwright.model_op import load_version
from trainwright.registration import with_registered_data
from trainwright.spec.data import KFOLD
from trainwright.spec.edit import edit, single_of
from trainwright.spec.experiment import Experiment
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.studies.engine import Wanted, run_study
from trainwright.studies.joining import record_ensemble
from trainwright.studies.members import Finished, Member, Study, Tell, study_id
from trainwright.train.callback import Callback

FOLD = "data.split.fold"


@dataclass(frozen=True, slots=True, eq=False)
class OutOfFold:
    """Every record outside the test split, predicted by the model of the fold in which it was in val.

    Scores that rank records, such as `roc_auc`, compare outputs of different models here; they may lie below each
    fold's own.

    Args:
        records: Positions in the dataset, ascending, shape `(records,)`.
        folds: In which fold each was in val, shape `(records,)`.
        predictions: In the order of `records`.
        scores: Of all of them together, with 95 % intervals.

    Source:
        Forman and Scholz, Apples-to-Apples in Cross-Validation Studies, ACM SIGKDD Explorations 12(1), 2010.
    """

    records: NDArray[np.int64]
    folds: NDArray[np.int64]
    predictions: Predictions
    scores: dict[str, Interval]


@dataclass(frozen=True, slots=True, eq=False)
class FoldStudy(Study):
    """What a cross-validation found.

    Args:
        out_of_fold: Predictions of all records; None for embeddings, because those of two models share no space.
    """

    out_of_fold: OutOfFold | None

    def tree(self) -> dict[str, Any]:
        """Gives plain values, without the predictions."""
        pooled = self.out_of_fold
        found = None if pooled is None else {"records": len(pooled.records), "scores": pooled.scores}
        return Study.tree(self) | {"out_of_fold": found}


def run_folds(
    experiment: Experiment,
    *,
    folder: Path | str = ".",
    home: Path | str | None = None,
    listeners: Sequence[Callback] = (),
    again: bool = False,
    test: bool = False,
    tell: Tell | None = None,
    engine: Wanted = "auto",
) -> FoldStudy:
    """Runs every fold of an experiment, judges the predictions of all records together, and makes one model of all.

    The models of the folds become an ensemble, except where they are embeddings. It has the scores out of fold, which
    are those of single models: every record of train and val has trained most members of it.

    Args:
        experiment: Its split is one of the k-fold methods; the fold that it names plays no part. If it says
            `ensemble`, that is `folds`.
        folder: As `run_members`.
        home: As `run_members`.
        listeners: As `run_members`.
        again: As `run_members`.
        test: As `run_members`; the test split is not looked at unless this is asked for.
        tell: As `run_study`.
        engine: As `run_study`; folds of equal size can be one program.

    Raises:
        SpecError: If the split has no folds, or a test split is asked for that is not there.
        DataError: If the data of any fold cannot be trained on; found before the first fold is trained.
        TrainwrightError: As `run_experiment`.
        KeyboardInterrupt: If a run was interrupted; the same call goes on.
    """
    if isinstance(experiment.ensemble, int):
        raise SpecError(f"ensemble: {experiment.ensemble} seeds are no folds; write folds, or leave it out")
    experiment = with_registered_data(single_of(experiment), home_of(home))
    split = experiment.data.split
    if split.method not in KFOLD or split.folds is None:
        raise SpecError(
            f"data.split.method: {split.method!r} has no folds; write {', '.join(KFOLD[:-1])} or {KFOLD[-1]} with "
            "`folds` and `fold`, or repeat the run over seeds"
        )
    if experiment.model.task_type != "embedding":
        # What they become in the end has faults of its own, which are said before they begin.
        edit(experiment, {"ensemble": "folds"})
    folds = [edit(experiment, {FOLD: number}) for number in range(split.folds)]
    content = _check_folds(folds, Path(folder), test=test)
    members = [
        Member(f"fold {number}", edit(fold, {"data.digest": content})) for number, fold in enumerate(folds)
    ]
    study = study_id(experiment, varied=FOLD, content=content)
    finished: list[Finished] = []
    records: list[NDArray[np.int64]] = []
    parts: list[Predictions] = []
    chosen, done_members = run_study(
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
    for done, dataset in done_members:
        finished.append(done)
        if dataset.task_type != "embedding":
            records.append(dataset.splits["val"])
            parts.append(_predict_val(done, dataset, home_of(home)))
    if not parts:
        return FoldStudy(study, tuple(finished), chosen, None)
    pooled = _pool(records, parts)
    made = record_ensemble(
        finished,
        ensemble="folds",
        study=study,
        folder=Path(folder),
        home=home_of(home),
        test=test,
        pooled=pooled.scores,
    )
    return FoldStudy(study, tuple(finished), chosen, pooled, ensemble=made)


def _check_folds(folds: Sequence[Experiment], folder: Path, *, test: bool) -> str:
    """Opens the data of every fold, so that the last one cannot fail after days; gives their content digest."""
    content = ""
    for number, fold in enumerate(folds):
        try:
            data = open_dataset(fold.data, folder=folder, task_type=fold.model.task_type)
        except DataError as error:
            raise DataError(f"fold {number}: {error}") from error
        if test and len(data.splits.get("test", ())) == 0:
            raise SpecError("data.split.test: there is no test split to look at; give a fraction above 0")
        content = data.content_digest
    return content


def _predict_val(done: Finished, dataset: Dataset, home: Path) -> Predictions:
    registry = Registry(Store.open(home, create=False))
    return predict_records(load_version(registry, done.version), dataset.part("val"))


def _pool(records: Sequence[NDArray[np.int64]], parts: Sequence[Predictions]) -> OutOfFold:
    positions = np.concatenate(records)
    order = np.argsort(positions, kind="stable")
    numbers = np.repeat(np.arange(len(records)), [len(one) for one in records])
    predictions = join_predictions(parts).take(order)
    scores = judge_predictions(predictions).scores
    return OutOfFold(positions[order], numbers[order], predictions, scores)
