"""The shim, built once, and a stage to play on."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from faults.harness import Stage, build_shim
from faults.matrix import Matrix


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    if not sys.platform.startswith("linux"):
        pytest.skip("the shim stands before Linux's calls")
    if shutil.which("gcc") is None:
        pytest.skip("no gcc: the shim cannot be built")
    return build_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def stage(shim):
    # What is lost when a process dies does not depend on the disk, and in memory a sync costs nothing.
    memory = Path("/dev/shm")
    folder = Path(
        tempfile.mkdtemp(prefix="trainwright-faults-", dir=memory if os.access(memory, os.W_OK) else None)
    )
    made = Stage(folder, shim)
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def matrix(stage):
    return Matrix(stage)
