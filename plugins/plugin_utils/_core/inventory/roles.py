# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Finds the role of a tier, and reads everything that a plan needs from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec
from ansible.errors import AnsibleError
from ansible.utils.collection_loader import AnsibleCollectionRef
from ansible.utils.collection_loader._collection_finder import _get_collection_role_path

from ..build_key.file_digests import digest_folder, read_file
from ..contract.role_tests import find_tests
from ..errors import ChainError, wrap_errors
from .ansible_settings import setting
from .argument_specs import RoleArguments, read_arguments
from .yaml_files import read_plain_yaml, read_yaml

_OWN_COLLECTION = "tierwright.chain"

#: Files of which a role must have one: it needs tasks of its own, or dependencies on other roles.
_ROLE_FILES = [f"{folder}/main{end}" for folder in ("tasks", "meta") for end in (".yml", ".yaml", ".json", "")]

_INCLUDES = re.compile(r"\b(?:include|import)_role\b")


class Role(msgspec.Struct, frozen=True):
    """A role on disk."""

    #: The name by which ``include_role`` finds it: a short name, a fully qualified name, or a path.
    name: str
    #: Its folder.
    folder: Path


def find_role(tier: str, role: str, folders: tuple[Path, ...]) -> Role:
    """Find a role by name.

    Args:
        tier: The tier, for the message.
        role: A short name, ``namespace.collection.role``, or a path.
        folders: More folders to search after Ansible's ``roles_path``, for example next to the inventory.

    Raises:
        ChainError: There is no such role, or its folder does not contain a role.
    """
    result = _search(tier, role, folders)
    if not any((result.folder / file).is_file() for file in _ROLE_FILES):
        raise ChainError(
            f"tier {tier!r}: tier_role is {role!r}, but {result.folder} is not a role: it has neither tasks/main.yml "
            "nor meta/main.yml; set tier_role to the name or the folder of a role"
        )
    return result


def _search(tier: str, role: str, folders: tuple[Path, ...]) -> Role:
    if AnsibleCollectionRef.is_valid_fqcr(role):
        in_collection = _in_collection(role)
        if in_collection is None:
            raise ChainError(
                f"tier {tier!r}: tier_role is {role!r}, but that collection is not installed or has no such role; "
                "install it, or set collections_path"
            )
        return in_collection
    own = _in_collection(f"{_OWN_COLLECTION}.{role}") if role.isidentifier() else None
    roles_path = [Path(folder) for folder in setting("DEFAULT_ROLES_PATH") or ()]
    for folder in roles_path:
        if (folder / role).is_dir():
            found = (folder / role).resolve()
            # A playbook of this collection finds short names in the collection first, so only the path is certain.
            is_certain = own is None or own.folder == found
            return Role(role if is_certain else str(found), found)
    for folder in folders:
        if (folder / role).is_dir():
            return Role(str((folder / role).resolve()), (folder / role).resolve())
    if own is not None:
        return own
    places = ", ".join(dict.fromkeys(map(str, [*roles_path, *folders, _OWN_COLLECTION])))
    raise ChainError(f"tier {tier!r}: tier_role is {role!r}, but there is no such role in {places}")


def with_dependencies(tier: str, role: Role, folders: tuple[Path, ...]) -> Iterator[Role]:
    """Yield ``role``, its dependencies, and the roles that it includes by a name without variables, each once.

    An included role that does not exist is ignored: its task may never run here.

    Raises:
        ChainError: A dependency in ``meta/main.yml`` does not exist.
    """
    seen: set[Path] = set()
    waiting = [role]
    while waiting:
        current = waiting.pop()
        if current.folder in seen:
            continue
        seen.add(current.folder)
        yield current
        role_folders = (*folders, current.folder.parent)
        waiting.extend(find_role(tier, name, role_folders) for name in _dependencies(current.folder))
        for name in _included(current.folder):
            with suppress(ChainError):
                waiting.append(find_role(tier, name, role_folders))


def _in_collection(role: str) -> Role | None:
    location = _get_collection_role_path(role)
    return Role(role, Path(location[1]).resolve()) if location else None


