# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright report``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from ..layer_index.index import Store
from ..report.output_folder import check, publish
from ..transports.transport import ENGINE, open_place, split
from .output import json_option, show
from .policy_options import open_named_policy, verifying_options


@dataclass(frozen=True, slots=True)
class Written:
    """The answer to ``tierwright report``."""

    folder: str
    #: The first page to open.
    index: str
    #: ``null`` if the report is about images that do not belong to a chain.
    chain: str | None
    #: Numbers of pages and tiers.
    pages: int
    tiers: int
    #: Numbers of tiers in each state that needs attention.
    failed: int
    not_reached: int
    no_image: int
    stale: int


@click.command()
@click.argument("chain", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Output folder.")
@click.option("--in", "place", default="", metavar="PLACE", help="oci:FOLDER, archive:FILE or docker://HOST/NAME.")
@verifying_options
@click.option("--outdated/--no-outdated", default=True, help="Query archives for newer packages (default: yes).")
@json_option
def verb(
    chain: str | None,
    *,
    output: Path,
    place: str,
    policy: Path | None,
    policy_keys: tuple[str, ...],
    outdated: bool,
    as_json: bool,
) -> None:
    """Write a static site about CHAIN: its images, layers, packages, releases, and the tiers that failed or are stale.

    DIR/index.html opens in a browser and needs no network. An existing report in DIR is replaced. You can omit CHAIN if
    there is only one chain. If there is no chain, the report is about all images.
    """
    # Signatures need cryptography, which is slow to import, and `tierwright --help` imports all verbs.
    from ..custody.custody_reader import CustodyReader  # noqa: PLC0415
    from ..custody.record_store import LocalRecords  # noqa: PLC0415
    from ..report.gathering import gather  # noqa: PLC0415
    from ..report.model import ABSENT, FAILED, NOT_REACHED, STALE  # noqa: PLC0415
    from ..report.pages import Pages  # noqa: PLC0415

    check(output)
    store = Store()
    kind, location, repository = split(place)
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    warn = partial(click.echo, err=True)
    report_progress = warn if outdated else None
    opened = open_place(kind, location, store)
    is_engine = kind in ENGINE
    named = open_named_policy(policy, policy_keys)
    facts = gather(
        opened,
        store,
        chain,
        made,
        repository=repository,
        absent=is_engine,
        ask_archives=report_progress,
        custody=CustodyReader(named, [LocalRecords(warn)], datetime.now(UTC), report_progress) if named else None,
    )
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
    show(written, lambda: _render(written), as_json=as_json)


def _render(written: Written) -> Iterator[str]:
    counts = (
        (written.failed, "failed"),
        (written.not_reached, "not reached"),
        (written.no_image, "without an image"),
        (written.stale, "stale"),
    )
    states = [f"{count} {state}" for count, state in counts if count]
    tiers = f"{written.tiers} tier{'s' if written.tiers > 1 else ''}"
    yield f"{written.index}: {tiers}, {', '.join(states) or 'all up to date'}"
