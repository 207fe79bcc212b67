# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a run for programs, and the files that it is written to: JSON, JUnit and SARIF."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ..contract.role_tests import Suite
from ..engine.engine import Engine
from ..errors import ChainError, RunError, describe_error
from ..local_files import write_atomically
from ..records import encode
from ..state.journal import Journal, start_time
from ..state.plan_records import Planned, read_plans
from ..state.status import FAILED, NOT_REACHED, ended_tiers, failed_outside_tiers
from ..state.tier_records import GateRecord, read_tested
from ..tier_build.failure import last_failed_task
from .refusals import refusals
from .summary import explain_failure

_KIND = "files"

#: The files in the folder that ``tier_results`` names.
RESULT_NAMES = ("result.json", "junit.xml", "refusals.sarif")

#: States of a run. The third state is ``FAILED``.
RUNNING, PASSED = "running", "passed"


class Test(msgspec.Struct, frozen=True):
    """A test that ran."""

    #: Its ID for pytest.
    test: str
    #: ``passed`` or ``failed``.
    result: str
    #: How many seconds it took; ``null`` if that is not known.
    seconds: float | None
    #: The team that owns the test; ``null`` if it is not known.
    owner: str | None
    #: The tier whose role contains it; ``null`` if it is not known.
    tier: str | None
    #: Why it failed; empty if it passed.
    message: str
    #: The last lines of its containers' logs; empty if it passed.
    log: str


class TierResult(msgspec.Struct, frozen=True):
    """The result of a tier."""

    tier: str
    team: str
    #: What the plan decided: ``build`` or ``keep``.
    action: str
    #: ``built``, ``kept``, ``failed``, or ``not reached`` because an ancestor failed or the run ended before.
    result: str
    #: Why it failed or was kept, in one line; can be empty.
    reason: str
    #: ID of its image, or of the image that failed its tests; ``null`` if there is none.
    image: str | None
    #: Names of that image.
    names: list[str]
    #: Its release tag, and whether this tag names the image.
    release: str
    released: bool
    #: Size of all layers in bytes; ``null`` if there is no image.
    size: int | None
    #: All tests that ran; empty if the image had passed them before.
    tests: list[Test]
    #: The full explanation of a failure, line by line; empty if the tier did not fail.
    told: list[str]


class RunResult(msgspec.Struct, frozen=True):
    """The result of a run."""

    #: The chain's name; ``null`` if the inventory does not describe a chain.
    chain: str | None
    #: ID of the run; ``null`` if it did not begin.
    run: str | None
    #: ``running`` until the end, then ``passed`` or ``failed``. For a killed run, it stays ``running``.
    state: str
    #: RFC 3339 times; ``null`` if the run has not begun, or not ended.
    began: str | None
    ended: str | None
    #: Why the run did not begin, or a failure outside the tiers, such as a failed promotion; ``null`` if there is none.
    error: str | None
    #: The command that continues the build of the chain.
    repeat: str
    tiers: list[TierResult] = msgspec.field(default_factory=list)


