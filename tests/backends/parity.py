"""One model on every backend: outputs before and after the first step, from the same initial weights.

Every backend is compared with torch. `PYTHONPATH=src:tests python -m backends.parity BACKEND` compares all cases of one
and writes its rows of the table in docs/backends.md; Keras runs on one engine per process.
"""

import functools
import itertools
import math
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trainwright.backends import CATALOG
from trainwright.conversion import draw_probes
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.build import find
from trainwright.spec.fitting import FITTING, HEADS
from trainwright.spec.model import ModelSpec
from trainwright.spec.model_settle import settle_model
from trainwright.spec.resolve import REQUIRED
from trainwright.spec.train import TrainSpec
from trainwright.train.feed import ArrayFeed, Batch
from trainwright.train.learner import Answer, Resolved

RECORDS = 12
REFERENCE = "torch"
PAIRS = tuple((name, REFERENCE) for name in REQUIRED if name != REFERENCE)
OPTIMIZERS = ("sgd", "adam", "adamw")
ARCHITECTURES = {
    "mlp": {"input_shape": [5], "hidden_dims": [8, 8]},
    "cnn": {"input_shape": [2, 12], "hidden_dims": [8, 8]},
    "transformer": {"input_shape": [2, 12], "hidden_dims": [8], "patch_size": 3, "heads": 2},
    "unet": {"input_shape": [2, 12], "hidden_dims": [4, 6]},
}
OWN = {"name": "own", "use": "backends.own_losses:Asymmetric"}
SUM = {"name": "composite", "losses": [{"loss": "mse", "weight": 0.7}, {"loss": OWN, "weight": 0.3}]}
TASKS = {**FITTING, "regression": (*FITTING["regression"], "own", "composite")}


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Args:
        architecture: Of the model.
        task: What it predicts.
        loss: By its name.
    """

    architecture: str
    task: str
    loss: str


def fits(case):
    """Says whether an architecture has a task: a unet one with places, all others one without."""
    if case.architecture == "unet":
        return case.task in ("segmentation", "regression")
    return case.task != "segmentation"


CASES = tuple(
    case
    for architecture in ARCHITECTURES
    for task, losses in TASKS.items()
    for loss in losses
    if fits(case := Case(architecture, task, loss))
)


class TwoViews:
    """A feed that shows every record twice, the second time a little shifted."""

    def __init__(self, feed):
        self.feed, self.arrays = feed, None
        self.steps_per_epoch, self.records, self.seed = feed.steps_per_epoch, feed.records, feed.seed
        self.indices, self.span = feed.indices, feed.span

    def batch(self, step):
        batch = self.feed.batch(step)
        x = np.stack([batch.x, batch.x + np.float32(0.3)], axis=1)
        return Batch(x=x, y=batch.y, weight=batch.weight, ids=batch.ids)


class Once:
    """One step."""

    end = 1

    def next(self, step):
        return 1


def targets_of(case, shape):
    """Draws targets of a task; `shape` is that of the raw output of one target each."""
    numbers = np.random.default_rng(2)
    space = shape[1:]
    if case.loss == "kl":
        return numbers.dirichlet(np.ones(3), RECORDS).astype(np.float32)
    if case.task in ("classification", "embedding"):
        return np.arange(RECORDS) % 3
    if case.task == "segmentation":
        return numbers.integers(0, 3, (RECORDS, *space))
    if case.task == "multi_label":
        return (numbers.uniform(size=(RECORDS, 3)) < 0.4).astype(np.float32)
    return numbers.normal(size=(RECORDS, 2, *space)).astype(np.float32)


@functools.cache
def outputs_of(case, optimizer, backend):
    """Gives the outputs of a model before and after its first step on a backend."""
    model = {
        "architecture": case.architecture,
        "task_type": case.task,
        "output_dim": {"regression": 2, "embedding": 4}.get(case.task, 3),
        "head": HEADS.get(case.loss, "point") if case.task == "regression" else "point",
        **ARCHITECTURES[case.architecture],
    }
    if model["head"] == "mixture":
        model["components"] = 2
    if model["head"] == "quantiles":
        model["quantiles"] = [0.1, 0.5, 0.9]
    spec = settle_model(ModelSpec.model_validate(model))
    blueprint = build_blueprint(spec, loss=case.loss)
    loss = {"own": OWN, "composite": SUM}.get(case.loss, case.loss)
    train = TrainSpec.model_validate(
        {
            "backend": backend,
            "epochs": 1,
            "batch_size": RECORDS,
            "loss": loss,
            "optimizer": {"name": optimizer, "lr": 1e-3},
        }
    )
    x = 3 * draw_probes(spec, count=RECORDS)
    y = targets_of(case, blueprint.output_shape)
    weight = np.linspace(0.5, 2.0, RECORDS).astype(np.float32)
    if case.loss == "quantile":
        # Its gradients are a level, or a level less 1, times weights: even ones can cancel to a true zero, and of
        # what rounding leaves of it Adam takes the sign.
        weight = np.random.default_rng(6).uniform(0.5, 2.0, RECORDS).astype(np.float32)
    feed = ArrayFeed({"x": x, "y": y, "weight": weight}, batch_size=RECORDS, seed=1)
    if case.loss == "nt_xent":
        feed = TwoViews(feed)
    task = ModelTask(
        blueprint, train, 1, quantiles=tuple(spec.quantiles or ()), kind=case.task, components=spec.components
    )
    made = find(backend, CATALOG, where="backend")()
    learner = made.prepare(task, feed, seed=4, run_on=Resolved())
    before = learner.predict(x)
    learner.train(feed, Once(), lambda one: Answer())
    return before, learner.predict(x)


def differ(left, right):
    """Gives the largest difference of an output over the largest output."""
    pairs = [(array.astype(np.float64), right[name].astype(np.float64)) for name, array in left.items()]
    return max(np.abs(one - other).max() / np.abs(one).max() for one, other in pairs)


@dataclass(frozen=True)
class Found:
    """What a comparison gave, each number over the largest output.

    Args:
        before: The largest difference before the first step.
        after: The largest difference after it.
        moved: How far the step moved an output.
        apart: The largest difference of these movements.
        spread: How different the outputs of the records were.
    """

    before: float
    after: float
    moved: float
    apart: float
    spread: float


def compare(case, optimizer, pair):
    """Makes the step on two backends and compares the outputs."""
    (before, after), (other_before, other_after) = (outputs_of(case, optimizer, one) for one in pair)
    step, other_step = (
        {name: one[1][name].astype(np.float64) - array for name, array in one[0].items()}
        for one in ((before, after), (other_before, other_after))
    )
    main = next(iter(before.values())).astype(np.float64)
    return Found(
        differ(before, other_before),
        differ(after, other_after),
        differ(before, after),
        differ(step, other_step),
        float(main.std(axis=0).max() / np.abs(main).max()),
    )


# The table: one row per pair, architecture and task; each cell is the power of ten that no loss exceeds.

PAGE = Path(__file__).parents[2] / "docs/backends.md"
BEGIN, END = "<!-- written by tests/backends/parity.py -->\n", "<!-- end -->\n"
COLUMNS = ("before", *OPTIMIZERS)


def ceiling(value):
    """Gives the power of ten above twice a difference, so that another processor's last bits are below it too."""
    return math.ceil(math.log10(max(2 * value, 1e-9)))


