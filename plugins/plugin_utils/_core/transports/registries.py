# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The registries of a run. Each is contacted as the user says, and keeps its connections.

Most runs contact none. So the clients are imported at their first use: the library for HTTP takes long to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .registry_access import RegistryAccess
    from .registry_client import RegistryClient
    from .registry_writer import RegistryWriter


class Registries:
    """Clients of registries, by host."""

    def __init__(self, settings: Mapping[str, RegistryAccess] = MappingProxyType({})) -> None:
        """Take how registries are contacted, by host. Others are contacted as Docker and Podman do."""
        self._settings = settings
        self._readers: dict[str, RegistryClient] = {}
        self._writers: dict[str, RegistryWriter] = {}

    def reader(self, host: str) -> RegistryClient:
        """Return the client that reads from a registry."""
        from .registry_client import RegistryClient  # noqa: PLC0415 - see above

        if host not in self._readers:
            self._readers[host] = RegistryClient(host, settings=self._settings.get(host))
        return self._readers[host]

    def writer(self, host: str) -> RegistryWriter:
        """Return the client that writes to a registry."""
        from .registry_writer import RegistryWriter  # noqa: PLC0415 - see above

        if host not in self._writers:
            self._writers[host] = RegistryWriter(host, self._settings.get(host))
        return self._writers[host]
