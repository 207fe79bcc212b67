# Copyright: (c) Tierwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Fixtures for the tests of the proxy: a proxy, replicas behind it, and a visitor who sends requests all the time."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

#: A small web server, which is a HAProxy as well. It names itself and repeats the headers that the proxy sets.
#: ``/broken`` always fails, ``/page`` if its STATUS says so. The answer of ``/slow`` takes a second, and
#: ``/upload`` waits for the whole body.
_REPLICA = """
global
    log stdout format raw local0
    maxconn 100
defaults
    mode http
    log global
    option httplog
    timeout client 10s
    timeout connect 10s
    timeout server 10s
    timeout tarpit 1s
frontend replica
    bind :8080
    http-request return status 503 if { path /broken }
    http-request tarpit deny_status 200 if { path /slow }
    http-request wait-for-body time 30s if { path /upload }
    http-request return status 200 content-type text/plain hdr Replica "${NAME}" string fine unless { path_beg /page }
    http-request return status "${STATUS}" content-type text/plain hdr Replica "${NAME}" lf-string "${SEEN}"
"""
#: What the page shows: the visitor's address and scheme.
_SEEN = "%[req.hdr(X-Forwarded-For,1)] %[req.hdr(X-Forwarded-Proto)]"
#: A replica on port 9001 that dies when it gets a POST request, as if it were killed then; one on port 9002 that lives;
#: and a proxy in front of them.
_FRAGILE = """
perl -MIO::Socket::INET -e '
    $SIG{PIPE} = "IGNORE";
    my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1:9001", Listen => 9, ReuseAddr => 1) or die;
    while (my $peer = $server->accept) {
        sysread($peer, my $request, 65536);
        exit if $request =~ /^POST/;
        syswrite($peer, "HTTP/1.0 200 OK\\r\\n\\r\\n");
    }' &
printf '%s\\n' 'defaults' 'mode http' 'timeout client 9s' 'frontend replica' 'bind 127.0.0.1:9002' \\
    'http-request return status 200' >/tmp/lives.cfg
haproxy -db -f /tmp/lives.cfg &
for port in 9001 9002; do
    until (exec 3<>/dev/tcp/127.0.0.1/$port) 2>/dev/null; do sleep 0.05; done
done
exec haproxy -W -db -f /etc/haproxy/haproxy.cfg
"""
#: A proxy that visitors reach through two entries: proxies with one port, which pass on connections through a socket.
_ENTRIES = """
HAPROXY_LISTEN_HTTP='unix@/tmp/proxy.sock mode 660 accept-proxy' HAPROXY_LISTEN_STATS=unix@/tmp/proxy-stats.sock \\
    HAPROXY_BACKEND=shared:8080 HAPROXY_SERVER_1= haproxy -W -db -f /etc/haproxy/haproxy.cfg &
until HAPROXY_LISTEN_STATS=unix@/tmp/proxy-stats.sock haproxy-healthcheck --ready; do sleep 0.1; done
HAPROXY_LISTEN_STATS=unix@/tmp/first-stats.sock haproxy -db -f /etc/haproxy/haproxy.cfg &
echo $! >/tmp/first.pid
exec haproxy -W -db -f /etc/haproxy/haproxy.cfg
"""
_START_REPLICA = 'printf %s "$CONFIG" >/tmp/replica.cfg && exec /usr/sbin/haproxy -db -f /tmp/replica.cfg'


class Visitor:
    """Sends requests to a proxy, one after the other, from a thread."""

    def __init__(self, proxy: Any, path: str = "/page", data: Mapping[str, str] | None = None) -> None:
        self._proxy, self._path, self._data = proxy, path, data
        self._leave = threading.Event()
        self._thread = threading.Thread(target=self._visit, daemon=True)
        #: The names of the replicas that answered, in order, and a text for each request that failed.
        self.answered_by: list[str] = []
        self.failures: list[str] = []

    def enter(self) -> None:
        """Begin to send requests."""
        self._thread.start()

    def leave(self) -> None:
        """Send no more requests, and wait for the answer of the last one."""
        self._leave.set()
        self._thread.join(timeout=20)

    def _visit(self) -> None:
        while not self._leave.wait(0.02):
            try:
                answer = self._proxy.http(self._path, data=self._data, timeout=10)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                continue
            if answer.status == 200:
                self.answered_by.append(answer.headers["Replica"])
            else:
                self.failures.append(f"{answer.status} {answer.body}")


@pytest.fixture(scope="session")
def replica() -> Callable[..., Any]:
    """A function that starts a replica with one of the two functions that start containers, and returns it."""

    def replica(starter: Callable[..., Any], name: str, alias: str = "replicas", status: int = 200) -> Any:
        environment = {"CONFIG": _REPLICA, "SEEN": _SEEN, "NAME": name, "STATUS": str(status)}
        return starter(command=["bash", "-c", _START_REPLICA], env=environment, alias=alias)

    return replica


@pytest.fixture(scope="session")
def ready() -> Callable[[Any], bool]:
    """A function that says whether a proxy has a healthy replica."""
    return lambda proxy: proxy.host.run("haproxy-healthcheck --ready").rc == 0


@pytest.fixture(scope="session")
def stats() -> Callable[[Any, str], str]:
    """A function that returns what the port for statistics answers inside of the container."""

    def stats(proxy: Any, path: str) -> str:
        command = "exec 3<>/dev/tcp/127.0.0.1/8404 && printf 'GET %s HTTP/1.0\\r\\n\\r\\n' \"$1\" >&3 && cat <&3"
        answer: str = proxy.host.check_output("bash -c %s bash %s", command, path)
        return answer

    return stats


@pytest.fixture
def fragile(start, ready) -> Any:
    """A proxy with two replicas in its own container. One of them dies as soon as it gets a POST request.

    Requests to ``/login`` may be repeated.
    """
    environment = {
        "HAPROXY_SERVER_1": "127.0.0.1:9001",
        "HAPROXY_SERVER_2": "127.0.0.1:9002",
        "HAPROXY_REPEATABLE_POSTS": "/register /login",
    }
    started = start(env=environment, command=["bash", "-c", _FRAGILE])
    started.wait(lambda: ready(started))
    return started


@pytest.fixture(scope="session")
def proxy(start_once, replica, ready) -> Any:
    """A proxy with one healthy replica."""
    replica(start_once, "first", alias="shared")
    started = start_once(env={"HAPROXY_BACKEND": "shared:8080"}, alias="proxy")
    started.wait(lambda: ready(started))
    return started


@pytest.fixture(scope="session")
def entries(proxy, start_once) -> Any:
    """Two entries in front of a proxy, in one container. ``/tmp/first.pid`` has the process ID of the first one."""
    environment = {
        "HAPROXY_SERVER_1": "unix@/tmp/proxy.sock send-proxy-v2",
        "HAPROXY_LISTEN_STATS": "unix@/tmp/stats.sock",
    }
    started = start_once(env=environment, command=["bash", "-c", _ENTRIES], alias="entries")
    started.wait_healthy()
    started.wait(lambda: started.http("/page").body == proxy.http("/page").body)
    return started


@pytest.fixture
def visitor() -> Callable[..., Any]:
    """A context manager: in its block, a visitor sends requests to a proxy all the time."""

    @contextmanager
    def visitor(proxy: Any, **options: Any) -> Iterator[Visitor]:
        visits = Visitor(proxy, **options)
        visits.enter()
        try:
            yield visits
        finally:
            visits.leave()

    return visitor
