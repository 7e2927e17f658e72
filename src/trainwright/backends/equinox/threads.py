"""JAX's threads: they can only be set before JAX is imported."""

import os
import sys

from trainwright.base.errors import BackendError
from trainwright.base.machine import OWN_FLAG


def threads_in_force() -> int | None:
    """Gives the number of threads JAX was started with, None while that is still open."""
    if "jax" not in sys.modules:
        return None
    if "NPROC" in os.environ:
        return int(os.environ["NPROC"])
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def own_threads(threads: int) -> None:
    """Sets the number of JAX's threads.

    Raises:
        BackendError: If JAX was already started with another number.
    """
    present = threads_in_force()
    if "jax" in sys.modules and present != threads:
        raise BackendError(
            f"train.threads: JAX was already imported with {present} threads and cannot change to {threads}; "
            f"set the environment variable NPROC={threads} before JAX is imported, or --set train.threads={present}"
        )
    # XLA sizes its pool by NPROC; with one thread its intra-operation parallelism is switched off as well.
    os.environ["NPROC"] = str(threads)
    if threads == 1 and "--xla_cpu_multi_thread_eigen" not in os.environ.get("XLA_FLAGS", ""):
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {OWN_FLAG}".strip()
