# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the chain out of an inventory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..chain import tags
from ..chain.cage import read_cage
from ..chain.graph import Chain
from ..chain.reference import familiar, is_digest, is_repository, is_tag, split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Source, Tier
from ..errors import ChainError, concerning
from .arguments import check_tier
from .together import together

#: The group that all tiers belong to.
GROUP = "tiers"

#: Longest name of a tier: names of files and containers are made of it.
_LONGEST = 64
_TEAM = re.compile(r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]{0,126}[^\s\x00-\x1f\x7f])?")
_ADDRESS = re.compile(r"(?:https?|file|ftp)://\S+|copy:/\S+|cdrom:\S+")
#: What of a bootstrap can be wrong in itself.
_ARCHIVE = {
    "suite": (re.compile(r"[a-z][a-z0-9.-]*"), "a code name, such as bookworm"),
    "components": (re.compile(r"[a-z][a-z0-9./-]*"), "sections of the archive, such as main"),
    "packages": (re.compile(r"[a-z0-9][a-z0-9+.-]+([:=/][\w.+~:-]+)?|[?~]\S.*"), "names of packages"),
    "mirror": (_ADDRESS, "an address, such as https://deb.debian.org/debian"),
    "security_mirror": (_ADDRESS, "an address, such as https://deb.debian.org/debian-security"),
}

#: The end of what an image's fields for times hold everywhere: the year 2106.
_LATEST = 2**32


def read_chain(hosts: Iterable[str], variables: Callable[[str], Mapping[str, Any]]) -> Chain:
    """Read every tier of an inventory.

    Args:
        hosts: The hosts of the group ``tiers``.
        variables: Gives a host's variables, templated on access.

    Raises:
        ChainError: With a line for each thing that is wrong, of all tiers.
    """
    tiers: list[Tier] = []
    problems: list[str] = []
    for host in hosts:
        try:
            with concerning(f"tier {host!r}", ChainError):
                tiers.append(read_tier(host, variables(host)))
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError(together(problems))
    if not tiers:
        raise ChainError(
            f"the inventory has no hosts in the group {GROUP!r}; every tier is a host of that group (-i names the "
            "inventory)"
        )
    return Chain(tiers)


def read_tier(name: str, variables: Mapping[str, Any]) -> Tier:
    """Read one tier from its host's variables.

    Raises:
        ChainError: A variable is missing or wrong.
    """
    if name.startswith(".") or not name.isprintable() or not 0 < len(name) <= _LONGEST:
        raise ChainError(
            f"tier {name!r}: the name of this host is no name of a tier; expected at most {_LONGEST} printable "
            "characters, the first no '.'. Rename the host; tier_image names its image"
        )
    checked = check_tier(name, variables)
    image = checked["tier_image"] or name
    problems = [*_wrong_names(name, checked, image)]
    for check, said in ((read_cage, checked["tier_cage"]), (_epoch, checked["tier_source_date_epoch"])):
        try:
            check(name, said)
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))
    parent = checked["tier_parent"]
    if parent is None and checked["tier_role"]:
        raise ChainError(
            f"tier {name!r}: tier_role is {checked['tier_role']!r}, but a base is imported, not built by a role; "
            "drop it, or put the role into a tier of its own with this one as tier_parent"
        )
    for variable in ("tier_before", "tier_after"):
        if parent is None and checked[variable]:
            raise ChainError(
                f"tier {name!r}: {variable} is {checked[variable]!r}, but a base is imported and no task runs for it; "
                "set it for the tiers that have a role"
            )
    beside = Path(variables.get("inventory_dir") or ".")
    return Tier(
        name=name,
        team=checked["tier_team"] or _team(name, variables["group_names"]),
        image=familiar(image),
        tag=checked["tier_tag"],
        parent=parent,
        role=(checked["tier_role"] or name.replace("-", "_")) if parent else None,
        source=None if parent else _source(name, checked, beside),
        neighbours=tuple(dict.fromkeys(checked["tier_neighbours"])),
        cage=read_cage(name, checked["tier_cage"]),
        drop=tuple(checked["tier_drop"]),
        keep=tuple(checked["tier_keep"]),
        epoch=_epoch(name, checked["tier_source_date_epoch"]),
        before=tuple(str((beside / file).absolute()) for file in checked["tier_before"]),
        after=tuple(str((beside / file).absolute()) for file in checked["tier_after"]),
    )


