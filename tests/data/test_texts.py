import numpy as np
import pyarrow as pa
import pytest

from trainwright.base.errors import DataError
from trainwright.data.texts import arrow_texts


@pytest.mark.parametrize(
    "values",
    [
        [" a ", "NA", None, "", "ä\u00a0"],
        pa.array([" a ", "NA", None, "", "ä\u00a0"]),
        pa.chunked_array([["x", " a "], ["NA", None], ["", "ä\u00a0"]]).slice(1),
        pa.array([" a ", "NA", None, "", "ä\u00a0"], pa.large_string()),
        pa.array([" a ", "NA", None, "", "ä\u00a0"]).dictionary_encode(),
    ],
    ids=["list", "arrow", "chunks", "large", "categories"],
)
def test_texts_lose_their_blanks_and_words_for_nothing_become_null(values):
    found = arrow_texts(values)
    assert found.type == pa.large_string()
    assert found.to_pylist() == ["a", None, None, None, "ä"]


def test_an_array_of_text_is_taken():
    assert arrow_texts(np.array(["a ", "b"])).to_pylist() == ["a", "b"]


@pytest.mark.parametrize("values", [[1, 2], pa.array([1.5]), ["a", 3]])
def test_numbers_are_no_texts(values):
    with pytest.raises(DataError, match="not text"):
        arrow_texts(values)
