"""Parquet files that lie, each by one trick."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet


def _written(table, **options):
    made = io.BytesIO()
    parquet.write_table(table, made, **options)
    return made.getvalue()


def plain(flip=None, cut=None, store_schema=True):
    whole = bytearray(
        _written(
            pa.table({"a": [1.0, 2.0, 3.0], "b": ["u", "v", "u"], "y": [0, 1, 0]}), store_schema=store_schema
        )
    )
    for place, value in flip or ():
        whole[place] ^= value
    return bytes(whole[slice(*cut)] if cut else whole)


def replaced(old, new):
    whole = plain(store_schema=False)
    assert bytes.fromhex(old) in whole
    return whole.replace(bytes.fromhex(old), bytes.fromhex(new))


def constant(records, kind="double", compression="zstd"):
    column = np.zeros(records, kind)
    return _written(pa.table({"a": column, "y": column}), compression=compression)


def dictionary(letters, records):
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(records, np.int32)), ["s" * letters])
    return _written(
        pa.table(
            {"a": words.cast(pa.string()) if letters * records < 10**7 else words, "y": np.arange(records)}
        )
    )


def hidden_dictionary(letters, records):
    """As `dictionary`, but the schema says that the column is plain text."""
    words = pa.DictionaryArray.from_arrays(pa.array(np.zeros(records, np.int32)), ["s" * letters])
    return _written(pa.table({"a": words, "y": np.arange(records)}), store_schema=False)


def lists(depth):
    kind = pa.int64()
    for _ in range(depth):
        kind = pa.list_(kind)
    return _written(pa.table({"a": pa.array([None, None], kind), "y": [1.0, 2.0]}))


def structs(depth):
    kind = pa.int64()
    for _ in range(depth):
        kind = pa.struct([("a", kind)])
    return _written(pa.table({"a": pa.array([None, None], kind), "y": [1.0, 2.0]}))


def named(names, values=(1.0, 2.0, 3.0)):
    return _written(pa.table([pa.array(values) for _ in names], names=names))


def columns(count):
    return _written(
        pa.table([pa.array([1.0])] * count, names=[f"c{n}" for n in range(count)]), compression="none"
    )


def bad_text(where):
    broken = pa.array([b"\xff\xfe", b"ok", b"ok"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), 3, broken.buffers())
    if where == "value":
        return _written(pa.table({"a": text, "y": [1.0, 2.0, 3.0]}))
    whole = _written(pa.table({"name": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]}), store_schema=False)
    return whole.replace(b"name", b"n\xff\xfee")


def extension():
    tagged = {
        b"ARROW:extension:name": b"arrow.py_extension_type",
        b"ARROW:extension:metadata": b"cos\nsystem\n(S'touch pwned'\ntR.",
    }
    schema = pa.schema([pa.field("a", pa.binary(), metadata=tagged), pa.field("y", pa.float64())])
    return _written(pa.table([pa.array([b"a", b"b"]), pa.array([1.0, 2.0])], schema=schema))


def pandas_note(times):
    table = pa.table({"a": [1.0, 2.0, 3.0], "y": [1.0, 2.0, 3.0]})
    return _written(table.replace_schema_metadata({b"pandas": b"[" * times}))


def moments():
    times = pa.array([2**62, None, 5], pa.timestamp("us"))
    return _written(
        pa.table({"a": times, "b": pa.array([2**62, 1, None], pa.timestamp("ns")), "y": [1.0, 2.0, 3.0]})
    )


def empty():
    return _written(pa.table({"a": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}))


def mixed():
    return _written(
        pa.table(
            {
                "a": pa.array([{"u": 1}, {"u": 2}]),
                "m": pa.array([[("k", 1)], [("l", 2)]], pa.map_(pa.string(), pa.int64())),
                "b": pa.array([b"\x00", b"\xff"]),
            }
        )
    )


def struct_named(name):
    return _written(pa.table({"a": pa.array([{name: 1}, {name: 2}]), "x": [1.0, 2.0], "y": [1.0, 2.0]}))
