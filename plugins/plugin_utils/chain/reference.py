# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names of images, as the distribution specification writes them.

The grammar is that of https://github.com/distribution/reference (``reference.go``): an optional host, path
components in lower case, a tag of at most 128 characters.
"""

from __future__ import annotations

import re

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


def familiar(reference: str) -> str:
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
