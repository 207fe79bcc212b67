# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tests of the proxy's own image."""

from __future__ import annotations

import threading

import pytest

#: Metrics: the number of requests that replicas work on, and of healthy replicas.
RUNNING = 'haproxy_backend_current_sessions{proxy="replicas"}'
HEALTHY = 'haproxy_backend_active_servers{proxy="replicas"}'
#: The settings of a proxy in front of the replica of the fixture ``proxy``.
SHARED = {"HAPROXY_BACKEND": "shared:8080"}


def test_requests_reach_a_replica(proxy):
    answer = proxy.http("/page")
    assert (answer.status, answer.headers["Replica"]) == (200, "first")


def test_requests_are_logged(proxy):
    proxy.http("/page?marker=in-the-log")
    proxy.wait(lambda: "/page?marker=in-the-log" in proxy.logs(), timeout=10)


def test_statistics_are_only_for_the_container_itself(proxy, stats):
    assert "haproxy_process_uptime_seconds" in stats(proxy, "/metrics")
    assert f"{HEALTHY} 1" in stats(proxy, "/metrics")
    assert "Statistics Report for HAProxy" in stats(proxy, "/")
    with pytest.raises(OSError, match="refused"):
        proxy.http("/metrics", port=8404)


@pytest.mark.parametrize("path", ["/metrics", "/-/alive", "/-/ready"])
def test_visitors_cannot_see_the_statistics(proxy, path):
    assert proxy.http(path).body == "fine"  # the answer of the replica


def test_visitors_cannot_forge_their_address_or_scheme(proxy):
    address, scheme = proxy.http("/page").body.split()
    assert scheme == "http"
    forged = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert proxy.http("/page", headers=forged).body.split() == [address, "http"]


@pytest.mark.usefixtures("proxy")
def test_headers_of_trusted_proxies_are_kept(start, ready):
    started = start(env={**SHARED, "HAPROXY_TRUSTED_PROXIES": "192.0.2.0/24 0.0.0.0/0"})
    started.wait(lambda: ready(started))
    headers = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    assert started.http("/page", headers=headers).body.split() == ["192.0.2.7", "https"]


@pytest.mark.usefixtures("proxy")
def test_no_proxy_is_trusted_if_the_list_is_empty(start, ready):
    started = start(env={**SHARED, "HAPROXY_TRUSTED_PROXIES": ""})
    started.wait(lambda: ready(started))
    assert "192.0.2.7" not in started.http("/page", headers={"X-Forwarded-For": "192.0.2.7"}).body


def test_no_request_fails_while_replicas_are_replaced(start, replica, ready, visitor):
    old = replica(start, "old")
    proxy = start(env={"HAPROXY_BACKEND": "replicas:8080"})
    proxy.wait(lambda: ready(proxy))
    with visitor(proxy) as reader, visitor(proxy, data={"comment": "hello"}) as writer:
        proxy.wait(lambda: "old" in reader.answered_by and "old" in writer.answered_by)
        replica(start, "new")
        proxy.wait(lambda: "new" in reader.answered_by and "new" in writer.answered_by)
        old.stop()
        seen = [len(reader.answered_by), len(writer.answered_by)]
        proxy.wait(lambda: len(reader.answered_by) > seen[0] + 20 and len(writer.answered_by) > seen[1] + 20)
    assert reader.failures == writer.failures == []
    assert reader.answered_by[-1] == writer.answered_by[-1] == "new"


def test_no_page_fails_when_a_replica_is_killed(start, replica, ready, visitor):
    victim = replica(start, "victim")
    proxy = start(env={"HAPROXY_BACKEND": "replicas:8080"})
    proxy.wait(lambda: ready(proxy))
    with visitor(proxy) as visits:
        replica(start, "survivor")
        proxy.wait(lambda: {"victim", "survivor"} <= set(visits.answered_by))
        victim.stop(timeout=0)
        seen = len(visits.answered_by)
        proxy.wait(lambda: len(visits.answered_by) > seen + 20)
    assert visits.failures == []


