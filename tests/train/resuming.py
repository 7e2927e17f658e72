"""Runs in this process that leave a checkpoint at every step, in the bytes of the store."""

import json
from pathlib import Path

import numpy as np

from stories.options import make_tree
from trainwright.base.digest import digest_bytes
from trainwright.base.tensors import dump_tensors, dump_tree, load_tree
from trainwright.plan import make_plan
from trainwright.spec.experiment import Experiment
from trainwright.train.callback import Callback
from trainwright.train.clock import Steps
from trainwright.train.run import NullRun


class Watch(Callback):
    """Writes down all that a callback can see of the loop."""

    every = Steps(1)

    def __init__(self):
        self.seen = []

    def on_step(self, moment):
        numbers = {name: repr(value) for name, value in moment.metrics.items()}
        self.seen.append([moment.step, moment.epoch, json.dumps(numbers, sort_keys=True)])

    def state(self):
        return {"seen": self.seen}

    def load_state(self, tree):
        self.seen = list(tree["seen"])


class Recorder(NullRun):
    """Keeps every checkpoint as the bytes that the store would keep."""

    def __init__(self):
        super().__init__()
        self.states, self.digests = {}, {}

    def save(self, snapshot):
        self.states[snapshot.step] = b"".join(dump_tree(snapshot.state))
        self.digests[snapshot.step] = digest_bytes(b"".join(dump_tensors(snapshot.weights)))
        return super().save(snapshot)


class Experimenting:
    """One experiment, trained whole and from any of its checkpoints.

    Args:
        changes: Of the plain experiment of the stories, by path.
        folder: Where the data lie.
        backend: That trains.
    """

    def __init__(self, changes, folder, backend="torch"):
        changes = dict(changes)
        told = changes.pop("train.callbacks", [])
        tree = make_tree(changes, backend=backend)
        tree["train"]["callbacks"] = [
            *told,
            {"use": "train.resuming:Watch"},
            {"use": "Checkpoint", "args": {"every_n_steps": 1, "keep_last": None}},
        ]
        self.plan = make_plan(Experiment.model_validate(tree), Path(folder), home=Path(folder) / "store")
        # The usual cadence, and nobody who looks at each step.
        tree["train"]["callbacks"] = told
        self.usual = make_plan(Experiment.model_validate(tree), Path(folder), home=Path(folder) / "store")
        self.lines = [Path(folder) / one["args"]["path"] for one in told if one["use"] == "JSONLines"]
        for path in self.lines:
            path.unlink(missing_ok=True)
        self.run, self.whole = self.train()
        self.written = [path.read_bytes() for path in self.lines]

    def fresh_state(self):
        """Gives the state of a loop that has done nothing."""
        plan = self.plan.anew()
        learner = plan.prepare()
        return load_tree(b"".join(dump_tree(plan.loop(learner, NullRun()).state(learner))))

    def train(self, state=None, *, dirty=0):
        """Trains to the end.

        Args:
            state: Of a checkpoint.
            dirty: Steps that the learner makes before it takes the state.

        Returns:
            What it left, and all that can be told from outside.
        """
        plan = self.plan.anew()
        learner = plan.prepare()
        if dirty:
            numbers = np.random.default_rng(dirty)
            noise = {
                name: array + numbers.normal(size=array.shape).astype(array.dtype)
                for name, array in learner.weights().items()
            }
            learner.load_weights(noise)
            plan.anew().loop(learner, NullRun(), end=dirty).fit()
        run = Recorder()
        loop = plan.loop(learner, run)
        # Time goes by steps, so that a limit of time is repeatable.
        loop._now = lambda: float(learner.step)
        outcome = loop.fit(resume=state)
        watch = next(one for one in plan.callbacks if type(one).__name__ == "Watch")
        return run, {
            "step": learner.step,
            "weights": digest_bytes(b"".join(dump_tensors(learner.weights()))),
            "outcome": (outcome.kind, outcome.reason),
            "seen": watch.seen,
            "metrics": [(step, name, repr(value)) for step, name, value in run.metrics],
            "warnings": run.warnings,
            "saved": sorted(run.states),
        }

    def usual_weights(self):
        """Gives the digest of the weights of a run at the usual cadence."""
        plan, run = self.usual, Recorder()
        learner = plan.prepare()
        loop = plan.loop(learner, run)
        loop._now = lambda: float(learner.step)
        loop.fit()
        return run.digests[learner.step]

    def from_step(self, k):
        """Trains from a checkpoint to the end.

        Returns:
            What can be told, with the history up to the checkpoint; and the last state, as bytes.
        """
        for path, content in zip(self.lines, self.written, strict=True):
            path.write_bytes(content)  # as one that went on after the checkpoint until it was killed
        run, told = self.train(load_tree(self.run.states[k]), dirty=1 + k % 2)
        before = [row for row in self.whole["metrics"] if row[0] <= k]
        told["metrics"] = before + told["metrics"]
        told["saved"] = [step for step in self.whole["saved"] if step <= k] + told["saved"]
        return told, run.states[max(run.states)] if run.states else self.run.states[k]
