# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Since how many days security updates have been missing.

An update is available since the time of its file in the archive, or since it was seen here, whichever is earlier. The
time of the file is the header ``Last-Modified``. Nobody signs it, so it counts only if it is credible.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from .apt_archive import Archives
from .apt_preferences import key
from .image_apt import SecurityFix
from .update_memory import UpdateMemory, Updates, UpdateTimes

#: How many files are asked for their time, and for how many seconds. The others count from when they were first seen.
_MOST_REQUESTS, _SECONDS = 100, 60
#: 2010-01-01. An older time is that of a mirror that does not keep times; Python reads the year 0001 as 2001.
_EARLIEST = 1_262_304_000
_DAY = 24 * 3600


class UpdateAges:
    """Finds the ages of security updates."""

    def __init__(self, archives: Archives, memory: UpdateMemory, now: datetime) -> None:
        """Take what to ask, what was seen before, and the current time."""
        self._archives, self._memory, self._now = archives, memory, int(now.timestamp())

    def days(self, fixes: Sequence[SecurityFix]) -> dict[str, int]:
        """Return since how many whole days packages miss a security update, by the name of the package.

        If an archive replaced an update that was seen here by a newer one, the time of the older one counts.

        Args:
            fixes: The missing updates.

        Raises:
            DamagedError: The memory of updates is damaged.
            RunError: It cannot be used.
        """
        found: dict[str, int] = {}
        for archive in dict.fromkeys(fix.archive for fix in fixes):
            of_archive = [fix for fix in fixes if fix.archive == archive]
            known = self._memory.remember(archive, self._ask(of_archive, self._memory.remember(archive, {})))
            for fix in of_archive:
                name = fix.package.rpartition(":")[0]
                found[name] = max(found.get(name, 0), self._days(fix, known))
        return found

    def _ask(self, fixes: Sequence[SecurityFix], known: Updates) -> Updates:
        """Ask for the times that are not known."""
        asked: dict[str, dict[str, UpdateTimes]] = {}
        end, requests = time.monotonic() + _SECONDS, 0
        for fix in fixes:
            times = known.get(fix.package, {}).get(fix.version)
            published = times.published if times else None
            if published is None and fix.address and requests < _MOST_REQUESTS and time.monotonic() < end:
                requests += 1
                published = self._published(fix.address)
            asked.setdefault(fix.package, {})[fix.version] = UpdateTimes(self._now, published)
        return asked

    def _published(self, address: str) -> int | None:
        moment = self._archives.published(address)
        seconds = None if moment is None else int(moment.timestamp())
        return seconds if seconds is not None and _EARLIEST <= seconds <= self._now else None

    def _days(self, fix: SecurityFix, known: Updates) -> int:
        since = min(
            times.available
            for version, times in known[fix.package].items()
            if key(fix.installed) < key(version) <= key(fix.version)
        )
        return max(0, self._now - since) // _DAY
