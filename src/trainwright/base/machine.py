"""What a run depends on outside its spec: packages, processor, commit, memory."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

PACKAGES = ("trainwright", "numpy", "torch", "jax", "jaxlib", "equinox", "optax", "pyarrow", "scipy")


class Commit(TypedDict):
    """Which commit the working folder stands on, and whether it was changed since."""

    commit: str | None
    dirty: bool | None


def package_versions() -> dict[str, str]:
    """Gives the versions of the packages that numbers depend on, without importing them.

    Example:
        >>> "numpy" in package_versions()
        True
    """
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment_lock() -> dict[str, str]:
    """Gives every installed distribution with its version, by name."""
    names = ((item.metadata["Name"], item.version) for item in importlib.metadata.distributions())
    return {name: version for name, version in sorted(names, key=lambda pair: str(pair[0])) if name}


def hardware() -> dict[str, str | int]:
    """Describes the processor, the number of cores this process may use, and the memory in bytes."""
    import psutil

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": int(psutil.virtual_memory().total),
    }


def git_commit(folder: Path) -> Commit:
    """Names the commit a folder stands on; both values are None where there is no git or no repository."""
    try:
        head = _git(folder, "rev-parse", "HEAD")
        return {"commit": head, "dirty": bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def peak_memory_bytes() -> int:
    """Gives the largest resident memory of this process so far, in bytes."""
    try:
        # Where there is /proc: what `getrusage` says begins with the peak of the process that started this one.
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return int(peak if sys.platform == "darwin" else peak * 1024)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        return platform.processor()
    return platform.processor()


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
