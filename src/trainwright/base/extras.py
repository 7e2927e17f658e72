"""Optional packages: what is missing names its cure."""

import importlib
import importlib.util
from types import ModuleType

from trainwright.base.errors import BackendError


def installed(module: str) -> bool:
    """Says whether a module could be imported, without importing it.

    Example:
        >>> installed("numpy"), installed("no_such_module")
        (True, False)
    """
    return importlib.util.find_spec(module) is not None


def require(module: str, *, extra: str) -> ModuleType:
    """Imports an optional package.

    Raises:
        BackendError: If it is not installed; the message holds the command that installs it.

    Example:
        >>> require("no_such_module", extra="jax")
        Traceback (most recent call last):
        trainwright.base.errors.BackendError: no_such_module is not installed: pip install 'trainwright[jax]'
    """
    if not installed(module):
        raise BackendError(f"{module} is not installed: pip install 'trainwright[{extra}]'")
    return importlib.import_module(module)
