# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of chains: what they may be, and which one a chain has whose inventory does not say it.

A chain's name is in the labels of its images, so it has to be the same in every clone of a project. It also names a
folder, so it must not lead out of the one that all chains' folders are in.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from ..errors import ChainError

#: Longest name, in bytes as they stand in a file's name. A file's name may have 255, and ours have an end.
LONGEST = 200

_LENGTH = f"at most {LONGEST} bytes, and each character but A-Z a-z 0-9 _ . - ~ counts as three or more"
_SHOWN = 40

#: Folders that inventories lie in whatever the project is; their names say nothing of it.
_PLACES = frozenset(
    """
    ansible app apps automation build builder builds chain chains checkout ci code conf config data deploy
    deployment env environment environments environs etc git home host hosts infra infrastructure inv
    inventories inventory local main master mnt opt playbook playbooks project projects repo repos repository
    root source sources src srv tiers tmp usr var work workdir workspace workspaces
    """.split()  # noqa: SIM905 - words are read best as text
)

#: Folders that say for what an inventory is, and not of which project.
_STAGES = frozenset(
    """
    acceptance default dev development integration live preprod pre-production prod production qa sandbox stage
    staging test testing tests uat
    """.split()  # noqa: SIM905 - words are read best as text
)


def file_name(name: str) -> str:
    """Write a name so that it can be a file's, or begin one: it leads nowhere and is not hidden.

    :func:`urllib.parse.unquote` reads it back.

    Raises:
        ChainError: It is too long.
    """
    quoted = quote(name, safe="")
    if len(quoted) > LONGEST:
        raise ChainError(f"the name {name[:_SHOWN]!r}… is too long; {_LENGTH}")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def check(variable: str, given: Any) -> str:
    """Check a value that names a chain.

    Args:
        variable: What the value is of, for the message.
        given: The value: a text, or a number.

    Raises:
        ChainError: It can name none.
    """
    is_number = isinstance(given, int | float) and not isinstance(given, bool)
    told = problem(str(given)) if is_number or isinstance(given, str) else "expected a text"
    if told is not None:
        raise ChainError(f"{variable} is {given!r}, which cannot name a chain: {told}; call it {variable}: shop, say")
    return str(given)


def problem(name: str) -> str | None:
    """Say what is wrong with a chain's name; ``None`` where nothing is."""
    if not name.isprintable() or name != name.strip() or not name:
        return "a name is printable characters, with no space at its ends"
    if name.startswith("."):
        return "a name must not begin with a dot, since a folder is called after it"
    return f"it is too long; {_LENGTH}" if len(quote(name, safe="")) > LONGEST else None


def is_anybodys(name: str) -> bool:
    """Say whether chains of any project may have had this name, before they were called after the project."""
    return name.lower() in _PLACES | _STAGES


def default(inventory: PurePath) -> str | None:
    """Name a chain after the folder of its inventory.

    Folders that every project has do not count, so of ``shop/inventory`` it is ``shop``. Of
    ``shop/inventories/production`` it is ``shop-production``: the inventories of one project are several chains.

    Args:
        inventory: The folder of the inventory, absolute.

    Returns:
        The name; ``None`` where no folder's name says anything of the project.
    """
    stages: list[str] = []
    for folder in reversed(inventory.parts[1:]):
        if folder.lower() in _STAGES:
            stages.insert(0, folder)
        elif folder.lower() not in _PLACES and problem(folder) is None:
            return "-".join([folder, *stages])
    return None