def _dependencies(folder: Path) -> Iterator[str]:
    for name in ("main.yml", "main.yaml"):
        path = folder / "meta" / name
        if not path.is_file():
            continue
        with wrap_errors(str(path), ChainError):
            meta = read_plain_yaml(path) or {}
            names = [
                entry if isinstance(entry, str) else entry.get("role") or entry.get("name")
                for entry in meta.get("dependencies") or ()
            ]
            if wrong := [name for name in names if not isinstance(name, str)]:
                raise ChainError(f"{path}: dependencies has {wrong[0]!r}; expected names of roles")
        yield from names


def _included(folder: Path) -> Iterator[str]:
    """Names of the roles that a role's tasks and handlers include, without names that contain variables."""
    for path in sorted(path for kind in ("tasks", "handlers") for path in (folder / kind).rglob("*.y*ml")):
        if path.is_dir():
            continue
        try:
            if _INCLUDES.search(read_file(path).decode()):
                yield from _included_names(read_yaml(path))
        except (AnsibleError, UnicodeDecodeError) as error:
            raise ChainError(f"{path}: {error}") from error


def _included_names(tasks: object) -> Iterator[str]:
    match tasks:
        case list():
            for task in tasks:
                yield from _included_names(task)
        case dict():
            for key, value in tasks.items():
                name = value.get("name") if isinstance(value, dict) else None
                if _INCLUDES.search(str(key)) and isinstance(name, str) and "{{" not in name:
                    yield name
                elif key in {"block", "rescue", "always"}:
                    yield from _included_names(value)


class RoleContent(msgspec.Struct, frozen=True):
    """The content of a role, as far as a plan needs it."""

    role: Role
    #: Its folder, and the folders of the roles that it depends on.
    folders: tuple[Path, ...]
    #: Digests of the files in these folders, by the name of the key part.
    files: Mapping[str, str]
    #: Its variables and their specification.
    arguments: RoleArguments
    #: Folder of its tests; ``None`` if it has no tests.
    tests: Path | None


def read_role(tier: str, name: str, inventory_folder: Path) -> RoleContent:
    """Find a tier's role and read it.

    Args:
        tier: The tier, for messages.
        name: The role.
        inventory_folder: The folder of the inventory. Roles are also searched in ``roles`` in this folder, in the two
            folders above it, and in the current folder.

    Raises:
        ChainError: The role or a dependency does not exist, or a file of it cannot be read or is not valid YAML.
    """
    try:
        return _read(tier, name, inventory_folder)
    except OSError as error:
        raise ChainError(
            f"tier {tier!r}: role {name!r}: {error.filename} cannot be read: {error.strerror}; remove it, or replace "
            "it with a readable file"
        ) from error


def read_tests_folder(tier: str, name: str, inventory_folder: Path) -> Path | None:
    """Find the folder of a role's tests, without reading the role; ``None`` if it has none.

    Takes the same arguments as :func:`read_role`.

    Raises:
        ChainError: The role does not exist.
    """
    return find_tests(find_role(tier, name, _search_folders(inventory_folder)).folder)


def _search_folders(inventory_folder: Path) -> tuple[Path, ...]:
    # A chain's inventory usually is in inventories/<chain>/, two folders below the project.
    parents = (inventory_folder, *inventory_folder.resolve().parents[:2], Path.cwd())
    return tuple(dict.fromkeys(parent / "roles" for parent in parents))


def _read(tier: str, name: str, inventory_folder: Path) -> RoleContent:
    search_folders = _search_folders(inventory_folder)
    role = find_role(tier, name, search_folders)
    folders = tuple(each.folder for each in with_dependencies(tier, role, search_folders))
    return RoleContent(role, folders, digest_roles(folders), read_arguments(role.folder), find_tests(role.folder))


def digest_roles(folders: Iterable[Path]) -> dict[str, str]:
    """Digest the files of roles, by the name of the key part.

    Args:
        folders: The folders of the roles, each once.

    Raises:
        OSError: A file cannot be read.
    """
    return {
        f"role/{unique_name}/{path}": digest
        for unique_name, folder in _unique_names(folders).items()
        for path, digest in digest_folder(folder).items()
    }


def _unique_names(folders: Iterable[Path]) -> dict[str, Path]:
    """Name each role folder for the key: its own name, with a number if an earlier folder has the same name."""
    names: dict[str, Path] = {}
    for folder in folders:
        same = sum(other.name == folder.name for other in names.values())
        names[f"{folder.name}~{same + 1}" if same else folder.name] = folder
    return names
