# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which version of a role ``ansible-galaxy`` installed, by what it left beside it.

Of a role that is ``meta/.galaxy_install_info``, with the version that was asked for: a tag, a branch or a commit. Of a
collection it is ``MANIFEST.json``, and ``FILES.json`` with a checksum of each file.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from .commit import Commit
from .files import INSTALL_INFO

_VERSION = re.compile(r"^version:[ \t]*(['\"]?)(?P<version>[^\s'\",]+)\1[ \t]*$", re.MULTILINE)
_ROLES = "roles"


def installed_version(role: Path) -> Commit | None:
    """Say which version of the role in a folder is installed; ``None`` where nothing says so.

    It has no date. Where a file of a collection's role is not as it was installed, it is not clean; of a role by itself
    that is not known.
    """
    return _of_role(role) or _of_collection(role)


def _of_role(role: Path) -> Commit | None:
    try:
        found = _VERSION.search((role / "meta" / INSTALL_INFO).read_text())
    except (OSError, UnicodeDecodeError):
        return None
    return Commit(found["version"], date=0) if found and found["version"] != "null" else None


def _of_collection(role: Path) -> Commit | None:
    if role.parent.name != _ROLES:
        return None
    collection = role.parent.parent
    said = _read(collection / "MANIFEST.json").get("collection_info")
    version = said.get("version") if isinstance(said, dict) else None
    return Commit(version, date=0, clean=_is_clean(collection, role)) if isinstance(version, str) else None


def _is_clean(collection: Path, role: Path) -> bool:
    listed = _read(collection / "FILES.json").get("files")
    prefix = f"{_ROLES}/{role.name}/"
    return isinstance(listed, list) and all(
        _digest(collection / each["name"]) == each.get("chksum_sha256")
        for each in listed
        if isinstance(each, dict) and each.get("ftype") == "file" and str(each.get("name")).startswith(prefix)
    )


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
