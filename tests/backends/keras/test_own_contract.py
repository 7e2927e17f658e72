"""A network of the user's own keeps the contract of all learners."""

from typing import ClassVar

import pytest

from backends.keras.engine import NAME, make_backend
from contracts.learner import LearnerContract
from trainwright.building import lay_out
from trainwright.spec.model import ModelSpec

pytestmark = pytest.mark.slow  # test_own.py has the promise that says most
# What a network can feel; rates and rules are numbers from outside, and test_contract.py has them all.
FELT = ("groups", "frozen norm", "ema", "accumulation", "dropout", "batch norm", "weights", "all at once")


def own(spec):
    """Gives the spec of an own network that is like the network of a spec."""
    convolve = spec.architecture == "cnn"
    args = {"widths": spec.hidden_dims, "norm": spec.normalization == "batch", "convolve": convolve}
    args["dropout"] = 0.0 if spec.dropout == "auto" else spec.dropout
    return ModelSpec(
        architecture="own",
        use="backends.keras.own_networks:Plain",
        args=args,
        input_shape=spec.input_shape,
        output_dim=spec.output_dim,
    )


class TestOwn(LearnerContract):
    backend = NAME
    lacks: ClassVar[dict[str, str]] = {}

    @pytest.fixture(params=FELT)
    def variant(self, request):
        return request.param

    def make_backend(self):
        return make_backend()

    def lay_out(self, spec):
        return lay_out(own(spec), backend=NAME)
