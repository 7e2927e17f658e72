"""The command that trains many times: study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, say, tell, write_out, write_table
from trainwright.cli.train import QuietOption, SetOption

if TYPE_CHECKING:
    from trainwright.studies.members import Finished, Study


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(study)


def study(
    file: Annotated[Path, typer.Argument(help="An experiment: .yaml, or .py with `def experiment()`.")],
    seeds: Annotated[
        int | None,
        typer.Option(min=2, help="Repeat with so many seeds, from the experiment's own; else run its folds."),
    ] = None,
    test: Annotated[
        bool, typer.Option("--test", help="Score the best version of each fold on the test split, too.")
    ] = False,
    changes: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    again: Annotated[bool, typer.Option("--again", help="Train anew what was trained before.")] = False,
) -> None:
    """Train every fold of a k-fold split, or repeats over seeds; what was trained before is not again."""
    from trainwright.spec.read import read_experiment
    from trainwright.studies.folds import run_folds
    from trainwright.studies.repeats import run_repeats

    if test and seeds is not None:
        raise typer.BadParameter("it is for folds; repeats are always scored on it", param_hint="--test")
    document = read_experiment(file, changes=changes or [])
    options: dict[str, Any] = {
        "folder": document.folder,
        "home": home_of(store),
        "listeners": _listeners(quiet),
        "again": again,
        "tell": None if quiet else _tell,
    }
    try:
        if seeds is None:
            found: Study = run_folds(document.experiment, test=test, **options)
        else:
            found = run_repeats(document.experiment, seeds=seeds, **options)
    except KeyboardInterrupt as stop:
        for text in stop.args:
            say(f"trainwright: {text}")
        raise
    if as_json:
        write_out(found.tree())
    else:
        _show(found)


def _listeners(quiet: bool) -> list[Any]:
    from trainwright.callbacks.progress import Progress

    return [] if quiet else [Progress()]


def _tell(done: "Finished") -> None:
    shown = {name: value for name, value in done.metrics.items() if name.startswith("val/")}
    numbers = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
    before = " (trained before)" if done.recorded else ""
    say(f"{done.member.name}{before}: {done.version.model}@{done.version.number}  {numbers}")


def _show(found: "Study") -> None:
    from trainwright.studies.folds import FoldStudy

    summary = found.summary()
    names = [one.member.name for one in found.members]
    rows = []
    for metric, spread in summary.items():
        each = [one.metrics.get(metric) for one in found.members]
        numbers = [*each, spread.mean, spread.std, spread.stderr]
        rows.append([metric, *("-" if value is None else f"{value:.4f}" for value in numbers)])
    write_table(["metric", *names, "mean", "std", "std error"], rows)
    if isinstance(found, FoldStudy) and found.out_of_fold is not None:
        tell("")
        scores = found.out_of_fold.scores
        write_table(
            ["out of fold", "value", "95 % interval"],
            [[n, f"{s['value']:.4f}", f"{s['low']:.4f} to {s['high']:.4f}"] for n, s in scores.items()],
        )
    tell(f"study    {found.id}")
    say(f"its runs: trainwright ls --study {found.id}")
