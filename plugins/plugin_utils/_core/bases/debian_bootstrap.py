# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bootstraps a base from a Debian archive with mmdebstrap.

Packages come from the mirror of this machine's own apt, unless the tier names a mirror. As with apt, they are verified
with the archive's signature.
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

#: Mirrors to use if this machine's apt has none.
_MIRRORS = {"archive": "http://deb.debian.org/debian", "security": "http://deb.debian.org/debian-security"}

#: Program of the package apt that downloads a file with apt's configuration.
_APT_HELPER = "/usr/lib/apt/apt-helper"

#: Suites without a security archive and without updates.
_ROLLING = frozenset({"sid", "unstable", "experimental"})

#: Services of packages must not start while an image is built. Every Debian image prevents it with this program
#: (https://people.debian.org/~hmh/invokerc.d-policyrc.d-specification.txt). It is added after mmdebstrap has run,
#: because mmdebstrap would remove it.
_POLICY = ("./usr/sbin/policy-rc.d", b"#!/bin/sh\n# Packages start no services in a container.\nexit 101\n")

#: mmdebstrap copies these files from the machine on which it runs. In a container, the engine mounts its own there.
_FORGET_MACHINE = 'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"'

#: Folder in the image for the keys of archives that sign with their own keys.
_KEYRINGS = "/etc/apt/keyrings"

#: First words of mmdebstrap's messages about steps that take time.
_STEPS = ("running", "downloading", "extracting", "installing", "cleaning", "creating")


def check_tools(tier: str) -> None:
    """Check that this machine can bootstrap.

    Raises:
        SourceError: mmdebstrap is missing.
    """
    if shutil.which("mmdebstrap") is None:
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap needs mmdebstrap, which is not installed on this machine; "
            "`ansible-playbook playbooks/engine.yml` installs it, or use tier_import or tier_pull"
        )


