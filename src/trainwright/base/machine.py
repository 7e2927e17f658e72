"""What a run depends on outside its spec: packages, processor, commit, memory."""

import importlib.metadata
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

PACKAGES = (
    "trainwright",
    "numpy",
    "torch",
    "jax",
    "jaxlib",
    "equinox",
    "optax",
    "lightning",
    "keras",
    "tensorflow",
    "tensorflow-cpu",
    "ml_dtypes",
    "pyarrow",
    "scipy",
    "pillow",
)
# Variables by which the libraries choose kernels or precision, each with what it is when it is not set.
SETTINGS = {
    "ATEN_CPU_CAPABILITY": "",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # trainwright's own setting
    "DNNL_MAX_CPU_ISA": "",
    "JAX_DEFAULT_MATMUL_PRECISION": "",
    "JAX_ENABLE_X64": "",
    "MKL_CBWR": "AUTO",  # trainwright's own setting
    "MKL_ENABLE_INSTRUCTIONS": "",
    "NPY_DISABLE_CPU_FEATURES": "",
    "NVIDIA_TF32_OVERRIDE": "",
    "ONEDNN_DEFAULT_FPMATH_MODE": "",
    "ONEDNN_MAX_CPU_ISA": "",
    "OPENBLAS_CORETYPE": "",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "",
    "XLA_FLAGS": "",
}
OWN_FLAG = (
    "--xla_cpu_multi_thread_eigen=false"  # of XLA_FLAGS: goes with the number of threads, which is recorded
)
NVIDIA = Path("/proc/driver/nvidia")  # where its driver tells of itself
_VECTOR = ("sse", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")


class Commit(TypedDict):
    """Which commit the working folder stands on, and whether it was changed since."""

    commit: str | None
    dirty: bool | None


def package_versions() -> dict[str, str]:
    """Gives the versions of the packages and of the C library that numbers depend on, without importing them.

    Example:
        >>> "numpy" in package_versions()
        True
    """
    found = {"python": platform.python_version(), "libc": " ".join(platform.libc_ver()).strip()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def environment_lock() -> dict[str, str]:
    """Gives every installed distribution with its version, by name."""
    names = (_named(item) for item in importlib.metadata.distributions())
    return {name: version for name, version in sorted(names) if name}


def _named(distribution: importlib.metadata.Distribution) -> tuple[str, str]:
    # Only the head: the library parses pages of description too, which takes 0.2 s for 100 packages.
    texts = (distribution.read_text(file) for file in ("METADATA", "PKG-INFO", ""))
    head = next((text for text in texts if text), "").partition("\n\n")[0]
    fields = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    return fields.get("Name", "").strip(), fields.get("Version", "").strip()


def hardware() -> dict[str, str | int]:
    """Describes the processor, the number of cores this process may use, and the memory in bytes.

    `instructions` are the vector instructions that kernels choose by: processors of one name may differ in them, such
    as in virtual machines.
    """
    import psutil

    return {
        "machine": platform.machine(),
        "processor": _processor(),
        "instructions": _instructions(),
        "system": f"{platform.system()} {platform.release()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_bytes": int(psutil.virtual_memory().total),
    }


def gpus() -> list[str]:
    """Names the GPUs and their driver, by what the NVIDIA driver says of itself; empty without one."""
    try:
        driver = (NVIDIA / "version").read_text().splitlines()[0]
        said = [one.read_text().splitlines() for one in sorted(NVIDIA.glob("gpus/*/information"))]
    except (OSError, IndexError):
        return []
    models = [line.split(":", 1)[1].strip() for lines in said for line in lines if line.startswith("Model")]
    return [f"{model}, {driver}" for model in models]


def settings() -> dict[str, str]:
    """Gives the environment variables by which libraries choose kernels or precision, those that are not set too.

    Example:
        >>> "ATEN_CPU_CAPABILITY" in settings()
        True
    """
    found = {name: os.environ.get(name, usual) for name, usual in SETTINGS.items()}
    words = found["XLA_FLAGS"].split()
    return found | {"XLA_FLAGS": " ".join(sorted(word for word in words if word != OWN_FLAG))}


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


def _instructions() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("flags", "Features")):
                words = line.split(":", 1)[1].split()
                return " ".join(sorted(word for word in words if word.startswith(_VECTOR)))
    except OSError:
        return ""
    return ""


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
