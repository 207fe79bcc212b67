# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result for programs: JSON and JUnit.

A run's result as JUnit writes one: a suite for each tier, with its build and its tests as cases.

How a run ended, for programs: a JSON document, and JUnit's for what shows tests.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from ..engine.engine import Engine
from ..errors import ChainError, RunError, described
from ..local_files import write_whole
from ..state.journal import Journal, began
from ..state.plan_records import Planned, read_plans
from ..state.status import FAILED, NOT_REACHED, ends, failed_otherwise
from ..tier_build.failure import failing, shown_failure

#: What no XML document can hold, escaped or not.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: Mapping[str, Any]) -> str:
    """Write the document.

    Args:
        result: The fields of :class:`RunResult`.
    """
    suites = ET.Element("testsuites", name=_text(result["chain"] or "tierwright"))
    for tier in result["tiers"]:
        cases = list(_cases(tier))
        suite = ET.SubElement(suites, "testsuite", _counts(tier["tier"], cases))
        suite.extend(cases)
    if result["error"] is not None:
        suite = ET.SubElement(suites, "testsuite", {**_counts("run", []), "tests": "1", "errors": "1"})
        case = ET.SubElement(suite, "testcase", classname="run", name="run")
        ET.SubElement(case, "error", message=_line(result["error"])).text = _text(result["error"])
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _cases(tier: Mapping[str, Any]) -> Iterator[ET.Element]:
    """The tier itself, then its tests. Where tests failed, the tier is an error only if that is not why it failed."""
    name = _text(tier["tier"])
    case = ET.Element("testcase", classname=name, name=tier["action"])
    if tier["result"] == "not reached":
        ET.SubElement(case, "skipped", message=_line(tier["reason"] or "not reached"))
    elif tier["result"] == "failed":
        failure = ET.SubElement(case, "failure", message=_line(tier["reason"] or "failed"))
        failure.text = _text("\n".join(tier["told"]))
    yield case
    for test in tier["tests"]:
        seconds = {} if test["seconds"] is None else {"time": f"{test['seconds']:.3f}"}
        case = ET.Element("testcase", {"classname": name, "name": _text(test["test"] or "all tests"), **seconds})
        if test["result"] == "failed":
            ET.SubElement(case, "failure", message=_line(test["message"])).text = _text(test["message"])
        if test["log"]:
            ET.SubElement(case, "system-out").text = _text(test["log"])
        yield case


def _counts(name: str, cases: list[ET.Element]) -> dict[str, str]:
    def count(what: str) -> str:
        return str(sum(case.find(what) is not None for case in cases))

    counts = {"tests": str(len(cases)), "failures": count("failure"), "errors": "0", "skipped": count("skipped")}
    return {"name": _text(name), **counts}


def _line(text: str) -> str:
    return _text(text.partition("\n")[0])


def _text(text: str) -> str:
    return _NO_XML.sub("?", text)


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
class RunResult:
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


def begin_files(files: Mapping[str, str], result: RunResult) -> None:
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


def result_of(engine: Engine, journal: Journal, repeat: str, hosts: Collection[str] = ()) -> RunResult:
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
    return RunResult(
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
        told=shown_failure(journal, tier.name) if result == FAILED else [],
    )


def _tests(tested: Mapping[str, Any]) -> list[Test]:
    passed = [Test(each["test"], PASSED, each["seconds"], None, "", "") for each in tested.get("ran", ())]
    return passed + [
        Test(each["test"], FAILED, None, each["owner"], each["message"], each["log"])
        for each in tested.get("failed", ())
    ]


def _texts(result: RunResult) -> dict[str, str]:
    """The documents, by the name of what they are wanted by."""
    told = dataclasses.asdict(result)
    return {"result_file": json.dumps(told, indent=2) + "\n", "junit_file": junit(told)}
