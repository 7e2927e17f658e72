"""What a run decides on the way: stopping, the best version, the rate, what is kept."""

import pytest

from stories.conftest import dying_when
from trainwright.store.registry import Registry
from trainwright.store.store import Store


def history(lab, run, name):
    registry = Registry(Store.open(lab.home))
    return {row.step: row.value for row in registry.metrics(run) if row.name == name}


def test_the_best_version_is_the_one_of_the_best_metric(lab):
    lab.write(epochs=8, more="  best: {metric: val/accuracy, mode: max}\n")
    trained = lab.run()
    values = history(lab, trained["run"], "val/accuracy")
    best = max(values, key=lambda step: (values[step], -step))  # of equals, the first
    assert lab.json("show", f"{trained['run']}@best")["step"] == best
    assert trained["final"] == 8


def test_restore_best_lets_final_point_to_the_best_version(lab):
    lab.write(epochs=8, more="  restore_best: true\n")
    trained = lab.run("--set", "train.optimizer.lr=0.3")
    assert trained["final"] == trained["best"]
    assert lab.json("show", f"{trained['run']}@final")["version"] == trained["best"]


def test_early_stopping_stops_and_says_why(lab):
    more = "  callbacks:\n    - {use: EarlyStopping, args: {metric: val/loss, patience: 3}}\n"
    lab.write(epochs=200, more=more)
    trained = lab.run("--set", "train.optimizer.lr=0.5")
    values = list(history(lab, trained["run"], "val/loss").values())
    assert trained["outcome"] == "stopped" and "val/loss has not improved" in trained["reason"]
    assert len(values) < 200 and min(values[-3:]) >= min(values[:-3])
    assert lab.json("reproduce", trained["run"], "-q")["verdict"] == "identical"


@pytest.mark.parametrize("backend", ["torch", pytest.param("equinox", marks=pytest.mark.slow)])
def test_a_plateau_cuts_the_rate_and_is_resumed_exactly(lab, backend):
    lab.write(backend=backend, epochs=20)
    plateau = "train.schedule={name: plateau, patience: 2, factor: 0.3}"
    whole = lab.run("--set", plateau)
    constant = lab.run("--set", "train.schedule={name: constant}")
    assert whole["weights"] != constant["weights"]
    die = dying_when("snapshot.epoch == 13")
    process = lab.start("run", lab.file, "-q", "--again", "--set", plateau, code=die)
    process.communicate(timeout=60)
    run = lab.json("ls")[0]["run"]
    assert lab.json("resume", run, "-q")["weights"] == whole["weights"]


def test_a_diverging_run_keeps_its_nans_and_has_no_best_version(lab):
    trained = lab.run("--set", "train.optimizer={name: sgd, lr: 1e30}", "--set", "model.normalization=none")
    values = list(history(lab, trained["run"], "val/loss").values())
    assert values and all(value != value for value in values)
    assert trained["best"] is None
    assert lab.json("reproduce", f"{trained['run']}@final", "-q")["verdict"] == "identical"


def test_unknown_metrics_are_refused_before_anything_is_written(lab):
    said = lab.call("run", lab.file, "--set", "train.best.metric=val/acuracy", expect=2)
    assert "train.best.metric: nobody measures 'val/acuracy'" in said
    assert not lab.home.exists()


def test_a_dry_run_shows_the_plan_and_writes_nothing(lab):
    process = lab.start("run", lab.file, "--dry-run")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and out == ""
    assert "train 128, val 32, test 40" in err and "4 epochs of 8 steps (32 in all)" in err
    assert not lab.home.exists()


def test_versions_that_are_not_kept_leave_a_row_and_can_be_trained_again(lab):
    trained = lab.run("--set", "train.epochs=9")
    kept = [row["version"] for n in range(1, 10) for row in [show(lab, f"tiny@{n}")] if row]
    assert kept[-3:] == [7, 8, 9] and 1 not in kept
    assert "trainwright reproduce" in lab.call("predict", "tiny@1", "tiny.npz", expect=1)
    assert lab.json("reproduce", "tiny@1", "-q")["verdict"] == "identical"
    lab.write(more="  callbacks: [{use: Checkpoint, args: {keep_last: null}}]\n")
    everything = lab.run("--set", "train.epochs=9")
    assert everything["weights"] == trained["weights"]
    assert show(lab, "tiny@10")["version"] == 10


def show(lab, ref):
    process = lab.start("show", ref, "--json")
    out, _ = process.communicate(timeout=60)
    import json

    return json.loads(out) if process.returncode == 0 else None


def test_the_python_door_gives_what_the_command_line_gives(lab):
    from_file = lab.run()
    code = (
        "import trainwright as tw\n"
        "spec = tw.Experiment(name='tiny', seed=3,\n"
        "    data=tw.DataSpec(path='tiny.npz', split=tw.SplitSpec(method='stratified', val=0.2, test=0.2),\n"
        "                     operators=[tw.Use(use='Standardize')]),\n"
        "    model=tw.ModelSpec(architecture='mlp', hidden_dims=[16, 8], dropout=0.2, normalization='batch'),\n"
        "    train=tw.TrainSpec(backend='torch', epochs=4, batch_size=16, optimizer=tw.AdamW(name='adamw', lr=1e-2),\n"
        "                       schedule=tw.Cosine(name='cosine', warmup_epochs=0.5), clip_norm=1.0))\n"
        f"assert spec.digest() == tw.read_experiment({str(lab.file)!r}).experiment.digest()\n"
        "print(tw.run_experiment(spec).final.weights)\n"
    )
    process = lab.start(code=code)
    out, err = process.communicate(timeout=60)
    assert out.strip() == from_file["weights"], err
    # The folder was given as `.`: what was recorded is found from anywhere.
    run = lab.json("ls")[0]["run"]
    elsewhere = lab.folder / "elsewhere"
    elsewhere.mkdir()
    lab.folder = elsewhere
    assert lab.json("reproduce", run, "-q")["verdict"] == "identical"
