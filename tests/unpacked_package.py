"""Programs from other suites of Debian: single packages, unpacked into a folder and not installed. They are kept."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.bases.debian_bootstrap import own_mirrors
from engines.roots import FROZEN, UnavailableError, cache

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def unpack(suite: str, package: str) -> Path:
    """Unpack a package without its dependencies, unless this was done before.

    apt checks the signature of the archive, with lists and settings of its own in a temporary folder.

    Args:
        suite: The suite of Debian.
        package: The package.

    Returns:
        The folder with its files.

    Raises:
        UnavailableError: The archive does not have it, or does not answer.
    """
    folder = cache().parent / "packages" / f"{suite}-{package}"
    if folder.exists():
        return folder
    if shutil.which("apt-get") is None:
        raise UnavailableError("unpacking packages of Debian needs apt-get")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder.parent) as name:
        work = Path(name)
        for needed in ("lists/partial", "archives/partial", "downloaded"):
            (work / needed).mkdir(parents=True)
        (work / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {own_mirrors()['archive']} {suite} main\n")
        (work / "apt.conf").write_text(
            f'Dir::Etc::SourceList "{work}/sources.list";\nDir::Etc::SourceParts "/dev/null";\n'
            f'Dir::State::Lists "{work}/lists";\nDir::Cache "{work}";\nDir::Cache::Archives "{work}/archives";\n'
            f'Dir::State::Status "/dev/null";\nAPT::Sandbox::User "root";\nAcquire::Languages "none";\n{FROZEN};\n'
        )
        _run(work, ["apt-get", "update", "--error-on=any"], suite, package)
        _run(work / "downloaded", ["apt-get", "download", package], suite, package)
        (archive,) = (work / "downloaded").iterdir()
        _run(work, ["dpkg-deb", "--extract", str(archive), str(work / "root")], suite, package)
        if not folder.exists():  # else another session has made it in the meantime
            (work / "root").rename(folder)
    return folder


def _run(folder: Path, command: list[str], suite: str, package: str) -> None:
    config = folder / "apt.conf" if (folder / "apt.conf").exists() else folder.parent / "apt.conf"
    process = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_CONFIG": str(config)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        end = "\n".join(process.stdout.splitlines()[-15:])
        raise UnavailableError(f"{package} of Debian's suite {suite} cannot be unpacked:\n{end}")
