# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract of the web server: tests of every image that is based on it."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.contract


def test_php_starts_without_warnings(host):
    result = host.run("php -r 'exit(0);'")
    output = result.stdout + result.stderr
    assert (result.rc, output) == (0, ""), f"'php -r exit(0);' ends with status {result.rc} and prints: {output}"
    result = host.run("php -m")
    assert (result.rc, result.stderr) == (0, ""), f"'php -m' ends with status {result.rc} and prints: {result.stderr}"


def test_every_extension_finds_its_libraries(host):
    folder = host.check_output("php -r %s", "echo ini_get('extension_dir');")
    missing = [line.strip() for line in host.check_output(f"ldd {folder}/*.so").splitlines() if "not found" in line]
    assert missing == [], f"libraries of PHP extensions are missing: {', '.join(missing)}"


def test_both_servers_read_their_configuration(host, settings):
    host.check_output(
        "export APACHE_RUN_DIR=/run APACHE_LOCK_DIR=/run/lock HTTPD_PHP_FPM_LISTEN=9000"
        " HTTPD_PHP_FPM_USER=www-data HTTPD_PHP_FPM_GROUP=www-data;"
        " %s --test --fpm-config %s && . %s/envvars && %s -t",
        *(settings[name] for name in ("fpm_program", "fpm_config", "apache_config_dir", "apache_program")),
    )


def test_document_root_is_writable_for_every_user(host, image):
    root = host.file(image.config["WorkingDir"])
    assert root.is_directory, f"the working directory {root.path} is not a directory"
    actual, expected = (root.uid, root.gid, oct(root.mode)), (0, 0, "0o1777")
    assert actual == expected, (
        f"{root.path} has uid, gid and mode {actual}; expected {expected}, so that every uid can write to it"
    )


def test_container_becomes_healthy_and_no_process_is_root(web):
    users = {process.uid for process in web.processes()}
    assert len(users) == 1, f"processes of several users: {sorted(users)}"
    assert 0 not in users, f"processes of root: {[process.command for process in web.processes()]}"


def test_server_answers_on_its_port(web, settings):
    answer = web.http("/", port=int(settings["port"]))
    assert answer.status < 500, answer.body
    assert answer.headers["Server"] == "Apache", f"the Server header is {answer.headers['Server']}; expected Apache"


def test_any_user_of_group_0_can_run_and_stop_the_container(start, settings):
    started = start(user="12345:0")
    started.wait_healthy()
    users = {process.uid for process in started.processes()}
    assert users == {12345}, f"the container was started as 12345, but has processes of {sorted(users)}"
    stopped = started.stop(timeout=30)
    limit = int(settings["stop_timeout"]) + 2
    assert stopped.seconds < limit, f"stopping took {stopped.seconds:.1f} s; expected less than {limit} s"
    assert stopped.exit_code in {0, 143}, f"the stopped container has status {stopped.exit_code}; expected 0 or 143"


@pytest.mark.parametrize("path", ["/-/ping", "/-/ping/", "/server-status", "/server-status?auto"])
@pytest.mark.parametrize("header", ["127.0.0.1", "::1", "127.0.0.1, 127.0.0.1", None])
def test_local_pages_are_not_served_to_other_machines(web, path, header):
    # Apache also treats the container's own address as local.
    answer = web.http(path, headers={"X-Forwarded-For": header or web.address})
    assert answer.status in {403, 404}, f"{path} answers {answer.status} to another machine that forges the address"
