# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests that transfer files, or that manage Ansible's temporary folder. Each returns text for standard output."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from typing import Any

_CHUNK = 1 << 17


def put(request: dict[str, Any]) -> str:
    """Write standard input to the file ``path``."""
    with open(request["path"], "wb") as target:
        shutil.copyfileobj(sys.stdin.buffer, target, _CHUNK)
    return ""


def fetch(request: dict[str, Any]) -> str:
    """Write the file ``path`` to standard output."""
    with open(request["path"], "rb") as source:
        shutil.copyfileobj(source, sys.stdout.buffer, _CHUNK)
    return ""


def make(request: dict[str, Any]) -> str:
    """Create the folder ``name`` in ``base``, accessible only for its owner, and return a line with its path."""
    os.umask(0o077)
    path = f"{request['base']}/{request['name']}"
    os.makedirs(request["base"], exist_ok=True)
    os.mkdir(path)
    return f"{request['name']}={path}\n"


def allow(request: dict[str, Any]) -> str:
    """Give the owner all rights to each of ``paths``."""
    for path in request["paths"]:
        os.chmod(path, stat.S_IMODE(os.stat(path).st_mode) | stat.S_IRWXU)
    return ""


def remove(request: dict[str, Any]) -> str:
    """Remove the folder ``path`` if it exists."""
    if os.path.isdir(request["path"]):
        shutil.rmtree(request["path"])
    return ""
