# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The watcher: compares, decides, and starts work; one run at a time for each chain and for each site."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from ..errors import ChainError, PlanError, TierwrightError
from ..text import printable_lines
from .health import COMPARISON, ENGINE, Health
from .lanes import Do, Lanes
from .local_server import serve
from .one_watcher import become_watcher
from .playbook_run import load_runner
from .settings import WatchSettings
from .signs import ChangeSigns
from .survey import Ask, Survey, WorkKind, ask_survey
from .work import WorkDecision, WorkMove, decide
from .work_run import Watched, do_work

#: Seconds between two comparisons as long as none succeeds. If only a part cannot be compared, each pause is twice as
#: long as the one before, up to the usual interval.
_RETRY_SECONDS = 10.0
#: How often ``--once`` compares: a build can release what the site then rolls out.
_ROUNDS = 5


class InventoryWatcher:
    """Watches inventories. Make one, and call :meth:`once` or :meth:`watch`, in the main thread."""

    def __init__(
        self, watched: Watched, say: Callable[[str], None], *, ask: Ask = ask_survey, do: Do = do_work
    ) -> None:
        """Prepare; nothing is compared or changed yet.

        Args:
            watched: What to watch.
            say: Prints a line.
            ask: Makes a survey.
            do: Does work.

        Raises:
            RunError: A package is missing.
        """
        load_runner()
        self._watched, self._ask = watched, ask
        self._print = say
        self._signs = ChangeSigns(lambda: self._survey)
        self._stop = threading.Event()
        self._survey: Survey | None = None
        self._health = Health()
        self._lanes = Lanes(watched, do, self._stop, self._health, self._say)
        self._said: dict[tuple[WorkKind, str], str] = {}
        self._said_problems: list[str] = []
        self._partial = 0  # comparisons in a row that had problems

    def once(self) -> bool:
        """Compare once, do what has to be done, and compare again if that can have more effects.

        Returns:
            Whether everything succeeded that was begun.

        Raises:
            RunError: Another watcher works with these inventories.
            TierwrightError: The comparison failed.
        """
        with become_watcher(self._watched.inventories, self._say), self._signals():
            for _round in range(_ROUNDS):
                survey = self._compare()
                started = survey is not None and self._start(survey)
                self._lanes.join()
                if not started or self._lanes.has_failed:
                    break
            return not self._lanes.has_failed and not self._said_problems and not self._stop.is_set()

    def watch(self) -> None:
        """Watch until a signal stops it: SIGTERM or SIGINT. Running playbooks are interrupted then.

        Raises:
            RunError: Another watcher works with these inventories, or a port is in use.
            ChainError: A variable of the inventory is wrong.
        """
        with become_watcher(self._watched.inventories, self._say), self._signals(), ExitStack() as stack:
            survey = self._compare_patiently()
            if survey is not None:
                self._serve(survey.settings, stack)
                self._follow_engine()
                self._say(_introduce(survey))
            while survey is not None:
                self._start(survey)
                self._wait(survey.settings)
                survey = self._compare_patiently()
            self._say("the watcher stops")
            self._lanes.join()

    def _say(self, line: str) -> None:
        self._print(printable_lines(line))

    def _compare_patiently(self) -> Survey | None:
        """Compare, and repeat this until it succeeds; ``None`` if the watcher is stopped.

        Raises:
            ChainError: The first comparison shows that the inventory is wrong.
            PlanError: Ansible failed in the first comparison, for example because of a wrong vault password.
        """
        while not self._stop.is_set():
            try:
                return self._compare()
            except TierwrightError as error:
                if self._survey is None and isinstance(error, ChainError | PlanError):
                    raise
                self._note_problems([str(error)])
                self._health.failed(COMPARISON, str(error))
            self._signs.wait(time.monotonic() + _RETRY_SECONDS, 0.0, self._stop)
        return None

    def _compare(self) -> Survey | None:
        """Make a survey; ``None`` if the watcher is stopped meanwhile."""
        output: list[str] = []
        try:
            self._survey = self._ask(self._watched.arguments, output.append, self._stop.is_set)
        except TierwrightError as error:
            if self._stop.is_set():
                return None
            if output and str(error) not in self._said_problems:
                self._say("\n".join(output))
            raise
        self._note_problems(self._survey.problems)
        return self._survey

    def _note_problems(self, problems: list[str]) -> None:
        for problem in problems:
            if problem not in self._said_problems:
                self._say(f"cannot compare: {problem}")
        if self._said_problems and not problems:
            self._say("everything can be compared again")
        self._said_problems = list(problems)

    def _start(self, survey: Survey) -> bool:
        """Start what has to be done now. Returns whether something was started."""
        decisions = decide(survey.needs, self._lanes.runs(), time.time())
        self._health.compared(survey, decisions)
        for need in survey.needs:
            if need not in [decision.need for decision in decisions]:
                self._said.pop((need.kind, need.about), None)
        started = False
        for decision in decisions:
            is_free = self._lanes.is_free(decision)
            if decision.move is WorkMove.START and is_free and not self._stop.is_set():
                self._said.pop((decision.need.kind, decision.need.about), None)
                self._lanes.start(decision, survey.settings, self._signs.note)
                started = True
            elif is_free:
                self._tell(decision, "is held" if decision.move is WorkMove.HOLD else "waits")
        return started

    def _tell(self, decision: WorkDecision, how: str) -> None:
        key = (decision.need.kind, decision.need.about)
        line = f"{decision.need.kind.value} {decision.need.about} {how}: {'; '.join(decision.reasons)}"
        if self._said.get(key) != line:
            self._say(line)
        self._said[key] = line

    def _wait(self, settings: WatchSettings) -> None:
        """Wait for the next comparison: the timer, a sign of a change, or the end of a pause."""
        pauses = [each.at - time.time() for each in self._pauses() if each.at is not None]
        self._partial = self._partial + 1 if self._said_problems else 0
        if self._partial:
            pauses.append(_RETRY_SECONDS * 2.0 ** min(self._partial - 1, 20))
        self._signs.wait(time.monotonic() + max(0.0, min([settings.interval, *pauses])), settings.debounce, self._stop)

    def _pauses(self) -> list[WorkDecision]:
        return decide(self._survey.needs, self._lanes.runs(), time.time()) if self._survey else []

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(_number: int, _frame: object) -> None:
            for number in before:  # a second signal within `set` would wait for its lock for ever
                signal.signal(number, signal.SIG_IGN)
            self._stop.set()
            self._signs.note("a signal")

        before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
        for number in before:
            signal.signal(number, stop)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _serve(self, settings: WatchSettings, stack: ExitStack) -> None:
        if settings.address is None:
            return
        receivers = self._signs.receivers(settings)
        pages = {"/healthz": self._health.page, "/metrics": self._health.metrics}
        host, port = stack.enter_context(serve(settings.address, pages, receivers))
        self._say(f"health, metrics{' and notifications' if receivers else ''} at http://{host}:{port}")
        if settings.is_public:
            self._say(f"warning: watch_listen is {settings.listen}, so other machines can read health and metrics")

    def _follow_engine(self) -> None:
        def lost(reason: str) -> None:
            self._health.failed(ENGINE, reason)
            self._say(f"the engine's events are missing: {reason}")

        self._signs.follow_engine(lost, lambda: self._say("the engine's events are back"), self._stop)


def _introduce(survey: Survey) -> str:
    settings = survey.settings
    names = {"follow": settings.follow, "try candidates": settings.candidates, "deploy": settings.deploy}
    about = ", ".join(dict.fromkeys(need.about for need in survey.needs)) or "the inventory"
    return (
        f"watching {about}: {', '.join(name for name, is_on in names.items() if is_on)}; compared every "
        f"{settings.interval:g} s"
    )
