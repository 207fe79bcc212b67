# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Named volumes: made, looked up, removed. What they are for stands in their labels, which never change."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus

from .refusal import MissingError, RefusedError, translated
from .session import Session


class Volumes:
    """The named volumes of one engine."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, name: str) -> dict[str, str] | None:
        """Look a volume up.

        Returns:
            Its labels; ``None`` where there is no such volume.

        Raises:
            EngineError: The engine refused.
        """
        try:
            with translated(f"looking for volume {name}"):
                return self._session.api.inspect_volume(name).get("Labels") or {}
        except MissingError:
            return None

    def create(self, name: str, labels: Mapping[str, str]) -> dict[str, str]:
        """Make a volume, unless there is one of that name: the first of several makers wins.

        Returns:
            The labels that the volume has, which are another maker's where that one was first.

        Raises:
            EngineError: The engine refused.
        """
        with translated(f"making volume {name}"):
            return self._session.api.create_volume(name, labels=dict(labels)).get("Labels") or {}

    def remove(self, name: str) -> None:
        """Remove a volume; it may be gone already, or be needed by a container.

        Raises:
            EngineError: The engine refused for another reason.
        """
        try:
            with translated(f"removing volume {name}"):
                self._session.api.remove_volume(name)
        except RefusedError as error:
            if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
                raise

    def sizes(self, names: Collection[str]) -> int:
        """Bytes in some volumes, as far as the engine tells.

        Raises:
            EngineError: The engine refused.
        """
        if not names:
            return 0
        with translated("asking for the sizes of volumes"):
            found = self._session.api.df().get("Volumes") or ()
            usage = {each["Name"]: (each.get("UsageData") or {}).get("Size", 0) for each in found}
            return sum(max(int(usage.get(name, 0)), 0) for name in names)

    def labelled(self, label: str) -> dict[str, dict[str, str]]:
        """List volumes that carry ``label`` (``key`` or ``key=value``).

        Returns:
            Each one's labels, by name.

        Raises:
            EngineError: The engine refused.
        """
        with translated("listing volumes"):
            found = self._session.api.volumes(filters={"label": label})["Volumes"] or ()
            return {each["Name"]: each.get("Labels") or {} for each in found}
