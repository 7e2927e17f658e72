"""Whatever is asked for, a run that was killed, watched or repeated ends in the same weights, and serves them."""

import json
import shutil
import signal

import pytest

from stories.forked import Processes
from stories.options import EVERY, MIXED, SCHEDULES, TABLE, TORCH_ONLY, make_tree, write_data
from trainwright.store.registry import Registry
from trainwright.store.store import Store

OFTEN = {"use": "Checkpoint", "args": {"every_n_steps": 4, "keep_last": None}}
FREE = (
    "constant",
    "step",
    "multi_step",
    "exponential",
    "plateau",
)  # schedules that do not go by the run's length
BACKENDS = ("torch", "equinox")


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    # Compiling takes most of the time of a short run of equinox; that it does not change the bits is for test_repeat.
    compiled = tmp_path_factory.mktemp("compiled")
    made = Processes(hash_seed=1, compiled=compiled), Processes(hash_seed=2, compiled=compiled)
    yield made
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_data(folder)
    return folder


class Trial:
    """One experiment, by two servers.

    Args:
        tree: The experiment; a checkpoint every fourth step is added.
        folder: Its own.
        servers: The first trains, the second goes on and repeats.
    """

    def __init__(self, tree, folder, servers):
        self.tree = json.loads(json.dumps(tree))
        self.told = self.tree["train"].setdefault("callbacks", [])
        self.folder, self.home = folder, folder / "store"
        self.first, self.second = servers
        self.file = self.write("often.yaml", [*self.told, OFTEN])

    def write(self, name, callbacks, **train):
        tree = {**self.tree, "train": {**self.tree["train"], "callbacks": callbacks, **train}}
        (self.folder / name).write_text(json.dumps(tree))
        return self.folder / name

    def call(self, server, *arguments, **options):
        return server.call(*arguments, folder=self.folder, home=self.home, **options)

    def json(self, server, *arguments, **options):
        return server.json(*arguments, folder=self.folder, home=self.home, **options)

    @property
    def registry(self):
        return Registry(Store.open(self.home, create=False))

    def history(self, run):
        return sorted((row.step, row.name, repr(row.value)) for row in self.registry.metrics(run))


@pytest.fixture
def trial(tmp_path, data, servers):
    def make(changes, backend):
        shutil.copytree(data, tmp_path, dirs_exist_ok=True)
        return Trial(make_tree(changes, backend=backend), tmp_path, servers)

    return make


def check(trial, *, stops=False, branches=True):
    """Trains once undisturbed, then in other ways, and compares.

    Args:
        trial: Which experiment.
        stops: Whether one of its callbacks ends it.
        branches: Whether to go on from the middle to another length, too.
    """
    # The usual cadence and a progress line.
    whole = trial.json(trial.first, "run", trial.write("usual.yaml", trial.told))
    assert whole["warnings"] == 0 and stops == (whole["outcome"] == "stopped")
    registry = trial.registry
    per_epoch = min(row.step for row in registry.metrics(whole["run"]) if row.name == "train/loss")

    # Another cadence, killed when the second epoch was measured and not yet saved, gone on in silence.
    die_at = 2 * per_epoch
    trial.call(trial.first, "run", trial.file, "-q", "--again", die_at=die_at, expect=-signal.SIGKILL)
    cut = next(run.id for run in registry.runs() if run.id != whole["run"])
    resumed = trial.json(trial.second, "resume", cut, "-q")
    for fact in ("weights", "outcome", "reason"):
        assert resumed[fact] == whole[fact]
    assert trial.history(cut) == trial.history(whole["run"])
    began = [attempt.from_step for attempt in registry.attempts(cut)]
    assert began[0] == 0 and 0 < began[1] < die_at

    repeated = trial.json(trial.second, "reproduce", whole["run"], "-q")
    assert repeated["verdict"] == "identical" and repeated["differences"] == []
    assert json.loads(trial.call(trial.second, "stories.served:judge", cut)) == []
    if branches:
        _check_branch(trial, next(one for one in registry.versions(run=cut) if one.step > per_epoch))


