"""torch's own profiler, for a few steps."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


class TorchTracer:
    """Takes down what torch computes, on a GPU too."""

    compiling = 0.0

    def __init__(self) -> None:
        self._profile: Any = None

    def start(self) -> None:
        """Begins."""
        os.environ.setdefault(
            "KINETO_LOG_LEVEL", "99"
        )  # else it tells on standard error that it begins and ends
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        self._profile = profile(activities=activities)
        self._profile.start()

    def stop(self) -> str:
        """Ends; gives Chrome's trace events."""
        self._profile.stop()
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            self._profile.export_chrome_trace(str(path))
            return path.read_text("utf-8")
