"""JAX's own profiler, for a few steps."""

import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

import jax

_STAGES = ("jaxpr_trace_duration", "jaxpr_to_mlir_module_duration", "backend_compile_duration")
_COMPILED: list[tuple[float, float]] = []  # when each began, and how long it took; none within another


def _hear(event: str, seconds: float, **more: Any) -> None:
    if event.startswith("/jax/core/compile/") and event.endswith(_STAGES):
        began = time.perf_counter() - seconds
        while _COMPILED and _COMPILED[-1][0] >= began:  # a function that was traced for this one
            _COMPILED.pop()
        _COMPILED.append((began, seconds))


class JaxTracer:
    """Takes down what JAX computes; and how long it traces Python, lowers and compiles."""

    heard = False  # of this process: JAX can take no listener back

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        if not JaxTracer.heard:
            JaxTracer.heard = True
            jax.monitoring.register_event_duration_secs_listener(_hear)

    @property
    def compiling(self) -> float:
        """Gives how long JAX has compiled since the first tracer was made; seconds."""
        return sum(seconds for _, seconds in _COMPILED)

    def start(self) -> None:
        """Begins."""
        options = jax.profiler.ProfileOptions()
        options.python_tracer_level = 0  # every call of Python would be an event: a hundred per operation
        self._folder = tempfile.TemporaryDirectory()
        jax.profiler.start_trace(self._folder.name, create_perfetto_trace=True, profiler_options=options)

    def stop(self) -> str:
        """Ends; gives Chrome's trace events."""
        assert self._folder is not None
        jax.profiler.stop_trace()
        with self._folder as folder:
            path = next(Path(folder).rglob("perfetto_trace.json.gz"))
            return gzip.decompress(path.read_bytes()).decode("utf-8")
