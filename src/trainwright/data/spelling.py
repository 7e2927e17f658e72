"""How a category is spelled, whatever file it comes from and whatever records come with it."""

import math
import re
from typing import Any

import numpy as np

from trainwright.base.tree import Array

_NUMBER = re.compile(r"[+-]?(\d++(\.\d*+)?|\.\d++)([eE][+-]?\d++)?", re.ASCII)
_WORDS = {"true": "true", "false": "false"}


def spell(value: Any, *, decimal: str = ".") -> str:
    """Spells one value as a category: `7`, `7.0` and `007` are one, and so are `True` and `true`.

    A reader makes numbers of a column of digits, but text as soon as one record holds a letter; a column of whole
    numbers becomes one of floats as soon as one is missing. The spelling depends on the value alone.

    Args:
        value: Text, a number, a boolean, a date, or what stands for nothing (None, nan, NaT, `pandas.NA`).
        decimal: The decimal mark, in text.

    Returns:
        The spelling, blank where there is nothing.

    Example:
        >>> [spell(one) for one in (" A12 ", "007", 7.0, "1.50", True, None, float("nan"))]
        ['A12', '7', '7', '1.5', 'true', '', '']
    """
    if is_nothing(value):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return _spell_number(value) if isinstance(value, float) else str(value)
    text = value.strip()
    plain = text.replace(",", ".", 1) if decimal == "," else text
    if not _NUMBER.fullmatch(plain):
        return _WORDS.get(text.lower(), text)
    sign_free = plain.lstrip("+-")
    if sign_free.isdigit():
        # Of any size: neither a float nor an int on the way, which ends at 4300 digits.
        whole = sign_free.lstrip("0") or "0"
        return f"-{whole}" if plain.startswith("-") and whole != "0" else whole
    number = float(plain)
    return _spell_number(number) if math.isfinite(number) else text


def is_nothing(value: Any) -> bool:
    """Says whether a value stands for a missing one: None, nan, NaT or `pandas.NA`; no text does.

    Example:
        >>> [is_nothing(one) for one in (None, float("nan"), "nan", 0, False)]
        [True, True, False, False, False]
    """
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "NaT", "<NA>"))


def spell_classes(y: Array, *, like: Array) -> Array:
    """Makes whole numbers text where the classes are text: of `1`, `2`, `x`, a part may hold numbers only.

    Example:
        >>> spell_classes(np.array([1, 2]), like=np.array(["1", "2", "x"]))
        array(['1', '2'], dtype='<U21')
    """
    return y.astype(np.str_) if like.dtype.kind == "U" and y.dtype.kind in "iu" else y


def _spell_number(value: float) -> str:
    return str(int(value)) if value.is_integer() else str(value)
