"""A run that was cut ends in the weights of one that was not."""

import re
import signal

import pytest

from stories.conftest import dying_when

LONG = 40  # epochs


def wait_for(process, pattern, count=1):
    """Reads stderr until a line matched so many times; gives the matches."""
    found = []
    for line in process.stderr:
        match = re.search(pattern, line)
        if match:
            found.append(match)
            if len(found) == count:
                return found
    raise AssertionError(f"it ended before {pattern!r} was seen {count} times")


@pytest.mark.parametrize(
    ("backend", "number"),
    [
        ("torch", signal.SIGINT),
        ("equinox", signal.SIGTERM),
        pytest.param("torch", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("equinox", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_checkpoints_and_exits_130_and_resume_goes_on_exactly(lab, backend, number):
    lab.write(backend=backend, epochs=LONG)
    whole = lab.run()
    slow = (
        "import time, signal\n"
        "from trainwright.callbacks.progress import Progress\n"
        "before = Progress.on_epoch\n"
        "Progress.on_epoch = lambda self, moment: (before(self, moment), time.sleep(0.05))[0]\n"
        "from trainwright.cli.app import main\nmain()\n"
    )
    process = lab.start("run", lab.file, "--again", code=slow)
    wait_for(process, r"epoch 5/")
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    run = re.search(r"trainwright resume (\S+)", err).group(1)
    (row,) = [row for row in lab.json("ls") if row["run"] == run]
    assert row["state"] == "paused"
    resumed = lab.json("resume", run, "-q")
    assert resumed["weights"] == whole["weights"] and resumed["outcome"] == "done"
    assert lab.json("fsck") == []


def test_a_resume_in_the_middle_of_an_epoch_is_exact_and_its_history_is_whole(lab):
    more = "  callbacks:\n    - {use: Checkpoint, args: {every_n_steps: 3, keep_last: null}}\n"
    lab.write(epochs=6, more=more)
    whole = lab.run()
    killing = dying_when("snapshot.step == 21")
    process = lab.start("run", lab.file, "-q", "--again", code=killing)
    process.communicate(timeout=60)
    assert process.returncode == -9
    row = lab.json("ls")[0]
    assert row["state"] == "killed" and row["versions"] == 7
    resumed = lab.json("resume", row["run"], "-q")
    assert resumed["weights"] == whole["weights"]

    from trainwright.store.registry import Registry
    from trainwright.store.store import Store

    registry = Registry(Store.open(lab.home))
    history = [
        [(metric.step, metric.name, metric.value) for metric in registry.metrics(run)]
        for run in (whole["run"], row["run"])
    ]
    assert sorted(history[0]) == sorted(history[1])
    assert [attempt.from_step for attempt in registry.attempts(row["run"])] == [0, 21]


def test_resume_with_other_epochs_branches(lab):
    first = lab.run()
    longer = lab.json("resume", "tiny@epoch=2", "--epochs", "6", "-q")
    assert longer["run"] != first["run"]
    shown = lab.json("show", f"{longer['run']}@latest")
    assert shown["epoch"] == 6 and shown["spec"]["train"]["epochs"] == 6
    assert lab.json("reproduce", longer["run"] + "@latest", "-q")["verdict"] == "identical"
    lines = lab.call("lineage", f"{longer['run']}@latest")
    assert "version tiny@2  ->  run" in lines


def test_a_finished_run_has_nothing_to_resume(lab):
    run = lab.run()["run"]
    assert "nothing is left to do" in lab.call("resume", run, expect=1)


def test_a_resume_that_cannot_be_exact_is_refused_and_recorded_when_allowed(lab):
    lab.write(epochs=LONG)
    pretend = (
        "import trainwright.base.machine as machine\n"
        "before = machine.package_versions\n"
        "import trainwright.provenance as provenance\n"
        "provenance.package_versions = lambda: {**before(), 'numpy': '1.0'}\n"
        "from trainwright.cli.app import main\nmain()\n"
    )
    process = lab.start("run", lab.file, code=pretend)
    wait_for(process, r"epoch 3/")
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    run = re.search(r"trainwright resume (\S+)", err)
    if run is None:
        pytest.fail(err)
    said = lab.call("resume", run.group(1), expect=1)
    assert "packages.numpy: recorded 1.0, now" in said and "--allow-inexact" in said
    lab.json("resume", run.group(1), "-q", "--allow-inexact")
    report = (lab.home / "reports" / f"{run.group(1)}.html").read_text()
    assert "went on inexactly: packages.numpy: recorded 1.0" in report


def test_a_live_run_cannot_be_resumed(lab):
    lab.write(epochs=4000)
    process = lab.start("run", lab.file)
    wait_for(process, r"epoch 2/")
    run = lab.json("ls")[0]
    assert run["state"] == "running"
    assert run["run"] in lab.call("resume", run["run"], expect=1)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 130
