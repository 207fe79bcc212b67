# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The user's Docker settings: the address of the engine, and credentials for registries.

Credentials are read from where ``docker login`` stores them, credential helpers included.
"""

from __future__ import annotations

import os
from pathlib import Path


def engine_address() -> str:
    """Return the address of the engine: ``DOCKER_HOST``, or the system's socket, or the user's own socket."""
    address = os.environ.get("DOCKER_HOST")
    if address:
        return address
    own = Path(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}", "docker.sock")
    system = Path("/var/run/docker.sock")
    return f"unix://{own if own.exists() and not system.exists() else system}"


def login(host: str) -> tuple[str, str] | None:
    """Look up the credentials for a registry.

    Args:
        host: Host name of the registry, with its port if it has one.

    Returns:
        User name and password; ``None`` if none are stored.
    """
    from docker import auth  # noqa: PLC0415 - slow import, needed only for registries that require a login

    entry = auth.load_config().resolve_authconfig(host) or {}
    return (entry["username"], entry["password"]) if entry.get("username") and entry.get("password") else None
