from types import SimpleNamespace

import numpy as np
import pytest

from trainwright.callbacks.probabilities import RECORDS, NoticeProbabilities
from trainwright.train.feed import ArrayFeed
from trainwright.train.moment import Warn

DRAWN = np.random.default_rng(0).normal(size=(RECORDS, 3)).astype(np.float32)
SHARES = np.exp(DRAWN) / np.exp(DRAWN).sum(axis=1, keepdims=True)


def answer(outputs, *, resumed=False):
    feed = ArrayFeed({"x": DRAWN, "y": np.zeros(RECORDS, dtype=np.int64)}, batch_size=RECORDS, seed=1)
    learner = SimpleNamespace(predict=lambda x: {"logits": outputs[: len(x)]})
    return NoticeProbabilities(feed).on_start(SimpleNamespace(learner=learner, resumed=resumed))


def test_outputs_that_are_probabilities_are_a_warning_once():
    found = answer(SHARES)
    assert isinstance(found, Warn) and found.text.startswith("model.use: ")
    assert answer(SHARES, resumed=True) is None


@pytest.mark.parametrize(
    "outputs",
    [
        DRAWN,
        0 * DRAWN,
        np.abs(DRAWN),
        DRAWN - DRAWN.mean(axis=1, keepdims=True) + 1 / 3,
        SHARES[:, :1] * 0 + 1,
    ],
    ids=["logits", "zeros", "positive", "adding up to 1", "one class"],
)
def test_others_are_not(outputs):
    assert answer(outputs) is None
