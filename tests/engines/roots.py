"""Root file systems with the engines of one suite of Debian each, kept between sessions."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases.debian_bootstrap import own_mirrors

from .catalogue import PACKAGES, Choice

#: A mirror may be a copy of some day, whose list of a suite that is not released yet says that it is out of date.
#: It is signed all the same, and what comes from it runs tests and nothing else.
_FROZEN = '--aptopt=Acquire::Check-Valid-Until "false"'


class NotToBeHadError(Exception):
    """There is no such engine here; the message says why."""


def cache() -> Path:
    """Where root file systems are kept; whoever removes it has them fetched again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tierwright-tests", "roots")


def fetch(choice: Choice) -> Path:
    """Make the root file system that has an engine, unless it is there.

    Raises:
        NotToBeHadError: The archive has not got it, or this machine cannot make root file systems.
    """
    root = make(choice.suite, PACKAGES)
    asked = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${Version}", choice.package]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    if not found.startswith(choice.version):
        raise NotToBeHadError(
            f"{choice.name}: Debian's suite {choice.suite} has {choice.package} {found}, not {choice.version} any more "
            f"(or {root} is old: remove it)"
        )
    return root


def make(suite: str, packages: Sequence[str], name: str = "") -> Path:
    """Make a root file system with the packages of a suite, unless it is there.

    Args:
        suite: The suite of Debian.
        packages: What it has besides what every Debian has.
        name: What it is kept as, where that is not the suite.

    Raises:
        NotToBeHadError: The archive has not got it, or this machine cannot make root file systems.
    """
    root = cache() / f"{name or suite}-{zlib.crc32(' '.join(packages).encode()):08x}"
    if root.exists():
        return root
    if os.geteuid() != 0:
        raise NotToBeHadError("making root file systems needs root")
    if shutil.which("mmdebstrap") is None:
        raise NotToBeHadError("making root file systems needs mmdebstrap; playbooks/engine.yml installs it")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=root.parent) as folder:
        made = Path(folder, "root")
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}", _FROZEN, suite, str(made)]
        done = subprocess.run(
            [*command, own_mirrors()["archive"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            end = "\n".join(done.stdout.splitlines()[-15:])
            raise NotToBeHadError(f"Debian's suite {suite} cannot be had with {', '.join(packages)}:\n{end}")
        if not root.exists():  # or another session was quicker
            made.rename(root)
    return root
