# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a watcher says about itself: its health, and its measures for Prometheus."""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any

from ..errors import RunError
from ..records import encode
from .local_server import WebAnswer
from .run_records import RunOutcome, WatchRun
from .survey import Survey, WorkKind
from .work import WorkDecision, WorkMove

#: A watcher is well if its last comparison is not older than this number of intervals.
_INTERVALS = 3
_LEAST_SECONDS = 120.0

#: Sources of changes, whose failures are counted.
ENGINE, COMPARISON, RECORDS = "engine", "comparison", "records"
_SOURCES = (ENGINE, COMPARISON, RECORDS)


class Health:
    """The state of a watcher. Threads may share it."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin.

        Args:
            clock: Returns the seconds since 1970.

        Raises:
            RunError: The client of Prometheus is not installed.
        """
        self._clock, self._lock = clock, threading.Lock()
        self._began, self._interval = clock(), 0.0
        self._compared: float | None = None
        self._problems: list[str] = []
        self._since: dict[tuple[str, str], float] = {}
        self._waiting: dict[str, str] = {}
        self._running: dict[str, str] = {}
        self._measures = _Measures(_load())

    def compared(self, survey: Survey, decisions: Sequence[WorkDecision]) -> None:
        """Note a comparison.

        Args:
            survey: What it found.
            decisions: What has to be done.
        """
        now = self._clock()
        with self._lock:
            self._compared, self._interval, self._problems = now, survey.settings.interval, list(survey.problems)
            current = {(each.need.kind.value, each.need.about): each for each in decisions}
            self._since = {key: self._since.get(key, now) for key in current}
            self._waiting = {
                f"{kind} {about}": "; ".join(each.reasons)
                for (kind, about), each in current.items()
                if each.move is not WorkMove.START
            }
            held = {key for key, each in current.items() if each.move is WorkMove.HOLD}
            self._measures.compared(now, survey, self._since, held)
            for _problem in survey.problems:
                self._measures.failures.labels(COMPARISON).inc()

    def failed(self, source: str, message: str) -> None:
        """Note that a source of changes failed: :data:`ENGINE`, :data:`COMPARISON` or :data:`RECORDS`."""
        with self._lock:
            self._measures.failures.labels(source).inc()
            if source == COMPARISON:
                self._problems = [message]

    def began(self, run: WatchRun) -> None:
        """Note that a run began."""
        with self._lock:
            self._running[run.id] = f"{run.kind.value} {run.about}"
            self._measures.running.labels(run.kind.value).inc()

    def ended(self, run: WatchRun) -> None:
        """Note that a run ended."""
        with self._lock:
            self._running.pop(run.id, None)
            self._measures.ended(run)

    def page(self) -> WebAnswer:
        """Return the health as JSON. Its status is 503 if nothing could be compared for a while."""
        with self._lock:
            late = max(_INTERVALS * self._interval, _LEAST_SECONDS)
            well = self._clock() - (self._compared or self._began) <= late
            body = {
                "well": well,
                "compared": _rfc3339(self._compared),
                "problems": self._problems,
                "waiting": self._waiting,
                "running": self._running,
            }
        status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
        return WebAnswer(status, f"{encode(body, indent=2)}\n".encode(), "application/json")

    def metrics(self) -> WebAnswer:
        """Return the measures in the text format of Prometheus."""
        with self._lock:
            return WebAnswer(HTTPStatus.OK, *self._measures.text())


def _rfc3339(moment: float | None) -> str | None:
    return None if moment is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))


def _load() -> Any:
    try:
        return importlib.import_module("prometheus_client")
    except ImportError as error:
        raise RunError("the Python package prometheus_client is not installed; install tierwright[watch]") from error


class _Measures:
    """The measures, in a registry of their own."""

    def __init__(self, client: Any) -> None:
        self._client, self._registry = client, client.CollectorRegistry()

        def make(kind: Any, name: str, text: str, *labels: str) -> Any:
            return kind(f"tierwright_watch_{name}", text, labels, registry=self._registry)

        self._runs = make(client.Counter, "runs", "Ended runs", "kind", "outcome")
        self._seconds = make(client.Gauge, "run_seconds", "Duration of the last run", "kind")
        self.running = make(client.Gauge, "running", "Runs that are going on", "kind")
        self._compared = make(client.Gauge, "compared_timestamp_seconds", "Time of the last comparison")
        self._outdated = make(client.Gauge, "out_of_date", "Whether something is out of date", "kind", "about")
        self._since = make(
            client.Gauge, "out_of_date_since_timestamp_seconds", "Since when it is out of date", "kind", "about"
        )
        self._held = make(client.Gauge, "held", "Whether it stays so until something changes", "kind", "about")
        self.failures = make(client.Counter, "failures", "Failures of a source of changes", "source")
        for kind in WorkKind:
            self.running.labels(kind.value)
            for outcome in RunOutcome:
                self._runs.labels(kind.value, outcome.value)
        for source in _SOURCES:
            self.failures.labels(source)

    def compared(
        self, now: float, survey: Survey, since: dict[tuple[str, str], float], held: set[tuple[str, str]]
    ) -> None:
        self._compared.set(now)
        for gauge in (self._outdated, self._since, self._held):
            gauge.clear()
        for key in [(need.kind.value, need.about) for need in survey.needs]:
            self._outdated.labels(*key).set(key in since)
            self._held.labels(*key).set(key in held)
            if key in since:
                self._since.labels(*key).set(since[key])

    def ended(self, run: WatchRun) -> None:
        self.running.labels(run.kind.value).dec()
        if run.outcome is not None:
            self._runs.labels(run.kind.value, run.outcome.value).inc()
        if run.seconds is not None:
            self._seconds.labels(run.kind.value).set(run.seconds)

    def text(self) -> tuple[bytes, str]:
        return self._client.generate_latest(self._registry), "text/plain; version=0.0.4; charset=utf-8"
