# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The decision: whether an image, with all images that it is based on, keeps to a policy.

in-toto's library is not used: its layouts know signers and artifacts, but neither builders, tests nor ages. Its error
does not name each link that failed, and an artifact that is missing passes unless a rule requires it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from .evidence import CYCLONEDX, PROVENANCE, SIGNATURE, SPDX, ImageEvidence
from .gate_statement import judge_tests
from .link import Link
from .patterns import covers
from .policy import OTHERS, Policy
from .provenance import judge_provenance
from .rules import TierRule
from .subjects import Case, counts_as, listed, pulled_from, value_at

_SHOWN = 3
#: By how much the clock of a builder may be ahead.
_AHEAD = timedelta(days=1)
#: The end of the year 9999, in seconds since 1970.
_LATEST = 253_402_300_799


def judge_image(policy: Policy, line: Sequence[ImageEvidence], now: datetime) -> list[Link]:
    """Judge an image and all images that it is based on.

    Args:
        policy: The policy, whose signature was checked.
        line: The images, the base first, and last the image itself, whose configuration was read.
        now: The time.

    Returns:
        A link for each check. The image keeps to the policy if all are ``ok``.
    """
    links = [*_judge_policy(policy, now)]
    if not line:
        return [*links, Link("", "layers", ok=False, detail="the line has no image", action="name an image")]
    names = [image.tier for image in line]
    for index, image in enumerate([*line[:-1], replace(line[-1], layers_read=True)]):
        if image.tier in names[:index]:
            detail = f"the line has two images of tier {image.tier!r}"
            links.append(Link(image.tier, "parent", ok=False, detail=detail, action="do not use the image"))
        links += _judge_one(policy, image, tuple(line[:index]), now)
    return links


def _judge_policy(policy: Policy, now: datetime) -> Iterator[Link]:
    if now >= policy.expires:
        action = "let the owner of the policy raise version and expires, and sign it with `tierwright policy sign`"
        yield Link("", "policy", ok=False, detail=f"the policy expired on {policy.expires:%Y-%m-%d}", action=action)
    else:
        detail = f"version {policy.version}, valid until {policy.expires:%Y-%m-%d}"
        yield Link("", "policy", ok=True, detail=detail)


def _judge_one(policy: Policy, image: ImageEvidence, below: tuple[ImageEvidence, ...], now: datetime) -> Iterator[Link]:
    rule = policy.rule(image.tier)
    yield _judge_layers(image, below[-1] if below else None)
    if rule is None:
        action = f"add tiers.{image.tier} or tiers.{OTHERS!r} to the policy, if the tier is right"
        yield Link(image.tier, "policy", ok=False, detail="the policy has no rule for this tier", action=action)
        return
    if rule.signed_by:
        yield _judge_others(policy, rule, image, is_base=not below)
    if rule.team is not None:
        case = Case(policy, rule, rule.team, image, below)
        yield from judge_provenance(case)
        yield judge_tests(case)
        if rule.sbom:
            yield _judge_sbom(case)
        if rule.writes:
            yield _judge_writes(rule, image)
    if policy.outdated:
        yield _judge_outdated(policy, image)
    if policy.base_age is not None and not below:
        yield _judge_age(policy.base_age, image, _built(policy, rule, image), now)


def _judge_layers(image: ImageEvidence, parent: ImageEvidence | None) -> Link:
    action = "do not use the image: it is not what its tiers made; build the tier again"
    count = len(image.layers)
    if parent is None:
        problem = None if count else "the base has no layer"
    else:
        same = zip(image.layers, parent.layers, strict=False)
        different = next((number for number, (own, other) in enumerate(same, 1) if own != other), None)
        if different is not None:
            problem = f"layer {different} is not that of its parent {parent.tier!r}"
        elif count < len(parent.layers):
            problem = f"{len(parent.layers) - count} layers of its parent {parent.tier!r} are missing"
        elif count > len(parent.layers) + 1:
            problem = f"it has {count - len(parent.layers)} layers on its parent {parent.tier!r}; expected one at most"
        else:
            problem = None
    if problem is not None:
        return Link(image.tier, "layers", ok=False, detail=problem, action=action)
    detail = f"{count} layers, those of {parent.tier!r} below" if parent else f"{count} layers"
    return Link(image.tier, "layers", ok=True, detail=detail)


def _judge_others(policy: Policy, rule: TierRule, image: ImageEvidence, *, is_base: bool) -> Link:
    """Judge the signature of others on a pulled base."""
    names = " or ".join(rule.signed_by)
    action = f"pull an image that {names} signed with cosign, or change signed_by in the policy"
    origin = image.origin
    if not is_base:
        problem = "signed_by is for a pulled base, but this image has a parent"
    elif origin is None and rule.team is not None and (pulled := _pulled_by_team(policy, rule.team, rule, image)):
        # The team's own check, when it pulled, is believed: without the team's signature, the base would not count.
        detail = f"pulled from {pulled}, as team {rule.team!r} signed; {names} signed it when it was pulled"
        return Link(image.tier, "signature", ok=True, detail=detail)
    elif origin is None and not image.layers_read:
        problem = "its configuration was not read, so nothing connects its layers with what was signed"
        action = "verify it where the image of the base can be read"
    elif origin is not None and origin.layers != image.layers:
        problem = f"its layers are not those of the image {origin.manifest} that it was pulled from"
    elif origin is not None and origin.changed_settings and rule.team is None:
        settings = ", ".join(origin.changed_settings)
        problem = f"it has other settings than the pulled image ({settings}), and nobody signs them"
        action = "add team to this tier in the policy, or leave the settings as they were published"
    else:
        manifest = origin.manifest if origin else image.manifest
        signed = [
            each
            for each in (origin.statements if origin else image.statements)
            if counts_as(each, SIGNATURE) and each.statement.digests() == {manifest}
        ]
        valid = {key for key in rule.signed_by.values() if key.id not in policy.revoked}
        keys = dict.fromkeys(key for each in signed for key in each.signers)
        if by := [policy.owner(key) for key in keys if key in valid]:
            detail = f"{manifest} is signed by {listed(by)}"
            return Link(image.tier, "signature", ok=True, detail=detail)
        found = listed(list(map(policy.owner, keys))) or "nobody that the policy knows"
        problem = f"the pulled image {manifest} is signed by {found}; expected {names}"
    return Link(image.tier, "signature", ok=False, detail=problem, action=action)


