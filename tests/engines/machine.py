"""Other machines for tests: sets of namespaces with their own network, and with an engine at the usual address."""

from __future__ import annotations

import ipaddress
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from . import roots
from .catalogue import BARE, CHOICES, ROOTLESS, Choice
from .roots import UnavailableError

_HERE = Path(__file__).parent
_MACHINE, _WITH_ENGINE, _IN_ROOT = (str(_HERE / f"{name}.sh") for name in ("another_machine", "with_engine", "in_root"))
#: What containers of such an engine can mount: this Ansible, and faketime.
_SHARED = [
    str(path)
    for path in (_HERE.parents[1], Path(sys.prefix), Path(sys.base_prefix), *Path("/usr/lib").glob("*/faketime"))
    if path != Path("/usr")
]
_ROOTLESS = _HERE / "rootless.sh"

#: The network of containers of this machine's engine. The other machines share it.
BRIDGE = "docker0"
_PROGRAMS = ("docker", "dockerd", "ip", "nsenter", "unshare")

#: Environment variable with the name of the engine, if tests run with a different engine than this machine's.
VARIABLE = "TIERWRIGHT_TEST_ENGINE"

#: Bytes that the data of an engine need at most in any test, with a reserve.
_ENOUGH = 5 << 30

#: The addresses to try in the network of the bridge, counted from the last one. Engines start at the first address, and
#: machines of parallel tests start at the last.
_NUMBERS = range(20, 200)


def why_unavailable() -> str:
    """Why no other machine is possible here; empty if it is possible."""
    if os.geteuid() != 0:
        return "another machine needs root"
    if missing := [program for program in _PROGRAMS if not shutil.which(program)]:
        return f"another machine needs {', '.join(missing)}"
    if not Path("/sys/class/net", BRIDGE).exists():
        return f"another machine needs the network {BRIDGE}"
    return ""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a machine, and remove it afterwards."""
    path = Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp"))  # for engine data; /tmp may be small
    try:
        yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Remove the folder of a machine. Killed processes may still write to it for a moment."""
    for _ in range(100):
        shutil.rmtree(path, ignore_errors=True)
        if not path.exists():
            return
        time.sleep(0.1)
    raise OSError(f"{path} cannot be removed")


def with_engine(data: Path, number: int, words: Sequence[str]) -> list[str]:
    """The command line that runs a command on another machine, with the engine in its folder or with this machine's.

    Args:
        data: The folder of the machine. The engine starts with the images of an ``images.tar`` in it.
        number: The address of the machine, counted from the last one of the network.
        words: The command.
    """
    return _in_namespaces(data, number, [_WITH_ENGINE, str(data), str(memory()), *words])


def memory() -> int:
    """Bytes of memory for the data of an engine: a third of the free memory, or 0 if that is too little."""
    info = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    share = int(info["MemAvailable"].split()[0]) * 1024 // 3
    return share if share >= _ENOUGH else 0


def run(name: str, words: Sequence[str]) -> int:
    """Run a command on another machine, with an engine of the catalogue.

    Returns:
        The command's exit status.

    Raises:
        UnavailableError: This engine is not possible here.
    """
    if reason := why_unavailable():
        raise UnavailableError(reason)
    choice = CHOICES[name]
    with folder() as data:
        program = data / "engine"
        program.write_text(f"#!/bin/sh\nexec {shlex.join(within(choice, data, [*choice.command, str(data)]))}\n")
        program.chmod(0o755)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return subprocess.call(with_engine(data, free_number(), words), env={**environment, VARIABLE: name})


def bare(suite: str, data: Path, words: Sequence[str]) -> list[str]:
    """The command line that runs a command on a machine without an engine, with only the requirements of the README.

    Args:
        suite: The suite of Debian on the machine.
        data: The folder of the machine. It has the same path on the machine.
        words: The command.

    Raises:
        UnavailableError: No other machine is possible here.
    """
    if reason := why_unavailable():
        raise UnavailableError(reason)
    root = roots.make(suite, BARE, f"{suite}-bare")
    return _in_namespaces(data, free_number(), _in_root(root, data, words))


def rootless(engine: str, suite: str, data: Path, words: Sequence[str]) -> list[str]:
    """The command line that runs a command as an ordinary user with a rootless engine, on a machine without root.

    Args:
        engine: ``docker`` or ``podman``, in the version of the suite.
        suite: The suite of Debian.
        data: The folder of the machine. Its subfolder ``data`` has the same path on the machine.
        words: The command. It starts in the home folder of the user.

    Raises:
        UnavailableError: No other machine is possible here.
    """
    if reason := why_unavailable():
        raise UnavailableError(reason)
    settings = next(choice.files for choice in CHOICES.values() if choice.package.startswith(engine))
    program = "usr/local/bin/rootless.sh"
    command = _in_root(roots.make(suite, ROOTLESS), data, [f"/{program}", str(data), engine, *words])
    _write(data / "upper", {**settings, program: _ROOTLESS.read_text()})
    (data / "upper" / program).chmod(0o755)
    return _in_namespaces(data, free_number(), command)


def within(choice: Choice, data: Path, words: Sequence[str]) -> list[str]:
    """The command line that runs a command in the root file system of an engine, with the settings of this engine.

    Args:
        choice: The engine.
        data: The folder for written files. It has the same path inside.
        words: The command.

    Raises:
        UnavailableError: This engine is not possible here.
    """
    root = roots.fetch(choice)
    _write(data / "upper", choice.files)
    return ["env", f"SHARED={' '.join(_SHARED)}", *_in_root(root, data, words)]


def free_number() -> int:
    """The number of a free address on the bridge, counted from the last one of the network."""
    for number in random.sample(_NUMBERS, len(_NUMBERS)):
        address, _ = _addresses(number)
        try:
            socket.create_connection((str(address.ip), 1), timeout=0.5).close()
        except ConnectionRefusedError:  # a machine has this address
            continue
        except OSError:
            return number
    raise UnavailableError(f"no address is free on {BRIDGE}")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for path, content in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)


def _in_root(root: Path, data: Path, words: Sequence[str]) -> list[str]:
    return [_IN_ROOT, str(root), str(data), *words]


def _in_namespaces(data: Path, number: int, words: Sequence[str]) -> list[str]:
    address, gateway = _addresses(number)
    return [_MACHINE, str(data), BRIDGE, str(address), str(gateway), *words]


def _addresses(number: int) -> tuple[ipaddress.IPv4Interface, ipaddress.IPv4Address]:
    command = ["ip", "-json", "-4", "address", "show", "dev", BRIDGE]
    (device,) = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    gateway = ipaddress.IPv4Interface("{local}/{prefixlen}".format(**device["addr_info"][0]))
    address = gateway.network[-2 - number]
    return ipaddress.IPv4Interface(f"{address}/{gateway.network.prefixlen}"), gateway.ip
