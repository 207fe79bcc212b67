"""The tests of a tier, with an image on the engine: what the fixtures offer, and how tests end if something fails."""

from __future__ import annotations

import io
import json
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.session_containers import (
    SessionContainers,
)
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.contract.started_container import StartedContainer
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.networks_and_volumes import Networks
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from sdk_client import as_engine

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("demo")]

#: Tests that pass.
PASSING = r"""
    import pytest

    @pytest.fixture(scope="module")
    def database(start_once):
        return start_once("database", env={"SAYS": "hello"}, command=["sh", "-c", "echo ready; sleep 60"])

    def test_the_image(host, image):
        assert host.check_output("id -u") == "0"
        assert host.file("/etc/os-release").contains("Debian")
        assert host.package("ca-certificates").is_installed
        assert image.tier == "httpd-php"
        assert image.config["Healthcheck"]["Test"][0] == "CMD"
        assert len(image.layers) == 3

    def test_no_network_by_default(host):
        assert "eth0" not in host.check_output("ls /sys/class/net")

    @pytest.mark.network
    def test_a_network_if_the_test_is_marked(host):
        assert "eth0" in host.check_output("ls /sys/class/net")

    def test_it_serves(start):
        web = start()
        web.wait_healthy()
        answer = web.http("/none", headers={"Host": "example.org"})
        assert (answer.status, answer.headers["server"]) == (404, "Apache")
        assert "Not Found" in answer.body
        web.wait(lambda: "/none" in web.logs())
        assert web.running
        assert web.exit_code is None
        users = {process.uid for process in web.processes()}
        assert users == {1001}
        assert web.host.check_output("id -u") == "1001"
        seconds, code = web.stop(timeout=20)
        assert code == 0
        assert seconds < 15
        assert not web.running
        assert web.processes() == []

    def test_neighbours_know_each_other(start, database):
        web = start(command=["sleep", "60"], user="12345:0", alias="www")
        assert web.host.check_output("id -u") == "12345"
        assert database.address in web.host.check_output("getent hosts database")
        assert web.address in database.host.check_output("getent hosts www")
        assert database.host.check_output("echo $SAYS") == "hello"
        assert database.logs() == "ready\n"

    def test_no_access_to_the_outside(start):
        web = start(command=["sleep", "60"])
        assert web.host.run("getent hosts example.org").failed
"""

#: Tests that fail.
FAILING = r"""
    import pytest

    def test_an_unknown_neighbour(start):
        start("redis")

    def test_a_container_that_ends(start):
        web = start(command=["sh", "-c", "echo cannot go on; exit 3"])
        web.wait_healthy(timeout=20)

    def test_never_healthy(start):
        web = start("ill", command=["sh", "-c", "echo up and ill; sleep 60"])
        web.wait_healthy(timeout=2)

    @pytest.mark.timeout(4)
    def test_hangs(start):
        web = start(command=["sh", "-c", "echo before the end; sleep 60"])
        web.host.run("sleep 60")
"""


@pytest.fixture(scope="module")
def ill(engine: docker.DockerClient, demo: dict[str, Any]) -> Iterator[str]:
    """An image whose health check always fails."""
    name = f"twtest-{secrets.token_hex(4)}/ill"
    text = f"FROM {demo['base'].id}\nHEALTHCHECK CMD echo not well; false\n"
    engine.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    yield name
    engine.images.remove(name)


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], list[str]]:
    """Write tests from a text; return the command with which a person runs them."""

    def command(tests: str) -> list[str]:
        folder = tmp_path / "roles/web/tests"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(textwrap.dedent(tests))
        images = ["--image", "httpd-php:latest", "--neighbour", "database=corebuild:latest"]
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "roles/web/tests", *images]

    return command


def remaining(engine: docker.DockerClient) -> list[Any]:
    filters = {"label": labels.SESSION}
    return [*engine.containers.list(all=True, filters=filters), *engine.networks.list(filters=filters)]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_an_image_and_its_neighbours_can_be_tested(command, tmp_path, engine):
    process = run([*command(PASSING), "--tier-result=result.json"], tmp_path)
    assert process.returncode == 0, process.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["tests"], result["failed"]) == (6, [])
    assert remaining(engine) == []


def test_a_server_on_an_unreachable_network_is_asked_through_a_helper(demo, engine, monkeypatch):
    monkeypatch.setattr(Networks, "reaches", lambda _networks, _name: False)
    containers = SessionContainers(as_engine(engine), demo["httpd-php"].id)
    try:
        web = StartedContainer(containers.start())
        web.wait_healthy()
        answer = web.http("/none", headers={"Host": "example.org"})
        assert (answer.status, answer.headers["server"]) == (404, "Apache")
        with pytest.raises(OSError, match="Connection refused"):
            web.http(port=1)
    finally:
        containers.close()
    assert remaining(engine) == []


def test_failures_end_in_time_and_show_the_last_lines_of_the_log(command, tmp_path, engine, ill):
    started = time.monotonic()
    process = run([*command(FAILING), f"--neighbour=ill={ill}", "--tier-result=result.json"], tmp_path)
    assert time.monotonic() - started < 60
    assert process.returncode == 1, process.stdout
    unknown, ended, unhealthy, hanging = json.loads((tmp_path / "result.json").read_text())["failed"]
    assert "has no neighbour 'redis'; its neighbours are: database, ill." in unknown["message"]
    assert "httpd-php: the container ended with exit status 3 during the wait" in ended["message"]
    assert "cannot go on\n(ended with exit status 3)" in ended["log"]
    assert (
        "ill: the condition was not true after 2 s; last error: the health check ended with 1: not well"
        in (unhealthy["message"])
    )
    assert "up and ill" in unhealthy["log"]
    assert "Timeout (>4.0s)" in hanging["message"]
    assert "before the end" in hanging["log"]
    assert remaining(engine) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_stopped_tests_leave_nothing(command, tmp_path, engine, how):
    tests = """
        def test_it(start, tmp_path_factory):
            web = start(command=["sleep", "60"])
            open("started", "w").close()
            web.host.run("sleep 60")
    """
    with subprocess.Popen(command(tests), cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert remaining(engine)
        process.send_signal(how)
        process.wait(30)
    deadline = time.monotonic() + 20
    while remaining(engine):
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_missing_image_is_reported(command, tmp_path):
    process = run([*command(PASSING), "--image=nobody/nothing:1", "-k", "test_the_image"], tmp_path)
    assert process.returncode == 1
    assert "the engine does not have the image nobody/nothing:1" in process.stdout
    assert "Traceback" not in process.stdout
