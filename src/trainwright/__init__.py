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
    "Adagrad": "trainwright.spec.optimizer",
    "Adam": "trainwright.spec.optimizer",
    "AdamW": "trainwright.spec.optimizer",
    "Callback": "trainwright.train.callback",
    "ColumnSpec": "trainwright.spec.data",
    "Constant": "trainwright.spec.schedule",
    "Cosine": "trainwright.spec.schedule",
    "DataSpec": "trainwright.spec.data",
    "Ema": "trainwright.spec.optimizer",
    "EnsembleOp": "trainwright.ensemble_op",
    "Experiment": "trainwright.spec.experiment",
    "Exponential": "trainwright.spec.schedule",
    "Group": "trainwright.spec.optimizer",
    "LBFGS": "trainwright.spec.optimizer",
    "Linear": "trainwright.spec.schedule",
    "ModelOp": "trainwright.model_op",
    "ModelSpec": "trainwright.spec.model",
    "MultiStep": "trainwright.spec.schedule",
    "OneCycle": "trainwright.spec.schedule",
    "Plateau": "trainwright.spec.schedule",
    "Profile": "trainwright.train.profiling",
    "Polynomial": "trainwright.spec.schedule",
    "RMSprop": "trainwright.spec.optimizer",
    "SGD": "trainwright.spec.optimizer",
    "Save": "trainwright.train.moment",
    "SplitSpec": "trainwright.spec.data",
    "Step": "trainwright.spec.schedule",
    "Stop": "trainwright.train.moment",
    "TrainSpec": "trainwright.spec.train",
    "TrainwrightError": "trainwright.base.errors",
    "Use": "trainwright.spec.part",
    "TrainingPipeline": "trainwright.pipeline",
    "register_training_run": "trainwright.pipeline",
    "run_model_building_step": "trainwright.step",
    "build_model": "trainwright.building",
    "count_parameters": "trainwright.building",
    "evaluate_model": "trainwright.evaluation.version",
    "import_model": "trainwright.importing",
    "load_model": "trainwright.model_op",
    "read_experiment": "trainwright.spec.read",
    "reproduce_version": "trainwright.reproduce",
    "resume_run": "trainwright.experiment",
    "run_ensemble": "trainwright.studies.ensemble",
    "run_folds": "trainwright.studies.folds",
    "run_repeats": "trainwright.studies.repeats",
    "run_experiment": "trainwright.experiment",
}

__all__ = sorted(_PLACES)


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'trainwright' has no attribute {name!r}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
