"""Commands that train: run, resume, reproduce."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.base.garbage import uncollected
from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, say, tell, write_out, write_table

if TYPE_CHECKING:
    from trainwright.experiment import Trained
    from trainwright.plan import Plan
    from trainwright.spec.read import Document
    from trainwright.studies.members import Finished
    from trainwright.train.profiling import Profile

SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="A.B=VALUE", help="Change a field of the spec; may be repeated."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no plan.")]


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(run)
    app.command()(resume)
    app.command()(reproduce)


def run(
    file: Annotated[Path, typer.Argument(help="An experiment: .yaml, or .py with `def experiment()`.")],
    changes: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
    dry: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the plan; write nothing.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Train although the same recipe and data were trained before.")
    ] = False,
    with_profile: Annotated[
        bool,
        typer.Option("--profile", help="Show where the time goes; a trace of some steps is kept, too."),
    ] = False,
) -> None:
    """Train the model or the ensemble that an experiment file describes; what was trained before is shown instead."""
    with uncollected():
        from trainwright.experiment import run_experiment
        from trainwright.plan import make_plan
        from trainwright.spec.edit import single_of
        from trainwright.spec.read import read_experiment
        from trainwright.train.profiling import Profile

        document = read_experiment(file, changes=changes or [])
        ensemble = document.experiment.ensemble
        if ensemble is not None and with_profile:
            raise typer.BadParameter(
                "it is for one run; look at a member by itself: --set ensemble=null", param_hint="--profile"
            )
        single = document.experiment if ensemble is None else single_of(document.experiment)
        plan = make_plan(single, document.folder, home=home_of(store))
    if dry or not quiet:
        _show_plan(plan)
        if ensemble is not None:
            members = plan.experiment.data.split.folds if ensemble == "folds" else ensemble
            say(f"  ensemble  {members} members, one for each {'fold' if ensemble == 'folds' else 'seed'}")
    if dry:
        return
    if ensemble is not None:
        _run_ensemble(document, home=home_of(store), again=again, quiet=quiet, as_json=as_json)
        return
    if not again and _show_recorded(plan, home_of(store), as_json=as_json):
        return
    profile = Profile() if with_profile else None
    trained = run_experiment(
        document.experiment,
        folder=document.folder,
        home=home_of(store),
        listeners=_listeners(quiet),
        plan=plan,
        profile=profile,
    )
    _finish(trained, as_json, profile)


def _run_ensemble(document: "Document", *, home: Path, again: bool, quiet: bool, as_json: bool) -> None:
    from trainwright.studies.ensemble import run_ensemble

    with goes_on():
        found = run_ensemble(
            document.experiment,
            folder=document.folder,
            home=home,
            listeners=_listeners(quiet),
            again=again,
            tell=None if quiet else tell_member,
        )
    assert found.ensemble is not None
    members = [one.reference for one in found.members]
    _finish(found.ensemble, as_json, members=members)


@contextmanager
def goes_on() -> Iterator[None]:
    """Says how a study that is interrupted goes on."""
    try:
        yield
    except KeyboardInterrupt as stop:
        for text in stop.args:
            say(f"trainwright: {text}")
        raise


def tell_member(done: "Finished") -> None:
    """Says what a member of a study has reached."""
    shown = {name: value for name, value in done.metrics.items() if name.startswith("val/")}
    numbers = "  ".join(f"{name} {value:.4g}" for name, value in shown.items())
    before = " (trained before)" if done.recorded else ""
    say(f"{done.member.name}{before}: {done.reference}  {numbers}")


def resume(
    ref: Annotated[str, typer.Argument(help="A run, or with --epochs any version.")],
    epochs: Annotated[
        int | None, typer.Option(help="Branch: a new run of this length from the version.")
    ] = None,
    allow_inexact: Annotated[
        bool,
        typer.Option(
            "--allow-inexact", help="Go on although packages, processor, device or own code differ."
        ),
    ] = False,
    take_over: Annotated[
        bool,
        typer.Option(
            "--take-over",
            help="Go on although a stopped process holds the run; that one can write nothing more.",
        ),
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Go on with a run exactly where its last checkpoint was taken."""
    from trainwright.experiment import resume_run

    trained = resume_run(
        ref,
        home=home_of(store),
        epochs=epochs,
        allow_inexact=allow_inexact,
        take_over=take_over,
        listeners=_listeners(quiet),
    )
    _finish(trained, as_json)


