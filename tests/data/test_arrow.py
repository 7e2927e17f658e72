"""Arrow columns come over as PyArrow's own conversion gives them, and pandas is not imported for it."""

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from trainwright.data.arrow import arrow_marks, arrow_places, arrow_texts_of, to_array

COLUMNS = {
    "float64": pa.array([1.5, -0.0, np.inf]),
    "float64, nan and missing": pa.array([1.5, None, np.nan], from_pandas=False),
    "float32, missing": pa.array([None, 2.5], pa.float32()),
    "float16": pa.array(np.array([1.5, 2.5], np.float16)),
    "int8": pa.array([-1, 127], pa.int8()),
    "uint64 beyond int64": pa.array([2**64 - 1, 0], pa.uint64()),
    "int64, missing": pa.array([2**53 + 1, None, -3]),
    "boolean": pa.array([True, False, True] * 5),
    "boolean, missing": pa.array([True, None]),
    "timestamp": pa.array(np.array(["2024-02-29T12:30", "NaT", "1677-09-22"], "datetime64[ns]")),
    "timestamp, missing, zone": pa.array([7, None], pa.timestamp("s", "Europe/Berlin")),
    "date": pa.array([1, None], pa.date32()),
    "nothing": pa.array([None, None]),
    "empty": pa.array([], pa.float64()),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_comes_over_as_pyarrow_gives_it(name):
    column = COLUMNS[name]
    cut = pa.concat_arrays([column, column, column]).slice(1)  # an offset, also within a byte of the bitmap
    for one in (column, cut, pa.chunked_array([column, cut]), pa.chunked_array([column.slice(1)])):
        piece = one.combine_chunks() if isinstance(one, pa.ChunkedArray) else one
        found, wanted = to_array(one), piece.to_numpy(zero_copy_only=False)
        assert found.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)


def test_texts_marks_and_places_are_what_pyarrow_makes():
    texts = ["a", "", "naïve", "日本", "x" * 1000]
    keep = np.random.default_rng(0).random(19) < 0.5
    rows = np.array([5, 0, 2**40])[::-1]
    assert arrow_texts_of(texts).equals(pa.array(texts, pa.large_string()))
    assert arrow_texts_of([]).equals(pa.array([], pa.large_string()))
    assert arrow_marks(keep).equals(pa.array(keep))
    assert arrow_places(rows).equals(pa.array(rows))


def test_reading_a_table_imports_no_pandas(tmp_path):
    pytest.importorskip("pandas")
    day = [n % 28 + 1 for n in range(60)]
    lines = [
        f"{n},{'' if n % 7 == 0 else n / 3},{'ab'[n % 2]},{n % 2 == 0},2024-01-{day[n]:02},{day[n]}.1.2024,{n % 3}"
        for n in range(60)
    ]
    (tmp_path / "table.csv").write_text("\n".join(["id,hole,word,yes,iso,day,y", *lines]))
    code = (
        "import sys; from pathlib import Path; from trainwright.data.dataset import open_dataset\n"
        "from trainwright.spec.data import DataSpec\n"
        "data = DataSpec(path='table.csv', target='y', missing='drop')\n"
        "found = open_dataset(data, folder=Path('.'), task_type='classification')\n"
        "print(*(one.kind for one in found.schema), len(found.records.y), 'pandas' in sys.modules)"
    )
    shell = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    kinds = ["numeric", "numeric", "categorical", "boolean", "datetime", "datetime"]
    assert shell.stdout.split() == [*kinds, "51", "False"]
