"""The engines that can be fetched: which of Debian's suites has each, and how it is started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Packages of every root file system: a suite's engines share one.
PACKAGES = (
    "aardvark-dns",
    "ca-certificates",
    "catatonit",
    "docker.io",
    "iptables",
    "netavark",
    "nftables",
    "podman",
    "procps",
    "runc",
)

#: What the README asks for before `make chain`, and what PyPI's certificates are checked by.
BARE = ("ca-certificates", "git", "make", "python3")

#: What an engine of an ordinary user needs besides, and `make chain` where nobody may become root.
ROOTLESS = (*PACKAGES, *BARE, "iproute2", "mmdebstrap", "passt", "python3-venv", "rootlesskit", "slirp4netns", "uidmap")

#: A machine without systemd and with both versions of cgroups, which may not raise limits. Equal pairs of limits:
#: Podman 4.3 writes soft ones for hard ones and the other way round.
_PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
"""

#: Docker trusts registries at localhost without TLS; Podman has to be told.
_PODMAN_REGISTRIES = '[[registry]]\nlocation = "localhost"\ninsecure = true\n'

#: As the package podman-docker does, so that whoever looks for Docker's socket finds Podman's.
_PODMAN_COMMAND = """
mkdir -p /run/podman
ln -s podman/podman.sock /run/docker.sock
exec podman --root "$1/data/containers" system service --time=0 unix:///run/podman/podman.sock
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine that can be fetched."""

    #: What it is asked for by.
    name: str
    #: The suite of Debian that has it.
    suite: str
    #: What its version begins with. A suite that is not released may have moved on to the next.
    version: str
    #: The package that has it.
    package: str
    #: Starts it; given the folder for its data as last argument.
    command: tuple[str, ...]
    #: Settings, by path in its root file system.
    files: Mapping[str, str] = field(default_factory=dict)


def _docker(name: str, suite: str, version: str, **features: bool) -> Choice:
    settings = {"features": features} if features else {}
    return Choice(
        name,
        suite,
        version,
        package="docker.io",
        command=("sh", "-c", "exec dockerd", "dockerd"),
        files={"etc/docker/daemon.json": json.dumps(settings)},
    )


def _podman(name: str, suite: str, version: str) -> Choice:
    return Choice(
        name,
        suite,
        version,
        package="podman",
        command=("sh", "-c", _PODMAN_COMMAND, "podman"),
        files={
            "etc/containers/containers.conf.d/tests.conf": _PODMAN_SETTINGS,
            "etc/containers/registries.conf.d/tests.conf": _PODMAN_REGISTRIES,
        },
    )


_ALL = (
    _docker("docker-20", "bookworm", "20."),
    _docker("docker-26", "trixie", "26."),
    # What the two stores of images are called in Docker's own settings; the second is the default from Docker 29 on.
    _docker("docker-28", "forky", "28.", **{"containerd-snapshotter": False}),
    _docker("docker-28-containerd", "forky", "28.", **{"containerd-snapshotter": True}),
    _podman("podman-4", "bookworm", "4."),
    _podman("podman-5", "trixie", "5."),
    _podman("podman-5-forky", "forky", "5."),
)

#: All of them, by name.
CHOICES: Mapping[str, Choice] = {choice.name: choice for choice in _ALL}