def _check_branch(trial, begin):
    """A longer run that begins in the middle of another is repeated, and is one that was so long from the first."""
    epochs = trial.tree["train"]["epochs"] + 1
    ref = f"{begin.model}@{begin.number}"
    longer = trial.json(trial.second, "resume", ref, "--epochs", epochs, "-q")
    if trial.tree["train"].get("schedule", {"name": "constant"})["name"] in FREE:
        straight = trial.json(trial.first, "run", trial.write("longer.yaml", trial.told, epochs=epochs), "-q")
        assert straight["weights"] == longer["weights"]
    else:
        assert trial.json(trial.first, "reproduce", longer["run"], "-q")["verdict"] == "identical"


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        pytest.param(name, backend, marks=pytest.mark.slow if backend == "equinox" else [])
        for name, backend in zip(MIXED, ["torch", "equinox", "torch"], strict=True)
    ],
)
def test_options_together_are_exact(trial, backend, name):
    check(trial(MIXED[name], backend), branches=False)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", [*EVERY, *MIXED])
def test_every_option_is_exact(trial, backend, name):
    check(trial({**EVERY, **MIXED}[name], backend), stops="stop" in name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH_ONLY)
def test_every_option_that_torch_alone_has_is_exact(trial, name):
    check(trial(TORCH_ONLY[name], "torch"))


def test_a_cut_run_refuses_other_data_and_goes_on_with_its_own(trial):
    made = trial(EVERY["table"], "torch")
    whole = made.json(made.first, "run", made.file, "-q")
    made.call(made.first, "run", made.file, "-q", "--again", die_at=10, expect=-signal.SIGKILL)
    cut = next(run.id for run in made.registry.runs() if run.id != whole["run"])
    table = made.folder / "table.csv"
    before = table.read_text()
    rows = [line.split(",") for line in before.splitlines()]
    others = {
        "a cell": [rows[0], [*rows[1][:4], "99.0", rows[1][5]], *rows[2:]],
        "a record less": rows[:-1],
        "another order of records": [rows[0], *reversed(rows[1:])],
        "a renamed column": [["years", *rows[0][1:]], *rows[1:]],
        "a column less": [row[:4] + row[5:] for row in rows],
        "another kind": [rows[0], *([f"about {row[0]}", *row[1:]] for row in rows[1:])],
        "another class": [rows[0], [*rows[1][:5], "none"], *rows[2:]],
    }
    for what, changed in others.items():
        table.write_text("\n".join(",".join(row) for row in changed) + "\n")
        told = made.call(made.second, "resume", cut, "-q", expect=2)
        assert "trainwright: data" in told and "Traceback" not in told, what
    # What the model does not look at may change.
    table.write_text(
        "\n".join(",".join(["new" if n == 0 else f"note {n}", *row]) for n, row in enumerate(rows)) + "\n"
    )
    resumed = made.json(made.second, "resume", cut, "-q")
    assert resumed["weights"] == whole["weights"]


@pytest.mark.parametrize("backend", ["torch", pytest.param("equinox", marks=pytest.mark.slow)])
def test_a_study_that_was_killed_ends_as_one_that_was_not(trial, backend):
    folds = {"data.split": {"method": "kfold", "folds": 2, "fold": 0}, "train.ema": {"decay": 0.9}}
    made = trial({**SCHEDULES["step by step"], **folds}, backend)
    weights = []
    for die_at in (None, 6):
        made.home = made.folder / f"store-{die_at}"
        if die_at:
            command = (made.first, "study", made.file, "-q")
            made.call(*command, die_at=die_at, expect=-signal.SIGKILL)
        members = made.json(made.second, "study", made.file, "-q")["members"]
        registry = made.registry
        weights.append([registry.latest(one["run"]).weights for one in members])
        assert len(registry.runs()) == 3  # and their ensemble
    assert weights[0] == weights[1] and weights[0][0] != weights[0][1]


def test_a_tuned_table_is_exact_though_its_tag_moved(trial):
    made = trial(TABLE, "torch")
    parent = made.json(made.first, "run", made.file, "-q", "--set", "name=parent")
    made.call(made.first, "tag", "parent@1", "chosen")
    more = [
        "train.init_from=parent@chosen",
        "train.new_head=true",
        "train.keep_preparation=true",
        "train.groups=[{match: dense_0.*, frozen: true}]",
    ]
    command = ["run", made.file, "-q", *(word for change in more for word in ("--set", change))]
    whole = made.json(made.first, *command)
    made.call(made.first, *command, "--again", die_at=10, expect=-signal.SIGKILL)
    made.call(made.first, "tag", "parent@2", "chosen")
    cut = next(run.id for run in made.registry.runs() if run.id not in (parent["run"], whole["run"]))
    assert made.json(made.second, "resume", cut, "-q")["weights"] == whole["weights"] != parent["weights"]
    assert made.json(made.second, "reproduce", cut, "-q")["verdict"] == "identical"
    assert json.loads(made.call(made.second, "stories.served:judge", cut)) == []
