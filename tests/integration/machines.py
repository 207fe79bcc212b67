"""Machines for tests that run side by side: each worker has one of its own, but the first if engines' data lie on disk.

Tests look at all of an engine (what is left, what may be pruned), so two at a time need two engines. What makes a
machine here is a set of namespaces, in which an engine runs just as it does on this one: at the usual address, with a
network that reaches archives.
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
    if machine.VARIABLE in os.environ:
        return f"this machine was made for {os.environ[machine.VARIABLE]}"
    if reason := machine.why_unavailable():
        return reason
    with tempfile.TemporaryDirectory(prefix="twtest-", dir="/var/tmp", ignore_cleanup_errors=True) as folder:
        command = machine.with_engine(Path(folder), 0, ["true"])
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    return f"there can be no other machine: {tried.stderr.strip()}" if tried.returncode else ""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list[Any]) -> None:
    """Let workers start on machines of their own, which have the demo chain if this one has it.

    The first stays on this machine where engines' data do not lie in memory: that is what makes others quicker.
    """
    others = specs if machine.memory() else specs[1:]
    folders = [Path(tempfile.mkdtemp(prefix="twtest-", dir="/var/tmp")) for _ in others]  # /tmp may be small
    for folder in folders:
        (folder / "tmp").mkdir()
        config.add_cleanup(partial(machine.remove, folder))
    with tempfile.TemporaryDirectory(prefix="twtest-", dir="/var/tmp") as place:
        demo = Path(place, "images.tar")
        _save_demo(demo)
        for folder in folders if demo.exists() else ():
            (folder / demo.name).hardlink_to(demo)
    for number, (spec, folder) in enumerate(zip(others, folders, strict=True)):
        spec.python = shlex.join(machine.with_engine(folder, number, [sys.executable]))


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Let a worker on a machine with a /tmp of its own choose its temporary folder there."""
    folder = config.option.basetemp
    if hasattr(config, "workerinput") and folder and not Path(folder).parent.exists():
        config.option.basetemp = None


def _save_demo(archive: Path) -> None:
    with contextlib.closing(sdk_client()) as client:
        of_chain = client.images.list(filters={"label": f"{labels.CHAIN}={DEMO}"})
        released = [image for image in of_chain if f"{image.labels.get(labels.TIER)}:latest" in image.tags]
        names = [tag for image in released for tag in image.tags]
    if names:
        subprocess.run(["docker", "save", "--output", archive, *names], check=True)
