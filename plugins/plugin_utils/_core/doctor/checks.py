# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the engine and of this machine.

What was found about one thing that a build needs.

What the container engine is, and what of this project works on it.

What this machine has of what a build needs, besides the engine.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from ..bases.debian_bootstrap import own_mirrors
from ..engine.engine import connect
from ..engine.system import About, System
from ..errors import EngineError
from ..state.journal import state_folder


class FindingState(StrEnum):
    """How well a thing serves."""

    #: As it should be.
    WELL = "well"
    #: Chains can be built, but something is slower, or only some chains can.
    LIMITED = "limited"
    #: No chain can be built.
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found about one thing."""

    #: The thing: ``engine``, ``mmdebstrap`` …
    thing: str
    state: FindingState
    #: What is there, in words.
    found: str
    #: What to do; empty where nothing has to be done.
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Findings:
    """All of them."""

    #: Whether a chain can be built here.
    can_build: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Findings:
        """Sum up."""
        return cls(all(each.state is not FindingState.MISSING for each in findings), list(findings))


#: Seconds that an answer may take.
_ENGINE_SECONDS = 20

#: What a build container is limited by, and what of it stays without.
_UNLIMITED = {
    "memory": "tier_memory is not kept to",
    "processes": "a role's processes are not counted (tier_pids)",
}


def examine_engine() -> Iterator[Finding]:
    """Look at the engine that ``DOCKER_HOST`` names, else at the local one."""
    try:
        engine = connect(_ENGINE_SECONDS)
    except EngineError as error:
        yield Finding("engine", FindingState.MISSING, "none answers", str(error))
        return
    try:
        about = engine.system.about()
        yield Finding("engine", FindingState.WELL, f"{about.product} {about.version} at {engine.address}")
        yield _store(about)
        yield _rights(about)
        yield from _limits(engine.system)
        yield _files(about, engine.address)
    except EngineError as error:
        yield Finding("engine", FindingState.MISSING, "its answers are not those of an engine", str(error))
    finally:
        engine.close()


def _store(about: About) -> Finding:
    found = f"{about.store}, {about.platform}"
    if "containerd" in about.store:
        found += "; docker shows digests of manifests where Tierwright shows those of configurations"
    return Finding("images", FindingState.WELL, found)


def _rights(about: About) -> Finding:
    if not about.rootless:
        return Finding("engine's rights", FindingState.WELL, "root's")
    return Finding(
        "engine's rights",
        FindingState.LIMITED,
        "an ordinary user's (rootless)",
        "docs/engines.md says what was tried with a rootless engine",
    )


def _limits(system: System) -> Iterator[Finding]:
    missing = system.missing_limits()
    if not missing:
        yield Finding("limits of builds", FindingState.WELL, "memory and processes")
        return
    yield Finding(
        "limits of builds",
        FindingState.LIMITED,
        f"the engine cannot limit {' and '.join(missing)}: {'; '.join(_UNLIMITED[each] for each in missing)}",
        "give the engine these controllers of cgroups (systemd: Delegate=yes for the user's session)",
    )


def _files(about: About, address: str) -> Finding:
    """Whether layers can be read from the engine's own directories."""
    is_here = address.startswith("unix://") and os.path.isdir(about.folder)  # noqa: PTH112 - it may be empty
    if is_here and os.access(about.folder, os.R_OK | os.X_OK) and os.geteuid() == 0:
        return Finding("reading layers", FindingState.WELL, f"from the engine's own directories in {about.folder}")
    why = "they are root's" if is_here else "they are on another machine, or the engine does not tell where"
    return Finding(
        "reading layers",
        FindingState.LIMITED,
        f"through the engine's exports, which takes longer, since its directories cannot be read: {why}",
    )


_OLDEST_PYTHON = (3, 11)
_OLDEST_CORE = (2, 19)

#: Bytes that a chain as the demo takes on the way: a base's archive, layers that are being sealed.
_NEEDED = 4 << 30

#: Seconds that an archive may take to answer.
_ARCHIVE_SECONDS = 15


def examine_machine() -> Iterator[Finding]:
    """Look at this machine; the archive of packages is asked for one small file."""
    yield _python()
    yield _ansible()
    yield _mmdebstrap()
    yield _archive()
    yield from _disk()


def _python() -> Finding:
    found = "{}.{}.{}".format(*sys.version_info)
    if sys.version_info < _OLDEST_PYTHON:
        return Finding("Python", FindingState.MISSING, found, "take 3.11 or later")
    return Finding("Python", FindingState.WELL, found)


def _ansible() -> Finding:
    try:
        found = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return Finding("ansible-core", FindingState.MISSING, "none in this Python", "pip install tierwright brings it")
    if tuple(int(part) for part in found.split(".")[:2]) < _OLDEST_CORE:
        return Finding("ansible-core", FindingState.MISSING, found, "take 2.19 or later")
    return Finding("ansible-core", FindingState.WELL, found)


def _mmdebstrap() -> Finding:
    path = shutil.which("mmdebstrap")
    if path is not None:
        return Finding("mmdebstrap", FindingState.WELL, path)
    return Finding(
        "mmdebstrap",
        FindingState.LIMITED,
        "not there: tier_bootstrap cannot make a base, tier_import and tier_pull can",
        "ansible-playbook playbooks/engine.yml, or apt-get install mmdebstrap",
    )


def _archive() -> Finding:
    address = own_mirrors()["archive"].rstrip("/") + "/dists/stable/InRelease"
    try:
        with urllib.request.build_opener().open(address, timeout=_ARCHIVE_SECONDS) as answer:
            answer.read(1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        return Finding(
            "archive of packages",
            FindingState.LIMITED,
            f"{address} does not answer ({reason})",
            "roles that install packages fail; set mirrors (tier_bootstrap), proxies (tier_proxy), or mend the network",
        )
    return Finding("archive of packages", FindingState.WELL, address)


def _disk() -> Iterator[Finding]:
    """Where a chain's state is kept and where layers lie on their way to the engine."""
    places = {"state": state_folder("x").parent, "temporary files": Path(tempfile.gettempdir())}
    for thing, place in places.items():
        there = next(each for each in (place, *place.parents) if each.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            advice = "let XDG_STATE_HOME name another" if thing == "state" else "let TMPDIR name another"
            yield Finding(thing, FindingState.MISSING, f"{place} cannot be written to", advice)
            continue
        free = shutil.disk_usage(there).free
        enough = free >= _NEEDED
        yield Finding(
            thing,
            FindingState.WELL if enough else FindingState.LIMITED,
            f"{place}, {free >> 20:,} MiB free",
            "" if enough else f"a chain like the demo needs {_NEEDED >> 30} GiB on its way",
        )