def reproduce(
    ref: Annotated[str, typer.Argument(help="A version, or a run.")],
    file: Annotated[
        Path | None, typer.Argument(help="Compare with this experiment instead of the record.")
    ] = None,
    changes: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Train again from the record and say whether the result is identical; exit 1 if it is different."""
    from trainwright.reproduce import reproduce_version

    verdict = reproduce_version(
        ref, home=home_of(store), file=file, changes=changes or [], listeners=_listeners(quiet)
    )
    if as_json:
        write_out(verdict.tree())
    else:
        tell(verdict.text())
    if verdict.word == "different":
        raise typer.Exit(1)


def _listeners(quiet: bool) -> list[Any]:
    from trainwright.callbacks.progress import Progress

    return [] if quiet else [Progress()]


def _show_plan(plan: "Plan") -> None:
    from trainwright.spec.optimizer import count_moments

    train, model = plan.experiment.train, plan.experiment.model
    counts = ", ".join(f"{name} {len(part)}" for name, part in plan.dataset.splits.items())
    say(f"{plan.experiment.name}: {model.architecture} {model.hidden_dims}, {model.task_type}")
    say(f"  data      {counts}; records {plan.record_shape}")
    _show_columns(plan)
    say(f"  model     {plan.task.blueprint.count_parameters():,} parameters")
    optimizer = train.optimizer
    how = f"{optimizer.name} lr {optimizer.lr:g}, {train.schedule.name}"
    if train.lightning is not None and train.lightning.module is not None:
        how = f"by {train.lightning.module.use}"
    if train.processes > 1:
        how = f"{how}, {train.processes} processes"
    say(
        f"  training  {train.epochs} epochs of {plan.feed.steps_per_epoch} steps ({plan.steps} in all), {how}"
    )
    size = 4 * sum(_count(one.shape) for one in plan.task.blueprint.parameters.values())
    copies = (
        2 + count_moments(optimizer) + (train.ema is not None)
    )  # what is served, and what goes on from there
    say(f"  saving    about {size * copies / 1e6:.1f} MB per checkpoint")
    say(f"  backend   {train.backend}, {train.threads} thread{'s' if train.threads != 1 else ''}")
    for path, reason in plan.why.items():
        say(f"  {path}: {reason}")


def _show_columns(plan: "Plan") -> None:
    schema, features = plan.dataset.schema, plan.dataset.features
    if schema is None or features is None:
        return
    kinds = [one.kind for one in schema if one.name in features]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    say(f"  columns   {', '.join(counts)}")
    for one in schema:
        if one.name not in features:
            say(f"            {one.name} is not used: {one.why}")
    if plan.dataset.left_out:
        say(f"            {plan.dataset.left_out} records are left out: they lack values")


def _show_recorded(plan: "Plan", home: Path, *, as_json: bool) -> bool:
    """Shows what the same recipe and data gave before; says whether there is such a run."""
    from trainwright.registering import find_recorded
    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    if not (home / "catalogue.db").exists():
        return False
    registry = Registry(Store.open(home, create=False))
    row = find_recorded(registry, plan.experiment)
    if row is None:
        return False
    from trainwright.experiment import recorded_run

    say(f"this recipe and these data were trained before, on {row.created[:16]}; --again trains anew")
    _finish(recorded_run(registry, row), as_json)
    return True


def _count(shape: tuple[int, ...]) -> int:
    found = 1
    for length in shape:
        found *= length
    return found


def _finish(
    trained: "Trained", as_json: bool, profile: "Profile | None" = None, *, members: Sequence[str] = ()
) -> None:
    outcome = trained.outcome
    if as_json:
        write_out(
            {
                "run": trained.run,
                "outcome": outcome.kind,
                "reason": outcome.reason,
                "final": trained.final.number,
                "best": trained.best.number if trained.best else None,
                "weights": trained.final.weights,
                "scores": trained.scores,
                "baseline": trained.baseline,
                "report": trained.report,
                "warnings": trained.warnings,
                **({"members": members} if members else {}),
                **({} if profile is None else {"profile": profile.tree()}),
            }
        )
    elif outcome.finished:
        if outcome.reason:
            say(f"stopped: {outcome.reason}")
        rows = [
            [
                name,
                f"{score['value']:.4f}",
                f"{score['low']:.4f} to {score['high']:.4f}",
                f"{trained.baseline[name]:.4f}" if name in trained.baseline else "",
            ]
            for name, score in trained.scores.items()
        ]
        if rows:
            heads = ["metric", "value", "95 % interval", "baseline"]
            wide = len(heads) if trained.baseline else len(heads) - 1
            write_table(heads[:wide], [row[:wide] for row in rows])
        tell(f"run      {trained.run}")
        best = f", best @{trained.best.number}" if trained.best else ""
        tell(f"version  {trained.final.model}@{trained.final.number}{best}")
        if rows and trained.best and trained.best.number != trained.final.number:
            tell(f"scored   {trained.final.model}@{trained.best.number}")
        if members:
            tell(f"members  {', '.join(members)}")
        else:
            tell(f"weights  sha256:{trained.final.weights} (@{trained.final.number})")
        tell(f"report   {trained.report}")
        if profile is not None:
            tell(f"trace    trainwright show {trained.run} --artifact profile/trace.json")
            tell(f"\n{profile.text()}\n")
        if trained.warnings:
            say(f"{trained.warnings} warnings were recorded; the report lists them")
    else:
        say(
            f"{outcome.reason}; checkpoint at step {trained.final.step}; go on: trainwright resume {trained.run}"
        )
    if outcome.kind == "interrupted":
        raise typer.Exit(130)
