"""Writes docs/experiment.md and docs/cli.md from the package itself, so that they are never stale."""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import typer

from trainwright.callbacks import CATALOG as CALLBACKS
from trainwright.cli.app import app
from trainwright.ops import CATALOG as OPERATORS
from trainwright.ops.augmentation import Augmentation
from trainwright.ops.operator import Operator
from trainwright.routines import CATALOG as ROUTINES
from trainwright.spec.build import find
from trainwright.spec.experiment import Experiment
from trainwright.spec.fields import describe, fields_of, is_part, options, tag_of, variants
from trainwright.spec.part import Use
from trainwright.spec.schema import field_descriptions

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/make_reference.py (`make docs`) from the docstrings; change those. -->"
CATALOGS = {
    "Operators": (
        "`data.operators`, `data.columns.N.operators` and `data.target_operators`",
        OPERATORS,
        Operator,
    ),
    "Augmentations": ("`data.augment`", OPERATORS, Augmentation),
    "Routines": ("`train.routines`", ROUTINES, object),
    "Callbacks": ("`train.callbacks`", CALLBACKS, object),
}

EXPERIMENT = """\
# The experiment file

One YAML file describes one run. Only `name`, `data` and `model.architecture` must be written; every other field has a
default. Unknown keys are errors, and all errors are reported at once, with line, path and the nearest valid key.
Paths are relative to the file. `trainwright schema` prints the same as JSON Schema, for editors.

`--set a.b=VALUE` changes a field on the command line: the path has points and counts list items from 0, the value is
YAML on one line, such as `--set train.optimizer.lr=1e-2` or `--set 'model.hidden_dims=[64, 64]'`. A field that says
`auto` is decided once, when the run begins; the decision and its reason are shown, and it is kept with the run.

A file that ends in `.py` is an experiment too, if it has a function `experiment()` that returns a
`trainwright.Experiment`; the classes of this page are in `import trainwright`.
"""

BY_NAME = """\
## Parts by name

An operator, a routine or a callback is written `{use: Name, args: {...}}`. A name is one of the catalog below, or
`module:Name` for your own code ([Extending](extending.md)); a constructor's arguments are checked before anything is
trained.
"""

CLI = """\
# The command line

`trainwright COMMAND --help` shows the same. Results go to stdout, progress and messages to stderr; `--json` writes
results as JSON. The store is `--store`, else `$TRAINWRIGHT_HOME`, else `.trainwright` in the working folder.

| exit | meaning |
|---|---|
| 0 | done |
| 1 | failed; for `diff`, `reproduce`, `verify`, `fsck` and `doctor` also: something differs or is wrong |
| 2 | the arguments, the experiment, the data or the backend are at fault |
| 130 | interrupted by Ctrl-C, after a checkpoint |

A `REF` names a version: `name` (its best version), `name@best`, `name@final`, `name@latest`, `name@7`, `name@epoch=7`,
`name@step=700`, `name@tag`; a run's id or the beginning of one, alone or with the same endings; or the first 8 or more
digits of a weight digest. `best` and `final` of a name are those of its latest finished run.
"""


def write_experiment() -> str:
    """Gives docs/experiment.md."""
    lines = [NOTE, "", EXPERIMENT]
    for title, part in _sections(Experiment, ""):
        lines += [f"## {title}", "", _summary(part), "", *_fields(part), ""]
    lines += [BY_NAME, _summary(Use), "", *_fields(Use), ""]
    for title, (where, catalog, role) in CATALOGS.items():
        lines += [f"### {title}", "", f"In {where}.", ""]
        made = {name: find(name, catalog, where=name) for name in sorted(catalog)}
        for name, one in made.items():
            if issubclass(one, role):
                lines += [*_entry(name, one), ""]
    return "\n".join(lines).rstrip() + "\n"


def write_cli() -> str:
    """Gives docs/cli.md."""
    lines = [NOTE, "", CLI]
    for name, command in _commands(typer.main.get_command(app), "trainwright"):
        if not hasattr(command, "commands"):
            lines += [f"## `{name}`", "", " ".join(command.help.split()), "", *_usage(name, command), ""]
    return "\n".join(lines).rstrip() + "\n"


