# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright report``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from ..layer_index.index import Store
from ..progress import steps
from ..report.output_folder import check, publish
from ..transports.transport import ENGINE, open_place, split
from .output import json_option, show
from .policy_options import open_named_policy, verifying_options
from .progress_line import say

if TYPE_CHECKING:
    from ..report.model import Facts


class Written(msgspec.Struct, frozen=True):
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
    #: Newest results of all tiers: how many tests passed, failed and were skipped; ``null`` if none is recorded.
    tests_passed: int | None
    tests_failed: int | None
    tests_skipped: int | None
    #: Number of outdated packages; ``null`` if no archive was compared.
    outdated: int | None
    #: Number of services that run images of the chain; ``null`` if nothing was asked.
    services: int | None


@click.command()
@click.argument("chain", required=False)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="Output folder.")
@click.option("--in", "place", default="", metavar="PLACE", help="oci:FOLDER, archive:FILE or docker://HOST/NAME.")
@verifying_options
@click.option("--outdated/--no-outdated", default=True, help="Query archives for newer packages (default: yes).")
@click.option("--deployed/--no-deployed", default=None, help="Ask what runs (default: if DIR is about the engine).")
@click.option("--context", help="Ask a cluster what runs: the context of kubectl's configuration.")
@click.option("--namespace", help="Ask a cluster what runs: the namespace.")
@json_option
def verb(  # noqa: PLR0913 - click passes each option by itself
    chain: str | None,
    *,
    output: Path,
    place: str,
    policy: Path | None,
    policy_keys: tuple[str, ...],
    outdated: bool,
    deployed: bool | None,
    context: str | None,
    namespace: str | None,
    as_json: bool,
) -> None:
    """Write a static site about CHAIN: what is released, tested, out of date and deployed, and who must act.

    DIR/index.html opens in a browser and needs no network. An existing report in DIR is replaced. You can omit CHAIN if
    there is only one chain. If there is no chain, the report is about all images.
    """
    # Signatures need cryptography, which is slow to import, and `tierwright --help` imports all verbs.
    from ..custody.custody_reader import CustodyReader  # noqa: PLC0415
    from ..custody.record_store import LocalRecords  # noqa: PLC0415
    from ..report.gathering import Asking, gather  # noqa: PLC0415
    from ..report.pages import Pages  # noqa: PLC0415
    from .ask_target import ask_target  # noqa: PLC0415

    check(output)
    store = Store()
    kind, location, repository = split(place)
    now = datetime.now(UTC)
    made = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    tell = say if outdated else None
    is_engine = kind in ENGINE
    asks_target = (is_engine or context or namespace) if deployed is None else deployed
    named = open_named_policy(policy, policy_keys)
    asking = Asking(
        archives=tell,
        custody=CustodyReader(named, [LocalRecords(say)], now, tell) if named else None,
        deployed=partial(ask_target, None, context, namespace) if asks_target else None,
    )
    opened = open_place(kind, location, store)
    facts = gather(opened, store, chain, made, repository=repository, absent=is_engine, asking=asking)
    site = Pages(facts)
    pages = publish(output, steps(site.render(), "writing pages", len(site)), chain=facts.chain, made=made)
    written = _summarize(facts, output, pages)
    show(written, lambda: _render(written), as_json=as_json)


def _summarize(facts: Facts, output: Path, pages: int) -> Written:
    from ..report.model import ABSENT, FAILED, NOT_REACHED, STALE  # noqa: PLC0415 - as above

    states = [tier.state for tier in facts.counted]
    tests = [tier.tests for tier in facts.counted if tier.tests is not None]
    return Written(
        folder=str(output),
        index=str(output / "index.html"),
        chain=facts.chain,
        pages=pages,
        tiers=len(states),
        failed=states.count(FAILED),
        not_reached=states.count(NOT_REACHED),
        no_image=states.count(ABSENT),
        stale=states.count(STALE),
        tests_passed=sum(each.passed for each in tests) if tests else None,
        tests_failed=sum(each.failed for each in tests) if tests else None,
        tests_skipped=sum(each.skipped for each in tests) if tests else None,
        outdated=len(facts.outdated.updates) if facts.outdated and facts.outdated.archives else None,
        services=len(facts.deployed.services) if facts.deployed and facts.deployed.asked else None,
    )


def _render(written: Written) -> Iterator[str]:
    counts = (
        (written.failed, "failed"),
        (written.not_reached, "not reached"),
        (written.no_image, "without an image"),
        (written.stale, "stale"),
    )
    states = [f"{count} {state}" for count, state in counts if count]
    tiers = f"{written.tiers} tier{'s' if written.tiers > 1 else ''}"
    failed = written.tests_failed or 0
    tests = f", {failed} {'test' if failed == 1 else 'tests'} failed" if failed else ""
    yield f"{written.index}: {tiers}, {', '.join(states) or 'all up to date'}{tests}"
