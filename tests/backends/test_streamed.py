"""Records that are read step by step train the same weights as records in memory."""

import importlib

import numpy as np
import pytest

from contracts.learner import END, EverySteps, assert_equal_bits, go_on, make_arrays
from trainwright.data.lazy import EncodedRows
from trainwright.models.assemble import build_blueprint
from trainwright.models.task import ModelTask
from trainwright.spec.model import ModelSpec
from trainwright.spec.train import AdamW, TrainSpec
from trainwright.train.feed import make_feed
from trainwright.train.learner import Resolved

BACKENDS = {
    "torch": ("trainwright.backends.torch.backend", "TorchBackend"),
    "equinox": ("trainwright.backends.equinox.backend", "EquinoxBackend"),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "options",
    [{}, {"weights": True, "accumulate": 2, "batch_size": 2}],
    ids=["plain", "weights, accumulation"],
)
def test_a_stream_trains_the_weights_and_sums_of_the_arrays(backend, options):
    module, name = BACKENDS[backend]
    options = dict(options)
    arrays = make_arrays(weights=options.pop("weights", False))
    train = TrainSpec(
        backend=backend,
        loss="cross_entropy",
        epochs=3,
        optimizer=AdamW(name="adamw", lr=0.01),
        **{"batch_size": 4, **options},
    )
    model = ModelSpec(
        architecture="mlp",
        hidden_dims=[8, 6],
        input_shape=[3],
        output_dim=3,
        dropout=0.3,
        normalization="batch",
    )
    task = ModelTask(build_blueprint(model), train, train.epochs)
    states, predictions = [], []
    for x in (arrays["x"], EncodedRows(arrays["x"], lambda rows: rows)):
        feed = make_feed({**arrays, "x": x}, batch_size=4, seed=5)
        learner = getattr(importlib.import_module(module), name)().prepare(
            task, feed, seed=3, run_on=Resolved()
        )
        learner.train(feed, EverySteps(6), go_on)
        assert learner.step == END
        states.append(learner.state())
        predictions.append(learner.predict(x, batch_size=5)["logits"])
    assert_equal_bits(*states)
    np.testing.assert_array_equal(*predictions)
