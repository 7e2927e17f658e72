"""Writes a first experiment for a data file: what its columns are, a sensible model and training."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainwright.base.bounds import visible
from trainwright.base.errors import DataError
from trainwright.base.jsontext import write_json
from trainwright.base.tree import Array
from trainwright.data.check import infer_task_type, settle_target
from trainwright.data.columns import infer_column, read_column
from trainwright.data.npy import list_npz, read_npz
from trainwright.data.roles import nearest
from trainwright.data.schema import Column
from trainwright.data.source import TABLES, find_file, open_table
from trainwright.data.tables import Table

TARGET_NAMES = ("target", "label", "class", "y", "outcome", "output", "response")
SMALL = 2_000  # records, below which a fifth is kept for validation and for the test


@dataclass(frozen=True, slots=True)
class Draft:
    """A first experiment.

    Args:
        text: YAML with comments.
        target: The column or array to predict.
        guessed: Whether the target was guessed.
        columns: What the other columns are; empty for arrays.
    """

    text: str
    target: str
    guessed: bool
    columns: tuple[Column, ...] = ()


def draft_experiment(path: Path, *, target: str | None = None, folder: Path | None = None) -> Draft:
    """Looks at a data file and writes an experiment for it.

    Args:
        path: A .csv, .tsv, .parquet or .npz file.
        target: The column or array to predict; guessed by its name, or the last column that can be predicted, unless
            given.
        folder: Where the experiment will lie; the data file is named relative to it.

    Raises:
        DataError: If the file cannot be read, or there is nothing in it to predict.
    """
    path = path.absolute()  # the name of `.` is blank
    found = find_file(path.name, path.parent, at="")
    base = (folder or found.parent).resolve()
    place = found.resolve()
    shown = str(place.relative_to(base)) if place.is_relative_to(base) else str(place)
    if found.suffix.lower() in TABLES:
        return _of_table(open_table(found), shown, target)
    if found.suffix.lower() == ".npz":
        return _of_arrays(found, shown, target)
    raise DataError(f"{found.name}: `init` looks at {', '.join(TABLES)} and .npz files")


def _of_table(table: Table, path: str, target: str | None) -> Draft:
    schema = [infer_column(table, name) for name in table.columns]
    chosen = _target(table, schema, target)
    y = table.take(np.logical_not(table.blank(chosen))).values(chosen)
    task = infer_task_type(y)
    if task == "classification":
        settle_target(y, task, at=f"{table.name}: column {chosen!r}: ")
    others = tuple(one for one in schema if one.name != chosen)
    used = [one for one in others if one.used]
    if not used:
        why = "; ".join(f"{one.name!r}: {one.why}" for one in others[:5]) or "it is the only column"
        guess = "" if target is not None else " (a guess; --target names another)"
        raise DataError(
            f"{table.name}: no column is left for the features beside the target {chosen!r}{guess}: {why}"
        )
    blanks = sum(one.missing for one in used) + (len(table) - len(y))
    text = "\n".join(_lines(table, path, chosen, others, y, task, blanks)) + "\n"
    return Draft(text, chosen, target is None, others)


def _target(table: Table, schema: Sequence[Column], target: str | None) -> str:
    if target is not None:
        if target not in table.columns:
            raise DataError(
                f"--target: no column {target!r} in {table.name}, {nearest(target, table.columns)}"
            )
        return target
    able = [one.name for one in schema if one.used and one.kind in ("numeric", "categorical", "boolean")]
    if not able:
        raise DataError(f"{table.name}: no column can be predicted; name one by --target")
    named = [name for word in TARGET_NAMES for name in able if name.strip().lower() == word]
    return named[0] if named else able[-1]


def _lines(
    table: Table, path: str, target: str, others: Sequence[Column], y: Array, task: str, blanks: int
) -> Iterator[str]:
    name = Path(path).stem
    width = max(len(_quoted(one.name)) for one in others)
    yield f"# A first experiment for {_note(path)} ({len(table)} records), written by `trainwright init`."
    yield "# Train it:            trainwright run experiment.yaml"
    yield "# Everything it knows: trainwright schema"
    yield f"name: {_quoted(_model_name(name))}"
    yield "data:"
    yield f"  path: {_quoted(path)}"
    yield f"  target: {_quoted(target)}  # {_about(y, task)}"
    if blanks:
        yield f"  missing: impute  # {blanks} values are missing; `drop` leaves such records out"
    yield "  columns:  # what they are by their values; change what is wrong"
    for one in others:
        spelled = _quoted(one.name)
        pad = " " * (width - len(spelled))
        if one.used:
            gaps = f", {one.missing} missing" if one.missing else ""
            hint = _gives_away(table, one, target)
            yield f"    - {{name: {spelled},{pad} kind: {one.kind}}}  # {one.distinct} values{gaps}{hint}"
        else:
            yield f"    - {{name: {spelled},{pad} role: ignore}}  # {_note(one.why)}"
    yield from _split(len(y))
    yield from _rest(task, len(y))


def _gives_away(table: Table, column: Column, target: str) -> str:
    """Says that a column is blank exactly where the target has one of its values: it may be known afterwards only."""
    if not column.missing:
        return ""
    blank: np.ndarray = table.blank(column.name)
    there = np.logical_not(table.blank(target))
    words = read_column(table, target, "categorical")
    for value in np.unique(words[there]).tolist()[:20]:
        if np.array_equal(blank[there], words[there] == value):
            return f"; blank exactly where {_note(target)} is {_note(value)}: does it give the answer away?"
    return ""


def _note(text: object) -> str:
    """Shortens text from the data for a comment; a line break in it would begin a field of the experiment."""
    return visible(str(text)[:200]).replace("\n", "\\n")


def _quoted(text: str) -> str:
    """Quotes text so that YAML reads the very same; letters that it does not take stand as their numbers."""
    return "".join(
        letter if visible(letter) == letter else f"\\U{ord(letter):08x}" for letter in write_json(text)
    )


def _about(y: Array, task: str) -> str:
    numbers: np.ndarray = y
    if task == "classification":
        values, counts = np.unique(numbers, return_counts=True)
        most = int(counts.argmax())
        share = counts[most] / len(y)
        return f"{len(values)} classes; the most frequent, {values[most].item()!r}, is {share:.0%} of them"
    return f"from {numbers.min():g} to {numbers.max():g}, mean {numbers.mean():g}"


def _model_name(stem: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in stem).strip("-.")
    return kept or "model"


def _split(count: int) -> Iterator[str]:
    share = 0.2 if count < SMALL else 0.1
    yield f"  split: {{method: stratified, val: {share}, test: {share}, seed: 0}}"


def _rest(
    task: str, count: int, *, model: str = "{architecture: mlp, hidden_dims: [64, 64], dropout: 0.1}"
) -> Iterator[str]:
    if task == "regression":
        yield "  target_operators: [{use: Standardize}]  # predictions come back in the unit of the data"
    yield f"model: {model}"
    yield "train:"
    yield f"  epochs: {200 if count < SMALL else 50}"
    yield f"  batch_size: {32 if count < 20 * SMALL else 256}"
    yield "  optimizer: {name: adamw, lr: 1e-3, weight_decay: 1e-2}"
    yield "  callbacks:"
    yield "    - {use: EarlyStopping, args: {metric: val/loss, patience: 20}}"
    yield "  restore_best: true  # `final` is the version with the lowest validation loss"


def _of_arrays(path: Path, shown: str, target: str | None) -> Draft:
    names = list_npz(path)
    if "x" not in names:
        hint = difflib.get_close_matches("x", [one.lower() for one in names], n=1)
        raise DataError(
            f"{path.name}: no array 'x' for the features{f', nearest: {hint[0]!r}' if hint else ''}"
        )
    wanted = target or "y"
    if wanted not in names:
        raise DataError(f"{path.name}: no array {wanted!r} for the target, {nearest(wanted, names)}")
    arrays = read_npz(path, ["x", wanted])
    x, y = arrays["x"], arrays[wanted]
    task = infer_task_type(y)
    image = x.ndim in (3, 4) and min(x.shape[-2:]) >= 8
    model = (
        "{architecture: cnn, hidden_dims: [32, 64], normalization: batch}"
        if image
        else "{architecture: mlp, hidden_dims: [128, 128], dropout: 0.1}"
    )
    test = "x_test" in names and f"{wanted}_test" in names
    lines = [
        f"# A first experiment for {_note(shown)}: x {tuple(x.shape)}, {_note(wanted)} {tuple(y.shape)}; "
        "by `trainwright init`.",
        "# Train it: trainwright run experiment.yaml",
        f"name: {_quoted(_model_name(Path(shown).stem))}",
        "data:",
        f"  path: {_quoted(shown)}",
        f"  target: {_quoted(wanted)}  # {_about(y, task)}",
        *(
            [
                f"  test: {{features: x_test, target: {wanted}_test}}",
                "  split: {method: stratified, val: 0.1, seed: 0}",
            ]
            if test
            else _split(len(x))
        ),
        f"  operators: [{{use: Standardize, args: {{per: {'all' if image else 'feature'}}}}}]",
        *_rest(task, len(x), model=model),
    ]
    return Draft("\n".join(lines) + "\n", wanted, target is None)
