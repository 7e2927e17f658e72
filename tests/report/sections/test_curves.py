import re

from report.pages import page_of
from report.recorded import record_run


def test_splits_share_a_chart_and_loss_comes_first(tmp_path):
    steps = [{"train/loss": 1.0 / step, "val/loss": 2.0 / step, "val/accuracy": 0.5} for step in range(1, 6)]
    page = page_of(*record_run(tmp_path, task="classification", metrics=steps))
    assert page.sections["curves"]["titles"] == ["loss", "accuracy"]
    text = page.text("curves")
    assert "last: train 0.2, val 0.4" in text and "log scale" not in text and "best @1" in text
    assert page.count("curves", "end") == 3


def test_a_metric_over_several_decades_is_drawn_on_a_log_scale_unless_it_reaches_zero(tmp_path):
    steps = [{"train/loss": 10.0**-step, "val/zero": 100.0 * step} for step in range(4)]
    text = page_of(*record_run(tmp_path, task="regression", metrics=steps)).text("curves")
    assert text.count("log scale") == 1


def test_metrics_beyond_twelve_are_listed_with_their_last_value(tmp_path):
    steps = [{f"val/m{number:02}": number + step for number in range(20)} for step in range(3)]
    page = page_of(*record_run(tmp_path, task="regression", metrics=steps))
    assert len(page.sections["curves"]["titles"]) == 12
    (table,) = page.tables("curves")
    assert table[1:] == [[f"val/m{number}", str(number + 2)] for number in range(12, 20)]


def test_long_histories_stay_small_and_keep_their_peak(tmp_path):
    steps = [{"val/loss": 5.0 if step == 1234 else 1.0} for step in range(3000)]
    page = page_of(*record_run(tmp_path, task="regression", metrics=steps))
    assert len(page.source) < 40_000
    assert ">5</text>" in page.source  # the axis reaches the peak


def test_without_metrics_it_says_so(tmp_path):
    assert "No metrics" in page_of(*record_run(tmp_path, task="regression")).text("curves")


def test_a_split_has_one_colour_also_where_it_is_alone(tmp_path):
    steps = [{"train/loss": 1.0, "val/loss": 2.0, "val/accuracy": 0.5, "other/rate": 1.0} for _ in range(2)]
    page = page_of(*record_run(tmp_path, task="classification", metrics=steps))
    drawn = re.findall(r'class="end s(\d)"[^>]*>(\w+)<', page.source)
    assert sorted(drawn) == [("0", "other"), ("0", "train"), ("1", "val"), ("1", "val")]
