# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a user's state and caches are (XDG Base Directory Specification)."""

from __future__ import annotations

import os
from pathlib import Path

_PRODUCT = "tierwright"


def all_state() -> Path:
    """Folder of the state of all programs: ``$XDG_STATE_HOME``, by default ``~/.local/state``."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()


def all_caches() -> Path:
    """Folder of the caches of all programs: ``$XDG_CACHE_HOME``, by default ``~/.cache``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()


def state() -> Path:
    """Folder of our own state. It need not exist; who removes it loses what it says."""
    return all_state() / _PRODUCT


def cache() -> Path:
    """Folder of our own caches. It need not exist; it may be removed at any time."""
    return all_caches() / _PRODUCT
