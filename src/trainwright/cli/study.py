"""The command that trains many times: study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, say, tell, write_out, write_table
from trainwright.cli.train import QuietOption, SetOption, goes_on, tell_member

if TYPE_CHECKING:
    from trainwright.experiment import Trained
    from trainwright.studies.members import Study
    from trainwright.studies.sweep import SweepStudy


ENGINES = ("auto", "sequential", "vectorised")


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(study)


def study(
    file: Annotated[Path, typer.Argument(help="An experiment: .yaml, or .py with `def experiment()`.")],
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Repeat with so many seeds, from the experiment's own; else run its folds."),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=VALUE,...",
            help="Run with each value, such as train.optimizer.lr=1e-4,1e-3; several make every combination.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="sequential: one after another; vectorised: as one program; auto: vectorised where that can be and "
            "is faster."
        ),
    ] = "auto",
    test: Annotated[
        bool,
        typer.Option("--test", help="Score the best version of each fold or value on the test split, too."),
    ] = False,
    changes: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    again: Annotated[bool, typer.Option("--again", help="Train anew what was trained before.")] = False,
) -> None:
    """Train all folds of a split, the members of an ensemble, repeats over seeds, or a sweep; nothing twice."""
    from trainwright.spec.read import read_experiment
    from trainwright.studies.ensemble import run_ensemble
    from trainwright.studies.folds import run_folds
    from trainwright.studies.repeats import run_repeats
    from trainwright.studies.sweep import run_sweep

    if sweep and seeds is not None:
        raise typer.BadParameter("give one of the two; --sweep seed=0,1 repeats too", param_hint="--seeds")
    if engine not in ENGINES:
        raise typer.BadParameter(f"{engine!r} is none of {', '.join(ENGINES)}", param_hint="--engine")
    values = _values(sweep or [])
    document = read_experiment(file, changes=changes or [])
    members = isinstance(document.experiment.ensemble, int) and not values
    if test and (members or seeds is not None):
        raise typer.BadParameter(
            "it is for folds and sweeps; repeats and ensembles are always scored on it", param_hint="--test"
        )
    options: dict[str, Any] = {
        "folder": document.folder,
        "home": home_of(store),
        "listeners": _listeners(quiet),
        "again": again,
        "engine": engine,
        "tell": None if quiet else tell_member,
    }
    with goes_on():
        if values:
            found: Study = run_sweep(document.experiment, values=values, test=test, **options)
        elif seeds is not None:
            found = run_repeats(document.experiment, seeds=seeds, **options)
        elif members:
            found = run_ensemble(document.experiment, **options)
        else:
            found = run_folds(document.experiment, test=test, **options)
    if as_json:
        write_out(found.tree())
    else:
        _show(found)


def _values(sweep: list[str]) -> dict[str, list[Any]]:
    from trainwright.base.errors import SpecError
    from trainwright.studies.sweep import parse_sweep

    values: dict[str, list[Any]] = {}
    for text in sweep:
        path, found = parse_sweep(text)
        if path in values:
            raise SpecError(f"--sweep {path}: it is given twice; write all values behind one")
        values[path] = found
    return values


def _listeners(quiet: bool) -> list[Any]:
    from trainwright.callbacks.progress import Progress

    return [] if quiet else [Progress()]


def _show(found: "Study") -> None:
    from trainwright.studies.folds import FoldStudy
    from trainwright.studies.sweep import SweepStudy

    if isinstance(found, SweepStudy):
        _show_sweep(found)
    else:
        _show_spread(found)
    if isinstance(found, FoldStudy) and found.out_of_fold is not None:
        tell("")
        scores = found.out_of_fold.scores
        write_table(
            ["out of fold", "value", "95 % interval"],
            [[n, f"{s['value']:.4f}", f"{s['low']:.4f} to {s['high']:.4f}"] for n, s in scores.items()],
        )
    if found.ensemble is not None:
        _show_ensemble(found.ensemble)
    tell(f"engine   {found.engine.name}: {found.engine.why}")
    tell(f"study    {found.id}")
    say(f"its runs: trainwright ls --study {found.id}")


def _show_ensemble(made: "Trained") -> None:
    if made.scores:
        tell("")
        write_table(
            ["ensemble", "value", "95 % interval"],
            [[n, f"{s['value']:.4f}", f"{s['low']:.4f} to {s['high']:.4f}"] for n, s in made.scores.items()],
        )
    tell(f"ensemble {made.final.model}@{made.final.number}")
    tell(f"report   {made.report}")


def _show_sweep(found: "SweepStudy") -> None:
    names = list(dict.fromkeys(name for one in found.members for name in one.metrics))
    rows = []
    for one in found.members:
        numbers = [one.metrics.get(name) for name in names]
        told = ["-" if value is None else f"{value:.4f}" for value in numbers]
        rows.append([one.member.name, one.reference, *told])
    write_table(["member", "best version", *names], rows)
    if found.best is not None:
        tell(f"best     {found.best.member.name}: {found.best.reference}")
    elif found.incomparable is not None:
        say(f"no best one is named: {found.incomparable}")


def _show_spread(found: "Study") -> None:
    summary = found.summary()
    names = [one.member.name for one in found.members]
    rows = []
    for metric, spread in summary.items():
        each = [one.metrics.get(metric) for one in found.members]
        numbers = [*each, spread.mean, spread.std, spread.stderr]
        rows.append([metric, *("-" if value is None else f"{value:.4f}" for value in numbers)])
    write_table(["metric", *names, "mean", "std", "std error"], rows)