def _sections(part: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield (f"`{path}`" if path else "The experiment"), part
    for name, annotation in fields_of(part).items():
        here = f"{path}.{name}" if path else name
        chosen = variants(annotation)
        for tag, variant in chosen.items():
            yield f"`{here}`: `{tag}`", variant
            for inner, inside in fields_of(variant).items():
                # What such an item holds in its turn has its own section here already.
                lists = [option for option in options(inside) if option.kind is list and is_part(option.item)]
                yield from ((f"`{here}.{inner}.N`", option.item) for option in lists)
        for option in () if chosen else options(annotation):
            if is_part(option.kind):
                yield from _sections(option.kind, here)
            # Parts by name have a section of their own, below all others.
            elif option.kind is list and is_part(option.item) and option.item is not Use:
                yield from _sections(option.item, f"{here}.N")


def _fields(part: Any) -> list[str]:
    lines = ["| field | type | default | meaning |", "|---|---|---|---|"]
    meanings = field_descriptions(part)
    for name, annotation in fields_of(part).items():
        field = part.model_fields[name]
        default = "required" if field.is_required() else _value(field.get_default(call_default_factory=True))
        lines.append(_row(f"`{name}`", _type(annotation), default, meanings[name]))
    return lines


def _type(annotation: Any) -> str:
    if variants(annotation):
        names = ", ".join(f"`{name}`" for name in variants(annotation))
        bare = [option for option in options(annotation) if option.kind is Literal]
        also = ""
        if any(set(one.values) & set(variants(annotation)) for one in bare):
            whole = any(set(one.values) >= set(variants(annotation)) for one in bare)
            also = ", or its bare name" + ("" if whole else " where nothing else is required")
        auto = ", or `auto`" if any("auto" in one.values for one in bare) else ""
        return f"one of {names}, by `{tag_of(annotation)}`{also}{auto}"
    if any(option.item is Use for option in options(annotation)):
        rest = " or `auto`" if any("auto" in option.values for option in options(annotation)) else ""
        return f"a list of parts by name{rest}"
    parts = [option for option in options(annotation) if is_part(option.kind)]
    return f"a mapping{' or null' if len(options(annotation)) > 1 else ''}" if parts else describe(annotation)


def _value(value: Any) -> str:
    if hasattr(value, "model_dump"):
        written = value.model_dump(exclude_unset=True)
        return (
            f"`{{{', '.join(f'{key}: {item}' for key, item in written.items())}}}`"
            if written
            else "its defaults"
        )
    if value is None or isinstance(value, bool):
        return f"`{'null' if value is None else str(value).lower()}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def _entry(name: str, made: Any) -> list[str]:
    lines = [f"#### `{name}`", "", _summary(made), ""]
    meanings = field_descriptions(made)
    # What `fit` learns is a field of the operator, but nobody writes it in a spec.
    learnt = {key for key, text in meanings.items() if text.startswith("Learnt by")}
    signature = inspect.signature(made).parameters
    if unsaid := set(signature) - set(meanings):
        raise SystemExit(f"{name}: its docstring does not say what {', '.join(sorted(unsaid))} mean")
    rows = [
        _row(f"`{key}`", _default(one), meanings[key]) for key, one in signature.items() if key not in learnt
    ]
    return (
        [*lines, "| argument | default | meaning |", "|---|---|---|", *rows]
        if rows
        else [*lines, "No arguments."]
    )


def _default(parameter: inspect.Parameter) -> str:
    return "required" if parameter.default is inspect.Parameter.empty else _value(parameter.default)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for key, inner in getattr(command, "commands", {}).items():
        yield from _commands(inner, f"{name} {key}")


def _usage(name: str, command: Any) -> list[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    chosen = [one for one in command.params if one.param_type_name == "option"]
    words = [one.name.upper() if one.required else f"[{one.name.upper()}]" for one in arguments]
    lines = ["```text", " ".join([name, *words, *(["[OPTIONS]"] if chosen else [])]), "```"]
    if arguments or chosen:
        lines += ["", "| | |", "|---|---|"]
    lines += [_row(f"`{one.name.upper()}`", one.help) for one in arguments]
    for one in chosen:
        value = "" if one.is_flag else f" {one.metavar or max(one.opts, key=len).strip('-').upper()}"
        default = f" Default: `{one.default}`." if isinstance(one.default, str) else ""
        lines.append(_row(f"`{', '.join(one.opts)}{value}`", f"{one.help}{default}"))
    return lines


def _summary(thing: Any) -> str:
    text = inspect.getdoc(thing) or ""
    paragraphs = text.split("\nArgs:")[0].split("\nExample:")[0].split("\nRaises:")[0].strip().split("\n\n")
    return "\n\n".join(_math(" ".join(one.split())) for one in paragraphs)


def _math(text: str) -> str:
    if text.startswith(".. math:: "):
        return f"$${text.removeprefix('.. math:: ')}$$"
    while ":math:`" in text:
        before, _, after = text.partition(":math:`")
        formula, _, after = after.partition("`")
        text = f"{before}${formula}${after}"
    return text


def _row(*cells: str) -> str:
    return f"| {' | '.join(_math(cell).replace('|', chr(92) + '|') for cell in cells)} |"


PAGES = {"experiment.md": write_experiment, "cli.md": write_cli}

if __name__ == "__main__":
    for page, write in PAGES.items():
        (HERE / page).write_text(write())
        print(HERE / page, file=sys.stderr)
