# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Throw-away containers of a tier: of its image, or a build container on the image of its parent.

Each belongs to a process, and is removed with it: a separate process waits for its end, also for a kill.
"""

from __future__ import annotations

import os
import secrets
import select
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ..agent import launch
from ..chain.tier import Cage
from ..contract.reaper import RUN_MODULE
from ..engine.confinement import confined
from ..engine.containers import EPOCH, IDLE_SCRIPT
from ..engine.docker_config import engine_address
from ..engine.engine import Engine, connect
from ..engine.inspection import Image
from ..engine.services import ContainerSettings
from ..errors import SourceError
from ..image import labels
from ..image.configuration import left_out_variables
from ..interpreter import mounted_python
from ..local_files import lock
from ..sealing.stage_image import stage
from ..state.owner import process_birth
from ..tier_build.cleanup import clear_run, container_name

_ROOT = "0:0"
_PATH = "PATH"
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POLL_SECONDS = 0.5

#: Folder in the container in which Ansible finds the mounted Python if the image has none. The mount has more programs.
_FOUND = "/dev/tierwright-found"
_OFFER_PYTHON = f"mkdir {_FOUND} && ln -s {mounted_python.MOUNT}/bin/python3 {_FOUND}/python3"
_LOCK_SECONDS = 150
#: Name of the file with the ID of a shared container.
_CONTAINER = "container"

Say = Callable[[str], None]


class ThrowAway(msgspec.Struct, frozen=True):
    """A throw-away container."""

    #: ID of the container.
    container: str
    #: The run in its labels, with which it is removed. No journal of it exists.
    run: str


def start_of_image(engine: Engine, image: Image, tier: str, owner: int, say: Say, key: str = "") -> ThrowAway:
    """Start a container of a tier's image in which none of its programs run.

    It has the rights and the network that the engine gives to every container. If the image has no Python, modules run
    with the Python that build containers mount.

    Args:
        engine: The engine.
        image: The image. It must have a shell.
        tier: Name of the tier.
        owner: ID of the process with which the container is removed.
        say: Called with lines for the user.
        key: Key of its shared folder, which is removed too; empty if it has none.

    Raises:
        EngineError: The engine rejected a request, or the image has no shell.
    """
    run = _new_run()
    _remove_with(owner, run, key)
    mounts, environment = [], {}
    with suppress(SourceError):  # its base cannot give a Python; programs of the image work all the same
        python = mounted_python.ensure(engine, tier=tier, parent_image=image, run=run, say=say)
        if python is not None:
            mounts = [python.mount]
            environment = {_PATH: f"{_path_of(image)}:{_FOUND}"}
    settings = ContainerSettings(
        image.id,
        _labels(run, tier, image.labels.get(labels.CHAIN, "")),
        environment=environment,
        user=_ROOT,
        command=("/bin/sh", "-c", f"{_OFFER_PYTHON}; {IDLE_SCRIPT}" if mounts else IDLE_SCRIPT),
        bare=True,
        networks={engine.kind.default_network: ()},
        mounts=mounts,
    )
    return ThrowAway(engine.services.start(settings), run)


def start_build(engine: Engine, parent_image: Image, tier: str, cage: Cage, owner: int, say: Say) -> ThrowAway:
    """Start a build container for a tier, as its first build would get it.

    Args:
        engine: The engine.
        parent_image: The image of the tier's parent.
        tier: Name of the tier.
        cage: Its limits.
        owner: ID of the process with which the container is removed.
        say: Called with lines for the user.

    Raises:
        SourceError: No Python for modules can be made.
        EngineError: The engine rejected a request.
    """
    run = _new_run()
    _remove_with(owner, run)
    if unset := left_out_variables(parent_image.config.get("Env") or ()):
        say(f"variables of its parent that are not set during the build: {', '.join(unset)}")
    python = mounted_python.ensure(engine, tier=tier, parent_image=parent_image, run=run, say=say)
    mounts = [python.mount, mounted_python.cache_mount(engine, parent_image)] if python else []
    container = engine.containers.start(
        name=container_name(run, tier),
        image=stage(engine, parent_image, run, tier),
        tier=tier,
        labels=_labels(run, tier, parent_image.labels.get(labels.CHAIN, "")),
        confined=confined(engine.system, cage, family=parent_image.labels.get(labels.FAMILY), say=say, mounts=mounts),
        environment={**(python.environment() if python else {}), EPOCH: str(parent_image.created)},
    )
    return ThrowAway(container.id, run)


def remove(engine: Engine, throw_away: ThrowAway) -> None:
    """Remove a throw-away container now.

    Raises:
        EngineError: The engine rejected a request.
    """
    clear_run(engine, throw_away.run)


def shared_container(tier: str, owner: int, start: Callable[[str], ThrowAway]) -> str:
    """Return the container that all tasks of one process of Ansible share for a tier. The first task starts it.

    Args:
        tier: Name of the tier.
        owner: ID of the process.
        start: Starts the container; called with the key of its shared folder.

    Raises:
        EngineError: The engine rejected a request.
        RunError: A different task held the lock for starting it until the timeout.
    """
    key = f"throw-away-{owner}-{process_birth(owner)}-{tier}"
    noted = launch.make_agent_folder(engine_address(), key) / _CONTAINER
    with launch.agent_lock(engine_address(), key).open("wb") as file:
        lock(file, _LOCK_SECONDS)
        if not noted.exists():
            noted.write_text(start(key).container)
        return noted.read_text()


def _labels(run: str, tier: str, chain: str) -> dict[str, str]:
    return {**labels.work(run, tier), labels.CHAIN: chain}


def _path_of(image: Image) -> str:
    entries = (str(entry).partition("=") for entry in image.config.get("Env") or ())
    return next((value for name, _, value in entries if name == _PATH), _DEFAULT_PATH)


def _new_run() -> str:
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def _remove_with(owner: int, run: str, key: str = "") -> None:
    """Start the process that removes the container of a run when its owner has ended."""
    library = Path(__file__).parents[1]
    module = f"{library.name}.{Path(__file__).parent.name}.{Path(__file__).stem}"
    # It has a session of its own, so that Ctrl-C does not end it, too.
    subprocess.Popen(
        [sys.executable, "-c", RUN_MODULE, str(library.parent), module, str(owner), run, key],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _wait_for(owner: int) -> None:
    try:
        descriptor = os.pidfd_open(owner)
    except ProcessLookupError:
        return
    except (AttributeError, OSError):
        birth = process_birth(owner)
        while birth and process_birth(owner) == birth:
            time.sleep(_POLL_SECONDS)
        return
    select.select([descriptor], [], [])


def _main(owner: str, run: str, key: str) -> None:
    _wait_for(int(owner))
    clear_run(connect(), run)
    if key:
        with suppress(OSError):
            container = (launch.agent_folder(engine_address(), key) / _CONTAINER).read_text()
            launch.remove_agent_folder(engine_address(), container)
        launch.remove_agent_folder(engine_address(), key)


if __name__ == "__main__":
    _main(*sys.argv[1:])
