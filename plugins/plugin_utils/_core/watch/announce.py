# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Announces what has to be done, and does nothing about it: for programs that decide by themselves what to start.

It compares with the same survey as a watcher, and by the same signs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import msgspec

from ..errors import TierwrightError
from .local_server import serve
from .settings import WatchSettings
from .signs import ChangeSigns
from .survey import Ask, Survey, WorkKind, WorkNeed, ask_survey
from .work import WorkMove, decide

#: Seconds between two comparisons as long as none succeeds.
_RETRY_SECONDS = 10.0


class _Announced(msgspec.Struct, frozen=True):
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
        self._signs = ChangeSigns(lambda: self._survey)
        self._stop = threading.Event()
        self._announced: dict[tuple[WorkKind, str], _Announced] = {}
        self._survey: Survey | None = None
        self._problems: list[str] = []

    def stop(self) -> None:
        """End :meth:`announce`."""
        self._stop.set()
        self._signs.note("it is stopped")

    def announce(self, put: Callable[[WorkNeed], None]) -> None:
        """Announce what has to be done, until another thread calls :meth:`stop`.

        Args:
            put: Called for each chain and each site that is out of date.

        Raises:
            TierwrightError: The first comparison failed, or the port for notifications is in use.
        """
        try:
            self._survey = survey = self._ask(self._arguments, self._say, self._stop.is_set)
        except TierwrightError:
            if self._stop.is_set():
                return
            raise
        self._note_problems(survey.problems)
        with ExitStack() as stack:
            self._receive_notifications(survey.settings, stack)
            self._signs.follow_engine(
                lambda reason: self._say(f"the engine's events are missing: {reason}"),
                lambda: self._say("the engine's events are back"),
                self._stop,
            )
            while not self._stop.is_set():
                for need in self._news(survey, time.time()):
                    put(need)
                settings = survey.settings
                self._signs.wait(time.monotonic() + settings.interval, settings.debounce, self._stop)
                survey = self._compare() or survey

    def _compare(self) -> Survey | None:
        while not self._stop.is_set():
            try:
                self._survey = self._ask(self._arguments, self._say, self._stop.is_set)
            except TierwrightError as error:
                if self._stop.is_set():
                    break
                self._note_problems([str(error)])
                self._signs.wait(time.monotonic() + _RETRY_SECONDS, _RETRY_SECONDS, self._stop)
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

    def _receive_notifications(self, settings: WatchSettings, stack: ExitStack) -> None:
        receivers = self._signs.receivers(settings)
        if settings.address is not None and receivers:
            host, port = stack.enter_context(serve(settings.address, {}, receivers))
            self._say(f"notifications at http://{host}:{port}")
