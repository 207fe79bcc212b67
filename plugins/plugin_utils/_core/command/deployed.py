# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright deployed``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..deployment.deployed import DeployedService, DeployedSites, is_current, list_deployed
from ..engine.engine import connect
from ..text import age, short
from ..transports.registry_client import RegistryClient
from .output import Table, json_option, show

_HEADS = ("SITE", "SERVICE", "IMAGE", "DIGEST", "RUNNING>", "SINCE>", "STATE", "OUT OF DATE")
_OUTDATED = 1


@click.command()
@click.argument("site", required=False)
@click.option("--fail", is_flag=True, help="Exit with 1 if something is out of date, or does not run.")
@json_option
@click.pass_context
def verb(ctx: click.Context, site: str | None, *, fail: bool, as_json: bool) -> None:
    """Show what runs for SITE: service, image, digest, since when, and whose layers are out of date.

    Without SITE, all sites on the engine are shown. Registries are asked what the names of the images stand for now.
    """
    answer = list_deployed(connect(), site, RegistryClient)
    show(answer, lambda: _render(answer), as_json=as_json)
    if fail and any(not is_current(each) or each.running < each.wanted for each in answer.services):
        ctx.exit(_OUTDATED)


def _render(answer: DeployedSites) -> Iterator[str | Table]:
    if not answer.services:
        yield "nothing is deployed on this engine"
        return
    yield Table(_HEADS, [_row(service) for service in answer.services])
    for service in answer.services:
        if service.unknown:
            yield f"{service.site}/{service.service}: {service.unknown}"


def _row(service: DeployedService) -> tuple[str, ...]:
    owners = dict.fromkeys(f"{layer.tier or '?'} ({layer.team or '?'})" for layer in service.outdated)
    digest = service.image.partition("@")[2] or service.image
    return (
        service.site,
        service.service,
        service.chosen_by or "-",
        short(digest),
        f"{service.running}/{service.wanted}",
        age(service.since),
        service.state or "-",
        ", ".join(owners) or ("-" if is_current(service) else "settings only"),
    )
