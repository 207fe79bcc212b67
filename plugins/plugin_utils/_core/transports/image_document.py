# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An image as its configuration describes it, whoever built it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import DamagedError

_ID = re.compile(r"sha256:[0-9a-f]{64}")
_OURS = re.compile(r"tierwright: tier (?P<tier>[^:]+): (?P<doing>.+)", re.DOTALL)
_TEAM = "team "
#: What follows the tier of a role: the commit, and after a comma what the build container was allowed beyond the usual.
_ROLE = re.compile(r"role (?P<role>[^ ,]+)(?: at (?P<revision>[^ ,]+))?(?:,.*)?", re.DOTALL)
#: ``2026-11-24T09:12:33.123456789Z``: Python takes six digits of a second at most, engines write nine.
_FRACTION = re.compile(r"(\.\d{6})\d+")


#: The end of the year 9999.
_LATEST = 253_402_300_799


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of an image's history."""

    #: Seconds since 1970; 0 where it is not said.
    created: int
    #: The command that made it, as the builder wrote it.
    created_by: str
    comment: str
    author: str
    #: Whether it made no layer; ``None`` where the place the image is in does not tell.
    empty: bool | None

    @property
    def tier(self) -> str | None:
        """The tier that it is the layer of; ``None`` where Tierwright did not make it."""
        ours = _OURS.fullmatch(self.created_by)
        return ours["tier"] if ours else None

    @property
    def team(self) -> str | None:
        """The team that owns that tier."""
        if self.tier is None:
            return None
        return self.comment.removeprefix(_TEAM) if self.comment.startswith(_TEAM) else self.author or None

    @property
    def role(self) -> str | None:
        """The role that was applied; ``None`` for a base."""
        return self._applied("role")

    @property
    def revision(self) -> str | None:
        """The last commit that touched the role; ``None`` where it is not told."""
        return self._applied("revision")

    def _applied(self, part: str) -> str | None:
        ours = _OURS.fullmatch(self.created_by)
        applied = _ROLE.fullmatch(ours["doing"]) if ours else None
        return applied[part] if applied else None


@dataclass(frozen=True, slots=True)
class Document:
    """An image."""

    #: ``sha256:…`` of its configuration.
    id: str
    #: Names with tags, as the place that it is in has them.
    names: tuple[str, ...]
    #: Digests of its uncompressed layers, the lowest first.
    layers: tuple[str, ...]
    #: Its history, oldest first.
    steps: tuple[Step, ...]
    #: What containers of it run with (``Env``, ``Entrypoint`` …).
    config: Mapping[str, Any]
    #: Seconds since 1970; 0 where it is not said.
    created: int
    #: ``linux/amd64``.
    platform: str

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels, which it may have inherited."""
        return self.config.get("Labels") or {}

    @property
    def makers(self) -> tuple[Step | None, ...]:
        """The step that made each layer; ``None`` for all where the history does not match the layers."""
        made = [step for step in self.steps if not step.empty]
        return tuple(made) if len(made) == len(self.layers) else (None,) * len(self.layers)


def parse(content: bytes, names: tuple[str, ...], what: str) -> Document:
    """Read an image's configuration.

    Args:
        content: The document; its digest becomes the ID, which the caller compares where it expects one.
        names: Names of the image.
        what: What the image is called in messages.

    Raises:
        DamagedError: It is no such document.
    """
    identity = digest(content)
    try:
        told = json.loads(content)
        layers = tuple(told["rootfs"]["diff_ids"] or ())
        steps = tuple(_step(each) for each in told.get("history") or ())
        created = seconds(told.get("created"))
        platform = f"{told.get('os') or 'linux'}/{told.get('architecture') or 'unknown'}"
        config = _settings(told.get("config") or {})
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DamagedError(f"{what} is damaged: {identity} is no configuration of an image") from error
    if bad := [layer for layer in layers if not (isinstance(layer, str) and _ID.fullmatch(layer))]:
        raise DamagedError(f"{what} is damaged: its configuration names layer {bad[0]!r}; expected sha256:…")
    return Document(identity, names, layers, steps, config, created, platform)


def digest(content: bytes) -> str:
    """SHA-256 digest as images write it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def seconds(text: Any) -> int:
    """Seconds since 1970 of an RFC 3339 time; 0 where there is none, or it is before 1970.

    Raises:
        ValueError: It is no time.
    """
    if not text:
        return 0
    return max(0, int(datetime.fromisoformat(_FRACTION.sub(r"\1", str(text))).timestamp()))


def timestamp(moment: int) -> str | None:
    """RFC 3339 time of seconds since 1970, in UTC; ``None`` for 0, and for what no calendar has."""
    if not 0 < moment <= _LATEST:
        return None
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _settings(told: Any) -> dict[str, Any]:
    config = dict(told)
    if not isinstance(config.get("Env") or [], list) or not isinstance(config.get("Labels") or {}, dict):
        raise TypeError
    return config


def _step(told: Mapping[str, Any]) -> Step:
    return Step(
        created=seconds(told.get("created")),
        created_by=str(told.get("created_by") or ""),
        comment=str(told.get("comment") or ""),
        author=str(told.get("author") or ""),
        empty=bool(told.get("empty_layer")),
    )
