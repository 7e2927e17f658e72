"""Whatever is asked for, a run that was killed, watched or repeated ends in the same weights and serves them."""

import json
import shutil
import signal

import pytest

from stories.forked import Processes
from stories.options import EVERY, MIXED, TORCH_ONLY, make_tree, write_data
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
def servers():
    made = Processes(hash_seed=1), Processes(hash_seed=2)
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
        self.file = self.write("a.yaml", [*self.told, OFTEN])

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


def check(trial, *, stops=False, watched=False):
    """Trains once undisturbed and then in other ways.

    Args:
        trial: Which experiment.
        stops: Whether one of its callbacks ends it.
        watched: Whether to look at what is slow to look at and hangs on no option of its own, too.
    """
    whole = trial.json(trial.first, "run", trial.file, "-q")
    assert whole["warnings"] == 0 and stops == (whole["outcome"] == "stopped")
    registry = trial.registry
    per_epoch = min(row.step for row in registry.metrics(whole["run"]) if row.name == "train/loss")

    # Killed when the second epoch was measured and not yet saved; gone on by somebody who watches.
    die_at = 2 * per_epoch
    trial.call(trial.first, "run", trial.file, "-q", "--again", die_at=die_at, expect=-signal.SIGKILL)
    cut = registry.runs()[-1].id
    resumed = trial.json(trial.second, "resume", cut)
    assert cut != whole["run"] == registry.runs()[0].id
    for fact in ("weights", "outcome", "reason"):
        assert resumed[fact] == whole[fact]
    assert trial.history(cut) == trial.history(whole["run"])
    began = [attempt.from_step for attempt in registry.attempts(cut)]
    assert began[0] == 0 and 0 < began[1] < die_at

    repeated = trial.json(trial.second, "reproduce", whole["run"], "-q")
    assert repeated["verdict"] == "identical" and repeated["differences"] == []
    assert json.loads(trial.call(trial.second, "stories.served:judge", whole["run"])) == []
    if watched:  # with a progress line and the usual cadence
        calm = trial.json(trial.second, "run", trial.write("b.yaml", trial.told))
        assert calm["weights"] == whole["weights"] and len(registry.versions(run=calm["run"])) == 3
    if not stops:
        _check_branch(trial, next(one for one in registry.versions(run=whole["run"]) if one.step > per_epoch))
    assert trial.json(trial.first, "fsck") == []


def _check_branch(trial, begin):
    """A longer run that begins in the middle of another is repeated, and is one that was so long from the first."""
    epochs = trial.tree["train"]["epochs"] + 1
    ref = f"{begin.model}@{begin.number}"
    longer = trial.json(trial.second, "resume", ref, "--epochs", epochs, "-q")
    if trial.tree["train"].get("schedule", {"name": "constant"})["name"] in FREE:
        straight = trial.json(trial.first, "run", trial.write("c.yaml", trial.told, epochs=epochs), "-q")
        assert straight["weights"] == longer["weights"]
    else:
        assert trial.json(trial.first, "reproduce", longer["run"], "-q")["verdict"] == "identical"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", MIXED)
def test_options_together_are_exact(trial, backend, name):
    check(trial(MIXED[name], backend), watched=True)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", EVERY)
def test_every_option_is_exact(trial, backend, name):
    check(trial(EVERY[name], backend), stops="stop" in name)


@pytest.mark.slow
@pytest.mark.parametrize("name", TORCH_ONLY)
def test_every_option_that_torch_alone_has_is_exact(trial, name):
    check(trial(TORCH_ONLY[name], "torch"))
