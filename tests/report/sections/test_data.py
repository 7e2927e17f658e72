import numpy as np

from report.pages import page_of
from report.recorded import record_run

SPLITS = {"test": np.arange(20), "train": np.arange(20, 90), "val": np.arange(90, 100)}


def column(name, **more):
    return {
        "name": name,
        "kind": "numeric",
        "used": True,
        "missing": 0,
        "distinct": 3,
        "why": "numbers",
    } | more


def shown(folder, columns, left_out=0, **data):
    artifacts = {"data/columns": {"columns": columns, "left_out": left_out}} if columns else {}
    return page_of(*record_run(folder, task="classification", artifacts=artifacts, splits=SPLITS, data=data))


def test_splits_are_shown_in_their_usual_order_with_their_shares(tmp_path):
    text = shown(tmp_path, []).text("data")
    places = [text.index(one) for one in ("70 train 70.0 %", "10 val 10.0 %", "20 test 20.0 %")]
    assert places == sorted(places) and "100 records in 3 splits" in text
    assert "Columns" not in text


def test_columns_have_their_role_and_what_is_missing(tmp_path):
    columns = [
        column("age", missing=25),
        column("<b>", used=False, kind="text", why="names of records"),
        column("y", used=False),
        column("w", used=False),
    ]
    page = shown(tmp_path, columns, weight="w")
    table = page.tables("data")[1]
    assert [row[:4] for row in table[1:]] == [
        ["age", "numeric", "feature", "25 (25.0 %)"],
        ["<b>", "text", "left out", "0"],
        ["y", "numeric", "target", "0"],
        ["w", "numeric", "weight", "0"],
    ]
    assert table[2][5] == "names of records"
    assert page.count("data", "meter") == 1 and 'style="width:25.0%"' in page.source


def test_many_columns_are_folded(tmp_path):
    page = shown(tmp_path, [column(f"c{one}") for one in range(60)])
    first, rest = page.tables("data")[1:]
    assert len(first) == 41 and len(rest) == 21 and "20 more columns" in page.text("data")


def test_columns_beyond_many_are_counted(tmp_path):
    assert "30 more columns are not listed" in shown(
        tmp_path, [column(f"c{one}") for one in range(180)]
    ).text("data")


def test_records_that_were_left_out_count_for_what_is_missing(tmp_path):
    page = shown(tmp_path, [column("a", missing=50), column("b", missing=10)], left_out=100)
    assert [row[3] for row in page.tables("data")[1][1:]] == ["50 (25.0 %)", "10 (5.0 %)"]
    assert "100 more records are left out" in page.text("data")


def test_no_more_can_be_missing_than_all(tmp_path):
    table = shown(tmp_path, [column("a", missing=200), column("b", missing=50)]).tables("data")[1]
    assert [row[3] for row in table[1:]] == ["200 (100.0 %)", "50 (25.0 %)"]


def test_splits_are_compared(tmp_path):
    found = {
        "seen": {"val": 1, "test": 5},
        "targets": {"train": {"no": 0.75, "<i>": 0.25}, "test": {"no": 1.0}},
    }
    page = page_of(
        *record_run(tmp_path, task="classification", artifacts={"data/splits": found}, splits=SPLITS)
    )
    assert page.tables("data")[1] == [
        ["split", "features as in train", "target no", "target <i>"],
        ["train", "", "0.75", "0.25"],
        ["val", "1 (10.0 %)", "", ""],
        ["test", "5 (25.0 %)", "1", ""],
    ]
