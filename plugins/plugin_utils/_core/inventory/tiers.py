# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Name, home and tiers of the chain.

What is wrong with several tiers alike, as a variable of their group is, told once.

The chain's name and its place, out of an inventory.

Reads the chain out of an inventory.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..build_key.source_version import find_checkout
from ..chain import names, tags
from ..chain.graph import Chain
from ..chain.names import familiar_name, is_digest, is_repository, is_tag, split_pinned
from ..chain.tier import Bootstrap, Import, Pull, Source, Tier, read_cage
from ..errors import ChainError, concerning
from ..state.owner import Home, machine, user
from .argument_specs import check_tier

#: Tiers that are named; others are counted.
_NAMED = 5

_OF_A_TIER = re.compile(r"tier ('[^']*'): (.*)", re.DOTALL)


def join_messages(problems: Iterable[str]) -> str:
    """Put lines about single tiers together that say the same.

    Args:
        problems: Messages of one or several lines, most of which begin with ``tier 'web': ``.

    Returns:
        The lines, in the order in which each was said first: ``tiers 'web', 'db': …`` where several have it.
    """
    tiers: dict[str, list[str]] = {}
    for line in (line for problem in problems for line in problem.split("\n")):
        found = _OF_A_TIER.fullmatch(line)
        named = tiers.setdefault(found[2] if found else line, [])
        if found and found[1] not in named:
            named.append(found[1])
    return "\n".join(_line(named, said) for said, named in tiers.items())


def _line(tiers: list[str], said: str) -> str:
    if not tiers:
        return said
    if len(tiers) == 1:
        return f"tier {tiers[0]}: {said}"
    more = f" and {len(tiers) - _NAMED} more" if len(tiers) > _NAMED else ""
    return f"tiers {', '.join(tiers[:_NAMED])}{more}: {said}"


_VARIABLE = "tier_chain"


def read_name(views: Mapping[str, Mapping[str, Any]]) -> str:
    """Read the chain's name from the variables of its tiers: ``tier_chain``, else the folder of the inventory.

    Args:
        views: Variables by tier, the first tier's first.

    Raises:
        ChainError: It can name no chain, tiers have several, or no folder's name says which project it is.
    """
    first = next(iter(views))
    given = {tier: view.get(_VARIABLE) for tier, view in views.items()}
    for tier, name in given.items():
        if name != given[first]:
            raise ChainError(
                f"tier {tier!r}: {_VARIABLE} is {name!r}, and that of tier {first!r} is {given[first]!r}; one "
                "inventory is one chain, so set it for all of its tiers (in group_vars/tiers.yml, say)"
            )
    if given[first] not in (None, ""):
        return names.check(_VARIABLE, given[first])
    folder = Path(views[first].get("inventory_dir") or "").resolve()
    name = names.default(folder) if views[first].get("inventory_dir") else None
    if name is None or names.problem(name) is not None:
        raise ChainError(
            f"{_VARIABLE} is not set, and no folder of the inventory ({folder}) has a name that says which project it "
            f"is; name the chain: {_VARIABLE}: shop, for all tiers (in group_vars/tiers.yml, say)"
        )
    return name


def former_name(name: str, first: Mapping[str, Any]) -> str:
    """The name that the chain had where it is not set, before folders that every project has stopped counting."""
    if first.get(_VARIABLE) not in (None, "") or not first.get("inventory_dir"):
        return ""
    former = Path(first["inventory_dir"]).resolve().name
    return "" if former == name or names.problem(former) is not None else former


def find_home(tiers: Iterable[Tier], folder: Path, *, former: str = "") -> Home:
    """Say where a chain lives.

    Args:
        tiers: Its tiers.
        folder: Folder of its inventory, absolute.
        former: The name that it had before.
    """
    checkout = find_checkout(folder)
    return Home(
        inventory=str(folder),
        host=machine(),
        user=user(),
        tiers=tuple(sorted(f"{tier.name} {tier.image}" for tier in tiers)),
        origin=checkout.origin if checkout else "",
        repository=checkout.repository if checkout else "",
        within=checkout.within if checkout else "",
        roots=checkout.roots if checkout else (),
        former=former,
    )


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
        raise ChainError(join_messages(problems))
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
        image=familiar_name(image),
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
