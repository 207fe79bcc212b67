# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A tier's role and all that a plan needs of it.

Finds a tier's role, where Ansible would and where users keep theirs.

Reads all that a plan needs of a role, once for all tiers that have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.utils.collection_loader import AnsibleCollectionRef
from ansible.utils.collection_loader._collection_finder import _get_collection_role_path

from ..build_key.file_digests import digest_folder, read_file
from ..contract.gate import find_tests
from ..errors import ChainError, concerning
from .argument_specs import RoleArguments, read_arguments
from .surroundings import setting

_OWN_COLLECTION = "tierwright.chain"

#: What a role does something by: tasks of its own, or other roles' that it depends on.
_BEGINNINGS = [f"{folder}/main{end}" for folder in ("tasks", "meta") for end in (".yml", ".yaml", ".json", "")]

_INCLUDES = re.compile(r"\b(?:include|import)_role\b")


@dataclass(frozen=True, slots=True)
class Role:
    """A role that was found."""

    #: What ``include_role`` finds it by: a short name, a fully qualified one, or a path.
    name: str
    #: Its folder.
    folder: Path


def find_role(tier: str, role: str, folders: tuple[Path, ...]) -> Role:
    """Find a role by name.

    Args:
        tier: The tier, for the message.
        role: A short name, ``namespace.collection.role``, or a path.
        folders: Folders of roles to look in besides Ansible's ``roles_path``: beside the inventory, for instance.

    Raises:
        ChainError: There is no such role, or what is there is none.
    """
    found = _look_for(tier, role, folders)
    if not any((found.folder / each).is_file() for each in _BEGINNINGS):
        raise ChainError(
            f"tier {tier!r}: tier_role is {role!r}, but {found.folder} is no role: it has neither tasks/main.yml nor "
            "meta/main.yml; name a role, or the folder of one"
        )
    return found


def _look_for(tier: str, role: str, folders: tuple[Path, ...]) -> Role:
    if AnsibleCollectionRef.is_valid_fqcr(role):
        found = _in_collection(role)
        if found is None:
            raise ChainError(
                f"tier {tier!r}: tier_role is {role!r}, but that collection is not installed or has no such role; "
                "install it, or set collections_path"
            )
        return found
    searched = [Path(folder) for folder in setting("DEFAULT_ROLES_PATH") or ()]
    for folder in searched:
        if (folder / role).is_dir():
            return Role(role, (folder / role).resolve())
    for folder in folders:
        if (folder / role).is_dir():
            return Role(str((folder / role).resolve()), (folder / role).resolve())
    own = _in_collection(f"{_OWN_COLLECTION}.{role}") if role.isidentifier() else None
    if own is not None:
        return own
    places = ", ".join(dict.fromkeys(map(str, [*searched, *folders, _OWN_COLLECTION])))
    raise ChainError(f"tier {tier!r}: tier_role is {role!r}, but there is no such role in {places}")


def with_dependencies(tier: str, role: Role, folders: tuple[Path, ...]) -> Iterator[Role]:
    """Yield ``role`` and every role that it depends on or includes by a name without variables, each once.

    An included role that is not there is left out: its task may never run here.

    Raises:
        ChainError: A dependency of ``meta/main.yml`` is not there.
    """
    seen: set[Path] = set()
    waiting = [role]
    while waiting:
        current = waiting.pop()
        if current.folder in seen:
            continue
        seen.add(current.folder)
        yield current
        beside = (*folders, current.folder.parent)
        waiting.extend(find_role(tier, name, beside) for name in _dependencies(current.folder))
        for name in _included(current.folder):
            with suppress(ChainError):
                waiting.append(find_role(tier, name, beside))


def _in_collection(role: str) -> Role | None:
    found = _get_collection_role_path(role)
    return Role(role, Path(found[1]).resolve()) if found else None


def _dependencies(folder: Path) -> Iterator[str]:
    for name in ("main.yml", "main.yaml"):
        path = folder / "meta" / name
        if not path.is_file():
            continue
        with concerning(str(path), ChainError):
            meta = DataLoader().load_from_file(str(path)) or {}
            named = [
                each if isinstance(each, str) else each.get("role") or each.get("name")
                for each in meta.get("dependencies") or ()
            ]
            if wrong := [each for each in named if not isinstance(each, str)]:
                raise ChainError(f"{path}: dependencies has {wrong[0]!r}; expected names of roles")
        yield from named


def _included(folder: Path) -> Iterator[str]:
    """Names of the roles that a role's tasks and handlers include, where no variable decides the name."""
    for path in sorted(path for kind in ("tasks", "handlers") for path in (folder / kind).rglob("*.y*ml")):
        if path.is_dir():
            continue
        try:
            if _INCLUDES.search(read_file(path).decode()):
                yield from _names(DataLoader().load_from_file(str(path)))
        except (AnsibleError, UnicodeDecodeError) as error:
            raise ChainError(f"{path}: {error}") from error


def _names(tasks: object) -> Iterator[str]:
    match tasks:
        case list():
            for each in tasks:
                yield from _names(each)
        case dict():
            for key, value in tasks.items():
                name = value.get("name") if isinstance(value, dict) else None
                if _INCLUDES.search(str(key)) and isinstance(name, str) and "{{" not in name:
                    yield name
                elif key in {"block", "rescue", "always"}:
                    yield from _names(value)


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
