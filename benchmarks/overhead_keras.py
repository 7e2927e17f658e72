"""Measures our own Python per step within `keras.Model.fit`, with a model that does nothing.

    python benchmarks/overhead_keras.py jax
    python benchmarks/overhead_keras.py torch

As `overhead.py`: the loop, the feed, the callbacks, the metrics and a checkpoint per epoch are all on, and the step
gives back what it got. By hand, the same network is fitted on the same slices by a step that does nothing. CPU
microseconds per step on one pinned core; 15 interleaved pairs, the mean difference and its 95 % interval.
"""

import sys
import time

import numpy as np
from overhead import BATCH, EPOCHS, ours  # pins the core, too
from scipy import stats

from trainwright.backends.keras.engine import own_engine
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import Cosine, TrainSpec

RECORDS, PAIRS = 64_000, 15
ENGINE = sys.argv[1]
keras = own_engine(ENGINE, threads=1)

from trainwright.backends.keras.learner import KerasLearner


class Nothing(KerasLearner):
    """Trains nothing."""

    def __init__(self, *args, **more):
        super().__init__(*args, **more)

        def step(free, rest, moments, parts, *_):
            return free, rest, moments, 0.0, len(parts[0][0])

        self.model.step = (lambda *_: step) if ENGINE == "jax" else step


class ByHand(keras.Sequential):
    """Fits nothing."""

    def make_train_function(self, force=False):
        def on_jax(state, batches):
            next(batches)
            return {}, state

        self.train_function = on_jax if ENGINE == "jax" else lambda batch: {}


def slices(arrays):
    numbers = np.random.default_rng(0)
    while True:
        order = numbers.permutation(RECORDS)
        x, y = arrays["x"][order], arrays["y"][order]
        for i in range(0, RECORDS, BATCH):
            yield x[i : i + BATCH], y[i : i + BATCH]


def by_hand(arrays):
    layers = [keras.layers.Dense(64, activation="relu") for _ in range(2)]
    model = ByHand([keras.Input((32,)), *layers, keras.layers.Dense(1)])
    model.compile("adamw", "mse")
    begin = time.process_time()
    model.fit(slices(arrays), steps_per_epoch=RECORDS // BATCH, epochs=EPOCHS, shuffle=False, verbose=0)
    return time.process_time() - begin


def main():
    numbers = np.random.default_rng(0)
    arrays = {
        "x": numbers.normal(size=(RECORDS, 32)).astype(np.float32),
        "y": numbers.normal(size=(RECORDS, 1)).astype(np.float32),
    }
    plan = build_blueprint(
        ModelSpec(architecture="mlp", input_shape=[32], output_dim=1, hidden_dims=[64, 64])
    )
    train = TrainSpec(backend=f"keras-{ENGINE}", batch_size=BATCH, loss="mse", schedule=Cosine(name="cosine"))
    task = ModelTask(plan, train, EPOCHS)
    steps = EPOCHS * RECORDS // BATCH
    pairs = np.array([(ours(arrays, task, Nothing), by_hand(arrays)) for _ in range(PAIRS)]) / steps * 1e6
    mine, theirs = pairs.mean(0)
    added = pairs[:, 0] - pairs[:, 1]
    error = stats.t.ppf(0.975, PAIRS - 1) * added.std(ddof=1) / PAIRS**0.5
    print(
        f"keras-{ENGINE}: trainwright {mine:.2f} us/step, Keras by hand {theirs:.2f} us/step, "
        f"added {added.mean():.2f} us/step ({added.mean() - error:.2f} to {added.mean() + error:.2f})"
    )


if __name__ == "__main__":
    main()
