"""The contract, through `Trainer.fit`; what Lightning hears is in `lightning/`."""

import pytest

pytest.importorskip("lightning")
import lightning

from contracts.learner import VARIANTS, EverySteps, LearnerContract, go_on
from trainwright.backends.lightning.backend import LightningBackend
from trainwright.backends.torch.backend import TorchBackend
from trainwright.base.tensors import dump_tree
from trainwright.models.task import ModelTask
from trainwright.train.learner import Answer


class TestLightning(LearnerContract):
    backend = "lightning"

    def make_backend(self):
        return LightningBackend()

    def lean(self, learner, feed):
        """Makes the learner of the lean torch loop for the same task."""
        train = learner.task.train.model_copy(update={"backend": "torch"})
        task = ModelTask(learner.task.blueprint, train, learner.task.epochs)
        return TorchBackend().prepare(task, feed, seed=3, run_on=self.run_on)

    def test_it_ends_in_the_bits_of_the_lean_torch_loop(self, make, variant):
        learner, feed = make(**VARIANTS[variant])
        lean = self.lean(learner, feed)
        heard, expected = [], []

        def hear(into):
            return lambda one: into.append((one.step, dict(one.sums))) or Answer(rate_scale=0.9)

        lean.train(feed, EverySteps(4), hear(expected))
        learner.train(feed, EverySteps(4), hear(heard))
        assert heard == expected
        assert b"".join(dump_tree(learner.state())) == b"".join(dump_tree(lean.state()))

    def test_the_steps_are_made_by_the_trainer_of_lightning(self, make, monkeypatch):
        def refuse(*args, **kwargs):
            raise RuntimeError("fit was called")

        learner, feed = make()
        monkeypatch.setattr(lightning.Trainer, "fit", refuse)
        with pytest.raises(RuntimeError, match="fit was called"):
            learner.train(feed, EverySteps(1), go_on)
        assert learner.step == 0
