# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``tierwright history``."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ..layer_index.index import Store
from ..text import short
from ..views.release_history import History, Release, history
from .output import Table, json_option, show

_HEADS = ("WHEN", "RELEASE", "TEAM", "IMAGE", "NOW", "WHY")
_MANY = 3


@click.command()
@click.argument("tier")
@json_option
def verb(tier: str, *, as_json: bool) -> None:
    """Show the releases of TIER, the oldest first: when, by which team, and what changed.

    TIER is a tier's name or the repository of its images. docker://HOST/NAME reads from a registry, and container:NAME
    marks the release that a container runs.
    """
    answer = history(tier, Store())
    show(answer, lambda: _render(answer), as_json=as_json)


def _render(answer: History) -> Iterator[str | Table]:
    yield Table(_HEADS, [_row(release) for release in answer.releases])


def _row(release: Release) -> tuple[str, ...]:
    marks = [*(["*"] if release.current else []), *(["runs"] if release.deployed else [])]
    return (
        release.when or "-",
        release.tag or "-",
        release.team or "-",
        short(release.image),
        " ".join(marks),
        _format_reasons(release.reasons),
    )


def _format_reasons(reasons: list[str] | None) -> str:
    if reasons is None:
        return "not recorded"
    if not reasons:
        return "the first release"
    more = len(reasons) - _MANY
    return "; ".join(reasons[:_MANY]) + (f"; and {more} more" if more > 0 else "")
