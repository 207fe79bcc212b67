# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The contract of the proxy: tests of every image that is based on it."""

from __future__ import annotations

import time

import pytest

pytestmark = pytest.mark.contract

#: Nothing listens there, so the proxy starts, and has no healthy replica.
NOWHERE = {"HAPROXY_SERVER_1": "127.0.0.1:9"}


def test_configuration_is_valid(host):
    # The container has no network. HAProxy does not start if it cannot contact the DNS servers of /etc/resolv.conf.
    result = host.run(
        "HAPROXY_BACKEND=localhost:8080 HAPROXY_RESOLVER=127.0.0.1:53 HAPROXY_TLS_CERTIFICATE_FILE="
        " haproxy -c -f /etc/haproxy/haproxy.cfg"
    )
    output = result.stdout + result.stderr
    assert result.rc == 0, f"HAProxy rejects its configuration: {output}"
    assert "[WARNING]" not in output, f"HAProxy warns of its configuration: {output}"


def test_only_root_can_change_the_configuration(host):
    for path in ("/etc/haproxy", "/etc/haproxy/haproxy.cfg"):
        file = host.file(path)
        actual = (file.uid, oct(file.mode & 0o022))
        assert actual == (0, "0o0"), f"{path} has uid and write bits {actual}; expected 0 and none for group and others"


def test_stop_signal_lets_requests_finish(image):
    signal = image.config.get("StopSignal")
    assert signal in {"SIGUSR1", "10"}, f"the stop signal is {signal}; HAProxy finishes its requests only on SIGUSR1"


def test_container_becomes_healthy_without_replicas_and_no_process_is_root(start):
    # If the replicas fail, it does not help to restart the proxy.
    started = start(env=NOWHERE)
    started.wait_healthy()
    users = {process.uid for process in started.processes()}
    assert len(users) == 1, f"processes of several users: {sorted(users)}"
    assert 0 not in users, f"processes of root: {[process.command for process in started.processes()]}"


def _sleeps(host):
    """Say whether HAProxy's first process waits for signals.

    HAProxy 2.6 of Debian 12 may miss a stop signal in the moment in which it goes to sleep for the first time
    (https://github.com/haproxy/haproxy/issues/1841). On a busy machine, it may be healthy before that.
    """
    command = "grep -E 'State|voluntary' /proc/1/status"
    before = host.check_output(command)
    time.sleep(0.2)
    return "S (sleeping)" in before and host.check_output(command) == before


def test_any_user_of_group_0_can_run_and_stop_the_container(start):
    started = start(user="12345:0", env=NOWHERE)
    started.wait_healthy()
    users = {process.uid for process in started.processes()}
    assert users == {12345}, f"the container was started as 12345, but has processes of {sorted(users)}"
    started.wait(lambda: _sleeps(started.host))
    stopped = started.stop(timeout=30)
    assert stopped.seconds < 5, f"stopping without requests took {stopped.seconds:.1f} s; expected less than 5 s"
    assert stopped.exit_code == 0, f"the stopped container has status {stopped.exit_code}; expected 0"
