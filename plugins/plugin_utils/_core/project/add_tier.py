# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Adds a tier to a project: an entry in its inventory, and a role."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec

from ..chain.tier_names import GROUP
from ..errors import NotFoundError, UsageError, describe_error, errors_of
from ..local_files import write_shared
from .ansible_config import CONFIG, configured_inventory
from .inventory_text import ListedTier, add_tier, list_tiers, read_inventory_text
from .new_files import write_new
from .outline import NewTier, role_of, role_problem, team_problem, tier_problem
from .project_files import role_files

_ENDINGS = {".yml", ".yaml", ".json", ""}


class AddedTier(msgspec.Struct, frozen=True):
    """What was added."""

    tier: NewTier
    inventory: Path
    #: The files of its role; empty if the role existed.
    files: list[Path]


def find_inventory(folder: Path, given: str | None, environment: Mapping[str, str] = os.environ) -> Path:
    """Find the inventory of a project as Ansible does: the option, the environment, ``ansible.cfg``.

    Args:
        folder: The folder of the project.
        given: The inventory that the user names; ``None`` for the project's own.
        environment: The environment.

    Raises:
        NotFoundError: There is none.
        UsageError: ``ansible.cfg`` is wrong, or names several.
    """
    named = given or environment.get("ANSIBLE_INVENTORY")
    path = folder / Path(named).expanduser() if named else None
    if path is None and (folder / CONFIG).is_file():
        path = configured_inventory(folder / CONFIG)
    if path is None:
        raise NotFoundError(f"{folder} has no {CONFIG} that names an inventory; name it with -i")
    if not path.exists():
        raise NotFoundError(f"there is no inventory {path}")
    return path


def add_to_project(
    folder: Path, inventory: Path, name: str, parent: str, team: str | None, role: str | None
) -> AddedTier:
    """Add a tier to a project.

    Args:
        folder: The folder of the project; its folder ``roles`` gets the role.
        inventory: The inventory: a file, or a folder of files.
        name: The name of the tier.
        parent: Its parent.
        team: Its team; ``None`` for the team of the parent.
        role: Its role. If it exists, it is used as it is. ``None`` for a new role with the tier's name.

    Raises:
        UsageError: A name is wrong or taken, or a file is in the way. Nothing is changed then.
        NotFoundError: No inventory file has the parent.
    """
    path, tiers = _find_file(inventory, parent)
    tier = NewTier(name, parent, team or _team_of(parent, tiers), role or role_of(name))
    _check(tier, tiers)
    text = path.read_bytes().decode()
    with errors_of(str(path)):
        extended = add_tier(text, tier)
    exists = role is not None and (folder / "roles" / role).is_dir()
    files = {} if exists else role_files(tier, is_debian=_is_debian(parent, tiers))
    written = write_new(folder, files) if files else []
    try:
        write_shared(path, extended)
    except BaseException as error:
        for each in written:
            each.unlink(missing_ok=True)
        if written:
            shutil.rmtree(folder / "roles" / tier.role, ignore_errors=True)
        if isinstance(error, OSError):
            raise UsageError(f"{path} cannot be written: {describe_error(error)}; nothing is written") from error
        raise
    return AddedTier(tier, path, written)


def _find_file(inventory: Path, parent: str) -> tuple[Path, list[ListedTier]]:
    """Return the inventory file that has the parent, and the tiers of all files."""
    paths = [inventory] if inventory.is_file() else sorted(path for path in inventory.iterdir() if _is_source(path))
    found: Path | None = None
    tiers: list[ListedTier] = []
    for path in paths:
        with errors_of(str(path)):
            try:
                content = read_inventory_text(path.read_text(encoding="utf-8"))
            except UnicodeDecodeError as error:
                raise UsageError("it is not text in UTF-8") from error
        own = list_tiers(content)
        tiers += own
        if any(tier.name == parent for tier in own):
            found = path
    if found is None:
        names = ", ".join(tier.name for tier in tiers) or "none"
        raise NotFoundError(
            f"the parent {parent!r} is no host of the group {GROUP!r} in {inventory}; its tiers are: {names}"
        )
    return found, tiers


def _is_source(path: Path) -> bool:
    return path.is_file() and path.suffix in _ENDINGS and not path.name.startswith(".")


def _team_of(parent: str, tiers: list[ListedTier]) -> str:
    return next(tier.team for tier in tiers if tier.name == parent)


def _check(tier: NewTier, tiers: list[ListedTier]) -> None:
    problems = [tier_problem(tier.name), team_problem(tier.team), role_problem(tier.role)]
    if any(each.name == tier.name for each in tiers):
        problems.append(f"there is a tier {tier.name!r} already; choose another name")
    if tier.name in {each.team for each in tiers} | {tier.team} or tier.team in {each.name for each in tiers}:
        problems.append("a tier and a team have the same name; Ansible cannot tell a host from a group of that name")
    if any(problems):
        raise UsageError("; ".join(problem for problem in problems if problem))


def _is_debian(parent: str, tiers: list[ListedTier]) -> bool:
    """Say whether the base below a tier is bootstrapped from Debian's archive, as far as the inventory's files tell."""
    by_name = {tier.name: tier.variables for tier in tiers}
    seen: set[str] = set()
    name: object = parent
    while isinstance(name, str) and name in by_name and name not in seen:
        seen.add(name)
        if "tier_bootstrap" in by_name[name]:
            return True
        name = by_name[name].get("tier_parent")
    return False
