"""Recorded runs without a training: what a judgement of made-up predictions leaves behind."""

from trainwright.spec.data import DataSpec
from trainwright.spec.experiment import Experiment
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import TrainSpec
from trainwright.store import datasets
from trainwright.store.records import Snapshot
from trainwright.store.registry import Registry
from trainwright.store.run import LocalRun
from trainwright.store.store import Store

ENVIRONMENT = {
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "hardware": {
        "processor": "cpu",
        "cores": 2,
        "system": "Linux",
        "machine": "x86_64",
        "memory_bytes": 2**33,
    },
    "packages": {"python": "3.12.0", "numpy": "2.2.0"},
    "lock": {"numpy": "2.2.0"},
}


def record_run(
    folder, *, task, judgement=None, artifacts=None, metrics=(), splits=None, data=None, model=None
):
    """Records a finished run.

    Args:
        folder: The store is made in it.
        task: Task type.
        judgement: Kept as the evaluation keeps it.
        artifacts: More of them by name; they win.
        metrics: For each step from 1 on, values by name such as `val/loss`.
        splits: Indices by name.
        data: Fields of the data's spec.
        model: Fields of the model's spec.

    Returns:
        The registry and the run's id.
    """
    store = Store.open(folder / "store")
    spec = Experiment(
        name="shown",
        data=DataSpec(**{"path": "data.npz", "target": "y", "digest": "0" * 64} | (data or {})),
        model=ModelSpec(**_architecture(task, model or {}) | (model or {})),
        train=TrainSpec(backend="torch", device="cpu"),
    )
    row = datasets.register(
        store, name=None, recipe={}, recipe_digest="1" * 64, content_digest="0" * 64, splits=splits or {}
    )
    run = LocalRun.begin(
        store,
        name="shown",
        resolved=spec,
        folder=str(folder),
        seed=0,
        backend="torch",
        dataset=row.digest,
        operator={},
        environment=ENVIRONMENT,
        best=("val/loss", "min"),
    )
    for step, values in enumerate(metrics, start=1):
        for group in {name.partition("/")[0] for name in values}:
            own = {name: value for name, value in values.items() if name.startswith(f"{group}/")}
            run.report(step, own, group=group)
    last = dict(metrics[-1]) if metrics else {}
    snapshot = Snapshot(step=len(metrics), epoch=len(metrics), weights={}, state=None, metrics=last)
    version = run.save(snapshot).wait()
    kept = dict(artifacts or {})
    if judgement is not None:
        run.look("test", "evaluate")
        scores = {f"test/{name}": dict(score) for name, score in judgement.scores.items()}
        about = {"version": version.number, "records": judgement.records, "classes": judgement.classes}
        found = {"test/scores": scores, "test/about": about}
        found |= {f"test/{name}": value for name, value in (judgement.arrays | judgement.tables).items()}
        kept = found | kept
    for name, value in kept.items():
        run.artifact(name, value)
    run.finish("done", final=version)
    return Registry(store), run.id


def _architecture(task, model):
    chosen = {"tokens": "transformer", "columns": "transformer"}.get(model.get("input"), "mlp")
    if task == "segmentation":
        return {"architecture": "unet", "task_type": task, "input": "image"}
    return {"architecture": chosen, "task_type": task, "input": "vector"}
