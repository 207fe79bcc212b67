# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Collects signs of a change, so that many of them within a short time cause only one comparison."""

from __future__ import annotations

#: How many different signs are remembered for the output.
_MOST = 5


class WakeUps:
    """The signs since the last comparison.

    The time counts from the first sign, not from the last one. Otherwise, a busy engine could delay a comparison
    forever.
    """

    def __init__(self) -> None:
        self._first: float | None = None
        self._reasons: dict[str, None] = {}

    def note(self, now: float, why: str) -> None:
        """Note a sign.

        Args:
            now: A time in seconds.
            why: What happened.
        """
        if self._first is None:
            self._first = now
        if len(self._reasons) < _MOST:
            self._reasons[why] = None

    def seconds_left(self, now: float, debounce: float) -> float | None:
        """Return the seconds until the comparison; ``None`` if nothing happened.

        Args:
            now: The time in seconds.
            debounce: Seconds from the first sign to the comparison.
        """
        return None if self._first is None else max(0.0, self._first + debounce - now)

    def take(self) -> list[str]:
        """Return what happened, and forget it."""
        reasons = list(self._reasons)
        self._first, self._reasons = None, {}
        return reasons