def test_pages_that_one_replica_cannot_show_come_from_another(start, replica, stats):
    replica(start, "good")
    replica(start, "bad", status=503)
    proxy = start(env={"HAPROXY_BACKEND": "replicas:8080"})
    proxy.wait(lambda: f"{HEALTHY} 2" in stats(proxy, "/metrics"))
    assert {proxy.http("/page").status for _ in range(20)} == {200}


def test_an_error_of_all_replicas_reaches_the_visitor(proxy):
    assert proxy.http("/broken").status == 503


@pytest.mark.usefixtures("proxy")
def test_running_requests_are_finished_when_the_container_stops(start, ready, stats):
    stopping = start(env=SHARED)
    stopping.wait(lambda: ready(stopping))
    answers: list[int] = []
    request = threading.Thread(target=lambda: answers.append(stopping.http("/slow", timeout=20).status), daemon=True)
    request.start()
    stopping.wait(lambda: f"{RUNNING} 1" in stats(stopping, "/metrics"))
    stopped = stopping.stop(timeout=20)
    request.join(timeout=20)
    assert answers == [200]
    assert stopped.exit_code == 0


@pytest.mark.usefixtures("proxy")
def test_a_long_request_does_not_keep_the_container_from_ending(start, ready, stats):
    stopping = start(env={**SHARED, "HAPROXY_STOP_TIMEOUT": "1"})
    stopping.wait(lambda: ready(stopping))
    upload = "POST /upload HTTP/1.0\r\nContent-Length: 9\r\n\r\n"
    command = 'exec 3<>/dev/tcp/127.0.0.1/8080 && printf "$1" >&3 && cat <&3'
    threading.Thread(target=lambda: stopping.host.run("bash -c %s bash %s", command, upload), daemon=True).start()
    stopping.wait(lambda: f"{RUNNING} 1" in stats(stopping, "/metrics"))
    assert stopping.stop(timeout=20).seconds < 5


@pytest.mark.usefixtures("proxy")
def test_the_proxy_is_not_ready_while_it_waits_before_it_stops(start, ready):
    stopping = start(env={**SHARED, "HAPROXY_STOP_DELAY": "3"})
    stopping.wait(lambda: ready(stopping))
    stopping.host.check_output("kill -USR1 1")
    stopping.wait(lambda: not ready(stopping), timeout=3)
    assert stopping.http("/page").status == 200
    assert stopping.wait_ended() == 0


@pytest.mark.usefixtures("proxy")
def test_https_with_a_certificate_and_a_key_in_two_files(start, ready):
    script = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=shop.example"
        " -out /tmp/tls.crt -keyout /tmp/tls.key && exec haproxy -W -db -f /etc/haproxy/haproxy.cfg"
    )
    environment = {**SHARED, "HAPROXY_TLS_CERTIFICATE_FILE": "/tmp/tls.crt", "HAPROXY_TLS_REDIRECT": "1"}
    proxy = start(env=environment, command=["bash", "-c", script])
    proxy.wait(lambda: ready(proxy))
    redirect = proxy.http("/page", headers={"Host": "shop.example"})
    assert (redirect.status, redirect.headers["Location"]) == (308, "https://shop.example/page")
    shown = proxy.host.run(
        "printf 'GET /page HTTP/1.0\\r\\nHost: shop.example\\r\\n\\r\\n'"
        " | timeout 10 openssl s_client -connect 127.0.0.1:8443 -quiet"
    )
    assert "127.0.0.1 https" in shown.stdout, shown.stdout + shown.stderr


def test_visitors_address_arrives_through_a_socket(entries, proxy):
    seen = proxy.http("/page").body
    assert entries.http("/page").body == seen
    assert entries.http("/page", headers={"X-Forwarded-For": "192.0.2.7"}).body == seen


