# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks of the container engine and of this machine, and their findings."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from enum import StrEnum
from http import HTTPStatus
from importlib import metadata
from pathlib import Path

import msgspec

from ..bases.debian_bootstrap import own_mirrors
from ..engine.engine import connect
from ..engine.system import About, System
from ..errors import EngineError
from ..state.journal import state_folder


class FindingState(StrEnum):
    """Result of one check."""

    #: Everything is as it should be.
    WELL = "well"
    #: Chains can be built, but builds are slower, or only some chains can be built.
    LIMITED = "limited"
    #: No chain can be built.
    MISSING = "missing"


class Finding(msgspec.Struct, frozen=True):
    """The result of one check."""

    #: What was checked: ``engine``, ``mmdebstrap`` …
    thing: str
    state: FindingState
    #: What the check found, for users.
    found: str
    #: What to do; empty if nothing has to be done.
    advice: str = ""


class Findings(msgspec.Struct, frozen=True):
    """The results of all checks."""

    #: Whether this machine can build chains.
    can_build: bool
    findings: list[Finding]

    @classmethod
    def of(cls, findings: Sequence[Finding]) -> Findings:
        """Sum up. Chains can be built unless a state is ``missing``."""
        return cls(all(each.state is not FindingState.MISSING for each in findings), list(findings))


#: Timeout of the engine's answers, in seconds.
_ENGINE_TIMEOUT = 20

#: Limit of a build container to the effect if the engine cannot enforce it.
_UNLIMITED = {
    "memory": "tier_memory has no effect",
    "processes": "the number of processes is not limited (tier_pids)",
}


def examine_engine() -> Iterator[Finding]:
    """Check the engine that ``DOCKER_HOST`` names, otherwise the local engine."""
    try:
        engine = connect(_ENGINE_TIMEOUT)
    except EngineError as error:
        yield Finding("engine", FindingState.MISSING, "no engine answers", str(error))
        return
    try:
        about = engine.system.about()
        yield Finding("engine", FindingState.WELL, f"{about.product} {about.version} at {engine.address}")
        yield _check_store(about)
        yield _check_privileges(about)
        yield from _check_limits(engine.system)
        yield _check_layer_access(about, engine.address)
    except EngineError as error:
        yield Finding("engine", FindingState.MISSING, "its answers are not those of a container engine", str(error))
    finally:
        engine.close()


def _check_store(about: About) -> Finding:
    found = f"{about.store}, {about.platform}"
    if "containerd" in about.store:
        found += "; image IDs differ: docker shows digests of manifests, Tierwright shows digests of configurations"
    return Finding("images", FindingState.WELL, found)


def _check_privileges(about: About) -> Finding:
    if not about.rootless:
        return Finding("engine's privileges", FindingState.WELL, "root")
    return Finding(
        "engine's privileges",
        FindingState.LIMITED,
        "a normal user (rootless)",
        "docs/engines.md lists what was tested with a rootless engine",
    )


def _check_limits(system: System) -> Iterator[Finding]:
    missing = system.missing_limits()
    if not missing:
        yield Finding("build limits", FindingState.WELL, "memory and processes")
        return
    yield Finding(
        "build limits",
        FindingState.LIMITED,
        f"the engine cannot limit {' and '.join(missing)}: {'; '.join(_UNLIMITED[each] for each in missing)}",
        "give the engine these cgroup controllers (systemd: Delegate=yes for the user's session)",
    )


def _check_layer_access(about: About, address: str) -> Finding:
    """Check whether layers can be read from the engine's own directories."""
    is_here = address.startswith("unix://") and os.path.isdir(about.folder)  # noqa: PTH112 - it may be empty
    if is_here and os.access(about.folder, os.R_OK | os.X_OK) and os.geteuid() == 0:
        return Finding("reading layers", FindingState.WELL, f"from the engine's own directories in {about.folder}")
    reason = "only root can read them" if is_here else "they are on another machine, or the engine does not report them"
    return Finding(
        "reading layers",
        FindingState.LIMITED,
        f"through exports of the engine, which is slower; the engine's directories cannot be read: {reason}",
    )


_OLDEST_PYTHON = (3, 11)
_OLDEST_CORE = (2, 19)

#: Bytes that a build of the demo chain needs temporarily: the archive of the base, and layers that are being sealed.
_NEEDED = 4 << 30


def examine_machine() -> Iterator[Finding]:
    """Check this machine. One of the checks requests one small file from the package archive."""
    yield _check_python()
    yield _check_ansible()
    yield _check_mmdebstrap()
    yield _check_archive()
    yield from _check_disk()


def _check_python() -> Finding:
    version = "{}.{}.{}".format(*sys.version_info)
    if sys.version_info < _OLDEST_PYTHON:
        return Finding("Python", FindingState.MISSING, version, "use Python 3.11 or later")
    return Finding("Python", FindingState.WELL, version)


def _check_ansible() -> Finding:
    try:
        version = metadata.version("ansible-core")
    except metadata.PackageNotFoundError:
        return Finding(
            "ansible-core", FindingState.MISSING, "not installed in this Python", "pip install tierwright installs it"
        )
    if tuple(int(part) for part in version.split(".")[:2]) < _OLDEST_CORE:
        return Finding("ansible-core", FindingState.MISSING, version, "install ansible-core 2.19 or later")
    return Finding("ansible-core", FindingState.WELL, version)


def _check_mmdebstrap() -> Finding:
    path = shutil.which("mmdebstrap")
    if path is not None:
        return Finding("mmdebstrap", FindingState.WELL, path)
    return Finding(
        "mmdebstrap",
        FindingState.LIMITED,
        "not installed: tier_bootstrap cannot make a base; tier_import and tier_pull can",
        "run ansible-playbook playbooks/engine.yml, or apt-get install mmdebstrap",
    )


def _check_archive() -> Finding:
    address = own_mirrors()["archive"].rstrip("/") + "/dists/stable/InRelease"
    from ..http_client import HttpClient, HttpError  # noqa: PLC0415 - slow import

    try:
        with HttpClient().request("GET", address) as answer:
            reason = "" if answer.status == HTTPStatus.OK else f"HTTP status {answer.status}"
    except HttpError as error:
        reason = str(error)
    if reason:
        return Finding(
            "package archive",
            FindingState.LIMITED,
            f"{address} does not answer ({reason})",
            "roles cannot install packages; set mirrors (tier_bootstrap) or proxies (tier_proxy), or fix the network",
        )
    return Finding("package archive", FindingState.WELL, address)


def _check_disk() -> Iterator[Finding]:
    """Check the folder of the chains' state, and the folder in which layers are stored until the engine has them."""
    folders = {"state": state_folder("x").parent, "temporary files": Path(tempfile.gettempdir())}
    for thing, folder in folders.items():
        existing = next(each for each in (folder, *folder.parents) if each.exists())
        if not os.access(existing, os.W_OK | os.X_OK):
            variable = "XDG_STATE_HOME" if thing == "state" else "TMPDIR"
            advice = f"make it writable, or set {variable} to another folder"
            yield Finding(thing, FindingState.MISSING, f"{folder} is not writable", advice)
            continue
        free = shutil.disk_usage(existing).free
        enough = free >= _NEEDED
        yield Finding(
            thing,
            FindingState.WELL if enough else FindingState.LIMITED,
            f"{folder}, {free >> 20:,} MiB free",
            "" if enough else f"free some space: a build of the demo chain needs {_NEEDED >> 30} GiB temporarily",
        )
