# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the gate noted about the tests of an image.

A gate that remembers that an image passed exactly these tests does not run them again. Then the earlier facts count.
Therefore a failure does not replace them: it is stored as a different kind of note.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .record_store import LocalRecords

_PASSED, _FAILED = "gate", "rejected"

#: Whose tests they are.
OWN, CONTRACT = "own", "contract"


class SuiteFolder(msgspec.Struct, frozen=True):
    """The tests of one role."""

    #: The tier whose role has them, and the team that owns it.
    tier: str
    team: str
    #: ``own`` or ``contract``.
    kind: str
    #: SHA-256 of its files (:func:`.file_digests.digest_tree`): 64 hexadecimal digits.
    digest: str
    #: The published image that they are attached to, if another team owns them.
    origin: str | None = None
    #: Whether it may have contracts, which descendants must pass.
    contracts: bool = True
    #: What the names of its tests begin with: ``roles/web/tests``; empty if an older version noted it.
    folder: str = ""


class NotedFailure(msgspec.Struct, frozen=True):
    """Why a test failed. It is for people, and no part of a signed statement."""

    #: Its name; empty if no test was running.
    test: str
    #: The beginning of its message.
    message: str


class GateFacts(msgspec.Struct, frozen=True):
    """The result of the tests of one image."""

    tier: str
    folders: tuple[SuiteFolder, ...]
    #: IDs of the images that the tests used, by tier.
    neighbours: Mapping[str, str]
    #: Names of tests: ``roles/web/tests/test_site.py::test_login``. A test is in one of these.
    passed: tuple[str, ...]
    skipped: tuple[str, ...]
    failed: tuple[str, ...]
    #: When they ended, in RFC 3339.
    tested: str
    run: str
    #: Durations of tests that passed, in seconds.
    seconds: Mapping[str, float] = msgspec.field(default_factory=dict)
    #: The first failures, in order. One test can have several.
    failures: tuple[NotedFailure, ...] = ()


def note_gate(records: LocalRecords, config: str, facts: GateFacts) -> None:
    """Store the result of the tests of an image.

    Args:
        records: The store.
        config: ``sha256:…`` of the image's configuration.
        facts: The result.

    Raises:
        OSError: It cannot be written.
    """
    records.note(config, _FAILED if facts.failed else _PASSED, facts)


def noted_gate(records: LocalRecords, config: str) -> GateFacts | None:
    """Return the last tests that an image passed; ``None`` if it passed none here, or if the note is damaged."""
    return records.noted(config, _PASSED, GateFacts)


def noted_rejection(records: LocalRecords, config: str) -> GateFacts | None:
    """Return the last tests of which an image failed some; ``None`` if it failed none here, or the note is damaged.

    The image may have passed tests before or since: :attr:`GateFacts.tested` tells which note is newer.
    """
    return records.noted(config, _FAILED, GateFacts)
