"""How fast a sweep of learning rates is as one program, beside torch with a fused optimizer, one rate after another.

The workload is `mlp64` of `workloads.py`: 50 000 records of 32 numbers, [64, 64], batch 32, validation on 10 000
records after each epoch. Ours records every member as an ordinary run (metrics, validation, a checkpoint per epoch, in
a store); torch records nothing, and validates by one forward pass. Each contender has a process of its own, pinned to
one core; CPU seconds of the whole process are counted from the end of the first epoch to the end of the last, per
member and epoch. Rounds are interleaved, and the table shows medians of the ratios within a round.

    python benchmarks/sweep.py --members 16 --rounds 5 --backend torch
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("NPROC", "1")
os.environ["MKL_CBWR"] = "AUTO"  # as trainwright sets it: products by hand round alike

import peers_torch
from workloads import DECAY, SEED, Work

RATES = (1e-4, 1e-2)
BACKENDS = ("equinox", "torch")


class Ticks:
    """Notes CPU seconds, and the losses of the last epoch."""

    def __init__(self):
        self.times, self.losses = [], []

    def epoch(self, loss):
        self.times.append(time.process_time())
        self.losses.append(float(loss))


def rates(members):
    low, high = RATES
    return [low * (high / low) ** (n / max(members - 1, 1)) for n in range(members)]


def backend_of(name):
    from trainwright.backends import CATALOG
    from trainwright.spec.build import find

    return find(name, CATALOG, where="train.backend")()


def torch_fused(work, members, backend):
    """One member stands for all: the others would cost the same."""
    peers_torch.LR = rates(members)[members // 2]
    ticks = Ticks()
    peers_torch.slicing(work, ticks, fused=True)
    seconds = (ticks.times[-1] - ticks.times[0]) / (len(ticks.times) - 1)
    return {"seconds": seconds, "losses": {members // 2: ticks.losses[-1]}}


def vectorised(work, members, backend):
    """Every member in a loop of its own with a store, all as one program."""
    from trainwright.train.company import Meeting
    from trainwright.train.learner import Resolved, Seat

    with tempfile.TemporaryDirectory() as folder:
        tasks = [make_task(work, rate, backend, vectorised=True) for rate in rates(members)]
        seats = [Seat(task, work.feed, SEED) for task in tasks]
        company = backend_of(backend).company(seats, run_on=Resolved(threads=1))
        ticks = [Ticks() for _ in seats]
        store = open_store(folder)
        bodies = [
            lambda place=place: record(work, company.learners[place], tasks[place], store, ticks[place])
            for place in range(members)
        ]
        for end in Meeting(company, bodies).run():
            if end.error is not None:
                raise end.error
    # From the last member's first epoch to the last member's last one.
    times = ticks[-1].times
    seconds = (times[-1] - times[0]) / (len(times) - 1) / members
    losses = {place: one.losses[-1] for place, one in enumerate(ticks)}
    return {"seconds": seconds, "losses": losses}


def sequential(work, members, backend):
    """The same member by itself: our lone loop."""
    from trainwright.train.learner import Resolved

    with tempfile.TemporaryDirectory() as folder:
        task = make_task(work, rates(members)[members // 2], backend, vectorised=False)
        learner = backend_of(backend).prepare(task, work.feed, seed=SEED, run_on=Resolved(threads=1))
        ticks = Ticks()
        record(work, learner, task, open_store(folder), ticks)
    seconds = (ticks.times[-1] - ticks.times[0]) / (len(ticks.times) - 1)
    return {"seconds": seconds, "losses": {members // 2: ticks.losses[-1]}}


def make_task(work, rate, backend, *, vectorised):
    from trainwright.models.task import ModelTask
    from trainwright.spec.train import AdamW, TrainSpec

    train = TrainSpec(
        backend=backend,
        vectorised=vectorised,
        batch_size=work.batch,
        loss=work.loss,
        optimizer=AdamW(name="adamw", lr=rate, weight_decay=DECAY),
    )
    return ModelTask(work.plan, train, work.epochs)


def open_store(folder):
    from trainwright.store.datasets import register
    from trainwright.store.store import Store

    store = Store.open(Path(folder) / "store")
    store_row = {"recipe": {}, "recipe_digest": "0" * 64, "content_digest": "0" * 64, "splits": {}}
    return store, register(store, name=None, **store_row)


def record(work, learner, task, opened, ticks):
    from trainwright.callbacks.checkpoint import Checkpoint
    from trainwright.callbacks.stopping import EarlyStopping
    from trainwright.routines.regression import RegressionScores
    from trainwright.store.run import LocalRun
    from trainwright.train.callback import Callback
    from trainwright.train.loop import TrainingLoop
    from trainwright.train.routine import Examples, View

    class Listener(Callback):
        def on_epoch(self, moment):
            ticks.epoch(moment.metrics["train/loss"])

    store, row = opened
    run = LocalRun.begin(
        store,
        name="bench",
        resolved=task.train,
        folder=".",
        seed=SEED,
        backend=task.backend,
        dataset=row.digest,
        operator={"work": work.name},
        environment={},
        best=("val/loss", "min"),
    )
    run.keep(last=3, best=1)
    TrainingLoop(
        learner,
        work.feed,
        run=run,
        epochs=work.epochs,
        routines=[RegressionScores()],
        callbacks=[EarlyStopping(patience=1000), Checkpoint(), Listener()],
        make_view=lambda one: View(one, {"val": Examples(*work.val)}),
    ).fit()
    run.finish("done")


CONTENDERS = {
    "torch, fused, one after another": torch_fused,
    "trainwright, one after another": sequential,
    "trainwright, as one program": vectorised,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--members", type=int, default=16)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--backend", choices=BACKENDS, default="equinox")
    arguments.add_argument("--core", type=int, default=0)
    arguments.add_argument("--one", choices=CONTENDERS, help="run one contender in this process")
    chosen = arguments.parse_args()
    if chosen.one:
        print(json.dumps(CONTENDERS[chosen.one](Work("mlp64"), chosen.members, chosen.backend)))
        return
    rounds = []
    for number in range(chosen.rounds):
        names = list(CONTENDERS) if number % 2 == 0 else list(reversed(CONTENDERS))
        found = {name: measure(name, chosen) for name in names}
        check(found)
        rounds.append({name: one["seconds"] for name, one in found.items()})
    base = next(iter(CONTENDERS))
    print(
        f"{chosen.backend}, {chosen.members} learning rates, mlp64, {len(rounds)} rounds; CPU per member and epoch"
    )
    for name in CONTENDERS:
        ratios = [one[base] / one[name] for one in rounds]
        ms = statistics.median(one[name] for one in rounds) * 1000
        print(
            f"{name:40s} {ms:8.1f} ms   {statistics.median(ratios):6.2f} x "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


def measure(name, chosen):
    command = [sys.executable, __file__, "--one", name, "--members", str(chosen.members)]
    command += ["--backend", chosen.backend]
    if hasattr(os, "sched_setaffinity"):
        command = ["taskset", "-c", str(chosen.core), *command]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def check(found):
    """A contender that trains something else is found out."""
    for place, loss in found["torch, fused, one after another"]["losses"].items():
        for name, other in found.items():
            assert abs(other["losses"][place] - loss) < 0.05 * loss, (
                name,
                place,
                other["losses"][place],
                loss,
            )


if __name__ == "__main__":
    main()
