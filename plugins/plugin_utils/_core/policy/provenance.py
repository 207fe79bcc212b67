# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Judges the provenance of an image: who signed it, what it says, and how many builders made the same image.

A statement is good if everything in it is right. Enough different keys must have signed good statements. Others do not
count, so nobody can spoil an image by adding statements.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from ..signing.public_key import PublicKey
from .evidence import BUILD_TYPE, PARENT, PROVENANCE, SOURCE, ImageEvidence, SignedStatement
from .link import Link
from .patterns import matches_any
from .subjects import Case, dependencies, pulled_from, value_at

_SHOWN = 12
_ASPECTS = ("provenance", "parent", "source")


def judge_provenance(case: Case) -> Iterator[Link]:
    """Yield the links ``signature``, ``provenance``, ``parent``, ``source`` and, if required, ``builders``."""
    accepted = case.accepted(PROVENANCE)
    yield _judge_signature(case, accepted)
    faults = [(signed, dict(_faults(case, signed))) for signed in accepted]
    good = [signed for signed, found in faults if not found]
    bad = [(signed, found) for signed, found in faults if found]
    # If enough keys signed, but not enough of what they signed is good, the statement with the fewest faults decides.
    enough = len(case.all_signers(good)) >= case.rule.signatures
    chosen, wrong = min(bad, key=lambda each: len(each[1]), default=(None, {})) if not enough else (None, {})
    described = good[0] if good else chosen
    for aspect in _ASPECTS:
        if described is None:
            yield Link(case.image.tier, aspect, ok=False, detail="no provenance counts", action=_sign(case))
        elif aspect in wrong:
            detail, action = wrong[aspect]
            yield Link(case.image.tier, aspect, ok=False, detail=detail, action=action)
        else:
            yield Link(case.image.tier, aspect, ok=True, detail=_describe(aspect, case, described))
    if case.rule.builders > 1:
        yield _judge_builders(case, good, [signed for signed, _found in bad])


def _judge_signature(case: Case, accepted: Sequence[SignedStatement]) -> Link:
    tier, needed = case.image.tier, case.rule.signatures
    signers = case.all_signers(accepted)
    if len(signers) >= needed:
        return Link(tier, "signature", ok=True, detail=f"signed by {case.name_signers(accepted, valid=True)}")
    found = case.statements(PROVENANCE)
    detail = f"signed by {case.name_signers(found)}" if found else "no provenance is signed"
    keys = "1 valid key" if needed == 1 else f"{needed} valid keys"
    expected = f"{keys} of team {case.team!r} must sign, and {len(signers)} did"
    return Link(tier, "signature", ok=False, detail=f"{detail}; {expected}", action=_sign(case))


def _sign(case: Case) -> str:
    return f"let team {case.team!r} sign it with `tierwright sign {case.image.tier}`, or build it with its signing key"


Fault = tuple[str, str]


def _faults(case: Case, signed: SignedStatement) -> Iterator[tuple[str, Fault]]:
    """Yield by aspect what is wrong in a provenance, and what to do."""
    predicate = signed.statement.predicate
    problem = case.subject_problem(signed) or _name_problem(case, predicate)
    if problem is not None:
        yield "provenance", (f"the provenance is wrong: {problem}", "do not use the image; build the tier again")
    problem = _lowest_problem(case.image, predicate) if case.parent is None else _parent_problem(case, predicate)
    if problem is not None:
        yield "parent", (problem, "do not use the image; build the tier again on its signed parent")
    fault = _source_fault(case, predicate)
    if fault is not None:
        yield "source", fault


def _name_problem(case: Case, predicate: Mapping[str, object]) -> str | None:
    kind = value_at(predicate, "buildDefinition", "buildType")
    if kind != BUILD_TYPE:
        return f"its build type is {kind!r}; expected {BUILD_TYPE}"
    said = value_at(predicate, "buildDefinition", "externalParameters")
    for name, expected in (("tier", case.image.tier), ("team", case.team), ("chain", case.image.chain)):
        found = value_at(said, name)
        if not isinstance(found, str) or not found or (expected is not None and found != expected):
            return f"it names the {name} {found!r}; expected {'one' if expected is None else repr(expected)}"
    builder = _builder(predicate)
    return None if builder else "it names no builder"


def _builder(predicate: Mapping[str, object]) -> str:
    builder = value_at(predicate, "runDetails", "builder", "id")
    return builder if isinstance(builder, str) else ""


def _lowest_problem(image: ImageEvidence, predicate: Mapping[str, object]) -> str | None:
    if dependencies(predicate, PARENT) or image.parent is not None:
        return "it names a parent, but it is the lowest image of its line"
    if image.origin is not None and pulled_from(predicate) != [image.origin.manifest.removeprefix("sha256:")]:
        return f"the provenance does not say that the base was pulled from {image.origin.manifest}"
    return None


