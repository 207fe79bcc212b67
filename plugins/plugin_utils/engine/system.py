# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an engine says of itself: its kind, its machine, and what it cannot do there."""

from __future__ import annotations

from .kind import Kind, told
from .refusal import translated
from .session import Session

#: What limits are called in the answer to ``GET /info``, and here.
_LIMITS = {"MemoryLimit": "memory", "PidsLimit": "processes"}


class System:
    """The engine itself."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kind: Kind | None = None

    def version(self) -> str:
        """Its version, in its own words.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its version"):
            return str(self._session.api.version()["Version"])

    def kind(self) -> Kind:
        """Say what kind of engine answers; it is asked once.

        Raises:
            EngineError: The engine does not answer.
        """
        if self._kind is None:
            with translated("asking the engine for its version"):
                http = self._session.http
                self._kind = told(http.json("/version"), lambda: http.json("/info"))
        return self._kind

    def platform(self) -> tuple[str, str]:
        """Operating system and processor of its machine: ``("linux", "amd64")``.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its platform"):
            found = self._session.api.version()
            return str(found.get("Os") or "linux"), str(found.get("Arch") or "amd64")

    def missing_limits(self) -> list[str]:
        """Say which of ``memory`` and ``processes`` it cannot limit: a rootless one without delegated cgroups cannot.

        Raises:
            EngineError: The engine does not answer.
        """
        with translated("asking the engine for its limits"):
            able = self._session.api.info()
            return [limit for name, limit in _LIMITS.items() if able.get(name) is False]
