"""Where torch works: its threads, its device, and what keeps a GPU repeatable."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from trainwright.base.errors import BackendError
from trainwright.train.learner import Resolved

EXACT = "highest"  # the precision of products that a new process has
# MKL reads this when it first multiplies. Without it, the last bits of a product may depend on where in memory the
# operands begin: so they do on an AMD EPYC of 2024, where a member's bits depended on its place in a company. It costs
# nothing measurable.
os.environ.setdefault("MKL_CBWR", "AUTO")


def device_of(run_on: Resolved) -> torch.device:
    """Gives the device of a training.

    Raises:
        BackendError: If there is none of its kind.
    """
    if run_on.device == "cuda" and not torch.cuda.is_available():
        raise BackendError("train.device: torch finds no GPU; write device: cpu, or install torch with CUDA")
    return torch.device(run_on.device)


@contextmanager
def working(run_on: Resolved) -> Iterator[None]:
    """Owns torch's threads for a while and, on a GPU, has it choose kernels that repeat their results.

    An operation that has no such kernel warns. What else of the process changes the last bits, it sets to what it is
    in a new process: the precision of products, and the type of numbers that say none.

    Raises:
        BackendError: If the precision of products was set in a way that cannot be taken back.
    """
    threads, number, products = torch.get_num_threads(), torch.get_default_dtype(), _products()
    if threads != run_on.threads:
        torch.set_num_threads(run_on.threads)
    if number != torch.float32:
        torch.set_default_dtype(torch.float32)
    if products != EXACT:
        torch.set_float32_matmul_precision(EXACT)
    try:
        with _repeatable() if run_on.device == "cuda" else nullcontext():
            yield
    finally:
        if threads != run_on.threads:
            torch.set_num_threads(threads)
        if number != torch.float32:
            torch.set_default_dtype(number)
        if products != EXACT:
            torch.set_float32_matmul_precision(products)


def _products() -> str:
    try:
        return torch.get_float32_matmul_precision()
    except RuntimeError as error:
        cure = 'set `torch.backends.fp32_precision = "none"` before'
        raise BackendError(f"torch: the precision of products was set by backend; {cure}") from error


@contextmanager
def _repeatable() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    tuned = torch.backends.cudnn.benchmark  # would choose kernels by timing them
    torch.backends.cudnn.benchmark = False
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    # cuBLAS reads this when it is first used; without it, its sums may change from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torch.use_deterministic_algorithms does the same, but imports the compiler, about one second.
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.benchmark = tuned
