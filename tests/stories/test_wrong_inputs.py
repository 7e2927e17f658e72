"""Wrong inputs are refused at once, with file, line, field and cure, and nothing is written."""

import os
import sqlite3

import numpy as np
import pytest

BEYOND_START_S = 1.0  # CPU seconds; the start itself is measured beside it

CSV = "a,b,y\n" + "".join(f"{n},{n * n % 7},{n % 2}\n" for n in range(40))


def yaml_of(lab, *swaps):
    text = lab.file.read_text()
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new)
    lab.file.write_text(text)


def table(lab, content, *, target="y", more=""):
    (lab.folder / "table.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    yaml_of(lab, ("path: tiny.npz", f"path: table.csv\n  target: {target}{more}"))


def two_faults(lab):
    yaml_of(lab, ("epochs: 4", "epoch: 4"), ("lr: 1e-2", "lr: -1"))


def changed_after_registration(lab):
    lab.call("data", "register", "mine", lab.file)
    np.savez(lab.folder / "tiny.npz", x=lab.x + 1, y=lab.y)
    body = lab.file.read_text()
    begin, end = body.index("data:"), body.index("model:")
    lab.file.write_text(f"{body[:begin]}data:\n  dataset: mine\n{body[end:]}")


def one_class(lab):
    np.savez(lab.folder / "tiny.npz", x=lab.x, y=np.ones(200, dtype=int))


def nan_target(lab):
    y = lab.y.astype(float)
    y[17] = np.nan
    np.savez(lab.folder / "tiny.npz", x=lab.x, y=y)


def overlapping(lab):
    split = "{method: given, train: [0, 1, 2, 3], val: [3, 4], test: [5]}"
    yaml_of(lab, ("{method: stratified, val: 0.2, test: 0.2}", split))


def overlapping_files(lab):
    np.save(lab.folder / "train.npy", np.arange(100))
    np.save(lab.folder / "val.npy", np.arange(99, 150))
    split = "{method: given, train: train.npy, val: val.npy}"
    yaml_of(lab, ("{method: stratified, val: 0.2, test: 0.2}", split))


CASES = {
    "two faults in one file": (
        two_faults,
        [
            "tiny.yaml:15:3: train.epoch: unknown key 'epoch', nearest: 'epochs'",
            "tiny.yaml:17:",
            "train.optimizer.lr",
        ],
    ),
    "a key given twice": (
        lambda lab: yaml_of(lab, ("seed: 3", "seed: 3\nseed: 4")),
        ["tiny.yaml:3:1", "'seed'", "twice"],
    ),
    "tabs": (lambda lab: yaml_of(lab, ("  epochs: 4", "\tepochs: 4")), ["tiny.yaml:15:1", "tab", "spaces"]),
    "a number as text": (
        lambda lab: yaml_of(lab, ("lr: 1e-2", 'lr: "1e-3"')),
        ["tiny.yaml:17:", "train.optimizer.lr", "without quotes"],
    ),
    "an unknown column": (
        lambda lab: table(lab, CSV, target="why"),
        ["data.target", "'why'", "table.csv", "nearest", "'y'"],
    ),
    "a target with one class": (one_class, ["data.target", "one class"]),
    "a NaN in the target": (nan_target, ["data.target", "record 17", "nan"]),
    "a ragged row": (
        lambda lab: table(lab, CSV.replace("3,2,1\n", "3,2\n")),
        ["table.csv", "line 5", "data.path"],
    ),
    "UTF-16": (lambda lab: table(lab, CSV.encode("utf-16")), ["table.csv", "UTF-16", "UTF-8"]),
    "an input_dim that contradicts the data": (
        lambda lab: yaml_of(lab, ("architecture: mlp", "architecture: mlp\n  input_dim: 5")),
        ["model.input_dim", "5", "4 features", "leave it out"],
    ),
    "a callback that is any function": (
        lambda lab: lab.write(more='  callbacks: [{use: "os:system", args: {command: "touch pwned"}}]\n'),
        ["train.callbacks.0.use", "'os:system' is not a class with", "it is not called"],
    ),
    "a routine that is any class": (
        lambda lab: lab.write(more='  routines: [{use: "subprocess:Popen", args: {args: [touch, pwned]}}]\n'),
        ["train.routines.0.use", "'subprocess:Popen' is not a class with", "it is not called"],
    ),
    "overlapping index lists": (overlapping, ["data.split", "train", "val", "3"]),
    "overlapping index files": (overlapping_files, ["data.split", "train", "val", "99"]),
}


def cpu_of(process):
    """Waits and gives output, exit status and CPU seconds of the process."""
    with process.stdout, process.stderr:
        out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return out, err, process.returncode, usage.ru_utime + usage.ru_stime


def start_seconds(lab):
    return cpu_of(lab.start(code="import trainwright.plan, trainwright.cli.app, pyarrow.csv"))[3]


@pytest.mark.parametrize("case", CASES)
def test_is_refused_at_once_and_nothing_is_written(lab, case):
    spoil, words = CASES[case]
    spoil(lab)
    before = sorted(lab.folder.rglob("*"))
    _, err, code, seconds = cpu_of(lab.start("run", lab.file))
    assert code == 2, err
    for word in words:
        assert word in err, f"{word!r} is not in:\n{err}"
    assert "Traceback" not in err
    assert sorted(lab.folder.rglob("*")) == before
    assert seconds - start_seconds(lab) <= BEYOND_START_S


def test_a_file_changed_since_its_registration_is_refused_with_both_digests(lab):
    changed_after_registration(lab)
    rows = [lab.json("data", "ls"), lab.json("ls")]
    _, err, code, seconds = cpu_of(lab.start("run", lab.file))
    assert code == 2 and "tiny.npz has changed: registered sha256" in err and ", now " in err
    assert rows[0][0]["content"] in err and "register it again" in err
    assert [lab.json("data", "ls"), lab.json("ls")] == rows
    assert seconds - start_seconds(lab) <= BEYOND_START_S


def test_both_faults_of_one_file_are_told_at_once(lab):
    two_faults(lab)
    _, err, _, _ = cpu_of(lab.start("run", lab.file))
    assert len([line for line in err.splitlines() if "tiny.yaml:" in line]) == 2


def newer(lab):
    with sqlite3.connect(lab.home / "catalogue.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()


def garbage(lab):
    for extra in lab.home.glob("catalogue.db-*"):
        extra.unlink()
    (lab.home / "catalogue.db").write_bytes(b"not a database" * 100)


def truncate(lab):
    weights = lab.json("show", "tiny@best")["weights"]
    place = lab.home / "objects" / weights[:2] / weights
    place.chmod(0o644)
    place.write_bytes(place.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("spoil", "command", "words"),
    [
        (newer, ["ls"], ["99", "pip install -U trainwright"]),
        (newer, ["run", "tiny.yaml"], ["99", "pip install -U trainwright"]),
        (garbage, ["ls"], ["catalogue.db", "not a database"]),
        (garbage, ["run", "tiny.yaml"], ["catalogue.db", "not a database"]),
        (truncate, ["predict", "tiny@best", "tiny.npz"], ["bytes", "trainwright fsck"]),
    ],
)
def test_a_store_that_cannot_be_trusted_is_refused(lab, spoil, command, words):
    lab.run()
    spoil(lab)
    before = {path: path.stat().st_size for path in lab.home.rglob("*") if path.is_file()}
    out, err, code, seconds = cpu_of(lab.start(*command))
    assert code == 1, out + err
    for word in words:
        assert word in err, f"{word!r} is not in:\n{err}"
    assert "Traceback" not in err and out == ""
    after = {path: path.stat().st_size for path in lab.home.rglob("*") if path.is_file()}
    assert {p: n for p, n in after.items() if "-shm" not in p.name and "-wal" not in p.name} == {
        p: n for p, n in before.items() if "-shm" not in p.name and "-wal" not in p.name
    }
    if command[0] != "predict":
        assert seconds - start_seconds(lab) <= BEYOND_START_S


def test_fsck_names_a_truncated_object_and_the_versions_it_hits_and_repair_sets_it_aside(lab):
    lab.run()
    truncate(lab)
    best = lab.json("ls")[0]["best"]
    (finding,) = [one for one in lab.json("fsck", expect=1) if one["kind"] == "object"]
    assert f"tiny{best}" in finding["versions"]
    assert lab.json("verify", "tiny@best", expect=1)[0]["ok"] is False
    lab.json("fsck", "--repair", expect=1)
    assert [one["kind"] for one in lab.json("fsck", expect=1) if one["kind"] != "leftover"] == ["missing"]
