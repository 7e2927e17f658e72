"""The workloads of the speed comparisons, and who trains them; run by `training_speed.py` and `adapters.py`.

    python benchmarks/workloads.py WORKLOAD CONTENDER

Every contender starts from the same initial weights, sees the same records in the same order and validates after each
epoch (one forward pass over the validation records, and the loss), so the final loss must agree; a contender that
trains something else is found out. CPU seconds of the whole process (all threads) are counted from the end of the
first epoch to the end of the last; before it lie imports, building and compiling, which are told apart.
"""

import json
import resource
import sys
import time

import numpy as np

from trainwright.models.assemble import build_blueprint
from trainwright.spec.model import ModelSpec
from trainwright.train.feed import ArrayFeed

WORKLOADS = {
    "mlp128": {"model": {"architecture": "mlp", "hidden_dims": [128, 128]}, "batch": 256, "epochs": 8},
    "mlp64": {"model": {"architecture": "mlp", "hidden_dims": [64, 64]}, "batch": 32, "epochs": 6},
    "cnn": {"model": {"architecture": "cnn", "hidden_dims": [16, 32, 64]}, "batch": 64, "epochs": 3},
    "transformer": {
        "model": {
            "architecture": "transformer",
            "input": "sequence",
            "stem": "patch",
            "patch_size": 1,
            "hidden_dims": [64, 64],
            "heads": 4,
            "feedforward_factor": 4,
        },
        "batch": 64,
        "epochs": 3,
    },
}
LR, DECAY, SEED = 1e-3, 1e-2, 0


class Work:
    """Records, the first weights, and the order of one workload."""

    def __init__(self, name):
        self.name = name
        self.batch, self.epochs = WORKLOADS[name]["batch"], WORKLOADS[name]["epochs"]
        numbers = np.random.default_rng(0)
        self.loss = "mse" if name.startswith("mlp") else "cross_entropy"
        if name == "cnn":
            self.x = numbers.normal(size=(6400, 1, 28, 28)).astype(np.float32)
            self.y = (np.abs(self.x[:, 0, :14]).mean((1, 2)) * 40).astype(np.int64) % 10
            self.val = (self.x[:1000], self.y[:1000])
        elif name == "transformer":
            self.x = numbers.normal(size=(3200, 4, 64)).astype(np.float32)
            self.y = (np.abs(self.x[:, 0, :32]).mean(1) * 30).astype(np.int64) % 10
            self.val = (self.x[:500], self.y[:500])
        else:
            x = numbers.normal(size=(60_000, 32)).astype(np.float32)
            y = (np.sin(x[:, :1]) + 0.5 * x[:, 1:2]).astype(np.float32)
            self.x, self.y, self.val = x[:50_000], y[:50_000], (x[50_000:], y[50_000:])
        outputs = 1 if self.loss == "mse" else 10
        shape = list(self.x.shape[1:])
        self.spec = ModelSpec(input_shape=shape, output_dim=outputs, **WORKLOADS[name]["model"])
        self.plan = build_blueprint(self.spec)
        self.weights = self.plan.initial(SEED)
        self.feed = ArrayFeed({"x": self.x, "y": self.y}, batch_size=self.batch, seed=SEED)
        self.steps = self.feed.steps_per_epoch

    def order(self, epoch):
        return np.concatenate([self.feed.indices(epoch * self.steps + n) for n in range(self.steps)])


class Watch:
    """Notes CPU seconds at each epoch's end, and the loss of the last."""

    def __init__(self, work):
        self.work, self.times, self.loss = work, [], float("nan")
        self.begun = time.process_time()

    def epoch(self, loss):
        self.times.append(time.process_time())
        self.loss = float(loss)

    def result(self):
        between = self.times[-1] - self.times[0]
        each = between / (len(self.times) - 1)
        return {
            "samples_per_cpu_second": len(self.work.x) / each,
            "final_loss": self.loss,
            # What the first epoch took more than the others: imports, building, compiling.
            "before_s": self.times[0] - self.begun - each,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        }


if __name__ == "__main__":
    from contenders import ADAPTERS, CONTENDERS

    work = Work(sys.argv[1])
    watch = Watch(work)
    (CONTENDERS | ADAPTERS)[sys.argv[2]](work, watch)
    print(json.dumps(watch.result()))
