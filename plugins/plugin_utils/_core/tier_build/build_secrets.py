# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gives secrets to a build container, and takes them away again.

They are files in the container's memory: ``/dev`` is a tmpfs, so they are never part of its file system. They travel
through standard input, because everybody on the machine can read arguments and environments.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..engine.engine import Engine
from ..engine.streams import Output
from ..errors import EngineError, SealError, SourceError

#: Folder of the secrets in a build container.
FOLDER = "/dev/tierwright-secrets"

#: Socket of the controller's SSH agent in a build container.
SSH_AGENT = "/dev/tierwright-ssh-agent"

_WRITE = f'umask 077 && mkdir -p {FOLDER} && cat >{FOLDER}/"$1" && chmod 400 {FOLDER}/"$1"'
_REMOVE = f"rm -rf {FOLDER}; ! [ -e {FOLDER} ]"


def give_secrets(engine: Engine, tier: str, container: str, secrets: Mapping[str, str]) -> None:
    """Write each secret to a file that only root in the container may read.

    Args:
        engine: The engine.
        tier: Name of the tier, for messages.
        container: ID of its build container, which runs.
        secrets: The content of each file, by its name.

    Raises:
        EngineError: A file cannot be written.
    """
    for name, text in secrets.items():
        output = Output()
        command = ["/bin/sh", "-c", _WRITE, "sh", name]
        if engine.exec.run(container, command, stdin=[text.encode()], take=output.take, user="0:0") != 0:
            reason = output.stderr.decode(errors="replace").strip()
            raise EngineError(f"tier {tier!r}: writing {FOLDER}/{name} in its build container failed: {reason}")


def take_secrets(engine: Engine, tier: str, container: str) -> None:
    """Remove the secrets from a build container, and check that they are gone.

    Raises:
        SealError: They are still there.
        EngineError: The engine rejected a request.
    """
    command = ["/bin/sh", "-c", _REMOVE]
    if engine.exec.run(container, command, take=lambda _stream, _data: None, user="0:0") != 0:
        raise SealError(f"tier {tier!r}: the secrets in {FOLDER} cannot be removed from its build container")


def ssh_agent_mount(tier: str, address: str) -> dict[str, Any]:
    """Return the mount of the controller's SSH agent, in the format of the Engine API.

    Args:
        tier: Name of the tier, for messages.
        address: Address of the engine.

    Raises:
        SourceError: There is no agent, or the engine is on a different machine.
    """
    path = os.environ.get("SSH_AUTH_SOCK", "")
    if not address.startswith("unix://"):
        raise SourceError(
            f"tier {tier!r}: tier_ssh_agent needs an engine on this machine, and the engine is at {address}; give the "
            "tier a deploy key in tier_secrets"
        )
    if not path or not Path(path).is_socket():
        found = f"{path!r} is not a socket" if path else "SSH_AUTH_SOCK is not set"
        raise SourceError(
            f"tier {tier!r}: tier_ssh_agent is true, but {found}; start an agent (eval $(ssh-agent); ssh-add), or give "
            "the tier a deploy key in tier_secrets"
        )
    return {"Type": "bind", "Source": os.path.realpath(path), "Target": SSH_AGENT}
