"""Compares a whole run, from the start of the process to a registered model, with a bare JAX script of the same work.

    python benchmarks/whole_run.py [--rounds 5]

Ten epochs of `mlp64` (50 000 records of 32 numbers, widths 64 and 64, batches of 32, AdamW), 10 000 records for
validation after each epoch. Ours is `trainwright run` with everything on: the plan, a new store, metrics, a checkpoint
per epoch, provenance and report. The script reads the same file, draws an order, scans over each epoch, validates,
and saves its weights. CPU seconds of whole processes on one pinned core, in turns; the median of the ratios.
"""

import argparse
import itertools
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

EXPERIMENT = """
name: whole
data: {path: data.npz, split: {method: given, train: rest, val: val}}
model: {architecture: mlp, task_type: regression, hidden_dims: [64, 64], activation: relu}
train:
  backend: equinox
  epochs: 10
  batch_size: 32
  optimizer: {name: adamw, lr: 1e-3, weight_decay: 0.01}
  schedule: {name: constant}
"""
ENVIRONMENT = {"NPROC": "1", "OMP_NUM_THREADS": "1", "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}
LEAST_R2 = 0.99  # what either must reach, so that both did the work


def script():
    """What one would write by hand."""
    import jax
    import jax.numpy as jnp
    import optax

    with np.load("data.npz") as file:
        x, y, val = file["x"], file["y"], file["val"]
    train = np.setdiff1d(np.arange(len(x)), val)
    data, held_out = (
        (jnp.asarray(x[train]), jnp.asarray(y[train])),
        (jnp.asarray(x[val]), jnp.asarray(y[val])),
    )
    numbers, widths = np.random.default_rng(0), [32, 64, 64, 1]
    weights = [
        (numbers.uniform(-1, 1, (a, b)).astype(np.float32) / a**0.5, np.zeros(b, np.float32))
        for a, b in itertools.pairwise(widths)
    ]
    optimizer = optax.adamw(1e-3, weight_decay=0.01)

    def predict(weights, x):
        for w, b in weights[:-1]:
            x = jax.nn.relu(x @ w + b)
        return x @ weights[-1][0] + weights[-1][1]

    def loss_of(weights, x, y):
        return jnp.mean((predict(weights, x) - y) ** 2)

    def step(carry, rows):
        weights, state = carry
        loss, gradients = jax.value_and_grad(loss_of)(weights, data[0][rows], data[1][rows])
        updates, state = optimizer.update(gradients, state, weights)
        return (optax.apply_updates(weights, updates), state), loss

    epoch_of = jax.jit(lambda carry, order: jax.lax.scan(step, carry, order), donate_argnums=0)
    last_of = jax.jit(step, donate_argnums=0)
    validate = jax.jit(loss_of)
    carry = jax.jit(lambda weights: (weights, optimizer.init(weights)))(weights)
    full = len(train) // 32 * 32
    for _ in range(10):
        order = numbers.permutation(len(train)).astype(np.int32)
        carry, losses = epoch_of(carry, order[:full].reshape(-1, 32))
        carry, last = last_of(carry, order[full:])
        mean = (float(losses.sum()) * 32 + float(last) * (len(order) - full)) / len(order)
        error = float(validate(carry[0], *held_out))
        print(f"train/loss {mean:.5f} val/loss {error:.5f}")
    np.savez("weights.npz", *jax.tree.leaves(carry[0]))
    print(f"val/r2 {1 - error / float(held_out[1].var()):.5f}")


def ours():
    from trainwright.cli.app import main as command_line

    sys.argv = ["trainwright", "run", "experiment.yaml", "--store", "store"]
    command_line()


def write_data(folder):
    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(60_000, 32)).astype(np.float32)
    y = (np.sin(x[:, :1]) + 0.5 * x[:, 1:2]).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=y, val=np.arange(50_000, 60_000))


def measure(who, core):
    """Gives CPU seconds of the process and the R² it ends with."""
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder))
        (Path(folder) / "experiment.yaml").write_text(EXPERIMENT)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, __file__, "--child", who],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, **ENVIRONMENT},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = re.findall(r"val/r2 ([\d.]+)", done.stdout + done.stderr)
    if done.returncode or not told or float(told[-1]) < LEAST_R2:
        raise SystemExit(f"{who} failed, or did not learn:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    rounds, core = parser.parse_args().rounds, min(os.sched_getaffinity(0))
    found = {"ours": [], "script": []}
    for number in range(rounds):
        for who in sorted(found, reverse=number % 2 == 1):
            found[who].append(measure(who, core))
    ratios = [left / right for left, right in zip(found["ours"], found["script"], strict=True)]
    middle = {who: statistics.median(one) for who, one in found.items()}
    print(
        f"trainwright {middle['ours']:.2f} CPU s, bare JAX script {middle['script']:.2f} CPU s; "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        {"script": script, "ours": ours}[sys.argv[2]]()
    else:
        main()
