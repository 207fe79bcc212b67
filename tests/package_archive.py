"""A package archive in memory, which a test serves over HTTP, and the dpkg databases of images that use it."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from served import Answer

#: Name, architecture and version.
Package = tuple[str, str, str]


def paragraphs(packages: Sequence[Package], more: str = "") -> bytes:
    return "\n".join(
        f"Package: {name}\n{more}Architecture: {architecture}\nVersion: {version}\n"
        f"Filename: {file_path(name, architecture, version)}\nDescription: it\n more of it\n"
        for name, architecture, version in packages
    ).encode()


def file_path(name: str, architecture: str, version: str) -> str:
    return f"pool/{name}_{version}_{architecture}.deb"


def status(*packages: Package) -> tuple[str, bytes]:
    """The database of dpkg, as an entry of a layer."""
    return ("var/lib/dpkg/status", paragraphs(packages, "Status: install ok installed\n"))


class Archive:
    """A package archive: the files it serves, and the paths that were requested."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requested: list[str] = []
        #: Headers by path.
        self.headers: dict[str, Mapping[str, str]] = {}
        self.sign: Callable[[bytes], bytes] | None = None
        self.host = ""

    def put(
        self, suite: str, packages: Sequence[Package], *, ending: str = ".xz", component: str = "main", **more: str
    ) -> None:
        content = paragraphs(packages)
        packers: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.compress, ".gz": gzip.compress, "": bytes}
        packed = packers[ending](content)
        path = f"{component}/binary-amd64/Packages{ending}"
        fields = {"Suite": suite, "Architectures": "amd64", "Components": component, **more}
        entry = f" {hashlib.sha256(packed).hexdigest()} {len(packed)} {path}"
        text = "".join(f"{name}: {value}\n" for name, value in fields.items()) + f"SHA256:\n{entry}\n"
        self.files[f"/debian/dists/{suite}/{path}"] = packed
        self.files[f"/debian/dists/{suite}/InRelease"] = self.signed(text.encode())

    def put_file(self, package: Package, modified: str | None) -> None:
        """Add the file of a package with this header ``Last-Modified``."""
        path = f"/debian/{file_path(*package)}"
        self.files[path] = b"a package"
        self.headers[path] = {} if modified is None else {"Last-Modified": modified}

    def signed(self, text: bytes) -> bytes:
        return self.sign(text) if self.sign else text

    def __call__(self, path: str, _headers: Mapping[str, str]) -> Answer:
        self.requested.append(path)
        content = self.files.get(path)
        return (404, {}, b"") if content is None else (200, self.headers.get(path, {}), content)

    def source(self, suite: str, options: str = "[trusted=yes]") -> bytes:
        return f"deb {options} http://{self.host}/debian {suite} main\n".encode()


@dataclass(frozen=True)
class ArchiveKey:
    """Signs with a key, and has its public part: binary, and armoured."""

    sign: Callable[[bytes], bytes]
    binary: bytes
    armoured: bytes


@contextmanager
def archive_key(home: Path) -> Iterator[ArchiveKey]:
    """Make a new key in a folder, whose path must be short."""

    def gpg(*arguments: str, **more: Any) -> bytes:
        words = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback", "--passphrase", ""]
        answer: bytes = subprocess.run([*words, *arguments], check=True, capture_output=True, **more).stdout
        return answer

    gpg("--quick-generate-key", "it@example.org", "ed25519", "sign")
    try:
        yield ArchiveKey(lambda text: gpg("--clear-sign", input=text), gpg("--export"), gpg("--export", "--armor"))
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