def released(tier: str, source: Bootstrap) -> int:
    """Return the time of the suite's last release, as the archive gives it. For a stable suite, it is a point release.

    The times of updates and security updates are later, but they are not used: the time would change every day, and
    with it the base and all its descendants.

    Returns:
        Seconds since 1970.

    Raises:
        SourceError: The archive does not answer, or gives no date.
    """
    check_tools(tier)
    address = f"{source.mirror or own_mirrors()['archive']}/dists/{source.suite}/InRelease"
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        target = Path(folder, "InRelease")
        download = subprocess.run(
            [_APT_HELPER, "download-file", address, str(target)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        text = target.read_text(errors="replace") if download.returncode == 0 else ""
    date = next((line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("Date:")), "")
    try:
        return int(parsedate_to_datetime(date).timestamp())
    except ValueError as error:
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap of suite {source.suite!r} failed: {address} has no release date, which is "
            f"needed as the date of the base's files; check suite and mirror, or set tier_source_date_epoch:\n"
            f"{download.stdout}"
        ) from error


def bootstrap(tier: str, source: Bootstrap, target: Path, epoch: int, say: Callable[[str], None]) -> None:
    """Make a root file system and write it to ``target`` as an uncompressed tar archive.

    Args:
        tier: The base's name, for messages.
        source: The suite, packages and mirrors.
        target: File to write.
        epoch: The ``SOURCE_DATE_EPOCH`` for programs, in seconds since 1970.
        say: Called with a line for each step.

    Raises:
        SourceError: mmdebstrap is missing or failed. The message contains the last lines of its output.
    """
    check_tools(tier)
    with tempfile.TemporaryDirectory(prefix="tierwright-") as folder:
        command = [
            "mmdebstrap",
            "--variant=minbase",
            "--format=tar",
            *([f"--include={','.join(source.packages)}"] if source.packages else []),
            f"--customize-hook={_FORGET_MACHINE}",
            *_keyring_options(source, Path(folder)),
            "--skip=output/dev",
            source.suite,
            str(target),
            *_archive_lines(source),
        ]
        _run(tier, source, command, epoch, say)
    _add_policy(target)


def _keyring_options(source: Bootstrap, folder: Path) -> list[str]:
    """Write the keys of the archive into ``folder``, and return the options that use them.

    The image gets them, too, and only for these archives: its own apt must trust them (``signed-by``, sources.list(5)).
    """
    if not source.keyring:
        return []
    folder.chmod(0o755)  # mmdebstrap may run as a user of a namespace; the keys are public
    file = folder / ("archive.asc" if source.is_armored else "archive.gpg")
    file.write_bytes(source.keyring)
    file.chmod(0o644)
    return [
        f"--keyring={folder}",
        f'--customize-hook=mkdir -p "$1{_KEYRINGS}"',
        f"--customize-hook=upload {file} {_KEYRINGS}/{file.name}",
        f"--customize-hook=sed -i 's|^deb |deb [signed-by={_KEYRINGS}/{file.name}] |' \"$1/etc/apt/sources.list\"",
    ]


def _run(tier: str, source: Bootstrap, command: list[str], epoch: int, say: Callable[[str], None]) -> None:
    output: list[str] = []
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
            output.append(line.rstrip())
            step = line.removeprefix("I: ").strip()
            if line.startswith("I: ") and step.startswith(_STEPS) and "hook" not in step:
                say(step)
    if process.returncode != 0:
        end = "\n".join(output[-15:])
        raise SourceError(
            f"tier {tier!r}: tier_bootstrap of suite {source.suite!r} failed: mmdebstrap ended with status "
            f"{process.returncode}:\n{end}{_hint(end)}"
        )


def _hint(output: str) -> str:
    """What to do about a failure of mmdebstrap, if it is known."""
    if "NO_PUBKEY" in output or "is not signed" in output or "public key is not available" in output:
        return (
            "\napt does not trust the keys of this archive: set tier_bootstrap.keyring to the file of its public keys"
        )
    return ""


def _add_policy(rootfs: Path) -> None:
    name, content = _POLICY
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), 0o755
    with tarfile.open(rootfs, "a:") as tar:
        tar.addfile(entry, io.BytesIO(content))


def suites(source: Bootstrap) -> dict[str, str]:
    """Return the suites from which a base gets its packages, each with the kind of its mirror."""
    if source.suites:
        return {suite: "security" if suite.endswith("-security") else "archive" for suite in source.suites}
    suite = source.suite
    if suite in _ROLLING:
        return {suite: "archive"}
    return {suite: "archive", f"{suite}-updates": "archive", f"{suite}-security": "security"}


def mirror(source: Bootstrap, kind: str) -> str | None:
    """Return the address of the mirror of one kind, as the tier sets it; ``None`` means this machine's own.

    The security updates of an archive with its own keys are in that archive, and not in Debian's.
    """
    if kind == "archive":
        return source.mirror
    return source.security_mirror or (source.mirror if source.keyring else None)


@cache
def own_mirrors() -> Mapping[str, str]:
    """Return the mirrors of this machine's apt by kind, ``archive`` and ``security``; Debian's own if apt has none."""
    targets = (
        subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"],
            capture_output=True,
            text=True,
            check=False,
        )
        if shutil.which("apt-get")
        else None
    )
    mirrors: dict[str, str] = {}
    for line in (targets.stdout if targets and targets.returncode == 0 else "").splitlines():
        address, _, release = line.partition(" ")
        kind = "security" if release.endswith("-security") else "archive"
        if address.rstrip("/").endswith({"archive": "/debian", "security": "/debian-security"}[kind]):
            mirrors.setdefault(kind, address.rstrip("/"))
    return {**_MIRRORS, **mirrors}


def _archive_lines(source: Bootstrap) -> list[str]:
    components = " ".join(source.components)
    return [
        f"deb {mirror(source, kind) or own_mirrors()[kind]} {suite} {components}"
        for suite, kind in suites(source).items()
    ]
