"""A tier's tests against an image on the engine: what they can ask for, and how they end when it goes wrong."""

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
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.engine.networks_and_volumes import Networks
from ansible_collections.tierwright.chain.plugins.plugin_utils._core.image import labels
from sdk_client import as_engine

pytestmark = [pytest.mark.once, pytest.mark.usefixtures("demo")]

#: Serves the environment variable SAYS, in a shell: the images of tests have no more.
GOOD = r"""
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

    def test_it_is_alone(host):
        assert "eth0" not in host.check_output("ls /sys/class/net")

    @pytest.mark.network
    def test_unless_it_asks_for_a_network(host):
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
        users = {each.uid for each in web.processes()}
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

    def test_the_outside_is_not_there(start):
        web = start(command=["sleep", "60"])
        assert web.host.run("getent hosts example.org").failed
"""

BAD = r"""
    import pytest

    def test_nobody_of_that_name(start):
        start("redis")

    def test_ends_at_once(start):
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
    """An image whose health check fails whenever it is asked."""
    name = f"twtest-{secrets.token_hex(4)}/ill"
    text = f"FROM {demo['base'].id}\nHEALTHCHECK CMD echo not well; false\n"
    engine.images.build(fileobj=io.BytesIO(text.encode()), tag=name, rm=True)
    yield name
    engine.images.remove(name)


@pytest.fixture
def command(tmp_path: Path) -> Callable[[str], list[str]]:
    """The command that runs tests, given as text, as a person does."""

    def command(tests: str) -> list[str]:
        folder = tmp_path / "roles/web/tests"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "test_it.py").write_text(textwrap.dedent(tests))
        images = ["--image", "httpd-php:latest", "--neighbour", "database=corebuild:latest"]
        return [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "roles/web/tests", *images]

    return command


def left(engine: docker.DockerClient) -> list[Any]:
    mine = {"label": labels.SESSION}
    return [*engine.containers.list(all=True, filters=mine), *engine.networks.list(filters=mine)]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)


def test_an_image_and_its_neighbours_can_be_tested(command, tmp_path, engine):
    done = run([*command(GOOD), "--tier-result=result.json"], tmp_path)
    assert done.returncode == 0, done.stdout
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["tests"], result["failed"]) == (6, [])
    assert left(engine) == []


def test_a_server_on_a_network_that_is_elsewhere_is_asked_through_a_helper(demo, engine, monkeypatch):
    monkeypatch.setattr(Networks, "reaches", lambda _networks, _name: False)
    bed = SessionContainers(as_engine(engine), demo["httpd-php"].id)
    try:
        web = bed.start()
        web.wait_healthy()
        answer = web.http("/none", headers={"Host": "example.org"})
        assert (answer.status, answer.headers["server"]) == (404, "Apache")
        with pytest.raises(OSError, match="Connection refused"):
            web.http(port=1)
    finally:
        bed.close()
    assert left(engine) == []


def test_what_goes_wrong_ends_in_time_and_shows_the_last_lines(command, tmp_path, engine, ill):
    began = time.monotonic()
    done = run([*command(BAD), f"--neighbour=ill={ill}", "--tier-result=result.json"], tmp_path)
    assert time.monotonic() - began < 60
    assert done.returncode == 1, done.stdout
    nobody, ends, never, hangs = json.loads((tmp_path / "result.json").read_text())["failed"]
    assert "has no neighbour 'redis'; its neighbours are: database, ill." in nobody["message"]
    assert "httpd-php: the container ended with exit status 3 during the wait" in ends["message"]
    assert "cannot go on\n(ended with exit status 3)" in ends["log"]
    assert (
        "ill: the condition was not true after 2 s; last error: the health check ended with 1: not well"
        in (never["message"])
    )
    assert "up and ill" in never["log"]
    assert "Timeout (>4.0s)" in hangs["message"]
    assert "before the end" in hangs["log"]
    assert left(engine) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_tests_that_were_stopped(command, tmp_path, engine, how):
    tests = """
        def test_it(start, tmp_path_factory):
            web = start(command=["sleep", "60"])
            open("started", "w").close()
            web.host.run("sleep 60")
    """
    with subprocess.Popen(command(tests), cwd=tmp_path, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not (tmp_path / "started").exists():
            assert time.monotonic() < until
            time.sleep(0.1)
        assert left(engine)
        process.send_signal(how)
        process.wait(30)
    until = time.monotonic() + 20
    while left(engine):
        assert time.monotonic() < until
        time.sleep(0.2)


def test_an_image_that_is_not_there_is_told(command, tmp_path):
    done = run([*command(GOOD), "--image=nobody/nothing:1", "-k", "test_the_image"], tmp_path)
    assert done.returncode == 1
    assert "the engine does not have the image nobody/nothing:1" in done.stdout
    assert "Traceback" not in done.stdout
