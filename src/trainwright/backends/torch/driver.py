"""Whether there is a GPU that torch can use, told without importing torch where there is none."""

import importlib
from pathlib import Path

DRIVERS = ("/dev/nvidiactl", "/dev/dxg")  # NVIDIA's driver on Linux; Windows' graphics within WSL


def cuda_is_there() -> bool:
    """Says whether torch can use a GPU; torch must be installed."""
    if not any(Path(one).exists() for one in DRIVERS):
        return False
    there: bool = importlib.import_module("torch").cuda.is_available()
    return there
