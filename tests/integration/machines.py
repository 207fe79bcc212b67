"""Machines for tests that run side by side: the first worker has this one, and each other one a machine of its own.

Tests look at all of an engine (what is left, what may be pruned), so two at a time need two engines. What makes a
machine here is a set of namespaces, in which an engine runs just as it does on this one: at the usual address, with a
network that reaches archives.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("another_machine.sh")
#: Where containers of this machine's engine have their network, which the other machines share.
BRIDGE = "docker0"
PROGRAMS = ("dockerd", "ip", "nsenter", "unshare")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let ``--numprocesses auto`` be two where there can be another machine; each of them builds the demo chain."""
    is_alone = os.cpu_count() == 1 or not Path("/sys/class/net", BRIDGE).exists()
    may = os.geteuid() == 0 and "DOCKER_HOST" not in os.environ
    return 2 if may and not is_alone and all(map(shutil.which, PROGRAMS)) else 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Let each worker but the first start on a machine of its own."""
    for number, spec in enumerate(specs[1:]):
        folder = tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp")  # an engine's data: /tmp may be small
        config.add_cleanup(lambda folder=folder: shutil.rmtree(folder))
        gateway = _address_of(BRIDGE)
        free = gateway.network[-2 - number]  # the engine counts up from the first
        address = f"{free}/{gateway.network.prefixlen}"
        spec.python = f"{SCRIPT} {folder} {BRIDGE} {address} {gateway.ip} {sys.executable}"


def _address_of(device: str) -> ipaddress.IPv4Interface:
    asked = ["ip", "-json", "-4", "address", "show", "dev", device]
    (told,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return ipaddress.IPv4Interface("{local}/{prefixlen}".format(**told["addr_info"][0]))
