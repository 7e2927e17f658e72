"""From the name of an operator to its class."""

import importlib
from collections.abc import Mapping
from typing import Any

from trainwright.base.errors import DataError


def import_place(name: str, catalog: Mapping[str, str]) -> Any:
    """Imports what a catalog name, or `module:Name`, stands for.

    Raises:
        DataError: If the name is unknown or cannot be imported.

    Example:
        >>> import_place("Nothing", {"Standardize": "..."})
        Traceback (most recent call last):
        trainwright.base.errors.DataError: operator 'Nothing': unknown name, known: Standardize
    """
    place = name if ":" in name else catalog.get(name)
    if place is None:
        raise DataError(f"operator {name!r}: unknown name, known: {', '.join(sorted(catalog))}")
    module, _, attribute = place.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise DataError(
            f"operator {name!r}: {place!r} cannot be imported: {error}; install its module"
        ) from error
