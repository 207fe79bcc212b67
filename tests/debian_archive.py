"""A signed archive of Debian packages on this machine, as a team has one for its own security updates.

Equal packages give an archive with equal indexes: nothing in them depends on the time. Only the signature does.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

#: What makes and signs an archive.
PROGRAMS = ("dpkg-deb", "gpg", "gpgconf")
_EPOCH = "1767225600"  # 2026-01-01


def missing_programs() -> str:
    """Why no archive can be made here; empty if it can."""
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return f"an archive of packages needs {', '.join(missing)}" if missing else ""


class SigningKey:
    """A new key, in a folder of its own. `close` ends the agent that gpg starts for it."""

    def __init__(self) -> None:
        self._home = tempfile.mkdtemp(prefix="twtest-")  # the path of the agent's socket must be short
        self._gpg("--quick-generate-key", "updates@operations.example.org", "ed25519", "sign", "never")
        #: The public part, armoured.
        self.public = self._gpg("--export", "--armor").decode()

    def sign(self, text: str) -> bytes:
        """The text with a signature, as in ``InRelease``."""
        return self._gpg("--clear-sign", content=text.encode())

    def close(self) -> None:
        subprocess.run(["gpgconf", "--homedir", self._home, "--kill", "all"], check=False)
        shutil.rmtree(self._home, ignore_errors=True)

    def _gpg(self, *arguments: str, content: bytes = b"") -> bytes:
        words = ["gpg", "--homedir", self._home, "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        return subprocess.run([*words, *arguments], input=content, capture_output=True, check=True).stdout


class DebianArchive:
    """An archive with one suite. It begins without packages."""

    def __init__(self, folder: Path, key: SigningKey, suite: str = "corebuild-security") -> None:
        self.folder, self.suite, self._key = folder, suite, key
        self.publish()

    def publish(self, *packages: Path) -> None:
        """Make the archive hold these packages and no others."""
        pool = self.folder / "pool"
        pool.mkdir(parents=True, exist_ok=True)
        stanzas = []
        for package in sorted(packages):
            placed = pool / package.name
            if placed != package:
                shutil.copyfile(package, placed)
            stanzas.append(_stanza(placed, f"pool/{package.name}"))
        index = f"main/binary-{architecture()}/Packages"
        files = {index: "\n".join(stanzas).encode()}
        suite = self.folder / "dists" / self.suite
        for path, content in files.items():
            _replace(suite / path, content)
        release = _release(self.suite, files)
        _replace(suite / "Release", release.encode())
        _replace(suite / "InRelease", self._key.sign(release))  # last: it says that the other files are complete

    @contextlib.contextmanager
    def serve(self, host: str = "127.0.0.1") -> Iterator[str]:
        """Serve it at an address of this machine that containers reach. Yields the address of the archive."""
        server = ThreadingHTTPServer((host, 0), partial(_QuietHandler, directory=str(self.folder)))
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://{host}:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


class _QuietHandler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: object) -> None:
        pass


def architecture() -> str:
    """The architecture of this machine, as Debian names it."""
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def newer_package(package: Path, folder: Path, suffix: str, path: str, content: str) -> Path:
    """Make a package with a higher version that also has another file.

    Args:
        package: The package, a ``.deb`` file.
        folder: The folder for the new one.
        suffix: What its version gets at its end: ``+deb12u99``. It replaces an older one of this form.
        path: Path of the additional file, without a slash at the beginning.
        content: Content of that file.

    Returns:
        The new ``.deb`` file.
    """
    with tempfile.TemporaryDirectory(dir=folder) as unpacked:
        tree = Path(unpacked, "tree")
        subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
        control = tree / "DEBIAN/control"
        lines = control.read_text().splitlines()
        lines = [
            re.sub(r"(\+deb\d+u\d+)?$", suffix, line, count=1) if line.startswith("Version:") else line
            for line in lines
        ]
        control.write_text("\n".join(lines) + "\n")
        added = tree / path
        added.parent.mkdir(parents=True, exist_ok=True)
        added.write_text(content)
        sums = tree / "DEBIAN/md5sums"
        digest = hashlib.md5(content.encode(), usedforsecurity=False).hexdigest()
        sums.write_text(f"{sums.read_text() if sums.exists() else ''}{digest}  {path}\n")
        fields = dict(line.partition(": ")[::2] for line in lines)
        name = (
            f"{fields['Package']}_{fields['Version'].partition(':')[2] or fields['Version']}_{fields['Architecture']}"
        )
        result = folder / f"{name}.deb"
        command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(result)]
        subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": _EPOCH}, stdout=subprocess.DEVNULL)
    return result


def _stanza(package: Path, path: str) -> str:
    control = subprocess.check_output(["dpkg-deb", "--field", str(package)], text=True).rstrip("\n")
    content = package.read_bytes()
    return f"{control}\nFilename: {path}\nSize: {len(content)}\nSHA256: {_digest(content)}\n"


def _release(suite: str, files: dict[str, bytes]) -> str:
    text = (
        f"Origin: Operations\nLabel: Security updates of operations\nSuite: {suite}\nCodename: {suite}\n"
        f"Date: Thu, 01 Jan 2026 00:00:00 UTC\nArchitectures: {architecture()}\nComponents: main\n"
    )
    lines = "".join(f" {_digest(content)} {len(content)} {path}\n" for path, content in files.items())
    return f"{text}SHA256:\n{lines}"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.new")
    temporary.write_bytes(content)
    temporary.replace(path)
