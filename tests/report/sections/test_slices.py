import math

import numpy as np

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.decisions import judge_classes
from trainwright.evaluation.values import judge_values


def shown(folder, judgement, task, **artifacts):
    return page_of(*record_run(folder, task=task, judgement=judgement, artifacts=artifacts))


def test_the_worst_part_comes_first_and_is_pointed_out(tmp_path):
    y = np.zeros(60, dtype=np.int64)
    logits = np.tile([1.0, 0.0], (60, 1))
    logits[:10] = [0.0, 1.0]  # wrong in Oslo only
    city = np.array(["Oslo"] * 15 + ["Rome"] * 45)
    judgement = judge_classes(logits, y, weight=None, classes=["a", "b"], columns={"city": city})
    page = shown(tmp_path, judgement, "classification")
    (table,) = page.tables("slices")
    assert [row[:4] for row in table[1:]] == [
        ["city", "Oslo", "* 15", "0.3333"],
        ["city", "Rome", "45", "1.0000"],
    ]
    assert "the whole test split, 0.8333" in page.text("slices") and "fewer than 20" in page.text("slices")
    bars = [one for one in page.sections["slices"]["classes"] if one in ("s0", "s1")]
    assert bars == ["s1", "s0"]


def test_the_worst_part_of_a_regression_has_the_largest_error(tmp_path):
    y = np.arange(60.0)[:, None]
    error = np.where(np.arange(60) < 30, 1.0, 5.0)[:, None]
    columns = {"half": np.arange(60) // 30}
    judgement = judge_values({"y": y + error}, y, weight=None, columns=columns)
    (table,) = shown(tmp_path, judgement, "regression").tables("slices")
    assert [row[1:4] for row in table[1:]] == [["1", "30", "5.000"], ["0", "30", "1.000"]]


def test_an_unknown_score_is_last_and_what_is_left_out_is_counted(tmp_path):
    rows = [{"column": "c", "value": str(one), "records": 50, "accuracy": one / 50} for one in range(50)]
    rows.insert(0, {"column": "c", "value": "none", "records": 50, "accuracy": math.nan})
    page = shown(tmp_path, None, "classification", **{"test/slices": {"rows": rows}})
    (table,) = page.tables("slices")
    assert [row[1] for row in table[1:]] == [str(one) for one in range(40)]
    assert "11 better or unknown parts" in page.text("slices") and "fewer" not in page.text("slices")


def test_without_columns_there_are_no_parts(tmp_path):
    judgement = judge_classes(np.eye(4), np.arange(4), weight=None, classes=list("abcd"))
    assert "slices" not in shown(tmp_path, judgement, "classification").sections
