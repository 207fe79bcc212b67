# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of chains, names of images, and the prefix of a role's variables.

The labels of images contain the name of their chain, so it must be the same in every clone of a project. The name is
also used for a folder, so it must not be a path to a different folder.

Image names follow the grammar of https://github.com/distribution/reference (``reference.go``): an optional host, path
components in lower case, and a tag of at most 128 characters.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from ..errors import ChainError

#: Maximum length of a name in a file name, in bytes. A file name may have 255, and ours also have a suffix.
MAX_LENGTH = 200

_LENGTH_RULE = f"at most {MAX_LENGTH} bytes, where each character except A-Z a-z 0-9 _ . - ~ counts as three or more"

#: Number of characters of a too long name that a message quotes.
_QUOTED_LENGTH = 40

#: Folder names that many projects have. They do not identify a project.
_GENERIC_FOLDERS = frozenset(
    """
    ansible app apps automation build builder builds chain chains checkout ci code conf config data deploy
    deployment env environment environments environs etc git home host hosts infra infrastructure inv
    inventories inventory local main master mnt opt playbook playbooks project projects repo repos repository
    root source sources src srv tiers tmp usr var work workdir workspace workspaces
    """.split()  # noqa: SIM905 - words are read best as text
)

#: Folder names for the purpose of an inventory. They do not identify a project.
_STAGES = frozenset(
    """
    acceptance default dev development integration live preprod pre-production prod production qa sandbox stage
    staging test testing tests uat
    """.split()  # noqa: SIM905 - words are read best as text
)


def file_name(name: str) -> str:
    """Quote a name so that it is a valid file name, or the beginning of one. It is not a path and not hidden.

    :func:`urllib.parse.unquote` returns the original name.

    Raises:
        ChainError: The name is too long.
    """
    quoted = quote(name, safe="")
    if len(quoted) > MAX_LENGTH:
        raise ChainError(f"the name {name[:_QUOTED_LENGTH]!r}… is too long; {_LENGTH_RULE}")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted


def check_chain_name(variable: str, name: Any) -> str:
    """Check the name of a chain.

    Args:
        variable: The variable that contains it, for the message.
        name: The value of this variable: a string, or a number.

    Returns:
        The name as a string.

    Raises:
        ChainError: It is not a valid name.
    """
    is_number = isinstance(name, int | float) and not isinstance(name, bool)
    problem = name_problem(str(name)) if is_number or isinstance(name, str) else "expected a string"
    if problem is not None:
        raise ChainError(
            f"{variable} is {name!r}, which is not a valid name of a chain: {problem}; use a name such as "
            f"{variable}: shop"
        )
    return str(name)


def name_problem(name: str) -> str | None:
    """Return why ``name`` is not a valid name of a chain; ``None`` if it is valid."""
    if not name.isprintable() or name != name.strip() or not name:
        return "a name must consist of printable characters, without spaces at the beginning and the end"
    if name.startswith("."):
        return "a name must not begin with a dot, because it is also the name of a folder"
    return f"it is too long; {_LENGTH_RULE}" if len(quote(name, safe="")) > MAX_LENGTH else None


def is_generic_name(name: str) -> bool:
    """Say whether ``name`` does not identify a project. Older versions gave such names to chains of any project."""
    return name.lower() in _GENERIC_FOLDERS | _STAGES


def default_chain_name(inventory: PurePath) -> str | None:
    """Return the default name of a chain, from the folder of its inventory.

    Generic folder names are ignored, so the name for ``shop/inventory`` is ``shop``. The name for
    ``shop/inventories/production`` is ``shop-production``, because each inventory of a project is a separate chain.

    Args:
        inventory: Absolute path of the folder of the inventory.

    Returns:
        The name; ``None`` if all folder names are generic.
    """
    stages: list[str] = []
    for folder in reversed(inventory.parts[1:]):
        if folder.lower() in _STAGES:
            stages.insert(0, folder)
        elif folder.lower() not in _GENERIC_FOLDERS and name_problem(folder) is None:
            return "-".join([folder, *stages])
    return None


_SEPARATOR = r"(?:[._]|__|-+)"
_COMPONENT = rf"[a-z0-9]+(?:{_SEPARATOR}[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_HOST = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_REPOSITORY = re.compile(rf"(?:(?:{_HOST})/)?{_COMPONENT}(?:/{_COMPONENT})*", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[a-f0-9]{64}", re.ASCII)
_MAX_REPOSITORY_LENGTH = 255


def is_repository(name: str) -> bool:
    """Say whether ``name`` is a valid image name without a tag: ``httpd-php``, ``example.org:5000/team/httpd-php``."""
    return len(name) <= _MAX_REPOSITORY_LENGTH and _REPOSITORY.fullmatch(name) is not None


def split_registry(name: str) -> tuple[str, str] | None:
    """Split an image name into the host of its registry and the name there; ``None`` if it names no registry.

    As engines do, the first part is a host if it contains a dot or a colon, or is ``localhost``.
    """
    host, slash, rest = name.partition("/")
    return (host, rest) if slash and (set(".:") & set(host) or host == "localhost") else None


def is_tag(tag: str) -> bool:
    """Say whether ``tag`` is a valid tag: ``latest``, ``2026.11``."""
    return _TAG.fullmatch(tag) is not None


def is_digest(digest: str) -> bool:
    """Say whether ``digest`` is a SHA-256 digest of an image: ``sha256:`` and 64 hexadecimal digits."""
    return _DIGEST.fullmatch(digest) is not None


#: Prefixes that engines add to names: Docker's default registry and its namespace ``library``, and Podman's
#: ``localhost``.
_IMPLIED_PREFIXES = ("docker.io/library/", "docker.io/", "index.docker.io/library/", "index.docker.io/", "localhost/")


def familiar_name(reference: str) -> str:
    """Return the short form of a name: ``httpd-php:latest`` for ``docker.io/library/httpd-php:latest``.

    For names from Docker's API, Podman adds the prefix ``docker.io/``, or ``localhost/`` if
    ``compat_api_enforce_docker_hub`` is off.
    """
    prefix = next((prefix for prefix in _IMPLIED_PREFIXES if reference.startswith(prefix)), "")
    return reference.removeprefix(prefix)


def split_pinned(reference: str) -> tuple[str, str] | None:
    """Split ``name@sha256:…`` into the name and the digest.

    A tag between them (``name:tag@sha256:…``) is ignored, as engines do.

    Returns:
        The repository and the digest; ``None`` if ``reference`` does not have this form.
    """
    name, _, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    if colon and "/" not in tag and is_tag(tag):
        name = head
    return (name, digest) if is_repository(name) and is_digest(digest) else None


_QUALIFIED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_][\w-]*)+")
_NOT_IN_NAMES = re.compile(r"\W")


def variable_prefix(role: str) -> str:
    """Return the prefix of a role's variables, such as ``httpd_php`` for ``httpd_php_tier_config``.

    It is the last part of a name with dots (``web`` for ``acme.web`` and ``acme.site.web``), or of a path. Characters
    that a variable name cannot contain become ``_`` (``httpd_php`` for ``httpd-php``; ``web_2_0`` for a folder
    ``web-2.0``).

    Args:
        role: A short name, a name from Galaxy, a fully qualified name, or a path.
    """
    name = PurePath(role).name
    last = name.rpartition(".")[2] if _QUALIFIED.fullmatch(name) else name
    return _NOT_IN_NAMES.sub("_", last)
