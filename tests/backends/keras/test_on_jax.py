"""What the other tests of this folder say of Keras holds on JAX, too: there is one engine per process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trainwright.base.extras import installed

HERE = Path(__file__).parent
ASKED = os.environ.get("TRAINWRIGHT_TEST_KERAS", "torch")
pytestmark = [
    pytest.mark.skipif(ASKED != "torch", reason="this is the child"),
    pytest.mark.skipif(not (installed("keras") and installed("jax")), reason="Keras on JAX is not installed"),
    pytest.mark.timeout(1800),
]
# Of the contract: each promise once, with all options together; what goes through all options is slow on JAX, which
# compiles each.
ONCE = "(not at_any_step and not told_every_step and not every_option and not state_item) or all or equals_told_once"


def run_on_jax(name, *arguments):
    command = [sys.executable, "-m", "pytest", "-q", *arguments, str(HERE / name)]
    environment = os.environ | {"TRAINWRIGHT_TEST_KERAS": "jax", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("test_contract.py", ["-k", ONCE]),
        ("test_parity.py", ["-m", "not slow", "-k", "first_step"]),
        ("test_losses.py", []),
    ],
)
def test_it_holds_on_jax(name, arguments):
    run_on_jax(name, *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["test_contract.py", "test_parity.py"])
def test_all_of_it_holds_on_jax(name):
    run_on_jax(name)
