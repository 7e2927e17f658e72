"""Trains deep-learning models and leaves results that can be trusted, repeated and reused.

    import trainwright as tw

    trained = tw.run_experiment(tw.read_experiment("experiment.yaml").experiment)
    model = tw.load_model("name@best")
    model(x)

Names are imported when they are first used; `import trainwright` imports no training framework.
"""

import importlib
from typing import Any

_PLACES = {
    "Adam": "trainwright.spec.train",
    "AdamW": "trainwright.spec.train",
    "Callback": "trainwright.train.callback",
    "Constant": "trainwright.spec.train",
    "Cosine": "trainwright.spec.train",
    "DataSpec": "trainwright.spec.data",
    "Experiment": "trainwright.spec.experiment",
    "ModelOp": "trainwright.model_op",
    "ModelSpec": "trainwright.spec.model",
    "OneCycle": "trainwright.spec.train",
    "Plateau": "trainwright.spec.train",
    "SGD": "trainwright.spec.train",
    "Save": "trainwright.train.moment",
    "SplitSpec": "trainwright.spec.data",
    "Stop": "trainwright.train.moment",
    "TrainSpec": "trainwright.spec.train",
    "TrainwrightError": "trainwright.base.errors",
    "Use": "trainwright.spec.part",
    "evaluate_model": "trainwright.evaluation.version",
    "load_model": "trainwright.model_op",
    "read_experiment": "trainwright.spec.read",
    "reproduce_version": "trainwright.reproduce",
    "resume_run": "trainwright.experiment",
    "run_experiment": "trainwright.experiment",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'trainwright' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
