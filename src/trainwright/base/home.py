"""Where the store lies unless somebody says otherwise."""

import os
from pathlib import Path

from trainwright.base.errors import SpecError


def home_of(path: Path | str | None = None) -> Path:
    """Decides where the store lies: the given path, `$TRAINWRIGHT_HOME`, or `.trainwright` in the working folder.

    Raises:
        SpecError: If the path begins with `-`: an option was forgotten before it.

    Example:
        >>> home_of("models/store").name
        'store'
    """
    if str(path or "").startswith("-"):
        raise SpecError(f"--store: {str(path)!r} looks like an option; write ./{path} if it is a folder")
    return Path(path or os.environ.get("TRAINWRIGHT_HOME") or ".trainwright")
