# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Renders a site as quadlets: files from which Podman's generator makes systemd units (podman-systemd.unit(5)).

The units are those of Podman 5.2 and later (``NetworkAlias``, ``Notify=healthy``). systemd holds the published
port itself, and hands it to the proxy. While the proxy is replaced, visitors wait in the queue of the port, and nobody
is turned away.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping

from .labels import image_annotations, selector
from .rendered_files import HEADER, RenderedFile
from .site import SECRETS_FOLDER, Site, SiteService, SiteVolume

Section = list[tuple[str, str]]


def quadlet_files(site: Site, secret_names: Mapping[str, str]) -> list[RenderedFile]:
    """Render a site as files for ``/etc/containers/systemd``.

    Those that end in ``.socket`` are not quadlets, and belong into ``/etc/systemd/system``.

    Args:
        site: The site.
        secret_names: By key, the names of the secrets in Podman.
    """
    files = [RenderedFile(f"{site.name}.network", _unit({"Network": [("NetworkName", site.name)]}))]
    for volume in site.volumes:
        name = f"{site.name}-{volume.name}"
        files.append(RenderedFile(f"{name}.volume", _unit({"Volume": [("VolumeName", name), *_owner(site, volume)]})))
    for service in site.services:
        for number in range(1, service.replicas + 1):
            name = unit_name(site, service, number)
            content = _unit(_container(site, service, number, secret_names))
            files.append(RenderedFile(f"{name}.container", content))
            if service.published is not None:
                files.append(RenderedFile(f"{name}.socket", _unit(_socket(site, service))))
    return files


def unit_name(site: Site, service: SiteService, number: int) -> str:
    """Return the name of the unit of one replica: ``shop-wordpress-1``; without a number if there is only one."""
    return f"{site.name}-{service.name}" + (f"-{number}" if service.replicas > 1 else "")


def _container(site: Site, service: SiteService, number: int, secret_names: Mapping[str, str]) -> dict[str, Section]:
    # Labels must not name the deployment: then each deployment would change each unit, and replace its container.
    labels = {**image_annotations(service), **selector(site, service)}
    handed_over = service.socket_environment if service.published is not None else {}
    environment = sorted({**service.environment_with_secrets, **handed_over}.items())
    used = [
        f"{unit_name(site, each, replica)}.service"
        for each in map(site.service, service.uses)
        for replica in range(1, each.replicas + 1)
    ]
    after = [(key, unit) for unit in used for key in ("Wants", "After")]
    # Without its socket, the proxy would not have the descriptor that it listens on.
    socket = f"{unit_name(site, service, number)}.socket"
    needs = [("Requires", socket), ("After", socket)] if service.published is not None else []
    return {
        "Unit": [("Description", f"{service.name} of the site {site.name}"), *after, *needs],
        "Container": [
            ("ContainerName", unit_name(site, service, number)),
            ("Image", service.image.reference),
            ("Pull", "never" if service.image.is_local else "missing"),
            ("Network", f"{site.name}.network"),
            ("NetworkAlias", service.name),
            ("User", str(service.uid)),
            ("Group", str(service.gid)),
            ("ReadOnly", "true"),
            ("ReadOnlyTmpfs", "false"),
            ("DropCapability", "all"),
            ("NoNewPrivileges", "true"),
            *(("Label", _quoted(f"{name}={value}")) for name, value in sorted(labels.items())),
            *(("Environment", _quoted(f"{name}={value}")) for name, value in environment),
            *(
                ("Secret", f"{secret_names[each.key]},target={each.key},uid={service.uid},gid={service.gid},mode=0400")
                for each in service.secrets
            ),
            *(("Volume", f"{site.name}-{mount.volume}.volume:{mount.path}") for mount in service.volumes),
            *(("Tmpfs", f"{path}:size={size},mode=1777") for path, size in service.scratch.items()),
            # Podman mounts each secret on a file of its own, which cannot be made in a root that is read-only.
            *([("Tmpfs", f"{SECRETS_FOLDER}:size=1000000,mode=0755")] if service.secrets else []),
            *_health(service),
            ("StopTimeout", str(service.stop_seconds)),
            ("PodmanArgs", f"--memory={service.limits.memory} --cpus={service.limits.millicpus / 1000:g}"),
            ("PidsLimit", str(service.limits.processes)),
        ],
        "Service": [
            ("Restart", "always"),
            ("RestartSec", "1"),
            ("TimeoutStartSec", str(service.probe.start_period + 60)),
            ("TimeoutStopSec", str(service.stop_seconds + 10)),
        ],
        "Install": [("WantedBy", "multi-user.target default.target")],
    }


def _owner(site: Site, volume: SiteVolume) -> Iterator[tuple[str, str]]:
    """Yield who owns a new volume: the user of the first service that mounts it."""
    for service in site.services:
        if volume.name in {mount.volume for mount in service.volumes}:
            yield "User", str(service.uid)
            yield "Group", str(service.gid)
            return


def secret_script(site: Site, values: Mapping[str, str]) -> RenderedFile:
    """Render a script that stores the secrets in Podman. The values are in no command line.

    Args:
        site: The site.
        values: The secrets, by the names that they have in Podman.
    """
    name = f"{site.name}-secrets.sh"
    lines = [
        f"# Stores the secrets of {site.name} in Podman. Run `sh {name}` as the user of the units, and remove it.",
        "set -eu",
        'store() { podman secret inspect "$1" >/dev/null 2>&1 || podman secret create "$1" - >/dev/null; }',
        # `printf` is a part of the shell, so no other process sees its arguments.
        *(f"printf %s {shlex.quote(value)} | store {secret}" for secret, value in sorted(values.items())),
    ]
    return RenderedFile(name, HEADER + "\n".join(lines) + "\n", is_secret=True)


def _health(service: SiteService) -> Iterator[tuple[str, str]]:
    probe = service.probe
    if probe.test:
        yield "HealthCmd", " ".join(probe.test)
    yield "HealthInterval", f"{probe.interval}s"
    yield "HealthTimeout", f"{probe.timeout}s"
    yield "HealthRetries", str(probe.retries)
    yield "HealthStartPeriod", f"{probe.start_period}s"
    yield "HealthOnFailure", "kill"  # systemd starts it again
    yield "Notify", "healthy"  # a unit is started when its container is healthy, so the next replica can be replaced


def _socket(site: Site, service: SiteService) -> dict[str, Section]:
    return {
        "Unit": [("Description", f"The port of the site {site.name}")],
        "Socket": [("ListenStream", str(service.published)), ("ReusePort", "true"), ("Backlog", "4096")],
        "Install": [("WantedBy", "sockets.target")],
    }


def _unit(sections: Mapping[str, Iterable[tuple[str, str]]]) -> str:
    parts = ["\n".join([f"[{name}]", *(f"{key}={value}" for key, value in lines)]) for name, lines in sections.items()]
    return HEADER + "\n" + "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    """Quote a text as systemd.syntax(7), systemd.unit(5) and systemd.service(5) require.

    ``%`` and ``$`` are doubled, because the generator puts the text into a command line. Line feeds are escaped.
    """
    for character, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("%", "%%"), ("$", "$$")):
        text = text.replace(character, escaped)
    return f'"{text}"'
