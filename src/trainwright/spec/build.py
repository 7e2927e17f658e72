"""From a name in a spec to an object: catalog entries, and the user's own code as `module:Name`."""

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from trainwright.base.blame import raised_in
from trainwright.base.digest import digest_bytes
from trainwright.base.errors import SpecError
from trainwright.spec.part import Use

_OF_PYTHON = frozenset(sys.stdlib_module_names) | {"__main__"}


def own_code_from(folder: Path) -> None:
    """Lets `module:Name` find modules in a folder, after everything that is installed."""
    place = str(folder.resolve())
    if place not in sys.path:
        sys.path.append(place)


def is_of_python(name: str) -> bool:
    """Says whether `module:Name` is a module of Python itself.

    None holds what a spec may use, and some do something when they are imported.

    Example:
        >>> is_of_python("os:system"), is_of_python("my_ops:Log"), is_of_python("Scale")
        (True, False, False)
    """
    return ":" in name and name.partition(":")[0].partition(".")[0] in _OF_PYTHON


def own_code(tree: Any, folder: Path) -> dict[str, str]:
    """Names the file of each `module:Name` that a spec uses by its SHA-256; `missing` where there is none.

    What such a module imports in its turn is not followed.

    Args:
        tree: Of the spec, as plain values.
        folder: As of `own_code_from`.
    """
    own_code_from(folder)
    found: dict[str, str] = {}
    for name in sorted(_used(tree)):
        try:
            origin = _origin(name.partition(":")[0])
            content = Path(origin).read_bytes() if origin else None
        except (ImportError, ValueError, OSError):
            content = None
        found[name] = "missing" if content is None else digest_bytes(content)
    return found


def _origin(module: str) -> str | None:
    """Gives the file of a module and imports nothing: Keras, for one, decides for good when it is imported."""
    first, *rest = module.split(".")
    spec = importlib.util.find_spec(first)
    for number, _ in enumerate(rest, 2):
        if spec is None:
            return None
        path, inner = spec.submodule_search_locations, ".".join(module.split(".")[:number])
        spec = None if path is None else PathFinder.find_spec(inner, path)
    return None if spec is None else spec.origin


def _used(node: Any) -> set[str]:
    if isinstance(node, Mapping):
        own = {node["use"]} if isinstance(node.get("use"), str) and ":" in node["use"] else set()
        return own.union(*map(_used, node.values()))
    return set().union(*map(_used, node)) if isinstance(node, list | tuple) else set()


def find(name: str, catalog: Mapping[str, str], *, where: str) -> Any:
    """Imports what a name stands for.

    Args:
        name: A key of the catalog, or `module:Name`.
        catalog: Names and the places they stand for, `"package.file:Name"`.
        where: Path in the spec, for the error message.

    Raises:
        SpecError: If the name is unknown or its module cannot be imported.

    Example:
        >>> find("collections:OrderedDict", {}, where="x").__name__
        'OrderedDict'
        >>> find("Scal", {"Scale": "..."}, where="data.operators.0")
        Traceback (most recent call last):
        trainwright.base.errors.SpecError: data.operators.0.use: unknown name 'Scal', nearest: 'Scale'
    """
    place = name if ":" in name else catalog.get(name)
    if place is None:
        if not catalog:
            raise SpecError(f"{where}.use: unknown name {name!r}; write module:Name")
        near = difflib.get_close_matches(name, catalog, n=1)
        hint = f"nearest: {near[0]!r}" if near else f"known: {', '.join(sorted(catalog))}"
        raise SpecError(f"{where}.use: unknown name {name!r}, {hint}")
    module, _, attribute = place.partition(":")
    if not all(word.isidentifier() for word in (*module.split("."), *attribute.split("."))):
        raise SpecError(f"{where}.use: {place!r} is no place of code; write module:Name")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(f"{where}.use: {place!r} cannot be imported: {error}") from error


