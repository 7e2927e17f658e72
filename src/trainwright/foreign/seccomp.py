"""Takes a process's rights away for good: after this it can compute, read and write what is open, and end.

Everything else that a process asks the kernel for is denied: files, sockets, processes, signals, time stamps. It needs
no privilege (`no_new_privs`), cannot be undone, and holds for whatever code runs afterwards, in Python or in C.

Source:
    Linux, Documentation/userspace-api/seccomp_filter.rst
"""

import ctypes
import platform
import struct
import sys

from trainwright.base.errors import BackendError

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF: load a word, compare with a constant, return
_ALLOW, _DENY, _KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000  # deny answers EPERM
_NUMBER_AT, _MACHINE_AT = 0, 4  # in `struct seccomp_data`
# machine: (its number in `linux/audit.h`, the number of each system call)
_MACHINES = {
    "x86_64": (0xC000003E, 0),
    "aarch64": (0xC00000B7, 1),
}
_CALLS = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "lseek": (8, 62), "pread64": (17, 67),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "brk": (12, 214),
    "madvise": (28, 233), "futex": (202, 98), "sched_yield": (24, 124), "getrandom": (318, 278),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "clock_gettime": (228, 113), "restart_syscall": (219, 128), "exit": (60, 93), "exit_group": (231, 94),
}  # fmt: skip


def lock_process() -> None:
    """Locks this process.

    Raises:
        BackendError: If the kernel or the machine has no such lock; nothing is locked then.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _MACHINES:
        raise BackendError(f"{sys.platform} on {machine} has no seccomp filter that trainwright knows")
    identity, column = _MACHINES[machine]
    calls = [numbers[column] for numbers in _CALLS.values()]
    steps = [
        (_LOAD, 0, 0, _MACHINE_AT),
        (_JUMP_IF_EQUAL, 1, 0, identity),
        (_RETURN, 0, 0, _KILL),  # another machine's numbers mean other calls
        (_LOAD, 0, 0, _NUMBER_AT),
        *((_JUMP_IF_EQUAL, len(calls) - place, 0, number) for place, number in enumerate(calls)),
        (_RETURN, 0, 0, _DENY),
        (_RETURN, 0, 0, _ALLOW),
    ]
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_of = struct.pack("HP", len(steps), ctypes.addressof(buffer))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    held = ctypes.create_string_buffer(filter_of, len(filter_of))
    asked = [(_PR_SET_NO_NEW_PRIVS, 1, 0), (_PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(held))]
    for what, one, other in asked:
        if prctl(what, one, other, 0, 0) != 0:
            raise BackendError(
                f"the kernel refuses to lock a process (prctl {what}: error {ctypes.get_errno()})"
            )
