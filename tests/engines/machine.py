"""Other machines for tests: namespaces with a network of their own, and in them an engine at the usual address."""

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
from .roots import NotToBeHadError

_HERE = Path(__file__).parent
_MACHINE, _WITH_ENGINE, _IN_ROOT = (str(_HERE / f"{name}.sh") for name in ("another_machine", "with_engine", "in_root"))
#: What containers of such an engine may have mounted: this very Ansible, and what lets them see another time.
_SHARED = [
    str(path)
    for path in (_HERE.parents[1], Path(sys.prefix), Path(sys.base_prefix), *Path("/usr/lib").glob("*/faketime"))
    if path != Path("/usr")
]
_ROOTLESS = _HERE / "rootless.sh"

#: Where containers of this machine's engine have their network, which the other machines share.
BRIDGE = "docker0"
_PROGRAMS = ("docker", "dockerd", "ip", "nsenter", "unshare")

#: Names the engine that tests run with, where that is not this machine's.
VARIABLE = "TIERWRIGHT_TEST_ENGINE"

#: What the data of an engine take at most in any of the tests, in bytes, and room to spare.
_ENOUGH = 5 << 30

#: Which addresses of the bridge's network are looked at, counted from its last: an engine counts up from the first, and
#: machines of parallel tests count down from the last.
_NUMBERS = range(20, 200)


def why_not() -> str:
    """Say why there can be no other machine here; nothing where there can."""
    if os.geteuid() != 0:
        return "another machine needs root"
    if missing := [program for program in _PROGRAMS if not shutil.which(program)]:
        return f"another machine needs {', '.join(missing)}"
    if not Path("/sys/class/net", BRIDGE).exists():
        return f"there is no network {BRIDGE}"
    return ""


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder for a machine, which goes afterwards."""
    made = Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp"))  # an engine's data: /tmp may be small
    try:
        yield made
    finally:
        remove(made)


def remove(made: Path) -> None:
    """Remove a machine's folder, which what has been killed may still be writing to for a moment."""
    for _ in range(100):
        shutil.rmtree(made, ignore_errors=True)
        if not made.exists():
            return
        time.sleep(0.1)
    raise OSError(f"{made} cannot be removed")


def with_engine(data: Path, number: int, words: Sequence[str]) -> list[str]:
    """Say how to run a command on another machine, with the engine that its folder has or this machine's.

    Args:
        data: The machine's folder; an ``images.tar`` in it is what the engine begins with.
        number: Which address the machine has, counted from the network's last.
        words: The command.
    """
    return _in_namespaces(data, number, [_WITH_ENGINE, str(data), str(memory()), *words])


def memory() -> int:
    """Say how many bytes of memory an engine may have for data: a third of what is free, or 0 for too little."""
    told = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    share = int(told["MemAvailable"].split()[0]) * 1024 // 3
    return share if share >= _ENOUGH else 0


def run(name: str, words: Sequence[str]) -> int:
    """Run a command on another machine, with an engine of the catalogue.

    Returns:
        The command's exit status.

    Raises:
        NotToBeHadError: There is no such engine here.
    """
    if reason := why_not():
        raise NotToBeHadError(reason)
    choice = CHOICES[name]
    with folder() as data:
        program = data / "engine"
        program.write_text(f"#!/bin/sh\nexec {shlex.join(within(choice, data, [*choice.command, str(data)]))}\n")
        program.chmod(0o755)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DOCKER_")}
        return subprocess.call(with_engine(data, free_number(), words), env={**environment, VARIABLE: name})


def bare(suite: str, data: Path, words: Sequence[str]) -> list[str]:
    """Say how to run a command on a machine without an engine, with what the README asks for and nothing else.

    Args:
        suite: The suite of Debian that it has.
        data: The machine's folder, which is at the same path within.
        words: The command.

    Raises:
        NotToBeHadError: There can be no such machine here.
    """
    if reason := why_not():
        raise NotToBeHadError(reason)
    root = roots.make(suite, BARE, f"{suite}-bare")
    return _in_namespaces(data, free_number(), _in_root(root, data, words))


def rootless(engine: str, suite: str, data: Path, words: Sequence[str]) -> list[str]:
    """Say how to run a command as an ordinary user, on a machine where that user has an engine and nobody becomes root.

    Args:
        engine: ``docker`` or ``podman``; as the suite has it.
        suite: The suite of Debian.
        data: The machine's folder; its ``data`` is at the same path within.
        words: The command; it starts in the user's home.

    Raises:
        NotToBeHadError: There can be no such machine here.
    """
    if reason := why_not():
        raise NotToBeHadError(reason)
    settings = next(choice.files for choice in CHOICES.values() if choice.package.startswith(engine))
    program = "usr/local/bin/rootless.sh"
    within = _in_root(roots.make(suite, ROOTLESS), data, [f"/{program}", str(data), engine, *words])
    _write(data / "upper", {**settings, program: _ROOTLESS.read_text()})
    (data / "upper" / program).chmod(0o755)
    return _in_namespaces(data, free_number(), within)


def within(choice: Choice, data: Path, words: Sequence[str]) -> list[str]:
    """Say how to run a command in the root file system that has an engine, with that engine's settings.

    Args:
        choice: The engine.
        data: A folder that takes what is written, and is at the same path within.
        words: The command.

    Raises:
        NotToBeHadError: There is no such engine here.
    """
    root = roots.fetch(choice)
    _write(data / "upper", choice.files)
    return ["env", f"SHARED={' '.join(_SHARED)}", *_in_root(root, data, words)]


def free_number() -> int:
    """Find an address on the bridge that no machine has; give its number, counted from the network's last."""
    for number in random.sample(_NUMBERS, len(_NUMBERS)):
        address, _ = _addresses(number)
        try:
            socket.create_connection((str(address.ip), 1), timeout=0.5).close()
        except ConnectionRefusedError:  # somebody is there
            continue
        except OSError:
            return number
    raise NotToBeHadError(f"no address is free on {BRIDGE}")


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
    asked = ["ip", "-json", "-4", "address", "show", "dev", BRIDGE]
    (told,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    gateway = ipaddress.IPv4Interface("{local}/{prefixlen}".format(**told["addr_info"][0]))
    address = gateway.network[-2 - number]
    return ipaddress.IPv4Interface(f"{address}/{gateway.network.prefixlen}"), gateway.ip