def build(part: Use, catalog: Mapping[str, str], *, where: str, has: Sequence[str] = ()) -> Any:
    """Makes the object that a `{use, args}` of a spec describes.

    Args:
        part: From the spec.
        catalog: As of `find`.
        where: Path in the spec, for the error message.
        has: Methods that its class must have, as an error shows them: `optax(rate)`, or the name alone.

    Raises:
        SpecError: If the name is unknown, it is no class with these methods, or the arguments do not fit the
            constructor; the nearest argument is named.

    Example:
        >>> build(Use(use="fractions:Fraction", args={"numerator": 3}), {}, where="x")
        Fraction(3, 1)
    """
    return construct(choose(part, catalog, where=where, has=has), part, where=where)


def choose(part: Use, catalog: Mapping[str, str], *, where: str, has: Sequence[str] = ()) -> Any:
    """Imports what a `{use, args}` names, and checks that the arguments fit; nothing is called.

    Args:
        part: From the spec.
        catalog: As of `find`.
        where: Path in the spec, for the error message.
        has: As of `build`.

    Raises:
        SpecError: As `build`.

    Example:
        >>> choose(Use(use="fractions:Fraction", args={"numerator": 3}), {}, where="x")
        <class 'fractions.Fraction'>
    """
    # A spec is not trusted to call just anything: what is called is a class with the methods of its role. Nor to
    # import it: some modules of Python do something when they are, and none has such a class.
    refusal = f"{where}.use: {part.use!r} is not a class with {', '.join(has)}; it is not called"
    if has and is_of_python(part.use):
        raise SpecError(refusal)
    made = find(part.use, catalog, where=where)
    if has and not inspect.isclass(made):
        raise SpecError(refusal)
    names = [method.partition("(")[0] for method in has]
    missing = [f"`{name}`" for name in names if not callable(getattr(made, name, None))]
    if missing:
        lacks = f"{part.use} has no method{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
        raise SpecError(f"{where}.use: {lacks}; it needs {', '.join(has)}")
    _check_arguments(made, part, where=where)
    return made


def _check_arguments(made: Any, part: Use, *, where: str) -> None:
    try:
        signature = inspect.signature(made)
    except ValueError:
        return  # a constructor in C shows no signature; calling it is the check
    except TypeError as error:
        raise SpecError(f"{where}.use: {part.use!r} is not a class") from error
    # Before what is missing: a misspelt argument leaves a gap where the right one is required.
    superfluous = _superfluous(signature, part.args)
    if superfluous:
        raise SpecError(f"{where}.args: {part.use}: {'; '.join(superfluous)}")
    try:
        signature.bind(**part.args)
    except TypeError as error:
        raise SpecError(f"{where}.args: {part.use}: {error}") from error


def _superfluous(signature: inspect.Signature, args: Mapping[str, Any]) -> list[str]:
    """Says of each argument that a constructor does not take what may have been meant."""
    kinds = {name: one.kind for name, one in signature.parameters.items()}
    if inspect.Parameter.VAR_KEYWORD in kinds.values():
        return []
    known = [name for name, kind in kinds.items() if kind != inspect.Parameter.VAR_POSITIONAL]
    told = f", known: {', '.join(known)}" if known else "; the constructor takes none"
    found = []
    for name in (one for one in args if one not in known):
        near = difflib.get_close_matches(name, known, n=1)
        hint = f", nearest: {near[0]!r}" if near else told
        found.append(f"got an unexpected keyword argument {name!r}{hint}")
    return found


def construct(made: Any, part: Use, *, where: str) -> Any:
    """Calls what `choose` gave with the arguments of the spec.

    Raises:
        SpecError: If it refuses them.

    Example:
        >>> from fractions import Fraction
        >>> construct(Fraction, Use(use="fractions:Fraction", args={"numerator": 3}), where="x")
        Fraction(3, 1)
    """
    try:
        with raised_in(f"{where}: {part.use}"):
            return made(**part.args)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{where}.args: {part.use}: {error}") from error
