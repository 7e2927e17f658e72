import math

import pytest

from report.pages import page_of
from report.recorded import record_run
from trainwright.evaluation.judgement import Judgement
from trainwright.report.sections.results import draw_interval, spell_time


def judged(**scores):
    made = {name: dict(zip(("low", "value", "high"), ends, strict=True)) for name, ends in scores.items()}
    return Judgement(made, {}, ["a", "b"], 50)


def rows(folder, judgement, baseline=None, task="classification"):
    artifacts = {} if baseline is None else {"test/baseline": baseline}
    page = page_of(*record_run(folder, task=task, judgement=judgement, artifacts=artifacts))
    (table,) = page.tables("results")
    return page, [dict(zip(table[0], row, strict=True)) for row in table[1:]]


def test_scores_stand_with_their_intervals_and_the_chosen_ones_first(tmp_path):
    page, found = rows(
        tmp_path, judged(brier=(0.1, 0.2, 0.3), accuracy=(0.8, 0.9, 0.95), mcc=(0.1, 0.2, 0.3))
    )
    assert [row["metric"] for row in found] == ["test/accuracy", "test/brier", "test/mcc"]
    assert found[0]["value"] == "0.9000" and found[0]["95 % interval"] == "0.8000 to 0.9500"
    assert "baseline" not in found[0] and "baseline" not in page.text("results")
    assert page.count("results", "interval") == 1  # only a share has an axis from 0 to 1
    assert "On 50 records" in page.text("results") and "looked at 1 time " in page.text("results")


@pytest.mark.parametrize(
    ("name", "ends", "baseline", "verdict"),
    [
        ("accuracy", (0.8, 0.9, 0.95), 0.5, "better"),
        ("accuracy", (0.3, 0.4, 0.45), 0.5, "worse"),
        ("accuracy", (0.4, 0.6, 0.7), 0.5, "within the interval"),
        ("rmse", (1.0, 2.0, 3.0), 4.0, "better"),
        ("rmse", (5.0, 6.0, 7.0), 4.0, "worse"),
        ("r2", (0.1, 0.2, 0.3), 0.0, "better"),
        ("loss", (0.1, 0.2, 0.3), math.nan, ""),
        ("coverage_90", (0.1, 0.2, 0.3), 0.9, ""),  # the best one is 0.9, not the largest
        ("accuracy", (math.nan, math.nan, math.nan), 0.5, ""),
    ],
)
def test_a_score_is_better_only_if_its_interval_leaves_the_baseline_behind(
    tmp_path, name, ends, baseline, verdict
):
    _, (found,) = rows(tmp_path, judged(**{name: ends}), {f"test/{name}": baseline})
    assert found["against it"] == verdict


def test_scores_without_a_baseline_have_an_empty_cell_and_tiles_show_it(tmp_path):
    judgement = judged(accuracy=(0.8, 0.9, 0.95), roc_auc=(0.8, 0.9, 0.95))
    page, found = rows(tmp_path, judgement, {"test/accuracy": 0.25})
    assert [row["baseline"] for row in found] == ["0.2500", ""]
    assert page.source.count("baseline 0.2500") == 1 and "most frequent one" in page.text("results")


def test_an_interval_is_drawn_to_scale_with_the_baseline_as_a_tick():
    drawn = draw_interval({"low": 0.2, "value": 0.5, "high": 0.75}, 0.1)
    assert "M20.0 7H75.0" in drawn and 'cx="50.0"' in drawn and "M10.0 1v12" in drawn
    assert "baseline" not in draw_interval({"low": 0.2, "value": 0.5, "high": 0.75}, None)


@pytest.mark.parametrize(
    ("judgement", "why"), [(None, "there is no test split"), (Judgement({}, {}, [], 9), "no target")]
)
def test_it_says_why_there_are_no_scores(tmp_path, judgement, why):
    page = page_of(*record_run(tmp_path, task="embedding", judgement=judgement))
    assert why in page.text("results")


@pytest.mark.parametrize(("seconds", "text"), [(0.04, "0.0 s"), (61, "1 min 1 s"), (3600, "1 h 0 min")])
def test_a_length_of_time_is_spelled_in_two_units(seconds, text):
    assert spell_time(seconds) == text
