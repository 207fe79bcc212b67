# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keeps private keys and passphrases in the memory of this process.

A crash writes no core file, and no other process of the user reads the memory.
"""

from __future__ import annotations

import ctypes
import os
import resource

from ..errors import TrustError

#: ``prctl(2)``: whether a process leaves a core file, and whether others of the same user may attach to it.
_PR_SET_DUMPABLE = 4


def forbid_core_files() -> None:
    """Make sure that a crash of this process writes no core file. Its forks inherit this; programs it starts do not.

    The limit alone is not enough: if ``kernel.core_pattern`` is a program, the kernel ignores the limit. A process that
    is not dumpable leaves nothing in both cases, and only root can read its memory and environment in ``/proc``.

    Raises:
        TrustError: The kernel refused.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise TrustError(f"core files of this process cannot be forbidden ({reason}), so no private key is opened")
