# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Merges the settings of an image that several roles of one tier declare (``<role>_tier_config``)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: Settings that are dictionaries with independent keys.
_MERGED = ("env", "labels")

_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))")


def merge_settings(settings: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Merge the settings of roles, in the order in which the roles are applied.

    The result is that of one tier for each role, each based on the one before: a later value replaces an earlier one,
    ``env`` and ``labels`` are merged, ``$NAME`` in ``env`` stands for the earlier value, and an ``entrypoint`` removes
    the earlier ``cmd``.

    Args:
        settings: The settings of each role. They are not checked yet, so values may have any type.
    """
    merged: dict[str, Any] = {}
    for each in settings:
        if each.get("entrypoint") is not None and each.get("cmd") is None:
            merged.pop("cmd", None)
        for key, value in each.items():
            before = merged.get(key)
            if key in _MERGED and value and isinstance(value, Mapping) and isinstance(before, Mapping):
                merged[key] = {**before, **(_resolve(value, before) if key == "env" else value)}
            elif value is not None:
                merged[key] = value
    return merged


def _resolve(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """Replace the references to earlier values. All others are left for the parent's environment."""

    def earlier(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return str(before[name]) if name in before else match[0]

    return {name: _REFERENCE.sub(earlier, value) if isinstance(value, str) else value for name, value in values.items()}
