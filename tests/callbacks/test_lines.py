import json
import os
from io import FileIO
from pathlib import Path
from types import SimpleNamespace

import pytest

from trainwright.base.errors import SpecError
from trainwright.callbacks.lines import JSONLines
from trainwright.train.moment import Outcome, Warn


def moment(step, *, run="r1", measured=(), metrics=(), resumed=False, folder="."):
    return SimpleNamespace(
        run=run,
        step=step,
        epoch=step // 5,
        steps_per_epoch=5,
        seconds=0.5 * step,
        measured=dict(measured),
        metrics=dict(metrics or measured),
        resumed=resumed,
        folder=Path(folder),
    )


def read(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def write(path, steps, **more):
    """Writes the lines of some epochs and lets go of the file as a killed process does."""
    callback = JSONLines(str(path))
    callback.on_start(moment(more.pop("first", 0), **more))
    for step in steps:
        callback.on_epoch(moment(step, measured={"train/loss": 1 / step}, **more))
    callback._close()


def test_a_line_for_the_start_each_validation_each_epoch_and_the_end(tmp_path):
    path = tmp_path / "m.jsonl"
    callback = JSONLines(str(path))
    callback.on_start(moment(0))
    callback.on_validation(moment(3, measured={"val/loss": 2.0}))
    whole = moment(5, measured={"train/loss": 1.0, "val/loss": 1.5})
    callback.on_validation(whole)  # its numbers are in the epoch's line
    callback.on_epoch(whole)
    callback.on_end(moment(5, metrics={"val/loss": 1.5}), Outcome("stopped", "enough"))

    assert read(path) == [
        {
            "event": "start",
            "run": "r1",
            "step": 0,
            "epoch": 0,
            "seconds": 0.0,
            "metrics": {},
            "resumed": False,
        },
        {
            "event": "validation",
            "run": "r1",
            "step": 3,
            "epoch": 0,
            "seconds": 1.5,
            "metrics": {"val/loss": 2.0},
        },
        {
            "event": "epoch",
            "run": "r1",
            "step": 5,
            "epoch": 1,
            "seconds": 2.5,
            "metrics": {"train/loss": 1.0, "val/loss": 1.5},
        },
        {
            "event": "end",
            "run": "r1",
            "step": 5,
            "epoch": 1,
            "seconds": 2.5,
            "metrics": {"val/loss": 1.5},
            "outcome": "stopped",
            "reason": "enough",
        },
    ]


def test_a_line_is_in_the_file_before_the_next_one(tmp_path):
    path = tmp_path / "m.jsonl"
    callback = JSONLines(str(path))
    callback.on_start(moment(0))
    assert len(read(path)) == 1
    callback.on_epoch(moment(5))
    assert len(read(path)) == 2
    callback._close()


@pytest.mark.parametrize(
    ("value", "text"), [(float("nan"), "nan"), (float("inf"), "inf"), (-float("inf"), "-inf")]
)
def test_what_json_has_no_word_for_is_text(tmp_path, value, text):
    path = tmp_path / "m.jsonl"
    callback = JSONLines(str(path))
    callback.on_start(moment(0))
    callback.on_epoch(moment(5, measured={"val/loss": value}))
    callback._close()
    assert read(path)[-1]["metrics"] == {"val/loss": text}


def test_a_path_is_relative_to_the_folder_of_the_experiment(tmp_path, monkeypatch):
    (tmp_path / "experiment").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write("m.jsonl", [5], folder=tmp_path / "experiment")
    write("m.jsonl", [10], first=5, folder=tmp_path / "experiment", resumed=True)
    assert [line["step"] for line in read(tmp_path / "experiment" / "m.jsonl")] == [0, 5, 5, 10]
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_resumed_run_takes_back_its_lines_of_steps_that_are_done_again(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, [5, 10, 15], run="other")
    write(path, [5, 10, 15])
    before = path.read_bytes()
    inode = path.stat().st_ino
    write(path, [15], first=10, resumed=True)
    assert [(line["run"], line["event"], line["step"]) for line in read(path)] == [
        *(
            ("other", event, step)
            for event, step in [("start", 0), ("epoch", 5), ("epoch", 10), ("epoch", 15)]
        ),
        *(("r1", event, step) for event, step in [("start", 0), ("epoch", 5), ("epoch", 10)]),
        ("r1", "start", 10),
        ("r1", "epoch", 15),
    ]
    assert path.stat().st_ino != inode, "replaced as a whole"
    assert before.startswith(path.read_bytes()[: before.index(b"r1")])
    assert [item.name for item in tmp_path.iterdir()] == ["m.jsonl"]


def test_a_run_that_begins_takes_nothing_back(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, [5, 10])
    write(path, [5], run="r2")
    assert [line["step"] for line in read(path)] == [0, 5, 10, 0, 5]


@pytest.mark.parametrize("cut", [1, 9, 30, -2])
def test_a_torn_last_line_goes(tmp_path, cut):
    path = tmp_path / "m.jsonl"
    write(path, [5])
    whole = path.read_bytes()
    first, last = whole.splitlines(keepends=True)
    path.write_bytes(first + last[:cut])
    write(path, [5], resumed=True)
    assert [line["event"] for line in read(path)] == ["start", "start", "epoch"]


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, [5])
    path.write_bytes(path.read_bytes()[:-1])
    write(path, [], first=5, resumed=True)
    assert [line["step"] for line in read(path)] == [0, 5, 5]


def test_a_link_to_the_file_stays_a_link(tmp_path):
    path, link = tmp_path / "m.jsonl", tmp_path / "link"
    link.symlink_to(path)
    write(link, [5, 10])
    write(link, [], first=5, resumed=True)
    assert link.is_symlink() and [line["step"] for line in read(path)] == [0, 5, 5]


@pytest.mark.parametrize(
    "content",
    [
        b"a,b\n1,2\n",
        b"not ours",
        b'{"loss": 1}\n',
        b'{"epoch":1,"step":2}',
        b"\xff\n",
        b"[1]\n",
        b'{"epoch":1,"event":"a","metrics":{},"run":"r1","seconds":1,"step":"2"}\n',
    ],
)
def test_a_file_of_somebody_else_is_left_alone(tmp_path, content):
    path = tmp_path / "m.jsonl"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=r"train.callbacks: JSONLines: path .* name another file"):
        JSONLines(str(path)).on_start(moment(0))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda folder: folder / "no" / "m.jsonl", "No such file"),
        (lambda folder: folder, "not a regular file"),
        (lambda folder: "/dev/full", "not a regular file"),
    ],
)
def test_a_file_that_cannot_be_written_is_an_error_before_the_first_step(tmp_path, make, why):
    with pytest.raises(SpecError, match=why):
        JSONLines(str(make(tmp_path))).on_start(moment(0))


def test_a_disk_that_is_full_later_is_one_warning(tmp_path):
    path = tmp_path / "m.jsonl"
    callback = JSONLines(str(path))
    callback.on_start(moment(0))
    callback._file.close()
    callback._file = FileIO("/dev/full", "wb")
    heard = callback.on_epoch(moment(5))
    assert heard == Warn(f"JSONLines: {path}: No space left on device; no more lines are written")
    assert callback.on_epoch(moment(10)) is None
    assert callback.on_end(moment(10), Outcome("done")) is None
    assert len(read(path)) == 1


def test_the_rights_of_a_file_stay(tmp_path):
    path = tmp_path / "m.jsonl"
    write(path, [5, 10])
    path.chmod(0o640)
    write(path, [], first=5, resumed=True)
    assert os.stat(path).st_mode & 0o777 == 0o640
