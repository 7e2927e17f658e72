import pytest

from trainwright.base.errors import DataError
from trainwright.data import csvtext

CONTENT = b'a,b\n1,"x\ny"\n\n2,NA\n3,\n'


def test_lines_are_counted_through_quotes_and_blank_lines():
    assert [csvtext.line_of(CONTENT, record) for record in range(4)] == [2, 5, 6, None]


@pytest.mark.parametrize(
    ("where", "expected"),
    [(csvtext.is_missing, (5, "NA")), (csvtext.is_blank, (6, "")), (csvtext.is_no_number, (2, "x\ny"))],
)
def test_the_first_cell_of_a_kind_is_found_with_its_line(where, expected):
    assert csvtext.first_cell(CONTENT, 1, where=where) == expected
    assert csvtext.first_cell(CONTENT, 0, where=where) is None


@pytest.mark.parametrize("cell", ["1", "-1.5", "+.5", "1.", "1e-3", " 7 ", "inf", "0x1F"])
def test_numbers_are_numbers(cell):
    assert not csvtext.is_no_number(cell)


@pytest.mark.parametrize("cell", ["1,5", "1_000", "1 000", "x", "", "1.2.3", "--1", "e5", "NA", "2020-01-01"])
def test_other_cells_are_not(cell):
    assert csvtext.is_no_number(cell)


def test_a_column_of_two_gigabytes_is_sent_to_parquet(tmp_path, monkeypatch):
    monkeypatch.setattr(csvtext, "MAX_BYTES", 5)
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="Parquet"):
        csvtext.read_text(tmp_path / "a.csv")
