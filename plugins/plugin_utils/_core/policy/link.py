# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One link of a chain of custody: a claim about a tier's image that was checked."""

from __future__ import annotations

import msgspec


class Link(msgspec.Struct, frozen=True):
    """One check."""

    #: The tier; empty if the check is about the whole chain.
    tier: str
    #: What was checked: ``policy``, ``signature``, ``provenance``, ``layers``, ``parent``, ``source``, ``builders``,
    #: ``tests``, ``sbom``, ``writes``, ``outdated``, ``base age`` or ``freshness``.
    name: str
    ok: bool
    #: What was found, one sentence without a full stop.
    detail: str
    #: What to do; empty if the check passed.
    action: str = ""


def failed(links: list[Link]) -> list[Link]:
    """Return those checks that failed."""
    return [link for link in links if not link.ok]
