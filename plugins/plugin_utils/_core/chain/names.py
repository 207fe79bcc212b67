# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of chains, of images, and the prefix of a role's variables.

Names of chains: what they may be, and which one a chain has whose inventory does not say it.

A chain's name is in the labels of its images, so it has to be the same in every clone of a project. It also names a
folder, so it must not lead out of the one that all chains' folders are in.

Names of images, as the distribution specification writes them.

The grammar is that of https://github.com/distribution/reference (``reference.go``): an optional host, path
components in lower case, a tag of at most 128 characters.

The prefix of the variables in which a role says what its tier is like: ``httpd_php_tier_config``.
"""

from __future__ import annotations

import re
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


def check(variable: str, name: Any) -> str:
    """Check a value that names a chain.

    Args:
        variable: What the value is of, for the message.
        name: The value: a text, or a number.

    Raises:
        ChainError: It can name none.
    """
    is_number = isinstance(name, int | float) and not isinstance(name, bool)
    told = problem(str(name)) if is_number or isinstance(name, str) else "expected a text"
    if told is not None:
        raise ChainError(f"{variable} is {name!r}, which cannot name a chain: {told}; call it {variable}: shop, say")
    return str(name)


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


_SEPARATOR = r"(?:[._]|__|-+)"
_COMPONENT = rf"[a-z0-9]+(?:{_SEPARATOR}[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REPOSITORY = re.compile(rf"(?:(?:{_HOST})/)?{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}", re.ASCII)
_LONGEST_REPOSITORY = 255


def is_repository(name: str) -> bool:
    """Say whether ``name`` may name images: ``httpd-php``, ``example.org:5000/team/httpd-php``."""
    return len(name) <= _LONGEST_REPOSITORY and _REPOSITORY.fullmatch(name) is not None


def is_tag(tag: str) -> bool:
    """Say whether ``tag`` may follow the colon of a reference: ``latest``, ``2026.11``."""
    return _TAG.fullmatch(tag) is not None


def is_digest(digest: str) -> bool:
    """Say whether ``digest`` is a SHA-256 digest as images write it: ``sha256:`` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(digest) is not None


#: What engines put before names: Docker's own registry, its folder for names of one part, Podman's word for "here".
_UNSAID = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/", "localhost/")


def familiar_name(reference: str) -> str:
    """Write a name as people do: ``docker.io/library/httpd-php:latest`` and ``httpd-php:latest`` are the same.

    Podman puts ``docker.io/`` before the names that it is given through Docker's API, or ``localhost/`` where
    ``compat_api_enforce_docker_hub`` is off.
    """
    return next((reference.removeprefix(each) for each in _UNSAID if reference.startswith(each)), reference)


def split_pinned(reference: str) -> tuple[str, str] | None:
    """Split ``name@sha256:…`` into the name and the digest.

    A tag between the two (``name:tag@sha256:…``) is dropped, as engines do: the digest decides.

    Returns:
        The repository and the digest; ``None`` where ``reference`` is not of that form.
    """
    name, _, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag and is_tag(tag):
        name = head
    return (name, digest) if is_repository(name) and is_digest(digest) else None


_QUALIFIED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_][\w-]*)+")
_NO_NAME = re.compile(r"\W")


def variable_prefix(role: str) -> str:
    """Make the prefix of a role's variables out of its name.

    It is the last part of a name with dots (``acme.web``, ``acme.site.web``: ``web``) and of a path; what no variable
    can have in its name becomes ``_`` (``httpd-php``: ``httpd_php``; a folder ``web-2.0``: ``web_2_0``).

    Args:
        role: A short name, a name from Galaxy, a fully qualified one, or a path.
    """
    name = PurePath(role).name
    last = name.rpartition(".")[2] if _QUALIFIED.fullmatch(name) else name
    return _NO_NAME.sub("_", last)
