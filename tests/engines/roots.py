"""Root file systems with the engines of one suite of Debian each. They are kept between sessions."""

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

#: A mirror can be an old copy. Then the index of a suite that is not released yet has expired. It is still signed, and
#: its packages only run tests.
FROZEN = 'Acquire::Check-Valid-Until "false"'


class UnavailableError(Exception):
    """An engine or a machine is not possible here. The message gives the reason."""


def cache() -> Path:
    """The folder of the root file systems. It can be removed at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "tierwright-tests", "roots")


def fetch(choice: Choice) -> Path:
    """Make the root file system with an engine, unless it exists.

    Raises:
        UnavailableError: The archive does not have this engine, or this machine cannot make root file systems.
    """
    root = make(choice.suite, PACKAGES)
    command = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "--show", "--showformat=${Version}", choice.package]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if not version.startswith(choice.version):
        raise UnavailableError(
            f"{choice.name}: Debian's suite {choice.suite} has {choice.package} {version}; expected {choice.version} "
            f"(if {root} is old, remove it)"
        )
    return root


def make(suite: str, packages: Sequence[str], name: str = "") -> Path:
    """Make a root file system with packages of a suite, unless it exists.

    Args:
        suite: The suite of Debian.
        packages: Packages in addition to those of a minimal Debian.
        name: Its name in the cache, by default the suite.

    Raises:
        UnavailableError: The archive does not have a package, or this machine cannot make root file systems.
    """
    root = cache() / f"{name or suite}-{zlib.crc32(' '.join(packages).encode()):08x}"
    if root.exists():
        return root
    if os.geteuid() != 0:
        raise UnavailableError("making root file systems needs root")
    if shutil.which("mmdebstrap") is None:
        raise UnavailableError("making root file systems needs mmdebstrap; playbooks/engine.yml installs it")
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=root.parent) as folder:
        new_root = Path(folder, "root")
        command = [
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(packages)}",
            f"--aptopt={FROZEN}",
            suite,
            str(new_root),
        ]
        process = subprocess.run(
            [*command, own_mirrors()["archive"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if process.returncode != 0:
            end = "\n".join(process.stdout.splitlines()[-15:])
            raise UnavailableError(
                f"a root of Debian's suite {suite} with {', '.join(packages)} cannot be made:\n{end}"
            )
        if not root.exists():  # else another session has made it in the meantime
            new_root.rename(root)
    return root
