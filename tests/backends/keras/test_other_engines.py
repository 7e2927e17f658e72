"""What the other tests of this folder say of Keras on torch holds on JAX and TensorFlow: one engine per process."""

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
    pytest.mark.timeout(1800),
]
# JAX compiles, which takes seconds for each test: some promises of the contract, some models, some losses.
QUICK = (
    "(first_step and (cross_entropy or mse)) or on_the_seed "
    "or (test_contract and (stops_exactly or tells_exactly or rate_scale or predicting or round_trip))"
    " or (as_the_page_says and (focal or laplace_nll))"
)


def run_on(engine, *arguments):
    if not (installed("keras") and installed(engine)):
        pytest.skip(f"Keras on {engine} is not installed")
    tests = ("contract", "engine", "listeners", "losses", "own", "own_contract", "parity")
    files = [*(HERE / f"test_{one}.py" for one in tests), HERE.parent / "test_parity.py"]
    command = [sys.executable, "-m", "pytest", *arguments, *map(str, files)]
    environment = os.environ | {"TRAINWRIGHT_TEST_KERAS": engine, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_it_holds_on_jax():
    run_on("jax", "-m", "not slow", "-k", QUICK)


@pytest.mark.slow
def test_all_of_it_holds_on_jax():
    run_on("jax")


@pytest.mark.slow
def test_it_holds_on_tensorflow():
    run_on("tensorflow")
