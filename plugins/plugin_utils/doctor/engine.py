# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the container engine is, and what of this project works on it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..engine.engine import connect
from ..engine.system import About, System
from ..errors import EngineError
from .finding import Finding, State

#: Seconds that an answer may take.
_TIMEOUT = 20

#: What a build container is limited by, and what of it stays without.
_UNLIMITED = {
    "memory": "tier_memory is not kept to",
    "processes": "a role's processes are not counted (tier_pids)",
}


def examine() -> Iterator[Finding]:
    """Look at the engine that ``DOCKER_HOST`` names, else at the local one."""
    try:
        engine = connect(_TIMEOUT)
    except EngineError as error:
        yield Finding("engine", State.MISSING, "none answers", str(error))
        return
    try:
        about = engine.system.about()
        yield Finding("engine", State.WELL, f"{about.product} {about.version} at {engine.address}")
        yield _store(about)
        yield _rights(about)
        yield from _limits(engine.system)
        yield _files(about, engine.address)
    except EngineError as error:
        yield Finding("engine", State.MISSING, "its answers are not those of an engine", str(error))
    finally:
        engine.close()


def _store(about: About) -> Finding:
    found = f"{about.store}, {about.platform}"
    if "containerd" in about.store:
        found += "; docker shows digests of manifests where Tierwright shows those of configurations"
    return Finding("images", State.WELL, found)


def _rights(about: About) -> Finding:
    if not about.rootless:
        return Finding("engine's rights", State.WELL, "root's")
    return Finding(
        "engine's rights",
        State.LIMITED,
        "an ordinary user's (rootless)",
        "docs/engines.md says what was tried with a rootless engine",
    )


def _limits(system: System) -> Iterator[Finding]:
    missing = system.missing_limits()
    if not missing:
        yield Finding("limits of builds", State.WELL, "memory and processes")
        return
    yield Finding(
        "limits of builds",
        State.LIMITED,
        f"the engine cannot limit {' and '.join(missing)}: {'; '.join(_UNLIMITED[each] for each in missing)}",
        "give the engine these controllers of cgroups (systemd: Delegate=yes for the user's session)",
    )


def _files(about: About, address: str) -> Finding:
    """Whether layers can be read from the engine's own directories."""
    is_here = address.startswith("unix://") and os.path.isdir(about.folder)  # noqa: PTH112 - it may be empty
    if is_here and os.access(about.folder, os.R_OK | os.X_OK) and os.geteuid() == 0:
        return Finding("reading layers", State.WELL, f"from the engine's own directories in {about.folder}")
    why = "they are root's" if is_here else "they are on another machine, or the engine does not tell where"
    return Finding(
        "reading layers",
        State.LIMITED,
        f"through the engine's exports, which takes longer, since its directories cannot be read: {why}",
    )
