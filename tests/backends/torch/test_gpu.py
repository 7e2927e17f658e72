"""The contract on a GPU; skipped as a whole where there is none."""

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU that torch can use", allow_module_level=True)

from contracts.learner import VARIANTS, EverySteps, LearnerContract, go_on
from trainwright.backends.torch.backend import TorchBackend
from trainwright.train.learner import Resolved


class TestTorchOnGpu(LearnerContract):
    backend = "torch"
    run_on = Resolved(device="cuda")

    def make_backend(self):
        return TorchBackend()

    def test_its_tensors_lie_there(self, make):
        learner, feed = make(**VARIANTS["ema"])
        learner.train(feed, EverySteps(1, end=2), go_on)
        tensors = [
            *learner.network.tensors.values(),
            *learner.averaged.tensors.values(),
            *learner._resident[1],
        ]
        assert {one.device.type for one in tensors if one is not None} == {"cuda"}
