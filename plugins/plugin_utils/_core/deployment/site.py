# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The model of a site: its services, and what each of them needs. No target is named here.

Names of services are names in DNS on every target, so one service finds another by its name. Secrets occur only as
keys; their values are in :class:`.secret_values.SecretValues`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from ..errors import ChainError

#: Where every service finds the files with its secrets.
SECRETS_FOLDER = "/run/secrets"

#: RFC 1123, shorter than its 63 characters, because targets put suffixes at names.
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,38}[a-z0-9])?")


class DeployedImage(msgspec.Struct, frozen=True):
    """The image of a service."""

    #: What a target is told: ``registry.example.org/team/wordpress@sha256:…``; for an image that only the engine has,
    #: the name by which that engine knows it.
    reference: str
    #: The repository and tag that it was chosen by: ``registry.example.org/team/wordpress:latest``.
    chosen_by: str
    #: Digest of its configuration: the image ID.
    config: str
    #: Tier and team that made it, from its labels; empty if it has none.
    tier: str
    team: str
    #: Whether only the engine has it, so that no other machine can run it.
    is_local: bool = False


class Probe(msgspec.Struct, frozen=True):
    """The health check of a service. Times are in seconds."""

    #: The command; if empty, the image's own health check, with these times.
    test: tuple[str, ...]
    interval: int = 2
    #: The interval after the first success, on targets that have two intervals. Each check costs about 50 ms of
    #: processor time in an engine.
    calm_interval: int = 10
    timeout: int = 5
    retries: int = 3
    #: Time in which failures do not count. It costs nothing: the first success ends it.
    start_period: int = 120


class Limits(msgspec.Struct, frozen=True):
    """What one replica may use, and what is reserved for it."""

    #: Thousandths of a processor.
    millicpus: int
    #: Bytes.
    memory: int
    processes: int
    #: Share of both that is reserved, in percent.
    reserved: int = 25


class SiteVolume(msgspec.Struct, frozen=True):
    """A volume that outlives all containers."""

    name: str
    #: Bytes, for targets that want to know.
    size: int
    #: Whether several replicas use it at once, perhaps on several machines.
    shared: bool = False
    #: Kubernetes' storage class; empty for the default one.
    storage_class: str = ""
    #: Driver and options in an engine; empty for a folder of the engine.
    driver: str = ""
    options: Mapping[str, str] = msgspec.field(default_factory=dict)


class VolumeMount(msgspec.Struct, frozen=True):
    """A place where a service sees a volume."""

    volume: str
    path: str
    #: A directory in the image that has the owner and the mode that the new volume gets, if ``path`` is not in the
    #: image.
    like: str = ""


class FilledFolder(msgspec.Struct, frozen=True):
    """A folder that a container fills from its own image when it starts, so that it never outlives an image."""

    path: str
    #: The command that fills it, for targets that make it read-only for the server.
    command: tuple[str, ...]


class SecretFile(msgspec.Struct, frozen=True):
    """A secret that a service reads from a file."""

    #: The variable of the service, to which ``_FILE`` is added.
    variable: str
    #: The key of the secret, and the name of the file.
    key: str

    @property
    def path(self) -> str:
        """The file in the container."""
        return f"{SECRETS_FOLDER}/{self.key}"


