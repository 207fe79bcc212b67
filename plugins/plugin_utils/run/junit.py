# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A run's result as JUnit writes one: a suite for each tier, with its build and its tests as cases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree import ElementTree as ET

#: What no XML document can hold, escaped or not.
_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(result: Mapping[str, Any]) -> str:
    """Write the document.

    Args:
        result: The fields of :class:`.result.Result`.
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
