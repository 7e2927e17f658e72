"""Lightning's hooks in the trace of torch, as its own PyTorchProfiler puts them there."""

from typing import Any

from lightning.pytorch.profilers import Profiler
from torch.profiler import record_function


class HooksInTrace(Profiler):
    """Names each hook of Lightning in whatever profiler of torch is running."""

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[str, Any] = {}

    def start(self, action_name: str) -> None:
        """Hears that a hook begins."""
        self._open[action_name] = record_function(action_name)
        self._open[action_name].__enter__()

    def stop(self, action_name: str) -> None:
        """Hears that it has ended."""
        if action_name in self._open:
            self._open.pop(action_name).__exit__(None, None, None)
