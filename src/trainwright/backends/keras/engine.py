"""Keras runs on one engine per process, JAX, torch or TensorFlow: it is chosen before Keras is imported."""

import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

from trainwright.backends.equinox.threads import own_threads
from trainwright.base.errors import BackendError
from trainwright.base.extras import require

ENGINES = ("jax", "torch", "tensorflow")


def engine_in_force() -> str | None:
    """Gives what Keras runs on in this process, None while Keras is not imported."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.config.backend())


def engine_module() -> Any:
    """Gives the module of the engine in force, which imports Keras."""
    return importlib.import_module(f"trainwright.backends.keras.on_{engine_in_force()}")


def engine_wished() -> str | None:
    """Gives the engine in force, or the one that KERAS_BACKEND names; None where nothing says."""
    wished = engine_in_force() or os.environ.get("KERAS_BACKEND")
    return wished if wished in ENGINES else None


def own_engine(engine: str, *, threads: int) -> Any:
    """Imports Keras on an engine, which reads and writes no file of its own.

    Args:
        engine: `jax`, `torch` or `tensorflow`.
        threads: Of JAX and of TensorFlow, which have them for good; those of torch are set while it works.

    Raises:
        BackendError: If something is not installed, Keras already runs on another engine, or the engine with another
            number of threads.
    """
    for package in ("keras", engine):
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise BackendError(f"{package} is not installed: pip install 'trainwright[keras,{engine}]'")
    present = engine_in_force()
    if present not in (None, engine):
        raise BackendError(
            f"train.backend: Keras was already imported with {present} and cannot change to {engine}; use a process of "
            f"its own, set the environment variable KERAS_BACKEND={engine} before Keras is imported, or write "
            f"train.backend: {_other_words(present)}"
        )
    if engine == "jax":
        own_threads(threads)
    values = {"KERAS_BACKEND": engine, "KERAS_HOME": os.devnull, "KERAS_NNX_ENABLED": "false"}
    with _environment(values), nullcontext() if engine == "jax" else _without_jax():
        if engine == "tensorflow":
            _own_threads_of_tensorflow(threads)  # here, because TensorFlow imports Keras
        return require("keras", extra="keras")


def threads_of_tensorflow() -> int | None:
    """Gives the number of threads that TensorFlow runs with, None while it is not imported or nobody said."""
    tensorflow = sys.modules.get("tensorflow")
    return (
        None if tensorflow is None else tensorflow.config.threading.get_intra_op_parallelism_threads() or None
    )


def _own_threads_of_tensorflow(threads: int) -> None:
    with _environment({"TF_CPP_MIN_LOG_LEVEL": "3"}):
        settings = importlib.import_module("tensorflow").config.threading
    try:
        settings.set_intra_op_parallelism_threads(threads)
        settings.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        bound = threads_of_tensorflow()
        raise BackendError(
            f"train.threads: TensorFlow already runs with {bound or 'all'} threads; use a process of its own"
        ) from error


def _other_words(present: str | None) -> str:
    return f"keras-{present}" if present in ENGINES else "torch"


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    # Keras makes ~/.keras/keras.json and obeys it, unless its home is no folder at all.
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _without_jax() -> Iterator[None]:
    # Keras imports JAX on every engine, for a callback that saves in a format of JAX: seconds, and threads that nobody
    # owns. It does without where JAX is not installed, and that is what None in `sys.modules` says.
    if "jax" in sys.modules:
        yield
        return
    sys.modules["jax"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["jax"]
