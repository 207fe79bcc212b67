# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the web server asks of every application that stands on it."""

from __future__ import annotations

import pytest

from .conftest import users_of

pytestmark = pytest.mark.contract


def test_php_starts_without_a_word(host):
    said = host.run("php -r 'exit(0);'")
    assert (said.rc, said.stdout, said.stderr) == (0, "", "")
    listed = host.run("php -m")
    assert (listed.rc, listed.stderr) == (0, "")


def test_every_extension_finds_its_libraries(host):
    folder = host.check_output("php -r 'echo ini_get(\"extension_dir\");'")
    assert "not found" not in host.check_output(f"ldd {folder}/*.so 2>/dev/null")


def test_both_servers_read_their_configuration(host, settings):
    variables = "APACHE_RUN_DIR=/run APACHE_LOCK_DIR=/run/lock HTTPD_PHP_FPM_USER=www-data HTTPD_PHP_FPM_GROUP=www-data"
    fpm = host.run(f"env {variables} {settings['fpm_program']} --test --fpm-config {settings['fpm_config']}")
    assert fpm.rc == 0, fpm.stderr
    apache = host.run(
        f"export {variables}; . {settings['apache_config_dir']}/envvars && {settings['apache_program']} -t"
    )
    assert apache.rc == 0, apache.stderr


def test_the_document_root_is_open_to_every_user(host, image):
    root = host.file(image.config["WorkingDir"])
    assert root.is_directory
    assert (root.gid, oct(root.mode)) == (0, "0o1777")


def test_it_turns_healthy_under_its_own_user(web):
    assert web.health == "healthy"


def test_no_process_is_root(web):
    users = users_of(web)
    assert "0" not in users
    assert len(users) == 1


def test_it_answers_on_its_port(web, settings):
    status, headers, _body = web.http("/", port=int(settings["port"]))
    assert status < 500, web.logs()
    assert headers["Server"] == "Apache"


def test_any_user_of_group_0_can_run_it(start):
    started = start(user="12345:0")
    started.wait_healthy(timeout=30)
    assert users_of(started) == {"12345"}


def test_it_stops_in_the_time_that_it_has(start, settings):
    started = start()
    started.wait_healthy(timeout=30)
    seconds, code = started.stop(timeout=30)
    assert seconds < int(settings["stop_timeout"]) + 2
    assert code in {0, 143}