def _parent_problem(case: Case, predicate: Mapping[str, object]) -> str | None:
    named, parent = dependencies(predicate, PARENT), case.parent
    if parent is None or len(named) != 1:
        return f"the provenance names {len(named)} parents; expected one"
    found, digest = named[0].get("uri"), value_at(named[0], "digest", "sha256")
    if found != f"tier:{quote(parent.tier, safe='')}":
        return f"the provenance names the parent {found!r}; expected tier {parent.tier!r}"
    if digest != parent.config.removeprefix("sha256:"):
        return f"it was built on {parent.tier} sha256:{digest!s:.{_SHOWN}}…, not on {_short(parent.config)}"
    if case.image.parent != parent.config:
        return f"its label names the parent {case.image.parent}, not {parent.config}"
    manifest = value_at(named[0], "annotations", "manifest")
    if None not in (manifest, parent.manifest) and manifest != parent.manifest:
        return f"it was built on {parent.tier} with the manifest {manifest}, not {parent.manifest}"
    return None


def _short(digest: str) -> str:
    return f"{digest[: len('sha256:') + _SHOWN]}…"


def _source_fault(case: Case, predicate: Mapping[str, object]) -> Fault | None:
    rule, external = case.rule, value_at(predicate, "buildDefinition", "externalParameters")
    source = value_at(external, "source")
    if not source:
        if not (rule.repositories or rule.branches) and (not value_at(external, "role") or not rule.clean):
            return None
        return "the provenance names no Git repository of the role", "keep the role in Git, and build the tier again"
    for name, patterns in (("repository", rule.repositories), ("branch", rule.branches)):
        found = value_at(source, name)
        if patterns and not (isinstance(found, str) and matches_any(patterns, found)):
            detail = f"it was built from the {name} {found!r}; allowed are {', '.join(patterns)}"
            return detail, f"build it from an allowed {name}, or change the policy"
    if rule.clean and value_at(source, "clean") is not True:
        detail = "its source had changes that were not committed"
        return detail, "commit the changes, and build the tier again"
    commit, version = value_at(source, "commit"), value_at(source, "version")
    commits = [value_at(each, "digest", "gitCommit") for each in dependencies(predicate, SOURCE)]
    is_commit = isinstance(commit, str) and commit and all(each == commit for each in commits)
    is_version = isinstance(version, str) and version and commit is None and not any(commits)
    if not (is_commit or is_version):
        names = ", ".join(dict.fromkeys(map(str, [commit, *commits])))
        return f"the provenance names the commits {names}; expected one", "build the tier again"
    return None


def _describe(aspect: str, case: Case, signed: SignedStatement) -> str:
    predicate = signed.statement.predicate
    external = value_at(predicate, "buildDefinition", "externalParameters")
    if aspect == "provenance":
        return f"built by {_builder(predicate)} for team {case.team!r}"
    if aspect == "parent":
        return "a base" if case.parent is None else f"built on {case.parent.tier} {_short(case.parent.config)}"
    source = value_at(external, "source")
    if not source:
        return "made without a role in Git"
    if value_at(source, "commit") is None:
        return f"version {value_at(source, 'version')} of an installed role"
    where = f"{value_at(source, 'repository') or 'a repository'}, branch {value_at(source, 'branch') or '-'}"
    return f"{where}, commit {value_at(source, 'commit'):.{_SHOWN}}"


def _judge_builders(case: Case, good: Sequence[SignedStatement], bad: Sequence[SignedStatement]) -> Link:
    tier, needed = case.image.tier, case.rule.builders
    keys: dict[str, set[PublicKey]] = {}
    for signed in good:
        keys.setdefault(_builder(signed.statement.predicate), set()).update(case.signers(signed))
    agreeing = count_pairs(keys)
    detail = f"made alike by {', '.join(sorted(keys)) or 'no builder'}"
    if agreeing >= needed:
        return Link(tier, "builders", ok=True, detail=detail)
    others = sorted({_builder(signed.statement.predicate) for signed in bad if case.subject_problem(signed)} - {""})
    if others:
        detail += f"; {', '.join(others)} made something else"
    return Link(
        tier,
        "builders",
        ok=False,
        detail=f"{detail}; {needed} builders with different keys must agree, and {agreeing} did",
        action=f"build tier {tier!r} on another machine with a key of its own, and bring its records here",
    )


def count_pairs(keys: Mapping[str, set[PublicKey]]) -> int:
    """Return how many builders can be paired with different keys (a maximum matching).

    Args:
        keys: By builder, the keys that signed for it.
    """
    taken: dict[PublicKey, str] = {}

    def place(builder: str, tried: set[PublicKey]) -> bool:
        for key in keys[builder]:
            if key in tried:
                continue
            tried.add(key)
            if key not in taken or place(taken[key], tried):
                taken[key] = builder
                return True
        return False

    return sum(place(builder, set()) for builder in keys)
