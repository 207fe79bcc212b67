# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads the tiers of a chain, its name and its home from the variables of an inventory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..build_key.source_version import find_checkout
from ..chain import names, tags
from ..chain.graph import Chain
from ..chain.names import familiar_name, is_digest, is_repository, is_tag
from ..chain.tier import Bootstrap, Follow, Import, Pull, Source, Tier, read_cage
from ..chain.tier_names import (
    ARCHIVE_FORMATS,
    GROUP,
    GROUPS_OF_ALL,
    MAX_TIER_LENGTH,
    is_followed_image,
    is_pinned_image,
    is_release_tag,
    is_team_name,
    is_tier_name,
)
from ..chain.tier_variables import SECRETS
from ..errors import ChainError, wrap_errors
from ..state.owner import Home, machine, user
from .archive_keyring import read_keyring
from .argument_specs import check_tier
from .build_secrets import read_secrets

#: Number of tiers that one message names; it counts the others.
_LISTED_TIERS = 5

_TIER_LINE = re.compile(r"tier ('[^']*'): (.*)", re.DOTALL)


def join_messages(problems: Iterable[str]) -> str:
    """Join equal messages about different tiers, for example about a wrong variable of a group.

    Args:
        problems: Messages of one or several lines, most of which begin with ``tier 'web': ``.

    Returns:
        The lines, each once, in their first order. A line about several tiers begins with ``tiers 'web', 'db': ``.
    """
    tiers_by_message: dict[str, list[str]] = {}
    for line in (line for problem in problems for line in problem.split("\n")):
        match = _TIER_LINE.fullmatch(line)
        tiers = tiers_by_message.setdefault(match[2] if match else line, [])
        if match and match[1] not in tiers:
            tiers.append(match[1])
    return "\n".join(_tiers_line(tiers, message) for message, tiers in tiers_by_message.items())


def _tiers_line(tiers: list[str], message: str) -> str:
    if not tiers:
        return message
    if len(tiers) == 1:
        return f"tier {tiers[0]}: {message}"
    more = f" and {len(tiers) - _LISTED_TIERS} more" if len(tiers) > _LISTED_TIERS else ""
    return f"tiers {', '.join(tiers[:_LISTED_TIERS])}{more}: {message}"


_NAME_VARIABLE = "tier_chain"


def read_name(views: Mapping[str, Mapping[str, Any]]) -> str:
    """Read the chain's name from the variables of its tiers: ``tier_chain``, or by default the inventory's folder.

    Args:
        views: Variables by tier; the first tier of the chain comes first.

    Raises:
        ChainError: The name is invalid, the tiers have different names, or no folder's name identifies the project.
    """
    first = next(iter(views))
    values = {tier: view.get(_NAME_VARIABLE) for tier, view in views.items()}
    for tier, name in values.items():
        if name != values[first]:
            raise ChainError(
                f"tier {tier!r}: {_NAME_VARIABLE} is {name!r}, but tier {first!r} has {values[first]!r}; one "
                "inventory is one chain, so set it for all of its tiers (for example in group_vars/tiers.yml)"
            )
    if values[first] not in (None, ""):
        return names.check_chain_name(_NAME_VARIABLE, values[first])
    folder = Path(views[first].get("inventory_dir") or "").resolve()
    name = names.default_chain_name(folder) if views[first].get("inventory_dir") else None
    if name is None or names.name_problem(name) is not None:
        raise ChainError(
            f"{_NAME_VARIABLE} is not set, and no folder name in the inventory's path ({folder}) identifies the "
            f"project; name the chain: {_NAME_VARIABLE}: shop, for all tiers (for example in group_vars/tiers.yml)"
        )
    return name


def former_name(name: str, first: Mapping[str, Any]) -> str:
    """The default name that an earlier version gave this chain; empty if it is the same, or if ``tier_chain`` is set.

    Earlier versions used the name of the inventory's own folder, even one that is common to many projects.

    Args:
        name: The chain's name now.
        first: Variables of its first tier.
    """
    if first.get(_NAME_VARIABLE) not in (None, "") or not first.get("inventory_dir"):
        return ""
    former = Path(first["inventory_dir"]).resolve().name
    return "" if former == name or names.name_problem(former) is not None else former


def find_home(tiers: Iterable[Tier], folder: Path, *, former: str = "") -> Home:
    """Describe where a chain is defined: the machine, the user, the folder, and the Git checkout, if there is one.

    The images of followed tiers belong to chains of other teams, so this chain does not claim them.

    Args:
        tiers: The tiers of the chain.
        folder: Folder of its inventory, absolute.
        former: The name that the chain had before.
    """
    checkout = find_checkout(folder)
    return Home(
        inventory=str(folder),
        host=machine(),
        user=user(),
        tiers=tuple(sorted(f"{tier.name} {tier.image}" for tier in tiers if tier.followed is None)),
        origin=checkout.origin if checkout else "",
        repository=checkout.repository if checkout else "",
        within=checkout.within if checkout else "",
        roots=checkout.roots if checkout else (),
        former=former,
    )


