"""What all tests share: one thread, a temporary store, no user's settings."""

import os

# Before any framework is imported: one thread each, as trainwright would set it.
os.environ["NPROC"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ.pop("TRAINWRIGHT_HOME", None)

import pytest

# Collecting the examples of docstrings imports every module: Keras is told on what it runs, and to write no file.
_KERAS = {"KERAS_BACKEND": "torch", "KERAS_HOME": os.devnull}
os.environ |= _KERAS


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def pytest_collection_finish():
    """Forgets it again: tests and their children say on what Keras runs."""
    for name in _KERAS:
        os.environ.pop(name, None)
