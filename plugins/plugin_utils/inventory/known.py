# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Reads all that a plan needs of a role, once for all tiers that have it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..contract.suite import find_tests
from ..errors import ChainError
from ..keys.files import digest_folder
from .arguments import RoleArguments, read_arguments
from .roles import Role, find_role, with_dependencies


@dataclass(frozen=True, slots=True)
class KnownRole:
    """What was read of a role."""

    role: Role
    #: Its folder, and those of the roles that it depends on.
    folders: tuple[Path, ...]
    #: Digests of their files, by the names of the key's parts.
    files: Mapping[str, str]
    #: What it says of its variables.
    arguments: RoleArguments
    #: Folder of its tests; ``None`` where it has none.
    tests: Path | None


def read_role(tier: str, name: str, beside: Path) -> KnownRole:
    """Find a tier's role and read it.

    Args:
        tier: The tier, for messages.
        name: The role.
        beside: The inventory's folder.

    Raises:
        ChainError: The role, or one that it depends on, is not there, or a file of it cannot be read or is no YAML.
    """
    try:
        return _read(tier, name, beside)
    except OSError as error:
        raise ChainError(
            f"tier {tier!r}: role {name!r}: {error.filename} cannot be read: {error.strerror}; remove it, or put a "
            "file there that can be read"
        ) from error


def _read(tier: str, name: str, beside: Path) -> KnownRole:
    near = (beside, *beside.resolve().parents[:2], Path.cwd())  # inventories/<chain>/ lies two below a project
    folders = tuple(dict.fromkeys(each / "roles" for each in near))
    role = find_role(tier, name, folders)
    found = tuple(each.folder for each in with_dependencies(tier, role, folders))
    files = {
        f"role/{called}/{path}": digest
        for called, folder in _called(found).items()
        for path, digest in digest_folder(folder).items()
    }
    return KnownRole(role, found, files, read_arguments(role.folder), find_tests(role.folder))


def _called(folders: Iterable[Path]) -> dict[str, Path]:
    """Names of roles in the key: their folders', with a number where two of different places have one."""
    called: dict[str, Path] = {}
    for folder in folders:
        same = sum(other.name == folder.name for other in called.values())
        called[f"{folder.name}~{same + 1}" if same else folder.name] = folder
    return called
