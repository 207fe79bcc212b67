"""Compares the content of two images: their packages and their files."""

from __future__ import annotations

import hashlib
import re
import subprocess
import tarfile
from dataclasses import dataclass, field

#: Paths that may differ, with the reason. Everything else must be equal: type, mode, owner, target and content.
EXCEPTIONS = {
    r"(dev|proc|sys|run)/.*|\.dockerenv|etc/(hosts|hostname|resolv\.conf)": "the engine writes them for each container",
    r"usr/sbin/docker-init": "the engine's place for the first process of the script's containers",
    r"tmp/.*|tmp|var/tmp/.*": "temporary files",
    r"var/log/.*": "logs",
    r"var/cache/.*": "caches",
    r"var/lib/apt/.*": "package lists and the state of apt",
    r"var/lib/dpkg/(status-old|available|lock.*|triggers/.*|diversions-old|statoverride-old)": "dpkg rewrites them",
    r"etc/(passwd|group|shadow|gshadow|subuid|subgid)-": "backups",
    r"var/lib/ucf/(hashfile|registry)\.[0-9]": "backups",
    r"etc/\.pwd\.lock": "a lock file",
}
_EXCEPTION = re.compile("|".join(f"(?:{pattern})" for pattern in EXCEPTIONS))
#: In /etc/shadow, the day of the last change of a password.
_SHADOW_DAY = re.compile(rb"^([^:]*:[^:]*:)\d+:", re.MULTILINE)
_SHADOW = "etc/shadow"
#: Files with a line for each file of a package, in the order in which packages were configured.
_UNORDERED = ("var/lib/ucf/hashfile", "var/lib/ucf/registry")
_STATUS = "var/lib/dpkg/status"


@dataclass(frozen=True)
class Content:
    """The files of an image, by path, and its packages with their versions."""

    files: dict[str, tuple[str, ...]]
    packages: set[str] = field(default_factory=set)


def read(image: str) -> Content:
    """Read the content of an image of the engine."""
    command = ["docker", "create", "--network", "none", image, "true"]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    files: dict[str, tuple[str, ...]] = {}
    packages: set[str] = set()
    try:
        with (
            subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as archive,
        ):
            for member in archive:
                path = member.name.removeprefix("./").rstrip("/")
                data = b""
                if member.isreg() and (stream := archive.extractfile(member)):
                    data = stream.read()
                if path == _STATUS:
                    packages = _packages(data.decode())
                    continue
                if path and not _EXCEPTION.fullmatch(path):
                    files[path] = _entry(path, member, data)
    finally:
        subprocess.run(["docker", "rm", container], check=True, capture_output=True)
    return Content(files, packages)


def differences(one: Content, other: Content) -> list[str]:
    """What is not equal, as one line each: packages first, and then paths."""
    lines = [f"package {package}" for package in sorted(one.packages ^ other.packages)]
    for path in sorted(one.files.keys() | other.files.keys()):
        ours, theirs = one.files.get(path), other.files.get(path)
        if ours != theirs:
            lines.append(f"/{path}: {_text(ours)} and {_text(theirs)}")
    return lines


def _text(entry: tuple[str, ...] | None) -> str:
    return " ".join(entry) if entry else "missing"


def _entry(path: str, member: tarfile.TarInfo, data: bytes) -> tuple[str, ...]:
    kind = {tarfile.DIRTYPE: "directory", tarfile.SYMTYPE: "link"}.get(member.type, "file")
    if path == _SHADOW:
        data = _SHADOW_DAY.sub(rb"\1:", data)
    if path in _UNORDERED:
        data = b"\n".join(sorted(data.splitlines()))
    mode = "" if kind == "link" else f"{member.mode:o}"
    digest = hashlib.sha256(data).hexdigest()[:16] if kind == "file" else member.linkname
    # A hard link has the content of another path of the archive.
    return (kind, mode, f"{member.uid}:{member.gid}", f"= {member.linkname}" if member.islnk() else digest)


def _packages(status: str) -> set[str]:
    packages = set()
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", paragraph, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            packages.add(f"{fields['Package']} {fields['Version']}")
    return packages
