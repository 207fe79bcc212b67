# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What this machine has of what a build needs, besides the engine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from ..image.bootstrap import own_mirrors
from ..run.journal import state_folder
from .finding import Finding, State

_OLDEST_PYTHON = (3, 11)
_OLDEST_CORE = (2, 19)

#: Bytes that a chain as the demo takes on the way: a base's archive, layers that are being sealed.
_NEEDED = 4 << 30

#: Seconds that an archive may take to answer.
_TIMEOUT = 15


def examine() -> Iterator[Finding]:
    """Look at this machine; the archive of packages is asked for one small file."""
    yield _python()
    yield _ansible()
    yield _mmdebstrap()
    yield _archive()
    yield from _disk()


def _python() -> Finding:
    found = "{}.{}.{}".format(*sys.version_info)
    if sys.version_info < _OLDEST_PYTHON:
        return Finding("Python", State.MISSING, found, "take 3.11 or later")
    return Finding("Python", State.WELL, found)


def _ansible() -> Finding:
    try:
        found = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return Finding("ansible-core", State.MISSING, "none in this Python", "pip install tierwright brings it")
    if tuple(int(part) for part in found.split(".")[:2]) < _OLDEST_CORE:
        return Finding("ansible-core", State.MISSING, found, "take 2.19 or later")
    return Finding("ansible-core", State.WELL, found)


def _mmdebstrap() -> Finding:
    path = shutil.which("mmdebstrap")
    if path is not None:
        return Finding("mmdebstrap", State.WELL, path)
    return Finding(
        "mmdebstrap",
        State.LIMITED,
        "not there: tier_bootstrap cannot make a base, tier_import and tier_pull can",
        "ansible-playbook playbooks/engine.yml, or apt-get install mmdebstrap",
    )


def _archive() -> Finding:
    address = own_mirrors()["archive"].rstrip("/") + "/dists/stable/InRelease"
    try:
        with urllib.request.urlopen(address, timeout=_TIMEOUT) as answer:  # noqa: S310 - apt's own address
            answer.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding(
            "archive of packages",
            State.LIMITED,
            f"{address} does not answer ({reason})",
            "roles that install packages fail; set mirrors (tier_bootstrap), proxies (tier_proxy), or mend the network",
        )
    return Finding("archive of packages", State.WELL, address)


def _disk() -> Iterator[Finding]:
    """Where a chain's state is kept and where layers lie on their way to the engine."""
    places = {"state": state_folder("x").parent, "temporary files": Path(tempfile.gettempdir())}
    for thing, place in places.items():
        there = next(each for each in (place, *place.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            advice = "let XDG_STATE_HOME name another" if thing == "state" else "let TMPDIR name another"
            yield Finding(thing, State.MISSING, f"{place} cannot be written to", advice)
            continue
        free = shutil.disk_usage(there).free
        enough = free >= _NEEDED
        yield Finding(
            thing,
            State.WELL if enough else State.LIMITED,
            f"{place}, {free >> 20:,} MiB free",
            "" if enough else f"a chain like the demo needs {_NEEDED >> 30} GiB on its way",
        )
