# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright custody``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..text import short
from .output import Table, json_option, show
from .policy_options import open_named_policy, verifying_options
from .progress_line import say

if TYPE_CHECKING:
    from ..custody.custody_answer import Custody, TierCustody

_HEADS = ("TIER", "TEAM", "SIGNED BY", "BUILT BY", "COMMIT", "TESTS>", "PACKAGES>", "RESULT")
_FAILED = 1


@click.command()
@click.argument("image", metavar="CONTAINER-or-IMAGE")
@verifying_options
@click.option("--content", is_flag=True, help="Read all layers again and compute their digests; takes seconds.")
@json_option
@click.pass_context
def verb(
    ctx: click.Context, image: str, *, policy: Path | None, policy_keys: tuple[str, ...], content: bool, as_json: bool
) -> None:
    """Show for each layer of a container or image: team, person, commit, inputs, tests, signatures.

    Each link is checked with the policy, offline, and failed links are named. The exit status is 1 if one fails.
    """
    from .ask_custody import ask_custody  # noqa: PLC0415 - slow to import, and `tierwright --help` imports all verbs

    named = open_named_policy(policy, policy_keys)
    answer = ask_custody(image, named, say, content=content)
    show(answer, lambda: _render(answer), as_json=as_json)
    if answer.policy is not None and not answer.verified:
        ctx.exit(_FAILED)


def _render(answer: Custody) -> Iterator[str | Table]:
    yield f"{answer.name}: image {short(answer.image)}"
    yield Table(_HEADS, [_row(tier, verified=answer.policy is not None) for tier in answer.tiers])
    for tier in answer.tiers:
        yield from _details(tier)
    yield from verdict_lines(answer)


def _row(tier: TierCustody, *, verified: bool) -> tuple[str, ...]:
    failed = list(dict.fromkeys(link.name for link in tier.links if not link.ok))
    return (
        tier.tier or "?",
        tier.team or "-",
        ", ".join(tier.signed_by) or "-",
        tier.person or "-",
        (tier.commit or "-")[:12],
        "-" if tier.tests is None else str(tier.tests),
        "-" if tier.packages is None else str(tier.packages),
        "not verified" if not verified else f"fails: {', '.join(failed)}" if failed else "verified",
    )


def _details(tier: TierCustody) -> Iterator[str]:
    if tier.repository:
        clean = "" if tier.clean else ", with changes that were not committed"
        yield f"{tier.tier}: from {tier.repository}, branch {tier.branch or '?'}{clean}, built {tier.finished or '?'}"
    if tier.contracts:
        yield f"{tier.tier}: passed the contracts of {', '.join(tier.contracts)}"
    yield from (f"{tier.tier}: used {each}" for each in tier.inputs)
    yield from tier.problems


def verdict_lines(answer: Custody) -> Iterator[str]:
    """Yield the failed links, and one line with the result."""
    links = [*(link for tier in answer.tiers for link in tier.links), *answer.links]
    failed = [link for link in links if not link.ok]
    for link in failed:
        place = f"tier {link.tier!r}" if link.tier else "the image"
        yield f"{place}, {link.name}: {link.detail}" + (f"; {link.action}" if link.action else "")
    if answer.policy is None:
        yield "nothing is verified, because there is no policy (--policy chain-policy.yml --policy-key KEY.pub)"
    elif failed:
        yield f"{len(failed)} of {len(links)} links do not hold, by {answer.policy}, version {answer.policy_version}"
    else:
        yield f"all {len(links)} links hold, by {answer.policy}, version {answer.policy_version}"
