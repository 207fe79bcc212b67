# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags that Tierwright adds to images, in addition to the release tag. They cannot be used as release tags.

- ``key-…`` contains the build key.
- ``tested-…`` names the tests that the image passed.
- ``sources-…`` contains the key parts that are known before a build; only in a registry that is a shared cache.
- ``failed-…`` marks an image that failed its tests.
- ``resumed-…`` names the run that resumed a failed build. The image is never released.
- ``release-…`` contains the time of a release.
- ``withdrawn-…`` contains the time when a rollback withdrew the image.
- ``building-…`` names the run that holds the image.
- ``previous`` is the image that the release tag named before.
- ``candidate`` is the image that the teams that follow a tier try before its release tag moves; only in a registry.

Times are in UTC, and their order is also their order as text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

#: Tag of the image that the release tag named before its last move.
PREVIOUS = "previous"

#: Tag of the image that other teams try before it is published.
CANDIDATE = "candidate"

#: Tag of the signed record of what a chain has released, in the repository of each of its tiers.
RELEASE_RECORD = "release-record"

_CONTENT = "key-"
_TESTED = "tested-"
_SOURCES = "sources-"
_FAILED = "failed-"
_RESUMED = "resumed-"
_RELEASE = "release-"
_WITHDRAWN = "withdrawn-"
_BUILDING = "building-"
_FORMAT = "%Y%m%dT%H%M%SZ"
_MOMENT = r"[0-9]{8}T[0-9]{6}Z"
_OURS = re.compile(
    rf"(?:{_CONTENT}|{_FAILED}|{_SOURCES})[0-9a-f]{{16}}|{_TESTED}[0-9a-f]{{12}}-[0-9a-f]{{12}}|(?:{_RELEASE}|{_WITHDRAWN}){_MOMENT}"
    rf"|(?:{_BUILDING}|{_RESUMED}){_MOMENT}-[0-9a-f]{{8}}"
)


def release(moment: datetime) -> str:
    """Return the tag of a release at ``moment``: ``release-20261124T093000Z``."""
    return _RELEASE + moment.astimezone(UTC).strftime(_FORMAT)


def withdrawn(moment: datetime) -> str:
    """Return the tag of an image that was withdrawn at ``moment``."""
    return _WITHDRAWN + moment.astimezone(UTC).strftime(_FORMAT)


def failed(content: str) -> str:
    """Return the tag of an image that failed its tests, from its content tag (which the image does not get)."""
    return _FAILED + content.removeprefix(_CONTENT)


def resumed(run: str) -> str:
    """Return the tag of an image that ``run`` made in the container of a failed build."""
    return _RESUMED + run


def tested(tests: str, neighbours: str) -> str:
    """Return the tag of an image that passed its tests.

    Args:
        tests: Digest of the tests and the image. The image is included because other images may pass the same tests.
        neighbours: Digest of the neighbours that the tests started.
    """
    return f"{_TESTED}{tests[:12]}-{neighbours[:12]}"


def sources(key: str) -> str:
    """Return the tag of the newest image that was built from certain key parts, whatever its role used besides them.

    Args:
        key: Digest of these parts.
    """
    return _SOURCES + key[:16]


def building(run: str) -> str:
    """Return the tag of an image that ``run`` has made and holds."""
    return _BUILDING + run


def building_run(tag: str) -> str | None:
    """Return the run that holds an image by ``tag``; ``None`` if it is not a ``building-…`` tag."""
    return tag.removeprefix(_BUILDING) if tag.startswith(_BUILDING) and is_bookkeeping(tag) else None


def is_failed(tag: str) -> bool:
    """Say whether ``tag`` is a ``failed-…`` tag."""
    return tag.startswith(_FAILED) and is_bookkeeping(tag)


def is_resumed(tag: str) -> bool:
    """Say whether ``tag`` is a ``resumed-…`` tag."""
    return tag.startswith(_RESUMED) and is_bookkeeping(tag)


def is_tested(tag: str) -> bool:
    """Say whether ``tag`` is a ``tested-…`` tag."""
    return tag.startswith(_TESTED) and is_bookkeeping(tag)


def same_tests(tag: str, other: str) -> bool:
    """Say whether two ``tested-…`` tags belong to the same tests and image, even with different neighbours."""
    return tag.rpartition("-")[0] == other.rpartition("-")[0]


def is_release(tag: str) -> bool:
    """Say whether ``tag`` is a ``release-…`` tag."""
    return tag.startswith(_RELEASE) and is_bookkeeping(tag)


def is_withdrawn(tag: str) -> bool:
    """Say whether ``tag`` is a ``withdrawn-…`` tag."""
    return tag.startswith(_WITHDRAWN) and is_bookkeeping(tag)


def is_content(tag: str) -> bool:
    """Say whether ``tag`` is a content tag (``key-…``)."""
    return tag.startswith(_CONTENT) and is_bookkeeping(tag)


def is_bookkeeping(tag: str) -> bool:
    """Say whether ``tag`` has the form of a tag that Tierwright adds, except ``previous``."""
    return _OURS.fullmatch(tag) is not None


def is_reserved(tag: str) -> bool:
    """Say whether ``tag`` cannot be used as a release tag."""
    return tag in {PREVIOUS, CANDIDATE, RELEASE_RECORD} or is_bookkeeping(tag)


def is_lasting(name: str) -> bool:
    """Say whether a name identifies one build: its tag is reserved. Other names identify the image in use."""
    return is_reserved(name.rpartition(":")[2])


def moment(tag: str) -> datetime | None:
    """Return the time in a ``release-…`` or ``withdrawn-…`` tag; ``None`` if there is no valid time."""
    try:
        return datetime.strptime(tag.partition("-")[2], _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
