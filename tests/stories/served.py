"""Is what a version serves what its learner said while it was trained?"""

import json
from pathlib import Path

import numpy as np

from trainwright.base.home import home_of
from trainwright.data.frame import Frame
from trainwright.model_op import ModelOp
from trainwright.plan import make_plan
from trainwright.spec.experiment import Experiment
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.train.routine import View


class Served:
    """Answers like the learner, from a version alone and from raw records.

    Args:
        plan: Of the run.
        model: Loaded from the version.
        extra: Outputs that only a learner has, such as a reconstruction, by split.
    """

    def __init__(self, plan, model, extra):
        self.task = plan.task
        self._plan, self._model, self._extra = plan, model, extra

    def predict(self, x, *, batch_size=None):
        (split,) = (name for name, one in self._plan.examples.items() if one.x is x)
        return {**self._extra[split], **self._model.outputs(raw_records(self._plan, split))}


def raw_records(plan, split):
    """Gives records as they were before any preparation; of a table, columns by name."""
    x = plan.dataset.part(split).x
    return x.columns if isinstance(x, Frame) else x


def judge(run):
    """Writes what is wrong with the versions of a run that are kept, as a JSON list."""
    registry = Registry(Store.open(home_of(None), create=False))
    row = registry.run(run)
    plan = make_plan(Experiment.model_validate(registry.spec(row)), Path(row.folder), home=home_of(None))
    learner = plan.prepare()
    measured = {(one.step, one.name): one.value for one in registry.metrics(run)}
    wrong, compared = [], 0
    for version in registry.versions(run=run):
        if version.status != "kept":
            continue
        model = ModelOp.load(registry, f"{version.model}@{version.number}")
        learner.load_state(registry.state(version)["learner"])
        own = {name: learner.predict(one.x) for name, one in plan.examples.items()}
        for name, array in model.outputs(raw_records(plan, "val")).items():
            if not np.array_equal(own["val"][name], array):
                wrong.append(
                    f"@{version.number}: {name} is {_far(own['val'][name], array)} away from the learner's"
                )
        view = View(Served(plan, model, own), plan.examples, invert=plan.preparation.targets.invert)
        for routine in plan.routines:
            for name, value in routine(view).scores.items():
                recorded = measured.get((version.step, name))
                if recorded is None:
                    continue
                compared += 1
                if not np.isclose(value, recorded, rtol=1e-6, atol=1e-6):
                    wrong.append(f"@{version.number}: {name} is {value}, recorded {recorded}")
    if not compared:
        wrong.append("no metric was compared")
    print(json.dumps(wrong))


def _far(one, other):
    return float(np.abs(one.astype(np.float64) - other).max()) if one.shape == other.shape else "a shape"
