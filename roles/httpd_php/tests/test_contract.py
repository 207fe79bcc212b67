# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the web server asks of every application that stands on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_php_starts_without_a_word(host):
    started = host.run("php -r 'exit(0);'")
    assert (started.rc, started.stdout, started.stderr) == (0, "", "")
    listed = host.run("php -m")
    assert (listed.rc, listed.stderr) == (0, "")


def test_every_extension_finds_its_libraries(host):
    folder = host.check_output("php -r %s", "echo ini_get('extension_dir');")
    assert "not found" not in host.check_output(f"ldd {folder}/*.so")


def test_both_servers_read_their_configuration(host, settings):
    host.check_output(
        "export APACHE_RUN_DIR=/run APACHE_LOCK_DIR=/run/lock HTTPD_PHP_FPM_USER=www-data HTTPD_PHP_FPM_GROUP=www-data;"
        " %s --test --fpm-config %s && . %s/envvars && %s -t",
        *(settings[name] for name in ("fpm_program", "fpm_config", "apache_config_dir", "apache_program")),
    )


def test_the_document_root_is_open_to_every_user(host, image):
    root = host.file(image.config["WorkingDir"])
    assert root.is_directory
    assert (root.gid, oct(root.mode)) == (0, "0o1777")


def test_it_turns_healthy_and_no_process_is_root(web):
    users = {process.uid for process in web.processes()}
    assert len(users) == 1
    assert 0 not in users


def test_it_answers_on_its_port(web, settings):
    answer = web.http("/", port=int(settings["port"]))
    assert answer.status < 500, answer.body
    assert answer.headers["Server"] == "Apache"


def test_any_user_of_group_0_can_run_it_and_stop_it(start, settings):
    started = start(user="12345:0")
    started.wait_healthy()
    assert {process.uid for process in started.processes()} == {12345}
    stopped = started.stop(timeout=30)
    assert stopped.seconds < int(settings["stop_timeout"]) + 2
    assert stopped.exit_code in {0, 143}
