"""Which part of a spec an error of the user's own code came from."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from trainwright.base.errors import TrainwrightError

_MARK = "trainwright: raised in "


@contextmanager
def raised_in(part: str) -> Iterator[None]:
    """Adds to an error which part raised it; Python shows that below the traceback, which is left as it is.

    What the package itself raises says so in its message already.

    Args:
        part: Path in the spec, and the place of the code.

    Example:
        >>> try:
        ...     with raised_in("train.loss: costs:Late.torch"):
        ...         1 / 0
        ... except ZeroDivisionError as error:
        ...     spell_error(error)
        'ZeroDivisionError: division by zero (train.loss: costs:Late.torch)'
    """
    try:
        yield
    except Exception as error:
        blame(error, part)
        raise


def blame(error: Exception, part: str) -> None:
    """Adds to an error which part raised it, as `raised_in` does: for an `except`, which costs nothing."""
    if not isinstance(error, TrainwrightError):
        error.add_note(f"{_MARK}{part}")


def blame_owner(error: Exception, owners: Mapping[str, object], *, library: tuple[str, ...]) -> None:
    """Adds to an error which of some objects raised it, if one did; as `raised_in` where a library calls them.

    It is found in the traceback, so that a call of their methods costs nothing.

    Args:
        error: Just caught.
        owners: Each object by its path in the spec.
        library: What the modules of the library begin with: what its base classes do is not the objects' own.
    """
    if any(one.startswith(_MARK) for one in _notes(error)):
        return
    for part, one in owners.items():
        method = _find_method(error, one, library)
        if method is not None:
            blame(error, f"{part}: {spell_place(one)}.{method}")
            return


def _find_method(error: Exception, owner: object, library: tuple[str, ...]) -> str | None:
    """Gives the outermost method of an object that is under way, or the one that could not even be called."""
    own = type(owner).__module__
    for frame, _ in traceback.walk_tb(error.__traceback__):
        code, module = frame.f_code, str(frame.f_globals.get("__name__"))
        of_it = code.co_argcount > 0 and frame.f_locals.get(code.co_varnames[0]) is owner
        if of_it and (module == own or not module.startswith(library)):
            return code.co_name
    # Arguments that do not fit are noticed by whoever calls; Python names the method: `Class.method() takes ...`.
    called, _, method = str(error).partition("() ")[0].rpartition(".")
    for base in type(owner).__mro__ if isinstance(error, TypeError) else ():
        if base.__qualname__ == called and method in vars(base) and not base.__module__.startswith(library):
            return method
    return None


def spell_place(one: object) -> str:
    """Gives where the class of an object is written, as a spec names it.

    Example:
        >>> from fractions import Fraction
        >>> spell_place(Fraction(1, 2))
        'fractions:Fraction'
    """
    return f"{type(one).__module__}:{type(one).__qualname__}"


def spell_error(error: BaseException) -> str:
    """Gives kind and message of an error, and the part it came from, in one line for the record."""
    notes = [one.removeprefix(_MARK) for one in _notes(error) if one.startswith(_MARK)]
    return f"{type(error).__name__}: {error}" + (f" ({', '.join(notes)})" if notes else "")


def _notes(error: BaseException) -> list[str]:
    return getattr(error, "__notes__", [])
