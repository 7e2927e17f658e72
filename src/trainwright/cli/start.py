"""The first command of a new user: init."""

from pathlib import Path
from typing import Annotated

import typer

from trainwright.cli.common import JsonOption, say, tell, write_out


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(init)


def init(
    data: Annotated[Path, typer.Argument(help="A .csv, .tsv, .parquet or .npz file.")],
    target: Annotated[
        str | None, typer.Option(help="The column or array to predict; guessed unless given.")
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where to; an existing file is left alone.")
    ] = Path("experiment.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Write over an existing file.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a first experiment for a data file: its columns, a sensible model, training with early stopping."""
    from trainwright.base.errors import SpecError
    from trainwright.draft import draft_experiment
    from trainwright.spec.read import read_experiment

    if output.exists() and not force:
        raise SpecError(f"{output}: it is there already; name another by -o, or pass --force")
    draft = draft_experiment(data, target=target, folder=output.parent)
    try:
        output.write_text(draft.text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{output}: cannot be written: {error.strerror or error}") from error
    read_experiment(output)
    if as_json:
        columns = [
            {"name": one.name, "kind": one.kind, "used": one.used, "missing": one.missing, "why": one.why}
            for one in draft.columns
        ]
        write_out({"file": output, "target": draft.target, "guessed": draft.guessed, "columns": columns})
        return
    for one in draft.columns:
        gaps = f", {one.missing} missing" if one.missing else ""
        say(f"  {one.name}: {f'{one.kind}{gaps}' if one.used else f'ignored: {one.why}'}")
    guess = " (a guess; --target names another)" if draft.guessed else ""
    say(f"target: {draft.target}{guess}")
    tell(output)
    say(f"next: trainwright run {output}")
