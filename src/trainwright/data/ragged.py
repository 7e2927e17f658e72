"""Sequences of different lengths: padded to one array, with a mask where there are values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from trainwright.base.errors import DataError
from trainwright.base.machine import hardware
from trainwright.base.tree import Array
from trainwright.data.arrow import to_array
from trainwright.data.npy import list_npz, read_npz

LENGTHS = "_lengths"


@dataclass(frozen=True, slots=True)
class Ragged:
    """Sequences one after another.

    Args:
        values: Numbers or booleans, shape `(total,)` or `(total, channels)`.
        lengths: How many values each record has, at least one; int64, shape `(records,)`.
    """

    values: Array
    lengths: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.lengths)


@dataclass(frozen=True, slots=True)
class Padded:
    """Sequences as one array.

    Args:
        values: Shape `(records, channels + 1, length)` of numbers, the last channel being the mask (1 where there is a
            value, 0 in the padding), or `(records, length)` of token ids.
        truncated: How many records were longer than was allowed and lost their end.
    """

    values: Array
    truncated: int


def ragged_of(sequences: Any) -> Ragged:
    """Puts sequences one after another.

    Args:
        sequences: One of: a list of sequences, each of shape `(length,)` or `(length, channels)`; an Arrow column of
            lists of numbers, or of lists of lists with one number per channel; a pair `(values, lengths)` as in
            `Ragged`, which must be a tuple.

    Raises:
        DataError: If there are none, one is empty or missing, or they differ in their channels; if something is no
            number; if the lengths do not add up. The first record that is wrong is named.

    Example:
        >>> ragged_of([[1, 2, 3], [4]])
        Ragged(values=array([1, 2, 3, 4]), lengths=array([3, 1]))
    """
    if isinstance(sequences, Ragged):
        found = sequences
    elif isinstance(sequences, pa.Array | pa.ChunkedArray):
        found = _from_arrow(sequences)
    elif isinstance(sequences, tuple):
        found = _from_pair(*sequences)
    else:
        found = _from_list(sequences)
    return _check(found)


def read_ragged_npz(path: Path, name: str) -> Ragged:
    """Reads sequences from an .npz file: the array `<name>` of values and the array `<name>_lengths`.

    Raises:
        DataError: If one of the two is not there, cannot be read, or they do not belong together.
    """
    known = list_npz(path)
    for wanted in (name, name + LENGTHS):
        if wanted not in known:
            raise DataError(
                f"{path.name}: no array {wanted!r}; sequences are the arrays {name!r}, one sequence after another, "
                f"and {name + LENGTHS!r}, there are: {', '.join(known) or 'none'}"
            )
    arrays = read_npz(path, [name, name + LENGTHS])
    try:
        return ragged_of((arrays[name], arrays[name + LENGTHS]))
    except DataError as error:
        raise DataError(f"{path.name}: array {name!r}: {error}") from error


def pad_sequences(
    sequences: Any, *, min_length: int = 1, max_length: int | None = None, dtype: str = "float32"
) -> Padded:
    """Pads sequences of numbers with zeros at their end and adds the mask as a last channel.

    Args:
        sequences: As `ragged_of` takes them.
        min_length: The result is at least this long; with `max_length` equal to it, exactly.
        max_length: Longer sequences lose their end; None keeps all.
        dtype: `float32` or `float64`.

    Returns:
        Values of shape `(records, channels + 1, length)`.

    Raises:
        DataError: As `ragged_of`; if the result does not fit into memory.

    Example:
        >>> pad_sequences([[1, 2, 3], [4]]).values
        array([[[1., 2., 3.],
                [1., 1., 1.]],
        <BLANKLINE>
               [[4., 0., 0.],
                [1., 0., 0.]]], dtype=float32)
    """
    if dtype not in ("float32", "float64"):
        raise ValueError(f"sequences are padded as float32 or float64, not {dtype}")
    ragged = ragged_of(sequences)
    flat = ragged.values.reshape(len(ragged.values), -1)
    mask, kept, truncated = _places(ragged.lengths, min_length, max_length)
    channels = flat.shape[1]
    _check_memory((channels + 1) * mask.size * np.dtype(dtype).itemsize)
    padded = np.zeros((len(ragged), channels + 1, mask.shape[1]), dtype=dtype)
    steps = padded.transpose(0, 2, 1)  # a view: records, steps, channels
    steps[:, :, :channels][mask] = flat[kept]
    steps[:, :, channels] = mask
    return Padded(padded, truncated)


def pad_tokens(sequences: Any, *, min_length: int = 1, max_length: int | None = None) -> Padded:
    """Pads sequences of token ids with 0 at their end.

    Args:
        sequences: As `ragged_of` takes them; integers from 1.
        min_length: As in `pad_sequences`.
        max_length: As in `pad_sequences`.

    Returns:
        Values as int64, shape `(records, length)`.

    Raises:
        DataError: As `pad_sequences`; if an id is no integer or below 1, which names the first such record.

    Example:
        >>> pad_tokens([[5, 6, 7], [8]], max_length=2)
        Padded(values=array([[5, 6],
               [8, 0]]), truncated=1)
    """
    ragged = ragged_of(sequences)
    ids: Any = ragged.values
    if ids.dtype.kind not in "iu" or ids.ndim != 1:
        raise DataError(f"token ids are integers, one per place; these are {ids.dtype} of shape {ids.shape}")
    bad = np.flatnonzero((ids < 1) | (ids > np.iinfo(np.int64).max))
    if len(bad):
        first = int(bad[0])
        raise DataError(
            f"record {_record(first, ragged.lengths)} holds the token id {ids[first]}; ids begin at 1, 0 is the padding"
        )
    mask, kept, truncated = _places(ragged.lengths, min_length, max_length)
    _check_memory(mask.size * 8)
    padded = np.zeros(mask.shape, dtype=np.int64)
    padded[mask] = ids[kept]
    return Padded(padded, truncated)


def _places(
    lengths: NDArray[np.int64], min_length: int, max_length: int | None
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], int]:
    """Says where the padded array holds values, which of the values those are, and how many records were cut."""
    if min_length < 1 or (max_length is not None and max_length < min_length):
        raise ValueError(f"min_length is 1 to max_length, not {min_length} with max_length {max_length}")
    longest = int(lengths.max())
    width = max(min_length, longest if max_length is None else min(longest, max_length))
    _check_memory(len(lengths) * width)
    mask = np.arange(width) < lengths[:, None]
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    kept = np.arange(len(starts)) - starts < width
    return mask, kept, int((lengths > width).sum())


def _check_memory(size_bytes: int) -> None:
    memory = int(hardware()["memory_bytes"]) if size_bytes > 2**28 else size_bytes
    if size_bytes > memory:
        raise DataError(
            f"padded to the longest one, the sequences take {size_bytes / 1e9:.0f} GB and do not fit into "
            f"{memory / 1e9:.0f} GB of memory; give a smaller `max_length`"
        )


def _check(found: Ragged) -> Ragged:
    values, lengths = found.values, found.lengths
    if values.ndim not in (1, 2) or values.dtype.kind not in "biuf" or 0 in values.shape[1:]:
        raise DataError(
            f"sequences hold numbers of shape (total,) or (total, channels); these are {values.dtype} "
            f"of shape {values.shape}"
        )
    if lengths.ndim != 1 or len(lengths) == 0:
        raise DataError(f"there are no sequences: the lengths have shape {lengths.shape}")
    empty = np.flatnonzero(lengths < 1)
    if len(empty):
        first = int(empty[0])
        raise DataError(
            f"record {first} is a sequence of length {lengths[first]} ({len(empty)} such records in all); "
            "each needs a value at least, leave these records out"
        )
    # Summed as Python integers, which do not overflow.
    total = sum(lengths.tolist())
    if total != len(values):
        raise DataError(f"the lengths add up to {total}, but there are {len(values)} values")
    return found


def _from_pair(values: Any, lengths: Any) -> Ragged:
    values, lengths = np.asarray(values), np.asarray(lengths)
    if lengths.dtype.kind not in "iu":
        raise DataError(f"the lengths of sequences are integers, these are {lengths.dtype}")
    return Ragged(values, lengths.astype(np.int64))


def _from_list(sequences: Any) -> Ragged:
    arrays: list[Array] = []
    filled: list[Array] = []  # an empty list is float64, whatever the others hold
    for record, one in enumerate(sequences):
        try:
            array = np.asarray(one)
        except ValueError as error:
            raise DataError(f"record {record}: its steps have different numbers of channels") from error
        if array.ndim == 0 or (array.size and array.dtype.kind not in "biuf"):
            raise DataError(f"record {record} holds {str(one)[:80]!r}, which is no sequence of numbers")
        if array.size and filled and array.shape[1:] != filled[0].shape[1:]:
            raise DataError(
                f"record {record} has shape {array.shape}, the first one {filled[0].shape}; "
                "all must have the same channels"
            )
        arrays.append(array)
        if array.size:
            filled.append(array)
    lengths = np.array([len(one) for one in arrays], dtype=np.int64)
    return Ragged(np.concatenate(filled) if filled else np.zeros(0), lengths)


def _from_arrow(column: Any) -> Ragged:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    values, lengths = _flatten(column, what="record {} holds no sequence (null)")
    if _is_list(values.type):
        values, widths = _flatten(values, what="a step holds no channels (null)")
        if len(widths) and not (widths == widths[0]).all():
            first = int(np.flatnonzero(widths != widths[0])[0])
            raise DataError(
                f"record {_record(first, lengths)}: a step has {widths[first]} channels, the first has {widths[0]}"
            )
        shape: tuple[int, ...] = (len(widths), int(widths[0]) if len(widths) else 1)
    else:
        shape = (len(values),)
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    if not any(one(values.type) for one in numeric):
        raise DataError(f"the lists hold {values.type}, not numbers")
    if values.null_count:
        missing = int(np.flatnonzero(to_array(values.is_null()))[0])
        step = missing // (shape[1] if len(shape) == 2 else 1)
        raise DataError(
            f"record {_record(step, lengths)} holds a missing value ({values.null_count} in all); "
            "fill or remove them first"
        )
    return Ragged(to_array(values).reshape(shape), lengths)


def _flatten(column: Any, *, what: str) -> tuple[Any, NDArray[np.int64]]:
    if not _is_list(column.type):
        raise DataError(f"the column holds {column.type}, not lists of numbers")
    if column.null_count:
        first = int(np.flatnonzero(to_array(column.is_null()))[0])
        raise DataError(what.format(first) + f"; {column.null_count} are missing in all")
    lengths = to_array(pc.list_value_length(column)).astype(np.int64)
    return pc.list_flatten(column), lengths


def _is_list(kind: Any) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind))


def _record(place: int, lengths: NDArray[np.int64]) -> int:
    """Gives the record to which a place among all values belongs."""
    return int(np.searchsorted(np.cumsum(lengths), place, side="right"))
