"""Which part of a spec an error of the user's own code came from."""

from collections.abc import Iterator
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
    except TrainwrightError:
        raise
    except Exception as error:
        error.add_note(f"{_MARK}{part}")
        raise


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
    notes = [one.removeprefix(_MARK) for one in getattr(error, "__notes__", ()) if one.startswith(_MARK)]
    return f"{type(error).__name__}: {error}" + (f" ({', '.join(notes)})" if notes else "")
