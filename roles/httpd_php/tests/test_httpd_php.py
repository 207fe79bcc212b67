# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The web server itself."""

from __future__ import annotations

import json

import pytest

from .conftest import processes_of

PROBE = "<?php header('Content-Type: application/json'); echo json_encode([%s]);"


def ask(web, settings, expression: str, **headers: str) -> object:
    """Let a page evaluate PHP expressions; tell what it answered."""
    web.host.check_output(f'printf %%s "{PROBE % expression}" >/var/www/html/probe.php')
    status, _headers, body = web.http("/probe.php", port=int(settings["port"]), headers=headers)
    assert status == 200, web.logs()
    return json.loads(body)


def test_apache_runs_the_event_mpm_and_php_runs_in_fpm(web, settings):
    modules = web.host.check_output("apachectl -M 2>/dev/null")
    for module in ("mpm_event", "proxy_fcgi", "rewrite", "remoteip", "headers", "expires", "setenvif"):
        assert f"{module}_module" in modules
    assert "php" not in modules
    commands = [what for _user, what in processes_of(web)]
    assert any("php-fpm: master" in what for what in commands)
    assert any(what.startswith(settings["apache_program"]) for what in commands)
    assert ask(web, settings, "php_sapi_name()") == ["fpm-fcgi"]


@pytest.mark.parametrize("extension", ["json", "openssl", "session", "Zend OPcache"])
def test_php_has_what_every_application_expects(web, settings, extension):
    assert ask(web, settings, f"extension_loaded('{extension}')") == [True]


def test_settings_of_php_are_the_recommended_ones(web, settings):
    names = ("opcache.memory_consumption", "display_errors", "log_errors", "session.save_path")
    asked = ", ".join(f"ini_get('{name}')" for name in names)
    assert ask(web, settings, asked) == ["128", "", "1", "/tmp"]


def test_settings_dropped_into_conf_d_count(start, settings):
    started = start(command=["sh", "-c", "echo 'memory_limit=77M' >/tmp/x.ini; PHP_INI_SCAN_DIR=:/tmp exec php -r "
                                         "'echo ini_get(\"memory_limit\");'"])  # fmt: skip
    started.wait(lambda: not started.running, timeout=20)
    assert started.logs().strip() == "77M"


def test_applications_see_the_environment(start, settings):
    started = start(env={"GREETING": "hello there"})
    started.wait_healthy(timeout=30)
    assert ask(started, settings, "getenv('GREETING')") == ["hello there"]


def test_the_client_behind_a_trusted_proxy_is_known(web, settings):
    seen = ask(web, settings, r"\$_SERVER['REMOTE_ADDR']", **{"X-Forwarded-For": "192.0.2.7"})
    assert seen == ["192.0.2.7"]


def test_it_says_little_of_itself(web, settings):
    _status, headers, body = web.http("/nothing-here", port=int(settings["port"]))
    assert headers["Server"] == "Apache"
    assert b"Debian" in body or b"Apache/" not in body
    assert "X-Powered-By" not in headers


def test_an_application_may_bring_an_htaccess(web, settings):
    web.host.check_output("mkdir -p /var/www/html/gone && echo 'Redirect gone /gone' >/var/www/html/gone/.htaccess")
    status, _headers, _body = web.http("/gone/", port=int(settings["port"]))
    assert status == 410


def test_logs_reach_the_engine(web, settings):
    web.http("/?marker=in-the-access-log", port=int(settings["port"]))
    ask(web, settings, "error_log('said-by-an-application')")
    web.wait(lambda: "in-the-access-log" in web.logs() and "said-by-an-application" in web.logs(), timeout=10)


def test_the_health_check_does_not_fill_the_log(web):
    web.host.check_output("httpd-php-healthcheck")
    assert "/-/ping" not in web.logs()


@pytest.mark.parametrize("victim", ["php-fpm: master", "apache2 "])
def test_it_ends_with_an_error_if_either_server_dies(start, victim):
    started = start()
    started.wait_healthy(timeout=30)
    started.host.run(f"pkill -KILL -o -f '{victim}'")
    started.wait(lambda: not started.running, timeout=20)
    assert started.exit_code not in {0, None}
