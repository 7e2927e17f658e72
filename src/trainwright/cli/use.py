"""Commands that use a model: predict, evaluate."""

from pathlib import Path
from typing import Annotated

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, open_registry, say, write_out, write_table
from trainwright.cli.look import RefArgument


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(predict)
    app.command()(evaluate)


def predict(
    ref: RefArgument,
    data: Annotated[
        Path, typer.Argument(help="A .npz, .npy, .csv, .tsv or .parquet file with the features.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A .parquet, .csv or .npz file; CSV on stdout unless given."),
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="Predicts instead of the backend it was trained by.")
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Predict for the records of a file, for each image of a folder by its name, or for nodes by their number."""
    import numpy as np

    from trainwright.data.graph import Nodes
    from trainwright.data.inputs import read_inputs
    from trainwright.data.outputs import write_columns
    from trainwright.data.sequences import Sequences
    from trainwright.model_op import load_version

    registry = open_registry(store)
    model = load_version(registry, registry.resolve(ref), backend=backend)
    records = read_inputs(data, schema=model.schema)
    columns = model.columns(records.x)
    if model.schema.graph is not None and model.schema.graph.graphs is None:
        numbers = np.asarray(records.x.numbers if isinstance(records.x, Nodes) else records.x)
        columns = {"node": numbers, **columns}  # of a pair, node[0] and node[1]
    if data.is_dir():
        columns = {"file": records.ids, **columns}
    for name, count in model.unseen(records.x).items():
        say(
            f"column {name!r}: {count} records have a category that was not there in training; it counts as missing"
        )
    if isinstance(records.x, Sequences):
        long = int((records.x.lengths > model.schema.shape[-1]).sum())
        if long:
            say(
                f"{long} sequences are longer than {model.schema.shape[-1]}, as in training, and lost their end"
            )
    if as_json and output is None:
        write_out({name: column.tolist() for name, column in columns.items()})
        return
    write_columns(columns, output)
    if as_json:
        write_out({"records": len(records.x), "output": output})
    say(f"{len(records.x)} records predicted by {ref}{f' to {output}' if output else ''}")


def evaluate(
    ref: RefArgument,
    data: Annotated[
        Path | None,
        typer.Argument(
            help="A file with features, target and any weights, named as in training; the test split unless given."
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Which split, when no file is given.")] = "test",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure a version on a file, or on a split of its own data."""
    from trainwright.evaluation.version import evaluate_model

    scores = evaluate_model(ref, data=data, split=split, home=home_of(store))
    if as_json:
        write_out(scores)
        return
    rows = [[n, f"{s['value']:.4f}", f"{s['low']:.4f} to {s['high']:.4f}"] for n, s in scores.items()]
    write_table(["metric", "value", "95 % interval"], rows)