def summarize(found):
    """Gives the largest differences by row and column, of `{(case, optimizer, pair): Found}`."""
    rows = {}
    for (case, optimizer, pair), one in found.items():
        row = rows.setdefault((pair, case.architecture, case.task), {})
        row["before"] = max(row.get("before", 0.0), one.before)
        row[optimizer] = max(row.get(optimizer, 0.0), one.after)
    return rows


def write_table(found):
    """Writes the table."""
    lines = [
        "| backends | architecture | task | losses | before | after SGD | after Adam | after AdamW |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for (pair, architecture, task), row in summarize(found).items():
        losses = sum((one.architecture, one.task) == (architecture, task) for one in CASES)
        cells = [f"≤ 1e{ceiling(row[column])}" for column in COLUMNS]
        lines.append(" | ".join([f"| {', '.join(pair)}", architecture, task, str(losses), *cells]) + " |")
    return "\n".join(lines) + "\n"


def read_table():
    """Reads the table of the page: `{(pair, architecture, task): (losses, {column: largest})}`."""
    text = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    rows = {}
    for line in text.splitlines()[2:]:
        pair, architecture, task, losses, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        numbers = [float(re.fullmatch(r"≤ (1e-\d+)", cell)[1]) for cell in cells]
        rows[tuple(pair.split(", ")), architecture, task] = (
            int(losses),
            dict(zip(COLUMNS, numbers, strict=True)),
        )
    return rows


def main():
    """Compares all cases of one backend and writes its rows."""
    pair, found = (sys.argv[1], REFERENCE), {}
    for case, optimizer in itertools.product(CASES, OPTIMIZERS):
        found[case, optimizer, pair] = compare(case, optimizer, pair)
        print(*pair, case, optimizer, found[case, optimizer, pair], flush=True)
    begin, _, rest = PAGE.read_text().partition(BEGIN)
    table, _, end = rest.partition(END)
    mine, others = write_table(found).splitlines(), table.splitlines()[2:]
    rows = [*(row for row in others if not row.startswith(f"| {', '.join(pair)} |")), *mine[2:]]
    PAGE.write_text(begin + BEGIN + "\n".join([*mine[:2], *sorted(rows)]) + "\n" + END + end)


if __name__ == "__main__":
    main()
