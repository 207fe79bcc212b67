# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of tiers, teams, and what a base is made from: which are allowed, and what a message says about others."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from . import tags
from .names import is_repository, is_tag, split_pinned, split_registry

#: The group of an inventory that all tiers belong to.
GROUP = "tiers"

#: Groups that every inventory has. None of them is a team.
GROUPS_OF_ALL = frozenset({GROUP, "all", "ungrouped"})

#: Maximum length of a tier's name. Names of files and containers contain it.
MAX_TIER_LENGTH = 64

_TEAM = re.compile(r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?")
_ADDRESS = re.compile(r"(?:https?|file|ftp)://\S+|copy:/\S+|cdrom:\S+")

#: Formats of the values in ``tier_bootstrap``, and their descriptions for messages.
ARCHIVE_FORMATS: Mapping[str, tuple[re.Pattern[str], str]] = MappingProxyType(
    {
        "suite": (re.compile(r"[a-z][a-z0-9.-]*"), "a code name, such as bookworm"),
        "suites": (re.compile(r"[a-z][a-z0-9./-]*"), "suites, such as bookworm and bookworm-updates"),
        "components": (re.compile(r"[a-z][a-z0-9./-]*"), "sections of the archive, such as main"),
        "packages": (re.compile(r"[a-z0-9][a-z0-9+.-]+([:=/][\w.+~:-]+)?|[?~]\S.*"), "names of packages"),
        "mirror": (_ADDRESS, "an address, such as https://deb.debian.org/debian"),
        "security_mirror": (_ADDRESS, "an address, such as https://deb.debian.org/debian-security"),
    }
)


def is_tier_name(name: str) -> bool:
    """Say whether ``name`` can be the name of a tier."""
    return not name.startswith(".") and name.isprintable() and 0 < len(name) <= MAX_TIER_LENGTH


def is_team_name(name: str) -> bool:
    """Say whether ``name`` can be the name of a team: one line, without spaces at its ends."""
    return _TEAM.fullmatch(name) is not None


def is_pinned_image(image: str) -> bool:
    """Say whether ``image`` names an image by digest, ``name@sha256:…``, as ``tier_pull`` requires."""
    return split_pinned(image) is not None


def is_followed_image(image: str) -> bool:
    """Say whether ``image`` is the host of a registry and a name there, as ``tier_follow`` requires."""
    return is_repository(image) and split_registry(image) is not None


def is_release_tag(tag: str) -> bool:
    """Say whether ``tag`` is a valid tag that a team may move. Tags of Tierwright's own forms are not."""
    return is_tag(tag) and not tags.is_reserved(tag)
