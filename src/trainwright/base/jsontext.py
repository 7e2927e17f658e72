"""JSON in one canonical spelling, read strictly.

Infinities and NaN are written as `{"$float": "nan" | "inf" | "-inf"}`: JSON has no word for them, and a metric
that is NaN must come back as NaN.
"""

import json
import math
from typing import Any, NoReturn

from trainwright.base.errors import StoreError

MAX_DEPTH = 64
Json = Any  # None, bool, int, float, str, lists and dicts with string keys


def write_json(value: Json) -> str:
    """Writes a value in its one canonical spelling: sorted keys, no spaces, shortest round-trip floats.

    Example:
        >>> write_json({"b": 1e-3, "a": [float("nan"), True]})
        '{"a":[{"$float":"nan"},true],"b":0.001}'
    """
    return json.dumps(
        _typed(value), sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False
    )


def read_json(text: str | bytes, *, what: str = "JSON") -> Json:
    """Reads JSON strictly.

    Args:
        text: The document.
        what: What it is, for the error message.

    Raises:
        StoreError: For broken JSON, a key given twice, the words NaN or Infinity, text that is not UTF-8, lone
            surrogates, or nesting deeper than 64.

    Example:
        >>> read_json('{"a": {"$float": "inf"}}')
        {'a': inf}
        >>> read_json('{"a": 1, "a": 2}')
        Traceback (most recent call last):
        trainwright.base.errors.StoreError: JSON: the key 'a' is given twice
    """

    def refuse_constant(word: str) -> NoReturn:
        raise StoreError(f"{what}: {word} is not JSON")

    def pairs(items: list[tuple[str, Json]]) -> Json:
        found: dict[str, Json] = {}
        for key, value in items:
            if key in found:
                raise StoreError(f"{what}: the key {key!r} is given twice")
            found[key] = value
        if set(found) == {"$float"} and found["$float"] in ("nan", "inf", "-inf"):
            return float(found["$float"])
        return found

    try:
        document = text.decode("utf-8") if isinstance(text, bytes) else text
        _check_depth(document, what)
        value = json.loads(document, object_pairs_hook=pairs, parse_constant=refuse_constant)
        if "\\u" in document:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        return value
    except (UnicodeError, ValueError, RecursionError) as error:
        raise StoreError(f"{what}: {error}") from error


def _check_depth(document: str, what: str) -> None:
    depth, in_string, escaped = 0, False, False
    if document.count("[") + document.count("{") <= MAX_DEPTH:
        return
    for character in document:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise StoreError(f"{what}: nested deeper than {MAX_DEPTH}")
        elif character in "]}":
            depth -= 1


def _typed(value: Json) -> Json:
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"}
    if isinstance(value, dict):
        return {key: _typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_typed(item) for item in value]
    return value
