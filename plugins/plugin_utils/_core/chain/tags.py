# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tags that are put on a tier's images besides the release tag, and that no tier may have as its release tag.

``key-…`` says what an image was made from, ``tested-…`` which tests it passed, ``failed-…`` that it did not pass,
``release-…`` when it was released, ``withdrawn-…`` when a rollback took it back, ``building-…`` which run holds it.
``previous`` is what the release tag named before. Moments are in UTC and sort as text.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

#: Names the image that the release tag named before it last moved.
PREVIOUS = "previous"

_CONTENT = "key-"
_TESTED = "tested-"
_FAILED = "failed-"
_RELEASE = "release-"
_WITHDRAWN = "withdrawn-"
_BUILDING = "building-"
_FORMAT = "%Y%m%dT%H%M%SZ"
_MOMENT = r"[0-9]{8}T[0-9]{6}Z"
_OURS = re.compile(
    rf"(?:{_CONTENT}|{_FAILED})[0-9a-f]{{16}}|{_TESTED}[0-9a-f]{{12}}-[0-9a-f]{{12}}|(?:{_RELEASE}|{_WITHDRAWN}){_MOMENT}"
    rf"|{_BUILDING}{_MOMENT}-[0-9a-f]{{8}}"
)


def release(moment: datetime) -> str:
    """Tag of a release made at ``moment``: ``release-20261124T093000Z``."""
    return _RELEASE + moment.astimezone(UTC).strftime(_FORMAT)


def withdrawn(moment: datetime) -> str:
    """Tag of an image that was taken back at ``moment``."""
    return _WITHDRAWN + moment.astimezone(UTC).strftime(_FORMAT)


def failed(content: str) -> str:
    """Tag of an image that did not pass its tests, by the content tag that it did not get."""
    return _FAILED + content.removeprefix(_CONTENT)


def tested(tests: str, neighbours: str) -> str:
    """Tag of an image that passed its tests.

    Args:
        tests: Digest of the image and the tests: other images of the tier may pass the same ones.
        neighbours: Digest of what they ran with.
    """
    return f"{_TESTED}{tests[:12]}-{neighbours[:12]}"


def building(run: str) -> str:
    """Tag of an image that ``run`` has made and holds."""
    return _BUILDING + run


def building_run(tag: str) -> str | None:
    """The run that holds an image by ``tag``; ``None`` where it is another tag."""
    return tag.removeprefix(_BUILDING) if tag.startswith(_BUILDING) and is_bookkeeping(tag) else None


def is_failed(tag: str) -> bool:
    """Say whether ``tag`` says that an image did not pass its tests."""
    return tag.startswith(_FAILED) and is_bookkeeping(tag)


def is_tested(tag: str) -> bool:
    """Say whether ``tag`` says which tests an image passed."""
    return tag.startswith(_TESTED) and is_bookkeeping(tag)


def same_tests(tag: str, other: str) -> bool:
    """Say whether two such tags are of the same tests, whatever these ran with."""
    return tag.rpartition("-")[0] == other.rpartition("-")[0]


def is_release(tag: str) -> bool:
    """Say whether ``tag`` is that of a release."""
    return tag.startswith(_RELEASE) and is_bookkeeping(tag)


def is_withdrawn(tag: str) -> bool:
    """Say whether ``tag`` says that an image was taken back."""
    return tag.startswith(_WITHDRAWN) and is_bookkeeping(tag)


def is_content(tag: str) -> bool:
    """Say whether ``tag`` says what an image was made from."""
    return tag.startswith(_CONTENT) and is_bookkeeping(tag)


def is_bookkeeping(tag: str) -> bool:
    """Say whether ``tag`` is our own note on an image; every other tag is somebody's name for it."""
    return _OURS.fullmatch(tag) is not None


def is_reserved(tag: str) -> bool:
    """Say whether ``tag`` may not be a tier's release tag."""
    return tag == PREVIOUS or is_bookkeeping(tag)


def is_lasting(name: str) -> bool:
    """Say whether a name tells which build an image is (its key, a release), and not that it is the one in use."""
    return is_reserved(name.rpartition(":")[2])


def moment(tag: str) -> datetime | None:
    """The moment that a release's, or a withdrawn image's, tag tells; ``None`` where there is no such moment."""
    try:
        return datetime.strptime(tag.partition("-")[2], _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None
