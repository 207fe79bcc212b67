# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands in a build container do not wait for the disk.

Package managers and databases write their files to the disk many times, in case the machine crashes. dpkg does it
several times for each package. A build that was interrupted by a crash is not used, so these waits are in vain. They
are long when other builds use the machine.

A seccomp filter (seccomp(2)) answers the system calls with success. It is added to the engine's filter, which stays in
force, and holds for all child processes. The kernel requires ``no_new_privs`` for it. The engine sets that for build
containers, and nothing changes elsewhere.
"""

from __future__ import annotations

import os
import platform
import struct

#: Machine to its number in audit.h, and the numbers of fsync, fdatasync, sync, syncfs, sync_file_range and msync.
_SYSTEM_CALLS = {
    "x86_64": (0xC000003E, (74, 75, 162, 306, 277, 26)),
    "aarch64": (0xC00000B7, (82, 83, 81, 267, 84, 227)),
}

_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, _PR_GET_NO_NEW_PRIVS = 22, 2, 39
#: Instructions and results of a filter (linux/bpf_common.h, linux/seccomp.h).
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _SUCCEED = 0x7FFF0000, 0x00050000
#: Offsets in ``struct seccomp_data``.
_NUMBER, _ARCHITECTURE = 0, 4


def ignore_syncs() -> str:
    """Let this process and its children do as if everything that they write were on the disk at once.

    Returns:
        The reason if this is not possible; otherwise empty.
    """
    known = _SYSTEM_CALLS.get(platform.machine())
    if known is None:
        return f"the system calls of {platform.machine()} are not known"
    try:
        import ctypes  # noqa: PLC0415 - a small Python may lack it
    except ImportError as error:
        return str(error)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_GET_NO_NEW_PRIVS, *[ctypes.c_ulong(0)] * 4) != 1:
        return "its processes may get more rights"
    program = _filter(*known)
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: the number of instructions in 16 bits, and their address
    argument = struct.pack("HP", len(program) // 8, ctypes.addressof(instructions))
    zero = ctypes.c_ulong(0)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_SECCOMP_MODE_FILTER), argument, zero, zero) != 0:
        return f"prctl: {os.strerror(ctypes.get_errno())}"
    return ""


def _filter(architecture: int, numbers: tuple[int, ...]) -> bytes:
    """Return the program of the filter. System calls of a different architecture are not changed."""
    last = len(numbers)
    instructions = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_JUMP_IF_EQUAL, 0, last + 1, architecture),
        (_LOAD, 0, 0, _NUMBER),
        *((_JUMP_IF_EQUAL, last - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _SUCCEED),
    ]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
