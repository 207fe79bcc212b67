# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of an image that its containers start with, compared with those of its parent."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from ..image import labels
from ..text import one_line

#: Settings with one value, by their names in an image's configuration.
_NAMES = {
    "Entrypoint": "entrypoint",
    "Cmd": "command",
    "User": "user",
    "WorkingDir": "working directory",
    "StopSignal": "stop signal",
    "Healthcheck": "health check",
    "Shell": "shell",
}
#: Settings that are sets: an object whose keys count.
_SETS = {"ExposedPorts": "port", "Volumes": "volume"}
_VARIABLE, _LABEL = "variable", "label"
#: Limit for the characters of a value.
_LONGEST = 400


class Setting(msgspec.Struct, frozen=True):
    """A setting of an image."""

    #: ``entrypoint``, ``variable``, ``label`` …
    kind: str
    #: Name of the variable or label; otherwise empty.
    name: str
    value: str
    #: Whether the parent's image lacks it, or has a different value.
    is_own: bool


def read_settings(config: Mapping[str, Any], parent: Mapping[str, Any] | None) -> list[Setting]:
    """Read the settings of an image. Labels of Tierwright are left out: the report shows what they mean.

    Args:
        config: The settings (``Env``, ``Entrypoint`` …). Anything can be in them.
        parent: Those of the parent's image; ``None`` if there is none.
    """
    inherited = dict(_pairs(parent)) if parent is not None else {}
    return [
        Setting(kind, name, one_line(value, _LONGEST), inherited.get((kind, name)) != value)
        for (kind, name), value in _pairs(config)
    ]


def _pairs(config: Mapping[str, Any]) -> Iterator[tuple[tuple[str, str], str]]:
    for key, kind in _NAMES.items():
        if config.get(key):
            yield (kind, ""), _text(config[key])
    for key, kind in _SETS.items():
        for name in sorted(map(str, config.get(key) or ())):
            yield (kind, name), name
    for variable in config.get("Env") or ():
        name, _, value = str(variable).partition("=")
        yield (_VARIABLE, name), value
    for name, value in sorted((config.get("Labels") or {}).items()):
        if not str(name).startswith(labels.PREFIX):
            yield (_LABEL, str(name)), _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
