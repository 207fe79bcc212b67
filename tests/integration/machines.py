"""Machines for parallel tests. Each worker has its own, but the first uses this machine if engine data is on disk.

Tests look at everything that an engine holds (for example, what is left, and what prune removes). So two parallel tests
need two engines. A machine is a set of namespaces in which an engine runs as on this machine: at the usual address, and
with a network that reaches archives.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from engines import machine
from sdk_client import sdk_client

DEMO = "wordpress"
#: Why no other machine is possible, if the session wanted one.
ALONE = pytest.StashKey[str]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Let ``--numprocesses auto`` mean 2 if another machine is possible."""
    config.stash[ALONE] = _why_alone()
    return 1 if config.stash[ALONE] else 2


def pytest_report_header(config: pytest.Config) -> str | None:
    """Report why tests do not run in parallel."""
    reason = config.stash.get(ALONE, "")
    return f"integration: tests do not run in parallel: {reason}" if reason else None


def _why_alone() -> str:
    if os.cpu_count() == 1:
        return "this machine has one core"
    if "DOCKER_HOST" in os.environ:
        return "DOCKER_HOST names the engine"
    if machine.VARIABLE in os.environ:
        return f"this machine was made for {os.environ[machine.VARIABLE]}"
    if reason := machine.why_unavailable():
        return reason
    with tempfile.TemporaryDirectory(prefix="twtest-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        command = machine.with_engine(Path(folder), 0, ["true"])
        process = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"another machine cannot start: {process.stderr.strip()}" if process.returncode else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Start workers on their own machines, which get the demo chain if this machine has it.

    Other machines are faster only if engine data is in memory. If it is on disk, the first worker stays here.
    """
    others = specs if machine.memory() else specs[1:]
    folders = [Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp")) for _ in others]  # /tmp may be small
    for folder in folders:
        (folder / "tmp").mkdir()
        config.add_cleanup(partial(machine.remove, folder))
    with tempfile.TemporaryDirectory(prefix="twtest-", dir="/var/tmp") as archive_folder:
        demo = Path(archive_folder, "images.tar")
        _save_demo(demo)
        for folder in folders if demo.exists() else ():
            (folder / demo.name).hardlink_to(demo)
    for number, (spec, folder) in enumerate(zip(others, folders, strict=True)):
        spec.python = shlex.join(machine.with_engine(folder, number, [sys.executable]))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """On a machine with its own /tmp, let the worker choose its temporary folder there."""
    folder = config.option.basetemp
    if hasattr(config, "workerinput") and folder and not Path(folder).parent.exists():
        config.option.basetemp = None


def _save_demo(archive: Path) -> None:
    with contextlib.closing(sdk_client()) as client:
        images = client.images.list(filters={"label": f"{labels.CHAIN}={DEMO}"})
        released = [image for image in images if f"{image.labels.get(labels.TIER)}:latest" in image.tags]
        names = [tag for image in released for tag in image.tags]
    if names:
        subprocess.run(["docker", "save", "--output", archive, *names], check=True)
