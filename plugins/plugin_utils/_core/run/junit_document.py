# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of a run as a JUnit document: suites of the tiers, or of the tiers and the owners of their tests."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import msgspec

from ..state.status import FAILED, NOT_REACHED

if TYPE_CHECKING:
    from .result import RunResult, Test, TierResult


@cache
def _not_xml() -> re.Pattern[str]:
    """Characters that XML cannot contain, not even escaped. Compiling the pattern takes 5 ms, and few runs need it."""
    return re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: RunResult, *, by_owner: bool = False) -> str:
    """Return the result as a JUnit document, with a suite for each tier.

    Args:
        result: The result.
        by_owner: Whether the tests have suites of their own: one for each tier, and tier whose tests they are.
    """
    suites = ET.Element("testsuites", name=_clean(result.chain or "tierwright"))
    for tier in result.tiers:
        for name, part in _split(tier) if by_owner else [(tier.tier, _make_cases(tier))]:
            cases = list(part)
            suite = ET.SubElement(suites, "testsuite", _suite_attributes(name, cases))
            suite.extend(cases)
    if result.error is not None:
        suite = ET.SubElement(suites, "testsuite", {**_suite_attributes("run", []), "tests": "1", "errors": "1"})
        case = ET.SubElement(suite, "testcase", classname="run", name="run")
        ET.SubElement(case, "error", message=_first_line(result.error)).text = _clean(result.error)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _split(tier: TierResult) -> Iterator[tuple[str, Iterator[ET.Element]]]:
    """Yield the names of suites and their cases: the tier itself, then its tests by their owners."""
    yield f"{tier.tier}: build, team {tier.team}", _make_cases(msgspec.structs.replace(tier, tests=[]))
    for owner in dict.fromkeys((test.tier, test.owner) for test in tier.tests):
        kind = "tests" if owner[0] == tier.tier else f"contracts of {owner[0] or 'an unknown tier'}"
        tests = (test for test in tier.tests if (test.tier, test.owner) == owner)
        yield f"{tier.tier}: {kind}, team {owner[1] or 'unknown'}", _make_test_cases(_clean(tier.tier), tests)


def _make_cases(tier: TierResult) -> Iterator[ET.Element]:
    """Yield a case for the tier itself, and a case for each of its tests."""
    name = _clean(tier.tier)
    case = ET.Element("testcase", classname=name, name=tier.action)
    if tier.result == NOT_REACHED:
        ET.SubElement(case, "skipped", message=_first_line(tier.reason or NOT_REACHED))
    elif tier.result == FAILED:
        failure = ET.SubElement(case, "failure", message=_first_line(tier.reason or FAILED))
        failure.text = _clean("\n".join(tier.told))
    yield case
    yield from _make_test_cases(name, tier.tests)


def _make_test_cases(name: str, tests: Iterable[Test]) -> Iterator[ET.Element]:
    for test in tests:
        seconds = {} if test.seconds is None else {"time": f"{test.seconds:.3f}"}
        case = ET.Element("testcase", {"classname": name, "name": _clean(test.test or "all tests"), **seconds})
        if test.result == FAILED:
            ET.SubElement(case, "failure", message=_first_line(test.message)).text = _clean(test.message)
        if test.log:
            ET.SubElement(case, "system-out").text = _clean(test.log)
        yield case


def _suite_attributes(name: str, cases: list[ET.Element]) -> dict[str, str]:
    def count(element: str) -> str:
        return str(sum(case.find(element) is not None for case in cases))

    counts = {"tests": str(len(cases)), "failures": count("failure"), "errors": "0", "skipped": count("skipped")}
    return {"name": _clean(name), **counts}


def _first_line(text: str) -> str:
    return _clean(text.partition("\n")[0])


def _clean(text: str) -> str:
    """Replace the characters that XML cannot contain."""
    return _not_xml().sub("?", text)
