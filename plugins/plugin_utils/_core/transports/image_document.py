# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image as its configuration describes it. Any tool may have built it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ..errors import DamagedError

_ID = re.compile(r"sha256:[0-9a-f]{64}")
_OURS = re.compile(r"tierwright: tier (?P<tier>[^:]+): (?P<doing>.+)", re.DOTALL)
_TEAM = "team "
#: The role, its commit, and after a comma the extra privileges of the build container.
_ROLE = re.compile(r"role (?P<role>[^ ,]+)(?: at (?P<revision>[^ ,]+))?(?:,.*)?", re.DOTALL)
#: ``2026-11-24T09:12:33.123456789Z``: Python accepts at most six digits of a second, engines write nine.
_FRACTION = re.compile(r"(\.\d{6})\d+")


#: The end of the year 9999.
_LATEST = 253_402_300_799


class Step(msgspec.Struct, frozen=True):
    """One entry of an image's history."""

    #: Seconds since 1970; 0 if it is not recorded.
    created: int
    #: The command that made it, as the builder wrote it.
    created_by: str
    comment: str
    author: str
    #: Whether it made no layer; ``None`` if the place of the image does not report it.
    empty: bool | None

    @property
    def tier(self) -> str | None:
        """The tier whose layer it made; ``None`` if Tierwright did not make it."""
        match = _OURS.fullmatch(self.created_by)
        return match["tier"] if match else None

    @property
    def team(self) -> str | None:
        """The team that owns this tier; ``None`` if Tierwright did not make it, or no team is recorded."""
        if self.tier is None:
            return None
        return self.comment.removeprefix(_TEAM) if self.comment.startswith(_TEAM) else self.author or None

    @property
    def role(self) -> str | None:
        """The role that was applied; ``None`` for a base, and if Tierwright did not make it."""
        return self._role_part("role")

    @property
    def revision(self) -> str | None:
        """The last commit that changed the role; ``None`` if it is not recorded."""
        return self._role_part("revision")

    def _role_part(self, part: str) -> str | None:
        match = _OURS.fullmatch(self.created_by)
        role_match = _ROLE.fullmatch(match["doing"]) if match else None
        return role_match[part] if role_match else None


class Document(msgspec.Struct, frozen=True):
    """An image."""

    #: ``sha256:…`` of its configuration.
    id: str
    #: Names with tags, as its place lists them.
    names: tuple[str, ...]
    #: Digests of its uncompressed layers, the lowest first.
    layers: tuple[str, ...]
    #: Its history, oldest first.
    steps: tuple[Step, ...]
    #: Default settings of its containers (``Env``, ``Entrypoint`` …).
    config: Mapping[str, Any]
    #: Seconds since 1970; 0 if it is not recorded.
    created: int
    #: ``linux/amd64``.
    platform: str

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels. It may have inherited them."""
        return self.config.get("Labels") or {}

    @property
    def layer_steps(self) -> tuple[Step | None, ...]:
        """For each layer, the step that made it; ``None`` for all if the history does not match the layers."""
        steps = [step for step in self.steps if not step.empty]
        return tuple(steps) if len(steps) == len(self.layers) else (None,) * len(self.layers)


def parse(content: bytes, names: tuple[str, ...], what: str) -> Document:
    """Parse the configuration of an image.

    Args:
        content: The configuration as JSON. Its digest becomes the ID; a caller that expects a certain ID compares it.
        names: Names of the image.
        what: The image's name in messages.

    Raises:
        DamagedError: It is not the configuration of an image.
    """
    identity = digest(content)
    try:
        info = json.loads(content)
        layers = tuple(info["rootfs"]["diff_ids"] or ())
        steps = tuple(_parse_step(entry) for entry in info.get("history") or ())
        created = seconds(info.get("created"))
        platform = f"{info.get('os') or 'linux'}/{info.get('architecture') or 'unknown'}"
        config = _parse_config(info.get("config") or {})
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged: {identity} is not the configuration of an image") from error
    if bad := [layer for layer in layers if not (isinstance(layer, str) and _ID.fullmatch(layer))]:
        raise DamagedError(f"{what} is damaged: its configuration names layer {bad[0]!r}; expected sha256:…")
    return Document(identity, names, layers, steps, config, created, platform)


def digest(content: bytes) -> str:
    """Return the SHA-256 digest of ``content`` in the form ``sha256:…``."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def seconds(text: Any) -> int:
    """Convert an RFC 3339 time to seconds since 1970; an empty value or a time before 1970 becomes 0.

    Raises:
        ValueError: The text is not a time.
    """
    if not text:
        return 0
    return max(0, int(datetime.fromisoformat(_FRACTION.sub(r"\1", str(text))).timestamp()))


def timestamp(moment: int) -> str | None:
    """Convert seconds since 1970 to an RFC 3339 time in UTC; ``None`` for 0, and for years after 9999."""
    if not 0 < moment <= _LATEST:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parse_config(value: Any) -> dict[str, Any]:
    config = dict(value)
    if not isinstance(config.get("Env") or [], list) or not isinstance(config.get("Labels") or {}, dict):
        raise TypeError
    return config


def _parse_step(entry: Mapping[str, Any]) -> Step:
    return Step(
        created=seconds(entry.get("created")),
        created_by=str(entry.get("created_by") or ""),
        comment=str(entry.get("comment") or ""),
        author=str(entry.get("author") or ""),
        empty=bool(entry.get("empty_layer")),
    )
