# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The entry of a site on Swarm: small proxies that hold the port of the machine, however the site behind them changes.

A container in the site's network cannot share a published port with its successor, so each change of the proxy would
turn visitors away. The entries run in the network of the machine. HAProxy opens ports with ``SO_REUSEPORT``, so
several of them, of the same user, hold one port at once: if one ends, the others have the port already.

The network of the machine does not know the names of a site. So an entry reaches the proxies through Unix sockets in a
volume that is in memory. A proxy that starts replaces the socket of its predecessor by renaming its own over it.
"""

from __future__ import annotations

from msgspec.structs import replace

from .site import Limits, Probe, Site, SiteService, SiteVolume, VolumeMount

ENTRY = "entry"

_VOLUME = "sockets"
_FOLDER = "/run/site"
_MB = 1_000_000
#: The role haproxy has variables for this number of servers.
_MOST_PROXIES = 4
#: An entry has no other work than to pass on bytes.
_LIMITS = Limits(millicpus=500, memory=128 * _MB, processes=100)


def most_proxies() -> int:
    """Return the largest number of proxies that an entry can use."""
    return _MOST_PROXIES


def with_entry(site: Site, entries: int) -> Site:
    """Put entries in front of the service that visitors reach.

    Args:
        site: A site. Its published service is a HAProxy of the role ``haproxy``.
        entries: The number of entries.

    Returns:
        The site with one more service and one more volume; the same site if no service is published, or if there are
        no entries.
    """
    published = [service for service in site.services if service.published is not None]
    if not published or not entries:
        return site
    proxy = published[0]
    sockets = SiteVolume(
        _VOLUME,
        _MB,
        driver="local",
        options={"device": "tmpfs", "o": f"uid={proxy.uid},gid={proxy.gid},mode=0770,size=1m", "type": "tmpfs"},
    )
    behind = replace(
        proxy,
        published=None,
        environment={**proxy.environment, "HAPROXY_LISTEN_HTTP": _listen()},
        volumes=(*proxy.volumes, VolumeMount(_VOLUME, _FOLDER)),
        on_entry_machine=True,
    )
    others = [behind if service is proxy else service for service in site.services]
    entry = _entry(proxy, proxy.published or 0, entries)
    return replace(site, services=(*others, entry), volumes=(*site.volumes, sockets))


def _listen() -> str:
    """Return where a proxy listens. Swarm replaces the pattern with the number of the replica."""
    return f"unix@{_FOLDER}/{{{{.Task.Slot}}}}.sock mode 660 accept-proxy"


def _entry(proxy: SiteService, port: int, entries: int) -> SiteService:
    servers = {
        f"HAPROXY_SERVER_{number}": f"unix@{_FOLDER}/{number}.sock send-proxy-v2"
        for number in range(1, proxy.replicas + 1)
    }
    passed_on = {
        name: value for name, value in proxy.environment.items() if name not in {"HAPROXY_BACKEND", "HAPROXY_RESOLVER"}
    }
    return SiteService(
        name=ENTRY,
        image=proxy.image,
        replicas=entries,
        port=port,
        uid=proxy.uid,
        gid=proxy.gid,
        # Ports for statistics would be those of the machine.
        probe=Probe(proxy.probe.test, interval=1, start_period=proxy.probe.start_period),
        limits=_LIMITS,
        environment={
            **passed_on,
            "HAPROXY_LISTEN_HTTP": f":{port}",
            "HAPROXY_LISTEN_STATS": "unix@/tmp/stats.sock",
            **servers,
        },
        volumes=(VolumeMount(_VOLUME, _FOLDER),),
        scratch=proxy.scratch,
        stop_seconds=proxy.stop_seconds,
        uses=(proxy.name,),
        machine_port=port,
        on_entry_machine=True,
    )