def check_files(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Check the paths of the files for a run's result.

    Args:
        arguments: The arguments of the task; only ``result_file``, ``junit_file``, ``results`` and ``profile`` are
            read.

    Returns:
        The absolute paths of the files that are set, by argument.

    Raises:
        ChainError: The folder of a file does not exist, or a path exists and is not a file.
    """
    paths: dict[str, str] = {}
    for kind in ("result_file", "junit_file", "profile"):
        if arguments.get(kind) is None:
            continue
        path = Path(str(arguments[kind])).expanduser().resolve()
        if not path.parent.is_dir() or (path.exists() and not path.is_file()):  # a device would be replaced by a file
            raise ChainError(f"tier_{kind} is {arguments[kind]!r}; expected a file in a folder that exists")
        paths[kind] = str(path)
    if arguments.get("results") is not None:
        folder = Path(str(arguments["results"])).expanduser().resolve()
        if not folder.parent.is_dir() or (folder.exists() and not folder.is_dir()):
            raise ChainError(f"tier_results is {arguments['results']!r}; expected a folder in a folder that exists")
        paths |= {name: str(folder / name) for name in RESULT_NAMES}
    return paths


def begin_files(files: Mapping[str, str], result: RunResult) -> None:
    """Write a result to the files, to replace the result of an earlier run at once.

    Raises:
        ChainError: A file cannot be written.
    """
    for kind, text in _documents(result).items() if files else ():
        if kind in files:
            try:
                if kind in RESULT_NAMES:
                    Path(files[kind]).parent.mkdir(exist_ok=True)
                write_atomically(Path(files[kind]), text)
            except OSError as error:
                variable = "tier_results" if kind in RESULT_NAMES else f"tier_{kind}"
                raise ChainError(f"{variable}: {files[kind]} cannot be written: {describe_error(error)}") from error


def note_files(journal: Journal, files: Mapping[str, str]) -> None:
    """Record the paths of the files for the run's result."""
    journal.write(_KIND, "run", dict(files))


def noted_files(journal: Journal) -> dict[str, str]:
    """Return the paths of the files that :func:`note_files` recorded, by argument."""
    return journal.read_record(_KIND, "run", dict[str, str]) or {}


def write_files(engine: Engine, journal: Journal, repeat: str, hosts: Collection[str] = ()) -> None:
    """Write the result of a run that has ended to its files.

    Args:
        engine: The engine.
        journal: The journal of the run.
        repeat: The command that continues the build of the chain.
        hosts: Names of the hosts that Ansible reports as failed or unreachable.

    Raises:
        RunError: A file cannot be written.
        EngineError: The engine does not answer.
    """
    if files := noted_files(journal):
        try:
            begin_files(files, result_of(engine, journal, repeat, hosts))
        except ChainError as error:
            raise RunError(str(error)) from error


def result_of(engine: Engine, journal: Journal, repeat: str, hosts: Collection[str] = ()) -> RunResult:
    """Return the result of a run that has ended; the arguments are the same as for :func:`write_files`.

    Raises:
        EngineError: The engine does not answer.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _chain, planned = read_plans(journal)
    ended = ended_tiers(journal, now)
    tiers = [_tier_result(engine, journal, planned[name], tier.result, tier.said) for name, tier in ended.items()]
    others = failed_outside_tiers(journal, hosts)
    failed = bool(others) or any(tier.result in {FAILED, NOT_REACHED} for tier in tiers)
    return RunResult(
        chain=next((plan.chain for plan in planned.values()), None),
        run=journal.run,
        state=FAILED if failed else PASSED,
        began=start_time(journal.run).isoformat(timespec="seconds"),
        ended=now,
        error="\n".join(_explain_host(journal, host) for host in others) or None,
        repeat=repeat,
        tiers=tiers,
    )


def _explain_host(journal: Journal, host: str) -> str:
    failure = last_failed_task(journal, host)
    return "\n".join(failure.lines) if failure else f"host {host} failed"


def _tier_result(engine: Engine, journal: Journal, planned: Planned, result: str, reason: str) -> TierResult:
    tier, outcome, tested = planned.tier, journal.outcome(planned.tier.name), read_tested(journal, planned.tier.name)
    image_id = (outcome.image if outcome else planned.image) or (tested.image if tested else None)
    image = engine.images.find(image_id) if image_id else None
    return TierResult(
        tier=tier.name,
        team=tier.team,
        action=str(planned.action),
        result=result,
        reason=reason,
        image=image.id if image else None,
        names=sorted(image.tags) if image else [],
        release=tier.release,
        released=image is not None and image.is_named(tier.release),
        size=image.size if image else None,
        tests=_test_results(tested, planned.tests) if tested else [],
        told=explain_failure(journal, tier.name) if result == FAILED else [],
    )


def _test_results(tested: GateRecord, suite: Suite) -> list[Test]:
    def owner_of(test: str) -> tuple[str | None, str | None]:
        """Return the team and the tier of a test, from its file, or from the image that it is attached to."""
        file = Path(test.partition("::")[0]).absolute()
        for each in suite.all:
            if test.startswith(f"{each.origin}:") if each.origin else file.is_relative_to(each.folder):
                return each.team, each.tier
        return None, None

    passed = [Test(test.test, PASSED, test.seconds, *owner_of(test.test), "", "") for test in tested.ran]
    failed = [Test(test.test, FAILED, None, test.owner, test.tier, test.message, test.log) for test in tested.failed]
    return passed + failed


def _documents(result: RunResult) -> dict[str, str]:
    """Return the result as documents, by the argument that sets their file, and by the names in a folder."""
    from .junit_document import junit  # noqa: PLC0415 - slow import, and few runs write files

    document = encode(result, indent=2) + "\n"
    in_folder = {"result.json": document, "junit.xml": junit(result, by_owner=True), "refusals.sarif": refusals(result)}
    return {"result_file": document, "junit_file": junit(result), **in_folder}
