# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The way to one engine, which all rooms share."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .http import Http

if TYPE_CHECKING:
    import docker


class Session:
    """One engine's address and what was opened to it: nothing before it is needed."""

    def __init__(self, address: str, timeout: int) -> None:
        """Remember where.

        Args:
            address: As in ``DOCKER_HOST``.
            timeout: Seconds that one answer may take.
        """
        self.address, self.timeout = address, timeout
        self._client: Any = None
        self._lock = threading.Lock()
        #: What can be got without the SDK.
        self.http = Http(address, lambda: self.api)

    @property
    def api(self) -> docker.APIClient:
        """The SDK, connected.

        Raises:
            EngineUnavailableError: No engine answers, or it is older than Docker 20.10.
        """
        with self._lock:
            if self._client is None:
                # The SDK's import takes longer than most answers, so it waits until somebody needs it.
                self._client = import_module(".sdk", __package__).connect(self.address, self.timeout)
            client: docker.DockerClient = self._client
        return client.api

    def open(self) -> None:
        """Connect now; raises what :attr:`api` does."""
        _connected = self.api

    def close(self) -> None:
        """Close what was opened."""
        self.http.close()
        if self._client is not None:
            self._client.close()
