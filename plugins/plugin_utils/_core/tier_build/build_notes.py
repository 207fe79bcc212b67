# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Notes the facts about a build and about the tests of an image, so that they can be signed later.

A full disk must not end a build. Then a line says so, and the image cannot be signed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ..build_key.file_digests import digest_tree
from ..build_key.parts import Parts
from ..chain.tier import Pull
from ..contract.gate import GateSubject, Verdict
from ..contract.marks import may_have_contracts
from ..contract.role_tests import RoleTests, Suite
from ..custody.build_facts import BuildTools, ParentImage, collect_facts, note_facts, noted_facts, rfc3339
from ..custody.gate_facts import CONTRACT, OWN, GateFacts, NotedFailure, SuiteFolder, note_gate
from ..custody.manifest_digest import known_manifest
from ..custody.record_store import LocalRecords
from ..engine.inspection import Image
from ..errors import DamagedError, describe_error
from ..state.plan_records import Planned

#: Folders of a role's tests in the name of a test: ``roles/web/tests``.
_PARENTS = 3
#: Limits for the failures that are noted, and for the characters of each message.
_FAILURES, _MESSAGE = 100, 2000


class MadeImage(msgspec.Struct, frozen=True):
    """An image that a build has just made."""

    image: Image
    #: Whether the tier has a layer of its own. Otherwise, it has only layers of others.
    has_own_layer: bool
    #: The image of the parent; ``None`` for a base.
    parent: Image | None
    #: All parts of its build key.
    parts: Parts
    #: Its time, in seconds since 1970.
    epoch: int
    #: When its build began, in seconds since 1970.
    began: float


def note_build(
    planned: Planned, run: str, candidate: Image, made: MadeImage, tools: BuildTools, say: Callable[[str], None]
) -> None:
    """Note the facts about a build that has just ended.

    If the tier keeps its release, which has the same content, the facts are about the release. They do not replace the
    facts of the build that made exactly the release.

    Args:
        planned: The plan for the tier.
        run: The ID of the run.
        candidate: The image that the tier gets: the new one, or its release.
        made: The image that was built.
        tools: What the controller says about itself.
        say: Called with a line if the facts cannot be stored.
    """
    below, name, is_new = made.parent, planned.tier.parent, candidate.id == made.image.id
    if not is_new and noted_facts(LocalRecords(), candidate.id) is not None:
        return
    facts = collect_facts(
        planned,
        run,
        made.parts,
        epoch=made.epoch if is_new else candidate.created,
        layer=candidate.layers[-1] if made.has_own_layer else None,
        parent=ParentImage(name, below.id, known_manifest(below)) if below and name else None,
        began=made.began,
        tools=tools,
    )
    facts = facts if is_new else msgspec.structs.replace(facts, built=made.image.id)
    _store(lambda records: note_facts(records, candidate.id, facts), planned.tier.name, "its build", say)


def note_base(
    planned: Planned, run: str, candidate: Image, image: Image, began: float, say: Callable[[str], None]
) -> None:
    """Note the facts about a base that has just been made. A pulled base has only layers of others.

    Args:
        planned: The plan for the base.
        run: The ID of the run.
        candidate: The image that the base gets: the new one, or its release.
        image: The image that was made.
        began: When this began, in seconds since 1970.
        say: Called with a line if the facts cannot be stored.
    """
    has_own_layer = not isinstance(planned.tier.source, Pull)
    made = MadeImage(image, has_own_layer, None, planned.parts, image.created, began)
    note_build(planned, run, candidate, made, BuildTools(), say)


def describe_suite(suite: Suite) -> tuple[SuiteFolder, ...]:
    """Return the folders of a suite with the digests of their files.

    Raises:
        OSError: A file cannot be read.
    """

    def describe(tests: RoleTests) -> SuiteFolder:
        kind = OWN if tests in suite.of_tier else CONTRACT
        folder = Path(tests.folder)
        contracts = may_have_contracts(folder)
        shown = "" if tests.origin else _portable_folder(folder).as_posix()
        return SuiteFolder(tests.tier, tests.team, kind, digest_tree(folder), tests.origin, contracts, shown)

    return tuple(describe(tests) for tests in suite.all)


def note_tests(
    subject: GateSubject, suite: Suite, folders: tuple[SuiteFolder, ...], verdict: Verdict, say: Callable[[str], None]
) -> None:
    """Note the result of the tests of an image, which have just ended.

    Args:
        subject: The image.
        suite: The tests.
        folders: Their folders, described before they ran.
        verdict: The result.
        say: Called with a line if the result cannot be stored.
    """
    failed = dict.fromkeys(portable_name(suite, failure.test) for failure in verdict.failed)
    passed = dict.fromkeys(portable_name(suite, name) for name, _seconds in verdict.ran)
    skipped = dict.fromkeys(portable_name(suite, name) for name in verdict.skipped)
    facts = GateFacts(
        tier=subject.tier,
        folders=folders,
        neighbours=dict(subject.neighbours),
        passed=tuple(name for name in passed if name not in failed),
        skipped=tuple(name for name in skipped if name not in failed and name not in passed),
        failed=tuple(failed),
        tested=rfc3339(time.time()),
        run=subject.run,
        seconds={portable_name(suite, name): round(seconds, 2) for name, seconds in verdict.ran},
        failures=tuple(
            NotedFailure(portable_name(suite, failure.test), failure.message[:_MESSAGE])
            for failure in verdict.failed[:_FAILURES]
        ),
    )
    _store(lambda records: note_gate(records, subject.image, facts), subject.tier, "its tests", say)


def portable_name(suite: Suite, test: str) -> str:
    """Return the name of a test that is the same on every machine: ``roles/web/tests/test_site.py::test_login``.

    A test of another team is named by the image that it is attached to already.
    """
    path, separator, rest = test.partition("::")
    for tests in suite.all:
        folder = Path(tests.folder)
        if path and Path(path).is_relative_to(folder):
            return (_portable_folder(folder) / Path(path).relative_to(folder)).as_posix() + separator + rest
    return test


def _portable_folder(folder: Path) -> Path:
    return Path(*folder.parts[-_PARENTS:])


def _store(write: Callable[[LocalRecords], None], tier: str, what: str, say: Callable[[str], None]) -> None:
    try:
        write(LocalRecords())
    except (OSError, DamagedError) as error:
        reason = describe_error(error)
        say(f"{tier}: what is known about {what} cannot be stored, so its image cannot be signed: {reason}")
