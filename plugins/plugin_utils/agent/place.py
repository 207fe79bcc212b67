# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where controller and agent meet: a private folder for each build container, a socket in it for each ansible-playbook.

The folder is known from the container's name alone, so that a task, which is a process of its own, finds it without
asking anybody. A build container on this machine has it mounted.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Any

from ..errors import EngineError

#: Where the folder is in a build container. A mount below /dev, the container's own tmpfs, leaves nothing in the layer
#: (measured: ``docker diff`` stays empty).
INSIDE = "/dev/tierwright-agent"

#: Longest path of a socket (``sun_path``, unix(7)), less one for its end.
_LONGEST = 107


def folder(address: str, container: str) -> Path:
    """The folder for a container; it need not exist.

    Args:
        address: Address of the engine.
        container: The container as the connection's variable ``tier_container`` names it.
    """
    return _runtime() / hashlib.sha256(f"{address}\0{container}".encode()).hexdigest()[:16]


def make(address: str, container: str) -> Path:
    """Make the folder for a container, readable for this user only; it may exist.

    Raises:
        EngineError: Somebody else has made a folder of that name, or it cannot be made.
    """
    made = folder(address, container)
    for each in (made.parent, made):
        try:
            each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except FileExistsError:
            pass  # no folder, which is told below
        except OSError as error:
            raise EngineError(f"making {each}: {error.strerror}; set XDG_RUNTIME_DIR to a folder of your own") from None
        _check(each)
    return made


def remove(address: str, container: str) -> None:
    """Remove the folder of a container that is gone; it may not exist."""
    shutil.rmtree(folder(address, container), ignore_errors=True)
    lock(address, container).unlink(missing_ok=True)


def lock(address: str, container: str) -> Path:
    """What tasks lock that start an agent: beside the folder, where the container's processes cannot lock it."""
    return folder(address, container).with_suffix(".lock")


def socket_name(owner: int) -> str:
    """Name of the socket for the tasks of one ansible-playbook.

    Args:
        owner: Its process ID.
    """
    return f"{owner}.sock"


def mount(address: str, container: str) -> list[dict[str, Any]]:
    """The mount that brings the folder into a container, as the Engine API writes it.

    Empty where the engine is another machine's: it has no such folder.
    """
    if not address.startswith("unix://"):
        return []
    return [{"Type": "bind", "Source": str(make(address, container)), "Target": INSIDE, "ReadOnly": True}]


def _runtime() -> Path:
    given = os.environ.get("XDG_RUNTIME_DIR")
    candidates = [Path(given, "tierwright")] if given and Path(given).is_dir() else []
    candidates += [Path(each, f"tierwright-{os.getuid()}") for each in (tempfile.gettempdir(), "/tmp")]  # noqa: S108
    room = len("/0123456789abcdef/4194304.sock")
    return next((each for each in candidates if len(os.fsencode(each)) + room <= _LONGEST), candidates[-1])


def _check(path: Path) -> None:
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise EngineError(
            f"{path} is not a folder that only user {os.getuid()} may read (owner {found.st_uid}, mode "
            f"{stat.filemode(found.st_mode)}); somebody else made it: remove it, or set XDG_RUNTIME_DIR"
        )
