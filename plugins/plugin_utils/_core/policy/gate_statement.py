# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges what the gate signed about an image: its tests passed, and the contracts of its ancestors were among them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .evidence import GATE, SignedStatement
from .link import Link
from .patterns import matches
from .subjects import Case, dicts_in, value_at

OWN, CONTRACT = "own", "contract"
#: Value of the annotation ``contracts`` of a tier's own tests, none of which is a contract.
NO_CONTRACTS = "none"

_SHOWN = 3


def judge_tests(case: Case) -> Link:
    """Return the link ``tests``."""
    tier, needed = case.image.tier, case.rule.signatures
    again = f"test it again: run build_chain for tier {tier!r}, with the signing key of team {case.team!r}"
    accepted = case.accepted(GATE)
    if not accepted:
        contracts = [name for name, _team in _contracts_above(case)]
        if not case.rule.tests and not contracts:
            return Link(tier, "tests", ok=True, detail="no tests are required")
        found = case.statements(GATE)
        detail = f"the test result is signed by {case.name_signers(found)}" if found else "no test result is signed"
        return Link(tier, "tests", ok=False, detail=f"{detail}; team {case.team!r} must sign it", action=again)
    problems = [(signed, next(_problems(case, signed), None)) for signed in accepted]
    good = [signed for signed, problem in problems if problem is None]
    signers = case.all_signers(good)
    if len(signers) >= needed:
        tests = len(_passed(good[0].statement.predicate))
        detail = f"{tests} tests passed, signed by {case.name_signers(good, valid=True)}"
        return Link(tier, "tests", ok=True, detail=detail)
    problem = next((problem for _signed, problem in problems if problem), None)
    if problem is None:
        problem = f"the test result is signed by {case.name_signers(good)}; {needed} keys of the team must sign it"
        again = f"sign it with `tierwright sign {tier}`, and a different key of team {case.team!r}"
    return Link(tier, "tests", ok=False, detail=problem, action=again)


def _problems(case: Case, signed: SignedStatement) -> Iterator[str]:
    problem = case.subject_problem(signed)
    if problem is not None:
        yield f"the test result is wrong: {problem}"
    predicate = signed.statement.predicate
    if predicate.get("result") != "PASSED":
        yield f"the test result is {predicate.get('result')!r}; expected PASSED"
    failed = predicate.get("failedTests", [])
    if failed != []:
        names = map(str, failed[:_SHOWN] if isinstance(failed, list) else [failed])
        yield f"these tests failed: {', '.join(names)}"
    passed = _passed(predicate)
    if passed != predicate.get("passedTests"):
        yield "the test result has no list of the tests that passed"
    for pattern in case.rule.tests:
        if not any(matches(pattern, test) for test in passed):
            yield f"no test that matches {pattern} passed"
    ran = set(_suites(predicate, CONTRACT))
    for tier, team in _contracts_above(case):
        if (tier, team) not in ran:
            yield f"the contract of tier {tier!r} (team {team!r}) was not run on it"


def _passed(predicate: Mapping[str, object]) -> list[str]:
    passed = predicate.get("passedTests")
    return [test for test in passed if isinstance(test, str)] if isinstance(passed, list) else []


def _contracts_above(case: Case) -> Iterator[tuple[str, str]]:
    """Yield the tier and team of each ancestor whose team signed that it has tests with contracts."""
    for index, image in enumerate(case.below):
        rule = case.policy.rule(image.tier)
        if rule is None or rule.team is None:
            continue
        ancestor = Case(case.policy, rule, rule.team, image, case.below[:index])
        for signed in ancestor.accepted(GATE):
            suites = _suites(signed.statement.predicate, OWN)
            if ancestor.subject_problem(signed) is None and (image.tier, rule.team) in suites:
                yield image.tier, rule.team
                break


def _suites(predicate: Mapping[str, object], kind: str) -> list[tuple[str, str]]:
    """Return the tier and the team of each suite of tests of a kind, without own tests that have no contract."""
    suites = (value_at(each, "annotations") for each in dicts_in(predicate.get("configuration")))
    return [
        (str(value_at(each, "tier")), str(value_at(each, "team")))
        for each in suites
        if value_at(each, "kind") == kind and (kind != OWN or value_at(each, "contracts") != NO_CONTRACTS)
    ]
