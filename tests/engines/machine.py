"""Other machines for tests: namespaces with a network of their own, in which an engine runs at the usual address."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from . import roots
from .catalogue import CHOICES, Choice
from .roots import NotToBeHadError

_HERE = Path(__file__).parent
_MACHINE, _WITH_ENGINE, _IN_ROOT = (_HERE / f"{name}.sh" for name in ("another_machine", "with_engine", "in_root"))

#: Where containers of this machine's engine have their network, which the other machines share.
BRIDGE = "docker0"
_PROGRAMS = ("docker", "dockerd", "ip", "nsenter", "unshare")

#: Names the engine that tests run with, where that is not this machine's.
VARIABLE = "TIERWRIGHT_TEST_ENGINE"

#: Places of addresses on the bridge, counted from the last: an engine counts up from the first, and machines of
#: parallel tests down from the last.
_PLACES = range(20, 200)


def command(folder: Path, place: int, words: Sequence[str]) -> list[str]:
    """Say how to run a command on another machine, with this machine's Docker.

    Args:
        folder: A folder of the machine's own, for the engine's data; an ``images.tar`` in it is loaded first.
        place: Which address it has, counted from the network's last.
        words: The command.
    """
    return _in_namespaces(folder, place, [str(_WITH_ENGINE), str(folder), *words])


def why_not() -> str:
    """Say why there can be no other machine here; nothing where there can."""
    if os.geteuid() != 0:
        return "another machine needs root"
    if missing := [program for program in _PROGRAMS if not shutil.which(program)]:
        return f"another machine needs {', '.join(missing)}"
    if not Path("/sys/class/net", BRIDGE).exists():
        return f"there is no network {BRIDGE}"
    return ""


def run_with(name: str, words: Sequence[str]) -> int:
    """Run a command on another machine, with an engine of the catalogue; both are gone afterwards.

    Returns:
        The command's exit status.

    Raises:
        NotToBeHadError: There is no such engine here.
    """
    choice = CHOICES[name]
    if reason := why_not():
        raise NotToBeHadError(reason)
    root = roots.fetch(choice)
    folder = Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp"))  # an engine's data: /tmp may be small
    try:
        _prepare(choice, root, folder)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return subprocess.call(command(folder, free_place(), words), env={**environment, VARIABLE: name})
    finally:
        remove(folder)


def run_in(root: Path, words: Sequence[str], folder: Path) -> list[str]:
    """Say how to run a command on another machine which has another root file system, and no engine.

    Args:
        root: The root file system; it stays as it is.
        words: The command.
        folder: A folder of the machine's own, found at the same path within.
    """
    return _in_namespaces(folder, free_place(), [str(_IN_ROOT), str(root), str(folder), *words])


def free_place() -> int:
    """Find an address that no machine has."""
    for place in random.sample(_PLACES, len(_PLACES)):
        address, _ = _addresses(place)
        try:
            socket.create_connection((str(address.ip), 1), timeout=0.5).close()
        except ConnectionRefusedError:  # somebody is there
            continue
        except OSError:
            return place
    raise NotToBeHadError(f"no address is free on {BRIDGE}")


def remove(folder: Path) -> None:
    """Remove a machine's folder, which what has been killed may still be writing to for a moment."""
    for _ in range(100):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.1)
    raise OSError(f"{folder} cannot be removed")


def _in_namespaces(folder: Path, place: int, words: Sequence[str]) -> list[str]:
    address, gateway = _addresses(place)
    return [str(_MACHINE), str(folder), BRIDGE, str(address), str(gateway), *words]


def _addresses(place: int) -> tuple[ipaddress.IPv4Interface, ipaddress.IPv4Address]:
    asked = ["ip", "-json", "-4", "address", "show", "dev", BRIDGE]
    (told,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    gateway = ipaddress.IPv4Interface("{local}/{prefixlen}".format(**told["addr_info"][0]))
    address = gateway.network[-2 - place]
    return ipaddress.IPv4Interface(f"{address}/{gateway.network.prefixlen}"), gateway.ip


def _prepare(choice: Choice, root: Path, folder: Path) -> None:
    """Put an engine's settings, and the program that starts it, into a machine's folder."""
    for path, content in choice.files.items():
        file = folder / "upper" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    start = shlex.join([str(_IN_ROOT), str(root), str(folder), *choice.command, str(folder)])
    program = folder / "engine"
    program.write_text(f"#!/bin/sh\nexec {start}\n")
    program.chmod(0o755)
