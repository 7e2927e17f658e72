"""Notices that a network of the user's own gives probabilities where the loss takes logits."""

import numpy as np

from trainwright.train.callback import Callback
from trainwright.train.feed import Feed
from trainwright.train.moment import Moment, Warn

RECORDS = 16  # so many rows that add up to 1 are no chance


class NoticeProbabilities(Callback):
    """Warns, before the first step, if the outputs for each of some records are positive and add up to 1.

    Args:
        feed: Of the training; its first records are looked at.
    """

    def __init__(self, feed: Feed) -> None:
        self.feed = feed

    def on_start(self, moment: Moment) -> Warn | None:
        """Looks once; a resumed run was looked at when it began."""
        if moment.resumed:
            return None
        outputs = moment.learner.predict(self.feed.batch(0).x[:RECORDS])["logits"]
        odd = float(np.abs(outputs.sum(axis=1) - 1).max())
        if outputs.shape[1] < 2 or float(outputs.min()) < 0 or odd > 1e-3:
            return None
        return Warn(
            "model.use: the outputs of the network are probabilities already, but the loss takes logits, so that the "
            "softmax is applied twice and training is slow; leave out its last softmax"
        )