def _pulled_by_team(policy: Policy, team: str, rule: TierRule, image: ImageEvidence) -> str | None:
    """Return from which image a base was pulled, as the provenance of its team says it; ``None`` if it says nothing."""
    accepted = Case(policy, rule, team, image, ()).accepted(PROVENANCE)
    digests = {str(each) for signed in accepted for each in pulled_from(signed.statement.predicate) if each}
    return f"sha256:{digests.pop()}" if len(digests) == 1 else None


def _judge_sbom(case: Case) -> Link:
    tier = case.image.tier
    accepted = case.accepted(CYCLONEDX, SPDX)
    problems = [(signed, case.subject_problem(signed)) for signed in accepted]
    good = [signed for signed, problem in problems if problem is None and signed.statement.predicate]
    if len(case.all_signers(good)) >= case.rule.signatures:
        return Link(tier, "sbom", ok=True, detail=f"signed by {case.name_signers(good, valid=True)}")
    problem = next((problem for _signed, problem in problems if problem), None)
    found = case.statements(CYCLONEDX, SPDX)
    if problem is not None:
        detail = f"the bill of materials is wrong: {problem}"
    elif found:
        needed = f"{case.rule.signatures} keys of team {case.team!r} must sign it"
        detail = f"the bill of materials is signed by {case.name_signers(found)}; {needed}"
    else:
        detail = "no bill of materials is signed"
    return Link(tier, "sbom", ok=False, detail=detail, action=f"sign it with `tierwright sign {tier}`")


def _judge_writes(rule: TierRule, image: ImageEvidence) -> Link:
    if image.written is None:
        detail, action = "the paths that its layer writes are not known", "verify it where its layers can be read"
        return Link(image.tier, "writes", ok=False, detail=detail, action=action)
    wrong = [path for path in image.written if not covers(rule.writes, path)]
    if not wrong:
        return Link(image.tier, "writes", ok=True, detail=f"{len(image.written)} paths, all allowed")
    more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
    detail = f"its layer writes {', '.join(wrong[:_SHOWN])}{more}; allowed are {', '.join(rule.writes)}"
    action = "let the role leave these paths alone, or allow them in writes of the policy"
    return Link(image.tier, "writes", ok=False, detail=detail, action=action)


def _judge_outdated(policy: Policy, image: ImageEvidence) -> Link:
    if image.outdated is None:
        reason = image.not_compared or "nobody asked an archive"
        detail = f"it is not known which security updates are missing: {reason}"
        action = "verify it again where its archives answer, or change `outdated` in the policy"
        return Link(image.tier, "outdated", ok=False, detail=detail, action=action)
    late = []
    for package, days in sorted(image.outdated.items()):
        limit = policy.missing_days(package)
        if limit is not None and days > limit:
            late.append(f"{package} for {days} days (allowed {limit})")
    if not late:
        return Link(image.tier, "outdated", ok=True, detail=_describe_missing(len(image.outdated)))
    more = f" and {len(late) - _SHOWN} more" if len(late) > _SHOWN else ""
    detail = f"security updates are missing too long: {', '.join(late[:_SHOWN])}{more}"
    return Link(image.tier, "outdated", ok=False, detail=detail, action="build the tier again with the updates")


def _describe_missing(count: int) -> str:
    if not count:
        return "no security update is missing"
    return f"{count} security update{'s are' if count > 1 else ' is'} missing, none too long"


def _built(policy: Policy, rule: TierRule, image: ImageEvidence) -> datetime | None:
    """Return the time of a base: the oldest one that its image and the provenance of its team name."""
    times = [] if image.built is None else [image.built]
    if rule.team is not None:
        for signed in Case(policy, rule, rule.team, image, ()).accepted(PROVENANCE):
            epoch = value_at(signed.statement.predicate, "buildDefinition", "internalParameters", "epoch")
            if isinstance(epoch, int) and 0 < epoch < _LATEST:
                times.append(datetime.fromtimestamp(epoch, UTC))
    return min(times, default=None)


def _judge_age(limit: int, image: ImageEvidence, built: datetime | None, now: datetime) -> Link:
    action = "update the base: give it newer sources, and build it again"
    if built is None:
        detail, ok = "the time of the base is not known", False
    elif built > now + _AHEAD:
        detail, ok = f"the base claims to be of {built:%Y-%m-%d}, which is in the future", False
    else:
        days = max(0, (now - built).days)
        detail, ok = f"the base is of {built:%Y-%m-%d}, {days} days old; allowed are {limit}", days <= limit
    return Link(image.tier, "base age", ok=ok, detail=detail, action="" if ok else action)
