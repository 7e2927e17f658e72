"""Values between Arrow and NumPy, by their bytes.

PyArrow's own `to_numpy`, `array` and `scalar` import pandas where it is installed, which takes a quarter of a second.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainwright.base.tree import Array


def to_array(column: Any) -> NDArray[Any]:
    """Gives numbers, booleans or timestamps of Arrow as an array; the values are not copied where that can be.

    Args:
        column: An Arrow array, in one piece or several, shape `(records,)`.

    Returns:
        Shape `(records,)`. Where a value is missing, nan (whole numbers are float64 then) or NaT. What Arrow has no
        bytes for, such as booleans of which some are missing, is given as `to_numpy` gives it.

    Example:
        >>> import pyarrow as pa
        >>> to_array(pa.array([1, None, 3]))
        array([ 1., nan,  3.])
        >>> to_array(pa.array([True, False]))
        array([ True, False])
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    kind = column.type
    if pa.types.is_boolean(kind) and not column.null_count:
        return to_array(column.cast(pa.uint8())).astype(np.bool_)
    if pa.types.is_timestamp(kind):
        moments: NDArray[Any] = to_array(_whole(column.view(pa.int64()))).view(f"datetime64[{kind.unit}]")
        return _mark(moments, column, np.datetime64("NaT"))
    if pa.types.is_integer(kind) and column.null_count:
        column = column.cast(pa.float64(), safe=False)
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return found
    return _mark(np.from_dlpack(_whole(column)), column, np.nan)


def arrow_texts_of(values: Sequence[str]) -> Any:
    """Gives texts as an Arrow array of large strings, shape `(values,)`.

    Example:
        >>> arrow_texts_of(["a", "", "é"]).to_pylist()
        ['a', '', 'é']
    """
    encoded = [one.encode() for one in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.large_string(), len(encoded), buffers)


def arrow_marks(keep: NDArray[np.bool_]) -> Any:
    """Gives booleans as an Arrow array, shape `(records,)`."""
    bits = np.packbits(keep, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(keep), [None, pa.py_buffer(bits)])


def arrow_places(rows: Array) -> Any:
    """Gives whole numbers as an Arrow array of int64, shape `(rows,)`."""
    whole = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(whole), [None, pa.py_buffer(whole)])


BLANK = arrow_texts_of([""])[0]
NOTHING = pa.nulls(1)[0]


def _whole(column: Any) -> Any:
    """Gives the bytes of a column with nothing missing: any value stands where there is none."""
    if not column.null_count:
        return column
    return pa.Array.from_buffers(column.type, len(column), [None, column.buffers()[1]], offset=column.offset)


def _mark(values: NDArray[Any], column: Any, missing: Any) -> NDArray[Any]:
    if not column.null_count:
        return values
    marked = values.copy()
    marked[to_array(column.is_null())] = missing
    return marked
