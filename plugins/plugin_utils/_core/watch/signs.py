# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Signs of a change, and the wait for them: events of the engine, notifications, and signs of the program itself."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from pathlib import Path

from ..engine.engine import connect
from ..engine.events import EngineEvent
from ..errors import ChainError
from .engine_source import follow_engine, is_of_interest
from .local_server import Post
from .notifications import Notifications, read_token
from .settings import WatchSettings
from .survey import Survey
from .wake_ups import WakeUps


class ChangeSigns:
    """The signs since the last comparison. Threads may share it."""

    def __init__(self, survey: Callable[[], Survey | None]) -> None:
        """Prepare; nothing is followed yet.

        Args:
            survey: Returns the newest comparison, which says what is of interest.
        """
        self._survey = survey
        self._queue: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._wake_ups = WakeUps()

    def note(self, why: str) -> None:
        """Note a sign."""
        self._queue.put(why)

    def wait(self, deadline: float, debounce: float, stop: threading.Event) -> None:
        """Wait for the next comparison, and forget the signs that caused it.

        Args:
            deadline: When it begins without a sign, as :func:`time.monotonic` counts.
            debounce: Seconds from the first sign to the comparison.
            stop: Ends the wait. Whoever sets it also notes a sign.
        """
        while not stop.is_set():
            now = time.monotonic()
            left = self._wake_ups.seconds_left(now, debounce)
            seconds = min(deadline - now, deadline - now if left is None else left)
            if seconds <= 0:
                break
            try:
                self._wake_ups.note(time.monotonic(), self._queue.get(timeout=seconds))
            except queue.Empty:
                continue
        self._wake_ups.take()

    def receivers(self, settings: WatchSettings) -> dict[str, Post]:
        """Return what answers notifications, by path; empty if none are accepted.

        Raises:
            ChainError: The file has no token.
        """
        if settings.token_file is None:
            return {}
        file = Path(settings.token_file)
        if read_token(file) is None:
            raise ChainError(
                f"watch_notification_token_file is {file}, which has no token; expected a file with at least 16 "
                "characters"
            )
        return {"/notifications": Notifications(file, self._repositories, self.note).receive}

    def follow_engine(
        self, lost: Callable[[str], None], found: Callable[[], None], stop: threading.Event
    ) -> threading.Thread | None:
        """Follow the engine's events in a thread, if the site depends on the engine.

        Args:
            lost: Called with the reason when the engine does not answer.
            found: Called when it answers again. That is a sign, too.
            stop: Ends the thread.

        Returns:
            The thread; ``None`` if the site does not depend on the engine.
        """
        survey = self._survey()
        if survey is None or not (survey.local_images or survey.uses_engine):
            return None

        def take(event: EngineEvent) -> None:
            survey = self._survey()
            if survey is not None and is_of_interest(event, survey.local_images):
                self.note(f"the engine says: {event.kind} {event.name} {event.action}")

        def return_to_it() -> None:
            found()
            self.note("the engine answers again")

        thread = threading.Thread(target=follow_engine, args=(connect, take, lost, return_to_it, stop), daemon=True)
        thread.start()
        return thread

    def _repositories(self) -> list[str]:
        survey = self._survey()
        return survey.repositories if survey else []
