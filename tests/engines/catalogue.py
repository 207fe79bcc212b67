"""The engines that can be downloaded: the suite of Debian that has each, and how it is started."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Packages of every root file system. The engines of a suite share one root file system.
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

#: The requirements of `make chain` in the README, and the certificates for PyPI.
BARE = ("ca-certificates", "git", "make", "python3")

#: Additional requirements of an engine of an ordinary user, and of `make chain` without root.
ROOTLESS = (*PACKAGES, *BARE, "iproute2", "mmdebstrap", "passt", "python3-venv", "rootlesskit", "slirp4netns", "uidmap")

#: For a machine without systemd and with both versions of cgroups, which must not raise limits. The soft and the hard
#: limits are equal, because Podman 4.3 mixes them up.
_PODMAN_SETTINGS = """
[containers]
default_ulimits = ["nofile=4096:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_backend = "netavark"
"""

#: Docker accepts registries at localhost without TLS. Podman needs this setting.
_PODMAN_REGISTRIES = '[[registry]]\nlocation = "localhost"\ninsecure = true\n'

#: Makes Podman's socket available at the path of Docker's socket, like the package podman-docker.
_PODMAN_COMMAND = """
mkdir -p /run/podman
ln -s podman/podman.sock /run/docker.sock
exec podman --root "$1/data/containers" system service --time=0 unix:///run/podman/podman.sock
"""


@dataclass(frozen=True, slots=True)
class Choice:
    """An engine that can be downloaded."""

    #: Its name in ``--engine NAME``.
    name: str
    #: The suite of Debian that has it.
    suite: str
    #: The beginning of its version. A suite that is not released yet may have a newer version by now.
    version: str
    #: The package that contains it.
    package: str
    #: Starts it. The folder for its data is added as the last argument.
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
    # The two image stores, by Docker's own setting. containerd's store is the default since Docker 29.
    _docker("docker-28", "forky", "28.", **{"containerd-snapshotter": False}),
    _docker("docker-28-containerd", "forky", "28.", **{"containerd-snapshotter": True}),
    _podman("podman-4", "bookworm", "4."),
    _podman("podman-5", "trixie", "5."),
    _podman("podman-5-forky", "forky", "5."),
)

#: All of them, by name.
CHOICES: Mapping[str, Choice] = {choice.name: choice for choice in _ALL}
