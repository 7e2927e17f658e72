"""JSON in one canonical spelling, read strictly.

Infinities and NaN are written as `{"$float": "nan" | "inf" | "-inf"}`: JSON has no word for them, and a metric
that is NaN must come back as NaN.
"""

import json
import math
from collections import Counter
from typing import Any, NoReturn

import numpy as np

from trainwright.base.bounds import excerpt
from trainwright.base.errors import StoreError

MAX_DEPTH = 64
MAX_VALUES = 1_200_000  # a file of 100 000 tensors needs 1.0 million
MAX_KEYS = 450_000
MAX_DIGITS = 4300
_BLOCK = 2**22
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
Json = Any  # None, bool, int, float, str, lists and dicts with string keys


def write_json(value: Json) -> str:
    """Writes a value in its one canonical spelling: sorted keys, no spaces, shortest round-trip floats.

    Example:
        >>> write_json({"b": 1e-3, "a": [float("nan"), True]})
        '{"a":[{"$float":"nan"},true],"b":0.001}'
    """
    try:
        return _ENCODER.encode(value)
    except ValueError:  # NaN or an infinity is somewhere in it; to look for them each time would take longer
        return _ENCODER.encode(_typed(value))


def read_json(text: str | bytes, *, what: str = "JSON") -> Json:
    """Reads JSON strictly.

    Args:
        text: The document.
        what: What it is, for the error message.

    Raises:
        StoreError: For broken JSON, a key given twice, the words NaN or Infinity, a number beyond float64, text that
            is not UTF-8, lone surrogates, nesting deeper than 64, or more than 1.2 million values.

    Example:
        >>> read_json('{"a": {"$float": "inf"}}')
        {'a': inf}
        >>> read_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        trainwright.base.errors.StoreError: JSON: the key 'a' is given twice
    """

    def refuse_constant(word: str) -> NoReturn:
        raise StoreError(f"{what}: {word} is not JSON")

    def number(digits: str) -> float:
        value = float(digits)
        if math.isinf(value):  # it would come back as an infinity that nobody wrote
            raise StoreError(f"{what}: the number {excerpt(digits)} is beyond float64")
        return value

    def pairs(items: list[tuple[str, Json]]) -> Json:
        found = dict(items)
        if len(found) != len(items):
            twice = Counter(key for key, _ in items).most_common(1)[0][0]
            raise StoreError(f"{what}: the key {excerpt(twice)} is given twice")
        if len(found) == 1 and found.get("$float") in ("nan", "inf", "-inf"):
            return float(found["$float"])
        return found

    try:
        document = text.decode("utf-8") if isinstance(text, bytes) else text
        _check_size(document, what)
        value = json.loads(
            document, object_pairs_hook=pairs, parse_constant=refuse_constant, parse_float=number
        )
        if "\\u" in document:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (UnicodeError, ValueError, RecursionError) as error:
        if str(error).startswith("Exceeds the limit"):  # of Python, on digits; its cure is no user's
            raise StoreError(f"{what}: a whole number of more than {MAX_DIGITS} digits") from error
        raise StoreError(f"{what}: {error}") from error


def _check_size(document: str, what: str) -> None:
    """Refuses what would take far more memory or time to read than its letters do."""
    opened = document.count("[") + document.count("{")
    values, keys = opened + document.count(","), document.count(":")
    if opened <= MAX_DEPTH and values <= MAX_VALUES and keys <= MAX_KEYS:
        return
    plain = document.replace("\\\\", "").replace('\\"', "")
    values = keys = depth = 0
    inside = False  # of a string
    for begin in range(0, len(plain), _BLOCK):
        letters = np.frombuffer(
            plain[begin : begin + _BLOCK].encode("utf-8", "surrogatepass"), dtype=np.uint8
        )
        quoted = np.logical_xor.accumulate(letters == ord('"')) ^ inside
        bare, inside = letters[~quoted], bool(quoted[-1])
        opens = (bare == ord("[")) | (bare == ord("{"))
        closes = (bare == ord("]")) | (bare == ord("}"))
        values += int(opens.sum() + (bare == ord(",")).sum())
        keys += int((bare == ord(":")).sum())
        depths = depth + np.cumsum(opens.astype(np.int32) - closes)
        if values > MAX_VALUES or keys > MAX_KEYS:
            raise StoreError(f"{what}: more than {MAX_VALUES} values, or {MAX_KEYS} keys; it is not read")
        if len(depths) and depths.max() > MAX_DEPTH:
            raise StoreError(f"{what}: nested deeper than {MAX_DEPTH}")
        depth = int(depths[-1]) if len(depths) else depth


def _typed(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(item) for item in value]
    return value