def _wrong_names(name: str, checked: Mapping[str, Any], image: str) -> Iterator[str]:
    if not is_repository(image):
        given = (
            "tier_image is" if checked["tier_image"] else "tier_image is not set, so the image is named after the tier:"
        )
        yield (
            f"tier {name!r}: {given} {image!r}, which is no valid image name; expected lower-case letters and digits, "
            "joined by single '.', '_' or '-', with '/' between parts, and no tag (that is tier_tag)"
        )
    if not is_tag(checked["tier_tag"]):
        yield (
            f"tier {name!r}: tier_tag is {checked['tier_tag']!r}, which is no valid tag; expected at most 128 letters, "
            "digits, '_', '.' or '-', not beginning with '.' or '-'"
        )
    elif tags.is_reserved(checked["tier_tag"]):
        yield (
            f"tier {name!r}: tier_tag is {checked['tier_tag']!r}, a form of tag that images of every tier get besides "
            "their release tag (previous, key-…, tested-…, failed-…, release-…, withdrawn-…); choose another one"
        )
    team = checked["tier_team"]
    if team is not None and not _TEAM.fullmatch(team):
        yield f"tier {name!r}: tier_team is {team!r}; expected a name of one line"
    yield from _wrong_archive(name, checked["tier_bootstrap"] or {})


def _wrong_archive(name: str, said: Mapping[str, Any]) -> Iterator[str]:
    for key, (pattern, expected) in _ARCHIVE.items():
        value = said.get(key)
        for each in value if isinstance(value, list) else [value]:
            if each is not None and not pattern.fullmatch(each):
                yield f"tier {name!r}: tier_bootstrap.{key} has {each!r}; expected {expected}"


def _team(name: str, groups: Iterable[str]) -> str:
    teams = [group for group in groups if group not in {GROUP, "all", "ungrouped"}]
    if len(teams) == 1:
        return teams[0]
    found = f"it is in the groups {', '.join(teams)}" if teams else f"it is in no group below {GROUP!r}"
    raise ChainError(f"tier {name!r}: which team owns it? {found}; set tier_team")


def _epoch(name: str, said: int | None) -> int | None:
    if said is not None and not 0 < said < _LATEST:
        raise ChainError(
            f"tier {name!r}: tier_source_date_epoch is {said}; expected seconds since 1970 (`git log -1 --format=%ct` "
            "prints a commit's)"
        )
    return said


def _source(name: str, checked: Mapping[str, Any], beside: Path) -> Source:
    if checked["tier_pull"] is not None:
        if split_pinned(checked["tier_pull"]) is None:
            raise ChainError(
                f"tier {name!r}: tier_pull is {checked['tier_pull']!r}; expected an image by digest, name@sha256:… "
                "(`docker images --digests` shows it), since a tag may name another image tomorrow"
            )
        return Pull(checked["tier_pull"])
    if checked["tier_import"] is not None:
        checksum = checked["tier_import"]["checksum"]
        if not is_digest(checksum):
            raise ChainError(
                f"tier {name!r}: tier_import.checksum is {checksum!r}; expected sha256: and 64 hexadecimal digits "
                "(`sha256sum` prints them)"
            )
        return Import(str(beside / checked["tier_import"]["archive"]), checksum)
    said = checked["tier_bootstrap"]
    return Bootstrap(
        suite=said["suite"],
        components=tuple(said["components"]),
        packages=tuple(said["packages"]),
        mirror=said["mirror"],
        security_mirror=said["security_mirror"],
    )
