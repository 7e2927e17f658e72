"""Commands for a team: compare, pin."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.cli.common import JsonOption, StoreOption, open_registry, say, write_out, write_table

if TYPE_CHECKING:
    from trainwright.report.comparison import Comparison
    from trainwright.store.overview import Score

FACTS = ("run", "parameters", "dataset", "seconds")


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(compare)
    app.command()(pin)


def compare(
    left: Annotated[str, typer.Argument(help="A version or a run.")],
    right: Annotated[str, typer.Argument(help="Another.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show two versions side by side: test scores with 95 % intervals, spec, parameters, data, seconds."""
    from trainwright.report.comparison import compare_versions

    found = compare_versions(open_registry(store), left, right)
    if as_json:
        write_out(found.tree())
        return
    names = [found.left.name, found.right.name]
    scores = {**found.left.scores, **found.right.scores}
    rows = [[name, *(_spell(one.get(name)) for one in _columns(found))] for name in scores]
    if rows:
        write_table(["score, 95 % interval", *names, "right - left"], rows)
    for side in (found.left, found.right):
        if not side.scores:
            judged = (
                "there are none" if side.judged is None else f"those of its run are of version {side.judged}"
            )
            say(f"{side.name} has no test scores: {judged}")
    if found.left.dataset != found.right.dataset:
        say("the data differ: so do the test records")
    sides = [side.tree() for side in (found.left, found.right)]
    facts = [[what, *(_fact(side[what]) for side in sides)] for what in FACTS]
    write_table(["", *names], facts)
    if found.differences:
        write_table(["differs", *names], [list(row) for row in found.differences])


def pin(
    refs: Annotated[
        list[str],
        typer.Argument(
            metavar="REF...", help="name, name@tag, name@7, name@epoch=7, a run, or a digest prefix."
        ),
    ],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name versions for good, as model, number and digest; `verify --pinned` checks the JSON of this later."""
    from trainwright.store.pins import pin_versions

    found = pin_versions(open_registry(store), refs)
    if as_json:
        write_out(found)
    else:
        write_table(["model", "version", "weights"], [list(one) for one in found])


def _columns(found: "Comparison") -> list[Any]:
    return [found.left.scores, found.right.scores, found.changes]


def _spell(score: "Score | None") -> str | None:
    return f"{score['value']:.4f} [{score['low']:.4f}, {score['high']:.4f}]" if score else None


def _fact(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.1f}"
    return value if isinstance(value, str | None) else f"{value:,}"
