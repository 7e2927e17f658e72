"""Where the store lies unless somebody says otherwise."""

import os
from pathlib import Path


def home_of(path: Path | str | None = None) -> Path:
    """Decides where the store lies: the given path, `$TRAINWRIGHT_HOME`, or `.trainwright` in the working folder.

    Example:
        >>> home_of("models/store").name
        'store'
    """
    return Path(path or os.environ.get("TRAINWRIGHT_HOME") or ".trainwright")
