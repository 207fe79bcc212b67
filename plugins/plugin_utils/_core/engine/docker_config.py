# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The user's Docker settings: the address of the engine, and credentials for registries.

Credentials are read from where ``docker login`` and ``podman login`` store them, credential helpers included.
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
    # Not `Path.exists`: it raises an error if /run/user cannot be searched, as in a service of systemd.
    return f"unix://{own if os.path.exists(own) and not os.path.exists(system) else system}"  # noqa: PTH110


def login(host: str, repository: str = "") -> tuple[str, str] | None:
    """Look up the credentials for a registry.

    Args:
        host: Host name of the registry, with its port if it has one.
        repository: The repository. Podman can store credentials for a part of a registry.

    Returns:
        User name and password; ``None`` if none are stored.
    """
    from docker import auth  # noqa: PLC0415 - slow import, needed only for registries that require a login

    parts = [host, *filter(None, repository.split("/"))]
    names = ["/".join(parts[:count]) for count in range(len(parts), 0, -1)]
    for file in (None, *_podman_files()):
        config = auth.load_config(None if file is None else str(file))
        for name in names if file else [host]:
            entry = config.resolve_authconfig(name) if name == host else config.auths.get(name)
            if entry and entry.get("username") and entry.get("password"):
                return entry["username"], entry["password"]
    return None


def _podman_files() -> list[Path]:
    """Return the files where ``podman login`` stores credentials (``containers-auth.json(5)``) that exist."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    chosen = os.environ.get("REGISTRY_AUTH_FILE")
    files = [Path(chosen)] if chosen else [Path(runtime, "containers/auth.json"), own / "containers/auth.json"]
    if os.getuid() == 0 and not chosen:
        files.insert(0, Path("/run/containers/0/auth.json"))
    return [file for file in files if os.path.isfile(file)]  # noqa: PTH113 - False if its folder cannot be searched
