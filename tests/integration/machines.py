"""Machines for tests that run side by side: the first worker has this one, and each other one a machine of its own.

Tests look at all of an engine (what is left, what may be pruned), so two at a time need two engines. What makes a
machine here is a set of namespaces, in which an engine runs just as it does on this one: at the usual address, with a
network that reaches archives.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils.image import labels
from sdk_client import sdk_client

SCRIPT = Path(__file__).with_name("another_machine.sh")
#: Where containers of this machine's engine have their network, which the other machines share.
BRIDGE = "docker0"
PROGRAMS = ("docker", "dockerd", "ip", "nsenter", "unshare")
DEMO = "wordpress"
#: Why there is no other machine, where that was asked.
ALONE = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Let ``--numprocesses auto`` be two where there can be another machine."""
    config.stash[ALONE] = _why_alone()
    return 1 if config.stash[ALONE] else 2


def pytest_report_header(config: pytest.Config) -> str | None:
    """Say why tests do not run side by side."""
    reason = config.stash.get(ALONE, "")
    return f"integration: one test after another, since {reason}" if reason else None


def _why_alone() -> str:
    if os.cpu_count() == 1:
        return "there is one core"
    if "DOCKER_HOST" in os.environ:
        return "DOCKER_HOST names the engine"
    if os.geteuid() != 0:
        return "another machine needs root"
    if missing := [program for program in PROGRAMS if not shutil.which(program)]:
        return f"another machine needs {', '.join(missing)}"
    if not Path("/sys/class/net", BRIDGE).exists():
        return f"there is no network {BRIDGE}"
    with tempfile.TemporaryDirectory(prefix="twtest-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        tried = subprocess.run(_on_another(Path(folder), 0, "true"), capture_output=True, text=True, check=False)
    return f"there can be no other machine: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Let each worker but the first start on a machine of its own, which has the demo chain if this one has it."""
    for number, spec in enumerate(specs[1:]):
        folder = Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp"))  # an engine's data: /tmp may be small
        config.add_cleanup(_removal_of(folder))
        _save_demo(folder / "images.tar")
        spec.python = shlex.join(_on_another(folder, number, sys.executable))


def _on_another(folder: Path, number: int, command: str) -> list[str]:
    gateway = _address_of(BRIDGE)
    free = gateway.network[-2 - number]  # the engine counts up from the first
    return [str(SCRIPT), str(folder), BRIDGE, f"{free}/{gateway.network.prefixlen}", str(gateway.ip), command]


def _address_of(device: str) -> ipaddress.IPv4Interface:
    asked = ["ip", "-json", "-4", "address", "show", "dev", device]
    (told,) = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return ipaddress.IPv4Interface("{local}/{prefixlen}".format(**told["addr_info"][0]))


def _save_demo(archive: Path) -> None:
    with contextlib.closing(sdk_client()) as client:
        of_chain = client.images.list(filters={"label": f"{labels.CHAIN}={DEMO}"})
        released = [image for image in of_chain if f"{image.labels.get(labels.TIER)}:latest" in image.tags]
        names = [tag for image in released for tag in image.tags]
    if names:
        subprocess.run(["docker", "save", "--output", archive, *names], check=True)


def _removal_of(folder: Path) -> Callable[[], None]:
    """Remove a folder, which what has been killed may still be writing to for a moment."""

    def remove() -> None:
        for _ in range(100):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                return
            time.sleep(0.1)
        raise OSError(f"{folder} cannot be removed")

    return remove
