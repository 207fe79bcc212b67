"""The broker does only what fixtures need, and only with the containers of its session."""

from __future__ import annotations

import base64
import json
import threading
from email.message import Message

import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.agent.inside.frames import encode
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.broker import Broker
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.container_operations import (
    CommandOutput,
    ContainerState,
    HttpAnswer,
    HttpRequest,
    ImageUnderTest,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.inside import messages
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.inside.remote_containers import (
    BrokerLink,
    RemoteContainers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.session_result import SessionResult
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.errors import (
    ContractError,
    EngineError,
    NotFoundError,
)

IMAGE = ImageUnderTest("sha256:1", "web", {"a": "b"}, {"Cmd": ["x"]}, ("sha256:2",))


class Container:
    """A container that records what was done with it."""

    def __init__(self, name: str) -> None:
        self.id, self.tier, self.alias, self.config = name, "web", "www", {"ExposedPorts": {"80/tcp": {}}}
        self.done: list[object] = []

    def run(self, argv):
        self.done.append(argv)
        if argv == ["wait"]:
            threading.Event().wait(0.3)
        if argv == ["gone"]:
            raise EngineError("it has ended")
        return CommandOutput(3, b"\xff" * 3_000_000, b"err")

    def state(self):
        return ContainerState(running=True, exit_code=None, health="healthy", address="10.0.0.2")

    def logs(self, lines=None):
        return f"{lines} lines"

    def processes(self):
        return [(0, "init")]

    def stop(self, timeout):
        self.done.append(timeout)

    def send(self, request):
        self.done.append(request)
        if request.port == 81:
            raise ConnectionRefusedError(111, "Connection refused")
        headers = Message()
        headers.add_header("Set-Cookie", "a")
        headers.add_header("Set-Cookie", "b")
        return HttpAnswer(200, headers, "hello")


class Source:
    """The containers of a session."""

    image = IMAGE

    def __init__(self) -> None:
        self.containers: dict[str, Container] = {"idle": Container("idle")}
        self.removed: list[str] = []
        self.started: list[object] = []

    def idle(self):
        return self.containers["idle"]

    def start(self, tier=None, **options):
        if tier == "db":
            raise NotFoundError("tier 'web' has no neighbour 'db'")
        self.started.append((tier, options))
        container = Container(f"c{len(self.started)}")
        self.containers[container.id] = container
        return container

    def remove(self, container):
        self.removed.append(container.id)

    def close(self):
        """Do nothing."""


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def broker(source):
    """A broker and a sandbox that are connected."""
    holder = []

    def take(channel, kind, message):
        holder[0].take(channel, kind, message)

    received = messages.Messages(take, messages.SANDBOX_LIMIT)
    broker = Broker(source, received.feed)
    holder.append(BrokerLink(broker.feed))
    broker.link = holder[0]
    yield broker
    broker.close()


@pytest.fixture
def link(broker):
    return broker.link


def test_the_fixtures_reach_containers_through_the_broker(link, source):
    containers = RemoteContainers(link)
    assert containers.image == IMAGE
    web = containers.start(env={"A": 1}, alias="www", user="0", command=["sleep", 9])
    assert source.started == [(None, {"env": {"A": "1"}, "alias": "www", "user": "0", "command": ["sleep", "9"]})]
    assert (web.id, web.tier, web.alias, web.config["ExposedPorts"]) == ("c1", "web", "www", {"80/tcp": {}})
    assert web.run(["ls"]) == CommandOutput(3, b"\xff" * 3_000_000, b"err")
    assert web.state() == ContainerState(running=True, exit_code=None, health="healthy", address="10.0.0.2")
    assert (web.logs(3), web.logs(), web.processes()) == ("3 lines", "None lines", [(0, "init")])
    web.stop(5)
    status, headers, body = web.send(HttpRequest("GET", "/", 80, {"Host": "x"}, None, 10))
    assert (status, headers.get_all("set-cookie"), body) == (200, ["a", "b"], "hello")
    assert source.containers["c1"].done == [["ls"], 5, HttpRequest("GET", "/", 80, {"Host": "x"}, None, 10)]
    containers.remove(web)
    assert source.removed == ["c1"]
    assert containers.idle().run(["id"]).code == 3


def test_errors_are_those_of_the_controller(link):
    containers = RemoteContainers(link)
    with pytest.raises(NotFoundError, match="has no neighbour 'db'"):
        containers.start("db")
    web = containers.start()
    with pytest.raises(EngineError, match="it has ended"):
        web.run(["gone"])
    with pytest.raises(OSError, match="Connection refused"):
        web.send(HttpRequest("GET", "/", 81, {}, None, 1))


def test_calls_of_several_threads_do_not_wait_for_each_other(link):
    web = RemoteContainers(link).start()
    threads = [threading.Thread(target=web.run, args=(["wait"],)) for _number in range(3)]
    for thread in threads:
        thread.start()
    assert web.logs() == "None lines"
    for thread in threads:
        thread.join()


def test_only_containers_of_the_session_are_reached(link, source):
    source.containers["theirs"] = Container("theirs")
    containers = RemoteContainers(link)
    removed = containers.start()
    containers.remove(removed)
    for name in ("theirs", "idle", "", "c1", "../x"):
        for operation in ("run", "state", "logs", "processes", "stop", "send", "remove"):
            request = {"method": "GET", "path": "/", "port": 1, "headers": {}, "body": None, "timeout": 1}
            with pytest.raises(ContractError, match="is not a container of these tests"):
                link.call(operation, container=name, argv=["id"], lines=None, timeout=1, request=request)
    assert source.containers["theirs"].done == []
    assert source.removed == ["c1"]


@pytest.mark.parametrize(
    "request_",
    [
        {"port": 0},
        {"port": 65536},
        {"port": -1},
        {"port": "80"},
        {"method": "CONNECT"},
        {"method": "DELETE"},
        {"headers": {"a": 1}},
        {"timeout": "x"},
        {"path": None},
    ],
)
def test_wrong_requests_are_refused(link, source, request_):
    web = RemoteContainers(link).start()
    good = {"method": "GET", "path": "/", "port": 80, "headers": {}, "body": None, "timeout": 1}
    with pytest.raises(ContractError):
        link.call("send", container=web.id, request={**good, **request_})
    assert source.containers["c1"].done == []


@pytest.mark.parametrize(
    "arguments",
    [{"env": None}, {"env": {"A": 1}}, {"command": "sh -c x"}, {"alias": 5}, {"tier": ["x"]}, {"user": {}}],
)
def test_wrong_starts_are_refused(link, source, arguments):
    good = {"tier": None, "env": {}, "alias": None, "user": None, "command": None}
    with pytest.raises(ContractError, match="the broker cannot do this"):
        link.call("start", **{**good, **arguments})
    assert source.started == []


def test_further_arguments_are_ignored(link, source):
    link.call("start", tier=None, env={}, alias=None, user=None, command=None, mounts=["/:/host"], privileged=True)
    assert source.started == [(None, {"env": {}, "alias": None, "user": None, "command": None})]


@pytest.mark.parametrize("operation", ["", "close", "_start", "__init__", "pull", None, ["run"]])
def test_unknown_operations_are_refused(link, operation):
    with pytest.raises(ContractError):
        link.call(operation)


def test_the_number_of_containers_is_limited(link, source):
    containers = RemoteContainers(link)
    for _number in range(64):
        containers.start()
    with pytest.raises(ContractError, match="at most 64 containers"):
        containers.start()
    assert len(source.started) == 64


def test_long_timeouts_are_cut(link, source):
    web = RemoteContainers(link).start()
    web.stop(10**9)
    web.stop(-1)
    web.send(HttpRequest("GET", "/", 80, {}, None, 1e9))
    first, second, request = source.containers["c1"].done
    assert (first, second, request.timeout) == (600, 0, 600)


def test_results_and_the_end_are_taken(broker):
    broker.link.send(messages.RESULT, {"tests": 1, "ran": [["a", 0.5]], "seconds": 1, "failed": []})
    broker.link.send(messages.END, {"status": 1, "output": "x"})
    assert broker.result == SessionResult(1, (("a", 0.5),), 1)
    assert (broker.end.status, broker.end.output) == (1, "x")


@pytest.mark.parametrize(
    "content",
    [
        b"\xff" * 9,
        encode(0, 77),
        encode(0, messages.RESULT, b"{"),
        encode(0, messages.RESULT, b'{"tests": "1"}'),
        encode(0, messages.RESULT, b'{"seconds": NaN}'),
        encode(0, messages.RESULT, b"[" * 99_999),
        encode(0, messages.END, b"[]"),
        encode(0, messages.ANSWER, b"{}"),
        encode(0, messages.PART, b"x" * (1 << 20)) * 17,
        b"".join(encode(number, messages.PART, b"x" * (1 << 20)) for number in range(17)),
        b"".join(encode(number, messages.CALL) for number in range(9999)),
    ],
)
def test_what_no_sandbox_sends_ends_it(source, content):
    done = threading.Event()
    broker = Broker(source, lambda _frames: done.wait(5) and None)  # a sandbox that does not read its answers
    try:
        with pytest.raises(ContractError, match="its sandbox sent what no sandbox sends"):
            broker.feed(content)
    finally:
        done.set()
        broker.close()


@pytest.mark.parametrize(
    "content", [b"", b"x", b"[]", b"null", b'{"operation": "run"}', b'{"operation": "run", "argv": 1}']
)
def test_a_damaged_call_is_answered(source, content):
    answers = []
    broker = Broker(source, answers.append)
    broker.feed(encode(5, messages.CALL, content))
    broker.close()
    [answer] = answers
    assert "error" in json.loads(answer[9:])


def test_messages_of_any_size_are_joined():
    taken = []
    received = messages.Messages(lambda *message: taken.append(message), 1 << 22)
    for size in (0, 1, 131_072, 131_073, 3_000_000):
        content = base64.b64encode(bytes(size))
        for byte in (messages.frames_of(size, messages.ANSWER, content),):
            received.feed(byte[:7])
            received.feed(byte[7:])
        assert taken.pop() == (size, messages.ANSWER, content)
