# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Records of a run about one tier that several modules read: its build container, and the tests of its image."""

from __future__ import annotations

import contextlib

import msgspec

from ..text import printable_lines
from .journal import Journal

_BUILD, _TESTED, _DISTURBED = "build", "tested", "disturbed"


class BuildRecord(msgspec.Struct, frozen=True):
    """The build of a tier, recorded when its container starts."""

    #: ID of its container.
    container: str
    #: ID of its stage image.
    stage: str
    #: ID of the parent's image.
    parent: str
    #: The latest time in its layer, in seconds since 1970.
    epoch: int
    #: The engine's name of the parent's image.
    to_look_at: str


class PassedTest(msgspec.Struct, frozen=True):
    """A test that passed."""

    #: Its ID for pytest.
    test: str
    seconds: float


class RejectedTest(msgspec.Struct, frozen=True):
    """A test that failed. One test can fail twice: itself, and when its fixtures end."""

    #: Its ID for pytest; empty if no test was running.
    test: str
    #: The team that owns it; ``None`` if it is not known.
    owner: str | None
    #: The tier whose role contains it; ``None`` if it is not known.
    tier: str | None
    message: str
    #: The last lines of its containers' logs.
    log: str


class GateRecord(msgspec.Struct, frozen=True):
    """The result of the tests of a tier's image."""

    #: ID of the image.
    image: str
    passed: bool
    #: Duration of all tests.
    seconds: float
    #: Number of tests that ran.
    tests: int
    ran: tuple[PassedTest, ...] = ()
    failed: tuple[RejectedTest, ...] = ()


class Disturbance(msgspec.Struct, frozen=True):
    """Something outside a tier that ended its build or its tests."""

    reason: str


def write_build(journal: Journal, tier: str, record: BuildRecord) -> None:
    """Record the build of a tier. The time of the record is when the build began."""
    journal.write(_BUILD, tier, record)


def read_build(journal: Journal, tier: str) -> BuildRecord | None:
    """Return the build of a tier; ``None`` if it has not begun."""
    return journal.read_record(_BUILD, tier, BuildRecord)


def build_seconds(journal: Journal, tier: str) -> float | None:
    """Return how many seconds a tier's build and tests took; ``None`` if it was not built, or has not ended."""
    began, ended = journal.moment(_BUILD, tier), journal.moment("outcome", tier)
    return None if began is None or ended is None else round(ended - began, 1)


def write_tested(journal: Journal, tier: str, record: GateRecord) -> None:
    """Record the result of the tests of a tier's image."""
    journal.write(_TESTED, tier, record)


def read_tested(journal: Journal, tier: str) -> GateRecord | None:
    """Return the result of the tests of a tier's image; ``None`` if no tests ran."""
    return journal.read_record(_TESTED, tier, GateRecord)


def note_disturbance(journal: Journal, tier: str, reason: str) -> None:
    """Record that something outside a tier ended its build or its tests: the engine, a killed process, the machine.

    Then the failure of the tier says nothing about the tier or its parent.
    """
    with contextlib.suppress(OSError):  # a journal that is gone means that the run has ended
        journal.write(_DISTURBED, tier, Disturbance(printable_lines(reason)))


def read_disturbance(journal: Journal, tier: str) -> str | None:
    """Return what ended the build or the tests of a tier from outside; ``None`` if nothing did."""
    record = journal.read_record(_DISTURBED, tier, Disturbance)
    return record.reason if record else None
