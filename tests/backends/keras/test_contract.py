"""Keras keeps the contract of all learners."""

from typing import ClassVar

from backends.keras.engine import NAME, make_backend
from contracts.learner import LearnerContract

LACKS = {"lbfgs": "lbfgs", "lbfgs without line search": "lbfgs", "bfloat16": "bfloat16", "float16": "float16"}


class TestKeras(LearnerContract):
    backend = NAME
    lacks: ClassVar[dict[str, str]] = {variant: f"{NAME} has no {word!r}" for variant, word in LACKS.items()}

    def make_backend(self):
        return make_backend()
