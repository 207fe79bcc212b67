# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a registry is contacted: with or without TLS, with which authorities, and with which credentials.

By default, all of this comes from where Docker and Podman look: ``docker login`` and ``podman login`` with their
credential helpers, and the certificates in ``certs.d``. A registry on this machine is contacted without TLS, as engines
do; all others with TLS.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..engine import docker_config

_LOCAL = re.compile(r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?")


@dataclass(frozen=True, slots=True)
class RegistryAccess:
    """What a user says about one registry. Everything is optional."""

    username: str | None = None
    password: str | None = field(default=None, repr=False)
    #: Whether to contact it without TLS; ``None`` for the default.
    insecure: bool | None = None
    #: A file with the certificates of more authorities.
    ca_file: str | None = None

    def scheme(self, host: str) -> str:
        """Return ``http`` or ``https``."""
        insecure = is_local(host) if self.insecure is None else self.insecure
        return "http" if insecure else "https"

    def authorities(self, host: str) -> tuple[Path, ...]:
        """Return files with certificates of authorities that are trusted for a host, besides those of the system."""
        return (Path(self.ca_file),) if self.ca_file else tuple(_find_certificates(host))

    def login(self, host: str, repository: str) -> tuple[str, str] | None:
        """Return user name and password for a repository; ``None`` if none are known."""
        if self.username and self.password:
            return self.username, self.password
        return docker_config.login(host, repository)


def is_local(host: str) -> bool:
    """Tell whether the host of a registry, perhaps with a port, is this machine."""
    return _LOCAL.fullmatch(host) is not None


def _find_certificates(host: str) -> Iterator[Path]:
    """Yield the authorities that Docker and Podman trust for a host (``docker-certs.d``, ``containers-certs.d(5)``)."""
    own = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for folder in (Path("/etc/docker"), Path("/etc/containers"), own / "containers"):
        yield from sorted((folder / "certs.d" / host).glob("*.crt"))
