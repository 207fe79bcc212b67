# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright report``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import click

from ..layer_index.index import Store
from ..report.gathering import gather
from ..report.model import ABSENT, FAILED, NOT_REACHED, STALE
from ..report.output_folder import check, publish
from ..report.pages import Pages
from ..transports.transport import ENGINE, open_place, split
from .output import json_option, show


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to ``tierwright report``."""

    folder: str
    #: The page to begin with.
    index: str
    #: ``null`` for images that belong to none.
    chain: str | None
    pages: int
    tiers: int
    #: How many of them are in a state that somebody has to look at.
    failed: int
    not_reached: int
    no_image: int
    stale: int


@click.command()
@click.argument("chain", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Folder to write.")
@click.option("--in", "place", default="", metavar="PLACE", help="oci:FOLDER, archive:FILE or docker://HOST/NAME.")
@click.option("--outdated/--no-outdated", default=True, help="Ask archives for newer packages; they are, by default.")
@json_option
def verb(chain: str | None, *, output: Path, place: str, outdated: bool, as_json: bool) -> None:
    """Write a static site about CHAIN: what stands on what, layers, packages, releases, what is stale or failed.

    DIR is one folder that needs no network, and opens in a browser as it is. A report that is there is replaced. CHAIN
    can be left out where there is one only; where there is none, the report is about all images.
    """
    check(output)
    store = Store()
    kind, location, repository = split(place)
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ask = (lambda line: click.echo(line, err=True)) if outdated else None
    there = open_place(kind, location, store)
    whole = kind in ENGINE
    facts = gather(there, store, chain, made, repository=repository, absent=whole, ask_archives=ask)
    pages = publish(output, Pages(facts).render(), chain=facts.chain, made=made)
    states = [tier.state for tier in facts.tiers]
    written = Written(
        folder=str(output),
        index=str(output / "index.html"),
        chain=facts.chain,
        pages=pages,
        tiers=len(states),
        failed=states.count(FAILED),
        not_reached=states.count(NOT_REACHED),
        no_image=states.count(ABSENT),
        stale=states.count(STALE),
    )
    show(written, lambda: _drawn(written), as_json=as_json)


def _drawn(written: Written) -> Iterator[str]:
    counts = (
        (written.failed, FAILED),
        (written.not_reached, NOT_REACHED),
        (written.no_image, "without an image"),
        (written.stale, STALE),
    )
    told = [f"{count} {state}" for count, state in counts if count]
    tiers = f"{written.tiers} tier{'s' if written.tiers > 1 else ''}"
    yield f"{written.index}: {tiers}, {', '.join(told) or 'all up to date'}"
