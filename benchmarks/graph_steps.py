"""Time of a training step of a GCN on Cora: both backends, and the same written with torch_geometric.

    python benchmarks/graph_steps.py [--rounds 3] [--dropout 0.5]

CPU seconds of a step, one thread, each contender in a process of its own, contenders in turns: all nodes, dense
features, hidden width 16, Adam; compiling left out.
"""

import argparse
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np

CONTENDERS = ("torch", "equinox", "torch_geometric")
FILE = Path(__file__).parents[1] / "examples" / "cora" / "gcn.yaml"
WARM, STEPS = 10, 60


class Until:
    """A clock that is told once, at its end."""

    def __init__(self, end):
        self.end = end

    def next(self, step):
        return self.end


def time_ours(backend, dropout):
    from trainwright.plan import make_plan
    from trainwright.spec.read import read_experiment
    from trainwright.train.learner import Answer

    changes = [f"train.backend={backend}", f"model.dropout={dropout}"]
    plan = make_plan(
        read_experiment(FILE, changes=changes).experiment, FILE.parent, home=Path(".trainwright")
    )
    learner = plan.prepare()
    learner.train(plan.feed, Until(WARM), lambda one: Answer())
    began = time.process_time()
    learner.train(plan.feed, Until(WARM + STEPS), lambda one: Answer())
    return (time.process_time() - began) / STEPS


def time_theirs(dropout):
    warnings.simplefilter("ignore")
    import torch
    import torch.nn.functional as F
    from torch_geometric.nn import GCNConv

    torch.set_num_threads(1)
    with np.load(FILE.parent / "cora.npz", allow_pickle=False) as file:
        found = {name: file[name] for name in file}
    x = np.zeros((2708, 1433), dtype=np.float32)
    x[found["feat_row"], found["feat_col"]] = found["feat_val"]
    x = torch.from_numpy(x / x.sum(1, keepdims=True).clip(1))
    pairs = np.concatenate([found["edges"], found["edges"][:, ::-1]]).T
    arrows, y = torch.from_numpy(pairs.copy()).long(), torch.from_numpy(found["y"].astype(np.int64))
    train = torch.from_numpy(found["train_idx"])
    first, second = GCNConv(1433, 16, cached=True), GCNConv(16, 7, cached=True)
    groups = [{"params": first.parameters(), "weight_decay": 5e-4}, {"params": second.parameters()}]
    optimizer = torch.optim.Adam(groups, lr=0.01)

    def step():
        hidden = F.relu(first(F.dropout(x, dropout), arrows))
        loss = F.cross_entropy(second(F.dropout(hidden, dropout), arrows)[train], y[train])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    for _ in range(WARM):
        step()
    began = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - began) / STEPS


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dropout", type=float, default=0.5)
    parser.add_argument("--only", choices=CONTENDERS)
    asked = parser.parse_args()
    if asked.only:
        own = asked.only != "torch_geometric"
        print(time_ours(asked.only, asked.dropout) if own else time_theirs(asked.dropout))
        return
    times = {name: [] for name in CONTENDERS}
    for _ in range(asked.rounds):
        for name in CONTENDERS:
            command = [sys.executable, __file__, "--only", name, "--dropout", str(asked.dropout)]
            times[name].append(
                float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            )
    for name, found in times.items():
        print(
            f"{name:16} {1e3 * np.median(found):7.2f} ms ({1e3 * min(found):.2f} to {1e3 * max(found):.2f})"
        )


if __name__ == "__main__":
    main()
