# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright deployed``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..deployment.deployed_service import (
    INTERRUPTED,
    DeployedService,
    DeployedSites,
    LastDeployment,
    failed_release_is_newest,
    has_failed,
    is_pinned,
    needs_action,
)
from ..text import age, one_line, short
from .output import Table, json_option, show

_HEADS = ("SITE", "SERVICE", "IMAGE", "DIGEST", "RELEASE", "RUNNING>", "SINCE>", "STATE", "OUT OF DATE")
_NEEDS_ACTION = 1
#: Characters of a reason. Engines and clusters quote whole outputs.
_REASON = 300


@click.command()
@click.argument("site", required=False)
@click.option("--context", help="Ask a cluster: the context of kubectl's configuration.")
@click.option("--namespace", help="Ask a cluster: the namespace; by default SITE.")
@click.option("--fail", is_flag=True, help="Exit with 1 if something is out of date, failed, or does not run.")
@json_option
@click.pass_context
def verb(
    ctx: click.Context, site: str | None, *, context: str | None, namespace: str | None, fail: bool, as_json: bool
) -> None:
    """Show what runs for SITE: service, image, digest, release, since when, and whose layers are out of date.

    Without SITE, all sites on the engine, or in the namespace, are shown. Registries are asked what the names of the
    images stand for now, with the login of `docker login`.
    """
    # `tierwright --help` imports all verbs, and the SDK of the engine is slow to import.
    from .ask_target import ask_target  # noqa: PLC0415

    answer = ask_target(site, context, namespace)
    show(answer, lambda: _render(answer, site), as_json=as_json)
    if fail and (any(map(needs_action, answer.services)) or (site and not answer.services)):
        ctx.exit(_NEEDS_ACTION)


def _render(answer: DeployedSites, site: str | None) -> Iterator[str | Table]:
    if answer.services:
        yield Table(_HEADS, [_row(service) for service in answer.services])
    else:
        yield f"nothing is deployed here for site {site}" if site else "nothing is deployed here"
    for service in answer.services:
        for line in _lines(service):
            yield f"{service.site}/{service.service}: {line}"
    yield from answer.notes


def _row(service: DeployedService) -> tuple[str, ...]:
    digest = service.image.partition("@")[2] or service.image
    return (
        service.site,
        service.service,
        service.chosen_by or "-",
        short(digest),
        service.release or "-",
        f"{service.running}/{service.wanted}",
        age(service.since),
        service.state or "-",
        _outdated(service),
    )


def _outdated(service: DeployedService) -> str:
    owners = dict.fromkeys(f"{layer.tier or '?'} ({layer.team or '?'})" for layer in service.outdated)
    if owners:
        return ", ".join(owners)
    if is_pinned(service):
        return "chosen by digest"
    return {None: "?", True: "-", False: "?" if service.unknown else "settings or new layers"}[service.current]


def _lines(service: DeployedService) -> Iterator[str]:
    """Yield what needs a sentence."""
    if service.running < service.wanted:
        reason = f": {one_line(service.problem, _REASON)}" if service.problem else ""
        yield f"{service.running} of {service.wanted} containers run{reason}"
    elif service.problem:
        yield f"{service.state}: {one_line(service.problem, _REASON)}"
    if service.last and has_failed(service):
        yield from _last(service, service.last)
    if service.unknown:
        yield service.unknown


def _last(service: DeployedService, last: LastDeployment) -> Iterator[str]:
    image = f"{last.image} (tier {last.tier or '?'}, team {last.team or '?'})"
    when = f"{last.id} ({age(last.began)} ago)"
    if last.outcome == INTERRUPTED:
        yield f"{when} was interrupted before {image} ran; deploy again"
        return
    reason = f": {one_line(last.reason, _REASON)}" if last.reason else ""
    yield f"{when}: {last.outcome}; {image} did not work{reason}"
    if failed_release_is_newest(service):
        publish = ", then tierwright.chain.publish" if "@" in service.image else ""
        yield (
            f"{service.chosen_by} still names that image; to withdraw its release: ansible-playbook "
            f"tierwright.chain.rollback --limit {last.tier or 'TIER'}{publish}"
        )
