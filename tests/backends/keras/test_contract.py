"""Keras keeps the contract of all learners."""

from typing import ClassVar

import pytest

from backends.keras.engine import ENGINE, NAME, make_backend
from contracts.learner import VARIANTS, LearnerContract

LACKS = {"lbfgs": "lbfgs", "lbfgs without line search": "lbfgs", "bfloat16": "bfloat16", "float16": "float16"}
# Schedules are numbers from outside, so one stands for all; JAX compiles every option. The rest is slow.
SLOW = [
    name
    for name, options in VARIANTS.items()
    if (
        name != "all at once" if ENGINE == "jax" else [*options] == ["schedule"] and name != "cosine by epoch"
    )
]


class TestKeras(LearnerContract):
    backend = NAME
    lacks: ClassVar[dict[str, str]] = {variant: f"{NAME} has no {word!r}" for variant, word in LACKS.items()}

    @pytest.fixture(
        params=[
            pytest.param(name, marks=pytest.mark.slow if name in SLOW else [])
            for name in VARIANTS
            if name not in LACKS
        ]
    )
    def variant(self, request):
        return request.param

    def make_backend(self):
        return make_backend()
