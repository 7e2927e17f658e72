"""On which engine these tests run Keras: there is one per process, and `test_other_engines.py` starts the others."""

import os

import pytest

from trainwright.backends.keras import backend
from trainwright.base.extras import installed

ENGINE = os.environ.get("TRAINWRIGHT_TEST_KERAS", "torch")
NAME = f"keras-{ENGINE}"
# Not by `importorskip`, which would import Keras on an engine of its own choice.
if not (installed("keras") and installed(ENGINE)):
    pytest.skip(f"Keras on {ENGINE} is not installed", allow_module_level=True)


def make_backend():
    return {
        "jax": backend.KerasOnJax,
        "torch": backend.KerasOnTorch,
        "tensorflow": backend.KerasOnTensorflow,
    }[ENGINE]()