_BUILDER = re.compile(r"[^\s\x00-\x1f\x7f]{1,128}")


def read_builder(tier: str, variables: Mapping[str, Any]) -> str:
    """Read the name of the builder (``tier_builder``); empty if it is not set.

    Raises:
        ChainError: It is not a name.
    """
    name = variables.get("tier_builder")
    if name is None:
        return ""
    if not isinstance(name, str) or not _BUILDER.fullmatch(name):
        raise ChainError(f"tier {tier!r}: tier_builder is {name!r}; expected a name without spaces, such as ci-1")
    return str(name)


#: Times in an image are unsigned 32-bit seconds in some formats; these end in the year 2106.
_EPOCH_LIMIT = 2**32


def read_chain(hosts: Iterable[str], variables: Callable[[str], Mapping[str, Any]]) -> Chain:
    """Read every tier of an inventory.

    Args:
        hosts: The hosts of the group ``tiers``.
        variables: Returns a host's variables, templated on access.

    Raises:
        ChainError: With a line for each problem of each tier.
    """
    tiers: list[Tier] = []
    problems: list[str] = []
    for host in hosts:
        try:
            with wrap_errors(f"tier {host!r}", ChainError):
                tiers.append(read_tier(host, variables(host)))
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError(join_messages(problems))
    if not tiers:
        raise ChainError(
            f"the inventory has no hosts in the group {GROUP!r}; every tier is a host of that group (the option -i "
            "names the inventory)"
        )
    return Chain(tiers)


def read_tier(name: str, variables: Mapping[str, Any]) -> Tier:
    """Read one tier from its host's variables.

    Raises:
        ChainError: A variable is missing or wrong.
    """
    if not is_tier_name(name):
        raise ChainError(
            f"tier {name!r}: the name of this host is not a valid name of a tier; expected at most {MAX_TIER_LENGTH} "
            "printable characters, not beginning with '.'. Rename the host; tier_image can give its image another name"
        )
    checked = check_tier(name, variables)
    follow = checked["tier_follow"]
    problems = [*_check_follow(name, checked)]
    if problems:
        raise ChainError("\n".join(problems))
    image = checked["tier_image"] or (follow["image"] if follow else name)
    if follow and variables.get("tier_tag") is None:
        checked["tier_tag"] = follow["tag"]
    problems = [*_check_names(name, checked, image)]
    for check, value in ((read_cage, checked["tier_cage"]), (_check_epoch, checked["tier_source_date_epoch"])):
        try:
            check(name, value)
        except ChainError as error:
            problems.append(str(error))
    if problems:
        raise ChainError("\n".join(problems))
    parent = checked["tier_parent"]
    if parent is None:
        _check_base(name, checked)
    roles = _read_roles(name, checked) if parent else []
    read_secrets(name, checked[SECRETS])
    inventory_folder = Path(variables.get("inventory_dir") or ".")
    return Tier(
        name=name,
        team=checked["tier_team"] or _read_team(name, variables["group_names"]),
        image=familiar_name(image),
        tag=checked["tier_tag"],
        parent=parent,
        role=roles[0] if roles else None,
        more_roles=tuple(roles[1:]),
        source=None if parent else _read_source(name, checked, inventory_folder),
        neighbours=tuple(dict.fromkeys(checked["tier_neighbours"])),
        cage=read_cage(name, checked["tier_cage"]),
        drop=tuple(checked["tier_drop"]),
        keep=tuple(checked["tier_keep"]),
        epoch=_check_epoch(name, checked["tier_source_date_epoch"]),
        before=tuple(str((inventory_folder / file).absolute()) for file in checked["tier_before"]),
        after=tuple(str((inventory_folder / file).absolute()) for file in checked["tier_after"]),
        ssh_agent=checked["tier_ssh_agent"],
    )


def _read_roles(name: str, checked: Mapping[str, Any]) -> list[str]:
    role, roles = checked["tier_role"], checked["tier_roles"]
    if roles is None:
        return [role or name.replace("-", "_")]
    if role:
        raise ChainError(
            f"tier {name!r}: it has tier_role and tier_roles; put all roles into tier_roles, in their order"
        )
    if not roles or len(set(roles)) < len(roles):
        raise ChainError(f"tier {name!r}: tier_roles is {roles!r}; expected names of roles, each once, in their order")
    return list(roles)


#: Variables about the tasks of a tier. A base has none.
_OF_TASKS = ("tier_before", "tier_after", "tier_ssh_agent", SECRETS)


def _check_base(name: str, checked: Mapping[str, Any]) -> None:
    for variable in ("tier_role", "tier_roles"):
        if checked[variable]:
            raise ChainError(
                f"tier {name!r}: {variable} is {checked[variable]!r}, but no role builds a base; remove {variable}, or "
                f"apply the role in a tier of its own, with tier_parent: {name}"
            )
    for variable in _OF_TASKS:
        if checked[variable]:
            value = "set" if variable == SECRETS else repr(checked[variable])
            raise ChainError(
                f"tier {name!r}: {variable} is {value}, but no task runs for a base; set {variable} for the tiers that "
                "have a role"
            )


