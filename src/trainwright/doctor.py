"""Examines the installation, the machine and the store."""

import importlib.metadata
import os
import sys
from pathlib import Path

from trainwright.base.errors import TrainwrightError
from trainwright.base.extras import installed
from trainwright.base.machine import hardware, package_versions
from trainwright.spec.resolve import EXTRA, REQUIRED
from trainwright.store.fsck import check
from trainwright.store.store import Store
from trainwright.verification import Check

# Releases that were taken over and carried malicious code.
MALICIOUS = {"lightning": {"2.6.2", "2.6.3"}, "pytorch-lightning": {"2.6.2", "2.6.3"}}


def examine(home: Path) -> list[Check]:
    """Looks for whatever would make a run fail.

    Args:
        home: The store; it need not be there.
    """
    versions, machine = package_versions(), hardware()
    found = [
        Check("trainwright", True, versions.get("trainwright", "not installed as a package")),
        Check("python", sys.version_info >= (3, 11), versions["python"]),
        Check("machine", True, f"{machine['processor']}, {machine['cores']} cores"),
        Check("memory", True, f"{int(machine['memory_bytes']) / 2**30:.1f} GiB"),
    ]
    usable = []
    for backend, needs in REQUIRED.items():
        missing = [one for one in needs if not installed(one)]
        detail = ", ".join(f"{one} {versions[one]}" for one in needs if one in versions)
        if missing:
            detail = f"not installed: pip install 'trainwright[{EXTRA[backend]}]'"
        else:
            usable.append(backend)
        found.append(Check(f"backend {backend}", True, detail))
    found.append(Check("backends", bool(usable), ", ".join(usable) or "none; install one of the above"))
    found += _malicious()
    found.append(_store(home))
    return found


def _malicious() -> list[Check]:
    found = []
    for name, bad in MALICIOUS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        detail = version
        if version in bad:
            detail = f"{version} is a malicious release: remove it, change every secret this machine knew"
        found.append(Check(name, version not in bad, detail))
    return found


def _store(home: Path) -> Check:
    if not home.exists():
        parent = home.resolve().parent
        writable = parent.exists() and os.access(parent, os.W_OK)
        return Check(
            "store", writable, f"{home}: none yet{'' if writable else ', and it cannot be made there'}"
        )
    try:
        faults = [one for one in check(Store.open(home, create=False, examine=False)) if not one.harmless]
    except TrainwrightError as error:
        return Check("store", False, str(error))
    return Check(
        "store", not faults, f"{home}: {len(faults)} faults, see `trainwright fsck`" if faults else str(home)
    )