def test_two_proxies_can_hold_one_port_and_one_may_be_killed(entries, visitor):
    listening = "grep --count '^ *[0-9]*: 0*:1F90 0*:0000 0A' /proc/net/tcp"
    entries.wait(lambda: entries.host.check_output(listening) == "2")
    with visitor(entries) as visits:
        entries.wait(lambda: len(visits.answered_by) > 20)
        entries.host.check_output("kill -KILL $(cat /tmp/first.pid)")
        seen = len(visits.answered_by)
        entries.wait(lambda: len(visits.answered_by) > seen + 20)
    assert entries.host.check_output(listening) == "1"
    # The killed one may have accepted a connection at that moment. That is no refusal.
    assert [failure for failure in visits.failures if "refused" in failure] == []
    assert len(visits.failures) <= 1


def test_health_check_reads_a_socket(entries, ready):
    assert ready(entries)
    asked = entries.host.run("HAPROXY_LISTEN_STATS=unix@/tmp/nowhere.sock haproxy-healthcheck")
    assert asked.rc == 1
    assert "unix@/tmp/nowhere.sock does not answer" in asked.stderr


@pytest.mark.parametrize(("path", "statuses"), [("/login", {200}), ("/order", {200, 502})])
def test_post_requests_are_repeated_only_if_their_path_is_listed(fragile, path, statuses):
    """A replica dies when it has got the request. The body arrives later than the header, as from many browsers."""
    request = f"POST {path} HTTP/1.0\r\nContent-Length: 5\r\n\r\n"
    command = 'exec 3<>/dev/tcp/127.0.0.1/8080 && printf "$1" >&3 && sleep 0.1 && printf hello >&3 && head -n 1 <&3'
    answers = [fragile.host.check_output("bash -c %s bash %s", command, request) for _ in range(3)]
    assert {int(answer.split()[1]) for answer in answers} == statuses
    assert not any("perl" in process.command for process in fragile.processes())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("HAPROXY_BACKEND=replicas", "HAPROXY_BACKEND is 'replicas'; expected the DNS name and port of the replicas"),
        ("HAPROXY_LISTEN_HTTP=http", "missing port specification in 'http'"),
        ("HAPROXY_RESOLVER=nowhere", "HAPROXY_RESOLVER is 'nowhere'; expected the address and port of a DNS server"),
        ("HAPROXY_MAX_CONNECTIONS=many", "HAPROXY_MAX_CONNECTIONS is 'many'; expected a number from 1"),
        ("HAPROXY_STOP_DELAY=5s", "HAPROXY_STOP_DELAY is '5s'; expected a number of seconds"),
        ("HAPROXY_MAX_REPLICAS=0", "HAPROXY_MAX_REPLICAS is '0'; expected a number from 1"),
        ("HAPROXY_TLS_CERTIFICATE_FILE=/nowhere.pem", "'/nowhere.pem'"),
        ("HAPROXY_TRUSTED_PROXIES='10.0.0.0/8 x'", "'x' is not a valid IPv4 or IPv6 address"),
        ("HAPROXY_RETRY_ON='conn-failure never'", "unknown keyword 'never'"),
        ("HAPROXY_SERVER_4='unix@/tmp/a.sock send-proxy-v3'", "unknown keyword 'send-proxy-v3'"),
    ],
)
def test_wrong_settings_are_reported(host, settings, message):
    correct = "HAPROXY_BACKEND=localhost:8080 HAPROXY_RESOLVER=127.0.0.1:53"
    result = host.run(f"env {correct} {settings} haproxy -c -f /etc/haproxy/haproxy.cfg")
    assert result.rc == 1
    assert message in result.stderr


def test_wrong_settings_end_the_container(start):
    started = start()
    assert started.wait_ended() == 1
    assert "HAPROXY_BACKEND is ''; expected" in started.logs()


def test_other_commands_can_run(start):
    started = start(command=["haproxy", "-v"])
    assert started.wait_ended() == 0
