# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The site of the demo chain: WordPress, its database, and a proxy in front of it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .secret_values import KEYS
from .site import (
    DeployedImage,
    FilledFolder,
    Limits,
    Probe,
    SecretFile,
    Site,
    SiteService,
    SiteVolume,
    VolumeMount,
)

DATABASE, APPLICATION, PROXY = "mariadb", "wordpress", "haproxy"
#: The services of the site, each after those that it uses.
SERVICES = (DATABASE, APPLICATION, PROXY)

_DOCUMENT_ROOT = "/var/www/html"
_MB = 1_000_000
#: Where the pods and the machines of a cluster are.
_PRIVATE_NETWORKS = "127.0.0.0/8 10.0.0.0/8 100.64.0.0/10 172.16.0.0/12 192.168.0.0/16 fc00::/7"
_TMP = {"/tmp": 64 * _MB}  # noqa: S108 - of the container

#: WordPress's code comes from the image only, so nobody may change it in a running container. If the database is being
#: replaced, requests wait for it. Without this, WordPress would answer each of them with an error at once. 1045 is a
#: wrong password, for which waiting is useless.
CONFIG_EXTRA = """\
define('DISALLOW_FILE_MODS', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
mysqli_report(MYSQLI_REPORT_OFF);
for ($site_end = time() + 25; time() < $site_end; usleep(200000)) {
  $site_link = @mysqli_connect(DB_HOST, DB_USER, DB_PASSWORD);
  if ($site_link) { mysqli_close($site_link); break; }
  if (1045 === mysqli_connect_errno()) { break; }
}
unset($site_end, $site_link);
"""


class SiteSettings(msgspec.Struct, frozen=True):
    """What users choose. ``deploy_*`` in the role's argument specification describes each field."""

    name: str
    images: Mapping[str, DeployedImage]
    replicas: Mapping[str, int]
    limits: Mapping[str, Limits]
    port: int = 8080
    database: str = "wordpress"
    user: str = "wordpress"
    table_prefix: str = "wp_"
    config_extra: str = ""
    most_replicas: int = 0
    #: Seconds that a container has to become healthy, including an upgrade of the database.
    start_timeout: int = 120
    uploads: SiteVolume = msgspec.field(default_factory=lambda: SiteVolume("uploads", 10_000 * _MB, shared=True))
    data: SiteVolume = msgspec.field(default_factory=lambda: SiteVolume("data", 10_000 * _MB))
    #: Where the proxy asks for the addresses of the replicas; empty for the resolver of its own container.
    resolver: str = ""


def make_site(settings: SiteSettings) -> Site:
    """Make the site from what users chose."""
    services = (_database(settings), _application(settings), _proxy(settings))
    return Site(settings.name, services, (settings.data, settings.uploads))


def _database(settings: SiteSettings) -> SiteService:
    return SiteService(
        name=DATABASE,
        image=settings.images[DATABASE],
        replicas=1,
        port=3306,
        uid=999,
        gid=999,
        probe=Probe(
            ("/usr/local/bin/healthcheck.sh", "--connect", "--innodb_initialized"),
            interval=1,
            retries=4,
            start_period=settings.start_timeout,
        ),
        limits=settings.limits[DATABASE],
        environment={
            "MARIADB_AUTO_UPGRADE": "1",
            "MARIADB_DATABASE": settings.database,
            "MARIADB_INITDB_SKIP_TZINFO": "1",
            "MARIADB_ROOT_HOST": "localhost",
            "MARIADB_USER": settings.user,
        },
        secrets=(
            SecretFile("MARIADB_PASSWORD", "database_password"),
            SecretFile("MARIADB_ROOT_PASSWORD", "database_root_password"),
        ),
        volumes=(VolumeMount(settings.data.name, "/var/lib/mysql"),),
        scratch={"/run/mysqld": 1 * _MB, **_TMP},
        stop_seconds=120,
        exclusive=True,
    )


def _application(settings: SiteSettings) -> SiteService:
    return SiteService(
        name=APPLICATION,
        image=settings.images[APPLICATION],
        replicas=settings.replicas[APPLICATION],
        port=8080,
        uid=1001,
        gid=0,
        # PHP does not answer while all its processes wait for the database, which is no reason to end the container.
        probe=Probe(("httpd-php-healthcheck",), retries=10, start_period=settings.start_timeout),
        limits=settings.limits[APPLICATION],
        environment={
            "WORDPRESS_CONFIG_EXTRA": CONFIG_EXTRA + settings.config_extra,
            "WORDPRESS_DB_HOST": DATABASE,
            "WORDPRESS_DB_NAME": settings.database,
            "WORDPRESS_DB_UPGRADE": "1",
            "WORDPRESS_DB_USER": settings.user,
            "WORDPRESS_TABLE_PREFIX": settings.table_prefix,
        },
        secrets=(
            SecretFile("WORDPRESS_DB_PASSWORD", "database_password"),
            *(SecretFile(f"WORDPRESS_{key.upper()}", key) for key in KEYS),
        ),
        volumes=(
            VolumeMount(
                settings.uploads.name,
                f"{_DOCUMENT_ROOT}/wp-content/uploads",
                like="/usr/src/wordpress/wp-content/uploads",
            ),
        ),
        scratch=_TMP,
        filled=FilledFolder(_DOCUMENT_ROOT, ("docker-ensure-installed.sh",)),
        uses=(DATABASE,),
        most_replicas=settings.most_replicas,
    )


def _proxy(settings: SiteSettings) -> SiteService:
    resolver = {"HAPROXY_RESOLVER": settings.resolver} if settings.resolver else {}
    return SiteService(
        name=PROXY,
        image=settings.images[PROXY],
        replicas=settings.replicas[PROXY],
        port=8080,
        uid=1001,
        gid=0,
        probe=Probe(("haproxy-healthcheck",), interval=1, start_period=settings.start_timeout),
        limits=settings.limits[PROXY],
        environment={
            "HAPROXY_BACKEND": f"{APPLICATION}:8080",
            # A file, and no PHP: while the database is replaced, all processes of PHP wait for it.
            "HAPROXY_CHECK_PATH": "/wp-includes/images/blank.gif",
            # A login may be sent twice. Requests that the database did not survive have status 500.
            "HAPROXY_REPEATABLE_POSTS": "/wp-login.php",
            "HAPROXY_RETRY_ON": "conn-failure empty-response junk-response 500 503",
            "HAPROXY_STOP_TIMEOUT": "20",
            **resolver,
        },
        scratch=_TMP,
        stop_seconds=25,
        published=settings.port,
        socket_environment={"HAPROXY_LISTEN_HTTP": "fd@3"},
        # Otherwise, WordPress would not know that visitors use TLS, and redirect them for ever.
        ingress_environment={"HAPROXY_TRUSTED_PROXIES": _PRIVATE_NETWORKS},
        uses=(APPLICATION,),
    )
