"""Commands about trainwright itself: schema, doctor."""

from typing import Any

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, write_out, write_table


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(schema)
    app.command()(doctor)


def schema() -> None:
    """Print the JSON Schema of experiment files, for editors."""
    from trainwright.spec.schema import experiment_schema

    write_out(experiment_schema())


def doctor(store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Check the installation, the machine and the store; exit 1 if something is wrong."""
    from trainwright.doctor import examine

    found = examine(home_of(store))
    if as_json:
        write_out([{"what": one.what, "ok": one.ok, "detail": one.detail} for one in found])
    else:
        rows: list[list[Any]] = [[one.what, "ok" if one.ok else "BAD", one.detail] for one in found]
        write_table(["what", "", "detail"], rows)
    if not all(one.ok for one in found):
        raise typer.Exit(1)
