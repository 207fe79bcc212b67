# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a run ended, for programs: a JSON document, and JUnit's for what shows tests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..engine.engine import Engine
from ..errors import ChainError, RunError, described
from ..whole_file import write_whole
from .ends import ends, failed_otherwise
from .failure import failing, told
from .journal import Journal, began
from .junit import junit
from .records import Planned, read_plans
from .standing import FAILED, NOT_REACHED

_KIND = "files"

#: States of a run: it goes on, all its tiers are as they should be, or not.
RUNNING, PASSED = "running", "passed"


@dataclass(frozen=True, slots=True)
class Test:
    """A test that ran."""

    #: Its name for pytest.
    test: str
    #: ``passed`` or ``failed``.
    result: str
    #: How long it took; ``null`` where that is not known.
    seconds: float | None
    #: The team whose test it is; ``null`` for one that passed, or where that is not known.
    owner: str | None
    #: Why it failed; empty where it passed.
    message: str
    #: The last lines of its containers' logs; empty where it passed.
    log: str


@dataclass(frozen=True, slots=True)
class TierResult:
    """How a tier ended."""

    tier: str
    team: str
    #: What the plan wanted: ``build`` or ``keep``.
    action: str
    #: ``built``, ``kept``, ``failed``, or ``not reached`` where something below it failed.
    result: str
    #: Why it failed or was kept, in one line; empty where there is nothing to say.
    reason: str
    #: ID of its image, or of the one that failed its tests; ``null`` where there is none.
    image: str | None
    #: Names of that image.
    names: list[str]
    #: Its release tag, and whether that names the image.
    release: str
    released: bool
    #: Bytes of all layers; ``null`` where there is no image.
    size: int | None
    #: All tests that ran; none where the image had passed them before.
    tests: list[Test]
    #: All that is to be told of a tier that failed, line by line.
    told: list[str]


@dataclass(frozen=True, slots=True)
class Result:
    """How a run ended."""

    #: The chain; ``null`` where the inventory describes none.
    chain: str | None
    #: Identifier of the run; ``null`` where it did not begin.
    run: str | None
    #: ``running`` until the end (a run that was killed stays so), then ``passed`` or ``failed``.
    state: str
    #: RFC 3339 times; ``null`` while that is to come.
    began: str | None
    ended: str | None
    #: Why no run began, or what failed although all tiers passed, as a promotion; ``null`` where nothing did.
    error: str | None
    #: The command that goes on with the chain.
    repeat: str
    tiers: list[TierResult] = field(default_factory=list)


def check_files(given: Mapping[str, Any]) -> dict[str, str]:
    """Check where a run's result is to be written to.

    Args:
        given: Paths, by ``result_file`` and ``junit_file``; others are passed over.

    Returns:
        The absolute paths of those that are wanted.

    Raises:
        ChainError: One is no path of a file in a folder that exists.
    """
    wanted: dict[str, str] = {}
    for kind in ("result_file", "junit_file"):
        if given.get(kind) is None:
            continue
        path = Path(str(given[kind])).expanduser().resolve()
        if not path.parent.is_dir() or (path.exists() and not path.is_file()):  # a device would be replaced by a file
            raise ChainError(f"tier_{kind} is {given[kind]!r}; expected a file in a folder that exists")
        wanted[kind] = str(path)
    return wanted


def begin_files(files: Mapping[str, str], result: Result) -> None:
    """Write a result that has no end yet, or that no run began: nobody shall read the last run's for this one's.

    Raises:
        ChainError: It cannot be written.
    """
    for kind, text in _texts(result).items():
        if kind in files:
            try:
                write_whole(Path(files[kind]), text)
            except OSError as error:
                raise ChainError(f"tier_{kind}: {files[kind]} cannot be written: {described(error)}") from error


def note_files(journal: Journal, files: Mapping[str, str]) -> None:
    """Record where the run's result is to be written to."""
    journal.write(_KIND, "run", dict(files))


def write_files(engine: Engine, journal: Journal, repeat: str, hosts: Collection[str] = ()) -> None:
    """Write the result of a run that has ended to where it is wanted.

    Args:
        engine: The engine.
        journal: The run.
        repeat: The command that goes on with the chain.
        hosts: Names of the hosts that Ansible says failed.

    Raises:
        RunError: A file cannot be written.
        EngineError: The engine does not answer.
    """
    files = journal.read(_KIND, "run") or {}
    if files:
        try:
            begin_files(files, result_of(engine, journal, repeat, hosts))
        except ChainError as error:
            raise RunError(str(error)) from error


def result_of(engine: Engine, journal: Journal, repeat: str, hosts: Collection[str] = ()) -> Result:
    """Say how a run ended; the arguments are those of :func:`write_files`.

    Raises:
        EngineError: The engine does not answer.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _chain, planned = read_plans(journal)
    found = ends(journal, now)
    tiers = [_tier(engine, journal, planned[name], end.result, end.said) for name, end in found.items()]
    others = failed_otherwise(journal, hosts)
    failed = bool(others) or any(each.result in {FAILED, NOT_REACHED} for each in tiers)
    return Result(
        chain=next((each.chain for each in planned.values()), None),
        run=journal.run,
        state=FAILED if failed else PASSED,
        began=began(journal.run).isoformat(timespec="seconds"),
        ended=now,
        error="\n".join(_why(journal, host) for host in others) or None,
        repeat=repeat,
        tiers=tiers,
    )


def _why(journal: Journal, host: str) -> str:
    said = failing(journal, host)
    return "\n".join(said.lines) if said else f"host {host} failed"


def _tier(engine: Engine, journal: Journal, planned: Planned, result: str, said: str) -> TierResult:
    tier, outcome, tested = planned.tier, journal.outcome(planned.tier.name), journal.read("tested", planned.tier.name)
    wanted = outcome.image if outcome else planned.image
    image = engine.images.find(wanted or (tested or {}).get("image") or "") if wanted or tested else None
    return TierResult(
        tier=tier.name,
        team=tier.team,
        action=str(planned.action),
        result=result,
        reason=said,
        image=image.id if image else None,
        names=sorted(image.tags) if image else [],
        release=tier.release,
        released=image is not None and image.is_named(tier.release),
        size=image.size if image else None,
        tests=_tests(tested or {}),
        told=told(journal, tier.name) if result == FAILED else [],
    )


def _tests(tested: Mapping[str, Any]) -> list[Test]:
    passed = [Test(each["test"], PASSED, each["seconds"], None, "", "") for each in tested.get("ran", ())]
    return passed + [
        Test(each["test"], FAILED, None, each["owner"], each["message"], each["log"])
        for each in tested.get("failed", ())
    ]


def _texts(result: Result) -> dict[str, str]:
    """The documents, by the name of what they are wanted by."""
    told = dataclasses.asdict(result)
    return {"result_file": json.dumps(told, indent=2) + "\n", "junit_file": junit(told)}
