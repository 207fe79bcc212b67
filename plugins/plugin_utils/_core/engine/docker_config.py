# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The user's Docker settings: engine address, registry credentials.

Where the engine is, found out without asking it.

Credentials for registries, as ``docker login`` keeps them, those in credential helpers included.
"""

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


def login(host: str) -> tuple[str, str] | None:
    """Look up who to be at a registry.

    Args:
        host: The registry's name, with a port where it has one.

    Returns:
        Name and password; ``None`` where there are none.
    """
    from docker import auth  # noqa: PLC0415 - only registries that ask for a login need the SDK, which imports slowly

    found = auth.load_config().resolve_authconfig(host) or {}
    return (found["username"], found["password"]) if found.get("username") and found.get("password") else None
