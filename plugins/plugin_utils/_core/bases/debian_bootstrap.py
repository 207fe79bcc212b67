# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A base from a Debian archive, with mmdebstrap.

Packages come from the mirror that this machine's own apt uses, and are checked against the archive's signature as
apt does.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from typing import IO, cast

from ..chain.tier import Bootstrap
from ..errors import SourceError

#: Mirrors where this machine's apt has none.
_MIRRORS = {"archive": "http://deb.debian.org/debian", "security": "http://deb.debian.org/debian-security"}

#: Part of the package apt; it fetches as apt is configured to.
_APT_HELPER = "/usr/lib/apt/apt-helper"

#: Suites without a security archive and without updates.
_ROLLING = frozenset({"sid", "unstable", "experimental"})

#: Services that packages bring must not start while an image is built; every Debian image says so with this program
#: (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt). mmdebstrap removes any that it finds.
_POLICY = ("./usr/sbin/policy-rc.d", b"#!/bin/sh\n# Packages start no services in a container.\nexit 101\n")

#: mmdebstrap copies these from the machine it runs on; engines mount their own over them.
_FORGET_MACHINE = 'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'

#: mmdebstrap's steps that take time, by their first word.
_STEPS = ("running", "downloading", "extracting", "installing", "cleaning", "creating")


def check_tools(tier: str) -> None:
    """Make sure that this machine can bootstrap.

    Raises:
        SourceError: mmdebstrap is missing.
    """
    if shutil.which("mmdebstrap") is None:
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap needs mmdebstrap, which is not on this machine; "
            "`ansible-playbook playbooks/engine.yml` installs it, or use tier_import or tier_pull"
        )


def released(tier: str, source: Bootstrap) -> int:
    """Ask the archive when the suite was released as it is: for a stable one, its last point release.

    Updates and security updates are younger, and do not count: with them the time would change every day, and so would
    everything that stands on the base.

    Returns:
        Seconds since 1970.

    Raises:
        SourceError: The archive does not answer, or gives no date.
    """
    check_tools(tier)
    address = f"{source.mirror or own_mirrors()['archive']}/dists/{source.suite}/InRelease"
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        target = Path(folder, "InRelease")
        done = subprocess.run(
            [_APT_HELPER, "download-file", address, str(target)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        text = target.read_text(errors="replace") if done.returncode == 0 else ""
    date = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Date:")), "")
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError as error:
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap of suite {source.suite!r} failed: {address} gives no date of release, "
            f"which the files of the base are to have; check suite and mirror, or set tier_source_date_epoch:\n"
            f"{done.stdout}"
        ) from error


def bootstrap(tier: str, source: Bootstrap, target: Path, epoch: int, say: Callable[[str], None]) -> None:
    """Make a root file system and write it to ``target`` as a plain tar archive.

    Args:
        tier: The base's name, for messages.
        source: What to install.
        target: File to write.
        epoch: What programs write instead of the time, in seconds since 1970.
        say: Called with a line for each step.

    Raises:
        SourceError: mmdebstrap is missing or failed; its last lines are in the message.
    """
    check_tools(tier)
    command = [
        "mmdebstrap",
        "--variant=minbase",
        "--format=tar",
        f"--include={','.join(source.packages)}",
        f"--customize-hook={_FORGET_MACHINE}",
        "--skip=output/dev",
        source.suite,
        str(target),
        *_archive_lines(source),
    ]
    told: list[str] = []
    with subprocess.Popen(
        command,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
    ) as process:
        for line in cast(IO[str], process.stdout):
            told.append(line.rstrip())
            step = line.removeprefix("I: ").strip()
            if line.startswith("I: ") and step.startswith(_STEPS) and "hook" not in step:
                say(step)
    if process.returncode != 0:
        end = "\n".join(told[-15:])
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap of suite {source.suite!r} failed: mmdebstrap ended with status "
            f"{process.returncode}:\n{end}"
        )

    _add_policy(target)


def _add_policy(rootfs: Path) -> None:
    name, content = _POLICY
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    with tarfile.open(rootfs, "a:") as tar:
        tar.addfile(entry, io.BytesIO(content))


def suites(suite: str) -> dict[str, str]:
    """The suites that a base of ``suite`` gets its packages from, each with the kind of its mirror."""
    if suite in _ROLLING:
        return {suite: "archive"}
    return {suite: "archive", f"{suite}-updates": "archive", f"{suite}-security": "security"}


@cache
def own_mirrors() -> Mapping[str, str]:
    """Ask apt where this machine gets Debian from: ``archive`` and ``security``, Debian's own where it cannot say."""
    asked = (
        subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
            capture_output=True,
            text=True,
            check=False,
        )
        if shutil.which("apt-get")
        else None
    )
    found: dict[str, str] = {}
    for line in (asked.stdout if asked and asked.returncode == 0 else "").splitlines():
        address, _, release = line.partition(" ")
        kind = "security" if release.endswith("-security") else "archive"
        if address.rstrip("/").endswith({"archive": "/debian", "security": "/debian-security"}[kind]):
            found.setdefault(kind, address.rstrip("/"))
    return {**_MIRRORS, **found}


def _archive_lines(source: Bootstrap) -> list[str]:
    said = {"archive": source.mirror, "security": source.security_mirror}
    sections = " ".join(source.components)
    return [
        f"deb {said[kind] or own_mirrors()[kind]} {suite} {sections}" for suite, kind in suites(source.suite).items()
    ]
