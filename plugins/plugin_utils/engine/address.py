# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where the engine is, found out without asking it."""

from __future__ import annotations

import os
from pathlib import Path


def engine_address() -> str:
    """Address of the engine: DOCKER_HOST, the system's socket, or the user's own."""
    named = os.environ.get("DOCKER_HOST")
    if named:
        return named
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
    system = Path("/var/run/docker.sock")
    return f"unix://{own if own.exists() and not system.exists() else system}"
