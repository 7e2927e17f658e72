"""Dates written by hand: whoever knows how they are written says so once, and predictions read them alike."""

import datetime

import pytest

import trainwright as tw
from trainwright.base.errors import DataError, SpecError
from trainwright.data.inputs import read_inputs

FIRST = datetime.date(2024, 1, 1)
N = 120
# No day above 12: day and month cannot be told apart. The target follows the month.
DAYS = [
    FIRST + datetime.timedelta(days=n) for n in range(366) if (FIRST + datetime.timedelta(days=n)).day <= 12
][:N]


def write(path, form):
    rows = [f"{day:{form}},{n % 7},{day.month}" for n, day in enumerate(DAYS)]
    path.write_text("admitted,x,y\n" + "\n".join(rows) + "\n")
    return path


def train(path, *, columns=(), split=None):
    pipeline = tw.TrainingPipeline(
        {"architecture": "mlp", "hidden_dims": [16], "task_type": "regression"},
        {"epochs": 2, "backend": "torch"},
    )
    split = split or {"val": 0.2, "test": 0.2}
    pipeline.load_data(path, target="y", columns=list(columns), split=split)
    return pipeline


def test_dates_that_may_mean_two_things_are_refused_with_the_line_to_write(tmp_path):
    with pytest.raises(DataError, match=r"admitted.* may be DD/MM/YYYY or MM/DD/YYYY.*format: DD/MM/YYYY"):
        train(write(tmp_path / "a.csv", "%d/%m/%Y"))


@pytest.mark.parametrize("form", ["DD/MM/YYYY", "MM/DD/YYYY"])
def test_the_format_that_is_said_is_the_one_that_is_read(tmp_path, form):
    written = {"DD/MM/YYYY": "%d/%m/%Y", "MM/DD/YYYY": "%m/%d/%Y"}[form]
    pipeline = train(write(tmp_path / "a.csv", written), columns=[{"name": "admitted", "format": form}])
    admitted = pipeline.dataset.records.x.columns["admitted"]
    assert admitted.tolist() == [datetime.datetime.combine(day, datetime.time()) for day in DAYS]


def test_a_single_row_is_predicted_as_the_training_file_was_read(tmp_path):
    said = [{"name": "admitted", "format": "DD/MM/YYYY"}]
    pipeline = train(write(tmp_path / "a.csv", "%d/%m/%Y"), columns=said)
    pipeline.train()
    answers = {}
    for form in ("%d/%m/%Y", "%Y-%m-%d", "%m/%d/%Y"):
        row = f"admitted,x\n{datetime.date(2024, 2, 9):{form}},1\n"
        (tmp_path / "one.csv").write_text(row)
        records = read_inputs(tmp_path / "one.csv", schema=pipeline.model.schema)
        answers[form] = pipeline.model(records.x).tolist()
    assert answers["%d/%m/%Y"] == answers["%Y-%m-%d"] != answers["%m/%d/%Y"]
    with pytest.raises(DataError, match=r"no date in the format DD/MM/YYYY.* or as YYYY-MM-DD"):
        pipeline.model({"admitted": ["13/31/2024"], "x": [1.0]})


def test_a_split_by_time_goes_by_dates_as_they_are_written(tmp_path):
    split = {"method": "time", "by": "admitted", "val": 0.2, "test": 0.2}
    dotted = write(tmp_path / "a.csv", "%d.%m.%Y")
    with pytest.raises(DataError, match=r"data\.split\.by: .*"):
        train(write(tmp_path / "b.csv", "%d/%m/%Y"), split=split)
    said = train(tmp_path / "b.csv", split=split, columns=[{"name": "admitted", "format": "DD/MM/YYYY"}])
    for made in (train(dotted, split=split), said):
        splits = made.dataset.splits
        assert max(splits["train"]) < min(splits["val"]) and max(splits["val"]) < min(splits["test"])


def test_a_format_of_what_is_no_date_is_refused():
    with pytest.raises(SpecError, match=r"format: it says how dates are written, but the kind is 'numeric'"):
        train("a.csv", columns=[{"name": "x", "kind": "numeric", "format": "DD/MM/YYYY"}])
