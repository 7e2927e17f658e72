"""An experiment from a file, YAML or Python, with all its faults at once."""

import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import ValidationError

from trainwright.base.errors import SpecError, TrainwrightError
from trainwright.spec.edit import Change, blame, change, parse_change, spell_change
from trainwright.spec.experiment import Experiment
from trainwright.spec.faults import Fault, faults_of, find_faults, spell
from trainwright.spec.part import Part
from trainwright.spec.text import MAX_BYTES, Json, Mark, Yaml, read_text

P = TypeVar("P", bound=Part)


@dataclass(frozen=True)
class Document:
    """An experiment and where it comes from.

    Args:
        experiment: What was described.
        folder: Where relative paths in it start.
        file: The file it was read from; None if it was made in Python.
    """

    experiment: Experiment
    folder: Path
    file: Path | None


def read_experiment(path: str | Path, *, changes: Sequence[str] = ()) -> Document:
    r"""Reads an experiment from a file.

    Args:
        path: A .yaml or .yml file, or a .py file with `def experiment() -> Experiment`, which is run as the
            user's own code.
        changes: `path=value`, as after `--set`; see `edit`.

    Raises:
        SpecError: If the file or a change is wrong. The message has a line for each fault,
            `FILE:LINE:COLUMN: path: what is wrong; cure`.

    Example:
        >>> _ = Path("a.yaml").write_text("name: a\ndata: {path: a.csv}\nmodel: {architecture: mlp}\n")
        >>> read_experiment("a.yaml", changes=["train.epochs=3"]).experiment.train.epochs
        3
    """
    file = Path(path)
    parsed: list[Change] = []
    faults: list[str] = []
    for text in changes:
        try:
            parsed.append(parse_change(text))
        except SpecError as error:
            faults.append(str(error))
    if file.suffix in (".yaml", ".yml"):
        found = read_text(_content(file), where=str(file))
    elif file.suffix == ".py":
        tree = _from_python(file).model_dump(mode="json", exclude_unset=True)
        found = Yaml(tree, {}, {}, [])  # positions are known of text only
    else:
        raise SpecError(f"{file}: an experiment is a .yaml, .yml or .py file")
    experiment = _check(found, file, parsed, faults)
    return Document(experiment, file.absolute().parent, file.absolute())


def check_tree(tree: Json, *, what: str = "spec") -> Experiment:
    """Makes an experiment from plain values, such as those kept with a run.

    Args:
        tree: The values, as `Experiment.tree` gives them.
        what: Where they come from, for the error message.

    Raises:
        SpecError: If they describe no experiment; all faults, a line each.

    Example:
        >>> check_tree({"name": "a", "data": {"path": "a.csv"}, "model": {"architecture": "mlp"}}).name
        'a'
    """
    faults = find_faults(tree, Experiment)
    if faults:
        raise SpecError("\n".join(f"{what}: {fault}" for fault in faults))
    return Experiment.model_validate(tree)


def _check(found: Yaml, file: Path, changes: Sequence[Change], faults: list[str]) -> Experiment:
    if not isinstance(found.value, dict):
        raise SpecError(f"{_spot(file, found.values[()])}: an experiment is a mapping, `name: ...` and so on")
    tree, nowhere = change(found.value, changes)
    paths = [path for path, _ in changes]
    known = {tuple(map(str, path)) for path in found.values}
    placed: list[tuple[Mark | None, str]] = []
    placed += [(mark, f"{spell(path)}: {text}" if path else text) for mark, path, text in found.faults]
    of_changes = [spell_change(fault, blame(fault, paths, known=known)) for fault in nowhere]
    for fault in find_faults(tree, Experiment):
        culprit = blame(fault, paths, known=known)
        if culprit is not None:
            of_changes.append(spell_change(fault, culprit))
        elif not any(mark == _mark(fault, found) and path == fault.path for mark, path, _ in found.faults):
            placed.append((_mark(fault, found), str(fault)))
    placed.sort(key=lambda pair: pair[0] or Mark(0, 0))
    lines = [f"{_spot(file, mark)}: {text}" for mark, text in placed] + faults + of_changes
    if lines:
        raise SpecError("\n".join(lines))
    return Experiment.model_validate(tree)


def read_part(tree: Mapping[str, Any], part: type[P], *, where: str) -> P:
    """Makes one part of an experiment of a mapping.

    Args:
        tree: Plain values.
        part: Such as `ModelSpec`.
        where: Path of the part, with which messages begin.

    Raises:
        SpecError: If it is wrong anywhere; all faults at once.

    Example:
        >>> from trainwright.spec.model import ModelSpec
        >>> read_part({"architecture": "mlp", "dropuot": 0.1}, ModelSpec, where="model")
        Traceback (most recent call last):
        trainwright.base.errors.SpecError: model.dropuot: unknown key 'dropuot', nearest: 'dropout'
    """
    faults = find_faults(dict(tree), part)
    if faults:
        raise SpecError("\n".join(f"{where}.{fault}" for fault in faults))
    return part.model_validate(dict(tree))


def _mark(fault: Fault, found: Yaml) -> Mark | None:
    if fault.at == "key" and fault.path in found.keys:
        return found.keys[fault.path]
    path = fault.path[:-1] if fault.at == "parent" else fault.path
    while path and path not in found.values:
        path = path[:-1]
    return found.values.get(path)


def _spot(file: Path, mark: Mark | None) -> str:
    return f"{file}:{mark.line}:{mark.column}" if mark else str(file)


def _content(file: Path) -> bytes:
    try:
        if not file.is_file():
            raise SpecError(f"{file}: there is no such file")
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{file}: it cannot be read: {error.strerror}") from error


def _from_python(file: Path) -> Experiment:
    source = _content(file)
    try:
        with _module_of(file) as module:
            # Not the import system: it would leave bytecode beside the file and might run a stale one.
            exec(compile(source, str(file), "exec"), module.__dict__)  # noqa: S102
            make = getattr(module, "experiment", None)
            if not callable(make):
                raise SpecError(f"{file}: it has no `def experiment() -> Experiment`")
            made = make()
    except TrainwrightError:
        raise
    except ValidationError as error:
        raise SpecError(_explain(error, f"{file}:{_line(error, file)}")) from error
    except SyntaxError as error:
        raise SpecError(f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}") from error
    except Exception as error:
        raise SpecError(f"{file}:{_line(error, file)}: {type(error).__name__}: {error}") from error
    if not isinstance(made, Experiment):
        raise SpecError(f"{file}: experiment() gave {type(made).__name__}, not an Experiment")
    return made


@contextmanager
def _module_of(file: Path) -> Iterator[ModuleType]:
    module = ModuleType("trainwright_experiment_file")
    module.__file__ = str(file)
    folder = str(file.absolute().parent)
    # The user's file may import its neighbours, and dataclasses look up the module they are defined in.
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module
    try:
        yield module
    finally:
        sys.path.remove(folder)
        del sys.modules[module.__name__]


def _explain(error: ValidationError, where: str) -> str:
    part = next((part for part in _parts(Part) if part.__name__ == error.title), None)
    if part is None:
        return f"{where}: {error}"
    return "\n".join(f"{where}: {part.__name__}: {fault}" for fault in faults_of(error, part))


def _parts(root: type[Part]) -> Iterator[type[Part]]:
    for part in root.__subclasses__():
        yield part
        yield from _parts(part)


def _line(error: Exception, file: Path) -> int:
    lines = [
        number
        for frame, number in traceback.walk_tb(error.__traceback__)
        if frame.f_code.co_filename == str(file)
    ]
    return lines[-1] if lines else 1