class SiteService(msgspec.Struct, frozen=True):
    """One service of a site."""

    name: str
    image: DeployedImage
    replicas: int
    #: Its port inside the site's network.
    port: int
    #: User and group that it runs as. Neither a name nor 0 as user.
    uid: int
    gid: int
    probe: Probe
    limits: Limits
    environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    secrets: tuple[SecretFile, ...] = ()
    volumes: tuple[VolumeMount, ...] = ()
    #: Folders in memory that it may write to, with their sizes in bytes. Everything else is read-only.
    scratch: Mapping[str, int] = msgspec.field(default_factory=dict)
    filled: FilledFolder | None = None
    #: Seconds that it has to end.
    stop_seconds: int = 30
    stop_signal: str = ""
    #: Whether two containers must never run at once, because both would write to the same data.
    exclusive: bool = False
    #: The port of the machine, or of the cluster, where visitors reach it.
    published: int | None = None
    #: The port that it opens in the network of the machine, instead of being in the network of the site.
    machine_port: int | None = None
    #: Whether it must be on the machine that visitors reach, because its sockets are there.
    on_entry_machine: bool = False
    #: Settings that replace others if it does not open its port itself, but gets it as file descriptor 3.
    socket_environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: Settings that replace others if a proxy of the cluster is in front of it, which ends TLS.
    ingress_environment: Mapping[str, str] = msgspec.field(default_factory=dict)
    #: The services that it connects to.
    uses: tuple[str, ...] = ()
    #: Replicas that a busy cluster may add, and the share of its processors, in percent, at which it does.
    most_replicas: int = 0
    busy_at: int = 70

    @property
    def environment_with_secrets(self) -> dict[str, str]:
        """The whole environment: settings, and the names of the files with secrets."""
        files = {f"{secret.variable}_FILE": secret.path for secret in self.secrets}
        return dict(sorted({**self.environment, **files}.items()))


class Site(msgspec.Struct, frozen=True):
    """A site: what runs together, and is deployed together."""

    name: str
    #: Each after the services that it uses.
    services: tuple[SiteService, ...]
    volumes: tuple[SiteVolume, ...]

    def service(self, name: str) -> SiteService:
        """Return the service with this name."""
        return next(service for service in self.services if service.name == name)

    def volume(self, name: str) -> SiteVolume:
        """Return the volume with this name."""
        return next(volume for volume in self.volumes if volume.name == name)

    def users_of(self, name: str) -> list[str]:
        """Return the names of the services that connect to a service."""
        return [service.name for service in self.services if name in service.uses]

    @property
    def secret_keys(self) -> list[str]:
        """The keys of all secrets that its services read."""
        return sorted({secret.key for service in self.services for secret in service.secrets})


def check_site(site: Site) -> None:
    """Check what no target could run, or no target should.

    Raises:
        ChainError: The first problem.
    """
    for problem in _problems(site):
        raise ChainError(f"site {site.name!r}: {problem}")


def _problems(site: Site) -> Iterator[str]:
    names = [service.name for service in site.services]
    for name in [site.name, *names, *(volume.name for volume in site.volumes)]:
        if not _NAME.fullmatch(name):
            yield (
                f"the name {name!r} cannot be used in DNS; expected at most 40 lower-case letters, digits and hyphens, "
                "with a letter at the beginning"
            )
    for number, service in enumerate(site.services):
        yield from _problems_of_service(site, service, names[:number])


def _problems_of_service(site: Site, service: SiteService, earlier: list[str]) -> Iterator[str]:
    title = f"service {service.name!r}"
    if service.name in earlier:
        yield f"{title} occurs twice"
    if late := [name for name in service.uses if name not in earlier]:
        yield f"{title} uses {late[0]!r}, which does not come before it"
    if service.uid == 0:
        yield f"{title} would run as root; choose an image whose user is not root"
    if service.exclusive and service.replicas != 1:
        yield f"{title} has {service.replicas} replicas, but only one may use its data at a time; set 1"
    if service.replicas < 1:
        yield f"{title} has {service.replicas} replicas; expected at least 1"
    if 0 < service.most_replicas < service.replicas:
        yield f"{title} has at most {service.most_replicas} replicas, but begins with {service.replicas}"
    known = {volume.name for volume in site.volumes}
    if unknown := [mount.volume for mount in service.volumes if mount.volume not in known]:
        yield f"{title} mounts the volume {unknown[0]!r}, which the site does not have"
    paths = [*(mount.path for mount in service.volumes), *service.scratch]
    if twice := [path for path in paths if paths.count(path) > 1]:
        yield f"{title} mounts {twice[0]} twice"
