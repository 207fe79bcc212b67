# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Changes of packages and settings as lines of text."""

from __future__ import annotations

import json

from ..text import one_line
from ..transports.image import PackageChange
from .comparison import SettingChange


def format_package(change: PackageChange) -> str:
    """Format the change of a package as one line: ``+ curl 7.88.1``, ``~ curl 7.88.1 -> 7.88.2``."""
    if change.before is None:
        return f"+ {change.name} {change.after}"
    if change.after is None:
        return f"- {change.name} {change.before}"
    return f"~ {change.name} {change.before} -> {change.after}"


def format_setting(change: SettingChange) -> str:
    """Format the change of a setting as one line: ``+ User = www``, ``~ LANG = C -> C.UTF-8``."""
    if change.before is None:
        return f"+ {change.name} = {_format_value(change.after)}"
    if change.after is None:
        return f"- {change.name} = {_format_value(change.before)}"
    return f"~ {change.name} = {_format_value(change.before)} -> {_format_value(change.after)}"


def _format_value(value: object) -> str:
    return one_line(value if isinstance(value, str) else json.dumps(value))
