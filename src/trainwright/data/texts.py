"""Columns of text before they are taken for numbers or dates: trimmed, what is missing null."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainwright.base.bounds import unfolds_too_far
from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.arrow import NOTHING, arrow_texts_of
from trainwright.data.csvtext import MISSING

MAX_LETTERS = 1000  # of one text value: text becomes an array as wide as its longest value


def arrow_texts(values: Any) -> Any:
    """Gives texts without the blanks around them, as one Arrow array of large strings.

    Args:
        values: Text and None in a list or an array, or an Arrow column of text, shape `(records,)`.

    Returns:
        An Arrow array, shape `(records,)`; null where a text is blank or a word for nothing, such as `NA`.

    Raises:
        DataError: If the values are not text.

    Example:
        >>> arrow_texts([" 1,5 ", "", "NA", None]).to_pylist()
        ['1,5', None, None, None]
    """
    try:
        if isinstance(values, pa.Array | pa.ChunkedArray):
            column = values.cast(pa.large_string()) if _holds_text(values.type) else None
        else:
            column = _from_values(values)
    except (pa.ArrowException, TypeError) as error:
        raise DataError(f"the values are not text: {error}") from error
    if column is None:
        raise DataError(f"the values are not text but {values.type}")
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    trimmed = pc.utf8_trim_whitespace(column)
    missing = pc.is_in(trimmed, value_set=arrow_texts_of(sorted(MISSING)))
    return pc.if_else(missing, NOTHING, trimmed)


def _from_values(values: Any) -> Any:
    texts = ["" if one is None else one for one in values]
    if all(isinstance(one, str) for one in texts):
        return arrow_texts_of(texts)
    return pa.array(values, type=pa.large_string())  # refuses them, or takes bytes that are text


def _holds_text(kind: Any) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_null)
    return any(one(kind) for one in text)


def text_array(texts: Sequence[str], what: str) -> Array:
    """Makes an array of texts; each takes as much memory as the longest.

    Raises:
        DataError: If one is longer than 1000 letters, or long among many short ones.
    """
    longest = max(map(len, texts), default=0)
    if longest > MAX_LETTERS:
        raise DataError(f"{what} holds a text of {longest} letters, {MAX_LETTERS} at most")
    claimed = 4 * longest * len(texts)
    if unfolds_too_far(claimed, sum(map(len, texts)) + len(texts)):
        raise DataError(
            f"{what} holds a text of {longest} letters among {len(texts)} short ones, which would take "
            f"{claimed} bytes; shorten it"
        )
    return np.array(texts, dtype=np.str_)