def _check_names(name: str, checked: Mapping[str, Any], image: str) -> Iterator[str]:
    if not is_repository(image):
        source = (
            "tier_image is" if checked["tier_image"] else "tier_image is not set, so the image has the tier's name:"
        )
        yield (
            f"tier {name!r}: {source} {image!r}, which is not a valid image name; expected lower-case letters and "
            "digits, joined by single '.', '_' or '-', with '/' between parts, and no tag (tier_tag sets the tag)"
        )
    if not is_tag(checked["tier_tag"]):
        yield (
            f"tier {name!r}: tier_tag is {checked['tier_tag']!r}, which is not a valid tag; expected at most 128 "
            "letters, digits, '_', '.' or '-', not beginning with '.' or '-'"
        )
    elif tags.is_reserved(checked["tier_tag"]):
        yield (
            f"tier {name!r}: tier_tag is {checked['tier_tag']!r}, which is reserved: Tierwright gives images "
            "tags of this form (previous, key-…, tested-…, failed-…, release-…, withdrawn-…); choose a different tag"
        )
    team = checked["tier_team"]
    if team is not None and not is_team_name(team):
        yield f"tier {name!r}: tier_team is {team!r}; expected a name of one line"
    yield from _check_archive(name, checked["tier_bootstrap"] or {})


#: Variables that change the image of a tier. The image of a followed tier is used unchanged.
_CHANGING = ("tier_config", "tier_protects", "tier_drop", "tier_keep", "tier_inputs", "tier_neighbours")


def _check_follow(name: str, checked: Mapping[str, Any]) -> Iterator[str]:
    follow = checked["tier_follow"]
    if follow is None:
        return
    image, tag = follow["image"], follow["tag"]
    if not is_followed_image(image):
        yield (
            f"tier {name!r}: tier_follow.image is {image!r}; expected the host of a registry and a name there, without "
            "a tag or digest: {image: registry.example.org/operations/corebuild, tag: stable}"
        )
    if not is_release_tag(tag):
        yield (
            f"tier {name!r}: tier_follow.tag is {tag!r}; expected a tag that its team moves, such as stable. "
            "chain.lock keeps the digest; for an image that never moves, use tier_pull: name@sha256:…"
        )
    for variable in _CHANGING:
        if checked[variable]:
            yield (
                f"tier {name!r}: {variable} is {checked[variable]!r}, but the tier follows {image}, and that image is "
                f"used unchanged; remove {variable}, or set it in a tier of its own, with tier_parent: {name}"
            )


def _check_archive(name: str, bootstrap: Mapping[str, Any]) -> Iterator[str]:
    for key, (pattern, expected) in ARCHIVE_FORMATS.items():
        values = bootstrap.get(key)
        for value in values if isinstance(values, list) else [values]:
            if value is not None and not pattern.fullmatch(value):
                yield f"tier {name!r}: tier_bootstrap.{key} has {value!r}; expected {expected}"


def _read_team(name: str, groups: Iterable[str]) -> str:
    teams = [group for group in groups if group not in GROUPS_OF_ALL]
    if len(teams) == 1:
        return teams[0]
    problem = f"it is in the groups {', '.join(teams)}" if teams else f"it is in no group below {GROUP!r}"
    raise ChainError(f"tier {name!r}: the team that owns it is not clear: {problem}; set tier_team")


def _check_epoch(name: str, epoch: int | None) -> int | None:
    if epoch is not None and not 0 < epoch < _EPOCH_LIMIT:
        raise ChainError(
            f"tier {name!r}: tier_source_date_epoch is {epoch}; expected seconds since 1970 (`git log -1 --format=%ct` "
            "prints them for the last commit)"
        )
    return epoch


def _read_source(name: str, checked: Mapping[str, Any], inventory_folder: Path) -> Source:
    if checked["tier_pull"] is not None:
        if not is_pinned_image(checked["tier_pull"]):
            raise ChainError(
                f"tier {name!r}: tier_pull is {checked['tier_pull']!r}; expected an image by digest, name@sha256:… "
                "(`docker images --digests` shows it), because a tag may name a different image tomorrow"
            )
        return Pull(checked["tier_pull"])
    if checked["tier_import"] is not None:
        checksum = checked["tier_import"]["checksum"]
        if not is_digest(checksum):
            raise ChainError(
                f"tier {name!r}: tier_import.checksum is {checksum!r}; expected sha256: and 64 hexadecimal digits "
                "(`sha256sum` prints them)"
            )
        return Import(str(inventory_folder / checked["tier_import"]["archive"]), checksum)
    if checked["tier_follow"] is not None:
        return Follow(checked["tier_follow"]["image"], checked["tier_follow"]["tag"])
    bootstrap = checked["tier_bootstrap"]
    return Bootstrap(
        suite=bootstrap["suite"],
        components=tuple(bootstrap["components"]),
        packages=tuple(bootstrap["packages"]),
        mirror=bootstrap["mirror"],
        security_mirror=bootstrap["security_mirror"],
        suites=tuple(bootstrap["suites"] or ()),
        keyring=read_keyring(name, bootstrap, inventory_folder),
    )
