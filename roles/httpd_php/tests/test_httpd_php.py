# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the web server's own image."""

from __future__ import annotations

import pytest

MODULES = ("expires", "headers", "mpm_event", "proxy_fcgi", "remoteip", "rewrite", "setenvif")


def test_apache_runs_the_event_mpm_and_php_runs_in_fpm(web, ask, settings):
    loaded = web.host.check_output("apachectl -M 2>/dev/null")
    assert [name for name in MODULES if f"{name}_module" not in loaded] == []
    assert "php" not in loaded
    commands = [process.command for process in web.processes()]
    assert any("php-fpm: master" in command for command in commands)
    assert any(command.startswith(settings["apache_program"]) for command in commands)
    assert ask(web, "php_sapi_name()") == ["fpm-fcgi"]


@pytest.mark.parametrize("extension", ["json", "openssl", "session", "Zend OPcache"])
def test_extensions_that_applications_expect_are_loaded(web, ask, extension):
    assert ask(web, f"extension_loaded('{extension}')") == [True]


def test_php_has_the_recommended_settings(web, ask):
    names = ("opcache.memory_consumption", "log_errors", "session.save_path")
    assert ask(web, ", ".join(f"ini_get('{name}')" for name in names)) == ["128", "1", "/tmp"]
    assert not ask(web, "ini_get('display_errors')")[0]


def test_additional_ini_files_override_settings(host, image):
    folder = dict(variable.split("=", 1) for variable in image.config["Env"])["PHP_INI_DIR"]
    printed = host.check_output(
        "d=$(mktemp -d) && echo memory_limit=77M >$d/mine.ini && PHP_INI_SCAN_DIR=:%s/conf.d:$d php -r %s",
        folder,
        "echo ini_get('memory_limit'), ' ', ini_get('opcache.max_accelerated_files');",
    )
    assert printed == "77M 4000"


def test_applications_see_the_environment(web, ask):
    assert ask(web, "getenv('GREETING')") == ["hello there"]


def test_address_of_the_client_behind_a_trusted_proxy_is_used(web, ask):
    assert ask(web, "$_SERVER['REMOTE_ADDR']", {"X-Forwarded-For": "192.0.2.7"}) == ["192.0.2.7"]


def test_responses_do_not_show_versions(web):
    answer = web.http("/nothing-here")
    assert (answer.status, answer.headers["Server"]) == (404, "Apache")
    assert "Apache/" not in answer.body
    assert "X-Powered-By" not in answer.headers


def test_htaccess_files_are_read(web):
    web.host.check_output("mkdir -p /var/www/html/gone && echo 'Redirect gone /gone' >/var/www/html/gone/.htaccess")
    assert web.http("/gone/").status == 410


def test_logs_reach_the_engine(web, ask):
    web.http("/?marker=in-the-access-log")
    ask(web, "error_log('written-by-an-application')")
    web.wait(lambda: {"in-the-access-log", "written-by-an-application"} <= _words(web.logs()), timeout=10)
    assert '"GET /-/ping HTTP/1.0"' not in web.logs()  # requests of the health check are not logged


@pytest.mark.parametrize(
    ("headers", "location"),
    [
        ({"Host": "blog.example"}, "http://blog.example/folder/"),
        ({"Host": "blog.example:8081"}, "http://blog.example:8081/folder/"),
        ({"Host": "blog.example", "X-Forwarded-Proto": "https"}, "https://blog.example/folder/"),
        ({"Host": "[2001:db8::1]:81"}, "http://[2001:db8::1]:81/folder/"),
    ],
)
def test_redirects_keep_host_port_and_scheme_of_the_request(web, headers, location):
    web.host.check_output("mkdir -p /var/www/html/folder")
    answer = web.http("/folder", headers=headers)
    assert (answer.status, answer.headers["Location"]) == (301, location)


@pytest.mark.parametrize(
    "path",
    ["/.git/config", "/.env", "/folder/.user.ini", "/.htaccess", "/config.php~", "/config.php.bak", "/.config.php.swp"],
)
def test_hidden_files_are_not_served(web, path):
    web.host.check_output("d=/var/www/html%s; mkdir -p ${d%%/*} && echo '# secret' >$d", path)
    answer = web.http(path)
    assert answer.status in {403, 404}, f"{path} is served: {answer.body}"


def test_well_known_files_are_served(web):
    web.host.check_output("mkdir -p /var/www/html/.well-known && echo found >/var/www/html/.well-known/token")
    assert web.http("/.well-known/token").body == "found\n"


def test_php_fpm_can_run_without_apache(start):
    started = start(command=["php-fpm"])
    started.wait_healthy()
    commands = [process.command for process in started.processes()]
    assert any("php-fpm: master" in command for command in commands), commands
    assert not any("apache2" in command for command in commands), commands


@pytest.mark.parametrize("victim", ["php-fpm: master", "apache2 "])
def test_container_ends_with_an_error_if_a_server_dies(start, victim):
    started = start()
    started.wait_healthy()
    started.host.run("pkill -KILL -o -f %s", victim)
    assert started.wait_ended() != 0


def _words(text: str) -> set[str]:
    return {word for word in ("in-the-access-log", "written-by-an-application") if word in text}
