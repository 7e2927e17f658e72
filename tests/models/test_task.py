from types import SimpleNamespace

import numpy as np
import pytest

from trainwright.models.task import ModelTask, name_outputs
from trainwright.spec.losses import CrossEntropy, Huber
from trainwright.spec.train import TrainSpec

LEVELS = (0.1, 0.5, 0.9)


def make(loss, shape):
    return ModelTask(
        SimpleNamespace(output_shape=shape, input_shape=(7,)),
        TrainSpec(loss=loss),
        1,
        quantiles=LEVELS,
        components=2,
    )


@pytest.mark.parametrize(
    ("loss", "shape", "task_type", "outputs"),
    [
        ("cross_entropy", (3,), "classification", {"logits": (3,)}),
        (CrossEntropy(name="cross_entropy", label_smoothing=0.1), (3,), "classification", {"logits": (3,)}),
        ("cross_entropy", (3, 8, 8), "segmentation", {"logits": (3, 8, 8)}),
        ("binary_cross_entropy", (3,), "multi_label", {"logits": (3,)}),
        ("mse", (3,), "regression", {"y": (3,)}),
        ("mae", (2, 8, 8), "regression", {"y": (2, 8, 8)}),
        (Huber(name="huber"), (3,), "regression", {"y": (3,)}),
        ("gaussian_nll", (4,), "regression", {"y": (2,), "variance": (2,)}),
        (
            "mixture_nll",
            (10,),
            "regression",
            {"y": (2,), "mixing": (2,), "means": (2, 2), "variances": (2, 2)},
        ),
        (
            "mixture_nll",
            (6, 8),
            "regression",
            {"y": (1, 8), "mixing": (2, 8), "means": (2, 1, 8), "variances": (2, 1, 8)},
        ),
        ("quantile", (6,), "regression", {"y": (2,), "quantiles": (3, 2)}),
        ("quantile", (6, 8), "regression", {"y": (2, 8), "quantiles": (3, 2, 8)}),
        ("triplet", (5,), "embedding", {"embedding": (5,)}),
        ("supervised_contrastive", (5,), "embedding", {"embedding": (5,)}),
        ("reconstruction", (5,), "embedding", {"embedding": (5,), "reconstruction": (7,)}),
        ("nt_xent", (5,), "embedding", {"embedding": (5,)}),
    ],
)
def test_the_outputs_are_those_of_the_task(loss, shape, task_type, outputs):
    task = make(loss, shape)
    assert (task.task_type, dict(task.outputs)) == (task_type, outputs)
    raw = np.random.default_rng(0).normal(size=(7, *shape)).astype(np.float32)
    decoded = task.decode(raw)
    # What the training layers rebuild is no part of the raw output.
    own = {name: shape for name, shape in outputs.items() if name != "reconstruction"}
    assert {name: array.shape for name, array in decoded.items()} == {n: (7, *s) for n, s in own.items()}
    # A predictor knows no task, and names them alike.
    named = name_outputs(next(iter(outputs)), raw, head=task.head, quantiles=LEVELS, components=2)
    for name, array in decoded.items():
        np.testing.assert_array_equal(named[name], array)
