# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Remembers since when security updates have been available, by archive, package and version.

Archives list only the newest version, and what they say about times is not signed. Only this memory knows that an
update was there before, and nobody can make it younger than the day on which this user saw it first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..errors import DamagedError, RunError, describe_error
from ..local_files import lock, own_reads, state, write_durably
from ..records import decode, encode

#: The folder, in that of the state of all chains. No chain has such a name, because ``+`` is quoted in file names.
FOLDER = "+updates"
_LOCK_SECONDS = 30.0


class UpdateTimes(msgspec.Struct, frozen=True):
    """When an update became available, in seconds since 1970."""

    #: When this user saw it first.
    seen: int
    #: The time of its file in the archive, if that was credible; ``None`` if it is not known.
    published: int | None = None

    @property
    def available(self) -> int:
        """The earlier one."""
        return self.seen if self.published is None else min(self.seen, self.published)


#: Versions with their times, by ``name:architecture``.
Updates = Mapping[str, Mapping[str, UpdateTimes]]


class SeenUpdates(msgspec.Struct, frozen=True):
    """The updates of one archive that were seen."""

    #: For whoever reads the file.
    archive: str
    updates: dict[str, dict[str, UpdateTimes]]


class UpdateMemory:
    """The updates that were seen. Several processes may use it at the same time."""

    def __init__(self, folder: Path | None = None) -> None:
        """Use a folder; by default, one below the state of the user. It is created on the first write."""
        self._folder = folder or state() / FOLDER

    def remember(self, archive: str, updates: Updates) -> Updates:
        """Add updates. A time that is already known only becomes earlier.

        Args:
            archive: Title of the package index that contains them.
            updates: The updates; empty to read only.

        Returns:
            All updates of the archive that were ever seen.

        Raises:
            DamagedError: The memory is damaged.
            RunError: It cannot be used.
        """
        file = self._folder / f"{hashlib.sha256(archive.encode(errors='surrogateescape')).hexdigest()}.json"
        try:
            with own_reads():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with file.with_suffix(".lock").open("ab") as guard:
                    lock(guard, _LOCK_SECONDS)
                    before = _read(file)
                    merged = _merge(before, updates)
                    if merged != before:
                        write_durably(file, encode(SeenUpdates(archive, merged)))
                    return merged
        except OSError as error:
            raise RunError(
                f"the time of security updates cannot be remembered: {describe_error(error)}; "
                f"correct the rights of {self._folder}"
            ) from error


def _merge(before: Updates, updates: Updates) -> dict[str, dict[str, UpdateTimes]]:
    merged = {package: dict(versions) for package, versions in before.items()}
    for package, versions in updates.items():
        known = merged.setdefault(package, {})
        for version, times in versions.items():
            known[version] = _earlier(known.get(version, times), times)
    return merged


def _earlier(one: UpdateTimes, other: UpdateTimes) -> UpdateTimes:
    published = [each.published for each in (one, other) if each.published is not None]
    return UpdateTimes(min(one.seen, other.seen), min(published, default=None))


def _read(file: Path) -> Updates:
    try:
        return decode(file.read_bytes(), SeenUpdates).updates
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError) as error:
        raise DamagedError(
            f"{file} is damaged ({describe_error(error)}), so it is not known since when security updates are missing; "
            "remove the file; without it, times that an archive does not tell count from today"
        ) from error
