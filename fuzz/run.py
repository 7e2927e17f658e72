"""Runs one target under atheris: `python fuzz/run.py json -runs=100000`; see fuzz/README.md."""

import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["trainwright", "targets"]):
    import targets

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))


def main() -> None:
    """Reads which target it is; everything else is an option of libFuzzer."""
    name = sys.argv.pop(1) if len(sys.argv) > 1 else ""
    if name not in targets.TARGETS:
        raise SystemExit(
            f"usage: python fuzz/run.py TARGET [-runs=N] [CORPUS]; targets: {', '.join(targets.TARGETS)}"
        )
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, targets.TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
