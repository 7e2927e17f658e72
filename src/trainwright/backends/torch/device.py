"""Where torch works: its threads, its device, and what keeps a GPU repeatable."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from trainwright.base.errors import BackendError
from trainwright.train.learner import Resolved


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

    An operation that has no such kernel warns.
    """
    threads = torch.get_num_threads()
    if threads != run_on.threads:
        torch.set_num_threads(run_on.threads)
    try:
        with _repeatable() if run_on.device == "cuda" else nullcontext():
            yield
    finally:
        if threads != run_on.threads:
            torch.set_num_threads(threads)


@contextmanager
def _repeatable() -> Iterator[None]:
    before = torch.are_deterministic_algorithms_enabled()
    warned = torch.is_deterministic_algorithms_warn_only_enabled()
    # cuBLAS reads this when it is first used; without it, its sums may change from call to call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # torch.use_deterministic_algorithms does the same, but imports the compiler, about one second.
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(before, warn_only=warned)
