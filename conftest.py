"""What all tests share: one thread, a temporary store, no user's settings."""

import os

# Before any framework is imported: one thread each, as trainwright would set it.
os.environ["NPROC"] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
os.environ.pop("TRAINWRIGHT_HOME", None)

import pytest


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
