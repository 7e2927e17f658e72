"""Disks in files, and the end of their power."""

import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path

SHUTDOWN = 0x8004587D  # FS_IOC_SHUTDOWN, which XFS calls XFS_IOC_GOINGDOWN: _IOR('X', 125, __u32)
NO_FLUSH = 2  # what is only in memory, the journal included, is lost
MEGABYTES = {"ext4": 64, "xfs": 300}


class Disk:
    """A file system in a file, mounted on a folder.

    Args:
        image: The file.
        folder: Where it is mounted.
        kind: `ext4` or `xfs`.
    """

    def __init__(self, image: Path, folder: Path, kind: str) -> None:
        self.image, self.folder = image, folder
        with open(image, "wb") as file:
            file.truncate(MEGABYTES[kind] * 2**20)
        force = "-F" if kind == "ext4" else "-f"
        subprocess.run([f"mkfs.{kind}", "-q", force, str(image)], check=True, capture_output=True)
        self.mount()

    def mount(self) -> None:
        """Mounts it; what its journal holds is played back."""
        subprocess.run(["mount", "-o", "loop", self.image, self.folder], check=True, capture_output=True)

    def unmount(self) -> None:
        """Unmounts it."""
        subprocess.run(["umount", self.folder], check=True, capture_output=True)

    def back_on(self) -> None:
        """Brings it back after its power was cut."""
        self.unmount()
        self.mount()


def cut(folder: str) -> None:
    """Cuts the power of the disk that is mounted on a folder: nothing gets there any more."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(file, SHUTDOWN, struct.pack("I", NO_FLUSH))
    finally:
        os.close(file)


def why_not(kind: str) -> str | None:
    """Says why there can be no such disk here, or nothing."""
    if os.geteuid():
        return "only root may mount a disk and cut its power"
    if shutil.which(f"mkfs.{kind}") is None:
        return f"no mkfs.{kind}"
    if not Path("/dev/loop-control").exists():
        return "no loop devices"
    return None
