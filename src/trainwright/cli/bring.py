"""The commands that bring models from elsewhere, or to another backend: import, convert."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, say, write_out, write_table
from trainwright.cli.look import RefArgument
from trainwright.cli.train import SetOption

if TYPE_CHECKING:
    from trainwright.foreign.jail import Checkpoint
    from trainwright.importing import Imported

MOST_VALUES = 100


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(name="import")(import_file)
    app.command()(convert)


def import_file(
    file: Annotated[
        Path, typer.Argument(help="A .pt, .pth, .ckpt, .safetensors, .npz, .keras, .h5 or .hdf5 file.")
    ],
    experiment: Annotated[
        Path | None, typer.Option(help="The experiment that describes the model and its data.")
    ] = None,
    map_file: Annotated[
        Path | None,
        typer.Option("--map", help="YAML that names the tensor of each array, where the names differ."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of the model; that of the experiment unless given.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="Only show what the file holds.")] = False,
    changes: SetOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version of a checkpoint of another framework; tensors and plain values are read, in a jailed process."""
    if listing == (experiment is not None):
        raise typer.BadParameter("give --experiment FILE, or --list")
    if listing:
        from trainwright.foreign.jail import open_checkpoint

        if changes or map_file or name:
            raise typer.BadParameter("--list takes no --set, --map and --name")
        _show(open_checkpoint(file), as_json)
        return
    from trainwright.importing import import_model
    from trainwright.spec.read import read_experiment

    assert experiment is not None
    document = read_experiment(experiment, changes=changes or [])
    imported = import_model(
        file,
        document.experiment,
        folder=document.folder,
        home=home_of(store),
        map_file=map_file,
        name=name,
    )
    _finish(imported, as_json)


def convert(
    ref: RefArgument,
    backend: Annotated[str, typer.Option(help="The backend that will serve it.")],
    name: Annotated[
        str | None, typer.Option(help="Of the model; REF's, a hyphen and the backend unless given.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a version for another backend: a model of its own with the same weights, once both were compared."""
    from trainwright.conversion import convert_model

    made = convert_model(ref, backend=backend, name=name, home=home_of(store))
    version = made.version
    if as_json:
        found = {
            "run": made.run,
            "model": version.model,
            "version": version.number,
            "weights": version.weights,
            "source": made.source,
            "difference": made.difference,
        }
        write_out(found)
        return
    compared = "not compared" if made.difference is None else f"{made.difference:.1e} of the largest output"
    print(f"source   {made.source}")
    print(f"differs  {compared}")
    print(f"run      {made.run}")
    print(f"version  {version.model}@{version.number}")
    print(f"weights  sha256:{version.weights}")


def _show(found: "Checkpoint", as_json: bool) -> None:
    if as_json:
        tensors = {
            name: {"dtype": str(one.dtype), "shape": list(one.shape)} for name, one in found.tensors.items()
        }
        write_out({"file": found.name, "sha256": found.digest, "tensors": tensors, "values": found.values})
        return
    say(f"{found.name} sha256:{found.digest}")
    write_table(["tensor", "type", "shape"], [[n, one.dtype, one.shape] for n, one in found.tensors.items()])
    if found.values:
        shown = list(found.values.items())[:MOST_VALUES]
        print()
        write_table(["value", ""], [[name, repr(value)[:MOST_VALUES]] for name, value in shown])
        if len(found.values) > len(shown):
            say(f"and {len(found.values) - len(shown)} more values; --json writes all")


def _finish(imported: "Imported", as_json: bool) -> None:
    version = imported.version
    if as_json:
        found: dict[str, Any] = {
            "run": imported.run,
            "version": version.number,
            "weights": version.weights,
            "file": imported.file,
            "arrays": imported.arrays,
            "aside": imported.aside,
            "preprocessing": imported.preprocessing,
            "metrics": version.metrics,
            "scores": imported.scores,
            "report": imported.report,
            "warnings": imported.warnings,
        }
        write_out(found)
        return
    if imported.aside:
        say(f"{len(imported.aside)} tensors are no weights of a model and were left aside")
    for text in imported.warnings:
        say(text)
    rows = [
        [name, f"{score['value']:.4f}", f"{score['low']:.4f} to {score['high']:.4f}"]
        for name, score in imported.scores.items()
    ]
    if rows:
        write_table(["metric", "value", "95 % interval"], rows)
    print(f"file     {imported.file}")
    print(f"arrays   {len(imported.arrays)}")
    print(f"prepared {imported.preprocessing}")
    print(f"run      {imported.run}")
    print(f"version  {version.model}@{version.number}")
    print(f"weights  sha256:{version.weights}")
    print(f"report   {imported.report}")
