# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Announces what has to be done, and does nothing about it: for programs that decide by themselves what to start.

It compares with the same survey as a watcher, and by the same signs: the engine's events, notifications, and a timer.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ..engine.engine import connect
from ..engine.events import EngineEvent
from ..errors import ChainError, TierwrightError
from .engine_source import follow_engine, is_of_interest
from .local_server import serve
from .notifications import Notifications, read_token
from .survey import Survey, WorkKind, WorkNeed, ask_survey
from .wake_ups import WakeUps
from .work import WorkMove, decide

#: Seconds between two comparisons as long as none succeeds.
_RETRY_SECONDS = 10.0
#: How soon it notices that it shall stop.
_POLL_SECONDS = 0.2

#: Makes a survey; see :func:`.survey.ask_survey`.
Ask = Callable[[Sequence[str], Callable[[str], None]], Survey]


@dataclass(frozen=True, slots=True)
class _Announced:
    """What was announced about a chain or a site, and when."""

    subject: Mapping[str, str]
    moment: float


class Announcer:
    """Compares again and again. Make one, and call :meth:`announce`."""

    def __init__(
        self, arguments: Sequence[str], say: Callable[[str], None], *, repeat: float, ask: Ask = ask_survey
    ) -> None:
        """Prepare; nothing is compared yet.

        Args:
            arguments: Options for ansible-playbook: inventories, vault passwords, variables.
            say: Prints a line.
            repeat: Seconds after which the same is announced again if it was not done; 0 for never.
            ask: Makes a survey.
        """
        self._arguments, self._say, self._repeat, self._ask = arguments, say, repeat, ask
        self._signs: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._wake_ups = WakeUps()
        self._announced: dict[tuple[WorkKind, str], _Announced] = {}
        self._survey: Survey | None = None
        self._problems: list[str] = []

    def announce(self, put: Callable[[WorkNeed], None], stop: threading.Event) -> None:
        """Announce what has to be done, until ``stop`` is set. This function blocks.

        Args:
            put: Called for each chain and each site that is out of date.
            stop: Ends this function within a second, or after the comparison that is going on.

        Raises:
            TierwrightError: The first comparison failed, or the port for notifications is in use.
        """
        self._survey = survey = self._ask(self._arguments, self._say)
        with ExitStack() as stack:
            self._receive_notifications(survey, stack)
            self._follow_engine(survey, stop)
            while not stop.is_set():
                for need in self._news(survey, time.time()):
                    put(need)
                self._wait(survey, stop)
                survey = self._compare(stop) or survey

    def _compare(self, stop: threading.Event) -> Survey | None:
        while not stop.is_set():
            try:
                self._survey = self._ask(self._arguments, self._say)
            except TierwrightError as error:
                self._note_problems([str(error)])
                stop.wait(_RETRY_SECONDS)
            else:
                self._note_problems(self._survey.problems)
                return self._survey
        return None

    def _note_problems(self, problems: Sequence[str]) -> None:
        for problem in problems:
            if problem not in self._problems:
                self._say(f"cannot compare: {problem}")
        self._problems = list(problems)

    def _news(self, survey: Survey, now: float) -> Iterator[WorkNeed]:
        """Yield what has to be done, without what was announced a short time ago."""
        due = {
            (each.need.kind, each.need.about): each.need
            for each in decide(survey.needs, (), now)
            if each.move is WorkMove.START
        }
        known = {(need.kind, need.about) for need in survey.needs}
        # What was done is forgotten. What could not be compared is not.
        self._announced = {key: last for key, last in self._announced.items() if key in due or key not in known}
        for key, need in due.items():
            last = self._announced.get(key)
            if last is None or last.subject != need.subject or 0 < self._repeat <= now - last.moment:
                self._announced[key] = _Announced(need.subject, now)
                yield need

    def _wait(self, survey: Survey, stop: threading.Event) -> None:
        deadline = time.monotonic() + survey.settings.interval
        while not stop.is_set():
            now = time.monotonic()
            left = self._wake_ups.seconds_left(now, survey.settings.debounce)
            seconds = min(deadline - now, _POLL_SECONDS, deadline - now if left is None else left)
            if now >= deadline or left == 0:
                break
            try:
                self._wake_ups.note(time.monotonic(), self._signs.get(timeout=max(seconds, 0.001)))
            except queue.Empty:
                continue
        self._wake_ups.take()

    def _receive_notifications(self, survey: Survey, stack: ExitStack) -> None:
        settings = survey.settings
        if settings.address is None or settings.token_file is None:
            return
        file = Path(settings.token_file)
        if read_token(file) is None:
            raise ChainError(
                f"watch_notification_token_file is {file}, which has no token; expected a file with at least 16 "
                "characters"
            )
        receiver = Notifications(file, self._repositories, self._signs.put)
        host, port = stack.enter_context(serve(settings.address, {}, {"/notifications": receiver.receive}))
        self._say(f"notifications at http://{host}:{port}")

    def _repositories(self) -> list[str]:
        return self._survey.repositories if self._survey else []

    def _follow_engine(self, survey: Survey, stop: threading.Event) -> None:
        if not (survey.local_images or survey.uses_engine):
            return

        def take(event: EngineEvent) -> None:
            if self._survey is not None and is_of_interest(event, self._survey.local_images):
                self._signs.put(f"the engine says: {event.kind} {event.name} {event.action}")

        def lost(reason: str) -> None:
            self._say(f"the engine's events are missing: {reason}")

        arguments = (connect, take, lost, lambda: self._signs.put("the engine answers again"), stop)
        threading.Thread(target=follow_engine, args=arguments, daemon=True).start()
