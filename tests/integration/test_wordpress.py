"""The last image of the demo is a working WordPress, with the user of the image and with an arbitrary user."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.system import PODMAN
from sdk_client import as_engine

from .conftest import run_container

#: Runs the health check every second. The image sets an interval of half a minute.
EVERY_SECOND = {"interval": 1_000_000_000}
PASSWORD = 'it\'s a "hard" one: $x \\ `y`'


class Site:
    """WordPress and its database on a private network."""

    def __init__(self, web: Any, database: Any, address: str) -> None:
        self.web, self.database, self.address = web, database, address
        self.browser: OpenerDirector = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str, **fields: str) -> str:
        data = urlencode(fields).encode() if fields else None
        with self.browser.open(self.address + path, data, timeout=60) as answer:
            content: bytes = answer.read()
        return content.decode()

    def processes(self) -> list[tuple[int, str]]:
        """User and command line of every process in the web container."""
        _code, output = self.web.exec_run(["ps", "-eo", "uid=,args="], user="0")
        lines = [line.split(None, 1) for line in output.decode().splitlines()]
        return [(int(uid), args) for uid, args in lines if not args.startswith("ps -eo")]


def wait_for(what: str, condition: Any, seconds: int = 90) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if condition():
                return
        except (OSError, HTTPError):
            pass
        assert time.monotonic() < deadline, f"{what} took more than {seconds} s"
        time.sleep(0.1)


def is_healthy(container: Any) -> bool:
    """Run the health check of the image. The engine itself may run it only every half minute."""
    container.reload()
    assert container.status == "running", container.logs().decode()
    kind, *command = container.attrs["Config"]["Healthcheck"]["Test"]
    assert kind == "CMD"
    code, _output = container.exec_run(command)
    return bool(code == 0)


@pytest.fixture(scope="module", params=["", "12345:0"], ids=["own user", "any user"])
def site(demo, engine, request) -> Iterator[Site]:
    name = f"twtest-{secrets.token_hex(4)}"
    network = engine.networks.create(name)
    containers = []
    user = {"user": request.param} if request.param else {}
    try:
        database = engine.containers.run(
            demo["mariadb"].id, detach=True, network=network.name, name=f"{name}-db", healthcheck=EVERY_SECOND, **user,
            environment={"MARIADB_RANDOM_ROOT_PASSWORD": "1", "MARIADB_DATABASE": "blog", "MARIADB_USER": "blog",
                         "MARIADB_PASSWORD": PASSWORD},
        )  # fmt: skip
        containers.append(database)
        web = engine.containers.run(
            demo["wordpress"].id, detach=True, network=network.name, ports={"8080/tcp": ("127.0.0.1", None)},
            healthcheck=EVERY_SECOND, **user,
            environment={"WORDPRESS_DB_HOST": f"{name}-db", "WORDPRESS_DB_USER": "blog", "WORDPRESS_DB_NAME": "blog",
                         "WORDPRESS_DB_PASSWORD": PASSWORD, "WORDPRESS_TABLE_PREFIX": "tw_"},
        )  # fmt: skip
        containers.append(web)
        wait_for("the database", lambda: is_healthy(database))
        wait_for("the web server", lambda: is_healthy(web))
        port = web.attrs["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"]
        yield Site(web, database, f"http://127.0.0.1:{port}")
    finally:
        for container in containers:
            container.remove(v=True, force=True)
        network.remove()


@pytest.mark.once
def test_wordpress_is_installed_over_http_and_serves_its_front_page(site):
    assert 'action="install.php?step=2"' in site.get("/")
    page = site.get(
        "/wp-admin/install.php?step=2",
        weblog_title="Tierwright", user_name="admin", admin_password="correct horse", pw_weak="1",
        admin_password2="correct horse", admin_email="a@example.org", blog_public="0", language="", Submit="Install",
    )  # fmt: skip
    assert "Success!" in page
    front = site.get("/")
    assert "Tierwright" in front
    assert re.search(r'<meta name="generator" content="WordPress \d', front)


@pytest.mark.once
def test_login_and_api_work(site):
    site.get("/wp-login.php")  # WordPress wants its test cookie back
    dashboard = site.get("/wp-login.php", log="admin", pwd="correct horse", redirect_to="/wp-admin/", testcookie="1")
    assert "Dashboard" in dashboard
    assert "Hello world" in site.get("/?rest_route=/wp/v2/posts")


@pytest.mark.once
def test_apache_uses_the_event_mpm_and_php_runs_in_fpm(site):
    code, modules = site.web.exec_run(["apachectl", "-M"])
    assert code == 0, modules
    assert b"mpm_event_module" in modules
    assert b"php" not in modules
    commands = [args for _uid, args in site.processes()]
    assert any("php-fpm: master" in args for args in commands)
    assert any("apache2" in args for args in commands)


@pytest.mark.once
def test_no_process_runs_as_root(site):
    users = {uid for uid, _args in site.processes()}
    assert 0 not in users
    assert len(users) == 1


@pytest.mark.once
def test_logs_reach_the_engine(site):
    site.get("/?marker=in-the-access-log")
    wait_for("the access log", lambda: b"marker=in-the-access-log" in site.web.logs(stderr=False), 10)


@pytest.mark.once
def test_the_engine_reports_both_containers_as_healthy(site, engine):
    if as_engine(engine).kind == PODMAN and not Path("/run/systemd/system").exists():
        pytest.skip("Podman needs systemd for health checks, and systemd does not run here")

    def status(container):
        container.reload()
        return container.attrs["State"]["Health"]["Status"]

    for container in (site.web, site.database):
        wait_for("the engine's health check", lambda container=container: status(container) == "healthy")


@pytest.mark.once
def test_the_database_accepts_only_its_user(site):
    _code, output = site.database.exec_run(["sh", "-c", 'mariadb -ublog -p"$MARIADB_PASSWORD" blog -e "show tables"'])
    assert b"tw_options" in output
    code, _output = site.database.exec_run(["mariadb", "-uroot", "-pwrong", "-h", "127.0.0.1", "-e", "select 1"])
    assert code != 0


@pytest.mark.once
@pytest.mark.parametrize("user", ["", "12345:0"])
def test_wordpress_stops_within_seconds(demo, engine, user):
    container = engine.containers.run(demo["wordpress"].id, detach=True, user=user)
    try:
        wait_for("the web server", lambda: is_healthy(container))
        started = time.monotonic()
        container.stop(timeout=30)
        assert time.monotonic() - started < 8
        assert container.wait()["StatusCode"] in {0, 143}
    finally:
        container.remove(v=True, force=True)


@pytest.mark.once
@pytest.mark.parametrize("victim", ["php-fpm: master", "apache2 "])
def test_the_container_fails_if_one_of_its_servers_dies(demo, engine, victim):
    container = engine.containers.run(demo["httpd-php"].id, detach=True)
    try:
        wait_for("the web server", lambda: is_healthy(container))
        container.exec_run(["pkill", "-KILL", "-o", "-f", victim], user="0")
        assert container.wait(timeout=30)["StatusCode"] != 0
    finally:
        container.remove(v=True, force=True)


@pytest.mark.once
def test_without_settings_wordpress_offers_its_setup(demo, engine):
    container = engine.containers.run(demo["wordpress"].id, detach=True)
    try:
        wait_for("the web server", lambda: is_healthy(container))
        code, output = container.exec_run(
            ["php", "-r", "echo implode(' ', get_headers('http://127.0.0.1:8080/', true)['Location'] ?? ['none']);"]
        )
        _code, output = container.exec_run(["php", "-r", "echo file_get_contents('http://127.0.0.1:8080/');"])
        assert b"setup-config.php" in output, (code, output)
    finally:
        container.remove(v=True, force=True)


@pytest.mark.once
def test_a_different_command_copies_no_files(demo, engine):
    assert run_container(engine, demo["wordpress"].id, ["ls", "-A", "/var/www/html"]).split() == ["wp-content"]
